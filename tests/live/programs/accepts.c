/* SPDX-License-Identifier: BSD-2-Clause */

/* accepts HOW: accept() and accept4() of several, and of none; HOW is a word of addresses.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "addresses.h"
#include "truth.h"

#define CLIENT(proto)  "kind=socket proto=" proto " role=client stream=1 preopened=0 listens=0 end=closed"
#define SERVER(proto)  "kind=socket proto=" proto " role=server stream=1 preopened=0 listens=0 end=closed"
#define LISTENS(proto) "kind=socket proto=" proto " role=server preopened=0 listens=1 end=closed"

int main(int argc, char **argv)
{
	struct address a;
	bool tcp;
	int listener, flow;

	(void)argc;
	truth_open();
	tcp = argv[1][0] == 't';
	a = address_of(argv[1]);
	listener = address_bind(&a, SOCK_STREAM);
	MUST(listen(listener, 8) == 0 && fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
	flow = truth_flow(listener, tcp ? LISTENS("tcp") : LISTENS("unix"));
	truth_addresses(flow, listener);
	truth_call(flow, "accept", accept(listener, NULL, NULL), "%s", "");
	MUST(errno == EAGAIN);
	for (int i = 0; i < 4; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		struct pollfd ready = {.fd = listener, .events = POLLIN};
		struct end end[2];

		end[0].fd = socket(a.to.ss_family, SOCK_STREAM, 0);
		MUST(end[0].fd >= 0 && connect(end[0].fd, (void *)&a.to, a.len) == 0);
		/* A TCP client is connected before the server has been told so. */
		MUST(poll(&ready, 1, 10000) == 1);
		switch (i) {
		case 0:
			end[1].fd = accept(listener, NULL, NULL);
			break;
		case 1:
			end[1].fd = accept(listener, (void *)&from, &len);
			break;
		default:
			end[1].fd = accept4(listener, (void *)&from, &len, i == 2 ? 0 : SOCK_NONBLOCK | SOCK_CLOEXEC);
			break;
		}
		MUST(end[1].fd >= 0);
		end[0].flow = truth_flow(end[0].fd, tcp ? CLIENT("tcp") : CLIENT("unix"));
		end[1].flow = truth_flow(end[1].fd, tcp ? SERVER("tcp") : SERVER("unix"));
		for (int k = 0; k < 2; k++)
			truth_addresses(end[k].flow, end[k].fd);
		truth_call(flow, i < 2 ? "accept" : "accept4", end[1].fd, "a0=@%d", end[1].flow);
		ends_join(&end[0], &end[1]);
		end_write(&end[0], 100);
		end_read(&end[1], 100);
		end_write(&end[1], 50);
		end_read(&end[0], 50);
		end_close(&end[i % 2]);
		end_close(&end[!(i % 2)]);
	}
	truth_call(flow, "close", close(listener), "%s", "");
	address_forget(&a);
	return 0;
}
