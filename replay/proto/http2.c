/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Each direction is a *lane* of frames (RFC 9113, 4). Payload of DATA goes to its stream's body as it comes; a header
 * block goes to the lane's HPACK decoder (RFC 7541, by nghttp2) as it comes, frame by frame; of all other frames the
 * first few bytes tell all that is needed. Nothing of a frame is kept beyond that. A stream is one exchange; it is told
 * when both sides have ended it, or it was reset, or the connection is over.
 *
 * Holes. A hole within a frame's payload leaves the frames in step. Behind any other the lane is *lost*, until bytes
 * come that are frame headers one after the other, each where the one before it ends (find_place). A hole that may have
 * hit a header block leaves the HPACK decoder without what that block put into its table, as does a recording that
 * began in mid-connection. What is put into the table from then on is known again, for an entry's index counts from the
 * newest; only references beyond those must not be resolved. So a new decoder is given a table full of *unknown* entries
 * at that moment: a field that refers to one of them is told as not known, and one that refers to none of all makes the
 * decoder fail, and begin anew. What is told is never another connection's, or an earlier, header.
 *
 * The decoder takes whatever table size the encoder announces, up to TABLE_MAX, rather than what the other side's
 * SETTINGS allowed: the two lanes need not come in step.
 *
 * Flow control is followed for the connection's window only, and only from its first byte on and without a hole: when it
 * is used up, what other streams have to send waits, whoever is the cause.
 *
 * Bounded: fields and their text, live streams, the table.
 */
#include "replay/proto/http2.h"

#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "map.h"
#include "replay/buffer.h"
#include "replay/proto/http_body.h"
#include "replay/proto/proto.h"

enum {
	FRAME_HEAD = 9,
	WINDOW = 65535,       /* a connection's, at first: RFC 9113, 6.9.2 */
	FRAME_LENGTH = 16384, /* without a SETTINGS that allows more: RFC 9113, 4.2 */
	FIELDS_MAX = 1000,    /* of a header block */
	TEXT_MAX = 256 << 10, /* of their names and values */
	STREAMS_MAX = 4096,
	KEPT_MAX = 16 << 20, /* bytes of names and values, all streams together */
	RESETS_KEPT = 64,
	TABLE_MAX = 1 << 20,
	UNKNOWN_ENTRIES = 124, /* that fill a table of 4096 octets, with a name of one: RFC 7541, 4.1 */
};

enum type {
	DATA = 0,
	HEADERS = 1,
	PRIORITY = 2,
	RST_STREAM = 3,
	SETTINGS = 4,
	PUSH_PROMISE = 5,
	PING = 6,
	GOAWAY = 7,
	WINDOW_UPDATE = 8,
	CONTINUATION = 9,
};

enum flag {
	END_STREAM = 0x01,
	END_HEADERS = 0x04,
	PADDED = 0x08,
	HAS_PRIORITY = 0x20,
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum {
	PREFACE = sizeof preface - 1
};

/* The name of an unknown entry: no field can have it (RFC 9113, 8.2.1). */
static const char unknown_name = '\x01';

/* The fields of a header block. */
struct fields {
	struct buffer text;
	struct field {
		size_t name, value; /* offsets in the text; SIZE_MAX: not known */
	} * list;
	size_t n, room;
	bool unknown; /* one of them, or some that are not there */
	struct http_header *headers;
};

/* One side of a stream. */
struct side {
	struct fields head, trailers;
	struct http_body body;
	bool done;
};

struct stream {
	struct stream *next, **at; /* by age */
	uint32_t id;
	struct http_exchange told;
	struct side request, response;
	size_t kept; /* bytes of names and values */
};

struct lane {
	enum {
		START, /* of the connection */
		HEAD,
		PREFIX,
		PAYLOAD,
		PADDING,
		LOST,
		OFF
	} state;
	uint8_t head[PREFACE];
	size_t n_head;
	uint64_t since; /* wall time of the frame's first byte */
	uint8_t type, flags;
	uint32_t stream;
	uint32_t left;     /* of the payload */
	uint32_t padding;  /* behind it */
	uint8_t prefix[8]; /* what the payload begins with: pad length, priority, promised stream, error code */
	size_t n_prefix, prefix_len;
	nghttp2_hd_inflater *inflater; /* NULL: no header block yet */
	bool table_lost;               /* of the decoder to be made next */
	struct fields block;
	size_t usual_fields, usual_text; /* of the block before: the next one will be like it */
	bool in_block;                   /* CONTINUATION has to follow */
	bool block_broken;               /* the rest of it can't be decoded */
	bool block_ends;                 /* the stream, too */
	bool block_promised;             /* of PUSH_PROMISE */
	uint32_t block_stream;
	uint64_t block_since;
	struct {
		int64_t left;     /* that the other side allows this one to send */
		uint64_t used_up; /* wall time; 0: it is not */
		uint32_t by;      /* stream */
		bool lost;        /* bytes are missing: nobody knows */
	} window;
};

struct http2 {
	struct proto_flow flow;
	struct proto_sink sink;
	struct lane lane[2];
	int client; /* the lane of the client; -1: not known */
	struct map streams;
	struct stream *first, **end; /* the oldest first */
	struct http_bodies bodies;
	size_t kept;                  /* by all streams */
	uint32_t resets[RESETS_KEPT]; /* streams that were reset lately: what still comes on them is no new one */
	size_t n_resets;
};

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static void fields_release(struct fields *f)
{
	buffer_release(&f->text);
	free(f->list);
	free(f->headers);
	*f = (struct fields){0};
}

/* Room for as much at once; without memory there is less. */
static void fields_reserve(struct fields *f, size_t n, size_t text)
{
	f->list = n ? malloc(n * sizeof *f->list) : NULL;
	f->room = f->list ? n : 0;
	f->text.data = text ? malloc(text) : NULL;
	f->text.size = f->text.data ? text : 0;
}

static int add_text(struct fields *f, const uint8_t *text, size_t len, size_t *at)
{
	*at = f->text.len;
	if (buffer_add(&f->text, text, len) < 0 || buffer_add(&f->text, "", 1) < 0)
		return -1;
	for (uint8_t *p = f->text.data + *at; len > 0 && (p = memchr(p, '\0', len)); *p = ' ')
		len = f->text.len - 1 - (size_t)(p - f->text.data); /* RFC 9110, 5.5 */
	return 0;
}

/* NULL: not known. */
static int add_field(struct fields *f, const nghttp2_nv *nv)
{
	struct field *list = f->list;

	if (f->n == f->room) {
		list = realloc(list, (f->room + 16) * sizeof *list);
		if (!list)
			return -1;
		f->list = list;
		f->room += 16;
	}
	list[f->n] = (struct field){.name = SIZE_MAX, .value = SIZE_MAX};
	if (!nv || (nv->namelen == 1 && *nv->name == (uint8_t)unknown_name))
		f->unknown = true;
	else if (add_text(f, nv->name, nv->namelen, &list[f->n].name) < 0)
		return -1;
	if (nv && !(nv->namelen == 1 && *nv->name == (uint8_t)unknown_name && nv->valuelen == 0) &&
	    add_text(f, nv->value, nv->valuelen, &list[f->n].value) < 0)
		return -1;
	f->n++;
	return 0;
}

static const char *text_at(const struct fields *f, size_t at)
{
	return at == SIZE_MAX ? NULL : (const char *)f->text.data + at;
}

/* The value of a pseudo-header field; NULL: none. */
static const char *pseudo(const struct fields *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++) {
		const char *text = text_at(f, f->list[i].name);

		if (text && strcmp(text, name) == 0)
			return text_at(f, f->list[i].value);
	}
	return NULL;
}

/* All but the pseudo-header fields, as headers. 0 or -1. */
static int make_headers(struct fields *f, const struct http_header **headers, size_t *n)
{
	f->headers = calloc(f->n ? f->n : 1, sizeof *f->headers);
	if (!f->headers)
		return -1;
	*headers = f->headers;
	*n = 0;
	for (size_t i = 0; i < f->n; i++) {
		const char *name = text_at(f, f->list[i].name);

		if (!name || *name != ':')
			f->headers[(*n)++] = (struct http_header){.name = name, .value = text_at(f, f->list[i].value)};
	}
	return 0;
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

static void stream_free(struct http2 *h, struct stream *s)
{
	h->kept -= s->kept;
	http_body_end(&s->request.body);
	http_body_end(&s->response.body);
	fields_release(&s->request.head);
	fields_release(&s->request.trailers);
	fields_release(&s->response.head);
	fields_release(&s->response.trailers);
	free(s);
}

/* What the fields say of the exchange. */
static void fill(const struct http2 *h, struct stream *s)
{
	struct http_exchange *x = &s->told;
	const struct fields *request = &s->request.head;
	const char *status;
	bool tls = h->flow.tls->verdict == TLS_VERDICT_TLS || h->flow.tls->verdict == TLS_VERDICT_MIXED;

	x->dir = h->client;
	x->method = pseudo(request, ":method");
	x->target = pseudo(request, ":path");
	x->scheme = pseudo(request, ":scheme");
	x->authority = pseudo(request, ":authority");
	if (!x->authority)
		x->authority = http_header(&x->request, "host");
	if (!x->target && x->method && strcmp(x->method, "CONNECT") == 0)
		x->target = x->authority;
	if (!x->scheme)
		x->scheme = tls ? "https" : "http";
	x->grpc_status = -1;
	x->grpc = (x->request.seen && http_is_grpc(&x->request)) || http_is_grpc(&x->response);
	status = NULL;
	for (size_t i = 0; i < x->response.n_trailers; i++) {
		const struct http_header *trailer = &x->response.trailers[i];

		if (!trailer->name)
			continue;
		if (strcmp(trailer->name, "grpc-status") == 0)
			status = trailer->value;
		else if (strcmp(trailer->name, "grpc-message") == 0)
			x->grpc_message = trailer->value;
	}
	/* An answer without messages may be all in one block. */
	if (!status)
		status = http_header(&x->response, "grpc-status");
	if (!x->grpc_message)
		x->grpc_message = http_header(&x->response, "grpc-message");
	if (status && *status && strlen(status) < 4 && strspn(status, "0123456789") == strlen(status))
		x->grpc_status = atoi(status);
}

/* Tells the exchange, as far as it came, and forgets the stream. */
static void tell(struct http2 *h, struct stream *s)
{
	struct http_exchange *x = &s->told;

	http_body_end(&s->request.body);
	http_body_end(&s->response.body);
	x->complete = x->request.complete && x->response.complete;
	fill(h, s);
	if (x->request.seen || x->response.seen)
		h->sink.http(h->sink.context, x);
	map_take(&h->streams, s->id);
	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
	else
		h->end = s->at;
	stream_free(h, s);
}

static void tell_if_done(struct http2 *h, struct stream *s)
{
	if (s->request.done && s->response.done)
		tell(h, s);
}

/* NULL without memory. */
static struct stream *stream_new(struct http2 *h, uint32_t id)
{
	struct stream *s;

	if (h->streams.used >= STREAMS_MAX)
		tell(h, h->first);
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	if (!map_put(&h->streams, id, s)) {
		free(s);
		return NULL;
	}
	s->id = id;
	s->told.stream = id;
	s->told.version = "HTTP/2";
	s->told.grpc_status = -1;
	s->told.request.grpc_messages = s->told.request.events = -1;
	s->told.response.grpc_messages = s->told.response.events = -1;
	s->at = h->end;
	*h->end = s;
	h->end = &s->next;
	return s;
}

static bool was_reset(const struct http2 *h, uint32_t id)
{
	size_t n = h->n_resets < RESETS_KEPT ? h->n_resets : RESETS_KEPT;

	for (size_t i = 0; i < n; i++)
		if (h->resets[i] == id)
			return true;
	return false;
}

/* The side's last byte was carried. */
static void end_side(struct stream *s, struct side *side, uint64_t wall)
{
	bool is_request = side == &s->request;
	struct http_message *message = is_request ? &s->told.request : &s->told.response;

	side->done = true;
	message->complete = message->seen && message->body_whole && !side->head.unknown && !side->trailers.unknown;
	http_body_end(&side->body);
	if (!is_request)
		s->told.end = wall;
}

static void reset_stream(struct http2 *h, uint32_t id, uint32_t code)
{
	/* RFC 9113, 7 */
	static const char *const names[] = {
	        "NO_ERROR",
	        "PROTOCOL_ERROR",
	        "INTERNAL_ERROR",
	        "FLOW_CONTROL_ERROR",
	        "SETTINGS_TIMEOUT",
	        "STREAM_CLOSED",
	        "FRAME_SIZE_ERROR",
	        "REFUSED_STREAM",
	        "CANCEL",
	        "COMPRESSION_ERROR",
	        "CONNECT_ERROR",
	        "ENHANCE_YOUR_CALM",
	        "INADEQUATE_SECURITY",
	        "HTTP_1_1_REQUIRED",
	};
	struct stream *s = map_get(&h->streams, id);

	if (!s)
		return;
	h->resets[h->n_resets++ % RESETS_KEPT] = id;
	s->told.reset = code < sizeof names / sizeof *names ? names[code] : "unknown";
	tell(h, s);
}

/* ---- header blocks ---------------------------------------------------------------------------------------------- */

/* The decoder of a lane's next header block. 0 or -1. */
static int make_inflater(struct lane *lane)
{
	static const uint8_t entry[] = {0x40, 1, '\x01', 0}; /* RFC 7541, 6.2.1: a new name, and no value */
	nghttp2_nv nv;
	int flags;

	if (nghttp2_hd_inflate_new(&lane->inflater) != 0)
		return -1;
	nghttp2_hd_inflate_change_table_size(lane->inflater, TABLE_MAX);
	for (int i = 0; lane->table_lost && i < UNKNOWN_ENTRIES; i++) {
		if (nghttp2_hd_inflate_hd2(lane->inflater, &nv, &flags, entry, sizeof entry, 1) < 0)
			return -1;
		nghttp2_hd_inflate_end_headers(lane->inflater);
	}
	return 0;
}

static void drop_inflater(struct lane *lane)
{
	if (lane->inflater)
		nghttp2_hd_inflate_del(lane->inflater);
	lane->inflater = NULL;
}

/* What header blocks put into the table is not known any more. */
static void lose_table(struct lane *lane)
{
	drop_inflater(lane);
	lane->table_lost = true;
	lane->block_broken = lane->in_block;
}

/* The next bytes of the block, the last ones if `final`. 0 or -1. */
static int inflate_block(struct lane *lane, const uint8_t *data, size_t len, bool final)
{
	nghttp2_nv nv;
	ssize_t n;
	int flags;

	if (lane->block_broken)
		return 0;
	if (!lane->inflater && make_inflater(lane) < 0)
		return -1;
	do {
		flags = 0;
		n = nghttp2_hd_inflate_hd2(lane->inflater, &nv, &flags, data, len, final);
		if (n == NGHTTP2_ERR_NOMEM)
			return -1;
		if (n < 0) {
			lose_table(lane);
			return 0;
		}
		data += n;
		len -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			if (lane->block.n >= FIELDS_MAX || lane->block.text.len + nv.namelen + nv.valuelen > TEXT_MAX)
				lane->block.unknown = true; /* what is too much is left out */
			else if (add_field(&lane->block, &nv) < 0)
				return -1;
		}
	} while ((len > 0 || flags & NGHTTP2_HD_INFLATE_EMIT) && !(flags & NGHTTP2_HD_INFLATE_FINAL));
	if (final && flags & NGHTTP2_HD_INFLATE_FINAL)
		nghttp2_hd_inflate_end_headers(lane->inflater);
	return 0;
}

static void begin_block(struct lane *lane, uint32_t stream, bool promised)
{
	fields_release(&lane->block);
	fields_reserve(&lane->block, lane->usual_fields, lane->usual_text);
	lane->in_block = true;
	lane->block_broken = false;
	lane->block_ends = lane->type == HEADERS && lane->flags & END_STREAM;
	lane->block_promised = promised;
	lane->block_stream = stream;
	lane->block_since = lane->since;
}

/* Is the lane the client's? By what was learned, else by what the block itself says. -1: nobody knows. */
static int is_client(struct http2 *h, const struct lane *lane)
{
	int me = lane == &h->lane[1];

	if (h->client < 0 && pseudo(&lane->block, ":status"))
		h->client = !me;
	else if (h->client < 0 && pseudo(&lane->block, ":method"))
		h->client = lane->block_promised ? !me : me;
	return h->client < 0 ? -1 : h->client == me;
}

/* The block is complete: a message's head, or its trailers. 0 or -1. */
static int end_block(struct http2 *h, struct lane *lane, uint64_t wall)
{
	struct stream *s = map_get(&h->streams, lane->block_stream);
	struct fields *block = &lane->block;
	struct http_message *message;
	struct side *side;
	const char *status = pseudo(block, ":status");
	int client;
	bool request;

	if (lane->block_broken && add_field(block, NULL) < 0)
		return -1;
	lane->in_block = lane->block_broken = false;
	lane->usual_fields = block->n;
	lane->usual_text = block->text.len;
	client = is_client(h, lane);
	if (client < 0 || was_reset(h, lane->block_stream))
		return 0;
	request = client || lane->block_promised;
	if (!request && status && status[0] == '1') /* interim; the final one is still to come */
		return 0;
	if (!s && !(s = stream_new(h, lane->block_stream)))
		return -1;
	side = request ? &s->request : &s->response;
	message = request ? &s->told.request : &s->told.response;
	if (side->done)
		return 0;
	s->kept += block->text.size;
	h->kept += block->text.size;
	/* What has no pseudo-header field is no head (RFC 9113, 8.3): that one is missing. */
	if (!message->seen && (block->unknown || status || pseudo(block, ":method"))) {
		fields_release(&side->head);
		side->head = *block;
		*block = (struct fields){0};
		if (make_headers(&side->head, &message->headers, &message->n_headers) < 0)
			return -1;
		message->seen = true;
		if (request)
			s->told.start = lane->block_since;
		else
			s->told.first_byte = s->told.end = lane->block_since;
		if (!request && status && strlen(status) == 3)
			s->told.status = atoi(status);
		if (http_body_begin(&side->body, &h->bodies, message) < 0)
			return -1;
	} else if (!side->trailers.headers) {
		side->trailers = *block;
		*block = (struct fields){0};
		if (make_headers(&side->trailers, &message->trailers, &message->n_trailers) < 0)
			return -1;
	}
	if (lane->block_promised) {
		s->told.pushed = true;
		end_side(s, side, wall);
	} else if (lane->block_ends) {
		end_side(s, side, wall);
	}
	tell_if_done(h, s);
	while (h->kept > KEPT_MAX)
		tell(h, h->first);
	return 0;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t frame_length(const uint8_t *p)
{
	return get32(p) >> 8;
}

/* Could these nine bytes head a frame? */
static bool is_frame(const uint8_t *p)
{
	static const uint8_t flags[] = {
	        [DATA] = 0x09,         [HEADERS] = 0x2d, [SETTINGS] = 0x01,
	        [PUSH_PROMISE] = 0x0c, [PING] = 0x01,    [CONTINUATION] = 0x04,
	};
	uint32_t length = frame_length(p), stream = get32(p + 5);

	if (length > FRAME_LENGTH || p[3] > CONTINUATION || p[4] & ~flags[p[3]] || stream >> 31)
		return false;
	switch (p[3]) {
	case PRIORITY:
		return stream && length == 5;
	case RST_STREAM:
		return stream && length == 4;
	case SETTINGS:
		return !stream && length % 6 == 0 && (!p[4] || !length);
	case PING:
		return !stream && length == 8;
	case GOAWAY:
		return !stream && length >= 8;
	case WINDOW_UPDATE:
		return length == 4;
	default:
		return stream != 0;
	}
}

/* How many frames follow one another from here on; *whole: the last one ends where the bytes do. */
static unsigned count_frames(const uint8_t *data, size_t len, bool *whole)
{
	unsigned n = 0;
	size_t at = 0;

	while (len - at >= FRAME_HEAD && is_frame(data + at)) {
		n++;
		if (len - at < FRAME_HEAD + (size_t)frame_length(data + at)) {
			*whole = false;
			return n;
		}
		at += FRAME_HEAD + (size_t)frame_length(data + at);
	}
	*whole = at == len;
	/* What is no frame behind some that are: those are none either. */
	return at == len || len - at < FRAME_HEAD ? n : 0;
}

/* Where in the piece frames begin for sure; -1: nowhere. */
static int64_t find_place(const uint8_t *data, size_t len)
{
	bool whole;

	for (size_t at = 0; at + FRAME_HEAD <= len; at++) {
		unsigned n;

		if (data[at] || !is_frame(data + at))
			continue;
		n = count_frames(data + at, len - at, &whole);
		if (n >= 3 || (whole && n >= (at ? 2u : 1u)))
			return (int64_t)at;
	}
	return -1;
}

/* The lane's place in the frames is lost, and with it what header blocks said. */
static void lose(struct http2 *h, struct lane *lane)
{
	bool mine = &h->lane[h->client == 1] == lane;

	if (lane->state != LOST)
		for (struct stream *s = h->first; s; s = s->next)
			if (h->client < 0 || mine)
				http_body_lost(&s->request.body);
	if (lane->state != LOST)
		for (struct stream *s = h->first; s; s = s->next)
			if (h->client < 0 || !mine)
				http_body_lost(&s->response.body);
	/* What one lane lacks, the other's window lacks. */
	h->lane[0].window.lost = h->lane[1].window.lost = true;
	lane->in_block = false;
	lose_table(lane);
	lane->state = LOST;
	lane->n_head = 0;
}

/* A DATA frame was sent. */
static void use_window(struct lane *lane, uint64_t wall)
{
	if (lane->window.left > 0 || lane->window.used_up || lane->window.lost)
		return;
	lane->window.used_up = wall;
	lane->window.by = lane->stream;
}

/* The lane may send more. What its streams had to send has waited. */
static void open_window(struct http2 *h, struct lane *lane, uint32_t increment, uint64_t wall)
{
	uint64_t from = lane->window.used_up;

	lane->window.left += increment;
	if (!from || lane->window.left <= 0)
		return;
	lane->window.used_up = 0;
	for (struct stream *s = h->first; s && h->client == (lane == &h->lane[0]) && !lane->window.lost; s = s->next) {
		uint64_t since = s->told.first_byte > from ? s->told.first_byte : from;

		if (s->id == lane->window.by || !s->told.response.seen || s->response.done || wall <= since)
			continue;
		s->told.blocked += wall - since;
		s->told.blocked_by = lane->window.by;
	}
}

/* Bytes of a DATA frame; data NULL: a hole. 0 or -1. */
static int take_data(struct http2 *h, struct lane *lane, const uint8_t *data, size_t len, uint64_t wall)
{
	struct stream *s = map_get(&h->streams, lane->stream);
	bool request = h->client == (lane == &h->lane[1]);
	struct side *side;

	if (!s || h->client < 0 || len == 0)
		return 0;
	side = request ? &s->request : &s->response;
	if (side->done)
		return 0;
	if (!side->body.message) {
		/* Its head is missing. */
		if (http_body_begin(&side->body, &h->bodies, request ? &s->told.request : &s->told.response) < 0)
			return -1;
		http_body_lost(&side->body);
	}
	if (!request)
		s->told.end = wall;
	return http_body_feed(&side->body, data, len);
}

static void end_data(struct http2 *h, struct lane *lane, uint64_t wall)
{
	struct stream *s = map_get(&h->streams, lane->stream);
	bool request = h->client == (lane == &h->lane[1]);

	if (!s || h->client < 0 || !(lane->flags & END_STREAM))
		return;
	if (!(request ? &s->request : &s->response)->done)
		end_side(s, request ? &s->request : &s->response, wall);
	tell_if_done(h, s);
}

/* Streams of the other side that this one will not answer: RFC 9113, 6.8. */
static void on_goaway(struct http2 *h, const struct lane *lane)
{
	uint32_t last = get32(lane->prefix) & INT32_MAX, code = get32(lane->prefix + 4);
	bool from_client = h->client == (lane == &h->lane[1]);
	struct stream *s, *next;

	if (h->client < 0)
		return;
	for (s = h->first; s; s = next) {
		next = s->next;
		if (s->id > last && (s->id % 2 == 0) == from_client && !s->told.response.seen)
			reset_stream(h, s->id, code);
	}
}

/* The frame's head is known. False: that is no frame. */
static bool begin_frame(struct lane *lane)
{
	const uint8_t *p = lane->head;

	lane->left = frame_length(p);
	lane->type = p[3];
	lane->flags = p[4];
	lane->stream = get32(p + 5) & INT32_MAX;
	lane->padding = 0;
	lane->n_head = lane->n_prefix = lane->prefix_len = 0;
	if (lane->in_block && (lane->type != CONTINUATION || lane->stream != lane->block_stream))
		return false;
	switch (lane->type) {
	case DATA:
		lane->prefix_len = lane->flags & PADDED ? 1 : 0;
		lane->window.left -= lane->left;
		break;
	case HEADERS:
		lane->prefix_len = (lane->flags & PADDED ? 1u : 0) + (lane->flags & HAS_PRIORITY ? 5u : 0);
		break;
	case PUSH_PROMISE:
		lane->prefix_len = (lane->flags & PADDED ? 1u : 0) + 4;
		break;
	case RST_STREAM:
	case WINDOW_UPDATE:
		lane->prefix_len = 4;
		break;
	case GOAWAY:
		lane->prefix_len = 8;
		break;
	case CONTINUATION:
		if (!lane->in_block) {
			/* Its beginning is missing. */
			if (!lane->table_lost)
				return false;
			begin_block(lane, lane->stream, false);
			lane->block_broken = true;
		}
		break;
	default:
		break;
	}
	if (lane->prefix_len > lane->left)
		return false;
	lane->left -= (uint32_t)lane->prefix_len;
	lane->state = PREFIX;
	return true;
}

/* What the payload begins with is known. False: that is no frame. */
static bool end_prefix(struct http2 *h, struct lane *lane)
{
	bool padded = lane->flags & PADDED;

	if (padded && (lane->type == DATA || lane->type == HEADERS || lane->type == PUSH_PROMISE)) {
		lane->padding = lane->prefix[0];
		if (lane->padding > lane->left)
			return false;
		lane->left -= lane->padding;
	}
	if (lane->type == HEADERS)
		begin_block(lane, lane->stream, false);
	else if (lane->type == PUSH_PROMISE)
		begin_block(lane, get32(lane->prefix + padded) & INT32_MAX, true);
	else if (lane->type == RST_STREAM)
		reset_stream(h, lane->stream, get32(lane->prefix));
	else if (lane->type == GOAWAY)
		on_goaway(h, lane);
	else if (lane->type == WINDOW_UPDATE && lane->stream == 0)
		open_window(h, &h->lane[lane == &h->lane[0]], get32(lane->prefix) & INT32_MAX, lane->since);
	lane->state = PAYLOAD;
	return true;
}

static bool is_block(const struct lane *lane)
{
	return lane->type == HEADERS || lane->type == PUSH_PROMISE || lane->type == CONTINUATION;
}

/* Goes on where nothing more is to come of a part of the frame. 0 or -1. */
static int step(struct http2 *h, struct lane *lane, uint64_t wall)
{
	if (lane->state == PREFIX && lane->n_prefix == lane->prefix_len && !end_prefix(h, lane)) {
		lose(h, lane);
		return 0;
	}
	if (lane->state == PAYLOAD && lane->left == 0)
		lane->state = PADDING;
	if (lane->state != PADDING || lane->padding > 0)
		return 0;
	lane->state = HEAD;
	if (lane->type == DATA) {
		use_window(lane, wall);
		end_data(h, lane, wall);
	}
	if (!is_block(lane) || !(lane->flags & END_HEADERS))
		return 0;
	return inflate_block(lane, lane->head, 0, true) < 0 || end_block(h, lane, wall) < 0 ? -1 : 0;
}

static size_t collect(uint8_t *to, size_t *n, size_t want, const uint8_t *data, size_t len)
{
	size_t take = want - *n < len ? want - *n : len;

	memcpy(to + *n, data, take);
	*n += take;
	return take;
}

/* The connection's first bytes: the client's preface, or a frame. */
static size_t feed_start(struct http2 *h, struct lane *lane, const uint8_t *data, size_t len)
{
	size_t n = collect(lane->head, &lane->n_head, PREFACE, data, len);

	if (memcmp(lane->head, preface, lane->n_head) == 0) {
		if (lane->n_head == PREFACE) {
			h->client = lane == &h->lane[1];
			lane->state = HEAD;
			lane->n_head = 0;
		}
		return n;
	}
	if (lane->n_head - n > 0) { /* neither this nor that */
		lane->state = OFF;
		return n;
	}
	lane->n_head = 0;
	lane->state = h->flow.preopened ? LOST : HEAD;
	lane->table_lost = h->flow.preopened;
	return 0;
}

static int feed(struct http2 *h, struct lane *lane, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	int result = 0;
	size_t n;

	while (len > 0 && result == 0) {
		if (lane->state == START) {
			n = feed_start(h, lane, data, len);
		} else if (lane->state == LOST) {
			int64_t at = find_place(data, len);

			if (at < 0)
				return 0;
			n = (size_t)at;
			lane->state = HEAD;
		} else if (lane->state == HEAD) {
			if (lane->n_head == 0)
				lane->since = stamp->wall;
			n = collect(lane->head, &lane->n_head, FRAME_HEAD, data, len);
			if (lane->n_head == FRAME_HEAD) {
				if (!begin_frame(lane)) {
					lose(h, lane);
					return 0;
				}
				result = step(h, lane, stamp->wall);
			}
		} else if (lane->state == PREFIX) {
			n = collect(lane->prefix, &lane->n_prefix, lane->prefix_len, data, len);
			result = step(h, lane, stamp->wall);
		} else if (lane->state == PAYLOAD) {
			n = lane->left < len ? lane->left : len;
			if (lane->type == DATA)
				result = take_data(h, lane, data, n, stamp->wall);
			else if (is_block(lane))
				result = inflate_block(lane, data, n, false);
			lane->left -= (uint32_t)n;
			if (result == 0)
				result = step(h, lane, stamp->wall);
		} else if (lane->state == PADDING) {
			n = lane->padding < len ? lane->padding : len;
			lane->padding -= (uint32_t)n;
			result = step(h, lane, stamp->wall);
		} else {
			return 0;
		}
		data += n;
		len -= n;
		if (lane->state == LOST && n > 0)
			return result; /* what follows is no piece's beginning */
	}
	return result;
}

static int feed_hole(struct http2 *h, struct lane *lane, uint64_t len, const struct stamp *stamp)
{
	bool known = len > 0;
	int result = 0;
	uint32_t n;

	while (known && len > 0 && result == 0 && (lane->state == PAYLOAD || lane->state == PADDING)) {
		if (lane->state == PAYLOAD) {
			n = lane->left < len ? lane->left : (uint32_t)len;
			if (lane->type == DATA)
				result = take_data(h, lane, NULL, n, stamp->wall);
			else if (is_block(lane))
				lose_table(lane);
			lane->left -= n;
		} else {
			n = lane->padding < len ? lane->padding : (uint32_t)len;
			lane->padding -= n;
		}
		len -= n;
		if (result == 0)
			result = step(h, lane, stamp->wall);
	}
	if (lane->state != OFF && (!known || len > 0))
		lose(h, lane);
	return result;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static enum proto_guess http2_guess(const uint8_t *data, size_t len, bool middle)
{
	bool whole;

	if (memcmp(data, preface, len < PREFACE ? len : PREFACE) == 0)
		return len >= PREFACE ? PROTO_YES : middle ? PROTO_NO : PROTO_MAYBE;
	if (middle)
		return len >= FRAME_HEAD && is_frame(data) && find_place(data, len) == 0 ? PROTO_YES : PROTO_NO;
	/* A server begins with SETTINGS. */
	if (len < FRAME_HEAD)
		return data[0] == 0 && (len < 4 || data[3] == SETTINGS) ? PROTO_MAYBE : PROTO_NO;
	whole = is_frame(data) && data[3] == SETTINGS && data[4] == 0;
	return whole ? PROTO_YES : PROTO_NO;
}

static void *http2_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct http2 *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->flow = *flow;
	h->sink = *sink;
	h->bodies.decode = sink->content;
	h->bodies.digest = sink->digests;
	h->end = &h->first;
	h->client = -1;
	for (int i = 0; i < 2; i++) {
		h->lane[i].window.left = WINDOW;
		h->lane[i].window.lost = flow->preopened;
	}
	return h;
}

static int copy_field(struct fields *f, const char *name, const char *value)
{
	const nghttp2_nv nv = {.name = (uint8_t *)(uintptr_t)name,
	                       .value = (uint8_t *)(uintptr_t)value,
	                       .namelen = strlen(name),
	                       .valuelen = value ? strlen(value) : 0};

	return value ? add_field(f, &nv) : 0;
}

static void http2_free(void *state);

void *http2_open_upgraded(const struct proto_flow *flow, const struct proto_sink *sink, int client,
                          const struct http_exchange *request)
{
	struct http2 *h = http2_open(flow, sink);
	struct stream *s = h ? stream_new(h, 1) : NULL;
	const struct http_message *from = &request->request;
	struct fields *f;
	int result;

	if (!s)
		goto fail;
	h->client = client;
	f = &s->request.head;
	result = copy_field(f, ":method", request->method) + copy_field(f, ":path", request->target) +
	         copy_field(f, ":authority", request->authority);
	for (size_t i = 0; i < from->n_headers && result == 0; i++)
		result = copy_field(f, from->headers[i].name, from->headers[i].value);
	if (result < 0 || make_headers(f, &s->told.request.headers, &s->told.request.n_headers) < 0)
		goto fail;
	s->told.request.seen = from->seen;
	s->told.request.complete = from->complete;
	s->told.request.body_bytes = from->body_bytes;
	s->told.request.body_whole = from->body_whole;
	memcpy(s->told.request.body_sha256, from->body_sha256, sizeof from->body_sha256);
	s->told.request.content = from->content;
	s->told.start = request->start;
	s->request.done = true;
	return h;
fail:
	http2_free(h);
	return NULL;
}

static int http2_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct http2 *h = state;

	return data ? feed(h, &h->lane[dir], data, len, stamp) : feed_hole(h, &h->lane[dir], len, stamp);
}

static int http2_finish(void *state, bool closed)
{
	struct http2 *h = state;

	(void)closed;
	while (h->first)
		tell(h, h->first);
	return 0;
}

static void http2_free(void *state)
{
	struct http2 *h = state;
	struct stream *s;

	if (!h)
		return;
	while ((s = h->first)) {
		h->first = s->next;
		stream_free(h, s);
	}
	for (int i = 0; i < 2; i++) {
		drop_inflater(&h->lane[i]);
		fields_release(&h->lane[i].block);
	}
	http_bodies_release(&h->bodies);
	map_release(&h->streams);
	free(h);
}

const struct proto proto_http2 = {
        .name = "http/2",
        .guess = http2_guess,
        .open = http2_open,
        .feed = http2_feed,
        .finish = http2_finish,
        .free = http2_free,
};
