/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation.
 *
 * Records arrive in the order in which the calls finished. A call with more payload than one record holds comes in
 * several (probe_call, then probe_data of the same thread), and other threads' records come in between. The tape's
 * order is that of the calls' first records, so while one is being put together, all that comes behind it is *held*:
 * copied to a queue whose head is handled as soon as it is complete. Mostly the queue is empty, and a record goes from
 * the ring to the writer without a copy.
 *
 * The probes name flows by ids that are unique but sparse; the tape numbers them 1, 2, 3 as they appear. An event whose
 * flow was never told of (its record found no room) defines it with what the event knows.
 *
 * Offsets: see bpf/flow.h. A call that claims a start before what its flow has already carried ran at the same moment
 * as the one before it and comes behind it.
 */
#include "record/translate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "record/libraries.h"
#include "record/procfs.h"
#include "record/secrets.h"

/* A queue that waits for a lost record must not grow without end. */
#define HELD_MAX_BYTES (64u << 20)

struct process {
	uint32_t pid, ppid, uid;
	char comm[16];
	char *exe;
	char *cmdline;
	char *tls_library;  /* path of its libssl; NULL: not asked yet */
	struct flow *flows; /* open ones, newest first */
};

struct flow {
	uint64_t kernel_id;
	struct fdtape_flow def;
	bool closing; /* close() was entered; its event is to come, then the definition */
	uint64_t next_offset[2];
	struct process *process;
	struct flow *next, **link; /* in the process' list */
};

/* A record that waits, with all payload that came for it. */
struct held {
	struct held *next;
	bool complete;
	void *record; /* owned */
	size_t fixed; /* bytes of it before the payload */
	size_t len;   /* of the payload so far */
	size_t room;
};

struct translate {
	struct fdtape_writer *writer;
	struct probes *probes;
	void (*image)(void *context, pid_t pid);
	void *image_context;
	struct map processes;   /* by pid */
	struct map flows;       /* by kernel id */
	struct map assembling;  /* by tid: struct held, incomplete */
	struct map derivations; /* by tid: struct probe_kdf, entered but not returned */
	struct held *first, **last;
	size_t held_bytes;
	uint64_t n_flows;
	struct translate_totals totals;
	struct probe_stats told; /* losses that are on the tape */
	uint64_t told_at;
};

struct translate *translate_new(struct fdtape_writer *writer, struct probes *probes, uint64_t started)
{
	struct translate *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->writer = writer;
	t->probes = probes;
	t->told_at = started;
	t->last = &t->first;
	return t;
}

void translate_on_image(struct translate *t, void (*image)(void *context, pid_t pid), void *context)
{
	t->image = image;
	t->image_context = context;
}

/* ---- processes -------------------------------------------------------------------------------------------------- */

static int put_process(struct translate *t, const struct process *p, uint64_t time)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_PROCESS,
	                           .process = {.pid = p->pid,
	                                       .ppid = p->ppid,
	                                       .uid = p->uid,
	                                       .time = time,
	                                       .comm = p->comm,
	                                       .exe = p->exe,
	                                       .cmdline = p->cmdline}};

	return fdtape_writer_put(t->writer, &item);
}

static bool set_string(char **to, const char *from)
{
	char *copy = strdup(from);

	if (!copy)
		return false;
	free(*to);
	*to = copy;
	return true;
}

/* The process' entry, made if there is none; NULL: no memory. */
static struct process *process_entry(struct translate *t, uint32_t pid, bool *fresh)
{
	struct process *p = map_get(&t->processes, pid);

	*fresh = !p;
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->pid = pid;
	p->uid = UINT32_MAX;
	if (set_string(&p->exe, "") && set_string(&p->cmdline, "") && map_put(&t->processes, pid, p))
		return p;
	free(p->exe);
	free(p->cmdline);
	free(p);
	return NULL;
}

int translate_process(struct translate *t, pid_t pid)
{
	struct procfs_process found;
	bool fresh;
	struct process *p = process_entry(t, (uint32_t)pid, &fresh);

	if (!p)
		return FDTAPE_ERR_MEMORY;
	if (!fresh)
		return 0;
	procfs_read(pid, &found);
	p->ppid = found.ppid;
	p->uid = found.uid;
	memcpy(p->comm, found.comm, sizeof p->comm);
	if (!set_string(&p->exe, found.exe) || !set_string(&p->cmdline, found.cmdline))
		return FDTAPE_ERR_MEMORY;
	if (t->image)
		t->image(t->image_context, pid);
	return put_process(t, p, 0);
}

/* The process of a record: one that is met first (`--all`) is looked up in /proc. */
static struct process *process_of(struct translate *t, uint32_t pid, int *error)
{
	struct process *p = map_get(&t->processes, pid);

	*error = p ? 0 : translate_process(t, (pid_t)pid);
	return p ? p : map_get(&t->processes, pid);
}

static int on_exec(struct translate *t, const struct probe_exec *r)
{
	char line[PROBE_ARGS_MAX + 1], path[PROBE_PATH_MAX];
	struct procfs_process now;
	bool fresh;
	struct process *p = process_entry(t, r->tgid, &fresh);
	struct fdtape_item item = {
	        .type = FDTAPE_ITEM_EVENT,
	        .event = {.time = r->time, .pid = r->tgid, .tid = r->tgid, .call = FDTAPE_CALL_EXEC, .fd = -1}};
	int error;

	if (!p)
		return FDTAPE_ERR_MEMORY;
	memcpy(path, r->path, sizeof path);
	path[sizeof path - 1] = 0;
	procfs_join_arguments(line, sizeof line, r->args, r->args_len < PROBE_ARGS_MAX ? r->args_len : PROBE_ARGS_MAX);
	/* /proc resolves links and scripts, while the process lives and is still this image. */
	if (!procfs_read((pid_t)r->tgid, &now) || strncmp(now.comm, r->comm, sizeof now.comm) != 0)
		*now.exe = 0;
	p->ppid = r->ppid;
	p->uid = r->uid;
	memcpy(p->comm, r->comm, sizeof p->comm);
	p->comm[sizeof p->comm - 1] = 0;
	free(p->tls_library);
	p->tls_library = NULL;
	if (!set_string(&p->exe, *now.exe ? now.exe : path) ||
	    !set_string(&p->cmdline, *now.exe && *now.cmdline ? now.cmdline : line))
		return FDTAPE_ERR_MEMORY;
	if (t->image)
		t->image(t->image_context, (pid_t)r->tgid);
	error = put_process(t, p, r->time);
	t->totals.events++;
	return error ? error : fdtape_writer_put(t->writer, &item);
}

static int on_fork(struct translate *t, const struct probe_fork *r)
{
	int error;
	bool fresh;
	struct process *parent = process_of(t, r->tgid, &error), *child = process_entry(t, r->child, &fresh);
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT,
	                           .event = {.time = r->time,
	                                     .pid = r->tgid,
	                                     .tid = r->tid,
	                                     .call = FDTAPE_CALL_FORK,
	                                     .result = r->child,
	                                     .fd = -1}};

	if (error || !parent || !child)
		return error ? error : FDTAPE_ERR_MEMORY;
	child->ppid = r->tgid;
	child->uid = r->uid;
	memcpy(child->comm, r->comm, sizeof child->comm);
	if (!set_string(&child->exe, parent->exe) || !set_string(&child->cmdline, parent->cmdline))
		return FDTAPE_ERR_MEMORY;
	t->totals.events++;
	error = fdtape_writer_put(t->writer, &item);
	return error ? error : put_process(t, child, r->time);
}

/* ---- flows ------------------------------------------------------------------------------------------------------ */

static int put_flow(struct translate *t, const struct flow *f)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_FLOW, .flow = f->def};

	return fdtape_writer_put(t->writer, &item);
}

static void forget_flow(struct translate *t, struct flow *f)
{
	map_take(&t->flows, f->kernel_id);
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	free(f);
}

static struct flow *new_flow(struct translate *t, uint64_t kernel_id, uint32_t pid, int *error)
{
	struct process *p = process_of(t, pid, error);
	struct flow *f = p ? calloc(1, sizeof *f) : NULL;

	if (!f || !map_put(&t->flows, kernel_id, f)) {
		free(f);
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
	f->def.name = "";
	return f;
}

static struct fdtape_address address(const struct probe_address *from)
{
	struct fdtape_address to = {.port = from->port};

	switch (from->family) {
	case 2: /* AF_INET; the kernel's numbers, whatever the C library says */
		to.family = FDTAPE_FAMILY_IPV4;
		to.len = 4;
		break;
	case 10: /* AF_INET6 */
		to.family = FDTAPE_FAMILY_IPV6;
		to.len = 16;
		break;
	case 1: { /* AF_UNIX: a path ends at its NUL, an abstract name begins with one */
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
	if (r->family == 1)
		return FDTAPE_PROTO_UNIX;
	if (r->family != 2 && r->family != 10)
		return FDTAPE_PROTO_OTHER;
	return r->protocol == 6 ? FDTAPE_PROTO_TCP : r->protocol == 17 ? FDTAPE_PROTO_UDP : FDTAPE_PROTO_OTHER;
}

struct library_search {
	char path[PATH_MAX];
};

static void find_tls_library(void *context, const char *path)
{
	struct library_search *search = context;
	const char *name = strrchr(path, '/');

	if (*search->path || !name || strncmp(name + 1, "libssl", 6) != 0)
		return;
	name = strstr(path, "/root/"); /* /proc/PID/root/... */
	snprintf(search->path, sizeof search->path, "%s", name ? name + 5 : path);
}

/* The file that a process' SSL calls are served from: its libssl, or itself if it is linked in. */
static const char *tls_library(struct process *p)
{
	struct library_search search = {.path = ""};

	if (!p->tls_library) {
		libraries_of_process((pid_t)p->pid, find_tls_library, &search);
		p->tls_library = strdup(*search.path ? search.path : p->exe);
	}
	return p->tls_library ? p->tls_library : "";
}

static int on_flow(struct translate *t, const struct probe_flow *r)
{
	struct flow *f = map_get(&t->flows, r->id);
	int error = 0;

	if (!f && !(f = new_flow(t, r->id, r->tgid, &error)))
		return error;
	if (!f->def.opened) {
		f->def.opened = r->time;
		f->def.tid = r->tid;
		t->totals.flows += !r->handle;
	}
	f->def.fd = r->fd;
	f->def.flags = r->flags & (FDTAPE_FLOW_PREOPENED | FDTAPE_FLOW_LISTENS | FDTAPE_FLOW_STREAM);
	f->def.bytes[0] = r->bytes[0];
	f->def.bytes[1] = r->bytes[1];
	if (r->handle) {
		f->def.kind = FDTAPE_KIND_LIBRARY;
		f->def.handle = r->handle;
		f->def.name = tls_library(f->process);
	} else if (r->family) {
		f->def.kind = FDTAPE_KIND_SOCKET;
		f->def.proto = protocol(r);
		f->def.role = r->role;
		f->def.inode = r->inode;
		/* A socket that is shut down forgets its peer; we don't. */
		if (r->local.family)
			f->def.local = address(&r->local);
		if (r->remote.family)
			f->def.remote = address(&r->remote);
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

/* Fetches the kernel's count of a flow that nothing more is heard of. */
static void settle_flow(struct translate *t, struct flow *f)
{
	struct probe_flow_state state;

	for (int dir = 0; dir < 2; dir++)
		if (f->def.bytes[dir] < f->next_offset[dir])
			f->def.bytes[dir] = f->next_offset[dir];
	if (f->def.kind == FDTAPE_KIND_SOCKET && probes_fd(t->probes, f->def.pid, f->def.fd, &state) &&
	    state.id == f->kernel_id)
		for (int dir = 0; dir < 2; dir++)
			if (f->def.bytes[dir] < state.bytes[dir])
				f->def.bytes[dir] = state.bytes[dir];
}

static int on_exit_(struct translate *t, const struct probe_exit *r)
{
	int error;
	struct process *p = process_of(t, r->tgid, &error);
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT,
	                           .event = {.time = r->time,
	                                     .pid = r->tgid,
	                                     .tid = r->tid,
	                                     .call = FDTAPE_CALL_EXIT,
	                                     .result = r->code,
	                                     .fd = -1}};

	if (error || !p)
		return error ? error : FDTAPE_ERR_MEMORY;
	while (!error && p->flows) {
		struct flow *f = p->flows;

		while (f->next) /* the oldest first */
			f = f->next;
		settle_flow(t, f);
		if (!f->def.closed)
			f->def.closed = r->time;
		if (f->def.kind == FDTAPE_KIND_SOCKET)
			probes_forget_fd(t->probes, f->def.pid, f->def.fd);
		error = put_flow(t, f);
		forget_flow(t, f);
	}
	t->totals.events++;
	if (!error)
		error = fdtape_writer_put(t->writer, &item);
	map_take(&t->processes, r->tgid);
	free(p->exe);
	free(p->cmdline);
	free(p->tls_library);
	free(p);
	return error;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static uint64_t tape_flow(const struct translate *t, uint64_t kernel_id)
{
	const struct flow *f = map_get(&t->flows, kernel_id);

	return f ? f->def.id : 0;
}

static int on_call(struct translate *t, const struct probe_call *r, const uint8_t *payload, size_t len)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT};
	struct fdtape_event *e = &item.event;
	struct flow *f = r->flow ? map_get(&t->flows, r->flow) : NULL;
	bool data = r->call < FDTAPE_CALL_SOCKET || (r->call >= FDTAPE_CALL_SSL_READ && r->call < FDTAPE_CALL_SSL_FREE);
	int error = 0;

	if (!process_of(t, r->tgid, &error) || error)
		return error ? error : FDTAPE_ERR_MEMORY;
	if (r->flow && !f) {
		f = new_flow(t, r->flow, r->tgid, &error);
		if (!f)
			return error;
		f->def.kind = r->fd < 0 ? FDTAPE_KIND_LIBRARY : FDTAPE_KIND_SOCKET;
		f->def.fd = r->fd;
		f->def.tid = r->tid;
		f->def.opened = r->start;
		f->def.flags = FDTAPE_FLOW_PREOPENED;
		error = put_flow(t, f);
		if (error)
			return error;
	}
	e->time = r->start;
	e->duration = r->end - r->start;
	e->pid = r->tgid;
	e->tid = r->tid;
	e->call = r->call;
	e->flags = (r->h.flags & PROBE_NO_START ? FDTAPE_EVENT_NO_START : 0) |
	           (r->h.flags & PROBE_PEEK ? FDTAPE_EVENT_PEEK : 0);
	e->result = r->ret;
	e->fd = r->fd;
	e->dir = r->dir;
	e->flow = f ? f->def.id : 0;
	for (size_t i = 0; i < 3; i++)
		e->arg[i] = r->arg[i];
	if (r->call == FDTAPE_CALL_ACCEPT || r->call == FDTAPE_CALL_ACCEPT4)
		e->arg[0] = tape_flow(t, r->arg[0]);
	if (data) {
		e->bytes = r->bytes;
		e->captured = len < r->bytes ? len : r->bytes;
		e->data = e->captured ? payload : NULL;
		e->offset = r->offset;
		if (f && !(r->h.flags & PROBE_PEEK)) {
			if (e->offset < f->next_offset[r->dir & 1])
				e->offset = f->next_offset[r->dir & 1];
			f->next_offset[r->dir & 1] = e->offset + e->bytes;
			if (f->def.kind != FDTAPE_KIND_LIBRARY) {
				t->totals.bytes += e->bytes;
				t->totals.captured += e->captured;
			}
		}
	}
	t->totals.events++;
	error = fdtape_writer_put(t->writer, &item);
	if (!error && f && f->closing) {
		error = put_flow(t, f);
		forget_flow(t, f);
	}
	return error;
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

static int on_kdf(struct translate *t, const struct probe_kdf *r)
{
	struct probe_kdf *copy = malloc(sizeof *copy);

	if (!copy)
		return FDTAPE_ERR_MEMORY;
	*copy = *r;
	free(map_take(&t->derivations, r->tid)); /* one whose return was never seen */
	if (map_put(&t->derivations, r->tid, copy))
		return 0;
	free(copy);
	return FDTAPE_ERR_MEMORY;
}

static int on_kdf_result(struct translate *t, const struct probe_kdf_out *r)
{
	struct probe_kdf *kdf = map_take(&t->derivations, r->tid);
	struct fdtape_item item = {.type = FDTAPE_ITEM_SECRET};
	size_t len = r->h.len < PROBE_KDF_OUT ? r->h.len : PROBE_KDF_OUT;
	int error = 0;

	if (kdf && secrets_from_kdf(kdf, r->data, len, &item.secret))
		error = fdtape_writer_put(t->writer, &item);
	free(kdf);
	return error;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

/* The bytes of a record's fixed part; 0: no such record. */
static size_t fixed_size(const struct probe_header *h)
{
	switch (h->type) {
	case PROBE_CALL:
		return sizeof(struct probe_call);
	case PROBE_DATA:
		return sizeof(struct probe_data);
	case PROBE_FLOW:
		return sizeof(struct probe_flow);
	case PROBE_EXEC:
		return sizeof(struct probe_exec);
	case PROBE_FORK:
		return sizeof(struct probe_fork);
	case PROBE_EXIT:
		return sizeof(struct probe_exit);
	case PROBE_KDF:
		return sizeof(struct probe_kdf);
	case PROBE_KDF_RESULT:
		return sizeof(struct probe_kdf_out);
	}
	return 0;
}

static int handle(struct translate *t, const void *record, const uint8_t *payload, size_t len)
{
	switch (((const struct probe_header *)record)->type) {
	case PROBE_CALL:
		return on_call(t, record, payload, len);
	case PROBE_FLOW:
		return on_flow(t, record);
	case PROBE_EXEC:
		return on_exec(t, record);
	case PROBE_FORK:
		return on_fork(t, record);
	case PROBE_EXIT:
		return on_exit_(t, record);
	case PROBE_KDF:
		return on_kdf(t, record);
	case PROBE_KDF_RESULT:
		return on_kdf_result(t, record);
	}
	return 0;
}

static void complete(struct translate *t, struct held *h)
{
	const struct probe_call *r = h->record;

	h->complete = true;
	map_take(&t->assembling, r->tid);
}

/* Handles the queue's head for as long as it is complete. */
static int release(struct translate *t)
{
	int error = 0;

	while (t->first && t->first->complete) {
		struct held *h = t->first;

		t->first = h->next;
		if (!t->first)
			t->last = &t->first;
		t->held_bytes -= h->fixed + h->len;
		if (!error)
			error = handle(t, h->record, (uint8_t *)h->record + h->fixed, h->len);
		free(h->record);
		free(h);
	}
	return error;
}

static int hold(struct translate *t, const void *record, size_t fixed, size_t len)
{
	const struct probe_header *head = record;
	struct held *h = calloc(1, sizeof *h);
	/* What a call's return value says is what will come, at most. */
	size_t room = head->type == PROBE_CALL && head->flags & PROBE_MORE ? PROBE_PAYLOAD_MAX : len;

	if (h)
		h->record = malloc(fixed + room);
	if (!h || !h->record) {
		free(h);
		return FDTAPE_ERR_MEMORY;
	}
	memcpy(h->record, record, fixed + len);
	h->fixed = fixed;
	h->len = len;
	h->room = room;
	h->complete = true;
	*t->last = h;
	t->last = &h->next;
	t->held_bytes += fixed + len;
	if (head->type == PROBE_CALL && head->flags & PROBE_MORE) {
		h->complete = false;
		if (!map_put(&t->assembling, ((const struct probe_call *)record)->tid, h))
			return FDTAPE_ERR_MEMORY;
	}
	return 0;
}

static int on_data(struct translate *t, const struct probe_data *r, size_t len)
{
	struct held *h = map_get(&t->assembling, r->tid);

	if (!h)
		return 0; /* its call was lost, and counted */
	/* Only what joins up: behind a lost chunk the payload ends. */
	if (r->offset == h->len && len <= h->room - h->len) {
		memcpy((uint8_t *)h->record + h->fixed + h->len, r + 1, len);
		h->len += len;
		t->held_bytes += len;
	}
	if (r->h.flags & PROBE_MORE)
		return 0;
	complete(t, h);
	return release(t);
}

int translate_record(void *context, const void *record, size_t size)
{
	const struct probe_header *head = record;
	struct translate *t = context;
	size_t fixed, len;
	int error = 0;

	if (size < sizeof *head || (fixed = fixed_size(head)) == 0 || size < fixed)
		return 0; /* not ours: both sides are built together */
	len = head->type == PROBE_CALL || head->type == PROBE_DATA ? head->len : 0;
	if (len > size - fixed)
		len = size - fixed;
	if (head->type == PROBE_DATA)
		return on_data(t, record, len);
	if (head->type == PROBE_CALL) {
		/* The same thread's next call: the last chunk of the one before it was lost. */
		struct held *h = map_get(&t->assembling, ((const struct probe_call *)record)->tid);

		if (h)
			complete(t, h);
	}
	while (!error && t->first && t->held_bytes > HELD_MAX_BYTES) {
		if (!t->first->complete)
			complete(t, t->first);
		error = release(t);
	}
	if (!error && t->first)
		error = release(t);
	if (error)
		return error;
	if (!t->first && !(head->type == PROBE_CALL && head->flags & PROBE_MORE))
		return handle(t, record, (const uint8_t *)record + fixed, len);
	return hold(t, record, fixed, len);
}

/* ---- losses and the end ----------------------------------------------------------------------------------------- */

static const uint32_t reasons[PROBE_LOST_N] = {
        [PROBE_LOST_RING] = FDTAPE_LOSS_RING_FULL,        [PROBE_LOST_PAYLOAD] = FDTAPE_LOSS_PAYLOAD,
        [PROBE_LOST_UNREADABLE] = FDTAPE_LOSS_UNREADABLE, [PROBE_LOST_LONG] = FDTAPE_LOSS_SNAPLEN,
        [PROBE_LOST_MAP] = FDTAPE_LOSS_MAP_FULL,          [PROBE_LOST_BLIND] = FDTAPE_LOSS_BLIND,
};

int translate_losses(struct translate *t, uint64_t now)
{
	struct probe_stats stats;
	int error = 0;

	if (probes_stats(t->probes, &stats) != 0)
		return 0; /* asked again next time; what is told is what is known */
	for (int i = 0; i < PROBE_LOST_N && !error; i++) {
		struct fdtape_item item = {.type = FDTAPE_ITEM_LOSS,
		                           .loss = {.reason = reasons[i],
		                                    .count = stats.count[i] - t->told.count[i],
		                                    .bytes = stats.bytes[i] - t->told.bytes[i],
		                                    .from = t->told_at,
		                                    .to = now}};

		if (item.loss.count)
			error = fdtape_writer_put(t->writer, &item);
	}
	t->totals.lost_events = stats.count[PROBE_LOST_RING];
	t->told = stats;
	t->told_at = now;
	return error;
}

static int by_id(const void *a, const void *b)
{
	const struct flow *const *x = a, *const *y = b;

	return ((*x)->def.id > (*y)->def.id) - ((*x)->def.id < (*y)->def.id);
}

int translate_finish(struct translate *t, uint64_t now)
{
	struct flow **open = NULL, *f;
	size_t n = 0, cursor = 0;
	int error = 0;

	for (struct held *h = t->first; h; h = h->next)
		if (!h->complete)
			complete(t, h);
	error = release(t);
	if (!error)
		error = translate_losses(t, now);
	if (error || !t->flows.used)
		return error;
	open = calloc(t->flows.used, sizeof *open);
	if (!open)
		return FDTAPE_ERR_MEMORY;
	while ((f = map_next(&t->flows, &cursor)))
		open[n++] = f;
	qsort(open, n, sizeof *open, by_id);
	for (size_t i = 0; i < n && !error; i++) {
		settle_flow(t, open[i]);
		error = put_flow(t, open[i]);
	}
	free(open);
	return error;
}

struct translate_totals translate_totals(const struct translate *t)
{
	return t->totals;
}

void translate_free(struct translate *t)
{
	struct process *p;
	struct flow *f;
	struct held *h;
	size_t cursor;
	void *kdf;

	if (!t)
		return;
	for (cursor = 0; (p = map_next(&t->processes, &cursor));) {
		free(p->exe);
		free(p->cmdline);
		free(p->tls_library);
		free(p);
	}
	for (cursor = 0; (f = map_next(&t->flows, &cursor));)
		free(f);
	for (cursor = 0; (kdf = map_next(&t->derivations, &cursor));)
		free(kdf);
	while ((h = t->first)) {
		t->first = h->next;
		free(h->record);
		free(h);
	}
	map_release(&t->processes);
	map_release(&t->flows);
	map_release(&t->assembling);
	map_release(&t->derivations);
	free(t);
}
