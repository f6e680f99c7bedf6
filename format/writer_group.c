/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/writer_state.h"

#include <errno.h>

/* Hands over what was emitted: whole groups. */
static int drain(struct fdtape_writer *w)
{
	struct bytebuf *out = &w->emitter.out;
	int rc;

	if (out->failed)
		return FDTAPE_ERR_MEMORY;
	if (out->len == 0)
		return 0;
	rc = w->sink.write(w->sink.context, out->data, out->len);
	if (rc == 0) {
		w->size += out->len;
		w->written_seq = w->emitter.seq;
		w->written_index = w->emitter.index.previous;
		w->written = w->totals;
	}
	bytebuf_clear(out);
	w->emitter.base = w->size;
	return rc;
}

void writer_clear_group(struct fdtape_writer *w)
{
	w->n_events = 0;
	w->n_records = 0;
	w->records_min = UINT64_MAX;
	w->records_max = 0;
	bytebuf_clear(&w->arena);
	peers_clear(&w->peers);
	flowlist_clear(&w->defined);
	w->defined_others = false;
	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		record_writer_clear(&w->records[i]);
}

static void emit_records(struct fdtape_writer *w, size_t which, bool last)
{
	static const uint16_t types[N_RECORD_BLOCKS] = {BLOCK_SECRETS, BLOCK_DEFS, BLOCK_LOSS};
	struct record_writer *records = &w->records[which];
	struct bytebuf *out = &w->emitter.out;
	struct block b = {.type = types[which], .n_records = records->count};
	size_t begin = emitter_begin(&w->emitter);

	bytebuf_clear(&w->flows);
	if (which == DEFS)
		flowlist_append(&w->defined, &w->flows);
	bytebuf_append(out, w->flows.data, w->flows.len);
	b.dir_len = emitter_directory(&w->emitter, begin);
	b.flags = last ? BLOCK_GROUP_END : 0;
	if (which == DEFS && !w->defined_others)
		b.flags |= BLOCK_FLOWS;
	emitter_records(&w->emitter, &b, &records->bytes);
	emitter_end(&w->emitter, begin, b, &w->flows);
}

static int emit_events(struct fdtape_writer *w)
{
	struct bytebuf *out = &w->emitter.out;
	struct block b = {.type = BLOCK_EVENTS, .flags = BLOCK_GROUP_END, .n_records = (uint32_t)w->n_events};
	size_t begin = emitter_begin(&w->emitter);
	int rc;

	bytebuf_clear(&w->directory);
	bytebuf_clear(&w->body);
	bytebuf_clear(&w->flows);
	flowlist_clear(&w->flowlist);
	for (size_t i = 0; i < w->n_events; i++)
		flowlist_add(&w->flowlist, w->events[i].flow);
	flowlist_append(&w->flowlist, &w->flows);
	rc = columns_encode(w->columns, w->emitter.zstd, &w->flowlist, w->events, w->peer, w->n_events, &w->directory,
	                    &w->body, &b.raw_len);
	if (rc)
		return rc;
	bytebuf_append(out, w->flows.data, w->flows.len);
	bytebuf_append(out, w->directory.data, w->directory.len);
	b.dir_len = emitter_directory(&w->emitter, begin);
	bytebuf_append(out, w->body.data, w->body.len);
	emitter_end(&w->emitter, begin, b, &w->flows);
	return 0;
}

/* Of the events; of the records when there are none. */
static void begin_group(struct fdtape_writer *w)
{
	uint64_t min = w->n_events ? UINT64_MAX : w->records_min;
	uint64_t max = w->n_events ? 0 : w->records_max;

	for (size_t i = 0; i < w->n_events; i++) {
		uint64_t from = w->events[i].time;
		uint64_t to = w->events[i].duration > UINT64_MAX - from ? UINT64_MAX : from + w->events[i].duration;

		if (from < min)
			min = from;
		if (to > max)
			max = to;
	}
	emitter_group(&w->emitter, min, max);
}

static int emit_group(struct fdtape_writer *w)
{
	size_t last = N_RECORD_BLOCKS; /* the block of records that ends a group without events */
	int rc;

	begin_group(w);
	rc = packer_pack(w->packer, &w->emitter, w->events, w->at, w->n_events, w->arena.data);
	if (rc)
		return rc;
	for (size_t i = 0; i < N_RECORD_BLOCKS && w->n_events == 0; i++)
		if (w->records[i].count > 0)
			last = i;
	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		if (w->records[i].count > 0)
			emit_records(w, i, i == last);
	if (w->n_events > 0)
		rc = emit_events(w);
	w->totals.groups++;
	return rc;
}

/* Keeps the events of the group at hand from being missed silently: what is on the disk is a whole tape again, with a
 * record of the loss and a footer if there is room. An INDEX may be missing; readers do without. */
static void tidy_up(struct fdtape_writer *w)
{
	struct emitter *e = &w->emitter;
	struct fdtape_item loss = {
	        .type = FDTAPE_ITEM_LOSS,
	        .loss = {FDTAPE_LOSS_DISK, w->n_events, w->arena.len, e->ts_min, e->ts_max},
	};

	if (w->sink.cut(w->sink.context, w->size) || w->size == 0)
		return;
	w->totals = w->written;
	e->seq = w->written_seq;
	bytebuf_clear(&e->out);
	writer_clear_group(w);
	record_put(&w->records[LOSS], &loss, 0, 0);
	w->records_min = loss.loss.from;
	w->records_max = loss.loss.to;
	totals_count(&w->totals, &loss);
	if (emit_group(w))
		return;
	w->totals.bytes = e->base + e->out.len;
	footer_emit(&e->out, w->written_index, &w->totals, e->seq, e->salt);
	if (drain(w))
		w->sink.cut(w->sink.context, w->size);
}

int writer_hand_over(struct fdtape_writer *w)
{
	int rc = drain(w);
	int error = errno;

	if (rc == FDTAPE_ERR_SYSTEM && w->sink.cut) {
		tidy_up(w);
		errno = error;
	}
	return rc;
}

void writer_emit_index(struct fdtape_writer *w)
{
	struct emitter *e = &w->emitter;
	uint64_t offset = e->base + e->out.len;

	w->totals.bytes = offset;
	indexer_emit(&e->index, &e->out, e->zstd, &w->totals, e->seq++, offset, e->salt);
}

/* Writes what is due between two groups. */
static int emit_aids(struct fdtape_writer *w)
{
	struct due *due = &w->due;
	const struct indexer *index = &w->emitter.index;
	bool later = w->totals.last_time > due->snapshot_end &&
	             w->totals.last_time - due->snapshot_end >= due->snapshot_time;
	int rc = 0;

	if ((later || w->size - due->snapshot_size >= due->snapshot_bytes) && !w->too_many) {
		rc = snapshot_emit(&w->live, &w->emitter, &w->snapshot);
		due->snapshot_size = w->size;
		due->snapshot_end = w->totals.last_time;
	}
	if (w->size - due->index_size >= due->index_bytes || index->count >= INDEX_BLOCKS ||
	    index->body.len >= INDEX_FILLED) {
		writer_emit_index(w);
		due->index_size = w->size;
	}
	return rc ? rc : writer_hand_over(w);
}

int writer_close_group(struct fdtape_writer *w)
{
	int rc;

	if (w->n_events == 0 && w->n_records == 0)
		return 0;
	rc = emit_group(w);
	if (rc == 0)
		rc = writer_hand_over(w);
	if (rc)
		return rc;
	writer_clear_group(w);
	live_group_end(&w->live);
	return emit_aids(w);
}
