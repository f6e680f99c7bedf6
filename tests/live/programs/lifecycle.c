/* SPDX-License-Identifier: BSD-2-Clause */

/* lifecycle: socket, socketpair, bind, listen, shutdown, close, close_range, with their arguments. */
#include <errno.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/syscall.h>

#include "addresses.h"
#include "truth.h"

static void made(void)
{
	static const int types[][3] = {{AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0},
	                               {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
	                               {AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0}};
	static const char *const words[] = {"kind=socket proto=tcp role=unknown preopened=0 end=closed",
	                                    "kind=socket proto=udp role=unknown preopened=0 end=closed",
	                                    "kind=socket proto=unix role=unknown preopened=0 end=closed"};

	for (int i = 0; i < 3; i++) {
		int fd = socket(types[i][0], types[i][1], types[i][2]), flow;

		MUST(fd >= 0);
		flow = truth_flow(fd, words[i]);
		truth_call(flow, "socket", fd, "a0=%d a1=%d a2=%d", types[i][0], types[i][1], types[i][2]);
		truth_call(flow, "close", close(fd), "%s", "");
	}
	truth_call(0, "socket", socket(AF_INET, 99, 0), "a0=%d a1=99 a2=0", AF_INET);
}

static void pairs(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM | SOCK_CLOEXEC, SOCK_SEQPACKET};

	for (int i = 0; i < 3; i++) {
		int fds[2];

		MUST(socketpair(AF_UNIX, types[i], 0, fds) == 0);
		truth_call(0, "socketpair", 0, "a0=%d a1=%llu a2=%d", AF_UNIX,
		           (unsigned long long)fds[0] << 32 | (unsigned)fds[1], types[i]);
		for (int k = 0; k < 2; k++) {
			int flow = truth_flow(fds[k], "kind=socket proto=unix role=unknown preopened=0 end=closed");

			truth_call(flow, "close", close(fds[k]), "%s", "");
		}
	}
}

static void served(const char *how)
{
	struct address a = address_of(how);
	int fd = socket(a.to.ss_family, SOCK_STREAM, 0), flow;

	MUST(fd >= 0);
	flow = truth_flow(fd, "kind=socket role=server listens=1 preopened=0 end=closed");
	truth_call(flow, "bind", bind(fd, (void *)&a.to, a.len), "a0=%d", a.to.ss_family);
	truth_call(flow, "bind", bind(fd, (void *)&a.to, 1), "%s", ""); /* EINVAL */
	truth_call(flow, "listen", listen(fd, 17), "a0=17");
	truth_addresses(flow, fd);
	truth_call(flow, "close", close(fd), "%s", "");
	address_forget(&a);
}

static void shut(void)
{
	struct end end[2];
	char byte;

	ends_open(end, "tcp4");
	end_write(&end[0], 100);
	truth_call(end[0].flow, "shutdown", shutdown(end[0].fd, SHUT_WR), "a0=%d", SHUT_WR);
	end_read(&end[1], 100);
	MUST(end_got(&end[1], "read", &byte, read(end[1].fd, &byte, 1), "a0=1") == 0);
	end_write(&end[1], 10);
	end_read(&end[0], 10);
	truth_call(end[1].flow, "shutdown", shutdown(end[1].fd, SHUT_RDWR), "a0=%d", SHUT_RDWR);
	truth_call(end[1].flow, "shutdown", shutdown(end[1].fd, 77), "a0=77"); /* EINVAL */
	end_close(&end[0]);
	end_close(&end[1]);
}

/* Ten sockets at fds 100 to 109, and two calls. */
static void ranges(void)
{
	struct end end[10];
	long result;

	for (int i = 0; i < 10; i += 2) {
		int fds[2];

		MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		for (int k = 0; k < 2; k++) {
			MUST(dup2(fds[k], 100 + i + k) == 100 + i + k);
			close(fds[k]);
			end[i + k].fd = 100 + i + k;
			end[i + k].flow = truth_flow(end[i + k].fd, "kind=socket proto=unix end=closed");
		}
		ends_join(&end[i], &end[i + 1]);
		end_write(&end[i], 10);
		end_read(&end[i + 1], 10);
	}
	result = syscall(SYS_close_range, 102, 105, 0);
	if (result < 0 && errno == ENOSYS)
		return;
	truth_call(0, "close_range", result, "a0=102 a1=105 a2=0");
	result = syscall(SYS_close_range, 106, ~0u, CLOSE_RANGE_CLOEXEC);
	if (result == 0) { /* since 5.11 */
		truth_call(0, "close_range", result, "a0=106 a1=%u a2=%u", ~0u, CLOSE_RANGE_CLOEXEC);
		end_write(&end[6], 10); /* open still */
		end_read(&end[7], 10);
	}
	/* The number is a new socket's: not the old flow. */
	MUST(dup2(end[0].fd, 102) == 102);
	end[2] = end[0];
	end[2].fd = 102;
	end[2].flow = truth_flow(102, "kind=socket proto=unix end=closed");
	end_write(&end[2], 20);
	/* In the stream this is behind what end[0] sent. */
	end[0].at[OUT] = end[2].at[OUT];
	end_read(&end[1], 20);
	truth_call(0, "close_range", syscall(SYS_close_range, 100, 4000000000u, 0), "a0=100 a1=4000000000 a2=0");
}

int main(int argc, char **argv)
{
	truth_open();
	if (argc > 1 && strcmp(argv[1], "ranges") == 0) {
		ranges();
		return 0;
	}
	made();
	pairs();
	served("tcp4");
	served("path");
	served("abstract");
	shut();
	return 0;
}
