/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HUMAN_H
#define HUMAN_H

#include <stdint.h>
#include <stdio.h>

#define HUMAN_MAX 32

/* A size for people: "205 KiB". Gives `text`. */
static inline const char *human_size(uint64_t bytes, char text[static HUMAN_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double n = (double)bytes;
	size_t u = 0;

	for (; n >= 1024 && u < 6; u++)
		n /= 1024;
	snprintf(text, HUMAN_MAX, u ? "%.1f %s" : "%.0f %s", n, units[u]);
	return text;
}

#endif
