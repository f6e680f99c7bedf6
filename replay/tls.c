/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words for what is known of a flow's TLS. How it is found out: tls_flow.c.
 */
#include "replay/tls.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof *(a))

const char *tls_version_name(uint16_t version)
{
	switch (version) {
	case 0x0300:
		return "SSLv3";
	case 0x0301:
		return "TLSv1.0";
	case 0x0302:
		return "TLSv1.1";
	case 0x0303:
		return "TLSv1.2";
	case 0x0304:
		return "TLSv1.3";
	default:
		return NULL;
	}
}

const char *tls_verdict_name(enum tls_verdict verdict)
{
	static const char *const names[] = {"unknown", "clear", "tls", "mixed"};

	_Static_assert(ARRAY_SIZE(names) == TLS_VERDICT_MIXED + 1, "a name for each verdict");
	return (unsigned)verdict < ARRAY_SIZE(names) ? names[verdict] : NULL;
}

uint32_t tls_segment_evidence(const struct tls_segment *segment)
{
	uint32_t all = segment->tls ? segment->tls->evidence : TLS_EVIDENCE_NOT_TLS;

	switch (segment->kind) {
	case TLS_SEGMENT_CLEAR:
		break;
	case TLS_SEGMENT_TLS:
		return all & ~(uint32_t)(TLS_EVIDENCE_NOT_TLS | TLS_EVIDENCE_KTLS);
	case TLS_SEGMENT_KTLS:
		return all & (TLS_EVIDENCE_KTLS | TLS_EVIDENCE_CALLS | TLS_EVIDENCE_CALLS_AGREE |
		              TLS_EVIDENCE_CALLS_DIFFER | TLS_EVIDENCE_SECRET);
	}
	return TLS_EVIDENCE_NOT_TLS;
}

const char *tls_segment_name(enum tls_segment_kind kind)
{
	static const char *const names[] = {"clear", "tls", "ktls"};

	_Static_assert(ARRAY_SIZE(names) == TLS_SEGMENT_KTLS + 1, "a name for each kind");
	return (unsigned)kind < ARRAY_SIZE(names) ? names[kind] : NULL;
}

const char *tls_plaintext_name(enum tls_plaintext plaintext)
{
	static const char *const names[] = {"none", "wire", "calls", "both"};

	_Static_assert(ARRAY_SIZE(names) == TLS_PLAINTEXT_BOTH + 1, "a name for each source");
	return (unsigned)plaintext < ARRAY_SIZE(names) ? names[plaintext] : NULL;
}

static const struct {
	uint32_t bit;
	const char *name;
	const char *text;
} evidence[] = {
        {TLS_EVIDENCE_RECORDS, "records", "TLS record headers follow each other on the wire"},
        {TLS_EVIDENCE_CLIENT_HELLO, "ClientHello", "a ClientHello was seen"},
        {TLS_EVIDENCE_SERVER_HELLO, "ServerHello", "a ServerHello was seen"},
        {TLS_EVIDENCE_AEAD, "AEAD", "records were decrypted, and their tags prove that this flow carried them"},
        {TLS_EVIDENCE_CALLS, "calls", "a TLS library's calls did their input or output on this fd"},
        {TLS_EVIDENCE_CALLS_AGREE, "calls-agree", "what the library calls delivered is what the wire decrypts to"},
        {TLS_EVIDENCE_CALLS_DIFFER, "calls-differ",
         "what the library calls delivered is not what the wire decrypts to"},
        {TLS_EVIDENCE_NO_KEYS, "no-keys", "encrypted records came for which the tape holds no secret"},
        {TLS_EVIDENCE_BAD_TAG, "bad-tag", "a record did not authenticate with the keys of this flow"},
        {TLS_EVIDENCE_NOT_TLS, "not-tls", "the first bytes are no TLS record"},
        {TLS_EVIDENCE_HOLE, "hole", "bytes are missing on the wire"},
        {TLS_EVIDENCE_GARBAGE, "garbage", "after TLS records, bytes came that are none"},
        {TLS_EVIDENCE_UPGRADE, "upgrade", "what both sides said in clear agreed on TLS"},
        {TLS_EVIDENCE_KTLS, "kTLS", "setsockopt handed TLS to the kernel: the calls carry its plaintext"},
        {TLS_EVIDENCE_SECRET, "secret", "the library object derived the very secret that opens this flow"},
        {TLS_EVIDENCE_LENGTHS, "lengths",
         "of all flows, only this one's records have the lengths of the library object's calls"},
};

const char *tls_evidence_name(uint32_t bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(evidence); i++)
		if (evidence[i].bit == bit)
			return evidence[i].name;
	return NULL;
}

const char *tls_evidence_text(uint32_t bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(evidence); i++)
		if (evidence[i].bit == bit)
			return evidence[i].text;
	return NULL;
}
