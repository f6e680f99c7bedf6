/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LAST_H
#define LAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fdtape/writer.h>

#include "record/about.h"

/*
 * The flight recorder: the last T of a recording, held in memory as compressed tapes of about T/8 each (segments), and
 * put together into one tape when somebody wants it. See last.c for how.
 *
 * Functions return 0 or an enum fdtape_error unless they say otherwise.
 */
struct last;

/* Holds `time` ns, and at most `bytes`. NULL: no memory. */
struct last *last_new(uint64_t time, uint64_t bytes, const struct about *about);

/* Goes on to a fresh segment: the caller gives all items to *writer from here on, first of all what is defined, then a
 * CLOCK item of this very clock. last_ended() must follow, unless this is the first. */
int last_begin(struct last *last, const struct fdtape_clock *clock, struct fdtape_writer **writer);

/* Ends the segment before the one that was just begun. The caller has put a CLOCK item of this very clock into it, then
 * at most losses and flows as they stand. Forgets what is too old or too much. */
int last_ended(struct last *last, const struct fdtape_clock *clock);

/* Ends the current segment: nothing more comes. Its last items are as above. */
int last_finish(struct last *last, const struct fdtape_clock *clock);

/* Whether the current segment is old or large enough for a fresh one; now 0: only whether it is large enough. */
bool last_due(const struct last *last, uint64_t now);

/* Bytes held. */
uint64_t last_size(const struct last *last);

struct last_dumped {
	int error;  /* 0, or an enum fdtape_error, */
	int system; /* and its errno */
	int fd;     /* the caller's again */
	uint64_t events, carried, captured, flows, bytes;
	uint64_t from, to; /* ns of CLOCK_MONOTONIC */
};

/* Writes all finished segments as one tape to fd: in a thread, while recording goes on. False: one is being written
 * already, or there is no thread to be had (errno). */
bool last_dump(struct last *last, int fd);

/* Whether a dump has come to its end; with `wait`, waits for it. False: it has not, or there is none. */
bool last_dump_done(struct last *last, bool wait, struct last_dumped *dumped);

/* Waits for a dump, if one is being written. */
void last_free(struct last *last);

#endif
