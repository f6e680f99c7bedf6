/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * threads own | shared | datagrams: 8 threads, each with a socket pair of its own; or 8 that write and 8 that read one
 * pair. Nobody can say in which order the messages of the shared one went: each must be there, whole, once.
 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pattern.h"
#include "truth.h"

#define THREADS  8
#define MESSAGES 400 /* of each thread */
#define SIZE     64

static struct end pair[2];

static void *own(void *unused)
{
	struct end end[2];

	ends_open(end, "unix");
	for (size_t i = 0; i < 150; i++) {
		end_write(&end[i % 2], 1 + i * 67 % 5000);
		end_read(&end[!(i % 2)], 1 + i * 67 % 5000);
	}
	/* The numbers may be another thread's before the calls have returned. */
	end_close_as(&end[0], "raced");
	end_close_as(&end[1], "raced");
	return unused;
}

static void *writer(void *number)
{
	uint64_t first = (uint64_t)(uintptr_t)number * MESSAGES;
	uint8_t message[SIZE];

	for (uint64_t i = first; i < first + MESSAGES; i++) {
		pattern_fill(message, SIZE, pair[0].seed[OUT], i * SIZE);
		MUST(write(pair[0].fd, message, SIZE) == SIZE);
	}
	return NULL;
}

static void *reader(void *unused)
{
	uint8_t message[SIZE];

	for (int i = 0; i < MESSAGES; i++)
		MUST(recv(pair[1].fd, message, SIZE, 0) == SIZE);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[2 * THREADS];
	bool alone = argc < 2 || strcmp(argv[1], "own") == 0;
	int n = 0;

	truth_open();
	if (!alone)
		ends_open(pair, strcmp(argv[1], "datagrams") == 0 ? "seqpacket" : "unix");
	for (uintptr_t i = 0; i < THREADS; i++) {
		MUST(pthread_create(&threads[n++], NULL, alone ? own : writer, (void *)i) == 0);
		if (!alone)
			MUST(pthread_create(&threads[n++], NULL, reader, NULL) == 0);
	}
	for (int i = 0; i < n; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	if (!alone) {
		truth_messages(pair[0].flow, OUT, SIZE, pair[0].seed[OUT], THREADS * MESSAGES);
		truth_messages(pair[1].flow, IN, SIZE, pair[0].seed[OUT], THREADS * MESSAGES);
		end_close(&pair[0]);
		end_close(&pair[1]);
	}
	return 0;
}
