/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/top.h"

#include <string.h>

bool top_wants(const struct top *top, uint64_t key)
{
	return top->n < top->limit || key > top->entries[top->n - 1].key;
}

void top_add(struct top *top, uint64_t key, void *value)
{
	size_t at = top->n;

	while (at > 0 && key > top->entries[at - 1].key)
		at--;
	if (at == top->limit) {
		top->release(value);
		return;
	}
	if (top->n == top->limit)
		top->release(top->entries[--top->n].value);
	memmove(&top->entries[at + 1], &top->entries[at], (top->n - at) * sizeof *top->entries);
	top->entries[at] = (struct top_entry){.key = key, .value = value};
	top->n++;
}
