/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Findings by fd numbers that are used behind the end of what they stood for.
 *
 * The number of a socket that was closed is kept, with what is known of it. A call that carries and returns EBADF is
 * proof. A call on the next socket of that number is none by itself: threads hand connections to each other. It is one
 * where the thread that used the old socket writes, before anything else is written there, what no program begins with:
 * an answer before there was a question, or TLS without its handshake.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/doctor_state.h"
#include "analyze/text.h"
#include "analyze/words.h"

enum {
	NUMBERS = 4096,     /* that are kept */
	BAD_CALLS = 5,      /* on a number of which nothing is known */
	REUSED = 1000000000 /* ns from the end of the old to the write */
};

/* An fd's number in a process. */
struct doctor_number {
	struct doctor_subject closed; /* the socket that it was; .flow 0: not known to have been one */
	struct fdtape_address local, remote;
	uint64_t closed_at;
	uint32_t closer, writer; /* threads; 0: none */
	bool asked_first;        /* the other end spoke first */
	bool tls;                /* what it wrote began with a handshake */
	uint64_t bad, bad_at;    /* calls; when the first was made */
	uint32_t bad_call, bad_tid;
	struct doctor_subject caller;
};

static uint64_t key_of(const struct player_call *call)
{
	return (uint64_t)call->event->pid << 32 | (uint32_t)call->event->fd;
}

/* NULL: there are too many. */
static struct doctor_number *number_of(struct doctor *d, const struct player_call *call)
{
	struct doctor_number *n = map_get(&d->numbers, key_of(call));

	if (n || d->numbers.used >= NUMBERS)
		return n;
	n = alloc_new(1, sizeof *n);
	if (!map_put(&d->numbers, key_of(call), n)) {
		free(n);
		return NULL;
	}
	return n;
}

static void tell_bad(struct doctor *d, const struct doctor_number *n)
{
	char name[WORDS_CALL_MAX], address[TEXT_ADDRESS_MAX], clock[TEXT_CLOCK_MAX], more[64] = "";
	const char *peer = text_address(address, &n->remote);

	words_call(name, n->bad_call);
	if (n->bad > 1)
		snprintf(more, sizeof more, ", and %" PRIu64 " more call%s did", n->bad - 1, n->bad == 2 ? "" : "s");
	if (n->bad && n->closed.flow)
		doctor_add_about(d, DOCTOR_BAD_FD, &n->caller, n->bad_at,
		                 "%s by thread %" PRIu32 " returned EBADF%s: the fd was flow %" PRIu64
		                 "%s%s, which thread %" PRIu32 " had closed at %s",
		                 name, n->bad_tid, more, n->closed.flow, peer ? " with " : "", peer ? peer : "",
		                 n->closer, text_clock(clock, n->closed_at));
	else if (n->bad >= BAD_CALLS)
		doctor_add_about(d, DOCTOR_BAD_FD, &n->caller, n->bad_at,
		                 "%s by thread %" PRIu32
		                 " returned EBADF%s: nothing is open by that number, or not for that",
		                 name, n->bad_tid, more);
}

static void number_release(struct doctor_number *n)
{
	doctor_subject_release(&n->closed);
	doctor_subject_release(&n->caller);
}

void doctor_bad_fd(struct doctor *d, const struct player_call *call)
{
	struct doctor_number *n = number_of(d, call);

	if (!n || n->bad++)
		return;
	n->bad_at = call->wall;
	n->bad_call = call->event->call;
	n->bad_tid = call->event->tid;
	doctor_subject_set(&n->caller, NULL, call->process);
	n->caller.fd = call->event->fd;
	n->caller.flow = n->closed.flow;
}

/* This record takes the place of the number's last. */
void doctor_fd_closed(struct doctor *d, const struct player_call *call)
{
	const struct doctor_flow *f = call->flow->user;
	const struct doctor_head *in = &f->head[FDTAPE_IN], *out = &f->head[FDTAPE_OUT];
	struct doctor_number *n = number_of(d, call);

	if (!n)
		return;
	tell_bad(d, n);
	number_release(n);
	*n = (struct doctor_number){
	        .local = call->flow->def.local,
	        .remote = call->flow->def.remote,
	        .closed_at = call->wall,
	        .closer = call->event->tid,
	        .writer = f->writer,
	        .asked_first = in->n && (!out->begun || in->wall < out->wall),
	        .tls = doctor_is_handshake(out),
	};
	doctor_subject_set(&n->closed, call->flow, NULL);
}

/* HTTP/2's server may send its SETTINGS at once (RFC 9113, section 3.4). */
static bool may_come_first(const struct fdtape_event *e)
{
	return e->captured >= 4 && e->data[0] == 0 && e->data[3] == 4;
}

/* The first bytes that are written to a socket. */
void doctor_judge_first_write(struct doctor *d, const struct player_call *call)
{
	const struct player_flow *flow = call->flow;
	const struct doctor_flow *f = flow->user;
	const struct doctor_number *n = map_get(&d->numbers, key_of(call));
	const struct fdtape_event *e = call->event;
	bool unasked, no_handshake;
	char clock[TEXT_CLOCK_MAX];

	if (!n || !n->closed.flow || flow->def.flags & FDTAPE_FLOW_PREOPENED || f->shared || n->writer != e->tid ||
	    n->closer == e->tid || call->wall < n->closed_at || call->wall - n->closed_at > REUSED)
		return;
	unasked = flow->role == FDTAPE_ROLE_SERVER && n->asked_first && !flow->traffic[FDTAPE_IN].bytes &&
	          e->captured && !may_come_first(e) && doctor_same_address(&flow->def.local, &n->local);
	no_handshake = n->tls && e->captured && doctor_is_tls_data(e->data[0]) &&
	               doctor_same_address(&flow->def.remote, &n->remote);
	if (unasked || no_handshake)
		doctor_add(d, DOCTOR_REUSED_FD, flow, NULL, call->wall,
		           "thread %" PRIu32 " wrote %" PRIu64 " bytes here, %s: it had written to flow %" PRIu64
		           ", which had this number until thread %" PRIu32 " closed it at %s",
		           e->tid, e->bytes, unasked ? "before anything was asked" : "TLS data before any handshake",
		           n->closed.flow, n->closer, text_clock(clock, n->closed_at));
}

void doctor_finish_fds(struct doctor *d)
{
	struct doctor_number *n;
	size_t at = 0;

	while ((n = map_next(&d->numbers, &at))) {
		tell_bad(d, n);
		number_release(n);
		free(n);
	}
	map_release(&d->numbers);
}
