/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings by HTTP exchanges: what was asked and not answered, or not to its end, or badly, or late. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/doctor_state.h"
#include "analyze/flow_row.h"
#include "analyze/http_row.h"
#include "analyze/message_row.h"
#include "analyze/text.h"

enum {
	SLOW = 1000000000,   /* ns from the first byte of a request without a body to that of its response */
	WAITING = 100,       /* requests of a flow */
	BLOCKED = 250000000, /* ns that a response waited for another's on its connection */
	REQUEST_TEXT_MAX = 200,
};

/* Who ended the connection, as far as it was seen. */
static const char *end_text(char out[static 64], const struct player_flow *flow, const struct doctor_flow *f)
{
	char clock[TEXT_CLOCK_MAX];

	if (f && f->reset)
		snprintf(out, 64, "the peer reset the connection");
	else if (f && f->ended)
		snprintf(out, 64, "the peer ended its side at %s", text_clock(clock, f->ended));
	else
		snprintf(out, 64, "this program closed at %s", text_clock(clock, flow->closed));
	return out;
}

/* Whether the answer does not come, or is one that can't be read, shows when the flow ends. */
static void let_wait(struct doctor_flow *f, const struct player_flow *flow, const struct http_exchange *x,
                     const char *request)
{
	struct doctor_waiting **end = &f->waiting, *w;

	if (f->n_waiting == WAITING)
		return;
	w = alloc_new(1, sizeof *w + strlen(request) + 1);
	w->start = x->start;
	w->dir = (enum fdtape_dir)x->dir;
	w->answered = flow->traffic[!x->dir].bytes;
	strcpy(w->request, request);
	while (*end)
		end = &(*end)->next;
	*end = w;
	f->n_waiting++;
}

void doctor_judge_waiting(struct doctor *d, const struct player_flow *flow)
{
	const struct doctor_flow *f = flow->user;
	char span[TEXT_DURATION_MAX];

	for (const struct doctor_waiting *w = f->waiting; w && !flow->closed; w = w->next)
		if (flow->traffic[!w->dir].bytes == w->answered && d->last > w->start)
			doctor_add(d, DOCTOR_REQUEST_PENDING, flow, NULL, w->start,
			           "%s had waited %s for its answer when recording stopped", w->request,
			           text_duration(span, d->last - w->start));
}

static void judge_incomplete(struct doctor *d, const struct player_flow *flow, const struct http_exchange *x,
                             const char *request)
{
	struct doctor_flow *f = flow->user;
	char end[64], clock[TEXT_CLOCK_MAX], size[TEXT_SIZE_MAX];
	uint64_t time = x->end ? x->end : x->start;

	if (f && f->shared)
		return;
	if (!flow->closed && !(f && (f->ended || f->reset))) {
		/* An answer that is on its way is none to complain of. */
		if (f && !x->status && x->start && x->dir >= 0)
			let_wait(f, flow, x, request);
		return;
	}
	if (f && f->shut && f->shut >= x->start && message_role(flow, x->dir) == FDTAPE_ROLE_CLIENT &&
	    (f->ended || f->reset))
		doctor_add(d, DOCTOR_HALF_CLOSED_EARLY, flow, NULL, time,
		           "%s: the program shut down its writing end at %s, %s; %s", request,
		           text_clock(clock, f->shut),
		           x->status ? "before the response was whole" : "before any response", end_text(end, flow, f));
	else if (!x->status)
		doctor_add(d, DOCTOR_RESPONSE_MISSING, flow, NULL, time, "%s has no response; %s", request,
		           end_text(end, flow, f));
	else
		doctor_add(d, DOCTOR_RESPONSE_CUT, flow, NULL, time, "%s: status %d, then only %s of the body; %s",
		           request, x->status,
		           x->response.body_bytes ? text_size(size, x->response.body_bytes) : "0 bytes",
		           end_text(end, flow, f));
}

/* When the response could have begun: HTTP/1's come one behind the other (RFC 9112, section 9.3.2). */
static uint64_t turn_of(const struct doctor_flow *f, const struct http_exchange *x)
{
	return f && x->stream < 0 && f->response_end > x->start ? f->response_end : x->start;
}

/* What is there, or could be, waits for what is before it. */
static void judge_order(struct doctor *d, const struct player_flow *flow, const struct http_exchange *x,
                        const char *request)
{
	const struct doctor_flow *f = flow->user;
	uint64_t turn = turn_of(f, x);
	char blocked[TEXT_DURATION_MAX], own[TEXT_DURATION_MAX];

	if (x->blocked >= BLOCKED)
		doctor_add(d, DOCTOR_HEAD_OF_LINE, flow, NULL, x->first_byte,
		           "%s (stream %" PRId64
		           "): for %s nothing of the response's body could come, as the data of stream "
		           "%" PRId64 " had used up the connection's window",
		           request, x->stream, text_duration(blocked, x->blocked), x->blocked_by);
	else if (x->start && x->first_byte >= turn && turn - x->start >= BLOCKED)
		doctor_add(
		        d, DOCTOR_HEAD_OF_LINE, flow, NULL, x->start,
		        "%s waited %s for the response to %s, which comes first on this connection; its own then came "
		        "within %s",
		        request, text_duration(blocked, turn - x->start), f->request,
		        text_duration(own, x->first_byte - turn));
}

/* As the client sees it: only what it spent within calls is certainly the peer's time. */
static void judge_wait(struct doctor *d, const struct player_flow *flow, const struct http_exchange *x,
                       const char *request)
{
	const struct doctor_flow *f = flow->user;
	uint64_t span = x->first_byte - turn_of(f, x), waited = !f ? 0 : f->waited < span ? f->waited : span;
	char whole[TEXT_DURATION_MAX], within[TEXT_DURATION_MAX];
	struct doctor_finding *finding;

	finding = doctor_add(d, DOCTOR_SLOW_PEER, flow, NULL, x->start,
	                     "%s: the first byte of the response came %s after the request, %s of it within calls that "
	                     "read from this flow",
	                     request, text_duration(whole, span), text_duration(within, waited));
	if (finding && waited < span / 2)
		finding->advice =
		        "The time is between the calls, in which the program polled for the peer, or did something "
		        "else and came late: see what else it did (log --pid).";
}

static void judge_time(struct doctor *d, const struct player_flow *flow, const struct http_exchange *x,
                       const char *request)
{
	uint64_t turn = turn_of(flow->user, x);
	uint32_t role = message_role(flow, x->dir);
	char span[TEXT_DURATION_MAX];

	if (!x->start || x->first_byte < turn || x->first_byte - turn < SLOW || x->request.body_bytes ||
	    !x->request.complete)
		return;
	if (role == FDTAPE_ROLE_CLIENT)
		judge_wait(d, flow, x, request);
	else if (role == FDTAPE_ROLE_SERVER)
		doctor_add(d, DOCTOR_SLOW_PROGRAM, flow, NULL, x->start,
		           "%s: the first byte of the response was written %s after the request came", request,
		           text_duration(span, x->first_byte - turn));
}

void doctor_judge_exchange(struct doctor *d, const struct player_flow *flow, const struct http_exchange *x)
{
	struct doctor_flow *f = flow->user;
	bool missing =
	        flow_lost(flow, FDTAPE_IN) || flow_lost(flow, FDTAPE_OUT) || flow->tls.evidence & TLS_EVIDENCE_HOLE;
	char *request;

	if (!x->request.seen)
		return;
	request = http_target_text(x);
	text_cut(request, REQUEST_TEXT_MAX);
	if (f && x->complete && x->status < 400)
		f->answered = true;
	/* What servers say to a request that should have come by TLS. */
	if (f && (x->status == 400 || x->status == 426))
		f->turned_down = true;
	if (x->reset) {
		/* Who does not want the rest any more says so. */
		if (strcmp(x->reset, "CANCEL") != 0 && strcmp(x->reset, "NO_ERROR") != 0)
			doctor_add(d, DOCTOR_STREAM_RESET, flow, NULL, x->end ? x->end : x->start,
			           "%s: stream %" PRId64 " was reset with %s", request, x->stream, x->reset);
	} else if (x->request.complete && !x->response.complete) {
		if (missing)
			d->unjudged++;
		else
			judge_incomplete(d, flow, x, request);
	}
	if (x->status >= 500)
		doctor_add(d, DOCTOR_SERVER_ERROR, flow, NULL, x->first_byte, "%s was answered with status %d", request,
		           x->status);
	judge_order(d, flow, x, request);
	judge_time(d, flow, x, request);
	if (f && x->stream < 0) {
		f->response_end = x->end;
		free(f->request);
		f->request = request;
	} else {
		free(request);
	}
}
