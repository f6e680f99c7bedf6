/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings by what system calls returned, and by the order in which they were made. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/doctor_state.h"
#include "analyze/text.h"
#include "analyze/words.h"

enum { /* Linux's numbers, wherever this runs */
	ERR_BADF = 9,
	ERR_NFILE = 23,
	ERR_MFILE = 24,
	ERR_PIPE = 32,
	ERR_ADDRINUSE = 98,
	ERR_NETUNREACH = 101,
	ERR_CONNRESET = 104,
	ERR_TIMEDOUT = 110,
	ERR_CONNREFUSED = 111,
	ERR_HOSTUNREACH = 113,
	OPTION_SOL_SOCKET = 1,
	OPTION_SO_ERROR = 4,
	SHUTDOWN_READ = 0,
	SEND_MORE = 0x8000, /* MSG_MORE: the kernel waits for the rest */
};

enum {
	STORM_ATTEMPTS = 5,     /* in a row, each within STORM_GAP of the one before */
	STORM_GAP = 1000000000, /* ns */
	TINY_WRITES = 50,       /* in a row, nothing read between, each within TINY_GAP of the one before */
	TINY_BYTES = 64,        /* most that one carries */
	TINY_GAP = 10000000,    /* ns */
	LEAKED_FDS = 3,         /* of a process, open at the end of the tape */
	LEAK_AGE = 1000000000,  /* ns since their peers ended */
};

/* Attempts of one process to reach one peer that failed alike. */
struct doctor_refusal {
	struct doctor_subject subject; /* of the first */
	struct fdtape_address peer;
	int64_t error;
	enum doctor_kind kind;
	uint64_t count, first, last;
	uint64_t run, most_in_a_row; /* by STORM_GAP */
	bool elsewhere;   /* the process got through to the same port of another address: it had more than one */
	uint64_t reached; /* when it got through to this one after all; 0: not */
};

struct doctor_process {
	struct doctor_subject subject;
	uint64_t exhausted, exhausted_at; /* calls without an fd left; the first one's time */
	int64_t error;
	uint64_t leaked, leaked_at; /* fds; when the first one's peer ended */
	struct doctor_subject leak; /* the first */
};

/* ---- attempts --------------------------------------------------------------------------------------------------- */

static const struct {
	int64_t error;
	enum doctor_kind kind;
} attempt_errors[] = {
        {ERR_CONNREFUSED, DOCTOR_CONNECT_REFUSED},
        {ERR_TIMEDOUT, DOCTOR_CONNECT_TIMEOUT},
        {ERR_NETUNREACH, DOCTOR_CONNECT_UNREACHABLE},
        {ERR_HOSTUNREACH, DOCTOR_CONNECT_UNREACHABLE},
};

static void add_attempt(struct doctor *d, const struct player_call *call, int64_t error, enum doctor_kind kind)
{
	const struct player_flow *flow = call->flow;
	struct doctor_refusal *r;
	size_t i;

	for (i = 0; i < d->n_refusals; i++) {
		r = &d->refusals[i];
		if (r->error == error && r->subject.pid == flow->process->pid &&
		    doctor_same_address(&r->peer, &flow->def.remote))
			break;
	}
	if (i == DOCTOR_ENTRIES)
		return;
	if (!d->refusals)
		d->refusals = alloc_new(DOCTOR_ENTRIES, sizeof *d->refusals);
	r = &d->refusals[i];
	if (i == d->n_refusals) {
		d->n_refusals++;
		*r = (struct doctor_refusal){
		        .peer = flow->def.remote, .error = error, .kind = kind, .first = call->wall};
		doctor_subject_set(&r->subject, flow, NULL);
	}
	r->run = r->count && call->wall <= r->last + STORM_GAP ? r->run + 1 : 1;
	if (r->run > r->most_in_a_row)
		r->most_in_a_row = r->run;
	r->count++;
	/* Calls come in the order of their ends. */
	if (call->wall < r->first)
		r->first = call->wall;
	if (call->wall > r->last)
		r->last = call->wall;
}

/* The flow carries something: what was tried before and failed has an end. */
static void note_success(struct doctor *d, const struct player_flow *flow, uint64_t wall)
{
	for (size_t i = 0; i < d->n_refusals; i++) {
		struct doctor_refusal *r = &d->refusals[i];

		if (r->subject.pid != flow->process->pid || r->peer.port != flow->def.remote.port ||
		    r->peer.family == FDTAPE_FAMILY_UNIX || flow->def.proto != FDTAPE_PROTO_TCP)
			continue;
		if (!doctor_same_address(&r->peer, &flow->def.remote))
			r->elsewhere = true;
		else if (!r->reached)
			r->reached = wall;
	}
}

static void tell_refusal(struct doctor *d, const struct doctor_refusal *r)
{
	char peer[TEXT_ADDRESS_MAX], error[WORDS_RESULT_MAX], clock[TEXT_CLOCK_MAX], span[TEXT_DURATION_MAX];
	const char *address = text_address(peer, &r->peer);
	char attempts[96] = "", reached[96] = "";

	/* Of several addresses of one name, one that answers is enough. */
	if (r->elsewhere)
		return;
	if (r->count > 1)
		snprintf(attempts, sizeof attempts, ", %" PRIu64 " times, the last at %s", r->count,
		         text_clock(clock, r->last));
	if (r->reached)
		snprintf(reached, sizeof reached, "; it was reached at %s", text_clock(clock, r->reached));
	doctor_add_about(d, r->kind, &r->subject, r->first, "connecting to %s failed with %s%s%s",
	                 address ? address : "?", words_failure(error, -r->error), attempts, reached);
	if (r->most_in_a_row >= STORM_ATTEMPTS)
		doctor_add_about(
		        d, DOCTOR_RETRY_STORM, &r->subject, r->first,
		        "%" PRIu64 " attempts at %s failed within %s, %" PRIu64 " in a row less than a second apart",
		        r->count, address ? address : "?", text_duration(span, r->last - r->first), r->most_in_a_row);
}

/* ---- processes -------------------------------------------------------------------------------------------------- */

/* NULL: there are too many. */
static struct doctor_process *process_of(struct doctor *d, const struct player_process *process)
{
	struct doctor_process *p;

	for (size_t i = 0; i < d->n_processes; i++)
		if (d->processes[i].subject.pid == process->pid)
			return &d->processes[i];
	if (d->n_processes == DOCTOR_ENTRIES)
		return NULL;
	if (!d->processes)
		d->processes = alloc_new(DOCTOR_ENTRIES, sizeof *d->processes);
	p = &d->processes[d->n_processes++];
	doctor_subject_set(&p->subject, NULL, process);
	return p;
}

static void tell_process(struct doctor *d, const struct doctor_process *p)
{
	char error[WORDS_RESULT_MAX];

	if (p->exhausted)
		doctor_add_about(d, DOCTOR_FDS_EXHAUSTED, &p->subject, p->exhausted_at,
		                 "%" PRIu64 " call%s for a new fd failed with %s", p->exhausted,
		                 p->exhausted == 1 ? "" : "s", words_failure(error, -p->error));
	if (p->leaked >= LEAKED_FDS)
		doctor_add_about(d, DOCTOR_FD_LEAK, &p->leak, p->leaked_at,
		                 "%" PRIu64
		                 " sockets whose peers had ended were still open when recording stopped; this "
		                 "is the first",
		                 p->leaked);
}

void doctor_judge_fd(struct doctor *d, const struct player_flow *flow)
{
	const struct doctor_flow *f = flow->user;
	struct doctor_process *p;

	if (flow->closed || !f->ended || f->shared || d->last - f->ended < LEAK_AGE || d->last < f->ended)
		return;
	p = process_of(d, flow->process);
	if (!p)
		return;
	if (!p->leaked++ || f->ended < p->leaked_at) {
		doctor_subject_release(&p->leak);
		doctor_subject_set(&p->leak, flow, NULL);
		p->leaked_at = f->ended;
	}
}

/* ---- one flow's calls ------------------------------------------------------------------------------------------- */

static void count_tiny(struct doctor *d, const struct player_call *call, struct doctor_flow *f)
{
	const struct fdtape_event *e = call->event;
	bool more = (e->call == FDTAPE_CALL_SENDTO || e->call == FDTAPE_CALL_SENDMSG) && e->arg[1] & SEND_MORE;

	if (!e->bytes || e->flags & FDTAPE_EVENT_PEEK)
		return;
	if (e->dir == FDTAPE_IN || e->bytes > TINY_BYTES || more || e->flags & FDTAPE_EVENT_CONTINUED ||
	    (f->tiny.n && call->wall > f->tiny.last + TINY_GAP))
		f->tiny.n = f->tiny.bytes = 0;
	if (e->dir == FDTAPE_IN || e->bytes > TINY_BYTES || more)
		return;
	if (!f->tiny.n++)
		f->tiny.from = call->wall;
	f->tiny.bytes += e->bytes;
	f->tiny.last = call->wall;
	if (f->tiny.n < TINY_WRITES || f->tiny_told)
		return;
	f->tiny_told = true;
	doctor_add(d, DOCTOR_TINY_WRITES, call->flow, NULL, f->tiny.from,
	           "%" PRIu64 " writes in a row carried %" PRIu64 " bytes in all, with nothing read between them",
	           f->tiny.n, f->tiny.bytes);
}

/* How long the program was in calls that wait for an answer. */
static void count_waiting(const struct fdtape_event *e, struct doctor_flow *f)
{
	if (e->dir == FDTAPE_OUT) {
		if (e->bytes) {
			f->waited = 0;
			f->got = false;
		}
	} else if (!f->got) {
		f->waited += e->flags & FDTAPE_EVENT_CONTINUED ? 0 : e->duration;
		f->got = e->bytes > 0;
	}
}

static const char *peer_text(char out[static TEXT_ADDRESS_MAX], const struct player_flow *flow)
{
	const char *address = text_address(out, &flow->def.remote);

	return address ? address : "its peer";
}

/* An error on a connection that was made. */
static void judge_broken(struct doctor *d, const struct player_call *call, struct doctor_flow *f, int64_t error)
{
	const struct player_flow *flow = call->flow;
	char name[WORDS_CALL_MAX], address[TEXT_ADDRESS_MAX], at[TEXT_CLOCK_MAX], size[2][TEXT_SIZE_MAX];
	const char *peer = peer_text(address, flow);

	words_call(name, call->event->call);
	if (error == ERR_CONNRESET && !f->reset) {
		f->reset = true;
		doctor_add(d, DOCTOR_CONNECTION_RESET, flow, NULL, call->wall,
		           "%s returned ECONNRESET: %s reset the connection after %s in and %s out", name, peer,
		           text_size(size[0], flow->traffic[FDTAPE_IN].bytes),
		           text_size(size[1], flow->traffic[FDTAPE_OUT].bytes));
	} else if (error == ERR_TIMEDOUT && !f->timed_out) {
		f->timed_out = true;
		doctor_add(d, DOCTOR_CONNECTION_TIMEOUT, flow, NULL, call->wall,
		           "%s returned ETIMEDOUT on the connection with %s", name, peer);
	} else if (error == ERR_PIPE && !f->broke && call->event->dir == FDTAPE_OUT) {
		f->broke = true;
		if (f->shut)
			doctor_add(d, DOCTOR_WRITE_AFTER_SHUTDOWN, flow, NULL, call->wall,
			           "%s returned EPIPE: the program had shut down its writing end at %s", name,
			           text_clock(at, f->shut));
		else
			doctor_add(d, DOCTOR_WRITE_AFTER_CLOSE, flow, NULL, call->wall,
			           "%s returned EPIPE: %s had closed the connection before", name, peer);
	}
}

static bool is_connect(const struct fdtape_event *e)
{
	return e->call == FDTAPE_CALL_CONNECT || e->call == FDTAPE_CALL_IO_URING_CONNECT;
}

/* The socket's pending error was asked for: this is how a connect that did not wait ends. */
static bool asks_error(const struct fdtape_event *e)
{
	return e->call == FDTAPE_CALL_GETSOCKOPT && e->result == 0 && e->arg[0] == OPTION_SOL_SOCKET &&
	       e->arg[1] == OPTION_SO_ERROR;
}

/* Whether an attempt of that kind of socket is one that a program expects to succeed. */
static void judge_attempt(struct doctor *d, const struct player_call *call, int64_t error)
{
	uint32_t proto = call->flow->def.proto;

	/* UDP's connect sends nothing; resolvers use it to ask for a route. */
	if (proto != FDTAPE_PROTO_TCP && !(proto == FDTAPE_PROTO_UNIX && error == ERR_CONNREFUSED))
		return;
	for (size_t i = 0; i < sizeof attempt_errors / sizeof *attempt_errors; i++)
		if (attempt_errors[i].error == error)
			add_attempt(d, call, error, attempt_errors[i].kind);
}

static void judge_socket(struct doctor *d, const struct player_call *call)
{
	const struct fdtape_event *e = call->event;
	struct doctor_flow *f = call->flow->user;
	bool asked = asks_error(e);
	/* Its value is an int: the upper half of what is on the tape is what lay behind it. */
	int64_t error = asked ? (int64_t)(e->arg[2] & 0x7fffffff) : e->result < 0 && e->result > -4096 ? -e->result : 0;
	char address[TEXT_ADDRESS_MAX];
	const char *local;

	if (is_connect(e) || (asked && !f->carried))
		judge_attempt(d, call, error);
	else if (asked || fdtape_call_carries(e->call))
		judge_broken(d, call, f, error);
	if (e->call == FDTAPE_CALL_BIND && error == ERR_ADDRINUSE) {
		local = text_address(address, &call->flow->def.local);
		doctor_add(d, DOCTOR_ADDRESS_IN_USE, call->flow, NULL, call->wall, "bind%s%s returned EADDRINUSE",
		           local ? " to " : "", local ? local : "");
	}
	if (e->call == FDTAPE_CALL_SHUTDOWN && e->result == 0 && e->arg[0] != SHUTDOWN_READ && !f->shut)
		f->shut = call->wall;
	if (e->call == FDTAPE_CALL_CLOSE && e->result == 0)
		doctor_fd_closed(d, call);
	if (!fdtape_call_carries(e->call) || e->flags & FDTAPE_EVENT_PENDING)
		return;
	count_waiting(e, f);
	/* Nothing was read although something was asked for: the end. */
	if (call->flow->def.flags & FDTAPE_FLOW_STREAM && e->dir == FDTAPE_IN && e->result == 0 && e->arg[0] &&
	    !(e->flags & FDTAPE_EVENT_CONTINUED) && !f->ended)
		f->ended = call->wall + e->duration;
	if (e->bytes && e->dir == FDTAPE_OUT) {
		if (!f->head[FDTAPE_OUT].begun && call->flow->def.flags & FDTAPE_FLOW_STREAM)
			doctor_judge_first_write(d, call);
		f->writer = e->tid;
	}
	if (e->bytes && !f->carried) {
		f->carried = true;
		if (d->n_refusals)
			note_success(d, call->flow, call->wall);
	}
	if (call->flow->def.proto == FDTAPE_PROTO_TCP)
		count_tiny(d, call, f);
}

void doctor_judge_call(struct doctor *d, const struct player_call *call)
{
	const struct fdtape_event *e = call->event;
	const char *module = fdtape_call_module(e->call);
	struct doctor_process *p;

	if (!module || (strcmp(module, "syscall") != 0 && strcmp(module, "io_uring") != 0) ||
	    e->flags & FDTAPE_EVENT_PENDING)
		return;
	if (e->result == -ERR_MFILE || e->result == -ERR_NFILE) {
		p = process_of(d, call->process);
		if (p && !p->exhausted++) {
			p->exhausted_at = call->wall;
			p->error = -e->result;
		}
	}
	if (e->result == -ERR_BADF && fdtape_call_carries(e->call) && e->fd >= 0 && !call->flow)
		doctor_bad_fd(d, call);
	if (call->flow && call->flow->user)
		judge_socket(d, call);
}

void doctor_finish_calls(struct doctor *d)
{
	for (size_t i = 0; i < d->n_refusals; i++) {
		tell_refusal(d, &d->refusals[i]);
		doctor_subject_release(&d->refusals[i].subject);
	}
	for (size_t i = 0; i < d->n_processes; i++) {
		tell_process(d, &d->processes[i]);
		doctor_subject_release(&d->processes[i].subject);
		doctor_subject_release(&d->processes[i].leak);
	}
	free(d->refusals);
	free(d->processes);
}
