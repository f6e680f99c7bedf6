/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HTTP_CONTENT_H
#define HTTP_CONTENT_H

/*
 * Content codings (RFC 9110, 8.4): takes an encoded body as it comes and gives the content, in pieces of bounded size;
 * nothing is kept but the codings' own windows. Known are gzip (RFC 1952), deflate (RFC 1950, and bare RFC 1951 as some
 * send it), br (RFC 7932), zstd (RFC 8878 with the window of RFC 9659), and lists of them. See http_content.c.
 */
#include "replay/proto/http.h"

/* What all decoders of one connection may use. All zero: nothing is used yet. */
struct http_content_budget {
	uint64_t held;    /* bytes of memory, as charged */
	uint64_t encoded; /* bytes taken */
	uint64_t decoded; /* bytes given, by every stage of a list, and what else decoding cost */
};

struct http_decoder;

/* The next bytes of the content. 0 or -1, which http_decoder_feed() returns. */
typedef int http_decoder_emit(void *context, const uint8_t *data, size_t len);

/* NULL without memory. The budget outlives the decoder. */
struct http_decoder *http_decoder_new(struct http_content_budget *budget, http_decoder_emit *emit, void *context);
/* Codings in the order in which they were applied, "gzip, br"; more than once for further ones. Whether any was added
 * that changes anything: "identity" and the empty list do not. */
bool http_decoder_add(struct http_decoder *decoder, const char *codings);
/* 0, or -1: no memory, or emit() said so. What is fed behind an error is passed over. */
int http_decoder_feed(struct http_decoder *decoder, const uint8_t *data, size_t len);
/* Nothing more comes: what there is to say. The content is complete with HTTP_CONTENT_OK and _TRAILING only. */
enum http_content_error http_decoder_end(struct http_decoder *decoder);
/* The first thing that went wrong so far. Decoding has ended with it. */
enum http_content_error http_decoder_error(const struct http_decoder *decoder);
/* Another body with the same codings follows. */
void http_decoder_reset(struct http_decoder *decoder);
void http_decoder_free(struct http_decoder *decoder);

#endif
