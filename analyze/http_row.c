/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/http_row.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "analyze/alloc.h"
#include "analyze/content.h"
#include "analyze/message_row.h"
#include "analyze/text.h"

const struct table_column http_row_columns[HTTP_ROW_COLUMNS] = {
        {"TIME (UTC)", false}, {"FLOW", true}, {"PROCESS", false}, {"ROLE", false},
        {"CODE", true},        {"BODY", true}, {"TOTAL", true},    {"REQUEST", false},
};

const struct table_column http_row_wide_columns[HTTP_ROW_WIDE_COLUMNS] = {
        {"TIME (UTC)", false}, {"FLOW", true},  {"PROCESS", false}, {"ROLE", false}, {"CODE", true},
        {"BODY", true},        {"TOTAL", true}, {"SENT", true},     {"TTFB", true},  {"REQUEST", false},
};

static void put_target(FILE *out, const struct http_exchange *x)
{
	if (x->method) {
		cli_put_string(out, x->method);
		fputc(' ', out);
		if (x->authority && x->target && *x->target == '/')
			cli_put_string(out, x->authority);
		if (x->target)
			cli_put_string(out, x->target);
	} else {
		fputs(x->request.seen ? "(request not decoded)" : "(request not seen)", out);
	}
}

char *http_target_text(const struct http_exchange *x)
{
	struct alloc_text text;

	alloc_text_begin(&text);
	put_target(text.out, x);
	return alloc_text_end(&text);
}

char *http_request_text(const struct http_exchange *x)
{
	struct alloc_text text;
	FILE *out;

	alloc_text_begin(&text);
	out = text.out;
	if (x->reset)
		fprintf(out, "(reset %s) ", x->reset);
	else if (!x->complete)
		fputs("(incomplete) ", out);
	if (x->pushed)
		fputs("(pushed) ", out);
	if (x->grpc && x->grpc_status >= 0)
		fprintf(out, "(gRPC %d) ", x->grpc_status);
	put_target(out, x);
	return alloc_text_end(&text);
}

/* What --verbose adds below a row; NULL: nothing. */
static char *note_text(const struct http_exchange *x)
{
	char *sent = content_text(&x->request), *got = content_text(&x->response);
	struct alloc_text text;

	if (!sent && !got)
		return NULL;
	alloc_text_begin(&text);
	if (sent)
		fprintf(text.out, "      request content: %s", sent);
	if (got)
		fprintf(text.out, "%s      response content: %s", sent ? "\n" : "", got);
	free(sent);
	free(got);
	return alloc_text_end(&text);
}

struct table_row *http_row(const struct player_flow *flow, const struct http_exchange *x, bool wide)
{
	struct table_row *row = table_row_new();
	char text[TEXT_SIZE_MAX], *request = http_request_text(x);

	message_row_begin(row, flow, message_role(flow, x->dir), x->start);
	if (x->status)
		table_row_addf(row, "%d", x->status);
	else
		table_row_add(row, x->response.seen ? "?" : "none");
	table_row_add(row, x->response.seen ? text_size(text, x->response.body_bytes) : "-");
	message_row_span(row, x->start, x->end);
	if (wide) {
		table_row_add(row, text_size(text, x->request.body_bytes));
		message_row_span(row, x->start, x->first_byte);
	}
	table_row_add(row, request);
	if (wide)
		row->note = note_text(x);
	free(request);
	return row;
}
