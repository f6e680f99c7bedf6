/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PATTERN_H
#define PATTERN_H

/*
 * The bytes that the test programs move: a function of a seed and a position, so that the truth about any number of
 * them is three numbers, and a byte at a wrong place or of another stream is never the right one by accident for long.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes of the pattern, the first one least significant (splitmix64). */
static inline uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	uint64_t x = seed * UINT64_C(0xd1342543de82ef95) + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint8_t pattern_byte(uint64_t seed, uint64_t at)
{
	return (uint8_t)(pattern_word(seed, at / 8) >> at % 8 * 8);
}

static inline void pattern_fill(void *buffer, size_t n, uint64_t seed, uint64_t at)
{
	uint8_t *to = buffer;

	for (size_t i = 0; i < n;) {
		uint64_t word = pattern_word(seed, (at + i) / 8) >> (at + i) % 8 * 8;

		for (size_t left = 8 - (at + i) % 8; left && i < n; left--, word >>= 8)
			to[i++] = (uint8_t)word;
	}
}

/* The index of the first byte that is another; n when there is none. */
static inline size_t pattern_differs(const void *buffer, size_t n, uint64_t seed, uint64_t at)
{
	const uint8_t *from = buffer;

	for (size_t i = 0; i < n;) {
		uint64_t word = pattern_word(seed, (at + i) / 8) >> (at + i) % 8 * 8;

		for (size_t left = 8 - (at + i) % 8; left && i < n; left--, word >>= 8, i++)
			if (from[i] != (uint8_t)word)
				return i;
	}
	return n;
}

#endif
