/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/1 fed with both directions' bytes, holes, and words that make messages likely.
 */
#include <stdint.h>
#include <string.h>

#include "replay/proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = {
        "GET / HTTP/1.1\r\n",
        "POST /x HTTP/1.1\r\n",
        "HEAD / HTTP/1.0\n",
        "CONNECT a:1 HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n",
        "HTTP/1.1 304 \r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "hello",
        "Host: a\r\n b\r\n",
        "Content-Length: 18446744073709551615\r\n",
};

static volatile size_t sum;

static void touch(const char *string)
{
	if (string)
		sum += strlen(string);
}

static void on_http(void *context, const struct http_exchange *x)
{
	const struct http_message *messages[] = {&x->request, &x->response};

	(void)context;
	touch(x->version);
	touch(x->method);
	touch(x->target);
	touch(x->authority);
	touch(x->scheme);
	touch(x->reason);
	for (int m = 0; m < 2; m++)
		for (size_t i = 0; i < messages[m]->n_headers; i++) {
			touch(messages[m]->headers[i].name);
			touch(messages[m]->headers[i].value);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tls_info tls = {0};
	const struct proto_flow flow = {.preopened = size > 0 && data[0] & 1, .tls = &tls};
	const struct proto_sink sink = {.http = on_http};
	const struct stamp stamp = {.wall = 1, .shown = true};
	void *state = proto_http1.open(&flow, &sink);
	size_t at = 1;

	while (state && at + 2 <= size) {
		uint8_t op = data[at], arg = data[at + 1];
		const char *word = words[arg % (sizeof words / sizeof *words)];
		size_t n;

		at += 2;
		switch (op >> 1 & 3) {
		case 0:
			n = arg < size - at ? arg : size - at;
			if (n > 0)
				proto_http1.feed(state, op & 1, data + at, n, &stamp);
			at += n;
			break;
		case 1:
			proto_http1.feed(state, op & 1, NULL, op & 8 ? UINT64_MAX - arg : arg, &stamp);
			break;
		default:
			proto_http1.feed(state, op & 1, (const uint8_t *)word, strlen(word), &stamp);
			break;
		}
	}
	if (state)
		proto_http1.finish(state, size & 1);
	proto_http1.free(state);
	return 0;
}
