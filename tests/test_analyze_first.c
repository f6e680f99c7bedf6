/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First bytes of unknown protocols: what is kept, from where on, and whose turn it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyze/first_bytes.h"

static const struct tls_timeline stream;

static void add(struct map *flows, const struct player_flow *flow, enum fdtape_dir dir, uint64_t offset,
                const char *data, uint64_t len)
{
	const struct player_piece piece = {.offset = offset, .data = (const uint8_t *)data, .len = len};

	first_bytes_add(flows, flow, dir, &piece);
}

static void check(struct first_bytes *f, enum fdtape_dir dir, uint64_t bytes, uint64_t offset, const char *expected)
{
	char *text = first_bytes_text(f, dir, FIRST_BYTES);

	assert_string_equal(text, expected);
	assert_int_equal(f->side[dir].bytes, bytes);
	assert_int_equal(f->side[dir].offset, offset);
	free(text);
}

static void check_turns(const struct first_bytes *f, const char *expected)
{
	char *text = first_bytes_turns(f);

	assert_string_equal(text, expected);
	free(text);
}

static void test_first_bytes__stream__turns_run_together(void **state)
{
	const struct player_flow flow = {.number = 7, .def = {.kind = FDTAPE_KIND_SOCKET}, .timeline = &stream};
	struct map flows = {0};
	struct first_bytes *f;

	(void)state;
	add(&flows, &flow, FDTAPE_IN, 0, "220 \x1b[2J", 8);
	add(&flows, &flow, FDTAPE_IN, 8, "ready\\\r\n", 8);
	add(&flows, &flow, FDTAPE_OUT, 0, "HELO\r\n", 6);
	add(&flows, &flow, FDTAPE_IN, 16, "abcdefghijklmnopqrstuvwxyz", 26);
	f = first_bytes_take(&flows, &flow);
	assert_non_null(f);
	check(f, FDTAPE_IN, 42, 0, "220 \\x1b[2Jready\\\\\\x0d\\x0aabcdefghijklmnop");
	check(f, FDTAPE_OUT, 6, 0, "HELO\\x0d\\x0a");
	check_turns(f, "in 16 B, out 6 B, in 26 B");
	free(f);
	assert_null(first_bytes_take(&flows, &flow));
	first_bytes_release(&flows);
}

static void test_first_bytes__datagrams__are_counted_each_and_eight_are_told(void **state)
{
	const struct player_flow flow = {.number = 7, .def = {.kind = FDTAPE_KIND_SOCKET}};
	struct map flows = {0};
	struct first_bytes *f;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		add(&flows, &flow, FDTAPE_OUT, i, "x", 1);
	f = map_get(&flows, 7);
	check_turns(f, "out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, out 1 B");
	add(&flows, &flow, FDTAPE_OUT, 8, "x", 1);
	check_turns(f, "out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, out 1 B, ...");
	check(f, FDTAPE_OUT, 9, 0, "xxxxxxxxx");
	first_bytes_release(&flows);
}

/* What stands behind a hole is not joined to what stands before it. */
static void test_first_bytes__hole__says_where_it_begins(void **state)
{
	const struct player_flow flow = {.number = 7, .def = {.kind = FDTAPE_KIND_SOCKET}, .timeline = &stream};
	struct map flows = {0};
	struct first_bytes *f;

	(void)state;
	add(&flows, &flow, FDTAPE_IN, 0, NULL, 100);
	add(&flows, &flow, FDTAPE_IN, 100, "abc", 3);
	add(&flows, &flow, FDTAPE_IN, 103, NULL, 5);
	add(&flows, &flow, FDTAPE_IN, 108, "def", 3);
	f = first_bytes_take(&flows, &flow);
	assert_non_null(f);
	check(f, FDTAPE_IN, 111, 100, "abc");
	check_turns(f, "in 111 B");
	free(f);
	first_bytes_release(&flows);
}

static void test_first_bytes__known_or_silent__is_none(void **state)
{
	struct player_flow flow = {.number = 7, .def = {.kind = FDTAPE_KIND_SOCKET}, .timeline = &stream};
	const struct player_flow file = {.number = 8, .def = {.kind = FDTAPE_KIND_FILE}};
	struct map flows = {0};

	(void)state;
	add(&flows, &flow, FDTAPE_IN, 0, "GET", 3);
	flow.protocol = "http/1";
	add(&flows, &flow, FDTAPE_IN, 3, " / HTTP/1.1\r\n", 13);
	assert_null(first_bytes_take(&flows, &flow));
	flow.protocol = NULL;
	assert_null(first_bytes_take(&flows, &flow));
	add(&flows, &flow, FDTAPE_IN, 0, NULL, 3);
	assert_null(first_bytes_take(&flows, &flow));
	add(&flows, &file, FDTAPE_IN, 0, "bytes of a file", 15);
	assert_null(first_bytes_take(&flows, &file));
	assert_int_equal(flows.used, 0);
	first_bytes_release(&flows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_first_bytes__stream__turns_run_together),
	        cmocka_unit_test(test_first_bytes__datagrams__are_counted_each_and_eight_are_told),
	        cmocka_unit_test(test_first_bytes__hole__says_where_it_begins),
	        cmocka_unit_test(test_first_bytes__known_or_silent__is_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_first", tests, NULL, NULL);
}
