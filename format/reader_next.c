/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * The walker gives sound blocks; blocks of one group are collected until the group is complete, then the group gives
 * its items. Damage is said when it is met, before the items of the group that it belongs to. A group that is not
 * completed, because its end is lost, still gives its records (definitions, secrets, losses).
 *
 * With a choice, the definitions that are in force are kept (live.h), so that they can be given before a group that is
 * chosen. Where the input allows it, a guide says which blocks to read, in place of the walker going through them all;
 * everything else is the same. If the guide leads astray, the section is walked from its beginning, and what was given
 * already is not given again.
 */
#include "format/reader_state.h"

#include <inttypes.h>

#include "format/foreign.h"

/* The input must begin with a SECTION. */
static int look(struct fdtape_reader *r)
{
	struct window *in = &r->walker.window;
	int rc = window_fill(in, BLOCK_HEADER);
	size_t len = in->len < BLOCK_MAGIC_LEN ? in->len : BLOCK_MAGIC_LEN;

	if (rc)
		return rc;
	r->begun = true;
	if (in->len == 0)
		return diag_say(&r->diag, FDTAPE_ERR_NOT_A_TAPE, "not a tape: it is empty");
	if (memcmp(in->data, BLOCK_MAGIC, len) != 0)
		return diag_say(&r->diag, FDTAPE_ERR_NOT_A_TAPE, "not a tape: it looks like %s",
		                foreign_name(in->data, in->len < BLOCK_HEADER ? in->len : BLOCK_HEADER));
	return 0;
}

/* Definitions are given anew before a chosen group; no honest tape has so many groups with so many of them. */
#define RENEWED_MAX (UINT64_C(1) << 24)

static int renew(struct fdtape_reader *r)
{
	bool said = r->renewed > RENEWED_MAX;

	r->renewed += r->live.count;
	if (r->renewed <= RENEWED_MAX)
		return live_list(&r->live, &r->n_live);
	r->renewed = RENEWED_MAX + 1;
	return said ? 0
	            : diag_say(&r->diag, FDTAPE_ERR_LIMIT, "more than %" PRIu64 " definitions to give anew",
	                       RENEWED_MAX);
}

/* The group gives what it has. With a choice, it is decided what of it that is. */
static int give_group(struct fdtape_reader *r)
{
	struct group *g = &r->group;
	bool again = g->first_seq < r->resume;
	bool chosen;
	int rc = 0;

	r->giving = true;
	r->redacted = r->redacted || g->redacted;
	if (!r->choice.made)
		return 0;
	g->meets = g->meets || !r->choice.flows;
	chosen = g->meets && g->overlaps;
	r->chosen = chosen && !again;
	r->secrets = g->meets && g->early && !again;
	r->n_live = 0;
	r->given_live = 0;
	if (r->chosen && r->gap)
		rc = renew(r);
	r->gap = !chosen;
	if (!r->chosen)
		g->n_events = 0;
	if (g->first_seq > r->last_group)
		r->last_group = g->first_seq;
	return rc;
}

static int complete_group(struct fdtape_reader *r)
{
	r->stats.groups++;
	r->seen.groups++;
	return give_group(r);
}

static void end_group(struct fdtape_reader *r)
{
	if (r->choice.made)
		live_group_end(&r->live);
	r->seen.records += group_other_records(&r->group);
	r->giving = false;
	group_clear(&r->group);
}

/* Lets the group give what it has, though its end is not there: FDTAPE_ERR_DAMAGED if that was not said yet. */
static int give_up_group(struct fdtape_reader *r)
{
	int rc = give_group(r);

	if (rc || r->group.hurt)
		return rc;
	return diag_block(&r->diag, FDTAPE_ERR_DAMAGED, "the group that began with block %" PRIu64 " has no end",
	                  r->group.first_seq);
}

/* ---- items ----------------------------------------------------------------- */

/* Takes a definition into those in force. */
static int define(struct fdtape_reader *r, const struct fdtape_item *item)
{
	int rc;

	if (item->type == FDTAPE_ITEM_FLOW && !choice_has_flow(&r->choice, item->flow.id))
		return 0;
	rc = live_put(&r->live, item, NULL);
	if (rc == FDTAPE_ERR_LIMIT)
		return diag_say(&r->diag, rc, "more than %u definitions, or %u bytes of them, are in force", LIVE_MAX,
		                LIVE_BYTES_MAX);
	return rc;
}

static bool is_chosen(const struct fdtape_reader *r, const struct fdtape_item *item)
{
	if (item->type == FDTAPE_ITEM_SECRET)
		return r->secrets;
	if (item->type == FDTAPE_ITEM_FLOW && !choice_has_flow(&r->choice, item->flow.id))
		return false;
	return r->chosen;
}

/* The next item of the group: 1; 0 when there is none; otherwise an error. */
static int give_item(struct fdtape_reader *r, struct fdtape_item *item)
{
	int rc;

	if (r->choice.made && r->given_live < r->n_live) {
		*item = *live_item(&r->live, r->given_live++);
		return 1;
	}
	while ((rc = group_next(&r->group, item)) > 0) {
		if (!r->choice.made) {
			totals_count(&r->seen, item);
			return 1;
		}
		rc = define(r, item);
		if (rc)
			return rc;
		if (is_chosen(r, item))
			return 1;
	}
	return rc;
}

/* ---- the guide ------------------------------------------------------------- */

/* Behind the head of a section: looks whether its index helps. */
static int seek_guide(struct fdtape_reader *r)
{
	struct places *places = &r->places;
	struct window *in = &r->walker.window;
	const struct place *place = NULL;
	int rc = 0;

	if (!r->choice.made || in->size == 0)
		return 0;
	if (!r->placed)
		rc = places_find(places, in);
	r->placed = true;
	for (size_t i = 0; i < places->n && rc == 0; i++)
		if (places->place[i].begin == r->section_begin && places->place[i].index > 0)
			place = &places->place[i];
	if (rc || !place)
		return rc;
	rc = guide_begin(&r->guide, place);
	r->guided = rc > 0;
	if (rc == 0)
		walker_seek(&r->walker, r->section_begin + r->section_size, 1);
	return rc < 0 ? rc : 0;
}

/* The guide leads no further: the section is read from its beginning. */
static void lose_guide(struct fdtape_reader *r)
{
	r->guided = false;
	r->resume = r->last_group + 1;
	r->gap = false;
	group_clear(&r->group);
	live_clear(&r->live);
	walker_seek(&r->walker, r->section_begin + r->section_size, 1);
}

/* Takes one step: 0, or an error of the source. */
static int follow_guide(struct fdtape_reader *r)
{
	struct guide_step step;
	uint64_t offset;
	int rc = guide_next(&r->guide, &step);

	if (rc == 0)
		lose_guide(r);
	if (rc <= 0)
		return rc;
	offset = r->section_begin + step.offset;
	switch (step.kind) {
	case GUIDE_BLOCK:
		rc = walker_at(&r->walker, offset, step.seq, &r->block);
		r->held = rc > 0;
		if (rc == 0) {
			r->doubt = step.seq;
			r->doubt_offset = offset;
			lose_guide(r);
		}
		return rc < 0 ? rc : 0;
	case GUIDE_GROUP_END:
		if (!r->group.begun)
			return 0;
		r->group.meets = r->group.meets || step.meets;
		return complete_group(r);
	case GUIDE_SKIPPED:
		r->gap = true;
		for (uint32_t i = 0; i < step.groups; i++)
			live_group_end(&r->live);
		return 0;
	case GUIDE_END:
		r->guided = false;
		walker_seek(&r->walker, offset, step.seq);
		return 0;
	}
	return 0;
}

/* Says that the index was wrong, when the block is met that it was wrong about, and is sound. */
static int settle_doubt(struct fdtape_reader *r)
{
	uint64_t offset = r->walker.window.offset;

	if (r->doubt == 0 || r->block.type == BLOCK_SECTION || r->block.seq != r->doubt)
		return 0;
	r->doubt = 0;
	if (offset == r->doubt_offset)
		return 0;
	return diag_block(&r->diag, FDTAPE_ERR_DAMAGED, "the index says that it is at offset %" PRIu64,
	                  r->doubt_offset);
}

/* ---- blocks ---------------------------------------------------------------- */

static int take_section(struct fdtape_reader *r, struct fdtape_item *item)
{
	int rc;

	if (r->stats.sections > 0 && !r->footer && !r->unended) {
		r->unended = true;
		return diag_block(&r->diag, FDTAPE_ERR_DAMAGED,
		                  "a new section, but the one before has no footer: its recorder was interrupted");
	}
	r->held = false;
	rc = section_decode(&r->section, &r->block, &r->diag);
	if (rc == FDTAPE_ERR_DAMAGED)
		r->walker.in_section = false;
	if (rc)
		return rc;
	r->stats.sections++;
	r->footer = false;
	r->unended = false;
	r->section_begin = r->walker.window.offset;
	r->section_size = r->walker.held;
	r->seen = (struct fdtape_totals){0};
	r->damaged = false;
	r->redacted = false;
	r->gap = false;
	r->last_group = 0;
	r->resume = 0;
	r->doubt = 0;
	r->snapshot = 0;
	r->renewed = 0;
	live_clear(&r->live);
	item->type = FDTAPE_ITEM_SECTION;
	rc = seek_guide(r);
	return rc ? rc : 1;
}

/* What the footer says must be what was read; only of a section that was read whole can that be said. */
static int check_footer(struct fdtape_reader *r)
{
	struct fdtape_totals totals;
	uint64_t index;

	if (r->choice.made)
		return 0;
	totals_load(r->block.stored, &index, &totals);
	r->seen.bytes = r->walker.window.offset - r->section_begin;
	return totals_check(&totals, &r->seen, r->redacted, &r->diag);
}

static int take_footer(struct fdtape_reader *r, struct fdtape_item *item)
{
	int rc;

	if (r->block.stored_len != TOTALS_SIZE || r->block.raw_len != TOTALS_SIZE) {
		r->held = false;
		return diag_block(&r->diag, FDTAPE_ERR_DAMAGED,
		                  "a footer of %" PRIu32 " bytes, %" PRIu32 " when decoded; it should have %u",
		                  r->block.stored_len, r->block.raw_len, TOTALS_SIZE);
	}
	/* The end itself comes with the next call. */
	rc = r->damaged ? 0 : check_footer(r);
	if (rc)
		return rc;
	r->held = false;
	r->footer = true;
	item->type = FDTAPE_ITEM_END;
	return 1;
}

/* A block of a type that this build does not know. */
static int take_unknown(struct fdtape_reader *r)
{
	r->held = false;
	r->redacted = true;
	if (r->block.flags & BLOCK_CRITICAL)
		return diag_block(&r->diag, FDTAPE_ERR_UNSUPPORTED,
		                  "needs blocks of type %u, which this build does not know", r->block.type);
	return r->group.begun && r->block.flags & BLOCK_GROUP_END ? complete_group(r) : 0;
}

static int take_group_block(struct fdtape_reader *r)
{
	struct group *g = &r->group;
	uint64_t first_seq;
	int rc = group_of(&r->block, &first_seq, &r->diag);
	int complete = 0;

	if (rc == 0 && g->begun && first_seq != g->first_seq)
		return give_up_group(r);
	r->held = false;
	if (rc == 0) {
		g->begun = true;
		g->first_seq = first_seq;
		rc = group_add(g, &r->block);
		if (block_ends_group(&r->block))
			complete = complete_group(r);
	}
	if (rc)
		g->hurt = true;
	return rc ? rc : complete;
}

static int take_definitions(struct fdtape_reader *r)
{
	struct bytebuf *body = &r->snapshot_body;
	const struct block *b = &r->block;
	struct record_cursor cursor;
	int rc;

	bytebuf_clear(body);
	if (!bytebuf_reserve(body, b->raw_len + 1u))
		return FDTAPE_ERR_MEMORY;
	if (!codec_take(r->group.zstd, b->flags & BLOCK_RAW, body->data, b->raw_len, block_body(b)))
		return diag_block(&r->diag, FDTAPE_ERR_DAMAGED, "body does not decode to %" PRIu32 " bytes",
		                  b->raw_len);
	record_cursor_begin(&cursor, span_of(body->data, b->raw_len), b->n_records, RECORDS_OF_SNAPSHOT);
	while ((rc = record_cursor_next(&cursor)) > 0) {
		rc = define(r, &cursor.item);
		if (rc)
			return rc;
	}
	return rc ? diag_block(&r->diag, rc, "record %" PRIu64 ", or the one behind it, is not one", cursor.ordinal)
	          : 0;
}

/* Who reads all has seen what a snapshot says. */
static int take_snapshot(struct fdtape_reader *r)
{
	uint64_t first_seq;
	int rc = group_of(&r->block, &first_seq, &r->diag);

	r->held = false;
	if (rc || !r->choice.made)
		return rc;
	if (r->block.seq == first_seq)
		live_begin_snapshot(&r->live);
	else if (r->block.seq != r->snapshot)
		return 0; /* that a part is missing was said */
	rc = take_definitions(r);
	if (rc)
		return rc;
	r->snapshot = r->block.seq + 1;
	if (r->block.flags & BLOCK_GROUP_END)
		live_end_snapshot(&r->live);
	return 0;
}

static bool is_between_groups(uint16_t type)
{
	return type == BLOCK_SECTION || type == BLOCK_SNAPSHOT || type == BLOCK_INDEX || type == BLOCK_FOOTER;
}

static bool is_known(uint16_t type)
{
	return is_between_groups(type) || block_is_of_group(type);
}

/* Deals with the block: 1: it gave an item; 0: go on (it is still held, if the group before must be given first). */
static int take_block(struct fdtape_reader *r, struct fdtape_item *item)
{
	uint16_t type = r->block.type;

	if (r->group.begun && is_between_groups(type))
		return give_up_group(r);
	if (type == BLOCK_SECTION)
		return take_section(r, item);
	if (r->footer) {
		r->held = false;
		return diag_block(&r->diag, FDTAPE_ERR_DAMAGED, "a block of type %u behind the footer", type);
	}
	if (!is_known(type))
		return take_unknown(r);
	switch (type) {
	case BLOCK_FOOTER:
		return take_footer(r, item);
	case BLOCK_SNAPSHOT:
		return take_snapshot(r);
	case BLOCK_INDEX:
		r->held = false;
		return 0;
	default:
		return take_group_block(r);
	}
}

/* Remembers why the input's end is early, if it is; what the last group has is given before that is said. */
static int meet_end(struct fdtape_reader *r)
{
	r->at_end = true;
	r->early = r->diag;
	if (!r->walker.cut && r->group.begun)
		diag_block(&r->early, 0, "the input ends within the group that began with block %" PRIu64,
		           r->group.first_seq);
	else if (!r->walker.cut && r->walker.in_section && !r->footer)
		diag_say(&r->early, 0, "no footer: the recorder was interrupted");
	else if (!r->walker.cut)
		r->early.text[0] = 0;
	return r->group.begun ? give_group(r) : 0;
}

/* Reads the next block, or meets the end: 0, or an error. */
static int read_block(struct fdtape_reader *r)
{
	int rc;

	if (r->guided)
		return follow_guide(r);
	rc = walker_next(&r->walker, &r->block);
	if (rc < 0) {
		r->group.hurt = true;
		return rc;
	}
	r->held = rc > 0;
	return r->held ? settle_doubt(r) : meet_end(r);
}

int reader_next(struct fdtape_reader *r, struct fdtape_item *item)
{
	int rc;

	if (!r->begun) {
		rc = look(r);
		if (rc)
			return rc;
		group_clear(&r->group);
	}
	for (;;) {
		if (r->giving) {
			rc = give_item(r, item);
			if (rc)
				return rc;
			end_group(r);
		}
		if (r->at_end) {
			if (!r->early.text[0])
				return 0;
			r->diag = r->early;
			r->early.text[0] = 0;
			return FDTAPE_ERR_TRUNCATED;
		}
		if (r->held)
			rc = take_block(r, item);
		else
			rc = read_block(r);
		if (rc)
			return rc;
	}
}
