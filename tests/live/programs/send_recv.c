/* SPDX-License-Identifier: BSD-2-Clause */

/* send_recv HOW: sendto() and recvfrom() with their flags: MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_MORE. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "truth.h"

static uint8_t buffer[65536];

static void do_send(struct end *e, size_t n, int flags)
{
	end_fill(e, buffer, n);
	MUST(end_sent(e, "sendto", send(e->fd, buffer, n, flags), "a0=%zu a1=%d", n, flags) == (int64_t)n);
}

static void do_recv(struct end *e, size_t n, size_t due, int flags)
{
	ssize_t got = recv(e->fd, buffer, n, flags);

	MUST(end_got(e, "recvfrom", buffer, got, "a0=%zu a1=%d", n, flags) == (int64_t)due);
}

/* The bytes are looked at, but not read. */
static void do_peek(const struct end *e, size_t n, size_t due)
{
	ssize_t got;

	fd_arrived(e->fd, due);
	got = recv(e->fd, buffer, n, MSG_PEEK);

	MUST(got == (ssize_t)due);
	truth_call(e->flow, "recvfrom", got, "a0=%zu a1=%d peek bytes=%zu", n, MSG_PEEK, due);
}

static void one_way(struct end *from, struct end *to)
{
	do_send(from, 1000, 0);
	do_peek(to, 100, 100);
	do_peek(to, 5000, 1000);
	do_recv(to, 300, 300, 0);
	do_peek(to, 5000, 700);
	do_recv(to, 700, 700, 0);
	do_send(from, 10, MSG_MORE);
	do_send(from, 20, MSG_NOSIGNAL);
	do_recv(to, 30, 30, MSG_WAITALL);
	end_got(to, "recvfrom", buffer, recv(to->fd, buffer, 77, MSG_DONTWAIT), "a0=77 a1=%d", MSG_DONTWAIT);
	MUST(errno == EAGAIN);
	end_got(to, "recvfrom", buffer, recv(to->fd, buffer, 77, MSG_DONTWAIT | MSG_PEEK), "a0=77 a1=%d peek",
	        MSG_DONTWAIT | MSG_PEEK);
	do_send(from, 50000, MSG_DONTWAIT);
	do_recv(to, 50000, 50000, MSG_WAITALL);
}

int main(int argc, char **argv)
{
	struct end end[2];

	(void)argc;
	truth_open();
	ends_open(end, argv[1]);
	one_way(&end[0], &end[1]);
	one_way(&end[1], &end[0]);
	end_close(&end[1]);
	do_recv(&end[0], 10, 0, 0);
	end_close(&end[0]);
	return 0;
}
