/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RETURNS_H
#define RETURNS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The places where a function of a Go program can be probed, as offsets in the file. Only of one that is called by Go's
 * internal ABI (arguments in registers, the goroutine in R14: x86-64, from Go 1.17 on).
 */
#define RETURNS_MAX 64
struct returns {
	uint64_t
	        entry; /* its beginning, or where registers and stack are still what they were there, and a probe is cheaper */
	size_t n;
	uint64_t ret[RETURNS_MAX]; /* each RET */
};

/* Of [begin, end). 0; -ENOENT: it is none of those, not all of it is understood, or it returns in too many places. */
int returns_find(const char *path, uint64_t begin, uint64_t end, struct returns *found);

#endif
