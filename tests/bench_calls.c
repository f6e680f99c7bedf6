/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The load that `make bench-record` puts on a recorder where no server is needed. It obeys lines on stdin and answers
 * each with one on stdout, so that the same process can be measured with a recorder and without:
 *
 *   cost SIZE SECONDS       ns of a getppid, a write and a read of SIZE bytes on a socket, each by itself; medians
 *   rate SIZE N SECONDS     N events a second, writes and reads of SIZE bytes (0: as many as it can); tells how many
 *
 * The socket is a pair of its own: nothing of a network or of another process is in the figures.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_ 65536
#define BATCH     32 /* writes, then as many reads: what the socket's buffer can hold of 1 KiB */
#define SLICE_NS  200000

#define BATCHES_MAX 100000

static char buffer[SIZE_MAX_];
static int ends[2];

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void send_one(size_t size)
{
	if (write(ends[0], buffer, size) != (ssize_t)size)
		fail("write");
}

static void receive_one(size_t size)
{
	if (read(ends[1], buffer, size) != (ssize_t)size)
		fail("read");
}

static int by_time(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median of the batches: who else has the CPU at times does not show in it. */
static void cost(size_t size, double seconds)
{
	static uint32_t spent[3][BATCHES_MAX];
	uint64_t end = now() + (uint64_t)(seconds * 1e9);
	size_t n;

	for (n = 0; n < BATCHES_MAX && now() < end; n++) {
		uint64_t at[4];

		at[0] = now();
		for (int i = 0; i < BATCH; i++)
			syscall(SYS_getppid);
		at[1] = now();
		for (int i = 0; i < BATCH; i++)
			send_one(size);
		at[2] = now();
		for (int i = 0; i < BATCH; i++)
			receive_one(size);
		at[3] = now();
		for (int i = 0; i < 3; i++)
			spent[i][n] = (uint32_t)(at[i + 1] - at[i]);
	}
	for (int i = 0; i < 3; i++) {
		qsort(spent[i], n, sizeof spent[i][0], by_time);
		printf("%.2f%c", (double)spent[i][n / 2] / BATCH, i < 2 ? ' ' : '\n');
	}
}

/* Due events are made in slices; between them we sleep, so that a slow rate leaves the CPU alone. What can't be made in
 * time is not made up for. */
static void rate(size_t size, double a_second, double seconds)
{
	uint64_t begin = now(), end = begin + (uint64_t)(seconds * 1e9), at = begin, made = 0, told;

	while ((at = now()) < end) {
		uint64_t due = (uint64_t)((double)(at - begin) / 1e9 * a_second);

		if (a_second > 0 && made >= due) {
			struct timespec slice = {.tv_nsec = SLICE_NS};

			nanosleep(&slice, NULL);
			continue;
		}
		for (int i = 0; i < BATCH / 2; i++) {
			send_one(size);
			receive_one(size);
		}
		made += BATCH;
	}
	told = at - begin;
	printf("%.0f %llu\n", (double)made / ((double)told / 1e9), (unsigned long long)made);
}

int main(void)
{
	int room = 8 << 20;
	char line[128];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		fail("socketpair");
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	memset(buffer, 'x', sizeof buffer);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin)) {
		double seconds, a_second;
		unsigned size;

		if (sscanf(line, "cost %u %lf", &size, &seconds) == 2 && size && size <= SIZE_MAX_)
			cost(size, seconds);
		else if (sscanf(line, "rate %u %lf %lf", &size, &a_second, &seconds) == 3 && size && size <= SIZE_MAX_)
			rate(size, a_second, seconds);
		else
			fprintf(stderr, "bench_calls: what is '%s'?\n", strtok(line, "\n"));
	}
	return 0;
}
