/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef KEYLOG_H
#define KEYLOG_H

/*
 * The text form of TLS secrets that NSS began and Wireshark reads: "LABEL <client_random> <secret>".
 */
#include <stdio.h>

#include "replay/tls.h"

/* Writes one line. */
void keylog_put(FILE *out, const struct tls_key *key);
/* The lines of several; belongs to the caller. */
char *keylog_text(const struct tls_key *keys, size_t n);

#endif
