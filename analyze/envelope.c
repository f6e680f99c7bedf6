/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/envelope.h"

#include <string.h>

#include <openssl/sha.h>

#include "analyze/prf.h"

/*
 * Theory of operation
 *
 * The cipher suite is TLS_RSA_WITH_NULL_SHA256 (RFC 5246): a MAC and no encryption. The plaintext stays readable in
 * the packet bytes, Wireshark checks the MAC and then dissects what is within, and the suite's name tells that this
 * is not what was on the wire; so does the session id. The key exchange is a dummy: Wireshark gets the master secret
 * by the key log line for the client's random number.
 *
 *   client                                server
 *   0: ClientHello            ->
 *                             <-          1: ServerHello, ServerHelloDone
 *   2: ClientKeyExchange,
 *      ChangeCipherSpec,
 *      Finished               ->
 *                             <-          3: ChangeCipherSpec, Finished
 *
 * Finished is the record with the sequence number 0 of each side; its verify_data is zero.
 */
enum {
	RECORD_CHANGE_CIPHER = 20,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23
};
enum {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	SERVER_HELLO_DONE = 14,
	CLIENT_KEY_EXCHANGE = 16,
	FINISHED = 20
};
enum {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16
};
enum {
	TLS_1_2 = 0x0303,
	RSA_WITH_NULL_SHA256 = 0x003B
};
enum {
	SEQUENCE_LEN = 8,
	HEADER_LEN = 5,
	MAC_LEN = 32,
	FINISHED_LEN = 12,
	KEY_EXCHANGE_LEN = 48
};

static const char session_id[32] = "SYNTHETIC-ENVELOPE-NOT-ON-WIRE!!";

/* Where the bytes of a flight are put; no bounds to check: ENVELOPE_RECORD_MAX is many times the longest. */
struct cursor {
	uint8_t *at;
};

static void put8(struct cursor *c, unsigned value)
{
	*c->at++ = (uint8_t)value;
}

static void put16(struct cursor *c, unsigned value)
{
	put8(c, value >> 8);
	put8(c, value);
}

static void put24(struct cursor *c, unsigned value)
{
	put8(c, value >> 16);
	put16(c, value);
}

static void put_bytes(struct cursor *c, const void *bytes, size_t len)
{
	memcpy(c->at, bytes, len);
	c->at += len;
}

/* Keeps room for a length of two bytes (or three), which length_end() fills in. */
static uint8_t *length_begin(struct cursor *c, unsigned width)
{
	uint8_t *length = c->at;

	c->at += width;
	return length;
}

static void length_end(struct cursor *c, uint8_t *length, unsigned width)
{
	size_t len = (size_t)(c->at - length) - width;
	struct cursor field = {length};

	if (width == 3)
		put24(&field, (unsigned)len);
	else
		put16(&field, (unsigned)len);
}

static void put_server_name(struct cursor *c, const char *name)
{
	uint8_t *extension, *list;

	put16(c, EXTENSION_SERVER_NAME);
	extension = length_begin(c, 2);
	list = length_begin(c, 2);
	put8(c, 0); /* host_name */
	put16(c, (unsigned)strlen(name));
	put_bytes(c, name, strlen(name));
	length_end(c, list, 2);
	length_end(c, extension, 2);
}

static void put_alpn(struct cursor *c, const char *protocol)
{
	uint8_t *extension, *list;

	put16(c, EXTENSION_ALPN);
	extension = length_begin(c, 2);
	list = length_begin(c, 2);
	put8(c, (unsigned)strlen(protocol));
	put_bytes(c, protocol, strlen(protocol));
	length_end(c, list, 2);
	length_end(c, extension, 2);
}

static void put_client_hello(struct cursor *c, const struct envelope *e)
{
	uint8_t *record, *message, *extensions;

	put8(c, RECORD_HANDSHAKE);
	put16(c, TLS_1_2);
	record = length_begin(c, 2);
	put8(c, CLIENT_HELLO);
	message = length_begin(c, 3);
	put16(c, TLS_1_2);
	put_bytes(c, e->client_random, sizeof e->client_random);
	put8(c, 0);  /* no session id */
	put16(c, 2); /* bytes of cipher suites */
	put16(c, RSA_WITH_NULL_SHA256);
	put8(c, 1);
	put8(c, 0); /* no compression */
	extensions = length_begin(c, 2);
	if (*e->sni)
		put_server_name(c, e->sni);
	if (*e->alpn)
		put_alpn(c, e->alpn);
	length_end(c, extensions, 2);
	length_end(c, message, 3);
	length_end(c, record, 2);
}

static void put_server_hello(struct cursor *c, const struct envelope *e)
{
	uint8_t *record, *message, *extensions;

	put8(c, RECORD_HANDSHAKE);
	put16(c, TLS_1_2);
	record = length_begin(c, 2);
	put8(c, SERVER_HELLO);
	message = length_begin(c, 3);
	put16(c, TLS_1_2);
	put_bytes(c, e->server_random, sizeof e->server_random);
	put8(c, sizeof session_id);
	put_bytes(c, session_id, sizeof session_id);
	put16(c, RSA_WITH_NULL_SHA256);
	put8(c, 0); /* no compression */
	extensions = length_begin(c, 2);
	if (*e->alpn)
		put_alpn(c, e->alpn);
	length_end(c, extensions, 2);
	length_end(c, message, 3);
	put8(c, SERVER_HELLO_DONE);
	put24(c, 0);
	length_end(c, record, 2);
}

static void put_key_exchange(struct cursor *c)
{
	static const uint8_t nothing[KEY_EXCHANGE_LEN];

	put8(c, RECORD_HANDSHAKE);
	put16(c, TLS_1_2);
	put16(c, 4 + 2 + KEY_EXCHANGE_LEN);
	put8(c, CLIENT_KEY_EXCHANGE);
	put24(c, 2 + KEY_EXCHANGE_LEN);
	put16(c, KEY_EXCHANGE_LEN);
	put_bytes(c, nothing, sizeof nothing);
}

static void put_change_cipher(struct cursor *c)
{
	put8(c, RECORD_CHANGE_CIPHER);
	put16(c, TLS_1_2);
	put16(c, 1);
	put8(c, 1);
}

/* A record with its MAC: HMAC(sequence number, header with the plaintext's length, plaintext). All that is laid out
 * behind one another, and the record begins behind the sequence number. */
static const uint8_t *seal(struct envelope *e, enum envelope_side side, unsigned type, const uint8_t *data,
                           size_t data_len, uint8_t *room)
{
	struct cursor c = {room};
	uint64_t sequence = e->sequence[side]++;

	for (int shift = 56; shift >= 0; shift -= 8)
		put8(&c, (unsigned)(sequence >> shift) & 0xff);
	put8(&c, type);
	put16(&c, TLS_1_2);
	put16(&c, (unsigned)data_len);
	put_bytes(&c, data, data_len);
	prf_hmac(c.at, e->mac_key[side], sizeof e->mac_key[side], room, SEQUENCE_LEN + HEADER_LEN + data_len);
	c.at = room + SEQUENCE_LEN + 3;
	put16(&c, (unsigned)data_len + MAC_LEN);
	return room + SEQUENCE_LEN;
}

static void put_finished(struct cursor *c, struct envelope *e, enum envelope_side side)
{
	static const uint8_t message[4 + FINISHED_LEN] = {FINISHED, 0, 0, FINISHED_LEN};
	uint8_t room[SEQUENCE_LEN + HEADER_LEN + sizeof message + MAC_LEN];
	const uint8_t *record = seal(e, side, RECORD_HANDSHAKE, message, sizeof message, room);

	put_bytes(c, record, sizeof room - SEQUENCE_LEN);
}

/* 32 bytes that look random and depend on the connection's name alone. */
static void derive(uint8_t out[static SHA256_DIGEST_LENGTH], const char *name, const char *purpose)
{
	prf_hmac(out, (const uint8_t *)purpose, strlen(purpose), (const uint8_t *)name, strlen(name));
}

void envelope_init(struct envelope *e, const char *name, const char *sni, const char *alpn)
{
	uint8_t seed[64], keys[2 * MAC_LEN], secret[SHA256_DIGEST_LENGTH];

	memset(e, 0, sizeof *e);
	strncpy(e->sni, sni, sizeof e->sni - 1);
	strncpy(e->alpn, alpn, sizeof e->alpn - 1);
	derive(e->client_random, name, "fdtape envelope: client random");
	derive(e->server_random, name, "fdtape envelope: server random");
	derive(secret, name, "fdtape envelope: secret");
	memcpy(seed, e->client_random, 32);
	memcpy(seed + 32, e->server_random, 32);
	prf_sha256(e->master_secret, sizeof e->master_secret, secret, sizeof secret, "master secret", seed,
	           sizeof seed);
	/* The other way round (RFC 5246, 6.3). */
	memcpy(seed, e->server_random, 32);
	memcpy(seed + 32, e->client_random, 32);
	prf_sha256(keys, sizeof keys, e->master_secret, sizeof e->master_secret, "key expansion", seed, sizeof seed);
	memcpy(e->mac_key[ENVELOPE_CLIENT], keys, MAC_LEN);
	memcpy(e->mac_key[ENVELOPE_SERVER], keys + MAC_LEN, MAC_LEN);
}

struct tls_key envelope_key(const struct envelope *e)
{
	struct tls_key key = {.label = "CLIENT_RANDOM", .secret_len = sizeof e->master_secret};

	memcpy(key.client_random, e->client_random, sizeof key.client_random);
	memcpy(key.secret, e->master_secret, sizeof e->master_secret);
	return key;
}

const uint8_t *envelope_flight(struct envelope *e, unsigned flight, size_t *len)
{
	struct cursor c = {e->record};

	switch (flight) {
	case 0:
		put_client_hello(&c, e);
		break;
	case 1:
		put_server_hello(&c, e);
		break;
	case 2:
		put_key_exchange(&c);
		put_change_cipher(&c);
		put_finished(&c, e, ENVELOPE_CLIENT);
		break;
	case 3:
		put_change_cipher(&c);
		put_finished(&c, e, ENVELOPE_SERVER);
		break;
	}
	*len = (size_t)(c.at - e->record);
	return e->record;
}

const uint8_t *envelope_record(struct envelope *e, enum envelope_side side, const uint8_t *data, size_t data_len,
                               size_t *len)
{
	*len = HEADER_LEN + data_len + MAC_LEN;
	return seal(e, side, RECORD_DATA, data, data_len, e->record);
}
