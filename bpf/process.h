/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PROCESS_H
#define PROCESS_H

/*
 * A process' life: what is chosen begets what is chosen; its images, its threads' names and its end are told.
 */
#include "bpf/syscalls.h"

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
	u8 *why;

	record.tgid = parent->tgid;
	record.child = child->tgid;
	if (record.tgid == record.child || record.tgid == own_tgid)
		return 0; /* a thread, or of no interest */
	if (choice.need) {
		why = chosen_as(record.tgid);
		if (!why || !*why)
			return 0;
		choose_as(record.child, choice.follow ? *why : *why & ~PROBE_CHOSEN_PID);
	}
	if (!is_chosen(record.child))
		return 0;
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
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0, was, path = 0;
	u8 *why;
	struct probe_exec *record = bpf_map_lookup_elem(&exec_scratch, &zero);
	struct mm_struct *mm;
	u64 args, len;

	if (!record || tgid == own_tgid)
		return 0;
	was = is_chosen(tgid);
	if (!was && !choice.n_exes && !choice.n_comms)
		return 0;
	mm = BPF_CORE_READ(task, mm);
	path = path_of((u64)BPF_CORE_READ(mm, exe_file));
	bpf_get_current_comm(record->comm, sizeof record->comm);
	if (choice.n_exes || choice.n_comms) {
		why = chosen_as(tgid);
		choose_as(tgid, (why ? *why & PROBE_CHOSEN_PID : 0) | judge_image(path, record->comm));
	}
	record->chosen = is_chosen(tgid);
	if (!was && !record->chosen)
		return 0;
	if (was)
		end_closed(0, ~0u, false); /* those with FD_CLOEXEC */
	__builtin_memset(&record->h, 0, sizeof record->h);
	record->h.type = PROBE_EXEC;
	record->time = bpf_ktime_get_ns();
	record->tgid = tgid;
	record->ppid = BPF_CORE_READ(task, real_parent, tgid);
	record->uid = BPF_CORE_READ(task, cred, euid.val);
	record->started = BPF_CORE_READ(task, group_leader, start_time);
	record->inode = BPF_CORE_READ(mm, exe_file, f_inode, i_ino);
	record->path_len = copy_path(record->path, path);
	args = BPF_CORE_READ(mm, arg_start);
	len = BPF_CORE_READ(mm, arg_end) - args;
	if (len > PROBE_ARGS_MAX)
		len = PROBE_ARGS_MAX;
	barrier_var(len);
	record->args_len = bpf_probe_read_user(record->args, len, (void *)args) ? 0 : len;
	put_urgent(record, sizeof *record);
	return 0;
}

/* prctl(PR_SET_NAME), /proc/PID/comm, and exec, which tells of itself. A process that takes the name that is asked for
 * is chosen from then on; by another name only exec() ends that, since that is where its end is told. */
SEC("tp_btf/task_rename")
int BPF_PROG(fdtape_rename, struct task_struct *task, const char *comm)
{
	struct probe_name record = {.h = {.type = PROBE_NAME}};
	bool was;
	u8 *why;

	record.tgid = task->tgid;
	record.tid = task->pid;
	was = is_chosen(record.tgid);
	if (!was && !choice.n_comms)
		return 0;
	bpf_probe_read_kernel_str(record.comm, sizeof record.comm, comm);
	if (choice.n_comms && record.tid == record.tgid && record.tgid != own_tgid &&
	    judge_image(choice.n_exes ? path_of((u64)BPF_CORE_READ(task, mm, exe_file)) : 0, record.comm)) {
		why = chosen_as(record.tgid);
		choose_as(record.tgid, (why ? *why : 0) | PROBE_CHOSEN_IMAGE);
	}
	if (!was)
		return 0;
	if (bpf_core_field_exists(task->in_execve) && BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		return 0;
	record.time = bpf_ktime_get_ns();
	put_record(&record, sizeof record, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(fdtape_exit, struct task_struct *task)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = (u32)id, tgid = id >> 32;
	struct probe_exit record = {.h = {.type = PROBE_EXIT}};
	bool told = is_chosen(tgid), last = BPF_CORE_READ(task, signal, live.counter) <= 0;

	if (told)
		bpf_map_delete_elem(&inflight, &tid);
	if (last && choice.need)
		choose_as(tgid, 0);
	if (!told || !last)
		return 0;
	record.time = bpf_ktime_get_ns();
	record.tgid = tgid;
	record.tid = tid;
	record.code = BPF_CORE_READ(task, exit_code);
	put_record(&record, sizeof record, 0);
	return 0;
}

#endif
