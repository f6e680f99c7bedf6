/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls. A call with more payload than one event holds becomes several, each with an offset of its own.
 *
 * Offsets: see bpf/flow.h. Two calls on one flow and direction that end at the same moment may claim the same start, or
 * come through the ring in the other order. So what a call claims is believed where nothing stands yet - behind all, or
 * in a gap that a call left which was in a hurry - and otherwise it comes where its bytes have room.
 *
 * What sendfile and its like move never was in the program's memory. If it came from a regular file, we read it there
 * again: the file is found by the program's fd, or else by its path, and taken only if it is the same inode. That it
 * has changed in between can't be excluded, so the event says that it was reread.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/translate_state.h"

#define REREAD_MAX (64u << 20) /* of one call: the ring goes on filling meanwhile */

static void close_gap(struct gap *gaps, size_t i)
{
	memmove(gaps + i, gaps + i + 1, (GAPS - 1 - i) * sizeof *gaps);
	gaps[GAPS - 1] = (struct gap){0};
}

static void open_gap(struct gap *gaps, uint64_t from, uint64_t to)
{
	memmove(gaps + 1, gaps, (GAPS - 1) * sizeof *gaps);
	gaps[0] = (struct gap){from, to};
}

/* The start of bytes that claim to begin where others already are: of the gap they fit in, or the end. */
static uint64_t find_room(struct flow *f, uint32_t dir, uint64_t claimed, uint64_t bytes)
{
	struct gap *gaps = f->gaps[dir], gap;
	size_t best = GAPS;

	for (size_t i = 0; i < GAPS && gaps[i].to; i++) {
		if (claimed >= gaps[i].from && claimed < gaps[i].to && bytes <= gaps[i].to - claimed) {
			best = i;
			break;
		}
		if (gaps[i].from >= claimed && bytes <= gaps[i].to - gaps[i].from)
			best = i; /* the oldest behind it */
	}
	if (best == GAPS)
		return f->next_offset[dir];
	gap = gaps[best];
	if (claimed < gap.from)
		claimed = gap.from;
	close_gap(gaps, best);
	if (gap.to > claimed + bytes)
		open_gap(gaps, claimed + bytes, gap.to);
	if (claimed > gap.from)
		open_gap(gaps, gap.from, claimed);
	return claimed;
}

static void count(struct translate *t, struct flow *f, struct fdtape_event *e)
{
	uint32_t dir = e->dir & 1;

	if (e->flags & FDTAPE_EVENT_PEEK || !e->bytes)
		return;
	if (e->offset < f->next_offset[dir])
		e->offset = find_room(f, dir, e->offset, e->bytes);
	else if (e->offset > f->next_offset[dir])
		open_gap(f->gaps[dir], f->next_offset[dir], e->offset);
	if (e->offset + e->bytes > f->next_offset[dir])
		f->next_offset[dir] = e->offset + e->bytes;
	if (f->def.kind != FDTAPE_KIND_LIBRARY) {
		t->totals.bytes += e->bytes;
		t->totals.captured += e->captured;
	}
}

/* The event, counted to its flow, with offsets as the tape has them. */
static int put_event(struct translate *t, struct flow *f, struct fdtape_event *e)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT};

	if (f)
		count(t, f, e);
	item.event = *e;
	if (f && fdtape_call_carries(e->call))
		item.event.offset -= f->base[e->dir & 1];
	t->totals.events++;
	return fdtape_writer_put(t->writer, &item);
}

/* ---- reading again ---------------------------------------------------------------------------------------------- */

static int open_same(const char *path, uint64_t inode)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == inode)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int open_source(struct translate *t, const struct probe_call *r)
{
	const struct flow *source = map_get(&t->flows, r->other);
	char path[PROBE_PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof path, "/proc/%u/fd/%u", r->tgid, (uint32_t)r->arg[0]);
	fd = open_same(path, r->file_inode);
	if (fd < 0 && source && *source->def.name) {
		snprintf(path, sizeof path, "/proc/%u/root%s", r->tgid, source->def.name);
		fd = open_same(path, r->file_inode);
		if (fd < 0) /* the process has ended */
			fd = open_same(source->def.name, r->file_inode);
	}
	return fd;
}

static void not_reread(struct translate *t, const struct fdtape_event *e, uint64_t bytes)
{
	if (e->flags & FDTAPE_EVENT_PEEK)
		return; /* they come again */
	if (!t->copied.count++)
		t->copied.from = e->time;
	t->copied.bytes += bytes;
	t->copied.to = e->time + e->duration;
}

/* The event, in pieces that one event can hold, with the bytes that are read again. */
static int put_reread(struct translate *t, struct flow *f, struct fdtape_event *e, const struct probe_call *r)
{
	uint64_t left = e->bytes, done = 0;
	int fd = -1, error = 0;

	if (r->file_inode && f->def.kind == FDTAPE_KIND_SOCKET && e->bytes <= REREAD_MAX && t->payload) {
		if (!t->reread)
			t->reread = malloc(FDTAPE_EVENT_DATA_MAX);
		fd = t->reread ? open_source(t, r) : -1;
	}
	do {
		size_t want = left < FDTAPE_EVENT_DATA_MAX ? (size_t)left : FDTAPE_EVENT_DATA_MAX;
		ssize_t n = fd >= 0 ? pread(fd, t->reread, want, (off_t)(r->file_offset + done)) : 0;

		e->captured = n > 0 ? (uint64_t)n : 0;
		e->data = n > 0 ? t->reread : NULL;
		e->bytes = (size_t)n == want ? want : left; /* what is not in the file any more ends it */
		if (n > 0)
			e->flags |= FDTAPE_EVENT_REREAD;
		if (e->captured < e->bytes)
			not_reread(t, e, e->bytes - e->captured);
		error = put_event(t, f, e);
		left -= e->bytes;
		done += e->bytes;
		e->offset += e->bytes;
		e->flags |= FDTAPE_EVENT_CONTINUED;
	} while (left && !error);
	if (fd >= 0)
		close(fd);
	return error;
}

/* ---- peers ------------------------------------------------------------------------------------------------------ */

/* A sockaddr of the recorded host, whatever this one's C library says. */
enum {
	AF_INET_ = 2,
	AF_INET6_ = 10,
	SOCKADDR_IN = 16,
	SOCKADDR_IN6 = 28
};

static bool parse_peer(const struct probe_call *r, struct fdtape_address *to)
{
	uint16_t family;

	if (r->peer_len < SOCKADDR_IN)
		return false;
	memcpy(&family, r->peer, sizeof family);
	*to = (struct fdtape_address){.port = (uint16_t)(r->peer[2] << 8 | r->peer[3])};
	if (family == AF_INET_) {
		to->family = FDTAPE_FAMILY_IPV4;
		to->len = 4;
		memcpy(to->addr, r->peer + 4, 4);
	} else if (family == AF_INET6_ && r->peer_len >= SOCKADDR_IN6) {
		to->family = FDTAPE_FAMILY_IPV6;
		to->len = 16;
		memcpy(to->addr, r->peer + 8, 16);
	}
	return to->family != FDTAPE_FAMILY_NONE;
}

static bool same_address(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

/* Whom the call's datagram came from or went to; NULL: the one that the flow is connected to, or it is not told. */
static const struct fdtape_address *peer_of(const struct flow *f, const struct probe_call *r,
                                            struct fdtape_address *room)
{
	/* Where none came, the program's memory holds that of an earlier one. */
	bool none_came = r->dir == FDTAPE_IN && (r->ret < 0 || (r->ret == 0 && r->call == FDTAPE_CALL_RECVMMSG));

	/* A UNIX socket's may be without a name: then the memory is as it was as well. */
	if (!f || f->def.proto == FDTAPE_PROTO_UNIX || none_came || !parse_peer(r, room))
		return NULL;
	return same_address(room, &f->def.remote) ? NULL : room;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static bool moves_between_fds(uint32_t call)
{
	return call == FDTAPE_CALL_SENDFILE || call == FDTAPE_CALL_SPLICE || call == FDTAPE_CALL_TEE ||
	       call == FDTAPE_CALL_COPY_FILE_RANGE;
}

static uint32_t event_flags(const struct probe_call *r, uint64_t given)
{
	return (r->h.flags & PROBE_NO_START ? FDTAPE_EVENT_NO_START : 0) |
	       (r->h.flags & PROBE_PEEK ? FDTAPE_EVENT_PEEK : 0) |
	       (r->h.flags & PROBE_PASSED ? FDTAPE_EVENT_PASSED : 0) |
	       (r->h.flags & PROBE_CONTINUES || given ? FDTAPE_EVENT_CONTINUED : 0);
}

int on_call(struct translate *t, const struct probe_call *r, uint64_t given, const uint8_t *payload, size_t len,
            bool last)
{
	struct fdtape_event e = {.time = r->start,
	                         .duration = r->end - r->start,
	                         .pid = r->tgid,
	                         .tid = r->tid,
	                         .call = r->call,
	                         .flags = event_flags(r, given),
	                         .result = r->ret,
	                         .fd = r->fd,
	                         .dir = r->dir & 1,
	                         .offset = r->offset + given,
	                         .bytes = last ? r->bytes - given : len,
	                         .captured = len,
	                         .data = len ? payload : NULL,
	                         .arg = {r->arg[0], r->arg[1], r->arg[2]}};
	struct flow *f = r->flow ? map_get(&t->flows, r->flow) : NULL;
	struct fdtape_address peer;
	int error = 0, other = fdtape_call_flow_arg(r->call);
	struct process *p = process_of(t, r->tgid, &error);

	if (!p || error)
		return error ? error : FDTAPE_ERR_MEMORY;
	error = thread_seen(t, p, r->tid, r->start);
	if (!error && r->flow && !f)
		f = lost_flow(t, r, &error);
	if (error)
		return error;
	e.flow = f ? f->def.id : 0;
	e.peer = peer_of(f, r, &peer);
	if (other >= 0 && (r->other || r->call != FDTAPE_CALL_FCNTL))
		e.arg[other] = tape_flow(t, r->other);
	if (f && e.bytes && moves_between_fds(r->call))
		error = put_reread(t, f, &e, r);
	else
		error = put_event(t, f, &e);
	if (!error && f && f->closing && last) {
		error = put_flow(t, f);
		forget_flow(t, f);
	}
	return error;
}

/* ---- what did not return ---------------------------------------------------------------------------------------- */

struct pending {
	struct translate *t;
	uint64_t now;
	int error;
};

static void put_one(void *context, uint32_t tid, const struct probe_inflight *in, const struct probe_syscall *how)
{
	struct pending *pending = context;
	struct translate *t = pending->t;
	struct probe_flow_state state;
	const struct flow *f;
	struct fdtape_event e = {.time = in->start,
	                         .duration = pending->now > in->start ? pending->now - in->start : 0,
	                         .pid = in->tgid,
	                         .tid = tid,
	                         .call = how->call,
	                         .flags = FDTAPE_EVENT_PENDING,
	                         .fd = (int32_t)in->arg[0],
	                         .dir = how->dir};

	if (pending->error)
		return;
	if (how->shape > PROBE_SHAPE_TEE && how->shape != PROBE_SHAPE_ACCEPT && how->shape != PROBE_SHAPE_CONNECT)
		return; /* those don't wait */
	if (how->shape == PROBE_SHAPE_MSG)
		e.arg[1] = in->arg[2];
	else if (how->shape == PROBE_SHAPE_MMSG)
		e.arg[1] = in->arg[3];
	else if (how->shape <= PROBE_SHAPE_VMSPLICE)
		e.arg[0] = in->arg[2];
	if (how->shape == PROBE_SHAPE_SOCKBUF)
		e.arg[1] = in->arg[3];
	if (!probes_fd(t->probes, in->tgid, e.fd, &state) || !(f = map_get(&t->flows, state.id)))
		return; /* of no flow that is recorded */
	e.flow = f->def.id;
	e.offset = f->next_offset[e.dir];
	pending->error = put_event(t, map_get(&t->flows, state.id), &e);
}

int put_pending(struct translate *t, uint64_t now)
{
	struct pending pending = {.t = t, .now = now};

	probes_inflight(t->probes, put_one, &pending);
	return pending.error;
}
