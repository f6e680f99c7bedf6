/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_FLOW_H
#define TLS_FLOW_H

/*
 * TLS of one flow: wire bytes of both directions in, plaintext out, and what was found out on the way. See tls_flow.c.
 */
#include <fdtape/types.h>

#include "replay/assembly.h"
#include "replay/tls.h"
#include "replay/tls_store.h"

struct tls_flow;

struct tls_flow_sink {
	void *context;
	/* The plaintext of a TLS direction, or the bytes of a clear one. data NULL: a hole, of len bytes, as the
	 * numbers and sizes of the missing records tell; len 0: of nobody knows how many, none included. More may follow
	 * in both cases. 0, or -1 without memory. */
	int (*plain)(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp);
	/* A secret was bound to this connection. True: nobody needs to hear of it again. May be NULL. */
	bool (*key)(void *context, const struct tls_key *key);
};

/* *info is kept up to date and outlives the flow, as the store does; `preopened`: offset 0 may be anywhere in the
 * connection. NULL without memory. */
struct tls_flow *tls_flow_new(struct tls_store *store, struct tls_info *info, uint32_t pid, bool preopened,
                              const struct tls_flow_sink *sink);
/* The next bytes of a direction; data NULL: a hole. 0, or -1 without memory. */
int tls_flow_feed(struct tls_flow *t, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                  const struct stamp *stamp);
/* The direction's plaintext is needed now: if it still waits for a secret, none will come. 0 or -1. */
int tls_flow_give_up(struct tls_flow *t, enum fdtape_dir dir);
/* The flow is known to be TLS by other means: a direction that began with a hole can't be read. 0 or -1. */
int tls_flow_lose(struct tls_flow *t, enum fdtape_dir dir, const struct stamp *stamp);
/* Nothing more comes. 0 or -1. */
int tls_flow_finish(struct tls_flow *t);
/* Was this direction judged to be TLS? */
bool tls_flow_is_tls(const struct tls_flow *t, enum fdtape_dir dir);
/* May this direction be TLS? False only when it was judged to be clear. */
bool tls_flow_may_be_tls(const struct tls_flow *t, enum fdtape_dir dir);
/* Something went wrong in a call from the store: memory. */
bool tls_flow_failed(const struct tls_flow *t);
void tls_flow_free(struct tls_flow *t);

#endif
