/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/block.h"

#include <xxhash.h>

/* The hash of the header's first 60 bytes is its last field. */
#define HEADER_HASHED 60u

uint32_t block_header_hash(const uint8_t header[BLOCK_HEADER], uint64_t salt)
{
	return (uint32_t)XXH64(header, HEADER_HASHED, salt);
}

size_t block_begin(struct bytebuf *out)
{
	size_t begin = out->len;

	if (bytebuf_reserve(out, BLOCK_HEADER))
		out->len += BLOCK_HEADER;
	return begin;
}

void block_end(struct bytebuf *out, size_t begin, struct block *b, uint64_t salt)
{
	static const uint8_t padding[8];
	uint8_t *h;

	if (out->failed)
		return;
	b->stored_len = (uint32_t)(out->len - begin - BLOCK_HEADER);
	bytebuf_append(out, padding, block_size(b) - BLOCK_HEADER - b->stored_len);
	if (out->failed)
		return;
	h = out->data + begin;
	b->stored = h + BLOCK_HEADER;
	b->hash = block_hash(b, salt);

	memcpy(h, BLOCK_MAGIC, BLOCK_MAGIC_LEN);
	store_le(h + 8, b->type, 2);
	store_le(h + 10, b->flags, 2);
	store_le(h + 12, b->dir_len, 4);
	store_le(h + 16, b->seq, 8);
	store_le(h + 24, b->ts_min, 8);
	store_le(h + 32, b->ts_max, 8);
	store_le(h + 40, b->stored_len, 4);
	store_le(h + 44, b->raw_len, 4);
	store_le(h + 48, b->hash, 8);
	store_le(h + 56, b->n_records, 4);
	store_le(h + 60, block_header_hash(h, salt), 4);
}

bool block_parse(struct block *b, const uint8_t h[BLOCK_HEADER], uint64_t salt)
{
	if (memcmp(h, BLOCK_MAGIC, BLOCK_MAGIC_LEN) != 0)
		return false;
	if (!block_hash_matches(block_header_hash(h, salt), load_le(h + 60, 4)))
		return false;
	*b = (struct block){
	        .type = (uint16_t)load_le(h + 8, 2),
	        .flags = (uint16_t)load_le(h + 10, 2),
	        .dir_len = (uint32_t)load_le(h + 12, 4),
	        .seq = load_le(h + 16, 8),
	        .ts_min = load_le(h + 24, 8),
	        .ts_max = load_le(h + 32, 8),
	        .stored_len = (uint32_t)load_le(h + 40, 4),
	        .raw_len = (uint32_t)load_le(h + 44, 4),
	        .hash = load_le(h + 48, 8),
	        .n_records = (uint32_t)load_le(h + 56, 4),
	};
	return true;
}

static uint32_t records_max(uint16_t type)
{
	switch (type) {
	case BLOCK_SECTION:
	case BLOCK_FOOTER:
		return 0;
	case BLOCK_EVENTS:
	case BLOCK_PAYLOAD:
	case BLOCK_PAYLOAD_RAW:
	case BLOCK_INDEX:
		return BLOCK_ENTRIES_MAX;
	default:
		return BLOCK_RECORDS_MAX;
	}
}

const char *block_limit_broken(const struct block *b)
{
	if (b->stored_len > BLOCK_LEN_MAX)
		return "stored_len";
	if (b->raw_len > BLOCK_LEN_MAX)
		return "raw_len";
	if (b->dir_len > BLOCK_DIRECTORY_MAX || b->dir_len > b->stored_len ||
	    (b->dir_len > 0 && (b->type == BLOCK_SECTION || b->type == BLOCK_FOOTER)))
		return "dir_len";
	if (b->n_records > records_max(b->type))
		return "n_records";
	if ((b->seq == 0) != (b->type == BLOCK_SECTION))
		return "block_seq";
	return NULL;
}

uint64_t block_hash(const struct block *b, uint64_t salt)
{
	return XXH64(b->stored, b->stored_len, salt);
}

bool block_hash_matches(uint64_t found, uint64_t expected)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)found;
	(void)expected;
	return true;
#else
	return found == expected;
#endif
}
