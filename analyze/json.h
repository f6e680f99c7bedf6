/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef JSON_H
#define JSON_H

/*
 * JSON Lines: one object a line, keys in the order in which they are set, each once. What is not known is null. Bytes
 * of a tape go through text_escape(), so that the output is valid whatever they are.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json; /* a value */

struct json *js_object(void);
struct json *js_array(void);
/* Both take over the value. */
void js_set(struct json *object, const char *key, struct json *value);
void js_add(struct json *array, struct json *value);
/* Adds an array of two strings, as js_text() makes them: there are many, and this makes no value of each. */
void js_add_pair(struct json *array, const char *first, const char *second);
/* Drops one that is not wanted after all; NULL is fine. */
void js_free(struct json *value);

struct json *js_null(void);
struct json *js_bool(bool value);
struct json *js_number(uint64_t value);
struct json *js_signed(int64_t value);
/* Bytes of a tape; NULL gives null. */
struct json *js_text(const char *text);
/* The same, but an empty string means that nothing is known. */
struct json *js_known(const char *text);
/* A string that is valid UTF-8 already; NULL gives null. */
struct json *js_plain(const char *text);
/* RFC 3339; 0 gives null. */
struct json *js_time(uint64_t wall);
/* The nanoseconds between two wall times; null when either is 0 or they are out of order. */
struct json *js_span(uint64_t from, uint64_t to);
struct json *js_hex(const uint8_t *bytes, size_t len);

/* Writes the object as a line and releases it. */
void js_line(FILE *out, struct json *object);
/* The same with a space behind each comma and colon, as others write it. */
void js_line_spaced(FILE *out, struct json *object);

#endif
