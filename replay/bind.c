/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Which fd does an SSL object work on? A library call does its input and output by system calls of the same thread,
 * which begin and end within it. So each thread's latest data calls on sockets are remembered, and a library call
 * looks for one that lies inside. Nesting alone is no proof (a callback may log to a socket): the socket's bytes must
 * look like TLS too.
 *
 * A goroutine goes on in whichever thread there is, and that one serves others meanwhile. So Go's calls say themselves
 * which flow they work on, where the recorder could tell; where not, nesting counts only if all of it is one socket's.
 *
 * What an object delivered before it was bound is held a while (flow.c) and goes to the socket then.
 *
 * A binding holds for later calls that need no system call, because the library had the bytes in its buffer. It ends
 * with the socket flow, or when a later call is seen to work on another socket: objects and their addresses are used
 * again. A thread's other calls and other fds are never concerned.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/player_state.h"

enum {
	CALLS = 8,          /* remembered, a thread: a call's last ones are enough */
	THREADS_MAX = 65536 /* remembered; when there are more, all are forgotten */
};

struct thread {
	struct thread_call {
		uint64_t flow;
		uint64_t start, end;
		uint32_t dir;
	} calls[CALLS];
	unsigned n; /* calls so far */
};

void bind_release(struct play_section *section)
{
	struct thread *thread;
	size_t cursor = 0;

	while ((thread = map_next(&section->threads, &cursor)))
		free(thread);
	map_release(&section->threads);
}

static uint64_t end_of(const struct fdtape_event *event)
{
	return event->duration > UINT64_MAX - event->time ? UINT64_MAX : event->time + event->duration;
}

void bind_remember(struct play_section *section, const struct fdtape_event *event)
{
	struct thread *thread = map_get(&section->threads, event->tid);

	if (!thread) {
		if (section->threads.used >= THREADS_MAX)
			bind_release(section);
		thread = calloc(1, sizeof *thread);
		if (!thread || !map_put(&section->threads, event->tid, thread)) {
			free(thread);
			play_fail(section->player, FDTAPE_ERR_MEMORY);
			return;
		}
	}
	thread->calls[thread->n++ % CALLS] = (struct thread_call){
	        .flow = event->flow, .start = event->time, .end = end_of(event), .dir = event->dir};
}

struct flow *bind_socket(const struct flow *library)
{
	return library->bound ? map_get(&library->section->flows, library->bound) : NULL;
}

static bool is_of_goroutine(const struct fdtape_event *event)
{
	return event->call >= FDTAPE_CALL_GO_TLS_READ;
}

/* The flow that the call says it works on; NULL: it doesn't say, or that is none that can carry TLS. */
static struct flow *told_socket(const struct flow *library, const struct fdtape_event *event)
{
	int arg = is_of_goroutine(event) ? fdtape_call_flow_arg(event->call) : -1;
	struct flow *flow = arg >= 0 && event->arg[arg] ? map_get(&library->section->flows, event->arg[arg]) : NULL;

	return flow && flow->tls && flow->pub.def.pid == event->pid ? flow : NULL;
}

/* The socket that the library call did its input or output on; NULL: none that qualifies. */
static struct flow *find_socket(const struct flow *library, const struct fdtape_event *event)
{
	const struct thread *thread = map_get(&library->section->threads, event->tid);
	struct flow *best = told_socket(library, event);
	int best_score = -1;

	if (best)
		return best;
	if (!thread || event->flags & (FDTAPE_EVENT_NO_START | FDTAPE_EVENT_PENDING))
		return NULL;
	for (unsigned i = 1; i <= CALLS && i <= thread->n; i++) {
		const struct thread_call *call = &thread->calls[(thread->n - i) % CALLS];
		struct flow *flow = map_get(&library->section->flows, call->flow);
		int score;

		if (call->start < event->time || call->end > end_of(event) || !flow || !flow->tls ||
		    flow->pub.def.pid != event->pid || !tls_flow_may_be_tls(flow->tls, FDTAPE_IN) ||
		    !tls_flow_may_be_tls(flow->tls, FDTAPE_OUT))
			continue;
		if (best && best != flow && is_of_goroutine(event))
			return NULL;
		score = (call->dir == event->dir) +
		        2 * (tls_flow_is_tls(flow->tls, FDTAPE_IN) || tls_flow_is_tls(flow->tls, FDTAPE_OUT));
		if (score > best_score) {
			best = flow;
			best_score = score;
		}
	}
	return best;
}

void bind_library(struct flow *library, const struct fdtape_event *event, const struct stamp *stamp)
{
	struct flow *socket = find_socket(library, event);

	if (!socket || socket == bind_socket(library)) {
		if ((socket = bind_socket(library)))
			library->chosen |= socket->chosen;
		return;
	}
	library->bound = socket->pub.def.id;
	library->pub.bound = socket->pub.number;
	library->chosen |= socket->chosen;
	for (int dir = 0; dir < 2; dir++)
		if (tls_flow_lose(socket->tls, (enum fdtape_dir)dir, stamp) < 0)
			play_fail(library->section->player, FDTAPE_ERR_MEMORY);
	socket->pub.tls.evidence |= TLS_EVIDENCE_CALLS;
	if (socket->pub.tls.verdict == TLS_VERDICT_UNKNOWN)
		socket->pub.tls.verdict = TLS_VERDICT_TLS;
	free(socket->library);
	socket->library = strdup(library->name);
	socket->pub.tls.library = socket->library;
	if (!socket->library)
		play_fail(library->section->player, FDTAPE_ERR_MEMORY);
	flow_bound(library, socket);
}
