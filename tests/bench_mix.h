/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_MIX_H
#define BENCH_MIX_H

/*
 * A made-up recording of a busy server, without end, the same for the same seed: what the benchmarks of the format
 * write where nothing was recorded, or not enough. See bench_mix.c for what it is made of.
 */
#include <fdtape/types.h>

struct mix;

/* What was given so far. */
struct mix_stats {
	uint64_t events;
	uint64_t carriers; /* events with payload */
	uint64_t flows;
	uint64_t text;       /* bytes of payload: HTTP and JSON */
	uint64_t ciphertext; /* random bytes in TLS records */
	uint64_t time;       /* ns */
};

/* NULL: no memory. */
struct mix *mix_new(uint64_t seed);
void mix_free(struct mix *mix);

/* The next item, valid until the next call. */
const struct fdtape_item *mix_next(struct mix *mix);

struct mix_stats mix_stats(const struct mix *mix);

#endif
