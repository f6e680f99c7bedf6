/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SECRETS_H
#define SECRETS_H

#include <stdbool.h>

#include <fdtape/types.h>

#include "bpf/probe_abi.h"

/*
 * What a key derivation gave, in SSLKEYLOGFILE's terms. False: it was none of TLS' connection secrets (other uses of
 * the KDF are none of our business and are not recorded). The secret points into its arguments.
 */
bool secrets_from_kdf(const struct probe_kdf *derivation, const uint8_t *out, size_t out_len,
                      struct fdtape_secret *secret);

#endif
