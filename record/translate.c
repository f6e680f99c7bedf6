/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation.
 *
 * Records arrive in the order in which the calls finished. A call with more payload than one record holds comes in
 * several (probe_call, then probe_data of the same thread), and other threads' records come in between. The tape's
 * order is that of the calls' first records, so while one is being put together, all that comes behind it is *held*:
 * copied to a queue whose head is handled as soon as it is complete. Mostly the queue is empty, and a record goes from
 * the ring to the writer without a copy.
 *
 * The kinds of records are handled in translate_process.c, translate_flow.c, translate_call.c and translate_secret.c.
 */
#include "record/translate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "record/translate_state.h"

/* A queue that waits for a lost record must not grow without end. */
#define HELD_MAX_BYTES (64u << 20)

struct translate *translate_new(struct fdtape_writer *writer, struct probes *probes, uint64_t started, bool payload,
                                bool lazy, size_t keep_secrets)
{
	struct translate *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->writer = writer;
	t->probes = probes;
	t->payload = payload;
	t->lazy = lazy;
	t->secrets_max = keep_secrets;
	t->told_at = started;
	t->last = &t->first;
	return t;
}

void translate_on_mapped(struct translate *t, translate_mapped *mapped, void *context)
{
	t->mapped = mapped;
	t->mapped_context = context;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

/* The bytes of a record's fixed part; 0: no such record. */
static size_t fixed_size(const struct probe_header *h)
{
	switch (h->type) {
	case PROBE_CALL:
		return sizeof(struct probe_call);
	case PROBE_DATA:
		return sizeof(struct probe_data);
	case PROBE_FLOW:
		return sizeof(struct probe_flow);
	case PROBE_EXEC:
		return sizeof(struct probe_exec);
	case PROBE_FORK:
		return sizeof(struct probe_fork);
	case PROBE_EXIT:
		return sizeof(struct probe_exit);
	case PROBE_NAME:
		return sizeof(struct probe_name);
	case PROBE_KDF:
		return sizeof(struct probe_kdf);
	case PROBE_KDF_RESULT:
		return sizeof(struct probe_kdf_out);
	case PROBE_KEY:
		return sizeof(struct probe_key);
	case PROBE_MAPPED:
		return sizeof(struct probe_mapped);
	}
	return 0;
}

/* Of a process that the tape does not know of: what can't make it one that it does. */
static bool is_untold(const struct translate *t, const void *record)
{
	switch (((const struct probe_header *)record)->type) {
	case PROBE_CALL: {
		const struct probe_call *r = record;

		return r->call >= FDTAPE_CALL_SSL_READ && !is_told(t, r->tgid);
	}
	case PROBE_FLOW: {
		const struct probe_flow *r = record;

		return r->handle && !is_told(t, r->tgid);
	}
	case PROBE_KDF:
		return !is_told(t, ((const struct probe_kdf *)record)->tgid);
	case PROBE_KDF_RESULT:
		return !is_told(t, ((const struct probe_kdf_out *)record)->tgid);
	case PROBE_KEY:
		return !is_told(t, ((const struct probe_key *)record)->tgid);
	}
	return false;
}

static int handle(struct translate *t, const void *record, uint64_t given, const uint8_t *payload, size_t len,
                  bool last)
{
	if (t->lazy && is_untold(t, record))
		return 0;
	switch (((const struct probe_header *)record)->type) {
	case PROBE_CALL:
		return on_call(t, record, given, payload, len, last);
	case PROBE_FLOW:
		return on_flow(t, record, payload, len);
	case PROBE_EXEC:
		return on_exec(t, record);
	case PROBE_FORK:
		return on_fork(t, record);
	case PROBE_EXIT:
		return on_exit_(t, record);
	case PROBE_NAME:
		return on_name(t, record);
	case PROBE_KDF:
		return on_kdf(t, record);
	case PROBE_KDF_RESULT:
		return on_kdf_result(t, record);
	case PROBE_KEY:
		return on_key(t, record);
	case PROBE_MAPPED:
		return on_mapped(t, record);
	}
	return 0;
}

static void complete(struct translate *t, struct held *h)
{
	const struct probe_call *r = h->record;

	h->complete = true;
	map_take(&t->assembling, r->tid);
}

/* Gives what an event can hold of the held call, or all of it when it is complete. */
static int give(struct translate *t, struct held *h)
{
	uint8_t *payload = (uint8_t *)h->record + h->fixed;
	size_t at = 0;
	int error = 0;

	while (!error && h->len - at > FDTAPE_EVENT_DATA_MAX) {
		error = handle(t, h->record, h->given, payload + at, FDTAPE_EVENT_DATA_MAX, false);
		at += FDTAPE_EVENT_DATA_MAX;
		h->given += FDTAPE_EVENT_DATA_MAX;
	}
	if (!error && h->complete)
		return handle(t, h->record, h->given, payload + at, h->len - at, true);
	memmove(payload, payload + at, h->len - at);
	h->len -= at;
	t->held_bytes -= at;
	return error;
}

/* Handles the queue's head for as long as it is complete. */
static int release(struct translate *t)
{
	int error = 0;

	while (t->first && t->first->complete) {
		struct held *h = t->first;

		t->first = h->next;
		if (!t->first)
			t->last = &t->first;
		t->held_bytes -= h->fixed + h->len;
		if (!error)
			error = give(t, h);
		free(h->record);
		free(h);
	}
	return error;
}

static int hold(struct translate *t, const void *record, size_t fixed, size_t len)
{
	const struct probe_header *head = record;
	bool more = head->type == PROBE_CALL && head->flags & PROBE_MORE;
	struct held *h = calloc(1, sizeof *h);

	if (!h)
		return FDTAPE_ERR_MEMORY;
	h->room = more ? 4 * len : len;
	h->record = malloc(fixed + h->room);
	if (!h->record) {
		free(h);
		return FDTAPE_ERR_MEMORY;
	}
	memcpy(h->record, record, fixed + len);
	h->fixed = fixed;
	h->len = len;
	h->complete = !more;
	*t->last = h;
	t->last = &h->next;
	t->held_bytes += fixed + len;
	return !more || map_put(&t->assembling, ((const struct probe_call *)record)->tid, h) ? 0 : FDTAPE_ERR_MEMORY;
}

static int on_data(struct translate *t, const struct probe_data *r, size_t len)
{
	struct held *h = map_get(&t->assembling, r->tid);
	int error = 0;

	if (!h)
		return 0; /* its call was lost, and counted */
	/* Only what joins up: behind a lost chunk the payload ends. */
	if (r->offset == h->given + h->len) {
		if (len > h->room - h->len) {
			size_t room = 2 * (h->len + len);
			void *record = realloc(h->record, h->fixed + room);

			if (!record)
				return FDTAPE_ERR_MEMORY;
			h->record = record;
			h->room = room;
		}
		memcpy((uint8_t *)h->record + h->fixed + h->len, r + 1, len);
		h->len += len;
		t->held_bytes += len;
	}
	if (r->h.flags & PROBE_MORE) {
		/* The first in the queue need not wait for its end. */
		if (h == t->first && h->len > 2 * FDTAPE_EVENT_DATA_MAX)
			error = give(t, h);
		return error;
	}
	complete(t, h);
	return release(t);
}

int translate_record(void *context, const void *record, size_t size)
{
	const struct probe_header *head = record;
	struct translate *t = context;
	size_t fixed, len;
	int error = 0;

	if (size < sizeof *head || (fixed = fixed_size(head)) == 0 || size < fixed)
		return 0; /* not ours: both sides are built together */
	len = head->type == PROBE_CALL || head->type == PROBE_DATA || head->type == PROBE_FLOW ? head->len : 0;
	if (len > size - fixed)
		len = size - fixed;
	if (head->type == PROBE_DATA)
		return on_data(t, record, len);
	if (head->type == PROBE_CALL) {
		/* The same thread's next call: the last chunk of the one before it was lost. */
		struct held *h = map_get(&t->assembling, ((const struct probe_call *)record)->tid);

		if (h)
			complete(t, h);
	}
	while (!error && t->first && t->held_bytes > HELD_MAX_BYTES) {
		if (!t->first->complete)
			complete(t, t->first);
		error = release(t);
	}
	if (!error && t->first)
		error = release(t);
	if (error)
		return error;
	if (!t->first && !(head->type == PROBE_CALL && head->flags & PROBE_MORE))
		return handle(t, record, 0, (const uint8_t *)record + fixed, len, true);
	return hold(t, record, fixed, len);
}

/* ---- losses and the end ----------------------------------------------------------------------------------------- */

static const uint32_t reasons[PROBE_LOST_N] = {
        [PROBE_LOST_RING] = FDTAPE_LOSS_RING_FULL,        [PROBE_LOST_PAYLOAD] = FDTAPE_LOSS_PAYLOAD,
        [PROBE_LOST_UNREADABLE] = FDTAPE_LOSS_UNREADABLE, [PROBE_LOST_LONG] = FDTAPE_LOSS_SNAPLEN,
        [PROBE_LOST_MAP] = FDTAPE_LOSS_MAP_FULL,          [PROBE_LOST_BLIND] = FDTAPE_LOSS_BLIND,
        [PROBE_LOST_KERNEL] = FDTAPE_LOSS_KERNEL_COPY,    [PROBE_LOST_URING] = FDTAPE_LOSS_IO_URING,
};

static int put_loss(struct translate *t, const struct fdtape_loss *loss)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_LOSS, .loss = *loss};

	t->totals.losses[loss->reason].count += loss->count;
	t->totals.losses[loss->reason].bytes += loss->bytes;
	return fdtape_writer_put(t->writer, &item);
}

int translate_losses(struct translate *t, uint64_t now)
{
	struct probe_stats stats;
	int error = 0;

	if (probes_stats(t->probes, &stats) != 0)
		return 0; /* asked again next time; what is told is what is known */
	for (int i = 0; i < PROBE_LOST_N && !error; i++) {
		struct fdtape_loss loss = {.reason = reasons[i],
		                           .count = stats.count[i] - t->told.count[i],
		                           .bytes = stats.bytes[i] - t->told.bytes[i],
		                           .from = t->told_at,
		                           .to = now};

		if (loss.count)
			error = put_loss(t, &loss);
	}
	if (!error && t->copied.count) {
		t->copied.reason = FDTAPE_LOSS_KERNEL_COPY;
		error = put_loss(t, &t->copied);
		t->copied = (struct fdtape_loss){0};
	}
	/* What may have been lost with it: the end of a flow, of a process. */
	if (!error && stats.count[PROBE_LOST_RING] != t->told.count[PROBE_LOST_RING]) {
		error = settle_lost(t);
		if (!error)
			error = bury_dead(t, now);
	}
	t->totals.lost_events = stats.count[PROBE_LOST_RING];
	t->told = stats;
	t->told_at = now;
	return error;
}

int translate_finish(struct translate *t, uint64_t now)
{
	struct flow **open;
	size_t n;
	int error;

	for (struct held *h = t->first; h; h = h->next)
		if (!h->complete)
			complete(t, h);
	error = release(t);
	if (!error)
		error = put_pending(t, now);
	if (!error)
		error = translate_losses(t, now);
	if (error)
		return error;
	open = open_flows(t, &n);
	if (!open && t->flows.used)
		return FDTAPE_ERR_MEMORY;
	for (size_t i = 0; i < n && !error; i++) {
		settle_flow(t, open[i]);
		error = put_flow(t, open[i]);
	}
	free(open);
	return error;
}

/* ---- the next tape ---------------------------------------------------------------------------------------------- */

static int by_pid(const void *a, const void *b)
{
	const struct process *const *x = a, *const *y = b;

	return ((*x)->pid > (*y)->pid) - ((*x)->pid < (*y)->pid);
}

static int put_processes(struct translate *t)
{
	struct process **all, *p;
	size_t n = 0, cursor = 0;
	int error = 0;

	if (!t->processes.used)
		return 0;
	all = calloc(t->processes.used, sizeof *all);
	if (!all)
		return FDTAPE_ERR_MEMORY;
	while ((p = map_next(&t->processes, &cursor)))
		all[n++] = p;
	qsort(all, n, sizeof *all, by_pid);
	for (size_t i = 0; i < n && !error; i++) {
		if (!all[i]->told)
			continue;
		error = put_process(t, all[i], 0);
		if (!error)
			error = put_threads(t, all[i], 0);
	}
	free(all);
	return error;
}

int translate_switch(struct translate *t, struct fdtape_writer *writer, uint64_t now, bool anew)
{
	struct flow **open;
	size_t n;
	int error = translate_losses(t, now);

	open = open_flows(t, &n);
	if (!open && t->flows.used)
		return FDTAPE_ERR_MEMORY;
	for (size_t i = 0; i < n && !error; i++) {
		memcpy(open[i]->def.bytes, open[i]->next_offset, sizeof open[i]->def.bytes);
		error = put_flow(t, open[i]);
	}
	t->writer = writer;
	if (!error)
		error = put_processes(t);
	for (size_t i = 0; i < n && !error; i++) {
		if (anew) {
			memcpy(open[i]->base, open[i]->next_offset, sizeof open[i]->base);
			memset(open[i]->gaps, 0, sizeof open[i]->gaps); /* they are behind us */
			open[i]->def.flags |= FDTAPE_FLOW_PREOPENED;
			open[i]->def.id = i + 1;
		}
		error = put_flow(t, open[i]);
	}
	if (anew) {
		t->n_flows = n;
		if (!error)
			error = put_secrets(t);
	}
	free(open);
	return error;
}

struct translate_totals translate_totals(const struct translate *t)
{
	return t->totals;
}

void translate_free(struct translate *t)
{
	struct process *p;
	struct flow *f;
	struct held *h;
	size_t cursor;

	if (!t)
		return;
	for (cursor = 0; (p = map_next(&t->processes, &cursor));)
		free_process(p);
	for (cursor = 0; (f = map_next(&t->flows, &cursor));) {
		free((char *)f->def.name);
		free(f);
	}
	while ((h = t->first)) {
		t->first = h->next;
		free(h->record);
		free(h);
	}
	kept_secrets_release(&t->secrets);
	free(t->reread);
	map_release(&t->processes);
	map_free(&t->threads);
	map_release(&t->flows);
	map_release(&t->assembling);
	map_free(&t->derivations);
	free(t);
}
