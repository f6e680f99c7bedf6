/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MESSAGE_ROW_H
#define MESSAGE_ROW_H

/*
 * What the rows and objects of all messages (http, ws, sql, dns) begin with: when, on which flow, whose.
 */
#include "analyze/json.h"
#include "analyze/table.h"
#include "replay/player.h"

/* TIME (UTC), FLOW, PROCESS, ROLE (enum fdtape_role: the flow's, or what the message tells). `wall` 0: not known. */
void message_row_begin(struct table_row *row, const struct player_flow *flow, uint32_t role, uint64_t wall);
/* A cell with the time between the two; "-" when one is not known. */
void message_row_span(struct table_row *row, uint64_t from, uint64_t to);
/* flow pid exe fd role tls */
json_t *message_object(const struct player_flow *flow, uint32_t role);

#endif
