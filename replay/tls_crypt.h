/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_CRYPT_H
#define TLS_CRYPT_H

/*
 * The cryptography of TLS 1.0 to 1.2 (RFC 2246, 4346, 5246, 5288, 6655, 7366, 7905) and TLS 1.3 (RFC 8446): from a
 * secret to the keys of one direction, and from a record to its plaintext.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/tls_suite.h"

enum {
	TLS_HASH_MAX = 48,
	TLS_RECORD_HEADER = 5,
	TLS_RECORD_MAX = 16384 + 2048, /* a record's body: RFC 5246, 6.2.3; TLS 1.3 allows less */
};

/* A record: its header is held apart from its body, which mostly is where the call that carried it left it. */
struct tls_record {
	const uint8_t *header; /* TLS_RECORD_HEADER bytes */
	const uint8_t *body;
	size_t len; /* of the body */
};

/* What opens the records of one direction. It has the sequence number of the next one. */
struct tls_opener;

/* What a connection of TLS 1.2 or before agreed on. */
struct tls_agreed {
	const struct tls_suite *suite;
	uint16_t version; /* 0x0301 .. 0x0303 */
	bool encrypt_then_mac;
	uint8_t client_random[32], server_random[32];
};

/* Sequence numbers that a record may have, both ends included; those nearest to the likely one are tried first. */
struct tls_window {
	uint64_t from, to, likely;
};

/* NULL: no memory, a secret of the wrong length, or a suite that can't be decrypted. */
struct tls_opener *tls_opener_new_12(const struct tls_agreed *agreed, const uint8_t *master, size_t master_len,
                                     bool client_writes);
struct tls_opener *tls_opener_new_13(const struct tls_suite *suite, const uint8_t *secret, size_t secret_len);

/* Decrypts the record into plain, which has room for as many bytes as its body has. *type is set to the
 * content type within. The plaintext's length; -1: its tag or MAC is wrong, and nothing has changed. */
int tls_open(struct tls_opener *opener, const struct tls_record *record, uint8_t *plain, uint8_t *type);
/* The same where the sequence number is not known. *work is what the search may cost, about in bytes decrypted, and is
 * lessened by what it did cost; when it is used up, the search has failed. */
int tls_seek(struct tls_opener *opener, const struct tls_record *record, const struct tls_window *window,
             uint64_t *work, uint8_t *plain, uint8_t *type);
/* The sequence number of the next record. */
uint64_t tls_opener_seq(const struct tls_opener *opener);
/* How many bytes a record has beside its plaintext; *exact: whatever the plaintext is, but for padding of TLS 1.3. */
size_t tls_opener_overhead(const struct tls_opener *opener, bool *exact);
/* A record that was not opened went by: TLS 1.0 chains the IV through it. */
void tls_opener_pass(struct tls_opener *opener, const struct tls_record *record);
/* Bytes are missing before the next record: so is that IV. */
void tls_opener_lose(struct tls_opener *opener);
/* Had the record that was opened last padding that its plaintext's length does not tell of (TLS 1.3)? */
bool tls_opener_padded(const struct tls_opener *opener);
void tls_opener_free(struct tls_opener *opener);

/* The next generation of a TLS 1.3 traffic secret (RFC 8446, 7.2), in place. 0 or -1. */
int tls_update_secret(const struct tls_suite *suite, uint8_t *secret, size_t len);

#endif
