/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SPEC_H
#define SPEC_H

#include "record/options.h"

/*
 * The words by which a recording is chosen, whether they come as options (-e, --uid) or within --trace. Each function
 * ends the program with status 2 when a word can't be understood; `spelt` is the option that it stood in.
 */

/* -e: a substring of the executable's path, or a pattern if it holds one of *?[ */
void spec_exe(struct options *options, const char *spelt, const char *pattern);

/* Anything else that chooses, by its key in --trace: "comm", "pid", "uid", "cgroup", "container", "port". */
void spec_add(struct options *options, const char *spelt, const char *key, const char *value);

/* --trace mod:socket,mod:openssl,exe.contains:nginx */
void spec_parse(struct options *options, const char *spelt, const char *spec);

#endif
