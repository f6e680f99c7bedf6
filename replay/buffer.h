/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BUFFER_H
#define BUFFER_H

/*
 * Bytes that grow at the end and go at the front.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buffer { /* all zero: empty */
	uint8_t *data;
	size_t len;
	size_t size;
};

/* Makes room for so many bytes at the end: 0, or -1 without memory. */
static inline int buffer_reserve(struct buffer *b, size_t len)
{
	size_t size = b->size ? b->size : 64;
	uint8_t *data;

	if (len <= b->size - b->len)
		return 0;
	while (size - b->len < len) {
		if (size > SIZE_MAX / 2)
			return -1;
		size *= 2;
	}
	data = realloc(b->data, size);
	if (!data)
		return -1;
	b->data = data;
	b->size = size;
	return 0;
}

/* 0, or -1 without memory. */
static inline int buffer_add(struct buffer *b, const void *bytes, size_t len)
{
	if (len == 0)
		return 0;
	if (buffer_reserve(b, len) < 0)
		return -1;
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
	return 0;
}

static inline void buffer_drop(struct buffer *b, size_t len)
{
	b->len -= len;
	if (len > 0 && b->len > 0)
		memmove(b->data, b->data + len, b->len);
}

static inline void buffer_release(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

#endif
