/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef IO_URING_H
#define IO_URING_H

/*
 * io_uring: requests that no system call tells of. A request is remembered when it is submitted - there its fd is
 * known, and the place of its buffer - and told when it is complete, with what it carried.
 *
 * The tracepoints' arguments changed from kernel to kernel, so each shape has programs of its own; the recorder loads
 * those that the running kernel's BTF agrees with, and does without where none does (record/probes.c). The kernel's
 * structures are found by CO-RE. A request's own data stand at its beginning, whatever the kernel calls them there.
 *
 * What can't be had is payload in buffers that the kernel chooses (provided buffers, multishot) and what is done on
 * registered files: such requests are told with their bytes as lost.
 */
#include "bpf/process.h"

enum { /* include/uapi/linux/io_uring.h */
	URING_READV = 1,
	URING_WRITEV = 2,
	URING_READ_FIXED = 4,
	URING_WRITE_FIXED = 5,
	URING_SENDMSG = 9,
	URING_RECVMSG = 10,
	URING_ACCEPT = 13,
	URING_CONNECT = 16,
	URING_CLOSE = 19,
	URING_READ = 22,
	URING_WRITE = 23,
	URING_SEND = 26,
	URING_RECV = 27,
	URING_SPLICE = 30,
	URING_TEE = 33,
	URING_SHUTDOWN = 34,
	URING_SEND_ZC = 47,
	URING_SENDMSG_ZC = 48,
	URING_READ_MULTISHOT = 49,
	URING_FIXED_FILE = 1 << 0,
	URING_BUFFER_SELECT = 1 << 5,
	URING_MORE = 1 << 1, /* of a completion: further ones of this request follow */
};

enum { /* enum fdtape_call */
	CALL_URING_READ = 64,
	CALL_URING_WRITE,
	CALL_URING_RECV,
	CALL_URING_SEND,
	CALL_URING_RECVMSG,
	CALL_URING_SENDMSG,
	CALL_URING_ACCEPT,
	CALL_URING_CONNECT,
	CALL_URING_CLOSE,
	CALL_URING_SPLICE,
	CALL_URING_OTHER,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_cqe {
	s32 fd;
};

struct io_kiocb {
	struct file *file;
	u8 opcode;
	u32 flags;
	struct io_cqe cqe;
};

struct io_sr_msg {
	void *buf; /* of a union: also the msghdr */
	u32 len;
	u32 msg_flags;
};

struct io_rw {
	u64 addr;
	u32 len;
};

struct io_uring_cqe {
	s32 res;
	u32 flags;
};

#pragma clang attribute pop

struct uring_request {
	u64 start;
	u64 flow;
	u64 buffer; /* or the only iovec's */
	u64 len;
	u64 iov;
	u64 iovs;
	u32 tgid;
	u32 tid;
	s32 fd;
	u32 opcode;
	u32 msg_flags;
	u32 unreadable; /* the kernel chooses the buffer */
};

/* By the request's address, or, on kernels whose completions don't have it, by that of the ring and user_data. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct uring_request);
} uring_requests SEC(".maps");

/* The fd that a thread's next request is on, where the request itself does not know it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, s32);
} uring_fd SEC(".maps");

static __always_inline u64 ring_and_data(u64 context, u64 user_data)
{
	return context ^ (user_data * 0x9e3779b97f4a7c15ull);
}

/* What fits in four bytes, whatever the field's size is on this kernel (all of them are little-endian). */
#define READ_LOW(to, from) bpf_probe_read_kernel(&(to), 4, (void *)__builtin_preserve_access_index(&(from)))

static __always_inline u32 uring_call(u32 opcode)
{
	switch (opcode) {
	case URING_READV:
	case URING_READ_FIXED:
	case URING_READ:
	case URING_READ_MULTISHOT:
		return CALL_URING_READ;
	case URING_WRITEV:
	case URING_WRITE_FIXED:
	case URING_WRITE:
		return CALL_URING_WRITE;
	case URING_RECV:
		return CALL_URING_RECV;
	case URING_SEND:
	case URING_SEND_ZC:
		return CALL_URING_SEND;
	case URING_RECVMSG:
		return CALL_URING_RECVMSG;
	case URING_SENDMSG:
	case URING_SENDMSG_ZC:
		return CALL_URING_SENDMSG;
	case URING_ACCEPT:
		return CALL_URING_ACCEPT;
	case URING_CONNECT:
		return CALL_URING_CONNECT;
	case URING_CLOSE:
		return CALL_URING_CLOSE;
	case URING_SPLICE:
	case URING_TEE:
		return CALL_URING_SPLICE;
	case URING_SHUTDOWN:
		return CALL_URING_OTHER;
	}
	return 0; /* nothing of an fd: timeouts, polls, ... */
}

static __always_inline void take_iovecs(struct uring_request *r, u64 iov, u64 iovs)
{
	struct user_iovec first;

	/* The list need not outlive the submission; what it points to must. */
	if (iovs == 1 && !bpf_probe_read_user(&first, sizeof first, (void *)iov)) {
		r->buffer = first.base;
		r->len = first.len;
	} else {
		r->iov = iov;
		r->iovs = iovs;
	}
}

static __always_inline int uring_submitted(u64 key, struct io_kiocb *request, s32 fd)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 opcode = BPF_CORE_READ(request, opcode), flags = 0, call = uring_call(opcode);
	struct uring_request r = {.start = bpf_ktime_get_ns(), .tgid = id >> 32, .tid = (u32)id, .opcode = opcode};
	struct io_sr_msg *message = (void *)request;
	struct io_rw *rw = (void *)request;
	struct probe_flow_state *flow;
	struct user_msghdr header;
	u32 len = 0;

	if (!call || !is_chosen(r.tgid))
		return 0;
	READ_LOW(flags, request->flags);
	r.fd = flags & URING_FIXED_FILE ? -1 : fd;
	r.unreadable = (flags & URING_BUFFER_SELECT) != 0;
	flow = r.fd >= 0 ? flow_of(r.fd, FD_FOUND, 0) : NULL;
	if (r.fd >= 0 && !flow)
		return 0; /* a file, and files are not recorded */
	r.flow = flow ? flow->id : 0;
	switch (call) {
	case CALL_URING_READ:
	case CALL_URING_WRITE:
		READ_LOW(len, rw->len);
		if (opcode == URING_READV || opcode == URING_WRITEV) {
			take_iovecs(&r, BPF_CORE_READ(rw, addr), len);
		} else {
			r.buffer = BPF_CORE_READ(rw, addr);
			r.len = len;
		}
		break;
	case CALL_URING_RECV:
	case CALL_URING_SEND:
		READ_LOW(len, message->len);
		READ_LOW(r.msg_flags, message->msg_flags);
		r.buffer = (u64)BPF_CORE_READ(message, buf);
		r.len = len;
		break;
	case CALL_URING_RECVMSG:
	case CALL_URING_SENDMSG:
		READ_LOW(r.msg_flags, message->msg_flags);
		if (!bpf_probe_read_user(&header, sizeof header, BPF_CORE_READ(message, buf)))
			take_iovecs(&r, header.iov, header.iovlen);
		break;
	case CALL_URING_CLOSE:
		if (flow)
			end_flow(r.fd, PROBE_CLOSING, false);
		break;
	}
	if (bpf_map_update_elem(&uring_requests, &key, &r, BPF_ANY))
		lost(PROBE_LOST_MAP, 0);
	return 0;
}

/* Sends the scratch area's call for the request that stands there. Global: verified on its own. */
__attribute__((noinline)) int finish_request(u32 opcode, u32 unreadable)
{
	u32 zero = 0, call = uring_call(opcode), dir;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct probe_flow_state *flow, *accepted;
	u64 bytes;

	if (!s)
		return 0;
	dir = call == CALL_URING_WRITE || call == CALL_URING_SEND || call == CALL_URING_SENDMSG;
	s->call.dir = dir;
	bytes = call <= CALL_URING_SENDMSG && s->call.ret > 0 ? s->call.ret : 0;
	flow = s->call.fd >= 0 && call != CALL_URING_CLOSE ? flow_of(s->call.fd, FD_FOUND, 0) : NULL;
	/* The fd may be another's since: then the bytes are of a flow that has ended. */
	if (flow && s->call.flow && flow->id != s->call.flow)
		flow = NULL;
	if (!flow) {
		s->call.bytes = bytes;
		if (bytes)
			lost_of_call(s, PROBE_LOST_URING, bytes);
		return choice.n_ports ? 0 : send_call(0);
	}
	if (call == CALL_URING_CONNECT) {
		flow->role = ROLE_CLIENT;
		bpf_map_update_elem(&sockets, &flow->inode, &flow->role, BPF_ANY);
		tell_flow(flow, 0);
	} else if (call == CALL_URING_ACCEPT && s->call.ret >= 0) {
		accepted = flow_of(s->call.ret, FD_OPENED, ROLE_SERVER);
		s->call.other = accepted ? accepted->id : 0;
	}
	if (s->call.arg[1] & MSG_PEEK)
		s->call.h.flags |= PROBE_PEEK;
	s->call.flow = flow->id;
	s->call.offset = flow->bytes[dir & 1];
	s->call.bytes = bytes;
	if (bytes && !(s->call.h.flags & PROBE_PEEK))
		__sync_fetch_and_add(&flow->bytes[dir & 1], bytes);
	if (bytes && !(flow->flags & FLOW_ADDRESSED)) {
		tell_flow(flow, 0);
		flow->flags |= FLOW_ADDRESSED;
	}
	if (!is_recorded(flow))
		return 0;
	if (bytes && unreadable) {
		lost_of_call(s, PROBE_LOST_URING, bytes);
		bytes = 0;
	}
	if (bytes && flow->flags & FLOW_FILE && files != FILES_PAYLOAD) {
		lost_of_call(s, PROBE_LOST_LONG, bytes);
		bytes = 0;
	}
	return send_call(bytes);
}

static __always_inline int uring_completed(u64 key, s32 result, u32 flags)
{
	u64 id = bpf_get_current_pid_tgid();
	struct uring_request *r = bpf_map_lookup_elem(&uring_requests, &key);
	struct payload_scratch *s;
	u32 zero = 0, unreadable;

	if (!r)
		return 0;
	s = bpf_map_lookup_elem(&payload_scratch, &zero);
	if (!s)
		return 0;
	__builtin_memset(&s->call, 0, sizeof s->call);
	s->passed = 0;
	s->counted = 0;
	s->call.h.type = PROBE_CALL;
	s->call.start = r->start;
	s->call.end = bpf_ktime_get_ns();
	s->call.tgid = r->tgid;
	s->call.tid = r->tid;
	s->call.call = uring_call(r->opcode);
	s->call.fd = r->fd;
	s->call.ret = result;
	s->call.flow = r->flow;
	s->call.arg[0] = r->iovs ? r->iovs : r->len;
	s->call.arg[1] = r->msg_flags;
	s->call.arg[2] = r->opcode;
	s->base = r->buffer;
	s->len = r->len;
	s->iov = r->iov;
	s->iovs = r->iovs;
	/* Another process' context has other memory, and other fds. */
	unreadable = r->unreadable || id >> 32 != r->tgid;
	finish_request(r->opcode, unreadable);
	if (!(flags & URING_MORE))
		bpf_map_delete_elem(&uring_requests, &key);
	return 0;
}

/* ---- the tracepoints' shapes ------------------------------------------------------------------------------------ */

/* From 6.3 */
SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(uring_submit_6_3, struct io_kiocb *request)
{
	return uring_submitted((u64)request, request, BPF_CORE_READ(request, cqe.fd));
}

/* 6.0 */
SEC("?tp_btf/io_uring_submit_sqe")
int BPF_PROG(uring_submit_6_0, struct io_kiocb *request, bool force)
{
	return uring_submitted((u64)request, request, BPF_CORE_READ(request, cqe.fd));
}

/* 5.15, which 5.10's later releases have as well: the fd is told just before, by another tracepoint. */
SEC("?tp_btf/io_uring_file_get")
int BPF_PROG(uring_file_5_15, void *context, int fd)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();

	if (is_chosen(bpf_get_current_pid_tgid() >> 32))
		bpf_map_update_elem(&uring_fd, &tid, &fd, BPF_ANY);
	return 0;
}

SEC("?tp_btf/io_uring_submit_sqe")
int BPF_PROG(uring_submit_5_15, void *context, void *request, u8 opcode, u64 user_data)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	s32 *fd = bpf_map_lookup_elem(&uring_fd, &tid), at = fd ? *fd : -1;

	if (fd)
		bpf_map_delete_elem(&uring_fd, &tid);
	return uring_submitted(ring_and_data((u64)context, user_data), request, at);
}

/* From 6.13 */
SEC("?tp_btf/io_uring_complete")
int BPF_PROG(uring_complete_6_13, void *context, void *request, struct io_uring_cqe *cqe)
{
	return uring_completed((u64)request, BPF_CORE_READ(cqe, res), BPF_CORE_READ(cqe, flags));
}

/* 6.0 */
SEC("?tp_btf/io_uring_complete")
int BPF_PROG(uring_complete_6_0, void *context, void *request, u64 user_data, int result, u32 flags)
{
	return uring_completed((u64)request, result, flags);
}

SEC("?tp_btf/io_uring_complete")
int BPF_PROG(uring_complete_5_15, void *context, u64 user_data, int result, u32 flags)
{
	return uring_completed(ring_and_data((u64)context, user_data), result, flags);
}

#endif
