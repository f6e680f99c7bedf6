/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/privileges.h"

#include <errno.h>
#include <sys/prctl.h>

#include <cap-ng.h>

#include "record/sandbox.h"

const struct privilege privileges[] = {
        {"CAP_BPF", CAP_BPF, "loads the probes"},
        {"CAP_PERFMON", CAP_PERFMON, "attaches the probes, reads the programs' memory"},
        {"CAP_SYS_ADMIN", CAP_SYS_ADMIN, "probes TLS libraries on kernels before 6.6"},
        {"CAP_SYS_PTRACE", CAP_SYS_PTRACE, "reads /proc of other users' processes: executables, libraries"},
        {"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH, "reads libraries in folders that are closed to others"},
        {"CAP_CHECKPOINT_RESTORE", CAP_CHECKPOINT_RESTORE, "finds libraries that were deleted, as by an upgrade"},
        {"CAP_SYS_RESOURCE", CAP_SYS_RESOURCE, "locks memory for the probes on kernels before 5.11"},
        {"CAP_SYS_NICE", CAP_SYS_NICE, "empties the buffer before others run"},
};
const size_t n_privileges = sizeof privileges / sizeof *privileges;

bool privileges_have(int capability)
{
	return capng_have_capability(CAPNG_EFFECTIVE, (unsigned)capability);
}

bool privileges_probe_libraries(bool by_perf)
{
	return !by_perf || privileges_have(CAP_SYS_ADMIN);
}

bool privileges_read_others(void)
{
	return privileges_have(CAP_SYS_PTRACE) && privileges_have(CAP_DAC_READ_SEARCH);
}

bool privileges_without_override(bool (*test)(void *context), void *context)
{
	bool passes;

	if (!privileges_have(CAP_DAC_OVERRIDE))
		return test(context);
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
	capng_apply(CAPNG_SELECT_CAPS);
	passes = test(context);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
	capng_apply(CAPNG_SELECT_CAPS);
	return passes;
}

int privileges_drop(const struct privileges_wanted *wanted)
{
	/* Found by leaving out each in turn: maps are read with CAP_BPF; uprobes take CAP_PERFMON, and by perf events
	 * CAP_SYS_ADMIN; /proc/PID/exe, maps and root of others CAP_SYS_PTRACE; what lies below root
	 * CAP_DAC_READ_SEARCH; /proc/PID/map_files, where a deleted library is found, CAP_CHECKPOINT_RESTORE. */
	const struct {
		int capability;
		bool keep;
	} each[] = {
	        {CAP_BPF, true},
	        {CAP_PERFMON, true},
	        {CAP_SYS_PTRACE, true},
	        {CAP_DAC_READ_SEARCH, true},
	        {CAP_CHECKPOINT_RESTORE, wanted->attach},
	        {CAP_SYS_ADMIN, wanted->attach && wanted->perf},
	        {CAP_KILL, wanted->signal},
	        {CAP_DAC_OVERRIDE, wanted->create},
	        {CAP_CHOWN, wanted->create && wanted->chown},
	};
	bool had[sizeof each / sizeof *each], bounded;

	if (capng_get_caps_process() != 0)
		return -EINVAL;
	bounded = privileges_have(CAP_SETPCAP);
	for (size_t i = 0; i < sizeof each / sizeof *each; i++)
		had[i] = privileges_have(each[i].capability);
	capng_clear(bounded ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	for (size_t i = 0; i < sizeof each / sizeof *each; i++)
		if (each[i].keep && had[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)each[i].capability);
	if (capng_apply(bounded ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) != 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	/* The leak checker has to trace us. */
	if (!SANDBOX_SANITIZED && prctl(PR_SET_DUMPABLE, 0) != 0)
		return -errno;
	return 0;
}
