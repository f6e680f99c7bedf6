/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_EMITTER_H
#define FORMAT_EMITTER_H

/* Blocks on their way to the sink, and into the index. */
#include <zstd.h>

#include "format/block.h"
#include "format/index.h"

struct emitter {
	struct bytebuf out;
	uint64_t base; /* offset in the section of the beginning of `out` */
	ZSTD_CCtx *zstd;
	struct indexer index;
	uint64_t salt;
	uint64_t seq;       /* of the next block */
	uint64_t group_seq; /* of the group's first */
	uint64_t ts_min;    /* of the group */
	uint64_t ts_max;
};

/* What follows is a group. */
static inline void emitter_group(struct emitter *e, uint64_t ts_min, uint64_t ts_max)
{
	e->group_seq = e->seq;
	e->ts_min = ts_min;
	e->ts_max = ts_max;
}

/* Begins a block of the group and its directory: append the rest of it, then the body. */
static inline size_t emitter_begin(struct emitter *e)
{
	size_t begin = block_begin(&e->out);

	bytebuf_varint(&e->out, e->seq - e->group_seq);
	return begin;
}

/* The length of the directory that ends here. */
static inline uint32_t emitter_directory(const struct emitter *e, size_t begin)
{
	return e->out.failed ? 0 : (uint32_t)(e->out.len - begin - BLOCK_HEADER);
}

/* `flows`: see indexer_add(). */
static inline void emitter_end(struct emitter *e, size_t begin, struct block b, const struct bytebuf *flows)
{
	b.seq = e->seq++;
	b.ts_min = e->ts_min;
	b.ts_max = e->ts_max;
	block_end(&e->out, begin, &b, e->salt);
	indexer_add(&e->index, &b, e->base + begin, flows);
}

/* Appends the body of a block of records. */
static inline void emitter_records(struct emitter *e, struct block *b, const struct bytebuf *records)
{
	b->raw_len = (uint32_t)records->len;
	if (!codec_pack(e->zstd, &e->out, records->data, records->len))
		b->flags |= BLOCK_RAW;
	if (records->failed)
		e->out.failed = true;
}

#endif
