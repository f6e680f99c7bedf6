/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_CRYPT_H
#define TLS_CRYPT_H

/*
 * The cryptography of TLS 1.2 (RFC 5246, 5288, 7905) and TLS 1.3 (RFC 8446): from a secret to the keys of one
 * direction, and from a record to its plaintext.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/tls_suite.h"

enum {
	TLS_HASH_MAX = 48,
	TLS_RECORD_HEADER = 5,
	TLS_RECORD_MAX = 16384 + 2048, /* a record's body: RFC 5246, 6.2.3; TLS 1.3 allows less */
};

/* What opens the records of one direction; its sequence number counts with the records that it opened. */
struct tls_opener;

/* NULL: no memory, a secret of the wrong length, or a suite that can't be decrypted. */
struct tls_opener *tls_opener_new_12(const struct tls_suite *suite, const uint8_t *master, size_t master_len,
                                     const uint8_t client_random[static 32], const uint8_t server_random[static 32],
                                     bool client_writes);
struct tls_opener *tls_opener_new_13(const struct tls_suite *suite, const uint8_t *secret, size_t secret_len);
/* Decrypts the record (header and body) of `len` bytes into plain, which has room for as many. *type is set to the
 * content type within. The plaintext's length; -1: its tag is wrong, and nothing has changed. */
int tls_open(struct tls_opener *opener, const uint8_t *record, size_t len, uint8_t *plain, uint8_t *type);
void tls_opener_free(struct tls_opener *opener);

/* The next generation of a TLS 1.3 traffic secret (RFC 8446, 7.2), in place. 0 or -1. */
int tls_update_secret(const struct tls_suite *suite, uint8_t *secret, size_t len);

#endif
