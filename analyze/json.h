/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef JSON_H
#define JSON_H

/*
 * JSON Lines by jansson: one object a line, keys in the order in which they are set. What is not known is null. Bytes
 * of a tape go through text_escape(), so that the output is valid whatever they are.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

json_t *js_object(void);
json_t *js_array(void);
/* Both take over the value. */
void js_set(json_t *object, const char *key, json_t *value);
void js_add(json_t *array, json_t *value);

json_t *js_null(void);
json_t *js_bool(bool value);
json_t *js_number(uint64_t value);
json_t *js_signed(int64_t value);
/* Bytes of a tape; NULL gives null. */
json_t *js_text(const char *text);
/* The same, but an empty string means that nothing is known. */
json_t *js_known(const char *text);
/* A string that is valid UTF-8 already; NULL gives null. */
json_t *js_plain(const char *text);
/* RFC 3339; 0 gives null. */
json_t *js_time(uint64_t wall);
/* The nanoseconds between two wall times; null when either is 0 or they are out of order. */
json_t *js_span(uint64_t from, uint64_t to);
json_t *js_hex(const uint8_t *bytes, size_t len);

/* Writes the object as a line and releases it. */
void js_line(FILE *out, json_t *object);
/* The same with a space behind each comma and colon, as others write it. */
void js_line_spaced(FILE *out, json_t *object);

#endif
