/* SPDX-License-Identifier: BSD-2-Clause */

/* vectors HOW: readv() and writev() with 1, 3 and 1024 iovecs, empty and unaligned ones among them. */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iovecs.h"
#include "truth.h"

static void round_trip(struct end *from, struct end *to, int n, size_t step)
{
	static uint8_t memory[IOVECS_MEMORY], whole[IOVECS_MEMORY];
	struct iovec iov[1024];
	size_t len = iovecs_cut(iov, n, memory, step);

	end_fill(from, whole, len);
	iovecs_scatter(iov, n, whole);
	MUST(end_sent(from, "writev", writev(from->fd, iov, n), "a0=%d", n) == (int64_t)len);
	memset(memory, 0, sizeof memory);
	len = iovecs_cut(iov, n, memory, step);
	fd_arrived(to->fd, len);
	MUST(readv(to->fd, iov, n) == (ssize_t)len);
	iovecs_gather(iov, n, whole);
	end_got(to, "readv", whole, (int64_t)len, "a0=%d", n);
}

int main(int argc, char **argv)
{
	struct end end[2];

	(void)argc;
	truth_open();
	ends_open(end, argv[1]);
	for (int i = 0; i < 2; i++) {
		round_trip(&end[i], &end[!i], 1, 5000);
		round_trip(&end[i], &end[!i], 3, 700);
		round_trip(&end[i], &end[!i], 1024, 37);
		round_trip(&end[i], &end[!i], 1024, 1);
		round_trip(&end[i], &end[!i], 17, 3001);
		/* None at all carries nothing. */
		end_sent(&end[i], "writev", writev(end[i].fd, NULL, 0), "a0=0");
	}
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
