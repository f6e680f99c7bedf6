/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SELF_SIGNED_H
#define SELF_SIGNED_H

/*
 * A certificate for a server that clients of the tests take as it is. Needs cmocka.h before it.
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* Signs one for localhost with this key, good for an hour, and has the server show it. The key remains the caller's. */
static inline void use_self_signed(SSL_CTX *server, EVP_PKEY *key)
{
	X509 *x = X509_new();

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1,
	                           0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(server, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
	X509_free(x);
}

#endif
