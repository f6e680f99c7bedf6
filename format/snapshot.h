/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_SNAPSHOT_H
#define FORMAT_SNAPSHOT_H

/* What is defined at one place of the tape, as a group of SNAPSHOT blocks: so that reading can begin there. */
#include "format/emitter.h"
#include "format/live.h"

/* A snapshot is written at one of these. */
#define SNAPSHOT_BYTES (UINT64_C(64) << 20)         /* of tape */
#define SNAPSHOT_TIME  (UINT64_C(30) * 1000000000u) /* of events */

/* Emits one. `records` is memory to use. 0 or FDTAPE_ERR_MEMORY. */
int snapshot_emit(struct live *live, struct emitter *out, struct record_writer *records);

#endif
