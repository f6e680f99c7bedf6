/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
	NAME_MAX_SHOWN = 64, /* bytes of a program's name */
};

const char *words_proto(uint32_t proto)
{
	static const char *const names[] = {
	        [FDTAPE_PROTO_OTHER] = "other",
	        [FDTAPE_PROTO_TCP] = "tcp",
	        [FDTAPE_PROTO_UDP] = "udp",
	        [FDTAPE_PROTO_UNIX] = "unix",
	};

	return proto < COUNT(names) ? names[proto] : "other";
}

const char *words_role(uint32_t role)
{
	static const char *const names[] = {
	        [FDTAPE_ROLE_UNKNOWN] = "unknown",
	        [FDTAPE_ROLE_CLIENT] = "client",
	        [FDTAPE_ROLE_SERVER] = "server",
	};

	return role < COUNT(names) ? names[role] : "unknown";
}

const char *words_dir(uint32_t dir)
{
	return dir == FDTAPE_OUT ? "out" : "in";
}

const char *words_kind(uint32_t kind)
{
	static const char *const names[] = {
	        [FDTAPE_KIND_OTHER] = "other", [FDTAPE_KIND_SOCKET] = "socket",   [FDTAPE_KIND_FILE] = "file",
	        [FDTAPE_KIND_PIPE] = "pipe",   [FDTAPE_KIND_LIBRARY] = "library",
	};

	return kind < COUNT(names) ? names[kind] : "other";
}

const char *words_process(char out[static WORDS_PROCESS_MAX], const struct player_process *process)
{
	const char *name = *process->exe ? text_base(process->exe) : process->comm;
	char pid[TEXT_NUMBER_MAX], *escaped = NULL;

	if (strlen(name) > NAME_MAX_SHOWN || !text_is_plain(name, strlen(name))) {
		name = escaped = text_escape_string(name);
		text_cut(escaped, NAME_MAX_SHOWN);
	}
	strcpy(out, *name ? name : "?");
	strcat(out, "[");
	strcat(out, text_number(pid, process->pid));
	strcat(out, "]");
	free(escaped);
	return out;
}

const char *words_process_cut(char out[static WORDS_PROCESS_MAX], const struct player_process *process, size_t width)
{
	size_t len = text_width(words_process(out, process)), cut, n = 0;
	char *pid = strrchr(out, '['), *end = out;

	if (len <= width)
		return out;
	cut = len - width + 1; /* columns to leave out, and the mark */
	while (end < pid && n < text_width(out) - strlen(pid) - cut) {
		do
			end++;
		while ((*end & 0xc0) == 0x80);
		n++;
	}
	*end++ = '~';
	memmove(end, pid, strlen(pid) + 1);
	return out;
}

const char *words_call(char out[static WORDS_CALL_MAX], uint32_t call)
{
	const char *module = fdtape_call_module(call), *name = fdtape_call_name(call);

	if (module && name)
		snprintf(out, WORDS_CALL_MAX, "%s/%s", module, name);
	else
		snprintf(out, WORDS_CALL_MAX, "call/%" PRIu32, call);
	return out;
}

const char *words_errno(int64_t error)
{
	/* asm-generic's numbers; those below 35 and these are the same on x86, arm, riscv, s390 and powerpc. */
	static const struct {
		int number;
		const char *name;
	} names[] = {
	        {1, "EPERM"},
	        {2, "ENOENT"},
	        {3, "ESRCH"},
	        {4, "EINTR"},
	        {5, "EIO"},
	        {6, "ENXIO"},
	        {7, "E2BIG"},
	        {8, "ENOEXEC"},
	        {9, "EBADF"},
	        {10, "ECHILD"},
	        {11, "EAGAIN"},
	        {12, "ENOMEM"},
	        {13, "EACCES"},
	        {14, "EFAULT"},
	        {16, "EBUSY"},
	        {17, "EEXIST"},
	        {20, "ENOTDIR"},
	        {21, "EISDIR"},
	        {22, "EINVAL"},
	        {23, "ENFILE"},
	        {24, "EMFILE"},
	        {27, "EFBIG"},
	        {28, "ENOSPC"},
	        {29, "ESPIPE"},
	        {30, "EROFS"},
	        {32, "EPIPE"},
	        {88, "ENOTSOCK"},
	        {89, "EDESTADDRREQ"},
	        {90, "EMSGSIZE"},
	        {91, "EPROTOTYPE"},
	        {92, "ENOPROTOOPT"},
	        {93, "EPROTONOSUPPORT"},
	        {94, "ESOCKTNOSUPPORT"},
	        {95, "EOPNOTSUPP"},
	        {97, "EAFNOSUPPORT"},
	        {98, "EADDRINUSE"},
	        {99, "EADDRNOTAVAIL"},
	        {100, "ENETDOWN"},
	        {101, "ENETUNREACH"},
	        {102, "ENETRESET"},
	        {103, "ECONNABORTED"},
	        {104, "ECONNRESET"},
	        {105, "ENOBUFS"},
	        {106, "EISCONN"},
	        {107, "ENOTCONN"},
	        {110, "ETIMEDOUT"},
	        {111, "ECONNREFUSED"},
	        {112, "EHOSTDOWN"},
	        {113, "EHOSTUNREACH"},
	        {114, "EALREADY"},
	        {115, "EINPROGRESS"},
	        {125, "ECANCELED"},
	        /* The kernel's own: a signal interrupted the call, which begins again. */
	        {512, "ERESTARTSYS"},
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].number == error)
			return names[i].name;
	return NULL;
}

const char *words_failure(char out[static WORDS_RESULT_MAX], int64_t result)
{
	const char *name = result < 0 && result >= -4095 ? words_errno(-result) : NULL;

	if (name)
		snprintf(out, WORDS_RESULT_MAX, "%s", name);
	else
		snprintf(out, WORDS_RESULT_MAX, "%" PRId64, result);
	return out;
}

bool words_is_failure(const struct fdtape_event *event)
{
	const char *module = fdtape_call_module(event->call);

	if (event->result >= 0 || event->flags & FDTAPE_EVENT_PENDING || !module || strcmp(module, "syscall") != 0)
		return false;
	switch (-event->result) {
	case 4:   /* EINTR */
	case 11:  /* EAGAIN */
	case 114: /* EALREADY */
	case 115: /* EINPROGRESS */
	case 512: /* ERESTARTSYS */
		return false;
	}
	return true;
}

const char *words_tls(const struct tls_info *tls)
{
	const char *version = tls_version_name(tls->version);

	return tls->verdict == TLS_VERDICT_TLS && version ? version : tls_verdict_name(tls->verdict);
}
