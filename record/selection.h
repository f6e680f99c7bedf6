/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SELECTION_H
#define SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record/procfs.h"

/*
 * What is to be recorded. Each list is one question; an empty one asks nothing. Of one list any entry will do, and
 * every list that has entries must agree: `--exe nginx --exe node --uid 33` is (nginx or node) and uid 33.
 *
 * The probes judge the same questions in the kernel (bpf/judge.h); choice_matches() judges the processes that run
 * already when recording begins.
 */
#define CHOICE_EXES        8
#define CHOICE_PATTERN_MAX 64 /* with the NUL */
#define CHOICE_COMMS       8
#define CHOICE_UIDS        16
#define CHOICE_CGROUPS     8
#define CHOICE_PORTS       16

struct choice_cgroup {
	uint64_t id;    /* the kernel's: the inode of its folder in cgroup2 */
	uint32_t level; /* how deep it lies below the root, which is 0 */
	char *path;     /* from the root: "/system.slice/nginx.service" */
};

struct choice {
	bool all;    /* every process; also when only uids, cgroups or ports are given */
	bool follow; /* children of a process that was chosen by pid */
	pid_t *pids; /* the COMMAND's pid is one of them */
	size_t n_pids;
	/* Shell patterns of the executable's path in full, as the kernel knows it: `*`, `?`, `[...]`; what the user gave
	 * as a substring X is "*X*" here. */
	char exe[CHOICE_EXES][CHOICE_PATTERN_MAX];
	size_t n_exes;
	char comm[CHOICE_COMMS][16]; /* the thread group leader's, whole */
	size_t n_comms;
	uint32_t uid[CHOICE_UIDS]; /* real uid */
	size_t n_uids;
	struct choice_cgroup cgroup[CHOICE_CGROUPS]; /* these and what lies below */
	size_t n_cgroups;
	uint16_t port[CHOICE_PORTS]; /* of a flow: local or remote */
	size_t n_ports;
};

/* Whether anything is asked of a process' image: then chosen processes are found by looking at each that runs, and at
 * each exec. */
static inline bool choice_asks_image(const struct choice *c)
{
	return c->n_exes || c->n_comms;
}

/* Connections are chosen, whose ever they are. */
static inline bool choice_is_of_ports(const struct choice *c)
{
	return c->n_ports && !c->n_pids && !choice_asks_image(c);
}

/* exe and comm only: pids are listed, and the kernel asks for uid, cgroup and port at each call. */
bool choice_matches(const struct choice *choice, const struct procfs_process *process);

/* fnmatch() for the patterns above, without classes: the same rules as in bpf/judge.h. */
bool choice_pattern_matches(const char *pattern, const char *path);

#endif
