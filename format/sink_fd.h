/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_SINK_FD_H
#define FORMAT_SINK_FD_H

/* A sink that is a file descriptor. */
#include <stdbool.h>
#include <sys/types.h>

#include <fdtape/writer.h>

struct sink_fd {
	int fd;
	bool can_cut; /* it is a regular file, and the tape is at its end */
	off_t begin;  /* of the tape */
};

/* Looks at what fd is. */
void sink_fd_init(struct sink_fd *s, int fd);
/* fdtape_sink.write; `context` is the struct sink_fd. */
int sink_fd_write(void *context, const void *data, size_t len);
/* fdtape_sink.cut; only where can_cut. */
int sink_fd_cut(void *context, uint64_t size);

#endif
