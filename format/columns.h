/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_COLUMNS_H
#define FORMAT_COLUMNS_H

/* The directory and body of an EVENTS block: events as columns. */
#include "format/codec.h"
#include "format/diag.h"
#include "format/flowlist.h"
#include "format/model.h"

#define EVENTS_MAX  65536u /* in a block, and so in a group */
#define COLUMNS_MAX 64u    /* ids are below */
#define STRIPS      4u     /* of a column */
#define STRIP_BITS  3u     /* the one that holds bits, not varints' bytes */

struct columns;

struct columns *columns_new(void);
void columns_free(struct columns *c);

/* Appends the directory's entries and the body. *raw_len: of the body when decoded. `flows`: the list of the events'
 * flows, as it was appended to the directory before. `peers`: by event, the number of its peer; 0: none. */
int columns_encode(struct columns *c, ZSTD_CCtx *zstd, const struct flowlist *flows, const struct fdtape_event *events,
                   const uint32_t *peers, size_t n, struct bytebuf *directory, struct bytebuf *body, uint32_t *raw_len);

/* Decodes a block of n events whose body is raw_len long when decoded; `data` and `peer` of each are NULL, the number
 * of its peer is in `peers`. `directory` begins with the entries, behind `flows`, which flowlist_skip() found to be a
 * list. 0, FDTAPE_ERR_MEMORY, or an error that is said to *diag. */
int columns_decode(struct columns *c, ZSTD_DCtx *zstd, struct span flows, struct span directory, struct span body,
                   uint32_t raw_len, struct fdtape_event *events, uint32_t *peers, size_t n, struct diag *diag);

#endif
