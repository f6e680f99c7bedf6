/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WRAPPED_H
#define WRAPPED_H

#include <stdint.h>

/*
 * OpenSSL's SSL_read(ssl, buffer, length) and SSL_read_ex(ssl, buffer, length, count *) are wrappers of one function
 * that no symbol names; likewise those for writing. A probe of it costs a fraction of one of the wrappers (see
 * wrapped.c).
 */
struct wrapped {
	uint64_t offset; /* in the file: where a probe and a return probe of it belong */
	int count;       /* which of its arguments, from 0, is where it counts: 3, or 4 behind flags; the first three
	                  * are the wrappers' */
};

/* `plain` and `ex` are the wrappers' offsets in the file; `ex` may be that of SSL_write_ex2(ssl, buffer, length, flags,
 * count *). 0, or -ENOENT: they are not of that shape, or a probe would be no cheaper, or this is not known on this
 * machine. */
int wrapped_find(const char *path, uint64_t plain, uint64_t ex, struct wrapped *found);

#endif
