/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_WINDOW_H
#define FORMAT_WINDOW_H

/* The part of the input that is being looked at, whatever the input is. */
#include <fdtape/reader.h>

#include "format/bytebuf.h"

struct window {
	const uint8_t *data; /* the input from `offset` on, as far as it was read */
	size_t len;
	uint64_t offset;
	bool ended; /* the input has no more than this */

	const uint8_t *memory; /* the input, when it is memory */
	uint64_t size;         /* of an input that gives bytes anywhere; 0: it does not */
	uint64_t read;         /* bytes in all */
	bool moved;            /* by window_seek(): the source's own place is another */
	bool sparing;          /* no byte is read that is not wanted */

	struct fdtape_source source; /* none when the input is memory */
	struct bytebuf hold;         /* ends with `data`, unless the input is memory */
};

void window_of_source(struct window *w, const struct fdtape_source *source);
void window_of_memory(struct window *w, const void *data, size_t len);
void window_release(struct window *w);

/* Reads on until the window holds `want` bytes or the input ends. Memory is taken as bytes arrive, not as they are
 * wanted. 0, or the source's error, or FDTAPE_ERR_MEMORY. */
int window_fill(struct window *w, size_t want);
/* Leaves the first n bytes behind. */
void window_skip(struct window *w, size_t n);

/* The input must be one of `size`. The window goes on at the offset, empty. */
void window_seek(struct window *w, uint64_t offset);
/* Reads bytes without moving the window: 1; 0: the input has fewer; or the source's error. */
int window_read_at(const struct window *w, uint64_t offset, void *to, size_t len);

#endif
