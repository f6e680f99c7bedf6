/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <seccomp.h>

/* By what they are for. The C library chooses among several of one kind; names that an architecture does not have are
 * passed over. */
static const char *const allowed[] = {
        /* files: /proc, libraries, tapes */
        "open",
        "openat",
        "close",
        "read",
        "readv",
        "pread64",
        "write",
        "writev",
        "pwrite64",
        "lseek",
        "_llseek",
        "stat",
        "stat64",
        "lstat",
        "lstat64",
        "fstat",
        "fstat64",
        "fstatat64",
        "newfstatat",
        "statx",
        "statfs",
        "fstatfs",
        "access",
        "faccessat",
        "faccessat2",
        "readlink",
        "readlinkat",
        "getdents",
        "getdents64",
        "ftruncate",
        "ftruncate64",
        "fchmod",
        "fchown",
        "fchown32",
        "unlink",
        "unlinkat",
        "fsync",
        "fdatasync",
        "fcntl",
        "fcntl64",
        "fadvise64",
        "sync_file_range",
        "sync_file_range2",
        "getcwd",
        "umask",
        "dup",
        "ioctl",
        /* memory */
        "brk",
        "munmap",
        "mremap",
        "madvise",
        /* probes */
        "bpf",
        "perf_event_open",
        "epoll_create1",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        /* time and waiting */
        "clock_gettime",
        "clock_gettime64",
        "clock_getres",
        "gettimeofday",
        "time",
        "nanosleep",
        "clock_nanosleep",
        "clock_nanosleep_time64",
        "poll",
        "ppoll",
        "ppoll_time64",
        "restart_syscall",
        "wait4",
        "waitid",
        "waitpid",
        /* signals */
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "sigreturn",
        "sigaltstack",
        "kill",
        "tgkill",
        /* threads and the program itself */
        "futex",
        "futex_time64",
        "set_robust_list",
        "rseq",
        "set_tid_address",
        "exit",
        "exit_group",
        "sched_yield",
        "sched_getaffinity",
        "setpriority",
        "getpriority",
        "getpid",
        "gettid",
        "getppid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getuid32",
        "geteuid32",
        "getgid32",
        "getegid32",
        "getrandom",
        "getrlimit",
        "prlimit64",
        "uname",
        "sysinfo",
        "membarrier",
        "arch_prctl",
        "prctl",
#if SANDBOX_SANITIZED
        /* the leak checker, which is a process of its own and traces ours */
        "ptrace",
        "clone",
        "mmap",
        "mprotect",
        "setrlimit",
#endif
};

/* Nobody falls back on these. */
static const char *const fatal_names[] = {
        "execve",       "execveat",      "ptrace",     "process_vm_readv", "process_vm_writev",
        "mount",        "umount2",       "pivot_root", "chroot",           "init_module",
        "finit_module", "delete_module", "kexec_load", "kexec_file_load",  "reboot",
        "setuid",       "setgid",        "setresuid",  "setresgid",        "capset",
        "unshare",      "setns",         "socket",     "connect",
};
#define N_FATAL (sizeof fatal_names / sizeof *fatal_names)

static int fatal[N_FATAL];
static int end_status;

/* ---- what was refused ------------------------------------------------------------------------------------------- */

static size_t add_text(char *to, size_t len, const char *text)
{
	size_t n = strlen(text);

	memcpy(to + len, text, n);
	return len + n;
}

/* Within a signal handler: nothing of stdio. */
static void tell(int call, const char *name, bool ends)
{
	char line[256], digits[12];
	size_t len = 0, d = sizeof digits - 1;
	unsigned n = (unsigned)call;
	ssize_t ignored;

	digits[d] = 0;
	do
		digits[--d] = (char)('0' + n % 10);
	while (n /= 10);
	len = add_text(line, len, "fdtape-record: system call ");
	len = add_text(line, len, digits + d);
	if (name) {
		len = add_text(line, len, " (");
		len = add_text(line, len, name);
		len = add_text(line, len, ")");
	}
	len = add_text(line, len, " is none that a recorder makes: ");
	len = add_text(line, len,
	               ends ? "ended; what was written before is sound; please report it\n"
	                    : "refused, and recording goes on; please report it\n");
	ignored = write(STDERR_FILENO, line, len);
	(void)ignored;
}

static void refuse(ucontext_t *context)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__i386__)
	context->uc_mcontext.gregs[REG_EAX] = -ENOSYS;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long long)-ENOSYS;
#elif defined(__arm__)
	context->uc_mcontext.arm_r0 = (unsigned long)-ENOSYS;
#else
	(void)context; /* the call's number is its result: who looks for a negative one finds none */
#endif
}

static void on_refused(int signal, siginfo_t *info, void *context)
{
	static volatile unsigned char told[1024];
	int call = info->si_syscall, saved = errno;

	(void)signal;
	for (size_t i = 0; i < N_FATAL; i++) {
		if (fatal[i] == call) {
			tell(call, fatal_names[i], true);
			_exit(end_status);
		}
	}
	if (call < 0 || call >= (int)sizeof told || !told[call]) {
		if (call >= 0 && call < (int)sizeof told)
			told[call] = 1;
		tell(call, NULL, false);
	}
	refuse(context);
	errno = saved;
}

/* ---- the filter ------------------------------------------------------------------------------------------------- */

static int allow(scmp_filter_ctx filter, const char *name)
{
	int call = seccomp_syscall_resolve_name(name), error;

	if (call == __NR_SCMP_ERROR)
		return 0; /* a call that this libseccomp has not heard of */
	error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
	return error == -EEXIST || error == -EDOM ? 0 : error;
}

/* No memory that can be run. */
static int allow_memory(scmp_filter_ctx filter, const char *name)
{
	int call = seccomp_syscall_resolve_name(name), error;

	error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return error == -EEXIST || error == -EDOM ? 0 : error;
}

/* Threads of ours, and no processes. The flags of clone3() are out of a filter's sight; without it the C library takes
 * clone(). It asks with all signals blocked, so that this refusal can't be the handler's. */
static int allow_threads(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	                             SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));

	if (!error || error == -EEXIST)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return error == -EEXIST ? 0 : error;
}

static int build(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !error; i++)
		error = allow(filter, allowed[i]);
	if (!error)
		error = allow_memory(filter, "mmap");
	if (!error)
		error = allow_memory(filter, "mmap2");
	if (!error)
		error = allow_memory(filter, "mprotect");
	if (!error)
		error = allow_threads(filter);
	return error;
}

int sandbox_enter(int status)
{
	struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
	scmp_filter_ctx filter;
	int error;

	end_status = status;
	for (size_t i = 0; i < N_FATAL; i++)
		fatal[i] = seccomp_syscall_resolve_name(fatal_names[i]);
	if (sigaction(SIGSYS, &action, NULL) != 0)
		return -errno;
	filter = seccomp_init(SCMP_ACT_TRAP);
	if (!filter)
		return -ENOMEM;
	error = build(filter);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
