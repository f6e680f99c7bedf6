/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/tls_store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	SAME_ID_MAX = 64,  /* secrets with one id; there are five at most, and hostile ids that collide */
	WAKE_MAX = 64,     /* flows that wait for one id: both ends, inherited fds */
	RECENT_SCAN = 1024 /* how far back tls_store_recent() looks */
};

static uint64_t key_of(uint32_t id_kind, const uint8_t *id, size_t id_len)
{
	uint64_t key = id_kind;

	for (size_t i = 0; i < id_len; i++)
		key = (key ^ id[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	return key;
}

static bool has_id(const struct tls_secret *s, uint32_t id_kind, const uint8_t *id, size_t id_len)
{
	return s->id_kind == id_kind && s->id_len == id_len && memcmp(s->id, id, id_len) == 0;
}

static void unlink_secret(struct tls_store *store, struct tls_secret *secret)
{
	struct tls_secret *head = map_get(&store->secrets, secret->key), **at = &head;

	while (*at != secret)
		at = &(*at)->next;
	*at = secret->next;
	if (!head)
		map_take(&store->secrets, secret->key);
	else
		map_slot(&store->secrets, secret->key)->value = head;
}

static void wake(struct tls_store *store, uint64_t key)
{
	struct tls_waiter *all[WAKE_MAX];
	size_t n = 0;

	/* Whoever is woken may change what it waits for. */
	for (struct tls_waiter *w = map_get(&store->waiters, key); w && n < WAKE_MAX; w = w->next)
		all[n++] = w;
	while (n > 0) {
		n--;
		all[n]->wake(all[n]->context);
	}
}

int tls_store_add(struct tls_store *store, const struct fdtape_secret *secret)
{
	struct tls_secret *s, *head, *other;
	size_t label_len = strlen(secret->label), same = 0, slot;
	uint64_t key = key_of(secret->id_kind, secret->id, secret->id_len);

	if (secret->id_len == 0 || secret->id_len > sizeof s->id || secret->value_len == 0 ||
	    secret->value_len > sizeof s->value || label_len >= sizeof s->label)
		return 0;
	if (!store->ring && !(store->ring = calloc(TLS_STORE_MAX, sizeof(struct tls_secret *))))
		return -1;
	head = map_get(&store->secrets, key);
	for (other = head; other; other = other->next)
		if (++same >= SAME_ID_MAX || (has_id(other, secret->id_kind, secret->id, secret->id_len) &&
		                              strcmp(other->label, secret->label) == 0))
			return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return -1;
	s->key = key;
	s->pid = secret->pid;
	s->id_kind = secret->id_kind;
	s->id_len = (uint8_t)secret->id_len;
	s->value_len = (uint8_t)secret->value_len;
	memcpy(s->id, secret->id, secret->id_len);
	memcpy(s->value, secret->value, secret->value_len);
	memcpy(s->label, secret->label, label_len);
	s->next = head;
	if (!map_put(&store->secrets, key, s)) {
		free(s);
		return -1;
	}
	if (store->n == TLS_STORE_MAX) {
		slot = store->oldest;
		store->oldest = (slot + 1) % TLS_STORE_MAX;
		unlink_secret(store, store->ring[slot]);
		free(store->ring[slot]);
	} else {
		slot = (store->oldest + store->n++) % TLS_STORE_MAX;
	}
	store->ring[slot] = s;
	wake(store, key);
	return 0;
}

struct tls_secret *tls_store_find(const struct tls_store *store, uint32_t id_kind, const uint8_t *id, size_t id_len,
                                  const char *label)
{
	struct tls_secret *s = map_get(&store->secrets, key_of(id_kind, id, id_len));

	while (s && !(has_id(s, id_kind, id, id_len) && strcmp(s->label, label) == 0))
		s = s->next;
	return s;
}

struct tls_secret *tls_store_recent(const struct tls_store *store, uint32_t pid, const char *label, size_t *cursor)
{
	while (*cursor < store->n && *cursor < RECENT_SCAN) {
		struct tls_secret *s = store->ring[(store->oldest + store->n - 1 - (*cursor)++) % TLS_STORE_MAX];

		if (s->pid == pid && strcmp(s->label, label) == 0)
			return s;
	}
	return NULL;
}

void tls_store_forget(struct tls_store *store, struct tls_waiter *waiter)
{
	if (!waiter->waits)
		return;
	waiter->waits = false;
	if (waiter->next)
		waiter->next->previous = waiter->previous;
	if (waiter->previous)
		waiter->previous->next = waiter->next;
	else if (waiter->next)
		map_slot(&store->waiters, waiter->key)->value = waiter->next;
	else
		map_take(&store->waiters, waiter->key);
}

int tls_store_wait(struct tls_store *store, struct tls_waiter *waiter, uint32_t id_kind, const uint8_t *id,
                   size_t id_len)
{
	uint64_t key = key_of(id_kind, id, id_len);
	struct tls_waiter *head;

	if (waiter->waits && waiter->key == key)
		return 0;
	tls_store_forget(store, waiter);
	head = map_get(&store->waiters, key);
	if (!map_put(&store->waiters, key, waiter))
		return -1;
	waiter->key = key;
	waiter->waits = true;
	waiter->previous = NULL;
	waiter->next = head;
	if (head)
		head->previous = waiter;
	return 0;
}

void tls_store_release(struct tls_store *store)
{
	for (size_t i = 0; i < store->n; i++)
		free(store->ring[(store->oldest + i) % TLS_STORE_MAX]);
	free(store->ring);
	map_release(&store->secrets);
	map_release(&store->waiters);
	*store = (struct tls_store){0};
}
