/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef USUAL_H
#define USUAL_H

/*
 * The short way for what nearly all calls are: a read or a write, in one piece and of at most one chunk, on a connected
 * stream socket that the recorder knows already. It looks each thing up once, and sends the record at once.
 *
 * Everything else - the first call of a flow, datagrams, messages, several pieces, a ring that runs full, memory that
 * can't be read - goes the long way of bpf/syscalls.h, and so does a call of which only the short way's last step
 * failed. Both tell the same; the short way is only allowed to be quick (docs/performance.md, "Recording").
 */
#include "bpf/copy.h"

static __always_inline bool is_usual_shape(u32 shape)
{
	return shape == PROBE_SHAPE_BUF || shape == PROBE_SHAPE_SOCKBUF || shape == PROBE_SHAPE_IOV;
}

/* Whether the fd was looked at by usual_flow(): files are read at a place, which sockets are not. */
static __always_inline bool may_be_usual(u32 shape)
{
	return is_usual_shape(shape) || shape == PROBE_SHAPE_PBUF || shape == PROBE_SHAPE_PIOV;
}

/*
 * The functions with a frame of their own are not inlined: of a program with all the functions that it calls, one in
 * the other, the stack may be 512 bytes, and the long way needs them.
 */

enum {                          /* none */
	NONE_NOT = 0,           /* something may */
	NONE_UNLESS_FAILED = 1, /* it is no socket: it fails, or it is none of ours */
	NONE_EVER = 2,          /* its ports are not chosen */
};

/* What an fd is: 0 if it is not open. */
struct opened_file {
	u64 file;
	u64 inode_number;
	u32 mode;
};

static __always_inline void look_at_file(struct opened_file *o, s32 fd, bool typed)
{
	struct task_struct *task;
	struct fdtable *table;
	struct inode *inode;
	struct file *file;

	o->file = 0;
	if (!typed) {
		file = file_of(fd);
		if (!file)
			return;
		inode = BPF_CORE_READ(file, f_inode);
		o->mode = BPF_CORE_READ(inode, i_mode);
		o->inode_number = BPF_CORE_READ(inode, i_ino);
	} else {
		task = bpf_get_current_task_btf();
		table = task->files->fdt;
		if (fd < 0 || (u32)fd >= table->max_fds)
			return;
		file = TYPED(struct epoll_filefd, table->fd + fd)->file;
		if (!file)
			return;
		inode = file->f_inode;
		o->mode = inode->i_mode;
		o->inode_number = inode->i_ino;
	}
	o->file = (u64)file;
}

/* The flow that the current process' fd is now, if it is a usual one; else s->none tells whether anything can come of a
 * call on it. */
static __noinline struct probe_flow_state *usual_flow(struct payload_scratch *s, u32 fd, bool typed)
{
	const u32 not = FLOW_DGRAM | FLOW_FILE | FLOW_SOURCE, all = FLOW_TOLD | FLOW_ADDRESSED;
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	struct probe_flow_state *flow;
	struct opened_file o;

	s->none = NONE_NOT;
	look_at_file(&o, fd, typed);
	if (!o.file)
		return NULL;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow) {
		if (files == FILES_NONE && (o.mode & S_IFMT) != S_IFSOCK)
			s->none = NONE_UNLESS_FAILED;
		return NULL;
	}
	if (flow->file != o.file || flow->inode != o.inode_number)
		return NULL;
	if (flow->flags & FLOW_UNWANTED)
		s->none = NONE_EVER;
	return (flow->flags & (not | all)) == all && is_wanted(flow) ? flow : NULL;
}

static __noinline bool has_flow(s32 fd)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};

	return bpf_map_lookup_elem(&flows, &key) != NULL;
}

/* Whether the scratch area's call, on its flow, was told the short way. */
static __noinline bool carry_usual(struct payload_scratch *s, struct probe_flow_state *flow, u32 shape)
{
	u64 bytes = s->call.ret > 0 ? s->call.ret : 0, taken = bytes < payload_max ? bytes : payload_max;
	u64 base = s->arg[1];
	u32 dir = s->call.dir & 1;

	if (taken > PROBE_CHUNK_MAX)
		return false;
	if (shape == PROBE_SHAPE_SOCKBUF) {
		if (s->arg[3] & (MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE))
			return false;
		s->call.arg[1] = s->arg[3];
	}
	if (shape == PROBE_SHAPE_IOV) {
		struct user_iovec iov;

		if (bpf_probe_read_user(&iov, sizeof iov, (void *)base) || iov.len < bytes)
			return false;
		base = iov.base;
	}
	s->call.arg[0] = s->arg[2];
	s->call.flow = flow->id;
	s->call.offset = flow->bytes[dir];
	s->call.bytes = bytes;
	if (bytes)
		__sync_fetch_and_add(&flow->bytes[dir], bytes);
	/* From here on the bytes are counted. */
	s->base = base;
	s->len = bytes;
	s->call.h.len = taken;
	barrier_var(taken); /* the verifier must find the bound in the register that is used */
	if (taken > PROBE_CHUNK_MAX)
		return false; /* never */
	if ((taken && (ring_room(taken) < taken || bpf_probe_read_user(s->data, taken, (void *)base))) ||
	    bpf_ringbuf_output(&ring, &s->call, sizeof s->call + taken, BPF_RB_NO_WAKEUP))
		send_call(bytes);
	else if (taken < bytes)
		lost_of_call(s, PROBE_LOST_LONG, bytes - taken);
	return true;
}

#endif
