/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PROTO_PLAY_H
#define PROTO_PLAY_H

/*
 * Conversations for the tests of protocols: played through protos.c whole, in pieces, from the middle, and with holes;
 * what is told as lines of words, "kind key=value ... complete".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay/buffer.h"
#include "replay/proto/proto.h"

enum {
	TURNS_MAX = 64,
	TO_SERVER = 1, /* the process is the client */
	TO_CLIENT = 0,
};

struct talk {
	struct turn {
		int dir;
		struct buffer bytes;
	} turns[TURNS_MAX];
	size_t n;
};

struct told {
	char text[32768];
};

/* How a talk is played. All zero: whole. */
struct play_how {
	size_t piece;    /* at most that many bytes at once; 0: a turn at once */
	unsigned random; /* pieces of random sizes; 0: not */
	size_t from;     /* turns to leave out, as if recording began later */
	int hole_dir;
	size_t hole_at, hole_len; /* counted over the direction's bytes */
	bool unknown;             /* the hole's length is not told */
};

static inline void say(struct talk *talk, int dir, const void *bytes, size_t len)
{
	struct turn *turn = talk->n > 0 && talk->turns[talk->n - 1].dir == dir ? &talk->turns[talk->n - 1]
	                                                                       : &talk->turns[talk->n++];

	assert_true(talk->n <= TURNS_MAX);
	turn->dir = dir;
	assert_int_equal(buffer_add(&turn->bytes, bytes, len), 0);
}

static inline void talk_release(struct talk *talk)
{
	for (size_t i = 0; i < talk->n; i++)
		buffer_release(&talk->turns[i].bytes);
}

__attribute__((format(printf, 2, 3))) static inline void add(struct told *t, const char *format, ...)
{
	size_t n = strlen(t->text);
	va_list args;

	va_start(args, format);
	vsnprintf(t->text + n, sizeof t->text - n, format, args);
	va_end(args);
	assert_true(strlen(t->text) + 1 < sizeof t->text);
}

/* " key=value", spaces as underscores; nothing for NULL. */
static inline void add_word(struct told *t, const char *key, const char *value, size_t len)
{
	if (!value)
		return;
	add(t, " %s=", key);
	for (size_t i = 0; i < len; i++)
		add(t,
		    value[i] == ' '                    ? "_"
		    : value[i] > ' ' && value[i] < 127 ? "%c"
		                                       : "\\x%02x",
		    (unsigned char)value[i]);
}

static inline void add_string(struct told *t, const char *key, const char *value)
{
	add_word(t, key, value, value ? strlen(value) : 0);
}

static inline void add_body(struct told *t, const char *key, const struct http_message *m)
{
	if (!m->seen)
		return;
	for (size_t i = 0; i < m->n_headers; i++)
		add_string(t, m->headers[i].name ? m->headers[i].name : "?",
		           m->headers[i].name ? m->headers[i].value : NULL);
	for (size_t i = 0; i < m->n_trailers; i++)
		add_string(t, m->trailers[i].name ? m->trailers[i].name : "?",
		           m->trailers[i].name ? m->trailers[i].value : NULL);
	add(t, " %s=%llu", key, (unsigned long long)m->body_bytes);
	if (m->body_whole)
		add(t, ":%02x%02x", m->body_sha256[0], m->body_sha256[1]);
}

static inline void tell_http(void *context, const struct http_exchange *x)
{
	struct told *t = context;

	add(t, "http stream=%lld", (long long)x->stream);
	add_string(t, "method", x->method);
	add_string(t, "authority", x->authority);
	add_string(t, "path", x->target);
	if (x->status)
		add(t, " status=%d", x->status);
	add_body(t, "request", &x->request);
	add_body(t, "response", &x->response);
	add_string(t, "reset", x->reset);
	if (x->grpc)
		add(t, " grpc=%d:%d:%d", x->grpc_status, (int)x->request.grpc_messages, (int)x->response.grpc_messages);
	add(t, "%s%s\n", x->pushed ? " pushed" : "", x->complete ? " complete" : "");
}

static inline void tell_websocket(void *context, const struct websocket_message *m)
{
	struct told *t = context;

	add(t, "ws dir=%d opcode=%u frames=%llu", m->dir, m->opcode, (unsigned long long)m->frames);
	if (m->decoded)
		add_word(t, "data", (const char *)m->data, m->len);
	if (m->close_code)
		add(t, " close=%d", m->close_code);
	add(t, "%s%s\n", m->compressed ? " deflated" : "", m->complete ? " complete" : "");
}

static inline void tell_sql(void *context, const struct sql_command *c)
{
	struct told *t = context;

	add(t, "%s kind=%s", c->protocol, c->kind);
	add_word(t, "text", c->text, c->len);
	add_string(t, "user", c->user);
	add_string(t, "database", c->database);
	if (c->rows >= 0)
		add(t, " rows=%lld", (long long)c->rows);
	add_string(t, "error", c->error);
	add_string(t, "message", c->message);
	add(t, "%s\n", c->complete ? " complete" : "");
}

static inline void tell_dns(void *context, const struct dns_exchange *x)
{
	struct told *t = context;
	char word[16];

	add(t, "dns id=%u name=%s type=%s", (unsigned)x->id, x->name, dns_type(word, x->type));
	if (x->answered)
		add(t, " rcode=%s", dns_rcode(word, x->rcode));
	for (size_t i = 0; i < x->n_records; i++)
		add_string(t, "data", x->records[i].data);
	add(t, "%s%s\n", x->tcp ? " tcp" : "", x->complete ? " complete" : "");
}

/* The part of a turn that the hole does not hit, before or behind it; each piece a copy of its own. */
static inline void play_bytes(struct protos *p, int dir, const uint8_t *bytes, size_t len, const struct play_how *how,
                              unsigned *seed)
{
	const struct stamp stamp = {.wall = 5, .shown = true};

	for (size_t n; len > 0; bytes += n, len -= n) {
		uint8_t *copy;

		n = how->piece && how->piece < len ? how->piece : len;
		if (how->random) {
			*seed = *seed * 1103515245 + 12345;
			n = 1 + (*seed >> 16) % len;
		}
		copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, bytes, n);
		assert_int_equal(protos_feed(p, dir, copy, n, &stamp), 0);
		free(copy);
	}
}

static inline struct told play_talk(const struct talk *talk, bool datagrams, const struct play_how *how)
{
	const struct stamp stamp = {.wall = 5, .shown = true};
	struct told t = {""};
	const struct tls_info tls = {0};
	const struct proto_flow flow = {.preopened = how->from > 0, .datagrams = datagrams, .tls = &tls};
	const struct proto_sink sink = {.context = &t,
	                                .http = tell_http,
	                                .websocket = tell_websocket,
	                                .sql = tell_sql,
	                                .dns = tell_dns,
	                                .digests = true};
	struct protos *p = protos_open(&flow, &sink);
	size_t place[2] = {0, 0};
	unsigned seed = how->random;

	assert_non_null(p);
	for (size_t i = how->from; i < talk->n; i++) {
		const struct turn *turn = &talk->turns[i];
		size_t at = place[turn->dir], end = at + turn->bytes.len, from = end, to = end;

		place[turn->dir] = end;
		if (how->hole_len && how->hole_dir == turn->dir && how->hole_at < end &&
		    how->hole_at + how->hole_len > at) {
			from = how->hole_at > at ? how->hole_at : at;
			to = how->hole_at + how->hole_len < end ? how->hole_at + how->hole_len : end;
		}
		play_bytes(p, turn->dir, turn->bytes.data, from - at, how, &seed);
		if (to > from)
			assert_int_equal(protos_feed(p, turn->dir, NULL, how->unknown ? 0 : to - from, &stamp), 0);
		if (to < end)
			play_bytes(p, turn->dir, turn->bytes.data + (to - at), end - to, how, &seed);
	}
	assert_int_equal(protos_finish(p, true), 0);
	protos_free(p);
	return t;
}

/* However it is cut, the same is told. */
static inline void check_pieces(const struct talk *talk, const char *expected)
{
	struct told t = play_talk(talk, false, &(struct play_how){0});

	assert_string_equal(t.text, expected);
	for (size_t piece = 1; piece < 20; piece++) {
		t = play_talk(talk, false, &(struct play_how){.piece = piece});
		assert_string_equal(t.text, expected);
	}
	for (unsigned random = 1; random < 200; random++) {
		t = play_talk(talk, false, &(struct play_how){.random = random});
		assert_string_equal(t.text, expected);
	}
}

static inline bool has_word(const char *text, const char *word, size_t len)
{
	for (const char *p = text; (p = strstr(p, word)); p++)
		if ((p == text || p[-1] == ' ' || p[-1] == '\n') && (p[len] == ' ' || p[len] == '\n'))
			return true;
	return false;
}

/* Where the hole is, for messages. */
static struct play_how now_played;

/* Every line that is complete is true, word for word, and every other one says nothing that is not; `counts` are the
 * keys whose values may be less. */
static inline size_t check_true(const char *found, const char *truth, const char *counts)
{
	char line[8192], word[4096];
	size_t complete = 0;

	for (const char *p = found; *p;) {
		size_t len = strcspn(p, "\n") + 1, n;

		assert_true(len < sizeof line);
		memcpy(line, p, len);
		line[len] = '\0';
		p += len;
		if (strstr(line, " complete\n")) {
			if (!strstr(truth, line))
				fail_msg("hole of %zu%s at %zu of direction %d, told: %snot among:\n%s",
				         now_played.hole_len, now_played.unknown ? " (unknown)" : "",
				         now_played.hole_at, now_played.hole_dir, line, truth);
			complete++;
			continue;
		}
		for (char *w = line; *w && *w != '\n'; w += n + (w[n] == ' ')) {
			size_t key;

			n = strcspn(w, " \n");
			memcpy(word, w, n);
			word[n] = '\0';
			key = strcspn(word, "=");
			word[key] = '\0';
			if (strstr(counts, word))
				continue;
			word[key] = n > key ? '=' : '\0';
			if (!has_word(truth, word, n))
				fail_msg("hole of %zu%s at %zu of direction %d, told: %s in: %snot in:\n%s",
				         now_played.hole_len, now_played.unknown ? " (unknown)" : "",
				         now_played.hole_at, now_played.hole_dir, word, line, truth);
		}
	}
	return complete;
}

/* A hole of every length up to `longest` at every place of both directions: what is told is true. How many complete
 * messages were told, of all plays together, and in *plays how many those were. */
static inline size_t check_holes(const struct talk *talk, const char *truth, const char *counts, size_t longest,
                                 size_t *plays)
{
	size_t complete = 0;

	*plays = 0;
	for (int dir = 0; dir < 2; dir++) {
		size_t total = 0;

		for (size_t i = 0; i < talk->n; i++)
			total += talk->turns[i].dir == dir ? talk->turns[i].bytes.len : 0;
		for (size_t at = 0; at < total; at++)
			for (size_t len = 1; len <= longest; len = len < 4 ? len + 1 : len * 2)
				for (int unknown = 0; unknown < 2; unknown++) {
					const struct play_how how = {
					        .hole_dir = dir, .hole_at = at, .hole_len = len, .unknown = unknown};
					struct told t = play_talk(talk, false, &how);

					now_played = how;
					complete += check_true(t.text, truth, counts);
					++*plays;
				}
	}
	return complete;
}

#endif
