/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_BYTEBUF_H
#define FORMAT_BYTEBUF_H

/* Bytes that grow. When memory runs out the buffer is `failed` and takes no more: whoever builds something in it
 * asks once, at the end. */
#include "format/bytes.h"

struct bytebuf {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed;
};

/* Makes room for n more bytes: where they go, or NULL. */
uint8_t *bytebuf_reserve(struct bytebuf *b, size_t n);
void bytebuf_append(struct bytebuf *b, const void *data, size_t n);
void bytebuf_varint(struct bytebuf *b, uint64_t v);
void bytebuf_fixed(struct bytebuf *b, uint64_t v, unsigned n);
/* As span_string() reads it; NULL is "". */
void bytebuf_string(struct bytebuf *b, const char *s);
void bytebuf_release(struct bytebuf *b);

/* Empties it and keeps its memory. */
static inline void bytebuf_clear(struct bytebuf *b)
{
	b->len = 0;
	b->failed = false;
}

static inline void bytebuf_byte(struct bytebuf *b, uint8_t byte)
{
	if (b->len < b->cap || bytebuf_reserve(b, 1))
		b->data[b->len++] = byte;
}

/* Makes an array of elements of `size` bytes hold at least `need` of them. False: no memory, nothing changed. */
bool array_grow(void **array, size_t *cap, size_t need, size_t size);

#endif
