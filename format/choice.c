/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/choice.h"

#include <stdlib.h>

int choice_make(struct choice *c, const struct fdtape_choice *from)
{
	uint64_t *flows = NULL;

	if (from->to && from->to < from->from)
		return FDTAPE_ERR_USAGE;
	if (from->n_flows > 0) {
		if (!from->flows)
			return FDTAPE_ERR_USAGE;
		for (size_t i = 1; i < from->n_flows; i++)
			if (from->flows[i] <= from->flows[i - 1])
				return FDTAPE_ERR_USAGE;
		if (from->n_flows > SIZE_MAX / sizeof(*flows))
			return FDTAPE_ERR_MEMORY;
		flows = malloc(from->n_flows * sizeof(*flows));
		if (!flows)
			return FDTAPE_ERR_MEMORY;
		memcpy(flows, from->flows, from->n_flows * sizeof(*flows));
	}
	choice_release(c);
	*c = (struct choice){
	        .made = true,
	        .flows = flows,
	        .n_flows = from->n_flows,
	        .from = from->from,
	        .to = from->to ? from->to : UINT64_MAX,
	};
	return 0;
}

void choice_release(struct choice *c)
{
	free(c->flows);
	*c = (struct choice){0};
}

bool choice_has_flow(const struct choice *c, uint64_t flow)
{
	size_t low = 0;
	size_t high = c->n_flows;

	if (!c->flows)
		return true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->flows[middle] < flow)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->n_flows && c->flows[low] == flow;
}

bool choice_meets(const struct choice *c, struct span list)
{
	return !c->flows || flowlist_meets(list, c->flows, c->n_flows);
}

bool choice_has_time(const struct choice *c, const struct fdtape_event *e)
{
	uint64_t end = e->duration > UINT64_MAX - e->time ? UINT64_MAX : e->time + e->duration;

	return choice_overlaps(c, e->time, end);
}
