/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/causality.h"

#include <string.h>
#include <strings.h>

#include "analyze/message_row.h"

/* FNV-1a. What is hashed was on one tape or the other: who forges a collision could have forged the bytes. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

/* With its end, so that "ab" "c" is not "a" "bc". */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_bytes(hash, "\xff", 1);
}

/* 0 means "not known". */
static uint64_t hash_end(uint64_t hash)
{
	return hash ? hash : 1;
}

static uint64_t hash_sha(const struct http_message *message)
{
	return message->body_whole ? hash_end(hash_bytes(hash_start, message->body_sha256, sizeof message->body_sha256))
	                           : 0;
}

/* 0 when not all of it is known. */
static uint64_t hash_headers(uint64_t hash, const struct http_message *message)
{
	for (size_t i = 0; i < message->n_headers; i++) {
		if (!message->headers[i].name || !message->headers[i].value)
			return 0;
		hash = hash_text(hash_text(hash, message->headers[i].name), message->headers[i].value);
	}
	return hash_end(hash);
}

/* ::ffff:192.0.2.1 is what a socket of IPv6 calls 192.0.2.1. */
static uint64_t hash_address(uint64_t hash, const struct fdtape_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_mapped = address->family == FDTAPE_FAMILY_IPV6 && memcmp(address->addr, mapped, sizeof mapped) == 0;
	size_t skip = is_mapped ? sizeof mapped : 0, len = address->family == FDTAPE_FAMILY_IPV6 ? 16 : 4;
	uint8_t port[2] = {(uint8_t)(address->port >> 8), (uint8_t)address->port};

	return hash_bytes(hash_bytes(hash, address->addr + skip, len - skip), port, sizeof port);
}

static bool is_ip(const struct fdtape_address *address)
{
	return (address->family == FDTAPE_FAMILY_IPV4 || address->family == FDTAPE_FAMILY_IPV6) && address->port;
}

/* The same for both ends. */
static uint64_t connection(const struct fdtape_flow *def, uint32_t role)
{
	const struct fdtape_address *client = role == FDTAPE_ROLE_CLIENT ? &def->local : &def->remote;
	const struct fdtape_address *server = role == FDTAPE_ROLE_CLIENT ? &def->remote : &def->local;

	if (role == FDTAPE_ROLE_UNKNOWN || def->proto != FDTAPE_PROTO_TCP || !is_ip(client) || !is_ip(server))
		return 0;
	return hash_end(hash_address(hash_address(hash_start, client), server));
}

/* ---- ids -------------------------------------------------------------------------------------------------------- */

static void set_id(struct causality_exchange *x, enum causality_id id, const char *value, size_t len)
{
	if (len && !x->ids[id])
		x->ids[id] = hash_end(hash_bytes(hash_start, value, len));
}

/* version "-" trace-id "-" parent-id "-" flags; W3C Trace Context, 3.2. */
static void set_traceparent(struct causality_exchange *x, const char *value)
{
	static const char hex[] = "0123456789abcdef";

	if (strspn(value, hex) != 2 || value[2] != '-' || strspn(value + 3, hex) != 32 || value[35] != '-' ||
	    strspn(value + 36, hex) != 16 || strspn(value + 3, "0") == 32)
		return;
	set_id(x, CAUSALITY_TRACEPARENT, value, strlen(value));
	set_id(x, CAUSALITY_TRACE_ID, value + 3, 32);
}

/* b3: trace-id "-" span-id "-" ..., or a sampling decision alone. */
static void set_b3(struct causality_exchange *x, const char *value)
{
	const char *dash = strchr(value, '-');

	if (!dash)
		return;
	set_id(x, CAUSALITY_B3, value, strlen(value));
	set_id(x, CAUSALITY_B3_TRACE_ID, value, (size_t)(dash - value));
}

/* What of the value all requests of one trace have in common. */
static void set_ids(struct causality_exchange *x, const struct http_message *message)
{
	for (size_t i = 0; i < message->n_headers; i++) {
		const char *name = message->headers[i].name, *value = message->headers[i].value, *root;

		if (!name || !value)
			continue;
		if (strcasecmp(name, "traceparent") == 0) {
			set_traceparent(x, value);
		} else if (strcasecmp(name, "b3") == 0) {
			set_b3(x, value);
		} else if (strcasecmp(name, "x-amzn-trace-id") == 0) {
			root = strstr(value, "Root=");
			if (root)
				set_id(x, CAUSALITY_AMZN_TRACE_ID, root, strcspn(root, ";"));
		} else if (strcasecmp(name, "uber-trace-id") == 0) {
			set_id(x, CAUSALITY_UBER_TRACE_ID, value, strcspn(value, ":%"));
		} else {
			for (int id = CAUSALITY_B3_TRACE_ID; id < N_CAUSALITY_IDS; id++)
				if (strcasecmp(name, causality_id_word((enum causality_id)id)) == 0)
					set_id(x, (enum causality_id)id, value, strlen(value));
		}
	}
}

void causality_describe(struct causality_exchange *x, const struct player_flow *flow, const struct http_exchange *http)
{
	uint64_t hash;
	uint8_t stream[8];

	x->pid = flow->def.pid;
	x->role = message_role(flow, http->dir);
	x->connection = connection(&flow->def, x->role);
	for (size_t i = 0; i < sizeof stream; i++)
		stream[i] = (uint8_t)((uint64_t)http->stream >> 8 * i);
	if (http->method) {
		hash = hash_bytes(hash_start, stream, sizeof stream);
		hash = hash_text(hash_text(hash, http->method), http->target);
		x->request = hash_headers(hash, &http->request);
	}
	x->request_body = hash_sha(&http->request);
	if (http->status) {
		hash = hash_bytes(hash_start, &(uint8_t[]){(uint8_t)(http->status >> 8), (uint8_t)http->status}, 2);
		x->response = hash_headers(hash, &http->response);
	}
	x->response_body = hash_sha(&http->response);
	set_ids(x, &http->request);
}
