/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WORDS_H
#define WORDS_H

/*
 * The words that views use for what the player tells: the contract's in JSON, the same or shorter ones in tables.
 */
#include <stdbool.h>
#include <stddef.h>

#include "replay/player.h"

enum {
	WORDS_PROCESS_MAX = 96,
	WORDS_CALL_MAX = 64,
	WORDS_RESULT_MAX = 32
};

const char *words_proto(uint32_t proto); /* "tcp", "udp", "unix", "other" */
const char *words_role(uint32_t role);   /* "client", "server", "unknown" */
const char *words_dir(uint32_t dir);     /* "in", "out" */
/* "file", "pipe", "library", "socket", "other" */
const char *words_kind(uint32_t kind);

/* "nginx[4242]": the last part of the executable's path, else the kernel's name. Safe for a terminal. */
const char *words_process(char out[static WORDS_PROCESS_MAX], const struct player_process *process);
/* The same in at most `width` columns: "a-long-na~[4242]". */
const char *words_process_cut(char out[static WORDS_PROCESS_MAX], const struct player_process *process, size_t width);
/* "syscall/writev", "openssl/SSL_read"; "call/77" for one that this build does not know. */
const char *words_call(char out[static WORDS_CALL_MAX], uint32_t call);
/* "ECONNREFUSED" for 111: Linux's numbers, wherever this runs. NULL: not known. */
const char *words_errno(int64_t error);
/* What a failed call returned: "ECONNREFUSED", "-4242". */
const char *words_failure(char out[static WORDS_RESULT_MAX], int64_t result);
/* A call that failed because of something, not "try again" or "in progress". */
bool words_is_failure(const struct fdtape_event *event);

/* "TLSv1.3", "tls" when the version is not known, "clear", "mixed", "unknown": short, for a column. */
const char *words_tls(const struct tls_info *tls);

#endif
