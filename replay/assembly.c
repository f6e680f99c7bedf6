/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Every call tells where in the stream its bytes belong, so order on the tape matters little: events of one thread
 * come in order, those of two threads on one flow nearly. A segment that begins where the stream stands is given at
 * once. One that begins later waits, for what lies between may only be late. It is late no more, but lost, when so
 * much waits behind it that no race of two threads explains it (PENDING_*), or when the flow ends: then the gap is
 * given as a hole.
 *
 * What was given is never taken back: a segment that overlaps loses the part that the stream has passed.
 */
#include "replay/assembly.h"

#include <stdlib.h>
#include <string.h>

enum {
	PENDING_SEGMENTS = 64,
	PENDING_BYTES = 1 << 20,
};

struct assembly_segment {
	struct assembly_segment *next; /* by offset; equal ones in the order they came */
	uint64_t offset;
	uint64_t bytes;
	uint64_t captured;
	struct stamp stamp;
	struct fdtape_address peer; /* that stamp.peer points to, if it does */
	uint8_t data[];
};

static void give_hole(struct assembly *a, uint64_t end, const struct stamp *stamp, assembly_emit *emit, void *context)
{
	uint64_t offset = a->next;

	if (end <= offset)
		return;
	a->next = end;
	emit(context, offset, NULL, end - offset, stamp);
}

/* Gives the part of a segment, which begins at or before a->next, that the stream has not passed. */
static void give(struct assembly *a, uint64_t offset, uint64_t bytes, const uint8_t *data, uint64_t captured,
                 const struct stamp *stamp, assembly_emit *emit, void *context)
{
	uint64_t passed = a->next - offset;

	if (passed < captured) {
		a->captured += captured - passed;
		a->next = offset + captured;
		emit(context, offset + passed, data + passed, captured - passed, stamp);
	}
	give_hole(a, offset + bytes, stamp, emit, context);
}

/* Gives what waits, as long as there is no gap before it, or none that is worth waiting for. */
static void drain(struct assembly *a, bool wait, const struct stamp *stamp, assembly_emit *emit, void *context)
{
	struct assembly_segment *s;

	while ((s = a->pending)) {
		if (s->offset > a->next) {
			if (wait && (a->n_pending == 1 ||
			             (a->n_pending <= PENDING_SEGMENTS && a->pending_bytes <= PENDING_BYTES)))
				return;
			give_hole(a, s->offset, stamp, emit, context);
		}
		a->pending = s->next;
		a->n_pending--;
		a->pending_bytes -= s->captured;
		give(a, s->offset, s->bytes, s->data, s->captured, &s->stamp, emit, context);
		free(s);
	}
}

int assembly_put(struct assembly *a, uint64_t offset, uint64_t bytes, const uint8_t *data, uint64_t captured,
                 const struct stamp *stamp, assembly_emit *emit, void *context)
{
	struct assembly_segment *s, **at;

	if (bytes > UINT64_MAX - offset) /* no stream is that long */
		bytes = UINT64_MAX - offset;
	if (captured > bytes)
		captured = bytes;
	if (offset + bytes > a->high)
		a->high = offset + bytes;
	if (offset + bytes <= a->next)
		return 0;
	if (offset <= a->next) {
		give(a, offset, bytes, data, captured, stamp, emit, context);
	} else {
		s = malloc(sizeof *s + captured);
		if (!s)
			return -1;
		*s = (struct assembly_segment){.offset = offset, .bytes = bytes, .captured = captured, .stamp = *stamp};
		if (stamp->peer) {
			s->peer = *stamp->peer;
			s->stamp.peer = &s->peer;
		}
		if (captured)
			memcpy(s->data, data, captured);
		for (at = &a->pending; *at && (*at)->offset <= offset; at = &(*at)->next)
			;
		s->next = *at;
		*at = s;
		a->n_pending++;
		a->pending_bytes += captured;
	}
	drain(a, true, stamp, emit, context);
	return 0;
}

void assembly_finish(struct assembly *a, uint64_t end, const struct stamp *stamp, assembly_emit *emit, void *context)
{
	drain(a, false, stamp, emit, context);
	give_hole(a, end, stamp, emit, context);
}

void assembly_release(struct assembly *a)
{
	struct assembly_segment *s;

	while ((s = a->pending)) {
		a->pending = s->next;
		free(s);
	}
	a->n_pending = 0;
	a->pending_bytes = 0;
}
