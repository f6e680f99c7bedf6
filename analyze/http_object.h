/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HTTP_OBJECT_H
#define HTTP_OBJECT_H

/*
 * A request with its response as an object of JSON.
 */
#include "analyze/json.h"
#include "replay/player.h"

struct json *http_object(const struct player_flow *flow, const struct http_exchange *exchange);

#endif
