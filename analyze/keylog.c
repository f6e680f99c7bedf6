/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/keylog.h"

#include "analyze/alloc.h"
#include "analyze/text.h"
#include "cli.h"

void keylog_put(FILE *out, const struct tls_key *key)
{
	char random[2 * sizeof key->client_random + 1], secret[2 * sizeof key->secret + 1];

	cli_put_string(out, key->label);
	fprintf(out, " %s %s\n", text_hex(random, key->client_random, sizeof key->client_random),
	        text_hex(secret, key->secret, key->secret_len));
}

char *keylog_text(const struct tls_key *keys, size_t n)
{
	struct alloc_text text;

	alloc_text_begin(&text);
	for (size_t i = 0; i < n; i++)
		keylog_put(text.out, &keys[i]);
	return alloc_text_end(&text);
}
