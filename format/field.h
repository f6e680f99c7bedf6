/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_FIELD_H
#define FORMAT_FIELD_H

/* A number in a struct, named by its place: so that tables can say what the tape holds, and one loop can write it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum field_type {
	FIELD_U32,
	FIELD_U64,
	FIELD_I32,
	FIELD_I64,
};

static inline uint64_t field_load(const void *base, size_t offset, enum field_type type)
{
	const char *p = (const char *)base + offset;
	uint64_t u64;
	uint32_t u32;
	int32_t i32;

	switch (type) {
	case FIELD_U32:
		memcpy(&u32, p, sizeof(u32));
		return u32;
	case FIELD_I32:
		memcpy(&i32, p, sizeof(i32));
		return (uint64_t)(int64_t)i32;
	case FIELD_U64:
	case FIELD_I64:
		break;
	}
	memcpy(&u64, p, sizeof(u64));
	return u64;
}

/* False: the value is out of the field's range; nothing is stored then. */
static inline bool field_store(void *base, size_t offset, enum field_type type, uint64_t v)
{
	char *p = (char *)base + offset;
	uint32_t u32 = (uint32_t)v;

	switch (type) {
	case FIELD_U32:
		if (v > UINT32_MAX)
			return false;
		memcpy(p, &u32, sizeof(u32));
		return true;
	case FIELD_I32:
		/* Negative numbers are sign-extended. */
		if (v + 0x80000000u > UINT32_MAX)
			return false;
		memcpy(p, &u32, sizeof(u32));
		return true;
	case FIELD_U64:
	case FIELD_I64:
		break;
	}
	memcpy(p, &v, sizeof(v));
	return true;
}

#endif
