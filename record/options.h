/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record/selection.h"

enum tls_mode {
	TLS_OFF = 0,
	TLS_KEYS = 1, /* bits */
	TLS_CALLS = 2,
	TLS_AUTO = TLS_KEYS | TLS_CALLS,
};

/* What --trace can name. */
enum module {
	MODULE_SOCKET = 1, /* bits */
	MODULE_OPENSSL = 2,
	MODULE_TLS = 4,
	MODULE_FILE = 8,
	MODULE_PROCESS = 16,
};

#define OPTIONS_LIBRARIES 16

struct options_library {
	const char *path;
	const char *symbols; /* NULL: it has its own */
};

struct options {
	const char *output; /* NULL: a name made of the time */
	struct choice choice;
	int modules;    /* enum module; 0: none was named */
	int tls;        /* enum tls_mode */
	bool tls_asked; /* by --tls, with another mode than auto: then a recording without it is a failure */
	struct options_library library[OPTIONS_LIBRARIES];
	size_t n_libraries;
	bool files, files_payload;
	bool lean;
	uint64_t snaplen; /* UINT64_MAX: whole payloads */
	size_t ring;
	uint64_t duration; /* ns; 0: until told to stop */
	uint64_t max_size; /* 0: without a bound */
	uint64_t rotate;   /* bytes of each tape; 0: one tape */
	uint64_t keep;     /* tapes; 0: all */
	uint64_t last;     /* ns that are held in memory; 0: everything goes to the tape */
	bool check;
	int verbosity;  /* -1: quiet, 0, 1 */
	char **command; /* NULL-terminated; NULL: none */
};

/* Reads the command line; wrong usage ends the program with status 2, --help and --version with 0. */
void options_parse(struct options *options, int argc, char **argv);
/* What hangs on them. */
void options_release(struct options *options);

const char *options_tls_name(int mode);

/* What was chosen, in the words of --trace: "command,exe.glob:*nginx*,uid:33". */
void options_choice(const struct options *options, char *words, size_t size);

static inline bool options_to_stdout(const struct options *options)
{
	return options->output && options->output[0] == '-' && !options->output[1];
}

#endif
