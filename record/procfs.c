/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
