/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each line: "ok" or "no", a name without blanks, and what there is to say; where something is missing, behind a
 * semicolon what to do about it. The last line is of the recording as a whole.
 */
#include "record/check.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.h"
#include "record/cgroup.h"
#include "record/libraries.h"
#include "record/privileges.h"
#include "record/probes.h"
#include "record/uprobes.h"
#include "record/symbols.h"

#define FIRST_PID_NAMESPACE 0xeffffffcu /* include/linux/proc_ns.h, PROC_PID_INIT_INO */
#define BTF                 "/sys/kernel/btf/vmlinux"
#define LIBRARIES           32

struct check {
	const struct options *options;
	int major, minor; /* of the kernel */
	bool multi;       /* it has uprobe_multi (record/uprobes.h) */
	char missing[512];
	struct {
		dev_t device;
		ino_t inode;
	} libraries[LIBRARIES];
	size_t n_libraries, n_with_tls;
};

static void missing(struct check *c, const char *name)
{
	size_t len = strlen(c->missing);

	snprintf(c->missing + len, sizeof c->missing - len, "%s%s", len ? ", " : "", name);
}

__attribute__((format(printf, 3, 4))) static bool line(bool ok, const char *name, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	printf("%s  %-22s ", ok ? "ok" : "no", name);
	cli_put_string(stdout, text);
	putchar('\n');
	return ok;
}

/* The first line of a small file; "" if it can't be read. */
static const char *first_line(const char *path, char text[static 128])
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(text, 128, file))
		*text = 0;
	text[strcspn(text, "\n")] = 0;
	if (file)
		fclose(file);
	return text;
}

static bool kernel_has(const struct check *c, int major, int minor)
{
	return c->major > major || (c->major == major && c->minor >= minor);
}

/* ---- the kernel ------------------------------------------------------------------------------------------------- */

static void check_kernel(struct check *c)
{
	struct utsname host;

	uname(&host);
	sscanf(host.release, "%d.%d", &c->major, &c->minor);
	if (!line(kernel_has(c, 5, 8), "kernel", "%s %s on %s%s", host.sysname, host.release, host.machine,
	          kernel_has(c, 5, 8) ? "" : "; a ring buffer for probes needs 5.8"))
		missing(c, "kernel");
	if (access(BTF, R_OK) == 0)
		line(true, "btf", BTF ": the probes find the kernel's fields");
	else if (!line(false, "btf", BTF ": %s; boot a kernel with CONFIG_DEBUG_INFO_BTF=y", strerror(errno)))
		missing(c, "btf");
}

static void check_lockdown(struct check *c)
{
	char modes[128];

	first_line("/sys/kernel/security/lockdown", modes);
	if (strstr(modes, "[confidentiality]")) {
		line(false, "lockdown", "%s: the kernel's memory may not be read; boot with lockdown=integrity", modes);
		missing(c, "lockdown");
	} else {
		line(true, "lockdown", "%s", *modes ? modes : "none that can be seen");
	}
}

static void check_tracefs(void)
{
	bool mounted = access("/sys/kernel/tracing/events", F_OK) == 0 ||
	               access("/sys/kernel/debug/tracing/events", F_OK) == 0;

	line(true, "tracefs", "%s, and not needed", mounted ? "mounted" : "not mounted");
}

static void check_memlock(struct check *c)
{
	struct rlimit limit = {.rlim_cur = 0};
	bool counts = !kernel_has(c, 5, 11);

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (!counts)
		line(true, "memlock", "RLIMIT_MEMLOCK does not count for probes since 5.11");
	else if (privileges_have(CAP_SYS_RESOURCE) || limit.rlim_max == RLIM_INFINITY)
		line(true, "memlock", "RLIMIT_MEMLOCK can be raised");
	else if (!line(false, "memlock",
	               "RLIMIT_MEMLOCK is %llu bytes, and before 5.11 holds the buffer; ulimit -l unlimited",
	               (unsigned long long)limit.rlim_cur))
		missing(c, "memlock");
}

static void check_io_uring(void)
{
	char value[128];

	first_line("/proc/sys/kernel/io_uring_disabled", value);
	line(true, "io_uring", "%s",
	     strcmp(value, "2") == 0   ? "switched off for everybody"
	     : strcmp(value, "1") == 0 ? "for privileged programs only"
	                               : "programs may use it");
}

/* ---- privileges ------------------------------------------------------------------------------------------------- */

static void check_privileges(struct check *c)
{
	/* Before 5.8 (and in what is built for it) one stood for all. */
	bool admin = privileges_have(CAP_SYS_ADMIN), bpf = admin || privileges_have(CAP_BPF);
	bool perfmon = admin || privileges_have(CAP_PERFMON);
	char disabled[128];

	for (size_t i = 0; i < n_privileges; i++) {
		const struct privilege *p = &privileges[i];
		bool have = privileges_have(p->number), old = p->number == CAP_SYS_RESOURCE
		                                                      ? kernel_has(c, 5, 11)
		                                                      : p->number == CAP_SYS_ADMIN && c->multi;

		line(have || old, p->name, "%s: %s%s", p->use, have ? "held" : "not held",
		     have  ? ""
		     : old ? ", and not needed"
		           : "; run as root, or give it by setcap(8), systemd's AmbientCapabilities=");
	}
	first_line("/proc/sys/kernel/unprivileged_bpf_disabled", disabled);
	if (!line(bpf && perfmon, "bpf",
	          bpf && perfmon ? "allowed by these capabilities (unprivileged_bpf_disabled is %s)"
	                         : "not allowed (unprivileged_bpf_disabled is %s); CAP_BPF and CAP_PERFMON are needed",
	          *disabled ? disabled : "not there"))
		missing(c, "bpf");
}

static void check_uprobes(struct check *c)
{
	bool may = privileges_probe_libraries(!c->multi);
	bool has = c->multi || access("/sys/bus/event_source/devices/uprobe/type", R_OK) == 0;
	bool asked = c->options->tls_asked;

	if (!line(has && may, "uprobes", "%s",
	          !has       ? "the kernel has none: TLS keys and plaintext can't be had; boot one with "
	                       "CONFIG_UPROBE_EVENTS=y"
	          : !may     ? "not allowed: TLS keys and plaintext can't be had; CAP_SYS_ADMIN is needed"
	          : c->multi ? "TLS libraries can be probed, by uprobe_multi"
	                     : "TLS libraries can be probed, by perf events") &&
	    asked)
		missing(c, "uprobes");
}

/* ---- where we are ----------------------------------------------------------------------------------------------- */

static void check_namespaces(struct check *c)
{
	bool first = true;
	struct stat st;
	char mount[PATH_MAX];

	if (stat("/proc/self/ns/pid", &st) == 0)
		first = st.st_ino == FIRST_PID_NAMESPACE;
	if (!line(first, "pid_namespace", "%s",
	          first ? "the host's: pids are the kernel's"
	                : "a container's: the pids seen here are not the kernel's; run in the host's (docker run "
	                  "--pid=host), or choose by --uid, --cgroup, --port or -a") &&
	    !c->options->choice.all)
		missing(c, "pid_namespace");
	if (!cgroup_mount(mount))
		line(false, "cgroup2",
		     "not mounted: --cgroup and --container can't be used; mount -t cgroup2 none "
		     "/sys/fs/cgroup/unified");
	else if (!cgroup_from_root())
		line(false, "cgroup2",
		     "%s, seen from within a container: --cgroup and --container can't be used; docker run "
		     "--cgroupns=host",
		     mount);
	else
		line(true, "cgroup2", "%s: folders of %zu containers", mount, cgroup_containers());
}

/* ---- libraries -------------------------------------------------------------------------------------------------- */

static void check_library(void *context, const char *path, const char *seen)
{
	struct check *c = context;
	size_t n, len = 0;
	const char *const *names = probes_functions(&n);
	char found[512] = "";
	uint64_t *offsets;
	struct stat st;

	if (stat(path, &st) != 0 || c->n_libraries == LIBRARIES)
		return;
	for (size_t i = 0; i < c->n_libraries; i++)
		if (c->libraries[i].device == st.st_dev && c->libraries[i].inode == st.st_ino)
			return;
	c->libraries[c->n_libraries].device = st.st_dev;
	c->libraries[c->n_libraries++].inode = st.st_ino;
	offsets = calloc(n, sizeof *offsets);
	if (!offsets || symbols_find(path, names, n, offsets) < 0) {
		free(offsets);
		return;
	}
	for (size_t i = 0; i < n && len < sizeof found; i++)
		if (offsets[i])
			len += (size_t)snprintf(found + len, sizeof found - len, "%s%s", len ? ", " : "", names[i]);
	free(offsets);
	c->n_with_tls += len > 0;
	line(len > 0, "tls_library", "%s: %s", seen, len ? found : "none of the functions that are probed");
}

static void check_libraries(struct check *c)
{
	libraries_of_system(check_library, c);
	if (!c->n_libraries)
		line(false, "tls_library",
		     "none in this system's folders; programs and containers that bring their own are "
		     "found when they are recorded");
}

/* ---- the probes ------------------------------------------------------------------------------------------------- */

static void tell_capability(void *context, const struct probes_capability *capability)
{
	(void)context;
	line(capability->ok, capability->name, "%s%s%s", capability->why, *capability->remedy ? "; " : "",
	     capability->remedy);
}

int check_system(const struct options *options)
{
	struct check c = {.options = options, .multi = uprobes_have_multi()};

	check_kernel(&c);
	check_lockdown(&c);
	check_privileges(&c);
	check_uprobes(&c);
	check_memlock(&c);
	check_tracefs();
	check_namespaces(&c);
	check_io_uring();
	check_libraries(&c);
	if (probes_check(tell_capability, NULL) != 0)
		missing(&c, "probes");
	if (*c.missing)
		line(false, "recording", "not possible: see %s above", c.missing);
	else
		line(true, "recording", "possible%s",
		     options->tls != TLS_OFF && !privileges_probe_libraries(!c.multi)
		             ? ", without TLS keys and plaintext"
		             : "");
	return *c.missing ? CLI_DIFFERS : CLI_DONE;
}
