/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ADDRESSES_H
#define ADDRESSES_H

/* Addresses to listen on, by words: "tcp4", "tcp6", "path" and "abstract" (UNIX). */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "truth.h"

struct address {
	struct sockaddr_storage to;
	socklen_t len;
};

static inline struct address address_of(const char *how)
{
	struct address a = {.len = 0};
	struct sockaddr_un *un = (void *)&a.to;
	struct sockaddr_in *in = (void *)&a.to;
	struct sockaddr_in6 *in6 = (void *)&a.to;

	if (how[strlen(how) - 1] == '4') {
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a.len = sizeof *in;
	} else if (how[strlen(how) - 1] == '6') {
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		a.len = sizeof *in6;
	} else {
		bool abstract = strcmp(how, "abstract") == 0;

		un->sun_family = AF_UNIX;
		snprintf(un->sun_path + abstract, 40, "fdtape.%d.socket", (int)getpid());
		a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(un->sun_path + abstract));
		if (!abstract)
			unlink(un->sun_path);
	}
	return a;
}

/* A socket that is bound there; the address then is the one that it got. */
static inline int address_bind(struct address *a, int type)
{
	int fd = socket(a->to.ss_family, type, 0);

	if (fd < 0 || bind(fd, (void *)&a->to, a->len) != 0) {
		if (a->to.ss_family == AF_INET6)
			truth_skip("no IPv6 here");
		truth_die("bind");
	}
	a->len = sizeof a->to;
	MUST(getsockname(fd, (void *)&a->to, &a->len) == 0);
	return fd;
}

static inline void address_forget(const struct address *a)
{
	const struct sockaddr_un *un = (const void *)&a->to;

	if (un->sun_family == AF_UNIX && un->sun_path[0])
		unlink(un->sun_path);
}

#endif
