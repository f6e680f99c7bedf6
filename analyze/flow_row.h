/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FLOW_ROW_H
#define FLOW_ROW_H

/*
 * A flow as a row of a table.
 */
#include "analyze/first_bytes.h"
#include "analyze/table.h"
#include "replay/player.h"

enum {
	FLOW_ROW_COLUMNS = 10
};

extern const struct table_column flow_row_columns[FLOW_ROW_COLUMNS];

/* With `verbose`, the lines below it tell what is known beyond the columns; `first`: of a protocol that is not known,
 * NULL: it is, or nobody asked. */
struct table_row *flow_row(const struct player_flow *flow, bool verbose, const struct first_bytes *first);
/* Bytes that were carried and are not on the tape. */
uint64_t flow_lost(const struct player_flow *flow, enum fdtape_dir dir);
/* A library's object whose calls belong to a socket flow: that one shows all that is known. */
bool flow_is_part(const struct player_flow *flow);
/* It carried nothing and had no other end that has a name: it listens, or was never connected. */
bool flow_is_idle(const struct player_flow *flow);

#endif
