/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/flow_row.h"
#include "analyze/http_row.h"
#include "analyze/losses.h"
#include "analyze/summary.h"
#include "analyze/table.h"
#include "analyze/text.h"
#include "analyze/words.h"

/* Rows of a section of the page; with -v all. */
enum {
	PROCESSES_SHOWN = 8,
	ERRORS_SHOWN = 6
};

static void put_head(const struct summary *s)
{
	FILE *out = s->play.options->out;
	const struct inputs *inputs = &s->play.options->inputs;
	char date[TEXT_TIME_MAX], clock[TEXT_CLOCK_MAX], span[TEXT_DURATION_MAX];

	fputs("tape      ", out);
	for (size_t i = 0; i < inputs->n; i++) {
		fputs(i ? ", " : "", out);
		cli_put_string(out, inputs->list[i].name);
	}
	fputc('\n', out);
	if (s->calls)
		fprintf(out, "when      %s %s UTC, for %s\n", text_date(date, s->first), text_clock(clock, s->first),
		        text_duration(span, s->last - s->first));
}

static void put_carried(const struct summary *s)
{
	char in[TEXT_SIZE_MAX], out[TEXT_SIZE_MAX], lost[TEXT_SIZE_MAX];

	fprintf(s->play.options->out, "carried   in %s, out %s, of them not on the tape %s; %" PRIu64 " calls\n",
	        text_size(in, s->bytes[FDTAPE_IN]), text_size(out, s->bytes[FDTAPE_OUT]),
	        text_size(lost, s->lost[FDTAPE_IN] + s->lost[FDTAPE_OUT]), s->calls);
}

static void put_flow_counts(const struct summary *s)
{
	FILE *out = s->play.options->out;
	uint64_t tls = s->by_verdict[TLS_VERDICT_TLS] + s->by_verdict[TLS_VERDICT_MIXED];
	uint64_t silent = s->flows - tls - s->by_verdict[TLS_VERDICT_CLEAR] - s->by_verdict[TLS_VERDICT_UNKNOWN];

	fprintf(out, "flows     %" PRIu64 ": %" PRIu64 " TLS", s->flows, tls);
	if (tls)
		fprintf(out, " (%" PRIu64 " decrypted)", s->readable);
	fprintf(out, ", %" PRIu64 " clear", s->by_verdict[TLS_VERDICT_CLEAR]);
	if (s->by_verdict[TLS_VERDICT_UNKNOWN])
		fprintf(out, ", %" PRIu64 " not known", s->by_verdict[TLS_VERDICT_UNKNOWN]);
	if (silent)
		fprintf(out, ", %" PRIu64 " carried nothing", silent);
	fputc('\n', out);
}

static void put_request_counts(const struct summary *s)
{
	FILE *out = s->play.options->out;
	const char *separator = ":";

	fprintf(out, "requests  %" PRIu64, s->requests);
	for (unsigned i = 1; i < 6; i++) {
		if (!s->by_class[i])
			continue;
		fprintf(out, "%s %" PRIu64 " x %uxx", separator, s->by_class[i], i);
		separator = ",";
	}
	if (s->requests)
		fprintf(out, "%s %" PRIu64 " without an answer, %" PRIu64 " cut short", separator, s->unanswered,
		        s->incomplete);
	fputc('\n', out);
}

static int by_bytes(const void *x, const void *y)
{
	const struct summary_process *a = *(struct summary_process *const *)x, *b = *(struct summary_process *const *)y;
	uint64_t of_a = a->bytes[FDTAPE_IN] + a->bytes[FDTAPE_OUT], of_b = b->bytes[FDTAPE_IN] + b->bytes[FDTAPE_OUT];

	if (of_a != of_b)
		return of_a > of_b ? -1 : 1;
	return (a > b) - (a < b); /* they are sorted by pid */
}

/* Those that carried something, and at least one. */
static bool is_shown(const struct summary *s, const struct summary_process *p, size_t shown)
{
	return s->play.options->verbose || shown == 0 ||
	       (shown < PROCESSES_SHOWN && (p->bytes[FDTAPE_IN] || p->bytes[FDTAPE_OUT]));
}

static void put_processes(const struct summary *s)
{
	static const struct table_column columns[] = {
	        {"PID", true}, {"PROCESS", false}, {"FLOWS", true},    {"IN", true},
	        {"OUT", true}, {"REQUESTS", true}, {"COMMAND", false},
	};
	const struct options *o = s->play.options;
	struct summary_process **sorted = alloc_new(s->n_processes, sizeof *sorted);
	size_t shown = 0;
	struct table table;
	char size[TEXT_SIZE_MAX], number[TEXT_NUMBER_MAX];

	for (size_t i = 0; i < s->n_processes; i++)
		sorted[i] = &s->processes[i];
	qsort(sorted, s->n_processes, sizeof *sorted, by_bytes);
	table_start(&table, o->out, columns, sizeof columns / sizeof *columns, o->verbose ? 0 : TABLE_WIDTH);
	if (s->n_processes)
		fprintf(o->out, "\nPROCESSES\n");
	for (; shown < s->n_processes && is_shown(s, sorted[shown], shown); shown++) {
		const struct summary_process *p = sorted[shown];
		struct table_row *row = table_row_new();
		char *name = text_escape_string(*p->exe ? text_base(p->exe) : p->comm);
		char *command = text_escape_string(*p->cmdline ? p->cmdline : p->exe);

		table_row_addf(row, "%" PRIu32, p->pid);
		table_row_add(row, name);
		table_row_add(row, text_count(number, p->flows));
		table_row_add(row, text_size(size, p->bytes[FDTAPE_IN]));
		table_row_add(row, text_size(size, p->bytes[FDTAPE_OUT]));
		table_row_add(row, text_count(number, p->requests));
		table_row_add(row, command);
		table_row(&table, row);
		free(name);
		free(command);
	}
	table_end(&table);
	if (shown < s->n_processes)
		fprintf(o->out, "%zu more program%s (-v shows them)\n", s->n_processes - shown,
		        s->n_processes - shown == 1 ? "" : "s");
	free(sorted);
}

static void put_top(const struct summary *s, const char *head, const struct top *top, uint64_t of,
                    const struct table_column *columns, size_t n_columns)
{
	const struct options *o = s->play.options;
	struct table table;

	if (!top->n)
		return;
	if (of > top->n)
		fprintf(o->out, "\n%s (%zu of %" PRIu64 ")\n", head, top->n, of);
	else
		fprintf(o->out, "\n%s\n", head);
	table_start(&table, o->out, columns, n_columns, o->verbose ? 0 : TABLE_WIDTH);
	for (size_t i = 0; i < top->n; i++)
		table_row(&table, top->entries[i].value);
	table_end(&table);
}

static void put_errors(const struct summary *s)
{
	FILE *out = s->play.options->out;
	char what[96], clock[TEXT_CLOCK_MAX];
	uint64_t more = s->other_errors;

	if (!s->n_errors)
		return;
	fprintf(out, "\nERRORS (each with its first)\n");
	for (size_t i = 0; i < s->n_errors; i++) {
		const struct summary_error *e = &s->errors[i];

		if (i >= ERRORS_SHOWN && !s->play.options->verbose) {
			more += e->count;
			continue;
		}
		fprintf(out, "%6" PRIu64 " x  %-30s  %s  %s\n", e->count, summary_error_text(what, e),
		        e->first ? text_clock(clock, e->first) : "-", e->example);
	}
	if (more)
		fprintf(out, "%6" PRIu64 " of other kinds%s\n", more,
		        s->play.options->verbose ? "" : " (-v shows them)");
}

static void put_blinds(const struct summary *s)
{
	FILE *out = s->play.options->out;
	char size[TEXT_SIZE_MAX];
	const char *head = "\nBLIND SPOTS\n";

	for (unsigned kind = 0; kind < N_BLINDS; kind++) {
		const struct summary_blind *b = &s->blinds[kind];

		if (!b->count)
			continue;
		fprintf(out, "%s%6" PRIu64 " x  %s", head, b->count, summary_blind_text(kind));
		head = "";
		if (b->bytes)
			fprintf(out, ": %s", text_size(size, b->bytes));
		if (b->flow)
			fprintf(out, " (%sflow %" PRIu64 ")", b->count > 1 ? "first: " : "", b->flow);
		fputc('\n', out);
	}
}

/* What 'doctor' would tell. */
static void put_doctor(const struct summary *s)
{
	static const char *const words[N_DOCTOR_SEVERITIES] = {"error", "warning", "note"};
	FILE *out = s->play.options->out;
	uint64_t by[N_DOCTOR_SEVERITIES];
	const char *separator = "doctor    ";

	doctor_count(&s->doctor, by);
	for (unsigned i = 0; i < N_DOCTOR_SEVERITIES; i++) {
		if (!by[i])
			continue;
		fprintf(out, "%s%" PRIu64 " %s%s", separator, by[i], words[i], by[i] == 1 ? "" : "s");
		separator = ", ";
	}
	fputs(*separator == 'd' ? "doctor    nothing found wanting\n" : "; 'fdtape-analyze doctor' tells which\n", out);
}

static void put_page(const struct summary *s)
{
	put_head(s);
	put_carried(s);
	put_flow_counts(s);
	put_request_counts(s);
	losses_put(s->play.options->out, &s->play.losses);
	put_doctor(s);
	put_processes(s);
	put_top(s, "LARGEST FLOWS", &s->largest, s->flows - s->idle, flow_row_columns, FLOW_ROW_COLUMNS);
	put_top(s, "SLOWEST REQUESTS", &s->slowest, s->requests, http_row_columns, HTTP_ROW_COLUMNS);
	put_top(s, "UNKNOWN PROTOCOLS", &s->unknown, s->unknown_flows, summary_unknown_columns,
	        SUMMARY_UNKNOWN_COLUMNS);
	put_errors(s);
	put_blinds(s);
}

int view_summary(struct options *options)
{
	struct summary summary;
	int status = summary_gather(&summary, options);

	if (options->json && !summary.play.failed)
		js_line(options->out, summary_object(&summary));
	else if (!summary.play.failed)
		put_page(&summary);
	play_note(&summary.play);
	summary_release(&summary);
	return status;
}
