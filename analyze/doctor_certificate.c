/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Findings by what a server's certificate says, held to the time at which the tape has it, never to today.
 *
 * A certificate is judged once for each name that it was shown for (and each end of it that is on the tape), however
 * many connections had it. That it signed itself is a matter of taste, until the client complains of it: then it is why.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "analyze/alloc.h"
#include "analyze/doctor_state.h"
#include "analyze/text.h"

enum {
	WEAK_BITS = 112, /* of strength, fewer: RSA under 2048 bits, EC under 224 (NIST SP 800-57, part 1, table 2) */
	NAMES_TOLD = 4,
	NAME_TEXT_MAX = 80,
};

/* A server's certificate, as it was shown to one that asked for a name. */
struct doctor_certificate {
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char *sni;
	bool client; /* seen by the client; else by the server */
	uint8_t *der;
	size_t len;
	struct doctor_subject subject; /* the first flow that turned it down; else the first with it */
	uint64_t wall;                 /* of that one */
	uint64_t flows;
	struct tls_alert alert; /* by which it was turned down; .wall 0: it was not */
};

/* ---- gathering -------------------------------------------------------------------------------------------------- */

/* RFC 8446, section 6.2: the alerts by which a certificate is turned down. */
static bool is_about_certificate(uint8_t alert)
{
	return (alert >= 42 && alert <= 46) || alert == 48;
}

/* NULL: there are too many. */
static struct doctor_certificate *find(struct doctor *d, const struct player_flow *flow)
{
	const struct tls_certificate *shown = &flow->tls.certificate;
	bool client = flow->role != FDTAPE_ROLE_SERVER;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct doctor_certificate *c;

	SHA256(shown->der, shown->len, digest);
	for (size_t i = 0; i < d->n_certificates; i++) {
		c = &d->certificates[i];
		if (c->client == client && memcmp(c->digest, digest, sizeof digest) == 0 &&
		    strcmp(c->sni, flow->tls.sni) == 0)
			return c;
	}
	if (d->n_certificates == DOCTOR_ENTRIES)
		return NULL;
	if (!d->certificates)
		d->certificates = alloc_new(DOCTOR_ENTRIES, sizeof *d->certificates);
	c = &d->certificates[d->n_certificates++];
	memcpy(c->digest, digest, sizeof digest);
	c->client = client;
	c->sni = alloc_copy(flow->tls.sni);
	c->der = alloc_new(shown->len, 1);
	memcpy(c->der, shown->der, shown->len);
	c->len = shown->len;
	return c;
}

void doctor_judge_certificate(struct doctor *d, const struct player_flow *flow)
{
	const struct tls_certificate *shown = &flow->tls.certificate;
	const struct tls_alert *alert = &flow->tls.alert;
	/* The server's own alerts are about the client's certificate. */
	bool turned_down = alert->wall && is_about_certificate(alert->description) &&
	                   (alert->dir == FDTAPE_OUT) == (flow->role == FDTAPE_ROLE_CLIENT);
	struct doctor_certificate *c;

	if (!shown->wall || flow->role == FDTAPE_ROLE_UNKNOWN)
		return;
	c = find(d, flow);
	if (!c)
		return;
	/* Flows come in the order of their ends. */
	if (!c->flows++ || (turned_down && !c->alert.wall) ||
	    (turned_down == (c->alert.wall != 0) && shown->wall < c->wall)) {
		doctor_subject_release(&c->subject);
		doctor_subject_set(&c->subject, flow, NULL);
		c->wall = shown->wall;
		c->alert = turned_down ? *alert : (struct tls_alert){0};
	}
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

/* "2026-11-21 17:04:00 UTC" */
static const char *time_text(char out[static TEXT_TIME_MAX], const ASN1_TIME *time)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(time, &tm))
		return "an unknown time";
	snprintf(out, TEXT_TIME_MAX, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	         tm.tm_hour, tm.tm_min, tm.tm_sec);
	return out;
}

static void put_name(FILE *out, const ASN1_STRING *name)
{
	char *text = text_escape(ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name));

	text_cut(text, NAME_TEXT_MAX);
	fputs(text, out);
	free(text);
}

/* Whom it is for, by the names that count (RFC 9525): those of DNS, or the subject's where there are none. */
static void put_names(FILE *out, const X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(x);
	int n = 0, at;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		if (n++ < NAMES_TOLD) {
			fputs(n > 1 ? ", " : "", out);
			put_name(out, name->d.dNSName);
		}
	}
	GENERAL_NAMES_free(names);
	if (n > NAMES_TOLD)
		fprintf(out, " and %d more", n - NAMES_TOLD);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (!n && at >= 0)
		put_name(out, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	else if (!n)
		fputs("no name", out);
}

/* "localhost, *.example" */
static char *names_text(const X509 *x)
{
	struct alloc_text text;

	alloc_text_begin(&text);
	put_names(text.out, x);
	return alloc_text_end(&text);
}

/* What came of it: " (on 3 connections); this program then sent the alert certificate_expired (45)" */
static char *outcome_text(const struct doctor_certificate *c)
{
	struct alloc_text text;

	alloc_text_begin(&text);
	if (c->flows > 1)
		fprintf(text.out, " (on %" PRIu64 " connections)", c->flows);
	if (c->alert.wall)
		fprintf(text.out, "; %s then sent the alert %s (%u)", c->client ? "this program" : "the peer",
		        doctor_alert_name(c->alert.description), c->alert.description);
	return alloc_text_end(&text);
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

static void judge_time(struct doctor *d, const struct doctor_certificate *c, const X509 *x, const char *names,
                       const char *outcome)
{
	const ASN1_TIME *from = X509_get0_notBefore(x), *until = X509_get0_notAfter(x);
	time_t seen = (time_t)(c->wall / 1000000000);
	char date[TEXT_TIME_MAX];

	/* -2: it is no time. */
	if (ASN1_TIME_cmp_time_t(until, seen) == -1)
		doctor_add_about(d, DOCTOR_CERTIFICATE_EXPIRED, &c->subject, c->wall,
		                 "the server's certificate for %s was valid until %s%s", names, time_text(date, until),
		                 outcome);
	else if (ASN1_TIME_cmp_time_t(from, seen) == 1)
		doctor_add_about(d, DOCTOR_CERTIFICATE_NOT_YET_VALID, &c->subject, c->wall,
		                 "the server's certificate for %s is valid from %s%s", names, time_text(date, from),
		                 outcome);
}

static void judge_name(struct doctor *d, const struct doctor_certificate *c, X509 *x, const char *names,
                       const char *outcome)
{
	char *sni;

	/* 0: no name matches; less: it can't be told. */
	if (!*c->sni || X509_check_host(x, c->sni, 0, 0, NULL) != 0)
		return;
	sni = text_escape_string(c->sni);
	doctor_add_about(d, DOCTOR_CERTIFICATE_NAME, &c->subject, c->wall,
	                 "the client asked for %s (SNI), the server's certificate is for %s%s", sni, names, outcome);
	free(sni);
}

static bool is_self_signed(X509 *x)
{
	EVP_PKEY *key = X509_get0_pubkey(x);

	return key && X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0 && X509_verify(x, key) == 1;
}

static void judge_strength(struct doctor *d, const struct doctor_certificate *c, X509 *x, const char *names,
                           const char *outcome)
{
	const EVP_PKEY *key = X509_get0_pubkey(x);
	int hash = NID_undef;
	bool signed_weakly = X509_get_signature_info(x, &hash, NULL, NULL, NULL) == 1 &&
	                     (hash == NID_sha1 || hash == NID_md5) && !is_self_signed(x); /* nobody relies on its own */

	if (key && EVP_PKEY_security_bits(key) > 0 && EVP_PKEY_security_bits(key) < WEAK_BITS)
		doctor_add_about(d, DOCTOR_CERTIFICATE_WEAK, &c->subject, c->wall,
		                 "the server's certificate for %s has a key of %d bits (%s)%s", names,
		                 EVP_PKEY_bits(key), OBJ_nid2sn(EVP_PKEY_base_id(key)), outcome);
	else if (signed_weakly)
		doctor_add_about(d, DOCTOR_CERTIFICATE_WEAK, &c->subject, c->wall,
		                 "the server's certificate for %s is signed with %s%s", names, OBJ_nid2sn(hash),
		                 outcome);
}

static void judge(struct doctor *d, const struct doctor_certificate *c)
{
	const uint8_t *der = c->der;
	X509 *x = d2i_X509(NULL, &der, (long)c->len);
	char *names, *outcome;

	if (!x)
		return;
	names = names_text(x);
	outcome = outcome_text(c);
	judge_time(d, c, x, names, outcome);
	judge_name(d, c, x, names, outcome);
	judge_strength(d, c, x, names, outcome);
	if (c->alert.wall && is_self_signed(x))
		doctor_add_about(d, DOCTOR_CERTIFICATE_SELF_SIGNED, &c->subject, c->wall,
		                 "the server's certificate for %s is signed by itself%s", names, outcome);
	free(names);
	free(outcome);
	X509_free(x);
}

void doctor_finish_certificates(struct doctor *d)
{
	for (size_t i = 0; i < d->n_certificates; i++) {
		struct doctor_certificate *c = &d->certificates[i];

		judge(d, c);
		doctor_subject_release(&c->subject);
		free(c->sni);
		free(c->der);
	}
	free(d->certificates);
}
