/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RING_H
#define RING_H

/*
 * The maps and the one ring buffer that all probes share.
 *
 * Nothing wakes the recorder: a wakeup for each event costs more than everything else together, so it drains the ring
 * by the clock. What finds no room is counted, by reason; and since the offsets in a flow are counted here from the
 * calls' return values, whether or not their record got through, what is missing has an address.
 */
#include "bpf/kernel.h"
#include "bpf/probe_abi.h"

/* Set by the recorder between open and load: constants to the verifier. */
const volatile __u32 own_tgid;   /* the recorder never records itself */
const volatile __u32 choose_all; /* every process is chosen */
const volatile __u64 ring_size;
const volatile __u64 payload_max = PROBE_PAYLOAD_MAX; /* bytes kept of a call's payload */
const volatile struct probe_syscall syscalls[PROBE_SYSCALLS_MAX];

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

/* Chosen thread groups. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u32);
} chosen SEC(".maps");

static __always_inline void lost(enum probe_lost reason, u64 bytes)
{
	u32 zero = 0;
	struct probe_stats *s = bpf_map_lookup_elem(&stats, &zero);

	if (s && reason < PROBE_LOST_N) {
		s->count[reason]++;
		s->bytes[reason] += bytes;
	}
}

/* A record of fixed size; `bytes` is what it stands for if it is lost. */
static __always_inline long put_record(void *record, u64 size, u64 bytes)
{
	long error = bpf_ringbuf_output(&ring, record, size, BPF_RB_NO_WAKEUP);

	if (error)
		lost(PROBE_LOST_RING, bytes);
	return error;
}

/* Whether the ring still has room for payload: the last eighth is kept for calls without their payload, so that a
 * flood costs bytes before it costs events. */
static __always_inline bool ring_has_room(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) < ring_size - ring_size / 8;
}

static __always_inline bool is_chosen(u32 tgid)
{
	if (choose_all)
		return tgid != own_tgid;
	return bpf_map_lookup_elem(&chosen, &tgid) != NULL;
}

#endif
