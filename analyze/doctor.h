/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DOCTOR_H
#define DOCTOR_H

/*
 * What looks wrong on a tape: gathered in one pass (doctor.c and the doctor_*.c of each group of findings), then shown
 * in sentences or as JSON (view_doctor.c). A finding is told only with what was seen, where and when.
 *
 * Memory is bounded by the live flows: findings beyond DOCTOR_FINDINGS are counted, and tables of DOCTOR_ENTRIES take
 * those that came first.
 */
#include "analyze/analyze.h"
#include "map.h"

enum {
	DOCTOR_FINDINGS = 1000,
	DOCTOR_ENTRIES = 512,
	DOCTOR_WHO_WIDTH = 32,
};

enum doctor_severity {
	DOCTOR_ERROR,
	DOCTOR_WARNING,
	DOCTOR_NOTE,
	N_DOCTOR_SEVERITIES
};

enum doctor_kind {
	/* doctor_calls.c */
	DOCTOR_CONNECT_REFUSED,
	DOCTOR_CONNECT_TIMEOUT,
	DOCTOR_CONNECT_UNREACHABLE,
	DOCTOR_RETRY_STORM,
	DOCTOR_CONNECTION_RESET,
	DOCTOR_CONNECTION_TIMEOUT,
	DOCTOR_WRITE_AFTER_CLOSE,
	DOCTOR_WRITE_AFTER_SHUTDOWN,
	DOCTOR_ADDRESS_IN_USE,
	DOCTOR_FDS_EXHAUSTED,
	DOCTOR_FD_LEAK,
	DOCTOR_TINY_WRITES,
	/* doctor_fds.c */
	DOCTOR_BAD_FD,
	DOCTOR_REUSED_FD,
	/* doctor_http.c */
	DOCTOR_HEAD_OF_LINE,
	DOCTOR_RESPONSE_MISSING,
	DOCTOR_RESPONSE_CUT,
	DOCTOR_HALF_CLOSED_EARLY,
	DOCTOR_REQUEST_PENDING,
	DOCTOR_STREAM_RESET,
	DOCTOR_SERVER_ERROR,
	DOCTOR_SLOW_PEER,
	DOCTOR_SLOW_PROGRAM,
	/* doctor_tls.c */
	DOCTOR_TLS_ALERT,
	DOCTOR_TLS_HANDSHAKE,
	DOCTOR_TLS_OLD_VERSION,
	DOCTOR_TLS_TO_CLEAR,
	DOCTOR_CLEAR_TO_TLS,
	/* doctor_certificate.c */
	DOCTOR_CERTIFICATE_EXPIRED,
	DOCTOR_CERTIFICATE_NOT_YET_VALID,
	DOCTOR_CERTIFICATE_NAME,
	DOCTOR_CERTIFICATE_SELF_SIGNED,
	DOCTOR_CERTIFICATE_WEAK,
	/* doctor.c */
	DOCTOR_LOSS,
	N_DOCTOR_KINDS
};

/* Whom a finding is about; a copy, as the flow is gone when it is shown. */
struct doctor_subject {
	uint64_t flow; /* 0: none */
	uint32_t pid;  /* 0: none */
	int32_t fd;    /* -1: none */
	char *exe;     /* as on the tape */
	char *who;     /* "curl[4242]", safe for a terminal */
};

struct doctor_finding {
	enum doctor_kind kind;
	struct doctor_subject subject;
	uint64_t time;      /* wall */
	char *evidence;     /* safe for a terminal */
	const char *advice; /* a sentence */
	size_t number;      /* in which it was found */
};

struct doctor_refusal;
struct doctor_process;
struct doctor_port;
struct doctor_certificate;

struct doctor {
	struct play play;
	struct doctor_finding *findings; /* by time when doctor_gather() returned */
	size_t n, room;
	uint64_t more[N_DOCTOR_KINDS]; /* findings beyond the limit */
	uint64_t last;                 /* wall time of the last call's end */
	struct map sockets;            /* live flows' records by inode */
	struct map numbers;            /* of fds: struct doctor_number by process and fd */
	/* Of the groups. */
	struct doctor_refusal *refusals;
	struct doctor_process *processes;
	struct doctor_port *ports;
	struct doctor_certificate *certificates;
	size_t n_refusals, n_processes, n_ports, n_certificates;
	uint64_t unjudged; /* exchanges that look incomplete where bytes are missing */
};

/* For a view that plays the tapes for itself and wants the findings beside its own: the callbacks that it has to pass on,
 * whose context is a zeroed doctor and which take player_flow.user; then, with what was lost, the end. */
extern const struct player_sink doctor_sink;
void doctor_finish(struct doctor *doctor, const struct play_losses *losses);
/* Findings by severity, those beyond the limit as well. */
void doctor_count(const struct doctor *doctor, uint64_t by[static N_DOCTOR_SEVERITIES]);

/* Plays the tapes. Returns play()'s status, and CLI_DIFFERS where that is CLI_DONE and something was found. */
int doctor_gather(struct doctor *doctor, struct options *options);
void doctor_release(struct doctor *doctor);

/* Stable words: "connect-refused"; "error". */
const char *doctor_kind_word(enum doctor_kind kind);
enum doctor_severity doctor_kind_severity(enum doctor_kind kind);
const char *doctor_severity_word(enum doctor_severity severity);

#endif
