/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/test_format_helpers.h"

static void round_trip(const struct script *s, size_t flush_each)
{
	struct blob tape = write_tape(s, flush_each, 77);
	struct script read = {0};
	struct errors errors = read_tape(tape.data, tape.len, &read);

	assert_string_equal(errors.message, "");
	assert_whole(s, &read);
	script_free(&read);
	blob_free(&tape);
}

static void test_roundtrip__no_items__section_and_end(void **state)
{
	struct script none = {0};

	(void)state;
	round_trip(&none, 0);
}

static void test_roundtrip__any_values__are_exact(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct dice d = {seed};
		struct script s = {0};
		size_t n = 1 + dice_below(&d, 400);

		for (size_t i = 0; i < n; i++)
			script_add_random(&s, &d, seed % 3 * 3000);
		round_trip(&s, seed % 4 * 50);
		script_free(&s);
	}
}

/* An ordinary program: threads that accept, read, write, close; so that the guesses are right at times. */
static void add_traffic(struct script *s, struct dice *d, size_t n)
{
	uint64_t flow = 1, time = 1000000, offset[2] = {0, 0};
	uint8_t data[600];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)("GET / HTTP/1.1\r\n"[i % 16]);
	for (size_t i = 0; i < n; i++) {
		struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT};
		struct fdtape_event *e = &item.event;
		unsigned step = i % 5;

		time += dice_below(d, 10000);
		*e = (struct fdtape_event){.time = time,
		                           .duration = dice_below(d, 5000),
		                           .pid = 100,
		                           .tid = 100 + (uint32_t)dice_below(d, 3),
		                           .fd = 7,
		                           .flow = flow};
		if (step == 0) {
			e->call = FDTAPE_CALL_ACCEPT4;
			e->flow = 1;
			e->fd = 3;
			e->result = 7;
			e->arg[0] = ++flow;
			offset[0] = offset[1] = 0;
		} else if (step == 4) {
			e->call = FDTAPE_CALL_CLOSE;
		} else {
			e->dir = step == 3;
			e->call = step == 3 ? FDTAPE_CALL_WRITE : FDTAPE_CALL_READ;
			e->bytes = 1 + dice_below(d, sizeof(data));
			e->result = (int64_t)e->bytes;
			e->captured = dice_below(d, 10) ? e->bytes : e->bytes / 2;
			e->data = e->captured ? data : NULL;
			e->offset = offset[e->dir];
			e->arg[0] = 4096;
			offset[e->dir] += e->bytes;
		}
		script_add(s, &item);
	}
}

static void test_roundtrip__ordinary_traffic__is_exact(void **state)
{
	struct dice d = {1};
	struct script s = {0};

	(void)state;
	add_traffic(&s, &d, 20000);
	round_trip(&s, 0);
	round_trip(&s, 777);
	script_free(&s);
}

static void test_roundtrip__over_64ki_events__are_several_groups(void **state)
{
	struct script s = {0};
	struct blob tape;
	struct script read = {0};
	struct fdtape_reader_stats stats;
	struct fdtape_reader *r;

	(void)state;
	for (size_t i = 0; i < 65536 * 2 + 1; i++)
		script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = {.time = i, .fd = -1}});
	tape = write_tape(&s, 0, 1);
	assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len), 0);
	drain_reader(r, &read);
	fdtape_reader_stats(r, &stats);
	fdtape_reader_free(r);
	assert_whole(&s, &read);
	assert_int_equal(stats.groups, 3);
	assert_int_equal(stats.sections, 1);
	assert_int_equal(stats.bad_blocks, 0);
	assert_int_equal(stats.input_bytes, tape.len);
	script_free(&s);
	script_free(&read);
	blob_free(&tape);
}

static void test_roundtrip__largest_payload__fits_one_event(void **state)
{
	struct dice d = {5};
	struct script s = {0};
	uint8_t *data = malloc(FDTAPE_EVENT_DATA_MAX);
	struct fdtape_item item = {
	        .type = FDTAPE_ITEM_EVENT,
	        .event = {.bytes = FDTAPE_EVENT_DATA_MAX + 5ull, .captured = FDTAPE_EVENT_DATA_MAX, .flow = 9}};

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < FDTAPE_EVENT_DATA_MAX; i++)
		data[i] = (uint8_t)dice_u64(&d);
	item.event.data = data;
	for (uint32_t dir = 0; dir < 2; dir++) {
		item.event.dir = dir;
		script_add(&s, &item);
		script_add_random(&s, &d, 10);
	}
	memset(data, 'x', FDTAPE_EVENT_DATA_MAX);
	script_add(&s, &item);
	round_trip(&s, 0);
	script_free(&s);
	free(data);
}

static void test_roundtrip__items_between_events__keep_their_places(void **state)
{
	struct script s = {0};

	(void)state;
	for (uint64_t i = 0; i < 300; i++) {
		struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT, .event = {.time = i}};

		if (i % 7 == 1)
			item = (struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = {i, i, i}};
		if (i % 7 == 2)
			item = (struct fdtape_item){.type = FDTAPE_ITEM_LOSS, .loss = {1, i, i, i, i}};
		if (i % 7 == 3)
			item = (struct fdtape_item){.type = FDTAPE_ITEM_SECRET, .secret = {.time = i}};
		if (i % 7 == 4)
			item = (struct fdtape_item){.type = FDTAPE_ITEM_FLOW, .flow = {.id = i}};
		script_add(&s, &item);
	}
	round_trip(&s, 0);
	round_trip(&s, 1);
	round_trip(&s, 3);
	script_free(&s);
}

static void test_writer__same_items_uuid_and_salt__same_bytes(void **state)
{
	struct dice d = {3};
	struct script s = {0};
	struct blob a, b, c;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		script_add_random(&s, &d, 2000);
	a = write_tape(&s, 60, 42);
	b = write_tape(&s, 60, 42);
	c = write_tape(&s, 60, 43);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_int_equal(a.len, c.len);
	assert_memory_not_equal(a.data, c.data, a.len);
	script_free(&s);
	blob_free(&a);
	blob_free(&b);
	blob_free(&c);
}

static void test_writer__no_uuid_and_salt__draws_them(void **state)
{
	uint8_t seen[2][16];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fdtape_writer_options options = {.clock = {1, 2, 3}};
		struct fdtape_section_info info;
		struct fdtape_item item;
		struct fdtape_reader *r;
		struct fdtape_writer *w;
		struct blob tape = {0};

		assert_int_equal(
		        fdtape_writer_open(&w, &(struct fdtape_sink){.write = blob_sink, .context = &tape}, &options),
		        0);
		fdtape_writer_free(w);
		assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len), 0);
		assert_int_equal(fdtape_reader_section(r, &info), FDTAPE_ERR_USAGE);
		assert_int_equal(fdtape_reader_next(r, &item), 1);
		assert_int_equal(fdtape_reader_section(r, &info), 0);
		memcpy(seen[i], info.uuid, 16);
		assert_int_equal(info.clock.boottime, 3);
		assert_int_equal(info.major, 1);
		fdtape_reader_free(r);
		blob_free(&tape);
	}
	assert_memory_not_equal(seen[0], seen[1], 16);
}

static void test_section__properties__are_given_in_order(void **state)
{
	struct script none = {0};
	struct blob tape = write_tape(&none, 0, 9);
	struct fdtape_reader *r;
	struct fdtape_item item;

	(void)state;
	assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len), 0);
	assert_null(fdtape_reader_meta(r, 0));
	assert_int_equal(fdtape_reader_next(r, &item), 1);
	assert_string_equal(fdtape_reader_meta(r, 0)->key, "tool.version");
	assert_string_equal(fdtape_reader_meta(r, 1)->value, "example");
	assert_null(fdtape_reader_meta(r, 2));
	assert_string_equal(fdtape_reader_meta_get(r, "host.name"), "example");
	assert_null(fdtape_reader_meta_get(r, "none"));
	fdtape_reader_free(r);
	blob_free(&tape);
}

static void test_reader__concatenated_tapes__are_a_tape(void **state)
{
	struct dice d = {4};
	struct script s = {0}, read = {0};
	struct blob tape = {0}, part[3];
	struct errors errors;
	size_t sections = 0, items = 0;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		script_add_random(&s, &d, 500);
	part[0] = write_tape(&s, 30, 1);
	part[1] = write_tape(&s, 0, 2);
	part[2] = write_tape(&s, 7, 2); /* the same salt once more */
	for (size_t i = 0; i < 3; i++)
		blob_append(&tape, part[i].data, part[i].len);
	errors = read_tape(tape.data, tape.len, &read);
	assert_string_equal(errors.message, "");
	for (size_t i = 0; i < read.n; i++) {
		if (read.items[i].type == FDTAPE_ITEM_SECTION || read.items[i].type == FDTAPE_ITEM_END)
			sections += read.items[i].type == FDTAPE_ITEM_SECTION;
		else
			assert_true(same_item(&s.items[items++ % s.n], &read.items[i], true));
	}
	assert_int_equal(sections, 3);
	assert_int_equal(items, 3 * s.n);
	for (size_t i = 0; i < 3; i++)
		blob_free(&part[i]);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

struct pipe_feed {
	const struct script *script;
	int fd;
};

static void *feed_pipe(void *arg)
{
	struct pipe_feed *feed = arg;
	struct fdtape_writer_options options = test_options();
	struct fdtape_writer *w;
	int rc = fdtape_writer_open_fd(&w, feed->fd, &options);

	if (rc == 0) {
		rc = put_script(w, feed->script, 100);
		if (rc == 0)
			rc = fdtape_writer_end(w);
		fdtape_writer_free(w);
	}
	close(feed->fd);
	return rc ? feed : NULL;
}

static void test_reader__pipe__gives_what_memory_gives(void **state)
{
	struct dice d = {6};
	struct script s = {0}, read = {0};
	struct pipe_feed feed = {.script = &s};
	struct fdtape_reader *r;
	struct errors errors;
	pthread_t thread;
	void *failed;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		script_add_random(&s, &d, 20000);
	assert_int_equal(pipe(fds), 0);
	feed.fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, feed_pipe, &feed), 0);
	assert_int_equal(fdtape_reader_open_fd(&r, fds[0]), 0);
	errors = drain_reader(r, &read);
	fdtape_reader_free(r);
	pthread_join(thread, &failed);
	close(fds[0]);
	assert_null(failed);
	assert_string_equal(errors.message, "");
	assert_whole(&s, &read);
	script_free(&s);
	script_free(&read);
}

/* Gives a byte at a time. */
struct dribble {
	const struct blob *tape;
	size_t at;
};

static int64_t dribble_read(void *context, void *buffer, size_t len)
{
	struct dribble *d = context;

	if (d->at == d->tape->len || len == 0)
		return 0;
	*(uint8_t *)buffer = d->tape->data[d->at++];
	return 1;
}

static int64_t failing_read(void *context, void *buffer, size_t len)
{
	(void)context;
	(void)buffer;
	(void)len;
	errno = EIO;
	return FDTAPE_ERR_SYSTEM;
}

static void test_reader__byte_by_byte__gives_the_same(void **state)
{
	struct dice d = {8};
	struct script s = {0}, read = {0};
	struct dribble dribble = {0};
	struct fdtape_reader *r;
	struct errors errors;
	struct blob tape;

	(void)state;
	for (size_t i = 0; i < 50; i++)
		script_add_random(&s, &d, 300);
	tape = write_tape(&s, 20, 5);
	dribble.tape = &tape;
	assert_int_equal(fdtape_reader_open(&r, &(struct fdtape_source){.read = dribble_read, .context = &dribble}), 0);
	errors = drain_reader(r, &read);
	fdtape_reader_free(r);
	assert_string_equal(errors.message, "");
	assert_whole(&s, &read);
	script_free(&s);
	script_free(&read);
	blob_free(&tape);
}

static void test_reader__source_fails__error_stays(void **state)
{
	struct fdtape_reader *r;
	struct fdtape_item item;

	(void)state;
	assert_int_equal(fdtape_reader_open(&r, &(struct fdtape_source){.read = failing_read}), 0);
	for (int i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(fdtape_reader_next(r, &item), FDTAPE_ERR_SYSTEM);
		assert_int_equal(errno, EIO);
	}
	fdtape_reader_free(r);
}

static void test_writer__full_device__error_stays(void **state)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK};
	struct fdtape_writer_options options = test_options();
	struct fdtape_writer *w = NULL;
	int full = open("/dev/full", O_WRONLY);
	int null = open("/dev/null", O_WRONLY);

	(void)state;
	if (full < 0 || null < 0)
		skip();
	assert_int_equal(fdtape_writer_open_fd(&w, full, &options), FDTAPE_ERR_SYSTEM);
	assert_null(w);
	/* The section's head still goes through, the first group does not. */
	assert_int_equal(fdtape_writer_open_fd(&w, null, &options), 0);
	assert_int_equal(dup2(full, null), null);
	assert_int_equal(fdtape_writer_put(w, &item), 0);
	for (int i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(fdtape_writer_flush(w), FDTAPE_ERR_SYSTEM);
		assert_int_equal(errno, ENOSPC);
	}
	assert_int_equal(fdtape_writer_put(w, &item), FDTAPE_ERR_SYSTEM);
	assert_int_equal(fdtape_writer_end(w), FDTAPE_ERR_SYSTEM);
	fdtape_writer_free(w);
	close(full);
	close(null);
}

static void test_writer__values_not_allowed__are_refused_and_leave_no_trace(void **state)
{
	static const struct fdtape_address long_address = {.len = FDTAPE_ADDRESS_MAX + 1};
	static char too_long[65538];
	const struct fdtape_item bad[] = {
	        {.type = 0},
	        {.type = FDTAPE_ITEM_SECTION},
	        {.type = FDTAPE_ITEM_END},
	        {.type = 10, .flow = {.name = ""}}, /* a record, but no item */
	        {.type = 99},
	        {.type = FDTAPE_ITEM_EVENT, .event = {.dir = 2}},
	        {.type = FDTAPE_ITEM_EVENT, .event = {.bytes = 1, .captured = 2, .data = (const uint8_t *)"ab"}},
	        {.type = FDTAPE_ITEM_EVENT, .event = {.bytes = 1, .captured = 1}},
	        {.type = FDTAPE_ITEM_EVENT,
	         .event = {.bytes = UINT64_MAX, .captured = FDTAPE_EVENT_DATA_MAX + 1, .data = (const uint8_t *)""}},
	        {.type = FDTAPE_ITEM_EVENT, .event = {.peer = &long_address}},
	        {.type = FDTAPE_ITEM_PROCESS, .process = {.cmdline = too_long}},
	        {.type = FDTAPE_ITEM_FLOW, .flow = {.local = {.len = FDTAPE_ADDRESS_MAX + 1}}},
	        {.type = FDTAPE_ITEM_SECRET,
	         .secret = {.value = (const uint8_t *)"", .value_len = FDTAPE_SECRET_MAX + 1}},
	        {.type = FDTAPE_ITEM_SECRET, .secret = {.id_len = 1}},
	};
	struct fdtape_writer_options options = test_options();
	struct script s = {0}, read = {0};
	struct blob tape = {0};
	struct fdtape_writer *w;
	struct errors errors;

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	assert_int_equal(fdtape_writer_open(&w, &(struct fdtape_sink){.write = blob_sink, .context = &tape}, &options),
	                 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fdtape_writer_put(w, &bad[i]), FDTAPE_ERR_USAGE);
	too_long[65536] = 0; /* now as long as may be */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bad[i].type == FDTAPE_ITEM_PROCESS)
			script_add(&s, &bad[i]);
	assert_int_equal(put_script(w, &s, 0), 0);
	assert_int_equal(fdtape_writer_end(w), 0);
	assert_int_equal(fdtape_writer_put(w, &s.items[0]), FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_writer_end(w), FDTAPE_ERR_USAGE);
	fdtape_writer_free(w);
	errors = read_tape(tape.data, tape.len, &read);
	assert_string_equal(errors.message, "");
	assert_whole(&s, &read);
	script_free(&s);
	script_free(&read);
	blob_free(&tape);
}

static void test_writer__null_strings__are_empty(void **state)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_PROCESS, .process = {.pid = 4}};
	struct script s = {.items = &item, .n = 1}, read = {0};
	struct blob tape = write_tape(&s, 0, 3);

	(void)state;
	read_tape(tape.data, tape.len, &read);
	assert_int_equal(read.n, 3);
	assert_string_equal(read.items[1].process.exe, "");
	script_free(&read);
	blob_free(&tape);
}

/* ---- peers ---------------------------------------------------------------------------- */

static void add_datagram(struct script *s, uint64_t time, uint32_t dir, const struct fdtape_address *peer)
{
	script_add(s, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
	                                    .event = {.time = time,
	                                              .pid = 1,
	                                              .tid = 1,
	                                              .call = dir ? FDTAPE_CALL_SENDTO : FDTAPE_CALL_RECVFROM,
	                                              .fd = 3,
	                                              .dir = dir,
	                                              .flow = 1,
	                                              .offset = time,
	                                              .bytes = 40,
	                                              .peer = peer}});
}

static struct fdtape_address peer_of(uint64_t i)
{
	struct fdtape_address a = {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = (uint16_t)(i % 7)};

	for (size_t k = 0; k < 4; k++)
		a.addr[k] = (uint8_t)(i >> 8 * k);
	return a;
}

static void assert_roundtrip(const struct script *s, size_t flush_each)
{
	struct script read = {0};
	struct blob tape = write_tape(s, flush_each, 0x5a17);
	struct errors errors = read_tape(tape.data, tape.len, &read);

	assert_string_equal(errors.message, "");
	assert_whole(s, &read);
	blob_free(&tape);
	script_free(&read);
}

/* An address differs from another by any part of it; only the used bytes of addr count. */
static void test_peers__alike_but_for_one_part__stay_apart(void **state)
{
	static const struct fdtape_address addresses[] = {
	        {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 53, .addr = {10, 0, 0, 1}},
	        {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 54, .addr = {10, 0, 0, 1}},
	        {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 53, .addr = {10, 0, 0, 2}},
	        {.family = FDTAPE_FAMILY_IPV6, .len = 4, .port = 53, .addr = {10, 0, 0, 1}},
	        {.family = FDTAPE_FAMILY_IPV4, .len = 5, .port = 53, .addr = {10, 0, 0, 1, 0}},
	        {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 53, .addr = {10, 0, 0, 1, 99}}, /* the first again */
	        {0},
	        {.family = 200, .len = FDTAPE_ADDRESS_MAX, .port = UINT16_MAX, .addr = {[FDTAPE_ADDRESS_MAX - 1] = 1}},
	};
	struct script s = {0};

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		add_datagram(&s, i, i % 2, i % 9 == 8 ? NULL : &addresses[i % 9]);
	for (size_t flush_each = 0; flush_each < 12; flush_each++)
		assert_roundtrip(&s, flush_each);
	script_free(&s);
}

/* An address is written once in each group, whatever it is used for; each group has its own. */
static void test_peers__each_group__defines_its_own(void **state)
{
	struct script s = {0};
	struct fdtape_reader *r;
	struct fdtape_totals totals;
	struct blob tape;

	(void)state;
	for (uint64_t i = 0; i < 60; i++) {
		struct fdtape_address peer = peer_of(i % 5);

		add_datagram(&s, i, i % 2, &peer);
	}
	tape = write_tape(&s, 20, 0x5a17);
	assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len), 0);
	assert_int_equal(fdtape_reader_totals(r, &totals, NULL), 1);
	assert_int_equal(totals.groups, 3);
	assert_int_equal(totals.records, 3 * 5);
	fdtape_reader_free(r);
	assert_roundtrip(&s, 20);
	blob_free(&tape);
	script_free(&s);
}

/* More than a group may have, each with its own: the group is closed in time. */
static void test_peers__over_64ki__are_several_groups(void **state)
{
	struct script s = {0};
	struct fdtape_reader *r;
	struct fdtape_totals totals;
	struct blob tape;

	(void)state;
	for (uint64_t i = 0; i < 70000; i++) {
		struct fdtape_address peer = peer_of(i);

		/* With another record now and then, so that records, not events, are what fills the group. */
		if (i % 100 == 0)
			script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = {i, i, i}});
		add_datagram(&s, i, 0, &peer);
	}
	tape = write_tape(&s, 0, 0x5a17);
	assert_int_equal(fdtape_reader_open_memory(&r, tape.data, tape.len), 0);
	assert_int_equal(fdtape_reader_totals(r, &totals, NULL), 1);
	assert_int_equal(totals.groups, 2);
	fdtape_reader_free(r);
	assert_roundtrip(&s, 0);
	blob_free(&tape);
	script_free(&s);
}

static void test_names__every_number__has_its_name(void **state)
{
	(void)state;
	assert_string_equal(fdtape_call_name(FDTAPE_CALL_READ), "read");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_CLOSE), "syscall");
	assert_string_equal(fdtape_call_name(FDTAPE_CALL_EXIT), "exit");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_EXEC), "process");
	assert_string_equal(fdtape_call_name(FDTAPE_CALL_SSL_WRITE_EX), "SSL_write_ex");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_SSL_FREE), "openssl");
	assert_string_equal(fdtape_call_name(FDTAPE_CALL_IOCTL), "ioctl");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_IO_URING_ENTER), "syscall");
	assert_string_equal(fdtape_call_name(FDTAPE_CALL_IO_URING_OTHER), "io_uring_other");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_IO_URING_READ), "io_uring");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_PR_CLOSE), "nss");
	assert_string_equal(fdtape_call_name(FDTAPE_CALL_GO_TLS_READ), "tls.Conn.Read");
	assert_string_equal(fdtape_call_module(FDTAPE_CALL_GO_TLS_CLOSE), "go");
	for (uint32_t i = FDTAPE_CALL_READ; i <= FDTAPE_CALL_IOCTL; i++)
		assert_string_equal(fdtape_call_module(i), "syscall");
	assert_null(fdtape_call_name(FDTAPE_CALL_IOCTL + 1));
	assert_null(fdtape_call_name(0));
	assert_null(fdtape_call_module(999));
	assert_null(fdtape_call_name(UINT32_MAX));
	assert_string_equal(fdtape_loss_name(FDTAPE_LOSS_RING_FULL), "ring full");
	assert_null(fdtape_loss_name(0));
	for (uint32_t i = FDTAPE_LOSS_RING_FULL; i <= FDTAPE_LOSS_IO_URING; i++)
		assert_non_null(fdtape_loss_name(i));
	assert_string_equal(fdtape_strerror(FDTAPE_ERR_NOT_A_TAPE), "not a tape");
	assert_string_equal(fdtape_strerror(-999), "unknown error");
}

static void test_calls__what_they_carry_and_refer_to(void **state)
{
	(void)state;
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_SENDMSG), 1);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_SOCKET), 0);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_PWRITEV2), 1);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_GETSOCKOPT), 0);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_IO_URING_CLOSE), 0);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_SSL_WRITE_EX), 1);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_SSL_FREE), 0);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_GO_TLS_WRITE), 1);
	assert_int_equal(fdtape_call_carries(FDTAPE_CALL_GO_TLS_CLOSE), 0);
	assert_int_equal(fdtape_call_carries(UINT32_MAX), 0);
	assert_int_equal(fdtape_call_flow_arg(FDTAPE_CALL_ACCEPT), 0);
	assert_int_equal(fdtape_call_flow_arg(FDTAPE_CALL_SPLICE), 1);
	assert_int_equal(fdtape_call_flow_arg(FDTAPE_CALL_GO_TLS_READ), 1);
	assert_int_equal(fdtape_call_flow_arg(FDTAPE_CALL_FCNTL), 2);
	assert_int_equal(fdtape_call_flow_arg(FDTAPE_CALL_READ), -1);
	assert_int_equal(fdtape_call_flow_arg(UINT32_MAX), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_roundtrip__no_items__section_and_end),
	        cmocka_unit_test(test_roundtrip__any_values__are_exact),
	        cmocka_unit_test(test_roundtrip__ordinary_traffic__is_exact),
	        cmocka_unit_test(test_roundtrip__over_64ki_events__are_several_groups),
	        cmocka_unit_test(test_roundtrip__largest_payload__fits_one_event),
	        cmocka_unit_test(test_roundtrip__items_between_events__keep_their_places),
	        cmocka_unit_test(test_writer__same_items_uuid_and_salt__same_bytes),
	        cmocka_unit_test(test_writer__no_uuid_and_salt__draws_them),
	        cmocka_unit_test(test_section__properties__are_given_in_order),
	        cmocka_unit_test(test_reader__concatenated_tapes__are_a_tape),
	        cmocka_unit_test(test_reader__pipe__gives_what_memory_gives),
	        cmocka_unit_test(test_reader__byte_by_byte__gives_the_same),
	        cmocka_unit_test(test_reader__source_fails__error_stays),
	        cmocka_unit_test(test_writer__full_device__error_stays),
	        cmocka_unit_test(test_writer__values_not_allowed__are_refused_and_leave_no_trace),
	        cmocka_unit_test(test_writer__null_strings__are_empty),
	        cmocka_unit_test(test_peers__alike_but_for_one_part__stay_apart),
	        cmocka_unit_test(test_peers__each_group__defines_its_own),
	        cmocka_unit_test(test_peers__over_64ki__are_several_groups),
	        cmocka_unit_test(test_names__every_number__has_its_name),
	        cmocka_unit_test(test_calls__what_they_carry_and_refer_to),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_roundtrip", tests, NULL, NULL);
}
