/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_LENGTHS_H
#define TLS_LENGTHS_H

/*
 * The lengths of a direction's first protected records, for telling which library object made them. See bind_lengths.c.
 */
#include "replay/assembly.h"

enum {
	TLS_LENGTHS_MAX = 32, /* records that are remembered */
};

struct tls_lengths { /* all zero: at the beginning of TLS */
	struct tls_length {
		uint64_t wall;      /* when the call that carried its last byte ended */
		uint16_t len;       /* of its body */
	} records[TLS_LENGTHS_MAX]; /* of type application data */
	size_t n;
	uint64_t first; /* when the first byte was carried; 0: none was */
	bool ended;     /* what came behind is not known: a hole, no record, or one too many */
	/* The record that is being read. */
	uint8_t header[5];
	size_t got;
	size_t left;
};

/* The next bytes of the wire; data NULL: a hole. */
void tls_lengths_feed(struct tls_lengths *l, const uint8_t *data, uint64_t len, const struct stamp *stamp);

#endif
