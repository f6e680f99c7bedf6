/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/summary.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/flow_row.h"
#include "analyze/http_row.h"
#include "analyze/text.h"
#include "analyze/words.h"

const char *summary_blind_word(enum summary_blind_kind kind)
{
	static const char *const words[N_BLINDS] = {
	        [BLIND_SEALED] = "sealed",   [BLIND_PARTLY] = "partly",       [BLIND_CONFLICT] = "conflict",
	        [BLIND_LOST] = "lost",       [BLIND_PREOPENED] = "preopened", [BLIND_PENDING] = "pending",
	        [BLIND_UNBOUND] = "unbound",
	};

	return words[kind];
}

const char *summary_blind_text(enum summary_blind_kind kind)
{
	static const char *const texts[N_BLINDS] = {
	        [BLIND_SEALED] = "TLS that nothing on the tape decrypts",
	        [BLIND_PARTLY] = "TLS of which some records could not be decrypted",
	        [BLIND_UNBOUND] = "TLS library objects whose connection is not known",
	        [BLIND_CONFLICT] = "library calls that delivered other bytes than the wire decrypts to",
	        [BLIND_LOST] = "flows with bytes that are not on the tape",
	        [BLIND_PREOPENED] = "flows that were open before recording began",
	        [BLIND_PENDING] = "calls still in flight when recording stopped",
	};

	return texts[kind];
}

const char *summary_error_text(char out[static 96], const struct summary_error *error)
{
	char call[WORDS_CALL_MAX], failure[WORDS_RESULT_MAX];

	if (error->call)
		snprintf(out, 96, "%s %s", words_call(call, error->call), words_failure(failure, -error->code));
	else
		snprintf(out, 96, "HTTP %" PRId64, error->code);
	return out;
}

/* ---- processes -------------------------------------------------------------------------------------------------- */

static int compare(const struct summary_process *p, const struct player_process *process)
{
	if (p->pid != process->pid)
		return p->pid < process->pid ? -1 : 1;
	return strcmp(p->exe, process->exe);
}

/* The process image's entry, made when there is none. */
static struct summary_process *process_of(struct summary *s, const struct player_process *process)
{
	size_t low = 0, high = s->n_processes;
	struct summary_process *p;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(&s->processes[middle], process);

		if (order == 0)
			return &s->processes[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	s->processes = alloc_grow(s->processes, &s->room, s->n_processes + 1, sizeof *s->processes);
	p = &s->processes[low];
	memmove(p + 1, p, (s->n_processes++ - low) * sizeof *p);
	*p = (struct summary_process){
	        .pid = process->pid,
	        .exe = alloc_copy(process->exe),
	        .comm = alloc_copy(process->comm),
	        .cmdline = alloc_copy(process->cmdline),
	};
	return p;
}

/* ---- errors and blind spots ------------------------------------------------------------------------------------- */

/* Takes over the example. */
static void add_error(struct summary *s, uint32_t call, int64_t code, uint64_t wall, char *example)
{
	struct summary_error *e = s->errors, *end = s->errors + s->n_errors;

	while (e < end && (e->call != call || e->code != code))
		e++;
	if (e == s->errors + SUMMARY_ERRORS) {
		s->other_errors++;
	} else if (e == end) {
		s->n_errors++;
		*e = (struct summary_error){.call = call, .code = code, .count = 1, .first = wall, .example = example};
		return;
	} else {
		e->count++;
	}
	free(example);
}

static char *call_example(const struct player_call *call)
{
	char process[WORDS_PROCESS_MAX], address[TEXT_ADDRESS_MAX], text[WORDS_PROCESS_MAX + TEXT_ADDRESS_MAX + 32];
	const char *remote = call->flow ? text_address(address, &call->flow->def.remote) : NULL;

	snprintf(text, sizeof text, "%s fd %" PRId32 "%s%s", words_process(process, call->process), call->event->fd,
	         remote ? ", peer " : "", remote ? remote : "");
	return alloc_copy(text);
}

static void add_blind(struct summary *s, enum summary_blind_kind kind, uint64_t bytes, uint64_t flow)
{
	struct summary_blind *b = &s->blinds[kind];

	b->count++;
	b->bytes += bytes;
	if (flow && (!b->flow || flow < b->flow))
		b->flow = flow;
}

static void find_blinds(struct summary *s, const struct player_flow *flow)
{
	const struct tls_info *tls = &flow->tls;
	uint64_t bytes = flow->traffic[FDTAPE_IN].bytes + flow->traffic[FDTAPE_OUT].bytes;
	uint64_t lost = flow_lost(flow, FDTAPE_IN) + flow_lost(flow, FDTAPE_OUT);
	bool is_tls = tls->verdict == TLS_VERDICT_TLS || tls->verdict == TLS_VERDICT_MIXED;

	if (is_tls && tls->plaintext == TLS_PLAINTEXT_NONE)
		add_blind(s, BLIND_SEALED, bytes, flow->number);
	else if (is_tls && tls->plaintext != TLS_PLAINTEXT_CALLS && tls->evidence & TLS_EVIDENCE_BAD_TAG)
		add_blind(s, BLIND_PARTLY, 0, flow->number);
	if (tls->evidence & TLS_EVIDENCE_CALLS_DIFFER)
		add_blind(s, BLIND_CONFLICT, 0, flow->number);
	if (lost)
		add_blind(s, BLIND_LOST, lost, flow->number);
	if (flow->def.flags & FDTAPE_FLOW_PREOPENED && bytes)
		add_blind(s, BLIND_PREOPENED, 0, flow->number);
}

/* ---- unknown protocols ------------------------------------------------------------------------------------------ */

const struct table_column summary_unknown_columns[SUMMARY_UNKNOWN_COLUMNS] = {
        {"FLOW", true}, {"PROCESS", false}, {"ROLE", false}, {"IN", true}, {"OUT", true}, {"BEGINS WITH", false},
};

enum {
	BEGINNING = 16 /* bytes of each direction, on the page */
};

/* Both directions' first bytes, that of who began first. */
static void add_beginning(struct table_row *row, const struct first_bytes *first)
{
	enum fdtape_dir dir = first->n_turns ? first->turns[0].dir : FDTAPE_OUT;
	struct alloc_text text;
	const char *separator = "";
	char *line;

	alloc_text_begin(&text);
	for (int i = 0; i < 2; i++, dir = dir == FDTAPE_OUT ? FDTAPE_IN : FDTAPE_OUT) {
		char *bytes = first_bytes_text(first, dir, BEGINNING);

		if (first->side[dir].n) {
			fprintf(text.out, "%s%s %s%s", separator, words_dir(dir), bytes,
			        first->side[dir].bytes > BEGINNING ? "..." : "");
			separator = "  ";
		}
		free(bytes);
	}
	line = alloc_text_end(&text);
	table_row_add(row, line);
	free(line);
}

static struct table_row *unknown_row(const struct player_flow *flow, const struct first_bytes *first)
{
	struct table_row *row = table_row_new();
	char text[WORDS_PROCESS_MAX];

	table_row_addf(row, "%" PRIu64, flow->number);
	table_row_add(row, words_process(text, flow->process));
	table_row_add(row, flow->role == FDTAPE_ROLE_UNKNOWN ? "-" : words_role(flow->role));
	table_row_add(row, text_size(text, first->side[FDTAPE_IN].bytes));
	table_row_add(row, text_size(text, first->side[FDTAPE_OUT].bytes));
	add_beginning(row, first);
	return row;
}

static void judge_protocol(struct summary *s, const struct player_flow *flow)
{
	struct first_bytes *first = first_bytes_take(&s->beginnings, flow);
	uint64_t bytes = first ? first->side[FDTAPE_IN].bytes + first->side[FDTAPE_OUT].bytes : 0;

	if (!first)
		return;
	s->unknown_flows++;
	if (top_wants(&s->unknown, bytes))
		top_add(&s->unknown, bytes,
		        s->play.options->json ? (void *)summary_unknown_object(flow, first)
		                              : (void *)unknown_row(flow, first));
	free(first);
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

static int on_section(void *context, const struct player *player)
{
	struct summary *s = context;

	(void)player;
	s->sections++;
	return 0;
}

static int on_process(void *context, const struct player_process *process, uint64_t wall)
{
	(void)wall;
	process_of(context, process);
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	struct summary *s = context;
	const struct fdtape_event *e = call->event;

	doctor_sink.call(&s->doctor, call);
	if (!s->calls++ || call->wall < s->first)
		s->first = call->wall;
	if (call->wall + e->duration > s->last)
		s->last = call->wall + e->duration;
	if (words_is_failure(e))
		add_error(s, e->call, -e->result, call->wall, call_example(call));
	if (e->flags & FDTAPE_EVENT_PENDING)
		add_blind(s, BLIND_PENDING, 0, call->flow ? call->flow->number : 0);
	return 0;
}

/* Its bytes are those of a socket flow, known or not: they are not counted twice. */
static int on_library_closed(struct summary *s, const struct player_flow *flow)
{
	if (!flow->bound)
		add_blind(s, BLIND_UNBOUND, flow->traffic[FDTAPE_IN].bytes + flow->traffic[FDTAPE_OUT].bytes,
		          flow->number);
	return 0;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct summary *s = context;
	struct summary_process *process = process_of(s, flow->process);
	uint64_t bytes = 0;

	doctor_sink.flow_closed(&s->doctor, flow);
	judge_protocol(s, flow);
	if (flow->def.kind == FDTAPE_KIND_LIBRARY)
		return on_library_closed(s, flow);
	s->flows++;
	s->idle += flow_is_idle(flow);
	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT; dir++) {
		bytes += flow->traffic[dir].bytes;
		process->bytes[dir] += flow->traffic[dir].bytes;
		s->bytes[dir] += flow->traffic[dir].bytes;
		s->lost[dir] += flow_lost(flow, dir);
	}
	process->flows += bytes > 0;
	if (flow->tls.verdict <= TLS_VERDICT_MIXED && bytes)
		s->by_verdict[flow->tls.verdict]++;
	s->readable += (flow->tls.verdict == TLS_VERDICT_TLS || flow->tls.verdict == TLS_VERDICT_MIXED) &&
	               flow->tls.plaintext != TLS_PLAINTEXT_NONE;
	find_blinds(s, flow);
	if (bytes && top_wants(&s->largest, bytes))
		top_add(&s->largest, bytes,
		        s->play.options->json ? (void *)summary_flow_object(flow)
		                              : (void *)flow_row(flow, false, NULL));
	return 0;
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *x)
{
	struct summary *s = context;
	uint64_t span = x->start && x->end > x->start ? x->end - x->start : 0;

	doctor_sink.http(&s->doctor, flow, x);
	s->requests++;
	process_of(s, flow->process)->requests++;
	s->unanswered += !x->status;
	s->incomplete += x->status && !x->complete;
	s->by_class[x->status >= 100 && x->status < 600 ? x->status / 100 : 0] += x->status != 0;
	if (x->status >= 400)
		add_error(s, 0, x->status, x->start ? x->start : x->first_byte, http_request_text(x));
	if (span && top_wants(&s->slowest, span))
		top_add(&s->slowest, span,
		        s->play.options->json ? (void *)summary_request_object(flow, x)
		                              : (void *)http_row(flow, x, false));
	return 0;
}

static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct summary *s = context;

	return doctor_sink.flow_opened(&s->doctor, flow);
}

static int on_flow_updated(void *context, struct player_flow *flow)
{
	struct summary *s = context;

	return doctor_sink.flow_updated(&s->doctor, flow);
}

static int on_wire(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct summary *s = context;

	return doctor_sink.wire(&s->doctor, flow, dir, piece);
}

static int on_plain(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct summary *s = context;

	/* Who talks to the kernel (netlink) or on no transport at all is another matter. */
	if (flow->def.proto != FDTAPE_PROTO_OTHER)
		first_bytes_add(&s->beginnings, flow, dir, piece);
	return 0;
}

static void release_row(void *value)
{
	table_row_free(value);
}

static void release_object(void *value)
{
	js_free(value);
}

int summary_gather(struct summary *s, struct options *options)
{
	const struct player_sink sink = {
	        .section = on_section,
	        .process = on_process,
	        .flow_opened = on_flow_opened,
	        .flow_updated = on_flow_updated,
	        .flow_closed = on_flow_closed,
	        .call = on_call,
	        .wire = on_wire,
	        .plain = on_plain,
	        .http = on_http,
	        .protocol = true,
	};
	int status;

	*s = (struct summary){
	        .largest = {.limit = SUMMARY_LARGEST, .release = options->json ? release_object : release_row},
	        .slowest = {.limit = SUMMARY_SLOWEST, .release = options->json ? release_object : release_row},
	        .unknown = {.limit = SUMMARY_UNKNOWN, .release = options->json ? release_object : release_row},
	};
	status = play(&s->play, options, &sink);
	doctor_finish(&s->doctor, &s->play.losses);
	return status;
}

void summary_release(struct summary *s)
{
	for (size_t i = 0; i < s->n_processes; i++) {
		free(s->processes[i].exe);
		free(s->processes[i].comm);
		free(s->processes[i].cmdline);
	}
	free(s->processes);
	for (size_t i = 0; i < s->n_errors; i++)
		free(s->errors[i].example);
	first_bytes_release(&s->beginnings);
	doctor_release(&s->doctor);
}
