/* SPDX-License-Identifier: BSD-2-Clause */

/* execs: over an exec a flow goes on, unless its fd is closed by it (CLOEXEC); and by a process that is vfork()ed first. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "truth.h"

static void pack(char text[static 200], const struct end *e)
{
	snprintf(text, 200, "%d %d %llu %llu %llu %llu", e->fd, e->flow, (unsigned long long)e->seed[0],
	         (unsigned long long)e->seed[1], (unsigned long long)e->at[0], (unsigned long long)e->at[1]);
}

static struct end unpack(const char *text)
{
	unsigned long long seed[2], at[2];
	struct end e;

	MUST(sscanf(text, "%d %d %llu %llu %llu %llu", &e.fd, &e.flow, &seed[0], &seed[1], &at[0], &at[1]) == 6);
	for (int i = 0; i < 2; i++) {
		e.seed[i] = seed[i];
		e.at[i] = at[i];
	}
	return e;
}

static void after(char **argv)
{
	struct end e[2] = {unpack(argv[2]), unpack(argv[3])}, again[2];

	if (e[0].flow == 0) { /* the child's: told of by the new image */
		e[0].flow = truth_flow(e[0].fd, "kind=socket proto=unix preopened=0 inherited=1 end=closed");
		end_write(&e[0], 500);
		end_close(&e[0]);
		return;
	}
	end_write(&e[0], 200);
	end_read(&e[1], 200);
	/* The numbers of those that were closed by the exec are free. */
	ends_open(again, "unix");
	MUST(again[0].fd == atoi(argv[4]));
	end_write(&again[0], 30);
	end_read(&again[1], 30);
	end_close(&again[0]);
	end_close(&again[1]);
	end_close(&e[0]);
	end_close(&e[1]);
}

int main(int argc, char **argv)
{
	char text[2][200], number[16];
	char *arguments[] = {argv[0], "after", text[0], text[1], number, NULL};
	struct end gone[2], stays[2], child;
	int status;
	pid_t pid;

	truth_open();
	if (argc > 1) {
		after(argv);
		return 0;
	}
	ends_open(gone, "unix");
	ends_open(stays, "unix");
	for (int i = 0; i < 2; i++)
		MUST(fcntl(gone[i].fd, F_SETFD, FD_CLOEXEC) == 0);
	end_write(&gone[0], 10);
	end_read(&gone[1], 10);
	end_write(&stays[0], 100);
	end_read(&stays[1], 100);
	snprintf(number, sizeof number, "%d", gone[0].fd);

	/* A child: the usual way to start a program. */
	child = stays[0];
	child.flow = 0;
	pack(text[0], &child);
	pack(text[1], &child);
	pid = vfork();
	if (pid == 0) {
		execv("/proc/self/exe", arguments);
		_exit(127);
	}
	MUST(waitpid(pid, &status, 0) == pid && status == 0);
	end_read(&stays[1], 500);
	stays[0].at[OUT] += 500;

	/* And this process itself. */
	pack(text[0], &stays[0]);
	pack(text[1], &stays[1]);
	execv("/proc/self/exe", arguments);
	truth_die("exec");
}
