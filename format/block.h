/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_BLOCK_H
#define FORMAT_BLOCK_H

/* The block: what a tape is made of. Header, directory, body, padding; see docs/format.md, "Blocks". */
#include "format/bytebuf.h"

enum block_type { /* numbers are on the tape */
	BLOCK_SECTION = 1,
	BLOCK_EVENTS = 2,
	BLOCK_PAYLOAD = 3,     /* one zstd frame */
	BLOCK_PAYLOAD_RAW = 4, /* the same, stored as it is */
	BLOCK_DEFS = 5,
	BLOCK_SNAPSHOT = 6, /* what is defined, for who begins to read here */
	BLOCK_LOSS = 7,
	BLOCK_INDEX = 8,
	BLOCK_SECRETS = 11,
	BLOCK_FOOTER = 12,
};

enum block_flag {
	BLOCK_CRITICAL = 1u << 0,  /* who does not know the type must not read on */
	BLOCK_RAW = 1u << 1,       /* DEFS, SNAPSHOT, SECRETS, LOSS, INDEX: the body is not compressed */
	BLOCK_REDACTED = 1u << 2,  /* SECRETS: the body was removed */
	BLOCK_GROUP_END = 1u << 3, /* the group is complete with this block */
	BLOCK_FLOWS = 1u << 4,     /* DEFS: it defines nothing but the flows of its list */
};

#define BLOCK_MAGIC \
	"\x89"      \
	"fdt\r\n\x1a\n"
#define BLOCK_MAGIC_LEN     8u
#define BLOCK_HEADER        64u
#define BLOCK_LEN_MAX       (16u << 20) /* stored, and decoded */
#define BLOCK_DIRECTORY_MAX (1u << 20)
#define BLOCK_RECORDS_MAX   (1u << 20)
#define BLOCK_ENTRIES_MAX   65536u /* events, runs, entries of an INDEX */
#define BLOCK_SIZE_MAX      (BLOCK_HEADER + (uint64_t)BLOCK_LEN_MAX)

struct block {
	uint16_t type;  /* enum block_type */
	uint16_t flags; /* enum block_flag */
	uint32_t dir_len;
	uint64_t seq;
	uint64_t ts_min;
	uint64_t ts_max;
	uint32_t stored_len; /* directory and body as they are on the tape */
	uint32_t raw_len;    /* the body when decoded */
	uint64_t hash;       /* of the stored bytes */
	uint32_t n_records;
	const uint8_t *stored;
};

/* Whether blocks of this type make up groups. */
static inline bool block_is_of_group(uint16_t type)
{
	return type == BLOCK_EVENTS || type == BLOCK_PAYLOAD || type == BLOCK_PAYLOAD_RAW || type == BLOCK_DEFS ||
	       type == BLOCK_LOSS || type == BLOCK_SECRETS;
}

/* Whether the group is complete with this block. Payload never ends one. */
static inline bool block_ends_group(const struct block *b)
{
	return b->flags & BLOCK_GROUP_END && b->type != BLOCK_PAYLOAD && b->type != BLOCK_PAYLOAD_RAW;
}

/* Header, stored bytes and padding. */
static inline size_t block_extent(uint32_t stored_len)
{
	return BLOCK_HEADER + ((size_t)stored_len + 7) / 8 * 8;
}

static inline size_t block_size(const struct block *b)
{
	return block_extent(b->stored_len);
}

static inline struct span block_directory(const struct block *b)
{
	return span_of(b->stored, b->dir_len);
}

static inline struct span block_body(const struct block *b)
{
	return span_of(b->stored + b->dir_len, b->stored_len - b->dir_len);
}

/* Writing: begin, append directory and body to `out`, end. block_end() fills stored_len and hash. */
size_t block_begin(struct bytebuf *out);
void block_end(struct bytebuf *out, size_t begin, struct block *b, uint64_t salt);

/* Whether these 64 bytes are a header made with this salt; if so, *b is filled but for `stored`. */
bool block_parse(struct block *b, const uint8_t header[BLOCK_HEADER], uint64_t salt);
/* NULL, or which limit of the format the header breaks. */
const char *block_limit_broken(const struct block *b);
/* The hashes of a header and of the stored bytes, as they are. */
uint32_t block_header_hash(const uint8_t header[BLOCK_HEADER], uint64_t salt);
uint64_t block_hash(const struct block *b, uint64_t salt);
/* Whether the hash found is the one expected (a fuzzer's build says yes to anything). */
bool block_hash_matches(uint64_t found, uint64_t expected);

#endif
