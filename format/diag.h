/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_DIAG_H
#define FORMAT_DIAG_H

/* What is wrong with a tape, and where. */
#include <stdint.h>

#include <fdtape/error.h>

struct diag {
	uint64_t block;  /* number of the block in its section that is being looked at */
	uint64_t offset; /* its place in the input */
	char text[320];
};

/* "block 7 at offset 4096: " and what is said. Returns the error. */
__attribute__((format(printf, 3, 4))) int diag_block(struct diag *d, int error, const char *format, ...);
/* Only what is said. */
__attribute__((format(printf, 3, 4))) int diag_say(struct diag *d, int error, const char *format, ...);

#endif
