/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A hash costs more to make than to use, so each connection keeps the few that its bodies need and none is taken before
 * the first byte.
 *
 * gRPC (its PROTOCOL-HTTP2 document): a body is a row of messages, each behind a flag and a length of four bytes. They
 * are counted when their last byte passes. A hole within one is no matter; any other, and the count is not known.
 *
 * Server-sent events (the HTML standard, 9.2): lines that end with CR, LF or both; an empty line ends an event, if a
 * line that is no comment came before. Behind a hole the count is not known.
 *
 * A body whose head names content codings is decoded beside (http_content.c), and what it is made of is looked for in
 * its content. Of gRPC each message is encoded for itself, if its flag says so. What can't be decoded to its end is told
 * as far as it came, with the reason; the figures of the body itself do not depend on it.
 */
#include "replay/proto/http_body.h"

#include <string.h>
#include <strings.h>

const char *http_header(const struct http_message *message, const char *name)
{
	for (size_t i = message->n_headers; i-- > 0;) {
		const char *found = message->headers[i].name;

		/* The first letters differ, mostly: in more than their case. */
		if (found && !((*found ^ *name) & ~0x20) && strcasecmp(found, name) == 0)
			return message->headers[i].value;
	}
	return NULL;
}

bool http_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list && *list) {
		size_t item;

		list += strspn(list, ", \t");
		item = strcspn(list, ",; \t");
		if (item == len && strncasecmp(list, word, len) == 0)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

void http_bodies_release(struct http_bodies *bodies)
{
	while (bodies->n > 0)
		EVP_MD_CTX_free(bodies->spare[--bodies->n]);
}

static EVP_MD_CTX *take_hash(struct http_bodies *bodies)
{
	EVP_MD_CTX *hash;

	if (bodies->n > 0) {
		hash = bodies->spare[--bodies->n];
		if (EVP_DigestInit_ex(hash, NULL, NULL) > 0)
			return hash;
	} else {
		hash = EVP_MD_CTX_new();
		if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) > 0)
			return hash;
	}
	EVP_MD_CTX_free(hash);
	return NULL;
}

static int add_to_hash(EVP_MD_CTX **hash, struct http_bodies *bodies, const uint8_t *data, size_t len)
{
	if (!*hash && !(*hash = take_hash(bodies)))
		return -1;
	return EVP_DigestUpdate(*hash, data, len) > 0 ? 0 : -1;
}

/* Of all that was added; of nothing, where `hash` is NULL. */
static bool finish_hash(EVP_MD_CTX *hash, uint8_t sha256[static 32])
{
	/* SHA-256 of nothing (FIPS 180-4). */
	static const uint8_t empty[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
	                                  0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
	                                  0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

	if (hash)
		return EVP_DigestFinal_ex(hash, sha256, NULL) > 0;
	memcpy(sha256, empty, sizeof empty);
	return true;
}

static void give_back(EVP_MD_CTX **hash, struct http_bodies *bodies)
{
	if (*hash && bodies->n < sizeof bodies->spare / sizeof *bodies->spare)
		bodies->spare[bodies->n++] = *hash;
	else
		EVP_MD_CTX_free(*hash);
	*hash = NULL;
}

bool http_is_grpc(const struct http_message *message)
{
	const char *type = http_header(message, "Content-Type");

	return type && strncasecmp(type, "application/grpc", 16) == 0 && (!type[16] || strchr("+; ", type[16]));
}

/* ---- content ---------------------------------------------------------------------------------------------------- */

/* Decoding has ended, well or not. */
static void end_content(struct http_body *body)
{
	struct http_content *content = &body->message->content;

	http_decoder_free(body->decoder);
	body->decoder = NULL;
	if (content->complete)
		content->complete = finish_hash(body->content_hash, content->sha256);
	give_back(&body->content_hash, body->bodies);
}

static void fail_content(struct http_body *body, enum http_content_error error)
{
	if (!body->decoder)
		return;
	body->message->content.error = error;
	body->message->events = -1;
	end_content(body);
}

static void feed_events(struct http_body *body, const uint8_t *data, size_t len);

/* The next bytes of the content. */
static int take_content(void *context, const uint8_t *data, size_t len)
{
	struct http_body *body = context;

	body->message->content.bytes += len;
	if (body->message->events >= 0)
		feed_events(body, data, len);
	return add_to_hash(&body->content_hash, body->bodies, data, len);
}

/* The next encoded bytes; data NULL: a hole. */
static int feed_content(struct http_body *body, const uint8_t *data, uint64_t len)
{
	int result;

	if (!body->decoder)
		return 0;
	if (!data) {
		fail_content(body, HTTP_CONTENT_MISSING);
		return 0;
	}
	result = http_decoder_feed(body->decoder, data, len);
	if (http_decoder_error(body->decoder))
		fail_content(body, http_decoder_error(body->decoder));
	return result;
}

/* A decoder for what the head says. */
static int begin_content(struct http_body *body, bool grpc)
{
	struct http_message *message = body->message;
	const char *name = grpc ? "grpc-encoding" : "Content-Encoding";
	bool encoded = false;

	message->content = (struct http_content){0};
	http_decoder_free(body->decoder);
	body->decoder = NULL;
	if (!http_header(message, name))
		return 0;
	body->decoder = http_decoder_new(&body->bodies->budget, take_content, body);
	if (!body->decoder)
		return -1;
	for (size_t i = 0; i < message->n_headers; i++) {
		const struct http_header *h = &message->headers[i];

		if (h->name && h->value && strcasecmp(h->name, name) == 0)
			encoded |= http_decoder_add(body->decoder, h->value);
	}
	if (encoded && body->bodies->decode)
		message->content.header = name;
	else if (encoded)
		message->events = -1;
	if (!message->content.header) {
		http_decoder_free(body->decoder);
		body->decoder = NULL;
	} else if (http_decoder_error(body->decoder)) {
		fail_content(body, http_decoder_error(body->decoder));
	} else if (http_header(message, "Content-Range")) {
		fail_content(body, HTTP_CONTENT_RANGE);
	}
	return 0;
}

int http_body_begin(struct http_body *body, struct http_bodies *bodies, struct http_message *message)
{
	const char *type = http_header(message, "Content-Type");
	bool grpc = http_is_grpc(message);

	body->message = message;
	body->bodies = bodies;
	message->body_whole = true;
	message->grpc_messages = message->events = -1;
	if (grpc)
		message->grpc_messages = 0;
	else if (type && strncasecmp(type, "text/event-stream", 17) == 0 && (!type[17] || strchr("; ", type[17])))
		message->events = 0;
	return begin_content(body, grpc);
}

/* ---- gRPC messages ---------------------------------------------------------------------------------------------- */

/* The next bytes of a message; data NULL: a hole. */
static int feed_grpc_message(struct http_body *body, const uint8_t *data, uint64_t len)
{
	bool encoded = body->prefix[0];

	body->left -= len;
	body->message->grpc_messages += body->left == 0;
	if (!body->decoder)
		return 0;
	if (!encoded && data)
		return take_content(body, data, len);
	if (feed_content(body, data, len) < 0)
		return -1;
	if (body->left == 0 && body->decoder) {
		enum http_content_error error = http_decoder_end(body->decoder);

		if (error)
			fail_content(body, error == HTTP_CONTENT_TRUNCATED ? HTTP_CONTENT_CORRUPT : error);
		else
			http_decoder_reset(body->decoder);
	}
	return 0;
}

/* Messages can't be told apart any more. */
static void lose_grpc(struct http_body *body, enum http_content_error error)
{
	body->message->grpc_messages = -1;
	fail_content(body, error);
}

static int feed_grpc(struct http_body *body, const uint8_t *data, uint64_t len)
{
	uint64_t n;

	while (len > 0) {
		if (body->left > 0) {
			n = body->left < len ? body->left : len;
			if (feed_grpc_message(body, data, n) < 0)
				return -1;
		} else if (!data) {
			lose_grpc(body, HTTP_CONTENT_MISSING);
			return 0;
		} else {
			n = sizeof body->prefix - body->n_prefix;
			n = n < len ? n : len;
			memcpy(body->prefix + body->n_prefix, data, n);
			body->n_prefix += n;
			if (body->n_prefix == sizeof body->prefix) {
				const uint8_t *p = body->prefix;

				body->n_prefix = 0;
				body->left = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
				if (p[0] > 1) {
					lose_grpc(body, HTTP_CONTENT_CORRUPT); /* that is no gRPC */
					return 0;
				}
				body->message->grpc_messages += body->left == 0;
			}
		}
		if (data)
			data += n;
		len -= n;
	}
	return 0;
}

/* ---- server-sent events ----------------------------------------------------------------------------------------- */

static void feed_events(struct http_body *body, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint8_t c = data[i];

		if (c == '\n' && body->after_cr) {
			body->after_cr = false;
			i++;
		} else if (c == '\r' || c == '\n') {
			body->after_cr = c == '\r';
			if (!body->line_data) {
				body->message->events += body->event;
				body->event = false;
			}
			body->line_data = false;
			i++;
		} else {
			const uint8_t *lf = memchr(data + i, '\n', len - i);
			size_t end = lf ? (size_t)(lf - data) : len;
			const uint8_t *cr = memchr(data + i, '\r', end - i);

			body->event |= !body->line_data && c != ':';
			body->line_data = true;
			body->after_cr = false;
			i = cr ? (size_t)(cr - data) : end;
		}
	}
}

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

int http_body_feed(struct http_body *body, const uint8_t *data, uint64_t len)
{
	struct http_message *message = body->message;

	message->body_bytes += len;
	if (!data) {
		message->body_whole = false;
		message->events = -1;
	}
	if (data && body->bodies->digest && message->body_whole &&
	    add_to_hash(&body->hash, body->bodies, data, len) < 0)
		return -1;
	if (message->grpc_messages >= 0)
		return feed_grpc(body, data, len);
	if (message->content.header)
		return feed_content(body, data, len);
	if (message->events >= 0 && data)
		feed_events(body, data, len);
	return 0;
}

void http_body_lost(struct http_body *body)
{
	if (!body->message)
		return;
	body->message->body_whole = false;
	body->message->grpc_messages = body->message->events = -1;
	fail_content(body, HTTP_CONTENT_MISSING);
}

/* What became of the content, now that no more of it comes. */
static void judge_content(struct http_body *body)
{
	struct http_content *content = &body->message->content;
	bool grpc = body->message->grpc_messages >= 0;
	enum http_content_error error;

	if (grpc)
		error = body->left > 0 || body->n_prefix > 0 ? HTTP_CONTENT_TRUNCATED : HTTP_CONTENT_OK;
	else
		error = http_decoder_end(body->decoder);
	content->complete = error == HTTP_CONTENT_OK || error == HTTP_CONTENT_TRAILING;
	content->error = error;
	end_content(body);
}

void http_body_end(struct http_body *body)
{
	struct http_message *message = body->message;

	if (!message)
		return;
	if (body->decoder)
		judge_content(body);
	if (message->body_whole && body->bodies->digest && !finish_hash(body->hash, message->body_sha256))
		message->body_whole = false;
	give_back(&body->hash, body->bodies);
	body->message = NULL;
}
