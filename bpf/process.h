/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PROCESS_H
#define PROCESS_H

/*
 * A chosen process' life: its children are chosen with it, its images and its end are told.
 */
#include "bpf/syscalls.h"

const volatile __u32 follow = 1; /* children of chosen processes are chosen */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct probe_exec);
} exec_scratch SEC(".maps");

SEC("tp_btf/sched_process_fork")
int BPF_PROG(fdtape_fork, struct task_struct *parent, struct task_struct *child)
{
	struct probe_fork record = {.h = {.type = PROBE_FORK}};
	u32 one = 1;

	record.tgid = parent->tgid;
	record.child = child->tgid;
	if (record.tgid == record.child || !follow || !is_chosen(record.tgid))
		return 0; /* a thread, or of no interest */
	if (!choose_all && bpf_map_update_elem(&chosen, &record.child, &one, BPF_ANY))
		lost(PROBE_LOST_MAP, 0);
	record.time = bpf_ktime_get_ns();
	record.tid = parent->pid;
	record.uid = BPF_CORE_READ(child, cred, euid.val);
	bpf_get_current_comm(record.comm, sizeof record.comm);
	put_record(&record, sizeof record, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(fdtape_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct mm_struct *mm;
	struct probe_exec *record;
	u64 args, len;

	if (!is_chosen(tgid))
		return 0;
	record = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!record)
		return 0;
	__builtin_memset(&record->h, 0, sizeof record->h);
	record->h.type = PROBE_EXEC;
	record->time = bpf_ktime_get_ns();
	record->tgid = tgid;
	record->ppid = BPF_CORE_READ(task, real_parent, tgid);
	record->uid = BPF_CORE_READ(task, cred, euid.val);
	bpf_get_current_comm(record->comm, sizeof record->comm);
	record->path[0] = 0;
	bpf_probe_read_kernel_str(record->path, sizeof record->path, BPF_CORE_READ(program, filename));
	mm = BPF_CORE_READ(task, mm);
	args = BPF_CORE_READ(mm, arg_start);
	len = BPF_CORE_READ(mm, arg_end) - args;
	if (len > PROBE_ARGS_MAX)
		len = PROBE_ARGS_MAX;
	record->args_len = bpf_probe_read_user(record->args, len, (void *)args) ? 0 : len;
	put_record(record, sizeof *record, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(fdtape_exit, struct task_struct *task)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = (u32)id, tgid = id >> 32;
	struct probe_exit record = {.h = {.type = PROBE_EXIT}};

	if (!is_chosen(tgid))
		return 0;
	bpf_map_delete_elem(&inflight, &tid);
	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0; /* other threads live on */
	record.time = bpf_ktime_get_ns();
	record.tgid = tgid;
	record.tid = tid;
	record.code = BPF_CORE_READ(task, exit_code);
	put_record(&record, sizeof record, 0);
	bpf_map_delete_elem(&chosen, &tgid);
	return 0;
}

#endif
