/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PATH_H
#define PATH_H

/*
 * The path of an open file from the root of its mount namespace: what d_path() gives, which programs on tracepoints
 * may not call. It is put together from its end: each step prepends one name, or crosses to the mount below. Renames
 * at the same moment can mix an old and a new name; nothing is locked.
 */
#include "bpf/ring.h"

#define PATH_PARTS_MAX 96 /* names and mounts */

struct path_scratch {
	u64 dentry;
	u64 mount;
	u64 at; /* where the path begins in text; it ends at PROBE_PATH_MAX */
	u8 text[PROBE_PATH_MAX + 256];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_scratch);
} path_scratch SEC(".maps");

/* Non-zero when there are no more steps. Global: verified once for all the loop's turns. */
__attribute__((noinline)) int path_step(void)
{
	u32 zero = 0;
	struct path_scratch *s = bpf_map_lookup_elem(&path_scratch, &zero);
	struct dentry *dentry, *parent;
	struct mount *mount, *below;
	u64 len, at;

	if (!s)
		return 1;
	dentry = (void *)s->dentry;
	mount = (void *)s->mount;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		below = BPF_CORE_READ(mount, mnt_parent);
		if (below == mount)
			return 1; /* the namespace's root */
		s->dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		s->mount = (u64)below;
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	len = BPF_CORE_READ(dentry, d_name.len);
	at = s->at;
	if (parent == dentry || len > 255 || at > PROBE_PATH_MAX || at < len + 1)
		return 1; /* of no mounted file system (a memfd), or too long: the end of it is kept */
	at -= len;
	len &= 255;
	barrier_var(len);
	bpf_probe_read_kernel(s->text + (at & (PROBE_PATH_MAX - 1)), len, BPF_CORE_READ(dentry, d_name.name));
	at--;
	s->text[at & (PROBE_PATH_MAX - 1)] = '/';
	s->at = at;
	s->dentry = (u64)parent;
	return 0;
}

/* The path's length; it stands at text + at of path_scratch, not terminated. 0: not known. */
__attribute__((noinline)) int path_of(u64 address)
{
	struct file *file = (struct file *)address;
	u32 zero = 0;
	struct path_scratch *s = bpf_map_lookup_elem(&path_scratch, &zero);

	if (!s || !file)
		return 0;
	s->dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
	s->mount = (u64)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	s->at = PROBE_PATH_MAX;
	for (int i = 0; i < PATH_PARTS_MAX; i++)
		if (path_step())
			break;
	return s->at < PROBE_PATH_MAX ? PROBE_PATH_MAX - s->at : 0;
}

/* Copies the path that path_of() just found; `len` is what it returned. */
static __always_inline u32 copy_path(void *to, u64 len)
{
	u32 zero = 0;
	struct path_scratch *s = bpf_map_lookup_elem(&path_scratch, &zero);

	if (!s)
		return 0;
	barrier_var(len); /* the compiler knows the bound, and would leave out what shows it to the verifier */
	if (len > PROBE_PATH_MAX)
		return 0;
	return bpf_probe_read_kernel(to, len, s->text + (s->at & (PROBE_PATH_MAX - 1))) ? 0 : len;
}

#endif
