/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/peers.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "format/bytebuf.h"

static uint64_t hash_of(const struct fdtape_address *a, uint64_t seed)
{
	return XXH64(a->addr, a->len, seed ^ (uint64_t)a->port << 8 ^ a->family);
}

static bool same(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

/* Where the address is, or the free place where it belongs. */
static uint32_t *place_of(const struct peers *p, const struct fdtape_address *a, uint64_t seed)
{
	size_t place = (size_t)hash_of(a, seed) & (p->table_len - 1);

	while (p->table[place] && !same(&p->address[p->table[place] - 1], a))
		place = (place + 1) & (p->table_len - 1);
	return &p->table[place];
}

static bool make_room(struct peers *p, uint64_t seed)
{
	size_t len = p->table_len ? p->table_len * 2 : 64;
	uint32_t *table;

	if ((p->count + 1) * 2 <= p->table_len)
		return true;
	table = calloc(len, sizeof(*table));
	if (!table)
		return false;
	free(p->table);
	p->table = table;
	p->table_len = len;
	for (size_t i = 0; i < p->count; i++)
		*place_of(p, &p->address[i], seed) = (uint32_t)i + 1;
	return true;
}

uint32_t peers_number(struct peers *p, const struct fdtape_address *address, uint64_t seed, bool *is_new)
{
	uint32_t *place;

	if (!make_room(p, seed))
		return 0;
	place = place_of(p, address, seed);
	*is_new = *place == 0;
	if (*is_new) {
		if (!peers_add(p, address))
			return 0;
		*place = (uint32_t)p->count;
	}
	return *place;
}

bool peers_add(struct peers *p, const struct fdtape_address *address)
{
	void *grown = p->address;

	if (!array_grow(&grown, &p->cap, p->count + 1, sizeof(*p->address)))
		return false;
	p->address = grown;
	p->address[p->count++] = *address;
	return true;
}

const struct fdtape_address *peers_get(const struct peers *p, uint32_t number)
{
	return number > 0 && number <= p->count ? &p->address[number - 1] : NULL;
}

void peers_clear(struct peers *p)
{
	if (p->count > 0 && p->table)
		memset(p->table, 0, p->table_len * sizeof(*p->table));
	p->count = 0;
}

void peers_release(struct peers *p)
{
	free(p->address);
	free(p->table);
}
