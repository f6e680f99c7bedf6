/* SPDX-License-Identifier: BSD-2-Clause */

/* Choosing by flow and time: the same with an index, without one, and from a pipe. */
#include <unistd.h>

#include "format/block.h"
#include "format/totals.h"
#include "tests/test_format_helpers.h"

#define SALT 0x5a17

/* ---- traffic whose ids and times make sense ------------------------------------ */

struct traffic {
	struct script script;
	struct dice dice;
	uint64_t time;
	uint64_t next_flow;
	uint64_t open[8];
	size_t n_open;
};

static void add_flow(struct traffic *t, uint64_t id, uint64_t closed)
{
	script_add(&t->script,
	           &(struct fdtape_item){.type = FDTAPE_ITEM_FLOW,
	                                 .flow = {.id = id, .pid = (uint32_t)(id % 3), .closed = closed, .name = "f"}});
}

static void add_something(struct traffic *t)
{
	struct fdtape_address peer = {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 53};
	struct fdtape_item item = {0};
	uint8_t data[40];
	size_t which;

	t->time += dice_below(&t->dice, 100);
	switch (dice_below(&t->dice, 13)) {
	case 0:
		item = (struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = {t->time, 1, 2}};
		break;
	case 1:
		item = (struct fdtape_item){.type = FDTAPE_ITEM_PROCESS,
		                            .process = {.pid = (uint32_t)dice_below(&t->dice, 5),
		                                        .time = t->time,
		                                        .comm = "c",
		                                        .exe = "",
		                                        .cmdline = ""}};
		break;
	case 2:
		item = (struct fdtape_item){.type = FDTAPE_ITEM_LOSS, .loss = {1, 2, 3, t->time, t->time}};
		break;
	case 3:
		item = (struct fdtape_item){.type = FDTAPE_ITEM_SECRET,
		                            .secret = {.time = t->time, .label = "l", .source = "s"}};
		break;
	case 4:
		item = (struct fdtape_item){.type = FDTAPE_ITEM_THREAD,
		                            .thread = {.pid = (uint32_t)dice_below(&t->dice, 5),
		                                       .tid = (uint32_t)dice_below(&t->dice, 20),
		                                       .time = t->time,
		                                       .comm = dice_below(&t->dice, 4) ? "t" : ""}};
		break;
	case 5:
	case 6:
		if (t->n_open < 8) {
			t->open[t->n_open++] = ++t->next_flow;
			add_flow(t, t->next_flow, 0);
			return;
		}
		which = dice_below(&t->dice, 8);
		add_flow(t, t->open[which], t->time + 1);
		t->open[which] = t->open[--t->n_open];
		return;
	default:
		if (t->n_open == 0)
			return;
		which = dice_below(&t->dice, t->n_open);
		memset(data, (int)dice_below(&t->dice, 256), sizeof(data));
		item = (struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
		                            .event = {.time = t->time,
		                                      .duration = dice_below(&t->dice, 300),
		                                      .pid = (uint32_t)dice_below(&t->dice, 5),
		                                      .call = dice_below(&t->dice, 20) ? 1 : FDTAPE_CALL_EXIT,
		                                      .flow = t->open[which],
		                                      .dir = (uint32_t)dice_below(&t->dice, 2),
		                                      .bytes = sizeof(data),
		                                      .captured = dice_below(&t->dice, sizeof(data) + 1),
		                                      .data = data}};
		if (item.event.captured == 0)
			item.event.data = NULL;
		peer.addr[0] = (uint8_t)dice_below(&t->dice, 10);
		if (item.event.flow % 2)
			item.event.peer = &peer;
		break;
	}
	script_add(&t->script, &item);
}

static struct script traffic(uint64_t seed, size_t n)
{
	struct traffic t = {.dice = {seed}, .time = 1000};

	while (t.script.n < n)
		add_something(&t);
	return t.script;
}

/* With an index and snapshots every few groups. */
static struct blob write_aided(const struct script *s, size_t flush_each, struct fdtape_writer_options options)
{
	struct blob tape = {0};
	struct fdtape_writer *w;

	options.meta = test_meta;
	options.n_meta = 2;
	options.uuid[0] = 1;
	options.salt = SALT;
	assert_int_equal(fdtape_writer_open(&w, &(struct fdtape_sink){.write = blob_sink, .context = &tape}, &options),
	                 0);
	assert_int_equal(put_script(w, s, flush_each), 0);
	assert_int_equal(fdtape_writer_end(w), 0);
	fdtape_writer_free(w);
	return tape;
}

/* ---- the three ways of reading --------------------------------------------------- */

struct bytes_source {
	const uint8_t *data;
	size_t len;
	size_t at;
	size_t chunk;
};

static int64_t bytes_read(void *context, void *buffer, size_t len)
{
	struct bytes_source *b = context;
	size_t n = b->len - b->at;

	n = n < len ? n : len;
	n = n < b->chunk ? n : b->chunk;
	memcpy(buffer, b->data + b->at, n);
	b->at += n;
	return (int64_t)n;
}

static int64_t bytes_read_at(void *context, uint64_t offset, void *buffer, size_t len)
{
	const struct bytes_source *b = context;
	size_t n;

	if (offset >= b->len)
		return 0;
	n = b->len - (size_t)offset;
	n = n < len ? n : len;
	n = n < b->chunk ? n : b->chunk;
	memcpy(buffer, b->data + offset, n);
	return (int64_t)n;
}

enum way {
	MEMORY,
	ANYWHERE,
	IN_ORDER,
	N_WAYS
};

static struct errors read_choice(const struct blob *tape, enum way way, const struct fdtape_choice *choice,
                                 struct script *to, struct fdtape_reader_stats *stats)
{
	struct bytes_source bytes = {.data = tape->data, .len = tape->len, .chunk = 3000};
	struct fdtape_source source = {.read = bytes_read, .context = &bytes};
	struct fdtape_reader *r;
	struct errors errors;

	if (way == ANYWHERE) {
		source.read_at = bytes_read_at;
		source.size = tape->len;
	}
	if (way == MEMORY)
		assert_int_equal(fdtape_reader_open_memory(&r, tape->data, tape->len), 0);
	else
		assert_int_equal(fdtape_reader_open(&r, &source), 0);
	assert_int_equal(fdtape_reader_choose(r, choice), 0);
	errors = drain_reader(r, to);
	fdtape_reader_stats(r, stats);
	fdtape_reader_free(r);
	return errors;
}

static void assert_same(const struct script *a, const struct script *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (!same_item(&a->items[i], &b->items[i], true))
			fail_msg("item %zu of %zu and %zu: type %u and type %u", i, a->n, b->n, a->items[i].type,
			         b->items[i].type);
	assert_int_equal(a->n, b->n);
}

static bool has_flow(const struct fdtape_choice *c, uint64_t flow)
{
	for (size_t i = 0; i < c->n_flows; i++)
		if (c->flows[i] == flow)
			return true;
	return c->n_flows == 0;
}

static bool has_time(const struct fdtape_choice *c, const struct fdtape_event *e)
{
	return (c->to == 0 || e->time <= c->to) && e->time + e->duration >= c->from;
}

/* The events are those that the choice names, no more and no less. */
static void assert_events(const struct script *written, const struct fdtape_choice *choice, const struct script *read)
{
	size_t at = 0;

	for (size_t i = 0; i < written->n; i++) {
		const struct fdtape_item *item = &written->items[i];

		if (item->type != FDTAPE_ITEM_EVENT || !has_flow(choice, item->event.flow) ||
		    !has_time(choice, &item->event))
			continue;
		while (at < read->n && read->items[at].type != FDTAPE_ITEM_EVENT)
			at++;
		assert_true(at < read->n);
		assert_true(same_item(item, &read->items[at++], true));
	}
	for (; at < read->n; at++)
		assert_int_not_equal(read->items[at].type, FDTAPE_ITEM_EVENT);
}

/* What an event refers to was given before, if it was put before. */
static void assert_defined(const struct script *written, const struct script *read)
{
	bool put[10000] = {false}, given[10000] = {false};
	size_t at = 0;

	for (size_t i = 0; i < read->n; i++) {
		const struct fdtape_item *item = &read->items[i];

		if (item->type == FDTAPE_ITEM_FLOW)
			given[item->flow.id] = true;
		if (item->type != FDTAPE_ITEM_EVENT)
			continue;
		for (; at < written->n; at++) {
			if (written->items[at].type == FDTAPE_ITEM_FLOW)
				put[written->items[at].flow.id] = true;
			if (same_item(&written->items[at], item, true))
				break;
		}
		assert_true(!put[item->event.flow] || given[item->event.flow]);
	}
}

/* The INDEX blocks of a tape become blocks that nobody knows. */
static struct blob without_index(const struct blob *tape)
{
	struct blob copy = {0};

	for (size_t at = 0; at < tape->len;) {
		struct bytebuf out = {0};
		struct block b;

		assert_true(block_parse(&b, tape->data + at, at ? SALT : 0));
		if (b.type == BLOCK_INDEX)
			b.type = 0x8123;
		block_begin(&out);
		bytebuf_append(&out, tape->data + at + BLOCK_HEADER, b.stored_len);
		block_end(&out, 0, &b, at ? SALT : 0);
		blob_append(&copy, out.data, out.len);
		bytebuf_release(&out);
		at += block_size(&b);
	}
	return copy;
}

static struct fdtape_choice any_choice(struct dice *d, const struct script *s, uint64_t flows[4])
{
	struct fdtape_choice c = {.flows = flows, .n_flows = dice_below(d, 5)};
	uint64_t last = 0, span = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->items[i].type == FDTAPE_ITEM_FLOW && s->items[i].flow.id > last)
			last = s->items[i].flow.id;
		if (s->items[i].type == FDTAPE_ITEM_EVENT)
			span = s->items[i].event.time;
	}
	flows[0] = dice_below(d, last + 2);
	for (size_t i = 1; i < 4; i++)
		flows[i] = flows[i - 1] + 1 + dice_below(d, last / 4 + 1);
	if (dice_below(d, 2)) {
		c.from = dice_below(d, span + 1);
		c.to = c.from + dice_below(d, span / 4 + 1);
	}
	return c;
}

static void test_choice__any__is_the_same_in_all_ways(void **state)
{
	static const struct fdtape_writer_options options[] = {
	        {.index_bytes = 2000, .snapshot_bytes = 3000},
	        {.index_bytes = 1, .snapshot_bytes = 1},
	        {.index_bytes = 20000, .snapshot_time = 500},
	        {.level = 0},
	};
	struct dice d = {77};

	(void)state;
	for (uint64_t round = 0; round < 240; round++) {
		struct script s = traffic(round, 400 + dice_below(&d, 400)), reads[N_WAYS + 1] = {{0}};
		struct blob tape = write_aided(&s, 5 + dice_below(&d, 40), options[round % 4]);
		struct blob bare = without_index(&tape);
		uint64_t flows[4];
		struct fdtape_choice choice = any_choice(&d, &s, flows);

		for (size_t way = 0; way <= N_WAYS; way++) {
			const struct blob *from = way == N_WAYS ? &bare : &tape;
			struct fdtape_reader_stats stats;
			struct errors errors = read_choice(from, way % N_WAYS, &choice, &reads[way], &stats);

			assert_string_equal(errors.message, "");
			assert_same(&reads[IN_ORDER < way ? MEMORY : 0], &reads[way]);
		}
		assert_events(&s, &choice, &reads[0]);
		assert_defined(&s, &reads[0]);
		for (size_t way = 0; way <= N_WAYS; way++)
			script_free(&reads[way]);
		blob_free(&tape);
		blob_free(&bare);
		script_free(&s);
	}
}

/* The interrupted tape's last blocks are in no index. */
static void test_choice__cut_off_tape__is_the_same_in_all_ways(void **state)
{
	struct dice d = {78};

	(void)state;
	for (uint64_t round = 0; round < 100; round++) {
		struct script s = traffic(round, 400), reads[N_WAYS] = {{0}};
		struct blob tape = write_aided(
		        &s, 12, (struct fdtape_writer_options){.index_bytes = 5000, .snapshot_bytes = 3000});
		uint64_t flows[4];
		struct fdtape_choice choice = any_choice(&d, &s, flows);

		tape.len -= dice_below(&d, tape.len / 2);
		for (size_t way = 0; way < N_WAYS; way++) {
			struct fdtape_reader_stats stats;
			struct errors errors = read_choice(&tape, way, &choice, &reads[way], &stats);

			assert_int_equal(errors.damaged, 0);
			assert_int_equal(errors.truncated, 1);
			assert_same(&reads[0], &reads[way]);
		}
		for (size_t way = 0; way < N_WAYS; way++)
			script_free(&reads[way]);
		blob_free(&tape);
		script_free(&s);
	}
}

/* A file, from where the descriptor stands. */
static void test_choice__file__is_the_same(void **state)
{
	char name[] = "/tmp/fdtape-test-XXXXXX";
	struct script s = traffic(6, 800), want = {0}, read = {0};
	struct blob tape = write_aided(&s, 20, (struct fdtape_writer_options){.index_bytes = 5000});
	uint64_t flow = 9;
	struct fdtape_choice choice = {.flows = &flow, .n_flows = 1};
	struct fdtape_reader_stats stats;
	struct fdtape_reader *r;
	struct fdtape_totals totals;
	int fd = mkstemp(name);

	(void)state;
	unlink(name);
	read_choice(&tape, IN_ORDER, &choice, &want, &stats);
	assert_int_equal(write(fd, "before", 6), 6);
	assert_int_equal(write(fd, tape.data, tape.len), tape.len);
	assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
	assert_int_equal(fdtape_reader_open_fd(&r, fd), 0);
	assert_int_equal(fdtape_reader_choose(r, &choice), 0);
	assert_string_equal(drain_reader(r, &read).message, "");
	assert_same(&want, &read);
	assert_int_equal(fdtape_reader_totals(r, &totals, NULL), 1);
	fdtape_reader_stats(r, &stats);
	assert_true(stats.skipped_blocks > stats.blocks);
	fdtape_reader_free(r);
	close(fd);
	blob_free(&tape);
	script_free(&want);
	script_free(&read);
	script_free(&s);
}

static void test_choice__concatenated_tapes__each_by_itself(void **state)
{
	struct script s = traffic(5, 500), reads[N_WAYS] = {{0}};
	struct blob tape = write_aided(&s, 20, (struct fdtape_writer_options){.index_bytes = 5000});
	struct blob both = {0};
	uint64_t flow = 7;
	struct fdtape_choice choice = {.flows = &flow, .n_flows = 1};
	struct fdtape_reader_stats stats;

	(void)state;
	blob_append(&both, tape.data, tape.len);
	blob_append(&both, tape.data, tape.len);
	for (size_t way = 0; way < N_WAYS; way++) {
		assert_string_equal(read_choice(&both, way, &choice, &reads[way], &stats).message, "");
		assert_same(&reads[0], &reads[way]);
	}
	assert_int_equal(reads[0].n % 2, 0);
	for (size_t i = 0; i < reads[0].n / 2; i++)
		assert_true(same_item(&reads[0].items[i], &reads[0].items[i + reads[0].n / 2], true));
	for (size_t way = 0; way < N_WAYS; way++)
		script_free(&reads[way]);
	blob_free(&both);
	blob_free(&tape);
	script_free(&s);
}

/* Whatever happens to an index, what is given is what the choice names, or a message. */
static void test_choice__index_damaged__is_the_same(void **state)
{
	struct script s = traffic(9, 600), want = {0};
	struct blob tape =
	        write_aided(&s, 20, (struct fdtape_writer_options){.index_bytes = 5000, .snapshot_bytes = 4000});
	uint64_t flows[] = {3, 8};
	struct fdtape_choice choice = {.flows = flows, .n_flows = 2};
	struct fdtape_reader_stats stats;
	struct block b;

	(void)state;
	assert_string_equal(read_choice(&tape, ANYWHERE, &choice, &want, &stats).message, "");
	assert_true(stats.skipped_blocks > 0);
	for (size_t at = 0; at < tape.len; at += block_size(&b)) {
		assert_true(block_parse(&b, tape.data + at, at ? SALT : 0));
		if (b.type != BLOCK_INDEX)
			continue;
		for (size_t i = 0; i < block_size(&b); i += 1 + i / 64) {
			struct script read = {0};
			struct errors errors;

			tape.data[at + i] ^= 1;
			errors = read_choice(&tape, ANYWHERE, &choice, &read, &stats);
			assert_true(errors.damaged <= 1 && errors.truncated == 0);
			assert_same(&want, &read);
			script_free(&read);
			tape.data[at + i] ^= 1;
		}
	}
	script_free(&want);
	blob_free(&tape);
	script_free(&s);
}

/* An index with right hashes that leads to the wrong places. */
static void test_choice__index_lies__is_reported_once(void **state)
{
	struct script s = traffic(10, 600), want = {0};
	struct blob tape = write_aided(&s, 20, (struct fdtape_writer_options){.level = 0}), lie = {0};
	uint64_t flow = 5;
	struct fdtape_choice choice = {.flows = &flow, .n_flows = 1};
	struct fdtape_reader_stats stats;
	struct script read = {0};
	struct errors errors;
	struct block b;

	(void)state;
	assert_string_equal(read_choice(&tape, ANYWHERE, &choice, &want, &stats).message, "");
	for (size_t at = 0; at < tape.len; at += block_size(&b)) {
		struct bytebuf out = {0};

		assert_true(block_parse(&b, tape.data + at, at ? SALT : 0));
		block_begin(&out);
		bytebuf_append(&out, tape.data + at + BLOCK_HEADER, b.stored_len);
		if (b.type == BLOCK_INDEX)
			out.data[BLOCK_HEADER + TOTALS_SIZE + 1] ^= 8; /* offset of the first block */
		block_end(&out, 0, &b, at ? SALT : 0);
		blob_append(&lie, out.data, out.len);
		bytebuf_release(&out);
	}
	errors = read_choice(&lie, ANYWHERE, &choice, &read, &stats);
	assert_int_equal(errors.damaged, 1);
	assert_non_null(strstr(errors.message, "the index says"));
	assert_same(&want, &read);
	script_free(&read);
	script_free(&want);
	blob_free(&lie);
	blob_free(&tape);
	script_free(&s);
}

/* Of what is not wanted, no more than directories is read. */
static void test_choice__one_flow_without_an_index__is_not_all_read(void **state)
{
	struct dice d = {31};
	struct script s = {0}, reads[N_WAYS] = {{0}};
	struct fdtape_reader_stats stats[N_WAYS];
	uint64_t flow = 2;
	struct fdtape_choice choice = {.flows = &flow, .n_flows = 1};
	uint8_t *noise = malloc(300000);
	struct blob tape, bare;

	(void)state;
	assert_non_null(noise);
	for (size_t i = 0; i < 300000; i++)
		noise[i] = (uint8_t)dice_u64(&d);
	for (uint64_t i = 0; i < 40; i++) {
		size_t len = i % 2 ? 100 : 300000;
		struct fdtape_event e = {
		        .time = i, .flow = 1 + i % 2, .bytes = len, .captured = len, .data = noise, .call = 1};

		script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = e});
	}
	tape = write_aided(&s, 4, (struct fdtape_writer_options){0});
	bare = without_index(&tape);
	for (size_t way = 0; way < N_WAYS; way++) {
		assert_string_equal(read_choice(&bare, way, &choice, &reads[way], &stats[way]).message, "");
		assert_events(&s, &choice, &reads[way]);
		assert_same(&reads[0], &reads[way]);
	}
	assert_int_equal(stats[IN_ORDER].input_bytes, bare.len);
	assert_true(stats[ANYWHERE].input_bytes < bare.len / 20);
	assert_int_equal(stats[ANYWHERE].skipped_blocks, 20);
	for (size_t way = 0; way < N_WAYS; way++)
		script_free(&reads[way]);
	free(noise);
	blob_free(&tape);
	blob_free(&bare);
	script_free(&s);
}

static void put_thread(struct script *s, uint32_t pid, uint32_t tid, const char *comm)
{
	script_add(s, &(struct fdtape_item){.type = FDTAPE_ITEM_THREAD,
	                                    .thread = {.pid = pid, .tid = tid, .time = 5, .comm = comm}});
}

static void put_process(struct script *s, uint32_t pid)
{
	script_add(s, &(struct fdtape_item){.type = FDTAPE_ITEM_PROCESS, .process = {.pid = pid, .time = 4}});
}

static void put_event(struct script *s, uint32_t call, uint32_t pid, uint64_t time)
{
	script_add(s, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
	                                    .event = {.time = time, .call = call, .pid = pid, .tid = pid, .fd = -1}});
}

/* What a snapshot says of threads: those whose process lives, by their latest name, without those that ended. */
static void test_choice__behind_a_snapshot__has_the_names_of_threads(void **state)
{
	static const struct {
		uint32_t tid;
		const char *comm;
	} expected[] = {{21, "renamed"}, {23, "other"}, {51, "kept"}};
	struct script s = {0}, read = {0};
	struct fdtape_reader_stats stats;
	struct blob tape;
	size_t n = 0;

	(void)state;
	put_process(&s, 1);
	put_thread(&s, 1, 11, "of a dead process");
	put_process(&s, 2);
	put_thread(&s, 2, 21, "first");
	put_thread(&s, 2, 22, "ended");
	put_thread(&s, 2, 23, "other");
	put_thread(&s, 2, 22, "");
	put_thread(&s, 2, 21, "renamed");
	put_thread(&s, 3, 31, "of a process that is not known");
	/* The pid comes again, for another process. */
	put_process(&s, 4);
	put_thread(&s, 4, 41, "of the life before");
	put_event(&s, FDTAPE_CALL_EXIT, 4, 10);
	put_process(&s, 4);
	/* A new image of the same process. */
	put_process(&s, 5);
	put_thread(&s, 5, 51, "kept");
	put_process(&s, 5);
	put_event(&s, FDTAPE_CALL_EXIT, 1, 11);
	while (s.n % 20 != 0)
		put_event(&s, FDTAPE_CALL_READ, 2, 12);
	for (uint64_t i = 0; i < 60; i++)
		put_event(&s, FDTAPE_CALL_READ, 2, 100 + i);
	tape = write_aided(&s, 20, (struct fdtape_writer_options){.snapshot_bytes = 1, .index_bytes = 1});
	read_choice(&tape, MEMORY, &(struct fdtape_choice){.from = 150}, &read, &stats);
	assert_true(stats.skipped_blocks > 0);
	for (size_t i = 0; i < read.n; i++) {
		if (read.items[i].type != FDTAPE_ITEM_THREAD)
			continue;
		assert_true(n < sizeof(expected) / sizeof(expected[0]));
		assert_int_equal(read.items[i].thread.tid, expected[n].tid);
		assert_string_equal(read.items[i].thread.comm, expected[n++].comm);
	}
	assert_int_equal(n, sizeof(expected) / sizeof(expected[0]));
	script_free(&s);
	script_free(&read);
	blob_free(&tape);
}

static void test_choice__misused__is_refused(void **state)
{
	const uint64_t falling[] = {2, 1};
	struct script s = traffic(1, 10);
	struct blob tape = write_tape(&s, 0, SALT);
	struct fdtape_reader *r;
	struct fdtape_item item;

	(void)state;
	assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len), 0);
	assert_int_equal(fdtape_reader_choose(r, NULL), FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_reader_choose(r, &(struct fdtape_choice){.flows = falling, .n_flows = 2}),
	                 FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_reader_choose(r, &(struct fdtape_choice){.n_flows = 2}), FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_reader_choose(r, &(struct fdtape_choice){.from = 2, .to = 1}), FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_reader_next(r, &item), 1);
	assert_int_equal(fdtape_reader_choose(r, &(struct fdtape_choice){0}), FDTAPE_ERR_USAGE);
	fdtape_reader_free(r);
	blob_free(&tape);
	script_free(&s);
}

/* ---- totals ------------------------------------------------------------------------- */

/* Of groups of so many items; each group has a record of each peer. */
static struct fdtape_totals count_totals(const struct script *s, size_t flush_each)
{
	struct fdtape_totals t = {0};
	bool met[10] = {false};

	for (size_t i = 0; i < s->n; i++) {
		const struct fdtape_event *e = &s->items[i].event;

		if (i % flush_each == 0)
			memset(met, 0, sizeof(met));
		totals_count(&t, &s->items[i]);
		if (s->items[i].type != FDTAPE_ITEM_EVENT || !e->peer)
			continue;
		t.records += !met[e->peer->addr[0]];
		met[e->peer->addr[0]] = true;
	}
	return t;
}

static void test_totals__of_an_ended_tape__are_exact(void **state)
{
	struct script s = traffic(3, 1000);
	struct blob tape = write_aided(&s, 50, (struct fdtape_writer_options){.index_bytes = 5000}), both = {0};
	struct fdtape_totals want = count_totals(&s, 50), totals;
	struct fdtape_reader *r;
	uint64_t sections;

	(void)state;
	blob_append(&both, tape.data, tape.len);
	blob_append(&both, tape.data, tape.len);
	assert_int_equal(fdtape_reader_open_memory(&r, both.data, both.len), 0);
	assert_int_equal(fdtape_reader_totals(r, &totals, &sections), 1);
	fdtape_reader_free(r);
	assert_int_equal(sections, 2);
	assert_int_equal(totals.events, 2 * want.events);
	assert_int_equal(totals.records, 2 * want.records);
	assert_int_equal(totals.carried[1], 2 * want.carried[1]);
	assert_int_equal(totals.captured[0], 2 * want.captured[0]);
	assert_int_equal(totals.first_time, want.first_time);
	assert_int_equal(totals.last_time, want.last_time);
	assert_int_equal(totals.losses[1].count, 2 * want.losses[1].count);
	assert_memory_equal(&totals.clock, &want.clock, sizeof(want.clock));
	blob_free(&both);
	blob_free(&tape);
	script_free(&s);
}

static void test_totals__of_a_tape_cut_off__are_those_of_the_index(void **state)
{
	struct script s = traffic(3, 1000);
	struct blob tape = write_aided(&s, 50, (struct fdtape_writer_options){.index_bytes = 5000});
	struct fdtape_totals want = count_totals(&s, 50), totals;
	struct fdtape_reader *r;

	(void)state;
	assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len * 9 / 10), 0);
	assert_int_equal(fdtape_reader_totals(r, &totals, NULL), 0);
	fdtape_reader_free(r);
	assert_true(totals.events > 0 && totals.events < want.events);
	assert_true(totals.bytes > tape.len / 2 && totals.bytes < tape.len);
	blob_free(&tape);
	script_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_choice__any__is_the_same_in_all_ways),
	        cmocka_unit_test(test_choice__cut_off_tape__is_the_same_in_all_ways),
	        cmocka_unit_test(test_choice__file__is_the_same),
	        cmocka_unit_test(test_choice__concatenated_tapes__each_by_itself),
	        cmocka_unit_test(test_choice__index_damaged__is_the_same),
	        cmocka_unit_test(test_choice__index_lies__is_reported_once),
	        cmocka_unit_test(test_choice__one_flow_without_an_index__is_not_all_read),
	        cmocka_unit_test(test_choice__behind_a_snapshot__has_the_names_of_threads),
	        cmocka_unit_test(test_choice__misused__is_refused),
	        cmocka_unit_test(test_totals__of_an_ended_tape__are_exact),
	        cmocka_unit_test(test_totals__of_a_tape_cut_off__are_those_of_the_index),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_choice", tests, NULL, NULL);
}
