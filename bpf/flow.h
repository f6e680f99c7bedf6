/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef FLOW_H
#define FLOW_H

/*
 * Which flow an fd is now.
 *
 * An fd number says nothing by itself: it is closed, reused, passed and dup'ed in ways that no list of system calls
 * covers. So each call looks its fd up in the task's file table and compares the open file and its inode with what
 * the fd was before. The inode is what makes it sure: the kernel hands a freed struct file out again at once, but it
 * numbers sockets and pipes on and on. (A file that is opened twice keeps its inode: there, close, dup2 and exec are
 * what ends a flow.) A difference is a new generation: the old flow ends, a new one begins.
 *
 * Who opened a connection is known of the socket, not of the fd: `sockets` keeps it by inode, so that an fd that came
 * by dup, fork or SCM_RIGHTS has it as well.
 *
 * Offsets are added to without a lock: the sum is right, but two threads that finish calls on one flow and direction
 * at the same moment can be given the same start. The recorder, which sees both in the ring's order, puts the second
 * behind the first (record/translate.c).
 *
 * What the ring had no room for is told later: a flow that was not told is told with its next call, and one that ended
 * unseen is kept in `unsettled`, with its sums, where the recorder looks when something was lost.
 */
#include <bpf/bpf_endian.h>

#include "bpf/judge.h"

/* include/fdtape/types.h belongs to the C library's world; these are its numbers. */
enum {
	FLOW_PREOPENED = 1u << 0,
	FLOW_LISTENS = 1u << 1,
	FLOW_STREAM = 1u << 2,
	FLOW_INHERITED = 1u << 3,
	/* Of probe_flow_state.flags alone: */
	FLOW_DGRAM = PROBE_STATE_DGRAM,
	FLOW_FILE = PROBE_STATE_FILE,
	FLOW_PIPE = PROBE_STATE_PIPE,
	FLOW_TOLD = 1u << 27,      /* the recorder knows it */
	FLOW_WANTED = 1u << 28,    /* its ports are chosen */
	FLOW_UNWANTED = 1u << 29,  /* they are not, and never will be */
	FLOW_SOURCE = 1u << 30,    /* a file of which only what is sent from it is recorded */
	FLOW_ADDRESSED = 1u << 31, /* both addresses were told */
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
	KIND_SOCKET = 1,
	KIND_FILE = 2,
	KIND_PIPE = 3,
};

enum {                 /* how an fd comes to a process */
	FD_FOUND = 0,  /* it is there */
	FD_OPENED = 1, /* by a call that was seen */
	FD_SOURCE = 2, /* it is there, and bytes are sent from it */
};

enum { /* of `files` */
	FILES_NONE = 0,
	FILES_HEADERS = 1,
	FILES_PAYLOAD = 2,
};

const volatile __u32 files; /* whether calls on files and pipes are recorded */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct probe_fd);
	__type(value, struct probe_flow_state);
} flows SEC(".maps");

/* Ended, but that could not be told: by id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct probe_flow_state);
} unsettled SEC(".maps");

/* By inode: the role. There is an entry for each socket that had a flow. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, u32);
} sockets SEC(".maps");

/* Records too large for the stack, and a counter for ids. One task at a time on a CPU: syscall and process
 * tracepoints run with preemption off. */
struct flow_scratch {
	u64 last_id;
	struct probe_flow_state state; /* the flow that is told of */
	union user_sockaddr address;
	struct probe_flow record;
	u8 path[PROBE_PATH_MAX]; /* right behind the record */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct flow_scratch);
} flow_scratch SEC(".maps");

/* Unique without an atomic that returns a value, which 5.10 has not: each CPU counts on its own. */
static __always_inline u64 next_flow_id(struct flow_scratch *s)
{
	return ++s->last_id << 12 | (bpf_get_smp_processor_id() & 0xfff);
}

/* The current process' file behind fd; 0: it is not open. Global, to be verified once: for each typed load that it meets
 * the verifier (6.2 and later) walks through all of the kernel's types. */
__attribute__((noinline)) u64 file_at(s32 fd)
{
	struct file **files;
	u64 file = 0;

	if (fd < 0)
		return 0;
	if (HAS_TYPED_TASK) {
		struct task_struct *task = bpf_get_current_task_btf();
		struct fdtable *table = task->files->fdt;

		if ((u32)fd >= table->max_fds) /* 0 when there is no table: a typed load does not fault */
			return 0;
		files = table->fd;
	} else {
		struct task_struct *task = (void *)bpf_get_current_task();
		struct fdtable *table = BPF_CORE_READ(task, files, fdt);

		if (!table || (u32)fd >= BPF_CORE_READ(table, max_fds))
			return 0;
		files = BPF_CORE_READ(table, fd);
	}
	bpf_probe_read_kernel(&file, sizeof file, files + fd);
	return file;
}

static __always_inline struct file *file_of(s32 fd)
{
	return (struct file *)file_at(fd);
}

static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

static __always_inline void read_unix_address(struct probe_address *to, struct unix_sock *sock)
{
	struct unix_address *address = sock ? BPF_CORE_READ(sock, addr) : NULL;
	u32 len;

	to->family = AF_UNIX;
	if (!address)
		return;
	len = BPF_CORE_READ(address, len) - sizeof address->name[0].sun_family;
	if (len > PROBE_UNIX_MAX)
		return;
	to->len = len;
	bpf_probe_read_kernel(to->addr, PROBE_UNIX_MAX,
	                      (void *)__builtin_preserve_access_index(&address->name[0].sun_path));
}

/* Fills record's addresses from the socket, as far as they are set. True when the peer is known. */
static __always_inline bool read_addresses(struct probe_flow *record, struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	struct unix_sock *unix_sk = (void *)sk;

	__builtin_memset(&record->local, 0, sizeof record->local);
	__builtin_memset(&record->remote, 0, sizeof record->remote);
	record->family = family;
	record->type = BPF_CORE_READ(sk, sk_type);
	record->protocol = BPF_CORE_READ(sk, sk_protocol);
	if (record->type == SOCK_STREAM)
		record->flags |= FLOW_STREAM;
	if (record->type == SOCK_STREAM && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN) {
		record->flags |= FLOW_LISTENS;
		record->role = ROLE_SERVER;
	}
	if (family == AF_UNIX) {
		struct sock *peer = BPF_CORE_READ(unix_sk, peer);

		read_unix_address(&record->local, unix_sk);
		if (peer)
			read_unix_address(&record->remote, (void *)peer);
		return peer != NULL;
	}
	if (family != AF_INET && family != AF_INET6)
		return true; /* nothing to wait for */
	record->local.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	record->remote.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (record->local.port)
		record->local.family = family;
	if (record->remote.port)
		record->remote.family = family;
	if (family == AF_INET) {
		record->local.len = record->remote.len = 4;
		BPF_CORE_READ_INTO((u32 *)record->local.addr, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((u32 *)record->remote.addr, sk, __sk_common.skc_daddr);
	} else {
		record->local.len = record->remote.len = 16;
		BPF_CORE_READ_INTO((struct in6_addr_kernel *)record->local.addr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr_kernel *)record->remote.addr, sk, __sk_common.skc_v6_daddr);
	}
	return record->remote.port != 0;
}

/* Whether the flow's ports are chosen: as soon as the answer can't change, it is kept. */
static __always_inline void judge_ports(struct probe_flow_state *flow, const struct probe_flow *record)
{
	bool whole = record->remote.port || record->flags & FLOW_LISTENS ||
	             (record->family != AF_INET && record->family != AF_INET6);

	if (!choice.n_ports || flow->flags & (FLOW_WANTED | FLOW_UNWANTED))
		return;
	for (u32 i = 0; i < PROBE_PORTS && i < choice.n_ports; i++)
		if (record->local.port == choice.port[i] || record->remote.port == choice.port[i])
			flow->flags |= FLOW_WANTED;
	if (whole && !(flow->flags & FLOW_WANTED))
		flow->flags |= FLOW_UNWANTED;
}

static __always_inline bool is_wanted(const struct probe_flow_state *flow)
{
	return !choice.n_ports || flow->flags & FLOW_WANTED;
}

/* Whether the calls on it are told. */
static __always_inline bool is_recorded(const struct probe_flow_state *flow)
{
	return is_wanted(flow) && !(flow->flags & FLOW_SOURCE);
}

/* Tells what is known of the flow in the scratch area. Global, as all that is not short here: verified once, and not
 * once more for each way that leads to it. Non-zero: it could not be told. */
__attribute__((noinline)) int tell_state(u64 asked, u32 closed, u32 gone)
{
	u64 id = bpf_get_current_pid_tgid(), path = 0;
	struct probe_flow_state *flow;
	struct probe_flow *record;
	struct flow_scratch *s;
	struct sock *sk = NULL;
	struct file *file;
	u32 zero = 0;

	s = bpf_map_lookup_elem(&flow_scratch, &zero);
	if (!s)
		return 1;
	flow = &s->state;
	file = gone ? NULL : (struct file *)flow->file;
	record = &s->record;
	record->h.type = PROBE_FLOW;
	record->h.flags = 0;
	record->id = flow->id;
	record->time = bpf_ktime_get_ns();
	record->opened = flow->opened;
	record->tgid = flow->tgid;
	record->tid = (u32)id;
	record->fd = flow->fd;
	record->family = record->type = 0;
	record->protocol = 0;
	record->role = flow->role;
	record->flags = flow->flags & (FLOW_PREOPENED | FLOW_INHERITED);
	record->closed = closed;
	record->kind = flow->flags & FLOW_PIPE ? KIND_PIPE : flow->flags & FLOW_FILE ? KIND_FILE : KIND_SOCKET;
	record->inode = flow->inode;
	record->handle = 0;
	record->bytes[0] = flow->bytes[0];
	record->bytes[1] = flow->bytes[1];
	__builtin_memset(&record->local, 0, sizeof record->local);
	__builtin_memset(&record->remote, 0, sizeof record->remote);
	if (flow->flags & FLOW_PIPE)
		record->flags |= FLOW_STREAM;
	else if (flow->flags & FLOW_FILE)
		path = file && !(flow->flags & FLOW_TOLD) ? copy_path(s->path, path_of((u64)file)) : 0;
	else if (file)
		sk = sock_of(file);
	if (sk && read_addresses(record, sk))
		flow->flags |= FLOW_ADDRESSED;
	if (asked && !record->remote.family &&
	    bpf_probe_read_user(&s->address, sizeof s->address, (void *)asked) == 0) {
		record->remote.family = s->address.family;
		record->remote.port = bpf_ntohs(s->address.in.port);
		if (s->address.family == AF_INET)
			__builtin_memcpy(record->remote.addr, s->address.in.addr, 4);
		else if (s->address.family == AF_INET6)
			__builtin_memcpy(record->remote.addr, s->address.in6.addr, 16);
		else
			record->remote.family = record->remote.port = 0;
	}
	judge_ports(flow, record);
	if (!is_wanted(flow))
		return 0;
	barrier_var(path); /* as in copy_path() */
	if (path > PROBE_PATH_MAX)
		path = 0;
	record->h.len = path;
	if (put_record(record, sizeof *record + path, 0))
		return 1;
	flow->flags |= FLOW_TOLD;
	return 0;
}

/* Tells what is known of the flow now. `asked` is the address that connect() was given, for a peer that the socket
 * itself has not (any more); 0: none. */
static __always_inline void tell_flow(struct probe_flow_state *flow, u64 asked)
{
	u32 zero = 0;
	struct flow_scratch *s = bpf_map_lookup_elem(&flow_scratch, &zero);

	if (!s)
		return;
	s->state = *flow;
	tell_state(asked, PROBE_OPEN, false);
	flow->flags |= s->state.flags;
}

/* Ends what the fd was; `closed` is PROBE_CLOSED or PROBE_CLOSING. `gone`: it is not any more what it was. */
__attribute__((noinline)) int end_flow(u32 fd, u32 closed, u32 gone)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	struct probe_flow_state *flow = bpf_map_lookup_elem(&flows, &key);
	u32 zero = 0;
	struct flow_scratch *s = bpf_map_lookup_elem(&flow_scratch, &zero);

	if (!flow || !s)
		return 0;
	s->state = *flow;
	bpf_map_delete_elem(&flows, &key);
	if (!tell_state(0, closed, gone))
		return 0;
	s->state.ended = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&unsettled, &s->state.id, &s->state, BPF_ANY))
		lost(PROBE_LOST_MAP, 0);
	return 0;
}

/* What kind of flow it is, as flags; FLOW_UNWANTED: none that is recorded. */
static __always_inline u32 kind_of(struct inode *inode)
{
	u32 type = BPF_CORE_READ(inode, i_mode) & S_IFMT;

	if (type == S_IFSOCK)
		return 0;
	if (files == FILES_NONE)
		return FLOW_UNWANTED;
	if (type == S_IFIFO)
		return FLOW_FILE | FLOW_PIPE | FLOW_ADDRESSED;
	if (type == S_IFREG || type == S_IFCHR)
		return FLOW_FILE | FLOW_ADDRESSED;
	return FLOW_UNWANTED; /* epoll, eventfd, a folder, ... */
}

/* Makes a flow of what the fd is now, unless it is none that is recorded, and ends what it was. */
__attribute__((noinline)) int renew_flow(u32 fd, u32 how, u32 role)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	u32 zero = 0, kind, *known;
	struct probe_flow_state *flow;
	struct flow_scratch *s = bpf_map_lookup_elem(&flow_scratch, &zero);
	struct file *file = file_of(fd);
	struct inode *inode;
	u64 ino;

	if (!file || !s)
		return 0;
	end_flow(fd, PROBE_CLOSED, true);
	inode = BPF_CORE_READ(file, f_inode);
	ino = BPF_CORE_READ(inode, i_ino);
	kind = kind_of(inode);
	if (kind & FLOW_UNWANTED) {
		if (how != FD_SOURCE)
			return 0;
		kind = FLOW_FILE | FLOW_SOURCE | FLOW_WANTED;
	}
	flow = &s->state;
	__builtin_memset(flow, 0, sizeof *flow);
	flow->id = next_flow_id(s);
	flow->file = (u64)file;
	flow->inode = ino;
	flow->role = role;
	flow->flags = kind;
	flow->opened = bpf_ktime_get_ns();
	flow->tgid = key.tgid;
	flow->fd = fd;
	if (!(kind & FLOW_FILE)) {
		struct sock *sk = sock_of(file);

		if (!sk)
			return 0;
		if (BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
			flow->flags |= FLOW_DGRAM;
		known = bpf_map_lookup_elem(&sockets, &ino);
		if (how == FD_FOUND)
			flow->flags |= known ? FLOW_INHERITED : FLOW_PREOPENED;
		if (known && !role)
			flow->role = *known;
		if (!known || role)
			bpf_map_update_elem(&sockets, &ino, &flow->role, BPF_ANY);
	} else if (how != FD_OPENED) {
		flow->flags |= FLOW_PREOPENED;
	}
	tell_state(0, PROBE_OPEN, false);
	if (bpf_map_update_elem(&flows, &key, flow, BPF_ANY))
		lost(PROBE_LOST_MAP, 0);
	return 0;
}

/*
 * The flow that the fd is now, told of when it is new; NULL when it is none that is recorded, or can't be followed.
 * `how` is FD_OPENED when a call that was seen made it, with the role if that tells who opened the connection.
 */
static __always_inline struct probe_flow_state *flow_of(u32 fd, u32 how, u32 role)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	struct file *file = file_of(fd);
	struct probe_flow_state *flow;
	struct inode *inode;

	if (!file)
		return NULL;
	inode = BPF_CORE_READ(file, f_inode);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow && how != FD_SOURCE && kind_of(inode) & FLOW_UNWANTED)
		return NULL; /* most calls on files end here */
	if (!flow || how == FD_OPENED || flow->file != (u64)file || flow->inode != BPF_CORE_READ(inode, i_ino)) {
		renew_flow(fd, how, role);
		return bpf_map_lookup_elem(&flows, &key);
	}
	if (!(flow->flags & FLOW_TOLD) && is_wanted(flow))
		tell_flow(flow, 0);
	return flow;
}

/* Ends the flow of an fd that is not any more what it was; with `gone`, in any case. */
__attribute__((noinline)) int end_if_closed(u32 fd, u32 gone)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	struct probe_flow_state *flow = bpf_map_lookup_elem(&flows, &key);

	if (flow && (gone || flow->file != (u64)file_of(fd)))
		end_flow(fd, PROBE_CLOSED, true);
	return 0;
}

#define FDS_AT_ONCE 1024

/* The same for a range of fds; what lies beyond is found when the number is used again. Global, like its parts, to be
 * verified once. */
__attribute__((noinline)) int end_closed(u32 first, u32 last, u32 gone)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 n = BPF_CORE_READ(task, files, fdt, max_fds);

	if (n && last >= n)
		last = n - 1;
	for (u32 i = 0; i < FDS_AT_ONCE; i++) {
		if (first + i > last)
			break;
		end_if_closed(first + i, gone);
	}
	return 0;
}

#endif
