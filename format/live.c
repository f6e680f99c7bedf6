/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/live.h"

#include <stdlib.h>

#define BUCKETS_MIN 64u

struct live_entry {
	struct live_entry *next;    /* in the bucket */
	struct live_entry *thread;  /* of a process: its first thread; of a thread: the next one of its process */
	struct live_entry **holder; /* of a thread: what points to it, of the two above */
	struct live_key key;
	uint32_t epoch;
	bool ended;
	size_t len;
	uint8_t record[]; /* the body of a block with this one record */
};

static size_t bucket_of(const struct live *l, struct live_key key)
{
	uint64_t hash = (key.id * 16 + key.type) * 0x9e3779b97f4a7c15u;

	return (size_t)(hash ^ hash >> 32) & (l->n_buckets - 1);
}

/* Where the pointer to the entry is, or the pointer that is NULL behind the last of its bucket. */
static struct live_entry **find(struct live *l, struct live_key key)
{
	struct live_entry **at = &l->buckets[bucket_of(l, key)];

	while (*at && ((*at)->key.id != key.id || (*at)->key.type != key.type))
		at = &(*at)->next;
	return at;
}

/* From here on `to` is where the list begins, or goes on, that `from` was. */
static void move_threads(struct live_entry **from, struct live_entry **to)
{
	*to = *from;
	*from = NULL;
	if (*to)
		(*to)->holder = to;
}

static void drop(struct live *l, struct live_entry **at)
{
	struct live_entry *entry = *at;

	if (entry->holder)
		move_threads(&entry->thread, entry->holder);
	*at = entry->next;
	l->count--;
	l->fresh -= entry->epoch == l->epoch;
	l->bytes -= entry->len;
	free(entry);
}

static void add_thread(struct live_entry *process, struct live_entry *entry)
{
	move_threads(&process->thread, &entry->thread);
	entry->holder = &process->thread;
	process->thread = entry;
}

/* A process goes with its threads. */
static void drop_whole(struct live *l, struct live_entry *entry)
{
	while (entry->key.type == FDTAPE_ITEM_PROCESS && entry->thread)
		drop(l, find(l, entry->thread->key));
	drop(l, find(l, entry->key));
}

static bool rebuild(struct live *l, size_t n_buckets)
{
	struct live_entry **old = l->buckets;
	size_t n_old = l->n_buckets;

	l->buckets = calloc(n_buckets, sizeof(struct live_entry *));
	if (!l->buckets) {
		l->buckets = old;
		return false;
	}
	l->n_buckets = n_buckets;
	for (size_t i = 0; i < n_old; i++) {
		struct live_entry *next;

		for (struct live_entry *entry = old[i]; entry; entry = next) {
			size_t bucket = bucket_of(l, entry->key);

			next = entry->next;
			entry->next = l->buckets[bucket];
			l->buckets[bucket] = entry;
		}
	}
	free(old);
	return true;
}

static bool make_room(struct live *l)
{
	return l->count < l->n_buckets || rebuild(l, l->n_buckets ? l->n_buckets * 2 : BUCKETS_MIN);
}

static bool leave(struct live *l, struct live_entry *entry)
{
	void *leaving = l->leaving[0];

	if (entry->ended)
		return true;
	if (!array_grow(&leaving, &l->cap_leaving[0], l->n_leaving[0] + 1, sizeof(**l->leaving)))
		return false;
	l->leaving[0] = leaving;
	l->leaving[0][l->n_leaving[0]++] = entry->key;
	entry->ended = true;
	return true;
}

static struct live_key key_of(const struct fdtape_item *item)
{
	switch (item->type) {
	case FDTAPE_ITEM_PROCESS:
		return (struct live_key){item->process.pid, item->type};
	case FDTAPE_ITEM_FLOW:
		return (struct live_key){item->flow.id, item->type};
	case FDTAPE_ITEM_THREAD:
		return (struct live_key){(uint64_t)item->thread.pid << 32 | item->thread.tid, item->type};
	default:
		return (struct live_key){0, item->type};
	}
}

static bool is_definition(uint32_t type)
{
	return type == FDTAPE_ITEM_CLOCK || type == FDTAPE_ITEM_PROCESS || type == FDTAPE_ITEM_FLOW ||
	       type == FDTAPE_ITEM_THREAD;
}

static struct live_entry *find_process(struct live *l, uint32_t pid)
{
	return l->n_buckets ? *find(l, (struct live_key){pid, FDTAPE_ITEM_PROCESS}) : NULL;
}

int live_put(struct live *l, const struct fdtape_item *item, bool *is_new)
{
	const struct bytebuf *record = &l->scratch.bytes;
	struct live_entry *process = NULL;
	struct live_key key = key_of(item);
	struct live_entry *old, *entry;

	if (is_new)
		*is_new = false;
	if (!is_definition(item->type))
		return 0;
	if (item->type == FDTAPE_ITEM_THREAD) {
		process = find_process(l, item->thread.pid);
		if (!process)
			return 0;
		old = *find(l, key);
		if (old && (!item->thread.comm || !*item->thread.comm))
			drop_whole(l, old);
		if (!item->thread.comm || !*item->thread.comm)
			return 0;
	}
	record_writer_clear(&l->scratch);
	record_put(&l->scratch, item, 0, 0);
	if (record->failed || !make_room(l))
		return FDTAPE_ERR_MEMORY;
	old = *find(l, key);
	if (is_new)
		*is_new = !old;
	if (l->count - (old != NULL) >= LIVE_MAX || record->len > LIVE_BYTES_MAX - l->bytes + (old ? old->len : 0)) {
		if (old)
			drop_whole(l, old);
		return FDTAPE_ERR_LIMIT;
	}
	entry = malloc(sizeof(*entry) + record->len);
	if (!entry)
		return FDTAPE_ERR_MEMORY;
	*entry = (struct live_entry){.key = key, .epoch = l->epoch, .len = record->len};
	memcpy(entry->record, record->data, record->len);
	if (old && key.type == FDTAPE_ITEM_PROCESS && !old->ended)
		move_threads(&old->thread, &entry->thread);
	if (old)
		drop_whole(l, old);
	if (process)
		add_thread(process, entry);
	*find(l, key) = entry;
	l->count++;
	l->fresh++;
	l->bytes += entry->len;
	if (item->type == FDTAPE_ITEM_FLOW && item->flow.closed && !leave(l, entry))
		return FDTAPE_ERR_MEMORY;
	return 0;
}

int live_exit(struct live *l, uint32_t pid)
{
	struct live_entry *entry = find_process(l, pid);

	return entry && !leave(l, entry) ? FDTAPE_ERR_MEMORY : 0;
}

static void swap_leaving(struct live *l)
{
	struct live_key *leaving = l->leaving[0];
	size_t cap = l->cap_leaving[0];

	l->leaving[0] = l->leaving[1];
	l->cap_leaving[0] = l->cap_leaving[1];
	l->leaving[1] = leaving;
	l->cap_leaving[1] = cap;
	l->n_leaving[1] = l->n_leaving[0];
	l->n_leaving[0] = 0;
}

void live_group_end(struct live *l)
{
	for (size_t i = 0; i < l->n_leaving[1]; i++) {
		struct live_entry *entry = *find(l, l->leaving[1][i]);

		if (entry && entry->ended)
			drop_whole(l, entry);
	}
	swap_leaving(l);
}

void live_begin_snapshot(struct live *l)
{
	l->epoch++;
	l->fresh = 0;
	l->n_leaving[0] = 0;
	l->n_leaving[1] = 0;
}

/* Drops what was there before the snapshot. A table that was made for much more is made smaller, so that many small
 * snapshots do not go through it again and again. */
static void sweep(struct live *l)
{
	for (size_t i = 0; i < l->n_buckets; i++) {
		struct live_entry **at = &l->buckets[i];

		while (*at) {
			if ((*at)->epoch == l->epoch) {
				at = &(*at)->next;
				continue;
			}
			/* Its threads may be in this bucket as well. */
			drop_whole(l, *at);
			at = &l->buckets[i];
		}
	}
	if (l->n_buckets > BUCKETS_MIN && l->count < l->n_buckets / 16)
		rebuild(l, l->n_buckets / 8 > BUCKETS_MIN ? l->n_buckets / 8 : BUCKETS_MIN);
}

void live_end_snapshot(struct live *l)
{
	if (l->fresh < l->count)
		sweep(l);
	/* What it says is closed was closed in the group before. */
	swap_leaving(l);
}

static int compare_entries(const void *a, const void *b)
{
	const struct live_entry *const *x = a;
	const struct live_entry *const *y = b;

	if ((*x)->key.type != (*y)->key.type)
		return (*x)->key.type < (*y)->key.type ? -1 : 1;
	return ((*x)->key.id > (*y)->key.id) - ((*x)->key.id < (*y)->key.id);
}

int live_list(struct live *l, size_t *n)
{
	void *listed = (void *)l->listed;
	size_t count = 0;

	*n = 0;
	if (!array_grow(&listed, &l->cap_listed, l->count, sizeof(*l->listed)))
		return FDTAPE_ERR_MEMORY;
	l->listed = listed;
	for (size_t i = 0; i < l->n_buckets; i++)
		for (const struct live_entry *entry = l->buckets[i]; entry; entry = entry->next)
			l->listed[count++] = entry;
	if (count > 0)
		qsort(listed, count, sizeof(*l->listed), compare_entries);
	*n = count;
	return 0;
}

const struct fdtape_item *live_item(struct live *l, size_t index)
{
	const struct live_entry *entry = l->listed[index];

	record_cursor_begin(&l->cursor, span_of(entry->record, entry->len), 1, RECORDS_OF_DEFS);
	record_cursor_next(&l->cursor);
	return &l->cursor.item;
}

void live_clear(struct live *l)
{
	for (size_t i = 0; i < l->n_buckets; i++)
		while (l->buckets[i])
			drop_whole(l, l->buckets[i]);
	l->n_leaving[0] = 0;
	l->n_leaving[1] = 0;
}

void live_release(struct live *l)
{
	live_clear(l);
	free(l->buckets);
	free(l->leaving[0]);
	free(l->leaving[1]);
	free((void *)l->listed);
	record_writer_release(&l->scratch);
}
