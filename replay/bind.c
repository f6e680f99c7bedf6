/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Which fd does a library object (an SSL, say) work on? Four ways to tell, the strongest first:
 *
 * - *Secrets*. A secret was derived by a thread while it was in a call of this object, and that very secret opens the
 *   records of a flow, which their tags prove. Then the object is that flow's, whatever lies between them: memory BIOs,
 *   other threads, event loops. Where both ends of a connection are in one process, two objects derive a secret and it
 *   opens two flows: what the calls delivered tells them apart, or they stay apart.
 * - *Nesting*. A library call does its input and output by system calls of the same thread, which begin and end within
 *   it. So each thread's latest data calls are remembered, and a library call looks for one that lies inside. Nesting
 *   alone is no proof (a callback may log to a socket): the socket's bytes must look like TLS too. A call that lies in
 *   another object's call is that object's: of what it protects, TLS within TLS, is the outer object's plaintext.
 * - *SSL_set_fd*, when the fd's bytes are TLS.
 * - *Lengths* (bind_lengths.c), when nothing else tells.
 *
 * A goroutine goes on in whichever thread there is, and that one serves others meanwhile. So Go's calls say themselves
 * which flow they work on, where the recorder could tell; where not, nesting counts only if all of it is one socket's.
 * And what a thread did within such a call, a secret that it derived or another object's call, says nothing.
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
	CALLS = 16,          /* remembered, a thread: a call's last ones are enough */
	SECRETS = 16,        /* likewise; one call derives up to seven */
	THREADS_MAX = 65536, /* remembered; when there are more, all are forgotten */
	DERIVED_MAX = 65536, /* likewise */
	PARTIES = 4,         /* objects that derived one secret, and flows that it opens: two of each make sense */
};

struct thread {
	struct thread_call {
		uint64_t flow;
		uint64_t start, end;
		uint32_t dir;
		bool library;
	} calls[CALLS];
	unsigned n; /* calls so far */
	struct thread_secret {
		uint64_t time; /* 0: none, or it was found to be an object's */
		uint64_t key;
	} secrets[SECRETS];
	unsigned n_secrets;
};

/* One secret: who derived it, and what it opens. */
struct derived {
	uint8_t value[64];
	size_t len;
	uint64_t libraries[PARTIES];
	size_t n_libraries;
	struct opened {
		uint64_t socket;
		unsigned depth;
	} opened[PARTIES];
	size_t n_opened;
};

void bind_release(struct play_section *section)
{
	map_free(&section->threads);
	map_free(&section->derived);
}

static uint64_t end_of(const struct fdtape_event *event)
{
	return event->duration > UINT64_MAX - event->time ? UINT64_MAX : event->time + event->duration;
}

/* NULL without memory. */
static struct thread *thread_of(struct play_section *section, uint32_t tid)
{
	struct thread *thread = map_get(&section->threads, tid);

	if (thread)
		return thread;
	if (section->threads.used >= THREADS_MAX)
		map_free(&section->threads);
	thread = calloc(1, sizeof *thread);
	if (!thread || !map_put(&section->threads, tid, thread)) {
		free(thread);
		play_fail(section->player, FDTAPE_ERR_MEMORY);
		return NULL;
	}
	return thread;
}

static bool is_of_goroutine(const struct fdtape_event *event)
{
	return event->call >= FDTAPE_CALL_GO_TLS_READ;
}

void bind_remember(struct play_section *section, const struct fdtape_event *event)
{
	struct thread *thread = is_of_goroutine(event) ? NULL : thread_of(section, event->tid);

	if (thread && !(event->flags & (FDTAPE_EVENT_NO_START | FDTAPE_EVENT_PENDING)))
		thread->calls[thread->n++ % CALLS] =
		        (struct thread_call){.flow = event->flow,
		                             .start = event->time,
		                             .end = end_of(event),
		                             .dir = event->dir,
		                             .library = event->call >= FDTAPE_CALL_SSL_READ};
}

struct flow *bind_socket(const struct flow *library)
{
	return library->bound ? map_get(&library->section->flows, library->bound) : NULL;
}

/* The object's calls deliver the plaintext of the socket's TLS at this depth. */
static void bind_to(struct flow *library, struct flow *socket, unsigned depth, uint32_t how, const struct stamp *stamp)
{
	struct player *player = library->section->player;

	library->bound = socket->pub.def.id;
	library->depth = depth;
	library->proved = how & TLS_EVIDENCE_SECRET;
	library->pub.bound = socket->pub.number;
	library->chosen |= socket->chosen;
	socket->bound_by[depth] = library->pub.def.id;
	if (tls_stack_bound(socket->tls, depth, how, stamp) < 0)
		play_fail(player, FDTAPE_ERR_MEMORY);
	if (depth == 0 && library->pub.tls.library) {
		free(socket->library);
		socket->library = strdup(library->pub.tls.library);
		socket->pub.tls.library = socket->library;
		if (!socket->library)
			play_fail(player, FDTAPE_ERR_MEMORY);
	}
	flow_bound(library, socket);
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

static uint64_t key_of(const uint8_t *value)
{
	uint64_t key;

	memcpy(&key, value, sizeof key);
	return key;
}

/* The entry of a secret, made if there is none; NULL: another one has its place, or there is no memory. */
static struct derived *derived_of(struct play_section *section, const uint8_t *value, size_t len)
{
	struct derived *d;

	if (len < sizeof(uint64_t) || len > sizeof d->value)
		return NULL;
	d = map_get(&section->derived, key_of(value));
	if (d)
		return d->len == len && memcmp(d->value, value, len) == 0 ? d : NULL;
	if (section->derived.used >= DERIVED_MAX)
		map_free(&section->derived);
	d = calloc(1, sizeof *d);
	if (!d || !map_put(&section->derived, key_of(value), d)) {
		free(d);
		play_fail(section->player, FDTAPE_ERR_MEMORY);
		return NULL;
	}
	memcpy(d->value, value, len);
	d->len = len;
	return d;
}

void bind_derived(struct play_section *section, const struct fdtape_secret *secret)
{
	struct thread *thread = thread_of(section, secret->tid);

	if (thread && derived_of(section, secret->value, secret->value_len))
		thread->secrets[thread->n_secrets++ % SECRETS] =
		        (struct thread_secret){.time = secret->time, .key = key_of(secret->value)};
}

void bind_opens(struct flow *socket, unsigned depth, const struct tls_key *key)
{
	struct derived *d = derived_of(socket->section, key->secret, key->secret_len);

	for (size_t i = 0; d && i < d->n_opened; i++)
		if (d->opened[i].socket == socket->pub.def.id && d->opened[i].depth == depth)
			return;
	if (d && d->n_opened < PARTIES)
		d->opened[d->n_opened++] = (struct opened){.socket = socket->pub.def.id, .depth = depth};
}

/* The secrets that were derived within this call are the object's. */
static void take_secrets(struct flow *library, const struct fdtape_event *event)
{
	struct thread *thread = map_get(&library->section->threads, event->tid);
	struct derived *d;

	if (!thread || is_of_goroutine(event) || event->flags & (FDTAPE_EVENT_NO_START | FDTAPE_EVENT_PENDING))
		return;
	for (size_t i = 0; i < SECRETS; i++) {
		struct thread_secret *secret = &thread->secrets[i];

		if (!secret->time || secret->time < event->time || secret->time > end_of(event))
			continue;
		/* The innermost call comes first: it has the secret. */
		secret->time = 0;
		d = map_get(&library->section->derived, secret->key);
		if (!d || d->n_libraries == PARTIES)
			continue;
		d->libraries[d->n_libraries++] = library->pub.def.id;
		library->derived[library->n_derived++ % FLOW_DERIVED] = secret->key;
		library->proved = false; /* another handshake, maybe another connection */
	}
}

struct flow *bind_taker(const struct flow *socket, unsigned depth)
{
	struct flow *by = socket->bound_by[depth] ? map_get(&socket->section->flows, socket->bound_by[depth]) : NULL;

	return by && by->bound == socket->pub.def.id && by->depth == depth ? by : NULL;
}

/* Has another object proved that its calls belong there? */
static bool is_taken(const struct flow *socket, unsigned depth, const struct flow *library)
{
	const struct flow *by = bind_taker(socket, depth);

	return by && by != library && by->proved;
}

/* The socket that the object's secrets open. */
static struct flow *find_opened(struct flow *library, unsigned *depth)
{
	struct flow *found = NULL, *agreeing = NULL;
	unsigned at = 0;
	size_t n = 0, n_agreeing = 0;

	for (size_t i = 0; i < FLOW_DERIVED && i < library->n_derived; i++) {
		const struct derived *d = map_get(&library->section->derived, library->derived[i]);

		for (size_t j = 0; d && j < d->n_opened; j++) {
			const struct opened *o = &d->opened[j];
			struct flow *socket = map_get(&library->section->flows, o->socket);
			int64_t agrees;

			if (!socket || !socket->tls || socket->pub.def.pid != library->pub.def.pid ||
			    is_taken(socket, o->depth, library))
				continue;
			if ((socket == found || socket == agreeing) && o->depth == at)
				continue; /* by another secret */
			agrees = flow_held_agrees(library, socket, o->depth);
			if (agrees < 0)
				continue;
			if (agrees > 0) {
				n_agreeing++;
				agreeing = socket;
				at = o->depth;
			} else if (!agreeing) {
				found = socket;
				at = o->depth;
			}
			n++;
		}
	}
	*depth = at;
	return n_agreeing == 1 ? agreeing : n == 1 ? found : NULL;
}

/* ---- nesting ---------------------------------------------------------------------------------------------------- */

static bool lies_in(const struct thread_call *call, uint64_t start, uint64_t end)
{
	return call->start >= start && call->end <= end;
}

/* Does the call lie in a call of another object, which itself lies within the event? */
static bool is_anothers(const struct thread *thread, const struct thread_call *call, const struct fdtape_event *event)
{
	for (unsigned i = 1; i <= CALLS && i <= thread->n; i++) {
		const struct thread_call *other = &thread->calls[(thread->n - i) % CALLS];

		if (other != call && other->library && other->flow != event->flow && other->flow != call->flow &&
		    lies_in(other, event->time, end_of(event)) && lies_in(call, other->start, other->end))
			return true;
	}
	return false;
}

/* The flow that the call says it works on; NULL: it doesn't say, or that is none that can carry TLS. */
static struct flow *find_told(const struct flow *library, const struct fdtape_event *event)
{
	int arg = is_of_goroutine(event) ? fdtape_call_flow_arg(event->call) : -1;
	struct flow *flow = arg >= 0 && event->arg[arg] ? map_get(&library->section->flows, event->arg[arg]) : NULL;

	return flow && flow->tls && flow->pub.def.pid == event->pid && tls_stack_may_be_tls(flow->tls, 0) ? flow : NULL;
}

/* The socket that the library call did its input or output on; NULL: none that qualifies. */
static struct flow *find_nested(const struct flow *library, const struct fdtape_event *event, unsigned *depth)
{
	const struct thread *thread = map_get(&library->section->threads, event->tid);
	struct flow *best = NULL;
	int best_score = -1;

	if (!thread || event->flags & (FDTAPE_EVENT_NO_START | FDTAPE_EVENT_PENDING))
		return NULL;
	for (unsigned i = 1; i <= CALLS && i <= thread->n; i++) {
		const struct thread_call *call = &thread->calls[(thread->n - i) % CALLS];
		struct flow *flow = map_get(&library->section->flows, call->flow);
		unsigned at = 0;
		int score;

		if (!lies_in(call, event->time, end_of(event)) || !flow || flow == library ||
		    is_anothers(thread, call, event))
			continue;
		if (call->library) {
			at = flow->depth + 1;
			flow = bind_socket(flow);
		}
		if (!flow || !flow->tls || flow->pub.def.pid != event->pid || !tls_stack_may_be_tls(flow->tls, at))
			continue;
		if (best && best != flow && is_of_goroutine(event))
			return NULL;
		score = (call->dir == event->dir) + 2 * tls_stack_is_tls(flow->tls, at);
		if (score > best_score) {
			best = flow;
			*depth = at;
			best_score = score;
		}
	}
	return best;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* The fd that the program itself gave the object. */
static struct flow *find_wanted(const struct flow *library)
{
	struct flow *socket = library->wanted ? map_get(&library->section->flows, library->wanted) : NULL;

	return socket && socket->tls && socket->pub.def.pid == library->pub.def.pid &&
	                       tls_stack_is_tls(socket->tls, 0) && !is_taken(socket, 0, library)
	               ? socket
	               : NULL;
}

void bind_library(struct flow *library, const struct fdtape_event *event, const struct stamp *stamp)
{
	struct flow *bound = bind_socket(library), *socket;
	unsigned depth = 0;

	take_secrets(library, event);
	if (event->call >= FDTAPE_CALL_SSL_SET_FD && event->call <= FDTAPE_CALL_SSL_SET_WFD && event->result > 0)
		library->wanted = event->arg[1];
	if (bound)
		library->chosen |= bound->chosen;
	if (bound && library->proved)
		return;
	socket = find_opened(library, &depth);
	if (socket) {
		if (socket != bound || depth != library->depth)
			bind_to(library, socket, depth, TLS_EVIDENCE_SECRET, stamp);
		else
			tls_stack_bound(socket->tls, depth, TLS_EVIDENCE_SECRET, stamp);
		library->proved = true;
		return;
	}
	socket = find_told(library, event);
	if (!socket)
		socket = find_nested(library, event, &depth);
	if (!socket && !bound && event->bytes > 0)
		socket = find_wanted(library);
	if (socket && (socket != bound || depth != library->depth))
		bind_to(library, socket, depth, 0, stamp);
}

/* By what needs no call at hand. */
static void bind_by_proof(struct flow *library, const struct stamp *stamp)
{
	unsigned depth = 0;
	struct flow *socket;

	if (bind_socket(library))
		return;
	socket = find_opened(library, &depth);
	if (socket)
		bind_to(library, socket, depth, TLS_EVIDENCE_SECRET, stamp);
	else if ((socket = find_wanted(library)))
		bind_to(library, socket, 0, 0, stamp);
}

void bind_last(struct flow *library, const struct stamp *stamp)
{
	struct flow *socket;

	bind_by_proof(library, stamp);
	if (!bind_socket(library) && (socket = bind_flow_by_lengths(library)))
		bind_to(library, socket, 0, TLS_EVIDENCE_LENGTHS, stamp);
}

void bind_last_of_socket(struct flow *socket, const struct stamp *stamp)
{
	struct flow *library;

	if (socket->section->n_libraries == 0 || !tls_stack_is_tls(socket->tls, 0))
		return;
	for (unsigned depth = 0; depth < TLS_STACK_DEPTH; depth++)
		if (bind_taker(socket, depth))
			return;
	for (size_t cursor = 0; (library = map_next(&socket->section->flows, &cursor));)
		if (library->pub.def.kind == FDTAPE_KIND_LIBRARY && library->pub.def.pid == socket->pub.def.pid)
			bind_by_proof(library, stamp);
	if (!bind_taker(socket, 0) && (library = bind_object_by_lengths(socket)))
		bind_to(library, socket, 0, TLS_EVIDENCE_LENGTHS, stamp);
}
