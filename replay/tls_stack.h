/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_STACK_H
#define TLS_STACK_H

/*
 * All TLS of a flow: in clear at first or not, turning to TLS, within TLS, in the kernel. The wire's bytes of both
 * directions in, what was meant out, and the timeline of what was what. See tls_stack.c.
 */
#include <fdtape/types.h>

#include "replay/assembly.h"
#include "replay/tls.h"
#include "replay/tls_lengths.h"
#include "replay/tls_store.h"

enum {
	TLS_STACK_DEPTH = 3, /* TLS within TLS within TLS; what is deeper is told as it is */
};

struct tls_stack;

struct tls_stack_sink {
	void *context;
	/* What was meant; data NULL: a hole, of len 0: of unknown length. `secret`: some TLS protected it. */
	void (*plain)(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp,
	              bool secret);
	/* What comes next is another conversation: clear turned to TLS. */
	void (*turned)(void *context);
	/* As in tls_flow_sink. */
	bool (*key)(void *context, const struct tls_key *key);
	/* This secret opens the TLS at that depth. */
	void (*opens)(void *context, unsigned depth, const struct tls_key *key);
};

/* *info is what is known of the TLS at depth 0; it is kept up to date and outlives the stack, as the store does.
 * `preopened`: as in tls_flow_new(). NULL without memory. */
struct tls_stack *tls_stack_new(struct tls_store *store, struct tls_info *info, uint32_t pid, bool preopened,
                                const struct tls_stack_sink *sink);
/* The next bytes of a direction; data NULL: a hole. 0, or -1 without memory. */
int tls_stack_feed(struct tls_stack *s, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                   const struct stamp *stamp);
/* From this offset of the wire on, and from what is fed next, the kernel does this direction's TLS (setsockopt TLS_TX,
 * TLS_RX), and the calls carry its plaintext; version, cipher: 0 if not known. 0 or -1. */
int tls_stack_kernel(struct tls_stack *s, enum fdtape_dir dir, uint64_t offset, uint16_t version, uint16_t cipher,
                     const struct stamp *stamp);

/* ---- library calls, the second source --------------------------------------------------------------------------- */

/* A library object's calls deliver the plaintext at this depth; `how`: evidence. 0 or -1. */
int tls_stack_bound(struct tls_stack *s, unsigned depth, uint32_t how, const struct stamp *stamp);
/* Where the next object's first byte belongs: behind what objects delivered before. */
uint64_t tls_stack_calls_end(const struct tls_stack *s, unsigned depth, enum fdtape_dir dir);
/* What a call delivered, from this offset of the plaintext on; data NULL: a hole. `waits`: earlier bytes of the wire may
 * still come. 0 or -1. */
int tls_stack_calls(struct tls_stack *s, unsigned depth, enum fdtape_dir dir, uint64_t offset, const uint8_t *data,
                    uint64_t len, const struct stamp *stamp, bool waits);
/* Are these the bytes that the wire decrypts to at this offset? Bytes that could be compared and agree; -1: differs. */
int64_t tls_stack_agrees(const struct tls_stack *s, unsigned depth, enum fdtape_dir dir, uint64_t offset,
                         const uint8_t *data, uint64_t len);

/* ---- questions -------------------------------------------------------------------------------------------------- */

/* May there be TLS at this depth, is there in any direction? */
bool tls_stack_may_be_tls(const struct tls_stack *s, unsigned depth);
bool tls_stack_is_tls(const struct tls_stack *s, unsigned depth);
/* What a direction's last bytes on the fd were; unknown: not judged, or held until an answer tells. */
enum tls_verdict tls_stack_now(const struct tls_stack *s, enum fdtape_dir dir);
/* What is known of the TLS at this depth; NULL: there is none. */
const struct tls_info *tls_stack_info(const struct tls_stack *s, unsigned depth);
/* Of the records on the fd. */
const struct tls_lengths *tls_stack_lengths(const struct tls_stack *s, enum fdtape_dir dir);
const struct tls_timeline *tls_stack_timeline(const struct tls_stack *s);

/* Two sources of one TLS' plaintext in one direction, byte for byte. */
struct tls_stack_compared {
	uint64_t wire, calls; /* bytes that each gave */
	uint64_t compared;    /* by both, and compared */
	bool differs;
	uint64_t differs_at; /* offset of the first byte that differs */
};
/* False: there is no TLS at this depth. */
bool tls_stack_compared(const struct tls_stack *s, unsigned depth, enum fdtape_dir dir,
                        struct tls_stack_compared *compared);

/* What a direction's bytes on the fd were, as far as they are on the tape. */
struct tls_stack_bytes {
	uint64_t clear;
	uint64_t handshake; /* records that are not encrypted */
	uint64_t decrypted; /* records that were opened, whole */
	uint64_t kernel;    /* plaintext of TLS that the kernel does */
	uint64_t sealed;    /* all else of TLS */
	uint64_t unjudged;  /* a direction that began with a hole: clear or not */
};
struct tls_stack_bytes tls_stack_bytes(const struct tls_stack *s, enum fdtape_dir dir);

/* Nothing more comes from the wire; then, nothing from calls. 0 or -1. */
int tls_stack_finish(struct tls_stack *s);
int tls_stack_finish_calls(struct tls_stack *s, const struct stamp *stamp);
void tls_stack_free(struct tls_stack *s);

#endif
