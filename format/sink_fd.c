/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/sink_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_fd(void *context, const void *data, size_t len)
{
	const struct sink_fd *s = context;
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(s->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return FDTAPE_ERR_SYSTEM;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int cut_fd(void *context, uint64_t size)
{
	const struct sink_fd *s = context;
	off_t end = s->begin + (off_t)size;

	return ftruncate(s->fd, end) == 0 && lseek(s->fd, end, SEEK_SET) == end ? 0 : FDTAPE_ERR_SYSTEM;
}

struct fdtape_sink sink_fd_init(struct sink_fd *s, int fd)
{
	struct fdtape_sink sink = {.write = write_fd, .context = s};
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	*s = (struct sink_fd){.fd = fd};
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || flags < 0)
		return sink;
	s->begin = flags & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
	if (s->begin == st.st_size)
		sink.cut = cut_fd;
	return sink;
}
