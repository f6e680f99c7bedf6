/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FLOW_PEERS_H
#define FLOW_PEERS_H

/*
 * Whom a flow's datagrams came from and went to, each once, by number: 1, 2, ... in the order of their first datagrams.
 */
#include <fdtape/types.h>

#include "map.h"

enum {
	FLOW_PEERS_MAX = 65536
};

struct flow_peers {
	struct map by_key; /* of what the addresses with one key have in common, the list of them */
	uint32_t n;
};

/* The address' number, the next one if it is new; 0: there are too many to remember it. -1: no memory. */
int64_t flow_peers_number(struct flow_peers *peers, const struct fdtape_address *address);
void flow_peers_release(struct flow_peers *peers);

#endif
