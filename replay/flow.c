/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A flow has two lanes, one for each direction. On a socket's lane, bytes pass these stations:
 *
 *     call -> assembly (order, holes) -> wire() -> tls_stack (verdict, decryption) -> plain() -> protos
 *                                                      ^
 *       library calls of a flow that is bound to it ---'
 *
 * A library object's flow has only the assembly; what comes out of it joins the plaintext of the socket that it is
 * bound to at that moment (bind.c), or is told as its own when there is none.
 *
 * Everything is worked through for each flow, chosen or not, shown or not: a choice only decides what is told.
 */
#include <stdlib.h>
#include <string.h>

#include "replay/player_state.h"

/* A socket that several fds may share: fork(2), or passed on. */
struct shared_socket {
	uint64_t refs;
	uint32_t role;
};

enum {
	HELD_BYTES = 64 << 10, /* of one direction of a library object that is not bound */
};

static struct player *player_of(const struct flow *flow)
{
	return flow->section->player;
}

static void fail(const struct flow *flow, int result)
{
	if (result < 0)
		play_fail(player_of(flow), FDTAPE_ERR_MEMORY);
}

/* May this be told to the sink? */
static bool shown(const struct flow *flow, const struct stamp *stamp)
{
	return flow->chosen && stamp->shown && !player_of(flow)->stop;
}

void flow_tell(struct flow *flow)
{
	struct player *p = player_of(flow);

	if (!flow->chosen || flow->told || p->stop)
		return;
	flow->told = true;
	if (p->sink.flow_opened)
		p->stop = p->sink.flow_opened(p->sink.context, &flow->pub);
}

typedef int tell_piece(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece);

static void tell(const struct lane *lane, tell_piece *callback, uint64_t offset, const uint8_t *data, uint64_t len,
                 const struct stamp *stamp)
{
	struct flow *flow = lane->flow;
	struct player *p = player_of(flow);
	const struct player_piece piece = {.offset = offset,
	                                   .data = data,
	                                   .len = len,
	                                   .wall = stamp->wall,
	                                   .tid = stamp->tid,
	                                   .peer = data ? stamp->peer : NULL};

	if (!shown(flow, stamp))
		return;
	flow_tell(flow);
	if (callback && !p->stop)
		p->stop = callback(p->sink.context, &flow->pub, lane->dir, &piece);
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

/* May a message be told that was begun, answered and ended at these times (0: not seen)? Then its flow has been. */
static bool message_shown(struct flow *flow, uint64_t start, uint64_t answer, uint64_t end)
{
	struct player *p = player_of(flow);
	uint64_t from = start ? start : answer;

	if (!flow->chosen || p->stop || !play_in_time(p, from, end > from ? end : from))
		return false;
	flow_tell(flow);
	return !p->stop;
}

static void on_http(void *context, const struct http_exchange *x)
{
	struct flow *flow = context;
	struct player *p = player_of(flow);

	if (message_shown(flow, x->start, x->first_byte, x->end))
		p->stop = p->sink.http(p->sink.context, &flow->pub, x);
}

static void on_websocket(void *context, const struct websocket_message *message)
{
	struct flow *flow = context;
	struct player *p = player_of(flow);

	if (message_shown(flow, message->start, message->start, message->end))
		p->stop = p->sink.websocket(p->sink.context, &flow->pub, message);
}

static void on_sql(void *context, const struct sql_command *command)
{
	struct flow *flow = context;
	struct player *p = player_of(flow);

	if (message_shown(flow, command->start, command->first_byte, command->end))
		p->stop = p->sink.sql(p->sink.context, &flow->pub, command);
}

static void on_dns(void *context, const struct dns_exchange *x)
{
	struct flow *flow = context;
	struct player *p = player_of(flow);

	flow->pub.protocol = proto_dns.name;
	if (p->sink.dns && message_shown(flow, x->start, x->end, x->end))
		p->stop = p->sink.dns(p->sink.context, &flow->pub, x);
}

/* The flow's plaintext goes to the protocols, if anybody asks for messages and the flow may carry any. */
static int feed_protos(struct flow *flow, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	const struct player_sink *sink = &player_of(flow)->sink;
	const struct fdtape_flow *def = &flow->pub.def;

	if (!flow->protos) {
		const struct proto_flow about = {.preopened = def->flags & FDTAPE_FLOW_PREOPENED,
		                                 .datagrams = !flow->tls && def->kind == FDTAPE_KIND_SOCKET,
		                                 .tls = &flow->pub.tls};
		const struct proto_sink own = {.context = flow,
		                               .http = sink->http ? on_http : NULL,
		                               .websocket = sink->websocket ? on_websocket : NULL,
		                               .sql = sink->sql ? on_sql : NULL,
		                               .dns = sink->dns || sink->protocol ? on_dns : NULL,
		                               .content = sink->http_content,
		                               .digests = sink->http_digests};

		if (!own.http && !own.websocket && !own.sql && !own.dns && !sink->protocol)
			return 0;
		if (!flow->tls && def->kind != FDTAPE_KIND_LIBRARY && def->proto != FDTAPE_PROTO_UDP)
			return 0;
		flow->protos = protos_open(&about, &own);
		if (!flow->protos)
			return -1;
	}
	if (protos_feed(flow->protos, dir, data, len, stamp) < 0)
		return -1;
	if (protos_name(flow->protos))
		flow->pub.protocol = protos_name(flow->protos);
	return 0;
}

/* What is told from here on is another conversation, or nothing at all. */
static void end_messages(struct flow *flow, bool closed)
{
	if (!flow->protos)
		return;
	fail(flow, protos_finish(flow->protos, closed));
	protos_free(flow->protos);
	flow->protos = NULL;
}

/* A piece of what was meant; `secret`: TLS protected it. */
static void give_plain(struct lane *lane, const uint8_t *data, uint64_t len, const struct stamp *stamp, bool secret)
{
	struct flow *flow = lane->flow;
	uint64_t offset = lane->given;

	lane->given += len;
	if (data && secret)
		flow->pub.traffic[lane->dir].plaintext += len;
	tell(lane, player_of(flow)->sink.plain, offset, data, len, stamp);
	fail(flow, feed_protos(flow, lane->dir, data, len, stamp));
}

/* ---- from tls_stack --------------------------------------------------------------------------------------------- */

static void on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                     bool secret)
{
	struct flow *flow = context;

	give_plain(&flow->lane[dir], data, len, stamp, secret);
}

static void on_turned(void *context)
{
	end_messages(context, false);
}

static bool on_key(void *context, const struct tls_key *key)
{
	struct flow *flow = context;
	struct player *p = player_of(flow);

	if (p->stop)
		return false;
	if (!flow->chosen) {
		if (p->sink.unchosen_key)
			p->stop = p->sink.unchosen_key(p->sink.context, &flow->pub, key);
		return false;
	}
	flow_tell(flow);
	if (p->sink.key && !p->stop)
		p->stop = p->sink.key(p->sink.context, &flow->pub, key);
	return true;
}

static void on_opens(void *context, unsigned depth, const struct tls_key *key)
{
	bind_opens(context, depth, key);
}

/* ---- the wire --------------------------------------------------------------------------------------------------- */

static void feed_wire(struct lane *lane, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct flow *flow = lane->flow;

	if (len > 0)
		fail(flow, tls_stack_feed(flow->tls, lane->dir, data, len, stamp));
}

static void begin_kernel(struct lane *lane, uint64_t offset, const struct stamp *stamp)
{
	lane->kernel = false;
	fail(lane->flow,
	     tls_stack_kernel(lane->flow->tls, lane->dir, offset, lane->kernel_version, lane->kernel_cipher, stamp));
}

static void emit_wire(void *context, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct lane *lane = context;
	struct flow *flow = lane->flow;

	if (data)
		flow->pub.traffic[lane->dir].captured += len;
	tell(lane, player_of(flow)->sink.wire, offset, data, len, stamp);
	if (!flow->tls) {
		if (data)
			flow->pub.tls.verdict = TLS_VERDICT_CLEAR;
		give_plain(lane, data, len, stamp, false);
		return;
	}
	if (lane->kernel && offset + len > lane->kernel_at) {
		uint64_t before = lane->kernel_at > offset ? lane->kernel_at - offset : 0;

		feed_wire(lane, data, before, stamp);
		begin_kernel(lane, offset + before, stamp);
		data = data ? data + before : NULL;
		len -= before;
	}
	feed_wire(lane, data, len, stamp);
}

void flow_setsockopt(struct flow *flow, const struct fdtape_event *event)
{
	/* Of linux/tls.h; a part of the kernel's ABI on every machine. */
	enum {
		SOL_TLS = 282,
		TLS_TX = 1,
		TLS_RX = 2,
		AES_GCM_128 = 51,
		AES_GCM_256 = 52,
		CHACHA20_POLY1305 = 54
	};
	struct lane *lane;
	uint16_t version = event->arg[2] & 0xffff, type = event->arg[2] >> 16 & 0xffff;

	if (event->result < 0 || event->flags & FDTAPE_EVENT_PENDING || event->arg[0] != SOL_TLS ||
	    (event->arg[1] != TLS_TX && event->arg[1] != TLS_RX))
		return;
	lane = &flow->lane[event->arg[1] == TLS_TX ? FDTAPE_OUT : FDTAPE_IN];
	if (lane->kernel_told)
		return; /* KeyUpdate: new keys, the same as before otherwise */
	lane->kernel = true;
	lane->kernel_at = lane->assembly.high;
	lane->kernel_told = true;
	lane->kernel_version = version;
	if (version == 0x0304)
		lane->kernel_cipher = type == AES_GCM_128         ? 0x1301
		                      : type == AES_GCM_256       ? 0x1302
		                      : type == CHACHA20_POLY1305 ? 0x1303
		                                                  : 0;
}

/* ---- what library calls delivered ------------------------------------------------------------------------------- */

static int hold_call(struct lane *lane, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct held_call *held = malloc(sizeof *held + (data ? len : 0));

	if (!held)
		return -1;
	*held = (struct held_call){.offset = offset, .len = len, .hole = !data, .stamp = *stamp};
	if (data)
		memcpy(held->data, data, len);
	if (lane->held_last)
		lane->held_last->next = held;
	else
		lane->held = held;
	lane->held_last = held;
	lane->held_bytes += (data ? len : 0) + sizeof *held;
	return 0;
}

static struct held_call *next_held(struct lane *lane)
{
	struct held_call *held = lane->held;

	if (held) {
		lane->held = held->next;
		if (!lane->held)
			lane->held_last = NULL;
	}
	return held;
}

/* The call's bytes are told as the library object's own. */
static void give_own(struct lane *lane, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	lane->flow->pub.tls.plaintext = TLS_PLAINTEXT_CALLS;
	give_plain(lane, data, len, stamp, true);
}

/* No socket was found: they are told in the order of the calls, and the next ones at once. */
static void release_held(struct flow *library)
{
	struct lane *in = &library->lane[FDTAPE_IN], *out = &library->lane[FDTAPE_OUT], *lane;
	struct held_call *held;

	while (in->held || out->held) {
		lane = !in->held || (out->held && out->held->stamp.wall < in->held->stamp.wall) ? out : in;
		held = next_held(lane);
		give_own(lane, held->hole ? NULL : held->data, held->len, &held->stamp);
		free(held);
	}
	in->held_bytes = out->held_bytes = HELD_BYTES;
	library->released = true;
}

/* The call's bytes join the plaintext of the socket. */
static void give_socket(const struct lane *lane, struct flow *socket, uint64_t offset, const uint8_t *data,
                        uint64_t len, const struct stamp *stamp)
{
	const struct lane *to = &socket->lane[lane->dir];

	fail(socket, tls_stack_calls(socket->tls, lane->flow->depth, lane->dir, offset + lane->calls_skew, data, len,
	                             stamp, to->assembly.n_pending > 0));
}

int64_t flow_held_agrees(const struct flow *library, const struct flow *socket, unsigned depth)
{
	int64_t agree = 0;

	for (int dir = 0; dir < 2; dir++) {
		const struct held_call *first = library->lane[dir].held;
		uint64_t from = tls_stack_calls_end(socket->tls, depth, (enum fdtape_dir)dir);

		for (const struct held_call *held = first; held; held = held->next) {
			int64_t n = held->hole ? 0
			                       : tls_stack_agrees(socket->tls, depth, (enum fdtape_dir)dir,
			                                          from + held->offset - first->offset, held->data,
			                                          held->len);

			if (n < 0)
				return -1;
			agree += n;
		}
	}
	return agree;
}

void flow_bound(struct flow *library, struct flow *socket)
{
	struct held_call *held;

	/* The object's next byte is the connection's first, or the one behind what an object delivered before. */
	for (int dir = 0; dir < 2; dir++) {
		struct lane *from = &library->lane[dir];

		from->calls_skew = tls_stack_calls_end(socket->tls, library->depth, (enum fdtape_dir)dir) -
		                   (from->held ? from->held->offset : from->assembly.next);
	}
	for (int dir = 0; dir < 2; dir++) {
		struct lane *from = &library->lane[dir];

		while ((held = next_held(from))) {
			give_socket(from, socket, held->offset, held->hole ? NULL : held->data, held->len,
			            &held->stamp);
			free(held);
		}
		from->held_bytes = 0;
	}
}

static void emit_calls(void *context, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct lane *lane = context;
	struct flow *library = lane->flow, *socket = bind_socket(library);

	if (data)
		library->pub.traffic[lane->dir].captured += len;
	if (!socket && lane->held_bytes >= HELD_BYTES && !library->released) {
		bind_last(library, stamp);
		socket = bind_socket(library);
	}
	if (socket) {
		give_socket(lane, socket, offset, data, len, stamp);
	} else if (lane->held_bytes < HELD_BYTES) {
		fail(library, hold_call(lane, offset, data, len, stamp));
	} else {
		/* It has had its chance. */
		release_held(library);
		give_own(lane, data, len, stamp);
	}
}

static assembly_emit *emitter_of(const struct flow *flow)
{
	return flow->pub.def.kind == FDTAPE_KIND_LIBRARY ? emit_calls : emit_wire;
}

void flow_event(struct flow *flow, const struct fdtape_event *event, const struct stamp *stamp)
{
	struct lane *lane = &flow->lane[event->dir == FDTAPE_OUT];
	struct player_traffic *traffic = &flow->pub.traffic[lane->dir];

	if (event->bytes == 0 || event->flags & FDTAPE_EVENT_PEEK)
		return;
	/* What a library call that failed left in its buffer was never delivered. */
	if (flow->pub.def.kind == FDTAPE_KIND_LIBRARY && event->result <= 0)
		return;
	fail(flow, assembly_put(&lane->assembly, event->offset, event->bytes, event->data,
	                        event->data ? event->captured : 0, stamp, emitter_of(flow), lane));
	if (lane->assembly.high > traffic->bytes)
		traffic->bytes = lane->assembly.high;
}

bool flow_has_pending(const struct flow *flow)
{
	return flow->lane[0].assembly.pending || flow->lane[1].assembly.pending;
}

void flow_settle_calls(struct flow *flow)
{
	const struct stamp stamp = {
	        .wall = play_wall(flow->section, flow->pub.def.closed), .tid = flow->pub.def.tid, .shown = true};

	for (int dir = 0; dir < 2; dir++)
		assembly_finish(&flow->lane[dir].assembly, flow->lane[dir].assembly.high, &stamp, emitter_of(flow),
		                &flow->lane[dir]);
}

/* ---- its life --------------------------------------------------------------------------------------------------- */

/* The role that any fd of the same socket has told. */
static void share_role(struct flow *flow, bool is_new)
{
	struct map *sockets = &flow->section->sockets;
	struct fdtape_flow *def = &flow->pub.def;
	struct shared_socket *shared;

	flow->pub.role = def->role;
	if (def->kind != FDTAPE_KIND_SOCKET || def->inode == 0)
		return;
	shared = map_get(sockets, def->inode);
	if (!shared) {
		shared = calloc(1, sizeof *shared);
		if (!shared || !map_put(sockets, def->inode, shared)) {
			free(shared);
			fail(flow, -1);
			return;
		}
	}
	shared->refs += is_new;
	if (def->role != FDTAPE_ROLE_UNKNOWN)
		shared->role = def->role;
	else
		flow->pub.role = shared->role;
}

static void unshare(struct flow *flow)
{
	const struct fdtape_flow *def = &flow->pub.def;
	struct shared_socket *shared;

	if (def->kind != FDTAPE_KIND_SOCKET || def->inode == 0)
		return;
	shared = map_get(&flow->section->sockets, def->inode);
	if (shared && --shared->refs == 0)
		free(map_take(&flow->section->sockets, def->inode));
}

static void flow_free(struct flow *flow)
{
	struct held_call *held;

	for (int dir = 0; dir < 2; dir++) {
		while ((held = next_held(&flow->lane[dir])))
			free(held);
		assembly_release(&flow->lane[dir].assembly);
	}
	protos_free(flow->protos);
	tls_stack_free(flow->tls);
	flow_peers_release(&flow->peers);
	process_release(flow->process);
	free(flow->name);
	free(flow->library);
	free(flow);
}

static uint64_t number_of(const struct play_section *section, uint64_t id)
{
	/* Tapes that are played together would meet if they counted on from one another: each gets a million. */
	enum {
		EACH = 1000000,
		SECTIONS = 4096
	};

	id -= section->id_base;
	if (section->player->n_inputs == 1)
		return section->base + id;
	return id < EACH ? section->ordinal * EACH + id : id * SECTIONS + section->ordinal;
}

/* Byte streams may be TLS; datagrams, files and listening sockets are what they are. */
static bool is_stream(const struct fdtape_flow *def)
{
	return def->kind == FDTAPE_KIND_SOCKET && !(def->flags & FDTAPE_FLOW_LISTENS) &&
	       (def->flags & FDTAPE_FLOW_STREAM || def->proto == FDTAPE_PROTO_TCP);
}

static struct flow *flow_new(struct play_section *section, const struct fdtape_flow *def)
{
	struct flow *flow = calloc(1, sizeof *flow);

	if (!flow)
		return NULL;
	flow->section = section;
	flow->process = process_get(section, def->pid);
	if (!flow->process) {
		free(flow);
		return NULL;
	}
	flow->process->refs++;
	flow->pub.process = &flow->process->pub;
	flow->pub.number = number_of(section, def->id);
	for (int dir = 0; dir < 2; dir++) {
		flow->lane[dir].flow = flow;
		flow->lane[dir].dir = (enum fdtape_dir)dir;
	}
	if (def->kind == FDTAPE_KIND_LIBRARY)
		flow->pub.tls.verdict = TLS_VERDICT_TLS;
	if (!map_put(&section->flows, def->id, flow)) {
		flow_free(flow);
		return NULL;
	}
	section->n_libraries += def->kind == FDTAPE_KIND_LIBRARY;
	if (def->id > section->highest_id)
		section->highest_id = def->id;
	if (flow->pub.number > section->player->highest)
		section->player->highest = flow->pub.number;
	return flow;
}

/* Takes the definition over, whole. 0 or -1. */
static int set_definition(struct flow *flow, const struct fdtape_flow *def)
{
	struct play_section *section = flow->section;
	char *name = flow->name;

	if (!name || strcmp(name, def->name) != 0) {
		name = strdup(def->name);
		if (!name)
			return -1;
		free(flow->name);
		flow->name = name;
	}
	flow->pub.def = *def;
	flow->pub.def.name = name;
	if (flow->pub.def.kind == FDTAPE_KIND_LIBRARY)
		flow->pub.tls.library = *name ? name : NULL;
	flow->pub.opened = def->flags & FDTAPE_FLOW_PREOPENED ? 0 : play_wall(section, def->opened);
	flow->pub.closed = def->closed ? play_wall(section, def->closed) : 0;
	for (int dir = 0; dir < 2; dir++)
		if (def->bytes[dir] > flow->pub.traffic[dir].bytes)
			flow->pub.traffic[dir].bytes = def->bytes[dir];
	return 0;
}

void flow_skip(struct flow *flow, enum fdtape_dir dir, uint64_t to)
{
	struct player *p = player_of(flow);
	uint64_t wall = p->timeline.inputs[p->now_input].wall;
	const struct stamp stamp = {.wall = wall, .tid = flow->pub.def.tid, .shown = play_in_time(p, wall, wall)};

	assembly_finish(&flow->lane[dir].assembly, to, &stamp, emitter_of(flow), &flow->lane[dir]);
}

void flow_define(struct play_section *section, const struct fdtape_flow *def)
{
	struct player *p = section->player;
	struct flow *flow = map_get(&section->flows, def->id);
	struct fdtape_flow checked = *def;
	bool is_new = !flow;

	if (is_new)
		flow = flow_new(section, def);
	if (!flow) {
		play_fail(p, FDTAPE_ERR_MEMORY);
		return;
	}
	/* What a flow is does not change with what more is known of it. */
	if (!is_new) {
		checked.kind = flow->pub.def.kind;
		checked.inode = flow->pub.def.inode ? flow->pub.def.inode : def->inode;
	}
	if (checked.closed == 0)
		checked.closed = flow->pub.def.closed;
	bool had_inode = flow->pub.def.inode != 0;

	if (set_definition(flow, &checked) < 0) {
		play_fail(p, FDTAPE_ERR_MEMORY);
		return;
	}
	share_role(flow, !had_inode);
	if (is_new && is_stream(&checked)) {
		const struct tls_stack_sink sink = {
		        .context = flow, .plain = on_plain, .turned = on_turned, .key = on_key, .opens = on_opens};

		flow->tls = tls_stack_new(&p->secrets, &flow->pub.tls, checked.pid,
		                          checked.flags & FDTAPE_FLOW_PREOPENED, &sink);
		flow->pub.timeline = flow->tls ? tls_stack_timeline(flow->tls) : NULL;
		if (!flow->tls)
			play_fail(p, FDTAPE_ERR_MEMORY);
	}
	if (!is_new && flow->told && p->sink.flow_updated && !p->stop)
		p->stop = p->sink.flow_updated(p->sink.context, &flow->pub);
	flow->chosen |= choice_takes_flow(&p->choice, &flow->pub);
	if (play_in_time(p, p->timeline.inputs[p->now_input].wall, p->timeline.inputs[p->now_input].wall))
		flow_tell(flow);
	/* Met in its midst, as on a cut: what it carried before is not late, but missing. */
	for (int dir = 0; dir < 2 && is_new && !checked.closed; dir++)
		flow_skip(flow, (enum fdtape_dir)dir, checked.bytes[dir]);
	if (checked.closed && !flow->closing) {
		flow->closing = p->n_events + 1;
		*p->closing_end = flow;
		p->closing_end = &flow->next_closing;
	}
}

enum tls_verdict player_flow_now(const struct player_flow *pub, enum fdtape_dir dir)
{
	const struct flow *flow = (const struct flow *)pub;

	return flow->tls ? tls_stack_now(flow->tls, dir) : TLS_VERDICT_UNKNOWN;
}

uint64_t player_flow_reached(const struct player_flow *pub, enum fdtape_dir dir)
{
	return ((const struct flow *)pub)->lane[dir].assembly.next;
}

bool player_flow_bytes(const struct player_flow *pub, enum fdtape_dir dir, struct tls_stack_bytes *bytes)
{
	const struct flow *flow = (const struct flow *)pub;

	if (!flow->tls)
		return false;
	*bytes = tls_stack_bytes(flow->tls, dir);
	return true;
}

bool player_flow_compared(const struct player_flow *pub, unsigned depth, enum fdtape_dir dir,
                          struct tls_stack_compared *compared)
{
	const struct flow *flow = (const struct flow *)pub;

	return flow->tls && tls_stack_compared(flow->tls, depth, dir, compared);
}

static void unlink_closing(struct flow *flow)
{
	struct player *p = player_of(flow);
	struct flow **at;

	if (!flow->closing)
		return;
	for (at = &p->closing; *at != flow; at = &(*at)->next_closing)
		;
	*at = flow->next_closing;
	if (!*at)
		p->closing_end = at;
}

void flow_close(struct flow *flow)
{
	struct player *p = player_of(flow);
	uint64_t now = p->timeline.inputs[p->now_input].wall, opened = flow->pub.opened,
	         closed = flow->pub.closed ? flow->pub.closed : now;
	const struct stamp stamp = {.wall = closed, .tid = flow->pub.def.tid, .shown = play_in_time(p, closed, closed)};
	bool ended = flow->pub.def.closed || flow->lane[FDTAPE_IN].ended;

	unlink_closing(flow);
	chained_forget(flow);
	for (int dir = 0; dir < 2; dir++)
		assembly_finish(&flow->lane[dir].assembly, flow->pub.traffic[dir].bytes, &stamp, emitter_of(flow),
		                &flow->lane[dir]);
	if (flow->tls) {
		for (int dir = 0; dir < 2; dir++)
			if (flow->lane[dir].kernel)
				begin_kernel(&flow->lane[dir], flow->lane[dir].kernel_at, &stamp);
		fail(flow, tls_stack_finish(flow->tls));
		bind_last_of_socket(flow, &stamp);
	}
	if (flow->pub.def.kind == FDTAPE_KIND_LIBRARY) {
		bind_last(flow, &stamp);
		release_held(flow);
	}
	if (flow->tls)
		fail(flow, tls_stack_finish_calls(flow->tls, &stamp));
	end_messages(flow, ended);
	if (play_in_time(p, opened, closed))
		flow_tell(flow);
	if (flow->told && p->sink.flow_closed && !p->stop)
		p->stop = p->sink.flow_closed(p->sink.context, &flow->pub);
	unshare(flow);
	flow->section->n_libraries -= flow->pub.def.kind == FDTAPE_KIND_LIBRARY;
	map_take(&flow->section->flows, flow->pub.def.id);
	flow_free(flow);
}
