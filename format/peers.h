/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_PEERS_H
#define FORMAT_PEERS_H

/* The addresses that the events of one group refer to (fdtape_event.peer), by number: 1, 2, ... in their order. */
#include <fdtape/types.h>

#include <stdbool.h>

#define PEERS_MAX 65536u /* of a group */

struct peers {
	struct fdtape_address *address; /* by number - 1 */
	size_t count;
	size_t cap;
	uint32_t *table;  /* writing: hash table of numbers; 0: free */
	size_t table_len; /* a power of two, at least twice `count`; 0 until one is needed */
};

/* Writing: the number of the address, which gets the next one if it is new. `seed` is for the hash: who can't know it
 * can't choose addresses that are slow to find. 0: no memory. */
uint32_t peers_number(struct peers *p, const struct fdtape_address *address, uint64_t seed, bool *is_new);
/* Reading: gives the address the next number. False: no memory. */
bool peers_add(struct peers *p, const struct fdtape_address *address);
/* NULL: there is none. Valid until the next one is added. */
const struct fdtape_address *peers_get(const struct peers *p, uint32_t number);
void peers_clear(struct peers *p);
void peers_release(struct peers *p);

#endif
