/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * mmsg HOW: sendmmsg() and recvmmsg(): several messages of several iovecs, fewer than asked for, and one alone. HOW is
 * "dgram" or "seqpacket", where a message is a message.
 */
#include <string.h>
#include <sys/socket.h>

#include "iovecs.h"
#include "pattern.h"
#include "truth.h"

#define MESSAGES 40

static uint8_t memory[MESSAGES][8192];

static void round_trip(struct end *from, struct end *to, unsigned n, unsigned room, int iovecs)
{
	struct iovec iov[MESSAGES][8];
	struct mmsghdr messages[MESSAGES];
	uint8_t whole[8192];
	uint64_t sent = 0, got = 0;

	memset(messages, 0, sizeof messages);
	for (unsigned i = 0; i < MESSAGES; i++) {
		size_t len = iovecs_cut(iov[i], iovecs, memory[i], 50 + i);

		messages[i].msg_hdr.msg_iov = iov[i];
		messages[i].msg_hdr.msg_iovlen = (size_t)iovecs;
		if (i >= n)
			continue;
		pattern_fill(whole, len, from->seed[OUT], from->at[OUT] + sent);
		iovecs_scatter(iov[i], iovecs, whole);
		sent += len;
	}
	MUST(sendmmsg(from->fd, messages, n, 0) == (int)n);
	truth_call(from->flow, "sendmmsg", (int64_t)n, "a0=%d a1=0", iovecs);
	truth_data(from->flow, OUT, from->seed[OUT], from->at[OUT], sent);
	memset(memory, 0, sizeof memory);
	MUST(recvmmsg(to->fd, messages, room, MSG_DONTWAIT, NULL) == (int)n);
	for (unsigned i = 0; i < n; i++) {
		size_t len = messages[i].msg_len;

		iovecs_gather(iov[i], iovecs, whole);
		MUST(pattern_differs(whole, len, to->seed[IN], to->at[IN] + got) == len);
		got += len;
	}
	MUST(got == sent);
	truth_call(to->flow, "recvmmsg", (int64_t)n, "a0=%d a1=%d", iovecs, MSG_DONTWAIT);
	truth_data(to->flow, IN, to->seed[IN], to->at[IN], got);
	from->at[OUT] += sent;
	to->at[IN] += got;
}

int main(int argc, char **argv)
{
	struct mmsghdr none = {.msg_len = 0};
	struct end end[2];

	(void)argc;
	truth_open();
	ends_open(end, argv[1]);
	for (int i = 0; i < 2; i++) {
		round_trip(&end[i], &end[!i], 1, 1, 1);
		round_trip(&end[i], &end[!i], 5, 8, 3);
		round_trip(&end[i], &end[!i], 10, MESSAGES, 8);
		round_trip(&end[i], &end[!i], 7, 7, 1);
		truth_call(end[i].flow, "recvmmsg", recvmmsg(end[i].fd, &none, 1, MSG_DONTWAIT, NULL), "a1=%d",
		           MSG_DONTWAIT);
	}
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
