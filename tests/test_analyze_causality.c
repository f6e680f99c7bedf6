/* SPDX-License-Identifier: BSD-2-Clause */
/* Which request was made for which: exchanges made by hand, parents known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyze/causality.h"

/* Of process 1, served or sent from `first` to `last` by one thread. */
static struct causality_exchange served(uint32_t tid, uint64_t first, uint64_t last)
{
	return (struct causality_exchange){
	        .pid = 1, .role = FDTAPE_ROLE_SERVER, .tid = {tid, tid}, .first = first, .last = last};
}

static struct causality_exchange sent(uint32_t tid, uint64_t first, uint64_t last)
{
	struct causality_exchange x = served(tid, first, last);

	x.role = FDTAPE_ROLE_CLIENT;
	return x;
}

static struct causality_exchange with_id(struct causality_exchange x, enum causality_id id, uint64_t value)
{
	x.ids[id] = value;
	return x;
}

static void join(struct causality_exchange *x, size_t n)
{
	struct causality_offsets offsets = {.n = 0};

	causality_join(x, n, &offsets);
	assert_int_equal(offsets.n, 0);
}

static void assert_parent(const struct causality_exchange *x, size_t parent, enum causality_evidence evidence)
{
	assert_true(x->parent == parent);
	assert_int_equal(x->evidence, evidence);
	assert_int_equal(x->candidates, 0);
}

static void assert_unjoined(const struct causality_exchange *x, size_t candidates)
{
	assert_true(x->parent == CAUSALITY_NONE);
	assert_int_equal(x->evidence, CAUSALITY_UNKNOWN);
	assert_int_equal(x->candidates, candidates);
}

static void test_causality__the_only_request_served__is_the_parent(void **state)
{
	/* As told: what ends first comes first. */
	struct causality_exchange x[] = {sent(9, 110, 120), sent(9, 130, 140),   served(9, 100, 150),
	                                 sent(9, 210, 220), served(9, 200, 250), sent(9, 160, 170)};

	(void)state;
	join(x, 6);
	assert_parent(&x[0], 2, CAUSALITY_BY_ONLY);
	assert_parent(&x[1], 2, CAUSALITY_BY_ONLY);
	assert_parent(&x[3], 4, CAUSALITY_BY_ONLY);
	assert_unjoined(&x[5], 0);
	assert_unjoined(&x[2], 0);
}

static void test_causality__what_outlives_the_request__is_not_joined_by_time(void **state)
{
	struct causality_exchange x[] = {served(9, 100, 150), sent(9, 140, 151)};

	(void)state;
	join(x, 2);
	assert_unjoined(&x[1], 1);
}

static void test_causality__another_process_or_host__serves_nothing_here(void **state)
{
	struct causality_exchange x[] = {served(9, 100, 150), sent(9, 110, 120), sent(9, 110, 120)};

	(void)state;
	x[1].pid = 2;
	x[2].host = 1;
	join(x, 3);
	assert_unjoined(&x[1], 0);
	assert_unjoined(&x[2], 0);
}

static void test_causality__an_unknown_time_or_role__joins_nothing(void **state)
{
	struct causality_exchange x[] = {served(9, 0, 150), sent(9, 110, 120), served(9, 100, 150), sent(9, 0, 120)};

	(void)state;
	x[2].role = FDTAPE_ROLE_UNKNOWN;
	join(x, 4);
	assert_unjoined(&x[1], 0);
	assert_unjoined(&x[3], 0);
}

/* An event loop: one thread, two requests at a time. Which of them each was sent for, nobody can tell. */
static void test_causality__overlapping_in_an_event_loop__stays_ambiguous(void **state)
{
	struct causality_exchange x[] = {served(9, 100, 200), served(9, 110, 190), sent(9, 120, 130),
	                                 sent(9, 195, 198)};

	(void)state;
	join(x, 4);
	assert_unjoined(&x[2], 2);
	assert_parent(&x[3], 0, CAUSALITY_BY_ONLY); /* the other one is over */
}

static void test_causality__ids_in_an_event_loop__tell(void **state)
{
	struct causality_exchange x[] = {
	        with_id(served(9, 100, 200), CAUSALITY_X_REQUEST_ID, 71),
	        with_id(served(9, 110, 190), CAUSALITY_X_REQUEST_ID, 72),
	        with_id(sent(9, 120, 130), CAUSALITY_X_REQUEST_ID, 71),
	        with_id(sent(9, 121, 131), CAUSALITY_X_REQUEST_ID, 72),
	        with_id(sent(9, 122, 132), CAUSALITY_X_REQUEST_ID, 73),
	        with_id(sent(9, 122, 132), CAUSALITY_REQUEST_ID, 71), /* another header's */
	        sent(9, 123, 133),
	        with_id(sent(9, 205, 206), CAUSALITY_X_REQUEST_ID, 71), /* behind the response */
	        with_id(sent(9, 90, 95), CAUSALITY_X_REQUEST_ID, 71),   /* too early */
	};

	(void)state;
	join(x, 9);
	assert_parent(&x[2], 0, CAUSALITY_BY_ID);
	assert_int_equal(x[2].id, CAUSALITY_X_REQUEST_ID);
	assert_parent(&x[3], 1, CAUSALITY_BY_ID);
	assert_unjoined(&x[4], 2);
	assert_unjoined(&x[5], 2);
	assert_unjoined(&x[6], 2);
	assert_parent(&x[7], 0, CAUSALITY_BY_ID);
	assert_unjoined(&x[8], 0);
}

static void test_causality__one_id_of_two_requests__stays_ambiguous_unless_another_tells(void **state)
{
	struct causality_exchange x[] = {
	        with_id(with_id(served(9, 100, 200), CAUSALITY_TRACE_ID, 5), CAUSALITY_X_REQUEST_ID, 71),
	        with_id(with_id(served(9, 110, 190), CAUSALITY_TRACE_ID, 5), CAUSALITY_X_REQUEST_ID, 72),
	        served(9, 115, 195),
	        with_id(sent(9, 120, 130), CAUSALITY_TRACE_ID, 5),
	        with_id(with_id(sent(9, 120, 130), CAUSALITY_TRACE_ID, 5), CAUSALITY_X_REQUEST_ID, 72),
	        with_id(sent(9, 196, 197), CAUSALITY_TRACE_ID, 5), /* the first is the one that is left */
	        with_id(sent(9, 300, 301), CAUSALITY_TRACE_ID, 5), /* both are over */
	};

	(void)state;
	join(x, 7);
	assert_unjoined(&x[3], 2);
	assert_parent(&x[4], 1, CAUSALITY_BY_ID);
	assert_parent(&x[5], 0, CAUSALITY_BY_ID);
	assert_unjoined(&x[6], 2);
}

static void test_causality__another_id__contradicts_time(void **state)
{
	struct causality_exchange x[] = {
	        with_id(served(9, 100, 200), CAUSALITY_TRACE_ID, 5),
	        with_id(sent(9, 120, 130), CAUSALITY_TRACE_ID, 6),
	        with_id(with_id(served(9, 300, 400), CAUSALITY_TRACE_ID, 5), CAUSALITY_TRACEPARENT, 51),
	        with_id(with_id(sent(9, 320, 330), CAUSALITY_TRACE_ID, 5), CAUSALITY_TRACEPARENT, 52),
	};

	(void)state;
	join(x, 4);
	assert_unjoined(&x[1], 1);
	assert_parent(&x[3], 2, CAUSALITY_BY_ID); /* a span of its own is no other trace */
}

static void test_causality__one_request_a_thread__threads_tell(void **state)
{
	struct causality_exchange x[] = {served(7, 100, 200), served(8, 110, 190), sent(7, 120, 130),
	                                 sent(8, 121, 131),   sent(6, 122, 132),   sent(8, 185, 191)};

	(void)state;
	join(x, 6);
	assert_parent(&x[2], 0, CAUSALITY_BY_THREAD);
	assert_parent(&x[3], 1, CAUSALITY_BY_THREAD);
	assert_unjoined(&x[4], 2); /* a pool's thread */
	assert_unjoined(&x[5], 2); /* outlives it */
}

/* Goroutines: a thread once served two at a time, or handed one on. Then threads tell nothing anywhere. */
static void test_causality__where_threads_are_shared__they_tell_nothing(void **state)
{
	struct causality_exchange shared[] = {served(7, 100, 200), served(8, 110, 190), sent(7, 120, 130),
	                                      served(7, 300, 400), served(7, 350, 380)};
	struct causality_exchange handed_on[] = {served(7, 100, 200), served(8, 110, 190), sent(7, 120, 130),
	                                         served(7, 300, 400)};
	struct causality_exchange not_known[] = {served(7, 100, 200), served(8, 110, 190), sent(7, 120, 130)};

	(void)state;
	join(shared, 5);
	assert_unjoined(&shared[2], 2);
	handed_on[3].tid[1] = 8;
	join(handed_on, 4);
	assert_unjoined(&handed_on[2], 2);
	not_known[1].tid[1] = 0;
	join(not_known, 3);
	assert_unjoined(&not_known[2], 2);
}

/* ---- ends of connections ---------------------------------------------------------------------------------------- */

static struct causality_exchange at_end(struct causality_exchange x, uint32_t pid, uint64_t connection,
                                        uint64_t request)
{
	x.pid = pid;
	x.connection = connection;
	x.request = request;
	return x;
}

static void test_causality__both_ends_of_a_connection__are_paired(void **state)
{
	/* 1 asks 2, which asks 3; connections are 10 and 20. */
	struct causality_exchange x[] = {
	        at_end(served(3, 130, 140), 3, 20, 6), at_end(sent(2, 125, 145), 2, 20, 6),
	        at_end(served(2, 110, 190), 2, 10, 5), at_end(sent(1, 100, 200), 1, 10, 5),
	        at_end(served(2, 110, 190), 2, 11, 5), /* another connection */
	        at_end(served(2, 110, 190), 2, 10, 7), /* another request */
	        at_end(served(2, 910, 990), 2, 10, 5), /* the ports were used again, when nobody saw the client */
	};

	(void)state;
	join(x, 4);
	assert_parent(&x[2], 3, CAUSALITY_CONNECTION);
	assert_parent(&x[1], 2, CAUSALITY_BY_ONLY);
	assert_parent(&x[0], 1, CAUSALITY_CONNECTION);
	assert_unjoined(&x[3], 0);
	join(x, 7);
	assert_parent(&x[2], 3, CAUSALITY_CONNECTION);
	for (size_t i = 4; i < 7; i++)
		assert_unjoined(&x[i], 0);
}

static void test_causality__other_bytes__are_not_the_other_end(void **state)
{
	for (int what = 0; what < 3; what++) {
		struct causality_exchange x[] = {at_end(sent(1, 100, 200), 1, 10, 5),
		                                 at_end(served(2, 110, 190), 2, 10, 5)};
		uint64_t *of[2][3] = {{&x[0].request_body, &x[0].response, &x[0].response_body},
		                      {&x[1].request_body, &x[1].response, &x[1].response_body}};

		(void)state;
		*of[0][what] = 33;
		join(x, 2); /* the server's is not known: nothing speaks against it */
		assert_parent(&x[1], 0, CAUSALITY_CONNECTION);
		*of[1][what] = 34;
		join(x, 2);
		assert_unjoined(&x[1], 0);
	}
}

static void test_causality__the_same_request_again__pairs_in_order(void **state)
{
	struct causality_exchange x[] = {at_end(sent(1, 100, 200), 1, 10, 5),   at_end(served(2, 410, 490), 2, 10, 5),
	                                 at_end(sent(1, 400, 500), 1, 10, 5),   at_end(served(2, 110, 190), 2, 10, 5),
	                                 at_end(served(2, 310, 390), 2, 10, 5), at_end(sent(1, 600, 700), 1, 10, 5)};

	(void)state;
	join(x, 6);
	assert_parent(&x[3], 0, CAUSALITY_CONNECTION);
	assert_parent(&x[1], 2, CAUSALITY_CONNECTION);
	assert_unjoined(&x[4], 0); /* its client's end is not on the tape */
}

/* A process that asks itself: what it serves then is no reason for asking. */
static void test_causality__ones_own_other_end__is_no_candidate(void **state)
{
	struct causality_exchange x[] = {served(1, 50, 300), at_end(sent(1, 100, 200), 1, 10, 5),
	                                 at_end(served(1, 100, 200), 1, 10, 5)};

	(void)state;
	x[0].ids[CAUSALITY_X_REQUEST_ID] = x[1].ids[CAUSALITY_X_REQUEST_ID] = x[2].ids[CAUSALITY_X_REQUEST_ID] = 9;
	join(x, 3);
	assert_parent(&x[1], 0, CAUSALITY_BY_ID);
	assert_parent(&x[2], 1, CAUSALITY_CONNECTION);
	memset(x[0].ids, 0, sizeof x[0].ids);
	memset(x[1].ids, 0, sizeof x[1].ids);
	memset(x[2].ids, 0, sizeof x[2].ids);
	join(x, 3);
	assert_parent(&x[1], 0, CAUSALITY_BY_ONLY);
	assert_parent(&x[2], 1, CAUSALITY_CONNECTION);
}

/* Two processes that ask each other, each within the other: impossible, but a tape may say so. */
static void test_causality__a_circle__is_opened(void **state)
{
	struct causality_exchange x[] = {at_end(served(1, 100, 200), 1, 10, 5), at_end(sent(1, 110, 190), 1, 20, 6),
	                                 at_end(served(2, 100, 200), 2, 20, 6), at_end(sent(2, 110, 190), 2, 10, 5)};
	size_t roots = 0;

	(void)state;
	join(x, 4);
	for (size_t i = 0; i < 4; i++) {
		size_t at = i, steps = 0;

		roots += x[i].parent == CAUSALITY_NONE;
		while (at != CAUSALITY_NONE && steps++ < 10)
			at = x[at].parent;
		assert_true(at == CAUSALITY_NONE);
	}
	assert_int_equal(roots, 1);
}

/* ---- clocks ----------------------------------------------------------------------------------------------------- */

#define S UINT64_C(1000000000)

/* Sent by host `client` at 100000 s, answered after 10 ms; received `there` ns and 1 ms later, for 7 ms. */
static void add_pair(struct causality_exchange x[2], uint32_t client, int64_t there, uint64_t connection, uint64_t late)
{
	x[0] = at_end(sent(1, 100000 * S, 100000 * S + 10000000), 1, connection, 5);
	x[1] = at_end(
	        served(1, 100000 * S + (uint64_t)there + 1000000 + late, 100000 * S + (uint64_t)there + 8000000 + late),
	        1, connection, 5);
	x[0].host = client;
	x[1].host = !client;
}

static void test_causality__clocks_of_two_hosts__are_bounded_by_their_connections(void **state)
{
	/* Host 1 is 5 s ahead, or an hour behind; who of them asks makes no difference. */
	static const int64_t ahead[] = {5000000000, -3600000000000};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (uint32_t client = 0; client < 2; client++) {
			int64_t there = client ? -ahead[i] : ahead[i];
			struct causality_offsets offsets = {.n = 0};
			struct causality_exchange x[4];

			add_pair(&x[0], client, there, 10, 0);
			add_pair(&x[2], client, there, 11, 1500000); /* 2.5 ms on its way, 0.5 ms back */
			causality_join(x, 4, &offsets);
			assert_parent(&x[1], 0, CAUSALITY_CONNECTION);
			assert_parent(&x[3], 2, CAUSALITY_CONNECTION);
			assert_int_equal(offsets.n, 1);
			assert_int_equal(offsets.of[0].a, 0);
			assert_int_equal(offsets.of[0].b, 1);
			assert_int_equal(offsets.of[0].pairs, 2);
			/* The first says: from 2 ms less to 1 ms more than the truth; the second: 0.5 less to 2.5 more. */
			assert_true(offsets.of[0].low == (client ? ahead[i] - 1000000 : ahead[i] - 500000));
			assert_true(offsets.of[0].high == (client ? ahead[i] + 500000 : ahead[i] + 1000000));
			assert_true(causality_offset_middle(&offsets.of[0]) ==
			            (client ? ahead[i] - 250000 : ahead[i] + 250000));
		}
	}
}

static void test_causality__between_hosts__one_end_more_pairs_nothing(void **state)
{
	struct causality_offsets offsets = {.n = 0};
	struct causality_exchange x[3];

	(void)state;
	add_pair(x, 0, 5000000000, 10, 0);
	x[2] = x[1];
	x[2].first += S;
	x[2].last += S;
	causality_join(x, 3, &offsets);
	assert_int_equal(offsets.n, 0);
	assert_unjoined(&x[1], 0);
}

static void test_causality__clocks_beyond_reason__have_no_bound(void **state)
{
	struct causality_offsets offsets = {.n = 0};
	struct causality_exchange x[2];

	(void)state;
	add_pair(x, 1, 0, 10, 0);
	x[0].first = 1;
	x[1].first = UINT64_MAX - 1;
	x[1].last = UINT64_MAX;
	causality_join(x, 2, &offsets);
	assert_int_equal(offsets.n, 1);
	assert_true(offsets.of[0].low == -CAUSALITY_FAR);
	assert_true(offsets.of[0].high == CAUSALITY_FAR);
}

/* ---- from an exchange ------------------------------------------------------------------------------------------- */

static struct causality_exchange described(const char *name, const char *value)
{
	const struct http_header headers[] = {{"Host", "a"}, {name, value}};
	const struct http_exchange http = {.dir = FDTAPE_OUT,
	                                   .method = "GET",
	                                   .target = "/",
	                                   .stream = -1,
	                                   .request = {.seen = true, .headers = headers, .n_headers = 2}};
	const struct player_flow flow = {.def = {.pid = 1}, .role = FDTAPE_ROLE_CLIENT};
	struct causality_exchange x = {.pid = 0};

	causality_describe(&x, &flow, &http);
	return x;
}

static bool share(enum causality_id id, const char *name, const char *a, const char *b)
{
	uint64_t x = described(name, a).ids[id], y = described(name, b).ids[id];

	return x && x == y;
}

static void test_causality__ids__are_what_a_trace_has_in_common(void **state)
{
	const char *w3c = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	const char *span = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01";
	static const char *const wrong[] = {
	        "",
	        "00",
	        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
	        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
	        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
	        "00-4bf92f3577b34da6a3ce929d0e0e4736-",
	};

	(void)state;
	assert_true(share(CAUSALITY_TRACE_ID, "TraceParent", w3c, span));
	assert_false(share(CAUSALITY_TRACEPARENT, "traceparent", w3c, span));
	assert_true(share(CAUSALITY_TRACEPARENT, "traceparent", w3c, w3c));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(described("traceparent", wrong[i]).ids[CAUSALITY_TRACE_ID], 0);
	assert_true(share(CAUSALITY_X_REQUEST_ID, "X-Request-ID", "abc", "abc"));
	assert_false(share(CAUSALITY_X_REQUEST_ID, "X-Request-ID", "abc", "abd"));
	assert_false(share(CAUSALITY_X_REQUEST_ID, "X-Request-ID", "", ""));
	assert_true(share(CAUSALITY_B3_TRACE_ID, "b3", "80f198ee56343ba8-e457b5a2e4d86bd1-1",
	                  "80f198ee56343ba8-05e3ac9a4f6e3b90"));
	assert_int_equal(described("b3", "0").ids[CAUSALITY_B3_TRACE_ID], 0);
	assert_true(described("b3", "80f1-e4").ids[CAUSALITY_B3_TRACE_ID] ==
	            described("X-B3-TraceId", "80f1").ids[CAUSALITY_B3_TRACE_ID]);
	assert_true(share(CAUSALITY_AMZN_TRACE_ID, "X-Amzn-Trace-Id", "Self=1-2;Root=1-67891233-abc",
	                  "Root=1-67891233-abc;Parent=5"));
	assert_true(share(CAUSALITY_UBER_TRACE_ID, "uber-trace-id", "3ef1:1:0:1", "3ef1:2:1:1"));
	assert_true(described("x", NULL).request == 0); /* not decoded */
}

static uint64_t connection_of(uint32_t role, uint8_t family, uint16_t port, const uint8_t client[16])
{
	struct player_flow flow = {.def = {.proto = FDTAPE_PROTO_TCP}, .role = role};
	struct fdtape_address c = {.family = family, .len = 4, .port = port},
	                      s = {FDTAPE_FAMILY_IPV4, 4, 80, {10, 0, 0, 1}};
	const struct http_exchange http = {.dir = role == FDTAPE_ROLE_CLIENT, .stream = -1};
	struct causality_exchange x = {.pid = 0};

	memcpy(c.addr, client, 16);
	flow.def.local = role == FDTAPE_ROLE_CLIENT ? c : s;
	flow.def.remote = role == FDTAPE_ROLE_CLIENT ? s : c;
	causality_describe(&x, &flow, &http);
	return x.connection;
}

static void test_causality__a_connection__has_one_name_at_both_ends(void **state)
{
	static const uint8_t v4[16] = {10, 0, 0, 2}, other[16] = {10, 0, 0, 3};
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2};
	uint64_t one = connection_of(FDTAPE_ROLE_CLIENT, FDTAPE_FAMILY_IPV4, 40000, v4);

	(void)state;
	assert_true(one != 0);
	assert_true(connection_of(FDTAPE_ROLE_SERVER, FDTAPE_FAMILY_IPV4, 40000, v4) == one);
	assert_true(connection_of(FDTAPE_ROLE_SERVER, FDTAPE_FAMILY_IPV6, 40000, mapped) == one);
	assert_true(connection_of(FDTAPE_ROLE_SERVER, FDTAPE_FAMILY_IPV4, 40001, v4) != one);
	assert_true(connection_of(FDTAPE_ROLE_SERVER, FDTAPE_FAMILY_IPV4, 40000, other) != one);
	assert_true(connection_of(FDTAPE_ROLE_SERVER, FDTAPE_FAMILY_NONE, 0, v4) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_causality__the_only_request_served__is_the_parent),
	        cmocka_unit_test(test_causality__what_outlives_the_request__is_not_joined_by_time),
	        cmocka_unit_test(test_causality__another_process_or_host__serves_nothing_here),
	        cmocka_unit_test(test_causality__an_unknown_time_or_role__joins_nothing),
	        cmocka_unit_test(test_causality__overlapping_in_an_event_loop__stays_ambiguous),
	        cmocka_unit_test(test_causality__ids_in_an_event_loop__tell),
	        cmocka_unit_test(test_causality__one_id_of_two_requests__stays_ambiguous_unless_another_tells),
	        cmocka_unit_test(test_causality__another_id__contradicts_time),
	        cmocka_unit_test(test_causality__one_request_a_thread__threads_tell),
	        cmocka_unit_test(test_causality__where_threads_are_shared__they_tell_nothing),
	        cmocka_unit_test(test_causality__both_ends_of_a_connection__are_paired),
	        cmocka_unit_test(test_causality__other_bytes__are_not_the_other_end),
	        cmocka_unit_test(test_causality__the_same_request_again__pairs_in_order),
	        cmocka_unit_test(test_causality__ones_own_other_end__is_no_candidate),
	        cmocka_unit_test(test_causality__a_circle__is_opened),
	        cmocka_unit_test(test_causality__clocks_of_two_hosts__are_bounded_by_their_connections),
	        cmocka_unit_test(test_causality__between_hosts__one_end_more_pairs_nothing),
	        cmocka_unit_test(test_causality__clocks_beyond_reason__have_no_bound),
	        cmocka_unit_test(test_causality__ids__are_what_a_trace_has_in_common),
	        cmocka_unit_test(test_causality__a_connection__has_one_name_at_both_ends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_causality", tests, NULL, NULL);
}
