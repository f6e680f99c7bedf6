/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/choosing.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include "cli.h"
#include "record/procfs.h"

static int said(const struct choosing *c, int error)
{
	if (error)
		cli_warn("%s", probes_message(c->probes));
	return error ? -1 : 0;
}

static int take(struct choosing *c, pid_t pid)
{
	if (said(c, probes_choose(c->probes, pid)) != 0)
		return -1;
	translate_process(c->translate, pid);
	c->n++;
	return 0;
}

/* One that was chosen by its pid is recorded if it is of the image that is asked for; if not, it or its children may
 * become so. */
static int take_pid(struct choosing *c, pid_t pid)
{
	struct procfs_process process;

	if (!procfs_read(pid, &process))
		return 0; /* gone */
	if (choice_matches(&c->options->choice, &process))
		return take(c, pid);
	return said(c, probes_follow(c->probes, pid));
}

static void take_descendant(void *context, pid_t pid)
{
	take_pid(context, pid);
}

static int take_pids(struct choosing *c)
{
	const struct choice *choice = &c->options->choice;

	for (size_t i = 0; i < choice->n_pids; i++) {
		pid_t pid = choice->pids[i];

		if (c->command && pid == c->command->pid)
			continue;
		if (kill(pid, 0) != 0 && errno == ESRCH) {
			cli_warn("there is no process %d", pid);
			return -1;
		}
		if (take_pid(c, pid) != 0)
			return -1;
		if (choice->follow)
			procfs_descendants(pid, take_descendant, c);
	}
	return 0;
}

/* Everything that runs is looked at; what starts from now on, the probes look at. */
static int take_images(struct choosing *c)
{
	DIR *all = opendir("/proc");
	struct dirent *entry;
	int error = 0;

	while (all && !error && (entry = readdir(all))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		struct procfs_process process;

		if (pid > 0 && pid != getpid() && procfs_read(pid, &process) &&
		    choice_matches(&c->options->choice, &process))
			error = take(c, pid);
	}
	if (all)
		closedir(all);
	return error;
}

int choosing_run(struct choosing *c)
{
	const struct choice *choice = &c->options->choice;

	if (c->command && !choice->all) {
		/* It is not defined yet: the first that the tape knows of it is its exec. */
		int error = (choice_asks_image(choice) ? probes_follow : probes_choose)(c->probes, c->command->pid);

		if (said(c, error) != 0)
			return -1;
	}
	if (choice->n_pids)
		return take_pids(c);
	return choice_asks_image(choice) ? take_images(c) : 0;
}
