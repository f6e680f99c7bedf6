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
 *
 * A hole that ends within the record that it hit loses that record: its header has told where the next one begins.
 * After any other hole, and after bytes that are no record, the next record has to be found: bytes that look like a
 * header, and the beginning of another one where that record ends. By chance that happens once in 2^40 bytes or so,
 * and then a tag will tell (tls_flow.c). At most one record is held for it. What was passed over is told as a gap.
 *
 * A direction that begins with a hole is blind: it is TLS if records are found in this way, or if the other direction
 * is, and clear if it begins with text, if the other direction is, or if no record is found where one had to be.
 */
#include "replay/tls_framer.h"

#include "replay/tls_hello.h"

enum {
	/* In as many a record begins, and ends. */
	BLIND_BYTES = 2 * (TLS_RECORD_HEADER + TLS_RECORD_MAX),
	TEXT_BYTES = 16, /* that are enough to call it text */
};

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

/* ---- the verdict ------------------------------------------------------------------------------------------------ */

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

/* ---- records ---------------------------------------------------------------------------------------------------- */

static void begin_gap(struct tls_framer *f, const struct stamp *stamp)
{
	if (f->gap.bytes == 0)
		f->gap.stamp = *stamp;
}

/* Where the next record begins is not known. */
static void lose_place(struct tls_framer *f, uint64_t bytes, const struct stamp *stamp)
{
	begin_gap(f, stamp);
	f->gap.bytes += bytes;
	f->state = TLS_FRAMER_SEEKING;
	f->skip = 0;
}

static int tell_gap(struct tls_framer *f, const struct tls_framer_sink *sink)
{
	struct tls_gap gap = f->gap;

	f->gap = (struct tls_gap){0};
	return gap.bytes ? sink->gap(sink->context, &gap) : 0;
}

static int hand_out_one(struct tls_framer *f, const uint8_t *header, const uint8_t *body, const struct stamp *stamp,
                        const struct tls_framer_sink *sink)
{
	const struct tls_record record = {.header = header, .body = body, .len = body_len(header)};

	f->version = (uint16_t)(header[1] << 8 | header[2]);
	return tell_gap(f, sink) < 0 ? -1 : sink->record(sink->context, &record, stamp);
}

/* Hands out the whole records at p: the number of bytes used, or -1. */
static int64_t hand_out(struct tls_framer *f, const uint8_t *p, size_t n, const struct stamp *stamp,
                        const struct tls_framer_sink *sink)
{
	size_t used = 0, record;

	while (used < n) {
		if (!plausible(p + used, n - used)) {
			f->garbage = true;
			lose_place(f, 0, stamp);
			break;
		}
		if (n - used < TLS_RECORD_HEADER)
			break;
		record = TLS_RECORD_HEADER + body_len(p + used);
		if (n - used < record)
			break;
		if (hand_out_one(f, p + used, p + used + TLS_RECORD_HEADER, stamp, sink) < 0)
			return -1;
		used += record;
	}
	return (int64_t)used;
}

/* Of what is passed on the way to the next record: a header with all that a real one has. */
static bool is_header(const struct tls_framer *f, const uint8_t *p, size_t n)
{
	static const size_t least[] = {[CHANGE_CIPHER_SPEC] = 1, [ALERT] = 2, [HANDSHAKE] = 4, [APPLICATION_DATA] = 9};

	if (!plausible(p, n) || (n >= 3 && (p[2] < 1 || p[2] > 3 || (f->version == 0x0303 && p[2] != 3))))
		return false;
	return n < TLS_RECORD_HEADER ||
	       (body_len(p) >= least[p[0]] && (p[0] != CHANGE_CIPHER_SPEC || body_len(p) == 1));
}

/* Where the next record may begin: *found, or before which byte at least none does. at_end: no more bytes follow
 * without a hole between. */
static size_t find_record(const struct tls_framer *f, const uint8_t *p, size_t n, bool at_end, bool *found)
{
	enum {
		TELLING = 3 /* bytes of the header behind */
	};

	*found = false;
	for (size_t i = 0; i < n; i++) {
		size_t end;

		if (!is_header(f, p + i, n - i))
			continue;
		if (n - i < TLS_RECORD_HEADER)
			return at_end ? n : i;
		end = i + TLS_RECORD_HEADER + body_len(p + i);
		if (end > n || (end < n && n - end < TELLING && !at_end && is_header(f, p + end, n - end))) {
			if (!at_end)
				return i;
			if (end > n)
				continue;
		}
		if (end == n || is_header(f, p + end, n - end)) {
			*found = true;
			return i;
		}
	}
	return n;
}

/* Works through what is held, as far as that is possible. */
static int seek(struct tls_framer *f, bool at_end, const struct stamp *stamp, const struct tls_framer_sink *sink)
{
	struct buffer held = f->held;
	size_t at = 0;
	int64_t used = 0;

	/* The sink may look at this framer: what is in use here is not its own meanwhile. */
	f->held = (struct buffer){0};
	while (f->state == TLS_FRAMER_SEEKING && at < held.len) {
		bool found;
		size_t passed = find_record(f, held.data + at, held.len - at, at_end, &found);

		f->gap.bytes += passed;
		at += passed;
		if (!found)
			break;
		f->state = TLS_FRAMER_TLS;
		used = hand_out(f, held.data + at, held.len - at, stamp, sink);
		if (used < 0)
			break;
		at += (size_t)used;
	}
	buffer_drop(&held, at);
	if (held.len == 0)
		buffer_release(&held);
	f->held = held;
	return used < 0 ? -1 : 0;
}

static int feed_tls(struct tls_framer *f, const uint8_t *data, size_t len, const struct stamp *stamp,
                    const struct tls_framer_sink *sink)
{
	int64_t used;

	if (f->skip > 0) {
		size_t n = f->skip < len ? (size_t)f->skip : len;

		f->skip -= n;
		f->gap.bytes += n;
		data += n;
		len -= n;
	}
	/* Complete what is held, one record, then go on in place. */
	while (f->state == TLS_FRAMER_TLS && f->held.len > 0 && len > 0) {
		/* Mostly it is a header alone: OpenSSL reads one, then the body. */
		if (f->held.len == TLS_RECORD_HEADER && plausible(f->held.data, TLS_RECORD_HEADER) &&
		    len >= body_len(f->held.data)) {
			uint8_t header[TLS_RECORD_HEADER];

			memcpy(header, f->held.data, sizeof header);
			f->held.len = 0;
			if (hand_out_one(f, header, data, stamp, sink) < 0)
				return -1;
			data += body_len(header);
			len -= body_len(header);
			break;
		}
		size_t want = f->held.len < TLS_RECORD_HEADER ? TLS_RECORD_HEADER
		                                              : TLS_RECORD_HEADER + body_len(f->held.data);
		size_t n = want - f->held.len < len ? want - f->held.len : len;
		struct buffer held;

		if (buffer_add(&f->held, data, n) < 0)
			return -1;
		data += n;
		len -= n;
		held = f->held;
		f->held = (struct buffer){0};
		used = hand_out(f, held.data, held.len, stamp, sink);
		buffer_drop(&held, used < 0 ? held.len : (size_t)used);
		f->held = held;
		if (used < 0)
			return -1;
	}
	if (len > 0 && f->state == TLS_FRAMER_TLS) {
		used = hand_out(f, data, len, stamp, sink);
		if (used < 0)
			return -1;
		data += used;
		len -= (size_t)used;
	}
	if (buffer_add(&f->held, data, len) < 0)
		return -1;
	return f->state == TLS_FRAMER_SEEKING ? seek(f, false, stamp, sink) : 0;
}

/* A hole in a direction that is TLS. */
static int tear(struct tls_framer *f, uint64_t len, const struct stamp *stamp, const struct tls_framer_sink *sink)
{
	uint64_t left = f->skip;

	if (f->state == TLS_FRAMER_SEEKING && seek(f, true, stamp, sink) < 0)
		return -1;
	begin_gap(f, stamp);
	if (f->state == TLS_FRAMER_TLS && f->held.len >= TLS_RECORD_HEADER) {
		/* It hits this record. */
		size_t record = TLS_RECORD_HEADER + body_len(f->held.data);

		f->gap.records++;
		f->gap.record_bytes += record;
		left = record - f->held.len;
	}
	f->gap.bytes += f->held.len;
	buffer_release(&f->held);
	if (f->state == TLS_FRAMER_TLS && len <= left) {
		f->gap.bytes += len;
		f->skip = left - len;
		return 0;
	}
	lose_place(f, len, stamp);
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static void forget_leading(struct tls_framer *f)
{
	while (f->n_leading > 0)
		free(f->leading[--f->n_leading].data);
}

static int tell_leading(struct tls_framer *f, const struct tls_framer_sink *sink)
{
	int result = 0;

	for (unsigned i = 0; i < f->n_leading && result == 0; i++) {
		const struct tls_leading *l = &f->leading[i];

		result = sink->clear(sink->context, l->data, l->len, &l->stamp);
	}
	forget_leading(f);
	return result;
}

/* The verdict is in: what was held goes where it belongs. */
static int decide(struct tls_framer *f, enum tls_framer_state state, const struct stamp *stamp,
                  const struct tls_framer_sink *sink)
{
	struct buffer held = f->held;
	int result = 0;

	if (state == TLS_FRAMER_SEEKING) {
		f->state = state;
		forget_leading(f);
		return seek(f, false, stamp, sink);
	}
	f->held = (struct buffer){0};
	f->state = state;
	result = tell_leading(f, sink);
	if (result == 0 && held.len > 0)
		result = state == TLS_FRAMER_TLS ? feed_tls(f, held.data, held.len, stamp, sink)
		                                 : sink->clear(sink->context, held.data, held.len, stamp);
	buffer_release(&held);
	return result;
}

static bool is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(p[i] >= 0x20 && p[i] < 0x7f) && !(p[i] >= '\t' && p[i] <= '\r'))
			return false;
	return true;
}

/* What is held began behind a hole: are there records in it? */
static int find_chain(struct tls_framer *f, bool at_end, const struct tls_framer_sink *sink)
{
	const struct stamp stamp = f->since;
	size_t from = f->scanned;
	bool found;

	f->scanned += find_record(f, f->held.data + from, f->held.len - from, at_end, &found);
	if (!found)
		return 0;
	f->gap.bytes += f->scanned;
	buffer_drop(&f->held, f->scanned);
	return decide(f, TLS_FRAMER_SEEKING, &stamp, sink);
}

static int judge_blind(struct tls_framer *f, const struct tls_framer_sink *sink)
{
	const struct stamp stamp = f->since;

	if (f->held.len >= TEXT_BYTES && is_text(f->held.data, f->held.len < 32 ? f->held.len : 32))
		return decide(f, TLS_FRAMER_CLEAR, &stamp, sink);
	if (find_chain(f, false, sink) < 0)
		return -1;
	return f->state == TLS_FRAMER_BLIND && f->held.len > BLIND_BYTES ? decide(f, TLS_FRAMER_CLEAR, &stamp, sink)
	                                                                 : 0;
}

static int feed_blind(struct tls_framer *f, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                      const struct tls_framer_sink *sink)
{
	if (f->held.len == 0)
		f->since = *stamp;
	if (buffer_add(&f->held, data, len) < 0)
		return -1;
	return judge_blind(f, sink);
}

/* A hole before it is known what this is. */
static int lead(struct tls_framer *f, uint64_t len, const struct stamp *stamp, const struct tls_framer_sink *sink)
{
	bool told = f->state == TLS_FRAMER_BLIND && f->n_leading == 0;

	f->state = TLS_FRAMER_BLIND;
	begin_gap(f, stamp);
	f->gap.bytes += f->held.len + len;
	if (told || f->n_leading + 2 > TLS_LEADING_MAX) {
		if (tell_leading(f, sink) < 0 ||
		    (f->held.len > 0 && sink->clear(sink->context, f->held.data, f->held.len, &f->since) < 0))
			return -1;
		buffer_release(&f->held);
		f->scanned = 0;
		return sink->clear(sink->context, NULL, len, stamp);
	}
	if (f->held.len > 0)
		f->leading[f->n_leading++] =
		        (struct tls_leading){.len = f->held.len, .data = f->held.data, .stamp = f->since};
	f->held = (struct buffer){0};
	f->scanned = 0;
	f->leading[f->n_leading++] = (struct tls_leading){.len = len, .stamp = *stamp};
	return 0;
}

static int hole(struct tls_framer *f, uint64_t len, const struct stamp *stamp, const struct tls_framer_sink *sink)
{
	switch (f->state) {
	case TLS_FRAMER_NEW:
		if (f->held.len < TLS_RECORD_HEADER)
			return lead(f, len, stamp, sink);
		/* All that can be seen speaks for TLS. */
		if (decide(f, TLS_FRAMER_TLS, stamp, sink) < 0)
			return -1;
		return hole(f, len, stamp, sink);
	case TLS_FRAMER_BLIND:
		if (f->held.len > 0 && find_chain(f, true, sink) < 0)
			return -1;
		if (f->state == TLS_FRAMER_BLIND)
			return lead(f, len, stamp, sink);
		return hole(f, len, stamp, sink);
	case TLS_FRAMER_CLEAR:
		return sink->clear(sink->context, NULL, len, stamp);
	case TLS_FRAMER_TLS:
	case TLS_FRAMER_SEEKING:
		break;
	}
	return tear(f, len, stamp, sink);
}

int tls_framer_feed(struct tls_framer *f, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                    const struct tls_framer_sink *sink)
{
	enum verdict verdict;

	if (len == 0)
		return 0;
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
	case TLS_FRAMER_SEEKING:
		return feed_tls(f, data, len, stamp, sink);
	case TLS_FRAMER_CLEAR:
		return sink->clear(sink->context, data, len, stamp);
	case TLS_FRAMER_BLIND:
		break;
	}
	return feed_blind(f, data, len, stamp, sink);
}

int tls_framer_settle(struct tls_framer *f, bool is_tls, const struct tls_framer_sink *sink)
{
	const struct stamp stamp = f->since;

	if (f->state != TLS_FRAMER_BLIND)
		return 0;
	return decide(f, is_tls ? TLS_FRAMER_SEEKING : TLS_FRAMER_CLEAR, &stamp, sink);
}

int tls_framer_finish(struct tls_framer *f, const struct tls_framer_sink *sink)
{
	struct stamp stamp = f->since;
	int result = 0;

	switch (f->state) {
	case TLS_FRAMER_NEW:
		if (f->held.len > 0)
			result = decide(f, f->held.len >= TLS_RECORD_HEADER ? TLS_FRAMER_TLS : TLS_FRAMER_CLEAR, &stamp,
			                sink);
		break;
	case TLS_FRAMER_BLIND:
		if (f->held.len > 0)
			result = find_chain(f, true, sink);
		if (result == 0)
			result = f->state == TLS_FRAMER_SEEKING ? seek(f, true, &stamp, sink)
			         : f->state == TLS_FRAMER_BLIND ? decide(f, TLS_FRAMER_CLEAR, &stamp, sink)
			                                        : 0;
		break;
	case TLS_FRAMER_SEEKING:
		result = seek(f, true, &f->gap.stamp, sink);
		break;
	case TLS_FRAMER_CLEAR:
	case TLS_FRAMER_TLS:
		break;
	}
	if (result == 0 && f->state != TLS_FRAMER_CLEAR)
		result = tell_gap(f, sink);
	return result;
}

void tls_framer_release(struct tls_framer *f)
{
	forget_leading(f);
	buffer_release(&f->held);
}
