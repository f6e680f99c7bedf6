/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows that turn to TLS, TLS within TLS, in the kernel, and what only looks like it; whose plaintext a library call
 * delivers. The sessions are libssl's, which tells its secrets; the expected plaintext is what it was given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <fdtape/writer.h>

#include "replay/buffer.h"
#include "replay/player.h"
#include "replay/tls_stack.h"
#include "tests/rfc8448.h"
#include "tests/self_signed.h"

#define N(a) (sizeof(a) / sizeof *(a))

/* ---- sessions --------------------------------------------------------------------------------------------------- */

/* What a connection carried, as its client sees it. */
struct talk {
	struct said {
		enum fdtape_dir dir;
		uint8_t *data;
		size_t len;
	} said[256];
	size_t n;
	struct secret {
		char label[40];
		uint8_t random[32], value[64];
		size_t len;
	} secrets[32];
	size_t n_secrets;
};

static void say(struct talk *t, enum fdtape_dir dir, const void *data, size_t len)
{
	struct said *s = &t->said[t->n++];

	assert_true(t->n <= N(t->said));
	*s = (struct said){.dir = dir, .data = malloc(len + 1), .len = len};
	memcpy(s->data, data, len);
}

static void say_text(struct talk *t, enum fdtape_dir dir, const char *text)
{
	say(t, dir, text, strlen(text));
}

static void talk_free(struct talk *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->said[i].data);
	free(t);
}

/* Two ends of TLS; what they write goes to `wire`, or is carried by the TLS `within`. */
struct tls {
	SSL *ssl[2]; /* by the direction in which each writes: the server IN, the client OUT */
	SSL_CTX *context[2];
	struct talk *wire;
	struct tls *within;
};

static void tls_write(struct tls *t, enum fdtape_dir dir, const void *data, size_t len);

static void on_keylog(const SSL *ssl, const char *line)
{
	struct talk *t = SSL_get_app_data(ssl);
	struct secret *s = &t->secrets[t->n_secrets++];
	char random[65], value[129];

	assert_true(t->n_secrets <= N(t->secrets));
	assert_int_equal(sscanf(line, "%39s %64s %128s", s->label, random, value), 3);
	assert_int_equal(from_hex(random, s->random), 32);
	s->len = from_hex(value, s->value);
}

static void certify(SSL_CTX *server)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	use_self_signed(server, key);
	EVP_PKEY_free(key);
}

/* Moves what this end has written. */
static bool carry_tls(struct tls *t, enum fdtape_dir dir)
{
	uint8_t bytes[65536];
	int n = BIO_read(SSL_get_wbio(t->ssl[dir]), bytes, sizeof bytes);

	if (n <= 0)
		return false;
	if (t->within)
		tls_write(t->within, dir, bytes, (size_t)n);
	else
		say(t->wire, dir, bytes, (size_t)n);
	assert_int_equal(BIO_write(SSL_get_rbio(t->ssl[!dir]), bytes, n), n);
	return true;
}

static void tls_write(struct tls *t, enum fdtape_dir dir, const void *data, size_t len)
{
	uint8_t bytes[65536];

	assert_int_equal(SSL_write(t->ssl[dir], data, (int)len), (int)len);
	while (carry_tls(t, dir))
		;
	while (SSL_read(t->ssl[!dir], bytes, sizeof bytes) > 0)
		;
}

static void tls_open(struct tls *t, int version, struct talk *wire, struct tls *within)
{
	*t = (struct tls){.wire = wire, .within = within};
	for (int dir = 0; dir < 2; dir++) {
		SSL_CTX *c = SSL_CTX_new(dir == FDTAPE_OUT ? TLS_client_method() : TLS_server_method());

		SSL_CTX_set_min_proto_version(c, version);
		SSL_CTX_set_max_proto_version(c, version);
		if (dir == FDTAPE_OUT)
			SSL_CTX_set_keylog_callback(c, on_keylog);
		else
			certify(c);
		t->context[dir] = c;
		t->ssl[dir] = SSL_new(c);
		SSL_set_bio(t->ssl[dir], BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		SSL_set_app_data(t->ssl[dir], wire);
	}
	SSL_set_connect_state(t->ssl[FDTAPE_OUT]);
	SSL_set_accept_state(t->ssl[FDTAPE_IN]);
	while (!SSL_is_init_finished(t->ssl[0]) || !SSL_is_init_finished(t->ssl[1])) {
		for (int dir = 1; dir >= 0; dir--) {
			SSL_do_handshake(t->ssl[dir]);
			while (carry_tls(t, (enum fdtape_dir)dir))
				;
		}
	}
}

static void tls_close(struct tls *t)
{
	for (int dir = 0; dir < 2; dir++) {
		SSL_free(t->ssl[dir]);
		SSL_CTX_free(t->context[dir]);
	}
}

/* ---- tapes ------------------------------------------------------------------------------------------------------ */

struct maker {
	struct fdtape_writer *writer;
	struct buffer tape;
	uint64_t time;
	uint64_t offset[1024][2];
};

static int write_tape(void *context, const void *data, size_t len)
{
	return buffer_add(context, data, len) < 0 ? FDTAPE_ERR_MEMORY : 0;
}

static void put(struct maker *m, const struct fdtape_item *item)
{
	assert_int_equal(fdtape_writer_put(m->writer, item), 0);
}

static struct maker *begin(void)
{
	struct maker *m = calloc(1, sizeof *m);
	struct fdtape_writer_options options = {.clock = {.realtime = 1000000000000}, .uuid = {1}, .salt = 1};
	const struct fdtape_sink sink = {.write = write_tape, .context = &m->tape};

	assert_int_equal(fdtape_writer_open(&m->writer, &sink, &options), 0);
	m->time = 1000;
	return m;
}

static void socket_flow(struct maker *m, uint64_t id, uint32_t flags)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_FLOW,
	                             .flow = {.id = id,
	                                      .pid = 10,
	                                      .tid = 10,
	                                      .fd = (int32_t)id,
	                                      .kind = FDTAPE_KIND_SOCKET,
	                                      .proto = FDTAPE_PROTO_TCP,
	                                      .role = FDTAPE_ROLE_CLIENT,
	                                      .flags = FDTAPE_FLOW_STREAM | flags,
	                                      .opened = m->time,
	                                      .name = ""}});
}

static void library_flow(struct maker *m, uint64_t id)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_FLOW,
	                             .flow = {.id = id,
	                                      .pid = 10,
	                                      .tid = 10,
	                                      .fd = -1,
	                                      .kind = FDTAPE_KIND_LIBRARY,
	                                      .flags = FDTAPE_FLOW_STREAM,
	                                      .opened = m->time,
	                                      .handle = id,
	                                      .name = "/usr/lib/libssl.so.3"}});
}

static struct fdtape_event event_of(struct maker *m, uint64_t id, enum fdtape_dir dir, const void *data, size_t len)
{
	struct fdtape_event e = {.time = m->time,
	                         .duration = 10,
	                         .pid = 10,
	                         .tid = 10,
	                         .call = dir == FDTAPE_IN ? FDTAPE_CALL_READ : FDTAPE_CALL_WRITE,
	                         .result = (int64_t)len,
	                         .fd = (int32_t)id,
	                         .dir = dir,
	                         .flow = id,
	                         .offset = m->offset[id][dir],
	                         .bytes = len,
	                         .captured = len,
	                         .arg = {4096},
	                         .data = len ? data : NULL};

	m->offset[id][dir] += len;
	m->time += 1000;
	return e;
}

static void event(struct maker *m, const struct fdtape_event *e)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = *e});
}

static void carry(struct maker *m, uint64_t id, enum fdtape_dir dir, const void *data, size_t len)
{
	struct fdtape_event e = event_of(m, id, dir, data, len);

	event(m, &e);
}

/* A library call that began at `from`: what happened since then lies within it. */
static void library_call(struct maker *m, uint64_t id, enum fdtape_dir dir, const void *data, size_t len,
                         int64_t result, uint64_t from)
{
	struct fdtape_event e = event_of(m, id, dir, data, len);

	e.call = dir == FDTAPE_IN ? FDTAPE_CALL_SSL_READ : FDTAPE_CALL_SSL_WRITE;
	e.fd = -1;
	e.result = result;
	e.duration = e.time - from;
	e.time = from;
	event(m, &e);
}

static void setsockopt_call(struct maker *m, uint64_t id, uint64_t level, uint64_t name, uint64_t value)
{
	struct fdtape_event e = event_of(m, id, FDTAPE_IN, NULL, 0);

	e.call = FDTAPE_CALL_SETSOCKOPT;
	e.arg[0] = level;
	e.arg[1] = name;
	e.arg[2] = value;
	event(m, &e);
}

static void put_secret(struct maker *m, const struct secret *s)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_SECRET,
	                             .secret = {.time = m->time,
	                                        .pid = 10,
	                                        .tid = 10,
	                                        .label = s->label,
	                                        .source = "",
	                                        .id = s->random,
	                                        .id_len = 32,
	                                        .id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM,
	                                        .value = s->value,
	                                        .value_len = s->len}});
}

static void put_secrets(struct maker *m, const struct talk *t)
{
	for (size_t i = 0; i < t->n_secrets; i++)
		put_secret(m, &t->secrets[i]);
}

/* The talk on flow `id`, in calls of at most `cut` bytes; 0: as it was said. */
static void put_talk(struct maker *m, uint64_t id, const struct talk *t, size_t cut)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct said *s = &t->said[i];
		size_t step = cut ? cut : s->len;

		for (size_t at = 0; at < s->len; at += step)
			carry(m, id, s->dir, s->data + at, s->len - at < step ? s->len - at : step);
	}
}

/* ---- what is told ----------------------------------------------------------------------------------------------- */

struct flow_told {
	uint64_t number;
	struct buffer plain[2], wire[2];
	uint64_t holes;
	struct tls_info tls;
	struct tls_timeline timeline;
	struct tls_info inner; /* of the first segment within TLS */
	uint64_t bound, plaintext[2];
	struct tls_stack_bytes bytes[2];
};

struct told {
	struct flow_told flows[1024];
	size_t n;
	unsigned keys, requests;
	char targets[256];
};

static struct flow_told *of(struct told *t, uint64_t number)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->flows[i].number == number)
			return &t->flows[i];
	assert_true(t->n < N(t->flows));
	t->flows[t->n].number = number;
	return &t->flows[t->n++];
}

static int on_plain(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct flow_told *f = of(context, flow->number);

	if (!piece->data) {
		f->holes++;
		return 0;
	}
	return buffer_add(&f->plain[dir], piece->data, piece->len);
}

static int on_wire(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	return piece->data ? buffer_add(&of(context, flow->number)->wire[dir], piece->data, piece->len) : 0;
}

static int on_key(void *context, const struct player_flow *flow, const struct tls_key *key)
{
	(void)flow;
	(void)key;
	((struct told *)context)->keys++;
	return 0;
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *x)
{
	struct told *t = context;
	size_t n = strlen(t->targets);

	(void)flow;
	t->requests++;
	snprintf(t->targets + n, sizeof t->targets - n, "%s ", x->target ? x->target : "-");
	return 0;
}

static int on_closed(void *context, struct player_flow *flow)
{
	struct flow_told *f = of(context, flow->number);

	f->tls = flow->tls;
	f->bound = flow->bound;
	for (int dir = 0; dir < 2; dir++) {
		f->plaintext[dir] = flow->traffic[dir].plaintext;
		player_flow_bytes(flow, (enum fdtape_dir)dir, &f->bytes[dir]);
	}
	if (flow->timeline)
		f->timeline = *flow->timeline;
	for (size_t i = 0; i < f->timeline.n; i++)
		if (f->timeline.segments[i].depth && f->timeline.segments[i].tls)
			f->inner = *f->timeline.segments[i].tls;
	return 0;
}

static int64_t read_memory(void *context, void *buffer, size_t len)
{
	struct buffer *m = context;
	size_t n = m->len < len ? m->len : len;

	memcpy(buffer, m->data, n);
	m->data += n;
	m->len -= n;
	return (int64_t)n;
}

/* Ends the tape and plays it. */
static struct told *play(struct maker *m)
{
	struct told *t = calloc(1, sizeof *t);
	const struct player_sink sink = {.context = t,
	                                 .plain = on_plain,
	                                 .wire = on_wire,
	                                 .key = on_key,
	                                 .http = on_http,
	                                 .flow_closed = on_closed};
	struct buffer memory;
	struct player_input input = {.source = {.read = read_memory, .context = &memory}, .name = "a tape"};
	struct player *player = NULL;

	assert_int_equal(fdtape_writer_end(m->writer), 0);
	memory = m->tape;
	assert_int_equal(player_open(&player, &input, 1, NULL, &sink), 0);
	assert_int_equal(player_run(player), 0);
	player_free(player);
	fdtape_writer_free(m->writer);
	buffer_release(&m->tape);
	free(m);
	return t;
}

static void told_free(struct told *t)
{
	for (size_t i = 0; i < t->n; i++) {
		for (int dir = 0; dir < 2; dir++) {
			buffer_release(&t->flows[i].plain[dir]);
			buffer_release(&t->flows[i].wire[dir]);
		}
	}
	free(t);
}

static void assert_text(const struct buffer *b, const char *expected)
{
	assert_int_equal(b->len, strlen(expected));
	if (b->len)
		assert_memory_equal(b->data, expected, b->len);
}

/* The timeline as text: "out clear 0, in clear 0, out tls 8". */
static const char *steps(const struct flow_told *f)
{
	static char text[512];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < f->timeline.n; i++) {
		const struct tls_segment *s = &f->timeline.segments[i];

		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s %s %llu", i ? ", " : "",
		                      s->depth ? "inner " : "", s->dir ? "out" : "in", tls_segment_name(s->kind),
		                      (unsigned long long)s->offset);
		if (s->agreed)
			n += (size_t)snprintf(text + n, sizeof text - n, " %s", s->agreed);
	}
	return text;
}

/* ---- turning to TLS --------------------------------------------------------------------------------------------- */

#define GET   "GET /inside HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void test_turn__any_cut__both_parts_are_whole(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t v = 0; v < N(versions); v++) {
		for (size_t cut = 0; cut < 12; cut++) {
			struct talk *talk = calloc(1, sizeof *talk);
			struct maker *m = begin();
			struct told *told;
			struct tls tls;

			say_text(talk, FDTAPE_IN, "220 ready\r\n");
			say_text(talk, FDTAPE_OUT, "STARTTLS\r\n");
			say_text(talk, FDTAPE_IN, "220 go ahead\r\n");
			tls_open(&tls, versions[v], talk, NULL);
			tls_write(&tls, FDTAPE_OUT, GET, strlen(GET));
			tls_write(&tls, FDTAPE_IN, REPLY, strlen(REPLY));
			socket_flow(m, 1, 0);
			put_secrets(m, talk);
			put_talk(m, 1, talk, cut);
			told = play(m);
			assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_MIXED);
			assert_int_equal(told->flows[0].tls.version, versions[v]);
			assert_int_equal(told->flows[0].tls.plaintext, TLS_PLAINTEXT_WIRE);
			assert_text(&told->flows[0].plain[FDTAPE_OUT], "STARTTLS\r\n" GET);
			assert_text(&told->flows[0].plain[FDTAPE_IN], "220 ready\r\n220 go ahead\r\n" REPLY);
			assert_string_equal(steps(&told->flows[0]),
			                    "in clear 0, out clear 0, out tls 10 STARTTLS, in tls 25 STARTTLS");
			assert_int_equal(told->flows[0].plaintext[FDTAPE_OUT], strlen(GET));
			assert_int_equal(told->flows[0].bytes[FDTAPE_OUT].clear, 10);
			assert_int_equal(told->flows[0].bytes[FDTAPE_OUT].sealed, 0);
			assert_int_equal(told->flows[0].holes, 0);
			assert_string_equal(told->targets, "/inside ");
			told_free(told);
			tls_close(&tls);
			talk_free(talk);
		}
	}
}

static void test_turn__proxy_header_in_the_same_write__tls_begins_behind_it(void **state)
{
	static const char header[] = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct told *told;
	struct tls tls;
	uint8_t first[4096];

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	tls_write(&tls, FDTAPE_OUT, GET, strlen(GET));
	socket_flow(m, 1, 0);
	put_secrets(m, talk);
	memcpy(first, header, strlen(header));
	memcpy(first + strlen(header), talk->said[0].data, talk->said[0].len);
	carry(m, 1, FDTAPE_OUT, first, strlen(header) + talk->said[0].len);
	talk->said[0].len = 0;
	put_talk(m, 1, talk, 0);
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_MIXED);
	assert_string_equal(steps(&told->flows[0]), "out clear 0, out tls 41 PROXY, in tls 0 PROXY");
	assert_int_equal(told->flows[0].plain[FDTAPE_OUT].len, strlen(header) + strlen(GET));
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

static void test_turn__within_tls__both_are_opened(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct tls outer, inner;
	struct maker *m = begin();
	struct told *told;

	(void)state;
	tls_open(&outer, TLS1_3_VERSION, talk, NULL);
	tls_write(&outer, FDTAPE_OUT, "CONNECT h:443 HTTP/1.1\r\n\r\n", 26);
	tls_write(&outer, FDTAPE_IN, "HTTP/1.1 200 yes\r\n\r\n", 20);
	tls_open(&inner, TLS1_2_VERSION, talk, &outer);
	tls_write(&inner, FDTAPE_OUT, GET, strlen(GET));
	tls_write(&inner, FDTAPE_IN, REPLY, strlen(REPLY));
	socket_flow(m, 1, 0);
	put_secrets(m, talk);
	put_talk(m, 1, talk, 0);
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_TLS);
	assert_int_equal(told->flows[0].tls.version, TLS1_3_VERSION);
	assert_int_equal(told->flows[0].inner.version, TLS1_2_VERSION);
	assert_int_equal(told->flows[0].inner.plaintext, TLS_PLAINTEXT_WIRE);
	assert_text(&told->flows[0].plain[FDTAPE_OUT], "CONNECT h:443 HTTP/1.1\r\n\r\n" GET);
	assert_text(&told->flows[0].plain[FDTAPE_IN], "HTTP/1.1 200 yes\r\n\r\n" REPLY);
	assert_string_equal(steps(&told->flows[0]),
	                    "out tls 0, in tls 0, inner out clear 0, inner in clear 0, inner out tls 26 CONNECT, "
	                    "inner in tls 20 CONNECT");
	assert_string_equal(told->targets, "h:443 /inside ");
	assert_int_equal(told->keys, talk->n_secrets);
	told_free(told);
	tls_close(&inner);
	tls_close(&outer);
	talk_free(talk);
}

static void test_turn__client_hello_is_lost__is_tls_all_the_same(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct told *told;
	struct tls tls;

	(void)state;
	say_text(talk, FDTAPE_OUT, "STARTTLS\r\n");
	say_text(talk, FDTAPE_IN, "220 go ahead\r\n");
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	tls_write(&tls, FDTAPE_OUT, GET, strlen(GET));
	tls_write(&tls, FDTAPE_IN, REPLY, strlen(REPLY));
	socket_flow(m, 1, 0);
	for (size_t i = 0; i < talk->n; i++) {
		struct fdtape_event e = event_of(m, 1, talk->said[i].dir, talk->said[i].data, talk->said[i].len);

		if (i == 2) {
			e.captured = 0;
			e.data = NULL;
		}
		event(m, &e);
	}
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_MIXED);
	assert_text(&told->flows[0].plain[FDTAPE_IN], "220 go ahead\r\n");
	assert_text(&told->flows[0].plain[FDTAPE_OUT], "STARTTLS\r\n");
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

/* ---- what only looks like it ------------------------------------------------------------------------------------ */

/* A real ClientHello, and what answers it. */
static void assert_stays_clear(const char *before, const char *answered, const void *hello, size_t len,
                               const void *answer, size_t answer_len)
{
	struct maker *m = begin();
	struct told *told;

	socket_flow(m, 1, 0);
	carry(m, 1, FDTAPE_OUT, before, strlen(before));
	carry(m, 1, FDTAPE_IN, answered, strlen(answered));
	carry(m, 1, FDTAPE_OUT, hello, len);
	if (answer_len)
		carry(m, 1, FDTAPE_IN, answer, answer_len);
	carry(m, 1, FDTAPE_OUT, "and so on", 9);
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_CLEAR);
	assert_string_equal(steps(&told->flows[0]), "out clear 0, in clear 0");
	for (int dir = 0; dir < 2; dir++) {
		const struct flow_told *f = &told->flows[0];

		assert_int_equal(f->plain[dir].len, f->wire[dir].len);
		assert_memory_equal(f->plain[dir].data, f->wire[dir].data, f->wire[dir].len);
		assert_int_equal(f->bytes[dir].clear, f->wire[dir].len);
	}
	told_free(told);
}

static void test_turn__plaintext_that_looks_like_a_record__stays_clear(void **state)
{
	static const uint8_t broken[] = {22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3, 9, 9, 9},
	                     server[] = {22, 3, 3, 0, 4, 2, 0, 0, 0}, data[] = {23, 3, 3, 0, 5, 1, 2, 3, 4, 5},
	                     alert[] = {21, 3, 3, 0, 2, 2, 40};
	struct talk *talk = calloc(1, sizeof *talk);
	struct tls tls;

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	/* A file that holds a ClientHello is uploaded, and the server says thanks. */
	assert_stays_clear("PUT file\r\n", "go on\r\n", talk->said[0].data, talk->said[0].len, "thanks\r\n", 8);
	/* Nobody answers, and nobody spoke of TLS. */
	assert_stays_clear("PUT file\r\n", "go on\r\n", talk->said[0].data, talk->said[0].len, NULL, 0);
	/* Answered by TLS, but no hello to its last byte. */
	talk->said[0].data[4]--;
	assert_stays_clear("STARTTLS\r\n", "220 ok\r\n", talk->said[0].data, talk->said[0].len, talk->said[1].data,
	                   talk->said[1].len);
	assert_stays_clear("STARTTLS\r\n", "220 ok\r\n", broken, sizeof broken, "no\r\n", 4);
	assert_stays_clear("STARTTLS\r\n", "220 ok\r\n", broken, 1, "no\r\n", 4);
	assert_stays_clear("STARTTLS\r\n", "220 ok\r\n", server, sizeof server, data, sizeof data);
	assert_stays_clear("STARTTLS\r\n", "220 ok\r\n", data, sizeof data, data, sizeof data);
	assert_stays_clear("STARTTLS\r\n", "220 ok\r\n", alert, sizeof alert, alert, sizeof alert);
	tls_close(&tls);
	talk_free(talk);
}

static void test_turn__hello_is_turned_down__was_tls(void **state)
{
	static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40};
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct told *told;
	struct tls tls;

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	socket_flow(m, 1, 0);
	carry(m, 1, FDTAPE_OUT, "hello\r\n", 7);
	carry(m, 1, FDTAPE_IN, "hello\r\n", 7);
	carry(m, 1, FDTAPE_OUT, talk->said[0].data, talk->said[0].len);
	carry(m, 1, FDTAPE_IN, alert, sizeof alert);
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_MIXED);
	assert_string_equal(steps(&told->flows[0]), "out clear 0, in clear 0, out tls 7, in tls 7");
	assert_int_equal(told->flows[0].bytes[FDTAPE_IN].handshake, sizeof alert);
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

/* From the first byte on. */
static struct flow_told first_bytes(const void *out, size_t n_out, const void *in, size_t n_in)
{
	struct maker *m = begin();
	struct flow_told flow;
	struct told *told;

	socket_flow(m, 1, 0);
	carry(m, 1, FDTAPE_OUT, out, n_out);
	if (n_in)
		carry(m, 1, FDTAPE_IN, in, n_in);
	told = play(m);
	flow = told->flows[0];
	told_free(told);
	return flow;
}

static void test_verdict__odd_beginnings__have_their_evidence(void **state)
{
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 70},
	                     sslv2[] = {0x80, 46, 1,    0, 2, 0,    21, 0, 0,    0, 16, 1,    0, 0x80,
	                                3,    0,  0x80, 7, 0, 0xc0, 6,  0, 0x40, 2, 0,  0x80, 4, 0,
	                                0x80, 0,  0,    4, 1, 2,    3,  4, 5,    6, 7,  8},
	                     zero[] = {23, 3, 3, 0, 0}, long_record[] = {22, 3, 1, 0xff, 0xff, 1, 0, 0, 1};
	struct flow_told f;

	(void)state;
	f = first_bytes(alert, sizeof alert, NULL, 0);
	assert_int_equal(f.tls.verdict, TLS_VERDICT_TLS);
	assert_true(f.tls.evidence & TLS_EVIDENCE_RECORDS);
	assert_false(f.tls.evidence & TLS_EVIDENCE_CLIENT_HELLO);
	f = first_bytes(sslv2, sizeof sslv2, "what?", 5);
	assert_int_equal(f.tls.verdict, TLS_VERDICT_CLEAR);
	assert_true(f.tls.evidence & TLS_EVIDENCE_NOT_TLS);
	f = first_bytes(zero, sizeof zero, NULL, 0);
	assert_int_equal(f.tls.verdict, TLS_VERDICT_CLEAR);
	f = first_bytes(long_record, sizeof long_record, NULL, 0);
	assert_int_equal(f.tls.verdict, TLS_VERDICT_CLEAR);
}

static void test_verdict__wrong_keys__is_sealed_tls(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct told *told;
	struct tls tls;

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	tls_write(&tls, FDTAPE_OUT, GET, strlen(GET));
	for (size_t i = 0; i < talk->n_secrets; i++)
		talk->secrets[i].value[0] ^= 1;
	socket_flow(m, 1, 0);
	put_secrets(m, talk);
	put_talk(m, 1, talk, 0);
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_TLS);
	assert_int_equal(told->flows[0].tls.plaintext, TLS_PLAINTEXT_NONE);
	assert_false(told->flows[0].tls.evidence & TLS_EVIDENCE_AEAD);
	assert_int_equal(told->flows[0].plain[FDTAPE_OUT].len, 0);
	assert_true(told->flows[0].bytes[FDTAPE_OUT].sealed > 0);
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

/* ---- TLS in the kernel ------------------------------------------------------------------------------------------ */

static void test_kernel__after_the_handshake__calls_carry_plaintext_of_tls(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct told *told;
	struct tls tls;
	uint64_t in, out;

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	socket_flow(m, 1, 0);
	put_talk(m, 1, talk, 0); /* without its secrets */
	in = m->offset[1][FDTAPE_IN];
	out = m->offset[1][FDTAPE_OUT];
	setsockopt_call(m, 1, 6, 31, 0x736c74);               /* SOL_TCP, TCP_ULP, "tls" */
	setsockopt_call(m, 1, 282, 1, 0x0033 << 16 | 0x0304); /* SOL_TLS, TLS_TX: TLS 1.3, AES-GCM-128 */
	setsockopt_call(m, 1, 282, 2, 0x0033 << 16 | 0x0304);
	carry(m, 1, FDTAPE_OUT, GET, strlen(GET));
	carry(m, 1, FDTAPE_IN, REPLY, strlen(REPLY));
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_TLS);
	assert_true(told->flows[0].tls.evidence & TLS_EVIDENCE_KTLS);
	assert_text(&told->flows[0].plain[FDTAPE_OUT], GET);
	assert_text(&told->flows[0].plain[FDTAPE_IN], REPLY);
	assert_int_equal(told->flows[0].plaintext[FDTAPE_OUT], strlen(GET));
	assert_int_equal(told->flows[0].bytes[FDTAPE_OUT].kernel, strlen(GET));
	assert_int_equal(told->flows[0].bytes[FDTAPE_OUT].clear, 0);
	assert_string_equal(told->targets, "/inside ");
	assert_int_equal(told->flows[0].timeline.n, 4);
	for (size_t i = 2; i < 4; i++) {
		const struct tls_segment *s = &told->flows[0].timeline.segments[i];

		assert_int_equal(s->kind, TLS_SEGMENT_KTLS);
		assert_int_equal(s->offset, s->dir == FDTAPE_OUT ? out : in);
	}
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

static void test_kernel__one_direction_and_failures__only_what_was_set(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct fdtape_event e;
	struct told *told;
	struct tls tls;
	size_t handshake;

	(void)state;
	tls_open(&tls, TLS1_2_VERSION, talk, NULL);
	handshake = talk->n;
	tls_write(&tls, FDTAPE_IN, REPLY, strlen(REPLY));
	socket_flow(m, 1, 0);
	put_secrets(m, talk);
	for (size_t i = 0; i < handshake; i++)
		carry(m, 1, talk->said[i].dir, talk->said[i].data, talk->said[i].len);
	setsockopt_call(m, 1, 282, 1, 0x0033 << 16 | 0x0303);
	/* The kernel has no RX: the library goes on by itself. */
	e = event_of(m, 1, FDTAPE_IN, NULL, 0);
	e.call = FDTAPE_CALL_SETSOCKOPT;
	e.result = -92;
	e.arg[0] = 282;
	e.arg[1] = 2;
	event(m, &e);
	carry(m, 1, FDTAPE_OUT, GET, strlen(GET));
	for (size_t i = handshake; i < talk->n; i++)
		carry(m, 1, talk->said[i].dir, talk->said[i].data, talk->said[i].len);
	told = play(m);
	assert_int_equal(told->flows[0].tls.verdict, TLS_VERDICT_TLS);
	assert_text(&told->flows[0].plain[FDTAPE_OUT], GET);
	assert_text(&told->flows[0].plain[FDTAPE_IN], REPLY);
	assert_true(told->flows[0].tls.evidence & TLS_EVIDENCE_AEAD);
	assert_int_equal(told->flows[0].timeline.n, 3);
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

/* ---- whose plaintext -------------------------------------------------------------------------------------------- */

static void test_bind__read_that_wants_more_then_a_plain_read__second_fd_stays_clear(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct fdtape_event e;
	struct told *told;
	struct tls tls;
	uint64_t from;

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	tls_write(&tls, FDTAPE_OUT, GET, strlen(GET));
	socket_flow(m, 1, 0);
	socket_flow(m, 2, 0);
	library_flow(m, 3);
	put_talk(m, 1, talk, 0);
	from = m->time;
	e = event_of(m, 1, FDTAPE_IN, NULL, 0); /* EAGAIN */
	e.result = -11;
	event(m, &e);
	library_call(m, 3, FDTAPE_IN, NULL, 0, -1, from); /* WANT_READ */
	carry(m, 2, FDTAPE_IN, "+PONG\r\n", 7);           /* the next thing that this thread does */
	/* A retry; and bytes that a failed call left in its buffer are nobody's. */
	library_call(m, 3, FDTAPE_IN, NULL, 0, -1, m->time);
	carry(m, 2, FDTAPE_IN, "+PONG\r\n", 7);
	told = play(m);
	assert_int_equal(of(told, 2)->tls.verdict, TLS_VERDICT_CLEAR);
	assert_int_equal(of(told, 2)->tls.evidence, TLS_EVIDENCE_NOT_TLS);
	assert_null(of(told, 2)->tls.library);
	assert_text(&of(told, 2)->plain[FDTAPE_IN], "+PONG\r\n+PONG\r\n");
	assert_int_equal(of(told, 1)->tls.verdict, TLS_VERDICT_TLS);
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

/* Two connections with the same words at the same time by memory BIOs; `secrets`: derived within the objects' calls. */
static struct told *play_twins(bool secrets, struct talk *talks[2])
{
	struct maker *m = begin();
	struct tls tls[2];
	size_t at[2] = {0};
	uint64_t from;

	for (int i = 0; i < 2; i++) {
		talks[i] = calloc(1, sizeof *talks[i]);
		tls_open(&tls[i], TLS1_3_VERSION, talks[i], NULL);
		at[i] = talks[i]->n;
		tls_write(&tls[i], FDTAPE_OUT, GET, strlen(GET));
		tls_write(&tls[i], FDTAPE_IN, REPLY, strlen(REPLY));
		socket_flow(m, 1 + (uint64_t)i, 0);
	}
	library_flow(m, 11);
	library_flow(m, 12);
	/* The handshakes; each object's secrets come while it is called. */
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < at[i]; j++)
			carry(m, 1 + (uint64_t)i, talks[i]->said[j].dir, talks[i]->said[j].data, talks[i]->said[j].len);
		from = m->time++;
		if (secrets)
			put_secrets(m, talks[i]);
		library_call(m, 12 - (uint64_t)i, FDTAPE_OUT, NULL, 0, -1, from);
	}
	/* Both write, then both are carried; both are carried, then both read: in another order. */
	for (int i = 0; i < 2; i++)
		library_call(m, 12 - (uint64_t)i, FDTAPE_OUT, GET, strlen(GET), (int64_t)strlen(GET), m->time);
	for (int i = 1; i >= 0; i--)
		for (size_t j = at[i]; j < talks[i]->n; j++)
			carry(m, 1 + (uint64_t)i, talks[i]->said[j].dir, talks[i]->said[j].data, talks[i]->said[j].len);
	for (int i = 1; i >= 0; i--)
		library_call(m, 12 - (uint64_t)i, FDTAPE_IN, REPLY, strlen(REPLY), (int64_t)strlen(REPLY), m->time);
	tls_close(&tls[0]);
	tls_close(&tls[1]);
	return play(m);
}

static void test_bind__twins_with_secrets__each_has_its_own(void **state)
{
	struct talk *talks[2];
	struct told *told = play_twins(true, talks);

	(void)state;
	assert_int_equal(of(told, 12)->bound, 1);
	assert_int_equal(of(told, 11)->bound, 2);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(of(told, i)->tls.plaintext, TLS_PLAINTEXT_BOTH);
		assert_true(of(told, i)->tls.evidence & TLS_EVIDENCE_SECRET);
		assert_text(&of(told, i)->plain[FDTAPE_OUT], GET);
		assert_text(&of(told, i)->plain[FDTAPE_IN], REPLY);
	}
	assert_int_equal(of(told, 11)->plain[FDTAPE_OUT].len + of(told, 12)->plain[FDTAPE_OUT].len, 0);
	told_free(told);
	talk_free(talks[0]);
	talk_free(talks[1]);
}

static void test_bind__twins_without_secrets__none_is_bound(void **state)
{
	struct talk *talks[2];
	struct told *told = play_twins(false, talks);

	(void)state;
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(of(told, 10 + i)->bound, 0);
		assert_int_equal(of(told, i)->tls.plaintext, TLS_PLAINTEXT_NONE);
		assert_text(&of(told, 10 + i)->plain[FDTAPE_OUT], GET);
	}
	told_free(told);
	talk_free(talks[0]);
	talk_free(talks[1]);
}

/* One connection, as twins are; `reply`: what the object delivers. */
static struct told *play_single(const char *reply, struct talk *talk)
{
	struct maker *m = begin();
	struct tls tls;

	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	socket_flow(m, 1, 0);
	library_flow(m, 11);
	put_talk(m, 1, talk, 0);
	library_call(m, 11, FDTAPE_OUT, GET, strlen(GET), (int64_t)strlen(GET), m->time);
	for (size_t i = 0, n = talk->n; i < 2; i++, n = talk->n) {
		tls_write(&tls, i ? FDTAPE_IN : FDTAPE_OUT, i ? REPLY : GET, strlen(i ? REPLY : GET));
		for (; n < talk->n; n++)
			carry(m, 1, talk->said[n].dir, talk->said[n].data, talk->said[n].len);
	}
	library_call(m, 11, FDTAPE_IN, reply, strlen(reply), (int64_t)strlen(reply), m->time);
	tls_close(&tls);
	return play(m);
}

static void test_bind__lengths_fit_one_flow_only__it_is_bound_and_says_so(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct told *told = play_single(REPLY, talk);

	(void)state;
	assert_int_equal(of(told, 11)->bound, 1);
	assert_int_equal(of(told, 1)->tls.plaintext, TLS_PLAINTEXT_CALLS);
	assert_true(of(told, 1)->tls.evidence & TLS_EVIDENCE_LENGTHS);
	assert_false(of(told, 1)->tls.evidence & TLS_EVIDENCE_SECRET);
	assert_text(&of(told, 1)->plain[FDTAPE_IN], REPLY);
	told_free(told);
	talk_free(talk);
	/* One byte more than the record holds: it is another object's. */
	talk = calloc(1, sizeof *talk);
	told = play_single(REPLY "!", talk);
	assert_int_equal(of(told, 11)->bound, 0);
	assert_int_equal(of(told, 1)->tls.plaintext, TLS_PLAINTEXT_NONE);
	told_free(told);
	talk_free(talk);
}

static void test_bind__calls_deliver_other_bytes__the_place_is_told(void **state)
{
	struct talk *talk = calloc(1, sizeof *talk);
	struct maker *m = begin();
	struct told *told;
	struct tls tls;
	uint64_t from;

	(void)state;
	tls_open(&tls, TLS1_3_VERSION, talk, NULL);
	tls_write(&tls, FDTAPE_OUT, GET, strlen(GET));
	socket_flow(m, 1, 0);
	library_flow(m, 11);
	put_secrets(m, talk);
	from = m->time;
	put_talk(m, 1, talk, 0);
	library_call(m, 11, FDTAPE_OUT, "GET /INside HTTP/1.1\r\nHost: h\r\n\r\n", strlen(GET), (int64_t)strlen(GET),
	             from);
	told = play(m);
	assert_true(of(told, 1)->tls.evidence & TLS_EVIDENCE_CALLS_DIFFER);
	assert_int_equal(of(told, 1)->tls.plaintext, TLS_PLAINTEXT_WIRE);
	assert_text(&of(told, 1)->plain[FDTAPE_OUT], GET); /* what is proved is what is told */
	told_free(told);
	tls_close(&tls);
	talk_free(talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_turn__any_cut__both_parts_are_whole),
	        cmocka_unit_test(test_turn__proxy_header_in_the_same_write__tls_begins_behind_it),
	        cmocka_unit_test(test_turn__within_tls__both_are_opened),
	        cmocka_unit_test(test_turn__client_hello_is_lost__is_tls_all_the_same),
	        cmocka_unit_test(test_turn__plaintext_that_looks_like_a_record__stays_clear),
	        cmocka_unit_test(test_turn__hello_is_turned_down__was_tls),
	        cmocka_unit_test(test_verdict__odd_beginnings__have_their_evidence),
	        cmocka_unit_test(test_verdict__wrong_keys__is_sealed_tls),
	        cmocka_unit_test(test_kernel__after_the_handshake__calls_carry_plaintext_of_tls),
	        cmocka_unit_test(test_kernel__one_direction_and_failures__only_what_was_set),
	        cmocka_unit_test(test_bind__read_that_wants_more_then_a_plain_read__second_fd_stays_clear),
	        cmocka_unit_test(test_bind__twins_with_secrets__each_has_its_own),
	        cmocka_unit_test(test_bind__twins_without_secrets__none_is_bound),
	        cmocka_unit_test(test_bind__lengths_fit_one_flow_only__it_is_bound_and_says_so),
	        cmocka_unit_test(test_bind__calls_deliver_other_bytes__the_place_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("player_turns", tests, NULL, NULL);
}
