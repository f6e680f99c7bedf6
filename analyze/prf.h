/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PRF_H
#define PRF_H

#include <stddef.h>
#include <stdint.h>

enum {
	PRF_HASH_LEN = 32
};

void prf_hmac(uint8_t out[static PRF_HASH_LEN], const uint8_t *key, size_t key_len, const uint8_t *data, size_t len);
/* TLS 1.2's PRF with SHA-256 (RFC 5246, 5): fills `out`. `seed` is what stands behind the label. */
void prf_sha256(uint8_t *out, size_t out_len, const uint8_t *secret, size_t secret_len, const char *label,
                const uint8_t *seed, size_t seed_len);

#endif
