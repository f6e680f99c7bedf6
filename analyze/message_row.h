/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MESSAGE_ROW_H
#define MESSAGE_ROW_H

/*
 * What the rows and objects of all messages (http, ws, sql, dns) begin with: when, on which flow, whose.
 */
#include "analyze/json.h"
#include "analyze/table.h"
#include "replay/player.h"

/* The flow's role (enum fdtape_role); where it is not known, that of who asks (dir 1), or is asked (0). */
uint32_t message_role(const struct player_flow *flow, int dir);
/* TIME (UTC), FLOW, PROCESS, ROLE (enum fdtape_role). `wall` 0: not known. */
void message_row_begin(struct table_row *row, const struct player_flow *flow, uint32_t role, uint64_t wall);
/* A cell with the time between the two; "-" when one is not known. */
void message_row_span(struct table_row *row, uint64_t from, uint64_t to);
/* flow pid exe fd role tls */
struct json *message_object(const struct player_flow *flow, uint32_t role);

#endif
