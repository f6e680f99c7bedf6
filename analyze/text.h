/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TEXT_H
#define TEXT_H

/*
 * Values as people read them: sizes, times, addresses, and bytes of a tape made safe. The same on every machine:
 * nothing here asks the C library for a locale, a time zone or the shape of an address.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fdtape/types.h>

#include "analyze/alloc.h"

enum {
	TEXT_SIZE_MAX = 24,
	TEXT_DURATION_MAX = 32,
	TEXT_TIME_MAX = 48,
	TEXT_CLOCK_MAX = 24,
	TEXT_CLOCK_MS = 12, /* of text_clock(): as far as the milliseconds */
	TEXT_ADDRESS_MAX = 4 * FDTAPE_ADDRESS_MAX + 16,
	TEXT_NUMBER_MAX = 24,
};

/* "0", "1023 B", "1.2 MiB", "200 KiB": three digits or four, powers of 1024. */
const char *text_size(char out[static TEXT_SIZE_MAX], uint64_t bytes);
/* "0", "812 ns", "1.23 ms", "59.1 s", "12 m 05 s", "3 h 07 m". */
const char *text_duration(char out[static TEXT_DURATION_MAX], uint64_t ns);
/* Wall time (ns since the epoch) by RFC 3339, in UTC: "2026-11-21T07:40:02.123456789Z". */
const char *text_time(char out[static TEXT_TIME_MAX], uint64_t wall);
/* The time of day of it, in UTC: "07:40:02.123456". */
const char *text_clock(char out[static TEXT_CLOCK_MAX], uint64_t wall);
/* The day alone: "2026-11-21". */
const char *text_date(char out[static TEXT_TIME_MAX], uint64_t wall);
const char *text_number(char out[static TEXT_NUMBER_MAX], uint64_t n);
/* A number, "-" for 0. */
const char *text_count(char out[static TEXT_NUMBER_MAX], uint64_t n);

/* "192.0.2.1:443", "[2001:db8::1]:443" (RFC 5952), a UNIX path, "@name" for an abstract name. Escaped as below.
 * NULL: not known, or a UNIX socket without a name. */
const char *text_address(char out[static TEXT_ADDRESS_MAX], const struct fdtape_address *address);

/* Bytes of a tape by the rule of cli_put_text(): printable UTF-8 as it is, everything else as \xNN, the backslash
 * doubled. The result is valid UTF-8 without control characters and belongs to the caller. */
char *text_escape(const void *bytes, size_t len);
char *text_escape_string(const char *string);
/* Would it stay as it is? Nearly always. */
bool text_is_plain(const void *bytes, size_t len);
void text_add_escaped(struct alloc_string *to, const char *string);
/* Ends the text after at most `max` bytes, without parting a character. */
void text_cut(char *text, size_t max);
/* As many columns of a terminal as it takes; `text` is text_escape()'s. */
size_t text_width(const char *text);
/* The last part of a path. */
const char *text_base(const char *path);
/* Lower-case hexadecimal, NUL-terminated: out holds 2 * len + 1. */
const char *text_hex(char *out, const uint8_t *bytes, size_t len);

#endif
