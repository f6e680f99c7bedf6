/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * Within a group, payload is sorted by flow and direction: what belongs together compresses together, and who wants one
 * flow decodes few frames. The bytes of one direction of one flow are one string for the group, cut into runs where a
 * frame is full (never within an event). A run says where in that string it starts, so that each event finds its bytes
 * by counting what the events before it had captured, whichever frames are lost.
 *
 * Bytes that do not compress (TLS, images) spoil the statistics of those that do, and cost time. So a sample of a
 * string's bytes decides which of two frames it goes to: the one that is compressed, or the one that is not.
 */
#include "format/payload.h"

#include <stdlib.h>

#include "format/codec.h"
#include "format/emitter.h"

/* A frame is closed as well when its directory is so long. */
#define DIRECTORY_FULL (BLOCK_DIRECTORY_MAX / 2)

/* Of 256 random bytes, about 162 are different; text has fewer than 80. */
#define SAMPLES        256u
#define SAMPLES_RANDOM 128u
#define NO_EVENT       UINT32_MAX

/* One direction of a flow. */
struct string {
	uint64_t flow;
	uint32_t dir;
	uint32_t first; /* event */
	uint32_t last;
	uint64_t bytes;
};

/* A frame that is being filled. */
struct filling {
	struct bytebuf data;
	struct bytebuf directory;
	struct bytebuf flows; /* differences, as in flowlist.h */
	uint32_t n_flows;
	uint32_t n_runs;
	uint64_t flow; /* of the run before */
	/* The run that is open: */
	const struct string *string;
	uint64_t offset;
	uint64_t start;
	uint64_t bytes;
};

enum {
	FILL_ZSTD,
	FILL_RAW,
	N_FILL
};

struct packer {
	struct idmap flows;
	struct string *strings; /* by number in flows * 2 + direction; sorted afterwards */
	size_t cap_strings;
	uint32_t *next; /* by event: the next one of the same string */
	size_t cap_next;
	struct filling filling[N_FILL];
	struct bytebuf list; /* a frame's flows */

	/* Of the call. */
	const struct fdtape_event *events;
	const uint32_t *at;
	const uint8_t *arena;
	struct emitter *out;
};

struct packer *packer_new(void)
{
	return calloc(1, sizeof(struct packer));
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	idmap_release(&p->flows);
	free(p->strings);
	free(p->next);
	for (size_t i = 0; i < N_FILL; i++) {
		bytebuf_release(&p->filling[i].data);
		bytebuf_release(&p->filling[i].directory);
		bytebuf_release(&p->filling[i].flows);
	}
	bytebuf_release(&p->list);
	free(p);
}

static void close_run(struct filling *f)
{
	if (f->bytes == 0)
		return;
	if (f->n_runs == 0 || f->string->flow != f->flow) {
		bytebuf_varint(&f->flows, f->string->flow - f->flow);
		f->n_flows++;
	}
	bytebuf_varint(&f->directory, f->string->flow - f->flow);
	bytebuf_byte(&f->directory, (uint8_t)f->string->dir);
	bytebuf_varint(&f->directory, f->offset);
	bytebuf_varint(&f->directory, f->start);
	bytebuf_varint(&f->directory, f->bytes);
	f->flow = f->string->flow;
	f->n_runs++;
	f->bytes = 0;
}

static void close_frame(struct packer *p, unsigned kind)
{
	struct filling *f = &p->filling[kind];
	struct bytebuf *out = &p->out->out;
	struct block b = {.type = BLOCK_PAYLOAD_RAW, .raw_len = (uint32_t)f->data.len};
	size_t begin;

	close_run(f);
	if (f->data.failed || f->directory.failed || f->flows.failed)
		out->failed = true;
	if (f->n_runs > 0) {
		b.n_records = f->n_runs;
		begin = emitter_begin(p->out);
		bytebuf_append(out, f->directory.data, f->directory.len);
		b.dir_len = emitter_directory(p->out, begin);
		if (kind == FILL_RAW)
			bytebuf_append(out, f->data.data, f->data.len);
		else if (codec_pack(p->out->zstd, out, f->data.data, f->data.len))
			b.type = BLOCK_PAYLOAD;
		bytebuf_clear(&p->list);
		bytebuf_varint(&p->list, f->n_flows);
		bytebuf_append(&p->list, f->flows.data, f->flows.len);
		emitter_end(p->out, begin, b, &p->list);
	}
	bytebuf_clear(&f->data);
	bytebuf_clear(&f->directory);
	bytebuf_clear(&f->flows);
	f->n_flows = 0;
	f->n_runs = 0;
	f->flow = 0;
}

static bool looks_random(const struct packer *p, const struct string *s)
{
	uint64_t step = s->bytes / SAMPLES;
	uint64_t skip = step / 2; /* bytes before the next sample */
	bool seen[256] = {false};
	unsigned different = 0;

	if (step == 0)
		return false;
	for (uint32_t i = s->first; i != NO_EVENT; i = p->next[i]) {
		const uint8_t *data = p->arena + p->at[i];
		uint64_t len = p->events[i].captured;

		for (; skip < len; skip += step) {
			different += !seen[data[skip]];
			seen[data[skip]] = true;
		}
		skip -= len;
	}
	return different >= SAMPLES_RANDOM;
}

static void pack_string(struct packer *p, const struct string *s)
{
	unsigned kind = looks_random(p, s) ? FILL_RAW : FILL_ZSTD;
	struct filling *f = &p->filling[kind];
	uint64_t start = 0;

	for (uint32_t i = s->first; i != NO_EVENT; i = p->next[i]) {
		if (f->bytes == 0) {
			f->string = s;
			f->offset = p->events[i].offset;
			f->start = start;
		}
		bytebuf_append(&f->data, p->arena + p->at[i], (size_t)p->events[i].captured);
		f->bytes += p->events[i].captured;
		start += p->events[i].captured;
		if (f->data.len >= PAYLOAD_FRAME)
			close_frame(p, kind);
	}
	close_run(f);
	if (f->directory.len >= DIRECTORY_FULL)
		close_frame(p, kind);
}

static int compare_strings(const void *a, const void *b)
{
	const struct string *x = a;
	const struct string *y = b;

	if (x->flow != y->flow)
		return x->flow < y->flow ? -1 : 1;
	return (x->dir > y->dir) - (x->dir < y->dir);
}

/* Puts event i at the end of its string. */
static bool thread_event(struct packer *p, uint32_t i)
{
	const struct fdtape_event *e = &p->events[i];
	size_t known = p->flows.count;
	void *strings = p->strings;
	struct string *s;

	if (!idmap_reserve(&p->flows, 1) || !array_grow(&strings, &p->cap_strings, (known + 1) * 2, sizeof(*s)))
		return false;
	p->strings = strings;
	s = &p->strings[(size_t)idmap_add(&p->flows, e->flow) * 2];
	if (p->flows.count > known)
		for (uint32_t dir = 0; dir < 2; dir++)
			s[dir] = (struct string){.flow = e->flow, .dir = dir, .first = NO_EVENT};
	s += e->dir;
	if (s->first == NO_EVENT)
		s->first = i;
	else
		p->next[s->last] = i;
	s->last = i;
	s->bytes += e->captured;
	p->next[i] = NO_EVENT;
	return true;
}

int packer_pack(struct packer *p, struct emitter *out, const struct fdtape_event *events, const uint32_t *at, size_t n,
                const uint8_t *arena)
{
	void *next = p->next;
	size_t n_strings;

	if (!array_grow(&next, &p->cap_next, n, sizeof(*p->next)))
		return FDTAPE_ERR_MEMORY;
	p->next = next;
	p->events = events;
	p->at = at;
	p->arena = arena;
	p->out = out;
	idmap_clear(&p->flows);
	for (uint32_t i = 0; i < n; i++)
		if (events[i].captured > 0 && !thread_event(p, i))
			return FDTAPE_ERR_MEMORY;

	n_strings = p->flows.count * 2;
	if (n_strings > 0)
		qsort(p->strings, n_strings, sizeof(*p->strings), compare_strings);
	for (size_t i = 0; i < n_strings; i++)
		if (p->strings[i].bytes > 0)
			pack_string(p, &p->strings[i]);
	for (unsigned kind = 0; kind < N_FILL; kind++)
		close_frame(p, kind);
	return out->out.failed ? FDTAPE_ERR_MEMORY : 0;
}
