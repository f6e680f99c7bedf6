/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PROBES_H
#define PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/probe_abi.h"
#include "record/selection.h"

/*
 * The probes: loaded, attached, drained. Everything that speaks to libbpf is in probes.c.
 * Functions return 0 or -errno; probes_message() says in words what went wrong.
 */
struct probes;

struct probes_options {
	const struct choice *choice;
	bool keys;          /* TLS secrets */
	bool calls;         /* TLS library calls */
	bool files;         /* calls on files and pipes as well */
	bool files_payload; /* with what they carry */
	bool lean;          /* no durations, no calls that only returned EAGAIN */
	size_t ring;        /* bytes, a power of two */
	uint64_t payload;   /* bytes kept of each call's payload; UINT64_MAX: all */
};

/* Loads and attaches everything that belongs to no file. *probes must be freed whatever is returned. */
int probes_open(struct probes **probes, const struct probes_options *options);

/* Attaches to the TLS functions that the file defines, if it does and if that was not done yet. Files without any
 * are no error. The number of functions that were probed now, or -errno. *n_probed: of all that are probed in the file;
 * -1: it has some, and they can't be probed. */
int probes_attach_file(struct probes *probes, const char *path, int *n_probed);

/* The same for a file that was named: it must be an ELF file, and have such functions. `symbols`: a file that says where
 * they are (record/symbols.h); NULL: none. */
int probes_attach_given(struct probes *probes, const char *path, const char *symbols);

/* Chooses a process (its children too, from now on). */
int probes_choose(struct probes *probes, pid_t pid);

/* Makes a process one that is asked about, though it is not of the image that is asked for: it, or its children, may
 * become so by exec. */
int probes_follow(struct probes *probes, pid_t pid);

/* The names of all functions that are looked for in libraries. */
const char *const *probes_functions(size_t *n);

/* What this kernel allows of BPF, one at a time. 0: what every recording needs is there; -ENOTSUP: it is not. */
struct probes_capability {
	const char *name;
	bool ok;
	char why[160];
	char remedy[200];
};
int probes_check(void (*tell)(void *context, const struct probes_capability *capability), void *context);

/* What is attached, for the tape: "tp_btf sys_enter, sys_exit, uprobe_multi". */
const char *probes_attachment(const struct probes *probes);

/* Whether files are probed by perf events (record/uprobes.h). */
bool probes_by_perf(const struct probes *probes);

/* No more calls are seen: what is drained behind this is the last of them, and the counts of the flows stay as they are. */
void probes_stop(struct probes *probes);

/* Hands every record that is in the ring to take(), in order; `size` is the whole record's. The number of records, or
 * -errno, or what take() returned if that was negative. */
typedef int probes_take(void *context, const void *record, size_t size);
int probes_drain(struct probes *probes, probes_take *take, void *context);

/* An fd that is readable when something in the ring should not wait; draining settles it. */
int probes_urgent(const struct probes *probes);

/* Sums over the CPUs. */
int probes_stats(struct probes *probes, struct probe_stats *stats);

/* What the probes know of an fd's flow now; false: nothing. */
bool probes_fd(struct probes *probes, uint32_t tgid, int32_t fd, struct probe_flow_state *state);
/* Makes room, if the fd is that flow still. */
void probes_forget_fd(struct probes *probes, uint32_t tgid, int32_t fd, uint64_t flow);

/* Hands over, once each, the flows that ended without being told of. */
void probes_take_unsettled(struct probes *probes, void (*take)(void *context, const struct probe_flow_state *state),
                           void *context);

/* The calls that have not returned yet. */
void probes_inflight(struct probes *probes,
                     void (*found)(void *context, uint32_t tid, const struct probe_inflight *call,
                                   const struct probe_syscall *how),
                     void *context);

const char *probes_message(const struct probes *probes);
/* What libbpf and the kernel's verifier said in full (its end, if it was long); "" if they were silent. */
const char *probes_log(void);
void probes_free(struct probes *probes);

#endif
