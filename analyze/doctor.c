/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/doctor_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/text.h"
#include "analyze/words.h"

/*
 * Theory of operation
 *
 * Each live socket has a record of what was done with it. The groups judge a step when it happened (a call that failed,
 * an exchange that ended), a flow when it is closed, and what takes several flows (attempts at one peer, fds that are
 * never closed, a port that speaks both) when the play is over.
 *
 * What is not on the tape is no evidence: where bytes of a flow are missing, or where other fds have the same socket,
 * nothing is concluded from what was not seen.
 */

static const struct {
	const char *word;
	enum doctor_severity severity;
	const char *advice;
} kinds[N_DOCTOR_KINDS] = {
        [DOCTOR_CONNECT_REFUSED] = {"connect-refused", DOCTOR_ERROR,
                                    "Nothing listens at that address: check that the server runs, its port, and the "
                                    "address it is bound to."},
        [DOCTOR_CONNECT_TIMEOUT] = {"connect-timeout", DOCTOR_ERROR,
                                    "The peer's host does not answer at all: look for a firewall that drops packets, "
                                    "or a wrong address."},
        [DOCTOR_CONNECT_UNREACHABLE] = {"connect-unreachable", DOCTOR_ERROR,
                                        "There is no way to that address: check routes, interfaces and the address."},
        [DOCTOR_RETRY_STORM] = {"retry-storm", DOCTOR_WARNING,
                                "Wait longer after each failure (exponential backoff with jitter)."},
        [DOCTOR_CONNECTION_RESET] = {"connection-reset", DOCTOR_WARNING,
                                     "The peer threw the connection away: it crashed, closed with data unread, or a "
                                     "middlebox forgot it; look at its log at that time."},
        [DOCTOR_CONNECTION_TIMEOUT] = {"connection-timeout", DOCTOR_ERROR,
                                       "The peer stopped to acknowledge what was sent: look at its host and the way to "
                                       "it."},
        [DOCTOR_WRITE_AFTER_CLOSE] = {"write-after-close", DOCTOR_ERROR,
                                      "The peer had closed before this program was done: look for who gave up first, "
                                      "and why."},
        [DOCTOR_WRITE_AFTER_SHUTDOWN] = {"write-after-shutdown", DOCTOR_ERROR,
                                         "The program wrote to a socket that it had shut down for writing itself: shut "
                                         "it down after the last write."},
        [DOCTOR_ADDRESS_IN_USE] = {"address-in-use", DOCTOR_ERROR,
                                   "Another socket has that address: end the other server, choose another port, or "
                                   "set SO_REUSEADDR after a restart."},
        [DOCTOR_FDS_EXHAUSTED] = {"fds-exhausted", DOCTOR_ERROR,
                                  "The limit of open files is reached: look for fds that are never closed, then raise "
                                  "RLIMIT_NOFILE."},
        [DOCTOR_FD_LEAK] = {"fd-leak", DOCTOR_WARNING,
                            "Close a socket when its peer has ended (they stay in CLOSE_WAIT)."},
        [DOCTOR_BAD_FD] = {"bad-fd", DOCTOR_ERROR,
                           "Something still uses an fd behind its end: had another file got that number meanwhile, the "
                           "bytes would be in that one. Let one owner close it, when all others are done."},
        [DOCTOR_REUSED_FD] = {"reused-fd", DOCTOR_ERROR,
                              "One thread closed an fd that another still used, and the bytes went to whoever got its "
                              "number: let one owner close it, when all others are done."},
        [DOCTOR_TINY_WRITES] = {"tiny-writes", DOCTOR_WARNING,
                                "Gather small pieces and write them at once (a buffer, writev, MSG_MORE)."},
        [DOCTOR_HEAD_OF_LINE] = {"head-of-line-blocking", DOCTOR_WARNING,
                                 "Send what must not wait on a connection of its own; with HTTP/2, read every stream "
                                 "that is open, or allow the connection a larger window."},
        [DOCTOR_RESPONSE_MISSING] = {"response-missing", DOCTOR_ERROR,
                                     "The request was never answered: look at what the server did at that time."},
        [DOCTOR_RESPONSE_CUT] = {"response-cut", DOCTOR_ERROR,
                                 "The response ended before its announced end: look for a crash, a time limit or a "
                                 "wrong Content-Length at the server."},
        [DOCTOR_HALF_CLOSED_EARLY] = {"half-closed-early", DOCTOR_ERROR,
                                      "Many servers take the end of the client's data as a cancellation: keep the "
                                      "writing end open until the response is there."},
        [DOCTOR_REQUEST_PENDING] = {"request-pending", DOCTOR_NOTE,
                                    "Record longer to see whether it is answered; if it hangs, look at the server."},
        [DOCTOR_STREAM_RESET] = {"stream-reset", DOCTOR_ERROR,
                                 "One side gave up the HTTP/2 stream: the code says why (RFC 9113, section 7)."},
        [DOCTOR_SERVER_ERROR] = {"server-error", DOCTOR_WARNING,
                                 "The server says that it failed: look at its log, or at the server behind it."},
        [DOCTOR_SLOW_PEER] = {"slow-peer", DOCTOR_NOTE,
                              "The time went by at the peer or on the way to it, not in this program."},
        [DOCTOR_SLOW_PROGRAM] = {"slow-program", DOCTOR_NOTE,
                                 "This program took that long itself, or waited for another: compare with what it did "
                                 "meanwhile (log --pid)."},
        [DOCTOR_TLS_ALERT] = {"tls-alert", DOCTOR_ERROR, "Look at the TLS settings of both ends."},
        [DOCTOR_TLS_HANDSHAKE] = {"tls-handshake-failed", DOCTOR_ERROR,
                                  "The server went away on a ClientHello: it may not speak TLS, or want another name "
                                  "(SNI) or version."},
        [DOCTOR_TLS_OLD_VERSION] = {"tls-old-version", DOCTOR_WARNING,
                                    "That version is deprecated (RFC 8996): allow TLS 1.2 and 1.3 only."},
        [DOCTOR_TLS_TO_CLEAR] = {"tls-to-clear-port", DOCTOR_ERROR,
                                 "That port does not speak TLS: use the scheme without it (http://), or the TLS port."},
        [DOCTOR_CLEAR_TO_TLS] = {"clear-to-tls-port", DOCTOR_ERROR,
                                 "That port speaks TLS: use the scheme with it (https://), or another port."},
        [DOCTOR_CERTIFICATE_EXPIRED] = {"certificate-expired", DOCTOR_ERROR,
                                        "Renew the server's certificate; where it was renewed, have the server load "
                                        "the new one."},
        [DOCTOR_CERTIFICATE_NOT_YET_VALID] = {"certificate-not-yet-valid", DOCTOR_ERROR,
                                              "Set the clocks of the machine and of whoever issued the certificate, or "
                                              "wait."},
        [DOCTOR_CERTIFICATE_NAME] = {"certificate-name", DOCTOR_ERROR,
                                     "Ask for a name that the certificate has, or get one for this name: the server "
                                     "may have shown its default certificate."},
        [DOCTOR_CERTIFICATE_SELF_SIGNED] = {"certificate-self-signed", DOCTOR_ERROR,
                                            "Give the client that very certificate as one that it trusts, or the "
                                            "server one of a CA that the client trusts."},
        [DOCTOR_CERTIFICATE_WEAK] = {"certificate-weak", DOCTOR_WARNING,
                                     "Get a certificate with a key of at least 2048 bits (RSA) or 224 (EC), signed "
                                     "with SHA-256 or better."},
        [DOCTOR_LOSS] = {"loss", DOCTOR_WARNING,
                         "What is not on the tape may hide or feign trouble: record again with less load or fewer "
                         "programs chosen."},
};

const char *doctor_kind_word(enum doctor_kind kind)
{
	return kinds[kind].word;
}

enum doctor_severity doctor_kind_severity(enum doctor_kind kind)
{
	return kinds[kind].severity;
}

const char *doctor_severity_word(enum doctor_severity severity)
{
	static const char *const words[N_DOCTOR_SEVERITIES] = {"error", "warning", "note"};

	return words[severity];
}

/* ---- the list --------------------------------------------------------------------------------------------------- */

void doctor_subject_set(struct doctor_subject *s, const struct player_flow *flow, const struct player_process *process)
{
	char who[WORDS_PROCESS_MAX];

	*s = (struct doctor_subject){.fd = -1};
	if (flow) {
		s->flow = flow->number;
		s->fd = flow->def.fd;
		process = flow->process;
	}
	if (!process)
		return;
	s->pid = process->pid;
	s->exe = alloc_copy(process->exe);
	s->who = alloc_copy(words_process_cut(who, process, DOCTOR_WHO_WIDTH));
}

void doctor_subject_release(struct doctor_subject *s)
{
	free(s->exe);
	free(s->who);
}

bool doctor_same_address(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len && a->len <= sizeof a->addr &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

/* NULL: there are too many. */
__attribute__((format(printf, 4, 0))) static struct doctor_finding *
new_finding(struct doctor *d, enum doctor_kind kind, uint64_t time, const char *evidence, va_list args)
{
	struct doctor_finding *finding;
	struct alloc_text text;

	if (d->n == DOCTOR_FINDINGS) {
		d->more[kind]++;
		return NULL;
	}
	d->findings = alloc_grow(d->findings, &d->room, d->n + 1, sizeof *d->findings);
	finding = &d->findings[d->n];
	*finding = (struct doctor_finding){.kind = kind, .time = time, .advice = kinds[kind].advice, .number = d->n++};
	alloc_text_begin(&text);
	vfprintf(text.out, evidence, args);
	finding->evidence = alloc_text_end(&text);
	return finding;
}

struct doctor_finding *doctor_add(struct doctor *d, enum doctor_kind kind, const struct player_flow *flow,
                                  const struct player_process *process, uint64_t time, const char *evidence, ...)
{
	struct doctor_finding *finding;
	va_list args;

	va_start(args, evidence);
	finding = new_finding(d, kind, time, evidence, args);
	va_end(args);
	if (finding)
		doctor_subject_set(&finding->subject, flow, process);
	return finding;
}

struct doctor_finding *doctor_add_about(struct doctor *d, enum doctor_kind kind, const struct doctor_subject *subject,
                                        uint64_t time, const char *evidence, ...)
{
	struct doctor_finding *finding;
	va_list args;

	va_start(args, evidence);
	finding = new_finding(d, kind, time, evidence, args);
	va_end(args);
	if (!finding)
		return NULL;
	finding->subject = *subject;
	finding->subject.exe = alloc_copy(subject->exe);
	finding->subject.who = alloc_copy(subject->who);
	return finding;
}

static int by_time(const void *x, const void *y)
{
	const struct doctor_finding *a = x, *b = y;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->subject.flow != b->subject.flow)
		return a->subject.flow < b->subject.flow ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

/* ---- loss ------------------------------------------------------------------------------------------------------- */

/* Left out because somebody wished it so, or because it was never in the program's memory: nothing went wrong. */
static bool is_chosen(uint32_t reason)
{
	return reason == FDTAPE_LOSS_SNAPLEN || reason == FDTAPE_LOSS_CUT || reason == FDTAPE_LOSS_REDACTED ||
	       reason == FDTAPE_LOSS_KERNEL_COPY;
}

static void judge_losses(struct doctor *d, const struct play_losses *losses)
{
	char size[TEXT_SIZE_MAX], from[TEXT_CLOCK_MAX], to[TEXT_CLOCK_MAX], unjudged[96] = "";

	if (d->unjudged)
		snprintf(unjudged, sizeof unjudged,
		         "; %" PRIu64 " incomplete exchange%s where bytes are missing not judged", d->unjudged,
		         d->unjudged == 1 ? "" : "s");
	for (uint32_t reason = 0; reason < PLAY_REASONS; reason++) {
		const struct play_loss *l = &losses->by[reason];
		const char *name = fdtape_loss_name(reason);

		if ((!l->count && !l->bytes) || is_chosen(reason))
			continue;
		doctor_add(d, DOCTOR_LOSS, NULL, NULL, l->from,
		           "%s: %" PRIu64 " event%s, %s are not on the tape, from %s to %s%s",
		           name ? name : "unknown reason", l->count, l->count == 1 ? "" : "s",
		           l->bytes ? text_size(size, l->bytes) : "0 bytes", text_clock(from, l->from),
		           text_clock(to, l->to), unjudged);
	}
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

/* Two live flows with one inode are one socket. */
static void find_shared(struct doctor *d, const struct player_flow *flow)
{
	struct doctor_flow *f = flow->user, *other;

	f->shared |= (flow->def.flags & FDTAPE_FLOW_INHERITED) != 0;
	if (!flow->def.inode)
		return;
	other = map_get(&d->sockets, flow->def.inode);
	if (other && other != f)
		f->shared = other->shared = true;
	else if (!map_put(&d->sockets, flow->def.inode, f))
		f->shared = true; /* for all that is known */
}

static int on_flow_opened(void *context, struct player_flow *flow)
{
	if (flow->def.kind != FDTAPE_KIND_SOCKET)
		return 0;
	flow->user = alloc_new(1, sizeof(struct doctor_flow));
	find_shared(context, flow);
	return 0;
}

static int on_flow_updated(void *context, struct player_flow *flow)
{
	if (flow->user)
		find_shared(context, flow);
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	struct doctor *d = context;
	uint64_t duration = call->event->duration,
	         end = call->wall > UINT64_MAX - duration ? UINT64_MAX : call->wall + duration;

	if (end > d->last)
		d->last = end;
	doctor_judge_call(d, call);
	return 0;
}

static int on_wire(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	(void)context;
	if (flow->user && flow->def.flags & FDTAPE_FLOW_STREAM)
		doctor_take_head(flow, dir, piece);
	return 0;
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *exchange)
{
	doctor_judge_exchange(context, flow, exchange);
	return 0;
}

static void doctor_flow_free(struct doctor_flow *f)
{
	struct doctor_waiting *waiting;

	if (f)
		free(f->request);
	while (f && (waiting = f->waiting)) {
		f->waiting = waiting->next;
		free(waiting);
	}
	free(f);
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct doctor *d = context;

	if (flow->user) {
		doctor_judge_fd(d, flow);
		doctor_judge_waiting(d, flow);
		doctor_judge_tls(d, flow);
		doctor_judge_certificate(d, flow);
		if (map_get(&d->sockets, flow->def.inode) == flow->user)
			map_take(&d->sockets, flow->def.inode);
	}
	doctor_flow_free(flow->user);
	flow->user = NULL;
	return 0;
}

const struct player_sink doctor_sink = {
        .flow_opened = on_flow_opened,
        .flow_updated = on_flow_updated,
        .flow_closed = on_flow_closed,
        .call = on_call,
        .wire = on_wire,
        .http = on_http,
};

void doctor_finish(struct doctor *d, const struct play_losses *losses)
{
	doctor_finish_calls(d);
	doctor_finish_fds(d);
	doctor_finish_tls(d);
	doctor_finish_certificates(d);
	judge_losses(d, losses);
	if (d->n)
		qsort(d->findings, d->n, sizeof *d->findings, by_time);
}

void doctor_count(const struct doctor *d, uint64_t by[static N_DOCTOR_SEVERITIES])
{
	memset(by, 0, N_DOCTOR_SEVERITIES * sizeof *by);
	for (size_t i = 0; i < d->n; i++)
		by[doctor_kind_severity(d->findings[i].kind)]++;
	for (int kind = 0; kind < N_DOCTOR_KINDS; kind++)
		by[doctor_kind_severity((enum doctor_kind)kind)] += d->more[kind];
}

int doctor_gather(struct doctor *d, struct options *options)
{
	int status;

	*d = (struct doctor){.n = 0};
	status = play(&d->play, options, &doctor_sink);
	doctor_finish(d, &d->play.losses);
	return status == CLI_DONE && d->n ? CLI_DIFFERS : status;
}

void doctor_release(struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		doctor_subject_release(&d->findings[i].subject);
		free(d->findings[i].evidence);
	}
	free(d->findings);
	map_release(&d->sockets);
}
