/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CHOOSING_H
#define CHOOSING_H

#include <stddef.h>

#include "record/command.h"
#include "record/options.h"
#include "record/probes.h"
#include "record/translate.h"

/* Tells the probes of the processes that run already. */
struct choosing {
	const struct options *options;
	const struct command *command; /* held; if there is one */
	struct probes *probes;
	struct translate *translate;
	size_t n; /* processes that were found to be what was asked for */
};

/* 0, or -1 when it was said what went wrong. */
int choosing_run(struct choosing *choosing);

#endif
