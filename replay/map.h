/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MAP_H
#define MAP_H

/*
 * A hash map from 64-bit keys to pointers: open addressing, no tombstones. The order of its slots depends on the keys
 * alone, but nothing that is shown may depend on it.
 */
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key;
	void *value; /* NULL: the slot is free */
};

struct map { /* all zero: empty */
	struct map_slot *slots;
	size_t n;
	size_t size; /* of slots: 0 or a power of two */
};

void *map_get(const struct map *map, uint64_t key);
/* Sets or replaces; value is not NULL. 0, or -1 without memory. */
int map_put(struct map *map, uint64_t key, void *value);
/* Removes, and returns what was there. */
void *map_take(struct map *map, uint64_t key);
/* Frees the slots, not the values. */
void map_release(struct map *map);

/* Spreads the bits of a key (the finalizer of MurmurHash3). */
static inline uint64_t map_mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

/* A key made from bytes. */
static inline uint64_t map_mix_bytes(uint64_t seed, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		seed = (seed ^ p[i]) * UINT64_C(0x100000001b3);
	return map_mix(seed ^ len);
}

#endif
