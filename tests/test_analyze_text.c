/* SPDX-License-Identifier: BSD-2-Clause */
/* How values look: sizes, times, addresses, hostile bytes, in tables and in JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "analyze/flow_line.h"
#include "analyze/flow_row.h"
#include "analyze/json.h"
#include "analyze/open_flows.h"
#include "analyze/table.h"
#include "analyze/text.h"
#include "analyze/top.h"
#include "analyze/words.h"

static void test_text__sizes__have_three_digits_or_four(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
	        {0, "0"},
	        {1, "1 B"},
	        {1023, "1023 B"},
	        {1024, "1.0 KiB"},
	        {1536, "1.5 KiB"},
	        {10 * 1024 - 1, "10 KiB"},
	        {204800, "200 KiB"},
	        {1048576, "1.0 MiB"},
	        {1258291, "1.2 MiB"},
	        {1ull << 40, "1.0 TiB"},
	        {UINT64_MAX, "16 EiB"},
	};
	char out[TEXT_SIZE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(text_size(out, cases[i].bytes), cases[i].text);
}

static void test_text__durations__have_three_digits(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
	        {0, "0"},
	        {1, "1 ns"},
	        {999, "999 ns"},
	        {1000, "1.00 us"},
	        {1234567, "1.23 ms"},
	        {45678901, "45.6 ms"},
	        {456789012, "456 ms"},
	        {1005000000, "1.00 s"},
	        {59999999999, "59.9 s"},
	        {60000000000, "1 m 00 s"},
	        {725000000000, "12 m 05 s"},
	        {11220000000000, "3 h 07 m"},
	};
	char out[TEXT_DURATION_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(text_duration(out, cases[i].ns), cases[i].text);
}

/* Seconds are those of `date -u -d TIME +%s`. */
static void test_text__times__are_rfc3339_in_utc(void **state)
{
	static const struct {
		uint64_t seconds;
		uint32_t ns;
		const char *text;
	} cases[] = {
	        {0, 0, "1970-01-01T00:00:00.000000000Z"},
	        {951782399, 999999999, "2000-02-28T23:59:59.999999999Z"},
	        {951782400, 0, "2000-02-29T00:00:00.000000000Z"},
	        {951868800, 1, "2000-03-01T00:00:00.000000001Z"},
	        {1795246802, 123456789, "2026-11-21T07:40:02.123456789Z"},
	        {4107542399, 0, "2100-02-28T23:59:59.000000000Z"},
	        {4107542400, 0, "2100-03-01T00:00:00.000000000Z"},
	        {18446744073, 709551615, "2554-07-21T23:34:33.709551615Z"},
	};
	char out[TEXT_TIME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(text_time(out, cases[i].seconds * 1000000000 + cases[i].ns), cases[i].text);
	assert_string_equal(text_clock(out, 1795246802123456789), "07:40:02.123456");
	assert_string_equal(text_date(out, 1795246802123456789), "2026-11-21");
}

static struct fdtape_address ipv6(const char *hex, uint16_t port)
{
	struct fdtape_address address = {.family = FDTAPE_FAMILY_IPV6, .len = 16, .port = port};

	for (unsigned i = 0; i < 16; i++) {
		char pair[3] = {hex[2 * i], hex[2 * i + 1]};

		address.addr[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return address;
}

/* The IPv6 forms are RFC 5952's own examples, and its rules' edges. */
static void test_text__addresses__have_one_form(void **state)
{
	static const struct {
		const char *hex, *text;
	} cases[] = {
	        {"20010db8000000000000000000000001", "[2001:db8::1]:443"},
	        {"20010db8000000000001000000000001", "[2001:db8::1:0:0:1]:443"},
	        {"20010db8000000010001000100010001", "[2001:db8:0:1:1:1:1:1]:443"},
	        {"2001000000000001000000000000ab0f", "[2001:0:0:1::ab0f]:443"},
	        {"00000000000000000000000000000001", "[::1]:443"},
	        {"00000000000000000000000000000000", "[::]:443"},
	        {"fe800000000000000000000000000000", "[fe80::]:443"},
	        {"00000000000000000000ffffc0000201", "[::ffff:192.0.2.1]:443"},
	};
	struct fdtape_address ipv4 = {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = 8080, .addr = {192, 0, 2, 1}};
	struct fdtape_address path = {.family = FDTAPE_FAMILY_UNIX, .len = 6, .addr = "/run/x"};
	struct fdtape_address abstract = {.family = FDTAPE_FAMILY_UNIX,
	                                  .len = 4,
	                                  .addr = "\0a\x1b"
	                                          "b"};
	struct fdtape_address unnamed = {.family = FDTAPE_FAMILY_UNIX}, unknown = {0};
	char out[TEXT_ADDRESS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fdtape_address address = ipv6(cases[i].hex, 443);

		assert_string_equal(text_address(out, &address), cases[i].text);
	}
	assert_string_equal(text_address(out, &ipv4), "192.0.2.1:8080");
	assert_string_equal(text_address(out, &path), "/run/x");
	assert_string_equal(text_address(out, &abstract), "@a\\x1bb");
	assert_null(text_address(out, &unnamed));
	assert_null(text_address(out, &unknown));
}

static void test_text__longest_hostile_address__fits(void **state)
{
	struct fdtape_address address = {.family = FDTAPE_FAMILY_UNIX, .len = 255};
	char out[TEXT_ADDRESS_MAX];

	(void)state;
	memset(address.addr, 0xff, sizeof address.addr);
	assert_int_equal(strlen(text_address(out, &address)), 4 * FDTAPE_ADDRESS_MAX);
}

/* The value as Jansson reads it, which has to find it well-formed. */
static json_t *parsed(struct json *value)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct json *object = js_object();
	json_t *line, *found;

	js_set(object, "value", value);
	js_line(out, object);
	fclose(out);
	line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	found = json_incref(json_object_get(line, "value"));
	json_decref(line);
	free(text);
	return found;
}

static void test_json__hostile_bytes__are_valid_text(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
	        {"plain", "plain"},
	        {"back\\slash", "back\\\\slash"},
	        {"line\nfeed\r\x1b[31m", "line\\x0afeed\\x0d\\x1b[31m"},
	        {"h\xc3\xa4user", "h\xc3\xa4user"},  /* valid UTF-8 */
	        {"\xff\xfe", "\\xff\\xfe"},          /* never UTF-8 */
	        {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
	        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
	        {"\xe2\x80\xae"
	         "abc",
	         "\\xe2\\x80\\xae"
	         "abc"}, /* turns the writing direction */
	        {"cut \xe2\x82", "cut \\xe2\\x82"},
	        {"\x7f", "\\x7f"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *value = parsed(js_text(cases[i].bytes));

		assert_string_equal(json_string_value(value), cases[i].text);
		json_decref(value);
	}
}

static void test_json__every_single_byte__gives_valid_json(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		char bytes[] = {(char)byte, 0};
		json_t *value = parsed(js_text(bytes));

		assert_non_null(json_string_value(value));
		json_decref(value);
	}
}

static void test_json__unknown__is_null(void **state)
{
	struct json *values[] = {js_text(NULL), js_known(""), js_time(0), js_span(0, 5), js_span(5, 0), js_span(5, 4)};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		json_t *value = parsed(values[i]);

		assert_true(json_is_null(value));
		json_decref(value);
	}
}

/* What is looked at eight bytes at a time: each special byte at each place, among bytes beside the special ones. */
static void test_json__plain_text_with_one_special_byte__reads_back(void **state)
{
	static const char specials[] = "\x01\x08\t\n\x1f\"\\/ !#[]~\x7f";

	(void)state;
	for (size_t len = 1; len <= 20; len++)
		for (size_t at = 0; at < len; at++)
			for (const char *special = specials; *special; special++) {
				char text[32];
				json_t *value;

				memset(text, len % 2 ? ' ' : '~', len);
				text[at] = *special;
				text[len] = '\0';
				value = parsed(js_plain(text));
				assert_string_equal(json_string_value(value), text);
				json_decref(value);
			}
}

static void test_json__numbers__read_back(void **state)
{
	static const int64_t numbers[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN};

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		json_t *value = parsed(js_signed(numbers[i]));

		assert_true(json_integer_value(value) == numbers[i]);
		json_decref(value);
	}
}

static void test_json__nesting__reads_back(void **state)
{
	struct json *array = js_array(), *object = js_object();
	json_t *value, *expected = json_loads("[[],{},{\"a\":[true,false,\"\u00e4\"],\"b\":\"00ff\"}]", 0, NULL);
	struct json *inner = js_array();

	(void)state;
	js_add(inner, js_bool(true));
	js_add(inner, js_bool(false));
	js_add(inner, js_text("\xc3\xa4"));
	js_set(object, "a", inner);
	js_set(object, "b", js_hex((const uint8_t *)"\x00\xff", 2));
	js_add(array, js_array());
	js_add(array, js_object());
	js_add(array, object);
	value = parsed(array);
	assert_true(json_equal(value, expected));
	json_decref(value);
	json_decref(expected);
}

static void test_json__spaced_line__has_spaces_between_values_only(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct json *object = js_object(), *array = js_array();

	(void)state;
	js_add(array, js_number(1));
	js_add(array, js_plain("a,b:\"c\\"));
	js_set(object, "x:y", array);
	js_set(object, "z", js_null());
	js_line_spaced(out, object);
	fclose(out);
	assert_string_equal(text, "{\"x:y\": [1, \"a,b:\\\"c\\\\\"], \"z\": null}\n");
	free(text);
}

static void test_json__keys__keep_their_order(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct json *object = js_object();

	(void)state;
	js_set(object, "zebra", js_number(1));
	js_set(object, "ant", js_null());
	js_set(object, "big", js_number(UINT64_MAX));
	js_line(out, object);
	fclose(out);
	assert_string_equal(text, "{\"zebra\":1,\"ant\":null,\"big\":9223372036854775807}\n");
	free(text);
}

static const struct table_column columns[] = {{"N", true}, {"NAME", false}, {"WHAT", false}};

static char *table_text(const char *const cells[], size_t n, size_t limit)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct table table;

	table_start(&table, out, columns, 3, limit);
	for (size_t i = 0; i < n; i++)
		table_cell(&table, cells[i]);
	table_end(&table);
	fclose(out);
	return text;
}

static void test_table__cells__are_aligned_by_width_not_bytes(void **state)
{
	const char *const cells[] = {"1", "h\xc3\xa4user", "x", "100", "a", NULL};
	char *text = table_text(cells, 6, 0);

	(void)state;
	assert_string_equal(text, "  N  NAME    WHAT\n"
	                          "  1  h\xc3\xa4user  x\n"
	                          "100  a       -\n");
	free(text);
}

static void test_table__last_column__is_cut_to_the_page(void **state)
{
	const char *const cells[] = {"1", "a", "abcdefghijklmnopqrstuvwxyz"};
	char *text = table_text(cells, 3, 30);

	(void)state;
	assert_string_equal(text, "N  NAME  WHAT\n"
	                          "1  a     abcdefghijklmnopqr...\n");
	free(text);
}

static void test_table__more_rows_than_are_held__all_are_printed(void **state)
{
	enum {
		ROWS = TABLE_HOLD + 5
	};
	static const char *cells[3 * ROWS];
	size_t lines = 0;
	char *text;

	(void)state;
	for (size_t i = 0; i < 3 * ROWS; i++)
		cells[i] = "x";
	text = table_text(cells, 3 * ROWS, 0);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, ROWS + 1);
	free(text);
}

static void test_table__no_rows__prints_nothing(void **state)
{
	char *text = table_text(NULL, 0, 0);

	(void)state;
	assert_string_equal(text, "");
	free(text);
}

static void note_value(void *context, void *value)
{
	char *text = context;

	text[strlen(text)] = *(const char *)value;
}

static void test_flow_line__closed_out_of_order__printed_in_order(void **state)
{
	char text[8] = "";
	struct flow_lines lines = {.put = note_value, .context = text};
	struct flow_line *a = flow_lines_open(&lines), *b = flow_lines_open(&lines), *c = flow_lines_open(&lines);

	(void)state;
	flow_lines_close(&lines, c, (void *)"c");
	flow_lines_close(&lines, b, NULL); /* nothing to print */
	assert_string_equal(text, "");
	flow_lines_close(&lines, a, (void *)"a");
	assert_string_equal(text, "ac");
	a = flow_lines_open(&lines);
	flow_lines_close(&lines, a, (void *)"d");
	assert_string_equal(text, "acd");
}

static void no_release(void *value)
{
	(void)value;
}

static void test_top__many__the_greatest_stay_and_equals_keep_their_order(void **state)
{
	struct top top = {.limit = 3, .release = no_release};
	const char *names = "abcdef";
	const uint64_t keys[] = {5, 9, 5, 7, 1, 9};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		if (top_wants(&top, keys[i]))
			top_add(&top, keys[i], (void *)&names[i]);
	assert_int_equal(top.n, 3);
	assert_int_equal(*(const char *)top.entries[0].value, 'b');
	assert_int_equal(*(const char *)top.entries[1].value, 'f');
	assert_int_equal(*(const char *)top.entries[2].value, 'd');
}

static void test_words__failures__have_linux_names(void **state)
{
	struct fdtape_event refused = {.call = FDTAPE_CALL_CONNECT, .result = -111};
	struct fdtape_event again = {.call = FDTAPE_CALL_READ, .result = -11};
	struct fdtape_event library = {.call = FDTAPE_CALL_SSL_READ, .result = -1};
	char out[WORDS_RESULT_MAX];

	(void)state;
	assert_string_equal(words_failure(out, -111), "ECONNREFUSED");
	assert_string_equal(words_failure(out, -4000), "-4000");
	assert_string_equal(words_failure(out, INT64_MIN), "-9223372036854775808");
	assert_true(words_is_failure(&refused));
	assert_false(words_is_failure(&again));
	assert_false(words_is_failure(&library));
}

static void test_words__long_process_name__is_cut_before_the_pid(void **state)
{
	struct player_process process = {.pid = 12345, .comm = "", .exe = "/opt/a-rather-long-name", .cmdline = ""};
	char out[WORDS_PROCESS_MAX];

	(void)state;
	assert_string_equal(words_process(out, &process), "a-rather-long-name[12345]");
	assert_string_equal(words_process_cut(out, &process, 16), "a-rather~[12345]");
	process.exe = "/opt/h\xc3\xa4h\xc3\xa4h\xc3\xa4h\xc3\xa4h\xc3\xa4h\xc3\xa4";
	assert_string_equal(words_process_cut(out, &process, 12), "h\xc3\xa4h\xc3\xa4~[12345]");
	process.exe = "";
	process.comm = "kworker";
	assert_string_equal(words_process_cut(out, &process, 16), "kworker[12345]");
}

static void test_open_flows__library_object__leads_to_its_socket(void **state)
{
	struct player_flow socket = {.number = 7}, other = {.number = 3}, library = {.number = 8, .bound = 7};
	struct open_flows open = {0};

	(void)state;
	open_flows_add(&open, &socket);
	open_flows_add(&open, &library);
	open_flows_add(&open, &other);
	assert_ptr_equal(open_flows_find(&open, 3), &other);
	assert_ptr_equal(open_flows_socket(&open, &library), &socket);
	assert_ptr_equal(open_flows_socket(&open, &other), &other);
	assert_null(open_flows_socket(&open, NULL));
	open_flows_remove(&open, &socket);
	assert_null(open_flows_find(&open, 7));
	assert_ptr_equal(open_flows_socket(&open, &library), &library);
	open_flows_release(&open);
}

static void test_flow_row__idle__is_without_bytes_and_other_end(void **state)
{
	struct player_flow flow = {.def = {.kind = FDTAPE_KIND_SOCKET}};

	(void)state;
	assert_true(flow_is_idle(&flow));
	flow.def.remote.family = FDTAPE_FAMILY_UNIX; /* without a name */
	assert_true(flow_is_idle(&flow));
	flow.def.remote.family = FDTAPE_FAMILY_IPV4; /* connected, and silent */
	assert_false(flow_is_idle(&flow));
	flow.def.flags = FDTAPE_FLOW_LISTENS;
	assert_true(flow_is_idle(&flow));
	flow.traffic[FDTAPE_OUT].bytes = 1;
	assert_false(flow_is_idle(&flow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_text__sizes__have_three_digits_or_four),
	        cmocka_unit_test(test_text__durations__have_three_digits),
	        cmocka_unit_test(test_text__times__are_rfc3339_in_utc),
	        cmocka_unit_test(test_text__addresses__have_one_form),
	        cmocka_unit_test(test_text__longest_hostile_address__fits),
	        cmocka_unit_test(test_json__hostile_bytes__are_valid_text),
	        cmocka_unit_test(test_json__every_single_byte__gives_valid_json),
	        cmocka_unit_test(test_json__unknown__is_null),
	        cmocka_unit_test(test_json__keys__keep_their_order),
	        cmocka_unit_test(test_json__plain_text_with_one_special_byte__reads_back),
	        cmocka_unit_test(test_json__numbers__read_back),
	        cmocka_unit_test(test_json__nesting__reads_back),
	        cmocka_unit_test(test_json__spaced_line__has_spaces_between_values_only),
	        cmocka_unit_test(test_table__cells__are_aligned_by_width_not_bytes),
	        cmocka_unit_test(test_table__last_column__is_cut_to_the_page),
	        cmocka_unit_test(test_table__more_rows_than_are_held__all_are_printed),
	        cmocka_unit_test(test_table__no_rows__prints_nothing),
	        cmocka_unit_test(test_flow_line__closed_out_of_order__printed_in_order),
	        cmocka_unit_test(test_top__many__the_greatest_stay_and_equals_keep_their_order),
	        cmocka_unit_test(test_words__failures__have_linux_names),
	        cmocka_unit_test(test_words__long_process_name__is_cut_before_the_pid),
	        cmocka_unit_test(test_open_flows__library_object__leads_to_its_socket),
	        cmocka_unit_test(test_flow_row__idle__is_without_bytes_and_other_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_text", tests, NULL, NULL);
}
