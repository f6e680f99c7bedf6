/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * preopened: what was open before the recorder came has its addresses, and nobody knows who opened it. Offset 0 is where
 * recording began. One thread is in a call all the while.
 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addresses.h"
#include "pattern.h"
#include "truth.h"

static struct end waiting[2];

static void *waiter(void *unused)
{
	static uint8_t buffer[1000];
	ssize_t got = read(waiting[1].fd, buffer, sizeof buffer);

	MUST(end_got(&waiting[1], "read", buffer, got, "a0=1000 nostart") == 700);
	return unused;
}

/* 1000 bytes that nobody records. */
static void unseen(struct end *from, struct end *to)
{
	uint8_t buffer[1000];

	end_fill(from, buffer, sizeof buffer);
	MUST(write(from->fd, buffer, sizeof buffer) == sizeof buffer);
	fd_arrived(to->fd, sizeof buffer);
	MUST(read(to->fd, buffer, sizeof buffer) == sizeof buffer);
	from->at[OUT] += sizeof buffer;
	to->at[IN] += sizeof buffer;
}

static void open_before(struct end end[static 2], const char *how)
{
	int fds[2];

	if (how[0] == 't') {
		struct address a = address_of(how);
		int listener = address_bind(&a, SOCK_STREAM);

		MUST(listen(listener, 1) == 0);
		fds[0] = socket(a.to.ss_family, SOCK_STREAM, 0);
		MUST(connect(fds[0], (void *)&a.to, a.len) == 0);
		fds[1] = accept(listener, NULL, NULL);
		MUST(fds[1] >= 0);
		close(listener);
	} else {
		MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	}
	ends_join(&end[0], &end[1]);
	for (int i = 0; i < 2; i++) {
		end[i].fd = fds[i];
		end[i].flow =
		        truth_flow(fds[i], how[0] == 't' ? "kind=socket proto=tcp role=unknown stream=1 preopened=1"
		                                         : "kind=socket proto=unix role=unknown stream=1 preopened=1");
		truth_addresses(end[i].flow, fds[i]);
	}
	unseen(&end[0], &end[1]);
	unseen(&end[1], &end[0]);
}

int main(void)
{
	struct address a = address_of("tcp4");
	struct end end[3][2], late[2];
	int listener, flow;
	pthread_t thread;

	truth_open();
	open_before(end[0], "tcp4");
	open_before(end[1], "tcp6");
	open_before(end[2], "unix");
	open_before(waiting, "unix");
	listener = address_bind(&a, SOCK_STREAM);
	MUST(listen(listener, 1) == 0);
	flow = truth_flow(listener, "kind=socket proto=tcp role=server listens=1 preopened=1");
	truth_addresses(flow, listener);
	MUST(pthread_create(&thread, NULL, waiter, NULL) == 0);
	truth_wait_for_recorder();
	for (int i = 0; i < 3; i++) {
		end_write(&end[i][0], 500);
		end_read(&end[i][1], 500);
		end_write(&end[i][1], 400);
		end_read(&end[i][0], 400);
	}
	end_write(&waiting[0], 700);
	MUST(pthread_join(thread, NULL) == 0);
	/* What a listener from before gives is opened before our eyes. */
	late[0].fd = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(late[0].fd, (void *)&a.to, a.len) == 0);
	late[1].fd = accept(listener, NULL, NULL);
	MUST(late[1].fd >= 0);
	late[0].flow = truth_flow(late[0].fd, "kind=socket proto=tcp role=client preopened=0");
	late[1].flow = truth_flow(late[1].fd, "kind=socket proto=tcp role=server preopened=0");
	ends_join(&late[0], &late[1]);
	truth_call(flow, "accept", late[1].fd, "a0=@%d", late[1].flow);
	end_write(&late[0], 10);
	end_read(&late[1], 10);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 3; k++)
			end_close(&end[k][i]);
		end_close(&waiting[i]);
		end_close(&late[i]);
	}
	return 0;
}
