/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_FLOW_STATE_H
#define TLS_FLOW_STATE_H

/*
 * What the parts of a flow's TLS share: tls_flow.c (records, waiting, gaps), tls_handshake.c (messages, transcript),
 * tls_keys.c (which secret and which sequence number open a record). Nobody else includes this.
 */
#include <openssl/evp.h>

#include "replay/tls_crypt.h"
#include "replay/tls_flow.h"
#include "replay/tls_framer.h"
#include "replay/tls_hello.h"

enum tls_content {
	TLS_CHANGE_CIPHER_SPEC = 20,
	TLS_ALERT = 21,
	TLS_HANDSHAKE = 22,
	TLS_APPLICATION_DATA = 23,
};

enum tls_epoch { /* of a TLS 1.3 side */
	EARLY,
	NEGOTIATION,
	APPLICATION,
	EPOCHS,
};

enum tls_early { /* 0-RTT */
	EARLY_NONE,
	EARLY_OFFERED, /* by the client; the server's answer is not known */
	EARLY_ACCEPTED,
	EARLY_REJECTED,
};

/* Since the record that was opened last, records are missing, or were not opened. */
struct tls_missing {
	bool open;
	bool told;            /* the sink knows, but not how many bytes */
	uint64_t bytes;       /* of the wire */
	uint64_t least, most; /* records */
	uint64_t likely;      /* records */
	uint64_t tried;       /* how often a record behind it was tried in vain */
	struct stamp stamp;   /* when it began */
};

struct tls_queued {
	struct tls_queued *next;
	struct stamp stamp;
	bool is_gap;
	struct tls_gap gap;
	size_t len;       /* of the record's body */
	uint8_t record[]; /* header and body */
};

struct tls_side {
	struct tls_flow *flow;
	enum fdtape_dir dir;
	struct tls_framer framer;
	bool protected; /* records are encrypted now */
	enum tls_epoch epoch;
	struct tls_opener *opener;
	uint8_t secret[TLS_HASH_MAX]; /* TLS 1.3: of the opener */
	bool data_seen;               /* application data came with these keys */
	bool padded;                  /* this side pads its records */
	uint64_t typical;             /* length of the record that was opened last */
	struct tls_missing missing;
	struct buffer handshake; /* the beginning of a message that goes on in the next record */
	bool torn;               /* handshake bytes are missing: the next record may begin within a message */
	struct tls_queued *queue, **queue_end;
	size_t queue_bytes;
	bool given_up;     /* no secret will come for what waits */
	unsigned attempts; /* to find out which secret it is, in vain */
	bool not_whole;    /* something was passed over */
};

struct tls_transcript {
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
	struct tls_side side[2];

	/* The handshake. */
	bool have_client; /* it is known which side is the client's */
	enum fdtape_dir client;
	bool have_client_random, have_server_hello, retried;
	bool torn;          /* a part of it is missing: no transcript will be known that isn't by now */
	bool authenticates; /* TLS 1.3: the client does, between data (RFC 8446, 4.6.2) */
	bool guessing;      /* secrets, at the moment */
	uint64_t work_limit[2];
	enum tls_early early;
	uint16_t version;         /* 0: not known */
	struct tls_agreed agreed; /* suite (NULL: not known) and randoms are of TLS 1.3 as well */
	struct buffer client_hello[2], retry, server_hello; /* whole messages, until the transcript is begun */
	struct buffer certificate;                          /* the server's: info->certificate.der */
	EVP_MD_CTX *running;                                /* from ServerHello to the server's Finished */
	struct tls_transcript transcript[EPOCHS];           /* that the epoch's secrets were derived with */
	struct tls_waiter waiter[EPOCHS + 1];               /* by transcript; by client_random */
};

static inline struct tls_side *tls_other(struct tls_side *s)
{
	return &s->flow->side[!s->dir];
}

static inline bool tls_is_client(const struct tls_side *s)
{
	return s->flow->have_client && s->flow->client == s->dir;
}

static inline void tls_note(struct tls_flow *t, uint32_t evidence)
{
	t->info->evidence |= evidence;
}

/* ---- tls_handshake.c -------------------------------------------------------------------------------------------- */

/* The body of a handshake record: takes the messages out, across records. 0, or -1 without memory. */
int tls_handshake_feed(struct tls_side *s, const uint8_t *data, size_t len, const struct stamp *stamp);
/* Handshake bytes are missing on this side. */
void tls_handshake_tear(struct tls_side *s);
/* Do these bytes look like whole messages, one behind the other? */
bool tls_handshake_is_whole(const uint8_t *data, size_t len);
void tls_handshake_release(struct tls_flow *t);

/* ---- tls_keys.c ------------------------------------------------------------------------------------------------- */

enum tls_opening {
	TLS_OPENED,
	TLS_WAITS,   /* for a secret, or for the other side */
	TLS_REFUSED, /* what opens it was not found; see `why` */
	TLS_SKIPPED, /* early data that the server turned down: nobody got it */
};

struct tls_opened {
	uint8_t plain[TLS_RECORD_HEADER + TLS_RECORD_MAX];
	int len;
	uint8_t type;
	bool fresh;    /* by other keys than the record before */
	uint64_t lost; /* records between the last one of these keys and this */
	uint32_t why;  /* refused: evidence; 0: the hole before it says enough */
};

/* Opens an encrypted record, if the secret and the sequence number are found. */
enum tls_opening tls_keys_open(struct tls_side *s, const struct tls_record *record, struct tls_opened *to);
/* The side's next records are opened with another secret. */
void tls_keys_turn(struct tls_side *s, enum tls_epoch epoch);
/* TLS 1.3: the next generation. 0, or -1. */
int tls_keys_update(struct tls_side *s);
/* Notes all that the store holds for this connection, whether it is needed to decrypt or not. */
void tls_keys_bind(struct tls_flow *t);

#endif
