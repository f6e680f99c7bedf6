/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef SYSCALLS_H
#define SYSCALLS_H

/*
 * System calls: the entry is remembered, the call is told when it has finished.
 *
 * tp_btf programs on sys_enter and sys_exit serve every kernel from 5.10 on, need no tracefs, and cost an unchosen
 * process less than a tracepoint for each syscall would. They run for every system call of the machine, so the first
 * two questions - is this number wanted, is this process chosen - are all that most callers pay. Without durations
 * the program on sys_enter is not even attached.
 *
 * Arguments are read from the registers at exit: they are still those of the entry. Payload is read at exit too, with
 * the length that the call returned: by then the pages are there, which they need not be before.
 *
 * The kinds of calls are handled by global functions, each verified on its own; what they need stands in the scratch
 * area of copy.h.
 */
#include "bpf/mapping.h"
#include "bpf/usual.h"

const volatile struct probe_syscall syscalls[PROBE_SYSCALLS_MAX];
const volatile __u32 durations = 1; /* fdtape_sys_enter is attached */
const volatile __u32 skip_again;    /* calls that returned EAGAIN are not told */

/* Kept, not deleted, after the call: to fill it again is cheaper than to insert it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* tid */
	__type(value, struct probe_inflight);
} inflight SEC(".maps");

static __always_inline bool is_compat(void)
{
	struct task_struct *task;

	if (HAS_TYPED_TASK) {
		task = bpf_get_current_task_btf();
		return bpf_core_field_exists(task->thread_info.status) && task->thread_info.status & TS_COMPAT;
	}
	task = (void *)bpf_get_current_task();
	return bpf_core_field_exists(task->thread_info.status) && BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

/* 0 when the call is to be passed over. */
static __always_inline u32 shape_of(struct pt_regs *regs, u64 nr, bool at_exit)
{
	u32 shape;

	if (nr >= PROBE_SYSCALLS_MAX)
		return PROBE_SHAPE_NONE;
	shape = syscalls[nr].shape;
	if (shape == PROBE_SHAPE_MMAP && !(at_exit && maps_code(regs)))
		return PROBE_SHAPE_NONE; /* memory is mapped all the time, code seldom */
	if (shape == PROBE_SHAPE_NONE || !is_chosen(bpf_get_current_pid_tgid() >> 32))
		return PROBE_SHAPE_NONE;
	/* A 32-bit call has other numbers and other structs: say that it was there rather than misread it. */
	if (is_compat()) {
		lost(PROBE_LOST_BLIND, 0);
		return PROBE_SHAPE_NONE;
	}
	return shape;
}

/* The end of an fd is taken at the entry: at exit the number can already be another thread's new one. */
__attribute__((noinline)) int end_at_entry(u32 fd)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct probe_inflight *in = bpf_map_lookup_elem(&inflight, &tid);
	struct probe_flow_state *flow = flow_of(fd, FD_FOUND, 0);

	if (in && flow && is_recorded(flow))
		in->flow = flow->id;
	if (flow)
		end_flow(fd, PROBE_CLOSING, false);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(fdtape_sys_enter, struct pt_regs *regs, long nr)
{
	u32 tid = (u32)bpf_get_current_pid_tgid(), shape = shape_of(regs, nr, false);
	struct probe_inflight *in, fresh = {};

	if (!shape)
		return 0;
	in = bpf_map_lookup_elem(&inflight, &tid);
	if (!in) {
		if (bpf_map_update_elem(&inflight, &tid, &fresh, BPF_ANY)) {
			lost(PROBE_LOST_MAP, 0);
			return 0;
		}
		in = bpf_map_lookup_elem(&inflight, &tid);
		if (!in)
			return 0;
		in->tgid = bpf_get_current_pid_tgid() >> 32;
	}
	in->start = bpf_ktime_get_ns();
	in->nr = nr;
	in->armed = 1;
	in->flow = 0;
	in->arg[0] = REGS_ARG0(regs);
	in->arg[1] = REGS_ARG1(regs);
	in->arg[2] = REGS_ARG2(regs);
	in->arg[3] = REGS_ARG3(regs);
	if (shape == PROBE_SHAPE_CLOSE)
		end_at_entry(REGS_ARG0(regs));
	else if (shape == PROBE_SHAPE_CLOSE_RANGE && !(REGS_ARG2(regs) & CLOSE_RANGE_CLOEXEC))
		end_closed(REGS_ARG0(regs), REGS_ARG1(regs), true);
	return 0;
}

/* ---- calls that carry bytes ------------------------------------------------------------------------------------- */

static __always_inline void read_peer(struct payload_scratch *s, u64 address)
{
	s->call.peer_len = 0;
	if (!address)
		return;
	if (!bpf_probe_read_user(s->call.peer, PROBE_PEER_MAX, (void *)address))
		s->call.peer_len = PROBE_PEER_MAX;
	else if (!bpf_probe_read_user(s->call.peer, 16, (void *)address))
		s->call.peer_len = 16;
}

/* Takes a message's iovecs, flags and peer; false when the program's memory can't be read. */
static __always_inline bool take_message(struct payload_scratch *s, u64 address, u64 flags, u32 dgram)
{
	struct user_msghdr message;

	s->call.arg[1] = flags;
	if (read_program(&message, sizeof message, address))
		return false;
	s->call.arg[0] = message.iovlen;
	s->iov = message.iov;
	s->iovs = message.iovlen;
	/* With a length of 0 there is none, whatever stands there. */
	if (dgram && message.namelen)
		read_peer(s, message.name);
	if (message.control && message.controllen > sizeof(struct user_cmsghdr)) {
		struct user_cmsghdr control;

		/* The first is where SCM_RIGHTS stands in practice: the kernel puts it behind credentials only. */
		if (!read_program(&control, sizeof control, message.control) && control.level == SOL_SOCKET &&
		    control.type == SCM_RIGHTS)
			s->passed = 1;
	}
	if (s->passed)
		s->call.h.flags |= PROBE_PASSED;
	return true;
}

/* The payload's place in the program's memory; false when the call's arguments can't be read. */
static __always_inline bool find_payload(struct payload_scratch *s, u32 shape, u32 dgram)
{
	s->base = s->len = s->iov = s->iovs = 0;
	switch (shape) {
	case PROBE_SHAPE_PBUF:
		s->call.arg[1] = s->arg[3];
		s->call.arg[0] = s->arg[2];
		s->base = s->arg[1];
		s->len = s->arg[2];
		return true;
	case PROBE_SHAPE_SOCKBUF:
		s->call.arg[1] = s->arg[3];
		if (dgram)
			read_peer(s, s->arg[4]);
		/* fall through */
	case PROBE_SHAPE_BUF:
		s->call.arg[0] = s->arg[2];
		s->base = s->arg[1];
		s->len = s->arg[2];
		return true;
	case PROBE_SHAPE_PIOV:
		s->call.arg[2] = s->arg[5];
		/* fall through */
	case PROBE_SHAPE_VMSPLICE:
		s->call.arg[1] = s->arg[3];
		/* fall through */
	case PROBE_SHAPE_IOV:
		s->call.arg[0] = s->arg[2];
		s->iov = s->arg[1];
		s->iovs = s->arg[2];
		return true;
	case PROBE_SHAPE_MSG:
		return take_message(s, s->arg[1], s->arg[2], dgram);
	}
	return false;
}

/* A call on what is no flow is told only when that is why it failed. */
static __always_inline int send_stray(struct payload_scratch *s)
{
	if (choice.n_ports || (s->call.ret != -EBADF && s->call.ret != -ENOTSOCK))
		return 0;
	return send_call(0);
}

/* The room that a message's iovecs are. */
__attribute__((noinline)) int add_room(u32 i)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct user_iovec iov;

	if (!s || i >= s->iovs || read_program(&iov, sizeof iov, s->iov + i * sizeof iov))
		return 1;
	s->room += iov.len;
	return 0;
}

__attribute__((noinline)) int add_rooms(void)
{
	for (u32 i = 0; i < 1024 /* UIO_MAXIOV */; i++)
		if (add_room(i))
			break;
	return 0;
}

/* Counts the bytes to the flow and sends the call with them. */
static __always_inline void carry(struct payload_scratch *s, struct probe_flow_state *flow, u64 bytes, bool found,
                                  bool has_flags)
{
	u32 dir = s->call.dir & 1;
	u64 flags = has_flags ? s->call.arg[1] : 0;

	if (flow->flags & FLOW_SOURCE)
		return;
	s->counted = 0;
	if (flags & MSG_PEEK)
		s->call.h.flags |= PROBE_PEEK;
	if (flags & MSG_ERRQUEUE)
		bytes = 0; /* what comes from the error queue was carried, the other way, before */
	if (flags & MSG_TRUNC && dir == 0 && flow->flags & FLOW_DGRAM) {
		/* It returns what the message had, not what the program got. */
		s->room = s->len;
		add_rooms();
		if (bytes > s->room)
			bytes = s->room;
	}
	s->call.flow = flow->id;
	s->call.offset = flow->bytes[dir];
	s->call.bytes = bytes;
	if (bytes && !(s->call.h.flags & PROBE_PEEK))
		__sync_fetch_and_add(&flow->bytes[dir], bytes);
	/* A socket that was told of before it was connected, or that had no local address yet. */
	if (bytes && !(flow->flags & FLOW_ADDRESSED)) {
		tell_flow(flow, 0);
		flow->flags |= FLOW_ADDRESSED; /* whatever came of it: an unconnected one is not asked each time */
	}
	if (!is_recorded(flow))
		return;
	if (bytes && flags & MSG_TRUNC && dir == 0 && !(flow->flags & FLOW_DGRAM)) {
		lost_of_call(s, PROBE_LOST_KERNEL, bytes); /* tcp(7): thrown away unread */
		bytes = 0;
	}
	if (bytes && !found) {
		lost_of_call(s, PROBE_LOST_UNREADABLE, bytes);
		bytes = 0;
	}
	if (bytes && flow->flags & FLOW_FILE && files != FILES_PAYLOAD) {
		lost_of_call(s, PROBE_LOST_LONG, bytes);
		bytes = 0;
	}
	send_call(bytes);
}

__attribute__((noinline)) int finish_data(u32 shape)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct probe_flow_state *flow;
	bool found;

	if (!s)
		return 0;
	flow = flow_of(s->call.fd, FD_FOUND, 0);
	if (!flow) {
		find_payload(s, shape, false);
		return send_stray(s);
	}
	if (shape == PROBE_SHAPE_VMSPLICE) {
		struct file *file = (struct file *)flow->file;

		s->call.dir = (BPF_CORE_READ(file, f_mode) & FMODE_WRITE) != 0;
	}
	found = find_payload(s, shape, flow->flags & FLOW_DGRAM);
	carry(s, flow, s->call.ret > 0 ? s->call.ret : 0, found,
	      shape == PROBE_SHAPE_SOCKBUF || shape == PROBE_SHAPE_MSG);
	return 0;
}

/* The fd number i that a message brought; non-zero when there are no more. */
__attribute__((noinline)) int tell_passed_fd(u32 i)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct user_cmsghdr control;
	struct user_msghdr message;
	s32 fd;

	if (!s || read_program(&message, sizeof message, s->arg[1]) ||
	    read_program(&control, sizeof control, message.control) ||
	    sizeof control + (i + 1) * sizeof fd > control.len ||
	    read_program(&fd, sizeof fd, message.control + sizeof control + i * sizeof fd))
		return 1;
	flow_of(fd, FD_FOUND, 0);
	return 0;
}

/* The fds that a message brought: their flows are told of as those of a socket that is known, if it is. */
__attribute__((noinline)) int tell_passed(void)
{
	for (u32 i = 0; i < 253 /* SCM_MAX_FD */; i++)
		if (tell_passed_fd(i))
			break;
	return 0;
}

/* One message of recvmmsg, sendmmsg; non-zero when there are no more. */
__attribute__((noinline)) int finish_message(u32 i)
{
	u32 zero = 0, n;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct probe_flow_state *flow;
	u64 message;
	bool found;

	if (!s || (i && i >= s->call.ret))
		return 1;
	flow = flow_of(s->call.fd, FD_FOUND, 0);
	if (!flow)
		return 1;
	message = s->arg[1] + i * sizeof(struct user_mmsghdr);
	s->base = s->len = s->iov = s->iovs = 0;
	s->call.h.flags &= PROBE_NO_START;
	if (i)
		s->call.h.flags |= PROBE_CONTINUES;
	/* The last payload's head has taken its place. */
	s->call.dir = syscalls[s->nr & (PROBE_SYSCALLS_MAX - 1)].dir;
	s->call.other = s->call.pad = s->call.file_inode = s->call.file_offset = 0;
	s->call.peer_len = 0;
	found = take_message(s, message, s->arg[3], flow->flags & FLOW_DGRAM);
	s->call.arg[2] = i;
	if (s->call.ret <= 0 || read_program(&n, sizeof n, message + sizeof(struct user_msghdr)))
		n = 0;
	carry(s, flow, n, found, true);
	return 0;
}

__attribute__((noinline)) int finish_messages(void)
{
	for (u32 i = 0; i < 1024 /* UIO_MAXIOV */; i++)
		if (finish_message(i))
			break;
	return 0;
}

/* ---- calls that carry bytes between two fds --------------------------------------------------------------------- */

/* The event of one end. */
static __always_inline void carry_copied(struct payload_scratch *s, struct probe_flow_state *flow, u64 other, s32 fd,
                                         s32 other_fd, u32 dir, u64 bytes)
{
	s->call.fd = fd;
	s->call.dir = dir;
	s->call.arg[0] = (u32)other_fd;
	s->call.arg[1] = 0;
	s->call.other = other;
	s->call.flow = flow->id;
	if (flow->flags & FLOW_SOURCE)
		return;
	s->call.offset = flow->bytes[dir & 1];
	s->call.bytes = bytes;
	if (bytes && !(s->call.h.flags & PROBE_PEEK))
		__sync_fetch_and_add(&flow->bytes[dir & 1], bytes);
	if (bytes && !(flow->flags & FLOW_ADDRESSED)) {
		tell_flow(flow, 0);
		flow->flags |= FLOW_ADDRESSED;
	}
	s->counted = 0;
	if (is_recorded(flow))
		send_call(0);
}

__attribute__((noinline)) int finish_copy(u32 shape)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct probe_flow_state *from, *to;
	u64 from_id, to_id, bytes, position_at;
	s32 in, out;
	struct file *file;
	s64 position;

	if (!s)
		return 0;
	bytes = s->call.ret > 0 ? s->call.ret : 0;
	switch (shape) {
	case PROBE_SHAPE_SENDFILE:
		out = s->arg[0];
		in = s->arg[1];
		position_at = s->arg[2];
		s->call.arg[2] = s->arg[3];
		break;
	case PROBE_SHAPE_SPLICE:
		in = s->arg[0];
		position_at = s->arg[1];
		out = s->arg[2];
		s->call.arg[2] = s->arg[4];
		break;
	default: /* tee */
		in = s->arg[0];
		out = s->arg[1];
		position_at = 0;
		s->call.arg[2] = s->arg[2];
	}
	to = flow_of(out, FD_FOUND, 0);
	to_id = to ? to->id : 0;
	/* Where in which file it came from, for the recorder to read it again. */
	file = file_of(in);
	from = NULL;
	if (file) {
		struct inode *inode = BPF_CORE_READ(file, f_inode);
		bool regular = (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG;

		from = flow_of(in, regular && to ? FD_SOURCE : FD_FOUND, 0);
		if (bytes && regular) {
			position = BPF_CORE_READ(file, f_pos);
			if (!position_at || !read_program(&position, sizeof position, position_at)) {
				s->call.file_inode = BPF_CORE_READ(inode, i_ino);
				s->call.file_offset = position - bytes;
			}
		}
	}
	from_id = from ? from->id : 0;
	if (to)
		carry_copied(s, to, from_id, out, in, 1, bytes);
	s->call.file_inode = 0;
	s->call.file_offset = 0;
	if (shape == PROBE_SHAPE_TEE)
		s->call.h.flags |= PROBE_PEEK; /* the input keeps them */
	if (from)
		carry_copied(s, from, to_id, in, out, 0, bytes);
	return 0;
}

/* ---- calls that make, change and end fds ------------------------------------------------------------------------ */

static __always_inline u64 opened(s64 fd, u32 how, u32 role)
{
	struct probe_flow_state *flow = fd >= 0 ? flow_of(fd, how, role) : NULL;

	return flow && is_recorded(flow) ? flow->id : 0;
}

static __always_inline u64 two_fds(struct payload_scratch *s, u64 address, u64 *other)
{
	s32 fd[2];

	s->call.fd = -1;
	*other = 0;
	if (s->call.ret < 0 || read_program(fd, sizeof fd, address))
		return 0;
	s->call.fd = fd[0];
	s->call.arg[1] = (u64)(u32)fd[0] << 32 | (u32)fd[1];
	*other = opened(fd[1], FD_OPENED, 0);
	return opened(fd[0], FD_OPENED, 0);
}

__attribute__((noinline)) int finish_opening(u32 shape)
{
	u32 zero = 0, role;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	s64 ret;

	if (!s)
		return 0;
	ret = s->call.ret;
	switch (shape) {
	case PROBE_SHAPE_SOCKET:
		s->call.arg[0] = s->arg[0];
		s->call.arg[1] = s->arg[1];
		s->call.arg[2] = s->arg[2];
		s->call.fd = ret >= 0 ? ret : -1;
		s->call.flow = opened(ret, FD_OPENED, 0);
		break;
	case PROBE_SHAPE_OPEN:
	case PROBE_SHAPE_OPENAT:
		s->call.arg[1] = shape == PROBE_SHAPE_OPEN ? s->arg[1] : s->arg[2];
		s->call.arg[2] = shape == PROBE_SHAPE_OPEN ? s->arg[2] : s->arg[3];
		s->call.fd = ret >= 0 ? ret : -1;
		s->call.flow = s->call.other = opened(ret, FD_OPENED, 0);
		if (ret >= 0 && !s->call.flow)
			return 0; /* a folder */
		break;
	case PROBE_SHAPE_PAIR:
		s->call.arg[0] = s->arg[0];
		s->call.arg[2] = s->arg[1];
		s->call.flow = two_fds(s, s->arg[3], &s->call.other);
		break;
	case PROBE_SHAPE_PIPE:
		s->call.arg[0] = syscalls[s->nr & (PROBE_SYSCALLS_MAX - 1)].dir ? s->arg[1] : 0;
		s->call.dir = 0;
		s->call.flow = two_fds(s, s->arg[0], &s->call.other);
		break;
	case PROBE_SHAPE_ACCEPT:
		role = ROLE_SERVER;
		s->call.flow = opened(s->call.fd, FD_FOUND, 0);
		s->call.other = opened(ret, FD_OPENED, role);
		if (!s->call.flow)
			return send_stray(s);
		break;
	case PROBE_SHAPE_FCNTL:
		s->call.arg[0] = s->arg[1];
		s->call.arg[1] = s->arg[2];
		if ((u32)s->arg[1] != F_SETFL && (u32)s->arg[1] != F_DUPFD && (u32)s->arg[1] != F_DUPFD_CLOEXEC)
			return 0;
		s->call.flow = opened(s->call.fd, FD_FOUND, 0);
		if (!s->call.flow)
			return send_stray(s);
		if ((u32)s->arg[1] != F_SETFL)
			s->call.other = opened(ret, FD_FOUND, 0);
		break;
	case PROBE_SHAPE_DUP2:
		s->call.arg[1] = syscalls[s->nr & (PROBE_SYSCALLS_MAX - 1)].dir ? s->arg[2] : 0;
		s->call.dir = 0;
		/* fall through */
	case PROBE_SHAPE_DUP:
		s->call.flow = opened(s->call.fd, FD_FOUND, 0);
		s->call.other = opened(ret, FD_FOUND, 0);
		if (!s->call.flow)
			return send_stray(s);
		break;
	}
	if (choice.n_ports && !s->call.flow)
		return 0;
	return send_call(0);
}

__attribute__((noinline)) int finish_change(u32 shape)
{
	u32 zero = 0, len = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct probe_flow_state *flow;
	u16 family = 0;
	u64 value = 0;

	if (!s)
		return 0;
	flow = flow_of(s->call.fd, FD_FOUND, 0);
	if (!flow)
		return send_stray(s);
	switch (shape) {
	case PROBE_SHAPE_CONNECT:
		flow->role = ROLE_CLIENT;
		bpf_map_update_elem(&sockets, &flow->inode, &flow->role, BPF_ANY);
		tell_flow(flow, s->arg[1]);
		break;
	case PROBE_SHAPE_BIND:
		bpf_probe_read_user(&family, sizeof family, (void *)s->arg[1]);
		s->call.arg[0] = family;
		if (s->call.ret == 0)
			tell_flow(flow, 0);
		break;
	case PROBE_SHAPE_LISTEN:
		s->call.arg[0] = s->arg[1];
		if (s->call.ret == 0)
			tell_flow(flow, 0);
		break;
	case PROBE_SHAPE_SHUTDOWN:
		s->call.arg[0] = s->arg[1];
		break;
	case PROBE_SHAPE_GETSOCKOPT:
		if (s->call.ret < 0 || bpf_probe_read_user(&len, sizeof len, (void *)s->arg[4]))
			len = 0;
		/* fall through */
	case PROBE_SHAPE_SETSOCKOPT:
		if (shape == PROBE_SHAPE_SETSOCKOPT)
			len = s->arg[4];
		s->call.arg[0] = s->arg[1];
		s->call.arg[1] = s->arg[2];
		if (len > sizeof value)
			len = sizeof value;
		barrier_var(len);
		bpf_probe_read_user(&value, len & 15, (void *)s->arg[3]);
		s->call.arg[2] = value;
		break;
	}
	s->call.flow = flow->id;
	if (is_recorded(flow))
		send_call(0);
	return 0;
}

__attribute__((noinline)) int finish_end(u32 shape)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct probe_flow_state *flow;

	if (!s)
		return 0;
	if (shape == PROBE_SHAPE_CLOSE_RANGE) {
		s->call.arg[0] = s->arg[0];
		s->call.arg[1] = s->arg[1];
		s->call.arg[2] = s->arg[2];
		s->call.fd = -1;
		if (s->call.h.flags & PROBE_NO_START && !(s->arg[2] & CLOSE_RANGE_CLOEXEC))
			end_closed(s->arg[0], s->arg[1], false);
		return choice.n_ports ? 0 : send_call(0);
	}
	if (s->call.h.flags & PROBE_NO_START) {
		struct probe_fd key = {.tgid = s->call.tgid, .fd = s->call.fd};

		/* The entry was not seen: the number may be another thread's new one, whose flow is not ours to end. */
		flow = bpf_map_lookup_elem(&flows, &key);
		if (flow && flow->file != (u64)file_of(key.fd)) {
			s->call.flow = is_recorded(flow) ? flow->id : 0;
			end_flow(s->call.fd, PROBE_CLOSING, true);
		}
	}
	return s->call.flow ? send_call(0) : send_stray(s);
}

/* The scratch area's call, as far as the registers tell it. */
static __always_inline void begin_call(struct payload_scratch *s, struct pt_regs *regs, u64 nr, s64 ret)
{
	u64 id = bpf_get_current_pid_tgid();

	__builtin_memset(&s->call, 0, sizeof s->call);
	s->nr = nr;
	s->passed = 0;
	s->counted = 0;
	s->arg[0] = REGS_ARG0(regs);
	s->arg[1] = REGS_ARG1(regs);
	s->arg[2] = REGS_ARG2(regs);
	s->arg[3] = REGS_ARG3(regs);
	s->arg[4] = REGS_ARG4(regs);
	s->arg[5] = REGS_ARG5(regs);
	s->call.h.type = PROBE_CALL;
	s->call.end = bpf_ktime_get_ns();
	s->call.tgid = id >> 32;
	s->call.tid = (u32)id;
	s->call.call = syscalls[nr & (PROBE_SYSCALLS_MAX - 1)].call;
	s->call.dir = syscalls[nr & (PROBE_SYSCALLS_MAX - 1)].dir;
	s->call.fd = s->arg[0];
	/* What a signal interrupts is restarted, as another call, or returns EINTR: that is decided behind us. */
	s->call.ret = ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK ? -EINTR : ret;
	s->base = s->len = s->iov = s->iovs = 0;
}

static __always_inline int finish_call(struct pt_regs *regs, long ret, bool typed)
{
	u64 nr = REGS_NR(regs);
	u32 tid = (u32)bpf_get_current_pid_tgid(), zero = 0, shape;
	struct probe_flow_state *flow = NULL;
	struct payload_scratch *s;
	struct probe_inflight *in;

	if (skip_again && ret == -EAGAIN && nr < PROBE_SYSCALLS_MAX && syscalls[nr].shape <= PROBE_SHAPE_CARRIES)
		return 0;
	shape = shape_of(regs, nr, true);
	if (!shape)
		return 0;
	if (shape == PROBE_SHAPE_MMAP)
		return ret < 0 && ret > -4096 ? 0 : tell_mapped(REGS_ARG4(regs));
	if (!durations && shape == PROBE_SHAPE_CLOSE && ret == 0 && !has_flow(REGS_ARG0(regs)))
		return 0;
	s = bpf_map_lookup_elem(&payload_scratch, &zero);
	if (!s)
		return 0;
	if (may_be_usual(shape)) {
		flow = usual_flow(s, REGS_ARG0(regs), typed);
		if (!flow && (s->none == NONE_EVER || (s->none == NONE_UNLESS_FAILED && ret >= 0)))
			return 0;
	}
	in = durations ? bpf_map_lookup_elem(&inflight, &tid) : NULL;
	begin_call(s, regs, nr, ret);
	if (in && in->armed && in->nr == nr) {
		s->call.start = in->start;
		s->call.flow = in->flow;
		in->armed = 0;
	} else {
		s->call.start = s->call.end;
		s->call.h.flags |= PROBE_NO_START;
	}
	if (flow && is_usual_shape(shape) && carry_usual(s, flow, shape))
		return 0;
	if (shape < PROBE_SHAPE_MMSG)
		finish_data(shape);
	else if (shape == PROBE_SHAPE_MMSG)
		finish_messages();
	else if (shape < PROBE_SHAPE_SOCKET)
		finish_copy(shape);
	else if (shape < PROBE_SHAPE_CONNECT)
		finish_opening(shape);
	else if (shape < PROBE_SHAPE_CLOSE)
		finish_change(shape);
	else
		finish_end(shape);
	if (shape == PROBE_SHAPE_MSG && s->passed && syscalls[nr & (PROBE_SYSCALLS_MAX - 1)].dir == 0)
		tell_passed();
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(fdtape_sys_exit, struct pt_regs *regs, long ret)
{
	return finish_call(regs, ret, false);
}

/* For kernels that have bpf_rdonly_cast(). */
SEC("tp_btf/sys_exit")
int BPF_PROG(fdtape_sys_exit_typed, struct pt_regs *regs, long ret)
{
	return finish_call(regs, ret, true);
}

#endif
