/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef NOW_H
#define NOW_H

#include <stdint.h>
#include <time.h>

/* ns of that clock. */
static inline uint64_t now_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif
