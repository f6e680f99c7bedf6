/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>

#include "analyze/http_object.h"
#include "analyze/http_row.h"

struct http {
	struct play play;
	struct table table;
	uint64_t requests, unanswered, incomplete;
};

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *x)
{
	struct http *view = context;

	view->requests++;
	view->unanswered += !x->status;
	view->incomplete += !x->complete;
	if (view->play.options->json)
		js_line(view->play.options->out, http_object(flow, x));
	else
		table_row(&view->table, http_row(flow, x, view->play.options->verbose));
	return 0;
}

int view_http(struct options *options)
{
	struct http view = {.requests = 0};
	const struct player_sink sink = {
	        .http = on_http, .http_content = options->json || options->verbose, .http_digests = options->json};
	int status;

	if (options->tree)
		return view_tree(options);
	if (options->verbose)
		table_start(&view.table, options->out, http_row_wide_columns, HTTP_ROW_WIDE_COLUMNS, 0);
	else
		table_start(&view.table, options->out, http_row_columns, HTTP_ROW_COLUMNS, TABLE_WIDTH);
	status = play(&view.play, options, &sink);
	table_end(&view.table);
	if (!options->json && !view.play.failed)
		fprintf(options->out,
		        "%s%" PRIu64 " request%s, %" PRIu64 " without an answer, %" PRIu64 " incomplete\n",
		        view.requests ? "\n" : "", view.requests, view.requests == 1 ? "" : "s", view.unanswered,
		        view.incomplete);
	play_note(&view.play);
	return status;
}
