/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FDTAPE_READER_H
#define FDTAPE_READER_H

/*
 * Reads a tape, from anything that gives bytes in order: from its beginning to its end, or what is chosen of it
 * (fdtape_reader_choose()). Every block's checksum is verified before it is decoded. Memory is bounded by one group
 * (documented in docs/format.md), whatever the length.
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
	/* Optional: gives 1 .. len bytes from `offset` on, counted from where read() began; 0 at the end. With it,
	 * what is not wanted is not read. NULL for a pipe. */
	int64_t (*read_at)(void *context, uint64_t offset, void *buffer, size_t len);
	uint64_t size; /* of all that read_at can give */
};

/* *reader is set on success only and belongs to the caller. Nothing is read yet: that the input is no tape is said by
 * the first fdtape_reader_next(). */
FDTAPE_API int fdtape_reader_open(struct fdtape_reader **reader, const struct fdtape_source *source);
/* The same from a file descriptor, which stays the caller's: from its current position on. A regular file is read
 * with pread(2) where that saves reading (and its position is of no meaning afterwards); anything else in order. */
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

/*
 * Lets a thread of the reader's own read ahead: the first fdtape_reader_next() starts it, and each gives what it would
 * give without it, errors and their places included. The source's functions are called by that thread, which has all
 * signals blocked. It costs copying, and memory: 3 MiB and some of the greatest events; where no thread can be started, all is as without it.
 * fdtape_reader_free() waits for a read() of the source that is under way. Call it before the first
 * fdtape_reader_next(): FDTAPE_ERR_USAGE afterwards. Without it, nothing here makes a thread.
 */
FDTAPE_API int fdtape_reader_ahead(struct fdtape_reader *reader);

/* What is wanted of a tape. Everything zero: all of it. */
struct fdtape_choice {
	const uint64_t *flows; /* ids, rising; copied */
	size_t n_flows;        /* 0: all flows */
	uint64_t from;         /* the range of time, both ends included; ns of CLOCK_MONOTONIC */
	uint64_t to;           /* 0: without end */
};

/*
 * Chooses what fdtape_reader_next() gives. Call it before the first one: FDTAPE_ERR_USAGE afterwards, or when the
 * choice is none (flows that do not rise, to < from). The choice holds for each section of the tape by itself.
 *
 * A tape's items are in groups of up to a second. A group *concerns* the choice when an event in it, or a definition
 * in it, is of a chosen flow; it is *chosen* when besides its times overlap the range. Given are:
 *
 *  - SECTION and END items;
 *  - of each chosen group: the events of chosen flows whose time .. time + duration overlaps the range; definitions of
 *    chosen flows; all clocks, processes, threads, secrets and losses;
 *  - of each other group that concerns the choice and does not begin after `to`: the secrets;
 *  - before a chosen group, unless it follows on a chosen one or begins the section: the definitions that are in force
 *    there, as far as they are known: the latest clock, the latest definition of each process, by pid, of each chosen
 *    flow that is not closed, by id, and the latest name of each thread, by pid and tid. They may have been given
 *    before.
 *
 * The result is the same whether the input is a file, memory or a pipe, and whether the tape's index is whole, damaged
 * or not there; but damage that is in what is not read is not reported. That is so without an index as well, where the
 * input gives bytes anywhere: of a block that is not wanted, only the header and the directory are read, and what they
 * say is believed, though the hash of the block is not checked.
 */
FDTAPE_API int fdtape_reader_choose(struct fdtape_reader *reader, const struct fdtape_choice *choice);

/*
 * What the input holds in all, its sections together, without reading it through: from footers and index blocks.
 * Needs an input that gives bytes anywhere: FDTAPE_ERR_USAGE on a pipe, and once a thread reads ahead. May else be
 * called at any time; does not move the reader. Returns 1: the totals are exact; 0: a section was not ended or is
 * damaged; they cover only what the index blocks found tell of, up to *totals.bytes of each section (nothing, if there
 * are none), and who wants to know more reads on. Negative: an error. *sections, unless NULL, becomes the number of
 * sections that were found.
 */
FDTAPE_API int fdtape_reader_totals(struct fdtape_reader *reader, struct fdtape_totals *totals, uint64_t *sections);

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
/* 0; FDTAPE_ERR_USAGE: before the first FDTAPE_ITEM_SECTION. */
FDTAPE_API int fdtape_reader_section(const struct fdtape_reader *reader, struct fdtape_section_info *info);

/* Counters over all that was read so far (by a thread that reads ahead: at least that); for verification and for
 * `info`. */
struct fdtape_reader_stats {
	uint64_t input_bytes; /* read from the source */
	uint64_t blocks;      /* whole and sound */
	uint64_t bad_blocks;  /* damaged ranges met */
	uint64_t lost_bytes;  /* of the input, in damaged ranges */
	uint64_t sections;
	uint64_t groups;         /* met; not those that were skipped */
	uint64_t skipped_blocks; /* not read because of the choice, or no more of them than the directory */
};
FDTAPE_API void fdtape_reader_stats(const struct fdtape_reader *reader, struct fdtape_reader_stats *stats);

/* NULL is fine. */
FDTAPE_API void fdtape_reader_free(struct fdtape_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
