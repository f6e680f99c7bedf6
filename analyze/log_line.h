/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOG_LINE_H
#define LOG_LINE_H

/*
 * A call that waits to be logged (see view_log.c), and what is known of its fd then; shared by the forms of the log.
 */
#include <stdio.h>

#include "analyze/words.h"

enum {
	LOG_PROCESS_WIDTH = 18
};

struct log_line {
	struct fdtape_event event; /* without its data; its peer is the line's */
	struct fdtape_address peer;
	uint64_t wall, number;
	const struct player_flow *flow; /* NULL: none. Of a library call, the socket's when it is known */
	int32_t fd;
	char *exe; /* full path; NULL: no line waits */
	char process[WORDS_PROCESS_MAX];
};

/* What is known of the fd's encryption at this point of time. */
enum log_ssl {
	LOG_SSL_NONE,    /* the call carries no bytes of a flow */
	LOG_SSL_UNKNOWN, /* no bytes yet to judge by */
	LOG_SSL_YES,
	LOG_SSL_NOT,
	LOG_SSL_PLAIN,   /* a library call's plaintext */
	LOG_SSL_NO_CONN, /* no connection: a file, a pipe, or an fd that is not known */
};

enum log_ssl log_ssl_of(const struct log_line *line);

/* The lines that qtap's log has for the call: none, one, or three (log_qtap.c). */
void log_qtap_put(FILE *out, const struct log_line *line);
/* What the last of them says: "process_data (not ssl)"; NULL when the call carries no bytes of a flow. */
const char *log_qtap_process_data(const struct log_line *line);
/* Whether the event is a further part of the call that waits; then the line has its bytes as well. */
bool log_qtap_adds(struct log_line *line, const struct fdtape_event *event);

#endif
