/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <string.h>

#include "analyze/doctor.h"
#include "analyze/json.h"
#include "analyze/say.h"
#include "analyze/table.h"
#include "analyze/text.h"

enum {
	INDENT = 6
};

/* Words, a line as wide as a page; a word that is wider is broken. `text` is safe and its characters one column each or
 * fewer than its bytes, so that bytes are an upper bound. */
static void put_wrapped(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column && column + 1 + len > TABLE_WIDTH - INDENT) {
			fputc('\n', out);
			column = 0;
		}
		if (!column)
			fprintf(out, "%*s", INDENT, "");
		else
			column += (size_t)fprintf(out, " ");
		if (len > TABLE_WIDTH - INDENT) {
			len = TABLE_WIDTH - INDENT;
			while ((text[len] & 0xc0) == 0x80)
				len--;
		}
		column += (size_t)fprintf(out, "%.*s", (int)len, text);
		text += len;
		if (*text == ' ')
			text++;
	}
	fputc('\n', out);
}

static void put_finding(FILE *out, const struct doctor_finding *f)
{
	char clock[TEXT_CLOCK_MAX];

	fprintf(out, "%-7s  %s  %s", doctor_severity_word(doctor_kind_severity(f->kind)),
	        f->time ? text_clock(clock, f->time) : "-", doctor_kind_word(f->kind));
	if (f->subject.flow)
		fprintf(out, "  flow %" PRIu64, f->subject.flow);
	if (f->subject.who)
		fprintf(out, "  %s", f->subject.who);
	if (f->subject.fd >= 0)
		fprintf(out, " fd %" PRId32, f->subject.fd);
	fputc('\n', out);
	put_wrapped(out, f->evidence);
	put_wrapped(out, f->advice);
}

static void put_page(const struct doctor *d)
{
	FILE *out = d->play.options->out;
	uint64_t by[N_DOCTOR_SEVERITIES];

	for (size_t i = 0; i < d->n; i++)
		put_finding(out, &d->findings[i]);
	doctor_count(d, by);
	if (!d->n) {
		fputs("nothing found wanting\n", out);
		return;
	}
	fprintf(out, "\n%" PRIu64 " error%s, %" PRIu64 " warning%s, %" PRIu64 " note%s\n", by[DOCTOR_ERROR],
	        by[DOCTOR_ERROR] == 1 ? "" : "s", by[DOCTOR_WARNING], by[DOCTOR_WARNING] == 1 ? "" : "s",
	        by[DOCTOR_NOTE], by[DOCTOR_NOTE] == 1 ? "" : "s");
}

static void put_json(const struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct doctor_finding *f = &d->findings[i];
		struct json *object = js_object();

		js_set(object, "finding", js_plain(doctor_kind_word(f->kind)));
		js_set(object, "severity", js_plain(doctor_severity_word(doctor_kind_severity(f->kind))));
		js_set(object, "flow", f->subject.flow ? js_number(f->subject.flow) : js_null());
		js_set(object, "pid", f->subject.pid ? js_number(f->subject.pid) : js_null());
		js_set(object, "exe", f->subject.exe ? js_known(f->subject.exe) : js_null());
		js_set(object, "fd", f->subject.fd >= 0 ? js_signed(f->subject.fd) : js_null());
		js_set(object, "time", js_time(f->time));
		js_set(object, "evidence", js_plain(f->evidence));
		js_set(object, "advice", js_plain(f->advice));
		js_line(d->play.options->out, object);
	}
}

/* Those that were not told. */
static void note_more(const struct doctor *d)
{
	uint64_t more = 0;

	for (int kind = 0; kind < N_DOCTOR_KINDS; kind++)
		more += d->more[kind];
	fflush(d->play.options->out);
	if (more)
		say("note: %" PRIu64 " more findings were counted, but not kept; choose a part of the tape", more);
}

int view_doctor(struct options *options)
{
	struct doctor doctor;
	int status = doctor_gather(&doctor, options);

	if (options->json)
		put_json(&doctor);
	else if (!doctor.play.failed)
		put_page(&doctor);
	note_more(&doctor);
	play_note(&doctor.play);
	doctor_release(&doctor);
	return status;
}
