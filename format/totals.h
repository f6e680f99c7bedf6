/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_TOTALS_H
#define FORMAT_TOTALS_H

/* What a section holds in all: counted while writing and while reading, kept in INDEX and FOOTER. */
#include "format/block.h"
#include "format/diag.h"

#include <fdtape/types.h>

/* A number of 8 bytes (the INDEX before), the totals, and room for more: so a FOOTER has always the same size, and
 * is found from the end of the input. */
#define TOTALS_SIZE 512u
#define FOOTER_SIZE (BLOCK_HEADER + TOTALS_SIZE)

/* All but groups, bytes, flows and processes. */
void totals_count(struct fdtape_totals *t, const struct fdtape_item *item);
/* Adds those of a further section. */
void totals_add(struct fdtape_totals *t, const struct fdtape_totals *more);

void totals_append(struct bytebuf *to, uint64_t index, const struct fdtape_totals *t);
void totals_load(const uint8_t from[TOTALS_SIZE], uint64_t *index, struct fdtape_totals *t);
/* Compares what was counted with what the footer says: 0, or FDTAPE_ERR_DAMAGED that is said. `redacted`: secrets were
 * dropped. */
int totals_check(const struct fdtape_totals *footer, const struct fdtape_totals *seen, bool redacted,
                 struct diag *diag);

/* Appends a FOOTER; `index` is the offset of the last INDEX in the section, 0: none. */
void footer_emit(struct bytebuf *out, uint64_t index, const struct fdtape_totals *totals, uint64_t seq, uint64_t salt);

#endif
