/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/index.h"

#include "format/flowlist.h"

static bool has_flows(uint16_t type)
{
	return type == BLOCK_EVENTS || type == BLOCK_PAYLOAD || type == BLOCK_PAYLOAD_RAW || type == BLOCK_DEFS;
}

void indexer_add(struct indexer *ix, const struct block *b, uint64_t offset, const struct bytebuf *flows)
{
	struct bytebuf *body = &ix->body;

	if (ix->count++ == 0) {
		ix->first_seq = b->seq;
		ix->first_offset = offset;
	}
	bytebuf_varint(body, b->type);
	bytebuf_varint(body, b->flags);
	bytebuf_varint(body, b->stored_len);
	bytebuf_varint(body, zigzag(b->ts_min - ix->ts_min));
	bytebuf_varint(body, b->ts_max - b->ts_min);
	if (has_flows(b->type))
		bytebuf_append(body, flows->data, flows->len);
	if (flows && flows->failed)
		body->failed = true;
	ix->ts_min = b->ts_min;
}

void indexer_emit(struct indexer *ix, struct bytebuf *out, ZSTD_CCtx *zstd, const struct fdtape_totals *totals,
                  uint64_t seq, uint64_t offset, uint64_t salt)
{
	struct block b = {.type = BLOCK_INDEX, .seq = seq, .n_records = ix->count};
	size_t begin = block_begin(out);

	totals_append(out, ix->previous, totals);
	bytebuf_varint(out, ix->first_seq);
	bytebuf_varint(out, ix->first_offset);
	b.dir_len = out->failed ? 0 : (uint32_t)(out->len - begin - BLOCK_HEADER);
	b.raw_len = (uint32_t)ix->body.len;
	if (!codec_pack(zstd, out, ix->body.data, ix->body.len))
		b.flags |= BLOCK_RAW;
	if (ix->body.failed)
		out->failed = true;
	block_end(out, begin, &b, salt);
	bytebuf_clear(&ix->body);
	ix->count = 0;
	ix->ts_min = 0;
	ix->previous = offset;
}

void indexer_release(struct indexer *ix)
{
	bytebuf_release(&ix->body);
}

bool index_head(const struct block *b, struct index_head *head)
{
	struct span s = block_directory(b);
	const uint8_t *totals = span_take(&s, TOTALS_SIZE);

	if (!totals)
		return false;
	totals_load(totals, &head->previous, &head->totals);
	head->first_seq = span_varint(&s);
	head->first_offset = span_varint(&s);
	return !s.bad && b->n_records <= INDEX_ENTRIES_MAX;
}

int index_body(const struct block *b, ZSTD_DCtx *zstd, struct bytebuf *body)
{
	struct span stored = block_body(b);

	bytebuf_clear(body);
	if (!bytebuf_reserve(body, b->raw_len + 1u))
		return FDTAPE_ERR_MEMORY;
	body->len = b->raw_len;
	return codec_take(zstd, b->flags & BLOCK_RAW, body->data, b->raw_len, stored) ? 0 : FDTAPE_ERR_DAMAGED;
}

void index_cursor_begin(struct index_cursor *c, const struct index_head *head, const struct bytebuf *body,
                        uint32_t n_records)
{
	*c = (struct index_cursor){.rest = span_of(body->data, body->len), .left = n_records};
	/* So that the first one is behind it. */
	c->entry.block.seq = head->first_seq - 1;
	c->entry.offset = head->first_offset - block_extent(0);
}

bool index_cursor_next(struct index_cursor *c)
{
	struct index_entry *e = &c->entry;
	struct block *b = &e->block;
	struct span *s = &c->rest;
	uint64_t type, flags, stored_len;

	if (c->left == 0)
		return false;
	c->left--;
	e->offset += block_size(b);
	b->seq++;
	type = span_varint(s);
	flags = span_varint(s);
	stored_len = span_varint(s);
	b->ts_min += unzigzag(span_varint(s));
	b->ts_max = b->ts_min + span_varint(s);
	if (type > UINT16_MAX || flags > UINT16_MAX || stored_len > BLOCK_LEN_MAX)
		s->bad = true;
	b->type = (uint16_t)type;
	b->flags = (uint16_t)flags;
	b->stored_len = (uint32_t)stored_len;
	e->flows = span_of(s->at, 0);
	if (has_flows(b->type))
		flowlist_skip(s, &e->flows);
	return !s->bad;
}
