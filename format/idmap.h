/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_IDMAP_H
#define FORMAT_IDMAP_H

/* Numbers the different keys that it is given: 0, 1, 2, ... in the order of their first appearance. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDMAP_NONE UINT32_MAX

struct idmap {
	uint64_t *keys; /* by number */
	size_t count;
	size_t cap;
	uint32_t *table;  /* hash table of numbers + 1; 0: free */
	size_t table_len; /* a power of two, at least twice `count` */
};

/* Makes sure that the next n idmap_add() need no memory. */
bool idmap_reserve(struct idmap *m, size_t n);
/* The key's number; a key that is new gets the next one. Room must have been reserved. */
uint32_t idmap_add(struct idmap *m, uint64_t key);
/* IDMAP_NONE when it was never added. */
uint32_t idmap_find(const struct idmap *m, uint64_t key);
void idmap_clear(struct idmap *m);
void idmap_release(struct idmap *m);

#endif
