/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef COPY_H
#define COPY_H

/*
 * Copies a call's payload, whatever its shape and size, out of the program's memory into ring records.
 *
 * The verifier must see that this ends and stays in bounds, on every kernel from 5.10 on. So the work is cut into
 * steps that know nothing of each other: copy_step() takes up the walk where the scratch area says it is, does one
 * piece - the next iovec, or at most one half of the chunk buffer - and leaves. As a global function it is verified
 * once, not once for each of the loop's turns, and its arguments are scalars because 5.10 allows no others. The same
 * trick once more makes the loop long enough for the most that a system call carries (MAX_RW_COUNT, 2 GiB).
 *
 * The chunk buffer is twice a piece: while `fill` is below the half, a piece fits; when it is above, the chunk is
 * sent. That is the whole bounds argument.
 *
 * The first record is the call's own (probe_call with the first payload behind it), further ones are probe_data. Both
 * heads stand right before the payload bytes, so that one bpf_ringbuf_output() sends head and payload.
 */
#include "bpf/flow.h"
#include "bpf/user.h"

#define PIECE     (PROBE_CHUNK_MAX / 2)
#define STEPS     1024 /* of one turn */
#define TURNS_MAX 512  /* 2 GiB in chunks of 16 KiB, each sent in a step of its own */

const volatile __u64 payload_max = ~0ull; /* bytes kept of a call's payload */

struct payload_scratch {
	/* The system call and its arguments. */
	u64 nr;
	u64 arg[6];
	u64 passed; /* it brought fds */
	u64 none;   /* what can't come of it: bpf/usual.h */
	/* The walk. */
	u64 base; /* what is left of the current piece of user memory */
	u64 len;
	u64 iov; /* the next iovec */
	u64 iovs;
	u64 room; /* that they are in all, where that is asked for */
	u64 left; /* payload bytes still to take */
	u64 fill; /* of the chunk buffer */
	u64 sent; /* payload bytes in records before this one */
	u64 failed;
	u64 awaited; /* the next piece, since it could not be read at once */
	u64 counted; /* of the call's bytes, as lost */
	/* What is sent. A DATA record's head takes the place of the call's end. */
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

/* Counts bytes of the call as lost. What was only peeked at comes again, and is not missing. */
static __always_inline void lost_of_call(struct payload_scratch *s, enum probe_lost reason, u64 bytes)
{
	s->counted += bytes;
	lost(reason, s->call.h.flags & PROBE_PEEK ? 0 : bytes);
}

/* How many of the call's payload bytes the ring can take now; what it can't is counted. */
static __always_inline u64 ring_takes(struct payload_scratch *s, u64 bytes)
{
	u64 most = ring_room(bytes);

	if (most < bytes)
		lost_of_call(s, PROBE_LOST_PAYLOAD, bytes - most);
	return most;
}

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
		if (bpf_ringbuf_output(&ring, &s->call, sizeof s->call + fill, BPF_RB_NO_WAKEUP)) {
			s->failed = 1;
			/* Its payload may be what finds no room. */
			s->call.h.len = 0;
			s->call.h.flags &= ~PROBE_MORE;
			if (fill && !bpf_ringbuf_output(&ring, &s->call, sizeof s->call, BPF_RB_NO_WAKEUP))
				lost_of_call(s, PROBE_LOST_PAYLOAD, fill + s->left);
			else
				lost_of_call(s, PROBE_LOST_RING, s->call.bytes - s->counted);
			return 1;
		}
	} else {
		struct probe_data *head = (void *)(s->data - sizeof *head);

		head->h.type = PROBE_DATA;
		head->h.flags = more ? PROBE_MORE : 0;
		head->h.len = fill;
		head->tid = (u32)bpf_get_current_pid_tgid();
		head->pad = 0;
		head->offset = s->sent;
		if (bpf_ringbuf_output(&ring, head, sizeof *head + fill, BPF_RB_NO_WAKEUP)) {
			lost_of_call(s, PROBE_LOST_PAYLOAD, fill + s->left);
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

	if (!s || s->left == 0 || s->failed)
		return 1;
	if (s->len == 0) {
		if (s->iovs == 0)
			goto unreadable; /* more was carried than there is room for: MSG_TRUNC */
		if (read_program(&iov, sizeof iov, s->iov))
			goto unreadable;
		s->base = iov.base;
		s->len = iov.len;
		s->iov += sizeof iov;
		s->iovs--;
		return 0;
	}
	if (s->fill >= PIECE) {
		if (send_chunk(1))
			return 1;
		s->left = ring_takes(s, s->left);
		return 0;
	}
	n = s->left < s->len ? s->left : s->len;
	fill = s->fill;
	if (fill == 0) {
		/* An empty buffer takes a whole chunk at once. */
		if (n > PROBE_CHUNK_MAX)
			n = PROBE_CHUNK_MAX;
		barrier_var(n); /* the verifier must find the bound in the register that is used */
		if (bpf_probe_read_user(s->data, n, (void *)s->base))
			goto absent;
	} else {
		if (n > PIECE)
			n = PIECE;
		barrier_var(n);
		fill &= PIECE - 1;
		barrier_var(fill);
		if (bpf_probe_read_user(s->data + fill, n, (void *)s->base))
			goto absent;
	}
	s->awaited = 0;
	s->fill += n;
	s->base += n;
	s->len -= n;
	s->left -= n;
	return 0;
absent:
	/* The next step takes it up again. */
	if (!s->awaited && !await_user(s->base, n)) {
		s->awaited = 1;
		return 0;
	}
unreadable:
	lost_of_call(s, PROBE_LOST_UNREADABLE, s->left);
	s->left = 0;
	return 1;
}

__attribute__((noinline)) int copy_steps(void)
{
	for (int i = 0; i < STEPS; i++)
		if (copy_step())
			return 1;
	return 0;
}

/* Sends the scratch area's call with the first `bytes` of the payload that the walk set up there finds. */
__attribute__((noinline)) int send_call(u64 bytes)
{
	u32 zero = 0;
	struct payload_scratch *s = bpf_map_lookup_elem(&payload_scratch, &zero);

	if (!s)
		return 0;
	s->fill = 0;
	s->sent = 0;
	s->failed = 0; /* `counted` may have begun */
	s->awaited = 0;
	if (bytes > payload_max) {
		lost_of_call(s, PROBE_LOST_LONG, bytes - payload_max);
		bytes = payload_max;
	}
	s->left = bytes ? ring_takes(s, bytes) : 0;
	if (s->left)
		for (int i = 0; i < TURNS_MAX; i++)
			if (copy_steps())
				break;
	/* The last one ends the call for the recorder. An empty DATA record may be that. */
	if (!s->failed)
		send_chunk(0);
	return 0;
}

#endif
