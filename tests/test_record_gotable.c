/* SPDX-License-Identifier: BSD-2-Clause */

/* Go's table of functions in its three shapes, put together by hand from src/runtime/symtab.go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record/gotable.h"

#define SIZE 256
#define TEXT 0x401000

static const char *const names[] = {"main.main", "crypto/tls.(*Config).writeKeyLog"};

static void put(uint8_t *to, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* Two functions: the key log at TEXT + 0x20, main at TEXT + 0x40. */
static void make(uint8_t table[static SIZE], uint32_t magic, uint64_t text)
{
	bool old = magic == 0xfffffffa;
	size_t head = old ? 24 : 32, entry = old ? 16 : 8, address = old ? 8 : 4;

	memset(table, 0, SIZE);
	put(table, magic, 4);
	table[6] = 1;
	table[7] = 8;
	put(table + 8, 2, 8);
	if (!old)
		put(table + GOTABLE_TEXT_AT, text, 8);
	put(table + head, 80, 8);                                       /* names */
	put(table + head + 32, 144, 8);                                 /* functions */
	put(table + 144 + 2 * entry, (old ? TEXT : 0) + 0x77, address); /* where the last one ends */
	strcpy((char *)table + 81, names[1]);
	strcpy((char *)table + 81 + 40, names[0]);
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t start = (old ? TEXT : 0) + 0x20 + 0x20 * i, about = 48 + 16 * i;

		put(table + 144 + i * entry, start, address);
		put(table + 144 + i * entry + address, about, address);
		put(table + 144 + about, start, address);
		put(table + 144 + about + address, i ? 41 : 1, 4);
	}
}

static void test_gotable__each_shape_is_read(void **state)
{
	const uint32_t magics[] = {0xfffffffa, 0xfffffff0, 0xfffffff1};
	uint8_t table[SIZE];
	uint64_t found[2];

	(void)state;
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
		make(table, magics[i], TEXT);
		assert_int_equal(gotable_find(table, SIZE, 0, names, 2, found), 2);
		assert_int_equal(found[0], TEXT + 0x40);
		assert_int_equal(found[1], TEXT + 0x20);
		assert_int_equal(gotable_end(table, SIZE, 0, TEXT + 0x20), TEXT + 0x40);
		assert_int_equal(gotable_end(table, SIZE, 0, TEXT + 0x40), TEXT + 0x77);
		assert_int_equal(gotable_end(table, SIZE, 0, TEXT + 0x21), 0);
		assert_int_equal(gotable_end(table, SIZE, 0, TEXT + 0x77), 0);
	}
}

static void test_gotable__code_begins_where_the_section_does(void **state)
{
	uint8_t table[SIZE];
	uint64_t found[2];

	(void)state;
	make(table, 0xfffffff1, 0);
	assert_int_equal(gotable_find(table, SIZE, 0x1000, names, 2, found), 2);
	assert_int_equal(found[1], 0x1020);
}

static void test_gotable__another_magic_is_no_table(void **state)
{
	uint8_t table[SIZE];
	uint64_t found[2];

	(void)state;
	make(table, 0xfffffffb, TEXT);
	assert_int_equal(gotable_find(table, SIZE, 0, names, 2, found), 0);
	assert_int_equal(gotable_magic(table, 8), 0);
}

/* Whatever a byte says, nothing beyond the table is read (the sanitizers look on). */
static void test_gotable__hostile_numbers_are_bounded(void **state)
{
	uint8_t table[SIZE];
	uint64_t found[2];

	(void)state;
	for (size_t at = 8; at < SIZE; at++) {
		for (int value = 1; value < 256; value += 127) {
			make(table, 0xfffffff1, TEXT);
			table[at] = (uint8_t)value;
			gotable_find(table, SIZE, 0, names, 2, found);
			gotable_find(table, at, 0, names, 2, found);
			gotable_end(table, SIZE, 0, TEXT + 0x40);
			gotable_end(table, at, 0, TEXT + 0x40);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_gotable__each_shape_is_read),
	        cmocka_unit_test(test_gotable__code_begins_where_the_section_does),
	        cmocka_unit_test(test_gotable__another_magic_is_no_table),
	        cmocka_unit_test(test_gotable__hostile_numbers_are_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("record_gotable", tests, NULL, NULL);
}
