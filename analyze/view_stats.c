/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/table.h"
#include "analyze/text.h"
#include "analyze/words.h"

/* What the page shows of each table; with -v, or of the one that was asked for, all. */
enum {
	ROWS_SHOWN = 10,
	HISTOGRAMS_SHOWN = 3,
	HISTOGRAM_LINES = 20,
	BAR_WIDTH = 50,
};

static const char *rate_text(char out[static TEXT_NUMBER_MAX], const struct stats *s, uint64_t count)
{
	uint64_t milli = stats_per_1000_s(s, count);

	if (s->to <= s->from)
		return strcpy(out, "-");
	if (milli < 10000)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 ".%02u", milli / 1000, (unsigned)(milli % 1000 / 10));
	else if (milli < 100000)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 ".%u", milli / 1000, (unsigned)(milli % 1000 / 100));
	else
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64, milli / 1000);
	return out;
}

/* "nginx[4242]", "syscall/read", "192.0.2.1:443", "GET /path". */
static const char *name_text(char out[static STATS_KEY_MAX + 64], enum stats_by by, const struct stats_group *g)
{
	if (!g->key)
		return "(others)";
	if (by == STATS_BY_PROCESS)
		snprintf(out, STATS_KEY_MAX + 64, "%s[%" PRIu32 "]", *g->key ? text_base(g->key) : "?", g->tag);
	else if (by == STATS_BY_PATH && !*g->key)
		return "(request not seen)";
	else
		snprintf(out, STATS_KEY_MAX + 64, "%s", g->key);
	return out;
}

static void add_time(struct table *table, const struct histogram *h, unsigned per_mille)
{
	char text[TEXT_DURATION_MAX];

	table_cell(table, h->count ? text_duration(text, histogram_percentile(h, per_mille)) : "-");
}

static void put_row(const struct stats *s, struct table *table, enum stats_by by, const struct stats_group *g)
{
	static const unsigned per_mille[] = {500, 900, 990, 999, 1000};
	char number[TEXT_NUMBER_MAX], size[TEXT_SIZE_MAX], name[STATS_KEY_MAX + 64];

	snprintf(number, sizeof number, "%" PRIu64, g->count);
	table_cell(table, number);
	table_cell(table, rate_text(number, s, g->count));
	table_cell(table, text_count(number, g->failed));
	if (s->play.options->verbose) {
		table_cell(table, text_size(size, g->bytes[FDTAPE_IN]));
		table_cell(table, text_size(size, g->bytes[FDTAPE_OUT]));
	} else {
		table_cell(table, text_size(size, g->bytes[FDTAPE_IN] + g->bytes[FDTAPE_OUT]));
	}
	for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++)
		add_time(table, &g->time, per_mille[i]);
	if (by == STATS_BY_PATH)
		table_cell(table, !g->key || g->tag == FDTAPE_ROLE_UNKNOWN ? "-" : words_role(g->tag));
	table_cell(table, name_text(name, by, g));
}

static void start_table(const struct stats *s, struct table *table, enum stats_what what, enum stats_by by,
                        struct table_column columns[static TABLE_COLUMNS])
{
	static const char *const names[N_STATS_BYS] = {
	        [STATS_BY_PROCESS] = "PROCESS",
	        [STATS_BY_CALL] = "CALL",
	        [STATS_BY_PEER] = "PEER",
	        [STATS_BY_PATH] = "REQUEST",
	};
	static const char *const times[] = {"P50", "P90", "P99", "P99.9", "MAX"};
	const struct options *o = s->play.options;
	size_t n = 0;

	columns[n++] = (struct table_column){what == STATS_CALLS ? "CALLS" : "COUNT", true};
	columns[n++] = (struct table_column){"/S", true};
	columns[n++] = (struct table_column){"FAIL", true};
	if (o->verbose) {
		columns[n++] = (struct table_column){"IN", true};
		columns[n++] = (struct table_column){"OUT", true};
	} else {
		columns[n++] = (struct table_column){"BYTES", true};
	}
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		columns[n++] = (struct table_column){times[i], true};
	if (by == STATS_BY_PATH)
		columns[n++] = (struct table_column){"ROLE", false};
	columns[n++] = (struct table_column){names[by], false};
	table_start(table, o->out, columns, n, o->verbose ? 0 : TABLE_WIDTH);
}

static void put_bar(FILE *out, uint64_t count, uint64_t most)
{
	/* Whatever there is shows as one mark at least. The counts are too small to overflow: each took an event. */
	uint64_t marks = (count * BAR_WIDTH + most - 1) / most;

	if (marks)
		fputs("  ", out);
	for (uint64_t i = 0; i < marks; i++)
		fputc('#', out);
}

static void put_histogram(FILE *out, const char *head, const struct histogram *h)
{
	struct histogram_row rows[HISTOGRAM_ROWS];
	size_t n = histogram_rows(h, rows, HISTOGRAM_LINES);
	char from[TEXT_DURATION_MAX], to[TEXT_DURATION_MAX];
	uint64_t most = 0;

	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		most = rows[i].count > most ? rows[i].count : most;
	fprintf(out, "\n%s\n", head);
	for (size_t i = 0; i < n; i++) {
		size_t empty = 0;

		while (!rows[i + empty].count) /* the last row is not empty */
			empty++;
		if (empty > 2) {
			fprintf(out, "%9s\n", "...");
			i += empty;
		}
		fprintf(out, "%9s - %-9s %8" PRIu64, text_duration(from, rows[i].from),
		        text_duration(to, rows[i].to + (rows[i].to < UINT64_MAX)), rows[i].count);
		put_bar(out, rows[i].count, most);
		fputc('\n', out);
	}
}

static void put_histograms(const struct stats *s, const struct stats_table *t, enum stats_by by)
{
	const struct options *o = s->play.options;
	char name[STATS_KEY_MAX + 64], head[STATS_KEY_MAX + 128];

	for (size_t i = 0; i < t->n && (o->verbose || i < HISTOGRAMS_SHOWN); i++) {
		const struct stats_group *g = &t->groups[i];

		snprintf(head, sizeof head, "%s%s%s", name_text(name, by, g), by == STATS_BY_PATH ? ", " : "",
		         by == STATS_BY_PATH ? words_role(g->tag) : "");
		if (g->time.count > 1 || o->verbose)
			put_histogram(o->out, head, &g->time);
	}
}

static void put_table(struct stats *s, enum stats_what what, enum stats_by by)
{
	const struct options *o = s->play.options;
	struct stats_table *t = &s->tables[what][by];
	size_t shown = o->verbose || o->stats_by != N_STATS_BYS || t->n <= ROWS_SHOWN ? t->n : ROWS_SHOWN;
	struct table_column columns[TABLE_COLUMNS];
	struct table table;

	if (!t->n)
		return;
	stats_sort(t);
	fprintf(o->out, "\n%s BY %s\n", what == STATS_CALLS ? "CALLS" : "REQUESTS",
	        by == STATS_BY_PROCESS ? "PROCESS"
	        : by == STATS_BY_CALL  ? "NAME"
	        : by == STATS_BY_PEER  ? "PEER"
	                               : "PATH");
	start_table(s, &table, what, by, columns);
	for (size_t i = 0; i < shown; i++)
		put_row(s, &table, by, &t->groups[i]);
	if (t->others.count)
		put_row(s, &table, by, &t->others);
	table_end(&table);
	if (shown < t->n)
		fprintf(o->out, "%zu more (-v shows them)\n", t->n - shown);
	if (t->others.count)
		fprintf(o->out, "(others): whatever came after the first %d kinds\n", STATS_GROUPS);
}

static void put_total(const struct stats *s, const char *head, enum stats_what what)
{
	FILE *out = s->play.options->out;
	const struct stats_group *g = &s->total[what];
	char rate[TEXT_NUMBER_MAX], in[TEXT_SIZE_MAX], sent[TEXT_SIZE_MAX];

	fprintf(out, "%-9s %" PRIu64, head, g->count);
	if (g->count && s->to > s->from)
		fprintf(out, ", %s a second", rate_text(rate, s, g->count));
	if (g->count)
		fprintf(out, ", %" PRIu64 " failed; in %s, out %s", g->failed, text_size(in, g->bytes[FDTAPE_IN]),
		        text_size(sent, g->bytes[FDTAPE_OUT]));
	if (what == STATS_REQUESTS && g->count)
		fputs(" of bodies", out);
	if (g->time.count < g->count)
		fprintf(out, "; %" PRIu64 " without a time", g->count - g->time.count);
	fputc('\n', out);
}

static void put_page(struct stats *s)
{
	static const enum stats_by order[] = {STATS_BY_PROCESS, STATS_BY_CALL, STATS_BY_PEER, STATS_BY_PATH};
	const struct options *o = s->play.options;
	bool all = o->stats_by == N_STATS_BYS;
	char span[TEXT_DURATION_MAX];

	fprintf(o->out, "time      %s\n", text_duration(span, s->to - s->from));
	put_total(s, "calls", STATS_CALLS);
	put_total(s, "requests", STATS_REQUESTS);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		put_table(s, STATS_CALLS, order[i]);
		if (!all)
			put_histograms(s, &s->tables[STATS_CALLS][order[i]], order[i]);
		if (!all || order[i] == STATS_BY_PATH || o->verbose)
			put_table(s, STATS_REQUESTS, order[i]);
		if (!all)
			put_histograms(s, &s->tables[STATS_REQUESTS][order[i]], order[i]);
	}
	if (!all)
		return;
	put_histogram(o->out, "ALL CALLS", &s->total[STATS_CALLS].time);
	put_histogram(o->out, "ALL REQUESTS", &s->total[STATS_REQUESTS].time);
}

int view_stats(struct options *options)
{
	struct stats stats;
	int status = stats_gather(&stats, options);

	if (options->json && !stats.play.failed)
		stats_put_json(&stats);
	else if (!stats.play.failed)
		put_page(&stats);
	play_note(&stats.play);
	stats_release(&stats);
	return status;
}
