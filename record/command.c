/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int try_program(const char *name, char path[static PATH_MAX])
{
	struct stat st;

	if (stat(name, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (access(name, X_OK) != 0)
		return -errno;
	return realpath(name, path) ? 0 : -errno;
}

int command_find(const char *program, char path[static PATH_MAX])
{
	const char *folders = getenv("PATH");
	int error = -ENOENT;

	if (strchr(program, '/'))
		return try_program(program, path);
	if (!*program)
		return -ENOENT;
	if (!folders)
		folders = "/bin:/usr/bin";
	while (folders) {
		const char *end = strchr(folders, ':');
		int len = end ? (int)(end - folders) : (int)strlen(folders), found;
		char name[PATH_MAX];

		if (snprintf(name, sizeof name, "%.*s%s%s", len, folders, len ? "/" : "./", program) <
		    (int)sizeof name) {
			found = try_program(name, path);
			if (found == 0)
				return 0;
			if (found != -ENOENT && found != -ENOTDIR)
				error = found; /* found, but not to be run: worth telling */
		}
		folders = end ? end + 1 : NULL;
	}
	return error;
}

void command_save_signals(struct command *c)
{
	sigprocmask(SIG_SETMASK, NULL, &c->mask);
	sigaction(SIGPIPE, NULL, &c->pipe);
	sigaction(SIGXFSZ, NULL, &c->xfsz);
}

__attribute__((noreturn)) static void run_child(const struct command *c, char *const argv[], bool stdout_to_stderr,
                                                int go, int failed)
{
	ssize_t n;
	char byte;
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* not when the recorder dies while we are held */
	if (stdout_to_stderr)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	do
		n = read(go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(125); /* the recorder gave up */
	prctl(PR_SET_PDEATHSIG, 0);
	sigaction(SIGPIPE, &c->pipe, NULL); /* ignored by the recorder, and that would be inherited */
	sigaction(SIGXFSZ, &c->xfsz, NULL);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	execvp(argv[0], argv);
	error = errno;
	n = write(failed, &error, sizeof error);
	(void)n;
	_exit(125);
}

int command_hold(struct command *c, char *const argv[], bool stdout_to_stderr)
{
	int go[2], failed[2], error = command_find(argv[0], c->path);

	if (error)
		return error;
	if (pipe2(go, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(failed, O_CLOEXEC) != 0) {
		error = -errno;
		close(go[0]);
		close(go[1]);
		return error;
	}
	c->pid = fork();
	if (c->pid == 0) {
		close(go[1]);
		run_child(c, argv, stdout_to_stderr, go[0], failed[1]);
	}
	error = c->pid < 0 ? -errno : 0;
	close(go[0]);
	close(failed[1]);
	c->go = go[1];
	c->failed = failed[0];
	if (error) {
		close(c->go);
		close(c->failed);
	}
	return error;
}

int command_go(struct command *c)
{
	int error = 0;
	ssize_t n = write(c->go, "", 1);

	if (n != 1)
		error = errno;
	close(c->go);
	do
		n = read(c->failed, &error, sizeof error);
	while (n < 0 && errno == EINTR);
	close(c->failed);
	return -error;
}

void command_cancel(struct command *c)
{
	close(c->go);
	close(c->failed);
	waitpid(c->pid, NULL, 0);
}

int command_exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
