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
 * string's bytes decides which of two frames it goes to: the one that is compressed, or the one that is not. The sample
 * is taken event by event, when its bytes have just been copied and are in the cache; what most of a string's bytes say
 * decides for the string.
 */
#include "format/payload.h"

#include <stdlib.h>

#include "format/codec.h"
#include "format/emitter.h"

/* A frame is closed as well when its directory is so long. */
#define DIRECTORY_FULL (BLOCK_DIRECTORY_MAX / 2)

/* Of 64 random bytes, about 57 are different; text has fewer than 45. */
#define SAMPLE_PIECES 4u
#define SAMPLE_PIECE  16u
#define SAMPLE        (SAMPLE_PIECES * SAMPLE_PIECE)
#define SAMPLE_RANDOM 50u
/* ZSTD_c_literalCompressionMode, as zstd.h has it for who does not link statically. */
#define COMPRESS_LITERALS ZSTD_c_experimentalParam5
#define NO_EVENT          UINT32_MAX

/* One direction of a flow. */
struct string {
	uint64_t flow;
	uint32_t dir;
	uint32_t first; /* event */
	uint32_t last;
	uint64_t bytes;
	uint64_t random; /* bytes of them that look so */
};

/* A frame that is being filled. */
struct filling {
	uint32_t *events; /* whose bytes it has, in order */
	size_t n_events;
	size_t cap_events;
	size_t len; /* of their bytes */
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
	struct bytebuf data; /* of a frame that is compressed */
	struct bytebuf list; /* a frame's flows */
	ZSTD_CCtx *zstd;

	/* Of the call. */
	const struct fdtape_event *events;
	const struct payload_at *at;
	const uint8_t *arena;
	struct emitter *out;
};

bool payload_looks_random(const uint8_t *data, size_t len)
{
	size_t step = len / SAMPLE_PIECES;
	uint8_t seen[256] = {0};
	unsigned different = 0;

	if (len < SAMPLE)
		return false;
	for (const uint8_t *piece = data + (step - SAMPLE_PIECE) / 2; piece < data + step * SAMPLE_PIECES;
	     piece += step)
		for (size_t i = 0; i < SAMPLE_PIECE; i++)
			seen[piece[i]] = 1;
	for (size_t i = 0; i < sizeof(seen); i++)
		different += seen[i];
	return different >= SAMPLE_RANDOM;
}

struct packer *packer_new(int level)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->zstd = ZSTD_createCCtx();
	if (!p->zstd) {
		free(p);
		return NULL;
	}
	ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level);
	/* A fifth less time for a tape than with zstd's own choice for the level, and a percent more bytes. A target
	 * length means longer steps here; but zstd leaves literals as they are with one, unless it is told not to. */
	if (level == 1) {
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_hashLog, 12);
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_minMatch, 6);
		if (!ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, COMPRESS_LITERALS, 1)))
			ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_targetLength, 4);
	}
	return p;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	idmap_release(&p->flows);
	free(p->strings);
	free(p->next);
	for (size_t i = 0; i < N_FILL; i++) {
		free(p->filling[i].events);
		bytebuf_release(&p->filling[i].directory);
		bytebuf_release(&p->filling[i].flows);
	}
	bytebuf_release(&p->data);
	bytebuf_release(&p->list);
	ZSTD_freeCCtx(p->zstd);
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

static void append_bytes(const struct packer *p, const struct filling *f, struct bytebuf *to)
{
	for (size_t i = 0; i < f->n_events; i++)
		bytebuf_append(to, p->arena + p->at[f->events[i]].offset, (size_t)p->events[f->events[i]].captured);
}

static void close_frame(struct packer *p, unsigned kind)
{
	struct filling *f = &p->filling[kind];
	struct bytebuf *out = &p->out->out;
	struct block b = {.type = BLOCK_PAYLOAD_RAW, .raw_len = (uint32_t)f->len};
	size_t begin;

	close_run(f);
	if (f->directory.failed || f->flows.failed)
		out->failed = true;
	if (f->n_runs > 0) {
		b.n_records = f->n_runs;
		begin = emitter_begin(p->out);
		bytebuf_append(out, f->directory.data, f->directory.len);
		b.dir_len = emitter_directory(p->out, begin);
		if (kind == FILL_RAW) {
			append_bytes(p, f, out);
		} else {
			bytebuf_clear(&p->data);
			append_bytes(p, f, &p->data);
			if (codec_pack(p->zstd, out, p->data.data, p->data.len))
				b.type = BLOCK_PAYLOAD;
			if (p->data.failed)
				out->failed = true;
		}
		bytebuf_clear(&p->list);
		bytebuf_varint(&p->list, f->n_flows);
		bytebuf_append(&p->list, f->flows.data, f->flows.len);
		emitter_end(p->out, begin, b, &p->list);
	}
	bytebuf_clear(&f->directory);
	bytebuf_clear(&f->flows);
	f->n_events = 0;
	f->len = 0;
	f->n_flows = 0;
	f->n_runs = 0;
	f->flow = 0;
}

static bool put_event(struct packer *p, struct filling *f, uint32_t i)
{
	void *events = f->events;

	if (!array_grow(&events, &f->cap_events, f->n_events + 1, sizeof(*f->events)))
		return false;
	f->events = events;
	f->events[f->n_events++] = i;
	f->len += (size_t)p->events[i].captured;
	f->bytes += p->events[i].captured;
	return true;
}

static bool pack_string(struct packer *p, const struct string *s)
{
	unsigned kind = s->random > s->bytes / 2 ? FILL_RAW : FILL_ZSTD;
	struct filling *f = &p->filling[kind];
	uint64_t start = 0;

	for (uint32_t i = s->first; i != NO_EVENT; i = p->next[i]) {
		if (f->bytes == 0) {
			f->string = s;
			f->offset = p->events[i].offset;
			f->start = start;
		}
		if (!put_event(p, f, i))
			return false;
		start += p->events[i].captured;
		if (f->len >= PAYLOAD_FRAME)
			close_frame(p, kind);
	}
	close_run(f);
	if (f->directory.len >= DIRECTORY_FULL)
		close_frame(p, kind);
	return true;
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
	if (p->at[i].random)
		s->random += e->captured;
	p->next[i] = NO_EVENT;
	return true;
}

int packer_pack(struct packer *p, struct emitter *out, const struct fdtape_event *events, const struct payload_at *at,
                size_t n, const uint8_t *arena)
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
		if (p->strings[i].bytes > 0 && !pack_string(p, &p->strings[i]))
			return FDTAPE_ERR_MEMORY;
	for (unsigned kind = 0; kind < N_FILL; kind++)
		close_frame(p, kind);
	return out->out.failed ? FDTAPE_ERR_MEMORY : 0;
}
