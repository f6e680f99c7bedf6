/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS on a wire with holes: a hole costs the records that it hit, and no others. Which those are is told by where libssl
 * put its records (test_tls_endpoints.h); what is left has to come out byte for byte, each hole in its place, and where
 * its length is told, with the right one.
 */
#include "test_tls_endpoints.h"

/* The wire as calls carried it. */
struct call {
	enum fdtape_dir dir;
	size_t from, to;
	bool dropped;
	bool handshake; /* before the first application data behind the handshake */
};

struct capture {
	const struct conversation *c;
	struct call *calls;
	size_t n;
	bool open_before; /* nobody knows that something is missing before the first call */
};

static struct capture capture(const struct conversation *c, size_t most, uint64_t *dice)
{
	struct capture k = {.c = c};

	for (size_t i = 0; i < c->n_pieces; i++) {
		const struct piece *p = &c->pieces[i];

		for (size_t at = p->from, n; at < p->to; at += n) {
			n = 1 + roll(dice) % most;
			if (n > p->to - at)
				n = p->to - at;
			k.calls = realloc(k.calls, (k.n + 1) * sizeof *k.calls);
			k.calls[k.n++] = (struct call){
			        .dir = p->dir, .from = at, .to = at + n, .handshake = i < c->handshake_pieces};
		}
	}
	return k;
}

/* The secrets are there before the call of this number is. */
static struct outcome *play_late(const struct capture *k, uint32_t id_kind, bool preopened, size_t secrets)
{
	struct tls_store store = {0};
	struct outcome *o = calloc(1, sizeof *o);
	const struct tls_flow_sink sink = {.context = o, .plain = on_plain, .key = on_key};
	const struct stamp stamp = {.wall = 1, .tid = 7, .shown = true};
	struct tls_flow *t = tls_flow_new(&store, &o->info, 1, preopened, &sink);

	for (size_t i = 0; i < k->n; i++) {
		const struct call *call = &k->calls[i];
		uint64_t len = call->to - call->from;
		/* Freshly allocated, so that a sanitizer sees every step too far. */
		uint8_t *copy = malloc(len);

		for (size_t j = 0; i == secrets && j < k->c->n_secrets; j++)
			if (k->c->secrets[j].id_kind == id_kind)
				assert_int_equal(tls_store_add(&store, &k->c->secrets[j]), 0);
		memcpy(copy, k->c->wire[call->dir].data + call->from, len);
		assert_int_equal(tls_flow_feed(t, call->dir, call->dropped ? NULL : copy, len, &stamp), 0);
		free(copy);
	}
	assert_int_equal(tls_flow_finish(t), 0);
	tls_flow_free(t);
	tls_store_release(&store);
	return o;
}

static struct outcome *play(const struct capture *k, uint32_t id_kind, bool preopened)
{
	return play_late(k, id_kind, preopened, 0);
}

static bool is_hit(const struct capture *k, enum fdtape_dir dir, const struct record *r)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct call *call = &k->calls[i];

		if (call->dropped && call->dir == dir && call->from < r->to && call->to > r->from)
			return true;
	}
	return false;
}

static void explain(const struct capture *k, int dir, const struct outcome *o, const char *what, size_t at)
{
	const struct setup *s = k->c->setup;
	unsigned lines = 0;

	for (size_t i = 0; i < k->c->n_records[dir]; i++) {
		const struct record *r = &k->c->records[dir][i];

		if (is_hit(k, dir, r) && lines++ < 10)
			print_message("# hit: record %zu at %zu..%zu of type %d, plaintext %zu + %zu\n", i, r->from,
			              r->to, r->type, r->plain, r->plain_len);
	}
	fail_msg("version %04x, %s, how %x, direction %d: %s at %zu of %zu (whole: %zu), evidence %x",
	         (unsigned)s->version, s->suite, s->how, dir, what, at, o->plain[dir].len, k->c->plain[dir].len,
	         o->info.evidence);
}

/* The holes at this place of the output against the plaintext that is missing there. */
static void check_holes(const struct capture *k, int dir, const struct outcome *o, size_t *hole, size_t at,
                        uint64_t missing, bool exact)
{
	uint64_t told = 0;
	bool unknown = false, any = false;

	for (; *hole < o->n_holes[dir] && o->holes[dir][*hole].at == at; (*hole)++) {
		any = true;
		unknown |= o->holes[dir][*hole].len == 0;
		told += o->holes[dir][*hole].len;
	}
	if (!any && at == 0 && k->open_before)
		return;
	if (missing > 0 && !any)
		explain(k, dir, o, "no hole is told", at);
	if (told > missing || (!unknown && told != missing))
		explain(k, dir, o, "a hole has the wrong length", at);
	if (exact && unknown)
		explain(k, dir, o, "a hole's length is not told", at);
}

/* Every record of data that no hole has hit came out, and nothing else. exact: each hole is told with its length. */
static void check(const struct capture *k, const struct outcome *o, bool exact)
{
	for (int dir = 0; dir < 2; dir++) {
		const struct conversation *c = k->c;
		size_t at = 0, hole = 0, missing = 0;

		for (size_t i = 0; i < c->n_records[dir]; i++) {
			const struct record *r = &c->records[dir][i];

			if (!r->data)
				continue;
			if (is_hit(k, (enum fdtape_dir)dir, r)) {
				missing += r->plain_len;
				continue;
			}
			check_holes(k, dir, o, &hole, at, missing, exact);
			missing = 0;
			if (at + r->plain_len > o->plain[dir].len ||
			    memcmp(o->plain[dir].data + at, c->plain[dir].data + r->plain, r->plain_len) != 0)
				explain(k, dir, o, "not what was sent", at);
			at += r->plain_len;
		}
		if (at != o->plain[dir].len)
			explain(k, dir, o, "too much", at);
		check_holes(k, dir, o, &hole, at, missing, false);
		assert_int_equal(hole, o->n_holes[dir]);
	}
}

/* Whatever came out, between any two holes it is a stretch of what was sent, and all in order. */
static void check_nothing_is_wrong(const struct capture *k, const struct outcome *o)
{
	for (int dir = 0; dir < 2; dir++) {
		const struct buffer *sent = &k->c->plain[dir], *seen = &o->plain[dir];
		size_t at = 0, hole = 0;
		const uint8_t *from = sent->data, *end = sent->data + sent->len;

		while (at < seen->len) {
			size_t to;

			while (hole < o->n_holes[dir] && o->holes[dir][hole].at <= at)
				hole++;
			to = hole < o->n_holes[dir] ? o->holes[dir][hole].at : seen->len;
			while (from < end && (size_t)(end - from) >= to - at &&
			       memcmp(from, seen->data + at, to - at) != 0)
				from++;
			if ((size_t)(end - from) < to - at)
				explain(k, dir, o, "never sent", at);
			from += to - at;
			at = to;
		}
	}
}

static uint32_t usual_ids(const struct setup *setup)
{
	return setup->version == TLS1_3_VERSION ? FDTAPE_SECRET_ID_TRANSCRIPT : FDTAPE_SECRET_ID_CLIENT_RANDOM;
}

static const struct setup setups[] = {
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", 0, 3000000},
        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", KEY_UPDATE, 0},
        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", KEY_UPDATE, 1000000},
        {TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", 0, 0},
        {TLS1_3_VERSION, "TLS_AES_128_CCM_8_SHA256", KEY_UPDATE, 0},
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", SMALL, 200000},
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", PADDED, 100000},
        {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", 0, 1000000},
        {TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", SMALL, 0},
        {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", 0, 500000},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM", 0, 0},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-CCM8", 0, 0},
        {TLS1_2_VERSION, "AES128-SHA", 0, 300000},
        {TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", NO_ETM, 300000},
        {TLS1_2_VERSION, "AES256-SHA256", SMALL, 30000},
        {TLS1_2_VERSION, "ECDHE-ARIA256-GCM-SHA384", 0, 0},
        {TLS1_1_VERSION, "AES128-SHA", NO_ETM, 0},
};

static bool has_exact_holes(const struct setup *setup)
{
	return !strstr(setup->suite, "-SHA") || strstr(setup->suite, "GCM") || strstr(setup->suite, "CHACHA");
}

/* What CBC needs the hellos agreed on, above all encrypt-then-mac. */
static bool needs_no_hello(const struct setup *setup)
{
	return setup->version >= TLS1_2_VERSION && has_exact_holes(setup);
}

/* Of TLS 1.2 the recorder tells it beside the master secret. */
static void add_server_random(struct conversation *c)
{
	if (c->setup->version == TLS1_2_VERSION)
		add_secret(c, "SERVER_RANDOM", FDTAPE_SECRET_ID_CLIENT_RANDOM, c->client_random, 32, c->server_random,
		           32);
}

/* One percent of the calls is missing, behind the handshake. */
static void test_tls_loss__one_percent__costs_what_it_hit(void **state)
{
	static const size_t most[] = {300, 1460, 9000, 20000};
	size_t dropped = 0;

	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct conversation *c = converse(&setups[i], i);

		for (uint64_t seed = 0; seed < 8; seed++) {
			uint64_t dice = seed * 1000 + i;
			struct capture k = capture(c, most[seed % N(most)], &dice);
			struct outcome *o;

			for (size_t j = 0; j < k.n; j++) {
				k.calls[j].dropped = !k.calls[j].handshake && roll(&dice) % 100 == 0;
				dropped += k.calls[j].dropped;
			}
			o = play(&k, seed % 2 ? FDTAPE_SECRET_ID_CLIENT_RANDOM : usual_ids(&setups[i]), false);
			check(&k, o, false);
			outcome_free(o);
			free(k.calls);
		}
		conversation_free(c);
	}
	assert_true(dropped > 500);
}

/* The same where the secrets come last, and everything has waited for them. */
static void test_tls_loss__one_percent_and_late_secrets__costs_what_it_hit(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct setup setup = setups[i];
		struct conversation *c;

		setup.bulk = 20000;
		c = converse(&setup, i);
		for (uint64_t seed = 0; seed < 8; seed++) {
			uint64_t dice = seed * 1000 + i;
			struct capture k = capture(c, 1000, &dice);
			struct outcome *o;

			for (size_t j = 0; j < k.n; j++)
				k.calls[j].dropped = !k.calls[j].handshake && roll(&dice) % 50 == 0;
			o = play_late(&k, seed % 2 ? FDTAPE_SECRET_ID_CLIENT_RANDOM : usual_ids(&setup), false,
			              k.n - 1);
			check(&k, o, false);
			outcome_free(o);
			free(k.calls);
		}
		conversation_free(c);
	}
}

/* A stretch of whole bulk records is missing. */
static void test_tls_loss__a_long_hole__the_sequence_number_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct setup setup = setups[i];
		struct conversation *c;
		uint64_t dice = i;
		struct capture k;
		struct outcome *o;
		size_t bulk = 0;

		if (setup.how & KEY_UPDATE)
			continue;
		setup.bulk = 2000000;
		c = converse(&setup, i);
		k = capture(c, 5000, &dice);
		for (size_t j = 0; j < k.n; j++)
			if (k.calls[j].dir == FDTAPE_IN && !k.calls[j].handshake) {
				bulk += k.calls[j].to - k.calls[j].from;
				k.calls[j].dropped = bulk > 100000 && bulk < 1900000;
			}
		o = play(&k, usual_ids(&setup), false);
		check(&k, o, has_exact_holes(&setup) && !(setup.how & PADDED));
		outcome_free(o);
		free(k.calls);
		conversation_free(c);
	}
}

/* Drops the bytes of one record. */
static struct capture without_record(const struct conversation *c, enum fdtape_dir dir, const struct record *r)
{
	struct capture k = {.c = c};

	for (size_t i = 0; i < c->n_pieces; i++) {
		const struct piece *p = &c->pieces[i];
		bool inside = p->dir == dir && r->from >= p->from && r->to <= p->to;
		const struct call parts[] = {
		        {.dir = p->dir, .from = p->from, .to = inside ? r->from : p->to},
		        {.dir = p->dir, .from = r->from, .to = inside ? r->to : r->from, .dropped = true},
		        {.dir = p->dir, .from = r->to, .to = inside ? p->to : r->to},
		};

		for (size_t j = 0; j < N(parts); j++)
			if (parts[j].to > parts[j].from) {
				k.calls = realloc(k.calls, (k.n + 1) * sizeof *k.calls);
				k.calls[k.n++] = parts[j];
			}
	}
	return k;
}

/* Each record in turn: hellos, certificates, tickets, KeyUpdates, alerts, data. */
static void test_tls_loss__any_one_record_of_tls_1_3__only_it_is_missing(void **state)
{
	static const struct setup ways[] = {
	        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", KEY_UPDATE, 0},
	        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", KEY_UPDATE | RESUME, 0},
	        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", KEY_UPDATE | CLIENT_CERT, 0},
	        {TLS1_3_VERSION, "TLS_AES_128_CCM_8_SHA256", SMALL, 0},
	        {TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", POST_AUTH, 0},
	        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", HRR | KEY_UPDATE, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(ways); i++) {
		struct conversation *c = converse(&ways[i], i);

		for (int dir = 0; dir < 2; dir++)
			for (size_t j = 0; j < c->n_records[dir]; j++) {
				struct capture k = without_record(c, (enum fdtape_dir)dir, &c->records[dir][j]);
				struct outcome *o = play(&k, FDTAPE_SECRET_ID_TRANSCRIPT, false);

				check(&k, o, false);
				outcome_free(o);
				o = play(&k, FDTAPE_SECRET_ID_CLIENT_RANDOM, false);
				check(&k, o, false);
				outcome_free(o);
				free(k.calls);
			}
		conversation_free(c);
	}
}

/* The same with TLS 1.2, where without a ServerHello nothing can be done, unless its random, which is in the keys, was told
 * with them. */
static void test_tls_loss__any_one_record_of_tls_1_2__only_it_is_missing(void **state)
{
	static const struct setup ways[] = {
	        {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", 0, 0},
	        {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", RESUME, 0},
	        {TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", CLIENT_CERT, 0},
	        {TLS1_2_VERSION, "AES128-SHA256", NO_ETM | NO_EMS, 0},
	};

	(void)state;
	for (size_t i = 0; i < 2 * N(ways); i++) {
		struct conversation *c = converse(&ways[i / 2], i);
		bool told = i % 2;

		if (told)
			add_server_random(c);
		for (int dir = 0; dir < 2; dir++)
			for (size_t j = 0; j < c->n_records[dir]; j++) {
				struct capture k = without_record(c, (enum fdtape_dir)dir, &c->records[dir][j]);
				struct outcome *o = play(&k, FDTAPE_SECRET_ID_CLIENT_RANDOM, false);

				if (dir == FDTAPE_IN && j == 0 && (!told || !needs_no_hello(c->setup))) {
					assert_int_equal(o->plain[0].len + o->plain[1].len, 0);
					assert_true(o->n_holes[0] && o->n_holes[1]);
					assert_true(o->info.evidence & TLS_EVIDENCE_NO_KEYS);
				} else {
					check(&k, o, false);
				}
				outcome_free(o);
				free(k.calls);
			}
		conversation_free(c);
	}
}

/* One hole in each direction, in the place of the first calls. */
static void cut_off(struct capture *k, size_t n)
{
	size_t lost[2] = {0, 0}, kept = 0;
	struct call *calls = calloc(k->n + 2, sizeof *calls);

	for (size_t i = 0; i < n; i++)
		lost[k->calls[i].dir] = k->calls[i].to;
	for (int dir = 0; dir < 2; dir++)
		if (lost[dir])
			calls[kept++] = (struct call){.dir = (enum fdtape_dir)dir, .to = lost[dir], .dropped = true};
	for (size_t i = n; i < k->n; i++)
		calls[kept++] = k->calls[i];
	free(k->calls);
	k->calls = calls;
	k->n = kept;
}

/* The tape begins in the middle of a connection, as one cut out of another does: its secrets are there, its handshake
 * is not. */
static void test_tls_loss__the_beginning_is_cut_off__the_rest_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct conversation *c;

		if (!needs_no_hello(&setups[i]))
			continue;
		c = converse(&setups[i], i);
		add_server_random(c);
		for (uint64_t seed = 0; seed < 6; seed++) {
			uint64_t dice = seed * 1000 + i;
			struct capture k = capture(c, 9000, &dice);
			size_t cut = roll(&dice) % (k.n * 3 / 4);
			struct outcome *o;

			cut_off(&k, cut);
			o = play(&k, seed % 2 ? FDTAPE_SECRET_ID_CLIENT_RANDOM : usual_ids(&setups[i]), seed >= 3);
			check(&k, o, false);
			assert_int_equal(o->info.version, setups[i].version);
			outcome_free(o);
			free(k.calls);
		}
		conversation_free(c);
	}
}

/* Recording began in the middle of a connection, at any byte of what is read, and nothing tells how much came before. */
static void test_tls_loss__open_before__is_read_with_the_secrets_of_the_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct conversation *c;
		struct setup setup = setups[i];

		if (!needs_no_hello(&setup))
			continue;
		setup.bulk = 500000;
		c = converse(&setup, i);
		add_server_random(c);
		for (uint64_t seed = 0; seed < 4; seed++) {
			uint64_t dice = seed * 1000 + i;
			struct capture k = capture(c, 9000, &dice), rest = {.c = c, .open_before = true};
			size_t first[2] = {0, 0}, cut = k.n / 2 + seed;
			struct outcome *o;

			/* What is written is whole records. */
			while (k.calls[cut].dir != FDTAPE_OUT)
				cut++;
			for (size_t j = 0; j < c->n_records[FDTAPE_OUT]; j++)
				if (c->records[FDTAPE_OUT][j].to > k.calls[cut].from && !first[FDTAPE_OUT])
					first[FDTAPE_OUT] = c->records[FDTAPE_OUT][j].to;
			first[FDTAPE_IN] = SIZE_MAX;
			rest.calls = calloc(k.n + 3, sizeof *rest.calls);
			for (size_t j = cut; j < k.n; j++) {
				struct call call = k.calls[j];

				if (call.dir == FDTAPE_IN && first[FDTAPE_IN] == SIZE_MAX)
					first[FDTAPE_IN] = call.from;
				if (call.to <= first[call.dir])
					continue;
				if (call.from < first[call.dir])
					call.from = first[call.dir];
				rest.calls[rest.n++] = call;
			}
			o = play(&rest, seed % 2 ? FDTAPE_SECRET_ID_CLIENT_RANDOM : usual_ids(&setup), true);
			/* For the check it is a hole, of course. */
			for (int dir = 0; dir < 2; dir++)
				rest.calls[rest.n++] =
				        (struct call){.dir = (enum fdtape_dir)dir, .to = first[dir], .dropped = true};
			check(&rest, o, false);
			outcome_free(o);
			free(rest.calls);
			free(k.calls);
		}
		conversation_free(c);
	}
}

/* Tens of thousands of records are, of a size that nothing tells of. */
static void test_tls_loss__very_much_is_cut_off__the_rest_is_read(void **state)
{
	static const struct setup ways[] = {
	        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", SMALL, 20000000},
	        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", 0, 50000000},
	};

	(void)state;
	for (size_t i = 0; i < N(ways); i++) {
		struct conversation *c = converse(&ways[i], i);
		uint64_t dice = i;
		struct capture k = capture(c, 100000, &dice);
		struct outcome *o;

		cut_off(&k, k.n * 9 / 10);
		o = play(&k, FDTAPE_SECRET_ID_TRANSCRIPT, false);
		check(&k, o, false);
		outcome_free(o);
		free(k.calls);
		conversation_free(c);
	}
}

/* Anything may be missing, be spoilt, or be there twice: what comes out is true all the same. */
static void test_tls_loss__much_of_anything__nothing_wrong_comes_out(void **state)
{
	static const struct setup more[] = {
	        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", HRR | CLIENT_CERT | KEY_UPDATE, 0},
	        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", RESUME | EARLY_DATA | KEY_UPDATE, 0},
	        {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", RENEGOTIATE | CLIENT_CERT, 0},
	        {TLS1_2_VERSION, "AES128-SHA256", RENEGOTIATE, 0},
	        {TLS1_VERSION, "AES128-SHA", 0, 0},
	        {TLS1_VERSION, "AES256-SHA", NO_ETM, 0},
	        {TLS1_1_VERSION, "AES256-SHA", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(setups) + N(more); i++) {
		struct setup setup = i < N(setups) ? setups[i] : more[i - N(setups)];
		struct conversation *c;

		setup.bulk = 60000;
		c = converse(&setup, i);
		for (uint64_t seed = 0; seed < 20; seed++) {
			uint64_t dice = seed * 1000 + i;
			struct capture k = capture(c, seed % 2 ? 300 : 5000, &dice);
			struct outcome *o;

			for (size_t j = 0; j < k.n; j++) {
				struct call *call = &k.calls[j];

				call->dropped = roll(&dice) % (2 + seed) == 0;
				/* What begins with something else than a record is not TLS. */
				if (!call->handshake && roll(&dice) % 20 == 0)
					c->wire[call->dir].data[call->from] ^= 1;
			}
			o = play(&k, seed % 3 ? FDTAPE_SECRET_ID_CLIENT_RANDOM : usual_ids(&setup), seed % 5 == 4);
			check_nothing_is_wrong(&k, o);
			outcome_free(o);
			free(k.calls);
		}
		conversation_free(c);
	}
}

/* A recording that ends anywhere, in the handshake too: what is whole by then is given, and nothing else. */
static void test_tls_loss__the_end_is_missing__what_is_whole_is_given(void **state)
{
	static const struct setup ways[] = {
	        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", HRR | KEY_UPDATE, 0},
	        {TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", RENEGOTIATE, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(ways); i++) {
		struct conversation *c = converse(&ways[i], i);
		uint64_t dice = i;
		struct capture k = capture(c, 700, &dice);

		for (; k.n > 0; k.n--) {
			struct outcome *o = play(&k, usual_ids(&ways[i]), false);
			size_t end[2] = {0, 0};

			for (size_t j = 0; j < k.n; j++)
				end[k.calls[j].dir] = k.calls[j].to;
			for (int dir = 0; dir < 2; dir++) {
				size_t whole = 0;

				for (size_t j = 0; j < c->n_records[dir]; j++)
					if (c->records[dir][j].data && c->records[dir][j].to <= end[dir])
						whole += c->records[dir][j].plain_len;
				assert_int_equal(o->plain[dir].len, whole);
				if (whole)
					assert_memory_equal(o->plain[dir].data, c->plain[dir].data, whole);
				if (end[dir] > 100)
					assert_int_equal(o->info.verdict, TLS_VERDICT_TLS);
			}
			outcome_free(o);
		}
		free(k.calls);
		conversation_free(c);
	}
}

/* What is no record, where records were: it costs itself. */
static void test_tls_loss__garbage_between_records__costs_nothing_else(void **state)
{
	uint64_t dice = 1;

	(void)state;
	for (size_t i = 0; i < N(setups); i++) {
		struct setup setup = setups[i];
		struct conversation *c;
		size_t where = 0;

		setup.bulk = 200000;
		c = converse(&setup, i);
		for (size_t len = 1; len < 40000; len = len * 3 + 1) {
			struct tls_store store = {0};
			struct outcome *o = calloc(1, sizeof *o);
			const struct tls_flow_sink sink = {.context = o, .plain = on_plain, .key = on_key};
			const struct stamp stamp = {.shown = true};
			struct tls_flow *t = tls_flow_new(&store, &o->info, 1, false, &sink);
			uint8_t *garbage = malloc(len);

			for (size_t j = 0; j < len; j++)
				garbage[j] = (uint8_t)roll(&dice);
			garbage[0] = 0xff;
			for (size_t j = 0; j < c->n_records[FDTAPE_IN] && !where; j++)
				if (c->records[FDTAPE_IN][j].plain > 100000)
					where = c->records[FDTAPE_IN][j].from;
			for (size_t j = 0; j < c->n_secrets; j++)
				if (c->secrets[j].id_kind == usual_ids(&setup))
					tls_store_add(&store, &c->secrets[j]);
			for (size_t j = 0; j < c->n_pieces; j++) {
				const struct piece *p = &c->pieces[j];
				const uint8_t *wire = c->wire[p->dir].data;

				if (p->dir == FDTAPE_IN && p->from <= where && p->to > where) {
					tls_flow_feed(t, p->dir, wire + p->from, where - p->from, &stamp);
					tls_flow_feed(t, p->dir, garbage, len, &stamp);
					tls_flow_feed(t, p->dir, wire + where, p->to - where, &stamp);
				} else {
					tls_flow_feed(t, p->dir, wire + p->from, p->to - p->from, &stamp);
				}
			}
			tls_flow_finish(t);
			for (int dir = 0; dir < 2; dir++) {
				assert_int_equal(o->plain[dir].len, c->plain[dir].len);
				assert_memory_equal(o->plain[dir].data, c->plain[dir].data, o->plain[dir].len);
			}
			assert_true(o->info.evidence & TLS_EVIDENCE_GARBAGE);
			assert_false(o->info.whole);
			tls_flow_free(t);
			tls_store_release(&store);
			outcome_free(o);
			free(garbage);
		}
		conversation_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tls_loss__one_percent__costs_what_it_hit),
	        cmocka_unit_test(test_tls_loss__one_percent_and_late_secrets__costs_what_it_hit),
	        cmocka_unit_test(test_tls_loss__a_long_hole__the_sequence_number_is_found),
	        cmocka_unit_test(test_tls_loss__any_one_record_of_tls_1_3__only_it_is_missing),
	        cmocka_unit_test(test_tls_loss__any_one_record_of_tls_1_2__only_it_is_missing),
	        cmocka_unit_test(test_tls_loss__the_beginning_is_cut_off__the_rest_is_read),
	        cmocka_unit_test(test_tls_loss__open_before__is_read_with_the_secrets_of_the_process),
	        cmocka_unit_test(test_tls_loss__very_much_is_cut_off__the_rest_is_read),
	        cmocka_unit_test(test_tls_loss__the_end_is_missing__what_is_whole_is_given),
	        cmocka_unit_test(test_tls_loss__garbage_between_records__costs_nothing_else),
	        cmocka_unit_test(test_tls_loss__much_of_anything__nothing_wrong_comes_out),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tls_loss", tests, NULL, NULL);
}
