/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/json.h"
#include "analyze/message_row.h"
#include "analyze/text.h"
#include "cli.h"

struct dns {
	struct play play;
	struct table table;
	uint64_t queries, failed, unanswered;
};

static const struct table_column columns[] = {
        {"TIME (UTC)", false}, {"FLOW", true},  {"PROCESS", false}, {"ROLE", false},   {"TYPE", false},
        {"CODE", false},       {"TOTAL", true}, {"NAME", false},    {"ANSWER", false},
};

enum {
	WORD_MAX = 16
};

static struct json *records_array(const struct dns_exchange *x)
{
	struct json *array = js_array(), *object;
	char text[WORD_MAX];

	for (size_t i = 0; i < x->n_records; i++) {
		const struct dns_record *r = &x->records[i];

		object = js_object();
		js_set(object, "name", js_text(r->name));
		js_set(object, "type", js_plain(dns_type(text, r->type)));
		js_set(object, "class", js_plain(dns_class(text, r->rr_class)));
		js_set(object, "ttl", js_number(r->ttl));
		js_set(object, "data", js_text(r->data));
		js_add(array, object);
	}
	return array;
}

static struct json *flags_array(const struct dns_exchange *x)
{
	const struct {
		bool set;
		const char *name;
	} flags[] = {{x->aa, "aa"}, {x->tc, "tc"}, {x->rd, "rd"}, {x->ra, "ra"}, {x->ad, "ad"}, {x->cd, "cd"}};
	struct json *array = js_array();

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (flags[i].set)
			js_add(array, js_plain(flags[i].name));
	return array;
}

/* By whom a process is asked, and whom it asks. */
static uint32_t role_of(const struct dns_exchange *x)
{
	return x->dir == FDTAPE_OUT ? FDTAPE_ROLE_CLIENT : FDTAPE_ROLE_SERVER;
}

static struct json *exchange_object(const struct player_flow *flow, const struct dns_exchange *x)
{
	const struct fdtape_address *peer = x->peer ? x->peer : &flow->def.remote;
	struct json *object = message_object(flow, role_of(x));
	char text[WORD_MAX], address[TEXT_ADDRESS_MAX];

	js_set(object, "transport", js_plain(x->tcp ? "tcp" : "udp"));
	js_set(object, "peer", js_plain(text_address(address, peer)));
	js_set(object, "id", js_number(x->id));
	js_set(object, "name", js_text(x->name));
	js_set(object, "type", js_plain(dns_type(text, x->type)));
	js_set(object, "class", js_plain(dns_class(text, x->qclass)));
	js_set(object, "rcode", js_plain(x->answered ? dns_rcode(text, x->rcode) : NULL));
	js_set(object, "flags", flags_array(x));
	js_set(object, "answers", x->answered ? records_array(x) : js_null());
	js_set(object, "query_bytes", x->queried ? js_number(x->query_bytes) : js_null());
	js_set(object, "response_bytes", x->answered ? js_number(x->response_bytes) : js_null());
	js_set(object, "start", js_time(x->start));
	js_set(object, "duration_ns", js_span(x->start, x->end));
	js_set(object, "complete", js_bool(x->complete));
	return object;
}

static char *answer_text(const struct dns_exchange *x)
{
	struct alloc_text text;
	char word[WORD_MAX];

	alloc_text_begin(&text);
	if (x->answered && !x->queried)
		fputs("(query not seen) ", text.out);
	if (x->tc)
		fputs("(truncated) ", text.out);
	for (size_t i = 0; i < x->n_records; i++) {
		const struct dns_record *r = &x->records[i];

		fputs(i ? ", " : "", text.out);
		if (r->type != x->type)
			fprintf(text.out, "%s ", dns_type(word, r->type));
		cli_put_string(text.out, r->data);
	}
	return alloc_text_end(&text);
}

static void put_row(struct dns *view, const struct player_flow *flow, const struct dns_exchange *x)
{
	struct table_row *row = table_row_new();
	char word[WORD_MAX], *name = text_escape_string(x->name), *answer = answer_text(x);

	message_row_begin(row, flow, role_of(x), x->start ? x->start : x->end);
	table_row_add(row, dns_type(word, x->type));
	table_row_add(row, x->answered ? dns_rcode(word, x->rcode) : "none");
	message_row_span(row, x->start, x->end);
	if (!view->play.options->verbose)
		text_cut(name, 40);
	table_row_add(row, name);
	table_row_add(row, answer);
	free(name);
	free(answer);
	table_row(&view->table, row);
}

static int on_dns(void *context, struct player_flow *flow, const struct dns_exchange *x)
{
	struct dns *view = context;

	view->queries++;
	view->failed += x->answered && x->rcode != 0;
	view->unanswered += !x->answered;
	if (view->play.options->json)
		js_line(view->play.options->out, exchange_object(flow, x));
	else
		put_row(view, flow, x);
	return 0;
}

int view_dns(struct options *options)
{
	struct dns view = {.queries = 0};
	const struct player_sink sink = {.dns = on_dns};
	int status;

	table_start(&view.table, options->out, columns, sizeof columns / sizeof *columns,
	            options->verbose ? 0 : TABLE_WIDTH);
	status = play(&view.play, options, &sink);
	table_end(&view.table);
	if (!options->json && !view.play.failed)
		fprintf(options->out, "%s%" PRIu64 " quer%s, %" PRIu64 " failed, %" PRIu64 " without an answer\n",
		        view.queries ? "\n" : "", view.queries, view.queries == 1 ? "y" : "ies", view.failed,
		        view.unanswered);
	play_note(&view.play);
	return status;
}
