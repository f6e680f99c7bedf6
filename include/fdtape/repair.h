/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FDTAPE_REPAIR_H
#define FDTAPE_REPAIR_H

/*
 * Makes a sound tape of what is left of one that is damaged or was interrupted. The input is only read.
 */
#include <fdtape/reader.h>
#include <fdtape/writer.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fdtape_repair_flag {
	FDTAPE_REPAIR_DROP_SECRETS = 1u << 0, /* leave the secrets out */
};

/* What was done. */
struct fdtape_repair_report {
	uint64_t sections;
	uint64_t groups;     /* whole or in part */
	uint64_t items;      /* written, without the losses that were added */
	uint64_t secrets;    /* left out */
	uint64_t damages;    /* met: each became a loss record */
	uint64_t lost_bytes; /* of the input */
	uint64_t input_bytes;
	uint64_t output_bytes;
	int truncated;     /* 1: the input ended early */
	char message[320]; /* about the first damage, or about the error returned; "": none */
};

/*
 * Copies every item that can be read, group by group, with the sections' uuids and properties, and ends each section
 * properly; index, snapshots and footer are made anew. For each damage that is met there is a FDTAPE_LOSS_BLOCK:
 * `bytes` the bytes of the input that were lost with it (0: not known), `count` 0, `from` the end of the last event
 * before it and `to` the time of the first behind it, in the section (either of them that of the other when there is
 * none). The result has no damage, and repairing the same input gives the same bytes.
 *
 * Blocks and members of a later minor version of the format, which this build does not know, are not copied.
 *
 * flags: enum fdtape_repair_flag. *report, unless NULL, is filled in any case. 0: done, also if nothing was wrong;
 * FDTAPE_ERR_NOT_A_TAPE, FDTAPE_ERR_UNSUPPORTED; or an error of the source or the sink: the output is of no use then.
 */
FDTAPE_API int fdtape_repair(const struct fdtape_source *source, const struct fdtape_sink *sink, uint32_t flags,
                             struct fdtape_repair_report *report);

#ifdef __cplusplus
}
#endif
#endif
