/* SPDX-License-Identifier: BSD-2-Clause */

/* exits: processes that end in every way with their fds open: each flow has its end, and its bytes. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "truth.h"

static void *leave(void *unused)
{
	(void)unused;
	_exit(3); /* all threads */
}

static void *leave_alone(void *unused)
{
	usleep(20000); /* the first thread has ended by then */
	return unused;
}

int main(void)
{
	truth_open();
	for (int way = 0; way < 6; way++) {
		pid_t pid = fork();
		struct end end[2];
		pthread_t thread;
		int status;

		MUST(pid >= 0);
		if (pid) {
			MUST(waitpid(pid, &status, 0) == pid);
			continue;
		}
		for (int i = 0; i < 3; i++) {
			ends_open(end, "unix");
			truth_line("flow %d end=closed", end[0].flow);
			truth_line("flow %d end=closed", end[1].flow);
			end_write(&end[0], 100 + (size_t)way);
			end_read(&end[1], 100);
		}
		switch (way) {
		case 0:
			_exit(0);
		case 1:
			exit(1);
		case 2:
			raise(SIGKILL);
			break;
		case 3:
			raise(SIGABRT);
			break;
		case 4:
			MUST(pthread_create(&thread, NULL, leave, NULL) == 0);
			for (;;)
				pause();
		case 5:
			MUST(pthread_create(&thread, NULL, leave_alone, NULL) == 0);
			pthread_exit(NULL);
		}
	}
	return 0;
}
