/* SPDX-License-Identifier: BSD-2-Clause */
#include <fdtape/repair.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "format/reader_state.h"

struct repair {
	struct fdtape_reader *reader;
	struct fdtape_writer *writer; /* of the section; NULL before the first */
	const struct fdtape_sink *sink;
	uint32_t flags;
	struct fdtape_repair_report *report;

	uint64_t groups;     /* of the reader, when the last one was closed */
	uint64_t lost_bytes; /* of the reader, when damage was met last */
	struct fdtape_loss loss;
	bool pending;  /* `loss` waits for the event behind it */
	bool event;    /* there was one in the section */
	uint64_t last; /* end of the last one */
};

static int put_loss(struct repair *p, uint64_t to)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_LOSS, .loss = p->loss};

	if (!p->pending || !p->writer)
		return 0;
	p->pending = false;
	item.loss.from = p->event ? p->last : to;
	item.loss.to = to > item.loss.from ? to : item.loss.from;
	return fdtape_writer_put(p->writer, &item);
}

static int meet_damage(struct repair *p, int error)
{
	struct fdtape_reader_stats stats;
	int rc = put_loss(p, p->last); /* another one, with no event in between */

	fdtape_reader_stats(p->reader, &stats);
	p->report->damages++;
	p->report->truncated |= error == FDTAPE_ERR_TRUNCATED;
	if (!p->report->message[0])
		snprintf(p->report->message, sizeof(p->report->message), "%s", fdtape_reader_message(p->reader));
	p->loss = (struct fdtape_loss){.reason = FDTAPE_LOSS_BLOCK, .bytes = stats.lost_bytes - p->lost_bytes};
	p->lost_bytes = stats.lost_bytes;
	p->pending = true;
	return rc;
}

static int end_section(struct repair *p)
{
	int rc = put_loss(p, p->last);

	if (!p->writer)
		return rc;
	if (rc == 0)
		rc = fdtape_writer_end(p->writer);
	p->report->output_bytes += fdtape_writer_size(p->writer);
	fdtape_writer_free(p->writer);
	p->writer = NULL;
	return rc;
}

static int begin_section(struct repair *p)
{
	const struct section *s = &p->reader->section;
	struct fdtape_writer_options options = {
	        .clock = s->info.clock,
	        .meta = s->meta,
	        .n_meta = s->n_meta,
	        .salt = s->salt,
	};
	bool pending = p->pending;
	int rc;

	/* What is missing before a section's head is missing from the end of the section before. */
	p->pending = pending && p->writer;
	rc = end_section(p);
	p->pending = pending && p->report->sections == 0;
	p->event = false;
	p->last = 0;
	p->report->sections++;
	memcpy(options.uuid, s->info.uuid, sizeof(options.uuid));
	return rc ? rc : fdtape_writer_open(&p->writer, p->sink, &options);
}

/* Groups stay what they were. */
static int keep_group(struct repair *p)
{
	struct fdtape_reader_stats stats;
	int rc = 0;

	fdtape_reader_stats(p->reader, &stats);
	if (stats.groups != p->groups && p->writer)
		rc = fdtape_writer_flush(p->writer);
	p->groups = stats.groups;
	return rc;
}

static int copy_item(struct repair *p, const struct fdtape_item *item)
{
	const struct fdtape_event *e = &item->event;
	int rc;

	if (item->type == FDTAPE_ITEM_SECTION)
		return begin_section(p);
	if (item->type == FDTAPE_ITEM_END || !p->writer)
		return 0;
	if (item->type == FDTAPE_ITEM_SECRET && p->flags & FDTAPE_REPAIR_DROP_SECRETS) {
		p->report->secrets++;
		return 0;
	}
	rc = keep_group(p);
	if (rc == 0 && item->type == FDTAPE_ITEM_EVENT) {
		rc = put_loss(p, e->time);
		p->event = true;
		p->last = e->duration > UINT64_MAX - e->time ? UINT64_MAX : e->time + e->duration;
	}
	p->report->items++;
	return rc ? rc : fdtape_writer_put(p->writer, item);
}

static int copy(struct repair *p)
{
	struct fdtape_item item;
	int rc, error;

	while ((rc = fdtape_reader_next(p->reader, &item)) != 0) {
		if (rc > 0)
			error = copy_item(p, &item);
		else if (rc == FDTAPE_ERR_DAMAGED || rc == FDTAPE_ERR_LIMIT || rc == FDTAPE_ERR_TRUNCATED)
			error = meet_damage(p, rc);
		else
			error = rc;
		if (error) {
			if (rc < 0)
				snprintf(p->report->message, sizeof(p->report->message), "%s",
				         fdtape_reader_message(p->reader));
			return error;
		}
	}
	if (p->report->sections == 0)
		return FDTAPE_ERR_DAMAGED;
	return end_section(p);
}

int fdtape_repair(const struct fdtape_source *source, const struct fdtape_sink *sink, uint32_t flags,
                  struct fdtape_repair_report *report)
{
	struct fdtape_repair_report unused;
	struct repair p = {.sink = sink, .flags = flags, .report = report ? report : &unused};
	struct fdtape_reader_stats stats = {0};
	int rc;

	*p.report = (struct fdtape_repair_report){0};
	if (!source || !sink || flags & ~(uint32_t)FDTAPE_REPAIR_DROP_SECRETS)
		return FDTAPE_ERR_USAGE;
	rc = fdtape_reader_open(&p.reader, source);
	if (rc)
		return rc;
	rc = copy(&p);
	fdtape_writer_free(p.writer);
	fdtape_reader_stats(p.reader, &stats);
	p.report->groups = stats.groups;
	p.report->lost_bytes = stats.lost_bytes;
	p.report->input_bytes = stats.input_bytes;
	fdtape_reader_free(p.reader);
	return rc;
}
