/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/window.h"

/* The least that is asked of a source at a time. */
#define CHUNK (256u << 10)

void window_of_source(struct window *w, const struct fdtape_source *source)
{
	*w = (struct window){.source = *source, .size = source->read_at ? source->size : 0};
}

void window_of_memory(struct window *w, const void *data, size_t len)
{
	*w = (struct window){.data = data, .len = len, .ended = true, .memory = data, .size = len, .read = len};
}

void window_release(struct window *w)
{
	bytebuf_release(&w->hold);
}

/* Makes room for so many bytes behind those that are held. */
static bool make_room(struct window *w, size_t room)
{
	struct bytebuf *hold = &w->hold;

	if (hold->data && hold->cap - hold->len >= room)
		return true;
	if (w->len > 0)
		memmove(hold->data, w->data, w->len);
	hold->len = w->len;
	w->data = bytebuf_reserve(hold, room) ? hold->data : NULL;
	return w->data != NULL;
}

int window_fill(struct window *w, size_t want)
{
	const struct fdtape_source *source = &w->source;
	struct bytebuf *hold = &w->hold;

	while (w->len < want && !w->ended) {
		size_t room;
		int64_t n;

		if (!make_room(w, CHUNK))
			return FDTAPE_ERR_MEMORY;
		room = hold->cap - hold->len;
		if (w->sparing && room > want - w->len)
			room = want - w->len;
		n = w->moved ? source->read_at(source->context, w->offset + w->len, hold->data + hold->len, room)
		             : source->read(source->context, hold->data + hold->len, room);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n > room)
			return FDTAPE_ERR_USAGE;
		hold->len += (size_t)n;
		w->len += (size_t)n;
		w->read += (uint64_t)n;
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

void window_seek(struct window *w, uint64_t offset)
{
	w->offset = offset;
	if (w->memory) {
		w->offset = offset < w->size ? offset : w->size;
		w->data = w->memory + w->offset;
		w->len = (size_t)(w->size - w->offset);
		return;
	}
	w->moved = true;
	w->ended = false;
	w->len = 0;
	w->data = w->hold.data;
	bytebuf_clear(&w->hold);
}

int window_read_at(const struct window *w, uint64_t offset, void *to, size_t len)
{
	const struct fdtape_source *source = &w->source;
	size_t have = 0;

	if (offset > w->size || len > w->size - offset)
		return 0;
	if (w->memory) {
		memcpy(to, w->memory + offset, len);
		return 1;
	}
	while (have < len) {
		int64_t n = source->read_at(source->context, offset + have, (char *)to + have, len - have);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return 0;
		if ((uint64_t)n > len - have)
			return FDTAPE_ERR_USAGE;
		have += (size_t)n;
	}
	return 1;
}
