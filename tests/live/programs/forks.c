/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * forks: what fork() and vfork() hand on are flows of the child, of the same socket; what clone(CLONE_FILES) shares are
 * flows of whoever uses them.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "truth.h"

static void reap(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid && status == 0);
}

static void forked(const char *how)
{
	struct end end[2], child;
	pid_t pid;

	ends_open(end, how);
	end_write(&end[0], 100);
	end_read(&end[1], 100);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		child = end[1];
		child.flow = truth_flow(
		        child.fd, how[0] == 't'
		                          ? "kind=socket proto=tcp role=server preopened=0 inherited=1 end=closed"
		                          : "kind=socket proto=unix role=unknown preopened=0 inherited=1 end=closed");
		truth_addresses(child.flow, child.fd);
		end_write(&child, 500);
		end_read(&child, 300);
		/* A grandchild as well. */
		pid = fork();
		MUST(pid >= 0);
		if (pid == 0) {
			child.flow = truth_flow(child.fd, "kind=socket preopened=0 inherited=1 end=closed");
			end_write(&child, 50);
			_exit(0); /* open */
		}
		reap(pid);
		end_close(&child);
		_exit(0);
	}
	end_write(&end[0], 300);
	end_read(&end[0], 500);
	reap(pid);
	end_read(&end[0], 50);
	/* It is the parent's still. */
	end[1].at[IN] += 300;
	end[1].at[OUT] += 550;
	end_write(&end[1], 20);
	end_read(&end[0], 20);
	end_close(&end[0]);
	end_close(&end[1]);
}

static void vforked(void)
{
	static uint8_t buffer[64];
	volatile ssize_t sent = -1;
	struct end end[2];
	volatile pid_t child = 0;
	volatile int flow;
	pid_t pid;

	ends_open(end, "unix");
	end_fill(&end[0], buffer, 64);
	pid = vfork();
	if (pid == 0) {
		child = getpid();
		flow = truth_flow(end[0].fd, "kind=socket proto=unix preopened=0 inherited=1 end=closed");
		sent = write(end[0].fd, buffer, 64);
		truth_call(flow, "write", sent, "a0=64");
		truth_data(flow, OUT, end[0].seed[OUT], end[0].at[OUT], 64);
		_exit(0);
	}
	MUST(pid > 0 && child == pid && sent == 64);
	reap(pid);
	end_read(&end[1], 64);
	end[0].at[OUT] += 64;
	end_write(&end[0], 10);
	end_read(&end[1], 10);
	end_close(&end[0]);
	end_close(&end[1]);
}

static struct end shared[2];

static int sharer(void *unused)
{
	(void)unused;
	/* Opened by the child; the parent has it as well. */
	ends_open(shared, "unix");
	end_write(&shared[0], 400);
	return 0;
}

static void cloned(void)
{
	char *stack = malloc(1 << 18);
	struct end *end;
	pid_t pid;

	MUST(stack);
	pid = clone(sharer, stack + (1 << 18), CLONE_FILES | CLONE_VM | SIGCHLD, NULL);
	MUST(pid > 0);
	reap(pid);
	end = &shared[1];
	end->flow = truth_flow(end->fd, "kind=socket proto=unix stream=1 end=closed");
	end_read(end, 400);
	end_write(end, 60);
	/* The number is open still, though who opened it is gone. */
	shared[0].flow = truth_flow(shared[0].fd, "kind=socket proto=unix stream=1 end=closed");
	end_read(&shared[0], 60);
	end_close(&shared[0]);
	end_close(&shared[1]);
}

int main(int argc, char **argv)
{
	truth_open();
	if (argc > 1 && strcmp(argv[1], "vfork") == 0)
		vforked();
	else if (argc > 1 && strcmp(argv[1], "clone") == 0)
		cloned();
	else
		forked(argc > 1 ? argv[1] : "unix");
	return 0;
}
