/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STATS_H
#define STATS_H

/*
 * Counts and latencies by process, call, peer and path: gathered in one pass (stats.c), then shown as tables
 * (view_stats.c) or as JSON (stats_json.c). Memory is bounded: groups beyond STATS_GROUPS are counted together.
 */
#include "analyze/analyze.h"
#include "analyze/histogram.h"

enum {
	STATS_GROUPS = 512,  /* of a table; whatever comes later is one more, "others" */
	STATS_KEY_MAX = 256, /* bytes of a key; longer ones that begin alike are one group */
};

struct stats_group {
	char *key;             /* escaped */
	uint32_t tag;          /* process: its pid; path: the role (enum fdtape_role) */
	bool comm;             /* process: its executable is not known, the key is the kernel's name for it */
	uint64_t count;        /* calls, requests */
	uint64_t failed;       /* calls with an error; requests with a status of 400 and over, or without an answer */
	uint64_t unanswered;   /* requests: of them without an answer */
	uint64_t bytes[2];     /* by enum fdtape_dir: of calls what they carried, of requests the bodies */
	struct histogram time; /* of calls from entry to return, of complete requests from first to last byte; ns */
};

enum stats_what {
	STATS_CALLS,
	STATS_REQUESTS,
	N_STATS_WHATS
};

struct stats_table {
	bool wanted;
	struct stats_group *groups; /* sorted by key and tag; stats_sort() changes that */
	size_t n, room;
	struct stats_group others;
};

struct stats {
	struct play play;
	struct stats_group total[N_STATS_WHATS];
	struct stats_table tables[N_STATS_WHATS][N_STATS_BYS]; /* enum stats_by */
	uint64_t from, to; /* wall times: the first call's begin, the last one's end */
};

/* Plays the tapes; which tables, says options->stats_by, or by default those of the page. Returns play()'s status. */
int stats_gather(struct stats *stats, struct options *options);
void stats_release(struct stats *stats);

/* Those with the greatest count first. */
void stats_sort(struct stats_table *table);
/* In 1000 seconds of the time from the first call to the last, rounded down. */
uint64_t stats_per_1000_s(const struct stats *stats, uint64_t count);
const char *stats_what_word(enum stats_what what); /* "calls", "requests" */
const char *stats_by_word(enum stats_by by);       /* "process", "call", "peer", "path" */

/* One line for all, one for each group. */
void stats_put_json(struct stats *stats);

#endif
