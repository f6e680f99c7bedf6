/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/summary.h"

#include "analyze/flow_row.h"
#include "analyze/losses.h"
#include "analyze/text.h"
#include "analyze/words.h"

struct json *summary_flow_object(const struct player_flow *flow)
{
	struct json *object = js_object();

	js_set(object, "flow", js_number(flow->number));
	js_set(object, "pid", js_number(flow->def.pid));
	js_set(object, "verdict", js_plain(tls_verdict_name(flow->tls.verdict)));
	js_set(object, "in", js_number(flow->traffic[FDTAPE_IN].bytes));
	js_set(object, "out", js_number(flow->traffic[FDTAPE_OUT].bytes));
	js_set(object, "lost", js_number(flow_lost(flow, FDTAPE_IN) + flow_lost(flow, FDTAPE_OUT)));
	return object;
}

struct json *summary_unknown_object(const struct player_flow *flow, const struct first_bytes *first)
{
	struct json *object = js_object();

	js_set(object, "flow", js_number(flow->number));
	js_set(object, "pid", js_number(flow->def.pid));
	js_set(object, "unknown", first_bytes_object(first));
	return object;
}

struct json *summary_request_object(const struct player_flow *flow, const struct http_exchange *x)
{
	struct json *object = js_object();

	js_set(object, "flow", js_number(flow->number));
	js_set(object, "pid", js_number(flow->def.pid));
	js_set(object, "method", js_text(x->method));
	js_set(object, "authority", js_text(x->authority));
	js_set(object, "path", js_text(x->target));
	js_set(object, "status", x->status ? js_signed(x->status) : js_null());
	js_set(object, "start", js_time(x->start));
	js_set(object, "ttfb_ns", js_span(x->start, x->first_byte));
	js_set(object, "duration_ns", js_span(x->start, x->end));
	return object;
}

static struct json *processes_array(const struct summary *s)
{
	struct json *array = js_array(), *object;

	for (size_t i = 0; i < s->n_processes; i++) {
		const struct summary_process *p = &s->processes[i];

		object = js_object();
		js_set(object, "pid", js_number(p->pid));
		js_set(object, "comm", js_known(p->comm));
		js_set(object, "exe", js_known(p->exe));
		js_set(object, "cmdline", js_known(p->cmdline));
		js_set(object, "flows", js_number(p->flows));
		js_set(object, "in", js_number(p->bytes[FDTAPE_IN]));
		js_set(object, "out", js_number(p->bytes[FDTAPE_OUT]));
		js_set(object, "requests", js_number(p->requests));
		js_add(array, object);
	}
	return array;
}

static struct json *list(const struct top *top)
{
	struct json *array = js_array();

	for (size_t i = 0; i < top->n; i++)
		js_add(array, top->entries[i].value);
	return array;
}

static struct json *flows_object(const struct summary *s)
{
	struct json *object = js_object();

	js_set(object, "total", js_number(s->flows));
	js_set(object, "idle", js_number(s->idle));
	for (unsigned verdict = 0; verdict < 4; verdict++)
		js_set(object, tls_verdict_name((enum tls_verdict)verdict), js_number(s->by_verdict[verdict]));
	js_set(object, "decrypted", js_number(s->readable));
	js_set(object, "largest", list(&s->largest));
	return object;
}

static struct json *requests_object(const struct summary *s)
{
	static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
	struct json *object = js_object();

	js_set(object, "total", js_number(s->requests));
	for (unsigned i = 0; i < 6; i++)
		js_set(object, classes[i], js_number(s->by_class[i]));
	js_set(object, "unanswered", js_number(s->unanswered));
	js_set(object, "incomplete", js_number(s->incomplete));
	js_set(object, "slowest", list(&s->slowest));
	return object;
}

static struct json *errors_array(const struct summary *s)
{
	struct json *array = js_array(), *object;
	char text[96];

	for (size_t i = 0; i < s->n_errors; i++) {
		object = js_object();
		js_set(object, "error", js_plain(summary_error_text(text, &s->errors[i])));
		js_set(object, "count", js_number(s->errors[i].count));
		js_set(object, "first", js_time(s->errors[i].first));
		js_set(object, "example", js_plain(s->errors[i].example));
		js_add(array, object);
	}
	return array;
}

static struct json *blinds_array(const struct summary *s)
{
	struct json *array = js_array(), *object;

	for (unsigned kind = 0; kind < N_BLINDS; kind++) {
		const struct summary_blind *b = &s->blinds[kind];

		if (!b->count)
			continue;
		object = js_object();
		js_set(object, "kind", js_plain(summary_blind_word(kind)));
		js_set(object, "count", js_number(b->count));
		js_set(object, "bytes", js_number(b->bytes));
		js_set(object, "first_flow", b->flow ? js_number(b->flow) : js_null());
		js_add(array, object);
	}
	return array;
}

static struct json *unknown_object(const struct summary *s)
{
	struct json *object = js_object();

	js_set(object, "flows", js_number(s->unknown_flows));
	js_set(object, "largest", list(&s->unknown));
	return object;
}

static struct json *doctor_object(const struct summary *s)
{
	struct json *object = js_object();
	uint64_t by[N_DOCTOR_SEVERITIES];

	doctor_count(&s->doctor, by);
	js_set(object, "errors", js_number(by[DOCTOR_ERROR]));
	js_set(object, "warnings", js_number(by[DOCTOR_WARNING]));
	js_set(object, "notes", js_number(by[DOCTOR_NOTE]));
	return object;
}

struct json *summary_object(const struct summary *s)
{
	struct json *object = js_object();

	js_set(object, "sections", js_number(s->sections));
	js_set(object, "first", js_time(s->first));
	js_set(object, "last", js_time(s->last));
	js_set(object, "duration_ns", js_span(s->first, s->last));
	js_set(object, "calls", js_number(s->calls));
	js_set(object, "in", js_number(s->bytes[FDTAPE_IN]));
	js_set(object, "out", js_number(s->bytes[FDTAPE_OUT]));
	js_set(object, "missing", js_number(s->lost[FDTAPE_IN] + s->lost[FDTAPE_OUT]));
	js_set(object, "processes", processes_array(s));
	js_set(object, "flows", flows_object(s));
	js_set(object, "requests", requests_object(s));
	js_set(object, "errors", errors_array(s));
	js_set(object, "lost_events", js_number(s->play.losses.count));
	js_set(object, "lost_bytes", js_number(s->play.losses.bytes));
	js_set(object, "loss", losses_array(&s->play.losses));
	js_set(object, "blind", blinds_array(s));
	js_set(object, "damaged", js_number(s->play.damaged));
	js_set(object, "unknown_protocols", unknown_object(s));
	js_set(object, "doctor", doctor_object(s));
	return object;
}
