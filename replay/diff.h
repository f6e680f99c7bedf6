/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIFF_H
#define DIFF_H

/*
 * Tells how two texts differ, in the unified form of diff(1).
 */
#include <stddef.h>
#include <stdio.h>

struct diff_text {
	const char *name;
	const char *bytes;
	size_t len;
};

/* Prints nothing and returns 0 when they are the same; 1: they differ; -1: no memory. */
int diff_print(FILE *out, const struct diff_text *old, const struct diff_text *new);

#endif
