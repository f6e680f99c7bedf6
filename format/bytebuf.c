/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/bytebuf.h"

#include <stdlib.h>

bool array_grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t target = *cap ? *cap : 64;
	void *grown;

	if (need <= *cap)
		return true;
	while (target < need) {
		if (target > SIZE_MAX / 2 / size)
			return false;
		target *= 2;
	}
	grown = realloc(*array, target * size);
	if (!grown)
		return false;
	*array = grown;
	*cap = target;
	return true;
}

uint8_t *bytebuf_reserve(struct bytebuf *b, size_t n)
{
	void *data = b->data;

	if (b->failed || n > SIZE_MAX - b->len || !array_grow(&data, &b->cap, b->len + n, 1)) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	return b->data + b->len;
}

void bytebuf_append(struct bytebuf *b, const void *data, size_t n)
{
	uint8_t *to = n ? bytebuf_reserve(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, data, n);
	b->len += n;
}

void bytebuf_varint(struct bytebuf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		bytebuf_byte(b, (uint8_t)(v | 0x80));
	bytebuf_byte(b, (uint8_t)v);
}

void bytebuf_fixed(struct bytebuf *b, uint64_t v, unsigned n)
{
	uint8_t bytes[8];

	store_le(bytes, v, n);
	bytebuf_append(b, bytes, n);
}

void bytebuf_string(struct bytebuf *b, const char *s)
{
	size_t len = s ? strlen(s) : 0;

	bytebuf_varint(b, len);
	bytebuf_append(b, s ? s : "", len + 1);
}

void bytebuf_release(struct bytebuf *b)
{
	free(b->data);
	*b = (struct bytebuf){0};
}
