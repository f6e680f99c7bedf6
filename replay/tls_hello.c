/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/tls_hello.h"

#include <string.h>

enum extension {
	SERVER_NAME = 0,
	ALPN = 16,
	ENCRYPT_THEN_MAC = 22,
	EARLY_DATA = 42,
	SUPPORTED_VERSIONS = 43,
};

/* What is left to read. Reading past the end gives zeros and sets `bad`, which stays. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
	const uint8_t *p = c->at;

	if (c->bad || len > c->left) {
		c->bad = true;
		return NULL;
	}
	c->at += len;
	c->left -= len;
	return p;
}

static uint32_t take_number(struct cursor *c, size_t width)
{
	const uint8_t *p = take(c, width);
	uint32_t value = 0;

	for (size_t i = 0; p && i < width; i++)
		value = value << 8 | p[i];
	return value;
}

/* A vector with its length before it: RFC 8446, 3.4. */
static struct cursor take_vector(struct cursor *c, size_t width)
{
	size_t len = take_number(c, width);
	const uint8_t *p = take(c, len);

	return (struct cursor){.at = p, .left = p ? len : 0, .bad = c->bad};
}

/* Keeps text that holds no NUL. */
static void keep(char to[256], struct cursor text)
{
	if (text.bad || text.left > 255 || (text.left && memchr(text.at, 0, text.left)))
		return;
	if (text.left)
		memcpy(to, text.at, text.left);
	to[text.left] = '\0';
}

/* The first host name: RFC 6066, 3. */
static void parse_server_name(struct cursor body, struct tls_hello *hello)
{
	struct cursor list = take_vector(&body, 2);

	while (list.left > 0 && !list.bad) {
		uint32_t type = take_number(&list, 1);
		struct cursor name = take_vector(&list, 2);

		if (type == 0) {
			keep(hello->sni, name);
			return;
		}
	}
}

/* The extensions of any of the three messages. */
static void parse_extensions(struct cursor *c, struct tls_hello *hello, bool from_server)
{
	struct cursor list, body, names;
	uint32_t type;

	if (c->left == 0) /* TLS 1.2 may leave them out */
		return;
	list = take_vector(c, 2);
	while (list.left > 0) {
		type = take_number(&list, 2);
		body = take_vector(&list, 2);
		if (list.bad) {
			c->bad = true;
			return;
		}
		switch (type) {
		case SERVER_NAME:
			if (!from_server)
				parse_server_name(body, hello);
			break;
		case ALPN:
			names = take_vector(&body, 2);
			if (from_server)
				keep(hello->alpn, take_vector(&names, 1));
			break;
		case EARLY_DATA:
			hello->early_data = true;
			break;
		case ENCRYPT_THEN_MAC:
			hello->encrypt_then_mac = true;
			break;
		case SUPPORTED_VERSIONS:
			if (from_server && body.left == 2)
				hello->version = (uint16_t)take_number(&body, 2);
			break;
		default:
			break;
		}
	}
}

static void take_random(struct cursor *c, struct tls_hello *hello)
{
	const uint8_t *random = take(c, 32);

	if (random)
		memcpy(hello->random, random, 32);
}

int tls_parse_client_hello(const uint8_t *body, size_t len, struct tls_hello *hello)
{
	struct cursor c = {.at = body, .left = len}, suites;

	memset(hello, 0, sizeof *hello);
	hello->version = (uint16_t)take_number(&c, 2);
	take_random(&c, hello);
	take_vector(&c, 1); /* session id */
	suites = take_vector(&c, 2);
	take_vector(&c, 1); /* compression methods */
	if (c.bad || hello->version >> 8 != 3 || suites.left < 2 || suites.left % 2)
		return -1;
	parse_extensions(&c, hello, false);
	return c.bad ? -1 : 0;
}

int tls_parse_server_hello(const uint8_t *body, size_t len, struct tls_hello *hello)
{
	/* SHA-256 of "HelloRetryRequest": RFC 8446, 4.1.3. */
	static const uint8_t retry[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	                                  0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	                                  0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	struct cursor c = {.at = body, .left = len};

	memset(hello, 0, sizeof *hello);
	hello->version = (uint16_t)take_number(&c, 2);
	take_random(&c, hello);
	take_vector(&c, 1); /* session id */
	hello->cipher = (uint16_t)take_number(&c, 2);
	take_number(&c, 1); /* compression method */
	if (c.bad || hello->version >> 8 != 3)
		return -1;
	hello->retry = memcmp(hello->random, retry, sizeof retry) == 0;
	parse_extensions(&c, hello, true);
	return c.bad ? -1 : 0;
}

int tls_parse_encrypted_extensions(const uint8_t *body, size_t len, struct tls_hello *hello)
{
	struct cursor c = {.at = body, .left = len};

	memset(hello, 0, sizeof *hello);
	parse_extensions(&c, hello, true);
	return c.bad ? -1 : 0;
}
