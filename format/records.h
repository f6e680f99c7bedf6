/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_RECORDS_H
#define FORMAT_RECORDS_H

/*
 * The bodies of DEFS, SECRETS and LOSS: every item that is not an event, as a record.
 *
 * A record says where it belongs among the items of its group: its ordinal among the group's records, whichever block
 * they are in, and how many events come before it. So the order is exact, and stays so when a block is dropped.
 */
#include <fdtape/types.h>

#include "format/bytebuf.h"

/* A record that is no item: what fdtape_event.peer of the group's events points to. Its address is flow.remote. */
#define RECORD_PEER  10
#define RECORD_TYPES (RECORD_PEER + 1)

/* Writing one block's body. */
struct record_writer {
	struct bytebuf bytes;
	struct bytebuf scratch;
	uint32_t count;
	uint64_t ordinal; /* of the record before */
	uint64_t events_before;
	struct fdtape_item last[RECORD_TYPES]; /* the record of each type before: its numbers, for the differences */
};

/* False: the item is not one, or holds what the format does not allow. */
bool record_is_valid(const struct fdtape_item *item);
/* Appends the record of a valid item, or a RECORD_PEER. */
void record_put(struct record_writer *w, const struct fdtape_item *item, uint64_t ordinal, uint64_t events_before);
void record_writer_clear(struct record_writer *w);
void record_writer_release(struct record_writer *w);

/* Which types of records are in a block of SNAPSHOT, DEFS, SECRETS, LOSS: sets of 1 << type. */
#define RECORDS_OF_SNAPSHOT \
	(1u << FDTAPE_ITEM_CLOCK | 1u << FDTAPE_ITEM_PROCESS | 1u << FDTAPE_ITEM_FLOW | 1u << FDTAPE_ITEM_THREAD)
#define RECORDS_OF_DEFS    (RECORDS_OF_SNAPSHOT | 1u << RECORD_PEER)
#define RECORDS_OF_SECRETS (1u << FDTAPE_ITEM_SECRET)
#define RECORDS_OF_LOSS    (1u << FDTAPE_ITEM_LOSS)

/* Reading one block's body. */
struct record_cursor {
	struct span rest;
	uint32_t types; /* known ones that may be there */
	uint32_t left;  /* records */
	uint32_t taken;
	uint32_t unknown; /* of those taken: not given, but counted by the footer */
	uint64_t ordinal; /* of `item` */
	uint64_t events_before;
	struct fdtape_item item; /* its strings are in the body */
	struct fdtape_item last[RECORD_TYPES];
};

void record_cursor_begin(struct record_cursor *c, struct span body, uint32_t n_records, uint32_t types);
/* Decodes the next record to c->item: 1; 0 at the end; FDTAPE_ERR_DAMAGED. */
int record_cursor_next(struct record_cursor *c);

#endif
