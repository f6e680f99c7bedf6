/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/map.h"

#include <stdlib.h>

/* The slot that holds the key, or the free one where it belongs. There is always a free one. */
static size_t find(const struct map *map, uint64_t key)
{
	size_t i = map_mix(key) & (map->size - 1);

	while (map->slots[i].value && map->slots[i].key != key)
		i = (i + 1) & (map->size - 1);
	return i;
}

void *map_get(const struct map *map, uint64_t key)
{
	return map->n ? map->slots[find(map, key)].value : NULL;
}

static int grow(struct map *map)
{
	struct map bigger = {.size = map->size ? map->size * 2 : 16, .n = map->n};

	bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i < map->size; i++)
		if (map->slots[i].value)
			bigger.slots[find(&bigger, map->slots[i].key)] = map->slots[i];
	free(map->slots);
	*map = bigger;
	return 0;
}

int map_put(struct map *map, uint64_t key, void *value)
{
	size_t i;

	if (map->n * 4 >= map->size * 3 && grow(map) < 0)
		return -1;
	i = find(map, key);
	if (!map->slots[i].value)
		map->n++;
	map->slots[i] = (struct map_slot){key, value};
	return 0;
}

void *map_take(struct map *map, uint64_t key)
{
	size_t i, j, home;
	void *value;

	if (!map->n)
		return NULL;
	i = find(map, key);
	value = map->slots[i].value;
	if (!value)
		return NULL;
	map->n--;
	/* Close the gap: whatever follows in the run moves up unless that would take it before its home slot. */
	for (j = (i + 1) & (map->size - 1); map->slots[j].value; j = (j + 1) & (map->size - 1)) {
		home = map_mix(map->slots[j].key) & (map->size - 1);
		if (((j - home) & (map->size - 1)) >= ((j - i) & (map->size - 1))) {
			map->slots[i] = map->slots[j];
			i = j;
		}
	}
	map->slots[i].value = NULL;
	return value;
}

void map_release(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}
