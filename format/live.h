/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_LIVE_H
#define FORMAT_LIVE_H

/*
 * The definitions that are in force at one place of a tape: the latest clock, the latest image of each process, the
 * latest name of each of its threads, the latest definition of each flow that is open. The writer keeps them for its
 * snapshots; a reader that does not begin at the beginning, for what it has to give first.
 *
 * What ended (a flow that is closed, a process that exited) stays for one more group, because the events of its end
 * may come behind the definition.
 */
#include "format/records.h"

#define LIVE_MAX       (1u << 20)  /* definitions */
#define LIVE_BYTES_MAX (64u << 20) /* of their records */

struct live_entry;

struct live_key {
	uint64_t id;
	uint32_t type;
};

struct live {
	struct live_entry **buckets;
	size_t n_buckets; /* a power of two */
	size_t count;
	size_t bytes;
	uint32_t epoch;              /* of the snapshot that was taken in last */
	size_t fresh;                /* definitions that are not older than that */
	struct live_key *leaving[2]; /* what ended in the group at hand, and in the one before */
	size_t n_leaving[2];
	size_t cap_leaving[2];

	const struct live_entry **listed; /* live_list() */
	size_t cap_listed;
	struct record_writer scratch;
	struct record_cursor cursor;
};

/* Takes in a definition; other items are ignored, and threads of processes that are not there. *is_new, unless NULL:
 * there was none of the same before. 0, FDTAPE_ERR_MEMORY, or FDTAPE_ERR_LIMIT: it was not taken in. */
int live_put(struct live *l, const struct fdtape_item *item, bool *is_new);
/* The process will not be in the snapshots after the next group. */
int live_exit(struct live *l, uint32_t pid);
void live_group_end(struct live *l);

/* What is put in between replaces all that was there. */
void live_begin_snapshot(struct live *l);
void live_end_snapshot(struct live *l);

/* Makes a list of all: clock, processes by pid, flows by id, threads by pid and tid; how many there are to *n. It holds
 * until the next change. */
int live_list(struct live *l, size_t *n);
/* The definition with this number in the list. Its strings are valid until the next change. */
const struct fdtape_item *live_item(struct live *l, size_t index);

void live_clear(struct live *l);
void live_release(struct live *l);

#endif
