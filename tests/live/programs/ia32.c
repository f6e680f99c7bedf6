/* SPDX-License-Identifier: BSD-2-Clause */

/* A 32-bit x86 program without a C library: reads 1000 bytes from fd 100 and writes them back. */

static long call3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

static char buffer[1000];

__attribute__((noreturn)) void _start(void);
void _start(void)
{
	long got = call3(3 /* read */, 100, (long)buffer, sizeof buffer);
	long sent = call3(4 /* write */, 100, (long)buffer, got);

	call3(1 /* exit */, got != sizeof buffer || sent != got, 0, 0);
	__builtin_unreachable();
}
