/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RING_H
#define RING_H

/*
 * The one ring buffer that all probes share, and the account of what did not get into it.
 *
 * Calls don't wake the recorder: a wakeup for each costs more than everything else together, so it drains the ring by
 * the clock. Only what it has to act upon - new code in a process - does. What finds no room is counted, by reason; and
 * since the offsets in a flow are counted here from the calls' return values, whether or not their record got through,
 * what is missing has an address.
 *
 * A ring that fills up degrades in steps: above three quarters a call's payload is shortened to its beginning, where
 * the protocols' heads are; above seven eighths calls are told without payload; only a ring without room for a head
 * loses whole calls. Each step ends by itself as the recorder catches up.
 */
#include "bpf/kernel.h"
#include "bpf/probe_abi.h"

#define SHORT_PAYLOAD 1024

/* Set by the recorder between open and load: constants to the verifier. */
const volatile __u64 ring_size;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct probe_stats);
} stats SEC(".maps");

/* Atomic, though it is per CPU: a program at a uprobe can be preempted by another one. */
static __always_inline void lost(enum probe_lost reason, u64 bytes)
{
	u32 zero = 0;
	struct probe_stats *s = bpf_map_lookup_elem(&stats, &zero);

	barrier_var(bytes); /* adding a constant 0 becomes an atomic "or", which 5.10 has not */
	if (s && reason < PROBE_LOST_N) {
		__sync_fetch_and_add(&s->count[reason], 1);
		__sync_fetch_and_add(&s->bytes[reason], bytes);
	}
}

/* A record; `bytes` is what it stands for if it is lost. */
static __always_inline long put_record(void *record, u64 size, u64 bytes)
{
	long error = bpf_ringbuf_output(&ring, record, size, BPF_RB_NO_WAKEUP);

	if (error)
		lost(PROBE_LOST_RING, bytes);
	return error;
}

/* A record that the recorder must act upon at once, before the program goes on. */
static __always_inline long put_urgent(void *record, u64 size)
{
	long error = bpf_ringbuf_output(&ring, record, size, BPF_RB_FORCE_WAKEUP);

	if (error)
		lost(PROBE_LOST_RING, 0);
	return error;
}

/* How many of a call's payload bytes the ring can take now. */
static __always_inline u64 ring_room(u64 bytes)
{
	u64 used = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);

	if (used >= ring_size - ring_size / 8)
		return 0;
	if (used >= ring_size - ring_size / 4 && bytes > SHORT_PAYLOAD)
		return SHORT_PAYLOAD;
	return bytes;
}

#endif
