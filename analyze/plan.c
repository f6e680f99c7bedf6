/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/plan.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/claimed_ports.h"
#include "analyze/keylog.h"

/*
 * Theory of operation
 *
 * Wireshark decides by port and content what a stream is, and how a flow is best shown depends on what is known at
 * its end: are all of its bytes there, are its keys? So the tapes are played twice, and this is the first time.
 *
 *   keys and wire are whole            ciphertext and keys, which Wireshark decrypts: nothing is made up
 *   plaintext, and no port claimed     the plaintext within a synthetic TLS session (envelope.c)
 *   plaintext, a port claimed          the plaintext alone, for that port's dissector
 *   clear                              its bytes
 *   ciphertext only                    its bytes
 *
 * A connection whose two ends were recorded must be in the file once: Wireshark takes the second for retransmissions.
 */

const char *rendering_text(enum rendering rendering)
{
	static const char *const texts[] = {
	        [RENDER_NOTHING] = "",
	        [RENDER_SEALED] = "TLS as on the wire, its keys are not on the tape",
	        [RENDER_CLEAR] = "as on the wire",
	        [RENDER_PLAIN] = "decrypted TLS; sequence numbers count plaintext",
	        [RENDER_ENVELOPE] = "synthetic TLS envelope around decrypted data; not what was on the wire",
	        [RENDER_KEYS] = "TLS as on the wire, with recorded keys",
	        [RENDER_DATAGRAMS] = "datagrams as on the wire",
	};

	return texts[rendering];
}

void plan_flow_opened(struct plan *plan, struct player_flow *flow)
{
	struct planned *p = alloc_new(1, sizeof *p);

	plan->flows = alloc_grow(plan->flows, &plan->room, plan->n + 1, sizeof *plan->flows);
	plan->flows[plan->n++] = p;
	p->number = flow->number;
	flow->user = p;
}

void plan_piece(struct plan *plan, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct planned *p = flow->user;
	size_t room = PLAN_FIRST - p->n_first[dir];

	(void)plan;
	if (!piece->data || piece->offset != p->n_first[dir] || !room)
		return;
	room = piece->len < room ? (size_t)piece->len : room;
	memcpy(p->first[dir] + p->n_first[dir], piece->data, room);
	p->n_first[dir] += room;
}

/* ---- what it looks like ----------------------------------------------------------------------------------------- */

static bool begins(const struct planned *p, enum fdtape_dir dir, const char *text)
{
	size_t len = strlen(text);

	return p->n_first[dir] >= len && memcmp(p->first[dir], text, len) == 0;
}

static bool begins_http2(const struct planned *p, enum fdtape_dir dir)
{
	return begins(p, dir, "PRI * HTTP/2.0");
}

static bool begins_http_request(const struct planned *p, enum fdtape_dir dir)
{
	static const char *const methods[] = {"GET ",    "HEAD ",    "POST ",  "PUT ",
	                                      "DELETE ", "OPTIONS ", "PATCH ", "CONNECT "};

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (begins(p, dir, methods[i]))
			return true;
	return false;
}

/* The server's choice where it is known; else what the bytes tell. */
static const char *alpn_of(const struct planned *p, const struct tls_info *tls)
{
	if (*tls->alpn)
		return tls->alpn;
	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT; dir++) {
		if (begins_http2(p, dir))
			return "h2";
		if (begins_http_request(p, dir) || begins(p, dir, "HTTP/1."))
			return "http/1.1";
	}
	return "";
}

/* Who began, for the drawing of the handshake only: unlike the role, this may be a guess. */
static bool local_is_client(const struct planned *p, uint32_t role)
{
	if (role != FDTAPE_ROLE_UNKNOWN)
		return role == FDTAPE_ROLE_CLIENT;
	if (begins_http_request(p, FDTAPE_OUT) || begins_http2(p, FDTAPE_OUT))
		return true;
	if (begins_http_request(p, FDTAPE_IN) || begins_http2(p, FDTAPE_IN))
		return false;
	return p->local.port >= p->remote.port;
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

/* An IPv4 address that an IPv6 socket sees is IPv4 on the wire. */
static bool is_mapped(const struct fdtape_address *a)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return a->family == FDTAPE_FAMILY_IPV6 && memcmp(a->addr, prefix, sizeof prefix) == 0;
}

static bool set_end(struct packet_end *end, const struct fdtape_address *a, bool ipv6)
{
	end->port = a->port;
	if (ipv6 && a->family == FDTAPE_FAMILY_IPV6)
		memcpy(end->ip, a->addr, 16);
	else if (!ipv6 && a->family == FDTAPE_FAMILY_IPV4)
		memcpy(end->ip, a->addr, 4);
	else if (!ipv6 && is_mapped(a))
		memcpy(end->ip, a->addr + 12, 4);
	else
		return false;
	return true;
}

static bool set_ends(struct planned *p, const struct fdtape_flow *def)
{
	p->ipv6 = def->remote.family == FDTAPE_FAMILY_IPV6 && !is_mapped(&def->remote);
	return set_end(&p->remote, &def->remote, p->ipv6) && set_end(&p->local, &def->local, p->ipv6) && p->remote.port;
}

/* A socket that is bound to all addresses does not say which of them a datagram came to. */
static void set_local(struct packet_end *end, const struct fdtape_address *local, bool ipv6)
{
	if (!set_end(end, local, ipv6))
		*end = (struct packet_end){.port = local->port};
}

bool plan_path(struct packet_path *path, const struct fdtape_address *local, const struct fdtape_address *peer,
               enum fdtape_dir dir)
{
	struct packet_end here, there;

	memset(&there, 0, sizeof there);
	path->ipv6 = peer->family == FDTAPE_FAMILY_IPV6 && !is_mapped(peer);
	if (!set_end(&there, peer, path->ipv6))
		return false;
	set_local(&here, local, path->ipv6);
	path->from = dir == FDTAPE_OUT ? here : there;
	path->to = dir == FDTAPE_OUT ? there : here;
	return true;
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

static enum rendering choose(const struct plan *plan, const struct planned *p, const struct tls_info *tls)
{
	bool is_tls = tls->verdict == TLS_VERDICT_TLS || tls->verdict == TLS_VERDICT_MIXED;

	if (!is_tls)
		return RENDER_CLEAR;
	if (tls->whole && tls->n_keys)
		return RENDER_KEYS;
	if (plan->wire || tls->plaintext == TLS_PLAINTEXT_NONE)
		return RENDER_SEALED;
	/* A mixed flow's beginning is not TLS, and must not stand within an envelope. */
	if (tls->verdict == TLS_VERDICT_MIXED || claimed_port(p->local.port) || claimed_port(p->remote.port))
		return RENDER_PLAIN;
	return RENDER_ENVELOPE;
}

void plan_flow_closed(struct plan *plan, struct player_flow *flow)
{
	struct planned *p = flow->user;
	const struct tls_info *tls = &flow->tls;
	bool ip = flow->def.kind == FDTAPE_KIND_SOCKET &&
	          (flow->def.proto == FDTAPE_PROTO_TCP || flow->def.proto == FDTAPE_PROTO_UDP);

	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT; dir++) {
		p->bytes += flow->traffic[dir].bytes;
		p->missing += flow->traffic[dir].bytes - flow->traffic[dir].captured;
	}
	if (flow->def.kind == FDTAPE_KIND_LIBRARY) {
		/* Its bytes are shown with the fd that they went through. */
		plan->no_address += !flow->bound && p->bytes;
		return;
	}
	p->connected = ip && set_ends(p, &flow->def);
	if (!p->connected && !(ip && flow->def.proto == FDTAPE_PROTO_UDP && flow->peers)) {
		plan->no_ip += !ip && p->bytes;
		plan->no_address += ip && p->bytes;
		return;
	}
	p->opened = flow->opened;
	p->closed = flow->closed;
	p->handshake = !(flow->def.flags & FDTAPE_FLOW_PREOPENED);
	p->local_is_client = local_is_client(p, flow->role);
	p->udp = flow->def.proto == FDTAPE_PROTO_UDP;
	p->rendering = p->udp ? RENDER_DATAGRAMS : choose(plan, p, tls);
	if (p->rendering == RENDER_KEYS)
		p->keys = keylog_text(tls->keys, tls->n_keys);
	if (p->rendering == RENDER_ENVELOPE) {
		p->sni = alloc_copy(tls->sni);
		p->alpn = alloc_copy(alpn_of(p, tls));
	}
}

/* ---- two ends of one connection --------------------------------------------------------------------------------- */

static int compare_ends(const struct packet_end *a, const struct packet_end *b)
{
	int order = memcmp(a->ip, b->ip, sizeof a->ip);

	return order ? order : (a->port > b->port) - (a->port < b->port);
}

/* 1: the local end is the higher one. So an order is the same seen from either end. */
static int side_of(const struct planned *p)
{
	return compare_ends(&p->local, &p->remote) > 0;
}

static int compare_connections(const struct planned *a, const struct planned *b)
{
	const struct packet_end *of_a[2], *of_b[2];
	int order = a->udp - b->udp;

	of_a[side_of(a)] = &a->local;
	of_a[!side_of(a)] = &a->remote;
	of_b[side_of(b)] = &b->local;
	of_b[!side_of(b)] = &b->remote;
	order = order ? order : a->ipv6 - b->ipv6;
	order = order ? order : compare_ends(of_a[0], of_b[0]);
	return order ? order : compare_ends(of_a[1], of_b[1]);
}

static int by_connection(const void *x, const void *y)
{
	const struct planned *a = *(struct planned *const *)x, *b = *(struct planned *const *)y;
	int order = compare_connections(a, b);

	if (!order)
		order = (a->opened > b->opened) - (a->opened < b->opened);
	return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int by_number(const void *x, const void *y)
{
	const struct planned *a = *(struct planned *const *)x, *b = *(struct planned *const *)y;

	return (a->number > b->number) - (a->number < b->number);
}

/* Of two views of one connection, the more telling. */
static bool is_better(const struct planned *a, const struct planned *b)
{
	if (a->rendering != b->rendering)
		return a->rendering > b->rendering;
	if (a->missing != b->missing)
		return a->missing < b->missing;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes;
	if (a->local_is_client != b->local_is_client)
		return a->local_is_client;
	return a->number < b->number;
}

/* The flows that are views of one connection. Their addresses alone do not tell, as a port may be used again. The
 * other end may be seen later than this one's close (it waited to be accepted); a second life of the same end is
 * another connection. */
struct group {
	struct planned *best;
	uint64_t until[2]; /* by side: when its views were closed; 0: none yet */
};

static bool belongs(const struct group *group, const struct planned *p)
{
	return group->best && group->best->connected && p->connected && compare_connections(group->best, p) == 0 &&
	       (!group->until[side_of(p)] || p->opened <= group->until[side_of(p)]);
}

static void join(struct plan *plan, struct group *group, struct planned *p)
{
	uint64_t closed = p->closed ? p->closed : UINT64_MAX;
	struct planned *loser = group->best;

	if (closed > group->until[side_of(p)])
		group->until[side_of(p)] = closed;
	if (!loser || is_better(p, loser))
		group->best = p;
	else
		loser = p;
	if (!loser)
		return;
	loser->rendering = RENDER_NOTHING;
	plan->twins += loser->bytes > 0;
}

void plan_finish(struct plan *plan)
{
	struct planned **sorted = alloc_new(plan->n, sizeof *sorted);
	struct group group = {0};
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		if (plan->flows[i]->rendering != RENDER_NOTHING)
			sorted[n++] = plan->flows[i];
	if (n)
		qsort(sorted, n, sizeof *sorted, by_connection);
	for (size_t i = 0; i < n; i++) {
		if (!belongs(&group, sorted[i]))
			group = (struct group){0};
		join(plan, &group, sorted[i]);
	}
	free(sorted);
	if (plan->n)
		qsort(plan->flows, plan->n, sizeof *plan->flows, by_number);
}

const struct planned *plan_find(const struct plan *plan, uint64_t number)
{
	struct planned key = {.number = number}, *wanted = &key, **found;

	if (!plan->n)
		return NULL;
	found = bsearch(&wanted, plan->flows, plan->n, sizeof *plan->flows, by_number);
	return found && (*found)->rendering != RENDER_NOTHING ? *found : NULL;
}

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		free(plan->flows[i]->keys);
		free(plan->flows[i]->sni);
		free(plan->flows[i]->alpn);
		free(plan->flows[i]);
	}
	free(plan->flows);
	*plan = (struct plan){0};
}
