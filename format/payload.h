/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_PAYLOAD_H
#define FORMAT_PAYLOAD_H

/* The bytes that a group's events carried, in PAYLOAD and PAYLOAD_RAW blocks, which are also called frames: packing
 * and finding them. See payload_pack.c. */
#include <zstd.h>

#include <fdtape/types.h>

#include "format/block.h"
#include "format/choice.h"
#include "format/diag.h"
#include "format/idmap.h"

#define PAYLOAD_FRAME (256u << 10) /* a frame is closed when it holds as many bytes */

struct emitter;
struct packer;

struct packer *packer_new(int level);
void packer_free(struct packer *p);
/* Where an event's bytes are in the arena, and what they look like. */
struct payload_at {
	uint32_t offset;
	bool random;
};

bool payload_looks_random(const uint8_t *data, size_t len);
/* Emits the blocks. The captured bytes of events[i] are at arena[at[i].offset]. 0 or FDTAPE_ERR_MEMORY. */
int packer_pack(struct packer *p, struct emitter *out, const struct fdtape_event *events, const struct payload_at *at,
                size_t n, const uint8_t *arena);

/* Successive bytes of one direction of one flow, in one frame. */
struct run {
	uint64_t start; /* how many bytes of the same direction of the flow come before it in the group */
	uint64_t bytes;
	uint32_t at; /* in the decoded frame */
	uint32_t frame;
	uint32_t next; /* run of the same direction of the flow, or IDMAP_NONE */
};

struct frame {
	struct bytebuf stored;
	struct bytebuf raw;
	const uint8_t *data; /* NULL until it is decoded */
	uint32_t raw_len;
	uint64_t block;
	uint64_t offset;
	bool zstd;
	bool bad;
};

struct finder {
	struct frame *frames;
	size_t n_frames;
	size_t cap_frames; /* those past n_frames keep their memory for the next group */
	struct run *runs;
	size_t n_runs;
	size_t cap_runs;
	struct idmap flows;
	struct finder_flow {
		uint32_t first[2]; /* run */
		uint32_t last[2];
		uint64_t taken[2]; /* bytes that the events so far have used up */
	} * by_flow;
	size_t cap_flows;
};

void finder_clear(struct finder *f);
void finder_release(struct finder *f);
/* Whether any of a block's runs is of a chosen flow; also if they are not as they must be, which finder_add() says. */
bool finder_wants(struct span directory, uint32_t n_runs, const struct choice *choice);
/* Keeps a block of payload, if any of it is of a chosen flow. `directory` begins with the runs. */
int finder_add(struct finder *f, const struct block *b, struct span directory, const struct choice *choice,
               struct diag *diag);
/* The bytes of the next event of its flow and direction to e->data; when they are not there, e->captured is made 0
 * and *missing set. FDTAPE_ERR_DAMAGED: their frame can't be decoded; said once for each frame, call again. */
int finder_take(struct finder *f, ZSTD_DCtx *zstd, struct fdtape_event *e, bool *missing, struct diag *diag);
/* The bytes of the next event of its flow and direction are not wanted. */
void finder_pass(struct finder *f, const struct fdtape_event *e);

#endif
