/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A view makes an object for each of a million messages and writes it at once, so there is no tree: a value is the text
 * that it will be, without the closing bracket of an object or array, for more may come. What is set into another one
 * is copied to its end and goes back to a few spare ones, whose room is used again: nothing is allocated for a line.
 */
#include "analyze/json.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/text.h"

enum {
	SPARE_MAX = 32,
	SPARE_ROOM = 64 << 10, /* more room than this is not kept */
	NUMBER_MAX = 24,
};

struct json {
	char *text;
	size_t len, room;
	char close; /* '}' or ']' is to follow; 0: it is complete */
};

static struct json *spare[SPARE_MAX];
static size_t n_spare;

/* Room for that many bytes more at the end. */
static char *extend(struct json *value, size_t len)
{
	char *end;

	if (len > value->room - value->len)
		value->text = alloc_grow(value->text, &value->room, value->len + len, 1);
	end = value->text + value->len;
	value->len += len;
	return end;
}

static struct json *value_new(char open, char close)
{
	struct json *value = n_spare ? spare[--n_spare] : alloc_new(1, sizeof *value);

	value->len = 0;
	value->close = close;
	if (open)
		*extend(value, 1) = open;
	return value;
}

void js_free(struct json *value)
{
	if (!value)
		return;
	if (n_spare < SPARE_MAX && value->room <= SPARE_ROOM) {
		spare[n_spare++] = value;
		return;
	}
	free(value->text);
	free(value);
}

static void put(struct json *value, const char *bytes, size_t len)
{
	memcpy(extend(value, len), bytes, len);
}

static struct json *word(const char *text)
{
	struct json *value = value_new(0, 0);

	put(value, text, strlen(text));
	return value;
}

/* The value becomes the last one in the object or array. */
static void take_in(struct json *into, struct json *value)
{
	put(into, value->text, value->len);
	if (value->close)
		put(into, &value->close, 1);
	js_free(value);
}

static void put_comma(struct json *value)
{
	if (value->len > 1)
		put(value, ",", 1);
}

/* ---- strings ---------------------------------------------------------------------------------------------------- */

/* Has it nothing but printable ASCII, without quote and backslash? So are nearly all strings. */
static bool is_plain(const char *text, size_t len)
{
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
	uint64_t word, special = 0;

	/* Eight bytes at once. A bit 7 is set where a byte is special; what a borrow or carry then sets behind it is no
	 * matter. */
	for (size_t i = 0; i < len; i += sizeof word) {
		if (len - i >= sizeof word) {
			memcpy(&word, text + i, sizeof word);
		} else {
			word = EACH(' ');
			memcpy(&word, text + i, len - i);
		}
		special |= word | (word + EACH(1)) | (word - EACH(' ')) | ((word ^ EACH('"')) - EACH(1)) |
		           ((word ^ EACH('\\')) - EACH(1));
	}
	return !(special & EACH(0x80));
#undef EACH
}

/* Must this byte of a string be escaped (RFC 8259, 7)? */
static bool is_special(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void put_escape(struct json *value, char c)
{
	static const char digits[] = "0123456789abcdef", known[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *at = c ? strchr(known, c) : NULL;
	char escape[6] = {'\\', 'u', '0', '0', digits[(unsigned char)c >> 4], digits[c & 15]};

	if (at)
		escape[1] = letters[at - known];
	put(value, escape, at ? 2 : sizeof escape);
}

/* In quotes; nothing in it is special. */
static void put_plain(struct json *value, const char *text, size_t len)
{
	char *out = extend(value, len + 2);

	out[0] = '"';
	memcpy(out + 1, text, len);
	out[len + 1] = '"';
}

/* In quotes; UTF-8 that is valid. */
static void put_string(struct json *value, const char *text, size_t len)
{
	put(value, "\"", 1);
	for (size_t i = 0, plain; i < len; i += plain + 1) {
		for (plain = 0; i + plain < len && !is_special(text[i + plain]);)
			plain++;
		put(value, text + i, plain);
		if (i + plain < len)
			put_escape(value, text[i + plain]);
	}
	put(value, "\"", 1);
}

/* Bytes of a tape. */
static void put_text(struct json *value, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	char *safe;

	if (!text) {
		put(value, "null", 4);
	} else if (is_plain(text, len)) {
		put_plain(value, text, len);
	} else {
		safe = text_escape(text, len);
		put_string(value, safe, strlen(safe));
		free(safe);
	}
}

struct json *js_plain(const char *text)
{
	size_t len = text ? strlen(text) : 0;
	struct json *value;

	if (!text)
		return js_null();
	value = value_new(0, 0);
	if (is_plain(text, len))
		put_plain(value, text, len);
	else
		put_string(value, text, len);
	return value;
}

struct json *js_text(const char *text)
{
	struct json *value = value_new(0, 0);

	put_text(value, text);
	return value;
}

struct json *js_known(const char *text)
{
	return js_text(text && *text ? text : NULL);
}

struct json *js_time(uint64_t wall)
{
	char text[TEXT_TIME_MAX];

	return js_plain(wall ? text_time(text, wall) : NULL);
}

struct json *js_hex(const uint8_t *bytes, size_t len)
{
	struct json *value = value_new(0, 0);
	char *out = extend(value, 2 * len + 3);

	out[0] = '"';
	text_hex(out + 1, bytes, len);
	out[2 * len + 1] = '"';
	value->len--; /* text_hex()'s NUL */
	return value;
}

/* ---- the others ------------------------------------------------------------------------------------------------- */

struct json *js_null(void)
{
	return word("null");
}

struct json *js_bool(bool is_true)
{
	return word(is_true ? "true" : "false");
}

static struct json *number(uint64_t magnitude, bool negative)
{
	struct json *value = value_new(0, 0);
	char text[NUMBER_MAX], *p = text + sizeof text;

	do
		*--p = (char)('0' + magnitude % 10);
	while (magnitude /= 10);
	if (negative)
		*--p = '-';
	put(value, p, (size_t)(text + sizeof text - p));
	return value;
}

struct json *js_number(uint64_t value)
{
	/* JSON's integers end here for most readers' types; only a forged tape counts further. */
	return number(value > INT64_MAX ? INT64_MAX : value, false);
}

struct json *js_signed(int64_t value)
{
	return number(value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
}

struct json *js_span(uint64_t from, uint64_t to)
{
	return from && to >= from ? js_number(to - from) : js_null();
}

struct json *js_object(void)
{
	return value_new('{', '}');
}

struct json *js_array(void)
{
	return value_new('[', ']');
}

void js_set(struct json *object, const char *key, struct json *value)
{
	size_t len = strlen(key);
	char *out;

	put_comma(object);
	out = extend(object, len + 3);
	out[0] = '"';
	memcpy(out + 1, key, len);
	memcpy(out + 1 + len, "\":", 2);
	take_in(object, value);
}

void js_add(struct json *array, struct json *value)
{
	put_comma(array);
	take_in(array, value);
}

void js_add_pair(struct json *array, const char *first, const char *second)
{
	put_comma(array);
	put(array, "[", 1);
	put_text(array, first);
	put(array, ",", 1);
	put_text(array, second);
	put(array, "]", 1);
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

/* A stream that can't be written is noticed once, at the end of the run. */
void js_line(FILE *out, struct json *object)
{
	char *end = extend(object, 2);

	end[0] = object->close;
	end[1] = '\n';
	fwrite(object->text, 1, object->len, out);
	js_free(object);
}

void js_line_spaced(FILE *out, struct json *object)
{
	bool quoted = false;

	put(object, &object->close, 1);
	for (size_t i = 0; i < object->len; i++) {
		char c = object->text[i];

		fputc(c, out);
		if (quoted && c == '\\')
			fputc(object->text[++i], out); /* it ends no string */
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ':' || c == ','))
			fputc(' ', out);
	}
	fputc('\n', out);
	js_free(object);
}
