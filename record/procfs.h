/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PROCFS_H
#define PROCFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCFS_CMDLINE_MAX 4096

/* What /proc says of a process now. A field that can't be read is "" (0, UINT32_MAX): one failure costs one field. */
struct procfs_process {
	uint32_t ppid;
	uint32_t uid;
	uint64_t started; /* CLOCK_MONOTONIC, ns */
	char comm[16];
	char exe[PATH_MAX];
	char cmdline[PROCFS_CMDLINE_MAX]; /* arguments, joined by single spaces */
};

/* False: there is no such process. */
bool procfs_read(pid_t pid, struct procfs_process *process);

/* Whether it is there, and no zombie. */
bool procfs_lives(pid_t pid);

/* The process' path in cgroup v2; false: not known. */
bool procfs_cgroup(pid_t pid, char *path, size_t size);

/* "" if it can't be read. */
void procfs_thread_name(pid_t pid, pid_t tid, char name[static 16]);

/* Calls found() for each process that descends from pid, itself left out. */
void procfs_descendants(pid_t pid, void (*found)(void *context, pid_t pid), void *context);

/* NUL-separated arguments into one line: at most size - 1 bytes. */
void procfs_join_arguments(char *line, size_t size, const char *arguments, size_t len);

#endif
