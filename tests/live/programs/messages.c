/* SPDX-License-Identifier: BSD-2-Clause */

/* messages HOW: sendmsg() and recvmsg() with 1 and 1024 iovecs, empty ones among them, and MSG_PEEK. */
#include <string.h>
#include <sys/socket.h>

#include "iovecs.h"
#include "truth.h"

static uint8_t memory[IOVECS_MEMORY], whole[IOVECS_MEMORY];

static void round_trip(struct end *from, struct end *to, int n, size_t step, int flags)
{
	struct iovec iov[1024];
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	size_t len = iovecs_cut(iov, n, memory, step);

	end_fill(from, whole, len);
	iovecs_scatter(iov, n, whole);
	MUST(end_sent(from, "sendmsg", sendmsg(from->fd, &message, flags), "a0=%d a1=%d", n, flags) == (int64_t)len);
	memset(memory, 0, sizeof memory);
	iovecs_cut(iov, n, memory, step);
	fd_arrived(to->fd, len);
	MUST(recvmsg(to->fd, &message, MSG_PEEK) == (ssize_t)len);
	truth_call(to->flow, "recvmsg", (int64_t)len, "a0=%d a1=%d peek", n, MSG_PEEK);
	memset(memory, 0, sizeof memory);
	MUST(recvmsg(to->fd, &message, 0) == (ssize_t)len);
	iovecs_gather(iov, n, whole);
	end_got(to, "recvmsg", whole, (int64_t)len, "a0=%d a1=0", n);
}

int main(int argc, char **argv)
{
	struct end end[2];

	(void)argc;
	truth_open();
	ends_open(end, argv[1]);
	for (int i = 0; i < 2; i++) {
		struct msghdr none = {.msg_iovlen = 0};

		round_trip(&end[i], &end[!i], 1, 5000, 0);
		round_trip(&end[i], &end[!i], 3, 700, MSG_NOSIGNAL);
		round_trip(&end[i], &end[!i], 1024, 37, 0);
		round_trip(&end[i], &end[!i], 17, 3001, 0);
		if (argv[1][0] != 'd' && strcmp(argv[1], "seqpacket") != 0)
			end_sent(&end[i], "sendmsg", sendmsg(end[i].fd, &none, 0), "a0=0 a1=0");
	}
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
