/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef COMMAND_H
#define COMMAND_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * The command that is recorded: forked at once, held before its exec until the probes are in place, so that its first
 * system call is on the tape.
 */
struct command {
	pid_t pid;
	int go;              /* closing it lets the child go on */
	int failed;          /* the child tells errno of its exec here */
	char path[PATH_MAX]; /* the executable, links resolved */
	/* How signals stood before the recorder changed them for itself: the command gets them so. */
	sigset_t mask;
	struct sigaction pipe, xfsz;
};

/* Notes how signals stand. Before the recorder blocks or ignores any. */
void command_save_signals(struct command *command);

/* Looks the program up as execvp(3) does. 0, or -errno. */
int command_find(const char *program, char path[static PATH_MAX]);

/* Forks and holds. With `stdout_to_stderr`, the command's standard output goes to our standard error: ours carries the
 * tape. 0, or -errno. */
int command_hold(struct command *command, char *const argv[], bool stdout_to_stderr);

/* Lets it go, and waits until it has become the program. 0, or -errno of its exec. */
int command_go(struct command *command);

/* Ends one that was not let go. */
void command_cancel(struct command *command);

/* What a shell would give for a wait status. */
int command_exit_status(int wait_status);

#endif
