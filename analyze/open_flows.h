/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef OPEN_FLOWS_H
#define OPEN_FLOWS_H

/*
 * The flows that are open, to be found by their number.
 */
#include <stddef.h>
#include <stdint.h>

#include "replay/player.h"

struct open_flows {
	const struct player_flow **flows; /* by number */
	size_t n, room;
};

void open_flows_add(struct open_flows *open, const struct player_flow *flow);
void open_flows_remove(struct open_flows *open, const struct player_flow *flow);
/* NULL: not open (any more). */
const struct player_flow *open_flows_find(const struct open_flows *open, uint64_t number);
/* The flow whose bytes these are: of a library's object, the socket that it belongs to. NULL for NULL. */
const struct player_flow *open_flows_socket(const struct open_flows *open, const struct player_flow *flow);
void open_flows_release(struct open_flows *open);

#endif
