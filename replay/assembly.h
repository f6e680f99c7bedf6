/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ASSEMBLY_H
#define ASSEMBLY_H

/*
 * Puts one direction of a flow in order: segments in, as the calls carried them; pieces out, in the order of their
 * offsets, without overlap and without a gap. See assembly.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fdtape/types.h>

/* By whom and when a piece of a stream was carried. */
struct stamp {
	uint64_t wall; /* when the call ended, ns since the epoch */
	uint32_t tid;
	bool shown; /* the call lies within the time that was chosen */
	/* Of a socket that is no byte stream: fdtape_event.peer. Not to be kept beyond the call it is given in. */
	const struct fdtape_address *peer;
};

struct assembly_segment;

struct assembly {          /* all zero: at the stream's beginning */
	uint64_t next;     /* everything before was given */
	uint64_t high;     /* the highest offset heard of */
	uint64_t captured; /* of what was given: bytes that were on the tape */
	struct assembly_segment *pending;
	size_t n_pending;
	uint64_t pending_bytes;
};

/* Takes a piece; data NULL: a hole. */
typedef void assembly_emit(void *context, uint64_t offset, const uint8_t *data, uint64_t len,
                           const struct stamp *stamp);

/* What a call carried: `bytes` from `offset` on, of which the first `captured` are `data`. 0, or -1 without memory. */
int assembly_put(struct assembly *a, uint64_t offset, uint64_t bytes, const uint8_t *data, uint64_t captured,
                 const struct stamp *stamp, assembly_emit *emit, void *context);
/* Nothing more comes: gives what is pending, and a hole up to `end` if the stream is known to have been longer. */
void assembly_finish(struct assembly *a, uint64_t end, const struct stamp *stamp, assembly_emit *emit, void *context);
void assembly_release(struct assembly *a);

#endif
