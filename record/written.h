/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef WRITTEN_H
#define WRITTEN_H

/*
 * Keeps a file that is written, and not read again, from filling the machine's memory.
 *
 * The kernel keeps what was written to a file in its cache until memory is short; a recorder that writes 100 MB a second
 * would push everything else out of it, and would take a page that nobody has used for long for each 4 KiB. So what is
 * written is sent on its way to the disk soon, and dropped from the cache when it is there: the same few pages serve for
 * all of it. Only advice is given: whatever the kernel makes of it, the file is the same. A disk that does not keep up is
 * not waited for.
 */
#include <stdbool.h>
#include <stdint.h>

struct written {
	int fd;         /* -1: not a regular file, or none */
	uint64_t begun; /* of the file is on its way */
	uint64_t dropped;
	uint64_t left_until; /* CLOCK_MONOTONIC ns: the disk was slow, and the kernel is left to itself */
};

/* The file that is written from now on; the one before is forgotten. */
void written_begin(struct written *w, int fd);

/* The file has this size now. */
void written_to(struct written *w, uint64_t size);

/* What is before `size` did not go through the cache. */
void written_skip(struct written *w, uint64_t size);

#endif
