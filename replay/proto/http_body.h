/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

/*
 * What is found out about an entity body while it passes: its size and hash, its content's behind the codings, and what
 * it is made of where its type says so (gRPC messages, server-sent events). Nothing of it is kept. See http_body.c.
 */
#include <openssl/evp.h>

#include "replay/proto/http_content.h"

/* What the bodies of one connection share. All zero: nothing yet. */
struct http_bodies {
	bool decode;          /* somebody wants to know of the content */
	bool digest;          /* of http_message.body_sha256 */
	EVP_MD_CTX *spare[4]; /* hashes that none of them uses at the moment */
	size_t n;
	struct http_content_budget budget;
};

void http_bodies_release(struct http_bodies *bodies);

struct http_body {
	struct http_message *message; /* NULL: not begun */
	struct http_bodies *bodies;
	EVP_MD_CTX *hash;             /* NULL: no byte yet */
	struct http_decoder *decoder; /* NULL: nothing to decode, or not any more */
	EVP_MD_CTX *content_hash;     /* NULL: no byte yet */
	uint8_t prefix[5];            /* gRPC: of a message, so far */
	size_t n_prefix;
	uint64_t left;  /* gRPC: of a message's bytes */
	bool after_cr;  /* SSE */
	bool line_data; /* SSE: the line at hand is no comment and has a byte */
	bool event;     /* SSE: a line came since the last event's end */
};

/* The message's head is complete. 0, or -1 without memory. */
int http_body_begin(struct http_body *body, struct http_bodies *bodies, struct http_message *message);
/* The next bytes; data NULL: a hole. 0, or -1 without memory. */
int http_body_feed(struct http_body *body, const uint8_t *data, uint64_t len);
/* Some bytes are missing, nobody knows how many. */
void http_body_lost(struct http_body *body);
/* It is over, or nothing more will be heard of it: the message holds the figures. Idempotent. */
void http_body_end(struct http_body *body);

/* The last header of this name, in any case; NULL: none. */
const char *http_header(const struct http_message *message, const char *name);
/* Does the content type say that it is gRPC? */
bool http_is_grpc(const struct http_message *message);
/* Is the word in the comma-separated list, in any case? NULL is an empty list. */
bool http_list_has(const char *list, const char *word);

#endif
