/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CHOOSE_H
#define CHOOSE_H

/*
 * Which part of the tapes is meant: the options that fdtape-analyze and fdtape-replay share. A tool puts
 * CHOOSE_OPTIONS into its option table and hands each key to choose_option() that it does not know itself.
 */
#include "cli.h"
#include "replay/player.h"

/* Kept clear of the tools' own keys, which count up from CLI_FIRST_KEY. */
enum choose_key {
	CHOOSE_PID = 0x4000,
	CHOOSE_EXE,
	CHOOSE_FD,
	CHOOSE_FLOW,
	CHOOSE_PORT,
	CHOOSE_SINCE,
	CHOOSE_UNTIL,
	CHOOSE_HEADING,
};

/* Entries for a table of struct cli_option, with a heading of their own. */
#define CHOOSE_OPTIONS                                                                                             \
	{CHOOSE_HEADING, NULL, NULL, "Choosing (one kind given again: any of them; several kinds: all of them):"}, \
	        {CHOOSE_PID, "pid", "PID", "this process"},                                                        \
	        {CHOOSE_EXE, "exe", "PATTERN", "executables whose path holds PATTERN, or matches it as a glob"},   \
	        {CHOOSE_FD, "fd", "FD", "this file descriptor number"},                                            \
	        {CHOOSE_FLOW, "flow", "N", "this flow, by its number"},                                            \
	        {CHOOSE_PORT, "port", "N", "flows with this local or remote port"},                                \
	        {CHOOSE_SINCE, "since", "TIME", "not before: 2026-11-20T08:00:00Z, or +SECONDS from the start"},   \
	{                                                                                                          \
		CHOOSE_UNTIL, "until", "TIME", "not after"                                                         \
	}

struct choose {                      /* all zero: nothing chosen yet */
	struct player_choice choice; /* for player_open(); points into this struct's own memory */
};

/* Takes the option that cli_next() gave: 1; 0: the key is none of CHOOSE_OPTIONS. A bad value ends the program with
 * status 2, saying what was found and what is allowed. */
int choose_option(struct choose *choose, const struct cli *cli, int key);
void choose_release(struct choose *choose);

#endif
