/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TEST_FORMAT_HELPERS_H
#define TEST_FORMAT_HELPERS_H

/* What the suites of format/ share: scripts of items (what is written, what was read), tapes in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fdtape/reader.h>
#include <fdtape/writer.h>

/* ---- random numbers ---------------------------------------------------------- */

struct dice {
	uint64_t state;
};

static inline uint64_t dice_u64(struct dice *d) /* splitmix64 */
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline uint64_t dice_below(struct dice *d, uint64_t n)
{
	return dice_u64(d) % n;
}

/* Small, large, and the edges, each often. */
static inline uint64_t dice_any(struct dice *d)
{
	static const uint64_t edges[] = {0,         1,          127,       128,        16383,     16384,
	                                 INT32_MAX, UINT32_MAX, INT64_MAX, 1ull << 63, UINT64_MAX};

	switch (dice_below(d, 4)) {
	case 0:
		return edges[dice_below(d, sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return dice_below(d, 200);
	case 2:
		return dice_u64(d) >> dice_below(d, 64);
	default:
		return dice_u64(d);
	}
}

/* ---- bytes ------------------------------------------------------------------- */

struct blob {
	uint8_t *data;
	size_t len;
};

static inline void blob_append(struct blob *b, const void *data, size_t len)
{
	b->data = realloc(b->data, b->len + len + 1);
	assert_non_null(b->data);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void blob_free(struct blob *b)
{
	free(b->data);
	*b = (struct blob){0};
}

static inline int blob_sink(void *context, const void *data, size_t len)
{
	blob_append(context, data, len);
	return 0;
}

/* ---- scripts ----------------------------------------------------------------- */

struct script {
	struct fdtape_item *items; /* deep copies */
	size_t n;
	size_t cap;
};

static inline void *copy_bytes(const void *data, size_t len)
{
	void *p = malloc(len + 1);

	assert_non_null(p);
	if (len)
		memcpy(p, data, len);
	return p;
}

static inline char *copy_string(const char *s)
{
	return copy_bytes(s ? s : "", s ? strlen(s) + 1 : 1);
}

static inline void script_add(struct script *s, const struct fdtape_item *item)
{
	struct fdtape_item *to;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->items = realloc(s->items, s->cap * sizeof(*s->items));
		assert_non_null(s->items);
	}
	to = &s->items[s->n++];
	*to = *item;
	switch (item->type) {
	case FDTAPE_ITEM_EVENT:
		to->event.data = item->event.captured ? copy_bytes(item->event.data, item->event.captured) : NULL;
		to->event.peer = item->event.peer ? copy_bytes(item->event.peer, sizeof(*item->event.peer)) : NULL;
		break;
	case FDTAPE_ITEM_PROCESS:
		to->process.comm = copy_string(item->process.comm);
		to->process.exe = copy_string(item->process.exe);
		to->process.cmdline = copy_string(item->process.cmdline);
		to->process.build_id = copy_string(item->process.build_id);
		to->process.cgroup = copy_string(item->process.cgroup);
		to->process.libraries = copy_string(item->process.libraries);
		break;
	case FDTAPE_ITEM_THREAD:
		to->thread.comm = copy_string(item->thread.comm);
		break;
	case FDTAPE_ITEM_FLOW:
		to->flow.name = copy_string(item->flow.name);
		break;
	case FDTAPE_ITEM_SECRET:
		to->secret.label = copy_string(item->secret.label);
		to->secret.source = copy_string(item->secret.source);
		to->secret.id = copy_bytes(item->secret.id, item->secret.id_len);
		to->secret.value = copy_bytes(item->secret.value, item->secret.value_len);
		break;
	default:
		break;
	}
}

static inline void script_free(struct script *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct fdtape_item *item = &s->items[i];

		switch (item->type) {
		case FDTAPE_ITEM_EVENT:
			free((void *)(uintptr_t)item->event.data);
			free((void *)(uintptr_t)item->event.peer);
			break;
		case FDTAPE_ITEM_PROCESS:
			free((void *)(uintptr_t)item->process.comm);
			free((void *)(uintptr_t)item->process.exe);
			free((void *)(uintptr_t)item->process.cmdline);
			free((void *)(uintptr_t)item->process.build_id);
			free((void *)(uintptr_t)item->process.cgroup);
			free((void *)(uintptr_t)item->process.libraries);
			break;
		case FDTAPE_ITEM_THREAD:
			free((void *)(uintptr_t)item->thread.comm);
			break;
		case FDTAPE_ITEM_FLOW:
			free((void *)(uintptr_t)item->flow.name);
			break;
		case FDTAPE_ITEM_SECRET:
			free((void *)(uintptr_t)item->secret.label);
			free((void *)(uintptr_t)item->secret.source);
			free((void *)(uintptr_t)item->secret.id);
			free((void *)(uintptr_t)item->secret.value);
			break;
		default:
			break;
		}
	}
	free(s->items);
	*s = (struct script){0};
}

static inline bool same_address(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

static inline bool same_event(const struct fdtape_event *a, const struct fdtape_event *b, bool payload)
{
	if (b->peer && (!a->peer || !same_address(a->peer, b->peer)))
		return false;
	return a->time == b->time && a->duration == b->duration && a->pid == b->pid && a->tid == b->tid &&
	       a->call == b->call && a->flags == b->flags && a->result == b->result && a->fd == b->fd &&
	       a->dir == b->dir && a->flow == b->flow && a->offset == b->offset && a->bytes == b->bytes &&
	       memcmp(a->arg, b->arg, sizeof(a->arg)) == 0 &&
	       (!payload || (a->captured == b->captured && (!a->data == !b->data) &&
	                     (!a->data || memcmp(a->data, b->data, a->captured) == 0)));
}

/* `a` is as it was generated, `b` as it was read, of a group whose definitions may be damaged: then events have lost
 * their peers; they never have others. */
static inline bool same_but_peer(const struct fdtape_item *a, const struct fdtape_item *b, bool payload)
{
	const struct fdtape_flow *f = &a->flow;
	const struct fdtape_flow *g = &b->flow;

	if (a->type != b->type)
		return false;
	switch (a->type) {
	case FDTAPE_ITEM_CLOCK:
		return memcmp(&a->clock, &b->clock, sizeof(a->clock)) == 0;
	case FDTAPE_ITEM_PROCESS:
		return a->process.pid == b->process.pid && a->process.ppid == b->process.ppid &&
		       a->process.uid == b->process.uid && a->process.time == b->process.time &&
		       strcmp(a->process.comm, b->process.comm) == 0 && strcmp(a->process.exe, b->process.exe) == 0 &&
		       strcmp(a->process.cmdline, b->process.cmdline) == 0 &&
		       a->process.started == b->process.started &&
		       strcmp(a->process.build_id, b->process.build_id) == 0 &&
		       strcmp(a->process.cgroup, b->process.cgroup) == 0 &&
		       strcmp(a->process.libraries, b->process.libraries) == 0;
	case FDTAPE_ITEM_THREAD:
		return a->thread.pid == b->thread.pid && a->thread.tid == b->thread.tid &&
		       a->thread.time == b->thread.time && strcmp(a->thread.comm, b->thread.comm) == 0;
	case FDTAPE_ITEM_FLOW:
		return f->id == g->id && f->pid == g->pid && f->tid == g->tid && f->fd == g->fd && f->kind == g->kind &&
		       f->proto == g->proto && f->role == g->role && f->flags == g->flags && f->inode == g->inode &&
		       f->handle == g->handle && f->opened == g->opened && f->closed == g->closed &&
		       f->bytes[0] == g->bytes[0] && f->bytes[1] == g->bytes[1] && same_address(&f->local, &g->local) &&
		       same_address(&f->remote, &g->remote) && strcmp(f->name, g->name) == 0;
	case FDTAPE_ITEM_EVENT:
		return same_event(&a->event, &b->event, payload);
	case FDTAPE_ITEM_SECRET:
		return a->secret.time == b->secret.time && a->secret.pid == b->secret.pid &&
		       a->secret.tid == b->secret.tid && a->secret.id_kind == b->secret.id_kind &&
		       a->secret.id_len == b->secret.id_len && a->secret.value_len == b->secret.value_len &&
		       strcmp(a->secret.label, b->secret.label) == 0 &&
		       strcmp(a->secret.source, b->secret.source) == 0 &&
		       memcmp(a->secret.id, b->secret.id, a->secret.id_len) == 0 &&
		       memcmp(a->secret.value, b->secret.value, a->secret.value_len) == 0;
	case FDTAPE_ITEM_LOSS:
		return memcmp(&a->loss, &b->loss, sizeof(a->loss)) == 0;
	default:
		return true;
	}
}

static inline bool same_item(const struct fdtape_item *a, const struct fdtape_item *b, bool payload)
{
	bool lost_peer =
	        a->type == FDTAPE_ITEM_EVENT && b->type == FDTAPE_ITEM_EVENT && a->event.peer && !b->event.peer;

	return !lost_peer && same_but_peer(a, b, payload);
}

/* The section's head, the items, and its end: what a reader has to give for `written`. */
static inline void assert_whole(const struct script *written, const struct script *read)
{
	assert_int_equal(read->n, written->n + 2);
	assert_int_equal(read->items[0].type, FDTAPE_ITEM_SECTION);
	assert_int_equal(read->items[read->n - 1].type, FDTAPE_ITEM_END);
	for (size_t i = 0; i < written->n; i++)
		if (!same_item(&written->items[i], &read->items[i + 1], true))
			fail_msg("item %zu is not what was put", i);
}

/* Everything given was put, in that order; of events, the payload may be missing. */
static inline void assert_part(const struct script *written, const struct script *read)
{
	size_t at = 0;

	for (size_t i = 0; i < read->n; i++) {
		const struct fdtape_item *item = &read->items[i];

		if (item->type == FDTAPE_ITEM_SECTION || item->type == FDTAPE_ITEM_END)
			continue;
		for (; at < written->n; at++)
			if (same_but_peer(&written->items[at], item,
			                  item->type == FDTAPE_ITEM_EVENT && item->event.captured))
				break;
		if (at++ == written->n)
			fail_msg("item %zu of those given was not put, or not there", i);
	}
}

/* ---- items that are made up --------------------------------------------------- */

static inline void random_text(struct dice *d, char *to, size_t max)
{
	size_t len = dice_below(d, max);

	for (size_t i = 0; i < len; i++)
		to[i] = (char)(1 + dice_below(d, 255));
	to[len] = 0;
}

static inline void random_address(struct dice *d, struct fdtape_address *a)
{
	a->family = (uint8_t)dice_below(d, 5);
	a->len = (uint8_t)dice_below(d, FDTAPE_ADDRESS_MAX + 1);
	a->port = (uint16_t)dice_u64(d);
	for (size_t i = 0; i < a->len; i++)
		a->addr[i] = (uint8_t)dice_u64(d);
}

/* One item with any values that are allowed; adds it. */
static inline void script_add_random(struct script *s, struct dice *d, size_t payload)
{
	static const uint32_t types[] = {FDTAPE_ITEM_EVENT,   FDTAPE_ITEM_EVENT,  FDTAPE_ITEM_EVENT,
	                                 FDTAPE_ITEM_CLOCK,   FDTAPE_ITEM_FLOW,   FDTAPE_ITEM_LOSS,
	                                 FDTAPE_ITEM_PROCESS, FDTAPE_ITEM_SECRET, FDTAPE_ITEM_THREAD};
	struct fdtape_item item = {.type = types[dice_below(d, sizeof(types) / sizeof(types[0]))]};
	struct fdtape_event *e = &item.event;
	uint8_t *data = malloc(payload + 1);
	struct fdtape_address peer = {.family = FDTAPE_FAMILY_IPV4, .len = 4};
	uint8_t bytes[2][64];
	char text[3][100];

	assert_non_null(data);
	for (size_t i = 0; i < 3; i++)
		random_text(d, text[i], sizeof(text[i]));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i / 64][i % 64] = (uint8_t)dice_u64(d);
	switch (item.type) {
	case FDTAPE_ITEM_CLOCK:
		item.clock = (struct fdtape_clock){dice_any(d), dice_any(d), dice_any(d)};
		break;
	case FDTAPE_ITEM_PROCESS:
		item.process = (struct fdtape_process){(uint32_t)dice_any(d),
		                                       (uint32_t)dice_any(d),
		                                       (uint32_t)dice_any(d),
		                                       dice_any(d),
		                                       text[0],
		                                       text[1],
		                                       text[2],
		                                       dice_any(d),
		                                       text[1],
		                                       text[0],
		                                       text[2]};
		break;
	case FDTAPE_ITEM_THREAD:
		item.thread =
		        (struct fdtape_thread){(uint32_t)dice_any(d), (uint32_t)dice_any(d), dice_any(d), text[0]};
		break;
	case FDTAPE_ITEM_FLOW:
		item.flow = (struct fdtape_flow){.id = dice_any(d),
		                                 .pid = (uint32_t)dice_any(d),
		                                 .tid = (uint32_t)dice_any(d),
		                                 .fd = (int32_t)dice_any(d),
		                                 .kind = (uint32_t)dice_any(d),
		                                 .proto = (uint32_t)dice_any(d),
		                                 .role = (uint32_t)dice_any(d),
		                                 .flags = (uint32_t)dice_any(d),
		                                 .inode = dice_any(d),
		                                 .handle = dice_any(d),
		                                 .opened = dice_any(d),
		                                 .closed = dice_any(d),
		                                 .bytes = {dice_any(d), dice_any(d)},
		                                 .name = text[0]};
		random_address(d, &item.flow.local);
		random_address(d, &item.flow.remote);
		break;
	case FDTAPE_ITEM_EVENT:
		*e = (struct fdtape_event){.time = dice_any(d),
		                           .duration = dice_any(d),
		                           .pid = (uint32_t)dice_any(d),
		                           .tid = (uint32_t)dice_any(d),
		                           .call = (uint32_t)dice_any(d),
		                           .flags = (uint32_t)dice_any(d),
		                           .result = (int64_t)dice_any(d),
		                           .fd = (int32_t)dice_any(d),
		                           .dir = (uint32_t)dice_below(d, 2),
		                           .flow = dice_any(d),
		                           .offset = dice_any(d),
		                           .bytes = dice_any(d),
		                           .arg = {dice_any(d), dice_any(d), dice_any(d)}};
		e->captured = dice_below(d, payload + 1);
		if (e->captured > e->bytes || dice_below(d, 2))
			e->captured = 0;
		for (size_t i = 0; i < e->captured; i++)
			data[i] = (uint8_t)(e->flow & 1 ? dice_u64(d) : 'a' + dice_below(d, 4));
		e->data = e->captured ? data : NULL;
		/* Some come again and again, some once; most have none. */
		peer.addr[3] = (uint8_t)dice_below(d, 20);
		if (dice_below(d, 8) == 0)
			random_address(d, &peer);
		e->peer = dice_below(d, 3) == 0 ? &peer : NULL;
		break;
	case FDTAPE_ITEM_SECRET:
		item.secret = (struct fdtape_secret){.time = dice_any(d),
		                                     .pid = (uint32_t)dice_any(d),
		                                     .tid = (uint32_t)dice_any(d),
		                                     .label = text[0],
		                                     .source = text[1],
		                                     .id = bytes[0],
		                                     .id_len = dice_below(d, 65),
		                                     .id_kind = (uint32_t)dice_any(d),
		                                     .value = bytes[1],
		                                     .value_len = dice_below(d, 65)};
		break;
	default:
		item.loss =
		        (struct fdtape_loss){(uint32_t)dice_any(d), dice_any(d), dice_any(d), dice_any(d), dice_any(d)};
		break;
	}
	script_add(s, &item);
	free(data);
}

/* ---- writing and reading ------------------------------------------------------ */

static const struct fdtape_meta test_meta[] = {{"tool.version", "0.1.0"}, {"host.name", "example"}};

static inline struct fdtape_writer_options test_options(void)
{
	return (struct fdtape_writer_options){
	        .clock = {1000, 2000, 3000}, .meta = test_meta, .n_meta = 2, .uuid = {1, 2, 3}, .salt = 0x5a175a17};
}

static inline int put_script(struct fdtape_writer *w, const struct script *s, size_t flush_each)
{
	int rc = 0;

	for (size_t i = 0; i < s->n && rc == 0; i++) {
		rc = fdtape_writer_put(w, &s->items[i]);
		if (rc == 0 && flush_each && i % flush_each == flush_each - 1)
			rc = fdtape_writer_flush(w);
	}
	return rc;
}

/* A whole tape, with an index and snapshots every few groups; flush_each 0: groups end by themselves. */
static inline struct blob write_tape(const struct script *s, size_t flush_each, uint64_t salt)
{
	struct fdtape_writer_options options = test_options();
	struct blob tape = {0};
	struct fdtape_writer *w;

	options.salt = salt;
	options.index_bytes = 4000;
	options.snapshot_bytes = 3000;
	assert_int_equal(fdtape_writer_open(&w, &(struct fdtape_sink){.write = blob_sink, .context = &tape}, &options),
	                 0);
	assert_int_equal(put_script(w, s, flush_each), 0);
	assert_int_equal(fdtape_writer_end(w), 0);
	assert_int_equal(fdtape_writer_size(w), tape.len);
	fdtape_writer_free(w);
	return tape;
}

struct errors {
	size_t damaged; /* and over a limit */
	size_t truncated;
	int final;
	char message[256]; /* of the first */
};

/* Reads on to the end or to an error that stays. */
static inline struct errors drain_reader(struct fdtape_reader *r, struct script *to)
{
	struct errors errors = {0};
	struct fdtape_item item;
	int rc;

	while ((rc = fdtape_reader_next(r, &item)) != 0) {
		if (rc == 1) {
			script_add(to, &item);
			continue;
		}
		assert_string_not_equal(fdtape_reader_message(r), "");
		if (!errors.message[0])
			snprintf(errors.message, sizeof(errors.message), "%s", fdtape_reader_message(r));
		if (rc == FDTAPE_ERR_DAMAGED || rc == FDTAPE_ERR_LIMIT) {
			errors.damaged++;
		} else if (rc == FDTAPE_ERR_TRUNCATED) {
			errors.truncated++;
		} else {
			assert_int_equal(fdtape_reader_next(r, &item), rc);
			errors.final = rc;
			break;
		}
		assert_true(errors.damaged < 1000);
	}
	return errors;
}

static inline struct errors read_tape(const void *data, size_t len, struct script *to)
{
	/* A copy of its own, so that ASan sees a read past the end. */
	uint8_t *copy = copy_bytes(data, len);
	struct fdtape_reader *r;
	struct errors errors;

	assert_int_equal(fdtape_reader_open_memory(&r, copy, len), 0);
	errors = drain_reader(r, to);
	fdtape_reader_free(r);
	free(copy);
	return errors;
}

static inline bool no_errors(const struct errors *e)
{
	return e->damaged == 0 && e->truncated == 0 && e->final == 0;
}

#endif
