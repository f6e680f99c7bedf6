/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Messages (RFC 1035, 4) are datagrams, or stand behind their length in a byte stream. A query waits for the response
 * with its id, name and type, and of an unconnected socket with its peer; one that is sent again begins anew. What is
 * no well-formed query or response is no DNS: a datagram flow whose first ones are none is left alone.
 *
 * In a stream, a hole within a message costs that message. Behind any other hole the direction is lost until a piece
 * begins with a well-formed message.
 */
#include "replay/proto/dns.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/buffer.h"
#include "replay/proto/proto.h"

enum {
	HEAD = 12,
	WIRE_NAME_MAX = 255,
	POINTERS_MAX = 64,
	PENDING_MAX = 1000,
	FOREIGN_MAX = 16, /* datagrams without a message, before the flow is left alone */
	OPT = 41,
};

struct query {
	struct query *next;
	struct dns_exchange told;
	char name[DNS_NAME_MAX];
	struct fdtape_address peer;
};

struct lane {
	struct buffer message; /* stream: length and message so far */
	bool lost;
	bool hole;
};

struct dns {
	struct proto_flow flow;
	struct proto_sink sink;
	struct lane lane[2];
	struct query *first, **end;
	size_t n;
	unsigned foreign; /* UINT_MAX: there was a message */
};

/* ---- words ------------------------------------------------------------------------------------------------------ */

const char *dns_type(char out[static 16], uint16_t type)
{
	static const struct {
		uint16_t number;
		const char *name;
	} types[] = {
	        {1, "A"},     {2, "NS"},     {5, "CNAME"},  {6, "SOA"},    {12, "PTR"},    {13, "HINFO"}, {15, "MX"},
	        {16, "TXT"},  {28, "AAAA"},  {29, "LOC"},   {33, "SRV"},   {35, "NAPTR"},  {39, "DNAME"}, {41, "OPT"},
	        {43, "DS"},   {44, "SSHFP"}, {46, "RRSIG"}, {47, "NSEC"},  {48, "DNSKEY"}, {50, "NSEC3"}, {52, "TLSA"},
	        {64, "SVCB"}, {65, "HTTPS"}, {99, "SPF"},   {251, "IXFR"}, {252, "AXFR"},  {255, "ANY"},  {257, "CAA"},
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].number == type)
			return types[i].name;
	snprintf(out, 16, "TYPE%u", (unsigned)type);
	return out;
}

const char *dns_class(char out[static 16], uint16_t number)
{
	if (number == 1)
		return "IN";
	if (number == 3)
		return "CH";
	if (number == 255)
		return "ANY";
	snprintf(out, 16, "CLASS%u", (unsigned)number);
	return out;
}

const char *dns_rcode(char out[static 16], int rcode)
{
	static const char *const names[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
	                                    "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};

	if (rcode >= 0 && (size_t)rcode < sizeof names / sizeof *names)
		return names[rcode];
	if (rcode == 16)
		return "BADVERS";
	snprintf(out, 16, "RCODE%d", rcode);
	return out;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* A label's byte in presentation form: RFC 1035, 5.1. */
static size_t put_byte(char *out, uint8_t c)
{
	if (c == '.' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c > ' ' && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	return (size_t)snprintf(out, 5, "\\%03u", (unsigned)c);
}

/* The name at *at, which moves behind it. False: it is not well formed. */
static bool take_name(const uint8_t *data, size_t len, size_t *at, char out[static DNS_NAME_MAX])
{
	size_t p = *at, total = 0, n = 0, pointers = 0;
	bool jumped = false;

	for (;;) {
		uint8_t size;

		if (p >= len)
			return false;
		size = data[p++];
		if (size >= 0xc0) {
			if (p >= len || ++pointers > POINTERS_MAX)
				return false;
			if (!jumped)
				*at = p + 1;
			jumped = true;
			p = (size_t)(size & 0x3f) << 8 | data[p];
			continue;
		}
		if (size > 63 || size > len - p || (total += size + 1u) > WIRE_NAME_MAX)
			return false;
		if (size == 0)
			break;
		for (size_t i = 0; i < size; i++)
			n += put_byte(out + n, data[p++]);
		out[n++] = '.';
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	if (!jumped)
		*at = p;
	return true;
}

static void put_address6(char *out, const uint8_t *p)
{
	int best = -1, best_len = 1;
	size_t n = 0;

	/* RFC 5952: the first of the longest runs of zeros. */
	for (int i = 0; i < 8; i++) {
		int run = 0;

		while (i + run < 8 && get16(p + 2 * (i + run)) == 0)
			run++;
		if (run > best_len) {
			best = i;
			best_len = run;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			n += (size_t)snprintf(out + n, DNS_DATA_MAX - n, "::");
			i += best_len - 1;
			continue;
		}
		n += (size_t)snprintf(out + n, DNS_DATA_MAX - n, "%s%x", n > 0 && out[n - 1] != ':' ? ":" : "",
		                      (unsigned)get16(p + 2 * i));
	}
}

/* RFC 3597: what is not known in detail. */
static void put_generic(char *out, const uint8_t *p, size_t len)
{
	size_t n = (size_t)snprintf(out, DNS_DATA_MAX, "\\# %zu ", len);

	for (size_t i = 0; i < len && n + 3 < DNS_DATA_MAX; i++)
		n += (size_t)snprintf(out + n, DNS_DATA_MAX - n, "%02x", (unsigned)p[i]);
	if (len == 0)
		out[n - 1] = '\0';
}

static void put_texts(char *out, const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (len > 0 && n + 8 < DNS_DATA_MAX) {
		size_t size = *p++;

		len--;
		if (size > len)
			size = len;
		if (n > 0)
			out[n++] = ' ';
		out[n++] = '"';
		for (size_t i = 0; i < size && n + 8 < DNS_DATA_MAX; i++) {
			if (p[i] == '"' || p[i] == '\\') {
				out[n++] = '\\';
				out[n++] = (char)p[i];
			} else if (p[i] >= ' ' && p[i] < 0x7f) {
				out[n++] = (char)p[i];
			} else {
				n += (size_t)snprintf(out + n, 5, "\\%03u", (unsigned)p[i]);
			}
		}
		out[n++] = '"';
		p += size;
		len -= size;
	}
	out[n] = '\0';
}

/* A record's data, in presentation form. */
static void put_data(char out[static DNS_DATA_MAX], uint16_t type, const uint8_t *data, size_t len, size_t at,
                     size_t size)
{
	char name[DNS_NAME_MAX], second[DNS_NAME_MAX];
	const uint8_t *p = data + at;
	size_t end = at + size;

	switch (type) {
	case 1:
		if (size == 4) {
			snprintf(out, DNS_DATA_MAX, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
			return;
		}
		break;
	case 28:
		if (size == 16) {
			put_address6(out, p);
			return;
		}
		break;
	case 2:
	case 5:
	case 12:
	case 39:
		if (take_name(data, len, &at, name) && at == end) {
			snprintf(out, DNS_DATA_MAX, "%s", name);
			return;
		}
		break;
	case 15:
		at += 2;
		if (size > 2 && take_name(data, len, &at, name) && at == end) {
			snprintf(out, DNS_DATA_MAX, "%u %.1000s", (unsigned)get16(p), name);
			return;
		}
		break;
	case 33:
		at += 6;
		if (size > 6 && take_name(data, len, &at, name) && at == end) {
			snprintf(out, DNS_DATA_MAX, "%u %u %u %.1000s", (unsigned)get16(p), (unsigned)get16(p + 2),
			         (unsigned)get16(p + 4), name);
			return;
		}
		break;
	case 6:
		if (take_name(data, len, &at, name) && take_name(data, len, &at, second) && at <= end &&
		    end - at == 20) {
			p = data + at;
			snprintf(out, DNS_DATA_MAX,
			         "%.450s %.450s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, name, second,
			         get32(p), get32(p + 4), get32(p + 8), get32(p + 12), get32(p + 16));
			return;
		}
		break;
	case 16:
	case 99:
		put_texts(out, p, size);
		return;
	default:
		break;
	}
	put_generic(out, data + end - size, size);
}

/* The head and the one question of a message. False: that is no DNS, or not of a kind that is told. */
static bool read_question(const uint8_t *data, size_t len, struct dns_exchange *x, char name[static DNS_NAME_MAX],
                          size_t *at)
{
	*at = HEAD;
	if (len < HEAD || data[2] >> 3 & 15 || get16(data + 4) != 1 || data[3] & 0x40)
		return false;
	if (!(data[2] & 0x80) && (get16(data + 6) || data[3] & 15))
		return false; /* a query with answers */
	if (!take_name(data, len, at, name) || len - *at < 4)
		return false;
	x->id = get16(data);
	x->name = name;
	x->type = get16(data + *at);
	x->qclass = get16(data + *at + 2);
	*at += 4;
	x->rd = data[2] & 1;
	x->ad = data[3] & 0x20;
	x->cd = data[3] & 0x10;
	return x->type != 0 && (x->qclass == 1 || x->qclass == 3 || x->qclass == 4 || x->qclass >= 254);
}

/* ---- exchanges -------------------------------------------------------------------------------------------------- */

static void take_query(struct dns *d, struct query **at)
{
	struct query *q = *at;

	*at = q->next;
	if (d->end == &q->next)
		d->end = at;
	d->n--;
	free(q);
}

static void tell(struct dns *d, struct dns_exchange *x)
{
	x->tcp = !d->flow.datagrams;
	d->sink.dns(d->sink.context, x);
}

static bool same_peer(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

/* The query that waits for this; NULL: none. */
static struct query **find(struct dns *d, int dir, const struct dns_exchange *x, const struct fdtape_address *peer)
{
	struct query **at = &d->first, *q;

	for (; (q = *at); at = &q->next)
		if (q->told.id == x->id && q->told.dir == dir && q->told.type == x->type &&
		    strcmp(q->name, x->name) == 0 && (!peer == !q->told.peer && (!peer || same_peer(peer, &q->peer))))
			return at;
	return NULL;
}

static int on_query(struct dns *d, int dir, const struct dns_exchange *x, size_t len, const struct stamp *stamp)
{
	struct query **before = find(d, dir, x, stamp->peer), *q;

	if (before) {
		tell(d, &(*before)->told); /* it is sent again */
		take_query(d, before);
	}
	if (d->n >= PENDING_MAX) {
		tell(d, &d->first->told);
		take_query(d, &d->first);
	}
	q = calloc(1, sizeof *q);
	if (!q)
		return -1;
	q->told = *x;
	strcpy(q->name, x->name);
	q->told.name = q->name;
	q->told.queried = true;
	q->told.dir = dir;
	q->told.query_bytes = len;
	q->told.start = stamp->wall;
	q->told.rcode = -1;
	if (stamp->peer) {
		q->peer = *stamp->peer;
		q->told.peer = &q->peer;
	}
	*d->end = q;
	d->end = &q->next;
	d->n++;
	return 0;
}

static int on_response(struct dns *d, int dir, const uint8_t *data, size_t len, size_t at, struct dns_exchange *x,
                       const struct stamp *stamp)
{
	struct query **asked = find(d, !dir, x, stamp->peer);
	char owner[DNS_NAME_MAX], text[DNS_DATA_MAX];
	struct dns_record records[DNS_ANSWERS_MAX];
	struct buffer strings = {0};
	size_t offsets[DNS_ANSWERS_MAX][2], n = 0;
	unsigned counts[3] = {get16(data + 6), get16(data + 8), get16(data + 10)};
	bool whole = true;
	int result = 0;

	x->rcode = data[3] & 15;
	x->aa = data[2] & 4;
	x->tc = data[2] & 2;
	x->ra = data[3] & 0x80;
	x->answers = get16(data + 6);
	for (int section = 0; section < 3 && whole; section++) {
		for (unsigned i = 0; i < counts[section] && whole; i++) {
			size_t size;
			const uint8_t *p;

			whole = take_name(data, len, &at, owner) && len - at >= 10;
			if (!whole)
				break;
			p = data + at;
			size = get16(p + 8);
			at += 10;
			whole = size <= len - at;
			if (!whole)
				break;
			if (get16(p) == OPT && section == 2)
				x->rcode |= p[4] << 4;
			if (section == 0 && n < DNS_ANSWERS_MAX && result == 0) {
				put_data(text, get16(p), data, len, at, size);
				records[n] = (struct dns_record){
				        .type = get16(p), .rr_class = get16(p + 2), .ttl = get32(p + 4)};
				offsets[n][0] = strings.len;
				offsets[n][1] = strings.len + strlen(owner) + 1;
				n++;
				if (buffer_add(&strings, owner, strlen(owner) + 1) < 0 ||
				    buffer_add(&strings, text, strlen(text) + 1) < 0)
					result = -1;
			}
			at += size;
		}
	}
	for (size_t i = 0; i < n && result == 0; i++) {
		records[i].name = (char *)strings.data + offsets[i][0];
		records[i].data = (char *)strings.data + offsets[i][1];
	}
	x->answered = true;
	x->records = records;
	x->n_records = n;
	x->response_bytes = len;
	x->end = stamp->wall;
	x->dir = !dir;
	x->peer = stamp->peer;
	if (asked) {
		const struct query *q = *asked;

		x->queried = true;
		x->query_bytes = q->told.query_bytes;
		x->start = q->told.start;
		x->rd = q->told.rd;
		x->ad = q->told.ad;
		x->cd = q->told.cd;
	}
	x->complete = asked && whole;
	if (result == 0)
		tell(d, x);
	if (asked)
		take_query(d, asked);
	buffer_release(&strings);
	return result;
}

/* Takes a message. 1; 0: it is none; -1: no memory. */
static int on_message(struct dns *d, int dir, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	struct dns_exchange x = {0};
	char name[DNS_NAME_MAX];
	size_t at;

	if (!read_question(data, len, &x, name, &at))
		return 0;
	return (data[2] & 0x80 ? on_response(d, dir, data, len, at, &x, stamp) : on_query(d, dir, &x, len, stamp)) < 0
	               ? -1
	               : 1;
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

static enum proto_guess dns_guess(const uint8_t *data, size_t len, bool middle)
{
	struct dns_exchange x;
	char name[DNS_NAME_MAX];
	size_t size, at;

	if (len < 2)
		return middle || data[0] > 4 ? PROTO_NO : PROTO_MAYBE;
	size = get16(data);
	if (size < HEAD + 5 || (!middle && size > 1232)) /* no query is longer */
		return PROTO_NO;
	if (len - 2 < size) {
		if (middle || (len > 4 && data[4] >> 3 & 15) || (len > 7 && get16(data + 6) != 1))
			return PROTO_NO;
		return len > 20 && !read_question(data + 2, len - 2, &x, name, &at) && len > 300 ? PROTO_NO
		                                                                                 : PROTO_MAYBE;
	}
	return read_question(data + 2, size, &x, name, &at) ? PROTO_YES : PROTO_NO;
}

static int feed_stream(struct dns *d, int dir, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	struct lane *lane = &d->lane[dir];
	struct buffer *m = &lane->message;
	size_t n, want;
	int result;

	if (lane->lost) {
		if (dns_guess(data, len, true) != PROTO_YES)
			return 0;
		lane->lost = false;
	}
	while (len > 0) {
		want = m->len < 2 ? 2 : 2 + (size_t)get16(m->data);
		n = want - m->len < len ? want - m->len : len;
		if (buffer_add(m, data, n) < 0)
			return -1;
		data += n;
		len -= n;
		if (m->len < 2 || m->len < 2 + (size_t)get16(m->data))
			continue;
		result = lane->hole ? 1 : on_message(d, dir, m->data + 2, m->len - 2, stamp);
		m->len = 0;
		lane->hole = false;
		if (result < 0)
			return -1;
		if (result == 0) {
			lane->lost = true;
			return 0;
		}
	}
	return 0;
}

static int feed_hole(struct dns *d, int dir, uint64_t len)
{
	struct lane *lane = &d->lane[dir];
	struct buffer *m = &lane->message;
	static const uint8_t nothing[256];
	size_t left = m->len >= 2 ? 2 + (size_t)get16(m->data) - m->len : 0;

	if (len == 0 || len > left) {
		lane->lost = true;
		lane->hole = false;
		m->len = 0;
		return 0;
	}
	lane->hole = true;
	for (size_t n; len > 0; len -= n) {
		n = len < sizeof nothing ? (size_t)len : sizeof nothing;
		if (buffer_add(m, nothing, n) < 0)
			return -1;
	}
	if (m->len == 2 + (size_t)get16(m->data)) {
		m->len = 0;
		lane->hole = false;
	}
	return 0;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static void *dns_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct dns *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->flow = *flow;
	d->sink = *sink;
	d->end = &d->first;
	d->lane[0].lost = d->lane[1].lost = flow->preopened;
	return d;
}

static int dns_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct dns *d = state;
	int result;

	if (!d->flow.datagrams)
		return data ? feed_stream(d, dir, data, len, stamp) : feed_hole(d, dir, len);
	if (!data || (d->foreign >= FOREIGN_MAX && d->foreign != UINT_MAX))
		return 0;
	result = on_message(d, dir, data, len, stamp);
	if (result > 0)
		d->foreign = UINT_MAX;
	else if (d->foreign != UINT_MAX)
		d->foreign++;
	return result < 0 ? -1 : 0;
}

static int dns_finish(void *state, bool closed)
{
	struct dns *d = state;

	(void)closed;
	while (d->first) {
		tell(d, &d->first->told);
		take_query(d, &d->first);
	}
	return 0;
}

static void dns_free(void *state)
{
	struct dns *d = state;

	if (!d)
		return;
	while (d->first)
		take_query(d, &d->first);
	buffer_release(&d->lane[0].message);
	buffer_release(&d->lane[1].message);
	free(d);
}

const struct proto proto_dns = {
        .name = "dns",
        .guess = dns_guess,
        .open = dns_open,
        .feed = dns_feed,
        .finish = dns_finish,
        .free = dns_free,
};
