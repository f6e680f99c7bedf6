/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * peers HOW: UDP sockets that are not connected, or are and talk to others all the same: sendto, recvfrom, sendmsg,
 * recvmsg, sendmmsg and recvmmsg, each message with an address of its own; and calls that leave an address in memory
 * that is not theirs. HOW is "udp4", "udp6", or "mixed": IPv4 and IPv6 clients of one server.
 */
#include <errno.h>
#include <string.h>

#include "addresses.h"
#include "pattern.h"
#include "truth.h"

enum {
	CLIENTS = 4,
	EACH = 3, /* messages of a client in one call */
	SIZE = 200,
	WORDS_MAX = 16 * TRUTH_PEER_MAX
};

struct udp {
	struct end end;
	struct address address; /* its own */
	struct address server;  /* as it sees that */
};

static struct udp server, client[CLIENTS];

/* Messages of one call. */
struct batch {
	struct mmsghdr message[CLIENTS * EACH];
	struct iovec iov[CLIENTS * EACH];
	struct sockaddr_storage name[CLIENTS * EACH];
	uint8_t data[CLIENTS * EACH][SIZE];
	char words[WORDS_MAX];
};
static struct batch batch;

static void open_one(struct udp *u, const char *how, bool any)
{
	struct sockaddr_in6 *in6 = (void *)&u->address.to;

	u->address = address_of(how);
	if (any)
		in6->sin6_addr = in6addr_any;
	u->end.fd = address_bind(&u->address, SOCK_DGRAM);
	u->end.flow = truth_flow(u->end.fd, "kind=socket proto=udp stream=0 preopened=0 end=closed");
	u->end.seed[OUT] = truth_seed();
}

/* Makes room for n messages; `to`: whom they go to, NULL: they are to come. */
static void prepare(unsigned n, struct udp *from, const struct address *const *to)
{
	uint64_t at = from ? from->end.at[OUT] : 0;

	memset(&batch, 0, sizeof batch);
	for (unsigned i = 0; i < n; i++) {
		struct msghdr *h = &batch.message[i].msg_hdr;
		size_t len = from ? 10 + i : SIZE;

		batch.iov[i] = (struct iovec){batch.data[i], len};
		h->msg_iov = &batch.iov[i];
		h->msg_iovlen = 1;
		h->msg_name = &batch.name[i];
		h->msg_namelen = sizeof batch.name[i];
		if (!from)
			continue;
		batch.name[i] = to[i]->to;
		h->msg_namelen = to[i]->len;
		pattern_fill(batch.data[i], len, from->end.seed[OUT], at);
		at += len;
	}
}

/* The n addresses, as words; how many bytes the messages have. */
static uint64_t add_up(unsigned n)
{
	size_t len = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		char peer[TRUTH_PEER_MAX];

		len += (size_t)snprintf(batch.words + len, WORDS_MAX - len, "%s", truth_peer(peer, &batch.name[i]));
		bytes += batch.message[i].msg_len;
	}
	return bytes;
}

static void send_batch(struct udp *from, const struct address *const *to, unsigned n, bool many)
{
	uint64_t bytes;

	prepare(n, from, to);
	if (many) {
		MUST(sendmmsg(from->end.fd, batch.message, n, 0) == (int)n);
	} else {
		batch.message[0].msg_len = (unsigned)sendmsg(from->end.fd, &batch.message[0].msg_hdr, 0);
		MUST(batch.message[0].msg_len == batch.iov[0].iov_len);
	}
	bytes = add_up(n);
	truth_call(from->end.flow, many ? "sendmmsg" : "sendmsg", many ? (int64_t)n : (int64_t)bytes, "a0=1 a1=0%s",
	           batch.words);
	truth_data(from->end.flow, OUT, from->end.seed[OUT], from->end.at[OUT], bytes);
	from->end.at[OUT] += bytes;
}

/* The address of a client as the server sees it. */
static struct address seen(const struct udp *u)
{
	const struct sockaddr_in *in = (const void *)&u->address.to;
	struct address mapped = {.len = sizeof(struct sockaddr_in6)};
	struct sockaddr_in6 *in6 = (void *)&mapped.to;

	if (u->address.to.ss_family == server.address.to.ss_family)
		return u->address;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = in->sin_port;
	in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(in6->sin6_addr.s6_addr + 12, &in->sin_addr, 4);
	return mapped;
}

static bool equal_addresses(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	char one[TRUTH_PEER_MAX], other[TRUTH_PEER_MAX];

	return strcmp(truth_peer(one, a), truth_peer(other, b)) == 0;
}

/* Whom a message came from: what several have sent may arrive in another order. */
static struct udp *sender(const struct sockaddr_storage *name)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct address address = seen(&client[i]);

		if (equal_addresses(&address.to, name))
			return &client[i];
	}
	return &server;
}

/* What each of the senders said is read as far as it sent it. */
static void receive_batch(struct udp *to, unsigned n, bool many)
{
	uint64_t bytes;

	prepare(n, NULL, NULL);
	if (many) {
		MUST(recvmmsg(to->end.fd, batch.message, n, 0, NULL) == (int)n);
	} else {
		batch.message[0].msg_len = (unsigned)recvmsg(to->end.fd, &batch.message[0].msg_hdr, 0);
		MUST(batch.message[0].msg_len <= SIZE);
	}
	bytes = add_up(n);
	truth_call(to->end.flow, many ? "recvmmsg" : "recvmsg", many ? (int64_t)n : (int64_t)bytes, "a0=1 a1=0%s",
	           batch.words);
	for (unsigned i = 0; i < n; i++) {
		struct udp *from = sender(&batch.name[i]);
		uint64_t *at = &from->end.at[IN]; /* of what the other end reads of it */
		unsigned len = batch.message[i].msg_len;

		MUST(pattern_differs(batch.data[i], len, from->end.seed[OUT], *at) == len);
		truth_data(to->end.flow, IN, from->end.seed[OUT], *at, len);
		*at += len;
	}
}

/* Each client says something n times, then the server answers each, in another order. The one that the messages of one
 * end are read by counts them in at[IN] of that end; the server is read by several, so it has a seed for each. */
static void talk(unsigned n, bool many)
{
	struct address address[CLIENTS];
	const struct address *to[CLIENTS * EACH];
	uint64_t said = server.end.at[OUT];

	for (unsigned i = 0; i < CLIENTS; i++) {
		address[i] = seen(&client[i]);
		for (unsigned k = 0; k < n; k++)
			to[k] = &client[i].server;
		send_batch(&client[i], to, n, many);
	}
	if (many) {
		receive_batch(&server, CLIENTS * n, true);
		for (unsigned i = 0; i < CLIENTS * n; i++)
			to[i] = &address[i % CLIENTS];
		send_batch(&server, to, CLIENTS * n, true);
	} else {
		for (unsigned i = 0; i < CLIENTS; i++)
			receive_batch(&server, 1, false);
		for (unsigned i = 0; i < CLIENTS; i++) {
			to[0] = &address[i];
			send_batch(&server, to, 1, false);
		}
	}
	/* Message k of the server has 10 + k bytes, or 10 if each was a call of its own. */
	for (unsigned i = 0; i < CLIENTS; i++) {
		for (unsigned k = 0; k < n; k++) {
			unsigned nth = k * CLIENTS + i;

			server.end.at[IN] = said + (many ? 10 * nth + nth * (nth - 1) / 2 : 10 * i);
			receive_batch(&client[i], 1, false);
		}
	}
}

/* Nothing came, and nothing is said of an address where none is meant, though memory holds one. */
static void nobody(struct udp *u)
{
	struct sockaddr_storage stale = client[1].address.to;
	struct iovec iov = {batch.data[0], SIZE};
	struct msghdr message = {.msg_name = &stale, .msg_namelen = sizeof stale, .msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr messages = {.msg_hdr = message};
	socklen_t len = sizeof stale;

	truth_call(u->end.flow, "recvfrom",
	           recvfrom(u->end.fd, batch.data[0], SIZE, MSG_DONTWAIT, (void *)&stale, &len), "a1=%d", MSG_DONTWAIT);
	truth_call(u->end.flow, "recvmsg", recvmsg(u->end.fd, &message, MSG_DONTWAIT), "a1=%d", MSG_DONTWAIT);
	truth_call(u->end.flow, "recvmmsg", recvmmsg(u->end.fd, &messages, 1, MSG_DONTWAIT, NULL), "a1=%d",
	           MSG_DONTWAIT);
}

/* Connected, it sends to the one it is connected to without saying so, and to another by saying so. */
static void connected(struct udp *u, struct udp *other)
{
	char peer[TRUTH_PEER_MAX];
	struct iovec iov = {batch.data[0], 20};
	struct sockaddr_storage stale = client[1].address.to;
	struct msghdr message = {.msg_name = &stale, .msg_iov = &iov, .msg_iovlen = 1};

	MUST(connect(u->end.fd, (void *)&u->server.to, u->server.len) == 0);
	truth_call(u->end.flow, "connect", 0, "%s", "");
	truth_addresses(u->end.flow, u->end.fd);
	end_fill(&u->end, batch.data[0], 20);
	end_sent(&u->end, "sendmsg", sendmsg(u->end.fd, &message, 0), "a0=1 a1=0%s", truth_peer(peer, &u->server.to));
	end_fill(&u->end, batch.data[0], 20);
	end_sent(&u->end, "sendto", send(u->end.fd, batch.data[0], 20, 0), "a0=20 a1=0%s",
	         truth_peer(peer, &u->server.to));
	end_fill(&u->end, batch.data[0], 20);
	end_sent(&u->end, "sendto",
	         sendto(u->end.fd, batch.data[0], 20, 0, (void *)&other->address.to, other->address.len),
	         "a0=20 a1=0%s", truth_peer(peer, &other->address.to));
}

int main(int argc, char **argv)
{
	bool mixed;

	(void)argc;
	truth_open();
	mixed = strcmp(argv[1], "mixed") == 0;
	open_one(&server, mixed ? "udp6" : argv[1], mixed);
	for (int i = 0; i < CLIENTS; i++) {
		open_one(&client[i], mixed ? (i % 2 ? "udp4" : "udp6") : argv[1], false);
		/* Clients are not connected: each call says where the server is. */
		client[i].server = mixed ? address_of(i % 2 ? "udp4" : "udp6") : server.address;
		((struct sockaddr_in *)&client[i].server.to)->sin_port =
		        ((struct sockaddr_in *)&server.address.to)->sin_port;
	}
	for (int round = 0; round < 2; round++) {
		talk(1, false);
		talk(EACH, true);
		nobody(&server);
		nobody(&client[0]);
	}
	connected(&client[0], &client[2]);
	for (int i = 0; i < CLIENTS; i++)
		end_close(&client[i].end);
	end_close(&server.end);
	return 0;
}
