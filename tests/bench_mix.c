/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * Eight processors run the 64 threads of eight server processes. A thread owns twenty connections, each of one kind,
 * text or TLS. It is given a processor for one turn: it picks a connection, reads a request, reads again (EAGAIN),
 * answers in as many writes as it takes, and now and then asks this or another of its connections in vain, so often
 * that 60.6 % of all calls carry nothing. A connection that has served its requests is closed, and another accepted.
 *
 * Calls come out in the order in which they end, as from a recorder. How long a call and the pause behind it take
 * varies log-normally. Requests and answers are printed, with ids and numbers that are random; ciphertext is random
 * but for the records' heads.
 */
#include "tests/bench_mix.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES   8u
#define THREADS     64u
#define CONNECTIONS 20u /* of a thread */
#define PROCESSORS  8u

#define CARRIERS      0.394 /* share of the events with payload */
#define TLS           0.20  /* share of the flows that are ciphertext */
#define REQUESTS_MIN  10u   /* that a connection serves */
#define REQUESTS_MORE 28u

#define PAUSE        24500.0 /* ns from one call of a processor to its next; median */
#define READ_SIZE    16384u
#define WRITE_MAX    16384u /* bytes of payload in one write */
#define TLS_RECORD   16384u /* plaintext in a record */
#define TLS_OVERHEAD 22u    /* head, content type, tag */
#define TLS_ANSWER   8350.0 /* bytes; median */
#define TEXT_ANSWER  1340.0 /* likewise */
#define ANSWER_MAX   (1u << 20)
#define START        UINT64_C(3600000000000) /* when the host had been up for an hour */

struct connection {
	uint64_t flow; /* 0: none yet */
	uint64_t opened;
	uint64_t offset[2];
	int32_t fd;
	uint16_t port;
	uint16_t requests; /* still to serve */
	bool tls;
};

enum step {
	ACCEPT,
	READ,
	READ_AGAIN,
	WRITE,
	ASK_AGAIN,
	ASK_ANOTHER,
	CLOSE,
};

struct processor {
	uint32_t thread;
	struct connection *connection;
	enum step step; /* of the call at hand */
	uint64_t time;
	uint64_t duration;
	uint64_t answer; /* bytes still to write */
};

struct mix {
	uint64_t random;
	struct mix_stats stats;
	struct processor processors[PROCESSORS];
	struct connection connections[THREADS][CONNECTIONS];
	bool busy[THREADS];
	uint64_t last_flow;
	uint32_t n_defined; /* processes */

	/* Definitions that go before and behind the event at hand. */
	struct fdtape_item queue[2];
	size_t n_queue;
	size_t given;

	char *data; /* of the event at hand */
	size_t len;
};

/* ---- chance ---------------------------------------------------------------------------------------------------- */

static uint64_t draw(struct mix *m) /* splitmix64 */
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint32_t draw_below(struct mix *m, uint32_t n)
{
	return (uint32_t)((draw(m) >> 32) * n >> 32);
}

static bool draw_chance(struct mix *m, double share)
{
	return (double)(draw(m) >> 11) * 0x1p-53 < share;
}

/* Log-normal; `spread` is the standard deviation of the logarithm. */
static double draw_around(struct mix *m, double median, double spread)
{
	double sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (double)(draw(m) >> 11) * 0x1p-53 - 0.5;
	return median * exp(sum * 1.7320508 * spread); /* sum: deviation sqrt(4 / 12) */
}

/* ---- payload ---------------------------------------------------------------------------------------------------- */

static void put(struct mix *m, const char *text)
{
	size_t len = strlen(text);

	memcpy(m->data + m->len, text, len);
	m->len += len;
}

static void put_hex(struct mix *m, unsigned digits)
{
	uint64_t bits = draw(m);

	for (unsigned i = 0; i < digits; i++, bits >>= 4)
		m->data[m->len++] = "0123456789abcdef"[bits & 15];
}

static void put_number(struct mix *m, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	memcpy(m->data + m->len, digits + at, sizeof(digits) - at);
	m->len += sizeof(digits) - at;
}

static const char *draw_word(struct mix *m)
{
	static const char *const words[] = {
	        "account", "address", "amount",  "archive", "basket",  "billing",  "carrier", "catalog",
	        "country", "credit",  "current", "delayed", "deposit", "discount", "express", "failure",
	        "gateway", "history", "invoice", "journal", "ledger",  "location", "manager", "message",
	        "network", "notice",  "order",   "parcel",  "payment", "product",  "refund",  "shipment",
	};

	return words[draw_below(m, sizeof(words) / sizeof(words[0]))];
}

/* As in base64url. */
static void put_token(struct mix *m, unsigned digits)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (unsigned i = 0; i < digits; i++)
		m->data[m->len++] = set[draw_below(m, 64)];
}

static void put_request(struct mix *m)
{
	put(m, draw_below(m, 4) ? "GET /api/v2/" : "POST /api/v2/");
	put(m, draw_word(m));
	put(m, "/");
	put_hex(m, 12);
	put(m, "?page=");
	put_number(m, draw_below(m, 200));
	put(m, " HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: ShopClient/4.2 (Linux; x86_64)\r\nAccept: "
	       "application/json\r\nAccept-Encoding: gzip, deflate, br\r\nX-Request-Id: ");
	put_hex(m, 16);
	put_hex(m, 16);
	put(m, "\r\nAuthorization: Bearer ");
	put_token(m, 43);
	put(m, "\r\nCookie: session=");
	put_hex(m, 16);
	put_hex(m, 16);
	put(m, "; theme=light\r\nConnection: keep-alive\r\n\r\n");
}

/* A JSON object of about 200 bytes. */
static void put_object(struct mix *m)
{
	put(m, "{\"id\":\"");
	put_hex(m, 16);
	put(m, "-");
	put_hex(m, 16);
	put(m, "\",\"kind\":\"");
	put(m, draw_word(m));
	put(m, "\",\"label\":\"");
	put(m, draw_word(m));
	put(m, " ");
	put(m, draw_word(m));
	put(m, "\",\"etag\":\"");
	put_token(m, 12);
	put(m, "\",\"quantity\":");
	put_number(m, draw_below(m, 100));
	put(m, ",\"price\":");
	put_number(m, draw_below(m, 100000));
	put(m, ",\"updated\":17637");
	put_number(m, 10000 + draw_below(m, 90000));
	put(m, draw_below(m, 5) ? ",\"active\":true},\n" : ",\"active\":false},\n");
}

/* An answer of at least `bytes`. */
static void put_answer(struct mix *m, uint64_t bytes)
{
	put(m, "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: application/json\r\nX-Request-Id: ");
	put_hex(m, 16);
	put_hex(m, 16);
	put(m, "\r\nCache-Control: no-cache, private\r\nContent-Length: ");
	put_number(m, bytes);
	put(m, "\r\nConnection: keep-alive\r\n\r\n{\"items\":[");
	while (m->len < bytes)
		put_object(m);
}

/* As many records as `bytes` of plaintext need. */
static void put_ciphertext(struct mix *m, uint64_t bytes)
{
	do {
		uint64_t body = (bytes < TLS_RECORD ? bytes : TLS_RECORD) + TLS_OVERHEAD - 5;

		memcpy(m->data + m->len, "\x17\x03\x03", 3);
		m->data[m->len + 3] = (char)(body >> 8);
		m->data[m->len + 4] = (char)body;
		m->len += 5;
		for (uint64_t i = 0; i < body; i += 8) { /* the last may go beyond; what follows overwrites it */
			uint64_t bits = draw(m);

			memcpy(m->data + m->len + i, &bits, 8);
		}
		m->len += body;
		bytes -= bytes < TLS_RECORD ? bytes : TLS_RECORD;
	} while (bytes > 0);
}

/* ---- what the threads do ----------------------------------------------------------------------------------------- */

static uint32_t pid_of(uint32_t thread)
{
	return 4000 + thread / (THREADS / PROCESSES) * 100;
}

static uint32_t tid_of(uint32_t thread)
{
	return pid_of(thread) + thread % (THREADS / PROCESSES);
}

static void begin_call(struct mix *m, struct processor *p, enum step step)
{
	static const double medians[] = {
	        [ACCEPT] = 4000,   [READ] = 1300,       [READ_AGAIN] = 450, [WRITE] = 9000,
	        [ASK_AGAIN] = 450, [ASK_ANOTHER] = 600, [CLOSE] = 6000,
	};

	p->step = step;
	p->time += p->duration + (uint64_t)draw_around(m, PAUSE, 0.6);
	p->duration = (uint64_t)draw_around(m, medians[step], 0.3);
}

/* Gives the processor to a thread that has none. */
static void begin_turn(struct mix *m, struct processor *p)
{
	m->busy[p->thread] = false;
	do
		p->thread = draw_below(m, THREADS);
	while (m->busy[p->thread]);
	m->busy[p->thread] = true;
	p->connection = &m->connections[p->thread][draw_below(m, CONNECTIONS)];
	if (p->connection->flow == 0)
		begin_call(m, p, ACCEPT);
	else if (p->connection->requests == 0)
		begin_call(m, p, CLOSE);
	else
		begin_call(m, p, READ);
}

/* The processor's next call. */
static void go_on(struct mix *m, struct processor *p)
{
	bool tls = p->connection->tls;

	switch (p->step) {
	case ACCEPT:
		begin_call(m, p, READ);
		return;
	case READ:
		p->answer = (uint64_t)draw_around(m, tls ? TLS_ANSWER : TEXT_ANSWER, tls ? 1.0 : 0.6);
		if (p->answer > (tls ? ANSWER_MAX : WRITE_MAX))
			p->answer = tls ? ANSWER_MAX : WRITE_MAX;
		begin_call(m, p, READ_AGAIN);
		return;
	case CLOSE:
		begin_turn(m, p);
		return;
	default:
		break;
	}
	/* Those calls in vain that are missing. */
	if ((double)m->stats.carriers > CARRIERS * (double)m->stats.events)
		begin_call(m, p, draw_below(m, 2) ? ASK_AGAIN : ASK_ANOTHER);
	else if (p->answer > 0)
		begin_call(m, p, WRITE);
	else
		begin_turn(m, p);
}

static void define_flow(struct mix *m, const struct processor *p, uint64_t closed)
{
	const struct connection *c = p->connection;
	struct fdtape_item *item = &m->queue[m->n_queue++];

	*item = (struct fdtape_item){.type = FDTAPE_ITEM_FLOW};
	item->flow = (struct fdtape_flow){
	        .id = c->flow,
	        .pid = pid_of(p->thread),
	        .tid = tid_of(p->thread),
	        .fd = c->fd,
	        .kind = FDTAPE_KIND_SOCKET,
	        .proto = FDTAPE_PROTO_TCP,
	        .role = FDTAPE_ROLE_SERVER,
	        .flags = FDTAPE_FLOW_STREAM,
	        .inode = 100000 + c->flow,
	        .opened = c->opened,
	        .closed = closed,
	        .bytes = {c->offset[FDTAPE_IN], c->offset[FDTAPE_OUT]},
	        .local = {FDTAPE_FAMILY_IPV4, 4, 8443, {10, 0, 0, 1}},
	        .remote = {FDTAPE_FAMILY_IPV4, 4, c->port, {10, 1, (uint8_t)(c->flow >> 3), (uint8_t)c->flow}},
	        .name = "",
	};
}

static void define_process(struct mix *m)
{
	struct fdtape_item *item = &m->queue[m->n_queue++];

	*item = (struct fdtape_item){.type = FDTAPE_ITEM_PROCESS};
	item->process = (struct fdtape_process){
	        .pid = pid_of(m->n_defined * (THREADS / PROCESSES)),
	        .ppid = 1,
	        .uid = 33,
	        .time = START,
	        .comm = "server",
	        .exe = "/usr/sbin/server",
	        .cmdline = "server: worker process",
	        .started = START - 1000000,
	        .build_id = "8e2a1c5a3d1f4b0d9c7766554433221100ffeedd",
	        .cgroup = "/system.slice/server.service",
	};
	m->n_defined++;
}

static void open_connection(struct mix *m, struct processor *p)
{
	struct connection *c = p->connection;

	*c = (struct connection){
	        .flow = ++m->last_flow,
	        .opened = p->time + p->duration,
	        .fd = 12 + (int32_t)(c - m->connections[p->thread]) +
	              (int32_t)(p->thread % (THREADS / PROCESSES) * CONNECTIONS),
	        .port = (uint16_t)(32768 + draw_below(m, 28232)),
	        .requests = (uint16_t)(REQUESTS_MIN + draw_below(m, REQUESTS_MORE)),
	        .tls = draw_chance(m, TLS),
	};
	m->stats.flows++;
}

/* Bytes that the call carries: into m->data. */
static void carry(struct mix *m, struct processor *p, struct fdtape_event *e)
{
	struct connection *c = p->connection;
	uint64_t bytes;

	m->len = 0;
	if (p->step == READ) {
		if (c->tls)
			put_ciphertext(m, 350 + draw_below(m, 400));
		else
			put_request(m);
		c->requests--;
	} else {
		e->dir = FDTAPE_OUT;
		bytes = p->answer < WRITE_MAX ? p->answer : WRITE_MAX;
		if (c->tls)
			put_ciphertext(m, bytes);
		else
			put_answer(m, bytes);
		p->answer -= bytes;
		e->arg[0] = m->len;
	}
	e->offset = c->offset[e->dir];
	e->result = (int64_t)m->len;
	e->bytes = e->captured = m->len;
	e->data = (const uint8_t *)m->data;
	c->offset[e->dir] += m->len;
	m->stats.carriers++;
	*(c->tls ? &m->stats.ciphertext : &m->stats.text) += m->len;
}

/* The event of the processor's call, which has ended. */
static void end_call(struct mix *m, struct processor *p, struct fdtape_event *e)
{
	struct connection *c = p->connection;

	*e = (struct fdtape_event){
	        .time = p->time,
	        .duration = p->duration,
	        .pid = pid_of(p->thread),
	        .tid = tid_of(p->thread),
	        .fd = c->fd,
	        .flow = c->flow,
	};
	switch (p->step) {
	case ACCEPT:
		open_connection(m, p);
		define_flow(m, p, 0);
		e->call = FDTAPE_CALL_ACCEPT4;
		e->result = c->fd;
		e->arg[0] = c->flow;
		e->fd = 6; /* the listening socket, which was open before */
		e->flow = 0;
		break;
	case CLOSE:
		e->call = FDTAPE_CALL_CLOSE;
		break;
	case WRITE:
		e->call = FDTAPE_CALL_WRITE;
		carry(m, p, e);
		break;
	case READ:
		e->call = FDTAPE_CALL_READ;
		e->arg[0] = READ_SIZE;
		carry(m, p, e);
		break;
	case ASK_ANOTHER:
		c = &m->connections[p->thread][draw_below(m, CONNECTIONS)];
		if (c->flow == 0)
			c = p->connection;
		e->fd = c->fd;
		e->flow = c->flow;
		/* fall through */
	default:
		e->call = FDTAPE_CALL_READ;
		e->arg[0] = READ_SIZE;
		e->result = -EAGAIN;
		e->offset = c->offset[FDTAPE_IN];
		break;
	}
	if (p->step == CLOSE) {
		define_flow(m, p, p->time + p->duration);
		c->flow = 0;
	}
	m->stats.events++;
	m->stats.time = p->time + p->duration - START;
}

/* ---- the items --------------------------------------------------------------------------------------------------- */

struct mix *mix_new(uint64_t seed)
{
	struct mix *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	/* One write, an object beyond its end. */
	m->data = malloc(WRITE_MAX + 4096);
	if (!m->data) {
		free(m);
		return NULL;
	}
	m->random = seed;
	for (uint32_t i = 0; i < PROCESSORS; i++) {
		m->processors[i].thread = i;
		m->busy[i] = true;
		m->processors[i].time = START;
	}
	for (uint32_t i = 0; i < PROCESSORS; i++)
		begin_turn(m, &m->processors[i]);
	return m;
}

void mix_free(struct mix *m)
{
	if (!m)
		return;
	free(m->data);
	free(m);
}

const struct fdtape_item *mix_next(struct mix *m)
{
	struct processor *p = &m->processors[0];
	struct fdtape_event event;

	if (m->given < m->n_queue)
		return &m->queue[m->given++];
	m->given = m->n_queue = 0;
	if (m->n_defined < PROCESSES) {
		define_process(m);
		return &m->queue[m->given++];
	}
	for (uint32_t i = 1; i < PROCESSORS; i++) {
		struct processor *q = &m->processors[i];

		if (q->time + q->duration < p->time + p->duration)
			p = q;
	}
	end_call(m, p, &event); /* may leave a definition in the queue */
	m->queue[m->n_queue].type = FDTAPE_ITEM_EVENT;
	m->queue[m->n_queue].event = event;
	m->n_queue++;
	go_on(m, p);
	return &m->queue[m->given++];
}

struct mix_stats mix_stats(const struct mix *m)
{
	return m->stats;
}
