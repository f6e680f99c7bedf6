/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_AHEAD_H
#define FORMAT_AHEAD_H

/* Reading ahead in a thread (fdtape_reader_ahead()). See ahead.c. */
#include <stdbool.h>

#include <fdtape/reader.h>

struct ahead;

/* From now on the reader is the thread's alone, until ahead_free(). Nothing was read from it yet. NULL: no memory, or no
 * thread. */
struct ahead *ahead_new(struct fdtape_reader *reader);
/* As fdtape_reader_next(). */
int ahead_next(struct ahead *ahead, struct fdtape_item *item);
/* What the reader would answer if it stood where ahead_next() stands. */
const char *ahead_message(const struct ahead *ahead);
const struct fdtape_meta *ahead_meta(const struct ahead *ahead, size_t index);
bool ahead_section(const struct ahead *ahead, struct fdtape_section_info *info);
void ahead_stats(const struct ahead *ahead, struct fdtape_reader_stats *stats);
/* Ends the thread, when it comes back from the source. NULL is fine. */
void ahead_free(struct ahead *ahead);

#endif
