/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_UPGRADE_H
#define TLS_UPGRADE_H

/*
 * Where a stream that began in clear turns to TLS: STARTTLS, PostgreSQL's SSLRequest, CONNECT, a PROXY header, or
 * nothing that was said at all. See tls_upgrade.c.
 */
#include "replay/assembly.h"
#include "replay/buffer.h"

enum {
	TLS_UPGRADE_SAID = 64, /* bytes kept of what each side said last */
};

/* A piece that is held back until it is known what it is. */
struct tls_upgrade_piece {
	struct tls_upgrade_piece *next;
	enum fdtape_dir dir;
	bool hole;
	uint64_t len;
	struct stamp stamp;
};

struct tls_upgrade { /* all zero: at the beginning */
	struct tls_upgrade_piece *held, **held_end;
	size_t n_held;
	struct buffer bytes[2]; /* of the held pieces that are no holes */
	enum fdtape_dir hello;  /* the direction of the first held piece */
	bool server_first;      /* its hello is the server's, since the client's is missing */
	struct tls_upgrade_said {
		uint8_t bytes[TLS_UPGRADE_SAID]; /* the beginning of what this side said last in clear */
		size_t len;                      /* of all of it, until the other side spoke */
		bool hole;                       /* and then bytes were missing */
	} said[2];
	enum fdtape_dir speaker; /* who spoke last */
};

enum tls_upgrade_verdict {
	TLS_UPGRADE_FAILED = -1, /* no memory */
	TLS_UPGRADE_MORE,
	TLS_UPGRADE_YES,
	TLS_UPGRADE_NO, /* the first held piece is clear */
};

/* Is anything held? Then every further piece is to be, in its order. */
bool tls_upgrade_pending(const struct tls_upgrade *u);
/* Are bytes of this direction held? */
bool tls_upgrade_holds(const struct tls_upgrade *u, enum fdtape_dir dir);
/* May a hello begin with this piece? */
bool tls_upgrade_begins(const struct tls_upgrade *u, enum fdtape_dir dir, const uint8_t *data, uint64_t len);
/* data NULL: a hole. 0, or -1 without memory. */
int tls_upgrade_hold(struct tls_upgrade *u, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                     const struct stamp *stamp);
/* What are the held pieces? `ended`: nothing more comes. */
enum tls_upgrade_verdict tls_upgrade_judge(const struct tls_upgrade *u, bool ended);
/* The first held piece; its bytes are the first `len` of u->bytes[dir] until it is dropped. NULL: none. */
const struct tls_upgrade_piece *tls_upgrade_first(const struct tls_upgrade *u);
void tls_upgrade_drop(struct tls_upgrade *u);
/* Does a hello begin with the first held piece? Then it is what is judged. */
bool tls_upgrade_again(struct tls_upgrade *u);
/* A piece was clear, and told. */
void tls_upgrade_said(struct tls_upgrade *u, enum fdtape_dir dir, const uint8_t *data, uint64_t len);
/* What the two sides agreed on TLS with before the side `hello` began it: "STARTTLS", "SSLRequest", "CONNECT", "PROXY";
 * NULL: nothing that is known. */
const char *tls_upgrade_agreement(const struct tls_upgrade *u, enum fdtape_dir hello);
/* Length of a PROXY header (versions 1 and 2 of HAProxy's protocol) that these bytes begin with; 0: none. */
size_t tls_upgrade_proxy_header(const uint8_t *data, uint64_t len);
void tls_upgrade_release(struct tls_upgrade *u);

#endif
