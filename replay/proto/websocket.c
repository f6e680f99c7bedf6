/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Frames (RFC 6455, 5.2) in each direction, payload unmasked and, if its first frame says so, inflated as it comes (RFC
 * 7692). A message's frames may have control frames between them, so a lane has one of each at hand. Of the payload the
 * first bytes are kept, the rest is counted: what a small message inflates to takes time in proportion to what it was,
 * and no memory.
 *
 * A hole within a payload costs that message, and with context takeover all compressed ones behind it in this
 * direction, for they may refer to what is missing: they are counted, but not decoded. Behind any other hole the lane is
 * lost until a piece is a row of at least two frames from its beginning to its end.
 */
#include "replay/proto/websocket.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "replay/buffer.h"
#include "replay/proto/http_body.h"
#include "replay/proto/proto.h"

enum {
	HEAD_MAX = 14,
	CONTROL_MAX = 125, /* payload of a control frame: RFC 6455, 5.5 */
};

/* A message that is on its way. */
struct pending {
	bool begun;
	struct websocket_message told;
	struct buffer data;
	bool hole;
};

struct lane {
	enum {
		HEAD,
		PAYLOAD,
		LOST,
		OFF
	} state;
	uint8_t head[HEAD_MAX];
	size_t n_head;
	uint64_t since;
	bool fin;
	bool masked;
	uint8_t mask[4];
	uint64_t at, left; /* in the payload of the frame at hand */
	struct pending message, control, *now;
	bool takeover;   /* each message's compression builds on the one before */
	bool no_inflate; /* it can't be decoded any more */
	z_stream inflater;
	bool inflater_made;
};

struct websocket {
	struct proto_sink sink;
	char *authority, *path;
	bool deflate;
	struct lane lane[2];
};

/* ---- messages --------------------------------------------------------------------------------------------------- */

static int keep(struct pending *m, const uint8_t *data, size_t len)
{
	size_t room = WEBSOCKET_DATA_MAX - m->data.len;

	m->told.bytes += len;
	return buffer_add(&m->data, data, len < room ? len : room);
}

/* 0 or -1. */
static int inflate_payload(struct lane *lane, struct pending *m, const uint8_t *data, size_t len)
{
	uint8_t out[4096];
	z_stream *z = &lane->inflater;
	int result;

	if (!lane->inflater_made) {
		memset(z, 0, sizeof *z);
		if (inflateInit2(z, -15) != Z_OK)
			return -1;
		lane->inflater_made = true;
	}
	z->next_in = (Bytef *)(uintptr_t)data;
	z->avail_in = (uInt)len;
	do {
		z->next_out = out;
		z->avail_out = sizeof out;
		result = inflate(z, Z_SYNC_FLUSH);
		if (result == Z_MEM_ERROR)
			return -1;
		if (keep(m, out, sizeof out - z->avail_out) < 0)
			return -1;
		if (result == Z_STREAM_END) /* a final block: RFC 7692, 7.2.3.4 */
			inflateReset(z);
		else if (result != Z_OK && result != Z_BUF_ERROR) {
			m->told.decoded = false;
			lane->no_inflate = lane->takeover;
			inflateReset(z);
			return 0;
		}
	} while (z->avail_in > 0 || z->avail_out == 0);
	return 0;
}

static void end_message(struct websocket *w, struct lane *lane, struct pending *m, bool complete, uint64_t wall)
{
	struct websocket_message *told = &m->told;

	if (!m->begun)
		return;
	told->complete = complete && !m->hole;
	told->path = w->path;
	told->authority = w->authority;
	told->dir = lane == &w->lane[1];
	told->end = wall;
	if (told->decoded) {
		told->data = m->data.data;
		told->len = m->data.len;
	} else {
		told->bytes = 0;
	}
	if (told->opcode == WEBSOCKET_CLOSE && told->decoded && told->len >= 2)
		told->close_code = told->data[0] << 8 | told->data[1];
	if (w->sink.websocket)
		w->sink.websocket(w->sink.context, told);
	buffer_release(&m->data);
	*m = (struct pending){0};
}

/* Everything that is on its way will not become more. */
static void lose(struct websocket *w, struct lane *lane)
{
	struct pending *m = &lane->message;

	end_message(w, lane, m, false, m->told.end);
	end_message(w, lane, &lane->control, false, lane->control.told.end);
	lane->no_inflate |= lane->takeover && w->deflate;
	lane->state = LOST;
	lane->n_head = 0;
}

static int take_payload(struct lane *lane, const uint8_t *data, size_t len, uint64_t wall)
{
	struct pending *m = lane->now;
	uint8_t clear[1024];

	m->told.wire_bytes += len;
	m->told.end = wall;
	if (!data) {
		m->hole = true;
		m->told.decoded = false;
		lane->no_inflate |= m->told.compressed && lane->takeover;
		lane->at += len;
		return 0;
	}
	while (len > 0 && m->told.decoded) {
		size_t n = len < sizeof clear ? len : sizeof clear;
		int result;

		for (size_t i = 0; i < n; i++)
			clear[i] = lane->masked ? data[i] ^ lane->mask[(lane->at + i) % 4] : data[i];
		result = m->told.compressed ? inflate_payload(lane, m, clear, n) : keep(m, clear, n);
		if (result < 0)
			return -1;
		lane->at += n;
		data += n;
		len -= n;
	}
	lane->at += len;
	return 0;
}

static int end_frame(struct websocket *w, struct lane *lane, uint64_t wall)
{
	static const uint8_t tail[] = {0, 0, 0xff, 0xff}; /* what the sender took off: RFC 7692, 7.2.1 */
	struct pending *m = lane->now;

	lane->state = HEAD;
	if (!lane->fin)
		return 0;
	if (m->told.compressed && m->told.decoded && inflate_payload(lane, m, tail, sizeof tail) < 0)
		return -1;
	if (m->told.compressed && !lane->takeover && lane->inflater_made)
		inflateReset(&lane->inflater);
	end_message(w, lane, m, true, wall);
	return 0;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

/* How long the head is that begins with these two bytes. */
static size_t head_length(const uint8_t *p)
{
	size_t n = 2 + (p[1] & 0x80 ? 4 : 0);

	return n + ((p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0);
}

static uint64_t payload_length(const uint8_t *p)
{
	uint64_t n = 0;
	size_t bytes = (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0;

	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | p[2 + i];
	return bytes ? n : p[1] & 0x7f;
}

/* Could these bytes, a whole head, be one? */
static bool is_frame(const struct websocket *w, const uint8_t *p)
{
	unsigned opcode = p[0] & 0x0f;
	bool control = opcode >= WEBSOCKET_CLOSE;

	if (p[0] & 0x30 || (p[0] & 0x40 && !w->deflate) || (opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE) ||
	    opcode > WEBSOCKET_PONG)
		return false;
	return control ? p[0] & 0x80 && (p[1] & 0x7f) <= CONTROL_MAX && !(p[0] & 0x40) : payload_length(p) < 1ull << 40;
}

/* Is the piece nothing but frames, and more than one? Then the lane has found its place. */
static bool find_place(const struct websocket *w, const uint8_t *data, size_t len)
{
	size_t n = 0;

	while (len >= 2 && len >= head_length(data) && is_frame(w, data)) {
		uint64_t whole = head_length(data) + payload_length(data);

		if (whole > len)
			return false;
		data += whole;
		len -= whole;
		n++;
	}
	return len == 0 && n >= 2;
}

/* False: that is no frame. */
static bool begin_frame(const struct websocket *w, struct lane *lane)
{
	const uint8_t *p = lane->head;
	unsigned opcode = p[0] & 0x0f;
	struct pending *m = opcode >= WEBSOCKET_CLOSE ? &lane->control : &lane->message;

	if (!is_frame(w, p))
		return false;
	if (opcode != WEBSOCKET_CONTINUATION && m->begun)
		return false;
	lane->fin = p[0] & 0x80;
	lane->masked = p[1] & 0x80;
	if (lane->masked)
		memcpy(lane->mask, p + lane->n_head - 4, 4);
	lane->at = 0;
	lane->left = payload_length(p);
	lane->n_head = 0;
	lane->now = m;
	if (!m->begun) {
		/* A continuation of nothing: the beginning is missing. */
		m->hole = opcode == WEBSOCKET_CONTINUATION;
		m->begun = true;
		m->told = (struct websocket_message){.opcode = opcode,
		                                     .from_client = lane->masked,
		                                     .compressed = p[0] & 0x40,
		                                     .start = lane->since,
		                                     .end = lane->since};
		m->told.decoded = !m->hole && !(m->told.compressed && lane->no_inflate);
	}
	m->told.frames++;
	lane->state = PAYLOAD;
	return true;
}

static int feed(struct websocket *w, struct lane *lane, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	int result = 0;
	size_t n, want;

	if (lane->state == LOST) {
		if (!find_place(w, data, len))
			return 0;
		lane->state = HEAD;
	}
	while (len > 0 && result == 0 && lane->state < LOST) {
		if (lane->state == HEAD) {
			if (lane->n_head == 0)
				lane->since = stamp->wall;
			lane->head[lane->n_head++] = *data;
			n = 1;
			want = lane->n_head < 2 ? 2 : head_length(lane->head);
			if (lane->n_head == want && want >= 2 && lane->n_head == head_length(lane->head)) {
				if (!begin_frame(w, lane)) {
					lose(w, lane);
					return 0;
				}
				if (lane->left == 0)
					result = end_frame(w, lane, stamp->wall);
			}
		} else {
			n = lane->left < len ? (size_t)lane->left : len;
			result = take_payload(lane, data, n, stamp->wall);
			lane->left -= n;
			if (result == 0 && lane->left == 0)
				result = end_frame(w, lane, stamp->wall);
		}
		data += n;
		len -= n;
	}
	return result;
}

static int feed_hole(struct websocket *w, struct lane *lane, uint64_t len, const struct stamp *stamp)
{
	if (lane->state == PAYLOAD && len > 0 && len <= lane->left) {
		if (take_payload(lane, NULL, len, stamp->wall) < 0)
			return -1;
		lane->left -= len;
		return lane->left == 0 ? end_frame(w, lane, stamp->wall) : 0;
	}
	if (lane->state < LOST)
		lose(w, lane);
	return 0;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static void websocket_free(void *state)
{
	struct websocket *w = state;

	if (!w)
		return;
	for (int i = 0; i < 2; i++) {
		buffer_release(&w->lane[i].message.data);
		buffer_release(&w->lane[i].control.data);
		if (w->lane[i].inflater_made)
			inflateEnd(&w->lane[i].inflater);
	}
	free(w->authority);
	free(w->path);
	free(w);
}

void *websocket_open(const struct proto_flow *flow, const struct proto_sink *sink, const char *authority,
                     const char *path, const char *extensions)
{
	struct websocket *w = calloc(1, sizeof *w);

	(void)flow;
	if (!w)
		return NULL;
	w->sink = *sink;
	if ((authority && !(w->authority = strdup(authority))) || (path && !(w->path = strdup(path)))) {
		websocket_free(w);
		return NULL;
	}
	w->deflate = http_list_has(extensions, "permessage-deflate");
	/* Which lane is the client's is not known here; a context that is given up is no loss where it is not. */
	for (int i = 0; i < 2; i++)
		w->lane[i].takeover = !extensions || !strstr(extensions, "client_no_context_takeover") ||
		                      !strstr(extensions, "server_no_context_takeover");
	return w;
}

static int websocket_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct websocket *w = state;

	return data ? feed(w, &w->lane[dir], data, len, stamp) : feed_hole(w, &w->lane[dir], len, stamp);
}

static int websocket_finish(void *state, bool closed)
{
	struct websocket *w = state;

	(void)closed;
	for (int i = 0; i < 2; i++)
		lose(w, &w->lane[i]);
	return 0;
}

const struct proto proto_websocket = {
        .name = "websocket",
        .feed = websocket_feed,
        .finish = websocket_finish,
        .free = websocket_free,
};
