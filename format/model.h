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
	GUESS_PEER,
	N_GUESSED
};

#define MODEL_CONTEXTS 512 /* a power of two */
#define MODEL_RECENT   64

/* The last different ones, latest first: numbers in an idmap. */
struct recent {
	uint32_t count;
	uint32_t number[MODEL_RECENT];
};

/* How large values are: a running mean of their logarithms. */
struct scale {
	uint32_t level; /* in 128ths of a doubling; 0: no value was seen */
};

/* How many of a value's low bits are noise, and what the bits above them are likely to be. */
struct split {
	unsigned bits;
	uint64_t high;
};

#define SCALE_BITS_MAX 56u

static inline struct split scale_split(const struct scale *s)
{
	unsigned log = (s->level + 8) / 16;
	unsigned bits = log < 16 ? 0 : log / 8 - 1;

	if (bits > SCALE_BITS_MAX)
		bits = SCALE_BITS_MAX;
	return (struct split){bits, log - 8 * bits};
}

/* `difference`: in two's complement. */
static inline void scale_learn(struct scale *s, uint64_t difference)
{
	uint64_t v = difference >> 63 ? 0 - difference : difference;
	unsigned e = v < 16 ? 0 : 60 - (unsigned)__builtin_clzll(v);
	unsigned log = 8 * e + (unsigned)(v >> e); /* v itself up to 15, then a step for each eighth of a doubling */

	s->level = s->level ? s->level - s->level / 8 + 2 * log : 16 * log;
}

/* What is remembered of a point in the program. */
struct context {
	uint64_t last[N_GUESSED]; /* the field's last value there */
	uint8_t pick[N_GUESSED];  /* which candidate was right last */
	struct scale duration;    /* of the calls that led here */
	struct scale time;        /* likewise, of what time differs from its guess by */
};

struct model_thread {
	uint64_t pid;
	uint64_t fd;
	uint64_t opened;    /* the flow that it opened, or accepted, last */
	uint64_t successor; /* tid of the thread whose event came after this thread's */
	uint64_t peer;      /* of its last event that had one */
	uint64_t call[2];   /* the last two, latest first */
	uint32_t outcome;   /* of the last: 0, or 1: result 0, or 2: result < 0 */
	struct recent flows;
};

struct model_flow {
	uint64_t fd;
	uint64_t next[2];   /* by direction: the offset behind the last event's bytes */
	uint64_t result[2]; /* by direction: the last */
};

struct model {
	struct idmap tids;
	struct idmap flows;
	struct recent recent_tids;
	struct model_thread *threads; /* by number in tids */
	struct model_flow *flow;      /* by number in flows */
	size_t cap_threads;
	size_t cap_flows;

	uint64_t end;    /* of the event before: time + duration */
	uint64_t tid[2]; /* of the two events before, latest first */
	uint64_t max_flow;
	uint64_t max_peer;
	uint64_t snaplen;
	bool begun; /* there was an event before */

	size_t spare; /* events for which there is room */

	/* The event at hand. */
	struct context *context;
	uint32_t thread;
	uint32_t flow_slot;
	/* Their places among the recent ones, when that is known from their columns; 0: to be searched. */
	uint32_t thread_place;
	uint32_t flow_place;

	struct context contexts[MODEL_CONTEXTS];
};

void model_clear(struct model *m);
void model_release(struct model *m);
/* Makes room for what some events can teach. False: no memory. */
bool model_make_room(struct model *m);

/* Makes sure that there is room for one more. False: no memory. */
static inline bool model_reserve(struct model *m)
{
	if (m->spare == 0 && !model_make_room(m))
		return false;
	m->spare--;
	return true;
}

/* For each event: guess and learn each field, in order; then time; then finish. Fields of *e that come before `field`
 * hold their true values. The inline ones are called with a `field` that is a constant: so there is nothing left of the
 * switches, which are what decoding would spend its time in. */

/* Its place in the list, from 1; 0: it is not there. */
static inline uint32_t recent_find(const struct recent *r, uint32_t number)
{
	uint32_t i = 0;

	while (i < r->count && r->number[i] != number)
		i++;
	return i < r->count ? i + 1 : 0;
}

/* The value at a place in the list, from 1; 0 if there is none. */
static inline uint64_t recent_value(const struct recent *r, const struct idmap *values, uint64_t place)
{
	return place <= r->count ? values->keys[r->number[place - 1]] : 0;
}

/* The candidates for the field, by number; those past the last are that of the last. */
static inline uint64_t model_candidate(const struct model *m, enum guessed field, unsigned number,
                                       const struct fdtape_event *e)
{
	const struct model_thread *t = &m->threads[m->thread];
	const struct model_flow *f = &m->flow[m->flow_slot];
	uint64_t last = m->context->last[field];

	switch (field) {
	case GUESS_TID:
		return number == 0 ? m->tid[0] : number == 1 ? (m->begun ? t->successor : 0) : m->tid[1];
	case GUESS_CALL:
		return number == 0 ? last : t->call[0];
	case GUESS_FLOW:
		return number == 0   ? recent_value(&t->flows, &m->flows, 1)
		       : number == 1 ? last
		       : number == 2 ? t->opened
		                     : recent_value(&t->flows, &m->flows, 2);
	case GUESS_DIR:
		return last;
	case GUESS_RESULT:
		return number == 0 ? last : number == 1 ? f->result[e->dir] : 0;
	case GUESS_ARG0:
		return number == 0 ? last : number == 1 ? (uint64_t)e->result : m->max_flow + 1;
	case GUESS_OFFSET:
		return number == 0 ? f->next[e->dir] : 0;
	case GUESS_FD:
		return number == 0 ? f->fd : number == 1 ? t->fd : number == 2 ? last : UINT64_MAX; /* -1 */
	case GUESS_BYTES:
		return number == 0 ? (e->result > 0 ? (uint64_t)e->result : 0) : number == 1 ? 0 : last;
	case GUESS_CAPTURED:
		return number == 0 ? e->bytes : number == 1 ? (e->bytes < m->snaplen ? e->bytes : m->snaplen) : 0;
	case GUESS_PID:
		return number == 0 ? t->pid : number == 1 ? last : e->tid;
	case GUESS_PEER:
		return number == 0 ? last : number == 1 ? t->peer : number == 2 ? m->max_peer + 1 : 0;
	case GUESS_FLAGS:
	case GUESS_ARG1:
	case GUESS_ARG2:
	case N_GUESSED:
		break;
	}
	return number == 0 ? last : 0;
}

static inline unsigned model_candidates(enum guessed field)
{
	switch (field) {
	case GUESS_FLOW:
	case GUESS_FD:
	case GUESS_PEER:
		return 4;
	case GUESS_TID:
	case GUESS_RESULT:
	case GUESS_ARG0:
	case GUESS_BYTES:
	case GUESS_CAPTURED:
	case GUESS_PID:
		return 3;
	case GUESS_DIR:
		return 1;
	default:
		return 2;
	}
}

static inline uint64_t model_guess(const struct model *m, enum guessed field, const struct fdtape_event *e)
{
	return model_candidate(m, field, m->context->pick[field], e);
}

/* The event is of this thread, is this call, is of this flow: what follows is guessed from that. */
void model_meet_tid(struct model *m, uint64_t tid);
void model_meet_call(struct model *m, uint64_t call);
void model_meet_flow(struct model *m, uint64_t flow);

/* It came from this peer, or went to it: a number; not 0. */
static inline void model_meet_peer(struct model *m, uint64_t peer)
{
	m->threads[m->thread].peer = peer;
	if (peer > m->max_peer)
		m->max_peer = peer;
}

static inline void model_learn(struct model *m, enum guessed field, const struct fdtape_event *e, uint64_t guess,
                               uint64_t value)
{
	if (value != guess) {
		for (unsigned i = 0; i < model_candidates(field); i++) {
			if (model_candidate(m, field, i, e) == value) {
				m->context->pick[field] = (uint8_t)i;
				break;
			}
		}
	}
	m->context->last[field] = value;
	if (field == GUESS_TID)
		model_meet_tid(m, value);
	if (field == GUESS_CALL)
		model_meet_call(m, value);
	if (field == GUESS_FLOW)
		model_meet_flow(m, value);
	if (field == GUESS_PEER && value)
		model_meet_peer(m, value);
}

/* The context that holds the scales of the event's duration and time; all other fields are known. */
struct context *model_scales(struct model *m, const struct fdtape_event *e);

/* The value of the TIME column is the difference of e->time to this. Needs e->duration. */
uint64_t model_guess_time(const struct model *m, const struct fdtape_event *e);
void model_finish(struct model *m, const struct fdtape_event *e);

#endif
