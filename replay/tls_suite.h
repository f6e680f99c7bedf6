/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_SUITE_H
#define TLS_SUITE_H

/*
 * The cipher suites: one table of what they are called and what they consist of.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_aead_kind {
	TLS_AEAD_NONE = 0, /* named, but not decrypted by this version */
	TLS_AEAD_GCM,
	TLS_AEAD_CHACHA20_POLY1305,
	TLS_AEAD_CCM,
};

struct tls_suite {
	uint16_t number; /* IANA's */
	uint8_t kind;    /* enum tls_aead_kind */
	uint8_t key_len;
	uint8_t tag_len;
	uint8_t hash_len; /* of the digest of the PRF or HKDF: 32 is SHA-256, 48 SHA-384 */
	bool v13;         /* for TLS 1.3 only; the others are for TLS 1.2 and before */
	const char *name;
};

/* NULL when not known. */
const struct tls_suite *tls_suite_find(uint16_t number);

#endif
