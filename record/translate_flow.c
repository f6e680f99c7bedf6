/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Flows. The probes name them by ids that are unique but sparse; the tape numbers them 1, 2, 3 as they appear. An event
 * whose flow was never told of (its record found no room) defines it with what the event knows.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/translate_state.h"

/* The kernel's numbers, whatever the C library says. */
enum {
	AF_UNIX_ = 1,
	AF_INET_ = 2,
	AF_INET6_ = 10
};

int put_flow(struct translate *t, const struct flow *f)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_FLOW, .flow = f->def};

	for (int dir = 0; dir < 2; dir++)
		item.flow.bytes[dir] -= f->base[dir];
	return fdtape_writer_put(t->writer, &item);
}

static void free_flow(struct flow *f)
{
	free((char *)f->def.name);
	free(f);
}

void forget_flow(struct translate *t, struct flow *f)
{
	map_take(&t->flows, f->kernel_id);
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	free_flow(f);
}

static bool set_name(struct flow *f, const char *name, size_t len)
{
	char *copy = strndup(name, len);

	if (!copy)
		return false;
	free((char *)f->def.name);
	f->def.name = copy;
	return true;
}

struct flow *new_flow(struct translate *t, uint64_t kernel_id, uint32_t pid, int *error)
{
	struct process *p = process_of(t, pid, error);
	struct flow *f = p ? calloc(1, sizeof *f) : NULL;

	if (!f || !set_name(f, "", 0) || !map_put(&t->flows, kernel_id, f)) {
		if (f)
			free_flow(f);
		if (!*error)
			*error = FDTAPE_ERR_MEMORY;
		return NULL;
	}
	f->kernel_id = kernel_id;
	f->process = p;
	f->next = p->flows;
	f->link = &p->flows;
	if (f->next)
		f->next->link = &f->next;
	p->flows = f;
	f->def.id = ++t->n_flows;
	f->def.pid = pid;
	return f;
}

static struct fdtape_address address(const struct probe_address *from)
{
	struct fdtape_address to = {.port = from->port};

	switch (from->family) {
	case AF_INET_:
		to.family = FDTAPE_FAMILY_IPV4;
		to.len = 4;
		break;
	case AF_INET6_:
		to.family = FDTAPE_FAMILY_IPV6;
		to.len = 16;
		break;
	case AF_UNIX_: { /* a path ends at its NUL, an abstract name begins with one */
		size_t len = from->len < PROBE_UNIX_MAX ? from->len : PROBE_UNIX_MAX;

		to.family = FDTAPE_FAMILY_UNIX;
		to.len = (uint8_t)(len && from->addr[0] ? strnlen((const char *)from->addr, len) : len);
		break;
	}
	default:
		to.port = 0;
	}
	memcpy(to.addr, from->addr, to.len);
	return to;
}

static uint32_t protocol(const struct probe_flow *r)
{
	if (r->family == AF_UNIX_)
		return FDTAPE_PROTO_UNIX;
	if (r->family != AF_INET_ && r->family != AF_INET6_)
		return FDTAPE_PROTO_OTHER;
	return r->protocol == 6 ? FDTAPE_PROTO_TCP : r->protocol == 17 ? FDTAPE_PROTO_UDP : FDTAPE_PROTO_OTHER;
}

static void describe_socket(struct flow *f, const struct probe_flow *r)
{
	f->def.proto = protocol(r);
	f->def.role = r->role;
	/* A socket that is shut down forgets its peer; we don't. */
	if (r->local.family)
		f->def.local = address(&r->local);
	if (r->remote.family)
		f->def.remote = address(&r->remote);
}

static void count_at_least(struct flow *f, uint64_t in, uint64_t out)
{
	if (f->def.bytes[FDTAPE_IN] < in)
		f->def.bytes[FDTAPE_IN] = in;
	if (f->def.bytes[FDTAPE_OUT] < out)
		f->def.bytes[FDTAPE_OUT] = out;
}

int on_flow(struct translate *t, const struct probe_flow *r, const uint8_t *path, size_t len)
{
	struct flow *f = map_get(&t->flows, r->id);
	const char *library;
	int error = 0;

	if (!f && !(f = new_flow(t, r->id, r->tgid, &error)))
		return error;
	if (!f->def.opened)
		t->totals.flows += !r->handle;
	if (!f->told) {
		f->told = true;
		f->def.opened = r->opened;
		f->def.tid = r->tid;
		f->def.flags = 0;
	}
	f->def.fd = r->fd;
	/* At its end the socket can't be asked any more: what is known stays. */
	f->def.flags |=
	        r->flags & (FDTAPE_FLOW_PREOPENED | FDTAPE_FLOW_LISTENS | FDTAPE_FLOW_STREAM | FDTAPE_FLOW_INHERITED);
	count_at_least(f, r->bytes[0], r->bytes[1]);
	if (r->handle) {
		f->def.kind = FDTAPE_KIND_LIBRARY;
		f->def.handle = r->handle;
		error = tls_library(t, f->process, r->protocol, &library);
		if (!error && !set_name(f, library, PATH_MAX))
			error = FDTAPE_ERR_MEMORY;
		if (error)
			return error;
	} else {
		f->def.kind = r->kind;
		f->def.inode = r->inode;
		if (r->kind == FDTAPE_KIND_SOCKET && r->family)
			describe_socket(f, r);
		else if (len && !set_name(f, (const char *)path, len))
			return FDTAPE_ERR_MEMORY;
	}
	if (r->closed) {
		f->def.closed = r->time;
		if (r->closed == PROBE_CLOSING) {
			f->closing = true;
			return 0;
		}
	}
	error = put_flow(t, f);
	if (r->closed)
		forget_flow(t, f);
	return error;
}

/* What the probes keep of it, for a flow that no record told of. */
static void learn_flow(struct flow *f, const struct probe_flow_state *state)
{
	uint32_t kind = state->flags & (PROBE_STATE_DGRAM | PROBE_STATE_FILE | PROBE_STATE_PIPE);

	if (f->told)
		return;
	f->told = true;
	f->def.inode = state->inode;
	f->def.role = state->role;
	f->def.opened = state->opened;
	f->def.kind = kind & PROBE_STATE_PIPE   ? FDTAPE_KIND_PIPE
	              : kind & PROBE_STATE_FILE ? FDTAPE_KIND_FILE
	                                        : FDTAPE_KIND_SOCKET;
	f->def.flags = state->flags & (FDTAPE_FLOW_PREOPENED | FDTAPE_FLOW_INHERITED);
	if (!kind || kind & PROBE_STATE_PIPE)
		f->def.flags |= FDTAPE_FLOW_STREAM;
}

/* True: the probes follow it still. */
static bool look_up(const struct translate *t, const struct flow *f, struct probe_flow_state *state)
{
	return f->def.kind != FDTAPE_KIND_LIBRARY && probes_fd(t->probes, f->def.pid, f->def.fd, state) &&
	       state->id == f->kernel_id;
}

void settle_flow(struct translate *t, struct flow *f)
{
	struct probe_flow_state state;

	count_at_least(f, f->next_offset[0], f->next_offset[1]);
	if (look_up(t, f, &state)) {
		learn_flow(f, &state);
		count_at_least(f, state.bytes[0], state.bytes[1]);
	}
}

struct flow *lost_flow(struct translate *t, const struct probe_call *r, int *error)
{
	struct flow *f = new_flow(t, r->flow, r->tgid, error);
	struct probe_flow_state state;

	if (!f)
		return NULL;
	f->def.kind = r->call >= FDTAPE_CALL_SSL_READ ? FDTAPE_KIND_LIBRARY : FDTAPE_KIND_SOCKET;
	f->def.fd = r->fd;
	f->def.tid = r->tid;
	f->def.opened = r->start;
	f->def.flags = FDTAPE_FLOW_PREOPENED; /* as far as we know */
	if (look_up(t, f, &state))
		learn_flow(f, &state);
	t->totals.flows += f->def.kind != FDTAPE_KIND_LIBRARY;
	*error = put_flow(t, f);
	return f;
}

int end_flows(struct translate *t, struct process *p, uint64_t closed)
{
	int error = 0;

	while (!error && p->flows) {
		struct flow *f = p->flows;

		while (f->next)
			f = f->next;
		settle_flow(t, f);
		if (!f->def.closed)
			f->def.closed = closed;
		if (f->def.kind != FDTAPE_KIND_LIBRARY)
			probes_forget_fd(t->probes, f->def.pid, f->def.fd, f->kernel_id);
		error = put_flow(t, f);
		forget_flow(t, f);
	}
	return error;
}

uint64_t tape_flow(const struct translate *t, uint64_t kernel_id)
{
	const struct flow *f = map_get(&t->flows, kernel_id);

	return f ? f->def.id : 0;
}

struct settling {
	struct translate *t;
	int error;
};

static void settle_one(void *context, const struct probe_flow_state *state)
{
	struct settling *s = context;
	struct flow *f = map_get(&s->t->flows, state->id);

	if (s->error)
		return;
	if (!f) { /* not a single record of it came through */
		f = new_flow(s->t, state->id, state->tgid, &s->error);
		if (!f)
			return;
		f->def.fd = state->fd;
		s->t->totals.flows++;
	}
	learn_flow(f, state);
	count_at_least(f, state->bytes[0], state->bytes[1]);
	if (!f->def.closed)
		f->def.closed = state->ended;
	s->error = put_flow(s->t, f);
	forget_flow(s->t, f);
}

int settle_lost(struct translate *t)
{
	struct settling s = {.t = t};

	probes_take_unsettled(t->probes, settle_one, &s);
	return s.error;
}

static int by_id(const void *a, const void *b)
{
	const struct flow *const *x = a, *const *y = b;

	return ((*x)->def.id > (*y)->def.id) - ((*x)->def.id < (*y)->def.id);
}

struct flow **open_flows(struct translate *t, size_t *n)
{
	struct flow **open = t->flows.used ? calloc(t->flows.used, sizeof *open) : NULL, *f;
	size_t cursor = 0;

	*n = 0;
	if (!open)
		return NULL;
	while ((f = map_next(&t->flows, &cursor)))
		open[(*n)++] = f;
	qsort(open, *n, sizeof *open, by_id);
	return open;
}
