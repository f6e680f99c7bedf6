/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SINK_TRANSCRIPT_H
#define SINK_TRANSCRIPT_H

/*
 * The canonical text of what was played: what happened in which order, and nothing that another run of the same
 * programs must change - no times, pids, ports, addresses, paths. For keeping beside a fixture, and for comparing.
 */
#include <stdio.h>

#include "map.h"
#include "replay/player.h"

struct sink_transcript {
	void (*warn)(const char *message); /* of damage; NULL: not wanted */
	FILE *out;
	uint64_t n_flows;     /* in order of appearance */
	uint64_t n_processes; /* by pid, in order of appearance */
	struct map processes; /* by pid: struct transcript_process */
};

void sink_transcript_init(struct sink_transcript *transcript, FILE *out, struct player_sink *sink);
void sink_transcript_release(struct sink_transcript *transcript);

#endif
