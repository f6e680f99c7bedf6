/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PROTO_H
#define PROTO_H

/*
 * Application protocols. Each is fed the plaintext of both directions of a flow, in pieces as they come, and tells
 * what messages it found. Which one is spoken is judged by content (protos.c): neither port nor role matters.
 *
 * Every protocol takes holes. One whose length is known and that lies within a message's payload costs that payload
 * alone; behind any other the protocol is lost until a piece begins with what can be nothing but a message, and what it
 * was reading is told as incomplete. It never tells a message that was not sent.
 */
#include "replay/assembly.h"
#include "replay/proto/dns.h"
#include "replay/proto/http.h"
#include "replay/proto/sql.h"
#include "replay/proto/websocket.h"
#include "replay/tls.h"

/* Who wants to know. A NULL member: nobody does, and a protocol that would tell nothing else is not even opened. */
struct proto_sink {
	void *context;
	void (*http)(void *context, const struct http_exchange *exchange);
	void (*websocket)(void *context, const struct websocket_message *message);
	void (*sql)(void *context, const struct sql_command *command);
	void (*dns)(void *context, const struct dns_exchange *exchange);
	bool content; /* http() wants http_message.content */
	bool digests; /* http() wants http_message.body_sha256 */
};

struct proto_flow {     /* what a protocol may know of its flow; outlives it */
	bool preopened; /* the first bytes may come from the middle of a conversation */
	bool datagrams; /* each piece is one, or the rest of one */
	const struct tls_info *tls;
};

/* What the first bytes say of a protocol. */
enum proto_guess {
	PROTO_NO,
	PROTO_MAYBE, /* more have to come */
	PROTO_YES,
};

struct proto {
	const char *name; /* "http/1" */
	/* Could these bytes of one direction begin a conversation; or, `middle`, a message somewhere in one? Within a
	 * conversation nobody waits for more: there is only yes and no, and it has to be sure. */
	enum proto_guess (*guess)(const uint8_t *data, size_t len, bool middle);
	/* The state of one flow. NULL without memory. */
	void *(*open)(const struct proto_flow *flow, const struct proto_sink *sink);
	/* The next bytes of a direction (0, 1); data NULL: a hole of len bytes, 0: of unknown length. 0 or -1. */
	int (*feed)(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp);
	/* Nothing more comes; `closed`: because the connection ended, not the recording. 0 or -1. */
	int (*finish)(void *state, bool closed);
	void (*free)(void *state);
};

extern const struct proto proto_http1, proto_http2, proto_websocket, proto_pgsql, proto_mysql, proto_redis, proto_dns;

/* ---- any of them: protos.c -------------------------------------------------------------------------------------- */

struct protos;

/* NULL without memory. */
struct protos *protos_open(const struct proto_flow *flow, const struct proto_sink *sink);
/* The same for a conversation whose protocol is known, with a state that its own open() gave; takes it over. */
struct protos *protos_open_as(const struct proto *proto, void *state);
/* As proto.feed(), proto.finish(). */
int protos_feed(struct protos *protos, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp);
int protos_finish(struct protos *protos, bool closed);
/* What was found to be spoken, whether anybody wants its messages or not; NULL: nothing that is known, so far. Of
 * datagrams it is not known before one is told. */
const char *protos_name(const struct protos *protos);
void protos_free(struct protos *protos);

#endif
