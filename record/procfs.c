/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void procfs_join_arguments(char *line, size_t size, const char *arguments, size_t len)
{
	while (len && !arguments[len - 1])
		len--;
	if (len >= size)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		line[i] = arguments[i] ? arguments[i] : ' ';
	line[len] = 0;
}

static ssize_t read_file(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buffer, size);
	close(fd);
	return n;
}

/* Field 22 of /proc/PID/stat counts ticks since boot, suspend included. */
static uint64_t start_time(pid_t pid)
{
	struct timespec mono, boot;
	char stat[1024], *field;
	ssize_t n = read_file(pid, "stat", stat, sizeof stat - 1);
	int64_t asleep, started;

	stat[n > 0 ? n : 0] = 0;
	field = strrchr(stat, ')'); /* the name may hold anything */
	for (int i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (!field)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	asleep = (boot.tv_sec - mono.tv_sec) * INT64_C(1000000000) + boot.tv_nsec - mono.tv_nsec;
	started =
	        (int64_t)(strtoull(field, NULL, 10) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK))) - asleep;
	return started > 0 ? (uint64_t)started : 0;
}

bool procfs_lives(pid_t pid)
{
	char stat[1024];
	const char *state;
	ssize_t n = read_file(pid, "stat", stat, sizeof stat - 1);

	if (n <= 0)
		return false;
	stat[n] = 0;
	state = strrchr(stat, ')');
	return state && state[1] && state[2] != 'Z' && state[2] != 'X';
}

bool procfs_cgroup(pid_t pid, char *path, size_t size)
{
	char text[4096];
	const char *line;
	ssize_t n = read_file(pid, "cgroup", text, sizeof text - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return false;
	line += *line == '\n';
	snprintf(path, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	return true;
}

void procfs_thread_name(pid_t pid, pid_t tid, char name[static 16])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof path, "task/%d/comm", tid);
	n = read_file(pid, path, name, 15);
	name[n > 0 ? n : 0] = 0;
	name[strcspn(name, "\n")] = 0;
}

bool procfs_read(pid_t pid, struct procfs_process *p)
{
	char status[4096], path[64];
	const char *field;
	ssize_t n = read_file(pid, "status", status, sizeof status - 1);

	*p = (struct procfs_process){.uid = UINT32_MAX};
	if (n <= 0)
		return false;
	status[n] = 0;
	if ((field = strstr(status, "\nPPid:")))
		p->ppid = (uint32_t)strtoul(field + 6, NULL, 10);
	if ((field = strstr(status, "\nUid:"))) { /* real, effective, ... */
		char *end;

		strtoul(field + 5, &end, 10);
		p->uid = (uint32_t)strtoul(end, NULL, 10);
	}
	p->started = start_time(pid);
	n = read_file(pid, "comm", p->comm, sizeof p->comm - 1);
	if (n > 0)
		p->comm[strcspn(p->comm, "\n")] = 0;
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	n = readlink(path, p->exe, sizeof p->exe - 1);
	p->exe[n > 0 ? n : 0] = 0;
	n = read_file(pid, "cmdline", status, sizeof status);
	procfs_join_arguments(p->cmdline, sizeof p->cmdline, status, n > 0 ? (size_t)n : 0);
	return true;
}

void procfs_descendants(pid_t pid, void (*found)(void *context, pid_t pid), void *context)
{
	char path[64], children[16384];
	struct dirent *thread;
	DIR *threads;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (thread = readdir(threads))) {
		char *next = children;
		ssize_t n;

		if (*thread->d_name == '.')
			continue;
		snprintf(path, sizeof path, "task/%.20s/children", thread->d_name);
		n = read_file(pid, path, children, sizeof children - 1);
		if (n <= 0)
			continue;
		children[n] = 0;
		for (long child; (child = strtol(next, &next, 10)) > 0;) {
			found(context, (pid_t)child);
			procfs_descendants((pid_t)child, found, context);
		}
	}
	if (threads)
		closedir(threads);
}
