/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/json.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/say.h"
#include "analyze/text.h"

static json_t *check(json_t *value)
{
	if (!value)
		say_and_exit(CLI_REFUSED, "out of memory");
	return value;
}

json_t *js_object(void)
{
	return check(json_object());
}

json_t *js_array(void)
{
	return check(json_array());
}

void js_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value) != 0)
		check(NULL);
}

void js_add(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		check(NULL);
}

json_t *js_null(void)
{
	return json_null();
}

json_t *js_bool(bool value)
{
	return json_boolean(value);
}

json_t *js_number(uint64_t value)
{
	/* JSON's integers end here for most readers' types; only a forged tape counts further. */
	return check(json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

json_t *js_signed(int64_t value)
{
	return check(json_integer(value));
}

json_t *js_plain(const char *text)
{
	return text ? check(json_string_nocheck(text)) : json_null();
}

json_t *js_text(const char *text)
{
	json_t *value;
	char *safe;

	if (!text)
		return json_null();
	safe = text_escape_string(text);
	value = js_plain(safe);
	free(safe);
	return value;
}

json_t *js_known(const char *text)
{
	return js_text(text && *text ? text : NULL);
}

json_t *js_time(uint64_t wall)
{
	char text[TEXT_TIME_MAX];

	return js_plain(wall ? text_time(text, wall) : NULL);
}

json_t *js_span(uint64_t from, uint64_t to)
{
	return from && to >= from ? js_number(to - from) : json_null();
}

json_t *js_hex(const uint8_t *bytes, size_t len)
{
	char *text = alloc_new(2 * len + 1, 1);
	json_t *value = js_plain(text_hex(text, bytes, len));

	free(text);
	return value;
}

void js_line(FILE *out, json_t *object)
{
	char line[8192];
	size_t len = json_dumpb(object, line, sizeof line, JSON_COMPACT);

	/* A stream that can't be written is noticed once, at the end of the run. */
	if (len <= sizeof line)
		fwrite(line, 1, len, out);
	else
		json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
}

void js_line_spaced(FILE *out, json_t *object)
{
	json_dumpf(object, out, 0);
	fputc('\n', out);
	json_decref(object);
}
