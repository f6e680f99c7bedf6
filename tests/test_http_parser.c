/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/1: each conversation is parsed in one piece and cut at every byte; what is told must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "replay/buffer.h"
#include "replay/proto/proto.h"

/* A step of a conversation: requests go in direction 1, responses in 0. */
struct step {
	char to; /* '>' request bytes, '<' response bytes, '(' and ')' holes there */
	const char *bytes;
	uint64_t hole;
};

struct told {
	char text[8192];
};

__attribute__((format(printf, 2, 3))) static void add(struct told *t, const char *format, ...)
{
	size_t n = strlen(t->text);
	va_list args;

	va_start(args, format);
	vsnprintf(t->text + n, sizeof t->text - n, format, args);
	va_end(args);
}

static void add_message(struct told *t, const struct http_message *m)
{
	add(t, " %s%s h%zu b%llu%s", m->seen ? "seen" : "unseen", m->complete ? "+" : "-", m->n_headers,
	    (unsigned long long)m->body_bytes, m->body_whole ? " " : " hole");
	if (m->body_whole)
		add(t, "%02x%02x", m->body_sha256[0], m->body_sha256[1]);
}

static void on_http(void *context, const struct http_exchange *x)
{
	struct told *t = context;

	add(t, "%s %s %s @%s %d %s:", x->version ? x->version : "-", x->method ? x->method : "-",
	    x->target ? x->target : "-", x->authority ? x->authority : "-", x->status, x->reason ? x->reason : "-");
	add_message(t, &x->request);
	add_message(t, &x->response);
	add(t, "%s\n", x->complete ? " complete" : "");
}

static void feed(void *state, const struct step *step, size_t cut)
{
	const struct stamp stamp = {.wall = 5, .shown = true};
	int dir = step->to == '>' || step->to == ')';
	size_t len = step->bytes ? strlen(step->bytes) : 0;

	if (!step->bytes) {
		assert_int_equal(proto_http1.feed(state, dir, NULL, step->hole, &stamp), 0);
		return;
	}
	for (size_t i = 0; i < len;) {
		size_t n = cut == 0 ? len : cut == SIZE_MAX ? 1 : i == 0 && cut < len ? cut : len - i;
		uint8_t *copy = malloc(n);

		memcpy(copy, step->bytes + i, n);
		assert_int_equal(proto_http1.feed(state, dir, copy, n, &stamp), 0);
		free(copy);
		i += n;
	}
}

static struct told parse(const struct step *steps, size_t n, size_t cut, bool closed, bool preopened)
{
	struct told t = {""};
	struct tls_info tls = {0};
	const struct proto_flow flow = {.preopened = preopened, .tls = &tls};
	const struct proto_sink sink = {.context = &t, .http = on_http, .digests = true};
	void *state = proto_http1.open(&flow, &sink);

	assert_non_null(state);
	for (size_t i = 0; i < n; i++)
		feed(state, &steps[i], cut);
	assert_int_equal(proto_http1.finish(state, closed), 0);
	proto_http1.free(state);
	return t;
}

static void check_any(const struct step *steps, size_t n, bool closed, bool preopened, const char *expected)
{
	size_t longest = 0;
	struct told t = parse(steps, n, 0, closed, preopened);

	assert_string_equal(t.text, expected);
	for (size_t i = 0; i < n; i++)
		if (steps[i].bytes && strlen(steps[i].bytes) > longest)
			longest = strlen(steps[i].bytes);
	for (size_t cut = 1; cut <= longest; cut++) {
		t = parse(steps, n, cut, closed, preopened);
		assert_string_equal(t.text, expected);
	}
	t = parse(steps, n, SIZE_MAX, closed, preopened);
	assert_string_equal(t.text, expected);
}

#define CHECK(steps, expected) check_any(steps, sizeof(steps) / sizeof *(steps), true, false, expected)

/* The beginnings of SHA-256 of "" (e3b0), "hello" (2cf2), "hello world" (b94d). */

static void test_http_message__get__is_told_whole(void **state)
{
	static const struct step steps[] = {
	        {'>', "GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nAccept:  */* \r\n\r\n", 0},
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 GET /a?b=c @example.org 200 OK: seen+ h2 b0 e3b0 seen+ h1 b5 2cf2 complete\n");
}

static void test_http_message__keep_alive_and_pipelined__are_paired_in_order(void **state)
{
	static const struct step steps[] = {
	        {'>',
	         "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /3 HTTP/1.0\r\n\r\n", 0},
	        {'<',
	         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length:5\r\n\r\nhello",
	         0},
	        {'<', "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n", 0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 GET /1 @- 200 OK: seen+ h0 b0 e3b0 seen+ h1 b0 e3b0 complete\n"
	             "HTTP/1.1 POST /2 @- 404 Not Found: seen+ h1 b5 2cf2 seen+ h1 b5 2cf2 complete\n"
	             "HTTP/1.0 GET /3 @- 500 : seen+ h0 b0 e3b0 seen+ h1 b0 e3b0 complete\n");
}

static void test_http_message__chunked_with_trailers__body_is_joined(void **state)
{
	static const struct step steps[] = {
	        {'>', "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n", 0},
	        {'<',
	         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n05\r\nworld\r\n0\r\nA: b\r\nC: "
	         "d\r\n\r\n",
	         0},
	        {'>', "GET /2 HTTP/1.1\r\n\r\n", 0},
	        {'<', "HTTP/1.1 204 No Content\r\n\r\n", 0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 POST / @- 200 OK: seen+ h1 b5 2cf2 seen+ h1 b11 b94d complete\n"
	             "HTTP/1.1 GET /2 @- 204 No Content: seen+ h0 b0 e3b0 seen+ h0 b0 e3b0 complete\n");
}

static void test_http_message__responses_without_body__end_with_their_head(void **state)
{
	static const struct step steps[] = {
	        {'>', "HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nIf-None-Match: x\r\n\r\nGET /3 HTTP/1.1\r\n\r\n", 0},
	        {'<',
	         "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: "
	         "7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	         0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 HEAD / @- 200 OK: seen+ h0 b0 e3b0 seen+ h1 b0 e3b0 complete\n"
	             "HTTP/1.1 GET / @- 304 Not Modified: seen+ h1 b0 e3b0 seen+ h1 b0 e3b0 complete\n"
	             "HTTP/1.1 GET /3 @- 200 OK: seen+ h0 b0 e3b0 seen+ h1 b5 2cf2 complete\n");
}

static void test_http_message__interim_responses__are_not_the_answer(void **state)
{
	static const struct step steps[] = {
	        {'>', "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 0},
	        {'<', "HTTP/1.1 100 Continue\r\n\r\n", 0},
	        {'>', "hello", 0},
	        {'<', "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
	         0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 POST / @- 201 Created: seen+ h2 b5 2cf2 seen+ h1 b0 e3b0 complete\n");
}

static void test_http_message__until_the_close__needs_a_close(void **state)
{
	static const struct step steps[] = {
	        {'>', "GET / HTTP/1.0\r\n\r\n", 0},
	        {'<', "HTTP/1.0 200 OK\r\n\r\nhello", 0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.0 GET / @- 200 OK: seen+ h0 b0 e3b0 seen+ h0 b5 2cf2 complete\n");
	check_any(steps, 2, false, false, "HTTP/1.0 GET / @- 200 OK: seen+ h0 b0 e3b0 seen- h0 b5 2cf2\n");
}

static void test_http_message__no_answer__is_told_at_the_end(void **state)
{
	static const struct step steps[] = {
	        {'>', "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello", 0},
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", 0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 GET /1 @- 200 OK: seen+ h0 b0 e3b0 seen- h1 b5 2cf2\n"
	             "HTTP/1.1 POST /2 @- 0 -: seen- h1 b5 2cf2 unseen- h0 b0 hole\n");
}

static void test_http_message__upgrade_and_connect__begin_another_conversation(void **state)
{
	static const struct step upgrade[] = {
	        {'>', "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", 0},
	        {'<', "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello", 0},
	        {'>', "GET / HTTP/1.1\r\n\r\n", 0},
	};
	static const struct step tunnel[] = {
	        {'>', "CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 0},
	        {'<', "HTTP/1.1 200 Connection established\r\n\r\n", 0},
	        {'>', "GET / HTTP/1.1\r\n\r\n", 0},
	};

	(void)state;
	CHECK(upgrade, "HTTP/1.1 GET /ws @- 101 Switching Protocols: seen+ h1 b0 e3b0 seen+ h1 b0 e3b0 complete\n");
	CHECK(tunnel, "HTTP/1.1 CONNECT example.org:443 @example.org:443 200 Connection established: seen+ h1 b0 e3b0 "
	              "seen+ h0 b0 e3b0 complete\n"
	              "HTTP/1.1 GET / @- 0 -: seen+ h0 b0 e3b0 unseen- h0 b0 hole\n");
}

static void test_http_message__loose_forms__are_understood(void **state)
{
	static const struct step steps[] = {
	        {'>', "\r\n\r\nGET http://example.org/x HTTP/1.1\nHost: other\nA: b\n  c\n\n", 0},
	        {'<', "HTTP/1.1 200\nContent-Length: 5\n\nhello", 0},
	};

	(void)state;
	CHECK(steps,
	      "HTTP/1.1 GET http://example.org/x @example.org 200 : seen+ h2 b0 e3b0 seen+ h1 b5 2cf2 complete\n");
}

static void test_http_message__holes_in_bodies__are_counted(void **state)
{
	static const struct step length[] = {
	        {'>', "GET / HTTP/1.1\r\n\r\n", 0},
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhe", 0},
	        {'(', NULL, 5},
	        {'<', "loxHTTP/1.1 ", 0},
	        {'>', "GET /2 HTTP/1.1\r\n\r\n", 0},
	        {'<', "200 OK\r\nContent-Length: 5\r\n\r\nhello", 0},
	};
	static const struct step chunk[] = {
	        {'>', "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", 0},
	        {')', NULL, 5},
	        {'>', "\r\n0\r\n\r\n", 0},
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
	};

	(void)state;
	CHECK(length, "HTTP/1.1 GET / @- 200 OK: seen+ h0 b0 e3b0 seen- h1 b10 hole\n"
	              "HTTP/1.1 GET /2 @- 200 OK: seen+ h0 b0 e3b0 seen+ h1 b5 2cf2 complete\n");
	CHECK(chunk, "HTTP/1.1 POST / @- 200 OK: seen- h1 b5 hole seen+ h1 b0 e3b0\n");
}

static void test_http_message__holes_elsewhere__end_the_message(void **state)
{
	static const struct step head[] = {
	        {'>', "GET /1 HTTP/1.1\r\n\r\n", 0}, {'<', "HTTP/1.1 200 OK\r\nContent-Le", 0}, {'(', NULL, 3},
	        {'<', "h: 5\r\n\r\nhello", 0},       {'>', "GET /2 HTTP/1.1\r\n\r\n", 0},
	};
	static const struct step unknown[] = {
	        {'>', "GET /1 HTTP/1.1\r\n\r\n", 0},
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 0},
	        {'(', NULL, 0},
	        {'<', "lo", 0},
	};
	static const struct step requests[] = {
	        {')', NULL, 100},
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0},
	};

	(void)state;
	CHECK(head, "HTTP/1.1 GET /1 @- 0 -: seen+ h0 b0 e3b0 unseen- h0 b0 hole\n"
	            "HTTP/1.1 GET /2 @- 0 -: seen+ h0 b0 e3b0 unseen- h0 b0 hole\n");
	CHECK(unknown, "HTTP/1.1 GET /1 @- 200 OK: seen+ h0 b0 e3b0 seen- h1 b3 hole\n");
	CHECK(requests, "HTTP/1.1 - - @- 200 OK: unseen- h0 b0 hole seen+ h1 b5 2cf2\n");
}

static void test_http_message__response_seen_first__waits_for_its_request(void **state)
{
	static const struct step steps[] = {
	        {'<', "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 0},
	        {'>', "HEAD / HTTP/1.1\r\n\r\n", 0},
	};
	static const struct step alone[] = {
	        {'<', "HTTP/1.1 408 Request Timeout\r\nContent-Length: 5\r\n\r\nhello", 0},
	};

	(void)state;
	CHECK(steps, "HTTP/1.1 HEAD / @- 200 OK: seen+ h0 b0 e3b0 seen+ h1 b0 e3b0 complete\n");
	CHECK(alone, "HTTP/1.1 - - @- 408 Request Timeout: unseen- h0 b0 hole seen+ h1 b5 2cf2\n");
	check_any(alone, 1, true, true, "HTTP/1.1 - - @- 408 Request Timeout: unseen- h0 b0 hole seen+ h1 b5 2cf2\n");
}

static void test_http_message__other_protocols__say_nothing(void **state)
{
	static const char *const others[] = {
	        "220 mail.example.org ESMTP\r\n",
	        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	        "SSH-2.0-OpenSSH_9.2\r\n",
	        "GET /\r\n",
	        "GET  HTTP/1.1",
	        "\x16\x03\x01",
	        "*1\r\n$4\r\nPING\r\n",
	        "AVERYLONGWORDTHATISNOMETHODOFHTTPANDGOESON / HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		const struct step steps[] = {{'>', others[i], 0}, {'<', "HTTP/1.1 200 OK\r\n\r\n", 0}};

		check_any(steps, 1, true, false, "");
	}
}

static void test_http_message__absurd_heads__are_bounded(void **state)
{
	struct buffer b = {0};
	struct told t;

	(void)state;
	assert_int_equal(buffer_add(&b, "GET / HTTP/1.1\r\n", 16), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(buffer_add(&b, "A: b\r\n", 6), 0);
	assert_int_equal(buffer_add(&b, "\r\n", 3), 0);
	t = parse(&(struct step){'>', (const char *)b.data, 0}, 1, 0, true, false);
	assert_string_equal(t.text, "- - - @- 0 -: unseen- h0 b0 hole unseen- h0 b0 hole\n");
	buffer_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_http_message__get__is_told_whole),
	        cmocka_unit_test(test_http_message__keep_alive_and_pipelined__are_paired_in_order),
	        cmocka_unit_test(test_http_message__chunked_with_trailers__body_is_joined),
	        cmocka_unit_test(test_http_message__responses_without_body__end_with_their_head),
	        cmocka_unit_test(test_http_message__interim_responses__are_not_the_answer),
	        cmocka_unit_test(test_http_message__until_the_close__needs_a_close),
	        cmocka_unit_test(test_http_message__no_answer__is_told_at_the_end),
	        cmocka_unit_test(test_http_message__upgrade_and_connect__begin_another_conversation),
	        cmocka_unit_test(test_http_message__loose_forms__are_understood),
	        cmocka_unit_test(test_http_message__holes_in_bodies__are_counted),
	        cmocka_unit_test(test_http_message__holes_elsewhere__end_the_message),
	        cmocka_unit_test(test_http_message__response_seen_first__waits_for_its_request),
	        cmocka_unit_test(test_http_message__other_protocols__say_nothing),
	        cmocka_unit_test(test_http_message__absurd_heads__are_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("http_parser", tests, NULL, NULL);
}
