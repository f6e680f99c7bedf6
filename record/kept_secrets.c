/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/kept_secrets.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int kept_secrets_add(struct kept_secrets *kept, const struct fdtape_secret *secret)
{
	size_t label = strlen(secret->label) + 1, source = strlen(secret->source) + 1;
	size_t size = sizeof(struct kept_secret) + label + source + secret->id_len + secret->value_len;
	struct kept_secret *s = malloc(size);
	uint8_t *at;

	if (!s)
		return FDTAPE_ERR_MEMORY;
	s->size = size;
	s->secret = *secret;
	at = (uint8_t *)(s + 1);
	s->secret.label = memcpy(at, secret->label, label);
	s->secret.source = memcpy(at + label, secret->source, source);
	at += label + source;
	if (secret->id_len)
		s->secret.id = memcpy(at, secret->id, secret->id_len);
	if (secret->value_len)
		s->secret.value = memcpy(at + secret->id_len, secret->value, secret->value_len);
	kept_secrets_append(kept, s);
	return 0;
}

void kept_secrets_append(struct kept_secrets *kept, struct kept_secret *secret)
{
	secret->next = NULL;
	if (kept->last)
		kept->last->next = secret;
	else
		kept->first = secret;
	kept->last = secret;
	kept->n++;
	kept->bytes += secret->size;
}

struct kept_secret *kept_secrets_take(struct kept_secrets *kept)
{
	struct kept_secret *s = kept->first;

	kept->first = s->next;
	if (!kept->first)
		kept->last = NULL;
	kept->n--;
	kept->bytes -= s->size;
	return s;
}

void kept_secrets_release(struct kept_secrets *kept)
{
	while (kept->first)
		free(kept_secrets_take(kept));
}
