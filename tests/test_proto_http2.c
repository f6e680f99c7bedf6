/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/2: frames by RFC 9113, header blocks by RFC 7541's own examples and by nghttp2's encoder.
 */
#include "proto_play.h"

#include <nghttp2/nghttp2.h>

#include "replay/proto/http_body.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void frame(struct talk *talk, int dir, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
                  size_t len)
{
	const uint8_t head[9] = {
	        (uint8_t)(len >> 16),    (uint8_t)(len >> 8),     (uint8_t)len,           type,           flags,
	        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};

	say(talk, dir, head, sizeof head);
	say(talk, dir, payload, len);
}

static void begin(struct talk *talk)
{
	say(talk, TO_SERVER, preface, sizeof preface - 1);
	frame(talk, TO_SERVER, 4, 0, 0, "", 0);
	frame(talk, TO_CLIENT, 4, 0, 0, "", 0);
	frame(talk, TO_CLIENT, 4, 1, 0, "", 0);
}

static size_t hex(uint8_t *out, const char *text)
{
	size_t n = 0;
	unsigned byte;

	for (; *text; text += 2) {
		while (*text == ' ')
			text++;
		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

/* RFC 7541, C.4: three requests on one connection, with Huffman coding; C.6: three responses, whose table holds 256
 * octets, so that entries are evicted. */
static void rfc7541(struct talk *talk)
{
	static const char *const requests[] = {
	        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
	        "828684be5886a8eb10649cbf",
	        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
	};
	static const char *const responses[] = {
	        "3fe101" /* the table's size, 256: RFC 7541, 6.3 */
	        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82"
	        "ae43"
	        "d3",
	        "4883640effc1c0bf",
	        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5"
	        "af27"
	        "087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
	};
	uint8_t block[256];

	for (uint32_t i = 0; i < 3; i++) {
		frame(talk, TO_SERVER, 1, 0x05, 2 * i + 1, block, hex(block, requests[i]));
		frame(talk, TO_CLIENT, 1, 0x05, 2 * i + 1, block, hex(block, responses[i]));
	}
}

/* As the RFC lists them; no body: e3b0. */
#define RFC_1                                                                                                        \
	"http stream=1 method=GET authority=www.example.com path=/ status=302 request=0:e3b0 cache-control=private " \
	"date=Mon,_21_Oct_2013_20:13:21_GMT location=https://www.example.com response=0:e3b0 complete\n"
#define RFC_2                                                                                                         \
	"http stream=3 method=GET authority=www.example.com path=/ status=307 cache-control=no-cache request=0:e3b0 " \
	"cache-control=private date=Mon,_21_Oct_2013_20:13:21_GMT location=https://www.example.com response=0:e3b0 "  \
	"complete\n"
#define RFC_3                                                                                                        \
	"http stream=5 method=GET authority=www.example.com path=/index.html status=200 custom-key=custom-value "    \
	"request=0:e3b0 cache-control=private date=Mon,_21_Oct_2013_20:13:22_GMT location=https://www.example.com "  \
	"content-encoding=gzip set-cookie=foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU;_max-age=3600;_version=1 response=0:e3b0 " \
	"complete\n"

static void test_http2__examples_of_rfc_7541__are_decoded(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	begin(&talk);
	rfc7541(&talk);
	check_pieces(&talk, RFC_1 RFC_2 RFC_3);
	talk_release(&talk);
}

static void test_http2__examples_with_holes__are_true_or_unknown(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays, complete;

	(void)state;
	begin(&talk);
	rfc7541(&talk);
	complete = check_holes(&talk, RFC_1 RFC_2 RFC_3, "request response stream ?", 300, &plays);
	/* What comes before a hole is whole, and so is a part of what comes after. */
	assert_true(complete > plays);
	talk_release(&talk);
}

static void test_http2__from_the_middle__earlier_entries_are_unknown(void **state)
{
	struct talk talk = {.n = 0};
	struct told t;

	(void)state;
	begin(&talk);
	rfc7541(&talk);
	/* From the third request on, which refers to an entry of the first (:authority). */
	t = play_talk(&talk, false, &(struct play_how){.from = 6});
	assert_string_equal(t.text, "http stream=5 method=GET path=/index.html status=200 custom-key=custom-value "
	                            "request=0:e3b0 date=Mon,_21_Oct_2013_20:13:22_GMT content-encoding=gzip "
	                            "set-cookie=foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU;_max-age=3600;_version=1 "
	                            "response=0:e3b0\n");
	talk_release(&talk);
}

static nghttp2_nv pair(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
	                    .value = (uint8_t *)(uintptr_t)value,
	                    .namelen = strlen(name),
	                    .valuelen = strlen(value)};
}

static size_t deflate_block(nghttp2_hd_deflater *deflater, uint8_t out[static 1024], const nghttp2_nv *fields, size_t n)
{
	ssize_t len = nghttp2_hd_deflate_hd(deflater, out, 1024, fields, n);

	assert_true(len > 0);
	return (size_t)len;
}

/* Interleaved streams, padding, priority, CONTINUATION, 1xx, trailers, a push, a reset; SHA-256 of "hello" begins with
 * 2cf2, of "hello world" with b94d. */
static void rich(struct talk *talk)
{
	nghttp2_hd_deflater *client, *server;
	uint8_t block[1024], padded[1100];
	size_t n;

	assert_int_equal(nghttp2_hd_deflate_new(&client, 4096), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&server, 4096), 0);
	begin(talk);

	/* POST with a body in two frames, the first padded; priority and padding on HEADERS. */
	n = deflate_block(client, block,
	                  (nghttp2_nv[]){pair(":method", "POST"), pair(":scheme", "http"), pair(":authority", "a.b"),
	                                 pair(":path", "/one"), pair("x-a", "1")},
	                  5);
	memcpy(padded, (uint8_t[]){3, 0, 0, 0, 0, 16}, 6);
	memcpy(padded + 6, block, n);
	memset(padded + 6 + n, 0, 3);
	frame(talk, TO_SERVER, 1, 0x2c, 1, padded, n + 9);
	/* Another request, its block in three frames. */
	n = deflate_block(client, block,
	                  (nghttp2_nv[]){pair(":method", "GET"), pair(":scheme", "http"), pair(":authority", "a.b"),
	                                 pair(":path", "/two"), pair("x-a", "2")},
	                  5);
	frame(talk, TO_SERVER, 1, 0x01, 3, block, 2);
	frame(talk, TO_SERVER, 9, 0x00, 3, block + 2, 1);
	frame(talk, TO_SERVER, 9, 0x04, 3, block + 3, n - 3);
	frame(talk, TO_SERVER, 0, 0x08, 1, "\2hello\0\0", 8);
	frame(talk, TO_SERVER, 6, 0, 0, "12345678", 8);
	frame(talk, TO_SERVER, 0, 0x01, 1, " world", 6);

	n = deflate_block(server, block, (nghttp2_nv[]){pair(":status", "103"), pair("link", "x")}, 2);
	frame(talk, TO_CLIENT, 1, 0x04, 3, block, n);
	/* A push, promised on stream 3. */
	memcpy(block, "\0\0\0\2", 4);
	n = 4 + deflate_block(server, padded,
	                      (nghttp2_nv[]){pair(":method", "GET"), pair(":scheme", "http"), pair(":authority", "a.b"),
	                                     pair(":path", "/pushed")},
	                      4);
	memcpy(block + 4, padded, n - 4);
	frame(talk, TO_CLIENT, 5, 0x04, 3, block, n);
	n = deflate_block(server, block, (nghttp2_nv[]){pair(":status", "200"), pair("x-b", "three")}, 2);
	frame(talk, TO_CLIENT, 1, 0x04, 3, block, n);
	n = deflate_block(server, block, (nghttp2_nv[]){pair(":status", "200"), pair("x-b", "one")}, 2);
	frame(talk, TO_CLIENT, 1, 0x04, 1, block, n);
	frame(talk, TO_CLIENT, 0, 0x00, 3, "hel", 3);
	n = deflate_block(server, block, (nghttp2_nv[]){pair(":status", "200"), pair("x-b", "two")}, 2);
	frame(talk, TO_CLIENT, 1, 0x04, 2, block, n);
	frame(talk, TO_CLIENT, 0, 0x01, 1, "hello world", 11);
	frame(talk, TO_CLIENT, 0, 0x00, 3, "lo", 2);
	frame(talk, TO_CLIENT, 0, 0x01, 2, "hello", 5);
	n = deflate_block(server, block, (nghttp2_nv[]){pair("x-sum", "abc")}, 1);
	frame(talk, TO_CLIENT, 1, 0x05, 3, block, n);

	/* One that the client gives up, and one that the server refuses. */
	n = deflate_block(client, block,
	                  (nghttp2_nv[]){pair(":method", "GET"), pair(":scheme", "http"), pair(":authority", "a.b"),
	                                 pair(":path", "/three")},
	                  4);
	frame(talk, TO_SERVER, 1, 0x05, 5, block, n);
	frame(talk, TO_SERVER, 3, 0, 5, "\0\0\0\10", 4);
	n = deflate_block(client, block,
	                  (nghttp2_nv[]){pair(":method", "GET"), pair(":scheme", "http"), pair(":authority", "a.b"),
	                                 pair(":path", "/four")},
	                  4);
	frame(talk, TO_SERVER, 1, 0x05, 7, block, n);
	frame(talk, TO_CLIENT, 7, 0, 0, "\0\0\0\5\0\0\0\7", 8);
	nghttp2_hd_deflate_del(client);
	nghttp2_hd_deflate_del(server);
}

#define RICH                                                                                                     \
	"http stream=1 method=POST authority=a.b path=/one status=200 x-a=1 request=11:b94d x-b=one "            \
	"response=11:b94d complete\n"                                                                            \
	"http stream=2 method=GET authority=a.b path=/pushed status=200 request=0:e3b0 x-b=two response=5:2cf2 " \
	"pushed complete\n"                                                                                      \
	"http stream=3 method=GET authority=a.b path=/two status=200 x-a=2 request=0:e3b0 x-b=three x-sum=abc "  \
	"response=5:2cf2 complete\n"                                                                             \
	"http stream=5 method=GET authority=a.b path=/three request=0:e3b0 reset=CANCEL\n"                       \
	"http stream=7 method=GET authority=a.b path=/four request=0:e3b0 reset=REFUSED_STREAM\n"

static void test_http2__all_kinds_of_frames__are_understood(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	rich(&talk);
	check_pieces(&talk, RICH);
	talk_release(&talk);
}

static void test_http2__all_kinds_of_frames_with_holes__are_true_or_unknown(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays, complete;

	(void)state;
	rich(&talk);
	complete = check_holes(&talk, RICH, "request response stream ? reset", 40, &plays);
	assert_true(complete > plays);
	talk_release(&talk);
}

static void test_http2__a_hole_in_data__costs_that_body_only(void **state)
{
	struct talk talk = {.n = 0};
	size_t at = 0;
	struct told t;

	(void)state;
	rich(&talk);
	for (size_t i = 0; i < talk.n; i++) {
		const struct buffer *b = &talk.turns[i].bytes;

		if (talk.turns[i].dir == TO_SERVER) {
			for (size_t k = 0; k + 6 <= b->len; k++)
				if (memcmp(b->data + k, " world", 6) == 0) {
					at += k;
					goto found;
				}
			at += b->len;
		}
	}
found:
	t = play_talk(&talk, false, &(struct play_how){.hole_dir = TO_SERVER, .hole_at = at + 1, .hole_len = 4});
	assert_non_null(strstr(t.text, "path=/one status=200 x-a=1 request=11 x-b=one response=11:b94d\n"));
	assert_non_null(strstr(t.text, strstr(RICH, "http stream=2")));
	talk_release(&talk);
}

static void test_http2__grpc__messages_and_status_are_counted(void **state)
{
	struct talk talk = {.n = 0};
	nghttp2_hd_deflater *client, *server;
	uint8_t block[1024];
	size_t n;

	(void)state;
	assert_int_equal(nghttp2_hd_deflate_new(&client, 4096), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&server, 4096), 0);
	begin(&talk);
	n = deflate_block(client, block,
	                  (nghttp2_nv[]){pair(":method", "POST"), pair(":scheme", "http"), pair(":path", "/s.S/M"),
	                                 pair("content-type", "application/grpc+proto")},
	                  4);
	frame(&talk, TO_SERVER, 1, 0x04, 1, block, n);
	/* Three messages, one of them empty, cut in the middle of a prefix. */
	frame(&talk, TO_SERVER, 0, 0, 1, "\0\0\0\0\2ab\0\0\0", 10);
	frame(&talk, TO_SERVER, 0, 1, 1, "\0\0\1\0\0\0\1x", 8);
	n = deflate_block(server, block,
	                  (nghttp2_nv[]){pair(":status", "200"), pair("content-type", "application/grpc")}, 2);
	frame(&talk, TO_CLIENT, 1, 0x04, 1, block, n);
	frame(&talk, TO_CLIENT, 0, 0, 1, "\0\0\0\0\1y", 6);
	n = deflate_block(server, block, (nghttp2_nv[]){pair("grpc-status", "5"), pair("grpc-message", "no%20such")},
	                  2);
	frame(&talk, TO_CLIENT, 1, 0x05, 1, block, n);
	nghttp2_hd_deflate_del(client);
	nghttp2_hd_deflate_del(server);
	struct told t = play_talk(&talk, false, &(struct play_how){0});

	assert_non_null(strstr(t.text, " grpc=5:3:1 complete\n"));
	check_pieces(&talk, t.text);
	talk_release(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_http2__examples_of_rfc_7541__are_decoded),
	        cmocka_unit_test(test_http2__examples_with_holes__are_true_or_unknown),
	        cmocka_unit_test(test_http2__from_the_middle__earlier_entries_are_unknown),
	        cmocka_unit_test(test_http2__all_kinds_of_frames__are_understood),
	        cmocka_unit_test(test_http2__all_kinds_of_frames_with_holes__are_true_or_unknown),
	        cmocka_unit_test(test_http2__a_hole_in_data__costs_that_body_only),
	        cmocka_unit_test(test_http2__grpc__messages_and_status_are_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("http2", tests, NULL, NULL);
}
