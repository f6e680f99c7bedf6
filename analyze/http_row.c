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

static void put(struct alloc_string *to, const char *text)
{
	alloc_string_add(to, text, strlen(text));
}

static void put_target(struct alloc_string *to, const struct http_exchange *x)
{
	if (x->method) {
		text_add_escaped(to, x->method);
		put(to, " ");
		if (x->authority && x->target && *x->target == '/')
			text_add_escaped(to, x->authority);
		if (x->target)
			text_add_escaped(to, x->target);
	} else {
		put(to, x->request.seen ? "(request not decoded)" : "(request not seen)");
	}
}

char *http_target_text(const struct http_exchange *x)
{
	struct alloc_string text = {0};

	put_target(&text, x);
	return text.text;
}

char *http_request_text(const struct http_exchange *x)
{
	struct alloc_string text = {0};
	char number[TEXT_NUMBER_MAX];

	if (x->reset) {
		put(&text, "(reset ");
		put(&text, x->reset);
		put(&text, ") ");
	} else if (!x->complete) {
		put(&text, "(incomplete) ");
	}
	if (x->pushed)
		put(&text, "(pushed) ");
	if (x->grpc && x->grpc_status >= 0) {
		put(&text, "(gRPC ");
		put(&text, text_number(number, (uint64_t)x->grpc_status));
		put(&text, ") ");
	}
	put_target(&text, x);
	return text.text;
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
	if (x->status > 0)
		table_row_add(row, text_number(text, (uint64_t)x->status));
	else if (x->status)
		table_row_addf(row, "%d", x->status); /* HTTP/2 may say anything */
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
