/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * MySQL's and MariaDB's client/server protocol: packets of a length of three bytes and a sequence number. The server
 * greets; the client answers with its name, perhaps after asking for TLS; then each command (sequence number 0) has an
 * answer, whose shape depends on the command: OK or an error, or the columns of a result and its rows. Where an answer
 * ends is told by its packets alone, whatever the two agreed on: the EOF packet behind the columns has five bytes, the
 * one behind the rows fewer than nine or, as an OK packet, begins with 0xfe as well.
 *
 * Behind a hole a direction is lost until a piece is a row of packets from its beginning to its end; the server's also
 * waits for the next command, and if commands were pipelined the rest of the connection is silent. Compressed
 * connections are not looked into.
 */
#include <stdio.h>
#include <string.h>

#include "map.h"
#include "replay/proto/sql_queue.h"

enum {
	STATEMENTS_MAX = 4096,
	PACKET_MAX = 0xffffff, /* such a one is continued by the next */
	CLIENT_CONNECT_WITH_DB = 1u << 3,
	CLIENT_COMPRESS = 1u << 5,
	CLIENT_SSL = 1u << 11,
	CLIENT_SECURE_CONNECTION = 1u << 15,
	CLIENT_PLUGIN_AUTH_LENENC = 1u << 21,
	CLIENT_QUERY_ATTRIBUTES = 1u << 27,
	MORE_RESULTS = 0x0008, /* a status flag */
};

enum command {
	COM_QUIT = 1,
	COM_INIT_DB = 2,
	COM_QUERY = 3,
	COM_FIELD_LIST = 4,
	COM_STATISTICS = 9,
	COM_PING = 14,
	COM_CHANGE_USER = 17,
	COM_BINLOG_DUMP = 18,
	COM_STMT_PREPARE = 22,
	COM_STMT_EXECUTE = 23,
	COM_STMT_SEND_LONG_DATA = 24,
	COM_STMT_CLOSE = 25,
	COM_STMT_RESET = 26,
	COM_SET_OPTION = 27,
	COM_STMT_FETCH = 28,
	COM_RESET_CONNECTION = 31,
	COM_STMT_BULK_EXECUTE = 250,
};

struct lane {
	enum {
		PACKETS,
		LOST,
		OFF
	} state;
	uint8_t head[4];
	size_t n_head;
	uint32_t left;
	uint8_t sequence;
	bool continued; /* the packet before was a full one */
	uint64_t len;   /* of the whole packet, with those that it continues */
	uint64_t since;
	bool hole;
	struct buffer payload; /* its first SQL_PAYLOAD_MAX bytes */
};

struct statement {
	char *text;
	size_t len;
};

struct mysql {
	struct sql_queue queue;
	struct lane lane[2];
	int client;    /* its lane; -1: not known */
	bool greeting; /* the server's first packet is still to come */
	bool login;    /* the answer to the greeting has not been accepted yet */
	bool named;    /* the user is known */
	uint32_t capabilities;
	enum {
		FIRST, /* packet of an answer */
		COLUMNS,
		ROWS,
		PREPARED, /* definitions behind a prepared statement's OK */
		FILE_SENT /* the client sends a file (LOCAL INFILE) */
	} answer;
	uint64_t columns;      /* definitions that are still to come */
	bool maybe_eof;        /* an EOF packet may follow them */
	struct map statements; /* by id: struct statement */
};

/* ---- what is remembered ----------------------------------------------------------------------------------------- */

static void statement_free(struct statement *s)
{
	if (!s)
		return;
	free(s->text);
	free(s);
}

static int remember(struct mysql *m, uint32_t id, const struct sql_pending *p)
{
	struct statement *s = map_take(&m->statements, id);

	statement_free(s);
	if (!p->has_text || m->statements.used >= STATEMENTS_MAX)
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return -1;
	s->text = sql_copy(p->text.data ? (const char *)p->text.data : "", p->text.len);
	s->len = p->text.len;
	if (!s->text || !map_put(&m->statements, id, s)) {
		statement_free(s);
		return -1;
	}
	return 0;
}

static uint32_t get16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | get16(p + 2) << 16;
}

/* A length-encoded integer at *at. False: there is none. */
static bool take_number(const struct buffer *b, size_t *at, uint64_t *n)
{
	size_t bytes;

	if (*at >= b->len)
		return false;
	*n = b->data[(*at)++];
	if (*n < 0xfb)
		return true;
	bytes = *n == 0xfc ? 2 : *n == 0xfd ? 3 : *n == 0xfe ? 8 : 0;
	if (bytes == 0 || b->len - *at < bytes)
		return false;
	*n = 0;
	for (size_t i = bytes; i-- > 0;)
		*n = *n << 8 | b->data[*at + i];
	*at += bytes;
	return true;
}

/* A string that ends with a NUL, or at the end. */
static int take_name(const struct buffer *b, size_t *at, char **name)
{
	size_t n = 0;

	while (*at + n < b->len && b->data[*at + n])
		n++;
	free(*name);
	*name = sql_copy(b->len > *at ? (const char *)b->data + *at : "", n);
	*at += n + 1;
	return *name ? 0 : -1;
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static void lose(struct mysql *m, struct lane *lane)
{
	if (m->client >= 0 && lane == &m->lane[m->client])
		sql_tell_all(&m->queue);
	else
		sql_lose(&m->queue);
	lane->state = LOST;
	lane->n_head = 0;
	lane->left = 0;
	lane->continued = false;
	buffer_release(&lane->payload);
	m->greeting = m->login = false;
	m->answer = FIRST;
	if (m->queue.pipelined)
		m->lane[0].state = m->lane[1].state = OFF;
}

/* Who is it, and what did they agree on? */
static int on_login(struct mysql *m, const struct lane *lane)
{
	const struct buffer *b = &lane->payload;
	size_t at = 32;
	uint64_t auth;

	if (b->len < 32)
		return 0;
	m->capabilities = get32(b->data);
	if (m->capabilities & CLIENT_COMPRESS) {
		m->lane[0].state = m->lane[1].state = OFF;
		return 0;
	}
	if (b->len == 32) /* TLS begins, and the same comes again */
		return 0;
	m->named = true;
	if (lane->hole)
		return 0;
	if (take_name(b, &at, &m->queue.user) < 0)
		return -1;
	if (!(m->capabilities & CLIENT_CONNECT_WITH_DB))
		return 0;
	if (m->capabilities & (CLIENT_PLUGIN_AUTH_LENENC | CLIENT_SECURE_CONNECTION)) {
		if (!take_number(b, &at, &auth) || auth > b->len)
			return 0;
		at += (size_t)auth;
	} else {
		while (at < b->len && b->data[at])
			at++;
		at++;
	}
	return at < b->len ? take_name(b, &at, &m->queue.database) : 0;
}

/* Where the text of a COM_QUERY begins: behind its attributes, if there are any. 0: not known. */
static size_t query_text(const struct mysql *m, const struct buffer *b)
{
	uint64_t parameters, sets;
	size_t at = 1;

	if (!(m->capabilities & CLIENT_QUERY_ATTRIBUTES))
		return 1;
	if (!take_number(b, &at, &parameters) || !take_number(b, &at, &sets))
		return 0;
	return parameters == 0 ? at : 0;
}

static int on_command(struct mysql *m, const struct lane *lane)
{
	const struct buffer *b = &lane->payload;
	uint8_t command = b->len > 0 ? b->data[0] : 0;
	const struct statement *statement = NULL;
	struct sql_pending *p;
	const char *kind;
	size_t at = 0;

	switch (command) {
	case COM_QUERY:
		kind = "query";
		at = query_text(m, b);
		break;
	case COM_STMT_PREPARE:
		kind = "prepare";
		at = 1;
		break;
	case COM_STMT_EXECUTE:
	case COM_STMT_BULK_EXECUTE:
		kind = "execute";
		statement = b->len >= 5 ? map_get(&m->statements, get32(b->data + 1)) : NULL;
		break;
	case COM_STMT_FETCH:
		kind = "fetch";
		statement = b->len >= 5 ? map_get(&m->statements, get32(b->data + 1)) : NULL;
		break;
	case COM_STMT_CLOSE:
		if (b->len >= 5)
			statement_free(map_take(&m->statements, get32(b->data + 1)));
		return 0;
	case COM_QUIT:
	case COM_STMT_SEND_LONG_DATA:
		return 0; /* without an answer */
	case COM_INIT_DB:
		kind = "use";
		at = 1;
		break;
	case COM_PING:
		kind = "ping";
		break;
	case COM_STATISTICS:
		kind = "statistics";
		break;
	case COM_FIELD_LIST:
		kind = "fields";
		break;
	case COM_STMT_RESET:
	case COM_RESET_CONNECTION:
		kind = "reset";
		break;
	case COM_CHANGE_USER:
		kind = "login";
		break;
	case COM_BINLOG_DUMP:
		m->lane[0].state = m->lane[1].state = OFF; /* replication: no answer ends */
		return 0;
	default:
		kind = "command";
		break;
	}
	sql_ask(&m->queue);
	if (m->queue.n >= SQL_COMMANDS_MAX)
		sql_tell(&m->queue, false);
	p = sql_push(&m->queue, kind, m->client, lane->since);
	if (!p)
		return -1;
	p->op = command;
	p->hole = lane->hole;
	p->told.bytes_sent = lane->len;
	if (statement)
		return sql_text(p, statement->text, statement->len);
	if (at == 0 || at > b->len || lane->hole)
		return 0;
	if (sql_text(p, b->data + at, b->len - at) < 0)
		return -1;
	p->told.cut |= lane->len > b->len + 4;
	return 0;
}

static int on_client(struct mysql *m, const struct lane *lane)
{
	if (m->login)
		return m->named ? 0 : on_login(m, lane);
	if (m->answer == FILE_SENT && lane->sequence > 0) {
		if (m->queue.first) {
			m->queue.first->told.bytes_sent += lane->len;
			m->queue.first->hole |= lane->hole;
		}
		if (lane->len == 4)
			m->answer = FIRST;
		return 0;
	}
	return lane->sequence == 0 ? on_command(m, lane) : 0;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void end_answer(struct mysql *m, bool complete)
{
	m->answer = FIRST;
	if (m->queue.first)
		sql_tell(&m->queue, complete);
}

static int on_error(struct mysql *m, const struct buffer *b)
{
	size_t at = 3;
	char code[16];

	if (b->len < 3)
		return 0;
	snprintf(code, sizeof code, "%u", (unsigned)get16(b->data + 1));
	if (b->len >= 9 && b->data[3] == '#')
		at += 6; /* the SQL state */
	return sql_fail(m->queue.first, code, strlen(code), (const char *)b->data + at, b->len - at);
}

/* An OK packet: does another result follow? */
static bool on_ok(struct mysql *m, const struct buffer *b)
{
	struct sql_pending *p = m->queue.first;
	uint64_t rows, id;
	size_t at = 1;

	if (!take_number(b, &at, &rows) || !take_number(b, &at, &id) || b->len - at < 2)
		return false;
	if (b->data[0] == 0x00 && rows < INT64_MAX)
		p->told.rows = (p->told.rows < 0 ? 0 : p->told.rows) + (int64_t)rows;
	return get16(b->data + at) & MORE_RESULTS;
}

/* The first packet of an answer, or of a further result of it. 0 or -1. */
static int on_first(struct mysql *m, const struct lane *lane)
{
	struct sql_pending *p = m->queue.first;
	const struct buffer *b = &lane->payload;
	size_t at = 0;

	if (p->op == COM_STATISTICS) {
		end_answer(m, true);
	} else if (b->data[0] == 0xff) {
		if (on_error(m, b) < 0)
			return -1;
		end_answer(m, true);
	} else if (p->op == COM_STMT_PREPARE && b->data[0] == 0 && b->len >= 9) {
		if (remember(m, get32(b->data + 1), p) < 0)
			return -1;
		m->columns = (uint64_t)get16(b->data + 5) + get16(b->data + 7);
		m->maybe_eof = true;
		m->answer = PREPARED;
		if (m->columns == 0)
			end_answer(m, true);
	} else if (p->op == COM_STMT_FETCH) {
		m->answer = ROWS;
		p->told.rows = 1;
		if (b->data[0] == 0xfe && b->len < 9) {
			p->told.rows = 0;
			end_answer(m, true);
		}
	} else if (p->op == COM_FIELD_LIST) {
		if (b->data[0] == 0xfe && b->len < 9)
			end_answer(m, true);
	} else if (b->data[0] == 0x00) {
		if (!on_ok(m, b))
			end_answer(m, true);
	} else if (b->data[0] == 0xfe) {
		/* An EOF packet (COM_SET_OPTION), or a new round of authentication. */
		if (p->op != COM_CHANGE_USER)
			end_answer(m, true);
	} else if (b->data[0] == 0xfb && p->op == COM_QUERY) {
		m->answer = FILE_SENT;
	} else if (p->op == COM_QUERY || p->op == COM_STMT_EXECUTE) {
		if (!take_number(b, &at, &m->columns)) {
			end_answer(m, false);
			return 0;
		}
		/* MariaDB may leave out what the client knows already, and says so in another byte. */
		if (at < b->len && b->data[at] == 0)
			m->columns = 0;
		m->maybe_eof = true;
		m->answer = m->columns > 0 ? COLUMNS : ROWS;
		if (p->told.rows < 0)
			p->told.rows = 0;
	} else if (p->op != COM_CHANGE_USER) {
		end_answer(m, true);
	}
	return 0;
}

/* A packet behind the columns. 0 or -1. */
static int on_row(struct mysql *m, const struct lane *lane)
{
	struct sql_pending *p = m->queue.first;
	const struct buffer *b = &lane->payload;
	bool more;

	if (b->data[0] == 0xfe && b->len == 5 && m->maybe_eof) {
		m->maybe_eof = false; /* the one behind the columns */
		/* A cursor was opened: the rows are fetched by further commands. */
		if (get16(b->data + 3) & 0x0040)
			end_answer(m, true);
		return 0;
	}
	m->maybe_eof = false;
	if (b->data[0] == 0xff) {
		if (on_error(m, b) < 0)
			return -1;
		end_answer(m, true);
	} else if (b->data[0] == 0xfe && lane->len - 4 < PACKET_MAX && b->len >= 5) {
		more = b->len == 5 ? get16(b->data + 3) & MORE_RESULTS : b->len >= 7 && on_ok(m, b);
		if (more)
			m->answer = FIRST;
		else
			end_answer(m, true);
	} else {
		p->told.rows++;
	}
	return 0;
}

static int on_server(struct mysql *m, const struct lane *lane, uint64_t wall)
{
	const struct buffer *b = &lane->payload;

	if (m->greeting) {
		m->greeting = false;
		m->login = true;
		if (b->len > 0 && b->data[0] == 0xff)
			m->lane[0].state = m->lane[1].state = OFF;
		return 0;
	}
	if (m->login) {
		if (b->len > 0 && b->data[0] == 0x00)
			m->login = false;
		return 0;
	}
	if (!m->queue.first || (m->answer == FIRST && b->len > 0 && b->data[0] == 0xfe && b->len == 5 &&
	                        lane->sequence > 1 && !m->queue.first->told.answered))
		return 0; /* nobody asked, or an EOF packet behind a prepared statement's definitions */
	sql_answer(m->queue.first, lane->len, wall);
	m->queue.first->hole |= lane->hole;
	if (b->len == 0)
		return 0;
	switch (m->answer) {
	case FIRST:
		return on_first(m, lane);
	case COLUMNS:
		if (--m->columns == 0)
			m->answer = ROWS;
		return 0;
	case PREPARED:
		if (b->data[0] == 0xfe && b->len == 5)
			return 0; /* between parameters and columns */
		if (--m->columns == 0)
			end_answer(m, true);
		return 0;
	case ROWS:
		return on_row(m, lane);
	default:
		return 0;
	}
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

/* Is the piece nothing but packets, in order? */
static bool is_row(const uint8_t *data, size_t len, bool client)
{
	uint8_t sequence = client ? 0 : 1;

	if (len < 5 || (client && (data[4] < COM_QUIT || data[4] > COM_RESET_CONNECTION)))
		return false;
	while (len >= 4 && data[3] == sequence) {
		size_t whole = 4 + (get32(data) & PACKET_MAX);

		if (whole > len || whole == 4)
			return false;
		data += whole;
		len -= whole;
		sequence++;
	}
	return len == 0;
}

/* A query in words, for a beginning in the middle. */
static bool is_query(const uint8_t *data, size_t len)
{
	if (!is_row(data, len, true) || data[4] != COM_QUERY || len < 9)
		return false;
	for (size_t i = 5; i < len && i < 64; i++)
		if (data[i] < ' ' && data[i] != '\n' && data[i] != '\t' && data[i] != '\r')
			return false;
	return true;
}

static bool find_place(struct mysql *m, struct lane *lane, const uint8_t *data, size_t len)
{
	int me = lane == &m->lane[1];

	if (m->client < 0 && is_query(data, len))
		m->client = me;
	if (m->client < 0)
		return false;
	if (me == m->client)
		return is_row(data, len, true);
	m->queue.heard = true;
	if (!m->queue.answers_next || m->queue.pipelined || !is_row(data, len, false))
		return false;
	m->queue.lost = false;
	return true;
}

static int end_packet(struct mysql *m, struct lane *lane, uint64_t wall)
{
	int result;

	if (lane->continued)
		return 0;
	result = lane == &m->lane[m->client] ? on_client(m, lane) : on_server(m, lane, wall);
	lane->payload.len = 0;
	lane->len = 0;
	lane->hole = false;
	return result;
}

static int feed(struct mysql *m, struct lane *lane, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	int result = 0;
	size_t n, room;

	if (lane->state == LOST) {
		if (!find_place(m, lane, data, len))
			return 0;
		lane->state = PACKETS;
		lane->len = 0;
	}
	while (len > 0 && result == 0 && lane->state == PACKETS) {
		if (lane->left == 0) {
			if (lane->n_head == 0 && lane->len == 0)
				lane->since = stamp->wall;
			lane->head[lane->n_head++] = *data;
			n = 1;
			if (lane->n_head == sizeof lane->head) {
				lane->n_head = 0;
				lane->left = get32(lane->head) & PACKET_MAX;
				if (!lane->continued)
					lane->sequence = lane->head[3];
				lane->continued = lane->left == PACKET_MAX;
				lane->len += 4 + (uint64_t)lane->left;
				if (lane->left == 0)
					result = end_packet(m, lane, stamp->wall);
			}
		} else {
			n = lane->left < len ? lane->left : len;
			room = SQL_PAYLOAD_MAX - lane->payload.len;
			if (!lane->hole)
				result = buffer_add(&lane->payload, data, n < room ? n : room);
			lane->left -= (uint32_t)n;
			if (result == 0 && lane->left == 0)
				result = end_packet(m, lane, stamp->wall);
		}
		data += n;
		len -= n;
	}
	return result;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

/* The client's answer to the greeting: it is the first packet where the greeting was not within the TLS connection. */
static bool is_login(const uint8_t *data, size_t len)
{
	static const uint8_t filler[19];

	return len >= 36 && (get32(data) & PACKET_MAX) >= 32 && (data[3] == 1 || data[3] == 2) &&
	       memcmp(data + 13, filler, sizeof filler) == 0;
}

/* The server's greeting: protocol version 10, and the server's in digits. */
static enum proto_guess mysql_guess(const uint8_t *data, size_t len, bool middle)
{
	uint32_t size;

	if (middle)
		return is_query(data, len) ? PROTO_YES : PROTO_NO;
	if (is_login(data, len))
		return PROTO_YES;
	if (len >= 4 && len < 36 && data[2] == 0 && (data[3] == 1 || data[3] == 2))
		return PROTO_MAYBE;
	if (len < 7)
		return (len < 3 || data[2] == 0) && (len < 4 || data[3] == 0) && (len < 5 || data[4] == 10) &&
		                       (len < 6 || (data[5] >= '0' && data[5] <= '9'))
		               ? PROTO_MAYBE
		               : PROTO_NO;
	size = get32(data) & PACKET_MAX;
	return size > 40 && size < 512 && data[3] == 0 && data[4] == 10 && data[5] >= '0' && data[5] <= '9' &&
	                       (data[6] == '.' || (data[6] >= '0' && data[6] <= '9'))
	               ? PROTO_YES
	               : PROTO_NO;
}

/* The first bytes: the server greets, or it has done so before this connection's plaintext began. */
static void begin(struct mysql *m, int dir, const uint8_t *data, size_t len)
{
	bool login = len >= 4 && (data[3] == 1 || data[3] == 2);

	m->client = login ? dir : !dir;
	if (login && m->lane[!dir].n_head == 0) {
		m->greeting = false;
		m->login = true;
	}
}

static int mysql_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct mysql *m = state;
	struct lane *lane = &m->lane[dir];

	if (data && m->client < 0 && lane->state == PACKETS)
		begin(m, dir, data, len);
	if (data)
		return feed(m, lane, data, len, stamp);
	if (lane->state == OFF)
		return 0;
	/* What a packet is stands at its beginning. */
	if (lane->state == PACKETS && len > 0 && len <= lane->left && lane->payload.len > 8) {
		lane->hole = true;
		lane->left -= (uint32_t)len;
		return lane->left == 0 ? end_packet(m, lane, stamp->wall) : 0;
	}
	lose(m, lane);
	return 0;
}

static void *mysql_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct mysql *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->queue.sink = *sink;
	m->queue.protocol = "mysql";
	m->client = -1;
	m->greeting = !flow->preopened;
	if (flow->preopened)
		m->lane[0].state = m->lane[1].state = LOST;
	m->queue.lost = m->queue.heard = flow->preopened;
	return m;
}

static int mysql_finish(void *state, bool closed)
{
	struct mysql *m = state;

	(void)closed;
	sql_tell_all(&m->queue);
	return 0;
}

static void mysql_free(void *state)
{
	struct mysql *m = state;
	struct statement *s;

	if (!m)
		return;
	for (int i = 0; i < 2; i++)
		buffer_release(&m->lane[i].payload);
	for (size_t cursor = 0; (s = map_next(&m->statements, &cursor));)
		statement_free(s);
	map_release(&m->statements);
	sql_release(&m->queue);
	free(m);
}

const struct proto proto_mysql = {
        .name = "mysql",
        .guess = mysql_guess,
        .open = mysql_open,
        .feed = mysql_feed,
        .finish = mysql_finish,
        .free = mysql_free,
};
