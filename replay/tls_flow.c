/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Each direction of the flow is a *side*: a framer cuts its bytes into records (tls_framer.c), an opener decrypts them
 * (tls_crypt.c). What ties the two sides together is the handshake: who is the client, the version, the suite, the
 * randoms, and for TLS 1.3 the transcript.
 *
 * Which secret opens a record? For TLS 1.2 the master secret with the ClientHello's random. For TLS 1.3 the secrets on
 * the tape carry the Transcript-Hash that they were derived with, and the same hash is computed here from the wire: of
 * ClientHello .. ServerHello for the handshake secrets, of ClientHello .. server's Finished for the others. Where the
 * hash can't be known because a part of the handshake is missing, the process' latest secrets are tried. Whatever was
 * taken, the tag of the first record decides; a wrong key decrypts nothing.
 *
 * A record whose secret is not there yet waits in its side's queue, and so do those behind it. The queue is looked at
 * again when the other side or the store has news. It is bounded: when too much waits, or the flow ends, or a library
 * call has delivered the plaintext already, the secret is not on the tape.
 *
 * After a hole, a wrong tag or a missing secret a side is *stopped*: its records are counted, nothing more.
 */
#include "replay/tls_flow.h"

#include <openssl/evp.h>

#include "replay/tls_crypt.h"
#include "replay/tls_framer.h"
#include "replay/tls_hello.h"

enum {
	QUEUE_BYTES = 256 << 10,   /* encrypted records that wait for a secret, a side */
	MESSAGE_BYTES = 256 << 10, /* the longest handshake message that is looked at */
	TRY_SECRETS = 64,          /* of a process, when the hash is not known */
	TRY_ROUNDS = 16,           /* how often they are all tried for one side */
};

enum content {
	CHANGE_CIPHER_SPEC = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	APPLICATION_DATA = 23,
};

enum epoch { /* of a TLS 1.3 side */
	EARLY,
	NEGOTIATION,
	APPLICATION,
	EPOCHS,
};

/* What became of a record. */
enum outcome {
	FAILED = -1, /* no memory */
	DONE,
	WAIT, /* for a secret, or for the other side */
	STOP, /* this side can't go on */
};

struct queued {
	struct queued *next;
	struct stamp stamp;
	size_t len;
	uint8_t record[];
};

struct side {
	struct tls_flow *flow;
	enum fdtape_dir dir;
	struct tls_framer framer;
	bool stopped;
	bool protected; /* records are encrypted now */
	enum epoch epoch;
	struct tls_opener *opener;
	uint8_t secret[TLS_HASH_MAX]; /* TLS 1.3: of the opener */
	struct buffer handshake;      /* the beginning of a message that goes on in the next record */
	struct queued *queue, **queue_end;
	size_t queue_bytes;
	unsigned rounds;
	uint64_t skipped; /* encrypted records passed over */
};

struct transcript {
	bool known;
	uint8_t len;
	uint8_t hash[TLS_HASH_MAX];
};

struct tls_flow {
	struct tls_store *store;
	struct tls_info *info;
	struct tls_flow_sink sink;
	uint32_t pid;
	bool preopened;
	bool failed;
	struct side side[2];

	/* The handshake. */
	bool have_client; /* it is known which side is the client's */
	enum fdtape_dir client;
	bool have_client_random, have_server_hello, retried, early_data;
	uint8_t client_random[32], server_random[32];
	uint16_t version;
	const struct tls_suite *suite;
	struct buffer client_hello[2], retry, server_hello; /* whole messages, until the transcript is begun */
	EVP_MD_CTX *running;                                /* from ServerHello to the server's Finished */
	struct transcript transcript[EPOCHS];               /* that the epoch's secrets were derived with */
	struct tls_waiter waiter[EPOCHS + 1];               /* by transcript; by client_random */
};

static struct side *other(struct side *s)
{
	return &s->flow->side[!s->dir];
}

static bool is_client(const struct side *s)
{
	return s->flow->have_client && s->flow->client == s->dir;
}

static void note(struct tls_flow *t, uint32_t evidence)
{
	t->info->evidence |= evidence;
}

/* ---- the queue -------------------------------------------------------------------------------------------------- */

static void drop_queue(struct side *s)
{
	struct queued *q;

	while ((q = s->queue)) {
		s->queue = q->next;
		s->skipped++;
		free(q);
	}
	s->queue_end = &s->queue;
	s->queue_bytes = 0;
}

/* This side's plaintext ends here, as far as the wire tells. */
static int stop(struct side *s, uint32_t why, const struct stamp *stamp)
{
	note(s->flow, why);
	if (s->stopped)
		return 0;
	s->stopped = true;
	drop_queue(s);
	buffer_release(&s->handshake);
	tls_opener_free(s->opener);
	s->opener = NULL;
	return s->flow->sink.plain(s->flow->sink.context, s->dir, NULL, 0, stamp);
}

static int enqueue(struct side *s, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	struct queued *q;

	if (s->queue_bytes + len > QUEUE_BYTES)
		return stop(s, TLS_EVIDENCE_NO_KEYS, stamp);
	q = malloc(sizeof *q + len);
	if (!q)
		return -1;
	*q = (struct queued){.stamp = *stamp, .len = len};
	memcpy(q->record, record, len);
	*s->queue_end = q;
	s->queue_end = &q->next;
	s->queue_bytes += len;
	return 0;
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

static const char *label_of(const struct side *s, enum epoch epoch)
{
	static const char *const client[EPOCHS] = {"CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
	                                           "CLIENT_TRAFFIC_SECRET_0"},
	                         *const server[EPOCHS] = {NULL, "SERVER_HANDSHAKE_TRAFFIC_SECRET",
	                                                  "SERVER_TRAFFIC_SECRET_0"};

	return (is_client(s) ? client : server)[epoch];
}

static struct tls_secret *find_secret(const struct tls_flow *t, enum epoch epoch, const char *label)
{
	const struct transcript *transcript = &t->transcript[epoch];
	struct tls_secret *secret = NULL;

	if (transcript->known)
		secret =
		        tls_store_find(t->store, FDTAPE_SECRET_ID_TRANSCRIPT, transcript->hash, transcript->len, label);
	if (!secret && t->have_client_random)
		secret = tls_store_find(t->store, FDTAPE_SECRET_ID_CLIENT_RANDOM, t->client_random, 32, label);
	return secret;
}

/* Notes that the secret is of this connection. */
static void bind(struct tls_flow *t, struct tls_secret *secret, const char *label)
{
	struct tls_info *info = t->info;
	struct tls_key key = {.label = label, .secret_len = secret->value_len};

	if (!t->have_client_random)
		return; /* a key line can't be without it */
	memcpy(key.client_random, t->client_random, sizeof key.client_random);
	memcpy(key.secret, secret->value, secret->value_len);
	for (size_t i = 0; i < info->n_keys; i++)
		if (strcmp(info->keys[i].label, label) == 0 &&
		    memcmp(info->keys[i].client_random, key.client_random, sizeof key.client_random) == 0)
			return;
	if (info->n_keys < TLS_KEYS_MAX)
		info->keys[info->n_keys++] = key;
	if (!secret->told && t->sink.key)
		secret->told = t->sink.key(t->sink.context, &key);
}

/* Everything that the store holds for this connection, whether it is needed to decrypt or not. */
static void bind_all(struct tls_flow *t)
{
	static const struct {
		const char *label;
		enum epoch epoch;
	} all[] = {
	        {"CLIENT_RANDOM", APPLICATION},
	        {"CLIENT_EARLY_TRAFFIC_SECRET", EARLY},
	        {"EARLY_EXPORTER_SECRET", EARLY},
	        {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", NEGOTIATION},
	        {"SERVER_HANDSHAKE_TRAFFIC_SECRET", NEGOTIATION},
	        {"CLIENT_TRAFFIC_SECRET_0", APPLICATION},
	        {"SERVER_TRAFFIC_SECRET_0", APPLICATION},
	        {"EXPORTER_SECRET", APPLICATION},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct tls_secret *secret = find_secret(t, all[i].epoch, all[i].label);

		if (secret)
			bind(t, secret, all[i].label);
	}
}

/* ---- the transcript of TLS 1.3 ---------------------------------------------------------------------------------- */

static int update(EVP_MD_CTX *context, const struct buffer *message)
{
	return EVP_DigestUpdate(context, message->data, message->len) > 0 ? 0 : -1;
}

/* What the messages so far hash to is what the epoch's secrets were derived with. */
static int mark(struct tls_flow *t, enum epoch epoch)
{
	struct transcript *transcript = &t->transcript[epoch];
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int result = -1;

	if (copy && EVP_MD_CTX_copy_ex(copy, t->running) > 0 && EVP_DigestFinal_ex(copy, transcript->hash, NULL) > 0) {
		transcript->len = t->suite->hash_len;
		transcript->known = true;
		result = tls_store_wait(t->store, &t->waiter[epoch], FDTAPE_SECRET_ID_TRANSCRIPT, transcript->hash,
		                        transcript->len);
	}
	EVP_MD_CTX_free(copy);
	return result;
}

/* RFC 8446, 4.4.1. Does nothing as long as one of the hellos is missing. */
static int begin_transcript(struct tls_flow *t)
{
	const EVP_MD *digest;
	uint8_t first[4 + TLS_HASH_MAX];
	int result = -1;

	if (t->running || !t->suite || !t->suite->v13 || !t->have_server_hello || !t->client_hello[0].len ||
	    (t->retried && !t->client_hello[1].len))
		return 0;
	digest = t->suite->hash_len == 48 ? EVP_sha384() : EVP_sha256();
	t->running = EVP_MD_CTX_new();
	if (!t->running || EVP_DigestInit_ex(t->running, digest, NULL) <= 0)
		goto done;
	if (t->retried) {
		/* The first ClientHello is represented by its hash. */
		memcpy(first, (uint8_t[]){TLS_MESSAGE_HASH, 0, 0, t->suite->hash_len}, 4);
		if (EVP_Digest(t->client_hello[0].data, t->client_hello[0].len, first + 4, NULL, digest, NULL) <= 0 ||
		    EVP_DigestUpdate(t->running, first, 4u + t->suite->hash_len) <= 0 ||
		    update(t->running, &t->retry) < 0 || update(t->running, &t->client_hello[1]) < 0)
			goto done;
	} else if (update(t->running, &t->client_hello[0]) < 0 || (t->early_data && mark(t, EARLY) < 0)) {
		goto done;
	}
	if (update(t->running, &t->server_hello) < 0)
		goto done;
	result = mark(t, NEGOTIATION);
done:
	buffer_release(&t->client_hello[0]);
	buffer_release(&t->client_hello[1]);
	buffer_release(&t->retry);
	buffer_release(&t->server_hello);
	if (result == 0)
		bind_all(t);
	return result;
}

/* ---- handshake messages ----------------------------------------------------------------------------------------- */

static int keep_message(struct buffer *to, const uint8_t *message, size_t len)
{
	to->len = 0;
	return buffer_add(to, message, len);
}

static int client_hello(struct side *s, const uint8_t *message, size_t len)
{
	struct tls_flow *t = s->flow;
	struct tls_hello hello;
	bool second = t->retried && t->client_hello[0].len > 0;

	if ((t->version == 0x0304 && t->have_server_hello) || tls_parse_client_hello(message + 4, len - 4, &hello) < 0)
		return 0;
	note(t, TLS_EVIDENCE_CLIENT_HELLO);
	t->have_client = true;
	t->client = s->dir;
	if (second)
		return keep_message(&t->client_hello[1], message, len);
	/* The first, or a renegotiation of TLS 1.2. */
	t->have_server_hello = false;
	t->early_data = hello.early_data;
	memcpy(t->client_random, hello.random, sizeof t->client_random);
	t->have_client_random = true;
	if (!t->info->have_client_random) {
		t->info->have_client_random = true;
		memcpy(t->info->client_random, hello.random, sizeof hello.random);
		memcpy(t->info->sni, hello.sni, sizeof hello.sni);
	}
	if (keep_message(&t->client_hello[0], message, len) < 0)
		return -1;
	return tls_store_wait(t->store, &t->waiter[EPOCHS], FDTAPE_SECRET_ID_CLIENT_RANDOM, hello.random, 32);
}

static int server_hello(struct side *s, const uint8_t *message, size_t len)
{
	struct tls_flow *t = s->flow;
	struct tls_hello hello;

	if ((t->version == 0x0304 && t->have_server_hello) || tls_parse_server_hello(message + 4, len - 4, &hello) < 0)
		return 0;
	note(t, TLS_EVIDENCE_SERVER_HELLO);
	if (!t->have_client) {
		t->have_client = true;
		t->client = !s->dir;
	}
	t->version = t->info->version = hello.version;
	if (hello.retry) {
		t->retried = true;
		return keep_message(&t->retry, message, len);
	}
	t->have_server_hello = true;
	t->suite = tls_suite_find(hello.cipher);
	t->info->cipher = hello.cipher;
	if (hello.alpn[0])
		memcpy(t->info->alpn, hello.alpn, sizeof hello.alpn);
	memcpy(t->server_random, hello.random, sizeof t->server_random);
	if (t->version != 0x0304)
		return 0;
	for (int dir = 0; dir < 2; dir++) {
		t->side[dir].protected = true;
		t->side[dir].epoch = is_client(&t->side[dir]) && t->early_data && !t->retried ? EARLY : NEGOTIATION;
	}
	return keep_message(&t->server_hello, message, len);
}

/* The side's next records are opened with another secret. */
static void new_epoch(struct side *s, enum epoch epoch)
{
	tls_opener_free(s->opener);
	s->opener = NULL;
	s->epoch = epoch;
}

static int finished(struct side *s)
{
	struct tls_flow *t = s->flow;

	if (t->version != 0x0304 || s->epoch != NEGOTIATION)
		return 0;
	if (!is_client(s) && t->running) {
		if (mark(t, APPLICATION) < 0)
			return -1;
		bind_all(t);
	}
	new_epoch(s, APPLICATION);
	return 0;
}

static int key_update(struct side *s)
{
	const struct tls_suite *suite = s->flow->suite;

	if (s->flow->version != 0x0304 || s->epoch != APPLICATION || !s->opener)
		return 0;
	new_epoch(s, APPLICATION);
	if (tls_update_secret(suite, s->secret, suite->hash_len) < 0)
		return -1;
	s->opener = tls_opener_new_13(suite, s->secret, suite->hash_len);
	return s->opener ? 0 : -1;
}

static int handle_message(struct side *s, const uint8_t *message, size_t len)
{
	struct tls_flow *t = s->flow;
	struct tls_hello hello;

	if (s->protected && t->version == 0x0304 && s->epoch == NEGOTIATION && !is_client(s) && t->running &&
	    EVP_DigestUpdate(t->running, message, len) <= 0)
		return -1;
	switch (message[0]) {
	case TLS_CLIENT_HELLO:
		return client_hello(s, message, len) < 0 ? -1 : begin_transcript(t);
	case TLS_SERVER_HELLO:
		return server_hello(s, message, len) < 0 ? -1 : begin_transcript(t);
	case TLS_ENCRYPTED_EXTENSIONS:
		if (t->version == 0x0304 && !is_client(s) &&
		    tls_parse_encrypted_extensions(message + 4, len - 4, &hello) == 0 && hello.alpn[0])
			memcpy(t->info->alpn, hello.alpn, sizeof hello.alpn);
		return 0;
	case TLS_FINISHED:
		return finished(s);
	case TLS_END_OF_EARLY_DATA:
		if (t->version == 0x0304 && s->epoch == EARLY)
			new_epoch(s, NEGOTIATION);
		return 0;
	case TLS_KEY_UPDATE:
		return key_update(s);
	default:
		return 0;
	}
}

/* Takes the messages out of the handshake records' bodies, across records. */
static int handle_handshake(struct side *s, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	struct buffer *b = &s->handshake;
	size_t used = 0, message;

	if (buffer_add(b, data, len) < 0)
		return -1;
	while (!s->stopped && b->len - used >= 4) {
		message = 4 + ((size_t)b->data[used + 1] << 16 | (size_t)b->data[used + 2] << 8 | b->data[used + 3]);
		if (message > MESSAGE_BYTES)
			return stop(s, TLS_EVIDENCE_GARBAGE, stamp);
		if (message > b->len - used)
			break;
		if (handle_message(s, b->data + used, message) < 0)
			return -1;
		used += message;
	}
	if (used < b->len)
		buffer_drop(b, used);
	else
		buffer_release(b);
	return 0;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

static enum outcome give_in(struct side *s, uint32_t why, const struct stamp *stamp)
{
	s->skipped++; /* the record at hand */
	return stop(s, why, stamp) < 0 ? FAILED : DONE;
}

/* The record was authenticated. */
static enum outcome opened(struct side *s, uint8_t type, const uint8_t *plain, size_t len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;

	note(t, TLS_EVIDENCE_AEAD);
	t->info->decrypted[s->dir]++;
	switch (type) {
	case APPLICATION_DATA:
		if (len > 0 && t->sink.plain(t->sink.context, s->dir, plain, len, stamp) < 0)
			return FAILED;
		break;
	case HANDSHAKE:
		if (handle_handshake(s, plain, len, stamp) < 0)
			return FAILED;
		break;
	case CHANGE_CIPHER_SPEC:
		if (t->version != 0x0304) /* a renegotiation: the next record has new keys */
			new_epoch(s, s->epoch);
		break;
	default:
		break;
	}
	return DONE;
}

static enum outcome open_12(struct side *s, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;
	struct tls_secret *secret;
	uint8_t plain[TLS_RECORD_HEADER + TLS_RECORD_MAX], type;
	int n;

	if (!s->opener) {
		if (!t->suite || t->suite->v13 || t->suite->kind == TLS_AEAD_NONE)
			return give_in(s, TLS_EVIDENCE_NO_KEYS, stamp);
		secret = find_secret(t, APPLICATION, "CLIENT_RANDOM");
		if (!secret)
			return WAIT;
		bind(t, secret, "CLIENT_RANDOM");
		s->opener = tls_opener_new_12(t->suite, secret->value, secret->value_len, t->client_random,
		                              t->server_random, is_client(s));
		if (!s->opener)
			return give_in(s, TLS_EVIDENCE_NO_KEYS, stamp);
	}
	n = tls_open(s->opener, record, len, plain, &type);
	return n < 0 ? give_in(s, TLS_EVIDENCE_BAD_TAG, stamp) : opened(s, type, plain, (size_t)n, stamp);
}

/* Opens the record with a secret that may be its; if so, the side stays with it. -1: it is not. */
static int try_secret(struct side *s, const struct tls_secret *secret, const uint8_t *record, size_t len,
                      uint8_t *plain, uint8_t *type)
{
	struct tls_opener *opener = tls_opener_new_13(s->flow->suite, secret->value, secret->value_len);
	int n = opener ? tls_open(opener, record, len, plain, type) : -1;

	if (n < 0) {
		tls_opener_free(opener);
		return -1;
	}
	s->opener = opener;
	memcpy(s->secret, secret->value, secret->value_len);
	return n;
}

/* The handshake's hash will never be known: the process' latest secrets, one after the other. */
static int try_recent(struct side *s, enum epoch epoch, const char *label, const uint8_t *record, size_t len,
                      uint8_t *plain, uint8_t *type)
{
	struct tls_flow *t = s->flow;
	struct tls_secret *secret;
	int n = -1;

	if (t->transcript[epoch].known || (t->running && !other(s)->stopped))
		return -1;
	for (size_t i = 0; n < 0 && i < TRY_SECRETS; i++) {
		secret = tls_store_recent(t->store, t->pid, label, i);
		if (!secret)
			break;
		n = try_secret(s, secret, record, len, plain, type);
		if (n >= 0)
			bind(t, secret, label);
	}
	return n;
}

static enum outcome open_13(struct side *s, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;
	uint8_t plain[TLS_RECORD_HEADER + TLS_RECORD_MAX], type;
	bool knew = false;
	int n = -1;

	if (!t->suite || !t->suite->v13 || t->suite->kind == TLS_AEAD_NONE)
		return give_in(s, TLS_EVIDENCE_NO_KEYS, stamp);
	if (s->opener) {
		n = tls_open(s->opener, record, len, plain, &type);
		if (n < 0 && s->epoch != EARLY)
			return give_in(s, TLS_EVIDENCE_BAD_TAG, stamp);
		if (n >= 0)
			return opened(s, type, plain, (size_t)n, stamp);
		new_epoch(s, NEGOTIATION);
	}
	bool try_all = s->rounds < TRY_ROUNDS;

	for (enum epoch e = s->epoch; e < EPOCHS && n < 0; e++) {
		const char *label = label_of(s, e);
		struct tls_secret *secret = label ? find_secret(t, e, label) : NULL;

		if (secret) {
			knew |= e == s->epoch || (e == NEGOTIATION && t->early_data);
			n = try_secret(s, secret, record, len, plain, &type);
		} else if (label && try_all) {
			n = try_recent(s, e, label, record, len, plain, &type);
		}
		if (n >= 0)
			s->epoch = e;
	}
	s->rounds++;
	if (n >= 0)
		return opened(s, type, plain, (size_t)n, stamp);
	if (!knew)
		return WAIT;
	if (is_client(s) && t->early_data && s->epoch < APPLICATION) {
		/* Early data that the server turned down, or whose secret is not on the tape. */
		s->skipped++;
		return DONE;
	}
	return give_in(s, TLS_EVIDENCE_BAD_TAG, stamp);
}

/* A record before protection began. */
static enum outcome handle_open(struct side *s, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;
	const uint8_t *body = record + TLS_RECORD_HEADER;

	len -= TLS_RECORD_HEADER;
	switch (record[0]) {
	case HANDSHAKE:
		/* Seen from the middle, it may be encrypted. */
		if (t->preopened && !t->have_client && body[0] != TLS_CLIENT_HELLO && body[0] != TLS_SERVER_HELLO)
			return give_in(s, TLS_EVIDENCE_NO_KEYS, stamp);
		return handle_handshake(s, body, len, stamp) < 0 ? FAILED : DONE;
	case CHANGE_CIPHER_SPEC:
		if (t->version == 0)
			return WAIT;
		s->protected |= t->version != 0x0304;
		return DONE;
	case APPLICATION_DATA:
		if (t->retried && is_client(s)) {
			/* Early data that the HelloRetryRequest turned down. */
			s->skipped++;
			return DONE;
		}
		/* Without a hello there is nothing to wait for. */
		return t->have_client ? WAIT : give_in(s, TLS_EVIDENCE_NO_KEYS, stamp);
	default:
		return DONE;
	}
}

static enum outcome handle_record(struct side *s, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	if (!s->protected)
		return handle_open(s, record, len, stamp);
	if (s->flow->version != 0x0304)
		return open_12(s, record, len, stamp);
	if (record[0] == APPLICATION_DATA)
		return open_13(s, record, len, stamp);
	/* For the sake of middleboxes, or an alert from somebody who has no keys yet. */
	return DONE;
}

/* The same, and counts its bytes. */
static enum outcome handle(struct side *s, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	struct tls_info *info = s->flow->info;
	uint64_t decrypted = info->decrypted[s->dir];
	bool open = record[0] != APPLICATION_DATA && (!s->protected || s->flow->version == 0x0304);
	enum outcome outcome = handle_record(s, record, len, stamp);

	if (info->decrypted[s->dir] != decrypted)
		info->decrypted_bytes[s->dir] += len;
	else if (open && outcome == DONE)
		info->open_bytes[s->dir] += len;
	return outcome;
}

/* Goes on with what waits, as far as that is possible now. */
static int drain(struct tls_flow *t)
{
	bool progress;

	do {
		progress = false;
		for (int dir = 0; dir < 2; dir++) {
			struct side *s = &t->side[dir];
			enum outcome outcome = DONE;
			struct queued *q;

			while (outcome == DONE && (q = s->queue)) {
				s->queue = q->next;
				if (!s->queue)
					s->queue_end = &s->queue;
				s->queue_bytes -= q->len;
				outcome = handle(s, q->record, q->len, &q->stamp);
				if (outcome == WAIT) {
					q->next = s->queue;
					if (!s->queue)
						s->queue_end = &q->next;
					s->queue = q;
					s->queue_bytes += q->len;
					break;
				}
				free(q);
				progress = true;
			}
			if (outcome == FAILED)
				return -1;
		}
	} while (progress);
	return 0;
}

/* ---- the framers' sink ------------------------------------------------------------------------------------------ */

static int on_record(void *context, const uint8_t *record, size_t len, const struct stamp *stamp)
{
	struct side *s = context;
	struct tls_flow *t = s->flow;
	enum outcome outcome;

	note(t, TLS_EVIDENCE_RECORDS);
	t->info->records[s->dir]++;
	if (s->stopped) {
		s->skipped++;
		return 0;
	}
	if (s->queue) {
		if (enqueue(s, record, len, stamp) < 0)
			return -1;
		return s->rounds < TRY_ROUNDS ? drain(t) : 0;
	}
	outcome = handle(s, record, len, stamp);
	if (outcome == WAIT)
		return enqueue(s, record, len, stamp);
	if (outcome == FAILED)
		return -1;
	return other(s)->queue ? drain(t) : 0;
}

/* What follows for the flow as a whole. */
static void sum_up(struct tls_flow *t)
{
	const uint32_t needed = TLS_EVIDENCE_CLIENT_HELLO | TLS_EVIDENCE_SERVER_HELLO,
	               fatal = TLS_EVIDENCE_HOLE | TLS_EVIDENCE_BAD_TAG | TLS_EVIDENCE_NO_KEYS | TLS_EVIDENCE_GARBAGE;
	bool tls = false, clear = false, whole = true;

	for (int dir = 0; dir < 2; dir++) {
		const struct side *s = &t->side[dir];

		tls |= s->framer.state == TLS_FRAMER_TLS || s->framer.state == TLS_FRAMER_STOPPED;
		clear |= s->framer.state == TLS_FRAMER_CLEAR;
		whole &= !s->stopped && !s->queue && s->skipped == 0;
	}
	tls |= (t->info->evidence & TLS_EVIDENCE_CALLS) != 0;
	t->info->verdict = tls && clear ? TLS_VERDICT_MIXED
	                   : tls        ? TLS_VERDICT_TLS
	                   : clear      ? TLS_VERDICT_CLEAR
	                                : TLS_VERDICT_UNKNOWN;
	t->info->whole = whole && !clear && (t->info->evidence & needed) == needed && !(t->info->evidence & fatal);
}

static int on_clear(void *context, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct side *s = context;
	struct tls_flow *t = s->flow;

	if (s->framer.state == TLS_FRAMER_BLIND) {
		enum tls_framer_state state = other(s)->framer.state;

		/* What the other side speaks, this one does. */
		if (s->stopped || state == TLS_FRAMER_TLS || state == TLS_FRAMER_STOPPED)
			return stop(s, TLS_EVIDENCE_HOLE, stamp);
	} else {
		note(t, TLS_EVIDENCE_NOT_TLS);
		sum_up(t);
	}
	return t->sink.plain(t->sink.context, s->dir, data, len, stamp);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* A secret came. */
static void wake(void *context)
{
	struct tls_flow *t = context;

	bind_all(t);
	if (drain(t) < 0)
		t->failed = true;
	sum_up(t);
}

struct tls_flow *tls_flow_new(struct tls_store *store, struct tls_info *info, uint32_t pid, bool preopened,
                              const struct tls_flow_sink *sink)
{
	struct tls_flow *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->store = store;
	t->info = info;
	t->pid = pid;
	t->preopened = preopened;
	t->sink = *sink;
	for (int dir = 0; dir < 2; dir++) {
		struct side *s = &t->side[dir];

		s->flow = t;
		s->dir = (enum fdtape_dir)dir;
		s->queue_end = &s->queue;
		s->framer.from_the_middle = preopened;
	}
	for (size_t i = 0; i < sizeof t->waiter / sizeof *t->waiter; i++) {
		t->waiter[i].wake = wake;
		t->waiter[i].context = t;
	}
	return t;
}

int tls_flow_feed(struct tls_flow *t, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct side *s = &t->side[dir];
	const struct tls_framer_sink sink = {.record = on_record, .clear = on_clear, .context = s};
	int result;

	if (!data)
		note(t, TLS_EVIDENCE_HOLE);
	result = tls_framer_feed(&s->framer, data, len, stamp, &sink);
	if (s->framer.garbage)
		note(t, TLS_EVIDENCE_GARBAGE);
	if (result == 0 && s->framer.state == TLS_FRAMER_STOPPED && !s->stopped) {
		/* Records before the hole that still wait may yet be opened; a later secret is of no use to them. */
		result = drain(t);
		if (result == 0)
			result = stop(s, s->framer.garbage ? TLS_EVIDENCE_GARBAGE : TLS_EVIDENCE_HOLE, stamp);
	}
	sum_up(t);
	return result;
}

int tls_flow_give_up(struct tls_flow *t, enum fdtape_dir dir)
{
	struct side *s = &t->side[dir];
	int result = 0;

	if (s->queue) {
		struct stamp stamp = s->queue->stamp;

		result = stop(s, TLS_EVIDENCE_NO_KEYS, &stamp);
	}
	sum_up(t);
	return result;
}

int tls_flow_lose(struct tls_flow *t, enum fdtape_dir dir, const struct stamp *stamp)
{
	struct side *s = &t->side[dir];

	return s->framer.state == TLS_FRAMER_BLIND ? stop(s, TLS_EVIDENCE_HOLE, stamp) : 0;
}

int tls_flow_finish(struct tls_flow *t)
{
	int result = 0;

	for (int dir = 0; dir < 2 && result == 0; dir++) {
		const struct tls_framer_sink sink = {.record = on_record, .clear = on_clear, .context = &t->side[dir]};

		result = tls_framer_finish(&t->side[dir].framer, &sink);
	}
	if (result == 0)
		result = drain(t);
	for (int dir = 0; dir < 2 && result == 0; dir++)
		result = tls_flow_give_up(t, (enum fdtape_dir)dir);
	sum_up(t);
	return result;
}

bool tls_flow_is_tls(const struct tls_flow *t, enum fdtape_dir dir)
{
	enum tls_framer_state state = t->side[dir].framer.state;

	return state == TLS_FRAMER_TLS || state == TLS_FRAMER_STOPPED || t->side[dir].stopped;
}

bool tls_flow_may_be_tls(const struct tls_flow *t, enum fdtape_dir dir)
{
	return t->side[dir].framer.state != TLS_FRAMER_CLEAR;
}

bool tls_flow_failed(const struct tls_flow *t)
{
	return t->failed;
}

void tls_flow_free(struct tls_flow *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < sizeof t->waiter / sizeof *t->waiter; i++)
		tls_store_forget(t->store, &t->waiter[i]);
	for (int dir = 0; dir < 2; dir++) {
		drop_queue(&t->side[dir]);
		buffer_release(&t->side[dir].handshake);
		tls_opener_free(t->side[dir].opener);
		tls_framer_release(&t->side[dir].framer);
	}
	for (int i = 0; i < 2; i++)
		buffer_release(&t->client_hello[i]);
	buffer_release(&t->retry);
	buffer_release(&t->server_hello);
	EVP_MD_CTX_free(t->running);
	free(t);
}
