/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TAPES_H
#define TAPES_H

#include <stdbool.h>
#include <stdint.h>

#include <fdtape/writer.h>

#include "record/about.h"
#include "record/options.h"

/*
 * Where the recording goes: one tape, a chain of tapes (--rotate), or memory (--last). Whoever records asks for the
 * writer, and now and then whether it is time for another one.
 *
 * Functions that return int give 0, or -1 when they have said on standard error what went wrong.
 */
struct tapes;

/* Finds the place, and creates the file that is written first, so that a wrong place is told before anything runs.
 * *tapes is to be freed whatever is returned. */
int tapes_open(struct tapes **tapes, const struct options *options, const struct about *about);

/* Begins the first tape. */
int tapes_start(struct tapes *tapes, const struct fdtape_clock *clock);

struct fdtape_writer *tapes_writer(const struct tapes *tapes);

/* To be called now and then: what was written leaves the machine's memory (record/tape_file.h). */
void tapes_written(struct tapes *t);

/* Whether it is time for the next tape, or segment; now 0: only by its size. */
bool tapes_due(const struct tapes *tapes, uint64_t now);
/* Whether --max-size is reached. */
bool tapes_full(const struct tapes *tapes);

/* Goes on to the next one: switch_to() is to give it what is defined, and nothing to the old one from then on. It
 * returns 0 or an enum fdtape_error. The clock is put where it belongs. */
int tapes_next(struct tapes *tapes, const struct fdtape_clock *clock,
               int (*switch_to)(void *context, struct fdtape_writer *writer), void *context);

/* Ends the tape. Everything has been put: a CLOCK item of this very clock, then losses and flows as they stand. */
int tapes_end(struct tapes *tapes, const struct fdtape_clock *clock);

/* --last only. Begins to write what is held, as it stood at the last tapes_next() or tapes_end(), while recording goes
 * on; tapes_poll() ends what has been written and says so, with `wait` when that takes time. Not while another is being
 * written (tapes_dumping()). */
int tapes_dump(struct tapes *tapes);
bool tapes_dumping(const struct tapes *tapes);
int tapes_poll(struct tapes *tapes, bool wait);
/* How many were written. */
unsigned tapes_dumps(const struct tapes *tapes);

/* Says that writing failed; gives -1. */
int tapes_failed(const struct tapes *tapes, int error);

/* The tape that is being written, for messages; with --last the file that the first dump goes to. */
const char *tapes_name(const struct tapes *tapes);
uint64_t tapes_size(const struct tapes *tapes); /* of all tapes; with --last of what is held */
unsigned tapes_count(const struct tapes *tapes);

/* Whether files are to be created later on, and whether we may do that as we are. */
bool tapes_creates(const struct tapes *tapes);
bool tapes_may_create(const struct tapes *tapes);

/* Nothing will be recorded: a file that was created for it goes. */
void tapes_abandon(struct tapes *tapes);

void tapes_free(struct tapes *tapes);

#endif
