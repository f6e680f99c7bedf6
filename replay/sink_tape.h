/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SINK_TAPE_H
#define SINK_TAPE_H

/*
 * Writes what is played to a new tape: a copy, a cut, a merge. See sink_tape.c.
 */
#include <fdtape/writer.h>

#include "map.h"
#include "replay/player.h"

struct held_secret;

struct sink_tape {
	void (*warn)(const char *message); /* of damage; NULL: not wanted */
	int fd;
	const struct player_choice *choice;
	bool cuts, merges;
	struct fdtape_writer *writer; /* of the section at hand */
	const struct player *player;
	struct fdtape_clock clock; /* merge: of the first section; all times are put in its terms */
	struct map processes;      /* by pid: struct cut_process */
	struct held_secret *secrets, **secrets_end;
	size_t n_secrets;
	struct fdtape_loss loss; /* what the cut left out of the flows that it keeps */
	uint64_t last;           /* time of the last event */
	uint64_t n_events, n_flows;
	int error; /* of the writer */
};

/* The fd stays the caller's. `choice` is the player's; merges: several tapes become one section. */
void sink_tape_init(struct sink_tape *tape, int fd, const struct player_choice *choice, bool merges,
                    struct player_sink *sink);
/* Ends the tape after the play. 0, or a negative fdtape_error. */
int sink_tape_finish(struct sink_tape *tape);
void sink_tape_release(struct sink_tape *tape);

#endif
