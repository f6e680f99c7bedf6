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

void http_hashes_release(struct http_hashes *hashes)
{
	while (hashes->n > 0)
		EVP_MD_CTX_free(hashes->spare[--hashes->n]);
}

static EVP_MD_CTX *take_hash(struct http_hashes *hashes)
{
	EVP_MD_CTX *hash;

	if (hashes->n > 0) {
		hash = hashes->spare[--hashes->n];
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

bool http_is_grpc(const struct http_message *message)
{
	const char *type = http_header(message, "Content-Type");

	return type && strncasecmp(type, "application/grpc", 16) == 0 && (!type[16] || strchr("+; ", type[16]));
}

void http_body_begin(struct http_body *body, struct http_message *message)
{
	const char *type = http_header(message, "Content-Type");

	body->message = message;
	message->body_whole = true;
	message->grpc_messages = message->events = -1;
	if (http_is_grpc(message))
		message->grpc_messages = 0;
	else if (type && strncasecmp(type, "text/event-stream", 17) == 0 && (!type[17] || strchr("; ", type[17])))
		message->events = 0;
}

static void feed_grpc(struct http_body *body, const uint8_t *data, uint64_t len)
{
	uint64_t n;

	while (len > 0) {
		if (body->left > 0) {
			n = body->left < len ? body->left : len;
			body->left -= n;
			body->message->grpc_messages += body->left == 0;
		} else if (!data) {
			body->message->grpc_messages = -1;
			return;
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
					body->message->grpc_messages = -1; /* that is no gRPC */
					return;
				}
				body->message->grpc_messages += body->left == 0;
			}
		}
		if (data)
			data += n;
		len -= n;
	}
}

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

int http_body_feed(struct http_body *body, struct http_hashes *hashes, const uint8_t *data, uint64_t len)
{
	struct http_message *message = body->message;

	message->body_bytes += len;
	if (!data)
		message->body_whole = false;
	if (data && message->body_whole) {
		if (!body->hash && !(body->hash = take_hash(hashes)))
			return -1;
		if (EVP_DigestUpdate(body->hash, data, len) <= 0)
			return -1;
	}
	if (message->grpc_messages >= 0)
		feed_grpc(body, data, len);
	if (message->events >= 0 && data)
		feed_events(body, data, len);
	else if (!data)
		message->events = -1;
	return 0;
}

void http_body_lost(struct http_body *body)
{
	if (!body->message)
		return;
	body->message->body_whole = false;
	body->message->grpc_messages = body->message->events = -1;
}

void http_body_end(struct http_body *body, struct http_hashes *hashes)
{
	/* SHA-256 of nothing (FIPS 180-4). */
	static const uint8_t empty[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
	                                  0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
	                                  0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
	struct http_message *message = body->message;

	if (message && message->body_whole && body->hash) {
		if (EVP_DigestFinal_ex(body->hash, message->body_sha256, NULL) <= 0)
			message->body_whole = false;
	} else if (message && message->body_whole) {
		memcpy(message->body_sha256, empty, sizeof empty);
	}
	if (body->hash && hashes->n < sizeof hashes->spare / sizeof *hashes->spare)
		hashes->spare[hashes->n++] = body->hash;
	else
		EVP_MD_CTX_free(body->hash);
	body->hash = NULL;
	body->message = NULL;
}
