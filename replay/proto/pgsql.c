/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * PostgreSQL's protocol 3 ("Frontend/Backend Protocol" in its documentation): messages of a type and a length in both
 * directions. What the client asks goes into a queue: Query, and of the extended protocol Parse, Bind, Describe,
 * Execute, Close, Sync. Each kind of answer tells which of them it belongs to, so pipelines are told right. Told are
 * Query, Execute and function calls; a Parse only if it fails and nothing is executed behind it. Execute names a portal,
 * Bind made it from a statement, Parse gave that its text: those texts are remembered by name.
 *
 * Before the start-up message the client may ask for TLS or GSSAPI, which the server answers with one byte; the
 * plaintext goes on behind it, wherever it comes from.
 *
 * Behind a hole a direction is lost until a piece is a row of messages from its beginning to its end. The client's then
 * goes on; the server's has to wait for the next question, for its answers tell nothing without one. If questions had
 * not waited for answers before, nothing is certain any more, and the rest of the connection is silent.
 */
#include <string.h>

#include "map.h"
#include "replay/proto/sql_queue.h"

enum {
	NAMES_MAX = 4096, /* of statements and of portals that are remembered, each */
	CODE_SSL = 80877103,
	CODE_GSS = 80877104,
	CODE_CANCEL = 80877102,
	LENGTH_MAX = 1 << 30,
};

enum op {
	PARSE,
	BIND,
	DESCRIBE,
	CLOSE,
	SYNC,
	EXECUTE, /* the last three are told */
	QUERY,
	FUNCTION,
};

struct lane {
	enum {
		STARTUP, /* the client's first messages: a length, no type */
		HEAD,    /* and payload */
		LOST,
		OFF
	} state;
	uint8_t head[5];
	size_t n_head;
	uint8_t type;  /* 0: a start-up message */
	uint64_t left; /* of the payload */
	uint64_t len;  /* of the whole message */
	uint64_t since;
	bool hole;             /* in the payload */
	struct buffer payload; /* its first SQL_PAYLOAD_MAX bytes */
};

/* A statement's or a portal's text. */
struct named {
	char *name, *text;
	size_t len;
};

struct pgsql {
	struct sql_queue queue;
	struct lane lane[2];
	int client;           /* its lane; -1: not known */
	unsigned asked;       /* for TLS or GSSAPI: answers of one byte to come */
	uint64_t batch_since; /* of the Parse or Bind that an Execute will belong to; 0: none */
	uint64_t batch_bytes;
	bool batch_hole;
	struct map statements, portals; /* by a hash of the name: struct named */
};

/* ---- names ------------------------------------------------------------------------------------------------------ */

static uint64_t hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	return h;
}

static void named_free(struct named *n)
{
	if (!n)
		return;
	free(n->name);
	free(n->text);
	free(n);
}

/* text NULL: it is not known. 0 or -1. */
static int remember(struct map *map, const char *name, const char *text, size_t len)
{
	uint64_t key = hash(name);
	struct named *n = map_take(map, key);

	named_free(n);
	if (!text || map->used >= NAMES_MAX)
		return 0;
	n = calloc(1, sizeof *n);
	if (!n)
		return -1;
	n->name = strdup(name);
	n->text = sql_copy(text, len);
	n->len = len < SQL_TEXT_MAX ? len : SQL_TEXT_MAX;
	if (!n->name || !n->text || !map_put(map, key, n)) {
		named_free(n);
		return -1;
	}
	return 0;
}

static const struct named *recall(const struct map *map, const char *name)
{
	const struct named *n = map_get(map, hash(name));

	return n && strcmp(n->name, name) == 0 ? n : NULL;
}

static void release_names(struct map *map)
{
	struct named *n;

	for (size_t cursor = 0; (n = map_next(map, &cursor));)
		named_free(n);
	map_release(map);
}

/* ---- the queue -------------------------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first one goes: it is told if it is of the kind. */
static void pop(struct pgsql *g, bool complete)
{
	if (g->queue.first->op >= EXECUTE)
		sql_tell(&g->queue, complete);
	else
		sql_drop(&g->queue);
}

static struct sql_pending *push(struct pgsql *g, enum op op, const char *kind, const struct lane *lane)
{
	struct sql_pending *p = g->queue.last;

	if (!p || p->op == SYNC || p->op == QUERY || p->op == FUNCTION)
		sql_ask(&g->queue);
	if (g->queue.n >= SQL_COMMANDS_MAX)
		pop(g, false);
	p = sql_push(&g->queue, kind, g->client, lane->since);
	if (p) {
		p->op = op;
		p->silent = op < EXECUTE;
		p->hole = lane->hole;
		p->told.bytes_sent = lane->len;
	}
	return p;
}

/* ---- what the client says --------------------------------------------------------------------------------------- */

/* A string of the payload, from *at on; NULL: it does not end in it. */
static const char *take_string(const struct lane *lane, size_t *at)
{
	const char *string, *end;

	if (*at >= lane->payload.len)
		return NULL;
	string = (const char *)lane->payload.data + *at;
	end = memchr(string, '\0', lane->payload.len - *at);
	if (!end)
		return NULL;
	*at = (size_t)(end - (const char *)lane->payload.data) + 1;
	return string;
}

static int on_startup(struct pgsql *g, struct lane *lane)
{
	const char *name, *value;
	size_t at = 4;
	uint32_t code = lane->payload.len >= 4 ? get32(lane->payload.data) : 0;

	if (code == CODE_SSL || code == CODE_GSS) {
		g->asked++;
		return 0;
	}
	if (code >> 16 != 3) {
		lane->state = OFF;
		return 0;
	}
	lane->state = HEAD;
	while ((name = take_string(lane, &at)) && *name && (value = take_string(lane, &at))) {
		char **to = strcmp(name, "user") == 0       ? &g->queue.user
		            : strcmp(name, "database") == 0 ? &g->queue.database
		                                            : NULL;

		if (!to)
			continue;
		free(*to);
		*to = sql_copy(value, strlen(value));
		if (!*to)
			return -1;
	}
	if (g->queue.user && !g->queue.database) {
		g->queue.database = sql_copy(g->queue.user, strlen(g->queue.user)); /* the server's default */
		return g->queue.database ? 0 : -1;
	}
	return 0;
}

/* A statement's text: up to the NUL, or as much as was kept. */
static size_t text_length(const struct lane *lane, size_t at)
{
	const uint8_t *text = lane->payload.data + at;
	const uint8_t *end = memchr(text, '\0', lane->payload.len - at);

	return end ? (size_t)(end - text) : lane->payload.len - at;
}

static void begin_batch(struct pgsql *g, const struct lane *lane)
{
	if (!g->batch_since)
		g->batch_since = lane->since;
	g->batch_bytes += lane->len;
	g->batch_hole |= lane->hole;
}

static int on_parse(struct pgsql *g, struct lane *lane)
{
	size_t at = 0;
	const char *name = take_string(lane, &at);
	struct sql_pending *p = push(g, PARSE, "prepare", lane);

	if (!p)
		return -1;
	begin_batch(g, lane);
	if (!name || at >= lane->payload.len || lane->hole)
		return name ? remember(&g->statements, name, NULL, 0) : 0;
	if (sql_text(p, lane->payload.data + at, text_length(lane, at)) < 0)
		return -1;
	return remember(&g->statements, name, (const char *)lane->payload.data + at, text_length(lane, at));
}

static int on_bind(struct pgsql *g, struct lane *lane)
{
	size_t at = 0;
	const char *portal = take_string(lane, &at), *name = portal ? take_string(lane, &at) : NULL;
	const struct named *statement = name ? recall(&g->statements, name) : NULL;

	if (!push(g, BIND, "bind", lane))
		return -1;
	begin_batch(g, lane);
	if (!portal)
		return 0;
	return remember(&g->portals, portal, statement ? statement->text : NULL, statement ? statement->len : 0);
}

static int on_execute(struct pgsql *g, struct lane *lane)
{
	size_t at = 0;
	const char *name = take_string(lane, &at);
	const struct named *portal = name ? recall(&g->portals, name) : NULL;
	struct sql_pending *p = push(g, EXECUTE, "execute", lane);

	if (!p)
		return -1;
	if (g->batch_since) {
		p->told.start = g->batch_since;
		p->told.bytes_sent += g->batch_bytes;
		p->hole |= g->batch_hole;
	}
	g->batch_since = g->batch_bytes = g->batch_hole = 0;
	return portal ? sql_text(p, portal->text, portal->len) : 0;
}

static int on_client(struct pgsql *g, struct lane *lane)
{
	struct sql_pending *p;

	switch (lane->type) {
	case 'Q':
		p = push(g, QUERY, "query", lane);
		if (!p)
			return -1;
		return lane->hole || lane->payload.len == 0 ? 0 : sql_text(p, lane->payload.data, text_length(lane, 0));
	case 'P':
		return on_parse(g, lane);
	case 'B':
		return on_bind(g, lane);
	case 'E':
		return on_execute(g, lane);
	case 'D':
		return push(g, DESCRIBE, "describe", lane) ? 0 : -1;
	case 'C':
		return push(g, CLOSE, "close", lane) ? 0 : -1;
	case 'S':
		g->batch_since = g->batch_bytes = g->batch_hole = 0;
		return push(g, SYNC, "sync", lane) ? 0 : -1;
	case 'F':
		return push(g, FUNCTION, "call", lane) ? 0 : -1;
	case 'd':
	case 'c':
	case 'f':
		if (g->queue.first) {
			g->queue.first->told.bytes_sent += lane->len;
			g->queue.first->hole |= lane->hole;
		}
		return 0;
	default:
		return 0;
	}
}

/* ---- what the server says --------------------------------------------------------------------------------------- */

/* "SELECT 5", "INSERT 0 1", "CREATE TABLE": -1 without a number. */
static int64_t rows_of(const struct lane *lane)
{
	size_t at = 0;
	const char *tag = take_string(lane, &at), *p = tag ? strrchr(tag, ' ') : NULL;
	int64_t n = 0;

	if (!p || !p[1])
		return -1;
	for (p++; *p; p++) {
		if (*p < '0' || *p > '9' || n > INT64_MAX / 10 - 1)
			return -1;
		n = n * 10 + (*p - '0');
	}
	return n;
}

/* ErrorResponse: fields, each of a type and a string. 0 or -1. */
static int fail(struct sql_pending *p, const struct lane *lane)
{
	const char *code = "?", *message = "", *value;
	size_t at = 0;

	while (at < lane->payload.len && lane->payload.data[at]) {
		uint8_t field = lane->payload.data[at++];

		value = take_string(lane, &at);
		if (!value)
			break;
		if (field == 'C')
			code = value;
		else if (field == 'M')
			message = value;
	}
	return sql_fail(p, code, strlen(code), message, strlen(message));
}

static int on_error(struct pgsql *g, struct lane *lane, uint64_t wall)
{
	struct sql_pending *p = g->queue.first;
	bool executes = false;

	if (!p)
		return 0; /* of the start-up */
	if (p->op == QUERY || p->op == FUNCTION) {
		sql_answer(p, lane->len, wall);
		return fail(p, lane);
	}
	/* Whatever it was that failed of a batch, what should have been executed was not. */
	for (; p && p->op != SYNC; p = p->next)
		executes |= p->op == EXECUTE;
	while (executes && g->queue.first->op != EXECUTE)
		sql_drop(&g->queue);
	p = g->queue.first;
	sql_answer(p, lane->len, wall);
	if (fail(p, lane) < 0)
		return -1;
	if (p->op == PARSE || p->op == EXECUTE)
		sql_tell(&g->queue, true);
	return 0;
}

/* The server is ready: what was asked up to here is over. */
static void on_ready(struct pgsql *g, const struct lane *lane, uint64_t wall)
{
	struct sql_pending *p;
	bool over = false;

	while ((p = g->queue.first) && !over) {
		over = p->op == SYNC || p->op == QUERY || p->op == FUNCTION;
		if (p->op == QUERY || p->op == FUNCTION)
			sql_answer(p, lane->len, wall);
		pop(g, over && p->told.answered);
	}
}

static void pop_if(struct pgsql *g, enum op op)
{
	if (g->queue.first && g->queue.first->op == op)
		sql_drop(&g->queue);
}

static int on_server(struct pgsql *g, struct lane *lane, uint64_t wall)
{
	struct sql_pending *p = g->queue.first;
	int64_t rows;

	if (p)
		p->hole |= lane->hole;
	switch (lane->type) {
	case '1':
		pop_if(g, PARSE);
		return 0;
	case '2':
		pop_if(g, BIND);
		return 0;
	case '3':
		pop_if(g, CLOSE);
		return 0;
	case 'E':
		return on_error(g, lane, wall);
	case 'Z':
		on_ready(g, lane, wall);
		return 0;
	case 'n':
	case 'T':
		if (p && p->op == DESCRIBE) {
			sql_drop(&g->queue);
			return 0;
		}
		break;
	case 'A': /* these may come at any time */
	case 'K':
	case 'N':
	case 'R':
	case 'S':
	case 't':
	case 'v':
		return 0;
	default:
		break;
	}
	if (!p || p->op < EXECUTE)
		return 0;
	sql_answer(p, lane->len, wall);
	if (lane->type == 'C') {
		rows = rows_of(lane);
		if (rows >= 0)
			p->told.rows = (p->told.rows < 0 ? 0 : p->told.rows) + rows;
	}
	if (p->op == EXECUTE && (lane->type == 'C' || lane->type == 'I' || lane->type == 's'))
		sql_tell(&g->queue, true);
	return 0;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static bool is_message(const uint8_t *p, bool client)
{
	uint32_t len = get32(p + 1);

	if (len < 4 || len > LENGTH_MAX || !*p || !strchr(client ? "QPBDECSXFHdcfp" : "RKSTDCEZNAnt123sIGHWVdcv", *p))
		return false;
	switch (*p) {
	case 'S':
	case 'H':
		return !client || len == 4;
	case 'X':
	case 'c':
	case '1':
	case '2':
	case '3':
	case 'n':
	case 's':
	case 'I':
		return len == 4;
	case 'Z':
		return len == 5;
	default:
		return true;
	}
}

/* Is the piece nothing but messages of that side? */
static bool is_row(const uint8_t *data, size_t len, bool client)
{
	if (len < 5)
		return false;
	while (len >= 5 && is_message(data, client)) {
		uint64_t whole = 1 + (uint64_t)get32(data + 1);

		if (whole > len)
			return false;
		if (*data == 'Z' && !client && !strchr("ITE", data[5]))
			return false;
		if ((*data == 'Q' || (*data == 'C' && !client)) && data[whole - 1])
			return false;
		data += whole;
		len -= whole;
	}
	return len == 0;
}

static void lose(struct pgsql *g, struct lane *lane)
{
	if (g->client >= 0 && lane == &g->lane[g->client])
		sql_tell_all(&g->queue);
	else
		sql_lose(&g->queue);
	g->batch_since = g->batch_bytes = g->batch_hole = 0;
	lane->n_head = 0;
	lane->left = 0;
	buffer_release(&lane->payload);
	lane->state = LOST;
	if (g->queue.pipelined)
		g->lane[0].state = g->lane[1].state = OFF;
}

static bool find_place(struct pgsql *g, struct lane *lane, const uint8_t *data, size_t len)
{
	int me = lane == &g->lane[1];
	bool client = is_row(data, len, true), server = is_row(data, len, false);

	if (g->client < 0 && client != server)
		g->client = client ? me : !me;
	if (g->client < 0)
		return false;
	if (me == g->client)
		return client;
	g->queue.heard = true;
	if (!server || !g->queue.answers_next || g->queue.pipelined)
		return false;
	g->queue.lost = false;
	return true;
}

static int end_message(struct pgsql *g, struct lane *lane, uint64_t wall)
{
	bool startup = lane->state == STARTUP;
	int result;

	if (!startup)
		lane->state = HEAD;
	result = startup                       ? on_startup(g, lane)
	         : lane == &g->lane[g->client] ? on_client(g, lane)
	                                       : on_server(g, lane, wall);
	lane->payload.len = 0;
	lane->type = 0;
	return result;
}

/* The head is complete. False: it is none. */
static bool begin_message(struct pgsql *g, struct lane *lane)
{
	bool startup = lane->state == STARTUP;
	uint32_t len = get32(lane->head + !startup);

	if (startup ? len < 8 || len > 10000 : !is_message(lane->head, lane == &g->lane[g->client]))
		return false;
	lane->type = startup ? 0 : lane->head[0];
	lane->left = len - 4;
	lane->len = len + !startup;
	lane->hole = false;
	lane->n_head = 0;
	return true;
}

static int feed(struct pgsql *g, struct lane *lane, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	int result = 0;
	size_t n, keep;

	if (lane->state == LOST) {
		if (!find_place(g, lane, data, len))
			return 0;
		lane->state = HEAD;
	}
	while (len > 0 && result == 0 && lane->state != LOST && lane->state != OFF) {
		if (lane->left == 0) {
			if (lane->n_head == 0) {
				lane->since = stamp->wall;
				if (g->asked > 0 && lane != &g->lane[g->client] && strchr("SNG", *data) && *data) {
					g->asked--;
					data++;
					len--;
					continue;
				}
			}
			lane->head[lane->n_head++] = *data;
			n = 1;
			if (lane->n_head == (lane->state == STARTUP ? 4 : 5)) {
				if (!begin_message(g, lane)) {
					lose(g, lane);
					return 0;
				}
				if (lane->left == 0)
					result = end_message(g, lane, stamp->wall);
			}
		} else {
			n = lane->left < len ? (size_t)lane->left : len;
			keep = SQL_PAYLOAD_MAX - lane->payload.len;
			if (lane->type != 'D' && lane->type != 'd' && !lane->hole)
				result = buffer_add(&lane->payload, data, n < keep ? n : keep);
			lane->left -= n;
			if (result == 0 && lane->left == 0)
				result = end_message(g, lane, stamp->wall);
		}
		data += n;
		len -= n;
	}
	return result;
}

static int feed_hole(struct pgsql *g, struct lane *lane, uint64_t len, const struct stamp *stamp)
{
	if (lane->state == OFF)
		return 0;
	if (lane->state == LOST || len == 0 || len > lane->left || lane->state == STARTUP) {
		lose(g, lane);
		return 0;
	}
	lane->hole = true;
	lane->left -= len;
	return lane->left == 0 ? end_message(g, lane, stamp->wall) : 0;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static enum proto_guess pgsql_guess(const uint8_t *data, size_t len, bool middle)
{
	uint32_t size, code;

	if (middle)
		return is_row(data, len, true) || is_row(data, len, false) ? PROTO_YES : PROTO_NO;
	if (data[0] || (len > 1 && data[1]))
		return PROTO_NO;
	if (len < 8)
		return PROTO_MAYBE;
	size = get32(data);
	code = get32(data + 4);
	return (code >> 16 == 3 && (code & 0xffff) < 100 && size >= 9 && size <= 10000) ||
	                       ((code == CODE_SSL || code == CODE_GSS) && size == 8) ||
	                       (code == CODE_CANCEL && size == 16)
	               ? PROTO_YES
	               : PROTO_NO;
}

static void *pgsql_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct pgsql *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->queue.sink = *sink;
	g->queue.protocol = "pgsql";
	g->client = -1;
	for (int i = 0; i < 2; i++)
		g->lane[i].state = flow->preopened ? LOST : STARTUP;
	g->queue.lost = g->queue.heard = flow->preopened;
	return g;
}

static int pgsql_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct pgsql *g = state;
	struct lane *lane = &g->lane[dir];

	if (!data)
		return feed_hole(g, lane, len, stamp);
	if (g->client < 0 && lane->state == STARTUP) {
		/* Who begins with a start-up message is the client. */
		g->client = pgsql_guess(data, len, false) == PROTO_NO ? !dir : dir;
		if (g->lane[!g->client].state == STARTUP)
			g->lane[!g->client].state = HEAD;
	}
	return feed(g, lane, data, len, stamp);
}

static int pgsql_finish(void *state, bool closed)
{
	struct pgsql *g = state;

	(void)closed;
	sql_tell_all(&g->queue);
	return 0;
}

static void pgsql_free(void *state)
{
	struct pgsql *g = state;

	if (!g)
		return;
	for (int i = 0; i < 2; i++)
		buffer_release(&g->lane[i].payload);
	release_names(&g->statements);
	release_names(&g->portals);
	sql_release(&g->queue);
	free(g);
}

const struct proto proto_pgsql = {
        .name = "pgsql",
        .guess = pgsql_guess,
        .open = pgsql_open,
        .feed = pgsql_feed,
        .finish = pgsql_finish,
        .free = pgsql_free,
};
