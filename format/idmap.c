/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytebuf.h"

/* Where the key is, or the free place where it belongs. */
static size_t idmap_place(const struct idmap *m, uint64_t key)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15u;
	size_t place = (size_t)(hash ^ hash >> 32) & (m->table_len - 1);

	while (m->table[place] && m->keys[m->table[place] - 1] != key)
		place = (place + 1) & (m->table_len - 1);
	return place;
}

bool idmap_reserve(struct idmap *m, size_t n)
{
	size_t need = m->count + n;
	size_t len = m->table_len ? m->table_len : 128;
	void *keys = m->keys;
	uint32_t *table;

	if (!array_grow(&keys, &m->cap, need, sizeof(*m->keys)))
		return false;
	m->keys = keys;
	if (need * 2 <= m->table_len)
		return true;
	while (len < need * 2)
		len *= 2;
	table = calloc(len, sizeof(*table));
	if (!table)
		return false;
	free(m->table);
	m->table = table;
	m->table_len = len;
	for (size_t i = 0; i < m->count; i++)
		m->table[idmap_place(m, m->keys[i])] = (uint32_t)i + 1;
	return true;
}

uint32_t idmap_add(struct idmap *m, uint64_t key)
{
	size_t place = idmap_place(m, key);

	if (!m->table[place]) {
		m->keys[m->count] = key;
		m->table[place] = (uint32_t)++m->count;
	}
	return m->table[place] - 1;
}

uint32_t idmap_find(const struct idmap *m, uint64_t key)
{
	return m->table_len ? m->table[idmap_place(m, key)] - 1 : IDMAP_NONE;
}

void idmap_clear(struct idmap *m)
{
	if (m->count)
		memset(m->table, 0, m->table_len * sizeof(*m->table));
	m->count = 0;
}

void idmap_release(struct idmap *m)
{
	free(m->keys);
	free(m->table);
	*m = (struct idmap){0};
}
