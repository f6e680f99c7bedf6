/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_SECTION_H
#define FORMAT_SECTION_H

/* The head of a section: SECTION. */
#include <fdtape/reader.h>
#include <fdtape/writer.h>

#include "format/block.h"
#include "format/diag.h"

#define FORMAT_MAJOR 1
#define FORMAT_MINOR 2

/* Of a SECTION block, stored: smaller than other blocks, because a search for a section hashes each candidate. */
#define SECTION_LEN_MAX (256u << 10)

struct section {
	struct fdtape_section_info info;
	uint64_t salt;
	struct bytebuf body; /* what `meta` points to */
	struct fdtape_meta *meta;
	size_t n_meta;
	size_t cap_meta;
};

/* Appends the block. FDTAPE_ERR_USAGE: the properties are too long. */
int section_emit(struct bytebuf *out, const struct fdtape_writer_options *options, const uint8_t uuid[16],
                 uint64_t salt);
/* The salt of the section that begins with this block. */
uint64_t section_salt(const struct block *b);
/* Decodes the block. On an error *s is what it was or empty. */
int section_decode(struct section *s, const struct block *b, struct diag *diag);
void section_release(struct section *s);

#endif
