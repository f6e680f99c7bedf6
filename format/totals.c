/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/totals.h"

#include <inttypes.h>

static uint64_t end_of(const struct fdtape_event *e)
{
	return e->duration > UINT64_MAX - e->time ? UINT64_MAX : e->time + e->duration;
}

void totals_count(struct fdtape_totals *t, const struct fdtape_item *item)
{
	const struct fdtape_event *e = &item->event;
	uint32_t reason;

	if (item->type == FDTAPE_ITEM_EVENT) {
		if (t->events == 0 || e->time < t->first_time)
			t->first_time = e->time;
		if (end_of(e) > t->last_time)
			t->last_time = end_of(e);
		t->events++;
		/* What was only peeked at comes again; what a library call delivers was carried by an fd before. */
		if (e->flags & FDTAPE_EVENT_PEEK || e->call >= FDTAPE_CALL_SSL_READ)
			return;
		t->carried[e->dir] += e->bytes;
		t->captured[e->dir] += e->captured;
		return;
	}
	t->records++;
	switch (item->type) {
	case FDTAPE_ITEM_CLOCK:
		t->clock = item->clock;
		break;
	case FDTAPE_ITEM_SECRET:
		t->secrets++;
		break;
	case FDTAPE_ITEM_LOSS:
		reason = item->loss.reason < FDTAPE_LOSS_REASONS ? item->loss.reason : 0;
		t->losses[reason].count += item->loss.count;
		t->losses[reason].bytes += item->loss.bytes;
		break;
	default:
		break;
	}
}

void totals_add(struct fdtape_totals *t, const struct fdtape_totals *more)
{
	if (more->events > 0) {
		if (t->events == 0 || more->first_time < t->first_time)
			t->first_time = more->first_time;
		if (more->last_time > t->last_time)
			t->last_time = more->last_time;
	}
	t->groups += more->groups;
	t->events += more->events;
	t->records += more->records;
	t->secrets += more->secrets;
	t->bytes += more->bytes;
	for (size_t dir = 0; dir < 2; dir++) {
		t->carried[dir] += more->carried[dir];
		t->captured[dir] += more->captured[dir];
	}
	t->flows += more->flows;
	t->processes += more->processes;
	t->clock = more->clock;
	for (size_t i = 0; i < FDTAPE_LOSS_REASONS; i++) {
		t->losses[i].count += more->losses[i].count;
		t->losses[i].bytes += more->losses[i].bytes;
	}
}

void totals_append(struct bytebuf *to, uint64_t index, const struct fdtape_totals *t)
{
	const uint64_t words[] = {
	        index,         t->groups,     t->events,          t->records,        t->secrets,        t->bytes,
	        t->carried[0], t->carried[1], t->captured[0],     t->captured[1],    t->flows,          t->processes,
	        t->first_time, t->last_time,  t->clock.monotonic, t->clock.realtime, t->clock.boottime,
	};
	size_t begin = to->len;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		bytebuf_fixed(to, words[i], 8);
	for (size_t i = 0; i < FDTAPE_LOSS_REASONS; i++) {
		bytebuf_fixed(to, t->losses[i].count, 8);
		bytebuf_fixed(to, t->losses[i].bytes, 8);
	}
	while (!to->failed && to->len - begin < TOTALS_SIZE)
		bytebuf_byte(to, 0);
}

void totals_load(const uint8_t from[TOTALS_SIZE], uint64_t *index, struct fdtape_totals *t)
{
	uint64_t *const words[] = {
	        index,
	        &t->groups,
	        &t->events,
	        &t->records,
	        &t->secrets,
	        &t->bytes,
	        &t->carried[0],
	        &t->carried[1],
	        &t->captured[0],
	        &t->captured[1],
	        &t->flows,
	        &t->processes,
	        &t->first_time,
	        &t->last_time,
	        &t->clock.monotonic,
	        &t->clock.realtime,
	        &t->clock.boottime,
	};
	struct span s = span_of(from, TOTALS_SIZE);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		*words[i] = span_fixed(&s, 8);
	for (size_t i = 0; i < FDTAPE_LOSS_REASONS; i++) {
		t->losses[i].count = span_fixed(&s, 8);
		t->losses[i].bytes = span_fixed(&s, 8);
	}
}

int totals_check(const struct fdtape_totals *footer, const struct fdtape_totals *seen, bool redacted, struct diag *diag)
{
	const struct {
		const char *what;
		uint64_t says, is;
	} numbers[] = {
	        {"events", footer->events, seen->events},
	        {"bytes carried in", footer->carried[0], seen->carried[0]},
	        {"bytes carried out", footer->carried[1], seen->carried[1]},
	        {"bytes captured in", footer->captured[0], seen->captured[0]},
	        {"bytes captured out", footer->captured[1], seen->captured[1]},
	        /* From here on: unless secrets were dropped. */
	        {"groups", footer->groups, seen->groups},
	        {"records", footer->records, seen->records},
	        {"secrets", footer->secrets, seen->secrets},
	        {"bytes of tape", footer->bytes, seen->bytes},
	};
	size_t n = redacted ? 5 : sizeof(numbers) / sizeof(numbers[0]);

	for (size_t i = 0; i < n; i++)
		if (numbers[i].says != numbers[i].is)
			return diag_block(diag, FDTAPE_ERR_DAMAGED,
			                  "the footer counts %" PRIu64 " %s, the section has %" PRIu64, numbers[i].says,
			                  numbers[i].what, numbers[i].is);
	return 0;
}

void footer_emit(struct bytebuf *out, uint64_t index, const struct fdtape_totals *totals, uint64_t seq, uint64_t salt)
{
	struct block b = {.type = BLOCK_FOOTER, .seq = seq, .raw_len = TOTALS_SIZE};
	size_t begin = block_begin(out);

	totals_append(out, index, totals);
	block_end(out, begin, &b, salt);
}
