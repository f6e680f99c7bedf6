/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * Most fields of most events are what the model guesses. So each event has a mask that says which fields are not, and
 * a column holds the values of its field only for the events whose mask says so. TIME and DURATION can't be guessed
 * and are there for each event, as is the mask itself.
 *
 * A column is a sequence of varints, stored as up to three strips: the first bytes of all varints, the second bytes,
 * and the rest. The strips differ so much in what zstd can do with them that each is compressed for itself.
 *
 * Of times, the low bits are noise; how many, depends on what was called, and is learned. They go to a fourth strip, of
 * bits, and are not compressed; what is left is a small number, which is distributed alike whatever was called.
 */
#include "format/columns.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	MASK = N_GUESSED,
	TIME,
	DURATION,
	N_COLUMNS
};

/* Columns from here on hold a value for each event. */
#define ID_DENSE 32

/* How a column's varints tell a value. */
enum coding {
	PLAIN,      /* the value itself */
	SIGNED,     /* zigzag of it */
	DIFFERENCE, /* zigzag of the difference to the guess */
	/* Its place among the recent ones, from 1. 0: it is not there, and follows: a flow as its place in the block's
	 * list of flows, from 0; a tid as the zigzag of its difference to the one that was met for the first time last. */
	RECENT,
	/* The difference to the guess, without the low bits that are noise, as the zigzag of the difference to what is
	 * likely. The low bits are in the column's strip of bits. */
	SCALED,
};

#define AT(member) offsetof(struct fdtape_event, member)

/* By enum guessed, then MASK, TIME, DURATION. */
static const struct column {
	uint8_t id; /* on the tape */
	enum coding coding;
	enum field_type type;
	size_t offset; /* in struct fdtape_event; of a peer, which is a number beside it, 0 */
	const char *name;
} columns[N_COLUMNS] = {
        [GUESS_TID] = {GUESS_TID, RECENT, FIELD_U32, AT(tid), "tid"},
        [GUESS_CALL] = {GUESS_CALL, PLAIN, FIELD_U32, AT(call), "call"},
        [GUESS_FLOW] = {GUESS_FLOW, RECENT, FIELD_U64, AT(flow), "flow"},
        [GUESS_DIR] = {GUESS_DIR, PLAIN, FIELD_U32, AT(dir), "dir"},
        [GUESS_RESULT] = {GUESS_RESULT, SIGNED, FIELD_I64, AT(result), "result"},
        [GUESS_ARG0] = {GUESS_ARG0, PLAIN, FIELD_U64, AT(arg[0]), "arg0"},
        [GUESS_OFFSET] = {GUESS_OFFSET, DIFFERENCE, FIELD_U64, AT(offset), "offset"},
        [GUESS_FD] = {GUESS_FD, SIGNED, FIELD_I32, AT(fd), "fd"},
        [GUESS_BYTES] = {GUESS_BYTES, PLAIN, FIELD_U64, AT(bytes), "bytes"},
        [GUESS_CAPTURED] = {GUESS_CAPTURED, PLAIN, FIELD_U64, AT(captured), "captured"},
        [GUESS_PID] = {GUESS_PID, PLAIN, FIELD_U32, AT(pid), "pid"},
        [GUESS_FLAGS] = {GUESS_FLAGS, PLAIN, FIELD_U32, AT(flags), "flags"},
        [GUESS_ARG1] = {GUESS_ARG1, PLAIN, FIELD_U64, AT(arg[1]), "arg1"},
        [GUESS_ARG2] = {GUESS_ARG2, PLAIN, FIELD_U64, AT(arg[2]), "arg2"},
        [GUESS_PEER] = {GUESS_PEER, PLAIN, FIELD_U32, 0, "peer"},
        [MASK] = {ID_DENSE, PLAIN, FIELD_U64, 0, "mask"},
        [TIME] = {ID_DENSE + 1, SCALED, FIELD_U64, AT(time), "time"},
        [DURATION] = {ID_DENSE + 2, SCALED, FIELD_U64, AT(duration), "duration"},
};

/* A directory entry's second byte. */
enum form {
	FORM_RAW = 0,
	FORM_ZSTD = 1,
	FORM_ENCODING = 0x0f, /* mask: one of the above */
	FORM_STRIP = 0x30,    /* mask: number of the strip */
	FORM_CRITICAL = 0x80, /* who does not know the column must not read on */
};
#define FORM_STRIP_SHIFT 4

/* The most that one event has in one strip: two varints, less the bytes in the other strips. */
#define STRIP_BYTES 16u

/* Bits that wait to be a byte. */
struct bits {
	uint64_t held;
	unsigned count;
};

struct columns {
	struct model model;
	struct bytebuf strip[N_COLUMNS][STRIPS];
	struct bits bits[N_COLUMNS];
	struct span read[N_COLUMNS][STRIPS];
	uint64_t read_bits[N_COLUMNS]; /* how many of the strip of bits were taken */
	const struct flowlist *listed; /* writing */
	uint64_t flows[FLOWLIST_MAX];  /* reading: the list of flows */
	size_t n_flows;
};

struct columns *columns_new(void)
{
	return calloc(1, sizeof(struct columns));
}

void columns_free(struct columns *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < N_COLUMNS; i++)
		for (size_t s = 0; s < STRIPS; s++)
			bytebuf_release(&c->strip[i][s]);
	model_release(&c->model);
	free(c);
}

static void put_varint(struct columns *c, size_t column, uint64_t v)
{
	struct bytebuf *strip = c->strip[column];

	if (v < 0x80) {
		bytebuf_byte(&strip[0], (uint8_t)v);
		return;
	}
	bytebuf_byte(&strip[0], (uint8_t)(v | 0x80));
	v >>= 7;
	if (v < 0x80) {
		bytebuf_byte(&strip[1], (uint8_t)v);
		return;
	}
	bytebuf_byte(&strip[1], (uint8_t)(v | 0x80));
	bytebuf_varint(&strip[2], v >> 7);
}

/* A varint of several bytes, or none. */
static uint64_t take_long_varint(struct span strip[STRIPS])
{
	uint64_t v = span_fixed(&strip[0], 1);
	uint64_t high;

	if (v < 0x80)
		return v;
	high = span_fixed(&strip[1], 1);
	v = (v & 0x7f) | (high & 0x7f) << 7;
	if (high < 0x80)
		return v;
	high = span_varint(&strip[2]);
	if (high >> 50)
		strip[2].bad = true;
	return v | high << 14;
}

/* 0 when the column has no more, or not as it must be: the strip is bad then. */
static inline uint64_t take_varint(struct columns *c, size_t column)
{
	struct span *strip = c->read[column];

	if (strip[0].at < strip[0].end && *strip[0].at < 0x80)
		return *strip[0].at++;
	return take_long_varint(strip);
}

/* Least significant first; at most SCALE_BITS_MAX, and no more are set. */
static void put_bits(struct columns *c, size_t column, uint64_t v, unsigned count)
{
	struct bits *bits = &c->bits[column];

	bits->held |= v << bits->count;
	bits->count += count;
	for (; bits->count >= 8; bits->count -= 8, bits->held >>= 8)
		bytebuf_byte(&c->strip[column][STRIP_BITS], (uint8_t)bits->held);
}

/* 0 when the strip has no more: it is bad then. */
static uint64_t take_bits(struct columns *c, size_t column, unsigned count)
{
	struct span *strip = &c->read[column][STRIP_BITS];
	uint64_t taken = c->read_bits[column];
	size_t len = (size_t)(strip->end - strip->at);
	size_t at = (size_t)(taken / 8);
	uint64_t v;

	if (count == 0)
		return 0;
	if (strip->bad || taken + count > (uint64_t)len * 8) {
		strip->bad = true;
		return 0;
	}
	c->read_bits[column] = taken + count;
	v = len - at >= 8 ? load_le(strip->at + at, 8) : load_le(strip->at + at, (unsigned)(len - at));
	return v >> taken % 8 & ~(UINT64_MAX << count);
}

/* The strip of bits ends with the byte that the last bit is in, whose other bits are 0. */
static bool bits_are_used_up(struct columns *c, size_t column)
{
	struct span *strip = &c->read[column][STRIP_BITS];
	uint64_t taken = c->read_bits[column];
	size_t len = (size_t)(strip->end - strip->at);

	return len == (taken + 7) / 8 && (taken % 8 == 0 || strip->at[len - 1] >> taken % 8 == 0);
}

static void put_scaled(struct columns *c, size_t column, struct scale *scale, uint64_t difference)
{
	struct split split = scale_split(scale);
	uint64_t sign = 0 - (difference >> 63);
	uint64_t high = ((difference ^ sign) >> split.bits) ^ sign;

	put_varint(c, column, zigzag(high - split.high));
	put_bits(c, column, difference & ~(UINT64_MAX << split.bits), split.bits);
	scale_learn(scale, difference);
}

static uint64_t take_scaled(struct columns *c, size_t column, struct scale *scale)
{
	struct split split = scale_split(scale);
	uint64_t high = unzigzag(take_varint(c, column)) + split.high;
	uint64_t difference = high << split.bits | take_bits(c, column, split.bits);

	scale_learn(scale, difference);
	return difference;
}

static uint64_t newest(const struct idmap *values)
{
	return values->count ? values->keys[values->count - 1] : 0;
}

static void put_tid(struct columns *c, uint64_t v)
{
	struct model *m = &c->model;
	uint32_t number = idmap_find(&m->tids, v);

	m->thread_place = number == IDMAP_NONE ? 0 : recent_find(&m->recent_tids, number);
	put_varint(c, GUESS_TID, m->thread_place);
	if (m->thread_place == 0)
		put_varint(c, GUESS_TID, zigzag(v - newest(&m->tids)));
}

static void put_flow(struct columns *c, uint64_t v)
{
	struct model *m = &c->model;
	uint32_t number = idmap_find(&m->flows, v);

	m->flow_place = number == IDMAP_NONE ? 0 : recent_find(&m->threads[m->thread].flows, number);
	put_varint(c, GUESS_FLOW, m->flow_place);
	if (m->flow_place == 0)
		put_varint(c, GUESS_FLOW, flowlist_index(c->listed, v));
}

/* False: there is no such place. */
static bool take_tid(struct columns *c, uint64_t *v)
{
	struct model *m = &c->model;
	uint64_t place = take_varint(c, GUESS_TID);

	if (place > m->recent_tids.count)
		return false;
	m->thread_place = (uint32_t)place;
	*v = place > 0 ? recent_value(&m->recent_tids, &m->tids, place)
	               : unzigzag(take_varint(c, GUESS_TID)) + newest(&m->tids);
	return true;
}

static bool take_flow(struct columns *c, uint64_t *v)
{
	struct model *m = &c->model;
	const struct recent *recent = &m->threads[m->thread].flows;
	uint64_t place = take_varint(c, GUESS_FLOW);

	if (place > recent->count)
		return false;
	m->flow_place = (uint32_t)place;
	if (place > 0) {
		*v = recent_value(recent, &m->flows, place);
		return true;
	}
	place = take_varint(c, GUESS_FLOW);
	*v = place < c->n_flows ? c->flows[place] : 0;
	return place < c->n_flows;
}

static void put_value(struct columns *c, size_t column, uint64_t v, uint64_t guess)
{
	switch (columns[column].coding) {
	case PLAIN:
	case SCALED: /* see put_scaled() */
		put_varint(c, column, v);
		break;
	case SIGNED:
		put_varint(c, column, zigzag(v));
		break;
	case DIFFERENCE:
		put_varint(c, column, zigzag(v - guess));
		break;
	case RECENT:
		if (column == GUESS_TID)
			put_tid(c, v);
		else
			put_flow(c, v);
		break;
	}
}

/* False: it names a value that is not known. */
__attribute__((always_inline)) static inline bool take_value(struct columns *c, size_t column, uint64_t guess,
                                                             uint64_t *v)
{
	switch (columns[column].coding) {
	case PLAIN:
	case SCALED: /* see take_scaled() */
		*v = take_varint(c, column);
		break;
	case SIGNED:
		*v = unzigzag(take_varint(c, column));
		break;
	case DIFFERENCE:
		*v = unzigzag(take_varint(c, column)) + guess;
		break;
	case RECENT:
		return column == GUESS_TID ? take_tid(c, v) : take_flow(c, v);
	}
	return true;
}

/* Called with constants; see model.h. */
static inline void encode_value(struct columns *c, const struct fdtape_event *e, enum guessed field, uint64_t v,
                                uint64_t *mask)
{
	uint64_t guess = model_guess(&c->model, field, e);

	if (v != guess) {
		*mask |= (uint64_t)1 << field;
		put_value(c, field, v, guess);
	}
	model_learn(&c->model, field, e, guess, v);
}

static inline void encode_field(struct columns *c, const struct fdtape_event *e, enum guessed field, uint64_t *mask)
{
	encode_value(c, e, field, field_load(e, columns[field].offset, columns[field].type), mask);
}

static void encode_event(struct columns *c, const struct fdtape_event *e, uint32_t peer)
{
	struct context *scales;
	uint64_t mask = 0;

	encode_field(c, e, GUESS_TID, &mask);
	encode_field(c, e, GUESS_CALL, &mask);
	encode_field(c, e, GUESS_FLOW, &mask);
	encode_field(c, e, GUESS_DIR, &mask);
	encode_field(c, e, GUESS_RESULT, &mask);
	encode_field(c, e, GUESS_ARG0, &mask);
	encode_field(c, e, GUESS_OFFSET, &mask);
	encode_field(c, e, GUESS_FD, &mask);
	encode_field(c, e, GUESS_BYTES, &mask);
	encode_field(c, e, GUESS_CAPTURED, &mask);
	encode_field(c, e, GUESS_PID, &mask);
	encode_field(c, e, GUESS_FLAGS, &mask);
	encode_field(c, e, GUESS_ARG1, &mask);
	encode_field(c, e, GUESS_ARG2, &mask);
	encode_value(c, e, GUESS_PEER, peer, &mask);
	put_value(c, MASK, mask, 0);
	scales = model_scales(&c->model, e);
	put_scaled(c, DURATION, &scales->duration, e->duration);
	put_scaled(c, TIME, &scales->time, e->time - model_guess_time(&c->model, e));
	model_finish(&c->model, e);
}

/* False: what the field holds is not allowed. `to`: where it is stored, the event itself but for a peer. */
__attribute__((always_inline)) static inline bool decode_to(struct columns *c, const struct fdtape_event *e,
                                                            enum guessed field, uint64_t mask, void *to)
{
	uint64_t guess = model_guess(&c->model, field, e);
	uint64_t v = guess;

	if (mask >> field & 1 && !take_value(c, field, guess, &v))
		return false;
	if (!field_store(to, columns[field].offset, columns[field].type, v))
		return false;
	/* At once, because the model counts by direction. */
	if (field == GUESS_DIR && v > FDTAPE_OUT)
		return false;
	model_learn(&c->model, field, e, guess, v);
	return true;
}

__attribute__((always_inline)) static inline bool decode_field(struct columns *c, struct fdtape_event *e,
                                                               enum guessed field, uint64_t mask)
{
	return decode_to(c, e, field, mask, e);
}

/* NULL, or the name of the column that holds what an event can't be. */
static const char *decode_event(struct columns *c, struct fdtape_event *e, uint32_t *peer)
{
	struct context *scales;
	enum guessed field;
	uint64_t mask;

	*e = (struct fdtape_event){0};
	take_value(c, MASK, 0, &mask);
	if (!decode_field(c, e, field = GUESS_TID, mask) || !decode_field(c, e, field = GUESS_CALL, mask) ||
	    !decode_field(c, e, field = GUESS_FLOW, mask) || !decode_field(c, e, field = GUESS_DIR, mask) ||
	    !decode_field(c, e, field = GUESS_RESULT, mask) || !decode_field(c, e, field = GUESS_ARG0, mask) ||
	    !decode_field(c, e, field = GUESS_OFFSET, mask) || !decode_field(c, e, field = GUESS_FD, mask) ||
	    !decode_field(c, e, field = GUESS_BYTES, mask) || !decode_field(c, e, field = GUESS_CAPTURED, mask) ||
	    !decode_field(c, e, field = GUESS_PID, mask) || !decode_field(c, e, field = GUESS_FLAGS, mask) ||
	    !decode_field(c, e, field = GUESS_ARG1, mask) || !decode_field(c, e, field = GUESS_ARG2, mask) ||
	    !decode_to(c, e, field = GUESS_PEER, mask, peer))
		return columns[field].name;
	if (e->captured > e->bytes || e->captured > FDTAPE_EVENT_DATA_MAX)
		return columns[GUESS_CAPTURED].name;
	scales = model_scales(&c->model, e);
	e->duration = take_scaled(c, DURATION, &scales->duration);
	e->time = model_guess_time(&c->model, e) + take_scaled(c, TIME, &scales->time);
	model_finish(&c->model, e);
	return NULL;
}

static void put_strip(struct columns *c, ZSTD_CCtx *zstd, size_t column, unsigned s, struct bytebuf *directory,
                      struct bytebuf *body)
{
	const struct bytebuf *strip = &c->strip[column][s];
	size_t begin = body->len;
	/* What version 1.0 does not know, it is to pass over. */
	unsigned form = (column == GUESS_PEER ? 0 : FORM_CRITICAL) | s << FORM_STRIP_SHIFT;

	if (s == STRIP_BITS)
		bytebuf_append(body, strip->data, strip->len);
	else if (codec_pack(zstd, body, strip->data, strip->len))
		form |= FORM_ZSTD;
	bytebuf_byte(directory, columns[column].id);
	bytebuf_byte(directory, (uint8_t)form);
	bytebuf_varint(directory, strip->len);
	bytebuf_varint(directory, body->len - begin);
}

int columns_encode(struct columns *c, ZSTD_CCtx *zstd, const struct flowlist *flows, const struct fdtape_event *events,
                   const uint32_t *peers, size_t n, struct bytebuf *directory, struct bytebuf *body, uint32_t *raw_len)
{
	size_t used = 0;
	bool failed = false;

	c->listed = flows;
	for (size_t i = 0; i < N_COLUMNS; i++) {
		c->bits[i] = (struct bits){0};
		for (size_t s = 0; s < STRIPS; s++)
			bytebuf_clear(&c->strip[i][s]);
	}
	model_clear(&c->model);
	for (size_t i = 0; i < n; i++) {
		if (!model_reserve(&c->model))
			return FDTAPE_ERR_MEMORY;
		encode_event(c, &events[i], peers[i]);
	}

	for (size_t i = 0; i < N_COLUMNS; i++)
		if (c->bits[i].count > 0)
			bytebuf_byte(&c->strip[i][STRIP_BITS], (uint8_t)c->bits[i].held);
	*raw_len = 0;
	for (size_t i = 0; i < N_COLUMNS; i++) {
		for (size_t s = 0; s < STRIPS; s++) {
			*raw_len += (uint32_t)c->strip[i][s].len;
			used += c->strip[i][s].len > 0;
			failed |= c->strip[i][s].failed;
		}
	}
	bytebuf_varint(directory, used);
	for (size_t i = 0; i < N_COLUMNS; i++)
		for (unsigned s = 0; s < STRIPS; s++)
			if (c->strip[i][s].len > 0)
				put_strip(c, zstd, i, s, directory, body);
	return failed || directory->failed || body->failed ? FDTAPE_ERR_MEMORY : 0;
}

static size_t column_of_id(uint64_t id)
{
	size_t i = 0;

	while (i < N_COLUMNS && columns[i].id != id)
		i++;
	return i;
}

/* Finds and decodes what one directory entry tells of. */
static int take_strip(struct columns *c, ZSTD_DCtx *zstd, struct span *directory, struct span *body, size_t n,
                      uint64_t *budget, struct diag *diag)
{
	uint64_t id = span_fixed(directory, 1);
	unsigned form = (unsigned)span_fixed(directory, 1);
	uint64_t raw_len = span_varint(directory);
	uint64_t stored_len = span_varint(directory);
	unsigned s = (form & FORM_STRIP) >> FORM_STRIP_SHIFT;
	unsigned encoding = form & FORM_ENCODING;
	size_t i = column_of_id(id);
	const uint8_t *stored;

	if (directory->bad)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "directory of columns is cut off");
	if (id >= COLUMNS_MAX)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "column %u, ids are below %u", (unsigned)id, COLUMNS_MAX);
	if (raw_len > *budget)
		return diag_block(diag, FDTAPE_ERR_DAMAGED,
		                  "column %u: length %" PRIu64 " when decoded, the block has room for %" PRIu64,
		                  (unsigned)id, raw_len, *budget);
	*budget -= raw_len;
	stored = stored_len <= span_left(body) ? span_take(body, (size_t)stored_len) : NULL;
	if (!stored)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "column %u: length %" PRIu64 ", the block has %zu left",
		                  (unsigned)id, stored_len, span_left(body));

	if (i == N_COLUMNS || encoding > FORM_ZSTD) {
		if (form & FORM_CRITICAL)
			return diag_block(diag, FDTAPE_ERR_UNSUPPORTED,
			                  "needs column %u in form %u, which this build does not know", (unsigned)id,
			                  form);
		return 0;
	}
	if (raw_len > n * STRIP_BYTES)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "column %s: %" PRIu64 " bytes, %zu events have at most %zu",
		                  columns[i].name, raw_len, n, n * STRIP_BYTES);
	if (c->read[i][s].at)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "column %s: strip %u comes twice", columns[i].name, s);
	if (encoding == FORM_RAW) {
		if (stored_len != raw_len)
			return diag_block(diag, FDTAPE_ERR_DAMAGED,
			                  "column %s: length %" PRIu64 " as it is, %" PRIu64 " when decoded",
			                  columns[i].name, stored_len, raw_len);
		c->read[i][s] = span_of(stored, (size_t)stored_len);
		return 0;
	}
	bytebuf_clear(&c->strip[i][s]);
	if (!bytebuf_reserve(&c->strip[i][s], (size_t)raw_len + 1))
		return FDTAPE_ERR_MEMORY;
	if (!codec_unpack(zstd, c->strip[i][s].data, (size_t)raw_len, stored, (size_t)stored_len))
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "column %s: strip %u does not decode to %" PRIu64 " bytes",
		                  columns[i].name, s, raw_len);
	c->read[i][s] = span_of(c->strip[i][s].data, (size_t)raw_len);
	return 0;
}

int columns_decode(struct columns *c, ZSTD_DCtx *zstd, struct span flows, struct span directory, struct span body,
                   uint32_t raw_len, struct fdtape_event *events, uint32_t *peers, size_t n, struct diag *diag)
{
	static const uint8_t nothing;
	uint64_t budget = raw_len;
	uint64_t entries = span_varint(&directory);

	if (entries > COLUMNS_MAX * STRIPS)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "directory of %" PRIu64 " entries, at most %u are allowed",
		                  entries, COLUMNS_MAX * STRIPS);
	memset(c->read, 0, sizeof(c->read));
	memset(c->read_bits, 0, sizeof(c->read_bits));
	c->n_flows = flowlist_take(flows, c->flows);
	for (uint64_t k = 0; k < entries; k++) {
		int rc = take_strip(c, zstd, &directory, &body, n, &budget, diag);

		if (rc)
			return rc;
	}
	if (directory.bad || span_left(&directory) || span_left(&body) || budget)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "the columns are not as long as the block says");
	for (size_t i = 0; i < N_COLUMNS; i++)
		for (size_t s = 0; s < STRIPS; s++)
			if (!c->read[i][s].at)
				c->read[i][s] = span_of(&nothing, 0);
	/* The column of the masks says no before anything is done n times. */
	if (span_left(&c->read[MASK][0]) != n)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "%zu events, and masks for %zu", n,
		                  span_left(&c->read[MASK][0]));

	model_clear(&c->model);
	for (size_t i = 0; i < n; i++) {
		const char *wrong;

		if (!model_reserve(&c->model))
			return FDTAPE_ERR_MEMORY;
		wrong = decode_event(c, &events[i], &peers[i]);
		if (wrong)
			return diag_block(diag, FDTAPE_ERR_DAMAGED, "event %zu: %s is out of range", i, wrong);
	}
	for (size_t i = 0; i < N_COLUMNS; i++)
		for (size_t s = 0; s < STRIPS; s++)
			if (c->read[i][s].bad ||
			    (s == STRIP_BITS ? !bits_are_used_up(c, i) : span_left(&c->read[i][s]) > 0))
				return diag_block(diag, FDTAPE_ERR_DAMAGED, "column %s: %s values than events say",
				                  columns[i].name, c->read[i][s].bad ? "fewer" : "more");
	return 0;
}
