/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_FLOWLIST_H
#define FORMAT_FLOWLIST_H

/*
 * Lists of the flows that a block concerns, as they are in directories and in the index:
 *
 *     varint how many, then for each, rising, varint difference to the one before (the first: to 0)
 */
#include "format/bytebuf.h"
#include "format/idmap.h"

#define FLOWLIST_MAX 65536u

/* Writing: add any, then append the list. */
struct flowlist {
	struct idmap seen;
	uint64_t last;
	bool failed;
};

void flowlist_clear(struct flowlist *l);
void flowlist_add(struct flowlist *l, uint64_t flow);
/* Sorts what was added; nothing can be added afterwards, until it is cleared. */
void flowlist_append(struct flowlist *l, struct bytebuf *to);
void flowlist_release(struct flowlist *l);

/* The place of a flow in the list that was appended last; it is in it. */
size_t flowlist_index(const struct flowlist *l, uint64_t flow);

/* Steps over a list. False: it is not one, or does not rise. *list, unless NULL, becomes its bytes. */
bool flowlist_skip(struct span *s, struct span *list);
/* Takes it apart: how many there are. `to` has room for FLOWLIST_MAX. */
size_t flowlist_take(struct span list, uint64_t *to);
/* Whether a list has one of the n ids, which rise. False as well when the list is not one. */
bool flowlist_meets(struct span list, const uint64_t *ids, size_t n);

#endif
