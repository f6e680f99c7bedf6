/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * truncated: what a message is more than its buffer is never the program's. With MSG_TRUNC recvfrom() returns the whole
 * message's length all the same: its bytes are those that were put into the buffer. On a TCP socket MSG_TRUNC throws the
 * bytes away: they are carried, so that the next ones have the right place, but no memory ever held them.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "truth.h"

static uint8_t buffer[4096];

static void datagrams(const char *how)
{
	struct iovec iov = {buffer, 30};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct end end[2];

	ends_open(end, how);
	for (int i = 0; i < 3; i++) {
		end_fill(&end[0], buffer, 1000);
		MUST(end_sent(&end[0], "sendto", send(end[0].fd, buffer, 1000, 0), "a0=1000 a1=0") == 1000);
	}
	MUST(recv(end[1].fd, buffer, 10, 0) == 10);
	truth_call(end[1].flow, "recvfrom", 10, "a0=10 a1=0 bytes=10");
	truth_data(end[1].flow, IN, end[1].seed[IN], 0, 10);
	MUST(recv(end[1].fd, buffer, 20, MSG_TRUNC) == 1000);
	truth_call(end[1].flow, "recvfrom", 1000, "a0=20 a1=%d bytes=20", MSG_TRUNC);
	truth_data(end[1].flow, IN, end[1].seed[IN], 1000, 20);
	MUST(recvmsg(end[1].fd, &message, MSG_TRUNC) == 1000);
	truth_call(end[1].flow, "recvmsg", 1000, "a0=1 a1=%d bytes=30", MSG_TRUNC);
	truth_data(end[1].flow, IN, end[1].seed[IN], 2000, 30);
	end_close(&end[0]);
	end_close(&end[1]);
}

static void thrown_away(void)
{
	struct end end[2];

	ends_open(end, "tcp4");
	truth_account(end[1].flow, IN);
	end_write(&end[0], 3000);
	end_read(&end[1], 500);
	fd_arrived(end[1].fd, 1000);
	MUST(recv(end[1].fd, NULL, 1000, MSG_TRUNC) == 1000);
	truth_call(end[1].flow, "recvfrom", 1000, "a0=1000 a1=%d bytes=1000", MSG_TRUNC);
	truth_data(end[1].flow, IN, end[1].seed[IN], end[1].at[IN], 1000);
	end[1].at[IN] += 1000;
	end_read(&end[1], 1500);
	end_close(&end[0]);
	end_close(&end[1]);
}

int main(int argc, char **argv)
{
	truth_open();
	if (argc > 1 && strcmp(argv[1], "tcp4") == 0) {
		truth_line("allow 11");
		thrown_away();
	} else {
		datagrams(argc > 1 ? argv[1] : "dgram");
	}
	return 0;
}
