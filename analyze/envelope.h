/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ENVELOPE_H
#define ENVELOPE_H

/*
 * A synthetic TLS 1.2 session around plaintext that is known without its keys (from SSL_read, SSL_write), so that
 * Wireshark takes it for what it is, TLS, and looks inside. See envelope.c.
 */
#include <stddef.h>
#include <stdint.h>

#include "replay/tls.h"

enum envelope_side {
	ENVELOPE_CLIENT = 0,
	ENVELOPE_SERVER = 1
};

enum {
	ENVELOPE_DATA_MAX = 16384, /* plaintext of one record */
	ENVELOPE_RECORD_MAX = 8 + 5 + ENVELOPE_DATA_MAX + 32,
	ENVELOPE_FLIGHTS = 4,
};

struct envelope {
	uint8_t client_random[32], server_random[32];
	uint8_t master_secret[48];
	uint8_t mac_key[2][32];
	uint64_t sequence[2];
	char sni[256], alpn[256];
	uint8_t record[ENVELOPE_RECORD_MAX];
};

/* `name` is unique for the connection: its random numbers and keys are made of it, so that they are the same each
 * time. sni and alpn may be empty. */
void envelope_init(struct envelope *e, const char *name, const char *sni, const char *alpn);
/* The session's key, for Wireshark. */
struct tls_key envelope_key(const struct envelope *e);
/* The handshake's flights, in order; even numbers are the client's. Returned bytes are valid until the next call. */
const uint8_t *envelope_flight(struct envelope *e, unsigned flight, size_t *len);
/* A record of that side with 1 .. ENVELOPE_DATA_MAX bytes of plaintext. Valid until the next call. */
const uint8_t *envelope_record(struct envelope *e, enum envelope_side side, const uint8_t *data, size_t data_len,
                               size_t *len);

#endif
