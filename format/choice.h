/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_CHOICE_H
#define FORMAT_CHOICE_H

/* What is wanted of a tape: see fdtape_reader_choose(). */
#include <fdtape/reader.h>

#include "format/flowlist.h"

struct choice {
	bool made;
	uint64_t *flows; /* rising; NULL: all */
	size_t n_flows;
	uint64_t from;
	uint64_t to;
};

/* 0, FDTAPE_ERR_USAGE, FDTAPE_ERR_MEMORY. */
int choice_make(struct choice *c, const struct fdtape_choice *from);
void choice_release(struct choice *c);

bool choice_has_flow(const struct choice *c, uint64_t flow);
/* Whether a list of flows has one that is chosen. */
bool choice_meets(const struct choice *c, struct span list);

static inline bool choice_overlaps(const struct choice *c, uint64_t ts_min, uint64_t ts_max)
{
	return !c->made || (ts_min <= c->to && ts_max >= c->from);
}

bool choice_has_time(const struct choice *c, const struct fdtape_event *e);

#endif
