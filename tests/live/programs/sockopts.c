/* SPDX-License-Identifier: BSD-2-Clause */

/* sockopts: setsockopt() and getsockopt(): level, name, and the first eight bytes of the value; and refused ones. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "truth.h"

static struct end end[2];

static void option(int level, int name, const void *value, socklen_t len, int result)
{
	unsigned long long first = 0;
	uint8_t back[64] = {0};
	socklen_t back_len = sizeof back;

	memcpy(&first, value, len < 8 ? len : 8);
	MUST(setsockopt(end[0].fd, level, name, value, len) == result);
	truth_call(end[0].flow, "setsockopt", result, "a0=%d a1=%d a2=%llu", level, name, first);
	if (result < 0)
		return;
	MUST(getsockopt(end[0].fd, level, name, back, &back_len) == 0);
	first = 0;
	memcpy(&first, back, back_len < 8 ? back_len : 8);
	truth_call(end[0].flow, "getsockopt", 0, "a0=%d a1=%d a2=%llu", level, name, first);
}

int main(void)
{
	struct linger linger = {1, 30};
	struct timeval timeout = {5, 250000};
	int one = 1, size = 20000, zero = 0;

	truth_open();
	ends_open(end, "tcp4");
	option(SOL_SOCKET, SO_RCVBUF, &size, sizeof size, 0);
	option(SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one, 0);
	option(SOL_SOCKET, SO_LINGER, &linger, sizeof linger, 0);
	option(SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout, 0);
	option(IPPROTO_TCP, TCP_NODELAY, &one, sizeof one, 0);
	option(IPPROTO_TCP, TCP_CONGESTION, "reno", 4, 0);
	option(SOL_SOCKET, 9999, &one, sizeof one, -1);
	option(SOL_SOCKET, SO_LINGER, &zero, 1, -1);
	end_write(&end[0], 10);
	end_read(&end[1], 10);
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
