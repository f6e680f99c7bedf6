/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef INPUTS_H
#define INPUTS_H

/*
 * The TAPE arguments of a command line, opened for the player.
 */
#include "replay/player.h"

struct inputs {
	struct player_input *list; /* for player_open() */
	size_t n;
	int *fds; /* one for each of the list */
	char message[512];
};

/* Opens the files; "-" is standard input, once. 0; FDTAPE_ERR_SYSTEM: one of them can't be opened; FDTAPE_ERR_USAGE:
 * there is none, or "-" was given twice. inputs->message then says it in words. inputs_release() is fine after either.
 * The names must outlive the inputs. */
int inputs_open(struct inputs *inputs, const char *const *names, size_t n);
void inputs_release(struct inputs *inputs);

/* Whether a file is one of the inputs, and must not be written. Where that can't be found out it is taken to be. */
bool inputs_hold(const struct inputs *inputs, const char *path);

#endif
