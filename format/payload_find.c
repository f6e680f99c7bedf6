/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/payload.h"

#include <inttypes.h>
#include <stdlib.h>

#include "format/codec.h"
#include "format/columns.h"

/* So much memory of frames is kept from group to group: enough for what the writer makes. */
#define KEPT_FRAMES 64u
#define KEPT_BYTES  (2 * PAYLOAD_FRAME)

/* Of the next call's bytes so many are asked for ahead; the rest comes by itself, as what is read in a row does. */
#define PREFETCH_MAX 2048u
#define CACHE_LINE   64u

void finder_clear(struct finder *f)
{
	for (size_t i = 0; i < f->n_frames; i++) {
		struct frame *frame = &f->frames[i];

		if (i >= KEPT_FRAMES || frame->stored.cap > KEPT_BYTES)
			bytebuf_release(&frame->stored);
		if (i >= KEPT_FRAMES || frame->raw.cap > KEPT_BYTES)
			bytebuf_release(&frame->raw);
	}
	f->n_frames = 0;
	f->n_runs = 0;
	idmap_clear(&f->flows);
}

void finder_release(struct finder *f)
{
	for (size_t i = 0; i < f->cap_frames; i++) {
		bytebuf_release(&f->frames[i].stored);
		bytebuf_release(&f->frames[i].raw);
	}
	free(f->frames);
	free(f->runs);
	free(f->by_flow);
	idmap_release(&f->flows);
}

/* The next frame's place, cleared but for its memory; NULL: no memory. */
static struct frame *new_frame(struct finder *f)
{
	size_t known = f->cap_frames;
	void *frames = f->frames;
	struct frame *frame;

	if (!array_grow(&frames, &f->cap_frames, f->n_frames + 1, sizeof(*f->frames)))
		return NULL;
	f->frames = frames;
	memset(f->frames + known, 0, (f->cap_frames - known) * sizeof(*f->frames));
	frame = &f->frames[f->n_frames];
	bytebuf_clear(&frame->stored);
	bytebuf_clear(&frame->raw);
	*frame = (struct frame){.stored = frame->stored, .raw = frame->raw};
	return frame;
}

/* The flow's number; IDMAP_NONE: no memory. */
static uint32_t flow_slot(struct finder *f, uint64_t flow)
{
	size_t known = f->flows.count;
	void *by_flow = f->by_flow;
	uint32_t slot;

	if (!idmap_reserve(&f->flows, 1) || !array_grow(&by_flow, &f->cap_flows, known + 1, sizeof(*f->by_flow)))
		return IDMAP_NONE;
	f->by_flow = by_flow;
	slot = idmap_add(&f->flows, flow);
	if (slot == known)
		f->by_flow[slot] = (struct finder_flow){
		        .first = {IDMAP_NONE, IDMAP_NONE},
		        .last = {IDMAP_NONE, IDMAP_NONE},
		};
	return slot;
}

static int add_run(struct finder *f, uint64_t flow, uint64_t dir, struct run run, struct diag *diag)
{
	uint32_t slot = flow_slot(f, flow);
	void *runs = f->runs;
	uint32_t *last;

	if (slot == IDMAP_NONE || !array_grow(&runs, &f->cap_runs, f->n_runs + 1, sizeof(*f->runs)))
		return FDTAPE_ERR_MEMORY;
	f->runs = runs;
	last = &f->by_flow[slot].last[dir];
	if (*last != IDMAP_NONE && run.start < f->runs[*last].start + f->runs[*last].bytes)
		return diag_block(diag, FDTAPE_ERR_DAMAGED,
		                  "payload of flow %" PRIu64 " starts at %" PRIu64 ", the run before ends at %" PRIu64,
		                  flow, run.start, f->runs[*last].start + f->runs[*last].bytes);
	if (*last == IDMAP_NONE)
		f->by_flow[slot].first[dir] = (uint32_t)f->n_runs;
	else
		f->runs[*last].next = (uint32_t)f->n_runs;
	*last = (uint32_t)f->n_runs;
	f->runs[f->n_runs++] = run;
	return 0;
}

static int add_runs(struct finder *f, const struct block *b, struct span s, struct diag *diag)
{
	uint64_t flow = 0;
	uint64_t at = 0;

	for (uint32_t i = 0; i < b->n_records; i++) {
		struct run run = {.frame = (uint32_t)f->n_frames, .next = IDMAP_NONE};
		uint64_t dir;
		int rc;

		flow += span_varint(&s);
		dir = span_fixed(&s, 1);
		span_varint(&s); /* the stream offset of the first byte: for who reads without EVENTS */
		run.start = span_varint(&s);
		run.bytes = span_varint(&s);
		if (s.bad || dir > FDTAPE_OUT || run.bytes == 0 || run.bytes > b->raw_len - at ||
		    run.start > UINT64_MAX - run.bytes)
			return diag_block(diag, FDTAPE_ERR_DAMAGED, "run %" PRIu32 " of the payload is not one", i);
		run.at = (uint32_t)at;
		at += run.bytes;
		rc = add_run(f, flow, dir, run, diag);
		if (rc)
			return rc;
	}
	if (span_left(&s) > 0 || at != b->raw_len)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "runs of %" PRIu64 " bytes in %" PRIu32 " bytes of payload",
		                  at, b->raw_len);
	return 0;
}

bool finder_wants(struct span s, uint32_t n, const struct choice *choice)
{
	uint64_t flow = 0;

	if (!choice->flows)
		return true;
	for (uint32_t i = 0; i < n && !s.bad; i++) {
		flow += span_varint(&s);
		if (choice_has_flow(choice, flow))
			return true;
		span_fixed(&s, 1);
		span_varint(&s);
		span_varint(&s);
		span_varint(&s);
	}
	return s.bad;
}

int finder_add(struct finder *f, const struct block *b, struct span directory, const struct choice *choice,
               struct diag *diag)
{
	struct span body = block_body(b);
	struct frame *frame;
	int rc;

	if (!finder_wants(directory, b->n_records, choice))
		return 0;
	if (b->n_records == 0 || b->n_records > EVENTS_MAX - f->n_runs)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "%" PRIu32 " runs of payload, 1 to %zu are allowed",
		                  b->n_records, EVENTS_MAX - f->n_runs);
	if (b->type == BLOCK_PAYLOAD_RAW && b->raw_len != span_left(&body))
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "body of %zu bytes, raw_len says %" PRIu32,
		                  span_left(&body), b->raw_len);
	frame = new_frame(f);
	if (!frame)
		return FDTAPE_ERR_MEMORY;
	bytebuf_append(&frame->stored, body.at, span_left(&body));
	if (frame->stored.failed)
		return FDTAPE_ERR_MEMORY;
	frame->raw_len = b->raw_len;
	frame->block = diag->block;
	frame->offset = diag->offset;
	frame->zstd = b->type == BLOCK_PAYLOAD;

	/* Runs of a directory that turns out wrong stay, and lead to a frame that is bad. */
	rc = add_runs(f, b, directory, diag);
	frame->bad = rc != 0;
	f->n_frames++;
	return rc;
}

static int decode(struct frame *frame, ZSTD_DCtx *zstd, struct diag *diag)
{
	if (!frame->zstd) {
		frame->data = frame->stored.data;
		return 0;
	}
	if (!bytebuf_reserve(&frame->raw, frame->raw_len))
		return FDTAPE_ERR_MEMORY;
	if (codec_unpack(zstd, frame->raw.data, frame->raw_len, frame->stored.data, frame->stored.len)) {
		frame->data = frame->raw.data;
		return 0;
	}
	frame->bad = true;
	diag->block = frame->block;
	diag->offset = frame->offset;
	return diag_block(diag, FDTAPE_ERR_DAMAGED, "payload does not decode to %" PRIu32 " bytes", frame->raw_len);
}

/* Asks for what the flow's next call carries, which is likely as long as this one, while others' events are given: a
 * group's payload is more than fits in the cache, and has the bytes of each flow together, not those of one time. */
static void prefetch(const uint8_t *next, uint64_t len, uint64_t left)
{
	for (uint64_t i = 0; i < len && i < left && i < PREFETCH_MAX; i += CACHE_LINE)
		__builtin_prefetch(next + i);
}

int finder_take(struct finder *f, ZSTD_DCtx *zstd, struct fdtape_event *e, bool *missing, struct diag *diag)
{
	uint32_t slot = idmap_find(&f->flows, e->flow);
	struct finder_flow *flow = slot == IDMAP_NONE ? NULL : &f->by_flow[slot];
	const struct run *run = NULL;
	uint64_t start = 0;

	if (flow) {
		uint32_t *first = &flow->first[e->dir];

		start = flow->taken[e->dir];
		while (*first != IDMAP_NONE && f->runs[*first].start + f->runs[*first].bytes <= start)
			*first = f->runs[*first].next;
		run = *first == IDMAP_NONE ? NULL : &f->runs[*first];
	}
	if (run && run->start <= start && e->captured <= run->start + run->bytes - start) {
		struct frame *frame = &f->frames[run->frame];

		if (!frame->data && !frame->bad) {
			int rc = decode(frame, zstd, diag);

			if (rc)
				return rc;
		}
		if (!frame->bad) {
			e->data = frame->data + run->at + (start - run->start);
			prefetch(e->data + e->captured, e->captured, run->bytes - (start - run->start) - e->captured);
		}
	}
	if (flow)
		flow->taken[e->dir] += e->captured;
	if (!e->data) {
		e->captured = 0;
		*missing = true;
	}
	return 0;
}

void finder_pass(struct finder *f, const struct fdtape_event *e)
{
	uint32_t slot = e->captured > 0 ? idmap_find(&f->flows, e->flow) : IDMAP_NONE;

	if (slot != IDMAP_NONE)
		f->by_flow[slot].taken[e->dir] += e->captured;
}
