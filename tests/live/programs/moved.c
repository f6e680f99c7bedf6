/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * moved: what is written comes from memory that another thread has the kernel move all the time, small pages into a big
 * one (MADV_COLLAPSE, Linux 6.1). Prints how many times that was done; status 2: this kernel doesn't.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define BIG   (2u << 20)
#define SMALL 4096
#define CALLS 30000
#define SIZE  100

static uint8_t *memory;
static atomic_bool over;
static unsigned moved;

/* A big page that loses a small one is small pages again. */
static bool move(void)
{
	madvise(memory, BIG, MADV_NOHUGEPAGE);
	madvise(memory + BIG - SMALL, SMALL, MADV_DONTNEED);
	memory[BIG - SMALL] = 1;
	madvise(memory, BIG, MADV_HUGEPAGE);
	return madvise(memory, BIG, MADV_COLLAPSE) == 0;
}

static void *mover(void *unused)
{
	while (!over)
		moved += move();
	return unused;
}

int main(void)
{
	uint8_t *room = mmap(NULL, 2 * BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), got[SIZE];
	pthread_t thread;
	int end[2];

	if (room == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, end) != 0)
		return 1;
	memory = room + (BIG - (uintptr_t)room % BIG);
	memset(memory, 7, BIG);
	if (!move())
		return 2;
	if (pthread_create(&thread, NULL, mover, NULL) != 0)
		return 1;
	for (int i = 0; i < CALLS; i++)
		if (write(end[0], memory + i % 1000, SIZE) != SIZE || read(end[1], got, SIZE) != SIZE)
			return 1;
	over = true;
	pthread_join(thread, NULL);
	printf("%u\n", moved);
	return 0;
}
