/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting segments in order, and joining the two sources of a plaintext.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "replay/assembly.h"
#include "replay/plaintext.h"

/* What came out, as text: data as it is, a hole of n bytes as "[n]". */
struct out {
	char text[4096];
	uint64_t next;
};

static void emit(void *context, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct out *o = context;
	size_t n = strlen(o->text);

	(void)stamp;
	assert_true(offset == o->next); /* no gap, no overlap */
	o->next = offset + len;
	if (data)
		snprintf(o->text + n, sizeof o->text - n, "%.*s", (int)len, (const char *)data);
	else
		snprintf(o->text + n, sizeof o->text - n, "[%llu]", (unsigned long long)len);
}

static const struct stamp at = {.wall = 1};

static void put(struct assembly *a, struct out *o, uint64_t offset, const char *data, uint64_t lost)
{
	size_t len = strlen(data);

	assert_int_equal(assembly_put(a, offset, len + lost, (const uint8_t *)data, len, &at, emit, o), 0);
}

static void test_assembly__in_order__is_given_at_once(void **state)
{
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	put(&a, &o, 0, "ab", 0);
	assert_string_equal(o.text, "ab");
	put(&a, &o, 2, "cde", 2);
	put(&a, &o, 7, "f", 0);
	assert_string_equal(o.text, "abcde[2]f");
	assert_int_equal(a.captured, 6);
	assert_int_equal(a.high, 8);
	assembly_release(&a);
}

static void test_assembly__late_segment__fills_the_gap(void **state)
{
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	put(&a, &o, 6, "gh", 0);
	put(&a, &o, 3, "def", 0);
	assert_string_equal(o.text, "");
	put(&a, &o, 0, "abc", 0);
	assert_string_equal(o.text, "abcdefgh");
	assert_null(a.pending);
	assembly_release(&a);
}

/* Ports of the peers, in the order in which their pieces were given. */
static void emit_peer(void *context, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct out *o = context;
	size_t n = strlen(o->text);

	(void)offset;
	(void)data;
	(void)len;
	snprintf(o->text + n, sizeof o->text - n, "%u ", stamp->peer ? stamp->peer->port : 0u);
}

/* A peer is given with its own bytes, however long they waited: its address is the reader's, and soon another. */
static void test_assembly__late_datagrams__keep_their_peers(void **state)
{
	struct fdtape_address peer = {.port = 3};
	struct stamp stamp = {.peer = &peer};
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	assert_int_equal(assembly_put(&a, 4, 2, (const uint8_t *)"ef", 2, &stamp, emit_peer, &o), 0);
	peer.port = 2;
	assert_int_equal(assembly_put(&a, 2, 2, (const uint8_t *)"cd", 2, &stamp, emit_peer, &o), 0);
	peer.port = 1;
	assert_int_equal(assembly_put(&a, 0, 2, (const uint8_t *)"ab", 2, &stamp, emit_peer, &o), 0);
	assert_int_equal(assembly_put(&a, 6, 2, (const uint8_t *)"gh", 2, &at, emit_peer, &o), 0);
	assert_string_equal(o.text, "1 2 3 0 ");
	assembly_release(&a);
}

static void test_assembly__overlaps__each_byte_once(void **state)
{
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	put(&a, &o, 0, "abcd", 0);
	put(&a, &o, 2, "XXef", 0);
	put(&a, &o, 1, "XX", 0);
	put(&a, &o, 9, "jk", 0);
	put(&a, &o, 8, "iX", 0);
	put(&a, &o, 5, "Xgh", 0);
	assert_string_equal(o.text, "abcdefghiXk");
	assert_int_equal(a.captured, 11);
	assembly_release(&a);
}

static void test_assembly__gap_that_stays__becomes_a_hole_within_bounds(void **state)
{
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	for (uint64_t i = 0; i < 64; i++)
		put(&a, &o, 10 + i, "x", 0);
	assert_string_equal(o.text, "");
	put(&a, &o, 74, "y", 0);
	assert_int_equal(strncmp(o.text, "[10]xxx", 7), 0);
	assert_int_equal(a.n_pending, 0);
	put(&a, &o, 0, "late", 0); /* too late */
	put(&a, &o, 75, "z", 0);
	assert_int_equal(o.next, 76);
	assembly_release(&a);
}

static void test_assembly__finish__gives_what_waits_and_the_tail(void **state)
{
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	put(&a, &o, 0, "a", 0);
	put(&a, &o, 3, "d", 0);
	put(&a, &o, 6, "g", 0);
	assembly_finish(&a, 10, &at, emit, &o);
	assert_string_equal(o.text, "a[2]d[2]g[3]");
	assert_int_equal(a.captured, 3);
	assembly_release(&a);
}

static void test_assembly__hostile_lengths__do_not_wrap(void **state)
{
	struct assembly a = {0};
	struct out o = {0};

	(void)state;
	assert_int_equal(assembly_put(&a, UINT64_MAX - 2, UINT64_MAX, (const uint8_t *)"abcdef", 6, &at, emit, &o), 0);
	assembly_finish(&a, UINT64_MAX, &at, emit, &o);
	assert_true(a.next == UINT64_MAX);
	assert_int_equal(a.captured, 2);
	assembly_release(&a);
}

static void wire(struct plaintext *p, struct out *o, const char *data)
{
	assert_int_equal(plaintext_wire(p, (const uint8_t *)data, data ? strlen(data) : 0, &at, emit, o), 0);
}

static void calls(struct plaintext *p, struct out *o, uint64_t offset, const char *data)
{
	p->calls_known = true;
	assert_int_equal(plaintext_calls(p, offset, (const uint8_t *)data, strlen(data), &at, emit, o), 0);
}

static void test_plaintext__both_sources__are_compared(void **state)
{
	struct plaintext p = {0};
	struct out o = {0};

	(void)state;
	wire(&p, &o, "hello ");
	calls(&p, &o, 0, "hel");
	calls(&p, &o, 3, "lo w"); /* ahead of the wire: waits */
	wire(&p, &o, "world");
	calls(&p, &o, 7, "orld");
	assert_string_equal(o.text, "hello world");
	assert_int_equal(p.compared, 11);
	assert_false(p.differs);
	plaintext_release(&p);
}

static void test_plaintext__one_byte_differs__is_seen(void **state)
{
	struct plaintext p = {0};
	struct out o = {0};

	(void)state;
	wire(&p, &o, "hello world");
	calls(&p, &o, 0, "hello");
	assert_false(p.differs);
	calls(&p, &o, 5, " worlD");
	assert_true(p.differs);
	assert_string_equal(o.text, "hello world"); /* the wire is what is given */
	plaintext_release(&p);
}

static void test_plaintext__wire_lost__the_calls_go_on(void **state)
{
	struct plaintext p = {0};
	struct out o = {0};

	(void)state;
	wire(&p, &o, "hello");
	calls(&p, &o, 0, "hello wor");
	assert_string_equal(o.text, "hello");
	wire(&p, &o, NULL);
	assert_string_equal(o.text, "hello wor");
	calls(&p, &o, 9, "ld");
	calls(&p, &o, 13, "!");
	assert_string_equal(o.text, "hello world[2]!");
	plaintext_release(&p);
}

static void test_plaintext__wire_lost_without_calls__says_so_once(void **state)
{
	struct plaintext p = {0};
	struct out o = {0};

	(void)state;
	wire(&p, &o, "hel");
	wire(&p, &o, NULL);
	wire(&p, &o, NULL);
	assert_string_equal(o.text, "hel[0]");
	plaintext_release(&p);
}

static void test_plaintext__nothing_but_calls__they_are_given_at_the_end(void **state)
{
	struct plaintext p = {0};
	struct out o = {0};

	(void)state;
	calls(&p, &o, 0, "abc");
	assert_string_equal(o.text, "");
	assert_int_equal(plaintext_finish(&p, &at, emit, &o), 0);
	assert_string_equal(o.text, "abc");
	assert_int_equal(p.from_calls, 3);
	plaintext_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_assembly__in_order__is_given_at_once),
	        cmocka_unit_test(test_assembly__late_segment__fills_the_gap),
	        cmocka_unit_test(test_assembly__late_datagrams__keep_their_peers),
	        cmocka_unit_test(test_assembly__overlaps__each_byte_once),
	        cmocka_unit_test(test_assembly__gap_that_stays__becomes_a_hole_within_bounds),
	        cmocka_unit_test(test_assembly__finish__gives_what_waits_and_the_tail),
	        cmocka_unit_test(test_assembly__hostile_lengths__do_not_wrap),
	        cmocka_unit_test(test_plaintext__both_sources__are_compared),
	        cmocka_unit_test(test_plaintext__one_byte_differs__is_seen),
	        cmocka_unit_test(test_plaintext__wire_lost__the_calls_go_on),
	        cmocka_unit_test(test_plaintext__wire_lost_without_calls__says_so_once),
	        cmocka_unit_test(test_plaintext__nothing_but_calls__they_are_given_at_the_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("player_streams", tests, NULL, NULL);
}
