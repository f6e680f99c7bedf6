/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that reads ahead changes nothing: item by item, error by error, and what is told of the section. */
#include <errno.h>
#include <unistd.h>

#include "tests/test_format_helpers.h"

/* ---- tapes ------------------------------------------------------------------ */

/* So many sections, each with so many items that their heads differ in all that they say. */
static struct blob make_tape(uint64_t seed, unsigned sections, size_t items, size_t payload)
{
	struct dice dice = {seed};
	struct blob tape = {0};

	for (unsigned i = 0; i < sections; i++) {
		char number[16];
		struct fdtape_meta meta[] = {{"tool.version", "0.1.0"}, {"section", number}};
		struct fdtape_writer_options options = test_options();
		struct fdtape_sink sink = {.write = blob_sink, .context = &tape};
		struct fdtape_writer *writer;
		struct script script = {0};

		snprintf(number, sizeof number, "%u", i);
		options.meta = meta;
		options.n_meta = 1 + i % 2;
		options.uuid[0] = (uint8_t)i;
		options.clock.realtime += i;
		assert_int_equal(fdtape_writer_open(&writer, &sink, &options), 0);
		for (size_t k = 0; k < items; k++)
			script_add_random(&script, &dice, k % 100 == 99 ? 50 * payload : payload);
		assert_int_equal(put_script(writer, &script, 150), 0);
		assert_int_equal(fdtape_writer_end(writer), 0);
		fdtape_writer_free(writer);
		script_free(&script);
	}
	return tape;
}

/* A source that gives some bytes at a time, and fails at a place. */
struct trickle {
	const uint8_t *data;
	size_t len, at;
	size_t fails_at;
	struct dice dice;
};

static int64_t trickle_read(void *context, void *buffer, size_t len)
{
	struct trickle *t = context;
	size_t n = dice_below(&t->dice, 100000) + 1;

	if (t->at >= t->fails_at) {
		errno = EIO;
		return FDTAPE_ERR_SYSTEM;
	}
	n = n < len ? n : len;
	n = n < t->len - t->at ? n : t->len - t->at;
	memcpy(buffer, t->data + t->at, n);
	t->at += n;
	return (int64_t)n;
}

static int64_t trickle_read_at(void *context, uint64_t offset, void *buffer, size_t len)
{
	const struct trickle *t = context;
	size_t n = offset < t->len ? t->len - (size_t)offset : 0;

	n = n < len ? n : len;
	memcpy(buffer, t->data + offset, n);
	return (int64_t)n;
}

/* ---- two readers ------------------------------------------------------------ */

enum from {
	FROM_MEMORY,
	FROM_PIPE,
	FROM_FILE,
	FROMS
};

static struct fdtape_reader *open_reader(const struct blob *tape, enum from from, struct trickle *t)
{
	struct fdtape_source source = {.read = trickle_read, .context = t};
	struct fdtape_reader *reader;

	t->data = tape->data;
	t->len = tape->len;
	if (from == FROM_MEMORY) {
		assert_int_equal(fdtape_reader_open_memory(&reader, tape->data, tape->len), 0);
		return reader;
	}
	if (from == FROM_FILE) {
		source.read_at = trickle_read_at;
		source.size = tape->len;
	}
	assert_int_equal(fdtape_reader_open(&reader, &source), 0);
	return reader;
}

static void assert_same_heads(const struct fdtape_reader *a, const struct fdtape_reader *b)
{
	struct fdtape_section_info x, y;
	const struct fdtape_meta *m, *n;
	int rc = fdtape_reader_section(a, &x);

	assert_int_equal(rc, fdtape_reader_section(b, &y));
	if (rc == 0) {
		assert_memory_equal(x.uuid, y.uuid, sizeof x.uuid);
		assert_memory_equal(&x.clock, &y.clock, sizeof x.clock);
		assert_true(x.major == y.major && x.minor == y.minor);
	}
	for (size_t i = 0; (m = fdtape_reader_meta(a, i)); i++) {
		n = fdtape_reader_meta(b, i);
		assert_non_null(n);
		assert_string_equal(m->key, n->key);
		assert_string_equal(m->value, n->value);
		assert_string_equal(m->value, fdtape_reader_meta_get(b, m->key));
	}
	assert_null(fdtape_reader_meta_get(b, "no such key"));
}

/* Both read to the end. Returns how many errors there were. */
static unsigned compare(struct fdtape_reader *plain, struct fdtape_reader *ahead)
{
	struct fdtape_reader_stats x, y;
	struct fdtape_item a, b;
	unsigned errors = 0;
	int rc, last = 1;

	for (int after_end = 0; after_end < 3;) {
		errno = 0;
		rc = fdtape_reader_next(plain, &a);
		assert_int_equal(fdtape_reader_next(ahead, &b), rc);
		assert_string_equal(fdtape_reader_message(plain), fdtape_reader_message(ahead));
		if (rc > 0)
			assert_true(same_item(&a, &b, true) && same_item(&b, &a, true));
		if (rc > 0 && a.type == FDTAPE_ITEM_SECTION)
			assert_same_heads(plain, ahead);
		if (rc == FDTAPE_ERR_SYSTEM)
			assert_int_equal(errno, EIO);
		errors += rc < 0;
		/* What is final is told again and again. */
		after_end += rc == 0 || (rc < 0 && rc == last && rc == FDTAPE_ERR_SYSTEM);
		last = rc;
	}
	fdtape_reader_stats(plain, &x);
	fdtape_reader_stats(ahead, &y);
	assert_memory_equal(&x, &y, sizeof x);
	fdtape_reader_free(plain);
	fdtape_reader_free(ahead);
	return errors;
}

static unsigned compare_from(const struct blob *tape, enum from from, size_t fails_at,
                             const struct fdtape_choice *choice)
{
	struct trickle t[2] = {{.fails_at = fails_at, .dice = {1}}, {.fails_at = fails_at, .dice = {1}}};
	struct fdtape_reader *plain = open_reader(tape, from, &t[0]), *ahead = open_reader(tape, from, &t[1]);

	assert_int_equal(fdtape_reader_ahead(ahead), 0);
	if (choice) {
		assert_int_equal(fdtape_reader_choose(plain, choice), 0);
		assert_int_equal(fdtape_reader_choose(ahead, choice), 0);
	}
	return compare(plain, ahead);
}

static void test_ahead__sound_tapes__same(void **state)
{
	struct blob tape = make_tape(1, 3, 4000, 300);

	(void)state;
	for (int from = 0; from < FROMS; from++)
		assert_int_equal(compare_from(&tape, from, SIZE_MAX, NULL), 0);
	blob_free(&tape);
}

static void test_ahead__damaged_tapes__same_errors_at_the_same_places(void **state)
{
	struct blob tape = make_tape(2, 3, 400, 300);
	struct dice dice = {3};
	unsigned errors = 0;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct blob hurt = {0};

		blob_append(&hurt, tape.data, tape.len);
		for (int i = 0; i < 1 + round % 4; i++)
			hurt.data[dice_below(&dice, hurt.len)] ^= (uint8_t)(1 + dice_below(&dice, 255));
		if (round % 3 == 0)
			hurt.len = dice_below(&dice, hurt.len);
		errors += compare_from(&hurt, round % FROMS, SIZE_MAX, NULL);
		blob_free(&hurt);
	}
	assert_true(errors > 60);
	blob_free(&tape);
}

static void test_ahead__source_that_fails__same_error_and_errno(void **state)
{
	struct blob tape = make_tape(4, 2, 1000, 300);

	(void)state;
	for (size_t at = 0; at < tape.len; at += tape.len / 7)
		assert_true(compare_from(&tape, FROM_PIPE, at, NULL) >= 1);
	blob_free(&tape);
}

static void test_ahead__choice__same(void **state)
{
	const uint64_t flows[] = {1, 127, 128, 16384};
	const struct fdtape_choice choice = {.flows = flows, .n_flows = 4, .from = 0, .to = UINT64_MAX / 2};
	struct blob tape = make_tape(5, 2, 3000, 100);

	(void)state;
	for (int from = 0; from < FROMS; from++)
		compare_from(&tape, from, SIZE_MAX, &choice);
	blob_free(&tape);
}

static void test_ahead__no_tape__same_error(void **state)
{
	struct blob text = {0};

	(void)state;
	blob_append(&text, "not a tape at all, but quite long enough to be looked at, whatever one makes of it", 80);
	for (int length = 0; length <= 80; length += 40) {
		struct trickle t[2] = {{.fails_at = SIZE_MAX}, {.fails_at = SIZE_MAX}};
		struct fdtape_reader *plain, *ahead;
		struct fdtape_item item;

		text.len = (size_t)length;
		plain = open_reader(&text, FROM_PIPE, &t[0]);
		ahead = open_reader(&text, FROM_PIPE, &t[1]);
		assert_int_equal(fdtape_reader_ahead(ahead), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(fdtape_reader_next(plain, &item), FDTAPE_ERR_NOT_A_TAPE);
			assert_int_equal(fdtape_reader_next(ahead, &item), FDTAPE_ERR_NOT_A_TAPE);
			assert_string_equal(fdtape_reader_message(plain), fdtape_reader_message(ahead));
		}
		fdtape_reader_free(plain);
		fdtape_reader_free(ahead);
	}
	blob_free(&text);
}

/* Who has seen enough goes: with nothing read, amid a batch, while the thread waits for room. */
static void test_ahead__freed_early__ends(void **state)
{
	struct blob tape = make_tape(6, 1, 8000, 300);

	(void)state;
	for (int items = 0; items < 9000; items = items * 3 + 1) {
		struct trickle t = {.fails_at = SIZE_MAX};
		struct fdtape_reader *reader = open_reader(&tape, FROM_PIPE, &t);
		struct fdtape_item item;

		assert_int_equal(fdtape_reader_ahead(reader), 0);
		for (int i = 0; i < items; i++)
			fdtape_reader_next(reader, &item);
		fdtape_reader_free(reader);
	}
	blob_free(&tape);
}

static void test_ahead__too_late__is_refused(void **state)
{
	struct blob tape = make_tape(7, 1, 10, 10);
	struct fdtape_reader *reader;
	struct fdtape_totals totals;
	struct fdtape_item item;

	(void)state;
	assert_int_equal(fdtape_reader_ahead(NULL), FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_reader_open_memory(&reader, tape.data, tape.len), 0);
	assert_int_equal(fdtape_reader_next(reader, &item), 1);
	assert_int_equal(fdtape_reader_ahead(reader), FDTAPE_ERR_USAGE);
	fdtape_reader_free(reader);

	assert_int_equal(fdtape_reader_open_memory(&reader, tape.data, tape.len), 0);
	assert_int_equal(fdtape_reader_ahead(reader), 0);
	assert_int_equal(fdtape_reader_totals(reader, &totals, NULL), 1);
	assert_int_equal(fdtape_reader_next(reader, &item), 1);
	assert_int_equal(fdtape_reader_totals(reader, &totals, NULL), FDTAPE_ERR_USAGE);
	assert_int_equal(fdtape_reader_choose(reader, &(struct fdtape_choice){.from = 1}), FDTAPE_ERR_USAGE);
	fdtape_reader_free(reader);
	blob_free(&tape);
}

/* A recording that goes on. */
static void test_ahead__source_that_waits__what_is_there_is_given(void **state)
{
	struct blob tape = make_tape(8, 2, 3, 10), first = make_tape(8, 1, 3, 10);
	struct fdtape_reader *reader;
	struct fdtape_item item;
	unsigned items = 0;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], tape.data, first.len), first.len);
	assert_int_equal(fdtape_reader_open_fd(&reader, ends[0]), 0);
	assert_int_equal(fdtape_reader_ahead(reader), 0);
	do {
		assert_int_equal(fdtape_reader_next(reader, &item), 1);
		items++;
	} while (item.type != FDTAPE_ITEM_END); /* with the pipe open: this would hang */
	assert_int_equal(items, 5);
	assert_int_equal(write(ends[1], tape.data + first.len, tape.len - first.len), tape.len - first.len);
	close(ends[1]);
	while (fdtape_reader_next(reader, &item) == 1)
		items++;
	assert_int_equal(items, 10);
	fdtape_reader_free(reader);
	close(ends[0]);
	blob_free(&tape);
	blob_free(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ahead__sound_tapes__same),
	        cmocka_unit_test(test_ahead__damaged_tapes__same_errors_at_the_same_places),
	        cmocka_unit_test(test_ahead__source_that_fails__same_error_and_errno),
	        cmocka_unit_test(test_ahead__choice__same),
	        cmocka_unit_test(test_ahead__no_tape__same_error),
	        cmocka_unit_test(test_ahead__freed_early__ends),
	        cmocka_unit_test(test_ahead__too_late__is_refused),
	        cmocka_unit_test(test_ahead__source_that_waits__what_is_there_is_given),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_ahead", tests, NULL, NULL);
}
