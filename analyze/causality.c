/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/causality.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/say.h"
#include "map.h"

/*
 * Theory of operation
 *
 * First the two ends of connections are paired: a client's exchange and a server's whose 5-tuples mirror each other,
 * and whose requests are the same to the byte (method, target, headers, stream, body) with the same response. On one
 * host they also happened at one time; between hosts, whose clocks nobody compared, there must be as many of them at
 * one end as at the other, for else nobody knows which is which (a poll that repeats the same request).
 *
 * From these pairs the clocks are compared: the request was sent before it was received, and so was the response. Each
 * pair bounds the offset from both sides; all hold, so their intersection does.
 *
 * Then, in each process, each client's exchange looks for the server's exchange that it was made for. Candidates are
 * those that were being served when it began. An id that both carry decides, also for one whose response is out
 * already. Without an id, time decides only where there is one candidate, and it lasted until the end. Where there are
 * several, the thread decides, but only in a process in which no thread ever served two at a time nor handed one on: in
 * an event loop, and where goroutines or coroutines wander, threads tell nothing. All else stays unjoined, with the
 * number of candidates: never a guess.
 *
 * A candidate that carries another id of the same kind speaks against itself, and is not joined by time or thread.
 */

const char *causality_id_word(enum causality_id id)
{
	static const char *const words[] = {
	        [CAUSALITY_TRACEPARENT] = "traceparent",
	        [CAUSALITY_TRACE_ID] = "traceparent",
	        [CAUSALITY_B3] = "b3",
	        [CAUSALITY_B3_TRACE_ID] = "x-b3-traceid",
	        [CAUSALITY_AMZN_TRACE_ID] = "x-amzn-trace-id",
	        [CAUSALITY_UBER_TRACE_ID] = "uber-trace-id",
	        [CAUSALITY_X_REQUEST_ID] = "x-request-id",
	        [CAUSALITY_REQUEST_ID] = "request-id",
	        [CAUSALITY_X_CORRELATION_ID] = "x-correlation-id",
	        [CAUSALITY_CORRELATION_ID] = "correlation-id",
	        [CAUSALITY_X_TRACE_ID] = "x-trace-id",
	};

	_Static_assert(sizeof words / sizeof *words == N_CAUSALITY_IDS, "a word for each id");
	return words[id];
}

const char *causality_evidence_word(enum causality_evidence evidence)
{
	static const char *const words[] = {
	        [CAUSALITY_UNKNOWN] = NULL,
	        [CAUSALITY_BY_ID] = "id",
	        [CAUSALITY_BY_ONLY] = "only",
	        [CAUSALITY_BY_THREAD] = "thread",
	        [CAUSALITY_CONNECTION] = "connection",
	};

	return words[evidence];
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

/* Exchanges sorted by up to three keys, then by time. */
struct place {
	uint64_t keys[3];
	uint64_t first;
	size_t at;
};

static int by_keys(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	for (size_t i = 0; i < sizeof a->keys / sizeof *a->keys; i++)
		if (a->keys[i] != b->keys[i])
			return a->keys[i] < b->keys[i] ? -1 : 1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static bool same_keys(const struct place *a, const struct place *b)
{
	return memcmp(a->keys, b->keys, sizeof a->keys) == 0;
}

/* ---- the two ends of a connection ------------------------------------------------------------------------------- */

static int64_t span(uint64_t from, uint64_t to)
{
	uint64_t ns = to > from ? to - from : from - to;
	int64_t near = ns < (uint64_t)CAUSALITY_FAR ? (int64_t)ns : CAUSALITY_FAR;

	return to > from ? near : -near;
}

static struct causality_offset *offset_of(struct causality_offsets *offsets, uint32_t a, uint32_t b)
{
	for (size_t i = 0; i < offsets->n; i++)
		if (offsets->of[i].a == a && offsets->of[i].b == b)
			return &offsets->of[i];
	if (offsets->n == CAUSALITY_OFFSETS)
		return NULL;
	offsets->of[offsets->n] =
	        (struct causality_offset){.a = a, .b = b, .low = -CAUSALITY_FAR, .high = CAUSALITY_FAR};
	return &offsets->of[offsets->n++];
}

/* What one pair tells of its hosts' clocks. */
static void compare_clocks(struct causality_offsets *offsets, const struct causality_exchange *client,
                           const struct causality_exchange *server)
{
	bool straight = client->host < server->host;
	struct causality_offset *offset = straight ? offset_of(offsets, client->host, server->host)
	                                           : offset_of(offsets, server->host, client->host);
	/* Of the server's clock against the client's. */
	int64_t high = span(client->first, server->first);
	int64_t low = client->last == UINT64_MAX || server->last == UINT64_MAX ? -CAUSALITY_FAR
	                                                                       : span(client->last, server->last);

	if (!offset)
		return;
	offset->pairs++;
	if (!straight) {
		int64_t swapped = -low;

		low = -high;
		high = swapped;
	}
	if (low > offset->low)
		offset->low = low;
	if (high < offset->high)
		offset->high = high;
}

int64_t causality_offset_middle(const struct causality_offset *offset)
{
	return offset->low / 2 + offset->high / 2 + (offset->low % 2 + offset->high % 2) / 2;
}

static bool agree(uint64_t a, uint64_t b)
{
	return !a || !b || a == b;
}

static bool same_bytes(const struct causality_exchange *a, const struct causality_exchange *b)
{
	return agree(a->request_body, b->request_body) && agree(a->response, b->response) &&
	       agree(a->response_body, b->response_body);
}

/* Of the same request by the same two addresses, the clients' and the servers' in the order of time. */
static void pair_group(struct causality_exchange *x, const struct place *clients, size_t n_clients,
                       const struct place *servers, size_t n_servers, struct causality_offsets *offsets)
{
	size_t c = 0, s = 0;

	while (c < n_clients && s < n_servers) {
		struct causality_exchange *client = &x[clients[c].at], *server = &x[servers[s].at];
		bool one_host = client->host == server->host;

		if (one_host ? server->last < client->first : n_clients != n_servers) {
			s++;
		} else if (one_host && client->last < server->first) {
			c++;
		} else {
			if (same_bytes(client, server)) {
				client->other_end = servers[s].at;
				server->other_end = server->parent = clients[c].at;
				server->evidence = CAUSALITY_CONNECTION;
				if (!one_host)
					compare_clocks(offsets, client, server);
			}
			c++;
			s++;
		}
	}
}

static void pair_ends(struct causality_exchange *x, size_t n, struct causality_offsets *offsets)
{
	struct place *places = alloc_new(n, sizeof *places);
	size_t used = 0, end, servers;

	for (size_t i = 0; i < n; i++)
		if (x[i].connection && x[i].first && x[i].request && x[i].role != FDTAPE_ROLE_UNKNOWN)
			places[used++] = (struct place){{x[i].connection, x[i].request, x[i].role}, x[i].first, i};
	qsort(places, used, sizeof *places, by_keys);
	for (size_t i = 0; i < used; i = end) {
		servers = i;
		while (servers < used && same_keys(&places[servers], &places[i]))
			servers++;
		end = servers;
		if (places[i].keys[2] != FDTAPE_ROLE_CLIENT)
			continue;
		while (end < used && places[end].keys[0] == places[i].keys[0] &&
		       places[end].keys[1] == places[i].keys[1])
			end++;
		pair_group(x, &places[i], servers - i, &places[servers], end - servers, offsets);
	}
	free(places);
}

/* ---- within a process ------------------------------------------------------------------------------------------- */

/* One process' exchanges in the order of time, and those that are being served where the walk has come to. */
struct process {
	struct causality_exchange *x;
	const struct place *places;
	size_t n;
	size_t *served; /* indexes */
	size_t n_served;
	bool one_a_thread; /* no thread served two at a time, and none was handed on */
};

static void drop_ended(struct process *p, uint64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_served; i++)
		if (p->x[p->served[i]].last >= now)
			p->served[kept++] = p->served[i];
	p->n_served = kept;
}

static bool stays_on_thread(const struct causality_exchange *x)
{
	return x->tid[0] && x->tid[0] == x->tid[1];
}

/* Whether this is a process of one request a thread. */
static void look_at_threads(struct process *p)
{
	p->one_a_thread = true;
	p->n_served = 0;
	for (size_t i = 0; i < p->n && p->one_a_thread; i++) {
		const struct causality_exchange *x = &p->x[p->places[i].at];

		p->one_a_thread = stays_on_thread(x);
		if (x->role != FDTAPE_ROLE_SERVER)
			continue;
		drop_ended(p, x->first);
		for (size_t k = 0; k < p->n_served; k++)
			p->one_a_thread &= p->x[p->served[k]].tid[0] != x->tid[0];
		p->served[p->n_served++] = p->places[i].at;
	}
	p->n_served = 0;
}

static bool contradict(const struct causality_exchange *a, const struct causality_exchange *b)
{
	for (int id = 0; id < N_CAUSALITY_IDS; id++)
		if (id != CAUSALITY_TRACEPARENT && id != CAUSALITY_B3 && !agree(a->ids[id], b->ids[id]))
			return true;
	return false;
}

/* The requests of one process with the same id, the latest first. */
struct bearer {
	struct bearer *before;
	size_t at;
};

enum {
	BEARERS_MAX = 1024 /* that are looked at: an id that thousands share says nothing */
};

static uint64_t id_key(const struct causality_exchange *x, int id)
{
	return (x->ids[id] ^ (uint64_t)id) * UINT64_C(0x100000001b3);
}

/* By the ids: true if they have spoken, be it for several. */
static bool join_by_id(const struct process *p, struct causality_exchange *x, size_t self, const struct map *bearers)
{
	size_t fewest = SIZE_MAX;

	for (int id = 0; id < N_CAUSALITY_IDS; id++) {
		size_t n_served = 0, n_ended = 0, served = 0, ended = 0, looked_at = 0, n;
		const struct bearer *b = x->ids[id] ? map_get(bearers, id_key(x, id)) : NULL;

		for (; b && looked_at < BEARERS_MAX; b = b->before, looked_at++) {
			const struct causality_exchange *server = &p->x[b->at];

			if (server->ids[id] != x->ids[id] || server->other_end == self)
				continue;
			if (server->last >= x->first) {
				n_served++;
				served = b->at;
			} else {
				n_ended++;
				ended = b->at;
			}
		}
		n = n_served ? n_served : n_ended;
		if (n == 1 && !b) {
			x->parent = n_served ? served : ended;
			x->evidence = CAUSALITY_BY_ID;
			x->id = (enum causality_id)id;
			x->candidates = 0;
			return true;
		}
		if (n && n < fewest)
			x->candidates = fewest = n;
	}
	return fewest != SIZE_MAX;
}

static void join_by_time(const struct process *p, struct causality_exchange *x, size_t self)
{
	size_t n = 0, of_thread = 0, only = 0, only_of_thread = 0;

	for (size_t i = 0; i < p->n_served; i++) {
		const struct causality_exchange *server = &p->x[p->served[i]];

		if (server->other_end == self)
			continue;
		n++;
		only = p->served[i];
		if (server->tid[0] == x->tid[0]) {
			of_thread++;
			only_of_thread = p->served[i];
		}
	}
	x->candidates = n;
	if (n != 1 && !(p->one_a_thread && of_thread == 1))
		return;
	if (n != 1)
		only = only_of_thread;
	if (x->last > p->x[only].last || contradict(x, &p->x[only]))
		return;
	x->parent = only;
	x->evidence = n == 1 ? CAUSALITY_BY_ONLY : CAUSALITY_BY_THREAD;
	x->candidates = 0;
}

static void join_process(struct process *p, struct bearer *room)
{
	struct map bearers = {0};

	look_at_threads(p);
	for (size_t i = 0; i < p->n; i++) {
		size_t at = p->places[i].at;
		struct causality_exchange *x = &p->x[at];

		if (x->role == FDTAPE_ROLE_CLIENT) {
			drop_ended(p, x->first);
			if (!join_by_id(p, x, at, &bearers))
				join_by_time(p, x, at);
			continue;
		}
		if (x->role != FDTAPE_ROLE_SERVER)
			continue;
		p->served[p->n_served++] = at;
		for (int id = 0; id < N_CAUSALITY_IDS; id++) {
			if (!x->ids[id])
				continue;
			*room = (struct bearer){map_get(&bearers, id_key(x, id)), at};
			if (!map_put(&bearers, id_key(x, id), room))
				say_and_exit(CLI_REFUSED, "out of memory");
			room++;
		}
	}
	free(bearers.slots);
}

static void join_processes(struct causality_exchange *x, size_t n)
{
	struct place *places = alloc_new(n, sizeof *places);
	size_t *served = alloc_new(n, sizeof *served);
	struct bearer *bearers = alloc_new(n * N_CAUSALITY_IDS, sizeof *bearers);
	size_t used = 0, end;

	for (size_t i = 0; i < n; i++)
		if (x[i].first)
			places[used++] = (struct place){{x[i].host, x[i].pid, 0}, x[i].first, i};
	qsort(places, used, sizeof *places, by_keys);
	for (size_t i = 0; i < used; i = end) {
		struct process p = {.x = x, .places = &places[i], .served = served};

		for (end = i; end < used && same_keys(&places[end], &places[i]); end++)
			p.n++;
		join_process(&p, bearers);
	}
	free(places);
	free(served);
	free(bearers);
}

/* Times that contradict each other may make an exchange its own ancestor: such a circle is opened. */
static void open_circles(struct causality_exchange *x, size_t n)
{
	size_t *walk = alloc_new(n, sizeof *walk); /* who came by here last, from 1 */

	for (size_t i = 0; i < n; i++) {
		size_t at = i;

		while (at != CAUSALITY_NONE && !walk[at]) {
			size_t up = x[at].parent;

			walk[at] = i + 1;
			if (up != CAUSALITY_NONE && walk[up] == i + 1) {
				x[at].parent = CAUSALITY_NONE;
				x[at].evidence = CAUSALITY_UNKNOWN;
			}
			at = up;
		}
	}
	free(walk);
}

void causality_join(struct causality_exchange *x, size_t n, struct causality_offsets *offsets)
{
	for (size_t i = 0; i < n; i++) {
		x[i].parent = x[i].other_end = CAUSALITY_NONE;
		x[i].evidence = CAUSALITY_UNKNOWN;
		x[i].candidates = 0;
	}
	pair_ends(x, n, offsets);
	join_processes(x, n);
	open_circles(x, n);
}
