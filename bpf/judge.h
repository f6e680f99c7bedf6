/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef JUDGE_H
#define JUDGE_H

/*
 * Whether a process is recorded (record/selection.h has the meaning; record/probes.c fills `choice`).
 *
 * What a process is - a chosen pid or a child of one, an image that is asked for - is judged when it begins, takes
 * another image or another name, and kept in `chosen`: a call costs one lookup. Its user and its cgroup can change at
 * any moment, and are asked for at each call. All of `choice` is constant to the verifier: what was not asked for
 * leaves no instruction behind.
 */
#include "bpf/path.h"

const volatile __u32 own_tgid; /* the recorder never records itself */
const volatile struct probe_choice choice;

/* A byte for each thread group that there can be: enum probe_chosen, as far as it applies. An array, since to look into
 * it costs a fifth of what a hash does, and every call of every process does so. 4 MiB. */
struct probe_chosen_pids {
	u8 why[PROBE_CHOSEN_PIDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PROBE_PID_MAX / PROBE_CHOSEN_PIDS);
	__type(key, u32);
	__type(value, struct probe_chosen_pids);
} chosen SEC(".maps");

static __always_inline u8 *chosen_as(u32 tgid)
{
	u32 at = tgid / PROBE_CHOSEN_PIDS;
	struct probe_chosen_pids *pids = bpf_map_lookup_elem(&chosen, &at);

	return pids ? &pids->why[tgid % PROBE_CHOSEN_PIDS] : NULL;
}

static __always_inline bool user_is_chosen(void)
{
	u32 uid;

	if (!choice.n_uids)
		return true;
	uid = (u32)bpf_get_current_uid_gid();
	for (u32 i = 0; i < PROBE_UIDS && i < choice.n_uids; i++)
		if (choice.uid[i] == uid)
			return true;
	return false;
}

static __always_inline bool cgroup_is_chosen(void)
{
	if (!choice.n_cgroups)
		return true;
	for (u32 i = 0; i < PROBE_CGROUPS && i < choice.n_cgroups; i++)
		if (bpf_get_current_ancestor_cgroup_id(choice.cgroup_level[i]) == choice.cgroup[i])
			return true;
	return false;
}

static __always_inline bool is_chosen(u32 tgid)
{
	u8 *why;

	if (tgid == own_tgid)
		return false;
	if (choice.need) {
		why = chosen_as(tgid);
		if (!why || (*why & choice.need) != choice.need)
			return false;
	}
	return user_is_chosen() && cgroup_is_chosen();
}

/* ---- patterns --------------------------------------------------------------------------------------------------- */

/* Where a match stands: the next character of the path (counted from its beginning), the next of the pattern, and
 * where the last `*` can be tried again. */
struct match_scratch {
	u32 path, pattern;
	u32 again_path, again_pattern;
	u32 again;
	u32 matches;
	u32 len;
	u32 which;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct match_scratch);
} match_scratch SEC(".maps");

/* One character; non-zero when it is decided. */
__attribute__((noinline)) int match_step(void)
{
	u32 zero = 0, c, at;
	struct match_scratch *m = bpf_map_lookup_elem(&match_scratch, &zero);
	struct path_scratch *p = bpf_map_lookup_elem(&path_scratch, &zero);
	const volatile struct probe_pattern *pattern;

	if (!m || !p)
		return 1;
	pattern = &choice.exe[m->which & (PROBE_EXES - 1)];
	at = m->pattern;
	if (m->path >= m->len) {
		m->matches = at == pattern->n;
		return 1;
	}
	if (at == pattern->n && pattern->open_end) {
		m->matches = 1;
		return 1;
	}
	if (at < pattern->n && at < PROBE_PATTERN_MAX) {
		if (pattern->star[at & (PROBE_PATTERN_MAX - 1)] && !(m->again && m->again_pattern == at)) {
			m->again = 1;
			m->again_pattern = at;
			m->again_path = m->path;
		}
		c = p->text[(p->at + m->path) & (PROBE_PATH_MAX - 1)];
		if (pattern->set[at & (PROBE_PATTERN_MAX - 1)][(c >> 6) & 3] >> (c & 63) & 1) {
			m->pattern++;
			m->path++;
			return 0;
		}
	}
	if (!m->again) {
		m->matches = 0;
		return 1;
	}
	m->pattern = m->again_pattern;
	m->path = ++m->again_path;
	return 0;
}

/* Whether the path that path_of() just found is what one of the patterns asks for. Only the last `*` is ever tried
 * again, so the steps are at most the product of both lengths; more than these a path does not get. */
__attribute__((noinline)) int match_pattern(u32 which, u32 len)
{
	u32 zero = 0;
	struct match_scratch *m = bpf_map_lookup_elem(&match_scratch, &zero);

	if (!m)
		return 0;
	__builtin_memset(m, 0, sizeof *m);
	m->which = which;
	m->len = len;
	for (int i = 0; i < 8 * PROBE_PATH_MAX; i++)
		if (match_step())
			break;
	return m->matches;
}

/* The current process' image against what is asked for: PROBE_CHOSEN_IMAGE or 0. `len` is of its executable's path,
 * from path_of(). */
static __always_inline u32 judge_image(u32 len, const char comm[16])
{
	u32 exe = !choice.n_exes, name = !choice.n_comms;

	for (u32 i = 0; i < PROBE_EXES && i < choice.n_exes; i++)
		exe |= match_pattern(i, len);
	for (u32 i = 0; i < PROBE_COMMS && i < choice.n_comms; i++) {
		bool same = true;

		for (int c = 0; c < 16; c++) {
			if (choice.comm[i][c] != comm[c])
				same = false;
			if (!comm[c])
				break;
		}
		name |= same;
	}
	return exe && name ? PROBE_CHOSEN_IMAGE : 0;
}

static __always_inline void choose_as(u32 tgid, u32 why)
{
	u8 *chosen_why = chosen_as(tgid);

	if (chosen_why)
		*chosen_why = why;
}

#endif
