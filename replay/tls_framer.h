/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_FRAMER_H
#define TLS_FRAMER_H

/*
 * One direction of a flow: is this TLS, and where do its records begin and end? See tls_framer.c.
 */
#include "replay/assembly.h"
#include "replay/buffer.h"

enum tls_framer_state {
	TLS_FRAMER_NEW,     /* not judged yet */
	TLS_FRAMER_CLEAR,   /* no TLS */
	TLS_FRAMER_BLIND,   /* it began with a hole: nothing to judge by */
	TLS_FRAMER_TLS,     /* records are handed out */
	TLS_FRAMER_STOPPED, /* it was TLS; then bytes were missing, or what came was no record */
};

struct tls_framer {
	enum tls_framer_state state;
	bool from_the_middle;
	bool garbage; /* stopped because what came was no record */
	struct buffer held;
	struct stamp since; /* of the first byte held */
};

/* Where the bytes go; both return 0, or -1 without memory. */
struct tls_framer_sink {
	int (*record)(void *context, const uint8_t *record, size_t len, const struct stamp *stamp);
	/* Bytes of a direction that is not TLS; data NULL: a hole. */
	int (*clear)(void *context, const uint8_t *data, uint64_t len, const struct stamp *stamp);
	void *context;
};

/* The next bytes of the stream, data NULL: a hole. 0, or -1. */
int tls_framer_feed(struct tls_framer *f, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                    const struct tls_framer_sink *sink);
/* Nothing more comes: judges what is held. */
int tls_framer_finish(struct tls_framer *f, const struct tls_framer_sink *sink);
void tls_framer_release(struct tls_framer *f);

#endif
