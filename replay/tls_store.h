/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_STORE_H
#define TLS_STORE_H

/*
 * The secrets of a play, found by what binds them to a connection, and who waits for one that has not come yet.
 *
 * The store is of the whole play, not of a process: where both ends of a connection were recorded, the secrets of
 * either open both. It keeps the latest TLS_STORE_MAX secrets; a connection asks for its secrets when it begins.
 */
#include <stdbool.h>

#include <fdtape/types.h>

#include "map.h"

enum {
	TLS_STORE_MAX = 65536
};

struct tls_secret {
	struct tls_secret *next; /* with the same id */
	uint64_t key;            /* of the map */
	uint32_t pid;
	uint32_t id_kind;
	bool told; /* player_sink.key() was called for it */
	uint8_t id_len, value_len;
	uint8_t id[64], value[64];
	char label[40];
};

/* Somebody who waits for any secret with this id. Zeroed: does not wait. */
struct tls_waiter {
	struct tls_waiter *next, *previous; /* who waits for the same */
	uint64_t key;
	bool waits;
	void (*wake)(void *context);
	void *context;
};

struct tls_store { /* all zero: empty */
	struct map secrets;
	struct map waiters;
	struct tls_secret **ring; /* in order of arrival */
	size_t n, oldest;
	/* What was played, and what searching for secrets ([1]) and for sequence numbers ([0]) has cost: tls_keys.c. */
	uint64_t work_earned, work_done[2];
};

/* Keeps a copy, unless it is no TLS secret by its lengths or is known already; wakes who waits for it.
 * 0, or -1 without memory. */
int tls_store_add(struct tls_store *store, const struct fdtape_secret *secret);
/* NULL: not there. */
struct tls_secret *tls_store_find(const struct tls_store *store, uint32_t id_kind, const uint8_t *id, size_t id_len,
                                  const char *label);
/* The latest secrets of a process with this label, newest first: begin with *cursor 0; NULL: no more. For trying. */
struct tls_secret *tls_store_recent(const struct tls_store *store, uint32_t pid, const char *label, size_t *cursor);

/* Waits for secrets with this id, instead of whatever it waited for before. 0, or -1 without memory. */
int tls_store_wait(struct tls_store *store, struct tls_waiter *waiter, uint32_t id_kind, const uint8_t *id,
                   size_t id_len);
void tls_store_forget(struct tls_store *store, struct tls_waiter *waiter);
/* Nobody may wait any more. */
void tls_store_release(struct tls_store *store);

#endif
