/* SPDX-License-Identifier: BSD-2-Clause */

/* errors: calls that fail, and one that fails half-way, carry nothing that was not carried. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "truth.h"

static uint8_t buffer[70000];

static void fails(int flow, const char *name, int64_t result, int error, const char *args)
{
	truth_call(flow, name, result, "%s", args);
	MUST(result < 0 && errno == error);
}

static void broken_pipe(void)
{
	struct end end[2];

	ends_open(end, "unix");
	end_write(&end[0], 10);
	end_close(&end[1]); /* unread */
	fails(end[0].flow, "write", write(end[0].fd, buffer, 100), EPIPE, "a0=100");
	fails(end[0].flow, "sendto", send(end[0].fd, buffer, 100, MSG_NOSIGNAL), EPIPE, "a0=100 a1=16384");
	fails(end[0].flow, "read", read(end[0].fd, buffer, 100), ECONNRESET, "a0=100");
	end_close(&end[0]);
}

static void reset(void)
{
	struct linger now = {1, 0};
	struct end end[2];

	ends_open(end, "tcp4");
	end_write(&end[0], 10);
	end_read(&end[1], 10);
	MUST(setsockopt(end[1].fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
	end_close(&end[1]);
	fails(end[0].flow, "read", read(end[0].fd, buffer, 100), ECONNRESET, "a0=100");
	fails(end[0].flow, "write", write(end[0].fd, buffer, 100), EPIPE, "a0=100");
	end_close(&end[0]);
}

static void bad_memory(void)
{
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *bad;
	struct end end[2];
	struct iovec iov[2];

	MUST(memory != MAP_FAILED && munmap(memory + page, (size_t)page) == 0);
	bad = memory + page;
	ends_open(end, "unix");
	fails(end[0].flow, "write", write(end[0].fd, bad, 100), EFAULT, "a0=100");
	iov[0] = (struct iovec){bad, 100};
	fails(end[0].flow, "writev", writev(end[0].fd, iov, 1), EFAULT, "a0=1");
	fails(end[0].flow, "sendmsg", sendmsg(end[0].fd, (struct msghdr *)bad, 0), EFAULT, "a1=0");
	end_write(&end[0], 100);
	fails(end[1].flow, "read", read(end[1].fd, bad, 100), EFAULT, "a0=100");
	end_read(&end[1], 100);
	end_close(&end[0]);
	end_close(&end[1]);
}

static void no_such_fd(void)
{
	int file = open("/proc/self/exe", O_RDONLY);
	struct end end[2];

	MUST(file >= 0);
	/* Of no flow, but calls that failed: what somebody who looks for a leak looks for. */
	fails(0, "write", write(999, buffer, 100), EBADF, "a0=100");
	fails(0, "read", read(-1, buffer, 100), EBADF, "a0=100");
	fails(0, "recvfrom", recv(999, buffer, 100, 0), EBADF, "a0=100");
	fails(0, "close", close(999), EBADF, "");
	fails(0, "sendto", send(file, buffer, 100, 0), ENOTSOCK, "a0=100");
	close(file);
	/* Not connected. */
	end[0].fd = socket(AF_INET, SOCK_STREAM, 0);
	end[0].flow = truth_flow(end[0].fd, "kind=socket proto=tcp role=unknown preopened=0");
	fails(end[0].flow, "read", read(end[0].fd, buffer, 10), ENOTCONN, "a0=10");
	fails(end[0].flow, "sendto", send(end[0].fd, buffer, 10, 0), EPIPE, "a0=10");
	end_close(&end[0]);
}

int main(int argc, char **argv)
{
	truth_open();
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "fds") == 0) {
		no_such_fd();
		return 0;
	}
	broken_pipe();
	reset();
	bad_memory();
	return 0;
}
