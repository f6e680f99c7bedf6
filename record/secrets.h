/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SECRETS_H
#define SECRETS_H

#include <stdbool.h>

#include <fdtape/types.h>

#include "bpf/probe_abi.h"

/* What one derivation tells at most: TLS 1.2's master secret, and before it the server's random, which is no secret. */
enum {
	SECRETS_MAX = 2
};

/*
 * What a key derivation gave, in SSLKEYLOGFILE's terms, and how many there are. 0: it was none of TLS' connection secrets
 * (other uses of the KDF are none of our business and are not recorded). The secrets point into the arguments.
 */
size_t secrets_from_kdf(const struct probe_kdf *derivation, const uint8_t *out, size_t out_len,
                        struct fdtape_secret secrets[static SECRETS_MAX]);

/* Room for a label that is put together. */
struct secrets_text {
	char label[PROBE_KEY_LABEL + 1];
};

/* The same of what another library's function gave. */
size_t secrets_from_key(const struct probe_key *key, struct secrets_text *text,
                        struct fdtape_secret secrets[static SECRETS_MAX]);

/* OpenSSL 1.1.1: what EVP_PKEY_CTX_ctrl() was told, as the parameter that it is to EVP_KDF_derive(). */
void secrets_add_parameter(struct probe_kdf *derivation, const struct probe_key *key);

#endif
