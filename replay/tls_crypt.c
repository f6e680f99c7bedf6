/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/tls_crypt.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum {
	NONCE = 12,
	EXPLICIT = 8, /* the part of a TLS 1.2 GCM or CCM nonce that each record carries */
	AAD_12 = 13,
};

struct tls_opener {
	const struct tls_suite *suite;
	EVP_CIPHER_CTX *cipher;
	uint64_t seq;
	size_t explicit_len;
	uint8_t nonce[NONCE];
};

static const char *digest_name(const struct tls_suite *suite)
{
	return suite->hash_len == 48 ? "SHA384" : "SHA256";
}

static int derive(const char *kdf, const OSSL_PARAM *params, uint8_t *out, size_t len)
{
	EVP_KDF *algorithm = EVP_KDF_fetch(NULL, kdf, NULL);
	EVP_KDF_CTX *context = algorithm ? EVP_KDF_CTX_new(algorithm) : NULL;
	int result = context && EVP_KDF_derive(context, out, len, params) > 0 ? 0 : -1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(algorithm);
	return result;
}

static OSSL_PARAM text(const char *key, const char *value)
{
	return OSSL_PARAM_construct_utf8_string(key, (char *)value, 0);
}

static OSSL_PARAM bytes(const char *key, const void *value, size_t len)
{
	return OSSL_PARAM_construct_octet_string(key, (void *)value, len);
}

/* RFC 8446, 7.1, with an empty context. */
static int expand_label(const struct tls_suite *suite, const uint8_t *secret, size_t secret_len, const char *label,
                        uint8_t *out, size_t len)
{
	static const char prefix[] = "tls13 ";
	size_t label_len = strlen(label), n = 0;
	uint8_t info[64];
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;

	info[n++] = (uint8_t)(len >> 8);
	info[n++] = (uint8_t)len;
	info[n++] = (uint8_t)(sizeof prefix - 1 + label_len);
	memcpy(info + n, prefix, sizeof prefix - 1);
	n += sizeof prefix - 1;
	memcpy(info + n, label, label_len);
	n += label_len;
	info[n++] = 0;

	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	        text(OSSL_KDF_PARAM_DIGEST, digest_name(suite)),
	        bytes(OSSL_KDF_PARAM_KEY, secret, secret_len),
	        bytes(OSSL_KDF_PARAM_INFO, info, n),
	        OSSL_PARAM_construct_end(),
	};

	return derive("HKDF", params, out, len);
}

static const EVP_CIPHER *cipher_of(const struct tls_suite *suite)
{
	bool small = suite->key_len == 16;

	switch ((enum tls_aead_kind)suite->kind) {
	case TLS_AEAD_GCM:
		return small ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	case TLS_AEAD_CCM:
		return small ? EVP_aes_128_ccm() : EVP_aes_256_ccm();
	case TLS_AEAD_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case TLS_AEAD_NONE:
		break;
	}
	return NULL;
}

static struct tls_opener *opener_new(const struct tls_suite *suite, const uint8_t *key, const uint8_t *nonce,
                                     size_t nonce_len)
{
	struct tls_opener *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->suite = suite;
	o->explicit_len = NONCE - nonce_len;
	memcpy(o->nonce, nonce, nonce_len);
	o->cipher = EVP_CIPHER_CTX_new();
	if (!o->cipher || EVP_DecryptInit_ex(o->cipher, cipher_of(suite), NULL, NULL, NULL) <= 0 ||
	    EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL) <= 0 ||
	    /* CCM wants the tag's length before the key. */
	    (suite->kind == TLS_AEAD_CCM &&
	     EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_TAG, suite->tag_len, NULL) <= 0) ||
	    EVP_DecryptInit_ex(o->cipher, NULL, NULL, key, NULL) <= 0) {
		tls_opener_free(o);
		return NULL;
	}
	return o;
}

struct tls_opener *tls_opener_new_12(const struct tls_suite *suite, const uint8_t *master, size_t master_len,
                                     const uint8_t client_random[static 32], const uint8_t server_random[static 32],
                                     bool client_writes)
{
	/* Both keys, then both implicit nonces; no MAC keys with an AEAD. The client's come first. */
	size_t key_len = suite->key_len,
	       nonce_len = suite->kind == TLS_AEAD_CHACHA20_POLY1305 ? NONCE : NONCE - EXPLICIT;
	uint8_t seed[13 + 64], block[2 * (32 + NONCE)];
	size_t own = client_writes ? 0 : 1;

	if (suite->kind == TLS_AEAD_NONE || suite->v13 || master_len != 48)
		return NULL;
	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, server_random, 32);
	memcpy(seed + 45, client_random, 32);

	OSSL_PARAM params[] = {
	        text(OSSL_KDF_PARAM_DIGEST, digest_name(suite)),
	        bytes(OSSL_KDF_PARAM_SECRET, master, master_len),
	        bytes(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
	        OSSL_PARAM_construct_end(),
	};

	if (derive("TLS1-PRF", params, block, 2 * (key_len + nonce_len)) < 0)
		return NULL;
	return opener_new(suite, block + own * key_len, block + 2 * key_len + own * nonce_len, nonce_len);
}

struct tls_opener *tls_opener_new_13(const struct tls_suite *suite, const uint8_t *secret, size_t secret_len)
{
	uint8_t key[32], nonce[NONCE];

	if (suite->kind == TLS_AEAD_NONE || !suite->v13 || secret_len != suite->hash_len ||
	    expand_label(suite, secret, secret_len, "key", key, suite->key_len) < 0 ||
	    expand_label(suite, secret, secret_len, "iv", nonce, NONCE) < 0)
		return NULL;
	return opener_new(suite, key, nonce, NONCE);
}

static void put_be64(uint8_t *p, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* RFC 8446, 5.2; RFC 5288, 3; RFC 7905, 2. */
int tls_open(struct tls_opener *o, const uint8_t *record, size_t len, uint8_t *plain, uint8_t *type)
{
	size_t explicit_len = o->explicit_len, tag_len = o->suite->tag_len,
	       overhead = TLS_RECORD_HEADER + explicit_len + tag_len;
	uint8_t nonce[NONCE], aad[AAD_12], tag[16], seq[8];
	const uint8_t *body = record + TLS_RECORD_HEADER + explicit_len;
	int plain_len, n = 0;

	if (len < overhead)
		return -1;
	plain_len = (int)(len - overhead);
	memcpy(tag, body + plain_len, tag_len);
	put_be64(seq, o->seq);
	memcpy(nonce, o->nonce, NONCE);
	if (explicit_len)
		memcpy(nonce + NONCE - EXPLICIT, record + TLS_RECORD_HEADER, explicit_len);
	else
		for (int i = 0; i < 8; i++)
			nonce[NONCE - 8 + i] ^= seq[i];
	if (o->suite->v13) {
		memcpy(aad, record, TLS_RECORD_HEADER);
	} else {
		memcpy(aad, seq, 8);
		memcpy(aad + 8, record, 3);
		aad[11] = (uint8_t)(plain_len >> 8);
		aad[12] = (uint8_t)plain_len;
	}
	if (EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_TAG, (int)tag_len, tag) <= 0 ||
	    EVP_DecryptInit_ex(o->cipher, NULL, NULL, NULL, nonce) <= 0 ||
	    (o->suite->kind == TLS_AEAD_CCM && EVP_DecryptUpdate(o->cipher, NULL, &n, NULL, plain_len) <= 0) ||
	    EVP_DecryptUpdate(o->cipher, NULL, &n, aad, o->suite->v13 ? TLS_RECORD_HEADER : AAD_12) <= 0)
		return -1;
	/* CCM judges the tag here; it has no Final. */
	if (EVP_DecryptUpdate(o->cipher, plain, &n, body, plain_len) <= 0)
		return -1;
	if (o->suite->kind != TLS_AEAD_CCM && EVP_DecryptFinal_ex(o->cipher, plain + plain_len, &n) <= 0)
		return -1;
	*type = record[0];
	if (o->suite->v13) {
		/* The content type is the last byte that is not padding. */
		while (plain_len > 0 && plain[plain_len - 1] == 0)
			plain_len--;
		if (plain_len == 0)
			return -1;
		*type = plain[--plain_len];
	}
	o->seq++;
	return plain_len;
}

void tls_opener_free(struct tls_opener *opener)
{
	if (!opener)
		return;
	EVP_CIPHER_CTX_free(opener->cipher);
	free(opener);
}

int tls_update_secret(const struct tls_suite *suite, uint8_t *secret, size_t len)
{
	uint8_t next[TLS_HASH_MAX];

	if (len != suite->hash_len || expand_label(suite, secret, len, "traffic upd", next, len) < 0)
		return -1;
	memcpy(secret, next, len);
	return 0;
}
