/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_MODEL_H
#define FORMAT_MODEL_H

/* Guesses the fields of the next event from the events before it in the block: see model.c. */
#include <fdtape/types.h>

#include "format/field.h"
#include "format/idmap.h"

/* The fields that are guessed, in the order in which they are. Numbers are on the tape: column ids, and bits of the
 * MASK column. */
enum guessed {
	GUESS_TID,
	GUESS_CALL,
	GUESS_FLOW,
	GUESS_DIR,
	GUESS_RESULT,
	GUESS_ARG0,
	GUESS_OFFSET,
	GUESS_FD,
	GUESS_BYTES,
	GUESS_CAPTURED,
	GUESS_PID,
	GUESS_FLAGS,
	GUESS_ARG1,
	GUESS_ARG2,
	N_GUESSED
};

#define MODEL_CANDIDATES 4
#define MODEL_CONTEXTS   512 /* a power of two */

/* What is remembered of a point in the program. */
struct context {
	uint64_t last[N_GUESSED]; /* the field's last value there */
	uint8_t pick[N_GUESSED];  /* which candidate was right last */
};

struct model_thread {
	uint64_t pid;
	uint64_t fd;
	uint64_t flow[2];   /* the last two different ones, latest first */
	uint64_t accepted;  /* the flow that it accepted last */
	uint64_t successor; /* tid of the thread whose event came after this thread's */
	uint64_t call[2];   /* the last two, latest first */
	uint32_t outcome;   /* of the last: 0, or 1: result 0, or 2: result < 0 */
};

struct model_flow {
	uint64_t fd;
	uint64_t next[2];   /* by direction: the offset behind the last event's bytes */
	uint64_t result[2]; /* by direction: the last */
};

struct model {
	struct idmap tids;
	struct idmap flows;
	struct model_thread *threads; /* by number in tids */
	struct model_flow *flow;      /* by number in flows */
	size_t cap_threads;
	size_t cap_flows;

	uint64_t end;    /* of the event before: time + duration */
	uint64_t tid[2]; /* of the two events before, latest first */
	uint64_t max_flow;
	uint64_t snaplen;
	bool begun; /* there was an event before */

	/* The event at hand. */
	struct context *context;
	uint32_t thread;
	uint32_t flow_slot;
	uint64_t candidate[MODEL_CANDIDATES];
	unsigned n_candidates;

	struct context contexts[MODEL_CONTEXTS];
};

void model_clear(struct model *m);
void model_release(struct model *m);
/* Makes room for what one event can teach. False: no memory. */
bool model_reserve(struct model *m);

/* For each event: guess and learn each field, in order; then time; then finish. Fields of *e that come before `field`
 * hold their true values. */
uint64_t model_guess(struct model *m, enum guessed field, const struct fdtape_event *e);
void model_learn(struct model *m, enum guessed field, uint64_t value);
/* The value of the TIME column is the difference of e->time to this. Needs e->duration. */
uint64_t model_guess_time(const struct model *m, const struct fdtape_event *e);
void model_finish(struct model *m, const struct fdtape_event *e);

#endif
