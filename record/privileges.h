/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

/* A capability that a recorder has a use for. */
struct privilege {
	const char *name; /* "CAP_BPF" */
	int number;
	const char *use;
};

extern const struct privilege privileges[];
extern const size_t n_privileges;

/* Whether we have it now. */
bool privileges_have(int capability);

/* Whether we may probe libraries; `by_perf`: by perf events (record/uprobes.h), which take more than all else does. */
bool privileges_probe_libraries(bool by_perf);

/* Whether we may read the executables and libraries of everybody's processes. */
bool privileges_read_others(void);

/* What the rest of the recording will do, so that no more is kept than that takes. */
struct privileges_wanted {
	bool attach; /* probe libraries that are met later */
	bool perf;   /* by perf events */
	bool signal; /* pass signals on to a command, whoever it has become */
	bool create; /* create files in a folder that is closed to us, but for CAP_DAC_OVERRIDE */
	bool chown;  /* and give them to another user */
};

/* Gives up every other capability, for good, and the right to gain any by exec. Keys that are in memory don't get into
 * a core file. 0 or -errno. */
int privileges_drop(const struct privileges_wanted *wanted);

/* Whether `test` passes without CAP_DAC_OVERRIDE. */
bool privileges_without_override(bool (*test)(void *context), void *context);

#endif
