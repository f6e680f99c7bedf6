/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef SYSCALLS_H
#define SYSCALLS_H

/*
 * System calls: the entry is remembered, the call is told when it has finished.
 *
 * tp_btf programs on sys_enter and sys_exit serve every kernel from 5.10 on, need no tracefs, and cost an unchosen
 * process less than a tracepoint for each syscall would. They run for every system call of the machine, so the first
 * two questions - is this number wanted, is this process chosen - are all that most callers pay.
 *
 * Arguments are read from the registers at exit: they are still those of the entry. Payload is read at exit too, with
 * the length that the call returned: by then the pages are there, which they need not be before.
 */
#include "bpf/flow.h"
#include "bpf/copy.h"

/* What a thread is in. Kept, not deleted, after the call: to fill it again is cheaper than to insert it. */
struct inflight {
	u64 start;
	u32 nr;
	u32 armed;
	u64 flow; /* close: what it ends */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* tid */
	__type(value, struct inflight);
} inflight SEC(".maps");

/* 0 when the call is to be passed over. */
static __always_inline u32 shape_of(u64 nr)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 shape;

	if (nr >= PROBE_SYSCALLS_MAX)
		return PROBE_SHAPE_NONE;
	shape = syscalls[nr].shape;
	if (shape == PROBE_SHAPE_NONE || !is_chosen(bpf_get_current_pid_tgid() >> 32))
		return PROBE_SHAPE_NONE;
	/* A 32-bit call has other numbers and other structs: say that it was there rather than misread it. */
	if (bpf_core_field_exists(task->thread_info.status) && BPF_CORE_READ(task, thread_info.status) & TS_COMPAT) {
		lost(PROBE_LOST_BLIND, 0);
		return PROBE_SHAPE_NONE;
	}
	return shape;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(fdtape_sys_enter, struct pt_regs *regs, long nr)
{
	u32 tid = (u32)bpf_get_current_pid_tgid(), shape = shape_of(nr);
	struct inflight fresh = {}, *in;

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
	}
	in->start = bpf_ktime_get_ns();
	in->nr = nr;
	in->armed = 1;
	in->flow = 0;
	if (shape == PROBE_SHAPE_CLOSE) {
		/* Now, not at exit: by then the number can already be another thread's new fd. */
		struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = REGS_ARG0(regs)};
		struct probe_flow_state *flow = flow_of(key.fd, false, 0);

		if (flow) {
			in->flow = flow->id;
			end_flow(&key, flow, sock_of((struct file *)flow->file), PROBE_CLOSING);
		}
	}
	return 0;
}

/* The payload's place in the program's memory; false when the call's arguments can't be read. */
static __always_inline bool find_payload(struct payload_scratch *s, struct pt_regs *regs, u32 shape)
{
	struct user_msghdr message;

	s->base = s->len = s->iov = s->iovs = 0;
	switch (shape) {
	case PROBE_SHAPE_SOCKBUF:
		s->call.arg[1] = REGS_ARG3(regs);
		/* fall through */
	case PROBE_SHAPE_BUF:
		s->call.arg[0] = REGS_ARG2(regs);
		s->base = REGS_ARG1(regs);
		s->len = REGS_ARG2(regs);
		return true;
	case PROBE_SHAPE_IOV:
		s->call.arg[0] = REGS_ARG2(regs);
		s->iov = REGS_ARG1(regs);
		s->iovs = REGS_ARG2(regs);
		return true;
	case PROBE_SHAPE_MSG:
		s->call.arg[1] = REGS_ARG2(regs);
		if (bpf_probe_read_user(&message, sizeof message, (void *)REGS_ARG1(regs)))
			return false;
		s->call.arg[0] = message.iovlen;
		s->iov = message.iov;
		s->iovs = message.iovlen;
		return true;
	}
	return false;
}

static __always_inline void data_call(struct payload_scratch *s, struct pt_regs *regs, u32 shape, s64 ret)
{
	struct probe_flow_state *flow = flow_of(s->call.fd, false, 0);
	u64 bytes = ret > 0 ? ret : 0;
	bool found;

	if (!flow)
		return; /* no socket */
	s->call.flow = flow->id;
	found = find_payload(s, regs, shape);
	if ((shape == PROBE_SHAPE_SOCKBUF || shape == PROBE_SHAPE_MSG) && s->call.arg[1] & MSG_PEEK)
		s->call.h.flags |= PROBE_PEEK;
	s->call.offset = flow->bytes[s->call.dir & 1];
	s->call.bytes = bytes;
	if (bytes && !(s->call.h.flags & PROBE_PEEK))
		__sync_fetch_and_add(&flow->bytes[s->call.dir & 1], bytes);
	/* A socket that was told of before it was connected, or that had no local address yet. */
	if (bytes && !(flow->flags & FLOW_ADDRESSED)) {
		tell_flow(flow, s->call.fd, sock_of((struct file *)flow->file), 0, 0);
		flow->flags |=
		        FLOW_ADDRESSED; /* whatever came of it: an unconnected UDP socket is not asked each time */
	}
	if (bytes && !found) {
		lost(PROBE_LOST_UNREADABLE, bytes);
		bytes = 0;
	}
	send_call(s, bytes);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(fdtape_sys_exit, struct pt_regs *regs, long ret)
{
	u64 id = bpf_get_current_pid_tgid(), nr = REGS_NR(regs);
	u32 tid = (u32)id, zero = 0, shape = shape_of(nr);
	struct probe_flow_state *flow = NULL;
	struct payload_scratch *s;
	struct inflight *in;

	if (!shape)
		return 0;
	s = bpf_map_lookup_elem(&payload_scratch, &zero);
	if (!s)
		return 0;
	in = bpf_map_lookup_elem(&inflight, &tid);
	__builtin_memset(&s->call, 0, sizeof s->call);
	s->call.h.type = PROBE_CALL;
	s->call.end = bpf_ktime_get_ns();
	s->call.tgid = id >> 32;
	s->call.tid = tid;
	s->call.call = syscalls[nr & (PROBE_SYSCALLS_MAX - 1)].call;
	s->call.dir = syscalls[nr & (PROBE_SYSCALLS_MAX - 1)].dir;
	s->call.fd = REGS_ARG0(regs);
	s->call.ret = ret;
	s->base = s->len = s->iov = s->iovs = 0;
	if (in && in->armed && in->nr == nr) {
		s->call.start = in->start;
		s->call.flow = in->flow;
		in->armed = 0;
	} else {
		s->call.start = s->call.end;
		s->call.h.flags |= PROBE_NO_START;
	}
	switch (shape) {
	case PROBE_SHAPE_SOCKET:
		s->call.arg[0] = REGS_ARG0(regs);
		s->call.arg[1] = REGS_ARG1(regs);
		s->call.arg[2] = REGS_ARG2(regs);
		s->call.fd = ret >= 0 ? ret : -1;
		if (ret >= 0)
			flow = flow_of(ret, true, 0);
		break;
	case PROBE_SHAPE_CONNECT:
		flow = flow_of(s->call.fd, false, 0);
		if (!flow)
			return 0;
		flow->role = ROLE_CLIENT;
		tell_flow(flow, s->call.fd, sock_of((struct file *)flow->file), REGS_ARG1(regs), 0);
		break;
	case PROBE_SHAPE_ACCEPT:
		flow = flow_of(s->call.fd, false, 0);
		if (ret >= 0) {
			struct probe_flow_state *accepted = flow_of(ret, true, ROLE_SERVER);

			if (accepted)
				s->call.arg[0] = accepted->id;
		}
		break;
	case PROBE_SHAPE_CLOSE:
		if (!s->call.flow)
			return 0; /* no socket */
		send_call(s, 0);
		return 0;
	default:
		data_call(s, regs, shape, ret);
		return 0;
	}
	if (flow)
		s->call.flow = flow->id;
	send_call(s, 0);
	return 0;
}

#endif
