/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_READER_STATE_H
#define FORMAT_READER_STATE_H

/* What a reader is: shared by reader.c (opening it, asking it) and reader_next.c (reading). */
#include <fdtape/reader.h>

#include "format/ahead.h"
#include "format/choice.h"
#include "format/group.h"
#include "format/guide.h"
#include "format/live.h"
#include "format/section.h"
#include "format/walker.h"

struct fdtape_reader {
	struct diag diag;
	struct fdtape_reader_stats stats;
	struct walker walker;
	struct section section;
	struct group group;
	struct reader_fd { /* fdtape_reader_open_fd() */
		int fd;
		uint64_t begin;
	} fd;

	struct block block; /* that the walker gave, while `held` */
	bool begun;         /* the input was looked at */
	bool held;          /* `block` is not dealt with yet */
	bool giving;        /* the group gives its items */
	bool footer;        /* the section's footer was seen */
	bool unended;       /* that the section has none was said */

	/* To compare with the footer. */
	uint64_t section_begin; /* in the input */
	uint64_t section_size;  /* of its SECTION block */
	struct fdtape_totals seen;
	bool damaged;  /* something of the section is missing, and that was said */
	bool redacted; /* or left out on purpose */

	/* With a choice. */
	struct choice choice;
	struct live live;
	size_t n_live;       /* definitions in force that are to be given */
	size_t given_live;   /* of them */
	uint64_t renewed;    /* definitions that were given anew in the section */
	bool gap;            /* a group was passed since the last one that was given */
	bool chosen;         /* the group at hand is */
	bool secrets;        /* those of the group at hand are given */
	uint64_t last_group; /* first block of the group that was given last */
	uint64_t snapshot;   /* block_seq that the next block of a snapshot must have */
	struct bytebuf snapshot_body;
	struct places places;
	bool placed; /* they were looked for */
	struct guide guide;
	bool guided;
	/* The index was wrong; the section is read once more. */
	uint64_t resume;       /* first group that was not given */
	uint64_t doubt;        /* block that was not where the index says */
	uint64_t doubt_offset; /* which is here */

	bool at_end;       /* of the input */
	struct diag early; /* why that is early; no text: it is not */

	int final; /* an error that stays, and its errno */
	int final_errno;

	/* Of who reads; all else is the thread's while there is one. */
	bool wants_ahead; /* fdtape_reader_ahead() */
	struct ahead *ahead;
};

/* The next item, as fdtape_reader_next(); what is final is not remembered. */
int reader_next(struct fdtape_reader *r, struct fdtape_item *item);
/* The same, and it is; there is always a message. */
int reader_give(struct fdtape_reader *r, struct fdtape_item *item);
struct fdtape_reader_stats reader_stats(const struct fdtape_reader *r);

#endif
