/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/window.h"

/* The least that is asked of a source at a time. */
#define CHUNK (256u << 10)

void window_of_source(struct window *w, const struct fdtape_source *source)
{
	*w = (struct window){.source = *source};
}

void window_of_memory(struct window *w, const void *data, size_t len)
{
	*w = (struct window){.data = data, .len = len, .ended = true};
}

void window_release(struct window *w)
{
	bytebuf_release(&w->hold);
}

/* Makes room for a chunk behind the bytes that are held. */
static bool make_room(struct window *w)
{
	struct bytebuf *hold = &w->hold;

	if (hold->data && hold->cap - hold->len >= CHUNK)
		return true;
	if (w->len > 0)
		memmove(hold->data, w->data, w->len);
	hold->len = w->len;
	w->data = bytebuf_reserve(hold, CHUNK) ? hold->data : NULL;
	return w->data != NULL;
}

int window_fill(struct window *w, size_t want)
{
	struct bytebuf *hold = &w->hold;

	while (w->len < want && !w->ended) {
		size_t room;
		int64_t n;

		if (!make_room(w))
			return FDTAPE_ERR_MEMORY;
		room = hold->cap - hold->len;
		n = w->source.read(w->source.context, hold->data + hold->len, room);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n > room)
			return FDTAPE_ERR_USAGE;
		hold->len += (size_t)n;
		w->len += (size_t)n;
		w->ended = n == 0;
	}
	return 0;
}

void window_skip(struct window *w, size_t n)
{
	if (n == 0)
		return;
	w->data += n;
	w->len -= n;
	w->offset += n;
}
