/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_BYTES_H
#define FORMAT_BYTES_H

/* Integers as bytes, least significant first, whatever the machine; and a span: bytes that are read from the front
 * by someone who does not trust them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void store_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t load_le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Small numbers of either sign become small numbers: 0, -1, 1, -2, ... -> 0, 1, 2, 3, ... */
static inline uint64_t zigzag(uint64_t v)
{
	return (v << 1) ^ (0 - (v >> 63));
}

static inline uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

#define VARINT_MAX 10 /* bytes */
#define STRING_MAX 65536u

/* After the first thing that is not there, or not as it must be, `bad` is set and everything reads as 0. */
struct span {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct span span_of(const uint8_t *data, size_t len)
{
	return (struct span){.at = data, .end = len ? data + len : data};
}

static inline size_t span_left(const struct span *s)
{
	return s->bad ? 0 : (size_t)(s->end - s->at);
}

/* The next n bytes; NULL (and bad) when there are fewer. */
static inline const uint8_t *span_take(struct span *s, size_t n)
{
	const uint8_t *p = s->at;

	if (span_left(s) < n)
		s->bad = true;
	if (s->bad)
		return NULL;
	s->at += n;
	return p;
}

static inline uint64_t span_fixed(struct span *s, unsigned n)
{
	const uint8_t *p = span_take(s, n);

	return p ? load_le(p, n) : 0;
}

static inline uint64_t span_varint(struct span *s)
{
	uint64_t v = 0;

	for (unsigned shift = 0; !s->bad && s->at < s->end; shift += 7) {
		uint8_t byte = *s->at++;

		/* The tenth byte has room for one bit. */
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	s->bad = true;
	return 0;
}

/* Length, bytes, and a NUL, so that the bytes can be handed out where they are. "" when bad. */
static inline const char *span_string(struct span *s)
{
	uint64_t len = span_varint(s);
	const uint8_t *p;

	if (len > STRING_MAX)
		s->bad = true;
	p = span_take(s, (size_t)len + 1);
	if (p && (p[len] != 0 || memchr(p, 0, (size_t)len)))
		s->bad = true;
	return p && !s->bad ? (const char *)p : "";
}

#endif
