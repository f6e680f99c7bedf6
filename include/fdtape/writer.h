/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FDTAPE_WRITER_H
#define FDTAPE_WRITER_H

/*
 * Writes a tape: append-only, without a seek, so that a pipe will do. Items are gathered into groups; a group is
 * handed to the sink whole, when it is full (64 Ki events, 8 MiB of payload), at fdtape_writer_flush(), and at the end.
 * What was flushed survives whatever happens to the writer later. Now and then a snapshot of what is defined and an
 * index follow on a group; memory is bounded by one group and by the processes and flows that are in force, whatever
 * the length of the tape.
 *
 * Writing to a regular file that fails (disk full, over a limit), or to a sink that can be cut: what was written is cut
 * back to its last whole group, and if there is room, a FDTAPE_LOSS_DISK for the group that could not be written and a
 * footer follow; so it is a sound tape. The error is returned all the same. A process that writes under RLIMIT_FSIZE has
 * to ignore SIGXFSZ, one that writes to a pipe SIGPIPE.
 */
#include <fdtape/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fdtape_writer;

/* Where the bytes go. */
struct fdtape_sink {
	/* Takes all of `len` bytes: 0, or a negative error (FDTAPE_ERR_SYSTEM with errno set). */
	int (*write)(void *context, const void *data, size_t len);
	void *context;
	/* Leaves only the first `size` of the bytes that it was given, after a write that failed: 0, or a negative
	 * error. NULL: what was given is gone, as it is with a pipe. */
	int (*cut)(void *context, uint64_t size);
};

/* What the section is about. Everything may be zero but `clock`. */
struct fdtape_writer_options {
	struct fdtape_clock clock;      /* the clocks when recording began */
	const struct fdtape_meta *meta; /* copied */
	size_t n_meta;
	uint8_t uuid[16]; /* identity of the section; all zero: the writer draws one at random */
	uint64_t salt;    /* seed of the checksums; 0: the writer draws one at random. A fixed uuid and salt give
	                   * byte-identical tapes for the same items */
	int level;        /* zstd level; 0: the default */

	/* How often what serves only for reading in the middle is written; 0: the default, 64 MiB of tape, 30 s. */
	uint64_t snapshot_bytes; /* of tape, from one snapshot of what is defined to the next */
	uint64_t snapshot_time;  /* ns of event time, likewise; whichever comes first */
	uint64_t index_bytes;    /* of tape, from one index block to the next (or 4096 blocks) */
};

/* Writes the section's head at once. *writer is set on success only and belongs to the caller. 0; FDTAPE_ERR_USAGE: an
 * argument is NULL, a property over 64 KiB, all of them over 256 KiB, or a level that zstd does not have;
 * FDTAPE_ERR_MEMORY; or an error of the sink. */
FDTAPE_API int fdtape_writer_open(struct fdtape_writer **writer, const struct fdtape_sink *sink,
                                  const struct fdtape_writer_options *options);
/* The same to a file descriptor, which stays the caller's, from its current position on: EINTR and short writes are
 * handled. */
FDTAPE_API int fdtape_writer_open_fd(struct fdtape_writer **writer, int fd,
                                     const struct fdtape_writer_options *options);

/* Appends an item; everything that it points to is copied. FDTAPE_ERR_USAGE: a value is not allowed (a type that is
 * not one of CLOCK .. LOSS, captured > bytes, captured > FDTAPE_EVENT_DATA_MAX, a string over 64 KiB, ...). After an
 * error of the sink the writer is finished: each further call returns that same error. */
FDTAPE_API int fdtape_writer_put(struct fdtape_writer *writer, const struct fdtape_item *item);

/* Hands the items so far to the sink as a group, if there are any. */
FDTAPE_API int fdtape_writer_flush(struct fdtape_writer *writer);

/* Flushes and writes the footer. The writer can only be freed then. */
FDTAPE_API int fdtape_writer_end(struct fdtape_writer *writer);

/* Bytes handed to the sink so far. */
FDTAPE_API uint64_t fdtape_writer_size(const struct fdtape_writer *writer);

/* NULL is fine. Without fdtape_writer_end() before, items since the last flush are gone. */
FDTAPE_API void fdtape_writer_free(struct fdtape_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
