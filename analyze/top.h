/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOP_H
#define TOP_H

/*
 * The few with the greatest keys of many, in bounded memory. Of equal keys the earlier one stays ahead.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TOP_MAX = 10
};

struct top {
	size_t limit; /* at most TOP_MAX */
	void (*release)(void *value);
	struct top_entry {
		uint64_t key;
		void *value;
	} entries[TOP_MAX];
	size_t n;
};

/* Is the key among the greatest so far? Then top_add() is worth while. */
bool top_wants(const struct top *top, uint64_t key);
/* Takes over the value. */
void top_add(struct top *top, uint64_t key, void *value);

#endif
