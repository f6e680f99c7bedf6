/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TLS_H
#define TLS_H

/*
 * What is known of a flow's TLS, and how. See tls.c for how it is found out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_verdict {
	TLS_VERDICT_UNKNOWN = 0, /* nothing to judge by: no bytes */
	TLS_VERDICT_CLEAR = 1,
	TLS_VERDICT_TLS = 2,
	TLS_VERDICT_MIXED = 3, /* first one, then the other (STARTTLS, CONNECT) */
};

enum tls_plaintext { /* where the plaintext of a TLS flow comes from */
	TLS_PLAINTEXT_NONE = 0,
	TLS_PLAINTEXT_WIRE = 1,  /* decrypted, proved by the AEAD tag of each record */
	TLS_PLAINTEXT_CALLS = 2, /* SSL_read, SSL_write */
	TLS_PLAINTEXT_BOTH = 3,  /* decrypted, and the library calls delivered the same bytes */
};

enum tls_evidence {                     /* a set of bits */
	TLS_EVIDENCE_RECORDS = 1u << 0, /* TLS record headers on the wire */
	TLS_EVIDENCE_CLIENT_HELLO = 1u << 1,
	TLS_EVIDENCE_SERVER_HELLO = 1u << 2,
	TLS_EVIDENCE_AEAD = 1u << 3,         /* records decrypted and authenticated */
	TLS_EVIDENCE_CALLS = 1u << 4,        /* a TLS library's call did its input or output on this fd */
	TLS_EVIDENCE_CALLS_AGREE = 1u << 5,  /* what the calls delivered equals what the wire decrypts to */
	TLS_EVIDENCE_CALLS_DIFFER = 1u << 6, /* a conflict: it does not */
	TLS_EVIDENCE_NO_KEYS = 1u << 7,      /* encrypted records came for which there is no secret */
	TLS_EVIDENCE_BAD_TAG = 1u << 8,      /* a record did not authenticate with the flow's keys */
	TLS_EVIDENCE_NOT_TLS = 1u << 9,      /* the first bytes are no TLS record */
	TLS_EVIDENCE_HOLE = 1u << 10,        /* bytes are missing on the wire */
	TLS_EVIDENCE_GARBAGE = 1u << 11,     /* after records, bytes came that are none */
	TLS_EVIDENCE_UPGRADE = 1u << 24,     /* what was said in clear before agreed on TLS */
	TLS_EVIDENCE_KTLS = 1u << 25,        /* setsockopt() handed the record layer to the kernel */
	TLS_EVIDENCE_SECRET = 1u << 26,      /* the library object derived the very secret that opens this flow */
	TLS_EVIDENCE_LENGTHS = 1u << 27,     /* of all, only this flow's records can carry the object's calls */
};

/* One secret in SSLKEYLOGFILE's terms: "LABEL <client_random> <secret>". */
struct tls_key {
	const char *label;
	uint8_t client_random[32];
	uint8_t secret[64];
	size_t secret_len;
};

#define TLS_KEYS_MAX 8 /* labels of one connection: 1 for TLS 1.2, up to 5 and 2 for early data in TLS 1.3 */

/* Why one end gave up (RFC 8446, section 6), or the server's warning that it does not know the name. */
struct tls_alert {
	uint64_t wall; /* when it was carried; 0: there was none, or it could not be decrypted */
	unsigned dir;  /* enum fdtape_dir */
	uint8_t description;
};

/* The server's own certificate, as its first Certificate message has it: DER, not looked at; none over 16 KiB. */
struct tls_certificate {
	uint64_t wall;      /* when it was carried; 0: there was none, or it could not be decrypted */
	const uint8_t *der; /* the flow's: valid as long as that is */
	size_t len;
};

struct tls_info {
	enum tls_verdict verdict;
	uint32_t evidence;   /* bits of enum tls_evidence */
	uint16_t version;    /* 0x0303, 0x0304, as negotiated; 0: not known */
	uint16_t cipher;     /* IANA number, as negotiated; 0: not known */
	char sni[256];       /* "": none seen; may hold any bytes but NUL */
	char alpn[256];      /* as chosen by the server when it is seen, "" otherwise */
	const char *library; /* path of the library whose calls were bound to the flow, NULL: none */
	enum tls_plaintext plaintext;
	bool have_client_random;
	uint8_t client_random[32];
	struct tls_key keys[TLS_KEYS_MAX]; /* those that were found for this connection */
	size_t n_keys;
	/* From the ClientHello on, every byte is on the tape and every encrypted record was decrypted, in both
	 * directions: keys and wire are whole. */
	bool whole;
	struct tls_alert alert; /* the first */
	struct tls_certificate certificate;
	uint64_t records[2];         /* records seen, by direction */
	uint64_t decrypted[2];       /* records decrypted and authenticated */
	uint64_t decrypted_bytes[2]; /* of the wire: those records, whole */
	uint64_t open_bytes[2];      /* of the wire: records that are not encrypted, the handshake's first */
};

/* From where on a direction was what: a step of the flow's timeline. */
enum tls_segment_kind {
	TLS_SEGMENT_CLEAR,
	TLS_SEGMENT_TLS,
	TLS_SEGMENT_KTLS, /* TLS on the wire, and the kernel's: the calls carry its plaintext */
};

struct tls_segment {
	unsigned dir;   /* enum fdtape_dir */
	unsigned depth; /* 0: of the fd's bytes; 1: of what TLS on the fd protects, ... */
	enum tls_segment_kind kind;
	uint64_t offset;            /* in the fd's stream; within TLS: in its plaintext */
	uint64_t wall;              /* when the first of its bytes was carried */
	const char *agreed;         /* what TLS was agreed on with: "STARTTLS", ...; NULL: not, or not known */
	const struct tls_info *tls; /* what is known of this TLS; NULL: clear */
};

enum {
	TLS_SEGMENTS_MAX =
	        14 /* each kind once, of both directions, and the kernel's only on the wire: see tls_stack.c */
};

struct tls_timeline {
	struct tls_segment segments[TLS_SEGMENTS_MAX];
	size_t n;
};

/* What speaks for the segment: bits of enum tls_evidence. */
uint32_t tls_segment_evidence(const struct tls_segment *segment);
/* "clear", "tls", "ktls". */
const char *tls_segment_name(enum tls_segment_kind kind);

/* "TLSv1.3", "SSLv3", ...; NULL when not known. */
const char *tls_version_name(uint16_t version);
/* IANA's name, "TLS_AES_128_GCM_SHA256", ...; NULL when not known. */
const char *tls_cipher_name(uint16_t cipher);
/* Stable words, the contract's: "tls", "clear", "mixed", "unknown"; "wire", "calls", "both", "none". */
const char *tls_verdict_name(enum tls_verdict verdict);
const char *tls_plaintext_name(enum tls_plaintext plaintext);
/* Stable words of one evidence bit ("ClientHello", "AEAD", ...), and a sentence for people; NULL for others. */
const char *tls_evidence_name(uint32_t bit);
const char *tls_evidence_text(uint32_t bit);

#endif
