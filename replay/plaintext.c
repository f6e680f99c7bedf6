/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * What the wire decrypts to is proved, so it is what is given; what the calls delivered is compared with it, byte for
 * byte, and only where the wire is lost (no secret, a hole) do the calls go on in its place. Both count their bytes
 * from the connection's beginning, so an offset means the same in both.
 *
 * A flow without calls has only the wire, and goes on with it behind a hole. Once the hole's length was not known the
 * wire is *adrift*: what it gives is true, but calls that are heard of later have no place in it.
 *
 * Mostly the wire is ahead: read(2) returned before SSL_read() did. Its bytes are kept until the calls have caught up,
 * within bounds. Where a call is ahead (the wire's order is not clear yet), it waits for the wire.
 */
#include "replay/plaintext.h"

enum {
	UNCALLED_BYTES = 64 << 10, /* kept for calls that were never heard of */
	RECENT_BYTES = 1 << 20,
	WAITING_BYTES = 1 << 20,
};

struct plaintext_call {
	struct plaintext_call *next;
	uint64_t offset, len;
	bool hole;
	struct stamp stamp;
	uint8_t data[];
};

/* Of what a call delivered from this offset on: what the wire gave too and is still kept. */
static uint64_t overlap(const struct plaintext *p, uint64_t offset, uint64_t len, uint64_t *from)
{
	uint64_t kept_from = p->offset - p->recent.len, to = offset + len < p->offset ? offset + len : p->offset;

	*from = offset > kept_from ? offset : kept_from;
	return *from < to ? to - *from : 0;
}

/* Index of the first byte that differs; len: none does. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t len)
{
	uint64_t i = 0;

	if (memcmp(a, b, len) == 0)
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

/* Compares a call's bytes with those that the wire gave and that are still kept. */
static void compare(struct plaintext *p, uint64_t offset, const uint8_t *data, uint64_t len)
{
	uint64_t from, both = overlap(p, offset, len, &from), same;

	if (both == 0)
		return;
	p->compared += both;
	same = first_difference(data + (from - offset), p->recent.data + (from - (p->offset - p->recent.len)), both);
	if (same < both && !p->differs) {
		p->differs = true;
		p->differs_at = from + same;
	}
}

int64_t plaintext_agrees(const struct plaintext *p, uint64_t offset, const uint8_t *data, uint64_t len)
{
	uint64_t from, both = len <= UINT64_MAX - offset ? overlap(p, offset, len, &from) : 0;

	if (both == 0)
		return 0;
	return memcmp(data + (from - offset), p->recent.data + (from - (p->offset - p->recent.len)), both) == 0
	               ? (int64_t)both
	               : -1;
}

/* The calls have come to this offset: what was kept before it has served. */
static void forget(struct plaintext *p, uint64_t offset)
{
	uint64_t kept_from = p->offset - p->recent.len;

	if (offset >= p->offset)
		p->recent.len = 0;
	else if (offset > kept_from)
		buffer_drop(&p->recent, (size_t)(offset - kept_from));
}

/* The calls in the wire's place: gives what the stream has not passed. */
static void give(struct plaintext *p, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                 assembly_emit *emit, void *context)
{
	uint64_t passed = p->offset > offset ? p->offset - offset : 0, at;

	if (passed >= len)
		return;
	if (offset > p->offset) {
		at = p->offset;
		p->offset = offset;
		emit(context, at, NULL, offset - at, stamp);
	}
	at = p->offset;
	p->offset += len - passed;
	if (data)
		p->from_calls += len - passed;
	emit(context, at, data ? data + passed : NULL, len - passed, stamp);
}

static void pop(struct plaintext *p)
{
	struct plaintext_call *call = p->waiting;

	p->waiting = call->next;
	if (!p->waiting)
		p->last = NULL;
	p->waiting_bytes -= call->len;
	free(call);
}

/* The wire went on, or was lost: so do the calls that waited for it. */
static void settle(struct plaintext *p, assembly_emit *emit, void *context)
{
	struct plaintext_call *call;

	while ((call = p->waiting)) {
		if (!p->wire_lost && call->offset + call->len > p->offset)
			return;
		if (!call->hole)
			compare(p, call->offset, call->data, call->len);
		forget(p, call->offset + call->len);
		if (p->wire_lost)
			give(p, call->offset, call->hole ? NULL : call->data, call->len, &call->stamp, emit, context);
		pop(p);
	}
}

static int keep(struct plaintext *p, const uint8_t *data, size_t len)
{
	size_t most = p->calls_known ? RECENT_BYTES : UNCALLED_BYTES;

	if (p->calls_known)
		p->forgets = false;
	if (p->forgets || p->adrift)
		return 0;
	if (p->recent.len + len > most) {
		buffer_release(&p->recent);
		p->forgets = !p->calls_known;
		if (p->forgets || len > most)
			return 0;
	}
	return buffer_add(&p->recent, data, len);
}

int plaintext_wire(struct plaintext *p, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                   assembly_emit *emit, void *context)
{
	uint64_t at = p->offset;
	bool alone = !p->calls_known || p->adrift; /* the wire goes on behind a hole, since no calls do in its place */

	if (!data && len > 0 && alone) {
		p->recent.len = 0;
		p->offset += len;
		emit(context, at, NULL, len, stamp);
		return 0;
	}
	if (!data) {
		p->wire_lost = true;
		if (p->offset > 0 && alone && !p->hole_told) {
			p->hole_told = true;
			emit(context, p->offset, NULL, 0, stamp);
		}
		settle(p, emit, context);
		return 0;
	}
	if (p->wire_lost && (!alone || p->from_calls > 0))
		return 0;
	if (p->wire_lost) {
		p->wire_lost = false;
		p->adrift = true;
		p->recent.len = 0;
		if (!p->hole_told)
			emit(context, p->offset, NULL, 0, stamp);
		p->hole_told = false;
	}
	if (keep(p, data, len) < 0)
		return -1;
	p->offset += len;
	p->from_wire += len;
	emit(context, at, data, len, stamp);
	settle(p, emit, context);
	return 0;
}

int plaintext_calls(struct plaintext *p, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                    assembly_emit *emit, void *context)
{
	struct plaintext_call *call;

	if (len > UINT64_MAX - offset)
		return 0;
	p->called += data ? len : 0;
	if (p->adrift)
		return 0;
	if (p->wire_lost || offset + len <= p->offset) {
		if (data)
			compare(p, offset, data, len);
		forget(p, offset + len);
		if (p->wire_lost)
			give(p, offset, data, len, stamp, emit, context);
		return 0;
	}
	if (p->waiting_bytes > WAITING_BYTES) {
		/* No wire lags that far behind. */
		plaintext_wire(p, NULL, 0, stamp, emit, context);
		p->called -= data ? len : 0; /* it is counted again */
		return plaintext_calls(p, offset, data, len, stamp, emit, context);
	}
	call = malloc(sizeof *call + (data ? len : 0));
	if (!call)
		return -1;
	*call = (struct plaintext_call){.offset = offset, .len = len, .hole = !data, .stamp = *stamp};
	if (data)
		memcpy(call->data, data, len);
	if (p->last)
		p->last->next = call;
	else
		p->waiting = call;
	p->last = call;
	p->waiting_bytes += len;
	return 0;
}

int plaintext_finish(struct plaintext *p, const struct stamp *stamp, assembly_emit *emit, void *context)
{
	/* Calls that are still ahead of a wire that does not go on. */
	return p->waiting ? plaintext_wire(p, NULL, 0, stamp, emit, context) : 0;
}

void plaintext_release(struct plaintext *p)
{
	while (p->waiting)
		pop(p);
	buffer_release(&p->recent);
}
