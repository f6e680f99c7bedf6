/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef UPROBES_H
#define UPROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf.h>

/*
 * Probes of places in files, by the best means that the kernel has. Functions return 0 or -errno.
 */
struct uprobes {
	bool multi;     /* by links of the kind uprobe_multi (Linux 6.6), else by perf events */
	bool sleepable; /* the programs may sleep */
	struct uprobe_link {
		struct bpf_link *link; /* of a perf event */
		int fd;                /* of a uprobe_multi */
	} * links;
	size_t n;
};

/* Whether this kernel has the links; FDTAPE_UPROBES=perf in the environment takes it for one that has not. */
bool uprobes_have_multi(void);

/* Readies the object's programs for what the kernel, by its BTF (NULL: none), has: before they are loaded. */
void uprobes_open(struct uprobes *u, struct bpf_object *object, const struct btf *kernel);

/* `offset` is that in the file, as symbols_find() tells. The program sees every process. */
int uprobes_attach(struct uprobes *u, const struct bpf_program *program, bool at_return, const char *path,
                   uint64_t offset);

/* Ends them all. */
void uprobes_close(struct uprobes *u);

#endif
