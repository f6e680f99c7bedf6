/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that libssl can agree on, decrypted: each suite in each version, and each way that a conversation may go,
 * in all its combinations. See test_tls_endpoints.h for where the truth is from.
 */
#include "test_tls_endpoints.h"

#include "replay/tls_suite.h"

#define AS_READ SIZE_MAX /* a header, then its body, as libssl reads them */

/* Where the next header or body begins. */
static size_t next_read(const struct conversation *c, enum fdtape_dir dir, size_t at)
{
	for (size_t i = 0; i < c->n_records[dir]; i++) {
		const struct record *r = &c->records[dir][i];

		if (at < r->from + 5)
			return r->from + 5;
		if (at < r->to)
			return r->to;
	}
	return at;
}

/* Plays a conversation, as the client or the server saw it, in chunks of `cut` bytes; 0: as it was written. */
static struct outcome *play(const struct conversation *c, uint32_t id_kind, size_t cut, bool server)
{
	struct tls_store store = {0};
	struct outcome *o = calloc(1, sizeof *o);
	const struct tls_flow_sink sink = {.context = o, .plain = on_plain, .key = on_key};
	const struct stamp stamp = {.wall = 1, .tid = 7, .shown = true};
	struct tls_flow *t = tls_flow_new(&store, &o->info, 1, false, &sink);

	for (size_t i = 0; i < c->n_secrets; i++)
		if (c->secrets[i].id_kind == id_kind)
			assert_int_equal(tls_store_add(&store, &c->secrets[i]), 0);
	for (size_t i = 0; i < c->n_pieces; i++) {
		const struct piece *p = &c->pieces[i];
		enum fdtape_dir dir = server ? (enum fdtape_dir) !p->dir : p->dir;

		for (size_t at = p->from, n; at < p->to; at += n) {
			n = cut == AS_READ ? next_read(c, p->dir, at) - at : cut ? cut : p->to - at;
			if (n > p->to - at)
				n = p->to - at;
			assert_int_equal(tls_flow_feed(t, dir, c->wire[p->dir].data + at, n, &stamp), 0);
		}
	}
	assert_int_equal(tls_flow_finish(t), 0);
	assert_false(tls_flow_failed(t));
	tls_flow_free(t);
	tls_store_release(&store);
	return o;
}

static void check(const struct setup *setup, const struct conversation *c, uint32_t id_kind, size_t cut, bool server)
{
	struct outcome *o = play(c, id_kind, cut, server);

	for (int dir = 0; dir < 2; dir++) {
		const struct buffer *seen = &o->plain[server ? !dir : dir];

		if (seen->len != c->plain[dir].len || memcmp(seen->data, c->plain[dir].data, seen->len) != 0)
			fail_msg("version %04x, %s, how %x, cut %zu, direction %d: %zu of %zu bytes, evidence %x",
			         (unsigned)setup->version, setup->suite, setup->how, cut, dir, seen->len,
			         c->plain[dir].len, o->info.evidence);
		assert_int_equal(o->n_holes[dir], 0);
	}
	if (!o->info.whole)
		fail_msg("version %04x, %s, how %x, cut %zu: not whole, evidence %x", (unsigned)setup->version,
		         setup->suite, setup->how, cut, o->info.evidence);
	assert_int_equal(o->info.verdict, TLS_VERDICT_TLS);
	assert_int_equal(o->info.version, setup->version);
	assert_true(o->info.evidence & TLS_EVIDENCE_AEAD);
	assert_string_equal(o->info.sni, "localhost");
	assert_int_equal(o->keys, o->info.n_keys);
	outcome_free(o);
}

static void check_all(const struct setup *setup)
{
	static uint64_t seed;
	struct conversation *c = converse(setup, ++seed);
	bool v13 = setup->version == TLS1_3_VERSION;

	check(setup, c, v13 ? FDTAPE_SECRET_ID_TRANSCRIPT : FDTAPE_SECRET_ID_CLIENT_RANDOM, 0, seed % 2);
	check(setup, c, FDTAPE_SECRET_ID_CLIENT_RANDOM, 1 + seed * 7919 % 3000, seed % 2 == 0);
	check(setup, c, FDTAPE_SECRET_ID_CLIENT_RANDOM, AS_READ, false);
	conversation_free(c);
}

/* What Debian's libssl was built without, or what these endpoints do not do. */
static bool is_left_out(const char *name)
{
	return strstr(name, "SRP") || strstr(name, "DSS") || strstr(name, "NULL");
}

static void test_tls_matrix__every_suite_of_libssl__is_decrypted(void **state)
{
	static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	STACK_OF(SSL_CIPHER) * all;
	unsigned done = 0;

	(void)state;
	SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
	SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
	                                  "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256");
	all = SSL_CTX_get_ciphers(context);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
		const struct tls_suite *suite = tls_suite_find(SSL_CIPHER_get_protocol_id(cipher));
		bool v13 = strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0,
		     v12 = strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.2") == 0;

		if (is_left_out(SSL_CIPHER_get_name(cipher)))
			continue;
		assert_non_null(suite);
		assert_string_equal(suite->name, SSL_CIPHER_standard_name(cipher));
		for (size_t v = 0; v < N(versions); v++) {
			struct setup setup = {.version = versions[v], .suite = SSL_CIPHER_get_name(cipher)};

			if (v13 != (versions[v] == TLS1_3_VERSION) || (v12 && versions[v] < TLS1_2_VERSION))
				continue;
			check_all(&setup);
			done++;
			if (suite->mode == TLS_MODE_CBC) {
				setup.how = NO_ETM | (versions[v] == TLS1_2_VERSION ? NO_EMS : 0);
				check_all(&setup);
				done++;
			}
		}
	}
	SSL_CTX_free(context);
	assert_true(done > 150);
}

/* Every set of the ways, but for those that exclude each other. */
static void test_tls_matrix__every_way_of_tls_1_3__is_decrypted(void **state)
{
	static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
	                                     "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_8_SHA256"};
	static const unsigned ways[] = {RESUME,     HRR,         EARLY_DATA | RESUME, EARLY_REFUSED | RESUME,
	                                KEY_UPDATE, CLIENT_CERT, POST_AUTH,           SMALL,
	                                PADDED};

	(void)state;
	for (unsigned set = 0; set < 1u << N(ways); set++) {
		unsigned how = 0;

		for (unsigned i = 0; i < N(ways); i++)
			if (set >> i & 1)
				how |= ways[i];
		if ((how & EARLY_DATA && how & (EARLY_REFUSED | HRR)) || (how & CLIENT_CERT && how & POST_AUTH) ||
		    (how & POST_AUTH && how & RESUME) || (how & PADDED && how & SMALL) ||
		    /* libssl holds the server's flight to the fragments, and the early data not. */
		    (how & SMALL && how & (EARLY_DATA | EARLY_REFUSED)))
			continue;
		check_all(&(struct setup){.version = TLS1_3_VERSION, .suite = suites[set % N(suites)], .how = how});
	}
}

static void test_tls_matrix__external_psk__is_decrypted(void **state)
{
	(void)state;
	check_all(&(struct setup){.version = TLS1_3_VERSION, .suite = "TLS_AES_128_GCM_SHA256", .how = PSK});
	check_all(&(struct setup){.version = TLS1_3_VERSION, .suite = "TLS_AES_128_GCM_SHA256", .how = PSK | HRR});
}

static void test_tls_matrix__every_way_of_tls_1_2__is_decrypted(void **state)
{
	static const char *const suites[] = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-SHA384",
	                                     "ECDHE-RSA-CHACHA20-POLY1305",   "ECDHE-ECDSA-AES128-SHA",
	                                     "ECDHE-ECDSA-AES256-CCM8",       "AES256-SHA256"};
	static const unsigned ways[] = {NO_EMS,      NO_ETM, RESUME,    RENEGOTIATE, RENEGOTIATE | RENEGOTIATE_MORE,
	                                CLIENT_CERT, SMALL,  NO_TICKETS};

	(void)state;
	for (unsigned set = 0; set < 1u << N(ways); set++) {
		unsigned how = 0;

		for (unsigned i = 0; i < N(ways); i++)
			if (set >> i & 1)
				how |= ways[i];
		check_all(&(struct setup){
		        .version = TLS1_2_VERSION, .suite = suites[(set + set / 8) % N(suites)], .how = how});
	}
}

/* A client that could do more than the server. */
static void test_tls_matrix__the_server_chooses_less__is_decrypted(void **state)
{
	const struct setup setup = {.version = TLS1_2_VERSION, .suite = "ECDHE-RSA-AES128-GCM-SHA256"};
	SSL_CTX *client = new_context(&setup, false), *server = new_context(&setup, true);
	struct conversation *c;

	(void)state;
	SSL_CTX_set_max_proto_version(client, TLS1_3_VERSION);
	c = converse_in(&setup, client, server, false, 1);
	check(&setup, c, FDTAPE_SECRET_ID_CLIENT_RANDOM, 0, false);
	check(&setup, c, FDTAPE_SECRET_ID_CLIENT_RANDOM, 17, true);
	conversation_free(c);
	SSL_SESSION_free(last_session);
	last_session = NULL;
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

/* Nothing in common: a hello and an alert. */
static void test_tls_matrix__the_server_refuses__is_tls_without_plaintext(void **state)
{
	const struct setup old = {.version = TLS1_2_VERSION, .suite = "ECDHE-RSA-AES128-GCM-SHA256"},
	                   new = {.version = TLS1_3_VERSION, .suite = "TLS_AES_128_GCM_SHA256"};
	SSL_CTX *client = new_context(&new, false), *server = new_context(&old, true);
	struct conversation *c = calloc(1, sizeof *c);
	struct pair p = {.c = c, .client = SSL_new(client), .server = SSL_new(server)};
	struct outcome *o;

	(void)state;
	c->setup = &new;
	SSL_set_app_data(p.client, c);
	p.client_in = BIO_new(BIO_s_mem());
	p.client_out = BIO_new(BIO_s_mem());
	p.server_in = BIO_new(BIO_s_mem());
	p.server_out = BIO_new(BIO_s_mem());
	SSL_set_bio(p.client, p.client_in, p.client_out);
	SSL_set_bio(p.server, p.server_in, p.server_out);
	assert_int_equal(SSL_connect(p.client), -1);
	carry(&p, true);
	assert_int_equal(SSL_accept(p.server), -1);
	carry(&p, false);
	assert_int_equal(SSL_connect(p.client), -1);
	assert_int_equal(c->wire[FDTAPE_IN].len, 7); /* the alert */
	o = play(c, FDTAPE_SECRET_ID_CLIENT_RANDOM, 0, false);
	assert_int_equal(o->info.verdict, TLS_VERDICT_TLS);
	assert_true(o->info.evidence & TLS_EVIDENCE_CLIENT_HELLO);
	assert_false(o->info.evidence & TLS_EVIDENCE_AEAD);
	assert_int_equal(o->plain[0].len + o->plain[1].len, 0);
	outcome_free(o);
	conversation_free(c);
	SSL_free(p.client);
	SSL_free(p.server);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	ERR_clear_error();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tls_matrix__every_suite_of_libssl__is_decrypted),
	        cmocka_unit_test(test_tls_matrix__every_way_of_tls_1_3__is_decrypted),
	        cmocka_unit_test(test_tls_matrix__external_psk__is_decrypted),
	        cmocka_unit_test(test_tls_matrix__every_way_of_tls_1_2__is_decrypted),
	        cmocka_unit_test(test_tls_matrix__the_server_chooses_less__is_decrypted),
	        cmocka_unit_test(test_tls_matrix__the_server_refuses__is_tls_without_plaintext),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tls_matrix", tests, NULL, NULL);
}
