/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/http_row.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "analyze/alloc.h"
#include "analyze/text.h"
#include "analyze/words.h"

const struct table_column http_row_columns[HTTP_ROW_COLUMNS] = {
        {"TIME (UTC)", false}, {"FLOW", true}, {"PROCESS", false}, {"ROLE", false},
        {"CODE", true},        {"BODY", true}, {"TOTAL", true},    {"REQUEST", false},
};

const struct table_column http_row_wide_columns[HTTP_ROW_WIDE_COLUMNS] = {
        {"TIME (UTC)", false}, {"FLOW", true},  {"PROCESS", false}, {"ROLE", false}, {"CODE", true},
        {"BODY", true},        {"TOTAL", true}, {"SENT", true},     {"TTFB", true},  {"REQUEST", false},
};

static void add_span(struct table_row *row, uint64_t from, uint64_t to)
{
	char text[TEXT_DURATION_MAX];

	table_row_add(row, from && to >= from ? text_duration(text, to - from) : "-");
}

char *http_request_text(const struct http_exchange *x)
{
	struct alloc_text text;
	FILE *out;

	alloc_text_begin(&text);
	out = text.out;
	if (!x->complete)
		fputs("(incomplete) ", out);
	if (x->method) {
		cli_put_string(out, x->method);
		fputc(' ', out);
		if (x->authority && x->target && *x->target == '/')
			cli_put_string(out, x->authority);
		if (x->target)
			cli_put_string(out, x->target);
	} else {
		fputs("(request not seen)", out);
	}
	return alloc_text_end(&text);
}

struct table_row *http_row(const struct player_flow *flow, const struct http_exchange *x, bool wide)
{
	struct table_row *row = table_row_new();
	char text[WORDS_PROCESS_MAX], *request = http_request_text(x);

	table_row_addf(row, "%.12s", x->start ? text_clock(text, x->start) : "-");
	table_row_addf(row, "%" PRIu64, flow->number);
	table_row_add(row, words_process(text, flow->process));
	table_row_add(row, flow->role == FDTAPE_ROLE_UNKNOWN ? "-" : words_role(flow->role));
	if (x->status)
		table_row_addf(row, "%d", x->status);
	else
		table_row_add(row, "none");
	table_row_add(row, x->response.seen ? text_size(text, x->response.body_bytes) : "-");
	add_span(row, x->start, x->end);
	if (wide) {
		table_row_add(row, text_size(text, x->request.body_bytes));
		add_span(row, x->start, x->first_byte);
	}
	table_row_add(row, request);
	free(request);
	return row;
}
