/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * EVP_KDF_derive() serves OpenSSL for every step of TLS' key schedules. Which step it was is told by its parameters
 * (EVP_KDF-TLS13_KDF(7), EVP_KDF-TLS1_PRF(7)):
 *
 * TLS 1.3 (RFC 8446, 7.1): `label` and `data`, the Transcript-Hash. What is derived is the secret; the hash binds it to
 * its connection, since whoever has the wire can compute it from the handshake messages.
 *
 * TLS 1.2 (RFC 5246, 6.3): the key block is derived from `secret`, the master secret, with the seeds "key expansion",
 * server_random, client_random. So here the input is what is wanted, and the last seed binds it. The server's random is
 * told as well: with it the keys can be derived where the ServerHello is not on the tape.
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

/* The label of RFC 8446 as SSLKEYLOGFILE has it; NULL: it is none of a connection's secrets. */
static const char *keylog_label(const void *tls13, size_t len)
{
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
		if (strlen(labels[i].tls13) == len && memcmp(labels[i].tls13, tls13, len) == 0)
			return labels[i].keylog;
	return NULL;
}

static bool holds(const struct probe_kdf_param *p, const char *text)
{
	return p && p->size == strlen(text) && memcmp(p->data, text, p->size) == 0;
}

/* The two of one connection, the first of which says already when and where it was derived; the randoms have RANDOM_LEN
 * bytes, the master secret MASTER_LEN. */
static size_t master_secret(struct fdtape_secret *secrets, const uint8_t *server_random, const uint8_t *client_random,
                            const uint8_t *master)
{
	secrets[0].id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM;
	secrets[0].id = client_random;
	secrets[0].id_len = RANDOM_LEN;
	secrets[1] = secrets[0];
	secrets[0].label = "SERVER_RANDOM";
	secrets[0].value = server_random;
	secrets[0].value_len = RANDOM_LEN;
	secrets[1].label = "CLIENT_RANDOM";
	secrets[1].value = master;
	secrets[1].value_len = MASTER_LEN;
	return 2;
}

size_t secrets_from_kdf(const struct probe_kdf *kdf, const uint8_t *out, size_t out_len,
                        struct fdtape_secret secrets[static SECRETS_MAX])
{
	const struct probe_kdf_param *label = parameter(kdf, "label", 0), *hash = parameter(kdf, "data", 0),
	                             *master = parameter(kdf, "secret", 0), *server_random = parameter(kdf, "seed", 1),
	                             *client_random = parameter(kdf, "seed", 2);

	secrets[0] = (struct fdtape_secret){
	        .time = kdf->time, .pid = kdf->tgid, .tid = kdf->tid, .source = "EVP_KDF_derive"};
	if (label && hash && out_len && (secrets->label = keylog_label(label->data, label->size))) {
		secrets->id_kind = FDTAPE_SECRET_ID_TRANSCRIPT;
		secrets->id = hash->data;
		secrets->id_len = hash->size;
		secrets->value = out;
		secrets->value_len = out_len;
		return 1;
	}
	if (master && master->size == MASTER_LEN && holds(parameter(kdf, "seed", 0), "key expansion") &&
	    server_random && server_random->size == RANDOM_LEN && client_random && client_random->size == RANDOM_LEN)
		return master_secret(secrets, server_random->data, client_random->data, master->data);
	return 0;
}

/* ---- HkdfLabel (RFC 8446, 7.1) ---------------------------------------------------------------------------------- */

struct hkdf_label {
	const uint8_t *label; /* without "tls13 " */
	size_t label_len;
	const uint8_t *context;
	size_t context_len;
};

static bool parse_hkdf_label(const uint8_t *info, size_t len, struct hkdf_label *to)
{
	static const char prefix[] = "tls13 ";
	size_t prefix_len = sizeof prefix - 1, label_len, context_len;

	if (len < 4)
		return false;
	label_len = info[2];
	if (label_len < prefix_len || len < 4 + label_len || memcmp(info + 3, prefix, prefix_len) != 0)
		return false;
	context_len = info[3 + label_len];
	if (len != 4 + label_len + context_len)
		return false;
	*to = (struct hkdf_label){.label = info + 3 + prefix_len,
	                          .label_len = label_len - prefix_len,
	                          .context = info + 4 + label_len,
	                          .context_len = context_len};
	return true;
}

static bool from_hkdf(const struct probe_key *key, const char *source, struct fdtape_secret *secret)
{
	struct hkdf_label label;

	if (!parse_hkdf_label(key->id, key->id_len, &label) || !label.context_len || !key->value_len ||
	    !(secret->label = keylog_label(label.label, label.label_len)))
		return false;
	secret->source = source;
	secret->id_kind = FDTAPE_SECRET_ID_TRANSCRIPT;
	secret->id = label.context;
	secret->id_len = label.context_len;
	return true;
}

/* "key expansion": server_random, then client_random (RFC 5246, 6.3). */
static size_t from_prf(const struct probe_key *key, const char *source, struct fdtape_secret *secrets)
{
	static const char expansion[] = "key expansion";

	if (key->label_len != sizeof expansion - 1 || memcmp(key->label, expansion, key->label_len) != 0 ||
	    key->id_len != 2 * RANDOM_LEN || key->value_len != MASTER_LEN)
		return 0;
	secrets->source = source;
	return master_secret(secrets, key->id, key->id + RANDOM_LEN, key->value);
}

/* Go gives SSLKEYLOGFILE's own words. */
static bool from_go(const struct probe_key *key, struct secrets_text *text, struct fdtape_secret *secret)
{
	if (!key->label_len || key->id_len != RANDOM_LEN || !key->value_len)
		return false;
	for (size_t i = 0; i < key->label_len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", key->label[i]) || !key->label[i])
			return false;
	memcpy(text->label, key->label, key->label_len);
	text->label[key->label_len] = 0;
	secret->label = text->label;
	secret->source = "writeKeyLog";
	secret->id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM;
	secret->id = key->id;
	secret->id_len = key->id_len;
	return true;
}

size_t secrets_from_key(const struct probe_key *key, struct secrets_text *text,
                        struct fdtape_secret secrets[static SECRETS_MAX])
{
	secrets[0] = (struct fdtape_secret){
	        .time = key->time, .pid = key->tgid, .tid = key->tid, .value = key->value, .value_len = key->value_len};
	if (key->label_len > PROBE_KEY_LABEL || key->id_len > PROBE_KEY_DATA || key->value_len > PROBE_KEY_DATA)
		return 0; /* cut: longer than anything of TLS is */
	switch (key->source) {
	case PROBE_KEY_HKDF:
		return from_hkdf(key, "nettle_hkdf_expand", secrets);
	case PROBE_KEY_PRF:
		return from_prf(key, "_gnutls_prf_raw", secrets);
	case PROBE_KEY_GO:
		return from_go(key, text, secrets);
	case PROBE_KEY_BORING_HKDF:
		return from_hkdf(key, "HKDF_expand", secrets);
	case PROBE_KEY_BORING_PRF:
		return from_prf(key, "CRYPTO_tls1_prf", secrets);
	}
	return 0;
}

/* ---- OpenSSL 1.1.1 ---------------------------------------------------------------------------------------------- */

static void add(struct probe_kdf *kdf, const char *name, const uint8_t *data, size_t len)
{
	struct probe_kdf_param *p;

	if (kdf->n_params >= PROBE_KDF_PARAMS || len > PROBE_KDF_DATA)
		return;
	p = &kdf->param[kdf->n_params++];
	*p = (struct probe_kdf_param){.size = (uint32_t)len};
	memcpy(p->name, name, strlen(name));
	memcpy(p->data, data, len);
}

void secrets_add_parameter(struct probe_kdf *kdf, const struct probe_key *key)
{
	enum { /* openssl/kdf.h of 1.1.1 */
		TLS_SECRET = 0x1001,
		TLS_SEED = 0x1002,
		HKDF_INFO = 0x1006
	};
	struct hkdf_label label;
	uint64_t command;

	memcpy(&command, key->label, sizeof command);
	if (key->label_len != sizeof command || key->id_len > PROBE_KEY_DATA)
		return;
	kdf->time = key->time;
	kdf->tgid = key->tgid;
	kdf->tid = key->tid;
	if (command == HKDF_INFO || command == TLS_SECRET)
		kdf->n_params = 0; /* a new one; the last was not carried out */
	if (command == TLS_SECRET) {
		add(kdf, "secret", key->id, key->id_len);
	} else if (command == TLS_SEED && key->id_len) {
		add(kdf, "seed", key->id, key->id_len);
	} else if (command == HKDF_INFO && parse_hkdf_label(key->id, key->id_len, &label)) {
		add(kdf, "label", label.label, label.label_len);
		add(kdf, "data", label.context, label.context_len);
	}
}
