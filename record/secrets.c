/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * EVP_KDF_derive() serves OpenSSL for every step of TLS' key schedules. Which step it was is told by its parameters
 * (EVP_KDF-TLS13_KDF(7), EVP_KDF-TLS1_PRF(7)):
 *
 * TLS 1.3 (RFC 8446, 7.1): `label` and `data`, the Transcript-Hash. What is derived is the secret; the hash binds it to
 * its connection, since whoever has the wire can compute it from the handshake messages.
 *
 * TLS 1.2 (RFC 5246, 6.3): the key block is derived from `secret`, the master secret, with the seeds "key expansion",
 * server_random, client_random. So here the input is what is wanted, and the last seed binds it.
 */
#include "record/secrets.h"

#include <string.h>

static const struct {
	const char *tls13;  /* RFC 8446, 7.1 */
	const char *keylog; /* SSLKEYLOGFILE */
} labels[] = {
        {"c e traffic", "CLIENT_EARLY_TRAFFIC_SECRET"},
        {"e exp master", "EARLY_EXPORTER_SECRET"},
        {"c hs traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"},
        {"s hs traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET"},
        {"c ap traffic", "CLIENT_TRAFFIC_SECRET_0"},
        {"s ap traffic", "SERVER_TRAFFIC_SECRET_0"},
        {"exp master", "EXPORTER_SECRET"},
};

#define RANDOM_LEN 32
#define MASTER_LEN 48

/* The nth parameter of a name that was captured whole; NULL: there is none. */
static const struct probe_kdf_param *parameter(const struct probe_kdf *kdf, const char *name, unsigned nth)
{
	for (uint32_t i = 0; i < kdf->n_params && i < PROBE_KDF_PARAMS; i++) {
		const struct probe_kdf_param *p = &kdf->param[i];

		if (strncmp(p->name, name, sizeof p->name) == 0 && p->size <= PROBE_KDF_DATA && nth-- == 0)
			return p;
	}
	return NULL;
}

static bool holds(const struct probe_kdf_param *p, const char *text)
{
	return p && p->size == strlen(text) && memcmp(p->data, text, p->size) == 0;
}

bool secrets_from_kdf(const struct probe_kdf *kdf, const uint8_t *out, size_t out_len, struct fdtape_secret *secret)
{
	const struct probe_kdf_param *label = parameter(kdf, "label", 0), *hash = parameter(kdf, "data", 0),
	                             *master = parameter(kdf, "secret", 0), *client_random = parameter(kdf, "seed", 2);

	*secret = (struct fdtape_secret){
	        .time = kdf->time, .pid = kdf->tgid, .tid = kdf->tid, .source = "EVP_KDF_derive"};
	if (label && hash && out_len) {
		for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
			if (!holds(label, labels[i].tls13))
				continue;
			secret->label = labels[i].keylog;
			secret->id_kind = FDTAPE_SECRET_ID_TRANSCRIPT;
			secret->id = hash->data;
			secret->id_len = hash->size;
			secret->value = out;
			secret->value_len = out_len;
			return true;
		}
	}
	if (master && master->size == MASTER_LEN && holds(parameter(kdf, "seed", 0), "key expansion") &&
	    client_random && client_random->size == RANDOM_LEN) {
		secret->label = "CLIENT_RANDOM";
		secret->id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM;
		secret->id = client_random->data;
		secret->id_len = client_random->size;
		secret->value = master->data;
		secret->value_len = master->size;
		return true;
	}
	return false;
}
