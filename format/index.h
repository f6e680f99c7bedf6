/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_INDEX_H
#define FORMAT_INDEX_H

/* INDEX blocks: what lies where. Each tells of the blocks since the one before, and where that one is; see
 * docs/format.md, "INDEX". It helps to find, and decides over nothing: what it leads to is checked. */
#include "format/block.h"
#include "format/codec.h"
#include "format/totals.h"

/* An INDEX is written at one of these. */
#define INDEX_BYTES  (UINT64_C(256) << 20) /* of tape */
#define INDEX_BLOCKS 4096u
#define INDEX_FILLED (4u << 20) /* of its own body */

#define INDEX_ENTRIES_MAX 65536u

/* Writing: the blocks since the last INDEX. */
struct indexer {
	struct bytebuf body;
	uint32_t count;
	uint64_t previous; /* offset in the section of the last INDEX; 0: none */
	uint64_t first_seq;
	uint64_t first_offset;
	uint64_t ts_min; /* of the entry before */
};

/* Adds the block that is at `offset` of the section. `flows`: its list of flows, as in flowlist.h; NULL when its type
 * has none. */
void indexer_add(struct indexer *ix, const struct block *b, uint64_t offset, const struct bytebuf *flows);
/* Appends the INDEX block, which comes to be at `offset` of the section, and begins anew behind it. */
void indexer_emit(struct indexer *ix, struct bytebuf *out, ZSTD_CCtx *zstd, const struct fdtape_totals *totals,
                  uint64_t seq, uint64_t offset, uint64_t salt);
void indexer_release(struct indexer *ix);

/* Reading. */
struct index_entry {
	struct block block; /* type, flags, seq, ts_min, ts_max, stored_len */
	uint64_t offset;    /* in the section */
	struct span flows;  /* empty when its type has none */
};

struct index_cursor {
	struct span rest;
	uint32_t left;
	struct index_entry entry; /* the one given last */
};

/* What the directory says. */
struct index_head {
	uint64_t previous;
	uint64_t first_seq;
	uint64_t first_offset;
	struct fdtape_totals totals;
};

/* False: it is not as it must be. */
bool index_head(const struct block *b, struct index_head *head);
/* Decodes the body into `body`: 0, FDTAPE_ERR_MEMORY, FDTAPE_ERR_DAMAGED. */
int index_body(const struct block *b, ZSTD_DCtx *zstd, struct bytebuf *body);
void index_cursor_begin(struct index_cursor *c, const struct index_head *head, const struct bytebuf *body,
                        uint32_t n_records);
/* The next entry to c->entry. False: there are no more; c->rest.bad: because what is there is not one. */
bool index_cursor_next(struct index_cursor *c);

#endif
