/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS of a flow against ground truth from outside: the traces of RFC 8448, and sessions of OpenSSL's libssl, which tells
 * its secrets (keylog), its handshake messages (for the Transcript-Hash) and, by what was sent, the plaintext.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "replay/buffer.h"
#include "replay/tls_flow.h"
#include "tests/rfc8448.h"
#include "tests/self_signed.h"

#define N(a) (sizeof(a) / sizeof *(a))

/* ---- what is fed, and what comes out ---------------------------------------------------------------------------- */

/* A piece of the wire, as the client sees it. */
struct piece {
	enum fdtape_dir dir;
	size_t from, to; /* in wire[dir] */
};

struct session {
	struct buffer wire[2], plain[2]; /* by the client's direction */
	struct piece pieces[256];
	size_t n_pieces;
	struct fdtape_secret secrets[64];
	size_t n_secrets;
	struct buffer messages; /* handshake messages, for the transcript */
	size_t to_server_hello, to_server_finished;
	struct buffer first_hello; /* what a HelloRetryRequest answered */
	size_t first_hello_len;
	bool retried;
};

struct outcome {
	struct tls_info info;
	struct buffer plain[2];
	unsigned lost[2], keys;
};

static int on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct outcome *o = context;

	(void)stamp;
	if (!data) {
		o->lost[dir]++;
		return 0;
	}
	return buffer_add(&o->plain[dir], data, len);
}

static bool on_key(void *context, const struct tls_key *key)
{
	struct outcome *o = context;

	assert_true(key->secret_len > 0);
	o->keys++;
	return true;
}

enum when {
	BEFORE, /* all secrets, then the wire */
	LATE,   /* secrets come when the whole handshake and some data were seen */
	NEVER
};

struct way {
	size_t cut;        /* the wire comes in chunks of so many bytes; 0: as it was sent */
	enum when secrets; /* relative to the wire */
	uint32_t id_kind;  /* which of the secrets are given; 0: all */
	size_t flip;       /* offset + 1 in wire[IN] of a byte that is spoilt */
	size_t hole;       /* offset + 1 in wire[IN] of ten bytes that are missing */
	bool no_client;    /* the client's direction begins with a hole */
	bool server;       /* seen by the server */
};

static void add_secrets(struct tls_store *store, const struct session *s, uint32_t id_kind)
{
	for (size_t i = 0; i < s->n_secrets; i++)
		if (!id_kind || s->secrets[i].id_kind == id_kind)
			assert_int_equal(tls_store_add(store, &s->secrets[i]), 0);
}

static void feed(struct tls_flow *t, enum fdtape_dir dir, const uint8_t *data, size_t len, const struct way *way)
{
	const struct stamp stamp = {.wall = 1, .tid = 7, .shown = true};
	size_t step = way->cut ? way->cut : len;

	if (way->server)
		dir = dir == FDTAPE_IN ? FDTAPE_OUT : FDTAPE_IN;
	for (size_t i = 0; i < len; i += step) {
		size_t n = len - i < step ? len - i : step;
		/* Freshly allocated, so that a sanitizer sees every step too far. */
		uint8_t *copy = malloc(n);

		memcpy(copy, data + i, n);
		assert_int_equal(tls_flow_feed(t, dir, copy, n, &stamp), 0);
		free(copy);
	}
}

static void play(const struct session *s, const struct way *way, struct outcome *o)
{
	struct tls_store store = {0};
	const struct tls_flow_sink sink = {.context = o, .plain = on_plain, .key = on_key};
	const struct stamp stamp = {.wall = 1, .tid = 7, .shown = true};
	struct tls_flow *t;
	size_t late = s->n_pieces - 1;

	memset(o, 0, sizeof *o);
	t = tls_flow_new(&store, &o->info, 1, false, &sink);
	assert_non_null(t);
	if (way->secrets == BEFORE)
		add_secrets(&store, s, way->id_kind);
	if (way->no_client)
		assert_int_equal(
		        tls_flow_feed(t, way->server ? FDTAPE_IN : FDTAPE_OUT, NULL, s->wire[FDTAPE_OUT].len, &stamp),
		        0);
	for (size_t i = 0; i < s->n_pieces; i++) {
		const struct piece *p = &s->pieces[i];
		uint8_t *data = s->wire[p->dir].data;

		if (p->dir == FDTAPE_OUT && way->no_client)
			continue;
		if (i == late && way->secrets == LATE)
			add_secrets(&store, s, way->id_kind);
		if (p->dir == FDTAPE_IN && way->flip > p->from && way->flip <= p->to)
			data[way->flip - 1] ^= 1;
		if (p->dir == FDTAPE_IN && way->hole > p->from && way->hole + 10 < p->to) {
			feed(t, p->dir, data + p->from, way->hole - 1 - p->from, way);
			assert_int_equal(tls_flow_feed(t, way->server ? FDTAPE_OUT : FDTAPE_IN, NULL, 10, &stamp), 0);
			feed(t, p->dir, data + way->hole + 9, p->to - way->hole - 9, way);
		} else {
			feed(t, p->dir, data + p->from, p->to - p->from, way);
		}
		if (p->dir == FDTAPE_IN && way->flip > p->from && way->flip <= p->to)
			data[way->flip - 1] ^= 1;
	}
	assert_int_equal(tls_flow_finish(t), 0);
	assert_false(tls_flow_failed(t));
	tls_flow_free(t);
	tls_store_release(&store);
}

static void outcome_free(struct outcome *o)
{
	buffer_release(&o->plain[0]);
	buffer_release(&o->plain[1]);
}

static void assert_plain(const struct session *s, const struct outcome *o, bool server)
{
	for (int dir = 0; dir < 2; dir++) {
		const struct buffer *seen = &o->plain[server ? !dir : dir];

		assert_int_equal(seen->len, s->plain[dir].len);
		if (seen->len)
			assert_memory_equal(seen->data, s->plain[dir].data, seen->len);
	}
}

/* ---- RFC 8448, 3 ------------------------------------------------------------------------------------------------ */

static void add_wire(struct session *s, enum fdtape_dir dir, const uint8_t *data, size_t len)
{
	size_t from = s->wire[dir].len;

	assert_true(s->n_pieces < N(s->pieces));
	assert_int_equal(buffer_add(&s->wire[dir], data, len), 0);
	s->pieces[s->n_pieces++] = (struct piece){dir, from, from + len};
}

static void add_secret(struct session *s, const char *label, uint32_t id_kind, const uint8_t *id, size_t id_len,
                       const uint8_t *value, size_t value_len)
{
	struct fdtape_secret *secret = &s->secrets[s->n_secrets++];
	uint8_t *copy = malloc(id_len + value_len);

	assert_true(s->n_secrets <= N(s->secrets));
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

static void session_free(struct session *s)
{
	for (int dir = 0; dir < 2; dir++) {
		buffer_release(&s->wire[dir]);
		buffer_release(&s->plain[dir]);
	}
	for (size_t i = 0; i < s->n_secrets; i++) {
		free((void *)s->secrets[i].label);
		free((void *)s->secrets[i].id);
	}
	buffer_release(&s->messages);
	free(s);
}

static struct session *rfc8448(void)
{
	struct session *s = calloc(1, sizeof *s);
	uint8_t bytes[1024], id[32], value[32];

	for (size_t i = 0; i < N(rfc8448_wire); i++)
		add_wire(s, rfc8448_wire[i].dir, bytes, from_hex(rfc8448_wire[i].hex, bytes));
	for (size_t i = 0; i < N(rfc8448_secrets); i++) {
		from_hex(rfc8448_secrets[i].id, id);
		from_hex(rfc8448_secrets[i].value, value);
		add_secret(s, rfc8448_secrets[i].label, FDTAPE_SECRET_ID_TRANSCRIPT, id, 32, value, 32);
	}
	for (uint8_t i = 0; i < 50; i++)
		for (int dir = 0; dir < 2; dir++)
			assert_int_equal(buffer_add(&s->plain[dir], &i, 1), 0);
	return s;
}

static void test_tls_rfc8448__any_cut__plaintext_is_the_published(void **state)
{
	struct session *s = rfc8448();

	(void)state;
	for (size_t cut = 0; cut < 50; cut++) {
		struct outcome o;

		play(s, &(struct way){.cut = cut}, &o);
		assert_plain(s, &o, false);
		assert_int_equal(o.info.verdict, TLS_VERDICT_TLS);
		assert_int_equal(o.info.version, 0x0304);
		assert_int_equal(o.info.cipher, 0x1301);
		assert_string_equal(o.info.sni, "server");
		assert_true(o.info.whole);
		assert_int_equal(o.keys, 5);
		assert_int_equal(o.info.decrypted[FDTAPE_OUT], 3);
		assert_int_equal(o.info.decrypted[FDTAPE_IN], 4);
		outcome_free(&o);
	}
	session_free(s);
}

static void test_tls_rfc8448__no_secrets__is_tls_without_plaintext(void **state)
{
	struct session *s = rfc8448();
	struct outcome o;

	(void)state;
	play(s, &(struct way){.secrets = NEVER}, &o);
	assert_int_equal(o.plain[0].len + o.plain[1].len, 0);
	assert_int_equal(o.info.verdict, TLS_VERDICT_TLS);
	assert_true(o.info.evidence & TLS_EVIDENCE_NO_KEYS);
	assert_false(o.info.evidence & TLS_EVIDENCE_AEAD);
	assert_false(o.info.whole);
	outcome_free(&o);
	session_free(s);
}

/* ---- sessions of libssl ----------------------------------------------------------------------------------------- */

struct setup {
	int version;
	const char *suite;
	const char *client_groups, *server_groups;
	bool key_update, ems_off, small_records;
	SSL_SESSION *resume;
};

static void on_keylog(const SSL *ssl, const char *line)
{
	struct session *s = SSL_get_app_data(ssl);
	char label[64];
	const char *random = strchr(line, ' ') + 1, *value = strchr(random, ' ') + 1;
	uint8_t id[32], secret[64];
	size_t len;

	snprintf(label, sizeof label, "%.*s", (int)(random - 1 - line), line);
	for (char *p = (char *)random; *p; p++)
		if (*p >= 'A' && *p <= 'F')
			*p |= 0x20;
	from_hex(random, id);
	len = from_hex(value, secret);
	add_secret(s, label, FDTAPE_SECRET_ID_CLIENT_RANDOM, id, 32, secret, len);
}

/* Gathers the handshake messages as RFC 8446, 4.4.1 wants them hashed. */
static void on_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *context)
{
	/* RFC 8446, 4.1.3 */
	static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
	struct session *s = context;
	const uint8_t *message = data;

	(void)sent;
	(void)version;
	(void)ssl;
	if (type != SSL3_RT_HANDSHAKE || s->to_server_finished)
		return;
	if (message[0] == SSL3_MT_SERVER_HELLO && memcmp(message + 6, retry, sizeof retry) == 0) {
		s->retried = true;
		s->first_hello_len = s->messages.len;
	}
	assert_int_equal(buffer_add(&s->messages, data, len), 0);
	if (message[0] == SSL3_MT_SERVER_HELLO)
		s->to_server_hello = s->messages.len;
	if (message[0] == SSL3_MT_FINISHED && !sent)
		s->to_server_finished = s->messages.len;
}

/* The Transcript-Hash of the first `len` bytes of messages. */
static size_t transcript_hash(const struct session *s, size_t len, const EVP_MD *md, uint8_t *hash)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned n = 0;
	size_t from = 0;

	EVP_DigestInit_ex(context, md, NULL);
	if (s->retried) {
		uint8_t first[4 + EVP_MAX_MD_SIZE] = {254};

		EVP_Digest(s->messages.data, s->first_hello_len, first + 4, &n, md, NULL);
		first[3] = (uint8_t)n;
		EVP_DigestUpdate(context, first, 4 + n);
		from = s->first_hello_len;
	}
	EVP_DigestUpdate(context, s->messages.data + from, len - from);
	EVP_DigestFinal_ex(context, hash, &n);
	EVP_MD_CTX_free(context);
	return n;
}

/* The secrets again, bound as the recorder binds them: by what they were derived with. */
static void add_by_transcript(struct session *s, const EVP_MD *md)
{
	size_t n = s->n_secrets, len;
	uint8_t hash[EVP_MAX_MD_SIZE];

	for (size_t i = 0; i < n; i++) {
		const struct fdtape_secret *k = &s->secrets[i];

		len = transcript_hash(s, strstr(k->label, "HANDSHAKE") ? s->to_server_hello : s->to_server_finished, md,
		                      hash);
		add_secret(s, k->label, FDTAPE_SECRET_ID_TRANSCRIPT, hash, len, k->value, k->value_len);
	}
}

static void certify(SSL_CTX *server)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	use_self_signed(server, key);
	EVP_PKEY_free(key);
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in, unsigned n,
                   void *context)
{
	(void)ssl;
	(void)context;
	(void)n;
	*out = in + 1;
	*len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

/* Moves what one side has written to the other, and keeps it. */
static bool carry(struct session *s, enum fdtape_dir dir, BIO *from, BIO *to)
{
	uint8_t buffer[70000];
	int n = BIO_read(from, buffer, sizeof buffer);

	if (n <= 0)
		return false;
	add_wire(s, dir, buffer, (size_t)n);
	assert_int_equal(BIO_write(to, buffer, n), n);
	return true;
}

struct pair {
	SSL_CTX *client_context, *server_context;
	SSL *client, *server;
	BIO *client_in, *client_out, *server_in, *server_out;
};

static void send(struct session *s, struct pair *p, bool to_server, size_t len)
{
	SSL *from = to_server ? p->client : p->server, *to = to_server ? p->server : p->client;
	enum fdtape_dir dir = to_server ? FDTAPE_OUT : FDTAPE_IN;
	uint8_t *data = calloc(1, len), back[4096];
	size_t got = 0;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + len + (i >> 8));
	assert_int_equal(SSL_write(from, data, (int)len), (int)len);
	assert_int_equal(buffer_add(&s->plain[dir], data, len), 0);
	while (carry(s, dir, to_server ? p->client_out : p->server_out, to_server ? p->server_in : p->client_in))
		;
	while (got < len) {
		int n = SSL_read(to, back, sizeof back);

		assert_true(n > 0);
		assert_memory_equal(back, data + got, n);
		got += (size_t)n;
	}
	free(data);
}

static SSL_SESSION *last_session;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last_session);
	last_session = session;
	return 1;
}

static struct session *converse(const struct setup *setup, SSL_CTX *server_context)
{
	struct session *s = calloc(1, sizeof *s);
	struct pair p = {.client_context = SSL_CTX_new(TLS_client_method()), .server_context = server_context};
	bool v13 = setup->version == TLS1_3_VERSION, moved;

	SSL_CTX_set_min_proto_version(p.client_context, setup->version);
	SSL_CTX_set_max_proto_version(p.client_context, setup->version);
	SSL_CTX_set_security_level(p.client_context, 0);
	SSL_CTX_set_session_cache_mode(p.client_context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p.client_context, on_session);
	assert_int_equal(v13 ? SSL_CTX_set_ciphersuites(p.client_context, setup->suite)
	                     : SSL_CTX_set_cipher_list(p.client_context, setup->suite),
	                 1);
	if (setup->client_groups)
		assert_int_equal(SSL_CTX_set1_groups_list(p.client_context, setup->client_groups), 1);
	if (setup->ems_off)
		SSL_CTX_set_options(p.client_context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	SSL_CTX_set_keylog_callback(p.client_context, on_keylog);
	SSL_CTX_set_alpn_protos(p.client_context, (const uint8_t *)"\x08http/1.1", 9);
	p.client = SSL_new(p.client_context);
	p.server = SSL_new(p.server_context);
	SSL_set_app_data(p.client, s);
	SSL_set_msg_callback(p.client, on_message);
	SSL_set_msg_callback_arg(p.client, s);
	SSL_set_tlsext_host_name(p.client, "localhost");
	if (setup->small_records)
		SSL_set_max_send_fragment(p.server, 512);
	if (setup->resume)
		SSL_set_session(p.client, setup->resume);
	p.client_in = BIO_new(BIO_s_mem());
	p.client_out = BIO_new(BIO_s_mem());
	p.server_in = BIO_new(BIO_s_mem());
	p.server_out = BIO_new(BIO_s_mem());
	SSL_set_bio(p.client, p.client_in, p.client_out);
	SSL_set_bio(p.server, p.server_in, p.server_out);
	SSL_set_connect_state(p.client);
	SSL_set_accept_state(p.server);
	do {
		SSL_do_handshake(p.client);
		moved = carry(s, FDTAPE_OUT, p.client_out, p.server_in);
		SSL_do_handshake(p.server);
		moved |= carry(s, FDTAPE_IN, p.server_out, p.client_in);
	} while (moved);
	assert_true(SSL_is_init_finished(p.client) && SSL_is_init_finished(p.server));
	if (setup->resume)
		assert_true(SSL_session_reused(p.client));
	send(s, &p, true, 100);
	send(s, &p, false, 40000);
	if (setup->key_update) {
		assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
		send(s, &p, true, 10);
		send(s, &p, false, 10);
		assert_int_equal(SSL_key_update(p.server, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	}
	send(s, &p, true, 20000);
	send(s, &p, false, 1);
	SSL_shutdown(p.client);
	carry(s, FDTAPE_OUT, p.client_out, p.server_in);
	send(s, &p, false, 300);
	if (v13)
		add_by_transcript(s, strstr(setup->suite, "384") ? EVP_sha384() : EVP_sha256());
	SSL_free(p.client);
	SSL_free(p.server);
	SSL_CTX_free(p.client_context);
	return s;
}

static SSL_CTX *new_server(const struct setup *setup)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_session_id_context(context, (const uint8_t *)"t", 1);
	SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
	SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
	                                  "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256");
	SSL_CTX_set_cipher_list(context, "ALL");
	if (setup->server_groups)
		assert_int_equal(SSL_CTX_set1_groups_list(context, setup->server_groups), 1);
	certify(context);
	return context;
}

static struct session *one_session(const struct setup *setup)
{
	SSL_CTX *server = new_server(setup);
	struct session *s = converse(setup, server);

	SSL_CTX_free(server);
	return s;
}

static const struct setup setups[] = {
        {.version = TLS1_3_VERSION, .suite = "TLS_AES_128_GCM_SHA256"},
        {.version = TLS1_3_VERSION, .suite = "TLS_AES_256_GCM_SHA384"},
        {.version = TLS1_3_VERSION, .suite = "TLS_CHACHA20_POLY1305_SHA256"},
        {.version = TLS1_3_VERSION, .suite = "TLS_AES_128_CCM_SHA256"},
        {.version = TLS1_3_VERSION, .suite = "TLS_AES_128_CCM_8_SHA256"},
        {.version = TLS1_3_VERSION, .suite = "TLS_AES_256_GCM_SHA384", .key_update = true},
        {.version = TLS1_3_VERSION, .suite = "TLS_AES_128_GCM_SHA256", .small_records = true},
        {.version = TLS1_3_VERSION,
         .suite = "TLS_AES_128_GCM_SHA256",
         .client_groups = "X25519:P-256",
         .server_groups = "P-256"},
        {.version = TLS1_3_VERSION,
         .suite = "TLS_AES_256_GCM_SHA384",
         .client_groups = "X25519:P-256",
         .server_groups = "P-256"},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-AES128-CCM"},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-AES256-CCM8"},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-AES256-GCM-SHA384", .ems_off = true},
        {.version = TLS1_2_VERSION, .suite = "ECDHE-ECDSA-AES128-GCM-SHA256", .small_records = true},
};

static void assert_decrypted(const struct session *s, const struct setup *setup, const struct way *way)
{
	struct outcome o;

	play(s, way, &o);
	assert_plain(s, &o, way->server);
	assert_int_equal(o.info.verdict, TLS_VERDICT_TLS);
	assert_int_equal(o.info.version, setup->version);
	assert_string_equal(o.info.sni, "localhost");
	assert_string_equal(o.info.alpn, "http/1.1");
	assert_true(o.info.whole);
	assert_true(o.info.evidence & TLS_EVIDENCE_AEAD);
	assert_int_equal(o.lost[0] + o.lost[1], 0);
	assert_int_equal(o.info.n_keys, setup->version == TLS1_3_VERSION ? 5 : 1);
	outcome_free(&o);
}

static void test_tls_sessions__every_suite_and_cut__plaintext_is_what_was_sent(void **state)
{
	static const size_t cuts[] = {0, 1, 2, 5, 7, 64, 1000, 16384, 50000};

	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct session *s = one_session(&setups[i]);
		bool v13 = setups[i].version == TLS1_3_VERSION;

		for (size_t j = 0; j < N(cuts); j++) {
			struct way way = {.cut = cuts[j], .server = j % 2};

			way.id_kind = v13 ? FDTAPE_SECRET_ID_TRANSCRIPT : 0;
			assert_decrypted(s, &setups[i], &way);
			way.id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM;
			assert_decrypted(s, &setups[i], &way);
		}
		session_free(s);
	}
}

static void test_tls_sessions__secrets_come_late__the_records_waited(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct session *s = one_session(&setups[i]);

		assert_decrypted(s, &setups[i], &(struct way){.secrets = LATE});
		session_free(s);
	}
}

static void test_tls_sessions__resumed__plaintext_is_what_was_sent(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct setup setup = setups[i];
		SSL_CTX *server = new_server(&setup);
		struct session *s = converse(&setup, server);

		session_free(s);
		assert_non_null(last_session);
		setup.resume = last_session;
		last_session = NULL;
		s = converse(&setup, server);
		assert_decrypted(s, &setup, &(struct way){.cut = 100});
		session_free(s);
		SSL_SESSION_free(setup.resume);
		SSL_SESSION_free(last_session);
		last_session = NULL;
		SSL_CTX_free(server);
	}
}

static void test_tls_sessions__no_client_hello__secrets_are_tried(void **state)
{
	struct session *s = one_session(&setups[0]);
	struct outcome o;

	(void)state;
	play(s, &(struct way){.no_client = true, .id_kind = FDTAPE_SECRET_ID_TRANSCRIPT}, &o);
	assert_int_equal(o.plain[FDTAPE_IN].len, s->plain[FDTAPE_IN].len);
	assert_memory_equal(o.plain[FDTAPE_IN].data, s->plain[FDTAPE_IN].data, o.plain[FDTAPE_IN].len);
	assert_false(o.info.whole);
	assert_true(o.info.evidence & TLS_EVIDENCE_HOLE);
	outcome_free(&o);
	session_free(s);
}

/* Where the server's bulk record begins, so that spoiling hits data. */
static size_t in_the_bulk(const struct session *s)
{
	for (size_t i = 0; i < s->n_pieces; i++)
		if (s->pieces[i].dir == FDTAPE_IN && s->pieces[i].to - s->pieces[i].from > 40000)
			return s->pieces[i].from + 20000;
	fail();
	return 0;
}

/* All that was sent is there, but for one stretch of at most `most` bytes. */
static void assert_one_stretch_is_missing(const struct buffer *sent, const struct buffer *seen, size_t most)
{
	size_t before = 0, behind = 0;

	assert_true(seen->len < sent->len && seen->len + most >= sent->len);
	while (before < seen->len && seen->data[before] == sent->data[before])
		before++;
	while (behind < seen->len && seen->data[seen->len - 1 - behind] == sent->data[sent->len - 1 - behind])
		behind++;
	assert_true(before + behind >= seen->len);
}

static void test_tls_sessions__a_bit_is_wrong__only_its_record_is_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct session *s = one_session(&setups[i]);
		size_t record = setups[i].small_records ? 512 : 16384;
		struct outcome o;

		play(s, &(struct way){.flip = in_the_bulk(s)}, &o);
		assert_true(o.info.evidence & (TLS_EVIDENCE_BAD_TAG | TLS_EVIDENCE_GARBAGE));
		assert_one_stretch_is_missing(&s->plain[FDTAPE_IN], &o.plain[FDTAPE_IN], record);
		assert_int_equal(o.lost[FDTAPE_IN], 1);
		assert_int_equal(o.plain[FDTAPE_OUT].len, s->plain[FDTAPE_OUT].len);
		assert_false(o.info.whole);
		outcome_free(&o);
		session_free(s);
	}
}

static void test_tls_sessions__a_hole__only_its_record_is_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct session *s = one_session(&setups[i]);
		struct outcome o;

		play(s, &(struct way){.hole = in_the_bulk(s)}, &o);
		assert_true(o.info.evidence & TLS_EVIDENCE_HOLE);
		assert_int_equal(o.lost[FDTAPE_IN], 1);
		assert_one_stretch_is_missing(&s->plain[FDTAPE_IN], &o.plain[FDTAPE_IN], 16384);
		assert_int_equal(o.plain[FDTAPE_OUT].len, s->plain[FDTAPE_OUT].len);
		assert_false(o.info.whole);
		outcome_free(&o);
		session_free(s);
	}
}

static void test_tls_sessions__keys_of_another_connection__nothing_is_given(void **state)
{
	struct session *s = one_session(&setups[0]), *other = one_session(&setups[0]);
	struct outcome o;

	(void)state;
	/* The right label and id, the wrong value. */
	for (size_t i = 0; i < s->n_secrets; i++)
		memcpy((void *)s->secrets[i].value, other->secrets[i].value, s->secrets[i].value_len);
	play(s, &(struct way){0}, &o);
	assert_int_equal(o.plain[0].len + o.plain[1].len, 0);
	assert_true(o.info.evidence & TLS_EVIDENCE_BAD_TAG);
	assert_int_equal(o.info.verdict, TLS_VERDICT_TLS);
	outcome_free(&o);
	session_free(s);
	session_free(other);
}

/* ---- what is no TLS --------------------------------------------------------------------------------------------- */

static void judge(const void *bytes, size_t len, bool preopened, struct outcome *o)
{
	struct tls_store store = {0};
	const struct tls_flow_sink sink = {.context = o, .plain = on_plain};
	const struct stamp stamp = {.shown = true};
	struct tls_flow *t;

	memset(o, 0, sizeof *o);
	t = tls_flow_new(&store, &o->info, 1, preopened, &sink);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(tls_flow_feed(t, FDTAPE_IN, (const uint8_t *)bytes + i, 1, &stamp), 0);
	assert_int_equal(tls_flow_finish(t), 0);
	tls_flow_free(t);
	tls_store_release(&store);
}

static void test_tls_verdict__other_protocols__are_clear_and_whole(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} clear[] = {
	        {"GET / HTTP/1.1\r\n\r\n", 18},
	        {"\x16", 0},
	        {"\x16\x04\x01\x00\x10 is no TLS record", 22},
	        {"\x16\x03\x01\xff\xff", 5},
	        {"\x17\x03\x03\x00\x05hello", 10},                /* new flows do not begin with data */
	        {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10}, /* a hello that is too short */
	        {"\x16\x03\x03\x00\x04\x16\x03\x03\x00\x04\x16\x03", 12},
	};

	(void)state;
	for (size_t i = 0; i < N(clear); i++) {
		struct outcome o;

		judge(clear[i].bytes, clear[i].len, false, &o);
		assert_int_equal(o.info.verdict, clear[i].len ? TLS_VERDICT_CLEAR : TLS_VERDICT_UNKNOWN);
		assert_int_equal(o.plain[FDTAPE_IN].len, clear[i].len);
		if (clear[i].len)
			assert_memory_equal(o.plain[FDTAPE_IN].data, clear[i].bytes, clear[i].len);
		outcome_free(&o);
	}
}

static void test_tls_verdict__from_the_middle__is_told_by_a_chain_of_records(void **state)
{
	struct outcome o;

	(void)state;
	judge("\x17\x03\x03\x00\x05hello\x17\x03\x03\x00\x02xx", 17, true, &o);
	assert_int_equal(o.info.verdict, TLS_VERDICT_TLS);
	assert_true(o.info.evidence & TLS_EVIDENCE_NO_KEYS);
	outcome_free(&o);
	judge("\x17\x03\x03\x00\x05hello, this is not a record\n", 32, true, &o);
	assert_int_equal(o.info.verdict, TLS_VERDICT_TLS); /* byte by byte, the first record ended with a call */
	assert_true(o.info.evidence & TLS_EVIDENCE_GARBAGE);
	outcome_free(&o);
}

static void test_tls_suites__names__are_ianas(void **state)
{
	(void)state;
	assert_string_equal(tls_cipher_name(0x1301), "TLS_AES_128_GCM_SHA256");
	assert_string_equal(tls_cipher_name(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	assert_string_equal(tls_cipher_name(0x0035), "TLS_RSA_WITH_AES_256_CBC_SHA");
	assert_string_equal(tls_cipher_name(0xccad), "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256");
	assert_null(tls_cipher_name(0xffff));
	/* bsearch() finds every one: OpenSSL's own names agree. */
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	STACK_OF(SSL_CIPHER) * all;

	SSL_CTX_set_cipher_list(context, "ALL");
	all = SSL_CTX_get_ciphers(context);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
		const char *name = tls_cipher_name(SSL_CIPHER_get_protocol_id(cipher));

		if (name)
			assert_string_equal(name, SSL_CIPHER_standard_name(cipher));
	}
	SSL_CTX_free(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tls_rfc8448__any_cut__plaintext_is_the_published),
	        cmocka_unit_test(test_tls_rfc8448__no_secrets__is_tls_without_plaintext),
	        cmocka_unit_test(test_tls_sessions__every_suite_and_cut__plaintext_is_what_was_sent),
	        cmocka_unit_test(test_tls_sessions__secrets_come_late__the_records_waited),
	        cmocka_unit_test(test_tls_sessions__resumed__plaintext_is_what_was_sent),
	        cmocka_unit_test(test_tls_sessions__no_client_hello__secrets_are_tried),
	        cmocka_unit_test(test_tls_sessions__a_bit_is_wrong__only_its_record_is_missing),
	        cmocka_unit_test(test_tls_sessions__a_hole__only_its_record_is_missing),
	        cmocka_unit_test(test_tls_sessions__keys_of_another_connection__nothing_is_given),
	        cmocka_unit_test(test_tls_verdict__other_protocols__are_clear_and_whole),
	        cmocka_unit_test(test_tls_verdict__from_the_middle__is_told_by_a_chain_of_records),
	        cmocka_unit_test(test_tls_suites__names__are_ianas),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tls_sessions", tests, NULL, NULL);
}
