/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Content codings and what bodies are made of. The input is a body, its codings, and where it is cut or missing; the same
 * bytes fed at once and in pieces must give the same content, and memory that is held is given back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replay/proto/http_body.h"
#include "tests/content_vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const codings[] = {
        "gzip", "deflate", "br", "zstd", "gzip, br", "br, gzip", "zstd,deflate,zstd", "identity, x-gzip", "gzip, what",
};

static const char *const types[] = {"text/plain", "text/event-stream", "application/grpc"};

/* Streams that are valid, for a mutation to begin with. */
static const struct stream {
	const uint8_t *bytes;
	size_t len;
} streams[] = {
        {text_gzip, sizeof text_gzip},     {text_zlib, sizeof text_zlib}, {text_raw, sizeof text_raw},
        {text_br, sizeof text_br},         {text_zstd, sizeof text_zstd}, {text_gzip_br, sizeof text_gzip_br},
        {events_gzip, sizeof events_gzip}, {events_br, sizeof events_br},

};

/* How the bytes are cut: pieces of these lengths, one after the other and again from the first; a hole, or none. */
struct cut {
	const uint8_t *lengths;
	size_t n;
	size_t hole, gap;
};

static struct http_message decode(const struct http_header *headers, size_t n_headers, const uint8_t *data, size_t len,
                                  const struct cut *cut)
{
	struct http_bodies bodies = {.decode = true, .digest = true};
	struct http_message message = {.headers = headers, .n_headers = n_headers};
	struct http_body body = {0};
	size_t at = 0, turn = 0;

	if (http_body_begin(&body, &bodies, &message) < 0)
		abort();
	while (at < len) {
		size_t n = cut->n ? 1 + (size_t)cut->lengths[turn++ % cut->n] : len;
		uint8_t *copy;

		n = n < len - at ? n : len - at;
		if (cut->gap && at < cut->hole && at + n > cut->hole)
			n = cut->hole - at;
		if (cut->gap && at == cut->hole) {
			n = cut->gap < len - at ? cut->gap : len - at;
			if (http_body_feed(&body, NULL, n) < 0)
				abort();
		} else {
			copy = malloc(n);
			if (!copy)
				abort();
			memcpy(copy, data + at, n);
			if (http_body_feed(&body, copy, n) < 0)
				abort();
			free(copy);
		}
		at += n;
	}
	http_body_end(&body);
	if (bodies.budget.held)
		abort();
	http_bodies_release(&bodies);
	return message;
}

static void compare(const struct http_message *a, const struct http_message *b)
{
	const struct http_content *x = &a->content, *y = &b->content;

	/* Where it is stopped depends on what was taken by then. */
	if (x->error == HTTP_CONTENT_TOO_LARGE || y->error == HTTP_CONTENT_TOO_LARGE)
		return;
	if (a->body_bytes != b->body_bytes || a->body_whole != b->body_whole || a->events != b->events ||
	    a->grpc_messages != b->grpc_messages || x->error != y->error || x->complete != y->complete ||
	    (x->complete && (x->bytes != y->bytes || memcmp(x->sha256, y->sha256, sizeof x->sha256) != 0)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_header headers[2];
	struct cut whole = {.n = 0}, pieces;
	struct http_message a, b;
	const char *coding;
	uint8_t *body;
	size_t n_body;

	if (size < 8)
		return 0;
	coding = codings[data[0] % (sizeof codings / sizeof *codings)];
	headers[0] = (struct http_header){"Content-Type", types[data[1] % (sizeof types / sizeof *types)]};
	headers[1] = (struct http_header){data[1] % 3 == 2 ? "grpc-encoding" : "Content-Encoding", coding};
	pieces = (struct cut){.lengths = data + 2, .n = 1 + data[2] % 3, .hole = data[5], .gap = data[6] & 15};
	whole.hole = pieces.hole;
	whole.gap = pieces.gap;
	n_body = size - 8;
	if (data[7] & 1) {
		/* A valid stream with the input laid over it, or behind it. */
		const struct stream *s = &streams[(data[7] >> 1) % (sizeof streams / sizeof *streams)];

		body = malloc(s->len + n_body + 1);
		if (!body)
			return 0;
		memcpy(body, s->bytes, s->len);
		memcpy(body + s->len, data + 8, n_body);
		for (size_t i = 0; i + 1 < n_body && i < 8; i += 2)
			body[data[8 + i] % s->len] ^= data[8 + i + 1];
		n_body += s->len;
	} else {
		body = malloc(n_body + 1);
		if (!body)
			return 0;
		memcpy(body, data + 8, n_body);
	}
	a = decode(headers, 2, body, n_body, &whole);
	b = decode(headers, 2, body, n_body, &pieces);
	compare(&a, &b);
	free(body);
	return 0;
}
