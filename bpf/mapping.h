/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPING_H
#define MAPPING_H

/*
 * Code that comes into a process after its exec: what the dynamic linker maps, and what dlopen() does. The recorder is
 * told of each file that is mapped to be run, and looks whether it is a TLS library that has no probes yet.
 */
#include "bpf/copy.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct probe_mapped);
} mapped_scratch SEC(".maps");

/* Of a finished mmap(): whether a file was mapped to be run. */
static __always_inline bool maps_code(struct pt_regs *regs)
{
	return REGS_ARG2(regs) & PROT_EXEC && (s32)REGS_ARG4(regs) >= 0;
}

__attribute__((noinline)) int tell_mapped(u32 fd)
{
	u32 zero = 0;
	struct probe_mapped *record = bpf_map_lookup_elem(&mapped_scratch, &zero);
	struct file *file = file_of(fd);
	struct inode *inode;

	if (!record || !file)
		return 0; /* another thread has closed it since */
	inode = BPF_CORE_READ(file, f_inode);
	record->h.type = PROBE_MAPPED;
	record->h.flags = 0;
	record->h.len = 0;
	record->inode = BPF_CORE_READ(inode, i_ino);
	record->tgid = bpf_get_current_pid_tgid() >> 32;
	record->path_len = copy_path(record->path, path_of((u64)file));
	put_urgent(record, sizeof *record);
	return 0;
}

#endif
