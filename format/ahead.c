/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A thread reads, verifies, decompresses and decodes; whoever reads gets copies of what it found, in the same order, so
 * nothing but the time differs. What was found is an entry: an item, or an error with its message. Entries are handed
 * over in batches, which own all that their items point to. There are BATCHES of them: one is given, the others are
 * filled or wait, and when all are full the thread waits; so memory is bounded.
 *
 * A batch is handed over when it is full, and before the thread asks the source for more, which may take long: of a
 * recording that still goes on everything is seen at once.
 *
 * The reader's answers about the section must fit the item that was given last, not the one that is read. So an entry
 * that begins a section has a copy of its head, which is in force from then on.
 */
#include "format/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "format/reader_state.h"

enum {
	BATCHES = 3,
	BATCH_ENTRIES = 1024,
	BATCH_BYTES = 256 << 10,                /* and the last item's */
	CHUNK_BYTES = BATCH_BYTES + (64 << 10), /* so mostly one is enough */
};

/* A section's head. */
struct head {
	struct fdtape_section_info info;
	size_t n_meta;
	struct fdtape_meta meta[];
};

struct chunk {
	struct chunk *next;
	size_t size, used;
	max_align_t data[];
};

struct entry {
	int rc;     /* what fdtape_reader_next() returns */
	int error;  /* errno then */
	bool final; /* so does each further call */
	const char *message;
	struct head *head; /* of the section that begins; it belongs to the entry until that is given */
	struct fdtape_item item;
};

struct batch {
	struct entry *entries;
	size_t n, given;
	size_t bytes;
	struct chunk *chunks; /* the one in use first */
	struct fdtape_reader_stats stats;
};

struct ahead {
	struct fdtape_reader *reader;
	struct fdtape_source source; /* the reader's own, which was replaced */
	pthread_t thread;

	/* Of the thread alone. */
	struct batch *filling; /* NULL: none is at hand */

	/* Of who reads alone. */
	struct batch *giving;
	const struct entry *last; /* that was given; NULL: none */
	struct head *head;        /* of the section that it belongs to */

	/* Of both, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *full[BATCHES], *empty[BATCHES]; /* in order */
	size_t n_full, n_empty;
	bool stop;
	struct batch batches[BATCHES];
};

/* ---- copies ----------------------------------------------------------------- */

/* Room that belongs to the batch; NULL: no memory. */
static void *room(struct batch *b, size_t len)
{
	struct chunk *chunk = b->chunks;
	void *at;

	len = (len + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!chunk || chunk->size - chunk->used < len) {
		size_t size = chunk || len > CHUNK_BYTES ? len : CHUNK_BYTES;

		chunk = malloc(sizeof(*chunk) + size);
		if (!chunk)
			return NULL;
		*chunk = (struct chunk){.next = b->chunks, .size = size};
		b->chunks = chunk;
	}
	at = (uint8_t *)chunk->data + chunk->used;
	chunk->used += len;
	b->bytes += len;
	return at;
}

/* The union's other members are not worth copying: a flow is long. */
static void copy_item(struct fdtape_item *to, const struct fdtape_item *from)
{
	if (from->type == FDTAPE_ITEM_EVENT) {
		to->type = from->type;
		to->event = from->event;
	} else {
		*to = *from;
	}
}

/* A copy that belongs to the batch; NULL of NULL. *kept becomes false without memory. */
static const void *keep_bytes(struct batch *b, const void *bytes, size_t len, bool *kept)
{
	void *copy;

	if (!bytes)
		return NULL;
	copy = room(b, len);
	if (copy)
		memcpy(copy, bytes, len);
	else
		*kept = false;
	return copy;
}

static const char *keep_string(struct batch *b, const char *string, bool *kept)
{
	return string ? keep_bytes(b, string, strlen(string) + 1, kept) : NULL;
}

/* The item, which points to what the reader owns, becomes the batch's. False: no memory. */
static bool keep_item(struct batch *b, struct fdtape_item *item)
{
	struct fdtape_process *process = &item->process;
	struct fdtape_secret *secret = &item->secret;
	struct fdtape_event *event = &item->event;
	bool kept = true;

	switch (item->type) {
	case FDTAPE_ITEM_PROCESS:
		process->comm = keep_string(b, process->comm, &kept);
		process->exe = keep_string(b, process->exe, &kept);
		process->cmdline = keep_string(b, process->cmdline, &kept);
		process->build_id = keep_string(b, process->build_id, &kept);
		process->cgroup = keep_string(b, process->cgroup, &kept);
		process->libraries = keep_string(b, process->libraries, &kept);
		break;
	case FDTAPE_ITEM_THREAD:
		item->thread.comm = keep_string(b, item->thread.comm, &kept);
		break;
	case FDTAPE_ITEM_FLOW:
		item->flow.name = keep_string(b, item->flow.name, &kept);
		break;
	case FDTAPE_ITEM_EVENT:
		event->data = keep_bytes(b, event->data, event->captured, &kept);
		event->peer = keep_bytes(b, event->peer, sizeof(*event->peer), &kept);
		break;
	case FDTAPE_ITEM_SECRET:
		secret->label = keep_string(b, secret->label, &kept);
		secret->source = keep_string(b, secret->source, &kept);
		secret->id = keep_bytes(b, secret->id, secret->id_len, &kept);
		secret->value = keep_bytes(b, secret->value, secret->value_len, &kept);
		break;
	default:
		break;
	}
	return kept;
}

static struct head *head_new(const struct section *section)
{
	size_t size = sizeof(struct head) + section->n_meta * sizeof(struct fdtape_meta);
	struct head *head;
	char *text;

	for (size_t i = 0; i < section->n_meta; i++)
		size += strlen(section->meta[i].key) + strlen(section->meta[i].value) + 2;
	head = malloc(size);
	if (!head)
		return NULL;
	head->info = section->info;
	head->n_meta = section->n_meta;
	text = (char *)&head->meta[head->n_meta];
	for (size_t i = 0; i < section->n_meta; i++) {
		head->meta[i].key = strcpy(text, section->meta[i].key);
		text += strlen(text) + 1;
		head->meta[i].value = strcpy(text, section->meta[i].value);
		text += strlen(text) + 1;
	}
	return head;
}

/* Empties it and keeps one chunk. */
static void batch_clear(struct batch *b)
{
	struct chunk *chunk;

	for (; b->given < b->n; b->given++)
		free(b->entries[b->given].head);
	while ((chunk = b->chunks) && (chunk->next || chunk->size != CHUNK_BYTES)) {
		b->chunks = chunk->next;
		free(chunk);
	}
	if (b->chunks)
		b->chunks->used = 0;
	b->n = b->given = b->bytes = 0;
}

static void batch_release(struct batch *b)
{
	batch_clear(b);
	free(b->chunks);
	free(b->entries);
}

/* ---- the thread ------------------------------------------------------------- */

/* Gives away what was filled. */
static void hand_over(struct ahead *a)
{
	if (!a->filling || a->filling->n == 0)
		return;
	a->filling->stats = reader_stats(a->reader);
	pthread_mutex_lock(&a->lock);
	a->full[a->n_full++] = a->filling;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	a->filling = NULL;
}

/* An empty batch to fill; NULL: nobody wants any more. */
static struct batch *batch_to_fill(struct ahead *a)
{
	struct batch *b = NULL;

	pthread_mutex_lock(&a->lock);
	while (a->n_empty == 0 && !a->stop)
		pthread_cond_wait(&a->changed, &a->lock);
	if (!a->stop)
		b = a->empty[--a->n_empty];
	pthread_mutex_unlock(&a->lock);
	return b;
}

/* Before the source is asked: false when nobody wants any more. */
static bool may_ask(struct ahead *a)
{
	bool stop;

	hand_over(a);
	pthread_mutex_lock(&a->lock);
	stop = a->stop;
	pthread_mutex_unlock(&a->lock);
	return !stop;
}

static int64_t read_source(void *context, void *buffer, size_t len)
{
	struct ahead *a = context;

	return may_ask(a) ? a->source.read(a->source.context, buffer, len) : FDTAPE_ERR_USAGE;
}

static int64_t read_source_at(void *context, uint64_t offset, void *buffer, size_t len)
{
	struct ahead *a = context;

	return may_ask(a) ? a->source.read_at(a->source.context, offset, buffer, len) : FDTAPE_ERR_USAGE;
}

/* Reads on: false when that was the last. */
static bool fill(struct ahead *a, struct fdtape_item *item)
{
	struct fdtape_reader *r = a->reader;
	int rc = reader_give(r, item), error = errno;
	struct entry *entry;
	bool kept = true, final;

	if (!a->filling)
		a->filling = batch_to_fill(a);
	if (!a->filling)
		return false;
	entry = &a->filling->entries[a->filling->n++];
	entry->rc = rc;
	entry->error = error;
	entry->final = rc == 0 || r->final;
	entry->message = "";
	entry->head = NULL;
	if (rc > 0) {
		copy_item(&entry->item, item);
		kept = keep_item(a->filling, &entry->item);
		if (item->type == FDTAPE_ITEM_SECTION)
			kept = (entry->head = head_new(&r->section)) != NULL;
	}
	if (r->diag.text[0])
		entry->message = keep_string(a->filling, r->diag.text, &kept);
	if (!kept) {
		entry->rc = FDTAPE_ERR_MEMORY;
		entry->error = ENOMEM;
		entry->final = true;
		entry->message = "out of memory";
	}
	final = entry->final;
	if (a->filling->n == BATCH_ENTRIES || a->filling->bytes >= BATCH_BYTES)
		hand_over(a);
	return !final;
}

static void *run(void *context)
{
	struct ahead *a = context;
	struct fdtape_item item;

	while (fill(a, &item))
		;
	hand_over(a);
	return NULL;
}

/* ---- who reads -------------------------------------------------------------- */

static bool batches_init(struct ahead *a)
{
	for (size_t i = 0; i < BATCHES; i++) {
		a->batches[i].entries = malloc(BATCH_ENTRIES * sizeof(*a->batches[i].entries));
		if (!a->batches[i].entries)
			return false;
		a->empty[a->n_empty++] = &a->batches[i];
	}
	return true;
}

/* The thread is not for the signals of who reads. */
static bool start(struct ahead *a)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&a->thread, NULL, run, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0;
}

static void release(struct ahead *a)
{
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	for (size_t i = 0; i < BATCHES; i++)
		batch_release(&a->batches[i]);
	free(a->head);
	free(a);
}

struct ahead *ahead_new(struct fdtape_reader *reader)
{
	struct window *in = &reader->walker.window;
	struct ahead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->reader = reader;
	a->source = in->source;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	if (!batches_init(a))
		goto failed;
	if (in->source.read) /* not from memory */
		in->source = (struct fdtape_source){.read = read_source,
		                                    .context = a,
		                                    .read_at = a->source.read_at ? read_source_at : NULL,
		                                    .size = a->source.size};
	if (start(a))
		return a;
	in->source = a->source;
failed:
	release(a);
	return NULL;
}

/* The batch that is given goes back, and the next one is waited for. */
static void turn(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	if (a->giving) {
		batch_clear(a->giving);
		a->empty[a->n_empty++] = a->giving;
		pthread_cond_signal(&a->changed);
	}
	while (a->n_full == 0)
		pthread_cond_wait(&a->changed, &a->lock);
	a->giving = a->full[0];
	a->n_full--;
	memmove(a->full, a->full + 1, a->n_full * sizeof(*a->full));
	pthread_mutex_unlock(&a->lock);
}

int ahead_next(struct ahead *a, struct fdtape_item *item)
{
	if (!a->last || !a->last->final) {
		if (!a->giving || a->giving->given == a->giving->n)
			turn(a);
		a->last = &a->giving->entries[a->giving->given++];
		if (a->last->head) {
			free(a->head);
			a->head = a->last->head;
		}
	}
	if (a->last->rc > 0)
		copy_item(item, &a->last->item);
	if (a->last->rc < 0)
		errno = a->last->error;
	return a->last->rc;
}

const char *ahead_message(const struct ahead *a)
{
	return a->last ? a->last->message : "";
}

const struct fdtape_meta *ahead_meta(const struct ahead *a, size_t index)
{
	return a->head && index < a->head->n_meta ? &a->head->meta[index] : NULL;
}

bool ahead_section(const struct ahead *a, struct fdtape_section_info *info)
{
	if (a->head)
		*info = a->head->info;
	return a->head != NULL;
}

void ahead_stats(const struct ahead *a, struct fdtape_reader_stats *stats)
{
	*stats = a->giving ? a->giving->stats : (struct fdtape_reader_stats){0};
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	release(a);
}
