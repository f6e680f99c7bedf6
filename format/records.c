/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * A table for each type of item says which members its record holds, in which order. Numbers are written as the
 * zigzag varint of the difference to the same member of the record of the same type before it in the block: ids and
 * times that rise by little, and all that stays the same, become small. Records only ever grow at their end: a reader
 * takes what it knows, and a member that an older writer did not write is 0 or "".
 */
#include "format/records.h"

#include "format/field.h"

enum shape {
	NUMBER,
	STRING,
	BYTES,
	ADDRESS,
};

struct member {
	enum shape shape;
	enum field_type type; /* NUMBER */
	size_t offset;        /* in struct fdtape_item */
	size_t len_offset;    /* BYTES: of the size_t that says how many */
};

#define AT(member)           offsetof(struct fdtape_item, member)
#define U32(member)          NUMBER, FIELD_U32, AT(member), 0
#define U64(member)          NUMBER, FIELD_U64, AT(member), 0
#define I32(member)          NUMBER, FIELD_I32, AT(member), 0
#define STRING(member)       STRING, 0, AT(member), 0
#define BYTES(member, count) BYTES, 0, AT(member), AT(count)
#define ADDRESS(member)      ADDRESS, 0, AT(member), 0
#define LENGTH(array)        (sizeof(array) / sizeof((array)[0]))

/* The order is the tape's: add at the end only. */
static const struct member clock_members[] = {
        {U64(clock.monotonic)},
        {U64(clock.realtime)},
        {U64(clock.boottime)},
};

static const struct member process_members[] = {
        {U32(process.pid)},         {U32(process.ppid)},      {U32(process.uid)},          {U64(process.time)},
        {STRING(process.comm)},     {STRING(process.exe)},    {STRING(process.cmdline)},   {U64(process.started)},
        {STRING(process.build_id)}, {STRING(process.cgroup)}, {STRING(process.libraries)},
};

static const struct member thread_members[] = {
        {U32(thread.pid)},
        {U32(thread.tid)},
        {U64(thread.time)},
        {STRING(thread.comm)},
};

static const struct member flow_members[] = {
        {U64(flow.id)},         {U32(flow.pid)},     {U32(flow.tid)},      {I32(flow.fd)},       {U32(flow.kind)},
        {U32(flow.proto)},      {U32(flow.role)},    {U32(flow.flags)},    {U64(flow.inode)},    {U64(flow.handle)},
        {U64(flow.opened)},     {U64(flow.closed)},  {U64(flow.bytes[0])}, {U64(flow.bytes[1])}, {ADDRESS(flow.local)},
        {ADDRESS(flow.remote)}, {STRING(flow.name)},
};

static const struct member secret_members[] = {
        {U64(secret.time)},
        {U32(secret.pid)},
        {U32(secret.tid)},
        {U32(secret.id_kind)},
        {STRING(secret.label)},
        {STRING(secret.source)},
        {BYTES(secret.id, secret.id_len)},
        {BYTES(secret.value, secret.value_len)},
};

static const struct member loss_members[] = {
        {U32(loss.reason)}, {U64(loss.count)}, {U64(loss.bytes)}, {U64(loss.from)}, {U64(loss.to)},
};

static const struct member peer_members[] = {
        {ADDRESS(flow.remote)},
};

static const struct {
	const struct member *members;
	size_t count;
} records[RECORD_TYPES] = {
        [FDTAPE_ITEM_CLOCK] = {clock_members, LENGTH(clock_members)},
        [FDTAPE_ITEM_PROCESS] = {process_members, LENGTH(process_members)},
        [FDTAPE_ITEM_FLOW] = {flow_members, LENGTH(flow_members)},
        [FDTAPE_ITEM_SECRET] = {secret_members, LENGTH(secret_members)},
        [FDTAPE_ITEM_LOSS] = {loss_members, LENGTH(loss_members)},
        [FDTAPE_ITEM_THREAD] = {thread_members, LENGTH(thread_members)},
        [RECORD_PEER] = {peer_members, LENGTH(peer_members)},
};

static const void *member_of(const struct fdtape_item *item, size_t offset)
{
	return (const char *)item + offset;
}

static const char *load_string(const struct fdtape_item *item, const struct member *m)
{
	const char *s;

	memcpy(&s, member_of(item, m->offset), sizeof(s));
	return s;
}

static const uint8_t *load_bytes(const struct fdtape_item *item, const struct member *m, size_t *len)
{
	const uint8_t *p;

	memcpy(&p, member_of(item, m->offset), sizeof(p));
	memcpy(len, member_of(item, m->len_offset), sizeof(*len));
	return p;
}

static bool member_is_valid(const struct fdtape_item *item, const struct member *m)
{
	const struct fdtape_address *address;
	const char *s;
	const uint8_t *p;
	size_t len;

	switch (m->shape) {
	case NUMBER:
		return true;
	case STRING:
		s = load_string(item, m);
		return !s || strlen(s) <= STRING_MAX;
	case BYTES:
		p = load_bytes(item, m, &len);
		return len <= FDTAPE_SECRET_MAX && (p || len == 0);
	case ADDRESS:
		address = member_of(item, m->offset);
		return address->len <= FDTAPE_ADDRESS_MAX;
	}
	return false;
}

bool record_is_valid(const struct fdtape_item *item)
{
	if (item->type >= RECORD_TYPES || records[item->type].count == 0 || item->type == RECORD_PEER)
		return false;
	for (size_t i = 0; i < records[item->type].count; i++)
		if (!member_is_valid(item, &records[item->type].members[i]))
			return false;
	return true;
}

static void put_member(struct bytebuf *b, const struct fdtape_item *item, const struct member *m,
                       const struct fdtape_item *last)
{
	const struct fdtape_address *address;
	const uint8_t *p;
	size_t len;

	switch (m->shape) {
	case NUMBER:
		bytebuf_varint(b, zigzag(field_load(item, m->offset, m->type) - field_load(last, m->offset, m->type)));
		break;
	case STRING:
		bytebuf_string(b, load_string(item, m));
		break;
	case BYTES:
		p = load_bytes(item, m, &len);
		bytebuf_varint(b, len);
		bytebuf_append(b, p, len);
		break;
	case ADDRESS:
		address = member_of(item, m->offset);
		bytebuf_byte(b, address->family);
		bytebuf_varint(b, address->port);
		bytebuf_byte(b, address->len);
		bytebuf_append(b, address->addr, address->len);
		break;
	}
}

void record_put(struct record_writer *w, const struct fdtape_item *item, uint64_t ordinal, uint64_t events_before)
{
	struct bytebuf *b = &w->scratch;

	bytebuf_clear(b);
	bytebuf_varint(b, item->type);
	bytebuf_varint(b, ordinal - w->ordinal);
	bytebuf_varint(b, events_before - w->events_before);
	for (size_t i = 0; i < records[item->type].count; i++)
		put_member(b, item, &records[item->type].members[i], &w->last[item->type]);

	bytebuf_varint(&w->bytes, b->len);
	bytebuf_append(&w->bytes, b->data, b->len);
	if (b->failed)
		w->bytes.failed = true;
	w->count++;
	w->ordinal = ordinal;
	w->events_before = events_before;
	w->last[item->type] = *item;
}

void record_writer_clear(struct record_writer *w)
{
	if (w->count == 0)
		return;
	bytebuf_clear(&w->bytes);
	w->count = 0;
	w->ordinal = 0;
	w->events_before = 0;
	memset(w->last, 0, sizeof(w->last));
}

void record_writer_release(struct record_writer *w)
{
	bytebuf_release(&w->bytes);
	bytebuf_release(&w->scratch);
}

static void take_address(struct span *s, struct fdtape_address *address)
{
	const uint8_t *p;
	uint64_t port;

	address->family = (uint8_t)span_fixed(s, 1);
	port = span_varint(s);
	address->port = (uint16_t)port;
	address->len = (uint8_t)span_fixed(s, 1);
	p = span_take(s, address->len);
	if (port > UINT16_MAX || address->len > FDTAPE_ADDRESS_MAX)
		s->bad = true;
	else if (p)
		memcpy(address->addr, p, address->len);
}

/* What `s` does not hold any more stays as it is: 0, or "". */
static void take_member(struct span *s, struct fdtape_item *item, const struct member *m,
                        const struct fdtape_item *last)
{
	char *to = (char *)item + m->offset;
	const char *string = "";
	const uint8_t *p;
	uint64_t v;
	size_t len;

	if (m->shape == STRING)
		memcpy(to, &string, sizeof(string));
	if (span_left(s) == 0)
		return;
	switch (m->shape) {
	case NUMBER:
		v = unzigzag(span_varint(s)) + field_load(last, m->offset, m->type);
		if (!field_store(item, m->offset, m->type, v))
			s->bad = true;
		break;
	case STRING:
		string = span_string(s);
		memcpy(to, &string, sizeof(string));
		break;
	case BYTES:
		v = span_varint(s);
		if (v > FDTAPE_SECRET_MAX)
			s->bad = true;
		len = (size_t)v;
		p = span_take(s, len);
		memcpy(to, &p, sizeof(p));
		memcpy((char *)item + m->len_offset, &len, sizeof(len));
		break;
	case ADDRESS:
		take_address(s, (struct fdtape_address *)to);
		break;
	}
}

void record_cursor_begin(struct record_cursor *c, struct span body, uint32_t n_records, uint32_t types)
{
	*c = (struct record_cursor){.rest = body, .left = n_records, .types = types};
}

/* Adds; false: above 64 bits. */
static bool advance(uint64_t *sum, uint64_t step)
{
	*sum += step;
	return *sum >= step;
}

/* The type, and where the record belongs. False: it is not one. */
static bool take_head(struct record_cursor *c, struct span *s, uint64_t *type)
{
	uint64_t step;

	*type = span_varint(s);
	step = span_varint(s);
	if (!advance(&c->ordinal, step) || (step == 0 && c->taken > 0) || !advance(&c->events_before, span_varint(s)))
		return false;
	c->taken++;
	return !s->bad;
}

static bool is_known(uint64_t type)
{
	return type < RECORD_TYPES && records[type].count > 0;
}

int record_cursor_next(struct record_cursor *c)
{
	for (; c->left > 0; c->left--) {
		uint64_t len = span_varint(&c->rest);
		const uint8_t *p = len <= SIZE_MAX ? span_take(&c->rest, (size_t)len) : NULL;
		struct span s;
		uint64_t type;

		if (!p)
			return FDTAPE_ERR_DAMAGED;
		s = span_of(p, (size_t)len);
		if (!take_head(c, &s, &type))
			return FDTAPE_ERR_DAMAGED;
		if (!is_known(type)) {
			c->unknown++;
			continue;
		}
		if (!(c->types >> type & 1))
			return FDTAPE_ERR_DAMAGED;
		c->item = (struct fdtape_item){.type = (uint32_t)type};
		for (size_t i = 0; !s.bad && i < records[type].count; i++)
			take_member(&s, &c->item, &records[type].members[i], &c->last[type]);
		if (s.bad)
			return FDTAPE_ERR_DAMAGED;
		c->last[type] = c->item;
		c->left--;
		return 1;
	}
	return c->rest.bad || span_left(&c->rest) > 0 ? FDTAPE_ERR_DAMAGED : 0;
}
