/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_GUIDE_H
#define FORMAT_GUIDE_H

/* The shortest way through a section for a choice, by its INDEX blocks. See guide.c. */
#include "format/choice.h"
#include "format/index.h"
#include "format/places.h"
#include "format/walker.h"

enum guide_step_kind {
	GUIDE_BLOCK,     /* read this block */
	GUIDE_GROUP_END, /* all that is wanted of the group was read */
	GUIDE_SKIPPED,   /* `groups` groups were passed (or more: from 2 on it does not matter) */
	GUIDE_END,       /* go on at this place without a guide */
};

struct guide_step {
	enum guide_step_kind kind;
	uint64_t offset; /* in the section */
	uint64_t seq;
	uint32_t groups;
	bool meets; /* GUIDE_GROUP_END: the group has something of a chosen flow, read or not */
};

struct guide_index; /* what is remembered of an INDEX */

struct guide {
	struct walker *walker;
	ZSTD_DCtx *zstd;
	const struct choice *choice;
	struct fdtape_reader_stats *stats;
	uint64_t begin; /* of the section in the input */
	uint64_t end;

	struct guide_index *indexes; /* in the order of the tape */
	size_t n_indexes;
	size_t cap_indexes;
	size_t at; /* the INDEX whose turn it is */
	bool led;  /* to the end */

	/* The INDEX at hand. */
	struct index_head head;
	struct bytebuf body;
	struct index_cursor cursor;
	bool open;
	struct index_entry *group; /* the entries of a group */
	size_t n_group;
	size_t cap_group;

	/* What must be read to know what is in force, if it has to be known. */
	struct guide_step *behind;
	size_t n_behind;
	size_t cap_behind;
	size_t snapshot; /* where in `behind` an incomplete snapshot begins */

	struct guide_step *steps; /* to be taken */
	size_t n_steps;
	size_t cap_steps;
	size_t taken;
};

/* Makes the way through the section. 1: done; 0: its index does not help; or an error of the source. */
int guide_begin(struct guide *g, const struct place *place);
/* The next step: 1; 0: the index turned out wrong; or an error of the source. */
int guide_next(struct guide *g, struct guide_step *step);
void guide_release(struct guide *g);

#endif
