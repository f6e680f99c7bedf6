/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/json.h"
#include "analyze/log_line.h"
#include "analyze/open_flows.h"
#include "analyze/text.h"
#include "analyze/words.h"

/*
 * Theory of operation
 *
 * The player tells of a call before the pieces that it gives, but whether an fd is TLS is known only when its bytes
 * were looked at. So each line waits for the next call, and then says what the call itself has shown: the write that
 * carries a ClientHello is "ssl", not "unknown". Lines of fixed columns, one at a time: a log may be long.
 */
struct log {
	struct play play;
	struct log_line waiting;
	struct open_flows open;
	char date[TEXT_TIME_MAX]; /* of the last line */
	bool headed;
};

static const char *const ssl_words[] = {
        [LOG_SSL_NONE] = "-",      [LOG_SSL_UNKNOWN] = "unknown", [LOG_SSL_YES] = "ssl",
        [LOG_SSL_NOT] = "not ssl", [LOG_SSL_PLAIN] = "plain",     [LOG_SSL_NO_CONN] = "no conn",
};

static struct json *flags_array(uint32_t flags)
{
	static const char *const names[] = {"pending", "no_start", "peek", "continued", "reread", "passed"};
	struct json *array = js_array();

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (flags & 1u << i)
			js_add(array, js_plain(names[i]));
	return array;
}

static void put_object(FILE *out, const struct log_line *line)
{
	const struct fdtape_event *e = &line->event;
	char text[TEXT_ADDRESS_MAX];
	enum log_ssl ssl = log_ssl_of(line);
	bool data = fdtape_call_carries(e->call), ended = !(e->flags & FDTAPE_EVENT_PENDING);
	struct json *object = js_object();

	js_set(object, "number", js_number(line->number));
	js_set(object, "time", js_time(line->wall));
	js_set(object, "msg", js_plain(words_call(text, e->call)));
	js_set(object, "pid", js_number(e->pid));
	js_set(object, "tid", js_number(e->tid));
	js_set(object, "exe", js_known(line->exe));
	js_set(object, "fd", line->fd >= 0 ? js_signed(line->fd) : js_null());
	js_set(object, "flow", line->flow ? js_number(line->flow->number) : js_null());
	js_set(object, "bytes", data ? js_number(e->bytes) : js_null());
	js_set(object, "captured", data ? js_number(e->captured) : js_null());
	js_set(object, "offset", data && line->flow ? js_number(e->offset) : js_null());
	/* As in qtap's logs: 0 is what was read, 1 what was written. */
	js_set(object, "direction", data ? js_number(e->dir) : js_null());
	js_set(object, "ssl",
	       ssl == LOG_SSL_NONE || ssl == LOG_SSL_UNKNOWN || ssl == LOG_SSL_NO_CONN ? js_null()
	                                                                               : js_bool(ssl != LOG_SSL_NOT));
	js_set(object, "process_data", js_plain(log_qtap_process_data(line)));
	js_set(object, "result", ended ? js_signed(e->result) : js_null());
	js_set(object, "errno",
	       js_plain(ended && e->call < FDTAPE_CALL_SSL_READ && e->result < 0 && e->result >= -4095
	                        ? words_errno(-e->result)
	                        : NULL));
	js_set(object, "duration_ns", e->flags & FDTAPE_EVENT_NO_START ? js_null() : js_number(e->duration));
	js_set(object, "local", js_plain(line->flow ? text_address(text, &line->flow->def.local) : NULL));
	js_set(object, "remote", js_plain(line->flow ? text_address(text, &line->flow->def.remote) : NULL));
	js_set(object, "peer", js_plain(e->peer ? text_address(text, e->peer) : NULL));
	js_set(object, "flags", flags_array(e->flags));
	js_line(out, object);
}

/* A wait status has the same form on every Linux. */
static void exit_text(char out[static WORDS_RESULT_MAX], uint64_t status)
{
	if (status & 0x7f)
		snprintf(out, WORDS_RESULT_MAX, "signal %u", (unsigned)(status & 0x7f));
	else
		snprintf(out, WORDS_RESULT_MAX, "exit %u", (unsigned)(status >> 8 & 0xff));
}

/* What stands in the column BYTES: what was carried, else what came of the call. */
static const char *bytes_text(char out[static WORDS_RESULT_MAX], const struct fdtape_event *e)
{
	if (e->flags & FDTAPE_EVENT_PENDING)
		return "hangs";
	if (e->result < 0 && e->call < FDTAPE_CALL_SSL_READ)
		return words_failure(out, e->result);
	if (fdtape_call_carries(e->call) && e->result >= 0)
		snprintf(out, WORDS_RESULT_MAX, "%" PRIu64, e->bytes);
	else if (e->call == FDTAPE_CALL_ACCEPT || e->call == FDTAPE_CALL_ACCEPT4 || e->call == FDTAPE_CALL_SOCKET)
		snprintf(out, WORDS_RESULT_MAX, "= fd %" PRId64, e->result);
	else if (e->call == FDTAPE_CALL_EXIT)
		exit_text(out, (uint64_t)e->result);
	else if (e->call == FDTAPE_CALL_FORK)
		snprintf(out, WORDS_RESULT_MAX, "= %" PRId64, e->result);
	else if (e->result)
		snprintf(out, WORDS_RESULT_MAX, "%" PRId64, e->result);
	else
		return "-";
	return out;
}

static void put_peer(FILE *out, const struct log_line *line, enum log_ssl ssl)
{
	char address[TEXT_ADDRESS_MAX];
	const struct fdtape_flow *def = line->flow ? &line->flow->def : NULL;
	const struct fdtape_address *other = line->event.peer ? line->event.peer : def ? &def->remote : NULL;
	const char *peer = other ? text_address(address, other) : NULL;

	if (peer)
		fputs(peer, out);
	else if (def && (def->flags & FDTAPE_FLOW_LISTENS) && (peer = text_address(address, &def->local)))
		fprintf(out, "listens on %s", peer);
	else if (def && *def->name)
		cli_put_string(out, def->name);
	else if (line->event.call == FDTAPE_CALL_EXEC)
		cli_put_string(out, line->exe);
	else if (ssl == LOG_SSL_NO_CONN)
		fputs("conn_info = NULL", out);
	else
		fputc('-', out);
	if (line->event.captured < line->event.bytes)
		fprintf(out, "  lost %" PRIu64, line->event.bytes - line->event.captured);
	if (line->event.flags & FDTAPE_EVENT_PEEK)
		fputs("  (peek)", out);
}

static void put_text(struct log *view, const struct log_line *line)
{
	FILE *out = view->play.options->out;
	char clock[TEXT_CLOCK_MAX], date[TEXT_TIME_MAX], call[WORDS_CALL_MAX], result[WORDS_RESULT_MAX];
	char fd[TEXT_NUMBER_MAX] = "-";
	enum log_ssl ssl = log_ssl_of(line);
	bool data = fdtape_call_carries(line->event.call) && line->event.result >= 0;

	if (!view->headed)
		fprintf(out, "%-15s %-*s %4s %-18s %12s %-3s %-7s %s\n", "TIME (UTC)", LOG_PROCESS_WIDTH, "PROCESS",
		        "FD", "CALL", "BYTES", "DIR", "TLS", "PEER");
	view->headed = true;
	if (strcmp(text_date(date, line->wall), view->date) != 0)
		fprintf(out, "%s\n", strcpy(view->date, date));
	if (line->fd >= 0)
		snprintf(fd, sizeof fd, "%" PRId32, line->fd);
	fprintf(out, "%s %-*s %4s %-18s %12s %-3s %-7s ", text_clock(clock, line->wall), LOG_PROCESS_WIDTH,
	        line->process, fd, words_call(call, line->event.call), bytes_text(result, &line->event),
	        data ? words_dir(line->event.dir) : "-", ssl_words[ssl]);
	put_peer(out, line, ssl);
	fputc('\n', out);
}

/* Prints the line that waits, if one does. */
static void flush_line(struct log *view)
{
	struct log_line *line = &view->waiting;

	if (!line->exe)
		return;
	line->flow = open_flows_socket(&view->open, line->flow);
	line->fd = line->event.fd < 0 && line->flow ? line->flow->def.fd : line->event.fd;
	if (view->play.options->log_qtap)
		log_qtap_put(view->play.options->out, line);
	else if (view->play.options->json)
		put_object(view->play.options->out, line);
	else
		put_text(view, line);
	free(line->exe);
	line->exe = NULL;
}

static int on_call(void *context, const struct player_call *call)
{
	struct log *view = context;
	struct log_line *line = &view->waiting;

	if (view->play.options->log_qtap && log_qtap_adds(line, call->event))
		return 0;
	flush_line(view);
	*line = (struct log_line){
	        .event = *call->event,
	        .wall = call->wall,
	        .number = call->number,
	        .flow = call->flow,
	        .exe = alloc_copy(call->process->exe),
	};
	line->event.data = NULL;
	if (line->event.peer) {
		line->peer = *line->event.peer;
		line->event.peer = &line->peer;
	}
	words_process_cut(line->process, call->process, LOG_PROCESS_WIDTH);
	return 0;
}

static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct log *view = context;

	open_flows_add(&view->open, flow);
	return 0;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct log *view = context;

	/* The line that waits may be about it. */
	flush_line(view);
	open_flows_remove(&view->open, flow);
	return 0;
}

int view_log(struct options *options)
{
	struct log view = {0};
	const struct player_sink sink = {.call = on_call, .flow_opened = on_flow_opened, .flow_closed = on_flow_closed};
	int status = play(&view.play, options, &sink);

	flush_line(&view);
	open_flows_release(&view.open);
	play_note(&view.play);
	return status;
}
