/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_SINK_FD_H
#define FORMAT_SINK_FD_H

/* A sink that is a file descriptor. */
#include <sys/types.h>

#include <fdtape/writer.h>

struct sink_fd {
	int fd;
	off_t begin; /* of the tape */
};

/* The sink that writes to fd, whose context is *s: it can be cut if fd is a regular file, and the tape is at its end. */
struct fdtape_sink sink_fd_init(struct sink_fd *s, int fd);

#endif
