/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RETURNS_H
#define RETURNS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The places where a function of a Go program returns, as offsets in the file: each RET of [begin, end). Only of one
 * that is called by Go's internal ABI (arguments in registers, the goroutine in R14: x86-64, from Go 1.17 on).
 *
 * Returns how many; -ENOENT: it is none of those, not all of it is understood, or it returns in more places than `max`.
 */
#define RETURNS_MAX 64
int returns_find(const char *path, uint64_t begin, uint64_t end, uint64_t *offsets, size_t max);

#endif
