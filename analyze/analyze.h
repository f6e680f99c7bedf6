/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ANALYZE_H
#define ANALYZE_H

/*
 * One verb, one file: each view_*.c and export_*.c has one function below, which plays the tapes into a sink of its
 * own and returns the exit status. analyze.c parses, dispatches and stops.
 */
#include <stdbool.h>
#include <stdio.h>

#include "replay/choose.h"
#include "replay/inputs.h"
#include "replay/player.h"

enum stats_by { /* what a table of stats is by */
	STATS_BY_PROCESS,
	STATS_BY_CALL,
	STATS_BY_PEER,
	STATS_BY_PATH,
	N_STATS_BYS
};

/* What the command line asked for. */
struct options {
	struct inputs inputs;
	struct player_choice choice;
	FILE *out;        /* stdout, or the file of --output */
	const char *name; /* of it, for messages */
	bool json;
	bool verbose;
	bool dirs[2];           /* stream: by enum fdtape_dir */
	bool wire;              /* stream, pcapng: what the fd carried */
	bool raw;               /* stream: the exact bytes */
	bool repair;            /* verify: write a sound tape */
	bool tree;              /* http: each request below the one that it was made for */
	bool log_qtap;          /* log: lines as qtap writes them */
	enum stats_by stats_by; /* stats: N_STATS_BYS when none was named */
	bool terminal;          /* out is one */
	int error;              /* errno of the first write that failed, when it was noticed on the way */
};

int view_info(struct options *options);
int view_summary(struct options *options);
int view_flows(struct options *options);
int view_log(struct options *options);
int view_http(struct options *options);
int view_tree(struct options *options);
int view_ws(struct options *options);
int view_sql(struct options *options);
int view_dns(struct options *options);
int view_stats(struct options *options);
int view_stream(struct options *options);
int view_audit(struct options *options);
int view_doctor(struct options *options);
int view_verify(struct options *options);
int verify_repair(struct options *options);
int export_pcapng(struct options *options);
int export_keylog(struct options *options);

/* ---- playing (play.c) ------------------------------------------------------------------------------------------- */

enum {
	PLAY_REASONS = 16
}; /* of enum fdtape_loss_reason; those that this build does not know are counted under 0 */

/* What the recorder could not take, by reason. */
struct play_losses {
	struct play_loss {
		uint64_t count, bytes;
		uint64_t from, to; /* wall times; 0: none */
	} by[PLAY_REASONS];
	uint64_t count, bytes; /* of all */
};

/* What every view wants to know of a play. A view's context begins with it: struct mine { struct play play; ... }. */
struct play {
	struct options *options;
	struct player *player;
	struct play_losses losses;
	const struct player_sink *sink; /* the view's */
	bool *found;                    /* by index in choice.flows: that flow was met */
	uint64_t damaged;               /* places where a tape is damaged, when the play is over */
	bool again;                     /* set before a second play(): what was said on stderr is not said again */
	bool failed;                    /* an input could not be read at all: there is nothing to show */
};

/* What a sink's callback returns to end the play early, without an error. */
#define PLAY_STOP 1

/*
 * Plays the tapes into the sink, whose context is `play`, whose damage member is play's, and whose item member is when
 * it is NULL (a view that sets it calls play_item() itself). Says on stderr what was damaged. Returns CLI_DONE,
 * CLI_DIFFERS (a flow that was named does not exist), CLI_DAMAGED or CLI_REFUSED.
 */
int play(struct play *play, struct options *options, const struct player_sink *sink);
int play_item(void *context, const struct fdtape_item *item);
/* The closing note about loss and damage, if there is reason for one. Called once, after the view's output. */
void play_note(const struct play *play);

#endif
