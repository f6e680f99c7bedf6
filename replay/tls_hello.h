/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_HELLO_H
#define TLS_HELLO_H

/*
 * The handshake messages that say what was agreed on: ClientHello, ServerHello, EncryptedExtensions.
 * Each function gets a message's body (without its 4-byte header) and checks every length in it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_handshake {
	TLS_CLIENT_HELLO = 1,
	TLS_SERVER_HELLO = 2,
	TLS_NEW_SESSION_TICKET = 4,
	TLS_END_OF_EARLY_DATA = 5,
	TLS_ENCRYPTED_EXTENSIONS = 8,
	TLS_CERTIFICATE = 11,
	TLS_CERTIFICATE_REQUEST = 13,
	TLS_FINISHED = 20,
	TLS_KEY_UPDATE = 24,
	TLS_MESSAGE_HASH = 254,
};

struct tls_hello {
	uint16_t version; /* ClientHello: as in its legacy_version; ServerHello: as negotiated */
	uint16_t cipher;  /* ServerHello: chosen */
	uint8_t random[32];
	bool retry;            /* the ServerHello is a HelloRetryRequest */
	bool early_data;       /* the extension is there */
	bool encrypt_then_mac; /* likewise */
	char sni[256];         /* "": none */
	char alpn[256];        /* ServerHello, EncryptedExtensions: chosen; "": none */
};

/* 0; -1: this is no such message. *hello is filled as far as the message was understood. */
int tls_parse_client_hello(const uint8_t *body, size_t len, struct tls_hello *hello);
int tls_parse_server_hello(const uint8_t *body, size_t len, struct tls_hello *hello);
int tls_parse_encrypted_extensions(const uint8_t *body, size_t len, struct tls_hello *hello);

#endif
