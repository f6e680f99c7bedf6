/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TEST_TLS_ENDPOINTS_H
#define TEST_TLS_ENDPOINTS_H

/*
 * Conversations of two endpoints of OpenSSL's libssl, in memory. What the suites about them hold fdtape to comes from
 * these endpoints alone: what each was handed, which records it wrote and what was in them (message callback), and the
 * secrets (keylog callback), bound to the connection as the recorder binds them: by the Transcript-Hash of the messages
 * that the client saw, or by its random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "replay/buffer.h"
#include "replay/tls_flow.h"
#include "tests/self_signed.h"

#define N(a) (sizeof(a) / sizeof *(a))

/* ---- random numbers --------------------------------------------------------------------------------------------- */

static inline uint64_t roll(uint64_t *dice) /* splitmix64 */
{
	uint64_t z = *dice += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* ---- what is told of a conversation ----------------------------------------------------------------------------- */

enum {
	NO_EMS = 1 << 0,            /* without the extended master secret */
	NO_ETM = 1 << 1,            /* without encrypt-then-mac */
	RESUME = 1 << 2,            /* a conversation before it gives the ticket */
	HRR = 1 << 3,               /* HelloRetryRequest */
	EARLY_DATA = 1 << 4,        /* 0-RTT, and the server takes it */
	EARLY_REFUSED = 1 << 5,     /* 0-RTT, and the server does not */
	KEY_UPDATE = 1 << 6,        /* from both ends */
	RENEGOTIATE = 1 << 7,       /* TLS 1.2 */
	CLIENT_CERT = 1 << 8,       /* in the handshake */
	POST_AUTH = 1 << 9,         /* a client certificate behind the handshake: TLS 1.3 */
	SMALL = 1 << 10,            /* max_fragment_length: 512 */
	PADDED = 1 << 11,           /* TLS 1.3 records are padded */
	PSK = 1 << 12,              /* an external one */
	NO_TICKETS = 1 << 13,       /* sessions are resumed by their id */
	RENEGOTIATE_MORE = 1 << 14, /* a second time */
};

struct setup {
	int version;
	const char *suite; /* as OpenSSL calls it */
	unsigned how;      /* of the bits above */
	size_t bulk;       /* bytes that the server sends in one go; 0: 40000 */
};

struct record {
	size_t from, to; /* in wire[dir] */
	int type;        /* the true one: in TLS 1.3 what is encrypted */
	bool data;       /* application data that was delivered */
	size_t plain, plain_len;
};

/* A piece of the wire, as it was written. */
struct piece {
	enum fdtape_dir dir; /* the client's */
	size_t from, to;
};

struct conversation {
	const struct setup *setup;
	struct buffer wire[2], plain[2]; /* by the client's direction; plain: what the endpoints were handed */
	struct piece *pieces;
	size_t n_pieces, handshake_pieces; /* all; those up to the first application data behind the handshake */
	struct record *records[2];
	size_t n_records[2];
	struct buffer sends[2]; /* size_t: bytes of each delivered write */
	size_t skipped_early;   /* records of refused early data */
	struct fdtape_secret secrets[64];
	size_t n_secrets;
	uint8_t client_random[32], server_random[32];
	/* For the transcript: messages as the client saw them. */
	struct buffer messages;
	size_t first_hello, to_server_hello, to_server_finished;
	bool retried;
	uint64_t dice;
};

static inline void add_secret(struct conversation *c, const char *label, uint32_t id_kind, const uint8_t *id,
                              size_t id_len, const uint8_t *value, size_t value_len)
{
	struct fdtape_secret *secret = &c->secrets[c->n_secrets++];
	uint8_t *copy = malloc(id_len + value_len);

	assert_true(c->n_secrets <= N(c->secrets));
	memcpy(copy, id, id_len);
	memcpy(copy + id_len, value, value_len);
	*secret = (struct fdtape_secret){.pid = 1,
	                                 .label = strdup(label),
	                                 .source = "",
	                                 .id_kind = id_kind,
	                                 .id = copy,
	                                 .id_len = id_len,
	                                 .value = copy + id_len,
	                                 .value_len = value_len};
}

static inline void conversation_free(struct conversation *c)
{
	for (int dir = 0; dir < 2; dir++) {
		buffer_release(&c->wire[dir]);
		buffer_release(&c->plain[dir]);
		buffer_release(&c->sends[dir]);
		free(c->records[dir]);
	}
	for (size_t i = 0; i < c->n_secrets; i++) {
		free((void *)c->secrets[i].label);
		free((void *)c->secrets[i].id);
	}
	buffer_release(&c->messages);
	free(c->pieces);
	free(c);
}

/* ---- what libssl tells ------------------------------------------------------------------------------------------ */

static inline size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;

	while (sscanf(hex, "%2x", &byte) == 1) {
		out[n++] = (uint8_t)byte;
		hex += 2;
	}
	return n;
}

static inline void on_keylog(const SSL *ssl, const char *line)
{
	struct conversation *c = SSL_get_app_data(ssl);
	char label[64], random[65], value[129];
	uint8_t id[64], secret[64];
	size_t n;

	assert_int_equal(sscanf(line, "%63s %64s %128s", label, random, value), 3);
	if (strcmp(label, "RSA") == 0) /* the premaster secret, which nobody else tells */
		return;
	assert_int_equal(from_hex(random, id), 32);
	n = from_hex(value, secret);
	memcpy(c->client_random, id, 32);
	SSL_get_server_random(ssl, c->server_random, 32);
	add_secret(c, label, FDTAPE_SECRET_ID_CLIENT_RANDOM, id, 32, secret, n);
}

static inline void add_record(struct conversation *c, enum fdtape_dir dir, int type)
{
	c->records[dir] = realloc(c->records[dir], (c->n_records[dir] + 1) * sizeof(struct record));
	c->records[dir][c->n_records[dir]++] = (struct record){.type = type};
}

static inline void on_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *context)
{
	static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11}; /* RFC 8446, 4.1.3 */
	struct conversation *c = context;
	const uint8_t *message = data;
	enum fdtape_dir dir = SSL_is_server(ssl) ? FDTAPE_IN : FDTAPE_OUT;

	(void)version;
	if (sent && type == SSL3_RT_HEADER)
		add_record(c, dir, message[0]);
	if (sent && type == SSL3_RT_INNER_CONTENT_TYPE)
		c->records[dir][c->n_records[dir] - 1].type = message[0];
	if (SSL_is_server(ssl) || type != SSL3_RT_HANDSHAKE || c->to_server_finished)
		return;
	if (message[0] == SSL3_MT_SERVER_HELLO && memcmp(message + 6, retry, sizeof retry) == 0)
		c->retried = true;
	assert_int_equal(buffer_add(&c->messages, data, len), 0);
	if (message[0] == SSL3_MT_CLIENT_HELLO && !c->first_hello)
		c->first_hello = c->messages.len;
	if (message[0] == SSL3_MT_SERVER_HELLO)
		c->to_server_hello = c->messages.len;
	if (message[0] == SSL3_MT_FINISHED && !sent)
		c->to_server_finished = c->messages.len;
}

/* The Transcript-Hash of the first `len` bytes of messages: RFC 8446, 4.4.1. */
static inline size_t transcript_hash(const struct conversation *c, size_t len, const EVP_MD *md, uint8_t *hash)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t first[4 + EVP_MAX_MD_SIZE] = {254};
	unsigned n = 0;
	size_t from = 0;

	EVP_DigestInit_ex(context, md, NULL);
	if (c->retried) {
		EVP_Digest(c->messages.data, c->first_hello, first + 4, &n, md, NULL);
		first[3] = (uint8_t)n;
		EVP_DigestUpdate(context, first, 4 + n);
		from = c->first_hello;
	}
	EVP_DigestUpdate(context, c->messages.data + from, len - from);
	EVP_DigestFinal_ex(context, hash, &n);
	EVP_MD_CTX_free(context);
	return n;
}

/* The secrets again, bound as the recorder binds OpenSSL's: by what they were derived with. */
static inline void bind_by_transcript(struct conversation *c, const EVP_MD *md)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t n = c->n_secrets;

	for (size_t i = 0; i < n; i++) {
		const struct fdtape_secret *k = &c->secrets[i];
		bool early = strstr(k->label, "EARLY") != NULL, handshake = strstr(k->label, "HANDSHAKE") != NULL;
		size_t len = transcript_hash(c,
		                             early       ? c->first_hello
		                             : handshake ? c->to_server_hello
		                                         : c->to_server_finished,
		                             md, hash);

		add_secret(c, k->label, FDTAPE_SECRET_ID_TRANSCRIPT, hash, len, k->value, k->value_len);
	}
}

/* ---- endpoints -------------------------------------------------------------------------------------------------- */

struct pair {
	struct conversation *c;
	SSL *client, *server;
	BIO *client_in, *client_out, *server_in, *server_out;
};

static inline EVP_PKEY *key_of(const char *suite)
{
	static EVP_PKEY *ec, *rsa;

	if (!ec) {
		ec = EVP_EC_gen("P-256");
		rsa = EVP_RSA_gen(2048);
	}
	return strstr(suite, "ECDSA") ? ec : rsa;
}

static inline int accept_any(X509_STORE_CTX *context, void *arg)
{
	(void)context;
	(void)arg;
	return 1;
}

static inline unsigned psk_client(SSL *ssl, const char *hint, char *identity, unsigned max_identity, uint8_t *psk,
                                  unsigned max)
{
	(void)ssl;
	(void)hint;
	snprintf(identity, max_identity, "anybody");
	memset(psk, 0x5a, max < 32 ? max : 32);
	return 32;
}

static inline unsigned psk_server(SSL *ssl, const char *identity, uint8_t *psk, unsigned max)
{
	(void)ssl;
	(void)identity;
	memset(psk, 0x5a, max < 32 ? max : 32);
	return 32;
}

static SSL_SESSION *last_session;

static inline int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last_session);
	last_session = session;
	return 1;
}

static inline SSL_CTX *new_context(const struct setup *setup, bool server)
{
	SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	char list[128];

	SSL_CTX_set_security_level(context, 0);
	assert_int_equal(SSL_CTX_set_min_proto_version(context, setup->version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(context, setup->version), 1);
	snprintf(list, sizeof list, "%s:@SECLEVEL=0", setup->suite);
	assert_int_equal(setup->version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(context, setup->suite)
	                                                  : SSL_CTX_set_cipher_list(context, list),
	                 1);
	SSL_CTX_set_options(context, SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS | SSL_OP_ALLOW_CLIENT_RENEGOTIATION |
	                                     SSL_OP_NO_ANTI_REPLAY |
	                                     (setup->how & NO_ETM ? SSL_OP_NO_ENCRYPT_THEN_MAC : 0) |
	                                     (setup->how & NO_EMS ? SSL_OP_NO_EXTENDED_MASTER_SECRET : 0) |
	                                     (setup->how & NO_TICKETS ? SSL_OP_NO_TICKET : 0));
	if (setup->how & PADDED)
		SSL_CTX_set_block_padding(context, 1000);
	if (strstr(setup->suite, "PSK") || setup->how & PSK) {
		SSL_CTX_set_psk_client_callback(context, psk_client);
		SSL_CTX_set_psk_server_callback(context, psk_server);
	}
	if (server) {
		use_self_signed(context, key_of(setup->suite));
		SSL_CTX_set_dh_auto(context, 1);
		SSL_CTX_set_session_id_context(context, (const uint8_t *)"t", 1);
		SSL_CTX_set_max_early_data(context, 65536);
		SSL_CTX_set_recv_max_early_data(context, 65536);
		SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
		if (setup->how & (CLIENT_CERT | POST_AUTH))
			SSL_CTX_set_verify(context,
			                   SSL_VERIFY_PEER | (setup->how & POST_AUTH ? SSL_VERIFY_POST_HANDSHAKE : 0),
			                   NULL);
		if (setup->how & HRR)
			assert_int_equal(SSL_CTX_set1_groups_list(context, "P-256"), 1);
	} else {
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(context, on_session);
		SSL_CTX_set_keylog_callback(context, on_keylog);
		if (setup->how & (CLIENT_CERT | POST_AUTH))
			use_self_signed(context, key_of(setup->suite));
		if (setup->how & POST_AUTH)
			SSL_CTX_set_post_handshake_auth(context, 1);
		if (setup->how & SMALL)
			assert_int_equal(
			        SSL_CTX_set_tlsext_max_fragment_length(context, TLSEXT_max_fragment_length_512), 1);
		if (setup->how & HRR)
			assert_int_equal(SSL_CTX_set1_groups_list(context, "X25519:P-256"), 1);
	}
	return context;
}

/* Moves what one side has written to the other, and keeps it. */
static inline bool carry(struct pair *p, bool to_server)
{
	struct conversation *c = p->c;
	enum fdtape_dir dir = to_server ? FDTAPE_OUT : FDTAPE_IN;
	uint8_t buffer[20000];
	int n;
	bool moved = false;

	while ((n = BIO_read(to_server ? p->client_out : p->server_out, buffer, sizeof buffer)) > 0) {
		size_t from = c->wire[dir].len;

		assert_int_equal(buffer_add(&c->wire[dir], buffer, (size_t)n), 0);
		c->pieces = realloc(c->pieces, (c->n_pieces + 1) * sizeof(struct piece));
		c->pieces[c->n_pieces++] = (struct piece){dir, from, from + (size_t)n};
		assert_int_equal(BIO_write(to_server ? p->server_in : p->client_in, buffer, n), n);
		moved = true;
	}
	return moved;
}

static inline uint8_t *make_data(struct conversation *c, size_t len)
{
	uint8_t *data = malloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)roll(&c->dice);
	return data;
}

/* What was handed to the other end. */
static inline void delivered(struct conversation *c, enum fdtape_dir dir, const void *data, size_t len)
{
	assert_int_equal(buffer_add(&c->plain[dir], data, len), 0);
	assert_int_equal(buffer_add(&c->sends[dir], &len, sizeof len), 0);
}

/* Sends, receives, and lets both work off whatever belongs to the handshake meanwhile. */
static inline void say(struct pair *p, bool to_server, size_t len)
{
	SSL *from = to_server ? p->client : p->server, *to = to_server ? p->server : p->client;
	uint8_t *data = make_data(p->c, len), *back = malloc(len + 1);
	size_t got = 0;
	int n;

	assert_int_equal(SSL_write(from, data, (int)len), (int)len);
	carry(p, to_server);
	while (got < len) {
		n = SSL_read(to, back + got, (int)(len + 1 - got));
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(SSL_read(to, back, 1), -1);
	carry(p, !to_server);
	assert_int_equal(SSL_read(from, back + len, 1), -1);
	assert_int_equal(got, len);
	delivered(p->c, to_server ? FDTAPE_OUT : FDTAPE_IN, data, len);
	free(back);
	free(data);
}

/* Lets both ends go on until neither has anything more to say. */
static inline void go_on(struct pair *p)
{
	uint8_t none;
	bool moved;

	do {
		SSL_read(p->client, &none, 0);
		SSL_peek(p->client, &none, 1);
		moved = carry(p, true);
		SSL_peek(p->server, &none, 1);
		moved |= carry(p, false);
	} while (moved);
}

static inline void shake_hands(struct pair *p)
{
	bool early = p->c->setup->how & EARLY_DATA, refused = p->c->setup->how & EARLY_REFUSED, moved;
	uint8_t *data = make_data(p->c, 3000), back[4000];
	size_t n, got = 0;

	if (early || refused) {
		assert_int_equal(SSL_write_early_data(p->client, data, 3000, &n), 1);
		carry(p, true);
		if (refused)
			p->c->skipped_early = 1;
	}
	do {
		SSL_do_handshake(p->client);
		moved = carry(p, true);
		if (early) {
			int result = SSL_read_early_data(p->server, back + got, sizeof back - got, &n);

			if (result == SSL_READ_EARLY_DATA_SUCCESS) {
				got += n;
				moved = true;
			}
			if (result == SSL_READ_EARLY_DATA_FINISH)
				early = false;
		}
		if (!early)
			SSL_do_handshake(p->server);
		moved |= carry(p, false);
	} while (moved || !SSL_is_init_finished(p->client) || !SSL_is_init_finished(p->server));
	if (p->c->setup->how & EARLY_DATA) {
		assert_int_equal(SSL_get_early_data_status(p->client), SSL_EARLY_DATA_ACCEPTED);
		assert_int_equal(got, 3000);
		assert_memory_equal(back, data, got);
		delivered(p->c, FDTAPE_OUT, data, got);
	}
	if (refused)
		assert_int_equal(SSL_get_early_data_status(p->client), SSL_EARLY_DATA_REJECTED);
	free(data);
}

static inline void renegotiate(struct pair *p)
{
	uint8_t none;
	bool moved;

	assert_int_equal(SSL_renegotiate(p->client), 1);
	do {
		SSL_do_handshake(p->client);
		moved = carry(p, true);
		SSL_peek(p->server, &none, 1);
		moved |= carry(p, false);
	} while (moved);
	assert_true(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
}

/* Where each record is on the wire, and what was in it. */
static inline void map_records(struct conversation *c)
{
	for (int dir = 0; dir < 2; dir++) {
		const uint8_t *wire = c->wire[dir].data;
		const size_t *sends = (const size_t *)(const void *)c->sends[dir].data;
		size_t fragment = c->setup->how & SMALL ? 512 : 16384, at = 0, plain = 0, left = 0, send = 0,
		       skip = dir == FDTAPE_OUT ? c->skipped_early : 0;

		for (size_t i = 0; i < c->n_records[dir]; i++) {
			struct record *r = &c->records[dir][i];

			assert_true(at + 5 <= c->wire[dir].len);
			r->from = at;
			at += 5 + ((size_t)wire[at + 3] << 8 | wire[at + 4]);
			r->to = at;
			if (r->type != SSL3_RT_APPLICATION_DATA)
				continue;
			if (skip > 0) {
				skip--;
				continue;
			}
			if (left == 0) {
				assert_true(send < c->sends[dir].len / sizeof(size_t));
				left = sends[send++];
			}
			r->data = true;
			r->plain = plain;
			r->plain_len = left < fragment ? left : fragment;
			plain += r->plain_len;
			left -= r->plain_len;
		}
		assert_int_equal(at, c->wire[dir].len);
		assert_int_equal(plain, c->plain[dir].len);
	}
}

/* One conversation in an established context; last_session is resumed if the setup says so. */
static inline struct conversation *converse_in(const struct setup *setup, SSL_CTX *client, SSL_CTX *server, bool resume,
                                               uint64_t seed)
{
	struct conversation *c = calloc(1, sizeof *c);
	struct pair p = {.c = c, .client = SSL_new(client), .server = SSL_new(server)};
	bool v13 = setup->version == TLS1_3_VERSION;
	/* The plain setups of a first conversation, whose ticket is wanted. */
	static struct setup plain;

	c->setup = setup;
	if (!resume && setup->how & RESUME) {
		plain = *setup;
		plain.how &= ~(unsigned)(EARLY_DATA | EARLY_REFUSED);
		c->setup = setup = &plain;
	}
	c->dice = seed;
	SSL_set_app_data(p.client, c);
	SSL_set_msg_callback(p.client, on_message);
	SSL_set_msg_callback_arg(p.client, c);
	SSL_set_msg_callback(p.server, on_message);
	SSL_set_msg_callback_arg(p.server, c);
	SSL_set_tlsext_host_name(p.client, "localhost");
	if (resume)
		assert_int_equal(SSL_set_session(p.client, last_session), 1);
	p.client_in = BIO_new(BIO_s_mem());
	p.client_out = BIO_new(BIO_s_mem());
	p.server_in = BIO_new(BIO_s_mem());
	p.server_out = BIO_new(BIO_s_mem());
	SSL_set_bio(p.client, p.client_in, p.client_out);
	SSL_set_bio(p.server, p.server_in, p.server_out);
	SSL_set_connect_state(p.client);
	SSL_set_accept_state(p.server);
	shake_hands(&p);
	if (resume)
		assert_true(SSL_session_reused(p.client));
	assert_int_equal(c->retried, v13 && setup->how & HRR);
	c->handshake_pieces = c->n_pieces;
	say(&p, true, 100);
	say(&p, false, setup->bulk ? setup->bulk : 40000);
	if (setup->how & KEY_UPDATE) {
		assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
		say(&p, true, 1000);
		say(&p, false, 1001);
		assert_int_equal(SSL_key_update(p.server, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		say(&p, false, 20000);
	}
	if (setup->how & POST_AUTH) {
		assert_int_equal(SSL_verify_client_post_handshake(p.server), 1);
		SSL_do_handshake(p.server);
		carry(&p, false);
		go_on(&p);
		assert_non_null(SSL_get0_peer_certificate(p.server));
	}
	for (unsigned how = RENEGOTIATE; how <= RENEGOTIATE_MORE; how <<= 7)
		if (setup->how & how) {
			renegotiate(&p);
			say(&p, false, 700);
			say(&p, true, 33000);
		}
	say(&p, true, 20000);
	say(&p, false, 1);
	for (int i = 0; i < 20; i++) {
		say(&p, false, 1 + roll(&c->dice) % 2000);
		say(&p, true, 1 + roll(&c->dice) % 2000);
	}
	SSL_shutdown(p.client);
	carry(&p, true);
	SSL_shutdown(p.server);
	carry(&p, false);
	if (v13)
		bind_by_transcript(c, strstr(setup->suite, "384") ? EVP_sha384() : EVP_sha256());
	map_records(c);
	SSL_free(p.client);
	SSL_free(p.server);
	ERR_clear_error();
	return c;
}

/* The conversation that the setup describes, made anew. */
static inline struct conversation *converse(const struct setup *setup, uint64_t seed)
{
	SSL_CTX *client = new_context(setup, false), *server = new_context(setup, true);
	struct conversation *c = converse_in(setup, client, server, false, seed);

	if (setup->how & RESUME) {
		conversation_free(c);
		assert_non_null(last_session);
		c = converse_in(setup, client, server, true, seed + 1);
	}
	SSL_SESSION_free(last_session);
	last_session = NULL;
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	return c;
}

/* ---- what fdtape makes of it ------------------------------------------------------------------------------------ */

struct hole {
	size_t at;    /* in plain */
	uint64_t len; /* 0: not known */
};

struct outcome {
	struct tls_info info;
	struct buffer plain[2];
	struct hole holes[2][1000];
	size_t n_holes[2];
	unsigned keys;
};

static inline int on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                           const struct stamp *stamp)
{
	struct outcome *o = context;

	(void)stamp;
	if (data)
		return buffer_add(&o->plain[dir], data, len);
	assert_true(o->n_holes[dir] < N(o->holes[dir]));
	o->holes[dir][o->n_holes[dir]++] = (struct hole){o->plain[dir].len, len};
	return 0;
}

static inline bool on_key(void *context, const struct tls_key *key)
{
	struct outcome *o = context;

	assert_true(key->secret_len > 0);
	o->keys++;
	return true;
}

static inline void outcome_free(struct outcome *o)
{
	buffer_release(&o->plain[0]);
	buffer_release(&o->plain[1]);
	free(o);
}

#endif
