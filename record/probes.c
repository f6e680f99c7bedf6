/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/probes.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fdtape/types.h>

#include "bpf/fdtape.skel.h"
#include "map.h"
#include "record/returns.h"
#include "record/symbols.h"
#include "record/uprobes.h"
#include "record/wrapped.h"

/* The system calls that are recorded, and how their arguments are read. arm64 has but the newer ones. */
struct recorded {
	long nr;
	struct probe_syscall how;
};

static const struct recorded recorded[] = {
        {SYS_read, {FDTAPE_CALL_READ, PROBE_SHAPE_BUF, FDTAPE_IN}},
        {SYS_write, {FDTAPE_CALL_WRITE, PROBE_SHAPE_BUF, FDTAPE_OUT}},
        {SYS_pread64, {FDTAPE_CALL_PREAD64, PROBE_SHAPE_PBUF, FDTAPE_IN}},
        {SYS_pwrite64, {FDTAPE_CALL_PWRITE64, PROBE_SHAPE_PBUF, FDTAPE_OUT}},
        {SYS_readv, {FDTAPE_CALL_READV, PROBE_SHAPE_IOV, FDTAPE_IN}},
        {SYS_writev, {FDTAPE_CALL_WRITEV, PROBE_SHAPE_IOV, FDTAPE_OUT}},
        {SYS_preadv, {FDTAPE_CALL_PREADV, PROBE_SHAPE_PIOV, FDTAPE_IN}},
        {SYS_pwritev, {FDTAPE_CALL_PWRITEV, PROBE_SHAPE_PIOV, FDTAPE_OUT}},
        {SYS_preadv2, {FDTAPE_CALL_PREADV2, PROBE_SHAPE_PIOV, FDTAPE_IN}},
        {SYS_pwritev2, {FDTAPE_CALL_PWRITEV2, PROBE_SHAPE_PIOV, FDTAPE_OUT}},
        {SYS_recvfrom, {FDTAPE_CALL_RECVFROM, PROBE_SHAPE_SOCKBUF, FDTAPE_IN}},
        {SYS_sendto, {FDTAPE_CALL_SENDTO, PROBE_SHAPE_SOCKBUF, FDTAPE_OUT}},
        {SYS_recvmsg, {FDTAPE_CALL_RECVMSG, PROBE_SHAPE_MSG, FDTAPE_IN}},
        {SYS_sendmsg, {FDTAPE_CALL_SENDMSG, PROBE_SHAPE_MSG, FDTAPE_OUT}},
        {SYS_recvmmsg, {FDTAPE_CALL_RECVMMSG, PROBE_SHAPE_MMSG, FDTAPE_IN}},
        {SYS_sendmmsg, {FDTAPE_CALL_SENDMMSG, PROBE_SHAPE_MMSG, FDTAPE_OUT}},
        {SYS_sendfile, {FDTAPE_CALL_SENDFILE, PROBE_SHAPE_SENDFILE, FDTAPE_OUT}},
        {SYS_splice, {FDTAPE_CALL_SPLICE, PROBE_SHAPE_SPLICE, FDTAPE_OUT}},
        {SYS_tee, {FDTAPE_CALL_TEE, PROBE_SHAPE_TEE, FDTAPE_OUT}},
        {SYS_vmsplice, {FDTAPE_CALL_VMSPLICE, PROBE_SHAPE_VMSPLICE, FDTAPE_OUT}},
        {SYS_copy_file_range, {FDTAPE_CALL_COPY_FILE_RANGE, PROBE_SHAPE_SPLICE, FDTAPE_OUT}},
        {SYS_socket, {FDTAPE_CALL_SOCKET, PROBE_SHAPE_SOCKET, FDTAPE_IN}},
        {SYS_socketpair, {FDTAPE_CALL_SOCKETPAIR, PROBE_SHAPE_PAIR, FDTAPE_IN}},
        {SYS_connect, {FDTAPE_CALL_CONNECT, PROBE_SHAPE_CONNECT, FDTAPE_IN}},
        {SYS_accept, {FDTAPE_CALL_ACCEPT, PROBE_SHAPE_ACCEPT, FDTAPE_IN}},
        {SYS_accept4, {FDTAPE_CALL_ACCEPT4, PROBE_SHAPE_ACCEPT, FDTAPE_IN}},
        {SYS_bind, {FDTAPE_CALL_BIND, PROBE_SHAPE_BIND, FDTAPE_IN}},
        {SYS_listen, {FDTAPE_CALL_LISTEN, PROBE_SHAPE_LISTEN, FDTAPE_IN}},
        {SYS_shutdown, {FDTAPE_CALL_SHUTDOWN, PROBE_SHAPE_SHUTDOWN, FDTAPE_IN}},
        {SYS_setsockopt, {FDTAPE_CALL_SETSOCKOPT, PROBE_SHAPE_SETSOCKOPT, FDTAPE_IN}},
        {SYS_getsockopt, {FDTAPE_CALL_GETSOCKOPT, PROBE_SHAPE_GETSOCKOPT, FDTAPE_IN}},
        {SYS_dup, {FDTAPE_CALL_DUP, PROBE_SHAPE_DUP, FDTAPE_IN}},
        {SYS_dup3, {FDTAPE_CALL_DUP3, PROBE_SHAPE_DUP2, FDTAPE_OUT}},
        {SYS_fcntl, {FDTAPE_CALL_FCNTL, PROBE_SHAPE_FCNTL, FDTAPE_IN}},
        {SYS_close, {FDTAPE_CALL_CLOSE, PROBE_SHAPE_CLOSE, FDTAPE_IN}},
        {SYS_close_range, {FDTAPE_CALL_CLOSE_RANGE, PROBE_SHAPE_CLOSE_RANGE, FDTAPE_IN}},
#ifdef SYS_dup2
        {SYS_dup2, {FDTAPE_CALL_DUP2, PROBE_SHAPE_DUP2, FDTAPE_IN}},
#endif
};

/* Those that matter for files and pipes alone. */
static const struct recorded recorded_of_files[] = {
        {SYS_openat, {FDTAPE_CALL_OPENAT, PROBE_SHAPE_OPENAT, FDTAPE_IN}},
        {SYS_pipe2, {FDTAPE_CALL_PIPE2, PROBE_SHAPE_PIPE, FDTAPE_OUT}},
#ifdef SYS_open
        {SYS_open, {FDTAPE_CALL_OPEN, PROBE_SHAPE_OPEN, FDTAPE_IN}},
        {SYS_creat, {FDTAPE_CALL_CREAT, PROBE_SHAPE_OPEN, FDTAPE_IN}},
        {SYS_pipe, {FDTAPE_CALL_PIPE, PROBE_SHAPE_PIPE, FDTAPE_IN}},
#endif
};

/* For TLS: it is no event. */
static const struct recorded mapping = {SYS_mmap, {FDTAPE_CALL_NONE, PROBE_SHAPE_MMAP, FDTAPE_IN}};

/* The functions that are probed, with the programs for their entry and return. Those that give secrets come first: they
 * must be in place before the first handshake of a program that has just mapped the library. */
struct function {
	const char *name;
	bool keys;           /* it gives secrets; otherwise plaintext */
	size_t enter, leave; /* offset of the program in the skeleton; 0: none */
	const char *unless;  /* not where the file has this one too, which tells the same */
};

#define PROGRAM(name) offsetof(struct fdtape, progs.name)
#define LEAVE         PROGRAM(library_return)
#define GO_LEAVE      PROGRAM(go_tls_return) /* at each RET: there are no return probes in Go (bpf/golang.h) */
static const struct function functions[] = {
        {"EVP_KDF_derive", true, PROGRAM(kdf_enter), PROGRAM(kdf_return), NULL},
        {"EVP_PKEY_CTX_ctrl", true, PROGRAM(pkey_ctrl_enter), 0, "EVP_KDF_derive"},
        {"EVP_PKEY_derive", true, PROGRAM(pkey_derive_enter), PROGRAM(pkey_derive_return), "EVP_KDF_derive"},
        {"nettle_hkdf_expand", true, PROGRAM(hkdf_enter), PROGRAM(hkdf_return), NULL},
        {"_gnutls_prf_raw", true, PROGRAM(prf_enter), 0, NULL},
        {"crypto/tls.(*Config).writeKeyLog", true, PROGRAM(go_key_log), 0, NULL},
        {"HKDF_expand", true, PROGRAM(boring_hkdf_enter), PROGRAM(boring_hkdf_return), NULL},
        {"CRYPTO_tls1_prf", true, PROGRAM(boring_prf_enter), 0, NULL},
        {"SSL_read", false, PROGRAM(ssl_read), LEAVE, NULL},
        {"SSL_read_ex", false, PROGRAM(ssl_read_ex), LEAVE, NULL},
        {"SSL_peek", false, PROGRAM(ssl_peek), LEAVE, NULL},
        {"SSL_peek_ex", false, PROGRAM(ssl_peek_ex), LEAVE, NULL},
        {"SSL_write", false, PROGRAM(ssl_write), LEAVE, NULL},
        {"SSL_write_ex", false, PROGRAM(ssl_write_ex), LEAVE, NULL},
        {"SSL_write_ex2", false, PROGRAM(ssl_write_ex2), LEAVE, NULL},
        {"SSL_sendfile", false, PROGRAM(ssl_sendfile), LEAVE, NULL},
        {"SSL_do_handshake", false, PROGRAM(ssl_do_handshake), LEAVE, NULL},
        {"SSL_connect", false, PROGRAM(ssl_connect), LEAVE, NULL},
        {"SSL_accept", false, PROGRAM(ssl_accept), LEAVE, NULL},
        {"SSL_set_fd", false, PROGRAM(ssl_set_fd), LEAVE, NULL},
        {"SSL_set_rfd", false, PROGRAM(ssl_set_rfd), LEAVE, NULL},
        {"SSL_set_wfd", false, PROGRAM(ssl_set_wfd), LEAVE, NULL},
        {"SSL_free", false, PROGRAM(library_free), 0, NULL},
        {"gnutls_record_recv", false, PROGRAM(gnutls_recv), LEAVE, NULL},
        {"gnutls_record_recv_seq", false, PROGRAM(gnutls_recv_seq), LEAVE, NULL},
        {"gnutls_record_send", false, PROGRAM(gnutls_send), LEAVE, NULL},
        {"gnutls_record_send2", false, PROGRAM(gnutls_send2), LEAVE, NULL},
        {"gnutls_handshake", false, PROGRAM(gnutls_handshake), LEAVE, NULL},
        {"gnutls_deinit", false, PROGRAM(library_free), 0, NULL},
        {"PR_Read", false, PROGRAM(pr_read), LEAVE, NULL},
        {"PR_Write", false, PROGRAM(pr_write), LEAVE, NULL},
        {"PR_Recv", false, PROGRAM(pr_recv), LEAVE, NULL},
        {"PR_Send", false, PROGRAM(pr_send), LEAVE, NULL},
        {"PR_Close", false, PROGRAM(library_free), 0, NULL},
        {"crypto/tls.(*Conn).Read", false, PROGRAM(go_tls_read), GO_LEAVE, NULL},
        {"crypto/tls.(*Conn).Write", false, PROGRAM(go_tls_write), GO_LEAVE, NULL},
        {"crypto/tls.(*Conn).Close", false, PROGRAM(go_tls_close), 0, NULL},
};
#define N_FUNCTIONS (sizeof functions / sizeof *functions)

/* A file that was looked at. One with probes stays what it is: they hold its inode. One without is looked at again
 * when it has changed, or when its inode is another file's. */
struct file_id {
	dev_t device;
	ino_t inode;
	bool probed;
	int n_probed; /* functions; -1: they can't be */
	off_t size;
	struct timespec modified;
};

struct probes {
	struct fdtape *object;
	struct ring_buffer *ring;
	uint8_t *chosen; /* the map's bytes, by pid */
	int urgent;      /* epoll: readable when the ring holds what can't wait */
	probes_take *take;
	void *take_context;
	bool keys, calls;
	bool uring; /* io_uring's requests are seen */
	char attachment[64];
	struct probe_syscall how[PROBE_SYSCALLS_MAX];
	struct uprobes uprobes; /* of files */
	struct file_id *files;
	size_t n_files;
	char message[512];
};

/* ---- libbpf's own words ----------------------------------------------------------------------------------------- */

/* libbpf tells what the verifier said through a callback without a context, so this one buffer is global. */
static char kept[3072];
static size_t kept_len;

__attribute__((format(printf, 2, 0))) static int keep_log(enum libbpf_print_level level, const char *format,
                                                          va_list args)
{
	size_t n, from, keep;
	char *text;
	int len;

	if (level > LIBBPF_WARN || (len = vasprintf(&text, format, args)) < 0)
		return 0;
	/* The end is what matters: a log can have megabytes. */
	n = (size_t)len;
	from = n < sizeof kept ? 0 : n - (sizeof kept - 1);
	n -= from;
	keep = kept_len + n < sizeof kept ? kept_len : sizeof kept - 1 - n;
	memmove(kept, kept + kept_len - keep, keep);
	memcpy(kept + keep, text + from, n);
	kept_len = keep + n;
	kept[kept_len] = 0;
	free(text);
	return 0;
}

const char *probes_log(void)
{
	return kept;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int fail(struct probes *p, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->message, sizeof p->message, format, args);
	va_end(args);
	return error < 0 ? error : -EINVAL;
}

static int on_record(void *context, void *record, size_t size)
{
	struct probes *p = context;

	return p->take(p->take_context, record, size);
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

/* The character at *at, or those of a set, as bits; moves *at behind it. */
static void take_set(const char **at, __u64 set[4])
{
	const char *p = *at;
	bool not = false, first = true;

	if (*p == '?') {
		memset(set, 0xff, 4 * sizeof *set);
		*at = p + 1;
		return;
	}
	if (*p != '[' || !strchr(p + 1, ']')) {
		set[(uint8_t)*p >> 6] |= 1ull << (*p & 63);
		*at = p + 1;
		return;
	}
	p++;
	if (*p == '!' || *p == '^') {
		not = true;
		p++;
	}
	for (; *p && (*p != ']' || first); p++, first = false) {
		unsigned low = (uint8_t)*p, high = low;

		if (p[1] == '-' && p[2] && p[2] != ']') {
			high = (uint8_t)p[2];
			p += 2;
		}
		for (unsigned c = low; c <= high; c++)
			set[c >> 6] |= 1ull << (c & 63);
	}
	for (int i = 0; i < 4 && not ; i++)
		set[i] = ~set[i];
	*at = *p ? p + 1 : p;
}

static void translate_pattern(struct probe_pattern *to, const char *pattern)
{
	bool star = false;

	while (*pattern && to->n < PROBE_PATTERN_MAX) {
		if (*pattern == '*') {
			star = true;
			pattern++;
			continue;
		}
		to->star[to->n] = star;
		star = false;
		take_set(&pattern, to->set[to->n++]);
	}
	to->open_end = star;
}

static void translate_choice(struct probe_choice *to, const struct choice *from)
{
	to->need = (from->n_pids ? PROBE_CHOSEN_PID : 0) | (choice_asks_image(from) ? PROBE_CHOSEN_IMAGE : 0);
	to->follow = from->follow;
	to->n_exes = (uint32_t)from->n_exes;
	to->n_comms = (uint32_t)from->n_comms;
	to->n_uids = (uint32_t)from->n_uids;
	to->n_cgroups = (uint32_t)from->n_cgroups;
	to->n_ports = (uint32_t)from->n_ports;
	memcpy(to->uid, from->uid, sizeof to->uid);
	memcpy(to->port, from->port, sizeof to->port);
	for (size_t i = 0; i < from->n_cgroups; i++) {
		to->cgroup[i] = from->cgroup[i].id;
		to->cgroup_level[i] = from->cgroup[i].level;
	}
	for (size_t i = 0; i < from->n_comms; i++)
		memcpy(to->comm[i], from->comm[i], sizeof to->comm[i]);
	for (size_t i = 0; i < from->n_exes; i++)
		translate_pattern(&to->exe[i], from->exe[i]);
}

_Static_assert(CHOICE_EXES <= PROBE_EXES && CHOICE_COMMS <= PROBE_COMMS && CHOICE_PATTERN_MAX <= PROBE_PATTERN_MAX,
               "what can be asked for");
_Static_assert(CHOICE_UIDS == PROBE_UIDS && CHOICE_PORTS == PROBE_PORTS && CHOICE_CGROUPS <= PROBE_CGROUPS, "likewise");

/* ---- loading ---------------------------------------------------------------------------------------------------- */

static void record_calls(struct probes *p, const struct recorded *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		memcpy((void *)&p->object->rodata->syscalls[calls[i].nr], &calls[i].how, sizeof calls[i].how);
		p->how[calls[i].nr] = calls[i].how;
	}
}

/* The arguments that the kernel's tracepoint hands over, the context before them included; 0: there is none. */
static unsigned tracepoint_arguments(const struct btf *kernel, const char *name)
{
	char type_name[128];
	const struct btf_type *type;
	int id;

	snprintf(type_name, sizeof type_name, "btf_trace_%s", name);
	id = btf__find_by_name_kind(kernel, type_name, BTF_KIND_TYPEDEF);
	type = id > 0 ? btf__type_by_id(kernel, (uint32_t)id) : NULL;
	type = type ? btf__type_by_id(kernel, type->type) : NULL; /* a pointer to the function */
	type = type ? btf__type_by_id(kernel, type->type) : NULL;
	return type && btf_is_func_proto(type) ? btf_vlen(type) : 0;
}

/* Chooses the programs that this kernel's io_uring agrees with (bpf/io_uring.h). */
static void choose_uring(struct probes *p, const struct btf *kernel)
{
	unsigned complete, submit;

	complete = tracepoint_arguments(kernel, "io_uring_complete");
	submit = tracepoint_arguments(kernel, "io_uring_submit_sqe");
	if (tracepoint_arguments(kernel, "io_uring_submit_req") == 2) {
		bpf_program__set_autoload(p->object->progs.uring_submit_6_3, true);
	} else if (submit == 3) {
		bpf_program__set_autoload(p->object->progs.uring_submit_6_0, true);
	} else if (submit == 8 && complete == 5) {
		bpf_program__set_autoload(p->object->progs.uring_submit_5_15, true);
		bpf_program__set_autoload(p->object->progs.uring_file_5_15, true);
	} else {
		complete = 0;
	}
	bpf_program__set_autoload(p->object->progs.uring_complete_6_13, complete == 4);
	bpf_program__set_autoload(p->object->progs.uring_complete_6_0, complete == 8);
	bpf_program__set_autoload(p->object->progs.uring_complete_5_15, complete == 5);
	p->uring = complete != 0;
}

/* What there is in one kernel, and not in another. */
static void choose_means(struct probes *p)
{
	struct btf *kernel = btf__load_vmlinux_btf();

	bool typed = kernel && btf__find_by_name_kind(kernel, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0 &&
	             btf__find_by_name_kind(kernel, "epoll_filefd", BTF_KIND_STRUCT) > 0;

	bpf_program__set_autoload(p->object->progs.fdtape_sys_exit_typed, typed);
	bpf_program__set_autoload(p->object->progs.fdtape_sys_exit, !typed);
	if (kernel)
		choose_uring(p, kernel);
	uprobes_open(&p->uprobes, p->object->obj, kernel);
	p->object->rodata->sleepable = p->uprobes.sleepable;
	btf__free(kernel);
}

static int load(struct probes *p, const struct probes_options *options)
{
	struct probe_choice choice = {0};
	struct epoll_event event = {0};
	int error;

	p->object = fdtape__open();
	if (!p->object)
		return fail(p, -errno, "the probes can't be opened: %s", strerror(errno));
	translate_choice(&choice, options->choice);
	memcpy((void *)&p->object->rodata->choice, &choice, sizeof choice);
	p->object->rodata->own_tgid = (uint32_t)getpid();
	p->object->rodata->ring_size = options->ring;
	p->object->rodata->payload_max = options->payload;
	p->object->rodata->files = options->files_payload ? 2 : options->files ? 1 : 0;
	p->object->rodata->durations = !options->lean;
	p->object->rodata->skip_again = options->lean;
	record_calls(p, recorded, sizeof recorded / sizeof *recorded);
	if (options->files || options->files_payload)
		record_calls(p, recorded_of_files, sizeof recorded_of_files / sizeof *recorded_of_files);
	if (p->keys || p->calls)
		record_calls(p, &mapping, 1);
	choose_means(p);
	if (options->lean)
		bpf_program__set_autoload(p->object->progs.fdtape_sys_enter, false);
	bpf_map__set_max_entries(p->object->maps.ring, (uint32_t)options->ring);
	error = fdtape__load(p->object);
	if (error == -EPERM)
		return fail(p, error,
		            "the kernel refuses BPF to this user: %s; run as root, or with CAP_BPF and CAP_PERFMON",
		            strerror(-error));
	if (error)
		return fail(p, error, "the kernel does not accept the probes: %s", strerror(-error));
	error = fdtape__attach(p->object);
	if (error)
		return fail(p, error, "the probes can't be attached: %s", strerror(-error));
	snprintf(p->attachment, sizeof p->attachment, "tp_btf %ssys_exit%s", options->lean ? "" : "sys_enter, ",
	         !p->keys && !p->calls ? ""
	         : p->uprobes.multi    ? ", uprobe_multi"
	                               : ", perf uprobes");
	p->chosen =
	        mmap(NULL, PROBE_PID_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(p->object->maps.chosen), 0);
	if (p->chosen == MAP_FAILED) {
		p->chosen = NULL;
		return fail(p, -errno, "what is chosen can't be mapped: %s", strerror(errno));
	}
	p->ring = ring_buffer__new(bpf_map__fd(p->object->maps.ring), on_record, p, NULL);
	if (!p->ring)
		return fail(p, -errno, "the ring buffer can't be mapped: %s", strerror(errno));
	/* Edge-triggered: it is the wakeup that counts, and not that there is something in the ring. */
	event.events = EPOLLIN | EPOLLET;
	p->urgent = epoll_create1(EPOLL_CLOEXEC);
	if (p->urgent < 0 || epoll_ctl(p->urgent, EPOLL_CTL_ADD, bpf_map__fd(p->object->maps.ring), &event) != 0)
		return fail(p, -errno, "the ring buffer can't be waited for: %s", strerror(errno));
	return 0;
}

int probes_urgent(const struct probes *p)
{
	return p->urgent;
}

int probes_open(struct probes **probes, const struct probes_options *options)
{
	struct probes *p = calloc(1, sizeof *p);

	*probes = p;
	if (!p)
		return -ENOMEM;
	p->urgent = -1;
	p->keys = options->keys;
	p->calls = options->calls;
	libbpf_set_print(keep_log);
	return load(p, options);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static int attach_one(struct probes *p, size_t program, bool at_return, const char *path, uint64_t offset)
{
	struct bpf_program *prog;
	int error;

	memcpy(&prog, (const char *)p->object + program, sizeof prog);
	error = uprobes_attach(&p->uprobes, prog, at_return, path, offset);
	return error ? fail(p, error, "no probe at offset %#llx of %s: %s", (unsigned long long)offset, path,
	                    strerror(-error))
	             : 0;
}

static const char *const *function_names(void)
{
	static const char *names[N_FUNCTIONS];

	for (size_t i = 0; i < N_FUNCTIONS; i++)
		names[i] = functions[i].name;
	return names;
}

static uint64_t *offset_of(uint64_t *offsets, const char *name)
{
	for (size_t i = 0; name && i < N_FUNCTIONS; i++)
		if (strcmp(functions[i].name, name) == 0)
			return &offsets[i];
	return NULL;
}

/* What is known of the file; NULL: nothing yet. */
static struct file_id *known_file(struct probes *p, const struct stat *st)
{
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i].device == st->st_dev && p->files[i].inode == st->st_ino)
			return &p->files[i];
	return NULL;
}

/* NULL: no memory. */
static struct file_id *remember_file(struct probes *p, const struct stat *st, bool probed)
{
	struct file_id *file = known_file(p, st), *files;

	if (!file) {
		files = realloc(p->files, (p->n_files + 1) * sizeof *files);
		if (!files) {
			fail(p, -ENOMEM, "no memory");
			return NULL;
		}
		p->files = files;
		file = &files[p->n_files++];
	}
	*file = (struct file_id){.device = st->st_dev,
	                         .inode = st->st_ino,
	                         .probed = probed,
	                         .size = st->st_size,
	                         .modified = st->st_mtim};
	return file;
}

static bool is_settled(const struct file_id *file, const struct stat *st)
{
	return file && (file->probed || (file->size == st->st_size && file->modified.tv_sec == st->st_mtim.tv_sec &&
	                                 file->modified.tv_nsec == st->st_mtim.tv_nsec));
}

/* The return first: a call that is in progress must not be begun and never ended. */
static int attach_pair(struct probes *p, size_t enter, size_t leave, const char *path, uint64_t offset)
{
	int error = leave ? attach_one(p, leave, true, path, offset) : 0;

	return error ? error : attach_one(p, enter, false, path, offset);
}

/* One function behind several that are asked for, which is cheaper to probe. */
struct inner {
	const char *plain, *ex;
	const char *covers; /* besides: another name for `ex`, or one that calls it */
	size_t enter[2];    /* by which argument counts: the fourth, the fifth */
};

static const struct inner inners[] = {
        {"SSL_read", "SSL_read_ex", NULL, {PROGRAM(ssl_read_inner), 0}},
        {"SSL_write", "SSL_write_ex", NULL, {PROGRAM(ssl_write_inner), 0}},
        {"SSL_write", "SSL_write_ex2", "SSL_write_ex", {0, PROGRAM(ssl_write_inner2)}},
};

/* Where a function lies behind others, it is probed in their place. How many it stands for, or -errno. */
static int attach_inners(struct probes *p, const char *path, uint64_t *offsets)
{
	int n = 0;

	for (size_t i = 0; i < sizeof inners / sizeof *inners; i++) {
		const struct inner *inner = &inners[i];
		uint64_t *plain = offset_of(offsets, inner->plain), *ex = offset_of(offsets, inner->ex);
		uint64_t *covered = offset_of(offsets, inner->covers);
		struct wrapped found;
		size_t enter;
		int error;

		if (!*plain || !*ex || wrapped_find(path, *plain, *ex, &found) != 0 ||
		    !(enter = inner->enter[found.count - 3]))
			continue;
		error = attach_pair(p, enter, LEAVE, path, found.offset);
		if (error)
			return error;
		n += 2 + (covered && *covered);
		*plain = *ex = 0;
		if (covered)
			*covered = 0;
	}
	return n;
}

/* A Go function: a probe at each RET, and one at the entry. 1, or -errno; 0: where it returns can't be told. */
static int attach_go(struct probes *p, const struct function *f, const char *path, uint64_t offset)
{
	struct returns returns;
	uint64_t end;
	int error = 0;

	if (symbols_go_end(path, offset, &end) != 0 || returns_find(path, offset, end, &returns) != 0)
		return 0;
	for (size_t i = 0; i < returns.n && !error; i++)
		error = attach_one(p, f->leave, false, path, returns.ret[i]);
	if (!error)
		error = attach_one(p, f->enter, false, path, returns.entry);
	return error ? error : 1;
}

/* 1, or -errno; 0: it can't be probed. */
static int attach_function(struct probes *p, const struct function *f, const char *path, uint64_t offset)
{
	int error;

	if (f->leave == GO_LEAVE)
		return attach_go(p, f, path, offset);
	error = attach_pair(p, f->enter, f->leave, path, offset);
	return error ? error : 1;
}

static int attach_functions(struct probes *p, const char *path, uint64_t *offsets)
{
	int n = p->calls ? attach_inners(p, path, offsets) : 0;

	for (size_t i = 0; i < N_FUNCTIONS && n >= 0; i++) {
		const struct function *f = &functions[i];
		const uint64_t *better = offset_of(offsets, f->unless);
		int attached;

		if (!offsets[i] || !(f->keys ? p->keys : p->calls) || (better && *better))
			continue;
		attached = attach_function(p, f, path, offsets[i]);
		n = attached < 0 ? attached : n + attached;
	}
	return n;
}

static int attach_to(struct probes *p, struct file_id *file, const char *path, uint64_t *offsets)
{
	int n = attach_functions(p, path, offsets);

	file->n_probed = n < 0 ? -1 : n;
	return n;
}

int probes_attach_file(struct probes *p, const char *path, int *n_probed)
{
	uint64_t offsets[N_FUNCTIONS];
	struct file_id *file;
	struct stat st;
	int error;

	*n_probed = 0;
	if (!p->keys && !p->calls)
		return 0;
	if (stat(path, &st) != 0)
		return fail(p, -errno, "%s: %s", path, strerror(errno));
	file = known_file(p, &st);
	if (!S_ISREG(st.st_mode) || is_settled(file, &st)) {
		*n_probed = file ? file->n_probed : 0;
		return 0;
	}
	error = symbols_find(path, function_names(), N_FUNCTIONS, offsets);
	if (error < 0 && error != -ENOEXEC)
		return fail(p, error, "%s: %s", path, strerror(-error));
	file = remember_file(p, &st, error > 0);
	if (!file)
		return -ENOMEM;
	error = error > 0 ? attach_to(p, file, path, offsets) : 0;
	*n_probed = file->n_probed;
	return error;
}

int probes_attach_given(struct probes *p, const char *path, const char *symbols)
{
	uint64_t offsets[N_FUNCTIONS], given[N_FUNCTIONS];
	struct file_id *known;
	struct stat st;
	int error;

	if (stat(path, &st) != 0)
		return fail(p, -errno, "%s: %s", path, strerror(errno));
	known = known_file(p, &st);
	if (known && known->probed)
		return 1;
	error = symbols_find(path, function_names(), N_FUNCTIONS, offsets);
	if (error == -ENOEXEC)
		return fail(p, error, "%s is no 64-bit ELF file of this machine", path);
	if (error < 0)
		return fail(p, error, "%s: %s", path, strerror(-error));
	if (symbols) {
		error = symbols_read(symbols, path, function_names(), N_FUNCTIONS, given, p->message,
		                     sizeof p->message);
		if (error < 0)
			return error;
		for (size_t i = 0; i < N_FUNCTIONS; i++)
			if (given[i])
				offsets[i] = given[i];
	}
	if (!p->keys && !p->calls)
		return 0;
	known = remember_file(p, &st, true);
	error = known ? attach_to(p, known, path, offsets) : -ENOMEM;
	if (error == 0)
		return fail(p, -ENOENT, "%s holds no function of TLS that is known and asked for%s", path,
		            symbols ? "" : "; say where they are with --symbols FILE");
	return error;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static int choose(struct probes *p, pid_t pid, uint32_t why)
{
	if (pid < 0 || pid >= PROBE_PID_MAX)
		return fail(p, -ERANGE, "process %d can't be chosen: pids are below %d", pid, PROBE_PID_MAX);
	/* The probes write it, too, when the process forks or takes another image: not a byte is lost. */
	__atomic_fetch_or(&p->chosen[pid], (uint8_t)why, __ATOMIC_RELAXED);
	return 0;
}

int probes_choose(struct probes *p, pid_t pid)
{
	return choose(p, pid, PROBE_CHOSEN_PID | PROBE_CHOSEN_IMAGE);
}

int probes_follow(struct probes *p, pid_t pid)
{
	return choose(p, pid, PROBE_CHOSEN_PID);
}

const char *const *probes_functions(size_t *n)
{
	*n = N_FUNCTIONS;
	return function_names();
}

const char *probes_attachment(const struct probes *p)
{
	return p->attachment;
}

bool probes_by_perf(const struct probes *p)
{
	return !p->uprobes.multi;
}

void probes_stop(struct probes *p)
{
	/* All but those at libraries. sys_enter goes before sys_exit, by their order in the object: a call that is only
	 * ended is told, one that is only begun would be taken for one that hangs. */
	fdtape__detach(p->object);
	poll(NULL, 0, 2); /* for those that run at this moment, on another processor */
}

int probes_drain(struct probes *p, probes_take *take, void *context)
{
	struct epoll_event event;

	while (epoll_wait(p->urgent, &event, 1, 0) > 0)
		;
	p->take = take;
	p->take_context = context;
	return ring_buffer__consume(p->ring);
}

int probes_stats(struct probes *p, struct probe_stats *sum)
{
	int cpus = libbpf_num_possible_cpus();
	struct probe_stats *each;
	uint32_t zero = 0;

	*sum = (struct probe_stats){0};
	each = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof *each);
	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(p->object->maps.stats), &zero, each)) {
		free(each);
		return -errno;
	}
	for (int cpu = 0; cpu < cpus; cpu++) {
		for (int i = 0; i < PROBE_LOST_N; i++) {
			sum->count[i] += each[cpu].count[i];
			sum->bytes[i] += each[cpu].bytes[i];
		}
	}
	free(each);
	return 0;
}

bool probes_fd(struct probes *p, uint32_t tgid, int32_t fd, struct probe_flow_state *state)
{
	struct probe_fd key = {.tgid = tgid, .fd = fd};

	return bpf_map_lookup_elem(bpf_map__fd(p->object->maps.flows), &key, state) == 0;
}

void probes_forget_fd(struct probes *p, uint32_t tgid, int32_t fd, uint64_t flow)
{
	struct probe_fd key = {.tgid = tgid, .fd = fd};
	struct probe_flow_state state;

	if (probes_fd(p, tgid, fd, &state) && state.id == flow)
		bpf_map_delete_elem(bpf_map__fd(p->object->maps.flows), &key);
}

void probes_take_unsettled(struct probes *p, void (*take)(void *context, const struct probe_flow_state *state),
                           void *context)
{
	int fd = bpf_map__fd(p->object->maps.unsettled);
	struct probe_flow_state state;
	uint64_t key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0) {
		if (bpf_map_lookup_elem(fd, &key, &state) == 0)
			take(context, &state);
		if (bpf_map_delete_elem(fd, &key) != 0)
			break;
	}
}

void probes_inflight(struct probes *p,
                     void (*found)(void *context, uint32_t tid, const struct probe_inflight *call,
                                   const struct probe_syscall *how),
                     void *context)
{
	int fd = bpf_map__fd(p->object->maps.inflight);
	struct probe_inflight call;
	uint32_t tid, *last = NULL;

	while (bpf_map_get_next_key(fd, last, &tid) == 0) {
		if (bpf_map_lookup_elem(fd, &tid, &call) == 0 && call.armed && call.nr < PROBE_SYSCALLS_MAX)
			found(context, tid, &call, &p->how[call.nr]);
		last = &tid;
	}
}

/* ---- what is allowed -------------------------------------------------------------------------------------------- */

static void tell(void (*to)(void *context, const struct probes_capability *capability), void *context, const char *name,
                 bool ok, const char *why, const char *remedy)
{
	struct probes_capability c = {.name = name, .ok = ok};

	snprintf(c.why, sizeof c.why, "%.159s", why);
	snprintf(c.remedy, sizeof c.remedy, "%.199s", ok ? "" : remedy);
	to(context, &c);
}

int probes_check(void (*to)(void *context, const struct probes_capability *capability), void *context)
{
	struct choice choice = {.all = false};
	struct probes_options options = {.choice = &choice, .ring = 1 << 16, .payload = UINT64_MAX};
	struct probes *p;
	int error = probes_open(&p, &options);

	if (error) {
		tell(to, context, "probes", false, probes_message(p),
		     "root, or CAP_BPF and CAP_PERFMON, and a kernel from 5.8 on with BTF (CONFIG_DEBUG_INFO_BTF)");
	} else {
		tell(to, context, "probes", true, p->attachment, "");
		tell(to, context, "io_uring_probes", p->uring,
		     p->uring ? "requests, by the kernel's tracepoints"
		              : "this kernel's tracepoints are of a shape that is not known here",
		     "a kernel from 6.0 on; or keep the program from io_uring (sysctl kernel.io_uring_disabled=2)");
	}
	probes_free(p);
	return error ? -ENOTSUP : 0;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

const char *probes_message(const struct probes *p)
{
	return p ? p->message : "no memory";
}

void probes_free(struct probes *p)
{
	if (!p)
		return;
	uprobes_close(&p->uprobes);
	free(p->files);
	if (p->urgent >= 0)
		close(p->urgent);
	if (p->chosen)
		munmap(p->chosen, PROBE_PID_MAX);
	ring_buffer__free(p->ring);
	fdtape__destroy(p->object);
	free(p);
}
