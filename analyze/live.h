/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIVE_H
#define LIVE_H

/*
 * The flows that are open, to be found by their number.
 */
#include <stddef.h>
#include <stdint.h>

#include "replay/player.h"

struct live {
	const struct player_flow **flows; /* by number */
	size_t n, room;
};

void live_add(struct live *live, const struct player_flow *flow);
void live_remove(struct live *live, const struct player_flow *flow);
/* NULL: not open (any more). */
const struct player_flow *live_find(const struct live *live, uint64_t number);
/* The flow whose bytes these are: of a library's object, the socket that it belongs to. NULL for NULL. */
const struct player_flow *live_socket(const struct live *live, const struct player_flow *flow);
void live_release(struct live *live);

#endif
