/* SPDX-License-Identifier: BSD-2-Clause */

/* passing: two sockets in one SCM_RIGHTS message, to a process that never opened them, which then uses them. */
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "truth.h"

/* What the child must know of the ends that it gets: told through the message's bytes. */
struct letter {
	struct end end[2];
};

union control {
	char bytes[CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr align;
};

static void child(struct end *control)
{
	struct letter letter;
	union control space;
	struct iovec iov = {&letter, sizeof letter};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
	int fds[2];

	MUST(recvmsg(control->fd, &message, 0) == sizeof letter);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
	truth_call(control->flow, "recvmsg", sizeof letter, "a0=1 a1=0 passed");
	truth_data(control->flow, IN, 0, 0, sizeof letter);
	for (int i = 0; i < 2; i++) {
		struct end *e = &letter.end[i];

		e->fd = fds[i];
		e->flow =
		        truth_flow(fds[i], i ? "kind=socket proto=tcp role=server stream=1 preopened=0 inherited=1"
		                             : "kind=socket proto=unix role=unknown stream=1 preopened=0 inherited=1");
		truth_addresses(e->flow, e->fd);
		end_read(e, 300);
		end_write(e, 200);
		end_close(e);
	}
	_exit(0);
}

int main(void)
{
	struct end control[2], near[2], far[2], pair[2];
	struct letter letter;
	union control space;
	struct iovec iov = {&letter, sizeof letter};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
	struct cmsghdr *header = &space.align;
	int fds[2], status;
	pid_t pid;

	truth_open();
	ends_open(control, "unix");
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		control[1].flow =
		        truth_flow(control[1].fd, "kind=socket proto=unix preopened=0 inherited=1 end=closed");
		child(&control[1]);
	}
	ends_open(pair, "unix");
	near[0] = pair[0], far[0] = pair[1];
	ends_open(pair, "tcp4");
	near[1] = pair[0], far[1] = pair[1];
	for (int i = 0; i < 2; i++) {
		end_write(&far[i], 7); /* before it is passed */
		end_read(&near[i], 7);
		fds[i] = far[i].fd;
		letter.end[i] = far[i];
	}
	memset(&space, 0, sizeof space);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(header), fds, sizeof fds);
	MUST(sendmsg(control[0].fd, &message, 0) == sizeof letter);
	truth_call(control[0].flow, "sendmsg", sizeof letter, "a0=1 a1=0 passed");
	truth_data(control[0].flow, OUT, 0, 0, sizeof letter);
	for (int i = 0; i < 2; i++) {
		end_close(&far[i]);
		end_write(&near[i], 300);
		end_read(&near[i], 200);
		end_close(&near[i]);
	}
	MUST(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}
