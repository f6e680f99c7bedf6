/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HTTP_ROW_H
#define HTTP_ROW_H

/*
 * A request with its response as a row of a table.
 */
#include "analyze/table.h"
#include "replay/player.h"

enum {
	HTTP_ROW_COLUMNS = 8,
	HTTP_ROW_WIDE_COLUMNS = 10,
};

extern const struct table_column http_row_columns[HTTP_ROW_COLUMNS];
/* With the request's body and the time to the first byte: more than a page is wide. Below a row: what encoded bodies say. */
extern const struct table_column http_row_wide_columns[HTTP_ROW_WIDE_COLUMNS];

struct table_row *http_row(const struct player_flow *flow, const struct http_exchange *exchange, bool wide);
/* "GET host/path". Safe for a terminal; belongs to the caller. */
char *http_target_text(const struct http_exchange *exchange);
/* The same behind what was special: "(incomplete) GET host/path". */
char *http_request_text(const struct http_exchange *exchange);

#endif
