/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef KEPT_SECRETS_H
#define KEPT_SECRETS_H

/*
 * Secrets that are needed again: a connection outlives the tape, or the part of it, that its handshake was on.
 */
#include <stddef.h>

#include <fdtape/types.h>

struct kept_secret {
	struct kept_secret *next;
	struct fdtape_secret secret; /* points behind this struct */
	size_t size;                 /* bytes of memory */
};

/* In the order in which they came; all zero: none. */
struct kept_secrets {
	struct kept_secret *first, *last;
	size_t n, bytes;
};

/* Keeps a copy. 0 or FDTAPE_ERR_MEMORY. */
int kept_secrets_add(struct kept_secrets *kept, const struct fdtape_secret *secret);
/* Puts it behind the others, and owns it from then on. */
void kept_secrets_append(struct kept_secrets *kept, struct kept_secret *secret);
/* Takes out the oldest, which is the caller's to free; there must be one. */
struct kept_secret *kept_secrets_take(struct kept_secrets *kept);
void kept_secrets_release(struct kept_secrets *kept);

#endif
