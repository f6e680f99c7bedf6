/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FUZZ_TAPE_H
#define FUZZ_TAPE_H

/*
 * What the fuzzers of tapes share. The mutator makes all hashes right again after each mutation, so that fuzzing does
 * not end at the first checksum, and begins with a small tape when it is given something that is none. Built with
 * -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION hashes are not compared; then a mutation also makes wrong ones.
 */
#include <stdlib.h>
#include <string.h>

#include <fdtape/reader.h>
#include <fdtape/writer.h>

#include "format/block.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Bytes before the tape, that say what to do with it. */
#ifndef FUZZ_PREFIX
#define FUZZ_PREFIX 0
#endif

#define FUZZ_SALT 0x5a17

struct fuzz_blob {
	uint8_t *data;
	size_t len;
};

static inline int fuzz_sink(void *context, const void *data, size_t len)
{
	struct fuzz_blob *b = context;

	b->data = realloc(b->data, b->len + len + 1);
	if (!b->data)
		abort();
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

/* A tape with a few blocks of every type. */
static inline struct fuzz_blob fuzz_tape(unsigned seed)
{
	const struct fdtape_writer_options options = {
	        .uuid = {1}, .salt = FUZZ_SALT, .snapshot_bytes = 1000, .index_bytes = 1500};
	static const char text[] = "GET /index.html HTTP/1.1 GET /index.html HTTP/1.1 ";
	struct fuzz_blob tape = {0};
	struct fdtape_writer *w;

	if (fdtape_writer_open(&w, &(struct fdtape_sink){.write = fuzz_sink, .context = &tape}, &options))
		abort();
	for (uint64_t i = 0; i < 20 + seed % 100; i++) {
		const struct fdtape_address peer = {
		        .family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 53, .addr = {127, 0, 0, (uint8_t)(i % 4)}};
		struct fdtape_item items[] = {
		        {.type = FDTAPE_ITEM_CLOCK, .clock = {i, i, i}},
		        {.type = FDTAPE_ITEM_PROCESS,
		         .process = {.pid = 7, .comm = "a", .exe = "/b", .cmdline = "c d"}},
		        {.type = FDTAPE_ITEM_FLOW, .flow = {.id = 1 + i % 5, .closed = i % 7, .name = "f"}},
		        {.type = FDTAPE_ITEM_EVENT,
		         .event = {.time = i * 1000,
		                   .duration = i,
		                   .pid = 7,
		                   .tid = 7 + i % 2,
		                   .call = 1,
		                   .flow = 1 + i % 5,
		                   .offset = i,
		                   .bytes = 300,
		                   .captured = i % sizeof(text),
		                   .data = (const uint8_t *)text,
		                   .peer = i % 3 ? &peer : NULL}},
		        {.type = FDTAPE_ITEM_SECRET,
		         .secret = {.label = "l", .source = "s", .id = (const uint8_t *)"x", .id_len = 1}},
		        {.type = FDTAPE_ITEM_LOSS, .loss = {1, 2, 3, i, i}},
		        {.type = FDTAPE_ITEM_THREAD, .thread = {7, (uint32_t)(7 + i % 4), i, i % 9 ? "t" : ""}},
		};

		if (fdtape_writer_put(w, &items[(i + seed) % 3 ? 3 : (i / 3 + seed) % 7]))
			abort();
		if (i % (3 + seed % 5) == 0 && fdtape_writer_flush(w))
			abort();
	}
	if (fdtape_writer_end(w))
		abort();
	fdtape_writer_free(w);
	return tape;
}

/* Makes the hashes of all blocks right, and lengths that lead out of the input shorter. */
static inline void fuzz_rehash(uint8_t *data, size_t len)
{
	uint64_t salt = 0;

	for (size_t at = 0; at + BLOCK_HEADER <= len;) {
		uint8_t *h = data + at;
		struct block b = {.type = (uint16_t)load_le(h + 8, 2), .stored_len = (uint32_t)load_le(h + 40, 4)};
		uint64_t seed;

		if (memcmp(h, BLOCK_MAGIC, BLOCK_MAGIC_LEN) != 0) {
			at++;
			continue;
		}
		if (b.stored_len > len - at - BLOCK_HEADER)
			b.stored_len = (uint32_t)(len - at - BLOCK_HEADER);
		b.stored = h + BLOCK_HEADER;
		if (b.type == BLOCK_SECTION && b.stored_len >= 28)
			salt = load_le(b.stored + 20, 8);
		seed = b.type == BLOCK_SECTION ? 0 : salt;
		store_le(h + 40, b.stored_len, 4);
		store_le(h + 48, block_hash(&b, seed), 8);
		store_le(h + 60, block_header_hash(h, seed), 4);
		at += block_size(&b);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	if (len < FUZZ_PREFIX + BLOCK_HEADER) {
		struct fuzz_blob tape = fuzz_tape(seed);

		memset(data, 0, max < FUZZ_PREFIX ? max : FUZZ_PREFIX);
		len = FUZZ_PREFIX;
		if (tape.len <= max - FUZZ_PREFIX) {
			memcpy(data + len, tape.data, tape.len);
			len += tape.len;
		}
		free(tape.data);
	}
	len = LLVMFuzzerMutate(data, len, max);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	if (seed % 2)
		return len;
#endif
	if (len > FUZZ_PREFIX)
		fuzz_rehash(data + FUZZ_PREFIX, len - FUZZ_PREFIX);
	return len;
}

/* ---- touching all that a reader gives ------------------------------------------- */

static volatile size_t fuzz_sum;

static inline void fuzz_touch(const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += p[i];
	fuzz_sum += s;
}

static inline void fuzz_touch_string(const char *s)
{
	fuzz_touch(s, strlen(s));
}

static inline void fuzz_touch_item(const struct fdtape_item *item)
{
	switch (item->type) {
	case FDTAPE_ITEM_PROCESS:
		fuzz_touch_string(item->process.comm);
		fuzz_touch_string(item->process.exe);
		fuzz_touch_string(item->process.cmdline);
		fuzz_touch_string(item->process.build_id);
		fuzz_touch_string(item->process.cgroup);
		fuzz_touch_string(item->process.libraries);
		break;
	case FDTAPE_ITEM_THREAD:
		fuzz_touch_string(item->thread.comm);
		break;
	case FDTAPE_ITEM_FLOW:
		fuzz_touch(item->flow.local.addr, item->flow.local.len);
		fuzz_touch(item->flow.remote.addr, item->flow.remote.len);
		fuzz_touch_string(item->flow.name);
		break;
	case FDTAPE_ITEM_EVENT:
		if (item->event.dir > FDTAPE_OUT || item->event.captured > item->event.bytes ||
		    item->event.captured > FDTAPE_EVENT_DATA_MAX || !item->event.data != !item->event.captured)
			abort();
		fuzz_touch(item->event.data, (size_t)item->event.captured);
		if (item->event.peer && item->event.peer->len > FDTAPE_ADDRESS_MAX)
			abort();
		if (item->event.peer)
			fuzz_touch(item->event.peer, sizeof(*item->event.peer));
		break;
	case FDTAPE_ITEM_SECRET:
		if (item->secret.id_len > FDTAPE_SECRET_MAX || item->secret.value_len > FDTAPE_SECRET_MAX)
			abort();
		fuzz_touch_string(item->secret.label);
		fuzz_touch_string(item->secret.source);
		fuzz_touch(item->secret.id, item->secret.id_len);
		fuzz_touch(item->secret.value, item->secret.value_len);
		break;
	default:
		break;
	}
}

/* Reads `n` items or to the end. */
static inline void fuzz_read(struct fdtape_reader *reader, size_t n)
{
	struct fdtape_item item;
	int rc;

	while (n-- > 0 && (rc = fdtape_reader_next(reader, &item)) != 0) {
		if (rc == 1) {
			fuzz_touch_item(&item);
			continue;
		}
		fuzz_touch_string(fdtape_reader_message(reader));
		if (rc != FDTAPE_ERR_DAMAGED && rc != FDTAPE_ERR_LIMIT && rc != FDTAPE_ERR_TRUNCATED)
			break;
	}
	for (size_t i = 0; fdtape_reader_meta(reader, i); i++) {
		fuzz_touch_string(fdtape_reader_meta(reader, i)->key);
		fuzz_touch_string(fdtape_reader_meta(reader, i)->value);
	}
}

#endif
