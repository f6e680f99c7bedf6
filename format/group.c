/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/group.h"

#include "format/flowlist.h"

#include <inttypes.h>
#include <stdlib.h>

bool group_init(struct group *g, struct diag *diag, const struct choice *choice)
{
	g->diag = diag;
	g->choice = choice;
	g->zstd = ZSTD_createDCtx();
	g->columns = columns_new();
	return g->zstd && g->columns;
}

void group_release(struct group *g)
{
	ZSTD_freeDCtx(g->zstd);
	columns_free(g->columns);
	finder_release(&g->payload);
	peers_release(&g->peers);
	free(g->events);
	free(g->peer);
	for (size_t i = 0; i < GROUP_RECORD_BLOCKS; i++)
		bytebuf_release(&g->records[i].body);
}

void group_clear(struct group *g)
{
	g->begun = false;
	g->meets = false;
	g->overlaps = false;
	g->early = false;
	g->redacted = false;
	g->hurt = false;
	g->budget = GROUP_BYTES_MAX;
	g->n_events = 0;
	g->given = 0;
	g->any_record = false;
	g->said_doubled = false;
	g->missing = false;
	finder_clear(&g->payload);
	peers_clear(&g->peers);
	for (size_t i = 0; i < GROUP_RECORD_BLOCKS; i++) {
		bytebuf_clear(&g->records[i].body);
		g->records[i].present = false;
		g->records[i].ready = false;
		g->records[i].cursor.unknown = 0;
	}
}

int group_of(const struct block *b, uint64_t *first_seq, struct diag *diag)
{
	struct span directory = block_directory(b);
	uint64_t index = span_varint(&directory);

	if (directory.bad || index >= b->seq)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "says that it is block %" PRIu64 " of its group", index);
	*first_seq = b->seq - index;
	return 0;
}

static int add_records(struct group *g, size_t which, const struct block *b)
{
	static const uint32_t types[GROUP_RECORD_BLOCKS] = {RECORDS_OF_SECRETS, RECORDS_OF_DEFS, RECORDS_OF_LOSS};
	struct bytebuf *to = &g->records[which].body;

	if (g->records[which].present)
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "a second block of type %u in a group", b->type);
	if (which == GROUP_SECRETS && b->flags & BLOCK_REDACTED) {
		g->redacted = true;
		if (b->n_records == 0 && b->raw_len == 0)
			return 0;
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED,
		                  "secrets that were dropped, and %" PRIu32 " records in %" PRIu32 " bytes",
		                  b->n_records, b->raw_len);
	}
	if (!bytebuf_reserve(to, b->raw_len + 1u))
		return FDTAPE_ERR_MEMORY;
	if (!codec_take(g->zstd, b->flags & BLOCK_RAW, to->data, b->raw_len, block_body(b)))
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "body does not decode to %" PRIu32 " bytes", b->raw_len);
	to->len = b->raw_len;
	g->records[which].block = g->diag->block;
	g->records[which].offset = g->diag->offset;
	g->records[which].present = true;
	record_cursor_begin(&g->records[which].cursor, span_of(to->data, to->len), b->n_records, types[which]);
	return 0;
}

static int add_events(struct group *g, const struct block *b, struct span flows, struct span directory)
{
	void *events = g->events;
	void *peer = g->peer;
	int rc;

	if (g->n_events > 0)
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "a second block of type %u in a group", b->type);
	/* Each event has a mask of at least a byte. */
	if (b->n_records > b->raw_len)
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "%" PRIu32 " events in %" PRIu32 " bytes", b->n_records,
		                  b->raw_len);
	if (!array_grow(&events, &g->cap_events, b->n_records, sizeof(*g->events)))
		return FDTAPE_ERR_MEMORY;
	g->events = events;
	if (!array_grow(&peer, &g->cap_peer, b->n_records, sizeof(*g->peer)))
		return FDTAPE_ERR_MEMORY;
	g->peer = peer;
	rc = columns_decode(g->columns, g->zstd, flows, directory, block_body(b), b->raw_len, g->events, g->peer,
	                    b->n_records, g->diag);
	if (rc == 0)
		g->n_events = b->n_records;
	return rc;
}

/* Whether the list of flows that the directory goes on with has one that is chosen. */
static int meet(struct group *g, struct span *directory, struct span *list, bool *meets)
{
	if (!flowlist_skip(directory, list))
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED,
		                  "the list of its flows is cut off, too long, or does not rise");
	*meets = choice_meets(g->choice, *list);
	g->meets = g->meets || *meets;
	return 0;
}

bool group_wants(const void *context, const struct block *b)
{
	const struct choice *choice = context;
	struct span directory = block_directory(b);
	struct span list;

	span_varint(&directory);
	switch (b->type) {
	case BLOCK_PAYLOAD:
	case BLOCK_PAYLOAD_RAW:
		return choice_overlaps(choice, b->ts_min, b->ts_max) && finder_wants(directory, b->n_records, choice);
	case BLOCK_DEFS:
		return !(b->flags & BLOCK_FLOWS) || !flowlist_skip(&directory, &list) || choice_meets(choice, list);
	case BLOCK_EVENTS:
		return !flowlist_skip(&directory, &list) ||
		       (choice_meets(choice, list) && choice_overlaps(choice, b->ts_min, b->ts_max));
	default:
		return true;
	}
}

int group_add(struct group *g, const struct block *b)
{
	struct span directory = block_directory(b);
	uint64_t bytes = (uint64_t)b->stored_len + b->raw_len;
	struct span flows;
	bool meets;
	int rc;

	span_varint(&directory); /* group_of() */
	if (bytes > g->budget)
		return diag_block(g->diag, FDTAPE_ERR_LIMIT,
		                  "%" PRIu64 " more bytes in a group that may have %" PRIu64 " more", bytes, g->budget);
	g->budget -= bytes;
	g->overlaps = choice_overlaps(g->choice, b->ts_min, b->ts_max);
	g->early = !g->choice->made || b->ts_min <= g->choice->to;
	switch (b->type) {
	case BLOCK_PAYLOAD:
	case BLOCK_PAYLOAD_RAW:
		if (!g->overlaps)
			return 0;
		return finder_add(&g->payload, b, directory, g->choice, g->diag);
	case BLOCK_SECRETS:
		return g->early ? add_records(g, GROUP_SECRETS, b) : 0;
	case BLOCK_DEFS:
		rc = meet(g, &directory, &flows, &meets);
		return rc || (b->flags & BLOCK_FLOWS && !meets) ? rc : add_records(g, GROUP_DEFS, b);
	case BLOCK_LOSS:
		return g->overlaps ? add_records(g, GROUP_LOSS, b) : 0;
	case BLOCK_EVENTS:
		rc = meet(g, &directory, &flows, &meets);
		return rc || !meets || !g->overlaps ? rc : add_events(g, b, flows, directory);
	default:
		return 0;
	}
}

/* Makes each cursor stand on its next record, and finds which record is the next one: its number, or
 * GROUP_RECORD_BLOCKS. */
static int next_record(struct group *g, size_t *which)
{
	*which = GROUP_RECORD_BLOCKS;
	for (size_t i = 0; i < GROUP_RECORD_BLOCKS; i++) {
		struct record_cursor *cursor = &g->records[i].cursor;
		int rc = 0;

		if (!g->records[i].present)
			continue;
		if (!g->records[i].ready) {
			rc = record_cursor_next(cursor);
			g->records[i].ready = rc > 0;
			g->records[i].present = rc > 0;
		}
		if (!g->records[i].present) {
			if (rc == 0)
				continue;
			g->diag->block = g->records[i].block;
			g->diag->offset = g->records[i].offset;
			g->hurt = g->hurt || i == GROUP_DEFS; /* peers may be among what is missing */
			return diag_block(g->diag, rc,
			                  "record %" PRIu64 " of the group, or what is behind it, is not one",
			                  cursor->ordinal);
		}
		if (*which == GROUP_RECORD_BLOCKS || cursor->ordinal < g->records[*which].cursor.ordinal)
			*which = i;
	}
	return 0;
}

static int give_event(struct group *g, struct fdtape_item *item)
{
	struct fdtape_event *e = &g->events[g->given];
	uint32_t peer = g->peer[g->given];

	e->peer = peers_get(&g->peers, peer);
	if (peer > 0 && !e->peer && !g->hurt) {
		/* The event comes with the next call. */
		g->hurt = true;
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED,
		                  "event %zu is of peer %" PRIu32 ", the group has %zu before it", g->given, peer,
		                  g->peers.count);
	}
	if (e->captured > 0) {
		int rc = finder_take(&g->payload, g->zstd, e, &g->missing, g->diag);

		if (rc == FDTAPE_ERR_DAMAGED)
			g->hurt = true;
		if (rc)
			return rc;
		if (g->missing && !g->hurt) {
			/* The event comes with the next call. */
			g->hurt = true;
			return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "payload of event %zu is not in its group",
			                  g->given);
		}
	}
	item->type = FDTAPE_ITEM_EVENT;
	item->event = *e;
	g->given++;
	return 1;
}

/* Passes the events that are not chosen. */
static void pass_events(struct group *g, uint64_t until)
{
	for (; g->given < until; g->given++) {
		const struct fdtape_event *e = &g->events[g->given];

		if (!choice_has_flow(g->choice, e->flow))
			continue;
		if (choice_has_time(g->choice, e))
			return;
		finder_pass(&g->payload, e);
	}
}

static int add_peer(struct group *g, const struct fdtape_address *address)
{
	if (g->peers.count >= PEERS_MAX)
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "more than %u peers in a group", PEERS_MAX);
	return peers_add(&g->peers, address) ? 0 : FDTAPE_ERR_MEMORY;
}

/* As group_next(); *passed: it was a record that is no item, go on. */
static int next_of_group(struct group *g, struct fdtape_item *item, bool *passed)
{
	uint64_t until = g->n_events;
	size_t which;
	int rc = next_record(g, &which);

	if (rc)
		return rc;
	if (which < GROUP_RECORD_BLOCKS && g->records[which].cursor.events_before < until)
		until = g->records[which].cursor.events_before;
	if (g->choice->made)
		pass_events(g, until);
	if (g->given < until)
		return give_event(g, item);
	if (which == GROUP_RECORD_BLOCKS)
		return 0;
	if (g->any_record && g->ordinal == g->records[which].cursor.ordinal && !g->said_doubled) {
		/* The record comes with the next call. */
		g->said_doubled = true;
		g->diag->block = g->records[which].block;
		g->diag->offset = g->records[which].offset;
		return diag_block(g->diag, FDTAPE_ERR_DAMAGED, "two records of the group have the number %" PRIu64,
		                  g->ordinal);
	}
	*item = g->records[which].cursor.item;
	g->ordinal = g->records[which].cursor.ordinal;
	g->any_record = true;
	g->said_doubled = false;
	g->records[which].ready = false;
	*passed = item->type == RECORD_PEER;
	return *passed ? add_peer(g, &item->flow.remote) : 1;
}

int group_next(struct group *g, struct fdtape_item *item)
{
	bool passed;
	int rc;

	do {
		passed = false;
		rc = next_of_group(g, item, &passed);
	} while (passed && rc == 0);
	return rc;
}

uint64_t group_other_records(const struct group *g)
{
	uint64_t n = g->peers.count;

	for (size_t i = 0; i < GROUP_RECORD_BLOCKS; i++)
		n += g->records[i].cursor.unknown;
	return n;
}
