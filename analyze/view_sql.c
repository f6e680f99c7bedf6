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

struct sql {
	struct play play;
	struct table table;
	uint64_t commands, failed, incomplete;
};

static const struct table_column columns[] = {
        {"TIME (UTC)", false}, {"FLOW", true},  {"PROCESS", false}, {"ROLE", false},    {"PROTO", false},
        {"ROWS", true},        {"TOTAL", true}, {"ERROR", false},   {"COMMAND", false},
};

static struct json *command_object(const struct player_flow *flow, const struct sql_command *c)
{
	struct json *object = message_object(flow, message_role(flow, c->dir));
	char *text = c->text ? text_escape(c->text, c->len) : NULL;

	js_set(object, "protocol", js_plain(c->protocol));
	js_set(object, "user", js_text(c->user));
	js_set(object, "database", js_text(c->database));
	js_set(object, "kind", js_plain(c->kind));
	js_set(object, "command", js_plain(text));
	js_set(object, "command_cut", js_bool(c->cut));
	js_set(object, "rows", c->rows >= 0 ? js_signed(c->rows) : js_null());
	js_set(object, "error", js_text(c->error));
	js_set(object, "error_message", js_text(c->message));
	js_set(object, "bytes_sent", js_number(c->bytes_sent));
	js_set(object, "bytes_answer", c->answered ? js_number(c->bytes_answer) : js_null());
	js_set(object, "start", js_time(c->start));
	js_set(object, "ttfb_ns", js_span(c->start, c->first_byte));
	js_set(object, "duration_ns", js_span(c->start, c->end));
	js_set(object, "complete", js_bool(c->complete));
	free(text);
	return object;
}

/* The statement on one line: what separates words is a space. */
static char *command_text(const struct sql_command *c)
{
	struct alloc_text text;
	char *line;
	size_t n = 0;

	alloc_text_begin(&text);
	if (!c->complete)
		fputs("(incomplete) ", text.out);
	if (strcmp(c->kind, "query") != 0 && strcmp(c->kind, "command") != 0)
		fprintf(text.out, "(%s) ", c->kind);
	if (c->text) {
		line = alloc_new(c->len + 1, 1);
		for (size_t i = 0; i < c->len; i++) {
			bool space =
			        c->text[i] == '\n' || c->text[i] == '\r' || c->text[i] == '\t' || c->text[i] == ' ';

			if (!space)
				line[n++] = c->text[i];
			else if (n > 0 && line[n - 1] != ' ')
				line[n++] = ' ';
		}
		cli_put_text(text.out, line, n);
		free(line);
	} else {
		fputs("(text not seen)", text.out);
	}
	return alloc_text_end(&text);
}

static void put_row(struct sql *view, const struct player_flow *flow, const struct sql_command *c)
{
	struct table_row *row = table_row_new();
	char *text = command_text(c), *error;

	message_row_begin(row, flow, message_role(flow, c->dir), c->start ? c->start : c->first_byte);
	table_row_add(row, c->protocol);
	if (c->rows >= 0)
		table_row_addf(row, "%" PRId64, c->rows);
	else
		table_row_add(row, "-");
	message_row_span(row, c->start, c->end);
	error = c->error ? text_escape_string(c->error) : NULL;
	table_row_add(row, error ? error : c->answered ? "-" : "none");
	table_row_add(row, text);
	if (view->play.options->verbose && c->message) {
		struct alloc_text note;

		alloc_text_begin(&note);
		fputs("      ", note.out);
		cli_put_string(note.out, c->message);
		row->note = alloc_text_end(&note);
	}
	free(error);
	free(text);
	table_row(&view->table, row);
}

static int on_sql(void *context, struct player_flow *flow, const struct sql_command *c)
{
	struct sql *view = context;

	view->commands++;
	view->failed += c->error != NULL;
	view->incomplete += !c->complete;
	if (view->play.options->json)
		js_line(view->play.options->out, command_object(flow, c));
	else
		put_row(view, flow, c);
	return 0;
}

int view_sql(struct options *options)
{
	struct sql view = {.commands = 0};
	const struct player_sink sink = {.sql = on_sql};
	int status;

	table_start(&view.table, options->out, columns, sizeof columns / sizeof *columns,
	            options->verbose ? 0 : TABLE_WIDTH);
	status = play(&view.play, options, &sink);
	table_end(&view.table);
	if (!options->json && !view.play.failed)
		fprintf(options->out, "%s%" PRIu64 " command%s, %" PRIu64 " failed, %" PRIu64 " incomplete\n",
		        view.commands ? "\n" : "", view.commands, view.commands == 1 ? "" : "s", view.failed,
		        view.incomplete);
	play_note(&view.play);
	return status;
}
