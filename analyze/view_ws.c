/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/json.h"
#include "analyze/message_row.h"
#include "analyze/text.h"
#include "analyze/words.h"
#include "cli.h"

struct ws {
	struct play play;
	struct table table;
	uint64_t messages, incomplete;
};

static const struct table_column columns[] = {
        {"TIME (UTC)", false}, {"FLOW", true}, {"PROCESS", false}, {"ROLE", false},    {"DIR", false},
        {"TYPE", false},       {"SIZE", true}, {"WIRE", true},     {"MESSAGE", false},
};

static const char *type_word(unsigned opcode)
{
	switch (opcode) {
	case WEBSOCKET_TEXT:
		return "text";
	case WEBSOCKET_BINARY:
		return "binary";
	case WEBSOCKET_CLOSE:
		return "close";
	case WEBSOCKET_PING:
		return "ping";
	case WEBSOCKET_PONG:
		return "pong";
	default:
		return "unknown"; /* its first frame is missing */
	}
}

/* What a close frame says in words; the others' payload. */
static const uint8_t *payload(const struct websocket_message *m, size_t *len)
{
	size_t skip = m->close_code ? 2 : 0;

	*len = m->decoded ? m->len - skip : 0;
	return m->decoded && m->data ? m->data + skip : (const uint8_t *)"";
}

static struct json *message_line(const struct player_flow *flow, const struct websocket_message *m)
{
	struct json *object = message_object(flow, message_role(flow, m->from_client == (m->dir == FDTAPE_OUT)));
	size_t len;
	const uint8_t *data = payload(m, &len);
	char *text = m->decoded && m->opcode != WEBSOCKET_BINARY ? text_escape(data, len) : NULL;

	js_set(object, "authority", js_text(m->authority));
	js_set(object, "path", js_text(m->path));
	js_set(object, "direction", js_plain(words_dir((uint32_t)m->dir)));
	js_set(object, "type", js_plain(type_word(m->opcode)));
	js_set(object, "frames", js_number(m->frames));
	js_set(object, "compressed", js_bool(m->compressed));
	js_set(object, "wire_bytes", js_number(m->wire_bytes));
	js_set(object, "bytes", m->decoded ? js_number(m->bytes) : js_null());
	js_set(object, "text", js_plain(text));
	js_set(object, "close_code", m->close_code ? js_signed(m->close_code) : js_null());
	js_set(object, "start", js_time(m->start));
	js_set(object, "end", js_time(m->end));
	js_set(object, "complete", js_bool(m->complete));
	free(text);
	return object;
}

static void put_row(struct ws *view, const struct player_flow *flow, const struct websocket_message *m)
{
	struct table_row *row = table_row_new();
	struct alloc_text text;
	char size[TEXT_SIZE_MAX], *shown;
	const uint8_t *data;
	size_t len;

	message_row_begin(row, flow, message_role(flow, m->from_client == (m->dir == FDTAPE_OUT)), m->start);
	table_row_add(row, words_dir((uint32_t)m->dir));
	table_row_add(row, type_word(m->opcode));
	table_row_add(row, m->decoded ? text_size(size, m->bytes) : "-");
	table_row_add(row, text_size(size, m->wire_bytes));
	data = payload(m, &len);
	alloc_text_begin(&text);
	if (!m->complete)
		fputs("(incomplete) ", text.out);
	if (!m->decoded)
		fputs("(not decoded) ", text.out);
	if (m->close_code)
		fprintf(text.out, "%d ", m->close_code);
	cli_put_text(text.out, data, len);
	shown = alloc_text_end(&text);
	table_row_add(row, shown);
	free(shown);
	table_row(&view->table, row);
}

static int on_websocket(void *context, struct player_flow *flow, const struct websocket_message *m)
{
	struct ws *view = context;

	view->messages++;
	view->incomplete += !m->complete;
	if (view->play.options->json)
		js_line(view->play.options->out, message_line(flow, m));
	else
		put_row(view, flow, m);
	return 0;
}

int view_ws(struct options *options)
{
	struct ws view = {.messages = 0};
	const struct player_sink sink = {.websocket = on_websocket};
	int status;

	table_start(&view.table, options->out, columns, sizeof columns / sizeof *columns,
	            options->verbose ? 0 : TABLE_WIDTH);
	status = play(&view.play, options, &sink);
	table_end(&view.table);
	if (!options->json && !view.play.failed)
		fprintf(options->out, "%s%" PRIu64 " message%s, %" PRIu64 " incomplete\n", view.messages ? "\n" : "",
		        view.messages, view.messages == 1 ? "" : "s", view.incomplete);
	play_note(&view.play);
	return status;
}
