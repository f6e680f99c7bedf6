/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PROTO_H
#define PROTO_H

/*
 * Application protocols. Each is fed the plaintext of both directions of a flow, in pieces as they come, and tells
 * what messages it found. A protocol judges by content whether it is spoken at all, and falls silent when it is not.
 */
#include "replay/assembly.h"
#include "replay/http.h"
#include "replay/tls.h"

struct proto_sink {
	void *context;
	void (*http)(void *context, const struct http_exchange *exchange);
};

struct proto_flow {     /* what a protocol may know of its flow; outlives it */
	bool preopened; /* the first bytes may come from the middle of a conversation */
	const struct tls_info *tls;
};

struct proto {
	/* The state of one flow. NULL without memory. */
	void *(*open)(const struct proto_flow *flow, const struct proto_sink *sink);
	/* The next bytes of a direction (0, 1); data NULL: a hole of len bytes, 0: of unknown length. 0 or -1. */
	int (*feed)(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp);
	/* Nothing more comes; `closed`: because the connection ended, not the recording. 0 or -1. */
	int (*finish)(void *state, bool closed);
	void (*free)(void *state);
};

extern const struct proto proto_http1;

#endif
