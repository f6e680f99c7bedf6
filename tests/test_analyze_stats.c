/* SPDX-License-Identifier: BSD-2-Clause */
/* Histograms against all of their values, sorted; and the tables of the view stats: what counts, and what is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fdtape/writer.h>

#include "analyze/histogram.h"
#include "analyze/stats.h"
#include "tests/test_format_helpers.h"

/* ---- the histogram ---------------------------------------------------------------------------------------------- */

enum {
	VALUES = 20000
};

static int by_value(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

/* The nearest rank: the least value that `per_mille` of 1000 are not above. Counted, not computed. */
static uint64_t exact(const uint64_t *sorted, size_t n, unsigned per_mille)
{
	for (size_t i = 0; i < n; i++)
		if ((i + 1) * 1000 >= n * (size_t)per_mille)
			return sorted[i];
	return 0;
}

static void hold_to_sorted(uint64_t *values, size_t n)
{
	static const unsigned per_mille[] = {0, 1, 10, 250, 500, 501, 900, 990, 999, 1000};
	struct histogram h = {0};

	for (size_t i = 0; i < n; i++)
		histogram_add(&h, values[i]);
	qsort(values, n, sizeof *values, by_value);
	assert_int_equal(h.count, n);
	assert_int_equal(h.min, values[0]);
	assert_int_equal(h.max, values[n - 1]);
	for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++) {
		uint64_t want = exact(values, n, per_mille[i]), is = histogram_percentile(&h, per_mille[i]);
		uint64_t off = is > want ? is - want : want - is;

		if (off > want / 256)
			fail_msg("%u per mille of %zu: %llu, should be %llu", per_mille[i], n, (unsigned long long)is,
			         (unsigned long long)want);
	}
	assert_int_equal(histogram_percentile(&h, 1000), values[n - 1]);
	histogram_release(&h);
}

static void test_histogram__percentiles__are_within_a_256th_of_the_exact_ones(void **state)
{
	uint64_t *values = malloc(VALUES * sizeof *values);
	struct dice dice = {.state = 1};

	(void)state;
	assert_non_null(values);
	for (unsigned kind = 0; kind < 8; kind++) {
		for (size_t n = 1; n <= VALUES; n = n < 40 ? n + 1 : n * 7 + 1) {
			for (size_t i = 0; i < n; i++) {
				uint64_t v = dice_u64(&dice);

				values[i] = kind == 0   ? v % 256 /* each has a bucket: exact */
				            : kind == 1 ? v % 1000
				            : kind == 2 ? v % 100000000
				            : kind == 3 ? v >> (v % 64) /* every order of magnitude */
				            : kind == 4 ? v
				            : kind == 5 ? 1000000 + v % 1000 /* one narrow peak, and a far one */
				                                            * (i % 1000 == 0) * 1000000
				            : kind == 6 ? dice_any(&dice)
				                        : 777777;
			}
			hold_to_sorted(values, n);
		}
	}
	free(values);
}

static void test_histogram__at_powers_of_two__has_no_seam(void **state)
{
	(void)state;
	for (unsigned bit = 1; bit < 64; bit++) {
		for (int64_t d = -2; d <= 2; d++) {
			uint64_t one[] = {((uint64_t)1 << bit) + (uint64_t)d};

			hold_to_sorted(one, 1);
		}
	}
}

static void test_histogram__of_nothing__has_neither_rows_nor_percentiles(void **state)
{
	struct histogram_row rows[HISTOGRAM_ROWS];
	struct histogram h = {0};

	(void)state;
	assert_int_equal(histogram_percentile(&h, 500), 0);
	assert_int_equal(histogram_rows(&h, rows, 20), 0);
	histogram_release(&h);
}

static void test_histogram__sum__does_not_wrap(void **state)
{
	struct histogram h = {0};

	(void)state;
	histogram_add(&h, UINT64_MAX);
	histogram_add(&h, UINT64_MAX);
	assert_true(h.sum == UINT64_MAX);
	histogram_release(&h);
}

/* Every value is in one row, and the row's count is that of the values in it. */
static void test_histogram__rows__hold_each_value_once(void **state)
{
	static const size_t limits[] = {0, 1, 8, 20, 64};
	struct dice dice = {.state = 2};
	struct histogram_row rows[HISTOGRAM_ROWS];
	uint64_t values[500];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		size_t n = 1 + dice_below(&dice, sizeof values / sizeof *values);
		unsigned shift = (unsigned)dice_below(&dice, 64), range = 1 + (unsigned)dice_below(&dice, 64);
		struct histogram h = {0};

		for (size_t i = 0; i < n; i++) {
			values[i] = dice_u64(&dice) >> shift >> dice_below(&dice, range);
			histogram_add(&h, values[i]);
		}
		for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
			size_t n_rows = histogram_rows(&h, rows, limits[l]);
			uint64_t in_all = 0;

			assert_in_range(n_rows, 1, HISTOGRAM_ROWS);
			for (size_t r = 0; r < n_rows; r++) {
				uint64_t count = 0;

				assert_true(rows[r].from <= rows[r].to);
				assert_true(!r || rows[r - 1].to + 1 == rows[r].from);
				for (size_t i = 0; i < n; i++)
					count += values[i] >= rows[r].from && values[i] <= rows[r].to;
				assert_int_equal(rows[r].count, count);
				in_all += count;
			}
			assert_int_equal(in_all, n);
		}
		histogram_release(&h);
	}
}

/* ---- the tables ------------------------------------------------------------------------------------------------- */

struct tape {
	char name[32];
	struct fdtape_writer *writer;
	int fd;
};

static void tape_begin(struct tape *t)
{
	const struct fdtape_writer_options options = {.clock = {.monotonic = 1, .realtime = 1000000001}};

	strcpy(t->name, "/tmp/fdtape-test-XXXXXX");
	t->fd = mkstemp(t->name);
	assert_true(t->fd >= 0);
	assert_int_equal(fdtape_writer_open_fd(&t->writer, t->fd, &options), 0);
}

static void tape_call(struct tape *t, struct fdtape_event event)
{
	event.fd = event.fd ? event.fd : -1;
	assert_int_equal(fdtape_writer_put(t->writer, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = event}),
	                 0);
}

static void tape_gather(struct tape *t, struct stats *stats, struct options *options, enum stats_by by)
{
	const char *name = t->name;

	assert_int_equal(fdtape_writer_end(t->writer), 0);
	fdtape_writer_free(t->writer);
	close(t->fd);
	*options = (struct options){.out = stderr, .stats_by = by};
	assert_int_equal(inputs_open(&options->inputs, &name, 1), 0);
	assert_int_equal(stats_gather(stats, options), 0);
	unlink(t->name);
}

/* 612 programs with one call each, the last of them with two. */
static void test_stats__groups_beyond_the_limit__are_counted_together(void **state)
{
	struct stats_table *table;
	struct options options;
	struct stats stats;
	struct tape tape;

	(void)state;
	tape_begin(&tape);
	for (uint32_t pid = 1; pid <= STATS_GROUPS + 100; pid++)
		tape_call(&tape, (struct fdtape_event){.time = pid * 1000,
		                                       .duration = pid,
		                                       .pid = pid,
		                                       .tid = pid,
		                                       .call = FDTAPE_CALL_CLOSE});
	tape_call(&tape, (struct fdtape_event){.time = 1000000,
	                                       .duration = 5,
	                                       .pid = STATS_GROUPS + 100,
	                                       .tid = STATS_GROUPS + 100,
	                                       .call = FDTAPE_CALL_CLOSE,
	                                       .result = -9});
	/* One that was met early goes on. */
	tape_call(&tape,
	          (struct fdtape_event){.time = 1000001, .duration = 7, .pid = 3, .tid = 3, .call = FDTAPE_CALL_CLOSE});
	tape_gather(&tape, &stats, &options, STATS_BY_PROCESS);

	table = &stats.tables[STATS_CALLS][STATS_BY_PROCESS];
	assert_int_equal(table->n, STATS_GROUPS);
	assert_int_equal(table->others.count, 101);
	assert_int_equal(table->others.failed, 1);
	assert_int_equal(table->others.time.min, 5);
	assert_int_equal(table->others.time.max, STATS_GROUPS + 100);
	assert_int_equal(stats.total[STATS_CALLS].count, STATS_GROUPS + 102);
	assert_int_equal(stats.tables[STATS_CALLS][STATS_BY_CALL].n, 0); /* not asked for */
	stats_sort(table);
	assert_int_equal(table->groups[0].tag, 3);
	assert_int_equal(table->groups[0].count, 2);
	assert_int_equal(table->groups[0].time.sum, 10);
	stats_release(&stats);
	inputs_release(&options.inputs);
}

static const struct stats_group *find(const struct stats_table *table, const char *key)
{
	for (size_t i = 0; i < table->n; i++)
		if (strcmp(table->groups[i].key, key) == 0)
			return &table->groups[i];
	fail_msg("no group %s", key);
	return NULL;
}

/* Each call of the list is counted as its comment says. */
static void test_stats__what_is_one_call__is_counted_once(void **state)
{
	static const struct fdtape_event events[] = {
	        /* In two events: one call. Its time is the first one's. */
	        {.call = FDTAPE_CALL_WRITE, .duration = 300, .dir = FDTAPE_OUT, .bytes = 10, .result = 15},
	        {.call = FDTAPE_CALL_WRITE,
	         .duration = 300,
	         .dir = FDTAPE_OUT,
	         .bytes = 5,
	         .result = 15,
	         .offset = 10,
	         .flags = FDTAPE_EVENT_CONTINUED},
	        /* A peek's bytes come again. */
	        {.call = FDTAPE_CALL_RECVFROM, .duration = 20, .bytes = 7, .result = 7, .flags = FDTAPE_EVENT_PEEK},
	        {.call = FDTAPE_CALL_RECVFROM, .duration = 30, .bytes = 7, .result = 7},
	        /* Nobody knows how long these took. */
	        {.call = FDTAPE_CALL_READ, .bytes = 1, .result = 1, .flags = FDTAPE_EVENT_NO_START},
	        {.call = FDTAPE_CALL_READ, .duration = 99, .flags = FDTAPE_EVENT_PENDING},
	        /* "Try again" is no failure, a reset is. */
	        {.call = FDTAPE_CALL_READ, .duration = 1, .result = -11},
	        {.call = FDTAPE_CALL_READ, .duration = 2, .result = -104},
	        /* No system call: not in the total. */
	        {.call = FDTAPE_CALL_SSL_READ, .duration = 50, .bytes = 3, .result = 3},
	        {.call = FDTAPE_CALL_EXIT},
	};
	struct options options;
	struct stats stats;
	struct tape tape;
	const struct stats_table *calls = &stats.tables[STATS_CALLS][STATS_BY_CALL];
	const struct stats_group *g;

	(void)state;
	tape_begin(&tape);
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		struct fdtape_event event = events[i];

		event.time = 1000 + UINT64_C(500000000) * i;
		event.pid = event.tid = 7;
		tape_call(&tape, event);
	}
	tape_gather(&tape, &stats, &options, N_STATS_BYS);

	g = find(calls, "syscall/write");
	assert_int_equal(g->count, 1);
	assert_int_equal(g->bytes[FDTAPE_OUT], 15);
	assert_int_equal(g->time.count, 1);
	g = find(calls, "syscall/recvfrom");
	assert_int_equal(g->count, 2);
	assert_int_equal(g->bytes[FDTAPE_IN], 7);
	assert_int_equal(g->time.sum, 50);
	g = find(calls, "syscall/read");
	assert_int_equal(g->count, 4);
	assert_int_equal(g->failed, 1);
	assert_int_equal(g->time.count, 2);
	assert_int_equal(g->time.sum, 3);
	g = find(calls, "openssl/SSL_read");
	assert_int_equal(g->bytes[FDTAPE_IN], 3);
	g = find(calls, "process/exit");
	assert_int_equal(g->count, 1);
	assert_int_equal(g->time.count, 0);
	assert_int_equal(stats.total[STATS_CALLS].count, 7);
	assert_int_equal(stats.total[STATS_CALLS].bytes[FDTAPE_IN], 8);
	/* From the first call at 1000 ns to the last at 4.5 s on: 7 in 4.5 s are 1555.5 in 1000 s. */
	assert_int_equal(stats.to - stats.from, 4500000000);
	assert_int_equal(stats_per_1000_s(&stats, 7), 1555);
	stats_release(&stats);
	inputs_release(&options.inputs);
}

static void test_stats__rates__do_not_overflow(void **state)
{
	struct stats stats = {.from = 1, .to = 1 + 1000000000};

	(void)state;
	assert_int_equal(stats_per_1000_s(&stats, 0), 0);
	assert_int_equal(stats_per_1000_s(&stats, 1), 1000);
	/* 10^12 calls in a second; counts are halved until they fit, which may cost a part of a thousand. */
	assert_in_range(stats_per_1000_s(&stats, 1000000000000), 999000000000000, 1001000000000000);
	stats.to = stats.from;
	assert_int_equal(stats_per_1000_s(&stats, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_histogram__percentiles__are_within_a_256th_of_the_exact_ones),
	        cmocka_unit_test(test_histogram__at_powers_of_two__has_no_seam),
	        cmocka_unit_test(test_histogram__of_nothing__has_neither_rows_nor_percentiles),
	        cmocka_unit_test(test_histogram__sum__does_not_wrap),
	        cmocka_unit_test(test_histogram__rows__hold_each_value_once),
	        cmocka_unit_test(test_stats__groups_beyond_the_limit__are_counted_together),
	        cmocka_unit_test(test_stats__what_is_one_call__is_counted_once),
	        cmocka_unit_test(test_stats__rates__do_not_overflow),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_stats", tests, NULL, NULL);
}
