/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake of a flow: what was agreed on, and for TLS 1.3 the transcript that binds the secrets to it.
 *
 * Where handshake bytes are missing, messages are taken again from the first record on that is made of whole ones; who
 * fragments a message over records begins the next one with a new record, mostly.
 */
#include "replay/tls_flow_state.h"

enum {
	MESSAGE_BYTES = 256 << 10,    /* the longest handshake message that is looked at */
	CERTIFICATE_BYTES = 16 << 10, /* the longest certificate that is kept */
};

static size_t message_len(const uint8_t *header)
{
	return 4 + ((size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3]);
}

/* ---- the transcript of TLS 1.3 ---------------------------------------------------------------------------------- */

static int update(EVP_MD_CTX *context, const struct buffer *message)
{
	return EVP_DigestUpdate(context, message->data, message->len) > 0 ? 0 : -1;
}

/* What the messages so far hash to is what the epoch's secrets were derived with. */
static int mark(struct tls_flow *t, enum tls_epoch epoch)
{
	struct tls_transcript *transcript = &t->transcript[epoch];
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int result = -1;

	if (copy && EVP_MD_CTX_copy_ex(copy, t->running) > 0 && EVP_DigestFinal_ex(copy, transcript->hash, NULL) > 0) {
		transcript->len = t->agreed.suite->hash_len;
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
	const struct tls_suite *suite = t->agreed.suite;
	const EVP_MD *digest;
	uint8_t first[4 + TLS_HASH_MAX];
	int result = -1;

	if (t->running || !suite || !suite->v13 || !t->have_server_hello || !t->client_hello[0].len ||
	    (t->retried && (!t->client_hello[1].len || !t->retry.len)))
		return 0;
	digest = suite->hash_len == 48 ? EVP_sha384() : EVP_sha256();
	t->running = EVP_MD_CTX_new();
	if (!t->running || EVP_DigestInit_ex(t->running, digest, NULL) <= 0)
		goto done;
	if (t->retried) {
		/* The first ClientHello is represented by its hash. */
		memcpy(first, (uint8_t[]){TLS_MESSAGE_HASH, 0, 0, suite->hash_len}, 4);
		if (EVP_Digest(t->client_hello[0].data, t->client_hello[0].len, first + 4, NULL, digest, NULL) <= 0 ||
		    EVP_DigestUpdate(t->running, first, 4u + suite->hash_len) <= 0 ||
		    update(t->running, &t->retry) < 0 || update(t->running, &t->client_hello[1]) < 0)
			goto done;
	} else if (update(t->running, &t->client_hello[0]) < 0 || (t->early != EARLY_NONE && mark(t, EARLY) < 0)) {
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
		tls_keys_bind(t);
	return result;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static int keep_message(struct buffer *to, const uint8_t *message, size_t len)
{
	to->len = 0;
	return buffer_add(to, message, len);
}

static int client_hello(struct tls_side *s, const uint8_t *message, size_t len)
{
	struct tls_flow *t = s->flow;
	struct tls_hello hello;
	bool second = t->retried && t->client_hello[0].len > 0;

	if ((t->version == 0x0304 && t->have_server_hello) || tls_parse_client_hello(message + 4, len - 4, &hello) < 0)
		return 0;
	tls_note(t, TLS_EVIDENCE_CLIENT_HELLO);
	t->have_client = true;
	t->client = s->dir;
	if (second)
		return keep_message(&t->client_hello[1], message, len);
	/* The first, or a renegotiation of TLS 1.2. */
	t->have_server_hello = false;
	t->early = hello.early_data ? EARLY_OFFERED : EARLY_NONE;
	memcpy(t->agreed.client_random, hello.random, sizeof hello.random);
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

static int server_hello(struct tls_side *s, const uint8_t *message, size_t len)
{
	struct tls_flow *t = s->flow;
	struct tls_hello hello;

	if ((t->version == 0x0304 && t->have_server_hello) || tls_parse_server_hello(message + 4, len - 4, &hello) < 0)
		return 0;
	tls_note(t, TLS_EVIDENCE_SERVER_HELLO);
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
	t->agreed.suite = tls_suite_find(hello.cipher);
	t->agreed.version = hello.version;
	t->agreed.encrypt_then_mac = hello.encrypt_then_mac;
	t->info->cipher = hello.cipher;
	if (hello.alpn[0])
		memcpy(t->info->alpn, hello.alpn, sizeof hello.alpn);
	memcpy(t->agreed.server_random, hello.random, sizeof hello.random);
	if (t->version != 0x0304)
		return 0;
	for (int dir = 0; dir < 2; dir++) {
		struct tls_side *side = &t->side[dir];

		if (side->opener) /* a ServerHello that was guessed around comes no more */
			continue;
		side->protected = true;
		side->epoch = tls_is_client(side) && t->early != EARLY_NONE && !t->retried ? EARLY : NEGOTIATION;
	}
	return keep_message(&t->server_hello, message, len);
}

static int encrypted_extensions(struct tls_side *s, const uint8_t *message, size_t len)
{
	struct tls_flow *t = s->flow;
	struct tls_hello hello;

	if (t->version != 0x0304 || tls_is_client(s) ||
	    tls_parse_encrypted_extensions(message + 4, len - 4, &hello) < 0)
		return 0;
	if (hello.alpn[0])
		memcpy(t->info->alpn, hello.alpn, sizeof hello.alpn);
	if (t->early == EARLY_OFFERED)
		t->early = hello.early_data ? EARLY_ACCEPTED : EARLY_REJECTED;
	return 0;
}

/* RFC 8446, 4.4.2: a context and entries with extensions; RFC 5246, 7.4.2: neither. The first entry is the sender's. */
static int certificate(struct tls_side *s, const uint8_t *message, size_t len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;
	struct tls_certificate *told = &t->info->certificate;
	size_t at = 4, entry;

	if (t->version == 0 || !t->have_client || tls_is_client(s) || told->wall)
		return 0;
	if (t->version == 0x0304 && len > at)
		at += 1u + message[at];
	at += 3; /* the list's length */
	if (at > len || len - at < 3)
		return 0;
	entry = (size_t)message[at] << 16 | (size_t)message[at + 1] << 8 | message[at + 2];
	at += 3;
	if (!entry || entry > len - at || entry > CERTIFICATE_BYTES)
		return 0;
	if (keep_message(&t->certificate, message + at, entry) < 0)
		return -1;
	*told = (struct tls_certificate){.wall = stamp->wall, .der = t->certificate.data, .len = entry};
	return 0;
}

static int finished(struct tls_side *s)
{
	struct tls_flow *t = s->flow;

	if (t->version != 0x0304 || s->epoch != NEGOTIATION)
		return 0;
	if (!tls_is_client(s) && t->running) {
		if (mark(t, APPLICATION) < 0)
			return -1;
		tls_keys_bind(t);
	}
	tls_keys_turn(s, APPLICATION);
	return 0;
}

static int handle_message(struct tls_side *s, const uint8_t *message, size_t len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;

	if (s->protected && t->version == 0x0304 && s->epoch == NEGOTIATION && !tls_is_client(s) && t->running &&
	    EVP_DigestUpdate(t->running, message, len) <= 0)
		return -1;
	switch (message[0]) {
	case TLS_CLIENT_HELLO:
		return client_hello(s, message, len) < 0 ? -1 : begin_transcript(t);
	case TLS_SERVER_HELLO:
		return server_hello(s, message, len) < 0 ? -1 : begin_transcript(t);
	case TLS_ENCRYPTED_EXTENSIONS:
		return encrypted_extensions(s, message, len);
	case TLS_CERTIFICATE:
	case TLS_CERTIFICATE_REQUEST:
		if (t->version == 0x0304 && s->epoch == APPLICATION)
			t->authenticates = true;
		return message[0] == TLS_CERTIFICATE ? certificate(s, message, len, stamp) : 0;
	case TLS_FINISHED:
		return finished(s);
	case TLS_END_OF_EARLY_DATA:
		if (t->version == 0x0304 && s->epoch == EARLY)
			tls_keys_turn(s, NEGOTIATION);
		return 0;
	case TLS_KEY_UPDATE:
		return t->version == 0x0304 && s->epoch == APPLICATION && s->opener ? tls_keys_update(s) : 0;
	default:
		return 0;
	}
}

bool tls_handshake_is_whole(const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		if (len - at < 4 || message_len(data + at) > len - at)
			return false;
		at += message_len(data + at);
	}
	return len > 0;
}

void tls_handshake_tear(struct tls_side *s)
{
	struct tls_flow *t = s->flow;

	s->torn = true;
	buffer_release(&s->handshake);
	if (!s->protected)
		t->torn = true;
	if (s->protected && t->version == 0x0304 && !tls_is_client(s) && s->epoch == NEGOTIATION) {
		t->torn = true;
		EVP_MD_CTX_free(t->running);
		t->running = NULL;
	}
}

int tls_handshake_feed(struct tls_side *s, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	struct buffer *b = &s->handshake;
	size_t used = 0, message;

	if (s->torn && !tls_handshake_is_whole(data, len))
		return 0;
	s->torn = false;
	if (buffer_add(b, data, len) < 0)
		return -1;
	while (b->len - used >= 4) {
		message = message_len(b->data + used);
		if (message > MESSAGE_BYTES) {
			tls_note(s->flow, TLS_EVIDENCE_GARBAGE);
			tls_handshake_tear(s);
			return 0;
		}
		if (message > b->len - used)
			break;
		if (handle_message(s, b->data + used, message, stamp) < 0)
			return -1;
		used += message;
	}
	if (used < b->len)
		buffer_drop(b, used);
	else
		buffer_release(b);
	return 0;
}

void tls_handshake_release(struct tls_flow *t)
{
	for (int i = 0; i < 2; i++)
		buffer_release(&t->client_hello[i]);
	buffer_release(&t->retry);
	buffer_release(&t->server_hello);
	buffer_release(&t->certificate);
	t->info->certificate = (struct tls_certificate){0};
	EVP_MD_CTX_free(t->running);
}
