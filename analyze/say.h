/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SAY_H
#define SAY_H

/*
 * Messages of fdtape-analyze, on stderr, after the tool's name. Text from a tape may be among the arguments: what is
 * not safe for a terminal is escaped.
 */
#include "cli.h"

#define TOOL "fdtape-analyze"

/* A note: nothing is said after --quiet, see say_quiet(). */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
/* An error: is said whatever was asked for. */
__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);
__attribute__((format(printf, 2, 3), noreturn)) void say_and_exit(enum cli_exit status, const char *format, ...);

/* From here on say() is silent. */
void say_quiet(void);

#endif
