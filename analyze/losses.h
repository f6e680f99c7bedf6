/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LOSSES_H
#define LOSSES_H

/*
 * What is missing and why, as summary and info show it.
 */
#include "analyze/analyze.h"
#include "analyze/json.h"

/* [{reason, count, bytes, from, to}], one for each reason that is on the tape. */
struct json *losses_array(const struct play_losses *losses);
/* "lost      0 events", or one line a reason. */
void losses_put(FILE *out, const struct play_losses *losses);

#endif
