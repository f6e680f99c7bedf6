/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/keylog.h"

#include "analyze/text.h"
#include "cli.h"

void keylog_put(FILE *out, const struct tls_key *key)
{
	char random[2 * sizeof key->client_random + 1], secret[2 * sizeof key->secret + 1];

	cli_put_string(out, key->label);
	fprintf(out, " %s %s\n", text_hex(random, key->client_random, sizeof key->client_random),
	        text_hex(secret, key->secret, key->secret_len));
}
