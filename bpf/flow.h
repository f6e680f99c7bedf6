/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef FLOW_H
#define FLOW_H

/*
 * Which flow an fd is now.
 *
 * An fd number says nothing by itself: it is closed, reused, passed and dup'ed in ways that no list of system calls
 * covers. So each call looks its fd up in the task's file table and compares the open file and its inode with what
 * the fd was before. The inode is what makes it sure: the kernel hands a freed struct file out again at once, but it
 * numbers sockets on and on. A difference is a new generation: the old flow ends, a new one begins.
 *
 * Offsets are added to without a lock: the sum is right, but two threads that finish calls on one flow and direction
 * at the same moment can be given the same start. The recorder, which sees both in the ring's order, puts the second
 * behind the first (record/flows.c).
 */
#include <bpf/bpf_endian.h>

#include "bpf/ring.h"

/* include/fdtape/types.h belongs to the C library's world; these are its numbers. */
enum {
	FLOW_PREOPENED = 1u << 0,
	FLOW_LISTENS = 1u << 1,
	FLOW_STREAM = 1u << 2,
	FLOW_ADDRESSED = 1u << 31, /* ours: both addresses were told */
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct probe_fd);
	__type(value, struct probe_flow_state);
} flows SEC(".maps");

/* Records too large for the stack, and a counter for ids. One task at a time on a CPU: syscall and process
 * tracepoints run with preemption off. */
struct flow_scratch {
	u64 last_id;
	struct probe_flow record;
	union user_sockaddr address;
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

static __always_inline struct file *file_of(int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files, *file = NULL;

	if (fd < 0 || !table || (u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof file, files + fd);
	return file;
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

/* Tells what is known of the flow now. `asked` is the address that connect() was given, for a peer that the socket
 * itself has not (any more); NULL: none. */
static __noinline void tell_flow(struct probe_flow_state *flow, int fd, struct sock *sk, u64 asked, u32 closed)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct flow_scratch *s = bpf_map_lookup_elem(&flow_scratch, &zero);
	struct probe_flow *record;

	if (!s)
		return;
	record = &s->record;
	record->h.type = PROBE_FLOW;
	record->h.flags = 0;
	record->h.len = 0;
	record->id = flow->id;
	record->time = bpf_ktime_get_ns();
	record->tgid = id >> 32;
	record->tid = (u32)id;
	record->fd = fd;
	record->role = flow->role;
	record->flags = flow->flags & FLOW_PREOPENED;
	record->closed = closed;
	record->inode = flow->inode;
	record->handle = 0;
	record->bytes[0] = flow->bytes[0];
	record->bytes[1] = flow->bytes[1];
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
			record->remote.family = 0;
	}
	put_record(record, sizeof *record, 0);
}

/* Ends what the fd was; `closed` is PROBE_CLOSED or PROBE_CLOSING. */
static __always_inline void end_flow(struct probe_fd *key, struct probe_flow_state *flow, struct sock *sk, u32 closed)
{
	struct probe_flow_state last = *flow;

	bpf_map_delete_elem(&flows, key);
	tell_flow(&last, key->fd, sk, 0, closed);
}

/*
 * The flow that the fd is now, told of when it is new; NULL when it is no socket, or can't be followed.
 * `opened`: by a call that was seen (socket, accept), as `role` if that tells who opened the connection.
 */
static __noinline struct probe_flow_state *flow_of(int fd, bool opened, u32 role)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	struct probe_flow_state fresh = {}, *flow;
	struct file *file = file_of(fd);
	struct flow_scratch *s;
	struct inode *inode;
	struct sock *sk;
	u32 zero = 0;
	u64 ino;

	if (!file)
		return NULL;
	inode = BPF_CORE_READ(file, f_inode);
	ino = BPF_CORE_READ(inode, i_ino);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow) {
		if (flow->file == (u64)file && flow->inode == ino)
			return flow;
		end_flow(&key, flow, NULL, PROBE_CLOSED);
	}
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	s = bpf_map_lookup_elem(&flow_scratch, &zero);
	sk = sock_of(file);
	if (!s || !sk)
		return NULL;
	fresh.id = next_flow_id(s);
	fresh.file = (u64)file;
	fresh.inode = ino;
	fresh.role = role;
	fresh.flags = opened ? 0 : FLOW_PREOPENED;
	if (bpf_map_update_elem(&flows, &key, &fresh, BPF_ANY)) {
		lost(PROBE_LOST_MAP, 0);
		return NULL;
	}
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow)
		tell_flow(flow, fd, sk, 0, 0);
	return flow;
}

#endif
