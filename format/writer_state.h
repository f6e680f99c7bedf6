/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_WRITER_STATE_H
#define FORMAT_WRITER_STATE_H

/* What a writer is: shared by writer.c (what is put) and writer_group.c (what is written). */
#include <fdtape/writer.h>

#include "format/columns.h"
#include "format/flowlist.h"
#include "format/payload.h"
#include "format/peers.h"
#include "format/sink_fd.h"
#include "format/snapshot.h"

/* The blocks of records, in the order of their writing. */
enum {
	SECRETS,
	DEFS,
	LOSS,
	N_RECORD_BLOCKS
};

struct fdtape_writer {
	struct fdtape_sink sink;
	struct sink_fd sink_fd; /* fdtape_writer_open_fd() */
	int error;              /* sticky */
	int error_errno;
	bool ended;

	/* What was handed over, whole. */
	uint64_t size;
	uint64_t written_seq;
	uint64_t written_index; /* offset of the last INDEX */
	struct fdtape_totals written;

	struct fdtape_totals totals; /* and with the group so far */
	struct live live;
	bool too_many; /* definitions for a snapshot */
	struct due {
		uint64_t snapshot_bytes, snapshot_time, index_bytes; /* how often */
		uint64_t snapshot_size, snapshot_end, index_size;    /* where and when the last ones were */
	} due;

	struct emitter emitter;
	struct columns *columns;
	struct packer *packer;
	struct bytebuf directory; /* of EVENTS */
	struct bytebuf body;
	struct flowlist flowlist;
	struct bytebuf flows; /* the list of a block */
	struct record_writer snapshot;

	/* The group so far. */
	struct fdtape_event *events;
	struct payload_at *at; /* by event; of `arena` */
	size_t n_events;
	size_t cap_events;
	size_t cap_at;
	uint32_t *peer; /* by event: its number; 0: none */
	size_t cap_peer;
	struct peers peers;
	struct bytebuf arena;
	struct record_writer records[N_RECORD_BLOCKS];
	struct flowlist defined; /* flows */
	bool defined_others;     /* processes, clocks, peers */
	uint64_t n_records;
	uint64_t records_min; /* times of the records */
	uint64_t records_max;
};

/* Forgets the group so far. */
void writer_clear_group(struct fdtape_writer *w);
/* Writes the group so far, if there is any, and what is due behind it. */
int writer_close_group(struct fdtape_writer *w);
/* Emits an INDEX of the blocks since the one before. */
void writer_emit_index(struct fdtape_writer *w);
/* Hands what was emitted to the sink. If that fails on a regular file, the file becomes a sound tape again. */
int writer_hand_over(struct fdtape_writer *w);

#endif
