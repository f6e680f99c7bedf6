/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A perf event for each probe is what every kernel has. From Linux 6.6 on a probe can be a link of its own, of the kind
 * uprobe_multi, which is better in two ways. It takes CAP_BPF and CAP_PERFMON, where a perf event on a uprobe takes
 * CAP_SYS_ADMIN. And its end is cheap: the kernel frees a uprobe after a grace period of some 100 ms, which perf events
 * wait for one after the other under one lock (perf_uprobe_destroy(), kernel/events/core.c and
 * kernel/trace/trace_event_perf.c), so that fifty probes end after five seconds; links that are closed by threads of
 * their own wait for the same one.
 *
 * Since 6.0 the programs may sleep (BPF_F_SLEEPABLE), and so wait for memory that the probed program has not touched yet;
 * no type tells of that, so 6.6 stands for both.
 *
 * A program is loaded for one of the two: a uprobe_multi's must say so. So what the kernel knows is asked of its BTF
 * before. The system call is made here, since neither the libbpf nor the kernel headers of Debian 12 know of it.
 */
#include "record/uprobes.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

enum { /* include/uapi/linux/bpf.h, Linux 6.6 */
	LINK_CREATE = 28,
	ATTACH_TRACE_UPROBE_MULTI = 48,
	UPROBE_MULTI_RETURN = 1,
};

struct link_create_uprobe_multi { /* union bpf_attr: link_create */
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t link_flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t cnt;
	uint32_t flags;
	uint32_t pid;
	uint32_t pad;
};

static bool kernel_has_multi(const struct btf *kernel)
{
	return kernel && btf__find_by_name_kind(kernel, "bpf_uprobe_multi_link", BTF_KIND_STRUCT) > 0;
}

static bool perf_is_asked(void)
{
	const char *asked = getenv("FDTAPE_UPROBES");

	return asked && strcmp(asked, "perf") == 0;
}

bool uprobes_have_multi(void)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	bool have = kernel_has_multi(kernel) && !perf_is_asked();

	btf__free(kernel);
	return have;
}

void uprobes_open(struct uprobes *u, struct bpf_object *object, const struct btf *kernel)
{
	struct bpf_program *program;

	*u = (struct uprobes){.sleepable = kernel_has_multi(kernel)};
	u->multi = u->sleepable && !perf_is_asked();
	if (!u->sleepable)
		return;
	bpf_object__for_each_program(program, object)
	{
		if (bpf_program__type(program) != BPF_PROG_TYPE_KPROBE)
			continue;
		bpf_program__set_flags(program, bpf_program__flags(program) | BPF_F_SLEEPABLE);
		if (u->multi)
			bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)ATTACH_TRACE_UPROBE_MULTI);
	}
}

static int attach_multi(struct uprobe_link *to, const struct bpf_program *program, bool at_return, const char *path,
                        uint64_t offset)
{
	struct link_create_uprobe_multi attr = {
	        .prog_fd = (uint32_t)bpf_program__fd(program),
	        .attach_type = ATTACH_TRACE_UPROBE_MULTI,
	        .path = (uintptr_t)path,
	        .offsets = (uintptr_t)&offset,
	        .cnt = 1,
	        .flags = at_return ? UPROBE_MULTI_RETURN : 0,
	};
	long fd = syscall(SYS_bpf, LINK_CREATE, &attr, sizeof attr);

	to->fd = (int)fd;
	return fd < 0 ? -errno : 0;
}

static int attach_perf(struct uprobe_link *to, const struct bpf_program *program, bool at_return, const char *path,
                       uint64_t offset)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .retprobe = at_return);

	to->link = bpf_program__attach_uprobe_opts(program, -1, path, offset, &options);
	return to->link ? 0 : -errno;
}

int uprobes_attach(struct uprobes *u, const struct bpf_program *program, bool at_return, const char *path,
                   uint64_t offset)
{
	struct uprobe_link *links = realloc(u->links, (u->n + 1) * sizeof *links);
	int error;

	if (!links)
		return -ENOMEM;
	u->links = links;
	links[u->n] = (struct uprobe_link){.fd = -1};
	error = (u->multi ? attach_multi : attach_perf)(&links[u->n], program, at_return, path, offset);
	u->n += !error;
	return error;
}

struct closing {
	struct uprobe_link *links;
	size_t n;
	atomic_size_t next;
};

static void *close_links(void *context)
{
	struct closing *c = context;
	size_t i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->n) {
		if (c->links[i].link)
			bpf_link__destroy(c->links[i].link);
		else
			close(c->links[i].fd);
	}
	return NULL;
}

void uprobes_close(struct uprobes *u)
{
	struct closing c = {.links = u->links, .n = u->n};
	pthread_t threads[63];
	size_t n = 0;

	while (n < sizeof threads / sizeof *threads && n + 1 < c.n &&
	       pthread_create(&threads[n], NULL, close_links, &c) == 0)
		n++;
	close_links(&c);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	free(u->links);
	u->links = NULL;
	u->n = 0;
}
