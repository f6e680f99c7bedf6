/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HTTP2_H
#define HTTP2_H

/*
 * HTTP/2 connections that began as HTTP/1 ones (RFC 7540, 3.2). See http2.c.
 */
#include "replay/proto/http.h"

struct proto_flow;
struct proto_sink;

/* Both sides speak HTTP/2 from here on. The request, which that direction carried, was asked in HTTP/1 and is stream 1;
 * what is needed of it is copied. NULL without memory. */
void *http2_open_upgraded(const struct proto_flow *flow, const struct proto_sink *sink, int client,
                          const struct http_exchange *request);

#endif
