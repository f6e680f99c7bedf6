/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation.
 *
 * A segment is a tape in memory, made through a fdtape_writer of its own: compressed as any tape is, and complete, for
 * each begins with all definitions that are in force. So forgetting the oldest costs nothing but a free(), except that
 * a connection outlives the segment in which its handshake was: the secrets of a segment are kept when it goes.
 *
 *     SECTION | definitions in force | CLOCK from | ... the recording ... | CLOCK to | losses, open flows | END
 *
 * A dump reads the segments one after the other and puts what they hold into one writer. What stands before a segment's
 * first clock repeats what the dump has defined already; so do the open flows behind its last, except for the last
 * segment. In the segments offsets go on from one to the next; in the dump they are counted from where it begins.
 *
 * Dumping decompresses and compresses again, which takes longer than the ring can wait; so it is done in a thread. The
 * thread reads finished segments, which nobody changes. What would be freed meanwhile waits in a list.
 */
#include "record/last.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fdtape/reader.h>

#include "map.h"
#include "record/kept_secrets.h"

#define SEGMENTS     8
#define PAGE         ((size_t)64 << 10) /* no system's pages are larger */
#define SECRETS_MAX  (16u << 20)        /* bytes of secrets from segments that are gone: some 100,000 */
#define LIBRARY_CALL FDTAPE_CALL_SSL_READ

struct segment {
	struct segment *next;
	struct fdtape_writer *writer; /* while it is being written */
	uint8_t *data;
	size_t len, room;
	uint64_t from, to;
	bool first; /* of the recording: what it begins with began there */
};

struct job {
	pthread_t thread;
	atomic_bool done;
	struct fdtape_writer *writer;
	const struct about *about;
	struct segment **segments;
	size_t n_segments;
	struct kept_secret **secrets;
	size_t n_secrets;
	struct map bases; /* by flow id: struct base */
	struct last_dumped dumped;
};

/* Where a flow stood when the dump begins. */
struct base {
	bool open; /* then already */
	uint64_t bytes[2];
};

struct last {
	uint64_t time;
	uint64_t bytes;
	const struct about *about;
	bool begun;
	struct segment *oldest, *newest; /* the finished ones */
	struct segment *ending, *current;
	size_t held; /* bytes of the finished ones */
	struct kept_secrets secrets;
	struct job *job;
	struct segment *gone; /* freed when the job is done */
	struct kept_secret *gone_secrets;
};

struct last *last_new(uint64_t time, uint64_t bytes, const struct about *about)
{
	struct last *l = calloc(1, sizeof *l);

	if (l) {
		l->time = time;
		l->bytes = bytes;
		l->about = about;
	}
	return l;
}

/* ---- segments --------------------------------------------------------------------------------------------------- */

/* Mappings of their own, and not the C library's heap: segments come and go all the time, and what one leaves is to be
 * the system's again, whatever lies behind it. */
static bool resize(struct segment *s, size_t len)
{
	size_t room = (len + PAGE - 1) / PAGE * PAGE;
	void *data = s->data ? mremap(s->data, s->room, room, MREMAP_MAYMOVE)
	                     : mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		return false;
	s->data = data;
	s->room = room;
	return true;
}

static int write_memory(void *context, const void *data, size_t len)
{
	struct segment *s = context;

	if (len > s->room - s->len && !resize(s, s->len + len + s->len / 8))
		return FDTAPE_ERR_MEMORY;
	memcpy(s->data + s->len, data, len);
	s->len += len;
	return 0;
}

static void free_segment(struct segment *s)
{
	if (!s)
		return;
	fdtape_writer_free(s->writer);
	if (s->data)
		munmap(s->data, s->room);
	free(s);
}

int last_begin(struct last *l, const struct fdtape_clock *clock, struct fdtape_writer **writer)
{
	struct fdtape_writer_options options = {.clock = *clock, .meta = l->about->meta, .n_meta = l->about->n};
	struct segment *s = calloc(1, sizeof *s);
	struct fdtape_sink sink = {.write = write_memory, .context = s};
	int error;

	if (!s)
		return FDTAPE_ERR_MEMORY;
	s->from = clock->monotonic;
	s->first = !l->begun;
	error = fdtape_writer_open(&s->writer, &sink, &options);
	if (error) {
		free_segment(s);
		return error;
	}
	l->begun = true;
	l->ending = l->current;
	l->current = s;
	*writer = s->writer;
	return 0;
}

static void trim_secrets(struct last *l)
{
	while (l->secrets.bytes > SECRETS_MAX) {
		struct kept_secret *s = kept_secrets_take(&l->secrets);

		if (l->job) {
			s->next = l->gone_secrets;
			l->gone_secrets = s;
		} else {
			free(s);
		}
	}
}

/* A segment's secrets, without looking at anything else in it. */
static int take_secrets(struct last *l, const struct segment *s)
{
	/* No group is of this time, and of those that are not chosen the secrets are given. */
	struct fdtape_choice nothing_else = {.from = UINT64_MAX - 1, .to = UINT64_MAX};
	struct fdtape_reader *reader;
	struct fdtape_item item;
	int n, error = 0;

	if (fdtape_reader_open_memory(&reader, s->data, s->len) != 0)
		return FDTAPE_ERR_MEMORY;
	n = fdtape_reader_choose(reader, &nothing_else);
	while (n >= 0 && !error && (n = fdtape_reader_next(reader, &item)) == 1)
		if (item.type == FDTAPE_ITEM_SECRET)
			error = kept_secrets_add(&l->secrets, &item.secret);
	fdtape_reader_free(reader);
	return n < 0 ? n : error;
}

static int forget_oldest(struct last *l)
{
	struct segment *s = l->oldest;
	int error = take_secrets(l, s);

	l->oldest = s->next;
	if (!l->oldest)
		l->newest = NULL;
	l->held -= s->len;
	if (l->job) {
		s->next = l->gone;
		l->gone = s;
	} else {
		free_segment(s);
	}
	trim_secrets(l);
	return error;
}

static int end_segment(struct last *l, struct segment *s, const struct fdtape_clock *clock)
{
	int error = fdtape_writer_end(s->writer);

	fdtape_writer_free(s->writer);
	s->writer = NULL;
	s->to = clock->monotonic;
	if (error) {
		free_segment(s);
		return error;
	}
	resize(s, s->len); /* what it has not filled it gives back */
	s->next = NULL;
	if (l->newest)
		l->newest->next = s;
	else
		l->oldest = s;
	l->newest = s;
	l->held += s->len;
	/* The newest stays, whatever its size: a dump is never of nothing. */
	while (!error && l->oldest != l->newest &&
	       (l->held > l->bytes || (s->to > l->time && l->oldest->to <= s->to - l->time)))
		error = forget_oldest(l);
	return error;
}

int last_ended(struct last *l, const struct fdtape_clock *clock)
{
	struct segment *s = l->ending;

	l->ending = NULL;
	return s ? end_segment(l, s, clock) : 0;
}

int last_finish(struct last *l, const struct fdtape_clock *clock)
{
	struct segment *s = l->current;

	l->current = NULL;
	return s ? end_segment(l, s, clock) : 0;
}

bool last_due(const struct last *l, uint64_t now)
{
	if (!l->current)
		return false;
	return (now > l->current->from && now - l->current->from >= l->time / SEGMENTS) ||
	       l->current->len >= l->bytes / SEGMENTS;
}

uint64_t last_size(const struct last *l)
{
	return l->held + (l->current ? l->current->len : 0) + l->secrets.bytes;
}

/* ---- the dump --------------------------------------------------------------------------------------------------- */

static int put(struct job *j, const struct fdtape_item *item)
{
	int error = fdtape_writer_put(j->writer, item);

	if (error)
		j->dumped.system = errno;
	return error;
}

static int put_secrets(struct job *j)
{
	int error = 0;

	for (size_t i = 0; i < j->n_secrets && !error; i++) {
		struct fdtape_item item = {.type = FDTAPE_ITEM_SECRET, .secret = j->secrets[i]->secret};

		error = put(j, &item);
	}
	return error;
}

/* A flow that was open when the dump begins. */
static int put_open_flow(struct job *j, struct fdtape_item *item)
{
	struct base *base = map_get(&j->bases, item->flow.id);

	if (!base) {
		base = calloc(1, sizeof *base);
		if (!base || !map_put(&j->bases, item->flow.id, base)) {
			free(base);
			return FDTAPE_ERR_MEMORY;
		}
		j->dumped.flows += item->flow.kind != FDTAPE_KIND_LIBRARY;
	}
	base->open = true;
	memcpy(base->bytes, item->flow.bytes, sizeof base->bytes);
	item->flow.flags |= FDTAPE_FLOW_PREOPENED;
	item->flow.bytes[0] = item->flow.bytes[1] = 0;
	return put(j, item);
}

static uint64_t less(uint64_t from, uint64_t what)
{
	return from > what ? from - what : 0;
}

static int put_flow(struct job *j, struct fdtape_item *item)
{
	const struct base *base = map_get(&j->bases, item->flow.id);
	struct base *none;

	if (base && base->open) {
		item->flow.flags |= FDTAPE_FLOW_PREOPENED;
		for (int dir = 0; dir < 2; dir++)
			item->flow.bytes[dir] = less(item->flow.bytes[dir], base->bytes[dir]);
	}
	if (!base) { /* remembered, so that it is counted once */
		none = calloc(1, sizeof *none);
		if (!none || !map_put(&j->bases, item->flow.id, none)) {
			free(none);
			return FDTAPE_ERR_MEMORY;
		}
		j->dumped.flows += item->flow.kind != FDTAPE_KIND_LIBRARY;
	}
	return put(j, item);
}

static int put_event(struct job *j, struct fdtape_item *item)
{
	struct fdtape_event *e = &item->event;
	const struct base *base = map_get(&j->bases, e->flow);

	if (base)
		e->offset = less(e->offset, base->bytes[e->dir & 1]);
	j->dumped.events++;
	if (e->call < LIBRARY_CALL && !(e->flags & FDTAPE_EVENT_PEEK)) {
		j->dumped.carried += e->bytes;
		j->dumped.captured += e->captured;
	}
	return put(j, item);
}

enum part {
	HEAD,
	BODY,
	TAIL
};

/* One item of segment i, which is in this part of it. */
static int take(struct job *j, size_t i, enum part part, struct fdtape_item *item)
{
	if (item->type == FDTAPE_ITEM_SECTION || item->type == FDTAPE_ITEM_END)
		return 0;
	if (part == HEAD && i > 0)
		return 0; /* defined already */
	if (part == HEAD && item->type == FDTAPE_ITEM_FLOW && !j->segments[0]->first)
		return put_open_flow(j, item);
	if (part == TAIL && i + 1 < j->n_segments && item->type == FDTAPE_ITEM_FLOW && !item->flow.closed)
		return 0; /* to be told again */
	if (item->type == FDTAPE_ITEM_FLOW)
		return put_flow(j, item);
	if (item->type == FDTAPE_ITEM_EVENT)
		return put_event(j, item);
	return put(j, item);
}

static int copy_segment(struct job *j, size_t i)
{
	const struct segment *s = j->segments[i];
	struct fdtape_reader *reader;
	struct fdtape_item item;
	enum part part = HEAD;
	int n, error = fdtape_reader_open_memory(&reader, s->data, s->len);

	if (error)
		return error;
	while (!error && (n = fdtape_reader_next(reader, &item)) != 0) {
		if (n < 0) {
			error = n;
			break;
		}
		if (item.type == FDTAPE_ITEM_CLOCK && part == HEAD && item.clock.monotonic == s->from)
			part = BODY;
		else if (item.type == FDTAPE_ITEM_CLOCK && part == BODY && item.clock.monotonic == s->to)
			part = TAIL;
		error = take(j, i, part, &item);
		/* Behind what is in force, before what happens. */
		if (!error && i == 0 && item.type == FDTAPE_ITEM_CLOCK && item.clock.monotonic == s->from)
			error = put_secrets(j);
	}
	fdtape_reader_free(reader);
	return error;
}

/* The clocks when the first segment began. */
static int begin_dump(struct job *j)
{
	struct fdtape_writer_options options = {.meta = j->about->meta, .n_meta = j->about->n};
	struct fdtape_section_info section;
	struct fdtape_reader *reader;
	struct fdtape_item item;
	int error = fdtape_reader_open_memory(&reader, j->segments[0]->data, j->segments[0]->len);

	if (error)
		return error;
	error = fdtape_reader_next(reader, &item) == 1 ? fdtape_reader_section(reader, &section) : FDTAPE_ERR_DAMAGED;
	fdtape_reader_free(reader);
	if (error)
		return error;
	options.clock = section.clock;
	error = fdtape_writer_open_fd(&j->writer, j->dumped.fd, &options);
	if (error)
		j->dumped.system = errno;
	return error;
}

static void *run_job(void *context)
{
	struct job *j = context;
	int error;

	/* The recording comes first. */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
	error = begin_dump(j);
	for (size_t i = 0; i < j->n_segments && !error; i++)
		error = copy_segment(j, i);
	if (!error && (error = fdtape_writer_end(j->writer)))
		j->dumped.system = errno;
	j->dumped.bytes = fdtape_writer_size(j->writer);
	fdtape_writer_free(j->writer);
	j->dumped.error = error;
	atomic_store(&j->done, true);
	return NULL;
}

static void free_job(struct job *j)
{
	if (!j)
		return;
	map_free(&j->bases);
	free(j->segments);
	free(j->secrets);
	free(j);
}

bool last_dump(struct last *l, int fd)
{
	struct job *j = l->job || !l->oldest ? NULL : calloc(1, sizeof *j);
	size_t n = 0;
	int error;

	if (!j)
		return false;
	for (struct segment *s = l->oldest; s; s = s->next)
		n++;
	j->segments = calloc(n, sizeof(struct segment *));
	j->secrets = calloc(l->secrets.n + 1, sizeof(struct kept_secret *));
	if (!j->segments || !j->secrets) {
		free_job(j);
		errno = ENOMEM;
		return false;
	}
	for (struct segment *s = l->oldest; s; s = s->next)
		j->segments[j->n_segments++] = s;
	for (struct kept_secret *s = l->secrets.first; s; s = s->next)
		j->secrets[j->n_secrets++] = s;
	j->about = l->about;
	j->dumped = (struct last_dumped){.fd = fd, .from = l->oldest->from, .to = l->newest->to};
	error = pthread_create(&j->thread, NULL, run_job, j);
	if (error) {
		free_job(j);
		errno = error;
		return false;
	}
	l->job = j;
	return true;
}

bool last_dump_done(struct last *l, bool wait, struct last_dumped *dumped)
{
	if (!l->job || (!wait && !atomic_load(&l->job->done)))
		return false;
	pthread_join(l->job->thread, NULL);
	*dumped = l->job->dumped;
	free_job(l->job);
	l->job = NULL;
	while (l->gone) {
		struct segment *s = l->gone;

		l->gone = s->next;
		free_segment(s);
	}
	while (l->gone_secrets) {
		struct kept_secret *s = l->gone_secrets;

		l->gone_secrets = s->next;
		free(s);
	}
	return true;
}

void last_free(struct last *l)
{
	struct last_dumped dumped;

	if (!l)
		return;
	last_dump_done(l, true, &dumped);
	while (l->oldest) {
		struct segment *s = l->oldest;

		l->oldest = s->next;
		free_segment(s);
	}
	kept_secrets_release(&l->secrets);
	free_segment(l->ending);
	free_segment(l->current);
	free(l);
}
