/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/stats.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/message_row.h"
#include "analyze/text.h"
#include "analyze/words.h"

/*
 * Theory of operation
 *
 * What is counted: by call, all of them. By process and by peer, the system calls (with io_uring's) alone: a TLS
 * library's call contains the system calls that it makes, and would count their time and bytes twice. A call in
 * several events (CONTINUED) is one; one whose begin or end was not seen is counted, but has no time.
 *
 * A peer is the other end that the process chose to talk to, with its port; of those that came to it, their address
 * alone, because each connection has another port. Calls on a socket before it has a peer have none. A path is the request target up to its query.
 */

const char *stats_what_word(enum stats_what what)
{
	return what == STATS_CALLS ? "calls" : "requests";
}

const char *stats_by_word(enum stats_by by)
{
	static const char *const words[N_STATS_BYS] = {
	        [STATS_BY_PROCESS] = "process",
	        [STATS_BY_CALL] = "call",
	        [STATS_BY_PEER] = "peer",
	        [STATS_BY_PATH] = "path",
	};

	return words[by];
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

static int compare(const struct stats_group *g, const char *key, uint32_t tag)
{
	int order = strcmp(g->key, key);

	return order ? order : (g->tag > tag) - (g->tag < tag);
}

/* The group of the key, made when there is none and room for one more. NULL: the table is not wanted. */
static struct stats_group *group_of(struct stats_table *t, const char *key, uint32_t tag)
{
	size_t low = 0, high = t->n;

	if (!t->wanted)
		return NULL;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(&t->groups[middle], key, tag);

		if (order == 0)
			return &t->groups[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (t->n == STATS_GROUPS)
		return &t->others;
	t->groups = alloc_grow(t->groups, &t->room, t->n + 1, sizeof *t->groups);
	memmove(&t->groups[low + 1], &t->groups[low], (t->n++ - low) * sizeof *t->groups);
	t->groups[low] = (struct stats_group){.key = alloc_copy(key), .tag = tag};
	return &t->groups[low];
}

/* The process image's. */
static struct stats_group *process_group(struct stats_table *table, const struct player_process *process)
{
	char *name = text_escape_string(*process->exe ? process->exe : process->comm);
	struct stats_group *group;

	text_cut(name, STATS_KEY_MAX - 1);
	group = group_of(table, name, process->pid);
	if (group)
		group->comm = !*process->exe;
	free(name);
	return group;
}

static int by_count(const void *x, const void *y)
{
	const struct stats_group *a = x, *b = y;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return compare(a, b->key, b->tag);
}

void stats_sort(struct stats_table *table)
{
	if (table->n)
		qsort(table->groups, table->n, sizeof *table->groups, by_count);
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* NULL: it has no peer that is known. */
static const char *peer_key(char out[static TEXT_ADDRESS_MAX], const struct player_flow *flow,
                            const struct fdtape_address *peer)
{
	struct fdtape_address address;
	char *port;

	if (!flow || flow->def.kind != FDTAPE_KIND_SOCKET)
		return NULL;
	address = peer ? *peer : flow->def.remote;
	if (!text_address(out, &address))
		return NULL;
	port = address.family != FDTAPE_FAMILY_UNIX && flow->role == FDTAPE_ROLE_SERVER ? strrchr(out, ':') : NULL;
	if (port)
		*port = '\0';
	return out;
}

static const char *path_key(char out[static STATS_KEY_MAX], const struct http_exchange *x)
{
	char *method, *path;

	if (!x->method || !x->target)
		return strcpy(out, "");
	method = text_escape_string(x->method);
	path = text_escape(x->target, strcspn(x->target, "?#"));
	text_cut(method, 32);
	text_cut(path, STATS_KEY_MAX - 34);
	snprintf(out, STATS_KEY_MAX, "%s %s", method, path);
	free(method);
	free(path);
	return out;
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

/* A step in a process' life takes no time. */
static bool is_moment(uint32_t call)
{
	const char *module = fdtape_call_module(call);

	return module && strcmp(module, "process") == 0;
}

static void add_call(struct stats_group *group, const struct fdtape_event *e)
{
	bool library = e->call >= FDTAPE_CALL_SSL_READ;

	if (!group)
		return;
	if (fdtape_call_carries(e->call) && !(e->flags & FDTAPE_EVENT_PEEK))
		group->bytes[e->dir == FDTAPE_OUT] += e->bytes;
	if (e->flags & FDTAPE_EVENT_CONTINUED)
		return;
	group->count++;
	group->failed += !library && words_is_failure(e);
	if (!(e->flags & (FDTAPE_EVENT_NO_START | FDTAPE_EVENT_PENDING)) && !is_moment(e->call))
		histogram_add(&group->time, e->duration);
}

/* A request to the kernel: neither a library's call, which makes such, nor a step in a process' life. */
static bool is_system_call(uint32_t call)
{
	const char *module = fdtape_call_module(call);

	return module && (strcmp(module, "syscall") == 0 || strcmp(module, "io_uring") == 0);
}

static int on_call(void *context, const struct player_call *call)
{
	struct stats *s = context;
	struct stats_table *tables = s->tables[STATS_CALLS];
	const struct fdtape_event *e = call->event;
	char name[WORDS_CALL_MAX], address[TEXT_ADDRESS_MAX];
	uint64_t end = call->wall > UINT64_MAX - e->duration ? UINT64_MAX : call->wall + e->duration;
	const char *peer;

	if (!s->from || call->wall < s->from)
		s->from = call->wall;
	if (end > s->to)
		s->to = end;
	add_call(group_of(&tables[STATS_BY_CALL], words_call(name, e->call), 0), e);
	if (!is_system_call(e->call))
		return 0;
	add_call(&s->total[STATS_CALLS], e);
	if (tables[STATS_BY_PROCESS].wanted)
		add_call(process_group(&tables[STATS_BY_PROCESS], call->process), e);
	peer = tables[STATS_BY_PEER].wanted ? peer_key(address, call->flow, e->peer) : NULL;
	if (peer)
		add_call(group_of(&tables[STATS_BY_PEER], peer, 0), e);
	return 0;
}

static void add_request(struct stats_group *group, const struct player_flow *flow, const struct http_exchange *x)
{
	bool client = x->dir < 0 ? flow->role == FDTAPE_ROLE_CLIENT : x->dir == FDTAPE_OUT;

	if (!group)
		return;
	group->count++;
	group->failed += !x->status || x->status >= 400;
	group->unanswered += !x->status;
	/* Who sent the request wrote its body. When that is not known: as in a server. */
	group->bytes[client ? FDTAPE_OUT : FDTAPE_IN] += x->request.body_bytes;
	group->bytes[client ? FDTAPE_IN : FDTAPE_OUT] += x->response.body_bytes;
	if (x->complete && x->start && x->end >= x->start)
		histogram_add(&group->time, x->end - x->start);
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *x)
{
	struct stats *s = context;
	struct stats_table *tables = s->tables[STATS_REQUESTS];
	char key[STATS_KEY_MAX], address[TEXT_ADDRESS_MAX];
	const char *peer = peer_key(address, flow, NULL);

	add_request(&s->total[STATS_REQUESTS], flow, x);
	add_request(process_group(&tables[STATS_BY_PROCESS], flow->process), flow, x);
	if (peer)
		add_request(group_of(&tables[STATS_BY_PEER], peer, 0), flow, x);
	add_request(group_of(&tables[STATS_BY_PATH], path_key(key, x), message_role(flow, x->dir)), flow, x);
	return 0;
}

int stats_gather(struct stats *s, struct options *options)
{
	const struct player_sink sink = {.call = on_call, .http = on_http};
	enum stats_by by = options->stats_by;

	*s = (struct stats){.from = 0};
	for (int what = 0; what < N_STATS_WHATS; what++)
		for (int i = 0; i < N_STATS_BYS; i++)
			s->tables[what][i].wanted = by == N_STATS_BYS ? true : (int)by == i;
	/* Neither has a meaning. */
	s->tables[STATS_CALLS][STATS_BY_PATH].wanted = false;
	s->tables[STATS_REQUESTS][STATS_BY_CALL].wanted = false;
	return play(&s->play, options, &sink);
}

uint64_t stats_per_1000_s(const struct stats *s, uint64_t count)
{
	const uint64_t scale = 1000000000000; /* ns in 1000 s */
	uint64_t span = s->to - s->from;

	for (; count > UINT64_MAX / scale; count /= 2)
		span /= 2;
	return span ? count * scale / span : 0;
}

void stats_release(struct stats *s)
{
	for (int what = 0; what < N_STATS_WHATS; what++) {
		histogram_release(&s->total[what].time);
		for (int by = 0; by < N_STATS_BYS; by++) {
			struct stats_table *t = &s->tables[what][by];

			for (size_t i = 0; i < t->n; i++) {
				free(t->groups[i].key);
				histogram_release(&t->groups[i].time);
			}
			histogram_release(&t->others.time);
			free(t->groups);
		}
	}
}
