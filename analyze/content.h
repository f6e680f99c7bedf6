/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CONTENT_H
#define CONTENT_H

/*
 * What a body says behind its content codings, for JSON and for people.
 */
#include "analyze/json.h"
#include "replay/proto/http.h"

/* {encoding bytes sha256 complete error}; null: the body is not encoded, or has no byte. */
struct json *content_object(const struct http_message *message);
/* "gzip, 12.3 KiB", and what went wrong. Safe for a terminal, belongs to the caller; NULL as above. */
char *content_text(const struct http_message *message);

#endif
