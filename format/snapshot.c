/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/snapshot.h"

/* A block is closed at one of these, and goes on in the next. */
#define BLOCK_FULL   (4u << 20)
#define RECORDS_FULL 65536u

static void emit_block(struct emitter *out, const struct record_writer *records, bool last)
{
	struct block b = {.type = BLOCK_SNAPSHOT, .n_records = records->count};
	size_t begin = emitter_begin(out);

	b.flags = last ? BLOCK_GROUP_END : 0;
	b.dir_len = emitter_directory(out, begin);
	emitter_records(out, &b, &records->bytes);
	emitter_end(out, begin, b, NULL);
}

int snapshot_emit(struct live *live, struct emitter *out, struct record_writer *records)
{
	size_t n;
	int rc = live_list(live, &n);

	if (rc)
		return rc;
	emitter_group(out, 0, 0);
	record_writer_clear(records);
	for (size_t i = 0; i < n; i++) {
		if (records->bytes.len >= BLOCK_FULL || records->count >= RECORDS_FULL) {
			emit_block(out, records, false);
			record_writer_clear(records);
		}
		record_put(records, live_item(live, i), i, 0);
	}
	emit_block(out, records, true);
	record_writer_clear(records);
	return out->out.failed ? FDTAPE_ERR_MEMORY : 0;
}
