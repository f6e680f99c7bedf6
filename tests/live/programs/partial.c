/* SPDX-License-Identifier: BSD-2-Clause */

/* partial HOW: a full non-blocking socket takes a part, then nothing; signals end a call before and after its first byte. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "truth.h"

/* More than the buffers of a TCP connection may grow to (tcp_wmem and tcp_rmem: 4 and 6 MiB). */
#define MUCH (16u << 20)

static void on_signal(int signal)
{
	(void)signal;
}

/* Again and again, until 0 is asked for: on a slow machine the first one may come before the call that it is to end. */
static void alarm_each(int ms)
{
	struct timeval time = {ms / 1000, ms % 1000 * 1000};
	struct itimerval timer = {.it_value = time, .it_interval = time};

	MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void drain(struct end *e, uint64_t upto, uint8_t *buffer)
{
	while (e->at[IN] < upto)
		MUST(end_got(e, "read", buffer, read(e->fd, buffer, 100000), "a0=100000") > 0);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
	uint8_t *buffer = malloc(MUCH), *other = malloc(MUCH);
	struct end end[2];
	struct iovec iov[2];
	int64_t n;

	(void)argc;
	MUST(buffer && other);
	truth_open();
	ends_open(end, argv[1]);
	MUST(sigaction(SIGALRM, &action, NULL) == 0);

	/* Non-blocking: a part, and nothing. */
	MUST(fcntl(end[0].fd, F_SETFL, O_NONBLOCK) == 0);
	end_fill(&end[0], buffer, MUCH);
	n = end_sent(&end[0], "write", write(end[0].fd, buffer, MUCH), "a0=%u", MUCH);
	MUST(n > 0 && n < MUCH);
	/* A TCP socket may find a little room again while its first segments are taken over; in the end there is none. */
	do {
		end_fill(&end[0], buffer, MUCH);
		n = end_sent(&end[0], "write", write(end[0].fd, buffer, MUCH), "a0=%u", MUCH);
	} while (n > 0);
	MUST(errno == EAGAIN);
	do {
		end_fill(&end[0], buffer, MUCH);
		iov[0] = (struct iovec){buffer, 10};
		iov[1] = (struct iovec){buffer + 10, MUCH - 10};
		n = end_sent(&end[0], "writev", writev(end[0].fd, iov, 2), "a0=2");
	} while (n > 0);
	MUST(errno == EAGAIN);
	drain(&end[1], end[0].at[OUT], other);

	/* Blocking: a signal before the first byte, and one in the middle. */
	MUST(fcntl(end[0].fd, F_SETFL, 0) == 0);
	alarm_each(50);
	n = end_got(&end[1], "read", other, read(end[1].fd, other, 1000), "a0=1000");
	MUST(n < 0 && errno == EINTR);
	alarm_each(0);
	end_fill(&end[0], buffer, MUCH);
	alarm_each(100);
	do
		n = end_sent(&end[0], "write", write(end[0].fd, buffer, MUCH), "a0=%u", MUCH);
	while (n < 0 && errno == EINTR);
	MUST(n > 0 && n < MUCH);
	alarm_each(0);
	drain(&end[1], end[0].at[OUT], other);
	end_write(&end[0], 100);
	fd_arrived(end[1].fd, 100);
	alarm_each(50);
	n = end_got(&end[1], "recvfrom", other, recv(end[1].fd, other, 1000, MSG_WAITALL), "a0=1000 a1=%d",
	            MSG_WAITALL);
	MUST(n == 100);
	alarm_each(0);
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
