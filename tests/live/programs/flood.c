/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * flood SIZE COUNT THREADS: more than a small ring can take. What is lost is lost, but to the byte known: nothing here is
 * expected of single calls.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pattern.h"
#include "truth.h"

static size_t size, count;

static void *flood(void *unused)
{
	uint8_t *buffer = malloc(size), *other = malloc(size);
	struct end end[2];

	MUST(buffer && other);
	ends_open(end, "unix");
	for (size_t i = 0; i < count; i++) {
		struct end *from = &end[i & 1], *to = &end[!(i & 1)];
		size_t got = 0;

		pattern_fill(buffer, size, from->seed[OUT], from->at[OUT]);
		MUST(write(from->fd, buffer, size) == (ssize_t)size);
		from->at[OUT] += size;
		while (got < size) {
			ssize_t n = recv(to->fd, other, size - got, 0);

			MUST(n > 0);
			got += (size_t)n;
		}
		to->at[IN] += size;
	}
	for (int i = 0; i < 2; i++)
		for (int dir = 0; dir < 2; dir++)
			truth_data(end[i].flow, dir, end[i].seed[dir], 0, end[i].at[dir]);
	return unused;
}

int main(int argc, char **argv)
{
	int threads = argc > 3 ? atoi(argv[3]) : 1;
	pthread_t thread[16];

	MUST(argc > 2 && threads <= 16);
	size = (size_t)atol(argv[1]);
	count = (size_t)atol(argv[2]);
	truth_open();
	for (int i = 0; i < threads; i++)
		MUST(pthread_create(&thread[i], NULL, flood, NULL) == 0);
	for (int i = 0; i < threads; i++)
		MUST(pthread_join(thread[i], NULL) == 0);
	return 0;
}
