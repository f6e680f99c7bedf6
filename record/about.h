/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ABOUT_H
#define ABOUT_H

#include <stddef.h>
#include <sys/utsname.h>

#include <fdtape/types.h>

#include "record/options.h"

#define ABOUT_MAX 16

/* The properties of a recording's tapes. They point into this struct, which is not to be moved. */
struct about {
	struct utsname host;
	char cmdline[4096];
	char choice[2048];
	struct fdtape_meta meta[ABOUT_MAX];
	size_t n;
};

void about_fill(struct about *about, const struct options *options, char *const *argv);

/* The value must outlive the struct. */
void about_add(struct about *about, const char *key, const char *value);

#endif
