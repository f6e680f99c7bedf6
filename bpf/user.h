/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef USER_H
#define USER_H

/*
 * The memory of the program whose system call ends, for programs that may not sleep.
 *
 * What a call has carried was touched a moment ago, and so is nearly always there. Not so while the kernel moves it:
 * compaction moves single pages, khugepaged and madvise(MADV_COLLAPSE) put 512 of them together, which takes some
 * hundred microseconds. The page is back as soon as the other CPU has done that. So what can't be read is asked for
 * again and again for about as long. Where that was in vain - memory that another thread has unmapped meanwhile - each
 * time is half as long as the one before, until one succeeds.
 */
#include "bpf/kernel.h"
#include "bpf/probe_abi.h"

#define AWAIT_TRIES  2048
#define AWAIT_HALVED 11 /* times, at most */

/* How many times it was in vain, one after the other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} awaited_in_vain SEC(".maps");

/* Waits until the byte can be read; non-zero: it can't. */
__attribute__((noinline)) int await_byte(u64 address)
{
	u32 zero = 0;
	u64 *in_vain = bpf_map_lookup_elem(&awaited_in_vain, &zero), tries;
	u8 byte;

	if (!in_vain)
		return 1;
	tries = AWAIT_TRIES >> (*in_vain & 15);
	for (u32 i = 0; i < AWAIT_TRIES; i++) {
		if (!bpf_probe_read_user(&byte, sizeof byte, (void *)address)) {
			*in_vain = 0;
			return 0;
		}
		if (i >= tries)
			break;
	}
	if (*in_vain < AWAIT_HALVED)
		++*in_vain;
	return 1;
}

/* Waits until `len` bytes can be read; non-zero: they can't. */
__attribute__((noinline)) int await_user(u64 address, u32 len)
{
	for (u32 at = 0; at < PROBE_CHUNK_MAX; at += 4096) {
		if (at >= len)
			break;
		if (await_byte(address + at))
			return 1;
	}
	return len ? await_byte(address + len - 1) : 0;
}

/* Of a size that is constant: bpf_probe_read_user(), and what it returns, but that it waits. */
static __always_inline long read_program(void *to, u32 size, u64 from)
{
	long error = bpf_probe_read_user(to, size, (void *)from);

	return error && from && !await_user(from, size) ? bpf_probe_read_user(to, size, (void *)from) : error;
}

#endif
