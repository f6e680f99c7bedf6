/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/log_line.h"

#include <inttypes.h>
#include <string.h>

#include "analyze/json.h"
#include "analyze/text.h"

/*
 * Theory of operation
 *
 * qtap's --bpf-trace writes a line for each phase of a call, after a time, a level and a name that are parted by tabs.
 * People have greps for them, by pid and by fd. A call that carried bytes has three:
 *
 *   syscall/read (init)     before the connection is looked up
 *   syscall/read            the call
 *   process_data (...)      what became of its bytes, by the fd's state:
 *
 *     not ssl               a system call's bytes on an fd that is TLS: ciphertext, passed over there
 *     pre-protocol          all other bytes of a socket: clear ones, and with "ssl": true a TLS library's plaintext
 *     conn_info = NULL      no connection: a file, a pipe
 *     conn_info->is_open = false    its connection is closed already
 *
 * "ssl" is whether the bytes came from a TLS library's call. "protocol" is the number that qtap's detector had found
 * so far, which no tape holds: it is 0, its "not known". accept has one line, with the new fd. All other calls, and
 * those that failed or carried nothing, have none.
 *
 * The time is when the call ended, as it is logged then.
 */

static void put_line(FILE *out, uint64_t wall, struct json *object)
{
	char date[TEXT_TIME_MAX], clock[TEXT_CLOCK_MAX];

	fprintf(out, "%s %.12s\tINFO\teBPF trace\t", text_date(date, wall), text_clock(clock, wall));
	js_line_spaced(out, object);
}

/* The members that every line has; caller NULL: it is the line's own call. */
static struct json *line_object(const struct log_line *line, const char *msg, const char *caller, int64_t fd)
{
	struct json *object = js_object();

	js_set(object, "msg", js_plain(msg));
	if (caller)
		js_set(object, "caller", js_plain(caller));
	js_set(object, "pid", js_number(line->event.pid));
	js_set(object, "exe", js_known(line->exe));
	js_set(object, "fd", fd >= 0 ? js_signed(fd) : js_null());
	return object;
}

static void put_phase(FILE *out, const struct log_line *line, uint64_t wall, const char *msg)
{
	struct json *object = line_object(line, msg, NULL, line->fd);

	js_set(object, "bytes", js_number(line->event.bytes));
	put_line(out, wall, object);
}

static bool is_closed(const struct log_line *line)
{
	return line->flow && line->flow->closed && line->flow->closed < line->wall;
}

const char *log_qtap_process_data(const struct log_line *line)
{
	switch (log_ssl_of(line)) {
	case LOG_SSL_NONE:
		return NULL;
	case LOG_SSL_NO_CONN:
		return "process_data (conn_info = NULL)";
	case LOG_SSL_YES:
	case LOG_SSL_NOT:
	case LOG_SSL_PLAIN:
	case LOG_SSL_UNKNOWN:
		break;
	}
	if (is_closed(line))
		return "process_data (conn_info->is_open = false)";
	return log_ssl_of(line) == LOG_SSL_YES ? "process_data (not ssl)" : "process_data (pre-protocol)";
}

static void put_process_data(FILE *out, const struct log_line *line, uint64_t wall, const char *call)
{
	enum log_ssl ssl = log_ssl_of(line);
	struct json *object = line_object(line, log_qtap_process_data(line), call, line->fd);

	js_set(object, "direction", js_number(line->event.dir));
	js_set(object, "bytes", js_number(line->event.bytes));
	js_set(object, "ssl", js_bool(ssl == LOG_SSL_PLAIN));
	if (ssl == LOG_SSL_NO_CONN || is_closed(line))
		js_set(object, "open", js_bool(false));
	else if (ssl != LOG_SSL_YES)
		js_set(object, "protocol", js_number(0));
	put_line(out, wall, object);
}

void log_qtap_put(FILE *out, const struct log_line *line)
{
	const struct fdtape_event *e = &line->event;
	uint64_t wall = line->wall + e->duration;
	char call[WORDS_CALL_MAX], init[WORDS_CALL_MAX + 8];

	words_call(call, e->call);
	if (e->flags & FDTAPE_EVENT_PENDING)
		return;
	if ((e->call == FDTAPE_CALL_ACCEPT || e->call == FDTAPE_CALL_ACCEPT4) && e->result >= 0) {
		put_line(out, wall, line_object(line, call, call, e->result));
		return;
	}
	if (!fdtape_call_carries(e->call) || !e->bytes)
		return;
	snprintf(init, sizeof init, "%s (init)", call);
	put_phase(out, line, wall, init);
	put_phase(out, line, wall, call);
	put_process_data(out, line, wall, call);
}

bool log_qtap_adds(struct log_line *line, const struct fdtape_event *event)
{
	struct fdtape_event *e = &line->event;

	if (!line->exe || !(event->flags & FDTAPE_EVENT_CONTINUED) || event->tid != e->tid || event->pid != e->pid ||
	    event->call != e->call || event->call == FDTAPE_CALL_RECVMMSG || event->call == FDTAPE_CALL_SENDMMSG)
		return false;
	e->bytes += event->bytes;
	return true;
}
