/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * compat PROGRAM: a 32-bit program (ia32.c) writes to a socket and reads from it. Its bytes are recorded, or it is told
 * that calls were made that could not be decoded.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "truth.h"

int main(int argc, char **argv)
{
	uint8_t buffer[1000];
	struct stat st;
	struct end end[2];
	int status, flow;
	pid_t pid;

	truth_open();
	if (argc < 2 || access(argv[1], X_OK) != 0)
		truth_skip("no 32-bit program was built");
	ends_open(end, "unix");
	/* It sends back what it gets. */
	end[0].seed[IN] = end[0].seed[OUT];
	MUST(dup2(end[1].fd, 100) == 100 && fstat(100, &st) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		execl(argv[1], argv[1], NULL);
		_exit(errno == ENOEXEC ? 77 : 1);
	}
	flow = truth_flow_of(pid, 100, st.st_ino, "kind=socket proto=unix blind=1");
	end_fill(&end[0], buffer, sizeof buffer);
	truth_data(flow, IN, end[0].seed[OUT], 0, sizeof buffer);
	truth_data(flow, OUT, end[0].seed[OUT], 0, sizeof buffer);
	end_write(&end[0], sizeof buffer);
	MUST(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		truth_skip("this kernel runs no 32-bit programs");
	MUST(status == 0);
	end_read(&end[0], sizeof buffer);
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
