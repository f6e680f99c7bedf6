/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/live.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"

/* Where the number is, or would be. */
static size_t place(const struct live *live, uint64_t number)
{
	size_t low = 0, high = live->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (live->flows[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void live_add(struct live *live, const struct player_flow *flow)
{
	size_t at = place(live, flow->number);

	live->flows = alloc_grow(live->flows, &live->room, live->n + 1, sizeof *live->flows);
	memmove(&live->flows[at + 1], &live->flows[at], (live->n - at) * sizeof *live->flows);
	live->flows[at] = flow;
	live->n++;
}

void live_remove(struct live *live, const struct player_flow *flow)
{
	size_t at = place(live, flow->number);

	if (at == live->n || live->flows[at] != flow)
		return;
	live->n--;
	memmove(&live->flows[at], &live->flows[at + 1], (live->n - at) * sizeof *live->flows);
}

const struct player_flow *live_find(const struct live *live, uint64_t number)
{
	size_t at = place(live, number);

	return at < live->n && live->flows[at]->number == number ? live->flows[at] : NULL;
}

const struct player_flow *live_socket(const struct live *live, const struct player_flow *flow)
{
	const struct player_flow *socket = flow && flow->bound ? live_find(live, flow->bound) : NULL;

	return socket ? socket : flow;
}

void live_release(struct live *live)
{
	free(live->flows);
	*live = (struct live){0};
}
