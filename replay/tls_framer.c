/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A direction is judged by its first bytes. They are held until they are proved to be TLS or can't be: five bytes look
 * like a record header easily, so it takes a first record that parses as a hello, an alert, or a second header where
 * the first record ends. A flow that was open before recording began may start with any record; a new one starts with
 * a hello, or with an alert that turns the other side's hello down.
 *
 * Once it is TLS, records are handed out as they complete; straight from the input where possible.
 */
#include "replay/tls_framer.h"

#include "replay/tls_crypt.h"
#include "replay/tls_hello.h"

enum content {
	CHANGE_CIPHER_SPEC = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	APPLICATION_DATA = 23,
};

enum verdict {
	MORE,
	YES,
	NO
};

static size_t body_len(const uint8_t *header)
{
	return (size_t)header[3] << 8 | header[4];
}

/* Could these bytes, as far as there are any, begin a record? */
static bool plausible(const uint8_t *p, size_t n)
{
	if (n >= 1 && (p[0] < CHANGE_CIPHER_SPEC || p[0] > APPLICATION_DATA))
		return false;
	if (n >= 2 && p[1] != 3)
		return false;
	if (n >= 3 && p[2] > 4)
		return false;
	return n < TLS_RECORD_HEADER ||
	       (body_len(p) <= TLS_RECORD_MAX && (body_len(p) > 0 || p[0] == APPLICATION_DATA));
}

/* A new flow's first handshake message. */
static enum verdict judge_hello(const uint8_t *body, size_t n, size_t len)
{
	struct tls_hello hello;
	size_t message;

	if (n < 1 || (body[0] != TLS_CLIENT_HELLO && body[0] != TLS_SERVER_HELLO))
		return n < 1 ? MORE : NO;
	if (n < 4 || n < len)
		return n >= 2 && body[1] != 0 ? NO : MORE;
	message = (size_t)body[2] << 8 | body[3];
	if (body[1] != 0 || message < 38)
		return NO;
	if (message + 4 > len)
		return MORE; /* it goes on in the next record; whose header will tell */
	if (body[0] == TLS_CLIENT_HELLO)
		return tls_parse_client_hello(body + 4, message, &hello) == 0 ? YES : NO;
	return tls_parse_server_hello(body + 4, message, &hello) == 0 ? YES : NO;
}

/* The direction's first bytes. */
static enum verdict judge(const struct tls_framer *f, const uint8_t *p, size_t n)
{
	enum verdict verdict = MORE;
	size_t len;

	if (!plausible(p, n))
		return NO;
	if (!f->from_the_middle && n >= 1 && p[0] != HANDSHAKE && p[0] != ALERT)
		return NO;
	if (n < TLS_RECORD_HEADER)
		return MORE;
	len = body_len(p);
	if (!f->from_the_middle && p[0] == HANDSHAKE)
		verdict = judge_hello(p + TLS_RECORD_HEADER, n - TLS_RECORD_HEADER, len);
	else if (p[0] == ALERT && !f->from_the_middle && len != 2)
		return NO;
	else if (n == TLS_RECORD_HEADER + len)
		return YES; /* call and record end together */
	if (verdict != MORE)
		return verdict;
	if (n < TLS_RECORD_HEADER + len + 3)
		return n > TLS_RECORD_HEADER + len &&
		                       !plausible(p + TLS_RECORD_HEADER + len, n - TLS_RECORD_HEADER - len)
		               ? NO
		               : MORE;
	return plausible(p + TLS_RECORD_HEADER + len, n - TLS_RECORD_HEADER - len) ? YES : NO;
}

static void stop(struct tls_framer *f, bool garbage)
{
	f->state = TLS_FRAMER_STOPPED;
	f->garbage = garbage;
	buffer_release(&f->held);
}

/* Hands out the whole records at p: the number of bytes used, or -1. */
static int64_t hand_out(struct tls_framer *f, const uint8_t *p, size_t n, const struct stamp *stamp,
                        const struct tls_framer_sink *sink)
{
	size_t used = 0, record;

	while (f->state == TLS_FRAMER_TLS) {
		if (!plausible(p + used, n - used)) {
			stop(f, true);
			break;
		}
		if (n - used < TLS_RECORD_HEADER)
			break;
		record = TLS_RECORD_HEADER + body_len(p + used);
		if (n - used < record)
			break;
		if (sink->record(sink->context, p + used, record, stamp) < 0)
			return -1;
		used += record;
	}
	return (int64_t)used;
}

static int feed_tls(struct tls_framer *f, const uint8_t *data, size_t len, const struct stamp *stamp,
                    const struct tls_framer_sink *sink)
{
	int64_t used;

	/* Complete what is held, one record, then go on in place. */
	while (f->held.len > 0 && len > 0 && f->state == TLS_FRAMER_TLS) {
		size_t want = f->held.len < TLS_RECORD_HEADER ? TLS_RECORD_HEADER
		                                              : TLS_RECORD_HEADER + body_len(f->held.data);
		size_t n = want - f->held.len < len ? want - f->held.len : len;
		struct buffer held;

		if (buffer_add(&f->held, data, n) < 0)
			return -1;
		data += n;
		len -= n;
		/* The sink may stop this framer; hold on to the bytes while they are in use. */
		held = f->held;
		f->held = (struct buffer){0};
		used = hand_out(f, held.data, held.len, stamp, sink);
		if (used < 0) {
			buffer_release(&held);
			return -1;
		}
		buffer_drop(&held, (size_t)used);
		if (f->state == TLS_FRAMER_TLS && held.len > 0)
			f->held = held;
		else
			buffer_release(&held);
	}
	if (f->state != TLS_FRAMER_TLS || len == 0)
		return 0;
	used = hand_out(f, data, len, stamp, sink);
	if (used < 0)
		return -1;
	return f->state == TLS_FRAMER_TLS ? buffer_add(&f->held, data + used, len - (size_t)used) : 0;
}

/* The verdict is in: what was held goes where it belongs. */
static int decide(struct tls_framer *f, enum tls_framer_state state, const struct stamp *stamp,
                  const struct tls_framer_sink *sink)
{
	struct buffer held = f->held;
	int result = 0;

	f->held = (struct buffer){0};
	f->state = state;
	if (held.len > 0)
		result = state == TLS_FRAMER_TLS ? feed_tls(f, held.data, held.len, stamp, sink)
		                                 : sink->clear(sink->context, held.data, held.len, stamp);
	buffer_release(&held);
	return result;
}

static int hole(struct tls_framer *f, uint64_t len, const struct stamp *stamp, const struct tls_framer_sink *sink)
{
	switch (f->state) {
	case TLS_FRAMER_NEW:
		if (f->held.len == 0) {
			f->state = TLS_FRAMER_BLIND;
			return sink->clear(sink->context, NULL, len, stamp);
		}
		if (f->held.len >= TLS_RECORD_HEADER) {
			/* All that can be seen speaks for TLS. */
			if (decide(f, TLS_FRAMER_TLS, stamp, sink) < 0)
				return -1;
			stop(f, false);
			return 0;
		}
		if (decide(f, TLS_FRAMER_CLEAR, stamp, sink) < 0)
			return -1;
		return sink->clear(sink->context, NULL, len, stamp);
	case TLS_FRAMER_TLS:
		stop(f, false);
		return 0;
	case TLS_FRAMER_CLEAR:
	case TLS_FRAMER_BLIND:
		return sink->clear(sink->context, NULL, len, stamp);
	case TLS_FRAMER_STOPPED:
		break;
	}
	return 0;
}

int tls_framer_feed(struct tls_framer *f, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                    const struct tls_framer_sink *sink)
{
	enum verdict verdict;

	if (!data)
		return hole(f, len, stamp, sink);
	switch (f->state) {
	case TLS_FRAMER_NEW:
		if (f->held.len == 0) {
			f->since = *stamp;
			verdict = judge(f, data, len);
			if (verdict != MORE) { /* mostly; no need to hold anything */
				f->state = verdict == YES ? TLS_FRAMER_TLS : TLS_FRAMER_CLEAR;
				return tls_framer_feed(f, data, len, stamp, sink);
			}
		}
		if (buffer_add(&f->held, data, len) < 0)
			return -1;
		verdict = judge(f, f->held.data, f->held.len);
		if (verdict == MORE)
			return 0;
		return decide(f, verdict == YES ? TLS_FRAMER_TLS : TLS_FRAMER_CLEAR, stamp, sink);
	case TLS_FRAMER_TLS:
		return feed_tls(f, data, len, stamp, sink);
	case TLS_FRAMER_CLEAR:
	case TLS_FRAMER_BLIND:
		return sink->clear(sink->context, data, len, stamp);
	case TLS_FRAMER_STOPPED:
		break;
	}
	return 0;
}

int tls_framer_finish(struct tls_framer *f, const struct tls_framer_sink *sink)
{
	struct stamp stamp = f->since;

	if (f->state != TLS_FRAMER_NEW || f->held.len == 0)
		return 0;
	return decide(f, f->held.len >= TLS_RECORD_HEADER ? TLS_FRAMER_TLS : TLS_FRAMER_CLEAR, &stamp, sink);
}

void tls_framer_release(struct tls_framer *f)
{
	buffer_release(&f->held);
}
