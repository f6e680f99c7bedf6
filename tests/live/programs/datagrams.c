/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * datagrams HOW: sendto() and recvfrom() with addresses between three sockets that are not connected, one of them connected
 * later; empty datagrams. HOW is "udp4", "udp6", "path" or "abstract".
 */
#include <string.h>

#include "addresses.h"
#include "truth.h"

static uint8_t buffer[10000];
static struct address addresses[3];
static struct end sockets[3];

/* From one to another: what is told to the receiver is the sender's pattern. */
static void datagram(int from, int to, size_t n, bool connected)
{
	struct sockaddr_storage sender;
	socklen_t len = sizeof sender;
	char peer[TRUTH_PEER_MAX];
	uint64_t at = sockets[from].at[OUT];
	ssize_t result;

	end_fill(&sockets[from], buffer, n);
	result = sendto(sockets[from].fd, buffer, n, 0, connected ? NULL : (void *)&addresses[to].to,
	                connected ? 0 : addresses[to].len);
	MUST(end_sent(&sockets[from], "sendto", result, "a0=%zu a1=0%s", n, truth_peer(peer, &addresses[to].to)) ==
	     (int64_t)n);
	result = recvfrom(sockets[to].fd, buffer, sizeof buffer, 0, (void *)&sender, &len);
	MUST(result == (ssize_t)n && len == addresses[from].len);
	truth_call(sockets[to].flow, "recvfrom", result, "a0=%zu a1=0%s", sizeof buffer, truth_peer(peer, &sender));
	truth_data(sockets[to].flow, IN, sockets[from].seed[OUT], at, n);
}

int main(int argc, char **argv)
{
	bool udp;

	(void)argc;
	truth_open();
	udp = argv[1][0] == 'u';
	for (int i = 0; i < 3; i++) {
		char how[16];

		snprintf(how, sizeof how, "%s", argv[1]);
		addresses[i] = address_of(how);
		if (!udp) { /* three names */
			((struct sockaddr_un *)&addresses[i].to)->sun_path[1] = (char)('a' + i);
			unlink(((struct sockaddr_un *)&addresses[i].to)->sun_path);
		}
		sockets[i].fd = address_bind(&addresses[i], SOCK_DGRAM);
		sockets[i].flow =
		        truth_flow(sockets[i].fd, udp ? "kind=socket proto=udp stream=0 preopened=0 end=closed"
		                                      : "kind=socket proto=unix stream=0 preopened=0 end=closed");
		sockets[i].seed[OUT] = truth_seed();
	}
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 3; k++)
			if (i != k)
				datagram(i, k, 100 + (size_t)(10 * i + k), false);
		datagram(i, (i + 1) % 3, 0, false);
		datagram(i, (i + 2) % 3, 1400, false);
	}
	MUST(connect(sockets[0].fd, (void *)&addresses[1].to, addresses[1].len) == 0);
	truth_call(sockets[0].flow, "connect", 0, "%s", "");
	datagram(0, 1, 777, true);
	datagram(1, 0, 778, false);
	MUST(connect(sockets[1].fd, (void *)&addresses[0].to, addresses[0].len) == 0);
	truth_call(sockets[1].flow, "connect", 0, "%s", "");
	datagram(1, 0, 9000, true);
	datagram(0, 1, 1, true);
	for (int i = 0; i < 3; i++) {
		if (i < 2)
			truth_addresses(sockets[i].flow, sockets[i].fd);
		end_close(&sockets[i]);
		address_forget(&addresses[i]);
	}
	return 0;
}
