/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_WALKER_H
#define FORMAT_WALKER_H

/* From the input to its sound blocks, in order, past everything that is damaged. See walker.c. */
#include <fdtape/reader.h>

#include "format/block.h"
#include "format/diag.h"
#include "format/window.h"

struct walker {
	struct window window;
	struct diag *diag;
	struct fdtape_reader_stats *stats;

	uint64_t salt; /* of the section */
	uint64_t seq;  /* of the block that should come next */
	bool in_section;
	bool cut;        /* the input ended within a block, or it is not known to be whole */
	size_t held;     /* extent of the block given last: it stays in the window until the next call */
	uint64_t wasted; /* bytes hashed for blocks that were not sound */

	/* Of an input of `size`: says by header and directory whether a block is wanted. Of one that is not, no more is
	 * read, and its hash is not checked. NULL: all are. */
	bool (*wants)(const void *context, const struct block *b);
	const void *wants_context;
	uint64_t behind; /* where the next block is, behind one of which only the directory was read; 0: it was not */
};

/* The next block: 1; its stored bytes (of one that is not wanted, the directory) are valid until the next call. 0: the
 * input has no more. Otherwise an error that is said to the diag: FDTAPE_ERR_DAMAGED, then call again; every other one
 * is final. */
int walker_next(struct walker *w, struct block *b);

/* Goes to the place of a block of the section that should be there. Needs an input of `size`. */
void walker_seek(struct walker *w, uint64_t offset, uint64_t seq);
/* The block with this number, which should be at `offset` of the input: 1; 0: there is no such block that is sound,
 * and nothing is said. */
int walker_at(struct walker *w, uint64_t offset, uint64_t seq, struct block *b);

#endif
