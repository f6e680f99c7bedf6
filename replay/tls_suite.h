/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_SUITE_H
#define TLS_SUITE_H

/*
 * The cipher suites: one table of what they are called and what they consist of.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_mode {
	TLS_MODE_NONE = 0, /* named, but not decrypted: no encryption, or a cipher that libcrypto has given up */
	TLS_MODE_GCM,
	TLS_MODE_CCM,
	TLS_MODE_CHACHA20_POLY1305,
	TLS_MODE_CBC, /* with an HMAC, before or after encryption */
};

struct tls_suite {
	uint16_t number;    /* IANA's */
	uint8_t mode;       /* enum tls_mode */
	uint8_t key_len;    /* of the cipher */
	uint8_t tag_len;    /* of an AEAD's tag; CBC: of the HMAC: 20 is SHA-1, 32 SHA-256, 48 SHA-384 */
	uint8_t hash_len;   /* of the digest of the PRF (TLS 1.2) or HKDF: 32 is SHA-256, 48 SHA-384 */
	bool v13;           /* for TLS 1.3 only; the others are for TLS 1.2 and before */
	const char *cipher; /* as libcrypto calls it; NULL: not decrypted */
	const char *name;
};

/* NULL when not known. */
const struct tls_suite *tls_suite_find(uint16_t number);
/* The suites of TLS 1.3 whose secrets are of this length: the nth from 0; NULL: no more. */
const struct tls_suite *tls_suite_by_secret(size_t secret_len, size_t nth);
/* One of each kind of AEAD suites of TLS 1.2: those that differ in their key exchange only have the same records. The nth
 * from 0, those that are negotiated most first; NULL: no more. */
const struct tls_suite *tls_suite_aead_12(size_t nth);

#endif
