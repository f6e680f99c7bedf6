/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * RESP2 and RESP3 (the "Redis serialization protocol specification"): a client sends arrays of bulk strings, or a line
 * of words; a server answers each command with one value, in order. A value may hold others; of those, only how many are
 * still to come is kept, level by level. What a server sends unasked ('>' of RESP3, the messages of a subscription, a
 * monitor's lines) finds no command that waits for it, or is not counted as an answer.
 *
 * Behind a hole that does not lie within a bulk string, a direction is lost until a piece begins with a value that is
 * complete in its first lines. Answers belong to commands only by their order, so the server's side also waits for the
 * next command; and if commands were pipelined nothing is certain any more, and the rest of the connection is silent.
 */
#include <string.h>
#include <strings.h>

#include "replay/proto/sql_queue.h"

enum {
	LINE_MAX_BYTES = 64 << 10, /* of a line; also of an inline command, as the server has it */
	DEPTH_MAX = 32,
	PART_MAX = 512 << 20, /* the server's limit of a bulk string */
};

struct lane {
	enum {
		VALUE, /* a line that begins one */
		BULK,  /* `left` bytes, CR LF among them */
		LOST,
		OFF
	} state;
	struct buffer line;
	uint64_t left;
	bool hole;
	uint64_t depth[DEPTH_MAX]; /* values that are still to come, by level */
	size_t n_depth;
	bool unasked; /* the value at hand is no answer */
	uint64_t words;
	uint64_t since, bytes; /* of the value at hand */
};

struct redis {
	struct sql_queue queue;
	struct lane lane[2];
	int client;                  /* -1: not known */
	struct sql_pending *command; /* that the client is sending */
};

static void tell_all(struct redis *r)
{
	sql_tell_all(&r->queue);
	r->command = NULL;
}

static void lose(struct redis *r, struct lane *lane)
{
	if (r->client >= 0 && lane == &r->lane[r->client])
		tell_all(r);
	else
		sql_lose(&r->queue);
	r->command = NULL;
	lane->state = LOST;
	lane->n_depth = 0;
	lane->words = 0;
	buffer_release(&lane->line);
	if (r->queue.pipelined)
		r->lane[0].state = r->lane[1].state = OFF;
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static int begin_command(struct redis *r, struct lane *lane)
{
	if (r->queue.n >= SQL_COMMANDS_MAX) {
		lose(r, lane);
		return 0;
	}
	sql_ask(&r->queue);
	r->command = sql_push(&r->queue, "command", r->client, lane->since);
	return r->command ? 0 : -1;
}

static int add_word(struct redis *r, const uint8_t *data, size_t len)
{
	struct sql_pending *p = r->command;

	return p ? sql_text(p, data, len) : 0;
}

/* How many answers the command gets: one for each channel of a subscription. */
static uint32_t answers_of(const struct sql_pending *p, uint64_t words)
{
	static const char *const names[] = {"subscribe",   "psubscribe",   "ssubscribe",
	                                    "unsubscribe", "punsubscribe", "sunsubscribe"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (p->text.len > strlen(names[i]) &&
		    strncasecmp((const char *)p->text.data, names[i], strlen(names[i])) == 0 &&
		    p->text.data[strlen(names[i])] == ' ')
			return (uint32_t)words - 1;
	return 1;
}

static void end_command(struct redis *r, struct lane *lane, uint64_t words)
{
	struct sql_pending *p = r->command;

	r->command = NULL;
	if (p) {
		p->told.bytes_sent = lane->bytes;
		p->id = answers_of(p, words);
	}
}

/* A line without a type: words with spaces between. */
static int on_inline(struct redis *r, struct lane *lane, const uint8_t *line, size_t len)
{
	if (len == 0)
		return 0;
	if (begin_command(r, lane) < 0 || add_word(r, line, len) < 0)
		return -1;
	end_command(r, lane, 1);
	return 0;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* A value ended: those that end with it, too. */
static void end_value(struct redis *r, struct lane *lane, uint64_t wall)
{
	struct sql_pending *p;

	while (lane->n_depth > 0) {
		if (--lane->depth[lane->n_depth - 1] > 0)
			return;
		lane->n_depth--;
	}
	if (lane == &r->lane[r->client]) {
		end_command(r, lane, lane->words);
		return;
	}
	p = r->queue.first;
	if (p && p != r->command && !lane->unasked) {
		sql_answer(p, lane->bytes, wall);
		if (p->id > 1)
			p->id--;
		else
			sql_tell(&r->queue, !lane->hole);
	}
}

static bool parse_number(const uint8_t *text, size_t len, int64_t *n)
{
	bool minus = len > 0 && *text == '-';

	*n = 0;
	if (len <= (size_t)minus || len > 19)
		return false;
	for (size_t i = minus; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*n = *n * 10 + (text[i] - '0');
	}
	if (minus)
		*n = -*n;
	return true;
}

static int on_error(struct redis *r, const uint8_t *text, size_t len)
{
	struct sql_pending *p = r->queue.first;
	const uint8_t *space = memchr(text, ' ', len);
	size_t code = space ? (size_t)(space - text) : len;

	if (!p || p == r->command)
		return 0;
	return sql_fail(p, (const char *)text, code, (const char *)text, len);
}

/* A line that begins a value. 1; 0: that is none; -1: no memory. */
static int on_line(struct redis *r, struct lane *lane, const uint8_t *line, size_t len, uint64_t wall)
{
	bool client = lane == &r->lane[r->client], top = lane->n_depth == 0;
	int64_t n = 0;

	if (top)
		lane->hole = lane->unasked = false;
	switch (len > 0 ? line[0] : 0) {
	case '$':
	case '!':
	case '=':
		if (!parse_number(line + 1, len - 1, &n) || n < -1 || n > PART_MAX)
			return 0;
		if (client && top)
			return 0;
		if (n < 0) {
			end_value(r, lane, wall);
			return 1;
		}
		if (line[0] == '!' && top && !client && on_error(r, (const uint8_t *)"ERR", 3) < 0)
			return -1;
		lane->left = (uint64_t)n + 2;
		lane->state = BULK;
		if (client) {
			if (lane->words > 0 && add_word(r, (const uint8_t *)" ", 1) < 0)
				return -1;
			lane->words++;
		}
		return 1;
	case '*':
	case '%':
	case '~':
	case '>':
	case '|':
		if (!parse_number(line + 1, len - 1, &n) || n < -1 || n > INT32_MAX)
			return 0;
		if (client && (line[0] != '*' || !top))
			return 0;
		if (client && n > 0) {
			lane->words = 0;
			if (begin_command(r, lane) < 0)
				return -1;
			if (lane->state == LOST || lane->state == OFF)
				return 1;
		}
		if (top && line[0] == '>')
			lane->unasked = true;
		if (top && line[0] != '|' && !client && !lane->unasked && r->queue.first &&
		    r->queue.first != r->command && n >= 0)
			r->queue.first->told.rows = n;
		if (line[0] == '%')
			n *= 2;
		else if (line[0] == '|')
			n = 2 * n + 1; /* attributes, and then the value itself */
		if (n > 0) {
			if (lane->n_depth == DEPTH_MAX)
				return 0;
			lane->depth[lane->n_depth++] = (uint64_t)n;
		} else if (!client) {
			end_value(r, lane, wall);
		}
		return 1;
	case '-':
		if (client)
			break;
		if (top && on_error(r, line + 1, len - 1) < 0)
			return -1;
		end_value(r, lane, wall);
		return 1;
	case '+':
	case ':':
	case ',':
	case '#':
	case '_':
	case '(':
		if (client)
			break;
		end_value(r, lane, wall);
		return 1;
	default:
		break;
	}
	if (!client || !top)
		return 0;
	return on_inline(r, lane, line, len) < 0 ? -1 : 1;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

/* Does a value, or a command, begin at the beginning of this piece for sure? */
static bool begins(const uint8_t *data, size_t len, bool client)
{
	const uint8_t *end = memchr(data, '\n', len), *second;
	int64_t n;

	if (!end || end == data || end[-1] != '\r' || end - data < 2 || end - data > 21)
		return false;
	len -= (size_t)(end + 1 - data);
	if (client) {
		if (*data != '*' || !parse_number(data + 1, (size_t)(end - data) - 2, &n) || n < 1 || len < 4 ||
		    end[1] != '$')
			return false;
		second = memchr(end + 1, '\n', len);
		return second && second[-1] == '\r' && parse_number(end + 2, (size_t)(second - end) - 3, &n) && n >= 0;
	}
	/* Numbers are what can be checked. */
	return strchr("$*:%~", *data) && parse_number(data + 1, (size_t)(end - data) - 2, &n);
}

static bool find_place(struct redis *r, const struct lane *lane, const uint8_t *data, size_t len)
{
	int me = lane == &r->lane[1];

	if (r->client < 0 && begins(data, len, true))
		r->client = me;
	if (r->client < 0)
		return false;
	if (me == r->client)
		return begins(data, len, true);
	r->queue.heard = true;
	if (!r->queue.answers_next || r->queue.pipelined || r->command ||
	    !(begins(data, len, false) || (len >= 5 && memcmp(data, "+OK\r\n", 5) == 0) || *data == '-'))
		return false;
	r->queue.lost = false;
	return true;
}

static int feed_line(struct redis *r, struct lane *lane, const uint8_t *data, size_t len, size_t *used, uint64_t wall)
{
	const uint8_t *end = memchr(data, '\n', len), *line = data;
	size_t n;
	int result;

	*used = end ? (size_t)(end - data) + 1 : len;
	lane->bytes += *used;
	if (!end || lane->line.len > 0) {
		if (lane->line.len + *used > LINE_MAX_BYTES) {
			lose(r, lane);
			return 0;
		}
		if (buffer_add(&lane->line, data, *used) < 0)
			return -1;
		if (!end)
			return 0;
		line = lane->line.data;
	}
	n = (lane->line.len > 0 ? lane->line.len : *used) - 1;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	result = on_line(r, lane, line, n, wall);
	lane->line.len = 0;
	if (result == 0)
		lose(r, lane);
	return result < 0 ? -1 : 0;
}

static int feed_bulk(struct redis *r, struct lane *lane, const uint8_t *data, uint64_t n, uint64_t wall)
{
	uint64_t text = lane->left > 2 ? lane->left - 2 : 0;

	if (!data)
		lane->hole = true;
	if (!data && lane == &r->lane[r->client] && r->command)
		r->command->hole = true;
	if (data && lane == &r->lane[r->client] && text > 0 &&
	    add_word(r, data, n < text ? (size_t)n : (size_t)text) < 0)
		return -1;
	lane->bytes += n;
	lane->left -= n;
	if (lane->left == 0) {
		lane->state = VALUE;
		end_value(r, lane, wall);
	}
	return 0;
}

static int feed(struct redis *r, struct lane *lane, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	int result = 0;
	size_t n;

	if (lane->state == LOST) {
		if (!find_place(r, lane, data, len))
			return 0;
		lane->state = VALUE;
	}
	while (len > 0 && result == 0 && lane->state < LOST) {
		if (lane->state == BULK) {
			n = lane->left < len ? (size_t)lane->left : len;
			result = feed_bulk(r, lane, data, n, stamp->wall);
		} else {
			if (lane->n_depth == 0 && lane->line.len == 0) {
				lane->since = stamp->wall;
				lane->bytes = 0;
			}
			result = feed_line(r, lane, data, len, &n, stamp->wall);
		}
		data += n;
		len -= n;
	}
	return result;
}

static int redis_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct redis *r = state;
	struct lane *lane = &r->lane[dir];

	if (data && r->client < 0 && lane->state != LOST)
		r->client = strchr("+-:$", *data) ? !dir : dir; /* no server begins with an array */
	if (data)
		return feed(r, lane, data, len, stamp);
	if (lane->state == BULK && len > 0 && len <= lane->left)
		return feed_bulk(r, lane, NULL, len, stamp->wall);
	if (lane->state != OFF)
		lose(r, lane);
	return 0;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

/* A command's first two lines. Words on a line of their own are taken for a command only if they are a usual one. */
static enum proto_guess redis_guess(const uint8_t *data, size_t len, bool middle)
{
	static const char *const usual[] = {"PING\r\n", "INFO\r\n", "COMMAND\r\n", "MONITOR\r\n"};
	size_t i;

	if (*data == '*') {
		for (i = 1; i < len && data[i] >= '0' && data[i] <= '9'; i++)
			;
		if (begins(data, len, true))
			return PROTO_YES;
		if (middle || i > 8 || (i == 1 && len > 1))
			return PROTO_NO;
		/* "*3 CR LF $" and the second line's number may still come. */
		for (size_t j = 0; i < len && j < 3; i++, j++)
			if (data[i] != (uint8_t) "\r\n$"[j])
				return PROTO_NO;
		return len < 32 ? PROTO_MAYBE : PROTO_NO;
	}
	for (i = 0; i < sizeof usual / sizeof *usual && !middle; i++) {
		size_t n = strlen(usual[i]);

		if (len >= n ? strncasecmp((const char *)data, usual[i], n) == 0
		             : strncasecmp((const char *)data, usual[i], len) == 0)
			return len >= n ? PROTO_YES : PROTO_MAYBE;
	}
	return PROTO_NO;
}

static void *redis_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct redis *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->queue.sink = *sink;
	r->queue.protocol = "redis";
	r->client = -1;
	if (flow->preopened)
		r->lane[0].state = r->lane[1].state = LOST;
	r->queue.lost = r->queue.heard = flow->preopened;
	return r;
}

static int redis_finish(void *state, bool closed)
{
	(void)closed;
	tell_all(state);
	return 0;
}

static void redis_free(void *state)
{
	struct redis *r = state;

	if (!r)
		return;
	for (int i = 0; i < 2; i++)
		buffer_release(&r->lane[i].line);
	sql_release(&r->queue);
	free(r);
}

const struct proto proto_redis = {
        .name = "redis",
        .guess = redis_guess,
        .open = redis_open,
        .feed = redis_feed,
        .finish = redis_finish,
        .free = redis_free,
};
