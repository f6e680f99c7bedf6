/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

/*
 * WebSocket messages (RFC 6455) as found in byte streams with holes. See websocket.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum websocket_opcode { /* RFC 6455, 5.2 */
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

enum {
	WEBSOCKET_DATA_MAX = 4096, /* of a message's payload that is kept */
};

/* A message, which one or several frames carried. */
struct websocket_message {
	const char *path;      /* of the request that opened it; NULL: not known */
	const char *authority; /* likewise */
	int dir;               /* enum fdtape_dir: 0 the process read it, 1 it wrote it */
	bool from_client;      /* its frames are masked */
	unsigned opcode;
	uint64_t frames;
	uint64_t wire_bytes; /* payload as carried, without the frames' heads */
	uint64_t bytes;      /* the same after permessage-deflate; 0 when !decoded */
	bool compressed;     /* RFC 7692 */
	bool decoded;        /* `data` and `bytes` hold what was meant */
	bool complete;       /* to its last byte, without a hole */
	const uint8_t *data; /* the first WEBSOCKET_DATA_MAX bytes at most */
	size_t len;
	int close_code; /* of a close frame; 0: none */
	uint64_t start; /* wall times of its first byte and its last, ns since the epoch */
	uint64_t end;
};

struct proto_flow;
struct proto_sink;

/* What an HTTP request and its response agreed on; strings are copied. NULL without memory. */
void *websocket_open(const struct proto_flow *flow, const struct proto_sink *sink, const char *authority,
                     const char *path, const char *extensions);

#endif
