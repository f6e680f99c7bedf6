/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TIMELINE_H
#define TIMELINE_H

/*
 * Several tapes as one sequence of items, by wall time. See timeline.c.
 */
#include <stdbool.h>

#include "replay/player.h"

struct timeline_input {
	struct fdtape_reader *reader; /* NULL: it has ended, and another is played */
	const char *name;
	struct fdtape_item item; /* the next one, when `ready` */
	bool ready, ended;
	bool begun;                /* a section was read */
	struct fdtape_clock clock; /* its latest */
	bool clock_told;           /* by a CLOCK item, not by the section's head */
	uint64_t wall;             /* of the item: the latest wall time met in this input */
};

struct timeline {
	struct timeline_input *inputs;
	size_t n;
};

/* Wall time of a monotonic time by this reading of the clocks. */
uint64_t timeline_wall(const struct fdtape_clock *clock, uint64_t monotonic);

int timeline_open(struct timeline *timeline, const struct player_input *inputs, size_t n);
/* The input whose item comes next, in *input. 1; 0: the end; negative: *input could not be read on: its reader has the
 * message. After FDTAPE_ERR_DAMAGED, LIMIT and TRUNCATED, go on; every other error ends that input. */
int timeline_next(struct timeline *timeline, size_t *input);
void timeline_release(struct timeline *timeline);

#endif
