/* SPDX-License-Identifier: BSD-2-Clause */

/* connects HOW: connect() that blocks, and that does not (EINPROGRESS, and SO_ERROR for its outcome); refused ones. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "addresses.h"
#include "truth.h"

static void outcome(int fd, int flow, int due)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof due;
	int error = -1;

	MUST(poll(&ready, 1, 10000) == 1);
	truth_call(flow, "getsockopt", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), "a0=%d a1=%d a2=%d",
	           SOL_SOCKET, SO_ERROR, due);
	MUST(error == due);
}

static void attempt(const struct address *to, int listener, int flags)
{
	struct end end[2];
	int domain = to->to.ss_family, result, error;

	end[0].fd = socket(domain, SOCK_STREAM | flags, 0);
	MUST(end[0].fd >= 0);
	end[0].flow =
	        truth_flow(end[0].fd, domain == AF_UNIX ? "kind=socket proto=unix role=client preopened=0 end=closed"
	                                                : "kind=socket proto=tcp role=client preopened=0 end=closed");
	truth_call(end[0].flow, "socket", end[0].fd, "a0=%d a1=%d a2=0", domain, SOCK_STREAM | flags);
	result = connect(end[0].fd, (void *)&to->to, to->len);
	error = result ? errno : 0;
	truth_call(end[0].flow, "connect", result, "%s", "");
	if (domain != AF_UNIX && flags)
		MUST(error == EINPROGRESS);
	else
		MUST(error == (listener >= 0 ? 0 : ECONNREFUSED));
	if (flags && domain != AF_UNIX)
		outcome(end[0].fd, end[0].flow, listener >= 0 ? 0 : ECONNREFUSED);
	if (listener >= 0) {
		end[1].fd = accept(listener, NULL, NULL);
		MUST(end[1].fd >= 0);
		end[1].flow = truth_flow(end[1].fd, "kind=socket role=server preopened=0");
		truth_addresses(end[0].flow, end[0].fd);
		ends_join(&end[0], &end[1]);
		end_write(&end[0], 100);
		end_read(&end[1], 100);
		end_close(&end[1]);
	}
	end_close(&end[0]);
}

int main(int argc, char **argv)
{
	struct address a, nobody;
	int listener, bound;

	(void)argc;
	truth_open();
	a = address_of(argv[1]);
	listener = address_bind(&a, SOCK_STREAM);
	MUST(listen(listener, 8) == 0);
	attempt(&a, listener, 0);
	attempt(&a, listener, SOCK_NONBLOCK);
	attempt(&a, listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(listener);
	address_forget(&a);
	/* Bound, so that it is nobody else's, but nobody listens. */
	nobody = address_of(argv[1]);
	bound = address_bind(&nobody, SOCK_STREAM);
	attempt(&nobody, -1, 0);
	attempt(&nobody, -1, SOCK_NONBLOCK);
	close(bound);
	address_forget(&nobody);
	return 0;
}
