/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/stats.h"

#include <string.h>

#include "analyze/json.h"
#include "analyze/words.h"

static struct json *histogram_array(const struct histogram *h)
{
	struct histogram_row rows[HISTOGRAM_ROWS];
	size_t n = histogram_rows(h, rows, 0);
	struct json *array = js_array(), *row;

	for (size_t i = 0; i < n; i++) {
		if (!rows[i].count)
			continue;
		row = js_array();
		js_add(row, js_number(rows[i].from));
		js_add(row, js_number(rows[i].to));
		js_add(row, js_number(rows[i].count));
		js_add(array, row);
	}
	return array;
}

static struct json *percentile(const struct histogram *h, unsigned per_mille)
{
	return h->count ? js_number(histogram_percentile(h, per_mille)) : js_null();
}

static void set_figures(struct json *object, const struct stats *s, enum stats_what what, const struct stats_group *g)
{
	const struct histogram *h = &g->time;

	js_set(object, "count", js_number(g->count));
	js_set(object, "per_1000_s", s->to > s->from ? js_number(stats_per_1000_s(s, g->count)) : js_null());
	js_set(object, "failed", js_number(g->failed));
	js_set(object, "unanswered", what == STATS_REQUESTS ? js_number(g->unanswered) : js_null());
	js_set(object, "bytes_in", js_number(g->bytes[FDTAPE_IN]));
	js_set(object, "bytes_out", js_number(g->bytes[FDTAPE_OUT]));
	js_set(object, "timed", js_number(h->count));
	js_set(object, "total_ns", js_number(h->sum));
	js_set(object, "min_ns", h->count ? js_number(h->min) : js_null());
	js_set(object, "p50_ns", percentile(h, 500));
	js_set(object, "p90_ns", percentile(h, 900));
	js_set(object, "p99_ns", percentile(h, 990));
	js_set(object, "p999_ns", percentile(h, 999));
	js_set(object, "max_ns", h->count ? js_number(h->max) : js_null());
	js_set(object, "histogram", histogram_array(h));
}

/* What names the group: each kind has keys of its own, which are null in the line of all others together. */
static void set_names(struct json *object, enum stats_by by, const struct stats_group *g, bool others)
{
	const char *space = g->key ? strchr(g->key, ' ') : NULL;
	char method[STATS_KEY_MAX];

	switch (by) {
	case STATS_BY_PROCESS:
		js_set(object, "pid", others ? js_null() : js_number(g->tag));
		js_set(object, "exe", js_plain(g->comm ? NULL : g->key));
		break;
	case STATS_BY_CALL:
		js_set(object, "call", js_plain(g->key));
		break;
	case STATS_BY_PEER:
		js_set(object, "peer", js_plain(g->key));
		break;
	case STATS_BY_PATH:
		snprintf(method, sizeof method, "%.*s", space ? (int)(space - g->key) : 0, g->key ? g->key : "");
		js_set(object, "role", js_plain(others ? NULL : words_role(g->tag)));
		js_set(object, "method", js_plain(space ? method : NULL));
		js_set(object, "path", js_plain(space ? space + 1 : NULL));
		break;
	case N_STATS_BYS:
		break;
	}
	js_set(object, "others", js_bool(others));
}

static void put_group(const struct stats *s, enum stats_what what, enum stats_by by, const struct stats_group *g,
                      bool others)
{
	struct json *object = js_object();

	js_set(object, "stats", js_plain(stats_what_word(what)));
	js_set(object, "by", js_plain(stats_by_word(by)));
	set_names(object, by, g, others);
	set_figures(object, s, what, g);
	js_line(s->play.options->out, object);
}

static void put_total(const struct stats *s, enum stats_what what)
{
	struct json *object = js_object();

	js_set(object, "stats", js_plain(stats_what_word(what)));
	js_set(object, "by", js_null());
	js_set(object, "from", js_time(s->from));
	js_set(object, "to", js_time(s->to));
	set_figures(object, s, what, &s->total[what]);
	js_line(s->play.options->out, object);
}

void stats_put_json(struct stats *s)
{
	for (int what = 0; what < N_STATS_WHATS; what++)
		put_total(s, (enum stats_what)what);
	for (int what = 0; what < N_STATS_WHATS; what++) {
		for (int by = 0; by < N_STATS_BYS; by++) {
			struct stats_table *t = &s->tables[what][by];

			stats_sort(t);
			for (size_t i = 0; i < t->n; i++)
				put_group(s, (enum stats_what)what, (enum stats_by)by, &t->groups[i], false);
			if (t->others.count)
				put_group(s, (enum stats_what)what, (enum stats_by)by, &t->others, true);
		}
	}
}
