/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * A program's calls repeat: a worker reads a request from a connection, writes the answer to the same connection, logs
 * it, closes. So the model remembers, for each point in a thread's course (its last two calls, how the last went, and
 * the call at hand), what each field was there last; for each thread, what it did last; for each flow, its fd and the
 * offsets behind its bytes. From these come up to four candidates for each field; the point also remembers which
 * candidate was right the last time, and that one is the guess.
 *
 * The writer and the reader run the same model over the same values, so it is part of the format: any change of it is
 * a new encoding. It starts empty in each block, so that a block can be read alone.
 */
#include "format/model.h"

#include <stdlib.h>

#include "format/bytebuf.h"

void model_clear(struct model *m)
{
	idmap_clear(&m->tids);
	idmap_clear(&m->flows);
	m->recent_tids.count = 0;
	memset(m->contexts, 0, sizeof(m->contexts));
	m->context = m->contexts;
	m->end = 0;
	m->tid[0] = 0;
	m->tid[1] = 0;
	m->max_flow = 0;
	m->max_peer = 0;
	m->snaplen = UINT64_MAX;
	m->begun = false;
	m->thread = 0;
	m->flow_slot = 0;
	m->thread_place = 0;
	m->flow_place = 0;
	m->spare = 0;
}

void model_release(struct model *m)
{
	idmap_release(&m->tids);
	idmap_release(&m->flows);
	free(m->threads);
	free(m->flow);
}

#define ROOM 256 /* events at a time */

bool model_make_room(struct model *m)
{
	void *threads = m->threads;
	void *flow = m->flow;

	if (!array_grow(&threads, &m->cap_threads, m->tids.count + ROOM, sizeof(*m->threads)))
		return false;
	m->threads = threads;
	/* An accept makes two flows known: the one that listens, and the new one. */
	if (!array_grow(&flow, &m->cap_flows, m->flows.count + 2 * (size_t)ROOM, sizeof(*m->flow)))
		return false;
	m->flow = flow;
	if (!idmap_reserve(&m->tids, ROOM) || !idmap_reserve(&m->flows, 2 * (size_t)ROOM))
		return false;
	m->spare = ROOM;
	return true;
}

static uint32_t thread_slot(struct model *m, uint64_t tid)
{
	size_t known = m->tids.count;
	uint32_t slot = idmap_add(&m->tids, tid);

	if (slot == known)
		m->threads[slot] = (struct model_thread){.successor = tid};
	return slot;
}

static uint32_t flow_slot(struct model *m, uint64_t flow)
{
	size_t known = m->flows.count;
	uint32_t slot = idmap_add(&m->flows, flow);

	if (slot == known)
		m->flow[slot] = (struct model_flow){0};
	return slot;
}

static struct context *context_of(struct model *m, uint64_t a, uint64_t b, uint64_t c)
{
	uint32_t hash = (uint32_t)a * 0x9e3779b1u + (uint32_t)b * 0x85ebca77u + (uint32_t)c * 0xc2b2ae3du;

	return &m->contexts[(hash ^ hash >> 15) & (MODEL_CONTEXTS - 1)];
}

void model_meet_tid(struct model *m, uint64_t tid)
{
	const struct model_thread *t;

	if (m->begun)
		m->threads[m->thread].successor = tid;
	if (!m->begun || tid != m->tid[0])
		m->thread = thread_slot(m, tid);
	t = &m->threads[m->thread];
	m->context = context_of(m, t->call[0], t->call[1], 4 + t->outcome);
}

void model_meet_call(struct model *m, uint64_t call)
{
	const struct model_thread *t = &m->threads[m->thread];

	m->context = context_of(m, call, t->call[0], t->outcome);
}

void model_meet_flow(struct model *m, uint64_t flow)
{
	const struct model_thread *t = &m->threads[m->thread];
	bool same = t->flows.count > 0 && flow == recent_value(&t->flows, &m->flows, 1);

	m->flow_slot = same ? t->flows.number[0] : flow_slot(m, flow);
}

/* By result: of a call that did something, of one that did nothing, and of one that failed. */
static uint32_t outcome_of(const struct fdtape_event *e)
{
	return e->result > 0 ? 0 : e->result == 0 ? 1 : 2;
}

struct context *model_scales(struct model *m, const struct fdtape_event *e)
{
	/* The one that the thread's next call will be guessed with. */
	return context_of(m, e->call, m->threads[m->thread].call[0], 4 + outcome_of(e));
}

uint64_t model_guess_time(const struct model *m, const struct fdtape_event *e)
{
	/* A thread goes on soon after its last call; another thread's call is seen in the order in which calls end. */
	return e->tid == m->tid[0] ? m->end : m->end - e->duration;
}

/* Puts it first; `place`, if it is known, is where it is. */
static void recent_meet(struct recent *r, uint32_t number, uint32_t place)
{
	if (r->count > 0 && r->number[0] == number)
		return;
	if (place == 0)
		place = recent_find(r, number);
	if (place == 0)
		place = r->count < MODEL_RECENT ? ++r->count : MODEL_RECENT;
	memmove(r->number + 1, r->number, (place - 1) * sizeof(*r->number));
	r->number[0] = number;
}

/* Whether it gives a new fd, and says in arg[0] which flow that is. A part of the format, unlike
 * fdtape_call_flow_arg(). */
static bool opens(uint32_t call)
{
	return call == FDTAPE_CALL_ACCEPT || call == FDTAPE_CALL_ACCEPT4 ||
	       (call >= FDTAPE_CALL_DUP && call <= FDTAPE_CALL_DUP3) ||
	       (call >= FDTAPE_CALL_OPEN && call <= FDTAPE_CALL_CREAT) || call == FDTAPE_CALL_IO_URING_ACCEPT;
}

void model_finish(struct model *m, const struct fdtape_event *e)
{
	struct model_thread *t = &m->threads[m->thread];
	struct model_flow *f = &m->flow[m->flow_slot];

	f->fd = (uint64_t)(int64_t)e->fd;
	f->result[e->dir] = (uint64_t)e->result;
	f->next[e->dir] = e->flags & FDTAPE_EVENT_PEEK ? e->offset : e->offset + e->bytes;

	t->pid = e->pid;
	t->fd = (uint64_t)(int64_t)e->fd;
	t->call[1] = t->call[0];
	t->call[0] = e->call;
	t->outcome = outcome_of(e);
	recent_meet(&t->flows, m->flow_slot, m->flow_place);
	recent_meet(&m->recent_tids, m->thread, m->thread_place);
	m->flow_place = 0;
	m->thread_place = 0;
	if (e->flow > m->max_flow)
		m->max_flow = e->flow;
	if (opens(e->call) && e->result >= 0) {
		t->opened = e->arg[0];
		if (e->arg[0] > m->max_flow)
			m->max_flow = e->arg[0];
		m->flow[flow_slot(m, e->arg[0])].fd = (uint64_t)e->result;
	}
	if (e->captured > 0 && e->captured < e->bytes)
		m->snaplen = e->captured;

	m->end = e->time + e->duration;
	m->tid[1] = m->tid[0];
	m->tid[0] = e->tid;
	m->begun = true;
}
