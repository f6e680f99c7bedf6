/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef COPY_H
#define COPY_H

/*
 * Copies a call's payload, whatever its shape, out of the program's memory into ring records.
 *
 * The verifier must see that this ends and stays in bounds, on every kernel from 5.10 on. So the work is cut into
 * steps that know nothing of each other: copy_step() takes up the walk where the scratch area says it is, does one
 * piece - the next iovec, or at most one half of the chunk buffer - and leaves. As a global function it is verified
 * once, not once for each of the loop's turns, and its arguments are scalars because 5.10 allows no others.
 *
 * The chunk buffer is twice a piece: while `fill` is below the half, a piece fits; when it is above, the chunk is
 * sent. That is the whole bounds argument.
 *
 * The first record is the call's own (probe_call with the first payload behind it), further ones are probe_data. Both
 * heads stand right before the payload bytes, so that one bpf_ringbuf_output() sends head and payload.
 */
#include "bpf/ring.h"

#define PIECE     (PROBE_CHUNK_MAX / 2)
#define STEPS_MAX (1024 /* UIO_MAXIOV */ + 2 * PROBE_PAYLOAD_MAX / PROBE_CHUNK_MAX * 2 + 8)

struct payload_scratch {
	/* The walk. */
	u64 base; /* what is left of the current piece of user memory */
	u64 len;
	u64 iov; /* the next iovec */
	u64 iovs;
	u64 left; /* payload bytes still to take */
	u64 fill; /* of the chunk buffer */
	u64 sent; /* payload bytes in records before this one */
	u64 failed;
	/* What is sent. */
	struct probe_call call;
	u8 data[PROBE_CHUNK_MAX];
};
_Static_assert(sizeof(struct payload_scratch) <= 32768, "the most that a per-CPU array's value may be");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct payload_scratch);
} payload_scratch SEC(".maps");

/* Sends the chunk buffer as the call's record or as a further one. */
__attribute__((noinline)) int send_chunk(u32 more)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	u64 fill;

	if (!s)
		return 1;
	fill = s->fill;
	if (fill > PROBE_CHUNK_MAX)
		return 1;
	barrier_var(fill);
	if (s->sent == 0) {
		s->call.h.len = fill;
		if (more)
			s->call.h.flags |= PROBE_MORE;
		if (put_record(&s->call, sizeof s->call + fill, s->call.bytes)) {
			s->failed = 1;
			return 1;
		}
	} else {
		struct probe_data *head = (void *)(s->data - sizeof *head);

		head->h.type = PROBE_DATA;
		head->h.flags = more ? PROBE_MORE : 0;
		head->h.len = fill;
		head->tid = (u32)bpf_get_current_pid_tgid();
		head->offset = s->sent;
		if (put_record(head, sizeof *head + fill, fill)) {
			s->failed = 1;
			return 1;
		}
	}
	s->sent += fill;
	s->fill = 0;
	return 0;
}

/* One step of the walk; non-zero when it is over. */
__attribute__((noinline)) int copy_step(void)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);
	struct user_iovec iov;
	u64 n, fill;

	if (!s || s->left == 0)
		return 1;
	if (s->len == 0) {
		if (s->iovs == 0)
			return 1;
		if (bpf_probe_read_user(&iov, sizeof iov, (void *)s->iov)) {
			lost(PROBE_LOST_UNREADABLE, s->left);
			return 1;
		}
		s->base = iov.base;
		s->len = iov.len;
		s->iov += sizeof iov;
		s->iovs--;
		return 0;
	}
	if (s->fill >= PIECE) {
		if (send_chunk(1) || !ring_has_room()) {
			lost(PROBE_LOST_PAYLOAD, s->left);
			return 1;
		}
	}
	n = s->left < s->len ? s->left : s->len;
	fill = s->fill;
	if (fill == 0) {
		/* An empty buffer takes a whole chunk at once. */
		if (n > PROBE_CHUNK_MAX)
			n = PROBE_CHUNK_MAX;
		barrier_var(n); /* the verifier must find the bound in the register that is used */
		if (bpf_probe_read_user(s->data, n, (void *)s->base))
			goto unreadable;
	} else {
		if (n > PIECE)
			n = PIECE;
		barrier_var(n);
		fill &= PIECE - 1;
		barrier_var(fill);
		if (bpf_probe_read_user(s->data + fill, n, (void *)s->base))
			goto unreadable;
	}
	s->fill += n;
	s->base += n;
	s->len -= n;
	s->left -= n;
	return 0;
unreadable:
	lost(PROBE_LOST_UNREADABLE, s->left);
	return 1;
}

/* Sends s->call with the payload that the walk set up in s finds. */
static __always_inline void send_call(struct payload_scratch *s, u64 bytes)
{
	s->fill = 0;
	s->sent = 0;
	s->failed = 0;
	s->left = bytes;
	if (bytes > payload_max) {
		lost(PROBE_LOST_LONG, bytes - payload_max);
		s->left = payload_max;
	}
	if (s->left && !ring_has_room()) {
		lost(PROBE_LOST_PAYLOAD, s->left);
		s->left = 0;
	}
	for (int i = 0; i < STEPS_MAX; i++)
		if (copy_step())
			break;
	/* The last one ends the call for the recorder. An empty DATA record may be that. */
	if (!s->failed)
		send_chunk(0);
}

#endif
