/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Content codings: what other programs encoded is decoded whole and in pieces of every kind; every damage is told; what
 * expands beyond all measure is stopped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "replay/buffer.h"
#include "replay/proto/http_body.h"
#include "replay/proto/proto.h"
#include "tests/content_vectors.h"

enum {
	HEADERS = 3
};

/* A body and how it is fed. */
struct body {
	struct http_header headers[HEADERS];
	const uint8_t *bytes;
	size_t len;
	size_t piece;      /* at most that many bytes at once; 0: all */
	unsigned random;   /* pieces of random sizes; 0: not */
	size_t hole, gap;  /* a hole of `gap` bytes at that place; 0: none */
	bool lost;         /* of unknown length, at the end */
	bool nobody_cares; /* content is not asked for */
};

static void feed(struct http_body *body, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	assert_int_equal(http_body_feed(body, copy, len), 0);
	free(copy);
}

static struct http_message decode(const struct body *how)
{
	struct http_bodies bodies = {.decode = !how->nobody_cares};
	struct http_body body = {0};
	struct http_message message = {.headers = how->headers};
	unsigned seed = how->random;

	while (message.n_headers < HEADERS && how->headers[message.n_headers].name)
		message.n_headers++;
	assert_int_equal(http_body_begin(&body, &bodies, &message), 0);
	for (size_t at = 0, n; at < how->len; at += n) {
		n = how->piece && how->piece < how->len - at ? how->piece : how->len - at;
		if (how->random) {
			seed = seed * 1103515245 + 12345;
			n = 1 + (seed >> 16) % (how->len - at);
		}
		if (how->gap && at < how->hole && at + n > how->hole)
			n = how->hole - at;
		if (how->gap && at == how->hole) {
			n = how->gap;
			assert_int_equal(http_body_feed(&body, NULL, n), 0);
		} else {
			feed(&body, how->bytes + at, n);
		}
	}
	if (how->lost)
		http_body_lost(&body);
	http_body_end(&body);
	assert_int_equal(bodies.budget.held, 0);
	http_bodies_release(&bodies);
	message.headers = NULL;
	return message;
}

static const char *hex(const uint8_t sha256[static 32])
{
	static char text[65];

	for (size_t i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", sha256[i]);
	return text;
}

/* However it is cut, this comes out. sha256 NULL: it is not complete. */
static void check(struct body how, uint64_t bytes, const char *sha256, enum http_content_error error)
{
	for (int way = 0; way < 60; way++) {
		struct http_message m;

		how.piece = way < 20 ? (size_t)way : 0;
		how.random = way < 20 ? 0 : (unsigned)way;
		m = decode(&how);
		assert_non_null(m.content.header);
		assert_int_equal(m.content.error, error);
		assert_int_equal(m.content.bytes, bytes);
		assert_int_equal(m.content.complete, sha256 != NULL);
		if (sha256)
			assert_string_equal(hex(m.content.sha256), sha256);
	}
}

#define BODY(coding, array)                                                                       \
	{                                                                                         \
		.headers = {{"Content-Encoding", coding}}, .bytes = (array), .len = sizeof(array) \
	}

static void test_http_content__each_coding__gives_the_content(void **state)
{
	static const struct body bodies[] = {
	        BODY("gzip", text_gzip),          BODY("x-gzip", text_gzip),      BODY("GZip", text_gzip),
	        BODY("deflate", text_zlib),       BODY("deflate", text_raw),      BODY("br", text_br),
	        BODY("zstd", text_zstd),          BODY("gzip, br", text_gzip_br), BODY("gzip,br", text_gzip_br),
	        BODY("identity,gzip", text_gzip),
	};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		check(bodies[i], TEXT_BYTES, TEXT_SHA256, HTTP_CONTENT_OK);
}

/* Several headers of a name are one list: RFC 9110, 5.3. */
static void test_http_content__list_over_two_headers__is_one(void **state)
{
	const struct body body = {.headers = {{"content-encoding", "gzip"}, {"Content-Encoding", "br"}},
	                          .bytes = text_gzip_br,
	                          .len = sizeof text_gzip_br};

	(void)state;
	check(body, TEXT_BYTES, TEXT_SHA256, HTTP_CONTENT_OK);
}

static void test_http_content__none_or_identity__is_no_content(void **state)
{
	const struct body none = {.bytes = text_gzip, .len = sizeof text_gzip};
	const struct body identity = BODY("identity", text_gzip), empty = BODY("", text_gzip);
	struct body unwanted = BODY("gzip", text_gzip);

	(void)state;
	unwanted.nobody_cares = true;
	assert_null(decode(&none).content.header);
	assert_null(decode(&identity).content.header);
	assert_null(decode(&empty).content.header);
	assert_null(decode(&unwanted).content.header);
	assert_int_equal(decode(&unwanted).body_bytes, sizeof text_gzip);
}

static struct buffer joined(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b)
{
	struct buffer buffer = {0};

	assert_int_equal(buffer_add(&buffer, a, n_a), 0);
	assert_int_equal(buffer_add(&buffer, b, n_b), 0);
	return buffer;
}

/* RFC 1952, 2.2, and RFC 8878, 3: members, frames may follow one another. The hash is that of `cat text text`. */
static void test_http_content__several_members__are_one_content(void **state)
{
	static const char twice[] = TWICE_SHA256;
	/* Skippable, of three bytes; then nothing. */
	static const uint8_t skippable[] = {0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3};
	struct buffer gzip = joined(text_gzip, sizeof text_gzip, text_gzip, sizeof text_gzip);
	struct buffer zstd = joined(text_zstd, sizeof text_zstd, text_zstd, sizeof text_zstd);
	struct buffer skipped = joined(skippable, sizeof skippable, text_zstd, sizeof text_zstd);
	const struct header_and_body {
		const char *coding;
		const struct buffer *body;
		uint64_t bytes;
		const char *sha256;
	} cases[] = {{"gzip", &gzip, 2 * TEXT_BYTES, twice},
	             {"zstd", &zstd, 2 * TEXT_BYTES, twice},
	             {"zstd", &skipped, TEXT_BYTES, TEXT_SHA256}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check((struct body){.headers = {{"Content-Encoding", cases[i].coding}},
		                    .bytes = cases[i].body->data,
		                    .len = cases[i].body->len},
		      cases[i].bytes, cases[i].sha256, HTTP_CONTENT_OK);
	buffer_release(&gzip);
	buffer_release(&zstd);
	buffer_release(&skipped);
}

static void test_http_content__what_follows_the_end__is_told(void **state)
{
	static const struct body bodies[] = {BODY("gzip", text_gzip), BODY("deflate", text_zlib), BODY("br", text_br),
	                                     BODY("zstd", text_zstd), BODY("gzip, br", text_gzip_br)};
	static const struct {
		const char *bytes;
		size_t len;
	} tails[] = {{"\0", 1}, {"\x1f", 1}, {"\0\0\0\0\0\0\0\0", 8}, {"and then some more", 18}};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		for (size_t t = 0; t < sizeof tails / sizeof *tails; t++) {
			struct buffer b =
			        joined(bodies[i].bytes, bodies[i].len, (const uint8_t *)tails[t].bytes, tails[t].len);
			struct body body = bodies[i];

			body.bytes = b.data;
			body.len = b.len;
			check(body, TEXT_BYTES, TEXT_SHA256, HTTP_CONTENT_TRAILING);
			buffer_release(&b);
		}
	}
}

/* Cut anywhere, it is truncated and no hash is told; and never more than what is there. */
static void test_http_content__cut_short__is_truncated(void **state)
{
	static const struct body bodies[] = {
	        BODY("gzip", text_gzip), BODY("deflate", text_zlib),     BODY("deflate", text_raw), BODY("br", text_br),
	        BODY("zstd", text_zstd), BODY("gzip, br", text_gzip_br), BODY("deflate", text_zlib)};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		for (size_t len = 1; len < bodies[i].len; len++) {
			struct body body = bodies[i];
			struct http_message m;

			body.len = len;
			m = decode(&body);
			assert_int_equal(m.content.error, HTTP_CONTENT_TRUNCATED);
			assert_false(m.content.complete);
			assert_true(m.content.bytes <= TEXT_BYTES);
		}
	}
}

/* One byte differs: gzip's, zlib's and zstd's checksums notice whatever it is but for what they leave out. */
static void test_http_content__one_byte_differs__is_never_complete(void **state)
{
	static const struct body bodies[] = {BODY("gzip", text_gzip), BODY("deflate", text_zlib),
	                                     BODY("zstd", text_zstd)};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		for (size_t at = 0; at < bodies[i].len; at++) {
			/* Time, flags for the coder, system: RFC 1952, 2.3.1. */
			bool left_out = i == 0 && at >= 4 && at < 10;
			struct buffer b = joined(bodies[i].bytes, bodies[i].len, NULL, 0);
			struct body body = bodies[i];
			struct http_message m;

			b.data[at] ^= left_out ? 0 : 0x55;
			body.bytes = b.data;
			m = decode(&body);
			if (m.content.complete)
				assert_string_equal(hex(m.content.sha256), TEXT_SHA256);
			else
				assert_true(m.content.error == HTTP_CONTENT_CORRUPT ||
				            m.content.error == HTTP_CONTENT_TRUNCATED ||
				            m.content.error == HTTP_CONTENT_TOO_LARGE);
			buffer_release(&b);
		}
	}
	check((struct body)BODY("gzip", text_br), 0, NULL, HTTP_CONTENT_CORRUPT);
	check((struct body)BODY("zstd", text_gzip), 0, NULL, HTTP_CONTENT_CORRUPT);
	check((struct body)BODY("br, gzip", text_gzip_br), 0, NULL, HTTP_CONTENT_CORRUPT);
}

static void test_http_content__holes__end_it(void **state)
{
	static const struct body bodies[] = {BODY("gzip", text_gzip), BODY("br", text_br), BODY("zstd", text_zstd)};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		for (size_t at = 0; at < bodies[i].len; at++) {
			struct body body = bodies[i];
			struct http_message m;

			body.hole = at;
			body.gap = 1;
			m = decode(&body);
			assert_int_equal(m.content.error, HTTP_CONTENT_MISSING);
			assert_false(m.content.complete);
			assert_int_equal(m.body_bytes, body.len);
			body.gap = 0;
			body.lost = true;
			assert_int_equal(decode(&body).content.error, HTTP_CONTENT_MISSING);
		}
	}
}

static void test_http_content__unknown_coding_or_a_range__is_not_decoded(void **state)
{
	struct body range = BODY("gzip", text_gzip);

	(void)state;
	check((struct body)BODY("compress", text_gzip), 0, NULL, HTTP_CONTENT_UNKNOWN);
	check((struct body)BODY("gzip, aes128gcm", text_gzip), 0, NULL, HTTP_CONTENT_UNKNOWN);
	check((struct body)BODY("gzip, gzip, gzip, gzip, gzip, gzip", text_gzip), 0, NULL, HTTP_CONTENT_UNKNOWN);
	range.headers[1] = (struct http_header){"Content-Range", "bytes 100-249/1000"};
	check(range, 0, NULL, HTTP_CONTENT_RANGE);
}

/* ---- bombs ------------------------------------------------------------------------------------------------------ */

enum {
	FREE_BYTES = 16 << 20, /* of http_content.c's theory of operation */
	EXPANSION = 200,
};

/* RFC 8878, 3.1.1: a window of 8 MiB, and blocks of one byte that stands for 128 KiB. */
static struct buffer zstd_bomb(size_t blocks, uint8_t window)
{
	const uint8_t head[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, window};
	struct buffer b = joined(head, sizeof head, NULL, 0);

	for (size_t i = 0; i < blocks; i++) {
		uint32_t header = (128u << 10) << 3 | 1 << 1 | (i + 1 == blocks);
		const uint8_t block[] = {(uint8_t)header, (uint8_t)(header >> 8), (uint8_t)(header >> 16), 'x'};

		assert_int_equal(buffer_add(&b, block, sizeof block), 0);
	}
	return b;
}

static void test_http_content__bombs__are_stopped(void **state)
{
	struct buffer zstd = zstd_bomb(2048, 13 << 3);
	const struct body bodies[] = {
	        BODY("br", bomb_br),
	        BODY("gzip, gzip", bomb_gzip_gzip),
	        {.headers = {{"Content-Encoding", "zstd"}}, .bytes = zstd.data, .len = zstd.len},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct http_message m = decode(&bodies[i]);

		assert_int_equal(m.content.error, HTTP_CONTENT_TOO_LARGE);
		assert_false(m.content.complete);
		assert_true(m.content.bytes <= FREE_BYTES + EXPANSION * bodies[i].len);
		assert_true(m.content.bytes >= FREE_BYTES / 2);
		assert_true(m.content.bytes < BOMB_BYTES);
		assert_int_equal(m.body_bytes, bodies[i].len);
	}
	buffer_release(&zstd);
}

/* What a connection may expand to is one sum: many bombs cost no more than one. */
static void test_http_content__many_bombs_of_a_connection__share_what_is_allowed(void **state)
{
	const struct http_header header = {"Content-Encoding", "br"};
	struct http_bodies bodies = {.decode = true};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct http_message message = {.headers = &header, .n_headers = 1};
		struct http_body body = {0};

		assert_int_equal(http_body_begin(&body, &bodies, &message), 0);
		assert_int_equal(http_body_feed(&body, bomb_br, sizeof bomb_br), 0);
		http_body_end(&body);
		assert_int_equal(message.content.error, HTTP_CONTENT_TOO_LARGE);
	}
	/* Each time that one is stopped, its window counts as well. */
	assert_true(bodies.budget.decoded <= FREE_BYTES + 1000 * EXPANSION * sizeof bomb_br + (32 << 20));
	http_bodies_release(&bodies);
}

/* RFC 9659: a window of at most 8 MiB. */
static void test_http_content__window_of_zstd__is_bounded(void **state)
{
	struct buffer allowed = zstd_bomb(1, 13 << 3), wide = zstd_bomb(1, 14 << 3);

	(void)state;
	assert_true(decode(&(struct body){.headers = {{"Content-Encoding", "zstd"}},
	                                  .bytes = allowed.data,
	                                  .len = allowed.len})
	                    .content.complete);
	check((struct body){.headers = {{"Content-Encoding", "zstd"}}, .bytes = wide.data, .len = wide.len}, 0, NULL,
	      HTTP_CONTENT_TOO_LARGE);
	buffer_release(&allowed);
	buffer_release(&wide);
}

/* Bodies that stand open at once, each with the first bytes of a stream: 256 MiB for all. */
static void test_http_content__memory_of_a_connection__is_bounded(void **state)
{
	enum {
		OPEN = 200
	};
	const struct http_header header = {"Content-Encoding", "zstd"};
	struct http_bodies bodies = {.decode = true};
	struct http_body body[OPEN] = {0};
	struct http_message message[OPEN];
	size_t crowded = 0;

	(void)state;
	for (size_t i = 0; i < OPEN; i++) {
		message[i] = (struct http_message){.headers = &header, .n_headers = 1};
		assert_int_equal(http_body_begin(&body[i], &bodies, &message[i]), 0);
		assert_int_equal(http_body_feed(&body[i], text_zstd, 20), 0);
		assert_true(bodies.budget.held <= 256 << 20);
		crowded += message[i].content.error == HTTP_CONTENT_CROWDED;
	}
	assert_int_equal(OPEN - crowded, 256 / 9);
	for (size_t i = 0; i < OPEN; i++) {
		assert_int_equal(http_body_feed(&body[i], text_zstd + 20, sizeof text_zstd - 20), 0);
		http_body_end(&body[i]);
		assert_int_equal(message[i].content.complete, i < OPEN - crowded);
	}
	assert_int_equal(bodies.budget.held, 0);
	http_bodies_release(&bodies);
}

/* ---- what bodies are made of ------------------------------------------------------------------------------------ */

static void test_http_content__server_sent_events__are_counted_decoded(void **state)
{
	struct body gzip = BODY("gzip", events_gzip), br = BODY("br", events_br);
	struct http_message m;

	(void)state;
	gzip.headers[1] = br.headers[1] = (struct http_header){"Content-Type", "text/event-stream"};
	for (size_t piece = 0; piece < 20; piece++) {
		gzip.piece = br.piece = piece;
		assert_int_equal(decode(&gzip).events, 3);
		m = decode(&br);
		assert_int_equal(m.events, 3);
		assert_string_equal(hex(m.content.sha256), EVENTS_SHA256);
	}
	/* A stream that goes on has told what it told; one that was not decoded tells nothing. */
	gzip.len -= 8;
	assert_int_equal(decode(&gzip).events, 3);
	gzip.nobody_cares = true;
	assert_int_equal(decode(&gzip).events, -1);
	gzip.nobody_cares = false;
	gzip.headers[0].value = "compress";
	assert_int_equal(decode(&gzip).events, -1);
}

static void add_message(struct buffer *b, uint8_t flag, const void *bytes, size_t len)
{
	const uint8_t prefix[] = {flag, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};

	assert_int_equal(buffer_add(b, prefix, sizeof prefix), 0);
	assert_int_equal(buffer_add(b, bytes, len), 0);
}

static void test_http_content__grpc_messages__are_decoded_each(void **state)
{
	struct buffer b = {0}, broken = {0};
	struct body body = {.headers = {{"content-type", "application/grpc"}, {"grpc-encoding", "gzip"}}};
	struct http_message m;
	char *text = malloc(TEXT_BYTES), *p = text;

	(void)state;
	for (int n = 40; n > 0; n--) {
		char line[64];
		int len = snprintf(line, sizeof line, "%d green bottles hanging on the wall\n", n);

		memcpy(p, line, (size_t)len);
		p += len;
	}
	add_message(&b, 1, text_gzip, sizeof text_gzip);
	add_message(&b, 0, text, TEXT_BYTES);
	body.bytes = b.data;
	body.len = b.len;
	check(body, 2 * TEXT_BYTES, TWICE_SHA256, HTTP_CONTENT_OK);
	assert_int_equal(decode(&body).grpc_messages, 2);
	/* A hole within the first: both are counted, neither is all there. */
	body.hole = 100;
	body.gap = 3;
	m = decode(&body);
	assert_int_equal(m.grpc_messages, 2);
	assert_int_equal(m.content.error, HTTP_CONTENT_MISSING);
	body.gap = 0;
	/* The last one has not all come. */
	body.len -= 10;
	m = decode(&body);
	assert_int_equal(m.content.error, HTTP_CONTENT_TRUNCATED);
	assert_int_equal(m.grpc_messages, 1);
	/* A message that ends before its coding does. */
	add_message(&broken, 1, text_gzip, sizeof text_gzip - 9);
	add_message(&broken, 0, "hello", 5);
	body.bytes = broken.data;
	body.len = broken.len;
	m = decode(&body);
	assert_int_equal(m.content.error, HTTP_CONTENT_CORRUPT);
	assert_int_equal(m.grpc_messages, 2);
	body.headers[1].value = "snappy";
	assert_int_equal(decode(&body).content.error, HTTP_CONTENT_UNKNOWN);
	body.headers[1].value = "identity";
	assert_null(decode(&body).content.header);
	free(text);
	buffer_release(&b);
	buffer_release(&broken);
}

/* ---- in a conversation ------------------------------------------------------------------------------------------ */

struct seen {
	unsigned n;
	struct http_exchange last;
};

static void on_http(void *context, const struct http_exchange *x)
{
	struct seen *seen = context;

	seen->n++;
	seen->last = *x;
}

static void play_both(const struct proto *proto, const struct buffer *asked, const struct buffer *answered,
                      bool content, struct seen *seen)
{
	const struct stamp stamp = {.wall = 5, .shown = true};
	const struct tls_info tls = {0};
	const struct proto_flow flow = {.tls = &tls};
	const struct proto_sink sink = {.context = seen, .http = on_http, .content = content, .digests = content};
	void *state = proto->open(&flow, &sink);

	assert_non_null(state);
	assert_int_equal(proto->feed(state, 1, asked->data, asked->len, &stamp), 0);
	for (size_t i = 0; i < answered->len; i++)
		assert_int_equal(proto->feed(state, 0, answered->data + i, 1, &stamp), 0);
	assert_int_equal(proto->finish(state, true), 0);
	proto->free(state);
}

static void add(struct buffer *b, const void *bytes, size_t len)
{
	assert_int_equal(buffer_add(b, bytes, len), 0);
}

static void add_string(struct buffer *b, const char *string)
{
	add(b, string, strlen(string));
}

static void test_http_content__http1__both_messages(void **state)
{
	struct buffer asked = {0}, answered = {0};
	const uint8_t nobody_asked[32] = {0};
	struct seen seen = {0}, unwanted = {0};
	char head[128];

	(void)state;
	snprintf(head, sizeof head, "PUT /x HTTP/1.1\r\nContent-Encoding: zstd\r\nContent-Length: %zu\r\n\r\n",
	         sizeof text_zstd);
	add_string(&asked, head);
	add(&asked, text_zstd, sizeof text_zstd);
	add_string(&answered, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n");
	add(&answered, text_gzip, 64);
	snprintf(head, sizeof head, "\r\n%zx\r\n", sizeof text_gzip - 64);
	add_string(&answered, head);
	add(&answered, text_gzip + 64, sizeof text_gzip - 64);
	add_string(&answered, "\r\n0\r\n\r\n");
	play_both(&proto_http1, &asked, &answered, true, &seen);
	assert_int_equal(seen.n, 1);
	assert_true(seen.last.complete);
	assert_string_equal(hex(seen.last.request.content.sha256), TEXT_SHA256);
	assert_string_equal(hex(seen.last.response.content.sha256), TEXT_SHA256);
	/* The body itself is what it was, asked for content or not. */
	play_both(&proto_http1, &asked, &answered, false, &unwanted);
	assert_null(unwanted.last.response.content.header);
	assert_int_equal(unwanted.last.response.body_bytes, sizeof text_gzip);
	assert_int_equal(seen.last.response.body_bytes, sizeof text_gzip);
	assert_true(unwanted.last.response.body_whole);
	/* As sha256sum says of text_gzip; and nothing, where nobody asks. */
	assert_string_equal(hex(seen.last.response.body_sha256),
	                    "3381ea86c8543d5c0c447911c9f0f31ce0d82df62d514457f2a8664d6d267a4e");
	assert_memory_equal(unwanted.last.response.body_sha256, nobody_asked, sizeof nobody_asked);
	buffer_release(&asked);
	buffer_release(&answered);
}

static void add_frame(struct buffer *b, uint8_t type, uint8_t flags, uint8_t stream, const void *payload, size_t len)
{
	const uint8_t head[] = {0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};

	add(b, head, sizeof head);
	add(b, payload, len);
}

/* Two answers interleaved, each with its own coding. Header blocks are literals without Huffman (RFC 7541, 6.2.2). */
static void test_http_content__http2__streams_are_decoded_apart(void **state)
{
	static const char ask[] = "\x82\x84\x86";
	static const char gzip[] = "\x88\x00\x10"
	                           "content-encoding\x04"
	                           "gzip";
	static const char br[] = "\x88\x00\x10"
	                         "content-encoding\x02"
	                         "br";
	struct buffer asked = {0}, answered = {0};
	struct seen seen = {0};

	(void)state;
	add_string(&asked, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	add_frame(&asked, 4, 0, 0, "", 0);
	add_frame(&asked, 1, 5, 1, ask, 3);
	add_frame(&asked, 1, 5, 3, ask, 3);
	add_frame(&answered, 4, 0, 0, "", 0);
	add_frame(&answered, 1, 4, 1, gzip, sizeof gzip - 1);
	add_frame(&answered, 1, 4, 3, br, sizeof br - 1);
	add_frame(&answered, 0, 0, 1, text_gzip, 50);
	add_frame(&answered, 0, 0, 3, text_br, 30);
	add_frame(&answered, 0, 1, 1, text_gzip + 50, sizeof text_gzip - 50);
	add_frame(&answered, 0, 1, 3, text_br + 30, sizeof text_br - 30);
	play_both(&proto_http2, &asked, &answered, true, &seen);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.last.stream, 3);
	assert_true(seen.last.complete);
	assert_string_equal(hex(seen.last.response.content.sha256), TEXT_SHA256);
	buffer_release(&asked);
	buffer_release(&answered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_http_content__each_coding__gives_the_content),
	        cmocka_unit_test(test_http_content__list_over_two_headers__is_one),
	        cmocka_unit_test(test_http_content__none_or_identity__is_no_content),
	        cmocka_unit_test(test_http_content__several_members__are_one_content),
	        cmocka_unit_test(test_http_content__what_follows_the_end__is_told),
	        cmocka_unit_test(test_http_content__cut_short__is_truncated),
	        cmocka_unit_test(test_http_content__one_byte_differs__is_never_complete),
	        cmocka_unit_test(test_http_content__holes__end_it),
	        cmocka_unit_test(test_http_content__unknown_coding_or_a_range__is_not_decoded),
	        cmocka_unit_test(test_http_content__bombs__are_stopped),
	        cmocka_unit_test(test_http_content__many_bombs_of_a_connection__share_what_is_allowed),
	        cmocka_unit_test(test_http_content__window_of_zstd__is_bounded),
	        cmocka_unit_test(test_http_content__memory_of_a_connection__is_bounded),
	        cmocka_unit_test(test_http_content__server_sent_events__are_counted_decoded),
	        cmocka_unit_test(test_http_content__grpc_messages__are_decoded_each),
	        cmocka_unit_test(test_http_content__http1__both_messages),
	        cmocka_unit_test(test_http_content__http2__streams_are_decoded_apart),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("http_content", tests, NULL, NULL);
}
