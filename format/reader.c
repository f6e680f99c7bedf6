/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * The walker gives sound blocks; blocks of one group are collected until the group is complete, then the group gives
 * its items. Damage is said when it is met, before the items of the group that it belongs to. A group that is not
 * completed, because its end is lost, still gives its records (definitions, secrets, losses).
 */
#include <fdtape/reader.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/foreign.h"
#include "format/group.h"
#include "format/section.h"
#include "format/walker.h"

struct fdtape_reader {
	struct diag diag;
	struct fdtape_reader_stats stats;
	struct walker walker;
	struct section section;
	struct group group;
	int fd; /* fdtape_reader_open_fd() */

	struct block block; /* that the walker gave, while `held` */
	bool begun;         /* the input was looked at */
	bool held;          /* `block` is not dealt with yet */
	bool giving;        /* the group gives its items */
	bool footer;        /* the section's footer was seen */
	bool unended;       /* that the section has none was said */

	bool at_end;       /* of the input */
	struct diag early; /* why that is early; no text: it is not */

	int final; /* an error that stays, and its errno */
	int final_errno;
};

static int64_t source_fd_read(void *context, void *buffer, size_t len)
{
	const struct fdtape_reader *r = context;
	ssize_t n;

	do
		n = read(r->fd, buffer, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? FDTAPE_ERR_SYSTEM : n;
}

static struct fdtape_reader *new_reader(void)
{
	struct fdtape_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	if (!group_init(&r->group, &r->diag)) {
		fdtape_reader_free(r);
		return NULL;
	}
	r->walker.diag = &r->diag;
	r->walker.stats = &r->stats;
	return r;
}

int fdtape_reader_open(struct fdtape_reader **reader, const struct fdtape_source *source)
{
	struct fdtape_reader *r;

	if (!reader || !source || !source->read)
		return FDTAPE_ERR_USAGE;
	r = new_reader();
	if (!r)
		return FDTAPE_ERR_MEMORY;
	window_of_source(&r->walker.window, source);
	*reader = r;
	return 0;
}

int fdtape_reader_open_fd(struct fdtape_reader **reader, int fd)
{
	struct fdtape_reader *r;

	if (!reader || fd < 0)
		return FDTAPE_ERR_USAGE;
	r = new_reader();
	if (!r)
		return FDTAPE_ERR_MEMORY;
	r->fd = fd;
	window_of_source(&r->walker.window, &(struct fdtape_source){.read = source_fd_read, .context = r});
	*reader = r;
	return 0;
}

int fdtape_reader_open_memory(struct fdtape_reader **reader, const void *data, size_t len)
{
	struct fdtape_reader *r;

	if (!reader || (!data && len > 0))
		return FDTAPE_ERR_USAGE;
	r = new_reader();
	if (!r)
		return FDTAPE_ERR_MEMORY;
	window_of_memory(&r->walker.window, data, len);
	*reader = r;
	return 0;
}

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

static void complete_group(struct fdtape_reader *r)
{
	r->giving = true;
	r->stats.groups++;
}

/* Lets the group give what it has, though its end is not there: FDTAPE_ERR_DAMAGED if that was not said yet. */
static int give_up_group(struct fdtape_reader *r)
{
	r->giving = true;
	if (r->group.hurt)
		return 0;
	return diag_block(&r->diag, FDTAPE_ERR_DAMAGED, "the group that began with block %" PRIu64 " has no end",
	                  r->group.first_seq);
}

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
	item->type = FDTAPE_ITEM_SECTION;
	return 1;
}

static int take_footer(struct fdtape_reader *r, struct fdtape_item *item)
{
	r->held = false;
	r->footer = true;
	item->type = FDTAPE_ITEM_END;
	return 1;
}

/* A block of a type that this build does not know. */
static int take_unknown(struct fdtape_reader *r)
{
	r->held = false;
	if (r->block.flags & BLOCK_CRITICAL)
		return diag_block(&r->diag, FDTAPE_ERR_UNSUPPORTED,
		                  "needs blocks of type %u, which this build does not know", r->block.type);
	if (r->group.begun && r->block.flags & BLOCK_GROUP_END)
		complete_group(r);
	return 0;
}

static int take_group_block(struct fdtape_reader *r)
{
	struct group *g = &r->group;
	uint64_t first_seq;
	int rc = group_of(&r->block, &first_seq, &r->diag);

	if (rc == 0 && g->begun && first_seq != g->first_seq)
		return give_up_group(r);
	r->held = false;
	if (rc == 0) {
		g->begun = true;
		g->first_seq = first_seq;
		rc = group_add(g, &r->block);
		if (r->block.flags & BLOCK_GROUP_END)
			complete_group(r);
	}
	if (rc)
		g->hurt = true;
	return rc;
}

/* Deals with the block: 1: it gave an item; 0: go on (it is still held, if the group before must be given first). */
static int take_block(struct fdtape_reader *r, struct fdtape_item *item)
{
	uint16_t type = r->block.type;

	if (r->group.begun && (type == BLOCK_SECTION || type == BLOCK_FOOTER))
		return give_up_group(r);
	switch (type) {
	case BLOCK_SECTION:
		return take_section(r, item);
	case BLOCK_FOOTER:
	case BLOCK_EVENTS:
	case BLOCK_PAYLOAD:
	case BLOCK_PAYLOAD_RAW:
	case BLOCK_DEFS:
	case BLOCK_LOSS:
	case BLOCK_SECRETS:
		if (r->footer) {
			r->held = false;
			return diag_block(&r->diag, FDTAPE_ERR_DAMAGED, "a block of type %u behind the footer", type);
		}
		return type == BLOCK_FOOTER ? take_footer(r, item) : take_group_block(r);
	default:
		return take_unknown(r);
	}
}

/* Remembers why the input's end is early, if it is; what the last group has is given before that is said. */
static void meet_end(struct fdtape_reader *r)
{
	r->at_end = true;
	r->giving = r->group.begun;
	r->early = r->diag;
	if (r->walker.cut)
		return;
	if (r->group.begun)
		diag_block(&r->early, 0, "the input ends within the group that began with block %" PRIu64,
		           r->group.first_seq);
	else if (r->walker.in_section && !r->footer)
		diag_say(&r->early, 0, "no footer: the recorder was interrupted");
	else
		r->early.text[0] = 0;
}

static int next_item(struct fdtape_reader *r, struct fdtape_item *item)
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
			rc = group_next(&r->group, item);
			if (rc)
				return rc;
			r->giving = false;
			group_clear(&r->group);
		}
		if (r->at_end) {
			if (!r->early.text[0])
				return 0;
			r->diag = r->early;
			r->early.text[0] = 0;
			return FDTAPE_ERR_TRUNCATED;
		}
		if (!r->held) {
			rc = walker_next(&r->walker, &r->block);
			if (rc < 0) {
				r->group.hurt = true;
				return rc;
			}
			r->held = rc > 0;
			if (!r->held) {
				meet_end(r);
				continue;
			}
		}
		rc = take_block(r, item);
		if (rc)
			return rc;
	}
}

int fdtape_reader_next(struct fdtape_reader *r, struct fdtape_item *item)
{
	int rc;

	if (!r || !item)
		return FDTAPE_ERR_USAGE;
	if (r->final) {
		errno = r->final_errno;
		return r->final;
	}
	r->diag.text[0] = 0;
	rc = next_item(r, item);
	if (rc < 0 && rc != FDTAPE_ERR_DAMAGED && rc != FDTAPE_ERR_LIMIT && rc != FDTAPE_ERR_TRUNCATED) {
		r->final = rc;
		r->final_errno = errno;
		if (!r->diag.text[0])
			diag_say(&r->diag, rc, "at offset %" PRIu64 ": %s", r->walker.window.offset,
			         fdtape_strerror(rc));
	}
	return rc;
}

const char *fdtape_reader_message(const struct fdtape_reader *r)
{
	return r ? r->diag.text : "";
}

const struct fdtape_meta *fdtape_reader_meta(const struct fdtape_reader *r, size_t index)
{
	return r && index < r->section.n_meta ? &r->section.meta[index] : NULL;
}

const char *fdtape_reader_meta_get(const struct fdtape_reader *r, const char *key)
{
	for (size_t i = 0; r && key && i < r->section.n_meta; i++)
		if (strcmp(r->section.meta[i].key, key) == 0)
			return r->section.meta[i].value;
	return NULL;
}

int fdtape_reader_section(const struct fdtape_reader *r, struct fdtape_section_info *info)
{
	if (!r || !info || r->stats.sections == 0)
		return FDTAPE_ERR_USAGE;
	*info = r->section.info;
	return 0;
}

void fdtape_reader_stats(const struct fdtape_reader *r, struct fdtape_reader_stats *stats)
{
	if (!r || !stats)
		return;
	*stats = r->stats;
	stats->input_bytes = r->walker.window.offset + r->walker.window.len;
}

void fdtape_reader_free(struct fdtape_reader *r)
{
	if (!r)
		return;
	window_release(&r->walker.window);
	section_release(&r->section);
	group_release(&r->group);
	free(r);
}
