/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/first_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/text.h"
#include "analyze/words.h"

static void add_turn(struct first_bytes *f, enum fdtape_dir dir, uint64_t bytes, bool joined)
{
	struct first_turn *last = f->n_turns ? &f->turns[f->n_turns - 1] : NULL;

	if (f->more)
		return;
	if (joined && last && last->dir == dir)
		last->bytes += bytes;
	else if (f->n_turns < FIRST_TURNS)
		f->turns[f->n_turns++] = (struct first_turn){.dir = dir, .bytes = bytes};
	else
		f->more = true;
}

void first_bytes_add(struct map *flows, const struct player_flow *flow, enum fdtape_dir dir,
                     const struct player_piece *piece)
{
	bool in_reach = flow->def.kind == FDTAPE_KIND_SOCKET || flow->def.kind == FDTAPE_KIND_LIBRARY;
	struct first_bytes *f;
	struct first_side *side;

	if (flow->protocol || !in_reach)
		return;
	f = map_get(flows, flow->number);
	if (!f) {
		f = alloc_new(1, sizeof *f);
		if (!map_put(flows, flow->number, f)) {
			free(f);
			return;
		}
	}
	side = &f->side[dir];
	side->bytes += piece->len;
	/* All messages of a byte stream run together; of library calls too, which hand out parts of one. */
	add_turn(f, dir, piece->len, flow->timeline || flow->def.kind == FDTAPE_KIND_LIBRARY);
	if (!piece->data)
		return;
	if (side->n == 0)
		side->offset = piece->offset;
	if (side->n < FIRST_BYTES && piece->offset == side->offset + side->n) {
		size_t room = FIRST_BYTES - side->n, n = piece->len < room ? (size_t)piece->len : room;

		memcpy(side->first + side->n, piece->data, n);
		side->n += n;
	}
}

struct first_bytes *first_bytes_take(struct map *flows, const struct player_flow *flow)
{
	struct first_bytes *f = map_take(flows, flow->number);

	if (f && !flow->protocol && (f->side[0].n || f->side[1].n))
		return f;
	free(f);
	return NULL;
}

void first_bytes_release(struct map *flows)
{
	map_free(flows);
}

char *first_bytes_text(const struct first_bytes *f, enum fdtape_dir dir, size_t max)
{
	const struct first_side *side = &f->side[dir];

	return text_escape(side->first, side->n < max ? side->n : max);
}

char *first_bytes_turns(const struct first_bytes *f)
{
	struct alloc_text text;
	char size[TEXT_SIZE_MAX];

	alloc_text_begin(&text);
	for (size_t i = 0; i < f->n_turns; i++)
		fprintf(text.out, "%s%s %s", i ? ", " : "", words_dir(f->turns[i].dir),
		        text_size(size, f->turns[i].bytes));
	if (f->more)
		fputs(", ...", text.out);
	return alloc_text_end(&text);
}

static struct json *side_object(const struct first_bytes *f, enum fdtape_dir dir)
{
	struct json *object;
	char *text;

	if (!f->side[dir].bytes)
		return js_null();
	object = js_object();
	text = first_bytes_text(f, dir, FIRST_BYTES);
	js_set(object, "bytes", js_number(f->side[dir].bytes));
	js_set(object, "offset", f->side[dir].n ? js_number(f->side[dir].offset) : js_null());
	js_set(object, "first", f->side[dir].n ? js_plain(text) : js_null());
	free(text);
	return object;
}

struct json *first_bytes_object(const struct first_bytes *f)
{
	struct json *object, *turns, *turn;

	if (!f)
		return js_null();
	object = js_object();
	turns = js_array();
	for (size_t i = 0; i < f->n_turns; i++) {
		turn = js_object();
		js_set(turn, "dir", js_plain(words_dir(f->turns[i].dir)));
		js_set(turn, "bytes", js_number(f->turns[i].bytes));
		js_add(turns, turn);
	}
	js_set(object, "in", side_object(f, FDTAPE_IN));
	js_set(object, "out", side_object(f, FDTAPE_OUT));
	js_set(object, "turns", turns);
	return object;
}
