/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "cli.h"

#define SECOND 1000000000u

/* The number with as many digits; its end. */
static char *put_digits(char *out, uint64_t number, size_t digits)
{
	for (size_t i = digits; i-- > 0; number /= 10)
		out[i] = (char)('0' + number % 10);
	return out + digits;
}

static char *put_number(char *out, uint64_t number)
{
	size_t digits = 1;

	for (uint64_t left = number; left >= 10; left /= 10)
		digits++;
	return put_digits(out, number, digits);
}

const char *text_number(char out[static TEXT_NUMBER_MAX], uint64_t n)
{
	*put_number(out, n) = '\0';
	return out;
}

const char *text_size(char out[static TEXT_SIZE_MAX], uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	unsigned unit = 0;
	uint64_t tenths;
	char *end;

	if (!bytes)
		return strcpy(out, "0");
	if (bytes < 1024) {
		strcpy(put_number(out, bytes), " B");
		return out;
	}
	while (unit < 5 && bytes >> (10 * (unit + 2)))
		unit++;
	/* Rounded to the nearest in integers: floating point is not the same everywhere. */
	tenths = (bytes >> (10 * (unit + 1))) * 10;
	tenths += ((bytes >> (10 * unit)) % 1024 * 10 + 512) / 1024;
	if (tenths < 100) {
		end = put_number(out, tenths / 10);
		*end++ = '.';
		end = put_number(end, tenths % 10);
	} else {
		end = put_number(out, (tenths + 5) / 10);
	}
	*end++ = ' ';
	*end++ = units[unit];
	strcpy(end, "iB");
	return out;
}

const char *text_duration(char out[static TEXT_DURATION_MAX], uint64_t ns)
{
	static const char *const units[] = {" ns", " us", " ms", " s"};
	uint64_t seconds = ns / SECOND, scale = 1;
	unsigned unit = 0;
	char *end;

	if (!ns)
		return strcpy(out, "0");
	if (seconds >= 3600) {
		snprintf(out, TEXT_DURATION_MAX, "%" PRIu64 " h %02u m", seconds / 3600, (unsigned)(seconds / 60 % 60));
		return out;
	}
	if (seconds >= 60) {
		snprintf(out, TEXT_DURATION_MAX, "%u m %02u s", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
		return out;
	}
	for (; unit < 3 && ns / scale >= 1000; unit++)
		scale *= 1000;
	end = put_number(out, ns / scale);
	if (unit && ns / scale < 100) { /* three digits in all */
		size_t digits = ns / scale < 10 ? 2 : 1;

		*end++ = '.';
		end = put_digits(end, ns % scale / (scale / (digits == 2 ? 100 : 10)), digits);
	}
	strcpy(end, units[unit]);
	return out;
}

const char *text_date(char out[static TEXT_TIME_MAX], uint64_t wall)
{
	/* Days since 1 March of the year 0, so that the leap day is the last of its year; 400 years are one cycle. */
	uint64_t days = wall / SECOND / 86400 + 719468;
	unsigned of_cycle = (unsigned)(days % 146097);
	unsigned year_of_cycle = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
	unsigned of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
	unsigned from_march = (5 * of_year + 2) / 153;
	unsigned day = of_year - (153 * from_march + 2) / 5 + 1;
	unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
	unsigned year = (unsigned)(days / 146097) * 400 + year_of_cycle + (month <= 2);
	char *text = out;

	out = put_digits(out, year, 4);
	*out++ = '-';
	out = put_digits(out, month, 2);
	*out++ = '-';
	*put_digits(out, day, 2) = '\0';
	return text;
}

/* The time of day to the second, and the point behind it. */
static char *put_clock(char *out, uint64_t wall)
{
	unsigned second = (unsigned)(wall / SECOND % 86400);

	out = put_digits(out, second / 3600, 2);
	*out++ = ':';
	out = put_digits(out, second / 60 % 60, 2);
	*out++ = ':';
	out = put_digits(out, second % 60, 2);
	*out++ = '.';
	return out;
}

const char *text_time(char out[static TEXT_TIME_MAX], uint64_t wall)
{
	char *text = out;

	text_date(out, wall);
	out += strlen(out);
	*out++ = 'T';
	out = put_clock(out, wall);
	out = put_digits(out, wall % SECOND, 9);
	memcpy(out, "Z", 2);
	return text;
}

const char *text_clock(char out[static TEXT_CLOCK_MAX], uint64_t wall)
{
	*put_digits(put_clock(out, wall), wall % SECOND / 1000, 6) = '\0';
	return out;
}

const char *text_count(char out[static TEXT_NUMBER_MAX], uint64_t n)
{
	return n ? text_number(out, n) : strcpy(out, "-");
}

/* RFC 5952: lower case, no leading zeros, the first of the longest runs of two or more zero groups as "::". */
static void put_ipv6(char *out, size_t room, const uint8_t addr[static 16])
{
	unsigned groups[8], best = 8, best_len = 1;
	size_t len = 0;

	for (unsigned i = 0; i < 8; i++)
		groups[i] = (unsigned)addr[2 * i] << 8 | addr[2 * i + 1];
	for (unsigned i = 0, run = 0; i < 8; i++) {
		run = groups[i] ? 0 : run + 1;
		if (run > best_len) {
			best_len = run;
			best = i + 1 - run;
		}
	}
	if (best == 0 && best_len == 5 && groups[5] == 0xffff) { /* an IPv4 address, mapped */
		snprintf(out, room, "::ffff:%u.%u.%u.%u", addr[12], addr[13], addr[14], addr[15]);
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			len += (size_t)snprintf(out + len, room - len, "::");
			i += best_len - 1;
			continue;
		}
		len += (size_t)snprintf(out + len, room - len, "%s%x", i && i != best + best_len ? ":" : "", groups[i]);
	}
}

const char *text_address(char out[static TEXT_ADDRESS_MAX], const struct fdtape_address *a)
{
	bool abstract;
	char *name, ip[48];
	size_t len = a->len <= FDTAPE_ADDRESS_MAX ? a->len : FDTAPE_ADDRESS_MAX;

	switch (a->family) {
	case FDTAPE_FAMILY_IPV4:
		snprintf(out, TEXT_ADDRESS_MAX, "%u.%u.%u.%u:%u", a->addr[0], a->addr[1], a->addr[2], a->addr[3],
		         a->port);
		return out;
	case FDTAPE_FAMILY_IPV6:
		put_ipv6(ip, sizeof ip, a->addr);
		snprintf(out, TEXT_ADDRESS_MAX, "[%s]:%u", ip, a->port);
		return out;
	case FDTAPE_FAMILY_UNIX:
		if (!len)
			return NULL;
		abstract = !a->addr[0];
		name = text_escape(a->addr + abstract, len - abstract);
		snprintf(out, TEXT_ADDRESS_MAX, "%s%s", abstract ? "@" : "", name);
		free(name);
		return out;
	}
	return NULL;
}

bool text_is_plain(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t plain = 0;

	while (plain < len && p[plain] >= 0x20 && p[plain] < 0x7f && p[plain] != '\\')
		plain++;
	return plain == len;
}

char *text_escape(const void *bytes, size_t len)
{
	struct alloc_text escaped;
	char *text;

	if (text_is_plain(bytes, len)) {
		text = alloc_new(len + 1, 1);
		memcpy(text, bytes, len);
		return text;
	}
	alloc_text_begin(&escaped);
	cli_put_text(escaped.out, bytes, len);
	return alloc_text_end(&escaped);
}

char *text_escape_string(const char *string)
{
	return text_escape(string, strlen(string));
}

void text_add_escaped(struct alloc_string *to, const char *string)
{
	size_t len = strlen(string);
	char *escaped;

	if (text_is_plain(string, len)) {
		alloc_string_add(to, string, len);
		return;
	}
	escaped = text_escape(string, len);
	alloc_string_add(to, escaped, strlen(escaped));
	free(escaped);
}

void text_cut(char *text, size_t max)
{
	if (strlen(text) <= max)
		return;
	while (max > 0 && (text[max] & 0xc0) == 0x80)
		max--;
	text[max] = '\0';
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

const char *text_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

const char *text_hex(char *out, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
	return out;
}
