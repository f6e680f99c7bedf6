/* SPDX-License-Identifier: BSD-2-Clause */

/* pending: calls that hang when the recording is stopped are on the tape, with what they were asked for. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addresses.h"
#include "truth.h"

static struct end end[3][2];
static int listener;

static void *hang(void *number)
{
	static uint8_t buffer[4000];
	struct iovec iov[2] = {{buffer, 10}, {buffer, 20}};

	switch ((int)(intptr_t)number) {
	case 0:
		return (void *)read(end[0][1].fd, buffer, 1000);
	case 1:
		return (void *)recv(end[1][1].fd, buffer, 2000, MSG_WAITALL);
	case 2:
		return (void *)readv(end[2][1].fd, iov, 2);
	default:
		return (void *)(intptr_t)accept(listener, NULL, NULL);
	}
}

int main(void)
{
	struct address a = address_of("tcp4");
	pthread_t thread;
	int flow;

	truth_open();
	truth_wait_for_recorder();
	for (int i = 0; i < 3; i++) {
		ends_open(end[i], "unix");
		end_write(&end[i][0], 100);
		end_read(&end[i][1], 100);
	}
	listener = address_bind(&a, SOCK_STREAM);
	MUST(listen(listener, 1) == 0);
	flow = truth_flow(listener, "kind=socket proto=tcp role=server listens=1 end=open");
	for (intptr_t i = 0; i < 4; i++)
		MUST(pthread_create(&thread, NULL, hang, (void *)i) == 0);
	usleep(500000); /* they hang */
	truth_call(end[0][1].flow, "read", 0, "a0=1000 pending bytes=0");
	truth_call(end[1][1].flow, "recvfrom", 0, "a0=2000 a1=%d pending", MSG_WAITALL);
	truth_call(end[2][1].flow, "readv", 0, "a0=2 pending");
	truth_call(flow, "accept", 0, "pending");
	truth_wait_for_end();
}
