/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * An opener holds one direction's keys. Opening a record costs one pass of the cipher; nothing is allocated for it.
 *
 * When the sequence number is not known (tls_seek()) many are tried, and the tag is the judge. For the suites of TLS 1.3
 * a trial seldom is a whole pass: their ciphers are stream ciphers, and the last byte of every plaintext is a content
 * type, or padding. So it is enough to make that one byte of the key stream, and to take the whole pass with the few
 * sequence numbers (one of 128) that give a byte which can be. In TLS 1.2 the nonce that GCM and CCM records carry is
 * mostly a counter, which tells how far it has come.
 */
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
	BLOCK_MAX = 16,
	KEY_MAX = 32,
	MAC_MAX = 48,

	BATCH = 64,         /* sequence numbers that are looked at together */
	SEEK_MAX = 1 << 20, /* sequence numbers in one search */
	MANY = 8192,
	TRIAL_COST = 512, /* of a trial, beside the bytes */
};

struct tls_opener {
	const struct tls_suite *suite;
	EVP_CIPHER_CTX *cipher;
	uint64_t seq;
	/* AEAD */
	size_t explicit_len;
	uint8_t nonce[NONCE];
	uint64_t last_explicit; /* of the record that was opened last */
	EVP_CIPHER_CTX *stream; /* for tls_seek(), when it is first needed */
	uint8_t key[KEY_MAX];
	bool opened, padded;
	/* CBC */
	bool encrypt_then_mac, implicit_iv, iv_known;
	size_t block;
	uint8_t iv[BLOCK_MAX]; /* implicit: of the next record */
	EVP_MAC_CTX *mac;
};

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static const char *digest_name(size_t len)
{
	return len == 48 ? "SHA384" : len == 32 ? "SHA256" : "SHA1";
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
	        text(OSSL_KDF_PARAM_DIGEST, digest_name(suite->hash_len)),
	        bytes(OSSL_KDF_PARAM_KEY, secret, secret_len),
	        bytes(OSSL_KDF_PARAM_INFO, info, n),
	        OSSL_PARAM_construct_end(),
	};

	return derive("HKDF", params, out, len);
}

static bool is_aead(const struct tls_opener *o)
{
	return o->suite->mode != TLS_MODE_CBC;
}

static int set_cipher(struct tls_opener *o, const uint8_t *key)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, o->suite->cipher, NULL);
	int result = -1;

	o->cipher = EVP_CIPHER_CTX_new();
	if (!cipher || !o->cipher || EVP_DecryptInit_ex2(o->cipher, cipher, NULL, NULL, NULL) <= 0)
		goto done;
	if (is_aead(o)) {
		if (EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL) <= 0 ||
		    /* CCM wants the tag's length before the key. */
		    (o->suite->mode == TLS_MODE_CCM &&
		     EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_TAG, o->suite->tag_len, NULL) <= 0))
			goto done;
	} else {
		EVP_CIPHER_CTX_set_padding(o->cipher, 0);
		o->block = (size_t)EVP_CIPHER_get_block_size(cipher);
		if (o->block < 8 || o->block > BLOCK_MAX)
			goto done;
	}
	if (EVP_DecryptInit_ex2(o->cipher, NULL, key, NULL, NULL) > 0)
		result = 0;
	memcpy(o->key, key, o->suite->key_len);
done:
	EVP_CIPHER_free(cipher);
	return result;
}

static int set_mac(struct tls_opener *o, const uint8_t *key)
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	const OSSL_PARAM params[] = {
	        text(OSSL_MAC_PARAM_DIGEST, digest_name(o->suite->tag_len)),
	        OSSL_PARAM_construct_end(),
	};
	int result;

	o->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	result = o->mac && EVP_MAC_init(o->mac, key, o->suite->tag_len, params) > 0 ? 0 : -1;
	EVP_MAC_free(hmac);
	return result;
}

static struct tls_opener *aead_new(const struct tls_suite *suite, const uint8_t *key, const uint8_t *nonce,
                                   size_t nonce_len)
{
	struct tls_opener *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->suite = suite;
	o->explicit_len = NONCE - nonce_len;
	memcpy(o->nonce, nonce, nonce_len);
	if (set_cipher(o, key) < 0) {
		tls_opener_free(o);
		return NULL;
	}
	return o;
}

static struct tls_opener *cbc_new(const struct tls_agreed *agreed, const uint8_t *mac_key, const uint8_t *key)
{
	struct tls_opener *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->suite = agreed->suite;
	o->encrypt_then_mac = agreed->encrypt_then_mac;
	o->implicit_iv = agreed->version < 0x0302;
	if (set_cipher(o, key) < 0 || set_mac(o, mac_key) < 0) {
		tls_opener_free(o);
		return NULL;
	}
	return o;
}

/* The key block: RFC 5246, 6.3. */
static int expand_keys(const struct tls_agreed *agreed, const uint8_t *master, size_t master_len, uint8_t *out,
                       size_t len)
{
	uint8_t seed[13 + 64];

	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, agreed->server_random, 32);
	memcpy(seed + 45, agreed->client_random, 32);

	OSSL_PARAM params[] = {
	        text(OSSL_KDF_PARAM_DIGEST,
	             agreed->version < 0x0303 ? "MD5-SHA1" : digest_name(agreed->suite->hash_len)),
	        bytes(OSSL_KDF_PARAM_SECRET, master, master_len),
	        bytes(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
	        OSSL_PARAM_construct_end(),
	};

	return derive("TLS1-PRF", params, out, len);
}

struct tls_opener *tls_opener_new_12(const struct tls_agreed *agreed, const uint8_t *master, size_t master_len,
                                     bool client_writes)
{
	/* Both MAC keys, both keys, then both implicit nonces or IVs; the client's come first. */
	const struct tls_suite *suite = agreed->suite;
	uint8_t block[2 * (MAC_MAX + KEY_MAX + BLOCK_MAX)];
	bool cbc = suite->mode == TLS_MODE_CBC;
	size_t mac_len = cbc ? suite->tag_len : 0, key_len = suite->key_len, own = client_writes ? 0 : 1, iv_len;
	const uint8_t *mac_key, *key, *iv;
	struct tls_opener *o;

	if (suite->mode == TLS_MODE_NONE || suite->v13 || master_len != 48 || agreed->version < 0x0301 ||
	    agreed->version > 0x0303 || (!cbc && agreed->version < 0x0303))
		return NULL;
	if (cbc)
		iv_len = BLOCK_MAX; /* more than a cipher of 8-byte blocks needs, which changes nothing before it */
	else
		iv_len = suite->mode == TLS_MODE_CHACHA20_POLY1305 ? NONCE : NONCE - EXPLICIT;
	if (expand_keys(agreed, master, master_len, block, 2 * (mac_len + key_len + iv_len)) < 0)
		return NULL;
	mac_key = block + own * mac_len;
	key = block + 2 * mac_len + own * key_len;
	iv = block + 2 * (mac_len + key_len);
	if (!cbc)
		return aead_new(suite, key, iv + own * iv_len, iv_len);
	o = cbc_new(agreed, mac_key, key);
	if (o) {
		memcpy(o->iv, iv + own * o->block, o->block);
		o->iv_known = true;
	}
	return o;
}

struct tls_opener *tls_opener_new_13(const struct tls_suite *suite, const uint8_t *secret, size_t secret_len)
{
	uint8_t key[KEY_MAX], nonce[NONCE];

	if (suite->mode == TLS_MODE_NONE || !suite->v13 || secret_len != suite->hash_len ||
	    expand_label(suite, secret, secret_len, "key", key, suite->key_len) < 0 ||
	    expand_label(suite, secret, secret_len, "iv", nonce, NONCE) < 0)
		return NULL;
	return aead_new(suite, key, nonce, NONCE);
}

static void put_be64(uint8_t *p, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_be64(const uint8_t *p)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | p[i];
	return value;
}

/* ---- AEAD ------------------------------------------------------------------------------------------------------- */

/* RFC 8446, 5.3; RFC 7905, 2. */
static void make_nonce(const struct tls_opener *o, uint64_t seq, uint8_t nonce[static NONCE])
{
	uint8_t number[8];

	put_be64(number, seq);
	memcpy(nonce, o->nonce, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[NONCE - 8 + i] ^= number[i];
}

/* RFC 8446, 5.2; RFC 5288, 3; RFC 7905, 2. */
static int open_aead(struct tls_opener *o, uint64_t seq, const struct tls_record *record, uint8_t *plain, uint8_t *type)
{
	size_t tag_len = o->suite->tag_len, overhead = o->explicit_len + tag_len;
	uint8_t nonce[NONCE], aad[AAD_12], tag[16];
	const uint8_t *body = record->body + o->explicit_len;
	bool padded = false;
	int plain_len, n = 0;

	if (record->len < overhead)
		return -1;
	plain_len = (int)(record->len - overhead);
	memcpy(tag, body + plain_len, tag_len);
	if (o->explicit_len) {
		memcpy(nonce, o->nonce, NONCE - EXPLICIT);
		memcpy(nonce + NONCE - EXPLICIT, record->body, EXPLICIT);
	} else {
		make_nonce(o, seq, nonce);
	}
	if (o->suite->v13) {
		memcpy(aad, record->header, TLS_RECORD_HEADER);
	} else {
		put_be64(aad, seq);
		memcpy(aad + 8, record->header, 3);
		aad[11] = (uint8_t)(plain_len >> 8);
		aad[12] = (uint8_t)plain_len;
	}
	if (EVP_CIPHER_CTX_ctrl(o->cipher, EVP_CTRL_AEAD_SET_TAG, (int)tag_len, tag) <= 0 ||
	    EVP_DecryptInit_ex2(o->cipher, NULL, NULL, nonce, NULL) <= 0 ||
	    (o->suite->mode == TLS_MODE_CCM && EVP_DecryptUpdate(o->cipher, NULL, &n, NULL, plain_len) <= 0) ||
	    EVP_DecryptUpdate(o->cipher, NULL, &n, aad, o->suite->v13 ? TLS_RECORD_HEADER : AAD_12) <= 0)
		return -1;
	/* CCM judges the tag here; it has no Final. And it wants to be called even when there is nothing. */
	if (EVP_DecryptUpdate(o->cipher, plain, &n, body, plain_len) <= 0)
		return -1;
	if (o->suite->mode != TLS_MODE_CCM && EVP_DecryptFinal_ex(o->cipher, plain + plain_len, &n) <= 0)
		return -1;
	*type = record->header[0];
	if (o->suite->v13) {
		/* The content type is the last byte that is not padding; a peer that sends none (0) breaks the rules. */
		while (plain_len > 0 && plain[plain_len - 1] == 0) {
			plain_len--;
			padded = true;
		}
		*type = plain_len > 0 ? plain[--plain_len] : 0;
	}
	o->padded = padded;
	if (o->explicit_len)
		o->last_explicit = get_be64(record->body);
	return plain_len;
}

/* ---- CBC -------------------------------------------------------------------------------------------------------- */

/* The HMAC of a record of TLS 1.2 or before: RFC 5246, 6.2.3.1; RFC 7366, 3. */
static int hmac(struct tls_opener *o, uint64_t seq, const uint8_t *record_header, const uint8_t *data, size_t len,
                uint8_t out[static MAC_MAX])
{
	uint8_t header[AAD_12];
	size_t n;

	put_be64(header, seq);
	memcpy(header + 8, record_header, 3);
	header[11] = (uint8_t)(len >> 8);
	header[12] = (uint8_t)len;
	return EVP_MAC_init(o->mac, NULL, 0, NULL) > 0 && EVP_MAC_update(o->mac, header, sizeof header) > 0 &&
	                       EVP_MAC_update(o->mac, data, len) > 0 && EVP_MAC_final(o->mac, out, &n, MAC_MAX) > 0
	               ? 0
	               : -1;
}

/* A record that was decrypted, and whose MAC is not judged yet. */
struct cbc_record {
	const uint8_t *header; /* that is authenticated with it */
	const uint8_t *data;   /* with this MAC: the plaintext, or the ciphertext */
	size_t data_len;
	const uint8_t *tag;
	size_t plain_len;
};

/* Decrypts; no sequence number is needed for that. -1: by its lengths or its padding it can't be of this direction. */
static int decrypt_cbc(struct tls_opener *o, const struct tls_record *record, uint8_t *plain, struct cbc_record *r)
{
	size_t mac_len = o->suite->tag_len, iv_len = o->implicit_iv ? 0 : o->block, n = record->len, padding;
	const uint8_t *body = record->body;
	int done = 0;

	*r = (struct cbc_record){.header = record->header};
	/* Its MAC would not notice that the first block comes out wrong. */
	if (o->implicit_iv && !o->iv_known)
		return -1;
	if (o->encrypt_then_mac) {
		if (n < mac_len)
			return -1;
		n -= mac_len;
		r->data = body;
		r->data_len = n;
		r->tag = body + n;
	}
	if (n < iv_len + o->block || n % o->block)
		return -1;
	n -= iv_len;
	if (EVP_DecryptInit_ex2(o->cipher, NULL, NULL, o->implicit_iv ? o->iv : body, NULL) <= 0 ||
	    EVP_DecryptUpdate(o->cipher, plain, &done, body + iv_len, (int)n) <= 0 || (size_t)done != n)
		return -1;
	padding = plain[n - 1];
	if (padding + 1 + (o->encrypt_then_mac ? 0 : mac_len) > n)
		return -1;
	for (size_t i = 0; i < padding; i++)
		if (plain[n - 2 - i] != padding)
			return -1;
	r->plain_len = n - padding - 1;
	if (!o->encrypt_then_mac) {
		r->plain_len -= mac_len;
		r->data = plain;
		r->data_len = r->plain_len;
		r->tag = plain + r->plain_len;
	}
	return 0;
}

static bool is_authentic(struct tls_opener *o, uint64_t seq, const struct cbc_record *r)
{
	uint8_t tag[MAC_MAX];

	return hmac(o, seq, r->header, r->data, r->data_len, tag) == 0 && memcmp(tag, r->tag, o->suite->tag_len) == 0;
}

/* ---- one record ------------------------------------------------------------------------------------------------- */

/* TLS 1.0: the IV of the next record is the end of this one's ciphertext. */
static void chain_iv(struct tls_opener *o, const struct tls_record *record)
{
	size_t tail = o->encrypt_then_mac ? o->suite->tag_len : 0;

	if (!o->implicit_iv)
		return;
	o->iv_known = record->len >= o->block + tail;
	if (o->iv_known)
		memcpy(o->iv, record->body + record->len - tail - o->block, o->block);
}

/* The record with this sequence number. */
static int open_as(struct tls_opener *o, uint64_t seq, const struct tls_record *record, uint8_t *plain, uint8_t *type)
{
	struct cbc_record r;
	int n;

	if (is_aead(o)) {
		n = open_aead(o, seq, record, plain, type);
	} else {
		n = decrypt_cbc(o, record, plain, &r) == 0 && is_authentic(o, seq, &r) ? (int)r.plain_len : -1;
		*type = record->header[0];
	}
	if (n < 0)
		return -1;
	chain_iv(o, record);
	o->seq = seq + 1;
	o->opened = true;
	return n;
}

int tls_open(struct tls_opener *o, const struct tls_record *record, uint8_t *plain, uint8_t *type)
{
	return open_as(o, o->seq, record, plain, type);
}

void tls_opener_pass(struct tls_opener *o, const struct tls_record *record)
{
	chain_iv(o, record);
	/* Nobody vouches for it; an HMAC over the plaintext would notice, one over the ciphertext not. */
	if (o->encrypt_then_mac)
		o->iv_known = false;
}

void tls_opener_lose(struct tls_opener *o)
{
	o->iv_known = false;
}

uint64_t tls_opener_seq(const struct tls_opener *opener)
{
	return opener->seq;
}

size_t tls_opener_overhead(const struct tls_opener *o, bool *exact)
{
	*exact = is_aead(o);
	if (!is_aead(o)) /* the padding's length is a byte at least */
		return TLS_RECORD_HEADER + (o->implicit_iv ? 0 : o->block) + o->suite->tag_len + 1;
	return TLS_RECORD_HEADER + o->explicit_len + o->suite->tag_len + o->suite->v13;
}

bool tls_opener_padded(const struct tls_opener *opener)
{
	return opener->padded;
}

/* ---- the search for a sequence number --------------------------------------------------------------------------- */

/* The numbers of a window, from the likely one outwards. */
struct walk {
	struct tls_window window;
	uint64_t below, above; /* how far it has gone */
	bool started, up;
};

static bool walk_next(struct walk *w, uint64_t *seq)
{
	uint64_t likely = w->window.likely;
	bool can_up = w->above < w->window.to - likely, can_down = w->below < likely - w->window.from;

	if (!w->started) {
		w->started = true;
		*seq = likely;
		return true;
	}
	if (!can_up && !can_down)
		return false;
	w->up = can_up && (!w->up || !can_down);
	*seq = w->up ? likely + ++w->above : likely - ++w->below;
	return true;
}

static bool pay(uint64_t *work, uint64_t cost)
{
	if (*work < cost) {
		*work = 0;
		return false;
	}
	*work -= cost;
	return true;
}

/* Can the last byte of the plaintext be told for any sequence number by one byte of the key stream? */
static bool is_told_by_last_byte(const struct tls_opener *o)
{
	return o->suite->v13 &&
	       (o->suite->mode == TLS_MODE_CHACHA20_POLY1305 || strncmp(o->suite->cipher, "AES-", 4) == 0);
}

static int open_stream(struct tls_opener *o)
{
	EVP_CIPHER *cipher;
	int result = -1;

	if (o->stream || o->suite->mode == TLS_MODE_CHACHA20_POLY1305)
		return 0;
	cipher = EVP_CIPHER_fetch(NULL, o->suite->key_len == 16 ? "AES-128-ECB" : "AES-256-ECB", NULL);
	o->stream = EVP_CIPHER_CTX_new();
	if (cipher && o->stream && EVP_EncryptInit_ex2(o->stream, cipher, o->key, NULL, NULL) > 0) {
		EVP_CIPHER_CTX_set_padding(o->stream, 0);
		result = 0;
	} else {
		EVP_CIPHER_CTX_free(o->stream);
		o->stream = NULL;
	}
	EVP_CIPHER_free(cipher);
	return result;
}

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t rotate(uint32_t value, int by)
{
	return value << by | value >> (32 - by);
}

/* RFC 8439, 2.1. */
static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

/* One byte of a ChaCha20 block: RFC 8439, 2.3. libcrypto takes ten times as long to begin with a nonce. */
static uint8_t chacha20_byte(const uint8_t key[static 32], uint32_t counter, const uint8_t nonce[static NONCE],
                             size_t at)
{
	uint32_t first[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16];

	for (int i = 0; i < 8; i++)
		first[4 + i] = get_le32(key + 4 * i);
	first[12] = counter;
	for (int i = 0; i < 3; i++)
		first[13 + i] = get_le32(nonce + 4 * i);
	memcpy(x, first, sizeof x);
	for (int i = 0; i < 10; i++) {
		quarter_round(&x[0], &x[4], &x[8], &x[12]);
		quarter_round(&x[1], &x[5], &x[9], &x[13]);
		quarter_round(&x[2], &x[6], &x[10], &x[14]);
		quarter_round(&x[3], &x[7], &x[11], &x[15]);
		quarter_round(&x[0], &x[5], &x[10], &x[15]);
		quarter_round(&x[1], &x[6], &x[11], &x[12]);
		quarter_round(&x[2], &x[7], &x[8], &x[13]);
		quarter_round(&x[3], &x[4], &x[9], &x[14]);
	}
	return (uint8_t)((x[at / 4] + first[at / 4]) >> 8 * (at % 4));
}

/* The key stream at byte `at` of the plaintext, for each of the sequence numbers: NIST SP 800-38D, 7.2; RFC 3610, 2.3;
 * RFC 8439, 2.4. */
static int key_stream(struct tls_opener *o, const uint64_t *seq, size_t n, size_t at, uint8_t *out)
{
	uint8_t counter[BATCH * 16], blocks[BATCH * 16], nonce[NONCE];
	int done = 0;

	if (o->suite->mode == TLS_MODE_CHACHA20_POLY1305) {
		for (size_t i = 0; i < n; i++) {
			make_nonce(o, seq[i], nonce);
			out[i] = chacha20_byte(o->key, (uint32_t)(1 + at / 64), nonce, at % 64);
		}
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t *c = counter + 16 * i;
		uint32_t block = (uint32_t)(at / 16) + (o->suite->mode == TLS_MODE_GCM ? 2 : 1);

		if (o->suite->mode == TLS_MODE_GCM) {
			make_nonce(o, seq[i], c);
			c[12] = 0;
		} else {
			c[0] = 15 - NONCE - 1;
			make_nonce(o, seq[i], c + 1);
		}
		c[13] = (uint8_t)(block >> 16);
		c[14] = (uint8_t)(block >> 8);
		c[15] = (uint8_t)block;
	}
	if (EVP_EncryptUpdate(o->stream, blocks, &done, counter, (int)(16 * n)) <= 0 || (size_t)done != 16 * n)
		return -1;
	for (size_t i = 0; i < n; i++)
		out[i] = blocks[16 * i + at % 16];
	return 0;
}

/* Data or padding; where only few are looked at, the other content types as well. */
static bool may_be_last(uint8_t byte, bool many)
{
	return byte == 23 || byte == 0 || (!many && byte >= 20 && byte <= 24);
}

static int seek_by_last_byte(struct tls_opener *o, const struct tls_record *record, const struct tls_window *window,
                             uint64_t *work, uint8_t *plain, uint8_t *type)
{
	size_t overhead = o->suite->tag_len, at, n = 0, total = 0;
	struct walk walk = {.window = *window};
	uint64_t seq[BATCH], cost = o->suite->mode == TLS_MODE_CHACHA20_POLY1305 ? 512 : 32;
	uint8_t stream[BATCH];
	bool more = true, many = window->to - window->from >= MANY;
	int result;

	if (record->len <= overhead || open_stream(o) < 0)
		return -1;
	at = record->len - overhead - 1;
	while (more && total < SEEK_MAX) {
		for (n = 0; n < BATCH && (more = walk_next(&walk, &seq[n])); n++)
			;
		total += n;
		if (!pay(work, cost * n) || key_stream(o, seq, n, at, stream) < 0)
			return -1;
		for (size_t i = 0; i < n; i++) {
			if (!may_be_last(stream[i] ^ record->body[at], many))
				continue;
			if (!pay(work, record->len + TRIAL_COST))
				return -1;
			result = open_as(o, seq[i], record, plain, type);
			if (result >= 0)
				return result;
		}
	}
	return -1;
}

static int seek_cbc(struct tls_opener *o, const struct tls_record *record, struct walk *walk, uint64_t *work,
                    uint8_t *plain, uint8_t *type)
{
	struct cbc_record r;
	uint64_t seq;

	if (!pay(work, record->len + TRIAL_COST) || decrypt_cbc(o, record, plain, &r) < 0)
		return -1;
	for (size_t i = 0; i < SEEK_MAX && walk_next(walk, &seq); i++) {
		if (!pay(work, r.data_len + TRIAL_COST))
			return -1;
		if (is_authentic(o, seq, &r))
			return open_as(o, seq, record, plain, type);
	}
	return -1;
}

/* The record carries a nonce that is a counter, mostly: OpenSSL's begins anywhere, that of others is the number. */
static int seek_by_nonce(struct tls_opener *o, const struct tls_record *record, const struct tls_window *window,
                         uint64_t *work, uint8_t *plain, uint8_t *type)
{
	uint64_t number = get_be64(record->body), guesses[] = {o->seq + (number - o->last_explicit) - 1, number};

	for (size_t i = o->opened ? 0 : 1; i < sizeof guesses / sizeof *guesses; i++) {
		int n;

		if (guesses[i] < window->from || guesses[i] > window->to)
			continue;
		if (!pay(work, record->len + TRIAL_COST))
			return -1;
		n = open_as(o, guesses[i], record, plain, type);
		if (n >= 0)
			return n;
	}
	return -1;
}

int tls_seek(struct tls_opener *o, const struct tls_record *record, const struct tls_window *window, uint64_t *work,
             uint8_t *plain, uint8_t *type)
{
	struct walk walk = {.window = *window};
	uint64_t seq;
	int n = -1;

	if (window->to < window->from || record->len < o->explicit_len + o->suite->tag_len)
		return -1;
	if (walk.window.likely < window->from)
		walk.window.likely = window->from;
	if (walk.window.likely > window->to)
		walk.window.likely = window->to;
	if (!is_aead(o))
		return seek_cbc(o, record, &walk, work, plain, type);
	if (is_told_by_last_byte(o) && window->to != window->from)
		return seek_by_last_byte(o, record, &walk.window, work, plain, type);
	if (o->explicit_len)
		n = seek_by_nonce(o, record, window, work, plain, type);
	for (size_t i = 0; n < 0 && i < SEEK_MAX && walk_next(&walk, &seq); i++) {
		if (!pay(work, record->len + TRIAL_COST))
			return -1;
		n = open_as(o, seq, record, plain, type);
	}
	return n;
}

void tls_opener_free(struct tls_opener *opener)
{
	if (!opener)
		return;
	EVP_CIPHER_CTX_free(opener->cipher);
	EVP_CIPHER_CTX_free(opener->stream);
	EVP_MAC_CTX_free(opener->mac);
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
