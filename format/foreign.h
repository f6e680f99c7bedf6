/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_FOREIGN_H
#define FORMAT_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* What the beginning of something that is no tape looks like, e.g. "a pcapng file". */
const char *foreign_name(const uint8_t *data, size_t len);

#endif
