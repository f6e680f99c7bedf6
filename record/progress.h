/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/translate.h"

/* One line on a terminal, rewritten now and then, that says how the recording goes. All zero: nothing is shown. */
struct progress {
	bool on;
	uint64_t started, shown; /* ns */
	uint64_t events;         /* when it was shown */
	size_t width;            /* of the line that stands there */
};

/* Shows nothing where standard error is no terminal. */
void progress_start(struct progress *progress, uint64_t now);

bool progress_due(const struct progress *progress, uint64_t now);
void progress_show(struct progress *progress, uint64_t now, const struct translate_totals *totals, uint64_t tape_size);

/* Takes the line away, before anything else is said. */
void progress_clear(struct progress *progress);

/* What a recording comes to, on one line of standard error: carried = captured + lost, to the byte, and why. `ended`
 * says what ended it, "" if that goes without saying. */
struct closing {
	struct translate_totals totals;
	uint64_t tape_size;
	unsigned tapes;
	double seconds;
	const char *ended;
};
void closing_line(const struct closing *closing);

#endif
