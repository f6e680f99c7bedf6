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
	memset(m->contexts, 0, sizeof(m->contexts));
	m->context = m->contexts;
	m->end = 0;
	m->tid[0] = 0;
	m->tid[1] = 0;
	m->max_flow = 0;
	m->snaplen = UINT64_MAX;
	m->begun = false;
	m->thread = 0;
	m->flow_slot = 0;
}

void model_release(struct model *m)
{
	idmap_release(&m->tids);
	idmap_release(&m->flows);
	free(m->threads);
	free(m->flow);
}

bool model_reserve(struct model *m)
{
	void *threads = m->threads;
	void *flow = m->flow;

	if (!array_grow(&threads, &m->cap_threads, m->tids.count + 1, sizeof(*m->threads)))
		return false;
	m->threads = threads;
	/* An accept makes two flows known: the one that listens, and the new one. */
	if (!array_grow(&flow, &m->cap_flows, m->flows.count + 2, sizeof(*m->flow)))
		return false;
	m->flow = flow;
	return idmap_reserve(&m->tids, 1) && idmap_reserve(&m->flows, 2);
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

static void candidates(struct model *m, enum guessed field, const struct fdtape_event *e)
{
	const struct model_thread *t = &m->threads[m->thread];
	const struct model_flow *f = &m->flow[m->flow_slot];
	uint64_t last = m->context->last[field];
	uint64_t *c = m->candidate;

	switch (field) {
	case GUESS_TID:
		c[0] = m->tid[0];
		c[1] = m->begun ? t->successor : 0;
		c[2] = m->tid[1];
		m->n_candidates = 3;
		return;
	case GUESS_CALL:
		c[0] = last;
		c[1] = t->call[0];
		m->n_candidates = 2;
		return;
	case GUESS_FLOW:
		c[0] = t->flow[0];
		c[1] = last;
		c[2] = t->accepted;
		c[3] = t->flow[1];
		m->n_candidates = 4;
		return;
	case GUESS_DIR:
		c[0] = last;
		m->n_candidates = 1;
		return;
	case GUESS_RESULT:
		c[0] = last;
		c[1] = f->result[e->dir];
		c[2] = 0;
		m->n_candidates = 3;
		return;
	case GUESS_ARG0:
		c[0] = last;
		c[1] = (uint64_t)e->result;
		c[2] = m->max_flow + 1;
		m->n_candidates = 3;
		return;
	case GUESS_OFFSET:
		c[0] = f->next[e->dir];
		c[1] = 0;
		m->n_candidates = 2;
		return;
	case GUESS_FD:
		c[0] = f->fd;
		c[1] = t->fd;
		c[2] = last;
		c[3] = UINT64_MAX; /* -1 */
		m->n_candidates = 4;
		return;
	case GUESS_BYTES:
		c[0] = e->result > 0 ? (uint64_t)e->result : 0;
		c[1] = 0;
		c[2] = last;
		m->n_candidates = 3;
		return;
	case GUESS_CAPTURED:
		c[0] = e->bytes;
		c[1] = e->bytes < m->snaplen ? e->bytes : m->snaplen;
		c[2] = 0;
		m->n_candidates = 3;
		return;
	case GUESS_PID:
		c[0] = t->pid;
		c[1] = last;
		c[2] = e->tid;
		m->n_candidates = 3;
		return;
	case GUESS_FLAGS:
	case GUESS_ARG1:
	case GUESS_ARG2:
	case N_GUESSED:
		break;
	}
	c[0] = last;
	c[1] = 0;
	m->n_candidates = 2;
}

uint64_t model_guess(struct model *m, enum guessed field, const struct fdtape_event *e)
{
	candidates(m, field, e);
	return m->candidate[m->context->pick[field]];
}

void model_learn(struct model *m, enum guessed field, uint64_t value)
{
	struct context *context = m->context;
	const struct model_thread *t;

	if (m->candidate[context->pick[field]] != value) {
		for (unsigned i = 0; i < m->n_candidates; i++) {
			if (m->candidate[i] == value) {
				context->pick[field] = (uint8_t)i;
				break;
			}
		}
	}
	context->last[field] = value;

	/* What is known of the event so far decides where in the program it is. */
	switch (field) {
	case GUESS_TID:
		if (m->begun)
			m->threads[m->thread].successor = value;
		m->thread = thread_slot(m, value);
		t = &m->threads[m->thread];
		m->context = context_of(m, t->call[0], t->call[1], 4 + t->outcome);
		break;
	case GUESS_CALL:
		t = &m->threads[m->thread];
		m->context = context_of(m, value, t->call[0], t->outcome);
		break;
	case GUESS_FLOW:
		m->flow_slot = flow_slot(m, value);
		break;
	default:
		break;
	}
}

uint64_t model_guess_time(const struct model *m, const struct fdtape_event *e)
{
	/* A thread goes on soon after its last call; another thread's call is seen in the order in which calls end. */
	return e->tid == m->tid[0] ? m->end : m->end - e->duration;
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
	t->outcome = e->result > 0 ? 0 : e->result == 0 ? 1 : 2;
	if (t->flow[0] != e->flow) {
		t->flow[1] = t->flow[0];
		t->flow[0] = e->flow;
	}
	if (e->flow > m->max_flow)
		m->max_flow = e->flow;
	if ((e->call == FDTAPE_CALL_ACCEPT || e->call == FDTAPE_CALL_ACCEPT4) && e->result >= 0) {
		t->accepted = e->arg[0];
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
