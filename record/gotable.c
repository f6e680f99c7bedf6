/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Go's src/runtime/symtab.go, type pcHeader: a magic number, two zero bytes, the quantum of code, the size of a pointer;
 * then numbers of a pointer's size:
 *
 *            functions  files  text     names  units  files  pc tables  functions
 *     1.16      8         16     -        24     32     40       48         56
 *     1.18      8         16     24       32     40     48       56         64
 *
 * The table of functions holds pairs (where it begins, where its description is in this table): two pointers in 1.16,
 * from 1.18 on two 32-bit numbers, the first counted from `text`. A description begins with the same start, and the
 * offset of the name (32 bits). From 1.26 on `text` is 0, and the code begins where the section does.
 *
 * All of it comes from a file that anybody may have written: every access is bounded.
 */
#include "record/gotable.h"

#include <stdbool.h>
#include <string.h>

enum {
	MAGIC_1_16 = 0xfa,
	MAGIC_1_18 = 0xf0,
	MAGIC_1_20 = 0xf1,
	HEAD_MIN = 72,
};

#define FUNCTIONS_MAX (1u << 22)

/* The recorder runs on little-endian machines, as its programs do. */
static uint32_t get_32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get_64(const uint8_t *p)
{
	return get_32(p) | (uint64_t)get_32(p + 4) << 32;
}

uint32_t gotable_magic(const uint8_t *table, size_t size)
{
	if (size < HEAD_MIN || table[1] != 0xff || table[2] != 0xff || table[3] != 0xff || table[4] || table[5] ||
	    (table[6] != 1 && table[6] != 2 && table[6] != 4) || table[7] != 8)
		return 0;
	return table[0] == MAGIC_1_16 || table[0] == MAGIC_1_18 || table[0] == MAGIC_1_20 ? get_32(table) : 0;
}

static bool is_name(const uint8_t *names, size_t size, uint64_t at, const char *name)
{
	size_t len = strlen(name) + 1;

	return at < size && len <= size - at && memcmp(names + at, name, len) == 0;
}

/* The table's parts, and their bounds. */
struct shape {
	size_t entry;   /* bytes of a pair */
	bool old;       /* of pointers */
	uint64_t n;     /* functions */
	uint64_t names; /* offset of the names */
	uint64_t at;    /* offset of the pairs, and what descriptions are counted from */
	uint64_t text;  /* what the starts are counted from */
};

static bool read_shape(const uint8_t *table, size_t size, uint64_t text, struct shape *s)
{
	uint32_t magic = gotable_magic(table, size);
	size_t head;

	if (!magic)
		return false;
	s->old = (magic & 0xff) == MAGIC_1_16;
	head = s->old ? 24 : 32;
	s->entry = s->old ? 16 : 8;
	s->n = get_64(table + 8);
	s->names = get_64(table + head);
	s->at = get_64(table + head + 32);
	s->text = s->old ? 0 : get_64(table + GOTABLE_TEXT_AT) ? get_64(table + GOTABLE_TEXT_AT) : text;
	return s->n <= FUNCTIONS_MAX && s->names <= size && s->at <= size && s->n * s->entry <= size - s->at;
}

/* Where function i begins. Behind the last one stands where it ends. */
static uint64_t start_of(const uint8_t *table, const struct shape *s, uint64_t i)
{
	const uint8_t *pair = table + s->at + i * s->entry;

	return s->old ? get_64(pair) : s->text + get_32(pair);
}

int gotable_find(const uint8_t *table, size_t size, uint64_t text, const char *const *names, size_t n,
                 uint64_t *addresses)
{
	struct shape s;
	int found = 0;

	memset(addresses, 0, n * sizeof *addresses);
	if (!read_shape(table, size, text, &s))
		return 0;
	for (uint64_t i = 0; i < s.n; i++) {
		const uint8_t *pair = table + s.at + i * s.entry;
		uint64_t start = start_of(table, &s, i), about = s.old ? get_64(pair + 8) : get_32(pair + 4), name;

		about += s.at;
		if (about < s.at || about > size || size - about < 12)
			continue;
		name = get_32(table + about + (s.old ? 8 : 4));
		for (size_t k = 0; k < n; k++) {
			if (addresses[k] || !is_name(table + s.names, size - s.names, name, names[k]))
				continue;
			addresses[k] = start;
			found += start != 0;
		}
	}
	return found;
}

uint64_t gotable_end(const uint8_t *table, size_t size, uint64_t text, uint64_t address)
{
	struct shape s;

	if (!read_shape(table, size, text, &s))
		return 0;
	for (uint64_t i = 0; i < s.n; i++) {
		if (start_of(table, &s, i) != address)
			continue;
		/* The last start has no description beside it. */
		return size - s.at - (i + 1) * s.entry >= s.entry / 2 ? start_of(table, &s, i + 1) : 0;
	}
	return 0;
}
