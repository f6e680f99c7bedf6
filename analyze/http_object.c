/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/http_object.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/content.h"
#include "analyze/message_row.h"

static struct json *pairs(const struct http_header *headers, size_t n)
{
	struct json *array = js_array();

	for (size_t i = 0; i < n; i++)
		js_add_pair(array, headers[i].name, headers[i].value);
	return array;
}

static struct json *headers_array(const struct http_message *message)
{
	return message->seen ? pairs(message->headers, message->n_headers) : js_null();
}

static struct json *known(int64_t n)
{
	return n >= 0 ? js_signed(n) : js_null();
}

/* What gRPC says of a call. */
static struct json *grpc_object(const struct http_exchange *x)
{
	const char *slash = x->target && *x->target == '/' ? strchr(x->target + 1, '/') : NULL;
	char *service = slash ? alloc_copy(x->target + 1) : NULL;
	struct json *object;

	object = js_object();
	if (service)
		service[slash - x->target - 1] = '\0';
	js_set(object, "service", js_text(service));
	js_set(object, "method", js_text(slash ? slash + 1 : NULL));
	js_set(object, "status", known(x->grpc_status));
	js_set(object, "message", js_text(x->grpc_message));
	js_set(object, "request_messages", known(x->request.grpc_messages));
	js_set(object, "response_messages", known(x->response.grpc_messages));
	free(service);
	return object;
}

static struct json *sha256_text(const struct http_message *message)
{
	return message->body_whole ? js_hex(message->body_sha256, sizeof message->body_sha256) : js_null();
}

struct json *http_object(const struct player_flow *flow, const struct http_exchange *x)
{
	struct json *object = message_object(flow, message_role(flow, x->dir));

	js_set(object, "version", js_text(x->version));
	js_set(object, "stream", x->stream >= 0 ? js_signed(x->stream) : js_null());
	js_set(object, "method", js_text(x->method));
	js_set(object, "scheme", js_text(x->scheme));
	js_set(object, "authority", js_text(x->authority));
	js_set(object, "path", js_text(x->target));
	js_set(object, "request_headers", headers_array(&x->request));
	js_set(object, "request_body_bytes", x->request.seen ? js_number(x->request.body_bytes) : js_null());
	js_set(object, "request_body_sha256", sha256_text(&x->request));
	js_set(object, "status", x->status ? js_signed(x->status) : js_null());
	js_set(object, "response_headers", headers_array(&x->response));
	js_set(object, "response_body_bytes", x->response.seen ? js_number(x->response.body_bytes) : js_null());
	js_set(object, "response_body_sha256", sha256_text(&x->response));
	js_set(object, "start", js_time(x->start));
	js_set(object, "ttfb_ns", js_span(x->start, x->first_byte));
	js_set(object, "duration_ns", js_span(x->start, x->end));
	js_set(object, "complete", js_bool(x->complete));
	js_set(object, "response_trailers",
	       x->response.n_trailers ? pairs(x->response.trailers, x->response.n_trailers) : js_null());
	js_set(object, "reset", js_plain(x->reset));
	js_set(object, "events", known(x->response.events));
	js_set(object, "grpc", x->grpc ? grpc_object(x) : js_null());
	js_set(object, "request_content", content_object(&x->request));
	js_set(object, "response_content", content_object(&x->response));
	return object;
}
