/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/written.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "record/now.h"

#define PIECE    ((uint64_t)2 << 20)  /* what is sent on its way at once */
#define BEHIND   ((uint64_t)16 << 20) /* what is surely still on its way is not asked to be dropped */
#define SLOW_NS  5000000              /* the queue of the disk is full, or the machine is */
#define LEAVE_NS 200000000            /* so long the kernel is left to itself then */

void written_begin(struct written *w, int fd)
{
	struct stat st;

	*w = (struct written){.fd = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fd : -1};
}

void written_skip(struct written *w, uint64_t size)
{
	w->begun = size;
	w->dropped = size;
}

void written_to(struct written *w, uint64_t size)
{
	uint64_t before, after;

	if (w->fd < 0 || size < w->begun + PIECE)
		return;
	before = now_of(CLOCK_MONOTONIC);
	while (before >= w->left_until && size >= w->begun + PIECE) {
		sync_file_range(w->fd, (off_t)w->begun, (off_t)PIECE, SYNC_FILE_RANGE_WRITE);
		w->begun += PIECE;
		after = now_of(CLOCK_MONOTONIC);
		if (after - before > SLOW_NS)
			w->left_until = after + LEAVE_NS;
		before = after;
	}
	while (w->begun >= w->dropped + BEHIND + PIECE) {
		posix_fadvise(w->fd, (off_t)w->dropped, (off_t)PIECE, POSIX_FADV_DONTNEED);
		w->dropped += PIECE;
	}
}
