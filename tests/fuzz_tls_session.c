/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TLS session with the right keys, that the input describes, seals and then tears: records of any kind in either
 * direction, holes, wrong bits, bytes that belong to nothing, bytes that come twice, secrets that come late. The keys
 * are derived and the records sealed here, by RFC 8446 and RFC 5246, with HMAC and the ciphers of libcrypto alone.
 *
 * Whatever is torn: what comes out of a direction that is TLS are records that were sealed, whole and in order. And if
 * nothing but holes was done to the wire, a hole that is told with a length has as many bytes as are missing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "replay/tls_flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(x)               \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

enum {
	RECORDS_MAX = 512,
	WIRE_MAX = 1 << 20,
};

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* ---- sealing ---------------------------------------------------------------------------------------------------- */

static const struct kind {
	uint16_t suite;
	bool v13, etm, cbc;
	size_t key_len, hash_len, tag_len, fixed_iv;
	const char *hash;
} kinds[] = {
        {0x1301, true, false, false, 16, 32, 16, 12, "SHA256"},  {0x1302, true, false, false, 32, 48, 16, 12, "SHA384"},
        {0x1303, true, false, false, 32, 32, 16, 12, "SHA256"},  {0x1305, true, false, false, 16, 32, 8, 12, "SHA256"},
        {0xc02f, false, false, false, 16, 32, 16, 4, "SHA256"},  {0xc030, false, false, false, 32, 48, 16, 4, "SHA384"},
        {0xcca8, false, false, false, 32, 32, 16, 12, "SHA256"}, {0xc09e, false, false, false, 16, 32, 16, 4, "SHA256"},
        {0x002f, false, false, true, 16, 32, 20, 0, "SHA256"},   {0x003d, false, true, true, 32, 32, 32, 0, "SHA256"},
};

static const EVP_CIPHER *cipher_of(const struct kind *k)
{
	switch (k->suite) {
	case 0x1301:
	case 0xc02f:
		return EVP_aes_128_gcm();
	case 0x1302:
	case 0xc030:
		return EVP_aes_256_gcm();
	case 0x1305:
	case 0xc09e:
		return EVP_aes_128_ccm();
	case 0x002f:
		return EVP_aes_128_cbc();
	case 0x003d:
		return EVP_aes_256_cbc();
	default:
		return EVP_chacha20_poly1305();
	}
}

struct keys {
	uint8_t secret[48], key[32], iv[12], mac[32];
	uint64_t seq;
};

/* HKDF-Expand of one block: RFC 5869, 2.3, with the label of RFC 8446, 7.1. */
static void expand_label(const struct kind *k, const uint8_t *secret, const char *label, uint8_t *out, size_t len)
{
	uint8_t info[64], block[64];
	unsigned n = 0, block_len;

	info[n++] = 0;
	info[n++] = (uint8_t)len;
	info[n++] = (uint8_t)(6 + strlen(label));
	memcpy(info + n, "tls13 ", 6);
	memcpy(info + n + 6, label, strlen(label));
	n += 6 + (unsigned)strlen(label);
	info[n++] = 0;
	info[n++] = 1;
	HMAC(EVP_get_digestbyname(k->hash), secret, (int)k->hash_len, info, n, block, &block_len);
	memcpy(out, block, len);
}

static void derive_13(const struct kind *k, struct keys *keys)
{
	expand_label(k, keys->secret, "key", keys->key, k->key_len);
	expand_label(k, keys->secret, "iv", keys->iv, 12);
	keys->seq = 0;
}

/* P_hash: RFC 5246, 5. */
static void derive_12(const struct kind *k, const uint8_t master[48], const uint8_t *randoms, struct keys keys[2])
{
	uint8_t seed[48 + 13 + 64], block[256];
	unsigned a_len = (unsigned)k->hash_len, n;
	const EVP_MD *md = EVP_get_digestbyname(k->hash);
	size_t mac = k->cbc ? k->tag_len : 0, at = 0;

	memcpy(seed + a_len, "key expansion", 13);
	memcpy(seed + a_len + 13, randoms + 32, 32);
	memcpy(seed + a_len + 45, randoms, 32);
	HMAC(md, master, 48, seed + a_len, 77, seed, &n);
	for (size_t i = 0; i + a_len <= sizeof block; i += a_len) {
		uint8_t next[64];

		HMAC(md, master, 48, seed, a_len + 77, block + i, &n);
		HMAC(md, master, 48, seed, a_len, next, &n);
		memcpy(seed, next, a_len);
	}
	for (int i = 0; i < 2; i++, at += mac)
		memcpy(keys[i].mac, block + at, mac);
	for (int i = 0; i < 2; i++, at += k->key_len)
		memcpy(keys[i].key, block + at, k->key_len);
	for (int i = 0; i < 2; i++, at += k->fixed_iv)
		memcpy(keys[i].iv, block + at, k->fixed_iv);
	keys[0].seq = keys[1].seq = 0;
}

static void put_seq(uint64_t seq, uint8_t *out)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(seq >> (56 - 8 * i));
}

static size_t encrypt(const struct kind *k, const struct keys *keys, const uint8_t *iv, const uint8_t *aad,
                      size_t aad_len, const uint8_t *plain, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, more = 0;

	REQUIRE(EVP_EncryptInit_ex(c, cipher_of(k), NULL, NULL, NULL) > 0);
	if (!k->cbc)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL);
	if (k->suite == 0x1305 || k->suite == 0xc09e)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, (int)k->tag_len, NULL);
	REQUIRE(EVP_EncryptInit_ex(c, NULL, NULL, keys->key, iv) > 0);
	EVP_CIPHER_CTX_set_padding(c, 0);
	if (k->suite == 0x1305 || k->suite == 0xc09e)
		REQUIRE(EVP_EncryptUpdate(c, NULL, &n, NULL, (int)len) > 0);
	if (aad_len)
		REQUIRE(EVP_EncryptUpdate(c, NULL, &n, aad, (int)aad_len) > 0);
	REQUIRE(EVP_EncryptUpdate(c, out, &n, plain, (int)len) > 0);
	REQUIRE(EVP_EncryptFinal_ex(c, out + n, &more) > 0);
	n += more;
	if (!k->cbc) {
		REQUIRE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, (int)k->tag_len, out + n) > 0);
		n += (int)k->tag_len;
	}
	EVP_CIPHER_CTX_free(c);
	return (size_t)n;
}

/* Seals a record; its length. `padding` is for TLS 1.3 and CBC. */
static size_t seal(const struct kind *k, struct keys *keys, uint8_t type, const uint8_t *data, size_t len,
                   size_t padding, uint8_t *out)
{
	uint8_t inner[20000] = {0}, iv[16], aad[13], seq[8];
	size_t n, body = 5;
	unsigned mac_len;
	const EVP_MD *sha = k->tag_len == 20 ? EVP_sha1() : EVP_sha256();

	put_seq(keys->seq++, seq);
	memcpy(inner, data, len);
	memcpy(out, (uint8_t[]){k->v13 ? 23 : type, 3, 3}, 3);
	if (k->v13) {
		inner[len] = type;
		n = len + 1 + padding;
		out[3] = (uint8_t)((n + k->tag_len) >> 8);
		out[4] = (uint8_t)(n + k->tag_len);
		memcpy(iv, keys->iv, 12);
		for (int i = 0; i < 8; i++)
			iv[4 + i] ^= seq[i];
		return body + encrypt(k, keys, iv, out, 5, inner, n, out + body);
	}
	memcpy(aad, seq, 8);
	memcpy(aad + 8, out, 3);
	aad[11] = (uint8_t)(len >> 8);
	aad[12] = (uint8_t)len;
	if (!k->cbc) {
		memcpy(iv, keys->iv, 12);
		if (k->fixed_iv == 4) {
			memcpy(iv + 4, seq, 8);
			iv[4] ^= 0x55; /* a counter, and not the number */
			memcpy(out + body, iv + 4, 8);
			body += 8;
		} else {
			for (int i = 0; i < 8; i++)
				iv[4 + i] ^= seq[i];
		}
		n = body + encrypt(k, keys, iv, aad, 13, inner, len, out + body);
	} else {
		uint8_t text[20000];

		memset(iv, (int)keys->seq, 16);
		memcpy(out + body, iv, 16);
		n = len;
		if (!k->etm) {
			memcpy(text, aad, 13);
			memcpy(text + 13, inner, len);
			HMAC(sha, keys->mac, (int)k->tag_len, text, 13 + len, inner + n, &mac_len);
			n += k->tag_len;
		}
		padding = (15 - n % 16) + padding / 16 % 8 * 16;
		memset(inner + n, (int)padding, padding + 1);
		n += padding + 1;
		n = 16 + encrypt(k, keys, iv, NULL, 0, inner, n, out + body + 16);
		if (k->etm) {
			aad[11] = (uint8_t)(n >> 8);
			aad[12] = (uint8_t)n;
			memcpy(text, aad, 13);
			memcpy(text + 13, out + body, n);
			HMAC(sha, keys->mac, (int)k->tag_len, text, 13 + n, out + body + n, &mac_len);
			n += k->tag_len;
		}
		n += body;
	}
	out[3] = (uint8_t)((n - 5) >> 8);
	out[4] = (uint8_t)(n - 5);
	return n;
}

/* ---- the session ------------------------------------------------------------------------------------------------ */

struct sealed {
	size_t len;
	uint32_t number;
};

struct direction {
	struct keys keys;
	struct sealed records[RECORDS_MAX]; /* of application data */
	size_t n_records, next;             /* that may come out */
	uint64_t missing;                   /* bytes of those that were passed over */
	uint64_t told;
	bool unknown;
};

struct session {
	const struct kind *kind;
	struct direction dir[2];
	struct tls_store store;
	struct tls_flow *flow;
	bool torn; /* by more than holes */
	bool padded;
	uint32_t number;
};

static void fill(uint32_t number, uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		number = number * 1664525 + 1013904223;
		data[i] = (uint8_t)(number >> 24);
	}
}

static int on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct session *s = context;
	struct direction *d = &s->dir[dir];
	uint8_t expected[17000];

	(void)stamp;
	if (!tls_flow_is_tls(s->flow, dir))
		return 0;
	if (!data) {
		d->unknown |= len == 0;
		d->told += len;
		return 0;
	}
	for (;; d->next++) {
		const struct sealed *r = &d->records[d->next];

		REQUIRE(d->next < d->n_records);
		fill(r->number, expected, r->len);
		if (r->len == len && memcmp(expected, data, len) == 0)
			break;
		d->missing += r->len;
	}
	d->next++;
	if (!s->torn && !s->padded && !d->unknown)
		REQUIRE(d->told == d->missing);
	d->told = d->missing = 0;
	d->unknown = false;
	return 0;
}

static void add_secret(struct session *s, const char *label, const uint8_t *random, const uint8_t *value, size_t len)
{
	const struct fdtape_secret secret = {.pid = 1,
	                                     .label = label,
	                                     .source = "",
	                                     .id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM,
	                                     .id = random,
	                                     .id_len = 32,
	                                     .value = value,
	                                     .value_len = len};

	tls_store_add(&s->store, &secret);
}

/* How the wire is treated from here on; a mode of tearing for each piece. */
static void carry(struct session *s, enum fdtape_dir dir, const uint8_t *wire, size_t len, struct input *in)
{
	const struct stamp stamp = {.shown = true};
	uint8_t copy[20000], how = take(in);
	size_t step = len, at;

	switch (how & 7) {
	case 1: /* lost */
		tls_flow_feed(s->flow, dir, NULL, len, &stamp);
		return;
	case 2: /* its end, or its beginning is lost */
	case 3:
		at = (size_t)take(in) * len / 256;
		if (how & 1)
			tls_flow_feed(s->flow, dir, wire, at, &stamp);
		if ((how & 1 ? len - at : at) > 0)
			tls_flow_feed(s->flow, dir, NULL, how & 1 ? len - at : at, &stamp);
		if (!(how & 1))
			tls_flow_feed(s->flow, dir, wire + at, len - at, &stamp);
		return;
	case 4: /* a bit */
		s->torn = true;
		memcpy(copy, wire, len);
		at = ((size_t)take(in) << 8 | take(in)) % len;
		copy[at] ^= (uint8_t)(1 << (how >> 5));
		wire = copy;
		break;
	case 5: /* twice */
		s->torn = true;
		tls_flow_feed(s->flow, dir, wire, len, &stamp);
		break;
	case 6: /* behind what belongs to nothing */
		s->torn = true;
		at = take(in);
		for (size_t i = 0; i < at; i++)
			copy[i] = take(in);
		if (at)
			tls_flow_feed(s->flow, dir, copy, at, &stamp);
		break;
	case 7: /* in pieces */
		step = 1 + take(in);
		break;
	default:
		break;
	}
	for (at = 0; at < len; at += step)
		tls_flow_feed(s->flow, dir, wire + at, len - at < step ? len - at : step, &stamp);
}

static void carry_record(struct session *s, enum fdtape_dir dir, uint8_t type, const uint8_t *data, size_t len,
                         struct input *in)
{
	uint8_t wire[20000];
	size_t padding = take(in);

	padding = padding > 200 ? padding : 0;
	s->padded |= padding > 0 || s->kind->cbc;
	len = seal(s->kind, &s->dir[dir].keys, type, data, len, padding, wire);
	carry(s, dir, wire, len, in);
}

static void carry_hellos(struct session *s, const uint8_t *randoms, struct input *in)
{
	uint8_t hello[128] = {22, 3, 3, 0, 0, 1, 0, 0, 0, 3, 3};
	size_t n = 43;

	memcpy(hello + 11, randoms, 32);
	memcpy(hello + n, (uint8_t[]){0, 0, 2, (uint8_t)(s->kind->suite >> 8), (uint8_t)s->kind->suite, 1, 0}, 7);
	n += 7;
	hello[4] = (uint8_t)(n - 5);
	hello[8] = (uint8_t)(n - 9);
	carry(s, FDTAPE_OUT, hello, n, in);
	hello[5] = 2;
	n = 43;
	memcpy(hello + 11, randoms + 32, 32);
	memcpy(hello + n, (uint8_t[]){0, (uint8_t)(s->kind->suite >> 8), (uint8_t)s->kind->suite, 0}, 4);
	n += 4;
	if (s->kind->v13) {
		memcpy(hello + n, (uint8_t[]){0, 6, 0, 43, 0, 2, 3, 4}, 8);
		n += 8;
	} else if (s->kind->etm) {
		memcpy(hello + n, (uint8_t[]){0, 4, 0, 22, 0, 0}, 6);
		n += 6;
	}
	hello[4] = (uint8_t)(n - 5);
	hello[8] = (uint8_t)(n - 9);
	carry(s, FDTAPE_IN, hello, n, in);
}

static void converse(struct session *s, struct input *in)
{
	static const uint8_t finished[] = {20, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	                     update[] = {24, 0, 0, 1, 0}, extensions[] = {8, 0, 0, 2, 0, 0}, alert[] = {1, 0},
	                     ccs[] = {20, 3, 3, 0, 1, 1};
	static const char *const labels[2][2] = {{"SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"},
	                                         {"SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0"}};
	uint8_t randoms[64], secrets[2][2][48], late = take(in);
	size_t wire = 0;

	fill(take(in), randoms, sizeof randoms);
	fill(take(in) + 1000, (uint8_t *)secrets, sizeof secrets);
	for (int late_now = 0; late_now < 2; late_now++) {
		for (int epoch = 0; epoch < 2 && s->kind->v13; epoch++)
			for (int dir = 0; dir < 2; dir++)
				if ((late >> (2 * epoch + dir) & 1) == late_now)
					add_secret(s, labels[epoch][dir], randoms, secrets[epoch][dir],
					           s->kind->hash_len);
		if (!s->kind->v13 && (late & 1) == late_now)
			add_secret(s, "CLIENT_RANDOM", randoms, secrets[0][0], 48);
		if (late_now)
			break;
		carry_hellos(s, randoms, in);
		if (s->kind->v13) {
			for (int dir = 0; dir < 2; dir++) {
				memcpy(s->dir[dir].keys.secret, secrets[0][dir], 48);
				derive_13(s->kind, &s->dir[dir].keys);
			}
			carry_record(s, FDTAPE_IN, 22, extensions, sizeof extensions, in);
		} else {
			struct keys keys[2];

			derive_12(s->kind, secrets[0][0], randoms, keys);
			s->dir[FDTAPE_OUT].keys = keys[0];
			s->dir[FDTAPE_IN].keys = keys[1];
			carry(s, FDTAPE_OUT, ccs, sizeof ccs, in);
			carry(s, FDTAPE_IN, ccs, sizeof ccs, in);
		}
		for (int dir = 0; dir < 2; dir++) {
			carry_record(s, (enum fdtape_dir)dir, 22, finished, sizeof finished, in);
			if (!s->kind->v13)
				continue;
			memcpy(s->dir[dir].keys.secret, secrets[1][dir], 48);
			derive_13(s->kind, &s->dir[dir].keys);
		}
	}
	while (in->left > 0 && wire < WIRE_MAX) {
		uint8_t op = take(in), data[17000];
		enum fdtape_dir dir = op & 1 ? FDTAPE_OUT : FDTAPE_IN;
		struct direction *d = &s->dir[dir];
		size_t len = take(in);

		switch (op >> 1 & 7) {
		case 0:
			/* Within a hole this takes bytes that are no data, and an alert likewise. */
			s->torn = true;
			carry_record(s, dir, 22, update, s->kind->v13 ? sizeof update : 4, in);
			if (!s->kind->v13)
				break;
			expand_label(s->kind, d->keys.secret, "traffic upd", d->keys.secret, s->kind->hash_len);
			derive_13(s->kind, &d->keys);
			break;
		case 1:
			s->torn = true;
			carry_record(s, dir, 21, alert, sizeof alert, in);
			break;
		case 2:
			tls_flow_give_up(s->flow, dir);
			break;
		default:
			if (d->n_records == RECORDS_MAX)
				break;
			if (op & 0x40)
				len = len * 64 + 1;
			d->records[d->n_records++] = (struct sealed){.len = len, .number = ++s->number};
			fill(s->number, data, len);
			if (len == 0) /* nothing comes out */
				d->n_records--;
			carry_record(s, dir, 23, data, len, in);
			wire += len;
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session session;
	struct session *s = &session;
	struct tls_info info = {0};
	struct input in = {data, size};
	uint8_t first = take(&in);
	const struct tls_flow_sink sink = {.context = s, .plain = on_plain};

	memset(s, 0, sizeof *s);
	s->kind = &kinds[(first & 0x7f) % (sizeof kinds / sizeof *kinds)];
	s->flow = tls_flow_new(&s->store, &info, 1, first >> 7, &sink);
	if (s->flow) {
		converse(s, &in);
		tls_flow_finish(s->flow);
	}
	tls_flow_free(s->flow);
	tls_store_release(&s->store);
	return 0;
}
