/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "replay/player_state.h"

enum {
	SWEEP_AT = 4096,    /* processes: so many may be kept without looking for dead ones */
	LATE_EVENTS = 1024, /* a process' last events may come after its exit, but not that much later */
};

void process_release(struct process *process)
{
	if (!process || --process->refs > 0)
		return;
	free(process->comm);
	free(process->exe);
	free(process->cmdline);
	free(process);
}

/* Drops the dead when there are many. */
static int sweep(struct play_section *section)
{
	uint64_t now = section->player->n_events, *dead;
	struct process *process;
	size_t n = 0, cursor = 0;

	if (section->sweep_at < SWEEP_AT)
		section->sweep_at = SWEEP_AT;
	if (section->processes.used < section->sweep_at)
		return 0;
	dead = malloc(section->processes.used * sizeof *dead);
	if (!dead)
		return -1;
	while ((process = map_next(&section->processes, &cursor)))
		if (process->exited && now - process->exited > LATE_EVENTS)
			dead[n++] = process->pub.pid;
	for (size_t i = 0; i < n; i++)
		process_release(map_take(&section->processes, dead[i]));
	free(dead);
	section->sweep_at = section->processes.used * 2;
	return 0;
}

/* Makes it what runs under its pid. */
static struct process *install(struct play_section *section, struct process *process)
{
	struct process *before = map_get(&section->processes, process->pub.pid);

	if ((!before && sweep(section) < 0) || !map_put(&section->processes, process->pub.pid, process)) {
		process_release(process);
		return NULL;
	}
	process_release(before);
	return process;
}

struct process *process_get(struct play_section *section, uint32_t pid)
{
	struct process *process = map_get(&section->processes, pid);

	if (process)
		return process;
	process = calloc(1, sizeof *process);
	if (!process)
		return NULL;
	process->refs = 1;
	process->placeholder = true;
	process->pub = (struct player_process){.pid = pid, .uid = UINT32_MAX, .comm = "", .exe = "", .cmdline = ""};
	return install(section, process);
}

/* Sets what is known. A flow that had a placeholder for its process sees it too. */
static int fill(struct process *process, const struct fdtape_process *def)
{
	process->comm = strdup(def->comm);
	process->exe = strdup(def->exe);
	process->cmdline = strdup(def->cmdline);
	if (!process->comm || !process->exe || !process->cmdline)
		return -1;
	process->placeholder = false;
	process->pub = (struct player_process){.pid = def->pid,
	                                       .ppid = def->ppid,
	                                       .uid = def->uid,
	                                       .comm = process->comm,
	                                       .exe = process->exe,
	                                       .cmdline = process->cmdline};
	return 0;
}

struct process *process_define(struct play_section *section, const struct fdtape_process *def)
{
	struct process *process = map_get(&section->processes, def->pid);

	if (process && process->placeholder)
		return fill(process, def) == 0 ? process : NULL;
	if (process && !process->exited && process->pub.ppid == def->ppid && process->pub.uid == def->uid &&
	    strcmp(process->comm, def->comm) == 0 && strcmp(process->exe, def->exe) == 0 &&
	    strcmp(process->cmdline, def->cmdline) == 0)
		return process;
	process = calloc(1, sizeof *process);
	if (!process)
		return NULL;
	process->refs = 1;
	if (fill(process, def) < 0) {
		process_release(process);
		return NULL;
	}
	return install(section, process);
}

void process_exited(struct play_section *section, uint32_t pid)
{
	struct process *process = map_get(&section->processes, pid);

	if (process)
		process->exited = section->player->n_events;
}

void process_release_all(struct play_section *section)
{
	struct process *process;
	size_t cursor = 0;

	while ((process = map_next(&section->processes, &cursor)))
		process_release(process);
	map_release(&section->processes);
}
