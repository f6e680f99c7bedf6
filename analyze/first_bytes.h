/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FIRST_BYTES_H
#define FIRST_BYTES_H

/*
 * What flows begin with that speak no protocol that is known: the first bytes of each direction, decrypted, and who said
 * how much in turn. Memory is bounded by the live flows.
 */
#include "analyze/json.h"
#include "map.h"
#include "replay/player.h"

enum {
	FIRST_BYTES = 32, /* of a direction */
	FIRST_TURNS = 8,
};

struct first_bytes {
	struct first_side {
		uint64_t bytes;  /* carried in all, holes included */
		uint64_t offset; /* in the stream, of what follows: 0, unless its beginning is not on the tape */
		uint8_t first[FIRST_BYTES];
		size_t n;
	} side[2]; /* by enum fdtape_dir */
	/* Of a byte stream: bytes until the other side's turn comes. Else: datagrams. */
	struct first_turn {
		enum fdtape_dir dir;
		uint64_t bytes;
	} turns[FIRST_TURNS];
	size_t n_turns;
	bool more; /* turns than that */
};

/* A sink's plain(), by flow number. The sink wants player_sink.protocol. */
void first_bytes_add(struct map *flows, const struct player_flow *flow, enum fdtape_dir dir,
                     const struct player_piece *piece);
/* A sink's flow_closed(): what is known, which the caller frees; NULL: its protocol is known, or it said nothing. */
struct first_bytes *first_bytes_take(struct map *flows, const struct player_flow *flow);
/* What a play that ended early has left, and the map. */
void first_bytes_release(struct map *flows);

/* {in{bytes offset first} out{...} turns[{dir bytes}]}, first being escaped (text_escape()); null for NULL. */
struct json *first_bytes_object(const struct first_bytes *first);
/* "out 6 B, in 7 B, ..."; the first `max` bytes of a direction. Both are safe for a terminal and the caller's. */
char *first_bytes_turns(const struct first_bytes *first);
char *first_bytes_text(const struct first_bytes *first, enum fdtape_dir dir, size_t max);

#endif
