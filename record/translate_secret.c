/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Secrets: from what the probes saw of a derivation to the tape, and, where a chain of tapes is written, to those behind
 * it. Which connection derived a secret is not known here, only its process: so those are told again that one may have
 * derived which is open still.
 */
#include <stdlib.h>
#include <string.h>

#include "record/secrets.h"
#include "record/translate_state.h"

/* A connection's own are among the first that its process derives when it has begun: so many, or fewer where there is no
 * room, and for so long. */
#define EACH         64
#define EACH_LEAST   8
#define HANDSHAKE_NS UINT64_C(30000000000)

static int put_secret(const struct translate *t, const struct fdtape_secret *secret)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_SECRET, .secret = *secret};

	return fdtape_writer_put(t->writer, &item);
}

/* When a process opened a socket that is open still. */
struct beginning {
	uint32_t pid;
	unsigned secrets; /* that came behind it, and before the next */
	uint64_t time;
};

static int by_pid_and_time(const void *a, const void *b)
{
	const struct beginning *x = a, *y = b;

	return x->pid != y->pid ? (x->pid > y->pid) - (x->pid < y->pid) : (x->time > y->time) - (x->time < y->time);
}

/* May a connection that is open still have derived it? They are asked about in the order in which they came. */
static bool is_of_an_open(const struct fdtape_secret *secret, struct beginning *all, size_t n, unsigned each)
{
	const struct beginning sought = {.pid = secret->pid, .time = secret->time};
	size_t from = 0, to = n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (by_pid_and_time(&all[middle], &sought) <= 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from && all[from - 1].pid == secret->pid && all[from - 1].secrets++ < each &&
	       secret->time - all[from - 1].time <= HANDSHAKE_NS;
}

/* Drops what is of connections that have ended. */
static int sift_secrets(struct translate *t, unsigned each)
{
	struct beginning *all = calloc(t->flows.used + 1, sizeof *all);
	size_t n = 0, cursor = 0, left = t->secrets.n;
	const struct flow *f;

	if (!all)
		return FDTAPE_ERR_MEMORY;
	while ((f = map_next(&t->flows, &cursor)))
		if (f->def.kind == FDTAPE_KIND_SOCKET)
			all[n++] = (struct beginning){.pid = f->def.pid, .time = f->def.opened};
	qsort(all, n, sizeof *all, by_pid_and_time);
	for (; left; left--) {
		struct kept_secret *s = kept_secrets_take(&t->secrets);

		if (is_of_an_open(&s->secret, all, n, each))
			kept_secrets_append(&t->secrets, s);
		else
			free(s);
	}
	free(all);
	return 0;
}

static int on_secret(struct translate *t, const struct fdtape_secret *secret)
{
	int error = put_secret(t, secret);

	if (error || !t->secrets_max)
		return error;
	if (t->secrets.bytes > t->secrets_max) {
		/* To half of it, so that it is not done each time. */
		for (unsigned each = EACH; !error && t->secrets.bytes > t->secrets_max / 2 && each >= EACH_LEAST;
		     each /= 2)
			error = sift_secrets(t, each);
		while (!error && t->secrets.bytes > t->secrets_max / 2)
			free(kept_secrets_take(&t->secrets));
	}
	return error ? error : kept_secrets_add(&t->secrets, secret);
}

int put_secrets(struct translate *t)
{
	int error = sift_secrets(t, EACH);

	for (const struct kept_secret *s = t->secrets.first; s && !error; s = s->next)
		error = put_secret(t, &s->secret);
	return error;
}

static int on_secrets(struct translate *t, const struct fdtape_secret *secrets, size_t n)
{
	int error = 0;

	for (size_t i = 0; i < n && !error; i++)
		error = on_secret(t, &secrets[i]);
	return error;
}

int on_kdf(struct translate *t, const struct probe_kdf *r)
{
	struct probe_kdf *copy = malloc(sizeof *copy);

	if (!copy)
		return FDTAPE_ERR_MEMORY;
	*copy = *r;
	free(map_take(&t->derivations, r->tid)); /* one whose return was never seen */
	if (map_put(&t->derivations, r->tid, copy))
		return 0;
	free(copy);
	return FDTAPE_ERR_MEMORY;
}

int on_kdf_result(struct translate *t, const struct probe_kdf_out *r)
{
	struct probe_kdf *kdf = map_take(&t->derivations, r->tid);
	struct fdtape_secret secrets[SECRETS_MAX];
	size_t len = r->h.len < PROBE_KDF_OUT ? r->h.len : PROBE_KDF_OUT;
	int error = 0;

	if (kdf)
		error = on_secrets(t, secrets, secrets_from_kdf(kdf, r->data, len, secrets));
	free(kdf);
	return error;
}

int on_key(struct translate *t, const struct probe_key *r)
{
	struct fdtape_secret secrets[SECRETS_MAX];
	struct secrets_text text;
	struct probe_kdf *kdf;
	size_t n = 0;
	int error;

	switch (r->source) {
	case PROBE_KEY_PKEY:
		/* A derivation of which more and more is told. */
		kdf = map_get(&t->derivations, r->tid);
		if (!kdf) {
			kdf = calloc(1, sizeof *kdf);
			if (!kdf || !map_put(&t->derivations, r->tid, kdf)) {
				free(kdf);
				return FDTAPE_ERR_MEMORY;
			}
		}
		secrets_add_parameter(kdf, r);
		return 0;
	case PROBE_KEY_PKEY_OUT:
		kdf = map_take(&t->derivations, r->tid);
		if (kdf)
			n = secrets_from_kdf(kdf, r->value, r->value_len <= PROBE_KEY_DATA ? r->value_len : 0, secrets);
		for (size_t i = 0; i < n; i++)
			secrets[i].source = "EVP_PKEY_derive";
		error = on_secrets(t, secrets, n);
		free(kdf);
		return error;
	default:
		return on_secrets(t, secrets, secrets_from_key(r, &text, secrets));
	}
}
