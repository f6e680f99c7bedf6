/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SPOOL_H
#define SPOOL_H

/*
 * For exports that play the tapes twice: what comes from a pipe is kept in an unlinked temporary file.
 */
#include <sys/types.h>

#include "replay/inputs.h"

struct spool {
	int *fds;
	off_t *starts; /* where each tape begins in its file */
	size_t n;
};

/* Makes each input one that can be read again. Ends the program when there is no room. */
void spool_open(struct spool *spool, const struct inputs *inputs);
/* Back to the beginning of all. */
void spool_rewind(const struct spool *spool);
void spool_release(struct spool *spool);

#endif
