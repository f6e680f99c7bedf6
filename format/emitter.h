/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_EMITTER_H
#define FORMAT_EMITTER_H

/* A group's blocks on their way to the sink. */
#include <zstd.h>

#include "format/block.h"

struct emitter {
	struct bytebuf out;
	ZSTD_CCtx *zstd;
	uint64_t salt;
	uint64_t seq;       /* of the next block */
	uint64_t group_seq; /* of the group's first */
	uint64_t ts_min;    /* of the group's events */
	uint64_t ts_max;
};

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

static inline void emitter_end(struct emitter *e, size_t begin, struct block b)
{
	b.seq = e->seq++;
	b.ts_min = e->ts_min;
	b.ts_max = e->ts_max;
	block_end(&e->out, begin, &b, e->salt);
}

#endif
