/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

/*
 * How values (durations in ns) are spread, in bounded memory whatever they are: HdrHistogram's log-linear buckets.
 * See histogram.c. A zeroed struct is an empty histogram.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HISTOGRAM_BITS = 8,                           /* values below 2^8 have a bucket each */
	HISTOGRAM_OCTAVE = 1 << (HISTOGRAM_BITS - 1), /* buckets from one power of two to the next */
	HISTOGRAM_OCTAVES = 64 - HISTOGRAM_BITS + 2,  /* the first holds 0 .. 2^7 - 1 */
};

struct histogram {
	uint64_t *octaves[HISTOGRAM_OCTAVES]; /* counts of HISTOGRAM_OCTAVE buckets; NULL: all are 0 */
	uint64_t count;
	uint64_t sum; /* UINT64_MAX: that, or more */
	uint64_t min, max;
};

void histogram_add(struct histogram *h, uint64_t value);
/* The value below or at which `per_mille` of 1000 of all values are (nearest rank): exact below 256 and at 1000, else
 * within 1/256 of it. 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, unsigned per_mille);
/* How many values are in from .. to (both included), which are bounds of buckets: 2^k * (1 + i/128). */
uint64_t histogram_between(const struct histogram *h, uint64_t from, uint64_t to);
void histogram_release(struct histogram *h);

/* A row of a text histogram. */
struct histogram_row {
	uint64_t from, to; /* both included */
	uint64_t count;
};

enum {
	HISTOGRAM_ROWS = 65
};

/* The rows from the least to the greatest value; at most four for each power of two, and as many as keep them within
 * `limit`, but one for each power of two at least. */
size_t histogram_rows(const struct histogram *h, struct histogram_row rows[static HISTOGRAM_ROWS], size_t limit);

#endif
