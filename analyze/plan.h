/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLAN_H
#define PLAN_H

/*
 * How each flow is shown in a capture file: the first of two passes over the tapes. See plan.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyze/packet.h"
#include "replay/player.h"

enum rendering { /* the better, the higher */
	RENDER_NOTHING,
	RENDER_SEALED,    /* ciphertext, without keys */
	RENDER_CLEAR,     /* the bytes of a clear flow */
	RENDER_PLAIN,     /* decrypted, without TLS around it: the port belongs to another dissector */
	RENDER_ENVELOPE,  /* decrypted, within a synthetic TLS session */
	RENDER_KEYS,      /* ciphertext with its keys: Wireshark decrypts it */
	RENDER_DATAGRAMS, /* UDP */
};

/* In words, for a packet's comment. */
const char *rendering_text(enum rendering rendering);

enum {
	PLAN_FIRST = 24
};

struct planned {
	uint64_t number; /* of the flow */
	enum rendering rendering;
	bool udp, ipv6;
	struct packet_end local, remote;
	bool connected; /* remote is known; else each datagram has its own */
	bool local_is_client;
	bool handshake; /* the connection began within the recording */
	uint64_t opened, closed;
	uint64_t bytes, missing;
	char *keys; /* RENDER_KEYS: lines of an SSLKEYLOGFILE */
	char *sni, *alpn;
	uint8_t first[2][PLAN_FIRST]; /* the beginning of what it carried, decrypted */
	size_t n_first[2];
};

struct plan {
	struct planned **flows; /* by number */
	size_t n, room;
	bool wire;                         /* no decryption wanted */
	uint64_t no_ip, no_address, twins; /* flows with bytes that can't be, need not be shown */
};

/* What a sink of the first pass calls. The flow's user member is plan's. */
void plan_flow_opened(struct plan *plan, struct player_flow *flow);
void plan_piece(struct plan *plan, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece);
void plan_flow_closed(struct plan *plan, struct player_flow *flow);
/* The pass is over: of the two ends of one connection, one stays. */
void plan_finish(struct plan *plan);
/* The other end of a datagram that has its own, and this one's as it fits that; false: neither IPv4 nor IPv6. */
bool plan_path(struct packet_path *path, const struct fdtape_address *local, const struct fdtape_address *peer,
               enum fdtape_dir dir);
/* For the second pass: how the flow is shown; NULL: not at all. */
const struct planned *plan_find(const struct plan *plan, uint64_t number);
void plan_release(struct plan *plan);

#endif
