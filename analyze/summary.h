/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SUMMARY_H
#define SUMMARY_H

/*
 * What the summary is made of: gathered in one pass (summary.c), then shown as a page (view_summary.c) or as JSON
 * (summary_json.c). Memory is bounded by the number of processes and of live flows.
 */
#include "analyze/analyze.h"
#include "analyze/doctor.h"
#include "analyze/first_bytes.h"
#include "analyze/json.h"
#include "analyze/table.h"
#include "analyze/top.h"

enum {
	SUMMARY_LARGEST = 8,
	SUMMARY_SLOWEST = 5,
	SUMMARY_UNKNOWN = 5,
	SUMMARY_ERRORS = 64, /* kinds; others are counted together */
};

struct summary_process {
	uint32_t pid;
	char *exe, *comm, *cmdline;
	uint64_t flows; /* that carried something */
	uint64_t bytes[2];
	uint64_t requests;
};

/* One kind of failure: a call with an errno, or an HTTP status. */
struct summary_error {
	uint32_t call; /* 0: HTTP */
	int64_t code;  /* errno, or status */
	uint64_t count;
	uint64_t first; /* wall time of the first */
	char *example;  /* of it: who, where to. Safe text */
};

/* What can't be seen, or not trusted. */
enum summary_blind_kind {
	BLIND_SEALED,    /* TLS, and nothing decrypts it */
	BLIND_PARTLY,    /* TLS, decrypted but for some records */
	BLIND_UNBOUND,   /* plaintext from library calls, and the connection that they belong to is not known */
	BLIND_CONFLICT,  /* wire and library calls differ */
	BLIND_LOST,      /* bytes of it are not on the tape */
	BLIND_PREOPENED, /* its beginning was before the recording */
	BLIND_PENDING,   /* calls in flight when recording stopped (flows: of the first) */
	N_BLINDS,
};

struct summary_blind {
	uint64_t count;
	uint64_t bytes;
	uint64_t flow; /* the first, 0: none */
};

struct summary {
	struct play play;
	uint64_t sections;
	uint64_t first, last; /* wall times */
	uint64_t calls;
	struct summary_process *processes; /* by pid, then by exe */
	size_t n_processes, room;
	uint64_t flows, idle;             /* all; of them without bytes and without another end */
	uint64_t by_verdict[4], readable; /* readable: TLS with plaintext */
	uint64_t bytes[2], lost[2];
	struct top largest; /* flows by bytes: rows, or JSON */
	uint64_t requests, by_class[6], unanswered, incomplete;
	struct top slowest; /* requests by duration */
	struct summary_error errors[SUMMARY_ERRORS];
	size_t n_errors;
	uint64_t other_errors;
	struct summary_blind blinds[N_BLINDS];
	struct map beginnings;  /* struct first_bytes by live flow */
	struct top unknown;     /* flows of no known protocol by bytes: rows, or JSON */
	uint64_t unknown_flows; /* all of them */
	struct doctor doctor;   /* what it finds in the same pass */
};

/* Columns of the rows of `unknown`. */
enum {
	SUMMARY_UNKNOWN_COLUMNS = 6
};
extern const struct table_column summary_unknown_columns[SUMMARY_UNKNOWN_COLUMNS];

int summary_gather(struct summary *summary, struct options *options);
void summary_release(struct summary *summary);

/* A word for JSON, and a phrase for the page. */
const char *summary_blind_word(enum summary_blind_kind kind);
const char *summary_blind_text(enum summary_blind_kind kind);
/* "syscall/connect ECONNREFUSED", "HTTP 404". */
const char *summary_error_text(char out[static 96], const struct summary_error *error);

struct json *summary_object(const struct summary *summary);
/* What the lists of flows and requests hold with --json. */
struct json *summary_flow_object(const struct player_flow *flow);
struct json *summary_unknown_object(const struct player_flow *flow, const struct first_bytes *first);
struct json *summary_request_object(const struct player_flow *flow, const struct http_exchange *exchange);

#endif
