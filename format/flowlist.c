/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/flowlist.h"

#include <stdlib.h>

void flowlist_clear(struct flowlist *l)
{
	idmap_clear(&l->seen);
	l->failed = false;
}

void flowlist_add(struct flowlist *l, uint64_t flow)
{
	if (l->seen.count > 0 && flow == l->last)
		return;
	if (!idmap_reserve(&l->seen, 1)) {
		l->failed = true;
		return;
	}
	idmap_add(&l->seen, flow);
	l->last = flow;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

void flowlist_append(struct flowlist *l, struct bytebuf *to)
{
	uint64_t before = 0;

	if (l->failed)
		to->failed = true;
	if (l->seen.count > 1)
		qsort(l->seen.keys, l->seen.count, sizeof(*l->seen.keys), compare_ids);
	bytebuf_varint(to, l->seen.count);
	for (size_t i = 0; i < l->seen.count; i++) {
		bytebuf_varint(to, l->seen.keys[i] - before);
		before = l->seen.keys[i];
	}
}

void flowlist_release(struct flowlist *l)
{
	idmap_release(&l->seen);
}

size_t flowlist_index(const struct flowlist *l, uint64_t flow)
{
	size_t low = 0;
	size_t high = l->seen.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (l->seen.keys[middle] <= flow)
			low = middle;
		else
			high = middle;
	}
	return low;
}

bool flowlist_skip(struct span *s, struct span *list)
{
	const uint8_t *begin = s->at;
	uint64_t n = span_varint(s);
	uint64_t flow = 0;

	if (n > FLOWLIST_MAX)
		s->bad = true;
	for (uint64_t i = 0; i < n && !s->bad; i++) {
		uint64_t step = span_varint(s);

		if (i > 0 && (step == 0 || step > UINT64_MAX - flow))
			s->bad = true;
		flow += step;
	}
	if (list)
		*list = s->bad ? span_of(begin, 0) : span_of(begin, (size_t)(s->at - begin));
	return !s->bad;
}

size_t flowlist_take(struct span list, uint64_t *to)
{
	size_t n = (size_t)span_varint(&list);
	uint64_t flow = 0;

	for (size_t i = 0; i < n; i++)
		to[i] = flow += span_varint(&list);
	return n;
}

bool flowlist_meets(struct span list, const uint64_t *ids, size_t n)
{
	uint64_t left = span_varint(&list);
	uint64_t flow = 0;

	for (size_t i = 0; left > 0; left--) {
		flow += span_varint(&list);
		if (list.bad)
			return false;
		while (i < n && ids[i] < flow)
			i++;
		if (i == n)
			return false;
		if (ids[i] == flow)
			return true;
	}
	return false;
}
