/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/causality.h"
#include "analyze/http_object.h"
#include "analyze/http_row.h"
#include "analyze/message_row.h"
#include "analyze/say.h"
#include "analyze/text.h"
#include "cli.h"

/*
 * Theory of operation
 *
 * What a request was made for is told by requests that end after it. So exchanges wait in a window; when it is full,
 * all in it are joined, and the trees whose root is in its older half are shown and leave. Memory is bounded by the
 * window, time is linear in the tape. A tape with fewer requests than the window holds is joined at once.
 */
enum {
	WINDOW = 65536,
	WINDOW_BYTES = 256 << 20, /* about, of what waits to be shown */
	RECENT = 16,              /* calls of a flow and direction */
	HOSTS = 256,
	DEPTH_SHOWN = 12,
	REQUEST_MAX = 1024, /* columns that a row keeps of a request */
};

/* One call that carried bytes. */
struct carrier {
	uint64_t begin, end; /* wall times */
	uint32_t tid;
};

/* Of a flow that is open: which calls carried what the next exchange will be told of. */
struct carriers {
	uint32_t host;
	struct {
		struct carrier first; /* since the last exchange; end 0: none */
		struct carrier recent[RECENT];
		size_t n;
	} dir[2];
};

/* What is shown of an exchange. */
struct shown {
	uint64_t number;
	struct json *object;   /* JSON, or else: */
	struct table_row *row; /* up to the request */
	char *request;
	size_t weight;
};

struct tree {
	struct play play;
	struct table table;
	char *hosts[HOSTS];
	uint32_t n_hosts, unnamed;
	struct causality_exchange *window;
	struct shown *shown; /* by the same index */
	size_t n, room, shown_room, weight;
	struct causality_offsets offsets;
	uint64_t requests, unanswered, incomplete;
	uint64_t clients, by[CAUSALITY_CONNECTION + 1], ambiguous;
};

/* ---- gathering -------------------------------------------------------------------------------------------------- */

static uint32_t host_index(struct tree *t, const char *name)
{
	for (uint32_t i = 0; i < t->n_hosts; i++)
		if (strcmp(t->hosts[i], name) == 0)
			return i;
	if (t->n_hosts == HOSTS)
		return HOSTS + t->unnamed++; /* one of its own: nothing is joined with it, rather than with another's */
	t->hosts[t->n_hosts] = alloc_copy(name);
	return t->n_hosts++;
}

static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct tree *t = context;
	struct carriers *c = alloc_new(1, sizeof *c);
	const char *name = fdtape_reader_meta_get(player_reader(t->play.player), "host.name");

	c->host = host_index(t, name ? name : "");
	flow->user = c;
	return 0;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	(void)context;
	free(flow->user);
	flow->user = NULL;
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	const struct fdtape_event *e = call->event;
	struct carriers *c = call->flow ? call->flow->user : NULL;
	struct carrier carrier = {.begin = call->wall, .end = call->wall + e->duration, .tid = e->tid};

	(void)context;
	if (!c || !e->bytes || e->flags & FDTAPE_EVENT_PEEK || !fdtape_call_carries(e->call))
		return 0;
	if (!c->dir[e->dir].first.end)
		c->dir[e->dir].first = carrier;
	c->dir[e->dir].recent[c->dir[e->dir].n++ % RECENT] = carrier;
	return 0;
}

/* The call that ended then: the first of a request that began, or the last of a response that ended. */
static struct carrier find_carrier(const struct carriers *c, int dir, uint64_t end)
{
	if (c->dir[dir].first.end == end)
		return c->dir[dir].first;
	for (size_t i = 0; i < RECENT && i < c->dir[dir].n; i++)
		if (c->dir[dir].recent[i].end == end)
			return c->dir[dir].recent[i];
	return (struct carrier){.begin = end, .end = end};
}

static void set_times(struct causality_exchange *x, const struct player_flow *flow, const struct http_exchange *http)
{
	const struct carriers *c = flow->user;
	bool client = x->role == FDTAPE_ROLE_CLIENT;
	struct carrier carrier;

	x->last = flow->closed ? flow->closed : UINT64_MAX;
	if (http->dir >= 0 && http->start) {
		carrier = find_carrier(c, http->dir, http->start);
		x->first = client ? carrier.begin : carrier.end;
		x->tid[0] = carrier.tid;
	}
	if (http->dir >= 0 && http->end) {
		carrier = find_carrier(c, !http->dir, http->end);
		x->last = client ? carrier.end : carrier.begin;
		x->tid[1] = carrier.tid;
	}
}

static size_t headers_weight(const struct http_message *m)
{
	size_t weight = 0;

	for (size_t i = 0; i < m->n_headers + m->n_trailers; i++) {
		const struct http_header *h = i < m->n_headers ? &m->headers[i] : &m->trailers[i - m->n_headers];

		weight += 256 + (h->name ? strlen(h->name) : 0) + (h->value ? strlen(h->value) : 0);
	}
	return weight;
}

static struct shown shown_new(const struct tree *t, const struct player_flow *flow, const struct http_exchange *x)
{
	struct shown s = {.number = t->requests, .weight = 4096};
	char text[TEXT_NUMBER_MAX];

	if (t->play.options->json) {
		s.object = http_object(flow, x);
		s.weight += headers_weight(&x->request) + headers_weight(&x->response);
		return s;
	}
	s.row = table_row_new();
	message_row_begin(s.row, flow, message_role(flow, x->dir), x->start);
	snprintf(text, sizeof text, "%d", x->status);
	table_row_add(s.row, x->status ? text : x->response.seen ? "?" : "none");
	message_row_span(s.row, x->start, x->end);
	s.request = http_request_text(x);
	if (!t->play.options->verbose)
		text_cut(s.request, REQUEST_MAX);
	s.weight += strlen(s.request);
	return s;
}

/* ---- showing ---------------------------------------------------------------------------------------------------- */

static void put_object(const struct tree *t, size_t at)
{
	const struct causality_exchange *x = &t->window[at];
	struct json *object = t->shown[at].object;

	js_set(object, "number", js_number(t->shown[at].number));
	js_set(object, "host", js_known(x->host < HOSTS ? t->hosts[x->host] : NULL));
	js_set(object, "parent", x->parent != CAUSALITY_NONE ? js_number(t->shown[x->parent].number) : js_null());
	js_set(object, "evidence", js_plain(causality_evidence_word(x->evidence)));
	js_set(object, "id", js_plain(x->evidence == CAUSALITY_BY_ID ? causality_id_word(x->id) : NULL));
	js_set(object, "candidates",
	       x->role == FDTAPE_ROLE_CLIENT && x->parent == CAUSALITY_NONE ? js_number(x->candidates) : js_null());
	js_line(t->play.options->out, object);
}

static void put_row(struct tree *t, size_t at, size_t depth)
{
	const struct causality_exchange *x = &t->window[at];
	struct shown *s = &t->shown[at];
	const char *word = x->evidence == CAUSALITY_CONNECTION ? "conn" : causality_evidence_word(x->evidence);

	if (t->play.options->verbose && x->evidence == CAUSALITY_BY_ID)
		word = causality_id_word(x->id);
	if (x->candidates)
		table_row_addf(s->row, "%zu?", x->candidates);
	else
		table_row_add(s->row, word);
	table_row_addf(s->row, "%*s%s", (int)(depth < DEPTH_SHOWN ? 2 * depth : 2 * DEPTH_SHOWN), "", s->request);
	table_row(&t->table, s->row);
	free(s->request);
}

static void put(struct tree *t, size_t at, size_t depth)
{
	const struct causality_exchange *x = &t->window[at];

	if (x->role == FDTAPE_ROLE_CLIENT) {
		t->clients++;
		t->by[x->evidence]++;
		t->ambiguous += x->candidates != 0;
	} else if (x->evidence == CAUSALITY_CONNECTION) {
		t->by[x->evidence]++;
	}
	if (t->play.options->json)
		put_object(t, at);
	else
		put_row(t, at, depth);
}

struct order {
	uint64_t first, number;
	size_t at;
};

static int by_time(const void *x, const void *y)
{
	const struct order *a = x, *b = y;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

/* Who is below whom, in the order of time: indexes, CAUSALITY_NONE at the end. Entry n is above all roots. */
struct links {
	size_t *child, *next;
};

static struct links link_all(const struct tree *t)
{
	struct links l = {alloc_new(t->n + 1, sizeof *l.child), alloc_new(t->n + 1, sizeof *l.next)};
	struct order *order = alloc_new(t->n, sizeof *order);

	for (size_t i = 0; i < t->n; i++)
		order[i] = (struct order){t->window[i].first, t->shown[i].number, i};
	if (t->n)
		qsort(order, t->n, sizeof *order, by_time);
	for (size_t i = 0; i <= t->n; i++)
		l.child[i] = l.next[i] = CAUSALITY_NONE;
	for (size_t i = t->n; i-- > 0;) {
		size_t at = order[i].at, above = t->window[at].parent == CAUSALITY_NONE ? t->n : t->window[at].parent;

		l.next[at] = l.child[above];
		l.child[above] = at;
	}
	free(order);
	return l;
}

/* The tree below a root, which leaves the window. */
static void put_tree(struct tree *t, const struct links *l, size_t root, bool *gone)
{
	size_t at = root, depth = 0;

	for (;;) {
		put(t, at, depth);
		gone[at] = true;
		if (l->child[at] != CAUSALITY_NONE) {
			at = l->child[at];
			depth++;
			continue;
		}
		while (at != root && l->next[at] == CAUSALITY_NONE) {
			at = t->window[at].parent;
			depth--;
		}
		if (at == root)
			return;
		at = l->next[at];
	}
}

/* Shows the trees whose root was told as one of the first n. */
static void put_trees(struct tree *t, size_t n)
{
	bool *gone = alloc_new(t->n, sizeof *gone);
	size_t kept = 0;
	struct links l;

	causality_join(t->window, t->n, &t->offsets);
	l = link_all(t);
	for (size_t root = l.child[t->n]; root != CAUSALITY_NONE; root = l.next[root])
		if (root < n)
			put_tree(t, &l, root, gone);
	t->weight = 0;
	for (size_t i = 0; i < t->n; i++) {
		if (gone[i])
			continue;
		t->window[kept] = t->window[i];
		t->weight += t->shown[i].weight;
		t->shown[kept++] = t->shown[i];
	}
	t->n = kept;
	free(l.child);
	free(l.next);
	free(gone);
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *http)
{
	struct tree *t = context;
	struct carriers *c = flow->user;
	struct causality_exchange *x;

	t->requests++;
	t->unanswered += !http->status;
	t->incomplete += !http->complete;
	t->window = alloc_grow(t->window, &t->room, t->n + 1, sizeof *t->window);
	t->shown = alloc_grow(t->shown, &t->shown_room, t->n + 1, sizeof *t->shown);
	x = &t->window[t->n];
	*x = (struct causality_exchange){.host = c->host};
	causality_describe(x, flow, http);
	set_times(x, flow, http);
	t->shown[t->n] = shown_new(t, flow, http);
	t->weight += t->shown[t->n++].weight;
	c->dir[FDTAPE_IN].first.end = c->dir[FDTAPE_OUT].first.end = 0;
	if (t->n >= WINDOW || t->weight >= WINDOW_BYTES) {
		put_trees(t, t->n / 2);
		if (t->n >= WINDOW || t->weight >= WINDOW_BYTES) /* hardly anything could leave */
			put_trees(t, t->n);
	}
	return 0;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

/* "+3600.250000123 s": all of it, for it is what times of the other host are corrected by. */
static void put_seconds(FILE *out, int64_t ns)
{
	uint64_t far = (uint64_t)(ns < 0 ? -ns : ns);

	if (far == CAUSALITY_FAR)
		fputs("anything", out);
	else
		fprintf(out, "%c%" PRIu64 ".%09u s", ns < 0 ? '-' : '+', far / 1000000000,
		        (unsigned)(far % 1000000000));
}

static void put_name(FILE *out, const struct tree *t, uint32_t host)
{
	if (host < HOSTS && *t->hosts[host])
		cli_put_string(out, t->hosts[host]);
	else
		fputs("(host without a name)", out);
}

static struct json *bound(int64_t ns)
{
	return ns == -CAUSALITY_FAR || ns == CAUSALITY_FAR ? js_null() : js_signed(ns);
}

/* Both bounds are there and leave room between them. */
static bool is_known(const struct causality_offset *o)
{
	return o->low <= o->high && o->low != -CAUSALITY_FAR && o->high != CAUSALITY_FAR;
}

static void put_offset(const struct tree *t, const struct causality_offset *o)
{
	char off[TEXT_DURATION_MAX];
	FILE *out = t->play.options->out;
	struct json *object;

	if (t->play.options->json) {
		object = js_object();
		js_set(object, "clock", js_text(o->b < HOSTS ? t->hosts[o->b] : NULL));
		js_set(object, "against", js_text(o->a < HOSTS ? t->hosts[o->a] : NULL));
		js_set(object, "ahead_ns", is_known(o) ? js_signed(causality_offset_middle(o)) : js_null());
		js_set(object, "low_ns", bound(o->low));
		js_set(object, "high_ns", bound(o->high));
		js_set(object, "requests", js_number(o->pairs));
		js_line(out, object);
		return;
	}
	fputs("clock of ", out);
	put_name(out, t, o->b);
	fputs(" against that of ", out);
	put_name(out, t, o->a);
	fputs(": ", out);
	if (is_known(o)) {
		put_seconds(out, causality_offset_middle(o));
		fprintf(out, ", %s off at most", text_duration(off, (uint64_t)(o->high - o->low + 1) / 2));
	} else {
		fputs(o->low > o->high ? "contradictory, at least " : "at least ", out);
		put_seconds(out, o->low);
		fputs(", at most ", out);
		put_seconds(out, o->high);
	}
	fprintf(out, ", by %" PRIu64 " request%s\n", o->pairs, o->pairs == 1 ? "" : "s");
}

static void put_totals(const struct tree *t)
{
	uint64_t joined = t->clients - t->by[CAUSALITY_UNKNOWN];
	FILE *out = t->play.options->out;

	fprintf(out, "%s%" PRIu64 " request%s, %" PRIu64 " without an answer, %" PRIu64 " incomplete\n",
	        t->requests ? "\n" : "", t->requests, t->requests == 1 ? "" : "s", t->unanswered, t->incomplete);
	fprintf(out, "%" PRIu64 " sent: %" PRIu64 " for a request that was served", t->clients, joined);
	if (joined)
		fprintf(out, " (id %" PRIu64 ", only %" PRIu64 ", thread %" PRIu64 ")", t->by[CAUSALITY_BY_ID],
		        t->by[CAUSALITY_BY_ONLY], t->by[CAUSALITY_BY_THREAD]);
	fprintf(out, ", %" PRIu64 " ambiguous, %" PRIu64 " for none\n", t->ambiguous,
	        t->by[CAUSALITY_UNKNOWN] - t->ambiguous);
	if (t->by[CAUSALITY_CONNECTION])
		fprintf(out, "%" PRIu64 " seen at both ends of the connection\n", t->by[CAUSALITY_CONNECTION]);
}

int view_tree(struct options *options)
{
	static const struct table_column columns[] = {
	        {"TIME (UTC)", false}, {"FLOW", true},  {"PROCESS", false}, {"ROLE", false},
	        {"CODE", true},        {"TOTAL", true}, {"WHY", false},     {"REQUEST", false},
	};
	const struct player_sink sink = {.flow_opened = on_flow_opened,
	                                 .flow_closed = on_flow_closed,
	                                 .call = on_call,
	                                 .http = on_http,
	                                 .http_content = options->json,
	                                 .http_digests = true};
	struct tree t = {.requests = 0};
	int status;

	table_start(&t.table, options->out, columns, sizeof columns / sizeof *columns,
	            options->verbose ? 0 : TABLE_WIDTH);
	status = play(&t.play, options, &sink);
	put_trees(&t, t.n);
	table_end(&t.table);
	if (!options->json && !t.play.failed)
		put_totals(&t);
	for (size_t i = 0; i < t.offsets.n; i++)
		put_offset(&t, &t.offsets.of[i]);
	play_note(&t.play);
	for (uint32_t i = 0; i < t.n_hosts; i++)
		free(t.hosts[i]);
	free(t.window);
	free(t.shown);
	return status;
}
