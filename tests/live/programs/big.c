/* SPDX-License-Identifier: BSD-2-Clause */

/* big HOW BYTES CALL: one write (or writev of 7 iovecs, or sendto) of BYTES, however many, against a thread that reads. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "truth.h"

static struct end end[2];
static size_t bytes;

static void *reader(void *unused)
{
	uint8_t *buffer = malloc(1 << 20);

	MUST(buffer);
	while (end[1].at[IN] < bytes)
		MUST(end_got(&end[1], "read", buffer, read(end[1].fd, buffer, 1 << 20), "a0=%d", 1 << 20) > 0);
	return unused;
}

int main(int argc, char **argv)
{
	struct iovec iov[7];
	pthread_t thread;
	uint8_t *buffer;
	int64_t sent;

	if (argc < 4)
		return 2;
	truth_open();
	bytes = (size_t)atol(argv[2]);
	buffer = malloc(bytes + 1);
	MUST(buffer);
	ends_open(end, argv[1]);
	end_fill(&end[0], buffer, bytes);
	MUST(pthread_create(&thread, NULL, reader, NULL) == 0);
	if (strcmp(argv[3], "writev") == 0) {
		for (size_t i = 0; i < 7; i++) {
			iov[i].iov_base = buffer + bytes * i / 7;
			iov[i].iov_len = bytes * (i + 1) / 7 - bytes * i / 7;
		}
		sent = end_sent(&end[0], "writev", writev(end[0].fd, iov, 7), "a0=7");
	} else if (strcmp(argv[3], "sendto") == 0) {
		sent = end_sent(&end[0], "sendto", send(end[0].fd, buffer, bytes, 0), "a0=%zu a1=0", bytes);
	} else {
		sent = end_sent(&end[0], "write", write(end[0].fd, buffer, bytes), "a0=%zu", bytes);
	}
	MUST(sent == (int64_t)bytes);
	MUST(pthread_join(thread, NULL) == 0);
	end_close(&end[0]);
	end_close(&end[1]);
	return 0;
}
