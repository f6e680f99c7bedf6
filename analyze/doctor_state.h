/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DOCTOR_STATE_H
#define DOCTOR_STATE_H

/*
 * What the groups of findings share: a live flow's record, and how a finding is added.
 */
#include "analyze/doctor.h"

/* What a direction of a stream begins with. */
struct doctor_head {
	uint8_t bytes[7]; /* as many as an alert with its record has */
	unsigned n;       /* 0: none, or not on the tape */
	uint64_t wall;    /* of the first */
	bool begun;
};

/* A request without a response on a flow that is open. */
struct doctor_waiting {
	struct doctor_waiting *next;
	uint64_t start; /* wall */
	enum fdtape_dir dir;
	uint64_t answered; /* bytes that had been carried the other way */
	char request[];
};

/* player_flow.user of a socket. */
struct doctor_flow {
	uint64_t ended;  /* when the other end's end of data was read; 0: not */
	uint64_t shut;   /* when its own writing end was shut down; 0: not */
	uint64_t waited; /* ns within the calls that read, from the last bytes written to the first read behind them */
	bool got;        /* those came */
	bool shared;  /* other processes or fds have the same socket: what this one did not do, those may have done */
	bool carried; /* any byte */
	bool reset, broke, timed_out;
	bool answered;    /* an exchange came to a good end */
	bool turned_down; /* one was answered with 400 (Bad Request) or 426 (Upgrade Required) */
	struct {
		uint64_t n, bytes, from, last; /* of writes in a row */
	} tiny;
	bool tiny_told;
	uint32_t writer;       /* thread that wrote last; 0: none */
	uint64_t response_end; /* of the HTTP/1 exchange before, wall; 0: none */
	char *request;         /* of that one, as text; NULL: none */
	struct doctor_waiting *waiting;
	unsigned n_waiting;
	struct doctor_head head[2];
};

/* About the flow, or about the process where flow is NULL. The evidence must be safe text. */
__attribute__((format(printf, 6, 7))) struct doctor_finding *doctor_add(struct doctor *d, enum doctor_kind kind,
                                                                        const struct player_flow *flow,
                                                                        const struct player_process *process,
                                                                        uint64_t time, const char *evidence, ...);
/* The same about a subject that was kept. */
__attribute__((format(printf, 5, 6))) struct doctor_finding *doctor_add_about(struct doctor *d, enum doctor_kind kind,
                                                                              const struct doctor_subject *subject,
                                                                              uint64_t time, const char *evidence, ...);
void doctor_subject_set(struct doctor_subject *subject, const struct player_flow *flow,
                        const struct player_process *process);
void doctor_subject_release(struct doctor_subject *subject);

bool doctor_same_address(const struct fdtape_address *a, const struct fdtape_address *b);

/* doctor_calls.c */
void doctor_judge_call(struct doctor *d, const struct player_call *call);
void doctor_judge_fd(struct doctor *d, const struct player_flow *flow);
void doctor_finish_calls(struct doctor *d);
/* doctor_fds.c */
void doctor_bad_fd(struct doctor *d, const struct player_call *call);
void doctor_fd_closed(struct doctor *d, const struct player_call *call);
void doctor_judge_first_write(struct doctor *d, const struct player_call *call);
void doctor_finish_fds(struct doctor *d);
/* doctor_http.c */
void doctor_judge_waiting(struct doctor *d, const struct player_flow *flow);
void doctor_judge_exchange(struct doctor *d, const struct player_flow *flow, const struct http_exchange *exchange);
/* doctor_tls.c */
void doctor_take_head(const struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece);
void doctor_judge_tls(struct doctor *d, const struct player_flow *flow);
void doctor_finish_tls(struct doctor *d);
bool doctor_is_handshake(const struct doctor_head *head); /* as far as one byte tells */
bool doctor_is_tls_data(uint8_t first);
const char *doctor_alert_name(uint8_t description); /* "unknown_ca" */
/* doctor_certificate.c */
void doctor_judge_certificate(struct doctor *d, const struct player_flow *flow);
void doctor_finish_certificates(struct doctor *d);

#endif
