/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/prf.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "analyze/alloc.h"
#include "analyze/say.h"

void prf_hmac(uint8_t out[static PRF_HASH_LEN], const uint8_t *key, size_t key_len, const uint8_t *data, size_t len)
{
	if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL))
		say_and_exit(CLI_REFUSED, "libcrypto has no HMAC-SHA256");
}

void prf_sha256(uint8_t *out, size_t out_len, const uint8_t *secret, size_t secret_len, const char *label,
                const uint8_t *seed, size_t seed_len)
{
	/* P_SHA256: HMAC(A(1) + label + seed) + HMAC(A(2) + label + seed) + ..., where A(0) = label + seed and
	 * A(i) = HMAC(A(i-1)). The block is A(i), label and seed behind one another. */
	size_t label_len = strlen(label), len = PRF_HASH_LEN + label_len + seed_len;
	uint8_t *block = alloc_new(len, 1), hash[PRF_HASH_LEN];

	memcpy(block + PRF_HASH_LEN, label, label_len);
	memcpy(block + PRF_HASH_LEN + label_len, seed, seed_len);
	prf_hmac(hash, secret, secret_len, block + PRF_HASH_LEN, len - PRF_HASH_LEN);
	while (out_len) {
		size_t n = out_len < PRF_HASH_LEN ? out_len : PRF_HASH_LEN;

		memcpy(block, hash, PRF_HASH_LEN);
		prf_hmac(hash, secret, secret_len, block, len);
		memcpy(out, hash, n);
		out += n;
		out_len -= n;
		prf_hmac(hash, secret, secret_len, block, PRF_HASH_LEN);
	}
	free(block);
}
