/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum tls_mode {
	TLS_OFF = 0,
	TLS_KEYS = 1, /* bits */
	TLS_CALLS = 2,
	TLS_AUTO = TLS_KEYS | TLS_CALLS,
};

struct options {
	const char *output; /* NULL: a name made of the time */
	pid_t *pids;
	size_t n_pids;
	bool all;
	bool follow;
	int tls; /* enum tls_mode */
	uint64_t snaplen;
	uint64_t duration; /* ns; 0: until told to stop */
	int verbosity;     /* -1: quiet, 0, 1 */
	char **command;    /* NULL-terminated; NULL: none */
};

/* Reads the command line; wrong usage ends the program with status 2, --help and --version with 0. */
void options_parse(struct options *options, int argc, char **argv);
const char *options_tls_name(int mode);

#endif
