/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Until it is known what a flow speaks, its pieces are held, at most HELD_MAX bytes. Each new piece lets every protocol
 * guess from a direction's bytes so far. The first that is sure gets all that was held, in the order it came. One that
 * neither direction can be any more is out of the question; when all are, or too much is held, the flow is unknown,
 * and costs nothing any more.
 *
 * Somewhere in a conversation (recording began later; bytes are missing) only a piece's beginning may be a message's,
 * for senders write whole messages. There, a protocol has to be sure of the piece at hand, and what came before it in
 * that direction is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/buffer.h"
#include "replay/proto/proto.h"

enum {
	HELD_MAX = 64 << 10,
	HELD_PIECES = 256,
	MIDDLE_PIECES = 1 << 16, /* of a conversation's middle, to try */
};

/* In the order in which they are asked. */
static const struct proto *const known[] = {&proto_http1, &proto_http2, &proto_pgsql,
                                            &proto_mysql, &proto_redis, &proto_dns};

enum {
	KNOWN = sizeof known / sizeof *known
};

struct held {
	struct held *next;
	int dir;
	uint64_t len;
	struct stamp stamp;
	uint8_t data[];
};

struct protos {
	struct proto_flow flow;
	struct proto_sink sink;
	const char *name;          /* of what is spoken; NULL: not known yet, or never */
	const struct proto *proto; /* NULL: likewise, or nobody wants it */
	void *state;
	bool unknown; /* it is none of them */
	struct held *held, **held_end;
	size_t held_bytes, pieces; /* seen so far */
	struct side {
		struct buffer first; /* what was held, as long as nothing is missing */
		bool middle;
		bool not [KNOWN]; /* ruled out by its bytes */
	} side[2];
};

/* Does anybody want to know what the protocol tells? */
static bool is_wanted(const struct proto *proto, const struct proto_sink *sink)
{
	if (proto == &proto_http1)
		return sink->http || sink->websocket;
	if (proto == &proto_http2)
		return sink->http;
	if (proto == &proto_dns)
		return sink->dns;
	return sink->sql;
}

struct protos *protos_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct protos *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->flow = *flow;
	p->sink = *sink;
	p->held_end = &p->held;
	p->side[0].middle = p->side[1].middle = flow->preopened;
	return p;
}

struct protos *protos_open_as(const struct proto *proto, void *state)
{
	struct protos *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->held_end = &p->held;
	p->name = proto->name;
	p->proto = proto;
	p->state = state;
	return p;
}

static void drop_held(struct protos *p)
{
	struct held *held;

	while ((held = p->held)) {
		p->held = held->next;
		free(held);
	}
	p->held_end = &p->held;
	for (int i = 0; i < 2; i++)
		buffer_release(&p->side[i].first);
}

/* None is spoken, or one that nobody asks for. */
static void give_up(struct protos *p)
{
	p->unknown = true;
	drop_held(p);
}

static int hold(struct protos *p, int dir, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	struct held *held = malloc(sizeof *held + len);

	if (!held)
		return -1;
	*held = (struct held){.dir = dir, .len = len, .stamp = *stamp};
	held->stamp.peer = NULL; /* datagrams are never held */
	memcpy(held->data, data, len);
	*p->held_end = held;
	p->held_end = &held->next;
	p->held_bytes += len;
	return 0;
}

/* It is this one, by the bytes of that direction. Feeds it what was held. */
static int settle(struct protos *p, const struct proto *proto, int dir)
{
	const struct stamp nothing = {.shown = true};
	struct held *held;
	int result = 0;

	p->name = proto->name;
	if (!is_wanted(proto, &p->sink)) {
		give_up(p);
		return 0;
	}
	p->flow.preopened = p->side[dir].middle;
	p->state = proto->open(&p->flow, &p->sink);
	if (!p->state)
		return -1;
	p->proto = proto;
	if (p->side[!dir].middle)
		result = proto->feed(p->state, !dir, NULL, 0, &nothing);
	while ((held = p->held) && result == 0) {
		p->held = held->next;
		result = proto->feed(p->state, held->dir, held->data, held->len, &held->stamp);
		free(held);
	}
	drop_held(p);
	return result;
}

/* What was held of this direction is of no use: it came from the middle of something. */
static void forget(struct protos *p, int dir)
{
	struct held **at = &p->held, *held;

	while ((held = *at)) {
		if (held->dir == dir) {
			*at = held->next;
			p->held_bytes -= held->len;
			free(held);
		} else {
			at = &held->next;
		}
	}
	p->held_end = at;
	buffer_release(&p->side[dir].first);
	memset(p->side[dir].not, 0, sizeof p->side[dir].not );
}

/* All bytes of the direction so far, or of the piece at hand: which protocol is it? NULL: none for sure. */
static const struct proto *guess(struct protos *p, int dir, const uint8_t *data, size_t len)
{
	struct side *side = &p->side[dir];

	for (size_t i = 0; i < KNOWN; i++) {
		if (side->not [i])
			continue;
		switch (known[i]->guess(data, len, side->middle)) {
		case PROTO_YES:
			return known[i];
		case PROTO_NO:
			side->not [i] = !side->middle;
			break;
		default:
			break;
		}
	}
	return NULL;
}

/* Is none of them possible any more? */
static bool none_left(const struct protos *p)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (!p->side[0].not [i] || !p->side[1].not [i])
			return false;
	return true;
}

static int feed_unknown(struct protos *p, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct side *side = &p->side[dir];
	const struct proto *found;

	if (!data) {
		forget(p, dir);
		side->middle = true;
		return 0;
	}
	if (side->middle || side->first.len == 0) {
		found = guess(p, dir, data, len);
		if (!found && !side->middle && buffer_add(&side->first, data, len) < 0)
			return -1;
	} else {
		if (buffer_add(&side->first, data, len) < 0)
			return -1;
		found = guess(p, dir, side->first.data, side->first.len);
	}
	if (found) {
		if (settle(p, found, dir) < 0)
			return -1;
		return p->state ? p->proto->feed(p->state, dir, data, len, stamp) : 0;
	}
	if (none_left(p) || ++p->pieces >= (side->middle ? MIDDLE_PIECES : HELD_PIECES) ||
	    len > HELD_MAX - p->held_bytes) {
		give_up(p);
		return 0;
	}
	return side->middle ? 0 : hold(p, dir, data, len, stamp);
}

/* Datagrams: only one protocol of those is known, and it judges each for itself. */
static int feed_datagram(struct protos *p, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	if (!p->sink.dns) {
		give_up(p);
		return 0;
	}
	p->proto = &proto_dns;
	p->state = proto_dns.open(&p->flow, &p->sink);
	return p->state ? p->proto->feed(p->state, dir, data, len, stamp) : -1;
}

int protos_feed(struct protos *p, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	if (p->state)
		return p->proto->feed(p->state, dir, data, len, stamp);
	if (p->unknown || (data && len == 0))
		return 0;
	return p->flow.datagrams ? feed_datagram(p, dir, data, len, stamp) : feed_unknown(p, dir, data, len, stamp);
}

int protos_finish(struct protos *p, bool closed)
{
	return p->state ? p->proto->finish(p->state, closed) : 0;
}

const char *protos_name(const struct protos *p)
{
	return p->name;
}

void protos_free(struct protos *p)
{
	if (!p)
		return;
	drop_held(p);
	if (p->state)
		p->proto->free(p->state);
	free(p);
}
