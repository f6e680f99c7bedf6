/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLAINTEXT_H
#define PLAINTEXT_H

/*
 * One direction's plaintext from its two sources: the decrypted wire, and the library calls. See plaintext.c.
 */
#include "replay/assembly.h"
#include "replay/buffer.h"

struct plaintext_call;

struct plaintext {        /* all zero: at the beginning */
	uint64_t offset;  /* given so far */
	bool wire_lost;   /* the wire tells nothing more */
	bool adrift;      /* it went on behind a hole of unknown length: offsets are no more the connection's */
	bool calls_known; /* library calls are bound to this flow */
	bool hole_told;
	bool differs;        /* a byte of a call was not what the wire decrypted to */
	uint64_t differs_at; /* offset of the first one */
	uint64_t compared;   /* bytes that both sources gave */
	uint64_t from_wire, from_calls;
	uint64_t called;      /* bytes that calls delivered, whether they were needed or not */
	struct buffer recent; /* what the wire gave last, not compared yet; ends at offset */
	bool forgets;         /* nothing is kept for comparing: no call was heard of for too long */
	struct plaintext_call *waiting, *last;
	uint64_t waiting_bytes;
};

/* The wire's next bytes; data NULL: a hole, of unknown length if len is 0. 0, or -1 without memory. */
int plaintext_wire(struct plaintext *p, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                   assembly_emit *emit, void *context);
/* What a call delivered, from this offset of the plaintext on, in order; data NULL: a hole. 0 or -1. */
int plaintext_calls(struct plaintext *p, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                    assembly_emit *emit, void *context);
/* Of what a call delivered, the bytes that the wire gave too and that are kept: how many agree; -1: one differs. */
int64_t plaintext_agrees(const struct plaintext *p, uint64_t offset, const uint8_t *data, uint64_t len);
/* Nothing more comes. 0 or -1. */
int plaintext_finish(struct plaintext *p, const struct stamp *stamp, assembly_emit *emit, void *context);
void plaintext_release(struct plaintext *p);

#endif
