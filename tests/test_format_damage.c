/* SPDX-License-Identifier: BSD-2-Clause */
#include <zstd.h>

#include "format/block.h"
#include "tests/test_format_helpers.h"

#define SALT 0x5a17

/* ---- tapes, taken apart and put together ---------------------------------------- */

struct part {
	struct block block;
	struct blob stored;
};

struct parts {
	struct part part[64];
	size_t n;
};

static struct parts take_apart(const struct blob *tape)
{
	struct parts parts = {.n = 0};

	for (size_t at = 0; at < tape->len; parts.n++) {
		struct part *p = &parts.part[parts.n];

		assert_true(parts.n < 64);
		assert_true(block_parse(&p->block, tape->data + at, at == 0 ? 0 : SALT));
		blob_append(&p->stored, tape->data + at + BLOCK_HEADER, p->block.stored_len);
		at += block_size(&p->block);
	}
	return parts;
}

static void parts_free(struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		blob_free(&parts->part[i].stored);
}

/* With hashes that are right, whatever else is wrong. */
static void append_part(struct blob *tape, const struct part *p)
{
	struct bytebuf out = {0};
	struct block b = p->block;

	block_begin(&out);
	bytebuf_append(&out, p->stored.data, p->stored.len);
	block_end(&out, 0, &b, b.type == BLOCK_SECTION ? 0 : SALT);
	blob_append(tape, out.data, out.len);
	bytebuf_release(&out);
}

static struct blob put_together(const struct parts *parts)
{
	struct blob tape = {0};

	for (size_t i = 0; i < parts->n; i++)
		append_part(&tape, &parts->part[i]);
	return tape;
}

static struct part *find_part(struct parts *parts, uint16_t type)
{
	for (size_t i = 0; i < parts->n; i++)
		if (parts->part[i].block.type == type)
			return &parts->part[i];
	fail_msg("no block of type %u", type);
	return NULL;
}

static struct errors read_parts(const struct parts *parts, struct script *to)
{
	struct blob tape = put_together(parts);
	struct errors errors = read_tape(tape.data, tape.len, to);

	blob_free(&tape);
	return errors;
}

/* Some items of every kind, in several groups. */
static struct script small_script(void)
{
	struct dice d = {11};
	struct script s = {0};

	for (size_t i = 0; i < 40; i++)
		script_add_random(&s, &d, 60);
	return s;
}

static size_t count(const struct script *s, uint32_t type)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->items[i].type == type;
	return n;
}

static void add_event(struct script *s, uint64_t i, const char *data)
{
	script_add(s, &(struct fdtape_item){
	                      .type = FDTAPE_ITEM_EVENT,
	                      .event = {.time = i,
	                                .flow = 1,
	                                .offset = i * 100,
	                                .bytes = strlen(data),
	                                .captured = strlen(data),
	                                .data = (const uint8_t *)data},
	              });
}

/* A group of 3 events with payload and 3 records; three such groups. */
static struct script grouped_script(void)
{
	struct script s = {0};

	for (uint64_t i = 0; i < 9; i++) {
		add_event(&s, i, "some payload");
		script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = {i, i, i}});
	}
	return s;
}

/* ---- cut off, bits flipped ----------------------------------------------------- */

static void test_reader__cut_at_every_byte__gives_what_was_whole(void **state)
{
	struct script s = small_script();
	struct blob tape = write_tape(&s, 10, SALT);

	(void)state;
	for (size_t len = 0; len < tape.len; len++) {
		struct script read = {0};
		struct errors errors = read_tape(tape.data, len, &read);

		if (len == 0) {
			assert_int_equal(errors.final, FDTAPE_ERR_NOT_A_TAPE);
			continue;
		}
		assert_int_equal(errors.final, 0);
		assert_int_equal(errors.damaged, 0);
		assert_int_equal(errors.truncated, 1);
		assert_part(&s, &read);
		assert_int_equal(count(&read, FDTAPE_ITEM_END), 0);
		script_free(&read);
	}
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__no_footer__says_interrupted(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);
	struct errors errors;

	(void)state;
	parts.n--;
	errors = read_parts(&parts, &read);
	parts.n++;
	assert_int_equal(errors.truncated, 1);
	assert_string_equal(errors.message, "no footer: the recorder was interrupted");
	assert_int_equal(read.n, s.n + 1);
	assert_part(&s, &read);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

static void test_reader__any_header_bit_flipped__is_never_silent(void **state)
{
	struct script s = small_script();
	struct blob tape = write_tape(&s, 10, SALT);
	struct block b;

	(void)state;
	for (size_t begin = 0; begin < tape.len; begin += block_size(&b)) {
		assert_true(block_parse(&b, tape.data + begin, begin ? SALT : 0));
		for (size_t bit = 0; bit < BLOCK_HEADER * 8; bit++) {
			struct script read = {0};
			struct errors errors;

			tape.data[begin + bit / 8] ^= (uint8_t)(1u << bit % 8);
			errors = read_tape(tape.data, tape.len, &read);
			tape.data[begin + bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_false(no_errors(&errors));
			assert_part(&s, &read);
			script_free(&read);
		}
	}
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__any_byte_flipped__is_never_silent(void **state)
{
	struct script s = small_script();
	struct blob tape = write_tape(&s, 10, SALT);

	(void)state;
	for (size_t at = 0; at < tape.len; at++) {
		struct script read = {0};
		struct errors errors;
		uint8_t bits = (uint8_t)(1u << at % 8);

		tape.data[at] ^= bits;
		errors = read_tape(tape.data, tape.len, &read);
		tape.data[at] ^= bits;
		if (no_errors(&errors))
			assert_whole(&s, &read);
		else
			assert_part(&s, &read);
		script_free(&read);
	}
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__any_byte_lost_or_doubled__is_never_silent(void **state)
{
	struct script s = grouped_script();
	struct blob tape = write_tape(&s, 6, SALT);

	(void)state;
	for (size_t at = 0; at < tape.len; at++) {
		for (size_t again = 0; again < 2; again++) {
			struct script read = {0};
			struct blob bad = {0};
			struct errors errors;

			blob_append(&bad, tape.data, at + again);
			blob_append(&bad, tape.data + at + 1 - again, tape.len - at - 1 + again);
			errors = read_tape(bad.data, bad.len, &read);
			if (no_errors(&errors))
				assert_whole(&s, &read);
			else
				assert_part(&s, &read);
			blob_free(&bad);
			script_free(&read);
		}
	}
	blob_free(&tape);
	script_free(&s);
}

/* ---- blocks lost, doubled, in another order ---------------------------------------- */

static void test_reader__payload_block_damaged__events_come_without_bytes(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);
	struct errors errors;
	size_t empty = 0;

	(void)state;
	/* Block 1 is the first group's payload. */
	tape.data[block_size(&parts.part[0].block) + BLOCK_HEADER + 20] ^= 1;
	errors = read_tape(tape.data, tape.len, &read);
	assert_int_equal(errors.damaged, 1);
	assert_non_null(strstr(errors.message, "block 1 at offset "));
	assert_non_null(strstr(errors.message, "hash"));
	assert_int_equal(read.n, s.n + 2);
	assert_part(&s, &read);
	for (size_t i = 0; i < read.n; i++)
		empty += read.items[i].type == FDTAPE_ITEM_EVENT && read.items[i].event.captured == 0;
	assert_int_equal(empty, 3);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

static void test_reader__each_block_lost__the_rest_is_given(void **state)
{
	struct script s = grouped_script();
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);

	(void)state;
	for (size_t lost = 1; lost + 1 < parts.n; lost++) {
		struct parts rest = {.n = 0};
		struct script read = {0};
		struct errors errors;
		uint16_t type = parts.part[lost].block.type;

		for (size_t i = 0; i < parts.n; i++)
			if (i != lost)
				rest.part[rest.n++] = parts.part[i];
		errors = read_parts(&rest, &read);
		assert_int_equal(errors.damaged, 1);
		assert_int_equal(errors.truncated, 0);
		assert_non_null(strstr(errors.message, "missing"));
		assert_part(&s, &read);
		assert_int_equal(count(&read, FDTAPE_ITEM_EVENT), type == BLOCK_EVENTS ? 6 : 9);
		assert_int_equal(count(&read, FDTAPE_ITEM_CLOCK), type == BLOCK_DEFS ? 6 : 9);
		script_free(&read);
	}
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__blocks_doubled_or_swapped__are_reported(void **state)
{
	struct script s = grouped_script();
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);

	(void)state;
	for (size_t i = 1; i + 2 < parts.n; i++) {
		for (size_t twice = 0; twice < 2; twice++) {
			struct parts changed = parts;
			struct script read = {0};
			struct errors errors;

			if (twice) {
				memmove(&changed.part[i + 1], &changed.part[i], (parts.n - i) * sizeof(struct part));
				changed.n++;
			} else {
				changed.part[i] = parts.part[i + 1];
				changed.part[i + 1] = parts.part[i];
			}
			errors = read_parts(&changed, &read);
			assert_true(errors.damaged > 0);
			assert_part(&s, &read);
			if (twice)
				assert_whole(&s, &read);
			script_free(&read);
		}
	}
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__secrets_dropped__order_of_the_rest_is_kept(void **state)
{
	struct script s = {0}, rest = {0}, read = {0};
	struct blob tape;
	struct parts parts;
	struct part *secrets;

	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		struct fdtape_item item = {.type = FDTAPE_ITEM_SECRET, .secret = {.time = i}};

		if (i % 3 == 1)
			item = (struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = {i, i, i}};
		if (i % 3 == 2)
			item = (struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = {.time = i}};
		script_add(&s, &item);
		if (i % 3 > 0)
			script_add(&rest, &item);
	}
	tape = write_tape(&s, 0, SALT);
	parts = take_apart(&tape);
	secrets = find_part(&parts, BLOCK_SECRETS);
	secrets->block.type = 0x8001; /* nobody knows it */
	assert_string_equal(read_parts(&parts, &read).message, "");
	assert_whole(&rest, &read);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&rest);
	script_free(&read);
}

/* The way that docs/format.md describes: the blocks stay, their bodies are zero. */
static void test_reader__secrets_redacted_in_place__tape_is_sound(void **state)
{
	struct dice d = {14};
	struct script s = {0}, rest = {0}, read = {0};
	struct blob tape;
	struct parts parts;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		script_add_random(&s, &d, 60);
		if (s.items[i].type != FDTAPE_ITEM_SECRET)
			script_add(&rest, &s.items[i]);
	}
	tape = write_tape(&s, 20, SALT);
	parts = take_apart(&tape);
	for (size_t i = 0; i < parts.n; i++) {
		struct part *p = &parts.part[i];

		if (p->block.type != BLOCK_SECRETS)
			continue;
		memset(p->stored.data + p->block.dir_len, 0, p->stored.len - p->block.dir_len);
		p->block.flags |= BLOCK_REDACTED;
		p->block.n_records = 0;
		p->block.raw_len = 0;
	}
	assert_string_equal(read_parts(&parts, &read).message, "");
	assert_whole(&rest, &read);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&rest);
	script_free(&read);
}

static void test_footer__other_totals__is_damage(void **state)
{
	static const size_t words[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct script s = small_script();
	struct blob tape = write_tape(&s, 10, SALT);
	struct parts parts = take_apart(&tape);
	struct part *footer = find_part(&parts, BLOCK_FOOTER);

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct script read = {0};
		struct errors errors;

		footer->stored.data[words[i] * 8]++;
		errors = read_parts(&parts, &read);
		footer->stored.data[words[i] * 8]--;
		assert_int_equal(errors.damaged, 1);
		assert_non_null(strstr(errors.message, "the footer counts"));
		assert_whole(&s, &read);
		script_free(&read);
	}
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

/* ---- sections ----------------------------------------------------------------------- */

/* A tape whose payload is a tape, and is too random to be compressed. */
static void test_reader__tape_in_a_payload__is_not_mistaken_for_this_one(void **state)
{
	struct dice d = {12};
	struct script inner = {0}, outer = {0};
	struct blob tape_in, tape_out;
	struct parts parts;
	uint8_t noise[20000];
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)dice_u64(&d);
	script_add(&inner, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
	                                         .event = {.time = 99,
	                                                   .flow = 99,
	                                                   .bytes = sizeof(noise),
	                                                   .captured = sizeof(noise),
	                                                   .data = noise}});
	tape_in = write_tape(&inner, 0, 1);
	for (uint64_t i = 0; i < 3; i++)
		script_add(&outer, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
		                                         .event = {.time = i,
		                                                   .flow = 1,
		                                                   .bytes = tape_in.len,
		                                                   .captured = tape_in.len,
		                                                   .data = tape_in.data}});
	tape_out = write_tape(&outer, 1, SALT);
	parts = take_apart(&tape_out);
	find_part(&parts, BLOCK_PAYLOAD_RAW);

	/* Each header is lost in turn: what is in the payload behind it comes into view. */
	at = block_size(&parts.part[0].block);
	for (size_t i = 1; i < parts.n; i++) {
		struct script read = {0};
		struct errors errors;

		tape_out.data[at + 20] ^= 0xff;
		errors = read_tape(tape_out.data, tape_out.len, &read);
		tape_out.data[at + 20] ^= 0xff;
		assert_true(errors.damaged + errors.truncated > 0);
		assert_int_equal(count(&read, FDTAPE_ITEM_SECTION), 1);
		assert_part(&outer, &read);
		at += block_size(&parts.part[i].block);
		script_free(&read);
	}
	parts_free(&parts);
	blob_free(&tape_in);
	blob_free(&tape_out);
	script_free(&inner);
	script_free(&outer);
}

static void test_reader__tape_behind_one_that_was_cut_off__is_read(void **state)
{
	struct script s = grouped_script();
	struct blob first = write_tape(&s, 6, SALT), second = write_tape(&s, 6, 1);

	(void)state;
	for (size_t len = 8; len < first.len; len++) {
		struct script read = {0};
		struct blob both = {0};
		struct errors errors;
		size_t at;

		blob_append(&both, first.data, len);
		blob_append(&both, second.data, second.len);
		errors = read_tape(both.data, both.len, &read);
		assert_true(errors.damaged > 0);
		assert_int_equal(errors.truncated, 0);
		assert_int_equal(errors.final, 0);
		/* The second one is whole. */
		assert_true(read.n >= s.n + 2);
		at = read.n - s.n - 2;
		for (size_t i = 0; i < s.n; i++)
			assert_true(same_item(&s.items[i], &read.items[at + 1 + i], true));
		blob_free(&both);
		script_free(&read);
	}
	blob_free(&first);
	blob_free(&second);
	script_free(&s);
}

static void test_section__unknown_major__is_refused_by_number(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);
	struct errors errors;

	(void)state;
	parts.part[0].stored.data[0] = 7;
	errors = read_parts(&parts, &read);
	assert_int_equal(errors.final, FDTAPE_ERR_UNSUPPORTED);
	assert_non_null(strstr(errors.message, "version is 7.2"));
	assert_int_equal(read.n, 0);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

/* A SECTION of version 1.9 with these features that must be known and that may be known. */
static struct part make_section(const char *must, const char *may)
{
	struct part p = {.block = {.type = BLOCK_SECTION, .flags = BLOCK_CRITICAL}};
	const uint8_t version[] = {1, 0, 9, 0};
	uint8_t rest[16 + 8 + 24] = {0};
	const uint8_t one = 1, none = 0;

	store_le(rest + 16, SALT, 8);
	blob_append(&p.stored, version, sizeof(version));
	blob_append(&p.stored, rest, sizeof(rest));
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? must : may;
		uint8_t len = name ? (uint8_t)strlen(name) : 0;

		blob_append(&p.stored, name ? &one : &none, 1);
		if (name) {
			blob_append(&p.stored, &len, 1);
			blob_append(&p.stored, name, len + 1u);
		}
	}
	blob_append(&p.stored, &none, 1); /* properties */
	blob_append(&p.stored, "what a later minor appends", 26);
	p.block.raw_len = (uint32_t)p.stored.len;
	return p;
}

static void test_section__feature_that_must_be_known__is_refused_by_name(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);
	struct errors errors;

	(void)state;
	blob_free(&parts.part[0].stored);
	parts.part[0] = make_section("time-travel", NULL);
	errors = read_parts(&parts, &read);
	assert_int_equal(errors.final, FDTAPE_ERR_UNSUPPORTED);
	assert_non_null(strstr(errors.message, "'time-travel'"));
	assert_int_equal(read.n, 0);

	blob_free(&parts.part[0].stored);
	parts.part[0] = make_section(NULL, "colour");
	errors = read_parts(&parts, &read);
	assert_string_equal(errors.message, "");
	assert_whole(&s, &read);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

/* Once more the same tape, behind what was cut off and what may be a tape in a payload. */
static void test_reader__the_same_section_again__is_taken_at_once(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob own = write_tape(&s, 6, SALT), foreign = write_tape(&s, 6, 1), all = {0};
	size_t head = block_extent((uint32_t)load_le(own.data + 40, 4));

	(void)state;
	blob_append(&all, own.data, head);
	blob_append(&all, "lost", 4);
	blob_append(&all, foreign.data, head);
	blob_append(&all, own.data, own.len);
	read_tape(all.data, all.len, &read);
	assert_int_equal(count(&read, FDTAPE_ITEM_SECTION), 2);
	assert_int_equal(read.n, 1 + s.n + 2);
	blob_free(&own);
	blob_free(&foreign);
	blob_free(&all);
	script_free(&s);
	script_free(&read);
}

/* ---- what a later release may add ----------------------------------------------------- */

static void test_reader__unknown_block__is_skipped_unless_critical(void **state)
{
	struct script s = grouped_script();
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);

	(void)state;
	for (uint16_t critical = 0; critical < 2; critical++) {
		struct script read = {0};
		struct errors errors;
		struct blob with = {0};

		/* Between any two blocks; the numbers of those behind it rise. */
		for (size_t i = 0; i < parts.n; i++) {
			struct part p = parts.part[i];
			struct part unknown = {.block = {.type = 0x8123, .flags = critical, .seq = 2 * i + 1}};

			p.block.seq = 2 * i;
			if (p.block.type != BLOCK_SECTION && p.block.type != BLOCK_FOOTER) {
				/* As far into the group as the blocks between make it. */
				assert_true(p.stored.data[0] < 60);
				p.stored = (struct blob){0};
				blob_append(&p.stored, parts.part[i].stored.data, parts.part[i].stored.len);
				p.stored.data[0] *= 2;
				append_part(&with, &p);
				blob_free(&p.stored);
			} else {
				append_part(&with, &p);
			}
			blob_append(&unknown.stored, "??", 2);
			if (i + 1 < parts.n)
				append_part(&with, &unknown);
			blob_free(&unknown.stored);
		}
		errors = read_tape(with.data, with.len, &read);
		if (critical) {
			assert_int_equal(errors.final, FDTAPE_ERR_UNSUPPORTED);
			assert_non_null(strstr(errors.message, "type 33059"));
		} else {
			assert_string_equal(errors.message, "");
			assert_whole(&s, &read);
		}
		blob_free(&with);
		script_free(&read);
	}
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

/* Adds a column 60 of "xyz" to an EVENTS block. */
static void add_column(struct part *p, uint8_t form)
{
	const uint8_t entry[] = {60, form, 3, 3};
	struct blob with = {0};

	/* Its index in the group, the list of its flows (one: flow 1), then the number of entries. */
	assert_int_equal(p->stored.data[1], 1);
	assert_true(p->stored.data[3] < 100);
	blob_append(&with, p->stored.data, p->block.dir_len);
	with.data[3]++;
	blob_append(&with, entry, sizeof(entry));
	blob_append(&with, p->stored.data + p->block.dir_len, p->stored.len - p->block.dir_len);
	blob_append(&with, "xyz", 3);
	blob_free(&p->stored);
	p->stored = with;
	p->block.dir_len += sizeof(entry);
	p->block.raw_len += 3;
}

static void test_events__unknown_column__is_skipped_unless_critical(void **state)
{
	(void)state;
	for (unsigned critical = 0; critical < 2; critical++) {
		struct script s = grouped_script(), read = {0};
		struct blob tape = write_tape(&s, 6, SALT);
		struct parts parts = take_apart(&tape);
		struct errors errors;

		add_column(find_part(&parts, BLOCK_EVENTS), (uint8_t)(critical << 7));
		errors = read_parts(&parts, &read);
		if (critical) {
			assert_int_equal(errors.final, FDTAPE_ERR_UNSUPPORTED);
			assert_non_null(strstr(errors.message, "column 60"));
		} else {
			assert_string_equal(errors.message, "");
			assert_whole(&s, &read);
		}
		parts_free(&parts);
		blob_free(&tape);
		script_free(&s);
		script_free(&read);
	}
}

/* Adds a record to a block of records whose body is as it is. */
static void add_record(struct part *p, uint8_t type, uint8_t step)
{
	const uint8_t record[] = {6, type, step, 0, 'x', 'y', 'z'};

	assert_true(p->block.flags & BLOCK_RAW);
	blob_append(&p->stored, record, sizeof(record));
	p->block.n_records++;
	p->block.raw_len += sizeof(record);
}

static void test_reader__unknown_record__is_skipped_and_counted(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);
	uint8_t *totals = find_part(&parts, BLOCK_FOOTER)->stored.data;
	struct part *p = find_part(&parts, BLOCK_DEFS);
	size_t before = block_extent((uint32_t)p->stored.len);

	(void)state;
	add_record(p, 99, 1);
	store_le(totals + 3 * 8, load_le(totals + 3 * 8, 8) + 1, 8);
	store_le(totals + 5 * 8, load_le(totals + 5 * 8, 8) + block_extent((uint32_t)p->stored.len) - before, 8);
	assert_string_equal(read_parts(&parts, &read).message, "");
	assert_whole(&s, &read);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

/* ---- peers ---------------------------------------------------------------------------- */

/* Three groups of 4 events of two peers, and nothing else. */
static struct script datagram_script(void)
{
	struct script s = {0};

	for (uint64_t i = 0; i < 12; i++) {
		struct fdtape_address peer = {
		        .family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 53, .addr = {10, 0, 0, (uint8_t)(i / 2)}};
		const struct fdtape_event event = {.time = i,
		                                   .call = FDTAPE_CALL_RECVFROM,
		                                   .flow = 1,
		                                   .offset = i,
		                                   .bytes = 1,
		                                   .captured = 1,
		                                   .data = (const uint8_t *)"x",
		                                   .peer = &peer};

		script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = event});
	}
	return s;
}

static size_t count_peers(const struct script *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->items[i].type == FDTAPE_ITEM_EVENT && s->items[i].event.peer;
	return n;
}

/* The last record is of a type that nobody knows. */
static void one_peer(struct parts *parts)
{
	struct part *p = find_part(parts, BLOCK_DEFS);
	uint8_t *body = p->stored.data + p->block.dir_len;

	assert_true(p->block.flags & BLOCK_RAW && body[1] == 10);
	body[body[0] + 1 + 1] = 99;
}

/* They come behind the events. */
static void late_peers(struct parts *parts)
{
	struct part *p = find_part(parts, BLOCK_DEFS);

	p->stored.data[p->block.dir_len + 3] = 100;
}

/* One is not whole. */
static void cut_peer(struct parts *parts)
{
	struct part *p = find_part(parts, BLOCK_DEFS);

	p->stored.data[p->block.dir_len + 4 + 2] = FDTAPE_ADDRESS_MAX;
}

static void peer_of_a_loss(struct parts *parts)
{
	find_part(parts, BLOCK_DEFS)->block.type = BLOCK_LOSS;
}

/* What events refer to is not there: they are given without it, and that is said once for the group. */
static void test_peers__not_defined__is_said_once(void **state)
{
	static const struct {
		void (*make)(struct parts *parts);
		size_t peers; /* that are left, of 12 */
		bool said;    /* that the peer is missing, not that its record is none */
		size_t damaged;
	} cases[] = {
	        {one_peer, 10, true, 1},
	        {late_peers, 8, true, 1},
	        {cut_peer, 8, false, 1},
	        {peer_of_a_loss, 8, false, 2}, /* a loss that is none, and peers that are missing */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct script s = datagram_script(), read = {0};
		struct blob tape = write_tape(&s, 4, SALT);
		struct parts parts = take_apart(&tape);
		struct errors errors;

		cases[i].make(&parts);
		errors = read_parts(&parts, &read);
		assert_int_equal(errors.damaged, cases[i].damaged);
		assert_int_equal(strstr(errors.message, "is of peer") != NULL, cases[i].said);
		assert_part(&s, &read);
		assert_int_equal(count(&read, FDTAPE_ITEM_EVENT), 12);
		assert_int_equal(count_peers(&read), cases[i].peers);
		parts_free(&parts);
		blob_free(&tape);
		script_free(&s);
		script_free(&read);
	}
}

/* The block that defines them is lost: that was said. */
static void test_peers__block_damaged__is_said_once(void **state)
{
	struct script s = datagram_script(), read = {0};
	struct blob tape = write_tape(&s, 4, SALT), damaged;
	struct parts parts = take_apart(&tape);
	struct errors errors;
	size_t at = 0;

	(void)state;
	for (struct part *p = parts.part; p->block.type != BLOCK_DEFS; p++)
		at += block_size(&p->block);
	damaged = put_together(&parts);
	damaged.data[at + BLOCK_HEADER] ^= 1;
	errors = read_tape(damaged.data, damaged.len, &read);
	assert_int_equal(errors.damaged, 1);
	assert_part(&s, &read);
	assert_int_equal(count(&read, FDTAPE_ITEM_EVENT), 12);
	assert_int_equal(count_peers(&read), 8);
	parts_free(&parts);
	blob_free(&tape);
	blob_free(&damaged);
	script_free(&s);
	script_free(&read);
}

static void test_peers__in_a_snapshot__are_damage(void **state)
{
	struct script s = datagram_script(), read = {0};
	struct fdtape_choice choice = {.from = 0, .to = 100};
	const uint8_t record[] = {6, 10, 1, 0, FDTAPE_FAMILY_IPV4, 53, 0};
	struct dice d = {3};
	char random[1000];
	struct blob tape, changed;
	struct parts parts;
	struct fdtape_reader *r;
	struct part *p;

	(void)state;
	script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_FLOW, .flow = {.id = 1, .name = "f"}});
	/* So much that a snapshot is due. */
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (char)('!' + dice_below(&d, 90));
	random[sizeof(random) - 1] = 0;
	for (uint64_t i = 20; i < 40; i++)
		add_event(&s, i, random);
	tape = write_tape(&s, 4, SALT);
	parts = take_apart(&tape);
	p = find_part(&parts, BLOCK_SNAPSHOT);
	assert_true(p->block.flags & BLOCK_RAW);
	blob_append(&p->stored, record, sizeof(record));
	p->block.n_records++;
	p->block.raw_len += sizeof(record);
	changed = put_together(&parts);
	assert_int_equal(fdtape_reader_open_memory(&r, changed.data, changed.len), 0);
	assert_int_equal(fdtape_reader_choose(r, &choice), 0);
	assert_int_not_equal(drain_reader(r, &read).damaged, 0);
	fdtape_reader_free(r);
	parts_free(&parts);
	blob_free(&tape);
	blob_free(&changed);
	script_free(&s);
	script_free(&read);
}

/* A reader of version 1.0 passes over the column; it must not be one that it has to know. */
static void test_peers__column__is_not_critical(void **state)
{
	struct script s = datagram_script();
	struct blob tape = write_tape(&s, 4, SALT);
	struct parts parts = take_apart(&tape);
	const struct part *p = find_part(&parts, BLOCK_EVENTS);
	size_t found = 0;

	(void)state;
	/* The index in the group, a list of one flow, the number of entries; then the entries. */
	assert_int_equal(p->stored.data[1], 1);
	for (size_t at = 4; at < p->block.dir_len; at += 4) {
		const uint8_t *entry = p->stored.data + at;

		found += entry[0] == 14;
		assert_true(entry[2] < 0x80 && entry[3] < 0x80);
		assert_int_equal(entry[1] >> 7, entry[0] != 14);
	}
	assert_int_not_equal(found, 0);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

/* ---- what is forbidden ---------------------------------------------------------------- */

static void wrong_record(struct part *p)
{
	add_record(p, FDTAPE_ITEM_LOSS, 1);
}

static void doubled_ordinal(struct part *p)
{
	add_record(p, 99, 0);
}

static void more_records(struct part *p)
{
	p->block.n_records++;
}

static void fewer_records(struct part *p)
{
	p->block.n_records--;
}

static void list_that_falls(struct part *p)
{
	struct blob with = {0};

	/* The index in the group; a list of one; then the rest. */
	assert_int_equal(p->stored.data[1], 1);
	blob_append(&with, p->stored.data, 1);
	blob_append(&with, "\2", 1);
	blob_append(&with, p->stored.data + 2, 1);
	blob_append(&with, "\0", 1);
	blob_append(&with, p->stored.data + 3, p->stored.len - 3);
	blob_free(&p->stored);
	p->stored = with;
	p->block.dir_len++;
}

static void column_64(struct part *p)
{
	add_column(p, 0);
	p->stored.data[p->block.dir_len - 4] = 64;
}

static void two_frames(struct part *p)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0};

	assert_int_equal(p->block.type, BLOCK_PAYLOAD);
	blob_append(&p->stored, skippable, sizeof(skippable));
}

static void records_in_it(struct part *p)
{
	p->block.n_records = 1;
}

static void directory_in_it(struct part *p)
{
	p->block.dir_len = 1;
}

static void other_raw_len(struct part *p)
{
	p->block.raw_len--;
}

static void number_0(struct part *p)
{
	p->block.seq = 0;
}

static void not_quite_dropped(struct part *p)
{
	p->block.flags |= BLOCK_REDACTED;
}

static void test_reader__what_is_forbidden__is_damage(void **state)
{
	static const struct {
		uint16_t type;
		void (*change)(struct part *p);
		const char *message;
	} cases[] = {
	        {BLOCK_DEFS, wrong_record, "of the group, or what is behind it, is not one"},
	        {BLOCK_DEFS, doubled_ordinal, "of the group, or what is behind it, is not one"},
	        {BLOCK_DEFS, more_records, "of the group, or what is behind it, is not one"},
	        {BLOCK_DEFS, fewer_records, "of the group, or what is behind it, is not one"},
	        {BLOCK_DEFS, number_0, "block_seq is over its limit"},
	        {BLOCK_EVENTS, list_that_falls, "the list of its flows"},
	        {BLOCK_EVENTS, column_64, "column 64"},
	        {BLOCK_PAYLOAD, two_frames, "does not decode"},
	        {BLOCK_SECTION, records_in_it, "n_records is over its limit"},
	        {BLOCK_SECTION, directory_in_it, "dir_len is over its limit"},
	        {BLOCK_SECTION, other_raw_len, "raw_len says"},
	        {BLOCK_FOOTER, records_in_it, "n_records is over its limit"},
	        {BLOCK_FOOTER, directory_in_it, "dir_len is over its limit"},
	        {BLOCK_FOOTER, other_raw_len, "a footer of"},
	        {BLOCK_SECRETS, not_quite_dropped, "secrets that were dropped, and"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct script s = grouped_script(), read = {0};
		struct errors errors;
		struct parts parts;
		struct blob tape;
		char *text = malloc(4000);

		assert_non_null(text);
		memset(text, 'a', 4000);
		script_add(
		        &s,
		        &(struct fdtape_item){
		                .type = FDTAPE_ITEM_EVENT,
		                .event = {.flow = 2, .bytes = 4000, .captured = 4000, .data = (const uint8_t *)text}});
		script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_SECRET, .secret = {.time = 1}});
		tape = write_tape(&s, 6, SALT);
		parts = take_apart(&tape);
		cases[i].change(find_part(&parts, cases[i].type));
		errors = read_parts(&parts, &read);
		if (errors.damaged == 0 || !strstr(errors.message, cases[i].message))
			fail_msg("case %zu: %zu damaged, '%s'", i, errors.damaged, errors.message);
		assert_part(&s, &read);
		free(text);
		parts_free(&parts);
		blob_free(&tape);
		script_free(&s);
		script_free(&read);
	}
}

static void test_reader__blocks_behind_the_footer__are_damage(void **state)
{
	const uint16_t types[] = {BLOCK_INDEX, 0x8123};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct script s = grouped_script(), read = {0};
		struct blob tape = write_tape(&s, 6, SALT);
		struct parts parts = take_apart(&tape);
		struct part *more = &parts.part[parts.n];

		*more = (struct part){.block = {.type = types[i], .seq = parts.n}};
		blob_append(&more->stored, "more", 4);
		parts.n++;
		assert_non_null(strstr(read_parts(&parts, &read).message, "behind the footer"));
		assert_whole(&s, &read);
		parts_free(&parts);
		blob_free(&tape);
		script_free(&s);
		script_free(&read);
	}
}

/* Two blocks of a group that both have a record with the number 0. */
static void test_reader__doubled_ordinals_of_two_blocks__are_said_once(void **state)
{
	struct script s = {0}, read = {0};
	struct errors errors;
	struct parts parts;
	struct blob tape;

	(void)state;
	script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = {1, 2, 3}});
	script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_LOSS, .loss = {1, 2, 3, 4, 5}});
	tape = write_tape(&s, 0, SALT);
	parts = take_apart(&tape);
	/* Its index in the group; the record's length, type, and ordinal. */
	find_part(&parts, BLOCK_LOSS)->stored.data[3] = 0;
	errors = read_parts(&parts, &read);
	assert_int_equal(errors.damaged, 1);
	assert_non_null(strstr(errors.message, "two records of the group have the number 0"));
	assert_int_equal(count(&read, FDTAPE_ITEM_CLOCK), 1);
	assert_int_equal(count(&read, FDTAPE_ITEM_LOSS), 1);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

/* ---- lies -------------------------------------------------------------------------- */

static void test_reader__lengths_over_the_limits__are_refused(void **state)
{
	struct script s = grouped_script();
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);

	(void)state;
	for (size_t i = 1; i + 1 < parts.n; i++) {
		for (int which = 0; which < 3; which++) {
			struct parts changed = parts;
			struct block *b = &changed.part[i].block;
			struct script read = {0};
			struct errors errors;

			if (which == 0)
				b->raw_len = BLOCK_LEN_MAX + 1;
			if (which == 1)
				b->dir_len = b->stored_len + 1;
			if (which == 2)
				b->n_records = BLOCK_RECORDS_MAX + 1;
			errors = read_parts(&changed, &read);
			assert_true(errors.damaged > 0);
			assert_non_null(strstr(errors.message, "over its limit"));
			assert_part(&s, &read);
			script_free(&read);
		}
	}
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__length_past_end__is_truncated(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT), bad = {0};
	struct parts parts = take_apart(&tape);
	struct bytebuf head = {0};
	struct block b = {.type = BLOCK_PAYLOAD, .seq = 1};
	struct errors errors;

	(void)state;
	/* A header that asks for 16 MiB, and 3 bytes. */
	append_part(&bad, &parts.part[0]);
	block_begin(&head);
	memset(bytebuf_reserve(&head, BLOCK_LEN_MAX), 0, BLOCK_LEN_MAX);
	head.len += BLOCK_LEN_MAX;
	block_end(&head, 0, &b, SALT);
	blob_append(&bad, head.data, BLOCK_HEADER + 3);
	errors = read_tape(bad.data, bad.len, &read);
	assert_int_equal(errors.truncated, 1);
	assert_non_null(strstr(errors.message, "after 67 of 16777280 bytes"));
	bytebuf_release(&head);
	parts_free(&parts);
	blob_free(&bad);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

/* Whatever raw_len says, a frame decodes to just that, or to nothing. */
/* Not only for who chooses. */
static bool is_read(const struct block *b)
{
	return b->type != BLOCK_INDEX && b->type != BLOCK_SNAPSHOT;
}

static void test_reader__raw_len_lies__is_damage(void **state)
{
	static const uint32_t lies[] = {0, 1, 100, BLOCK_LEN_MAX};
	struct dice d = {13};
	struct script s = {0};
	struct blob tape;
	struct parts parts;

	(void)state;
	for (size_t i = 0; i < 500; i++)
		script_add_random(&s, &d, 40);
	tape = write_tape(&s, 0, SALT);
	parts = take_apart(&tape);
	for (size_t i = 1; i + 1 < parts.n; i++) {
		for (size_t k = 0; k < 4 && is_read(&parts.part[i].block); k++) {
			struct parts changed = parts;
			struct script read = {0};
			struct errors errors;

			changed.part[i].block.raw_len = lies[k];
			errors = read_parts(&changed, &read);
			if (errors.damaged != 1)
				fail_msg("block %zu of type %u: %zu", i, parts.part[i].block.type, errors.damaged);
			assert_part(&s, &read);
			script_free(&read);
		}
	}
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
}

static void test_reader__bomb__takes_no_more_than_it_says(void **state)
{
	const size_t len = 256u << 20;
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct parts parts = take_apart(&tape);
	struct part *defs = find_part(&parts, BLOCK_DEFS);
	size_t cap = ZSTD_compressBound(len);
	uint8_t *zeros = calloc(1, len), *frame = malloc(cap);
	struct errors errors;

	(void)state;
	assert_non_null(zeros);
	assert_non_null(frame);
	defs->stored.len = defs->block.dir_len;
	blob_append(&defs->stored, frame, ZSTD_compress(frame, cap, zeros, len, 1));
	defs->block.flags &= (uint16_t)~BLOCK_RAW;
	defs->block.raw_len = 1000;
	free(zeros);
	free(frame);
	errors = read_parts(&parts, &read);
	assert_int_equal(errors.damaged, 1);
	assert_non_null(strstr(errors.message, "does not decode to 1000 bytes"));
	assert_int_equal(count(&read, FDTAPE_ITEM_EVENT), 9);
	parts_free(&parts);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

static void test_reader__group_without_end__is_bounded(void **state)
{
	struct script none = {0}, read = {0};
	struct blob tape = write_tape(&none, 0, SALT), bad = {0};
	struct parts parts = take_apart(&tape);
	struct part big = {.block = {.type = BLOCK_PAYLOAD_RAW, .dir_len = 1}};
	struct errors errors;
	uint8_t *zeros = calloc(1, 10u << 20);

	(void)state;
	assert_non_null(zeros);
	append_part(&bad, &parts.part[0]);
	for (uint8_t i = 0; i < 7; i++) {
		big.block.seq = i + 1u;
		big.block.raw_len = 10u << 20;
		big.stored.len = 0;
		blob_append(&big.stored, &i, 1);
		/* One run: flow 1, in, offset 0, start i * 10 MiB, 10 MiB. */
		struct bytebuf run = {0};
		bytebuf_byte(&run, 1);
		bytebuf_byte(&run, 0);
		bytebuf_byte(&run, 0);
		bytebuf_varint(&run, (uint64_t)i * (10u << 20));
		bytebuf_varint(&run, 10u << 20);
		blob_append(&big.stored, run.data, run.len);
		big.block.dir_len = (uint32_t)run.len + 1;
		big.block.n_records = 1;
		bytebuf_release(&run);
		blob_append(&big.stored, zeros, 10u << 20);
		append_part(&bad, &big);
	}
	errors = read_tape(bad.data, bad.len, &read);
	assert_int_equal(errors.damaged,
	                 4); /* the fourth is over 64 MiB, stored and decoded, and so are those behind it */
	assert_non_null(strstr(errors.message, "block 4 at offset"));
	assert_int_equal(errors.truncated, 1);
	free(zeros);
	blob_free(&big.stored);
	parts_free(&parts);
	blob_free(&bad);
	blob_free(&tape);
	script_free(&read);
}

/* Headers that are right and ask for 16 MiB, one behind the other, so that each is looked at in vain: without a limit,
 * 6 TB are hashed. */
static void test_reader__many_large_lies__do_not_take_forever(void **state)
{
	struct script none = {0}, read = {0};
	struct blob tape = write_tape(&none, 0, SALT);
	struct errors errors;
	size_t at = tape.len;

	(void)state;
	tape.len += 24u << 20;
	tape.data = realloc(tape.data, tape.len);
	assert_non_null(tape.data);
	for (uint64_t seq = 2; at < tape.len; at += BLOCK_HEADER) {
		uint8_t *h = tape.data + at;

		memset(h, 0, BLOCK_HEADER);
		memcpy(h, BLOCK_MAGIC, BLOCK_MAGIC_LEN);
		store_le(h + 8, BLOCK_PAYLOAD, 2);
		store_le(h + 16, seq++, 8);
		store_le(h + 40, BLOCK_LEN_MAX - 8, 4); /* behind which there is no header */
		store_le(h + 60, block_header_hash(h, SALT), 4);
	}
	errors = read_tape(tape.data, tape.len, &read);
	assert_in_range(errors.damaged, 16, 40);
	blob_free(&tape);
	script_free(&read);
}

/* ---- what is no tape ------------------------------------------------------------------ */

static void test_reader__foreign_files__are_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *name;
	} files[] = {
	        {"", 0, "empty"},
	        {"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a", 12, "pcapng"},
	        {"\xd4\xc3\xb2\xa1\x02\0\x04\0", 8, "pcap"},
	        {"\x1f\x8b\x08\0", 4, "gzip"},
	        {"\x7f"
	         "ELF\x02\x01\x01",
	         7, "ELF"},
	        {"hello, world\n", 13, "text"},
	        {"\x00\x01\x02\x03", 4, "binary"},
	        {"\x89PNG\r\n\x1a\n", 8, "PNG"},
	        {"\x28\xb5\x2f\xfd", 4, "zstd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct script read = {0};
		struct errors errors = read_tape(files[i].bytes, files[i].len, &read);

		assert_int_equal(errors.final, FDTAPE_ERR_NOT_A_TAPE);
		assert_non_null(strstr(errors.message, files[i].name));
		assert_int_equal(read.n, 0);
	}
}

static void test_reader__garbage_behind_the_footer__is_damage(void **state)
{
	struct script s = grouped_script(), read = {0};
	struct blob tape = write_tape(&s, 6, SALT);
	struct errors errors;

	(void)state;
	blob_append(&tape, "garbage", 7);
	errors = read_tape(tape.data, tape.len, &read);
	assert_int_equal(errors.damaged, 1);
	assert_int_equal(errors.truncated, 0);
	assert_whole(&s, &read);
	blob_free(&tape);
	script_free(&s);
	script_free(&read);
}

/* Random noise over random places: no crash, and nothing that was not put unless it is reported. */
static void test_reader__random_damage__is_never_silent(void **state)
{
	struct dice d = {14};
	struct script s = {0};
	struct blob tape;

	(void)state;
	for (size_t i = 0; i < 300; i++)
		script_add_random(&s, &d, 800);
	tape = write_tape(&s, 40, SALT);
	for (size_t round = 0; round < 300; round++) {
		struct script read = {0};
		struct blob bad = {0};
		struct errors errors;

		blob_append(&bad, tape.data, tape.len);
		for (size_t n = 1 + dice_below(&d, 8); n > 0; n--) {
			size_t at = dice_below(&d, bad.len), len = 1 + dice_below(&d, 100);

			for (size_t i = at; i < bad.len && i < at + len; i++)
				bad.data[i] = (uint8_t)dice_u64(&d);
		}
		errors = read_tape(bad.data, bad.len, &read);
		if (no_errors(&errors))
			assert_whole(&s, &read);
		else
			assert_part(&s, &read);
		blob_free(&bad);
		script_free(&read);
	}
	blob_free(&tape);
	script_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_reader__cut_at_every_byte__gives_what_was_whole),
	        cmocka_unit_test(test_reader__no_footer__says_interrupted),
	        cmocka_unit_test(test_reader__any_header_bit_flipped__is_never_silent),
	        cmocka_unit_test(test_reader__any_byte_flipped__is_never_silent),
	        cmocka_unit_test(test_reader__any_byte_lost_or_doubled__is_never_silent),
	        cmocka_unit_test(test_reader__payload_block_damaged__events_come_without_bytes),
	        cmocka_unit_test(test_reader__each_block_lost__the_rest_is_given),
	        cmocka_unit_test(test_reader__blocks_doubled_or_swapped__are_reported),
	        cmocka_unit_test(test_reader__secrets_dropped__order_of_the_rest_is_kept),
	        cmocka_unit_test(test_reader__secrets_redacted_in_place__tape_is_sound),
	        cmocka_unit_test(test_footer__other_totals__is_damage),
	        cmocka_unit_test(test_reader__tape_in_a_payload__is_not_mistaken_for_this_one),
	        cmocka_unit_test(test_reader__tape_behind_one_that_was_cut_off__is_read),
	        cmocka_unit_test(test_reader__the_same_section_again__is_taken_at_once),
	        cmocka_unit_test(test_section__unknown_major__is_refused_by_number),
	        cmocka_unit_test(test_section__feature_that_must_be_known__is_refused_by_name),
	        cmocka_unit_test(test_reader__unknown_block__is_skipped_unless_critical),
	        cmocka_unit_test(test_events__unknown_column__is_skipped_unless_critical),
	        cmocka_unit_test(test_reader__unknown_record__is_skipped_and_counted),
	        cmocka_unit_test(test_peers__not_defined__is_said_once),
	        cmocka_unit_test(test_peers__block_damaged__is_said_once),
	        cmocka_unit_test(test_peers__in_a_snapshot__are_damage),
	        cmocka_unit_test(test_peers__column__is_not_critical),
	        cmocka_unit_test(test_reader__what_is_forbidden__is_damage),
	        cmocka_unit_test(test_reader__blocks_behind_the_footer__are_damage),
	        cmocka_unit_test(test_reader__doubled_ordinals_of_two_blocks__are_said_once),
	        cmocka_unit_test(test_reader__lengths_over_the_limits__are_refused),
	        cmocka_unit_test(test_reader__length_past_end__is_truncated),
	        cmocka_unit_test(test_reader__raw_len_lies__is_damage),
	        cmocka_unit_test(test_reader__bomb__takes_no_more_than_it_says),
	        cmocka_unit_test(test_reader__group_without_end__is_bounded),
	        cmocka_unit_test(test_reader__many_large_lies__do_not_take_forever),
	        cmocka_unit_test(test_reader__foreign_files__are_named),
	        cmocka_unit_test(test_reader__garbage_behind_the_footer__is_damage),
	        cmocka_unit_test(test_reader__random_damage__is_never_silent),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_damage", tests, NULL, NULL);
}
