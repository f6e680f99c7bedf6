/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The application protocols, fed with both directions' bytes, holes, and words that make messages likely. The first byte
 * tells how the conversation begins: with a protocol that is known, or with one that has to be found.
 */
#include <stdint.h>
#include <string.h>

#include "replay/proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORD(literal)                        \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

static const struct word {
	const char *bytes;
	size_t len;
} words[] = {
        /* HTTP/1 and what follows it */
        WORD("GET / HTTP/1.1\r\n"),
        WORD("POST /x HTTP/1.1\r\n"),
        WORD("HEAD / HTTP/1.0\n"),
        WORD("CONNECT a:1 HTTP/1.1\r\n"),
        WORD("HTTP/1.1 200 OK\r\n"),
        WORD("HTTP/1.1 100 Continue\r\n\r\n"),
        WORD("HTTP/1.1 101 Switching\r\n"),
        WORD("HTTP/1.1 304 \r\n"),
        WORD("Content-Length: 5\r\n"),
        WORD("Transfer-Encoding: chunked\r\n"),
        WORD("\r\n"),
        WORD("5\r\nhello\r\n"),
        WORD("0\r\n\r\n"),
        WORD("Host: a\r\n b\r\n"),
        WORD("Content-Length: 18446744073709551615\r\n"),
        WORD("Content-Type: text/event-stream\r\n"),
        WORD("data: x\n\n"),
        WORD("Content-Encoding: deflate\r\n"),
        WORD("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        WORD("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        WORD("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
        WORD("HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n"),
        WORD("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
        WORD("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        WORD("\x01\x03Hel\x80\x02lo"),
        WORD("\x88\x02\x03\xe8"),
        /* HTTP/2 */
        WORD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        WORD("\0\0\0\4\0\0\0\0\0"),
        WORD("\0\0\x11\1\5\0\0\0\1\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
        WORD("\0\0\1\1\4\0\0\0\1\x88"),
        WORD("\0\0\1\1\1\0\0\0\3\x82"),
        WORD("\0\0\1\x09\4\0\0\0\3\xbe"),
        WORD("\0\0\5\0\1\0\0\0\1hello"),
        WORD("\0\0\5\5\4\0\0\0\1\0\0\0\2\x82"),
        WORD("\0\0\4\3\0\0\0\0\1\0\0\0\x08"),
        WORD("\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        /* PostgreSQL */
        WORD("\0\0\0\x08\x04\xd2\x16\x2f"),
        WORD("\0\0\0\x10\0\3\0\0user\0a\0\0"),
        WORD("Q\0\0\0\x0dselect 1\0"),
        WORD("P\0\0\0\x0bs\0sel\0\0\0"),
        WORD("B\0\0\0\x0d\0s\0\0\0\0\0\0\0"),
        WORD("E\0\0\0\x09\0\0\0\0\0"),
        WORD("S\0\0\0\4"),
        WORD("C\0\0\0\x0dSELECT 1\0"),
        WORD("Z\0\0\0\5I"),
        WORD("E\0\0\0\x0f"
             "C42601\0Mno\0\0"),
        /* MySQL */
        WORD("\x2e\0\0\0\n8.0.30\0abcd12345678\0\xff\xf7\x21\2\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0123456\0"),
        WORD("\x29\0\0\1\x08\x80\0\0\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0me\0\0db\0\0\0"),
        WORD("\7\0\0\2\0\0\0\2\0\0\0"),
        WORD("\x09\0\0\0\3select 1"),
        WORD("\1\0\0\1\1"),
        WORD("\5\0\0\3\xfe\0\0\2\0"),
        WORD("\5\0\0\1\xff\x28\4no"),
        WORD("\5\0\0\0\x16sel?"),
        WORD("\x0c\0\0\1\0\1\0\0\0\1\0\1\0\0\0\0"),
        /* Redis */
        WORD("*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
        WORD("+OK\r\n"),
        WORD("*3\r\n$1\r\na\r\n$-1\r\n*2\r\n:1\r\n"),
        WORD("-ERR no\r\n"),
        WORD("|1\r\n+a\r\n:1\r\n%1\r\n"),
        /* DNS */
        WORD("\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"),
        WORD("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\7example\3org\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"),
};

static volatile size_t sum;

static void touch(const char *string)
{
	if (string)
		sum += strlen(string);
}

static void touch_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
}

static void touch_headers(const struct http_header *headers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		touch(headers[i].name);
		touch(headers[i].value);
	}
}

static void on_http(void *context, const struct http_exchange *x)
{
	(void)context;
	touch(x->version);
	touch(x->method);
	touch(x->target);
	touch(x->authority);
	touch(x->scheme);
	touch(x->reason);
	touch(x->reset);
	touch(x->grpc_message);
	touch_headers(x->request.headers, x->request.n_headers);
	touch_headers(x->request.trailers, x->request.n_trailers);
	touch_headers(x->response.headers, x->response.n_headers);
	touch_headers(x->response.trailers, x->response.n_trailers);
}

static void on_websocket(void *context, const struct websocket_message *m)
{
	(void)context;
	touch(m->path);
	touch(m->authority);
	if (m->decoded)
		touch_bytes(m->data, m->len);
}

static void on_sql(void *context, const struct sql_command *c)
{
	(void)context;
	touch(c->protocol);
	touch(c->kind);
	touch(c->user);
	touch(c->database);
	touch(c->error);
	touch(c->message);
	if (c->text)
		touch_bytes(c->text, c->len);
}

static void on_dns(void *context, const struct dns_exchange *x)
{
	(void)context;
	touch(x->name);
	for (size_t i = 0; i < x->n_records; i++) {
		touch(x->records[i].name);
		touch(x->records[i].data);
	}
}

static struct protos *begin(const struct proto_flow *flow, const struct proto_sink *sink, unsigned which)
{
	static const struct proto *const known[] = {&proto_http1, &proto_http2, &proto_pgsql,
	                                            &proto_mysql, &proto_redis, &proto_dns};
	const size_t n = sizeof known / sizeof *known;
	void *state;

	if (which < n) {
		state = known[which]->open(flow, sink);
		return state ? protos_open_as(known[which], state) : NULL;
	}
	if (which == n) {
		state = websocket_open(flow, sink, "a", "/b", flow->preopened ? "permessage-deflate" : NULL);
		return state ? protos_open_as(&proto_websocket, state) : NULL;
	}
	return protos_open(flow, sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tls_info tls = {0};
	const uint8_t how = size > 0 ? data[0] : 0;
	const struct proto_flow flow = {.preopened = how & 1, .datagrams = (how & 6) == 6, .tls = &tls};
	const struct proto_sink sink = {.http = on_http,
	                                .websocket = on_websocket,
	                                .sql = on_sql,
	                                .dns = on_dns,
	                                .content = true,
	                                .digests = true};
	const struct stamp stamp = {.wall = 1, .shown = true};
	struct protos *protos = begin(&flow, &sink, how >> 4);
	size_t at = 1;

	while (protos && at + 2 <= size) {
		uint8_t op = data[at], arg = data[at + 1];
		const struct word *word = &words[arg % (sizeof words / sizeof *words)];
		size_t n;

		at += 2;
		switch (op >> 1 & 3) {
		case 0:
			n = arg < size - at ? arg : size - at;
			if (n > 0)
				protos_feed(protos, op & 1, data + at, n, &stamp);
			at += n;
			break;
		case 1:
			protos_feed(protos, op & 1, NULL, op & 8 ? UINT64_MAX - arg : arg, &stamp);
			break;
		default:
			protos_feed(protos, op & 1, (const uint8_t *)word->bytes, word->len, &stamp);
			break;
		}
	}
	if (protos)
		protos_finish(protos, size & 1);
	protos_free(protos);
	return 0;
}
