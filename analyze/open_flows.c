/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/open_flows.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"

/* Where the number is, or would be. */
static size_t place(const struct open_flows *open, uint64_t number)
{
	size_t low = 0, high = open->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (open->flows[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void open_flows_add(struct open_flows *open, const struct player_flow *flow)
{
	size_t at = place(open, flow->number);

	open->flows = alloc_grow(open->flows, &open->room, open->n + 1, sizeof *open->flows);
	memmove(&open->flows[at + 1], &open->flows[at], (open->n - at) * sizeof *open->flows);
	open->flows[at] = flow;
	open->n++;
}

void open_flows_remove(struct open_flows *open, const struct player_flow *flow)
{
	size_t at = place(open, flow->number);

	if (at == open->n || open->flows[at] != flow)
		return;
	open->n--;
	memmove(&open->flows[at], &open->flows[at + 1], (open->n - at) * sizeof *open->flows);
}

const struct player_flow *open_flows_find(const struct open_flows *open, uint64_t number)
{
	size_t at = place(open, number);

	return at < open->n && open->flows[at]->number == number ? open->flows[at] : NULL;
}

const struct player_flow *open_flows_socket(const struct open_flows *open, const struct player_flow *flow)
{
	const struct player_flow *socket = flow && flow->bound ? open_flows_find(open, flow->bound) : NULL;

	return socket ? socket : flow;
}

void open_flows_release(struct open_flows *open)
{
	free(open->flows);
	*open = (struct open_flows){0};
}
