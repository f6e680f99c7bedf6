/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MAP_H
#define MAP_H

/*
 * A hash map from a 64-bit key to a pointer: open addressing with linear probing, kept at most three quarters full.
 * NULL is no value. A zeroed struct is an empty map. The order of map_next() depends on keys alone, never on addresses,
 * so that what is printed from it is the same each time; sort all the same where order is seen.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct map_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

struct map {
	struct map_slot *slots;
	size_t size; /* power of two, or 0 */
	size_t used;
};

static inline size_t map_home(const struct map *map, uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio: spreads neighbouring keys */
	return (size_t)(key >> 32) & (map->size - 1);
}

static inline struct map_slot *map_slot(const struct map *map, uint64_t key)
{
	size_t i = map_home(map, key);

	while (map->slots[i].value && map->slots[i].key != key)
		i = (i + 1) & (map->size - 1);
	return &map->slots[i];
}

/* NULL: there is none. */
static inline void *map_get(const struct map *map, uint64_t key)
{
	return map->size ? map_slot(map, key)->value : NULL;
}

/* Sets or replaces; false: no memory, nothing was changed. */
static inline bool map_put(struct map *map, uint64_t key, void *value)
{
	struct map_slot *slot;

	if ((map->used + 1) * 4 > map->size * 3) {
		struct map grown = {.size = map->size ? map->size * 2 : 64};

		grown.slots = calloc(grown.size, sizeof *grown.slots);
		if (!grown.slots)
			return false;
		for (size_t i = 0; i < map->size; i++)
			if (map->slots[i].value)
				*map_slot(&grown, map->slots[i].key) = map->slots[i];
		grown.used = map->used;
		free(map->slots);
		*map = grown;
	}
	slot = map_slot(map, key);
	map->used += !slot->value;
	slot->key = key;
	slot->value = value;
	return true;
}

/* Takes the value out and returns it; NULL: there was none. */
static inline void *map_take(struct map *map, uint64_t key)
{
	struct map_slot *slot;
	size_t hole, i, mask = map->size - 1;
	void *value;

	if (!map->size)
		return NULL;
	slot = map_slot(map, key);
	value = slot->value;
	if (!value)
		return NULL;
	/* Move up what the hole would cut off from its home. */
	hole = (size_t)(slot - map->slots);
	for (i = (hole + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
		size_t home = map_home(map, map->slots[i].key);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole].value = NULL;
	map->used--;
	return value;
}

/* Walks all: start with *cursor = 0; NULL at the end. Values may be changed, but nothing put or taken meanwhile. */
static inline void *map_next(const struct map *map, size_t *cursor)
{
	while (*cursor < map->size) {
		void *value = map->slots[(*cursor)++].value;

		if (value)
			return value;
	}
	return NULL;
}

/* Frees the map; the values are the caller's. */
static inline void map_release(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}

/* Frees the map and its values, each of which is one piece that malloc() gave. */
static inline void map_free(struct map *map)
{
	size_t cursor = 0;
	void *value;

	while ((value = map_next(map, &cursor)))
		free(value);
	map_release(map);
}

#endif
