/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FDTAPE_READER_H
#define FDTAPE_READER_H

/*
 * Reads a tape from its beginning to its end, from anything that gives bytes in order. Every block's checksum is
 * verified before it is decoded. Memory is bounded by one group (documented in docs/format.md), whatever the length.
 */
#include <fdtape/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fdtape_reader;

/* Where the bytes come from. */
struct fdtape_source {
	/* Gives 1 .. len bytes: their number; 0 at the end; a negative error (FDTAPE_ERR_SYSTEM with errno set). */
	int64_t (*read)(void *context, void *buffer, size_t len);
	void *context;
};

/* *reader is set on success only and belongs to the caller. Nothing is read yet: that the input is no tape is said by
 * the first fdtape_reader_next(). */
FDTAPE_API int fdtape_reader_open(struct fdtape_reader **reader, const struct fdtape_source *source);
/* The same from a file descriptor (file or pipe), which stays the caller's. */
FDTAPE_API int fdtape_reader_open_fd(struct fdtape_reader **reader, int fd);
/* The same from memory, which must outlive the reader. */
FDTAPE_API int fdtape_reader_open_memory(struct fdtape_reader **reader, const void *data, size_t len);

/*
 * The next item, in the order in which they were put. Returns 1: *item is filled, and what it points to is valid until
 * the next call; 0: the end; negative: an error, see fdtape_reader_message().
 *
 * FDTAPE_ERR_DAMAGED, FDTAPE_ERR_LIMIT: a part is missing here. Call again: reading goes on behind it, with the next
 * block that is whole. FDTAPE_ERR_TRUNCATED: the input ends early; what was complete has been given, the next call
 * returns 0. Every other error is final and is returned again by each further call.
 */
FDTAPE_API int fdtape_reader_next(struct fdtape_reader *reader, struct fdtape_item *item);

/* What the last error was about: block number, offset in the input, the value found and the value expected.
 * "" when there was none. Valid until the next call. */
FDTAPE_API const char *fdtape_reader_message(const struct fdtape_reader *reader);

/* The current section's properties, in the order written; NULL when index is out of range. Valid until the next
 * FDTAPE_ITEM_SECTION. */
FDTAPE_API const struct fdtape_meta *fdtape_reader_meta(const struct fdtape_reader *reader, size_t index);
/* The value of one of them; NULL when absent. */
FDTAPE_API const char *fdtape_reader_meta_get(const struct fdtape_reader *reader, const char *key);

/* The current section's head. */
struct fdtape_section_info {
	uint16_t major, minor; /* of the format */
	uint8_t uuid[16];
	struct fdtape_clock clock;
};
FDTAPE_API int fdtape_reader_section(const struct fdtape_reader *reader, struct fdtape_section_info *info);

/* Counters over all that was read so far; for verification and for `info`. */
struct fdtape_reader_stats {
	uint64_t input_bytes; /* read from the source */
	uint64_t blocks;      /* whole and sound */
	uint64_t bad_blocks;  /* damaged ranges met */
	uint64_t lost_bytes;  /* of the input, in damaged ranges */
	uint64_t sections;
	uint64_t groups;
};
FDTAPE_API void fdtape_reader_stats(const struct fdtape_reader *reader, struct fdtape_reader_stats *stats);

/* NULL is fine. */
FDTAPE_API void fdtape_reader_free(struct fdtape_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
