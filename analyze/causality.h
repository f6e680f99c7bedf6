/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CAUSALITY_H
#define CAUSALITY_H

/*
 * Which request was made because of which. Pure logic: exchanges in, parents out. See causality.c for how it decides.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/player.h"

#define CAUSALITY_NONE SIZE_MAX

/* What a program hands on from the request that it serves to those that it makes. */
enum causality_id {
	CAUSALITY_TRACEPARENT, /* W3C Trace Context, the whole value: handed on as it is, by a proxy */
	CAUSALITY_TRACE_ID,    /* its trace-id alone; each program puts a parent-id of its own behind it */
	CAUSALITY_B3,
	CAUSALITY_B3_TRACE_ID,
	CAUSALITY_AMZN_TRACE_ID,
	CAUSALITY_UBER_TRACE_ID,
	CAUSALITY_X_REQUEST_ID,
	CAUSALITY_REQUEST_ID,
	CAUSALITY_X_CORRELATION_ID,
	CAUSALITY_CORRELATION_ID,
	CAUSALITY_X_TRACE_ID,
	N_CAUSALITY_IDS
};

enum causality_evidence {
	CAUSALITY_UNKNOWN,    /* without a parent: nothing tells of one, or several are possible */
	CAUSALITY_BY_ID,      /* both carry the same id */
	CAUSALITY_BY_ONLY,    /* it happened within the only request that the process had to serve then */
	CAUSALITY_BY_THREAD,  /* of several, within the only one of its thread, in a process of one request a thread */
	CAUSALITY_CONNECTION, /* a server's: the client's end of the same connection, with the same bytes */
};

struct causality_exchange {
	uint32_t host; /* index of where it was recorded; times of different hosts are not comparable */
	uint32_t pid;
	uint32_t role; /* enum fdtape_role */
	/* Of the first and of the last call that carried it; 0: not known. */
	uint32_t tid[2];
	/* Wall times that hold whatever the calls took: when the first call of the request began that sent it, or ended
	 * that received it; when the last one of the response ended that received it, or began that sent it. first 0:
	 * not known; last UINT64_MAX: not known. */
	uint64_t first, last;
	/* Hashes; 0: not known. */
	uint64_t connection; /* its two addresses, the client's first */
	uint64_t request;    /* all that both ends see alike: method, target, headers, stream */
	uint64_t request_body;
	uint64_t response; /* status and headers */
	uint64_t response_body;
	uint64_t ids[N_CAUSALITY_IDS];

	/* What causality_join() finds. */
	size_t parent; /* index, or CAUSALITY_NONE */
	enum causality_evidence evidence;
	enum causality_id id; /* BY_ID: which */
	/* A client's without a parent: how many requests it may belong to. 0: none was being served. */
	size_t candidates;
	size_t other_end; /* of the connection: index, or CAUSALITY_NONE */
};

/* No bound. Its negative is a number as well, and so is the sum of two halves. */
#define CAUSALITY_FAR (INT64_C(1) << 62)

/* How far the clock of host b is ahead of host a's, in ns, by the connections between them: at least low, at most
 * high. low > high: the connections contradict each other, for a clock was set or drifts. */
struct causality_offset {
	uint32_t a, b; /* a < b */
	int64_t low, high;
	uint64_t pairs;
};

/* The most pairs of hosts that are told apart; further ones have no offset. */
enum {
	CAUSALITY_OFFSETS = 64
};

struct causality_offsets {
	struct causality_offset of[CAUSALITY_OFFSETS];
	size_t n;
};

/* Finds the parents of all; the offsets gain what these exchanges tell. Parents make no circle. */
void causality_join(struct causality_exchange *exchanges, size_t n, struct causality_offsets *offsets);
int64_t causality_offset_middle(const struct causality_offset *offset);

/* What is known of an exchange but host and times. */
void causality_describe(struct causality_exchange *exchange, const struct player_flow *flow,
                        const struct http_exchange *http);

const char *causality_id_word(enum causality_id id);                   /* "x-request-id" */
const char *causality_evidence_word(enum causality_evidence evidence); /* "only"; NULL for UNKNOWN */

#endif
