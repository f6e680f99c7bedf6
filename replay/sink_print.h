/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SINK_PRINT_H
#define SINK_PRINT_H

/*
 * Prints what is played, one line a step, for people.
 */
#include <stdio.h>

#include "replay/player.h"

struct sink_print {
	void (*warn)(const char *message); /* of damage; NULL: not wanted */
	FILE *out;
	double speed;      /* 0: as fast as it goes; 1: at the recorded pace */
	bool begun;        /* the start of the first section is known */
	uint64_t start;    /* wall time of the first section's clock */
	uint64_t now;      /* of the last call */
	uint64_t played;   /* with speed: wall time of the first call that was waited for */
	uint64_t clock_at; /* and when that was, by this host's monotonic clock */
};

void sink_print_init(struct sink_print *print, FILE *out, double speed, struct player_sink *sink);

#endif
