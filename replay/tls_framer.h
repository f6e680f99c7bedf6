/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_FRAMER_H
#define TLS_FRAMER_H

/*
 * One direction of a flow: is this TLS, and where do its records begin and end? See tls_framer.c.
 */
#include "replay/assembly.h"
#include "replay/buffer.h"
#include "replay/tls_crypt.h"

enum tls_framer_state {
	TLS_FRAMER_NEW,   /* not judged yet */
	TLS_FRAMER_CLEAR, /* no TLS */
	TLS_FRAMER_BLIND, /* it began with a hole: not judged yet */
	TLS_FRAMER_TLS,   /* records are handed out */
	TLS_FRAMER_SEEKING, /* it is TLS; bytes were missing, or what came was no record: where does the next one begin? */
};

/* What was passed over since the last record that was handed out. */
struct tls_gap {
	uint64_t bytes;
	uint64_t records;      /* of these bytes, so many whole records are known by their headers ... */
	uint64_t record_bytes; /* ... and these are their bytes, headers included */
	struct stamp stamp;    /* when it began */
};

/* Of a direction that began with a hole, before anything tells what it is: a hole, or bytes that another one follows. */
struct tls_leading {
	uint64_t len;
	uint8_t *data; /* NULL: a hole */
	struct stamp stamp;
};

enum {
	TLS_LEADING_MAX = 16, /* a flow with more of them is one whose bytes nobody recorded */
};

struct tls_framer {
	enum tls_framer_state state;
	bool from_the_middle;
	bool garbage; /* what came was no record, somewhere */
	struct buffer held;
	struct stamp since; /* of the first byte held */
	struct tls_gap gap; /* bytes 0: none */
	uint64_t skip;      /* bytes to come of a record that a hole has hit: behind them the next one begins */
	size_t scanned;     /* BLIND: in what is held no record begins before this */
	struct tls_leading leading[TLS_LEADING_MAX]; /* BLIND: not told yet */
	unsigned n_leading;
	uint16_t version; /* in the headers of records that were handed out; 0: none were */
};

/* Where it all goes; each returns 0, or -1 without memory. */
struct tls_framer_sink {
	int (*record)(void *context, const struct tls_record *record, const struct stamp *stamp);
	/* Of a direction that is TLS something can't be cut into records; the next record, or none, follows. */
	int (*gap)(void *context, const struct tls_gap *gap);
	/* Bytes of a direction that is not TLS; data NULL: a hole. */
	int (*clear)(void *context, const uint8_t *data, uint64_t len, const struct stamp *stamp);
	void *context;
};

/* The next bytes of the stream, data NULL: a hole. 0, or -1. */
int tls_framer_feed(struct tls_framer *f, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                    const struct tls_framer_sink *sink);
/* BLIND: what it is was learnt by other means. 0, or -1. */
int tls_framer_settle(struct tls_framer *f, bool is_tls, const struct tls_framer_sink *sink);
/* Nothing more comes: judges what is held. */
int tls_framer_finish(struct tls_framer *f, const struct tls_framer_sink *sink);
void tls_framer_release(struct tls_framer *f);

#endif
