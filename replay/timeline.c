/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * An item is placed by when it was noticed: a call by its end, since that is when the recorder saw it. Within one tape
 * the order is the tape's, whatever the times say, so each input's place is the latest wall time that it has reached.
 * The input whose next item has the earliest place goes first; the first of those named on the command line among
 * equals. One input needs none of this, and its order is the tape's.
 *
 * A section begins behind all that its own clock says was before it: wall times of two tapes, each by the latest reading
 * of its own, differ a little. So the next tape of a recording (chained.c) begins when the one before it has ended, which
 * is known by the reading that they share.
 */
#include "replay/timeline.h"

#include <stdlib.h>

static uint64_t add(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

uint64_t timeline_wall(const struct fdtape_clock *clock, uint64_t monotonic)
{
	uint64_t back;

	if (monotonic >= clock->monotonic)
		return add(clock->realtime, monotonic - clock->monotonic);
	back = clock->monotonic - monotonic;
	return clock->realtime > back ? clock->realtime - back : 0;
}

int timeline_open(struct timeline *timeline, const struct player_input *inputs, size_t n)
{
	int error;

	*timeline = (struct timeline){.inputs = calloc(n, sizeof *timeline->inputs)};
	if (!timeline->inputs)
		return FDTAPE_ERR_MEMORY;
	for (size_t i = 0; i < n; i++) {
		timeline->inputs[i].name = inputs[i].name;
		error = fdtape_reader_open(&timeline->inputs[i].reader, &inputs[i].source);
		if (error)
			return error;
		timeline->n++;
		if (inputs[i].ahead)
			fdtape_reader_ahead(timeline->inputs[i].reader);
	}
	return 0;
}

/* When the item was noticed; 0 where that says nothing. */
static uint64_t time_of(const struct fdtape_item *item)
{
	switch (item->type) {
	case FDTAPE_ITEM_CLOCK:
		return item->clock.monotonic;
	case FDTAPE_ITEM_PROCESS:
		return item->process.time;
	case FDTAPE_ITEM_THREAD:
		return item->thread.time;
	case FDTAPE_ITEM_FLOW:
		return item->flow.closed ? item->flow.closed : item->flow.opened;
	case FDTAPE_ITEM_EVENT:
		return add(item->event.time, item->event.duration);
	case FDTAPE_ITEM_SECRET:
		return item->secret.time;
	case FDTAPE_ITEM_LOSS:
		return item->loss.to;
	default:
		return 0;
	}
}

/* Reads the input's next item and finds its place. */
static int fetch(struct timeline_input *in)
{
	struct fdtape_section_info info;
	int result = fdtape_reader_next(in->reader, &in->item);
	uint64_t wall;

	if (result == 0) {
		in->ended = true;
		return 0;
	}
	if (result < 0) {
		in->ended =
		        result != FDTAPE_ERR_DAMAGED && result != FDTAPE_ERR_LIMIT && result != FDTAPE_ERR_TRUNCATED;
		return result;
	}
	if (in->item.type == FDTAPE_ITEM_SECTION && fdtape_reader_section(in->reader, &info) == 0) {
		in->begun = true;
		in->clock = info.clock;
		in->clock_told = false;
		/* A later section that was recorded earlier does not wait for its time to come again. */
		wall = in->clock.realtime;
	} else {
		if (in->item.type == FDTAPE_ITEM_CLOCK) {
			in->clock = in->item.clock;
			in->clock_told = true;
		}
		wall = timeline_wall(&in->clock, time_of(&in->item));
	}
	if (wall > in->wall)
		in->wall = wall;
	in->ready = true;
	return 1;
}

/* Are the two of one run of one machine? Then their monotonic times can be compared. */
static bool same_clock(const struct fdtape_clock *a, const struct fdtape_clock *b)
{
	enum {
		SET_BY = 1000000000 /* ns: what the wall clock may be set by meanwhile */
	};
	uint64_t x = a->realtime - a->monotonic, y = b->realtime - b->monotonic;

	return (x > y ? x - y : y - x) < SET_BY;
}

/* The section that an input is about to begin comes behind this item of another. */
static bool is_before(const struct timeline_input *in, const struct fdtape_clock *begin)
{
	return in->ready && in->item.type != FDTAPE_ITEM_SECTION && same_clock(&in->clock, begin) &&
	       (time_of(&in->item) <= begin->monotonic || (in->clock_told && in->clock.monotonic == begin->monotonic));
}

/* The input that comes before that one, which is about to begin a section; or itself. */
static struct timeline_input *before(const struct timeline *timeline, struct timeline_input *beginning)
{
	struct timeline_input *first = beginning;

	for (size_t i = 0; i < timeline->n; i++) {
		struct timeline_input *in = &timeline->inputs[i];

		if (is_before(in, &beginning->clock) && (first == beginning || in->wall < first->wall))
			first = in;
	}
	return first;
}

/* A long chain needs no more memory than a short one. The one that was played last may be asked about until another is. */
static void free_ended(struct timeline *timeline, const struct timeline_input *now)
{
	for (size_t i = 0; i < timeline->n; i++) {
		struct timeline_input *in = &timeline->inputs[i];

		if (in->ended && in != now && in->reader) {
			fdtape_reader_free(in->reader);
			in->reader = NULL;
		}
	}
}

int timeline_next(struct timeline *timeline, size_t *input)
{
	struct timeline_input *first = NULL;
	int result;

	for (size_t i = 0; i < timeline->n; i++) {
		struct timeline_input *in = &timeline->inputs[i];

		if (!in->ready && !in->ended) {
			result = fetch(in);
			if (result < 0) {
				*input = i;
				return result;
			}
		}
		if (in->ready && (!first || in->wall < first->wall))
			first = in;
	}
	if (!first)
		return 0;
	if (first->item.type == FDTAPE_ITEM_SECTION)
		first = before(timeline, first);
	*input = (size_t)(first - timeline->inputs);
	first->ready = false;
	free_ended(timeline, first);
	return 1;
}

void timeline_release(struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->n; i++)
		fdtape_reader_free(timeline->inputs[i].reader);
	free(timeline->inputs);
	*timeline = (struct timeline){0};
}
