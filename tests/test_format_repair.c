/* SPDX-License-Identifier: BSD-2-Clause */

/* Repairing: everything that was whole is kept, what is lost is said, and the result is sound. */
#include <fdtape/repair.h>

#include "format/block.h"
#include "tests/test_format_helpers.h"

#define SALT 0x5a17

struct feed {
	const struct blob *tape;
	size_t at;
};

static int64_t feed_read(void *context, void *buffer, size_t len)
{
	struct feed *f = context;
	size_t n = f->tape->len - f->at < len ? f->tape->len - f->at : len;

	memcpy(buffer, f->tape->data + f->at, n);
	f->at += n;
	return (int64_t)n;
}

static int repair(const struct blob *tape, uint32_t flags, struct blob *to, struct fdtape_repair_report *report)
{
	struct feed feed = {.tape = tape};

	return fdtape_repair(&(struct fdtape_source){.read = feed_read, .context = &feed},
	                     &(struct fdtape_sink){.write = blob_sink, .context = to}, flags, report);
}

static struct script some_items(size_t n)
{
	struct dice d = {21};
	struct script s = {0};

	while (s.n < n)
		script_add_random(&s, &d, 60);
	return s;
}

/* The block that holds this byte: its offset. */
static size_t block_around(const struct blob *tape, size_t where)
{
	struct block b;
	size_t at = 0;

	for (;;) {
		assert_true(block_parse(&b, tape->data + at, at ? SALT : 0));
		if (at + block_size(&b) > where)
			return at;
		at += block_size(&b);
	}
}

static size_t count_losses(const struct script *s, uint64_t *bytes)
{
	size_t n = 0;

	*bytes = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (s->items[i].type == FDTAPE_ITEM_LOSS && s->items[i].loss.reason == FDTAPE_LOSS_BLOCK &&
		    s->items[i].loss.count == 0) {
			n++;
			*bytes += s->items[i].loss.bytes;
		}
	}
	return n;
}

/* The items of `read` without the losses that were added. */
static struct script without_added(const struct script *read)
{
	struct script s = {0};

	for (size_t i = 0; i < read->n; i++)
		if (read->items[i].type != FDTAPE_ITEM_LOSS || read->items[i].loss.reason != FDTAPE_LOSS_BLOCK)
			script_add(&s, &read->items[i]);
	return s;
}

static void test_repair__sound_tape__keeps_every_item(void **state)
{
	struct script s = some_items(200), read = {0};
	struct blob tape = write_tape(&s, 17, SALT), fixed = {0}, again = {0};
	struct fdtape_repair_report report;

	(void)state;
	assert_int_equal(repair(&tape, 0, &fixed, &report), 0);
	assert_string_equal(read_tape(fixed.data, fixed.len, &read).message, "");
	assert_whole(&s, &read);
	assert_int_equal(report.damages, 0);
	assert_int_equal(report.items, s.n);
	assert_int_equal(report.output_bytes, fixed.len);
	assert_int_equal(report.input_bytes, tape.len);
	assert_int_equal(repair(&tape, 0, &again, NULL), 0);
	assert_int_equal(again.len, fixed.len);
	assert_memory_equal(again.data, fixed.data, fixed.len);
	blob_free(&again);
	blob_free(&fixed);
	blob_free(&tape);
	script_free(&read);
	script_free(&s);
}

static void test_repair__any_byte_flipped__result_is_sound_and_says_what_is_lost(void **state)
{
	struct script s = some_items(60);
	struct blob tape = write_tape(&s, 10, SALT);

	(void)state;
	for (size_t at = 0; at < tape.len; at += 3) {
		struct script read = {0}, damaged = {0}, kept;
		struct fdtape_repair_report report;
		struct blob fixed = {0};
		uint64_t bytes;
		int rc;

		tape.data[at] ^= 0x10;
		rc = repair(&tape, 0, &fixed, &report);
		read_tape(tape.data, tape.len, &damaged);
		tape.data[at] ^= 0x10;
		if (block_around(&tape, at) == 0) { /* the head of the only section */
			blob_free(&fixed);
			script_free(&damaged);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(read_tape(fixed.data, fixed.len, &read).message, "");
		kept = without_added(&read);
		assert_part(&s, &kept);
		/* As much as can be read of the damaged one. */
		assert_true(kept.n >= damaged.n);
		assert_int_equal(count_losses(&read, &bytes), report.damages);
		assert_int_equal(bytes, report.lost_bytes);
		blob_free(&fixed);
		script_free(&read);
		script_free(&kept);
		script_free(&damaged);
	}
	blob_free(&tape);
	script_free(&s);
}

static void test_repair__cut_anywhere__result_is_sound(void **state)
{
	struct script s = some_items(60);
	struct blob tape = write_tape(&s, 10, SALT);
	struct blob cut = tape;

	(void)state;
	for (cut.len = block_size(&(struct block){.stored_len = 0}); cut.len < tape.len; cut.len += 5) {
		struct fdtape_repair_report report;
		struct blob fixed = {0};
		struct script read = {0};
		int rc = repair(&cut, 0, &fixed, &report);

		if (report.sections == 0) {
			assert_true(rc < 0);
			assert_string_not_equal(report.message, "");
			blob_free(&fixed);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(report.truncated, 1);
		assert_string_equal(read_tape(fixed.data, fixed.len, &read).message, "");
		blob_free(&fixed);
		script_free(&read);
	}
	blob_free(&tape);
	script_free(&s);
}

static void test_repair__loss__has_the_times_around_it(void **state)
{
	struct script s = {0}, read = {0};
	struct blob tape, fixed = {0};
	struct fdtape_repair_report report;
	size_t at = 0, n = 0;
	struct block b;
	uint64_t bytes;

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		script_add(&s,
		           &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = {.time = 100 * i, .duration = 7}});
	tape = write_tape(&s, 10, SALT);
	for (;; at += block_size(&b)) {
		assert_true(block_parse(&b, tape.data + at, at ? SALT : 0));
		if (b.type == BLOCK_EVENTS && ++n == 2)
			break;
	}
	tape.data[at + BLOCK_HEADER] ^= 1;
	assert_int_equal(repair(&tape, 0, &fixed, &report), 0);
	read_tape(fixed.data, fixed.len, &read);
	assert_int_equal(count_losses(&read, &bytes), 1);
	assert_int_equal(bytes, block_size(&b));
	for (size_t i = 0; i < read.n; i++) {
		if (read.items[i].type == FDTAPE_ITEM_LOSS) {
			assert_int_equal(read.items[i].loss.from, 907);
			assert_int_equal(read.items[i].loss.to, 2000);
		}
	}
	blob_free(&tape);
	blob_free(&fixed);
	script_free(&s);
	script_free(&read);
}

static void test_repair__secrets_dropped__result_has_none(void **state)
{
	struct script s = some_items(100), read = {0};
	struct blob tape = write_tape(&s, 0, SALT), fixed = {0};
	struct fdtape_repair_report report;
	size_t secrets = 0;

	(void)state;
	for (size_t i = 0; i < s.n; i++)
		secrets += s.items[i].type == FDTAPE_ITEM_SECRET;
	assert_int_equal(repair(&tape, FDTAPE_REPAIR_DROP_SECRETS, &fixed, &report), 0);
	assert_int_equal(report.secrets, secrets);
	assert_string_equal(read_tape(fixed.data, fixed.len, &read).message, "");
	assert_int_equal(read.n, s.n + 2 - secrets);
	for (size_t i = 0; i < read.n; i++)
		assert_int_not_equal(read.items[i].type, FDTAPE_ITEM_SECRET);
	blob_free(&fixed);
	blob_free(&tape);
	script_free(&read);
	script_free(&s);
}

static int full_sink(void *context, const void *data, size_t len)
{
	size_t *left = context;

	(void)data;
	if (len > *left)
		return FDTAPE_ERR_SYSTEM;
	*left -= len;
	return 0;
}

static void test_repair__errors__are_returned(void **state)
{
	struct script s = some_items(100);
	struct blob tape = write_tape(&s, 10, SALT), text = {0}, out = {0};
	struct fdtape_repair_report report;
	struct feed feed = {.tape = &tape};
	size_t room = 2000;

	(void)state;
	blob_append(&text, "hello", 5);
	assert_int_equal(repair(&text, 0, &out, &report), FDTAPE_ERR_NOT_A_TAPE);
	assert_string_equal(report.message, "not a tape: it looks like text");
	assert_int_equal(repair(&tape, 0x80, &out, &report), FDTAPE_ERR_USAGE);
	assert_int_equal(out.len, 0);
	assert_int_equal(fdtape_repair(&(struct fdtape_source){.read = feed_read, .context = &feed},
	                               &(struct fdtape_sink){.write = full_sink, .context = &room}, 0, &report),
	                 FDTAPE_ERR_SYSTEM);
	blob_free(&text);
	blob_free(&tape);
	script_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_repair__sound_tape__keeps_every_item),
	        cmocka_unit_test(test_repair__any_byte_flipped__result_is_sound_and_says_what_is_lost),
	        cmocka_unit_test(test_repair__cut_anywhere__result_is_sound),
	        cmocka_unit_test(test_repair__loss__has_the_times_around_it),
	        cmocka_unit_test(test_repair__secrets_dropped__result_has_none),
	        cmocka_unit_test(test_repair__errors__are_returned),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_repair", tests, NULL, NULL);
}
