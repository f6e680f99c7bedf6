/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/flow_peers.h"

#include <string.h>

struct flow_peer {
	struct flow_peer *next; /* with the same key */
	uint32_t number;
	struct fdtape_address address;
};

/* FNV-1a: what is hostile can make two addresses share a key, which costs a comparison. */
static uint64_t key_of(const struct fdtape_address *a)
{
	uint64_t key = 0xcbf29ce484222325 ^ ((uint64_t)a->family << 16 | a->port);

	for (size_t i = 0; i < a->len && i < FDTAPE_ADDRESS_MAX; i++)
		key = (key ^ a->addr[i]) * 0x100000001b3;
	return key * 0x100000001b3;
}

static bool same(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

int64_t flow_peers_number(struct flow_peers *peers, const struct fdtape_address *address)
{
	uint64_t key = key_of(address);
	struct flow_peer *known = map_get(&peers->by_key, key), *peer;

	for (peer = known; peer; peer = peer->next)
		if (same(&peer->address, address))
			return peer->number;
	if (peers->n == FLOW_PEERS_MAX)
		return 0;
	peer = malloc(sizeof *peer);
	if (!peer)
		return -1;
	*peer = (struct flow_peer){.next = known, .number = peers->n + 1, .address = *address};
	if (!map_put(&peers->by_key, key, peer)) {
		free(peer);
		return -1;
	}
	return ++peers->n;
}

void flow_peers_release(struct flow_peers *peers)
{
	struct flow_peer *peer, *next;
	size_t cursor = 0;

	while ((peer = map_next(&peers->by_key, &cursor)))
		for (; peer; peer = next) {
			next = peer->next;
			free(peer);
		}
	map_release(&peers->by_key);
	peers->n = 0;
}
