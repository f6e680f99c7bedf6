/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * First the chain of INDEX blocks is followed from the last one back to the first, and for each it is remembered
 * whether any of its groups is wanted, and whether it has a snapshot. Then those that matter are read again, forward:
 * the wanted ones, and before each of them those back to a snapshot. So memory holds one INDEX at a time.
 *
 * Going forward, what tells which definitions are in force (the last snapshot, and the DEFS blocks since) is only
 * noted, and read when a group is wanted.
 *
 * Whether a group is wanted is decided by the same rules as when the blocks themselves are read. The index is not
 * trusted: each block that it leads to must be sound and have the right number, or the guide gives up.
 */
#include "format/guide.h"

#include <stdlib.h>

/* More are no honest index's. */
#define INDEXES_MAX (1u << 20)
#define BEHIND_MAX  (1u << 20)
/* Nor are bodies of more than this, when decoded, and as much again as the input is long. */
#define BODIES_MAX (UINT64_C(256) << 20)

struct guide_index {
	uint64_t offset; /* in the section */
	uint64_t seq;
	uint64_t first_seq;
	size_t size;
	uint32_t blocks;
	bool groups;   /* has any */
	bool wanted;   /* has a group that is */
	bool snapshot; /* has a whole one */
	bool visit;
};

static bool is_group(const struct index_entry *e)
{
	return block_is_of_group(e->block.type);
}

/* What is wanted of a group. */
struct wish {
	bool group;
	bool secrets;
};

static struct wish judge(const struct guide *g)
{
	const struct choice *choice = g->choice;
	const struct block *first = &g->group[0].block;
	bool meets = !choice->flows;
	bool secrets = false;

	for (size_t i = 0; i < g->n_group; i++) {
		const struct index_entry *e = &g->group[i];

		if (e->block.type == BLOCK_EVENTS || e->block.type == BLOCK_DEFS)
			meets = meets || choice_meets(choice, e->flows);
		secrets = secrets || e->block.type == BLOCK_SECRETS;
	}
	return (struct wish){
	        .group = meets && choice_overlaps(choice, first->ts_min, first->ts_max),
	        .secrets = meets && secrets && first->ts_min <= choice->to,
	};
}

/* Reads an INDEX and makes it the one at hand: 1; 0: it is not there; or an error of the source. */
static int open_index(struct guide *g, uint64_t offset, uint64_t seq, struct block *b)
{
	int rc = walker_at(g->walker, g->begin + offset, seq, b);

	if (rc <= 0)
		return rc;
	if (b->type != BLOCK_INDEX || !index_head(b, &g->head))
		return 0;
	rc = index_body(b, g->zstd, &g->body);
	if (rc)
		return rc == FDTAPE_ERR_MEMORY ? rc : 0;
	index_cursor_begin(&g->cursor, &g->head, &g->body, b->n_records);
	g->open = true;
	g->n_group = 0;
	g->snapshot = SIZE_MAX;
	return 1;
}

/* Takes the next entry, and if it ends a group, leaves that in g->group: 1; a block that is not of a group comes
 * alone. 0: there are no more; negative: the entry is none. */
static int next_group(struct guide *g)
{
	g->n_group = 0;
	while (index_cursor_next(&g->cursor)) {
		const struct index_entry *e = &g->cursor.entry;
		void *group = g->group;

		if (!array_grow(&group, &g->cap_group, g->n_group + 1, sizeof(*g->group)))
			return FDTAPE_ERR_MEMORY;
		g->group = group;
		g->group[g->n_group++] = *e;
		if (!is_group(e) ? g->n_group == 1 : block_ends_group(&e->block))
			return 1;
	}
	return g->cursor.rest.bad ? FDTAPE_ERR_DAMAGED : g->n_group > 0;
}

static int survey(struct guide *g, struct guide_index *index)
{
	int rc;

	while ((rc = next_group(g)) > 0) {
		const struct index_entry *e = &g->group[0];
		struct wish wish;

		index->blocks += (uint32_t)g->n_group;
		if (e->block.type == BLOCK_SNAPSHOT && e->block.flags & BLOCK_GROUP_END)
			index->snapshot = true;
		if (!is_group(e))
			continue;
		wish = judge(g);
		index->groups = true;
		index->wanted = index->wanted || wish.group || wish.secrets;
	}
	return rc;
}

/* Whether there are blocks behind the last INDEX that none tells of. */
static bool has_tail(const struct guide *g)
{
	const struct guide_index *last = &g->indexes[g->n_indexes - 1];

	return g->begin + last->offset + last->size < g->end;
}

/* Which INDEX blocks have to be looked at going forward. */
static void mark_visits(struct guide *g)
{
	bool behind = has_tail(g); /* what is behind needs to know what is in force */

	for (size_t i = g->n_indexes; i-- > 0;) {
		struct guide_index *index = &g->indexes[i];

		index->visit = index->wanted || behind;
		behind = index->wanted || (behind && !index->snapshot);
	}
}

int guide_begin(struct guide *g, const struct place *place)
{
	uint64_t offset = place->index;
	uint64_t seq = 0;
	uint64_t bodies = 0;

	g->begin = place->begin;
	g->end = place->end - (place->footer ? FOOTER_SIZE : 0);
	g->n_indexes = 0;
	g->at = 0;
	g->led = false;
	g->open = false;
	g->n_behind = 0;
	g->n_steps = 0;
	g->taken = 0;
	while (offset > 0) {
		struct guide_index index = {.offset = offset};
		void *indexes = g->indexes;
		uint8_t header[BLOCK_HEADER];
		struct block b;
		int rc;

		if (g->n_indexes >= INDEXES_MAX)
			return 0;
		/* The number of the last one is not known. */
		if (seq == 0) {
			rc = window_read_at(&g->walker->window, g->begin + offset, header, sizeof(header));
			if (rc <= 0 || !block_parse(&b, header, g->walker->salt))
				return rc < 0 ? rc : 0;
			seq = b.seq;
		}
		rc = open_index(g, offset, seq, &b);
		if (rc <= 0)
			return rc;
		bodies += b.raw_len;
		if (bodies > BODIES_MAX + g->walker->window.size)
			return 0;
		index.seq = b.seq;
		index.size = block_size(&b);
		index.first_seq = g->head.first_seq;
		if (g->head.previous >= offset || index.first_seq == 0 || index.first_seq > seq ||
		    (g->head.previous == 0 && index.first_seq != 1))
			return 0;
		rc = survey(g, &index);
		if (rc < 0)
			return rc == FDTAPE_ERR_MEMORY ? rc : 0;
		if (!array_grow(&indexes, &g->cap_indexes, g->n_indexes + 1, sizeof(*g->indexes)))
			return FDTAPE_ERR_MEMORY;
		g->indexes = indexes;
		g->indexes[g->n_indexes++] = index;
		offset = g->head.previous;
		seq = index.first_seq - 1;
	}
	g->open = false;
	for (size_t i = 0; i < g->n_indexes / 2; i++) {
		struct guide_index other = g->indexes[i];

		g->indexes[i] = g->indexes[g->n_indexes - 1 - i];
		g->indexes[g->n_indexes - 1 - i] = other;
	}
	if (g->n_indexes == 0)
		return 0;
	mark_visits(g);
	return 1;
}

static bool add_step(struct guide_step **steps, size_t *n, size_t *cap, struct guide_step step)
{
	void *grown = *steps;

	if (!array_grow(&grown, cap, *n + 1, sizeof(step)))
		return false;
	*steps = grown;
	(*steps)[(*n)++] = step;
	return true;
}

static bool take(struct guide *g, struct guide_step step)
{
	return add_step(&g->steps, &g->n_steps, &g->cap_steps, step);
}

static bool note(struct guide *g, struct guide_step step)
{
	return g->n_behind < BEHIND_MAX && add_step(&g->behind, &g->n_behind, &g->cap_behind, step);
}

static struct guide_step read_entry(const struct index_entry *e)
{
	return (struct guide_step){.kind = GUIDE_BLOCK, .offset = e->offset, .seq = e->block.seq};
}

/* What was noted is read now. */
static bool catch_up(struct guide *g)
{
	for (size_t i = 0; i < g->n_behind; i++)
		if (!take(g, g->behind[i]))
			return false;
	g->n_behind = 0;
	g->snapshot = SIZE_MAX;
	return true;
}

static bool note_skipped(struct guide *g)
{
	struct guide_step *last = g->n_behind ? &g->behind[g->n_behind - 1] : NULL;

	if (last && last->kind == GUIDE_SKIPPED) {
		last->groups = 2;
		return true;
	}
	return note(g, (struct guide_step){.kind = GUIDE_SKIPPED, .groups = 1});
}

static bool note_snapshot(struct guide *g, const struct index_entry *e)
{
	if (g->snapshot == SIZE_MAX)
		g->snapshot = g->n_behind;
	if (!note(g, read_entry(e)))
		return false;
	if (e->block.flags & BLOCK_GROUP_END) {
		/* It replaces all that was noted before; but that something was passed is still to be said. */
		size_t n = g->n_behind - g->snapshot;
		bool passed = g->snapshot > 0;

		if (passed) {
			memmove(g->behind + 1, g->behind + g->snapshot, n * sizeof(*g->behind));
			g->behind[0] = (struct guide_step){.kind = GUIDE_SKIPPED, .groups = 2};
		}
		g->n_behind = n + passed;
		g->snapshot = SIZE_MAX;
	}
	return true;
}

static bool wants(const struct guide *g, const struct index_entry *e, struct wish wish)
{
	switch (e->block.type) {
	case BLOCK_DEFS:
		return !(e->block.flags & BLOCK_FLOWS) || choice_meets(g->choice, e->flows);
	case BLOCK_SECRETS:
		return wish.group || wish.secrets;
	case BLOCK_LOSS:
		return wish.group;
	default:
		return wish.group && choice_meets(g->choice, e->flows);
	}
}

static bool lead_group(struct guide *g)
{
	struct wish wish = judge(g);
	bool now = wish.group || wish.secrets;
	struct guide_step end = {.kind = GUIDE_GROUP_END, .meets = now};
	bool any = false;

	if (now && !catch_up(g))
		return false;
	for (size_t i = 0; i < g->n_group; i++) {
		const struct index_entry *e = &g->group[i];

		if (!wants(g, e, wish)) {
			g->stats->skipped_blocks++;
			continue;
		}
		any = true;
		if (!(now ? take(g, read_entry(e)) : note(g, read_entry(e))))
			return false;
	}
	if (!any)
		return note_skipped(g);
	return now ? take(g, end) : note(g, end);
}

static bool lead_end(struct guide *g)
{
	const struct guide_index *last = &g->indexes[g->n_indexes - 1];
	struct guide_step end = {.kind = GUIDE_END, .offset = last->offset + last->size, .seq = last->seq + 1};

	g->led = true;
	if (has_tail(g) && !catch_up(g))
		return false;
	return take(g, end);
}

/* Makes at least one step to be taken, unless it fails: 1; 0: the index is wrong; or an error of the source. */
static int make_steps(struct guide *g)
{
	g->n_steps = 0;
	g->taken = 0;
	while (g->n_steps == 0) {
		struct guide_index *index = &g->indexes[g->at];
		struct block b;
		int rc;

		if (g->led)
			return 0;
		if (g->at == g->n_indexes) {
			if (!lead_end(g))
				return FDTAPE_ERR_MEMORY;
			break;
		}
		if (!index->visit) {
			g->stats->skipped_blocks += index->blocks;
			if (index->groups && !note_skipped(g))
				return FDTAPE_ERR_MEMORY;
			g->at++;
			continue;
		}
		if (!g->open) {
			rc = open_index(g, index->offset, index->seq, &b);
			if (rc <= 0)
				return rc;
		}
		rc = next_group(g);
		if (rc < 0)
			return rc == FDTAPE_ERR_MEMORY ? rc : 0;
		if (rc == 0) {
			g->open = false;
			g->at++;
			continue;
		}
		if (is_group(&g->group[0])) {
			if (!lead_group(g))
				return FDTAPE_ERR_MEMORY;
		} else if (g->group[0].block.type == BLOCK_SNAPSHOT) {
			if (!note_snapshot(g, &g->group[0]))
				return FDTAPE_ERR_MEMORY;
		}
	}
	return 1;
}

int guide_next(struct guide *g, struct guide_step *step)
{
	if (g->taken == g->n_steps) {
		int rc = make_steps(g);

		if (rc <= 0)
			return rc;
	}
	*step = g->steps[g->taken++];
	return 1;
}

void guide_release(struct guide *g)
{
	free(g->indexes);
	free(g->group);
	free(g->behind);
	free(g->steps);
	bytebuf_release(&g->body);
}
