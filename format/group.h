/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_GROUP_H
#define FORMAT_GROUP_H

/* Reading one group: its blocks are collected, then its items are given in the order in which they were put. */
#include "format/choice.h"
#include "format/columns.h"
#include "format/payload.h"
#include "format/peers.h"
#include "format/records.h"

/* Sum over a group's blocks, of their stored and of their decoded bytes. */
#define GROUP_BYTES_MAX (64u << 20)

enum {
	GROUP_SECRETS,
	GROUP_DEFS,
	GROUP_LOSS,
	GROUP_RECORD_BLOCKS
};

struct group {
	ZSTD_DCtx *zstd;
	struct columns *columns;
	struct diag *diag;
	const struct choice *choice;

	bool begun;
	bool meets;         /* it has something of a chosen flow */
	bool overlaps;      /* it has times that are chosen */
	bool early;         /* it does not begin behind them */
	bool redacted;      /* secrets were dropped, or a block was skipped whose type is not known */
	bool hurt;          /* a part of it is missing, and that was said */
	uint64_t first_seq; /* of its first block */
	uint64_t budget;    /* of GROUP_BYTES_MAX, what is left */

	struct finder payload;
	struct fdtape_event *events;
	size_t n_events;
	size_t cap_events;
	uint32_t *peer; /* by event: its number */
	size_t cap_peer;
	struct peers peers; /* as far as their records were met */
	size_t given;       /* events */
	uint64_t ordinal;   /* of the record that was given last */
	bool any_record;    /* there was one */
	bool said_doubled;  /* that the next one has the same */
	bool missing;       /* payload that should be there */
	struct {
		struct bytebuf body;
		struct record_cursor cursor;
		uint64_t block; /* where it is */
		uint64_t offset;
		bool present;
		bool ready; /* cursor.item is the next one */
	} records[GROUP_RECORD_BLOCKS];
};

/* False: no memory. */
bool group_init(struct group *g, struct diag *diag, const struct choice *choice);
void group_release(struct group *g);
void group_clear(struct group *g);

/* The number of the first block of the group that the block belongs to. */
int group_of(const struct block *b, uint64_t *first_seq, struct diag *diag);
/* Whether the body of a block is needed for a choice; by its header and its directory. */
bool group_wants(const void *choice, const struct block *b);
/* Takes in a block of the group, as far as it is chosen; without its body when that is not wanted. 0,
 * FDTAPE_ERR_MEMORY, or an error that is said. */
int group_add(struct group *g, const struct block *b);
/* Records that are no items: of peers, and of types that are not known; to be asked when all items were given. */
uint64_t group_other_records(const struct group *g);
/* The next item: 1; 0 when there is none; otherwise an error that is said. FDTAPE_ERR_DAMAGED: call again. */
int group_next(struct group *g, struct fdtape_item *item);

#endif
