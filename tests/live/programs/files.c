/* SPDX-License-Identifier: BSD-2-Clause */

/* files: a regular file by read, write, pread64, pwrite64, readv, writev, preadv, pwritev, preadv2, pwritev2. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iovecs.h"
#include "pattern.h"
#include "truth.h"

static uint8_t memory[IOVECS_MEMORY], whole[IOVECS_MEMORY];

/* What is read from a file is not what was written last: the place says what it is. The file is one pattern. */
static uint64_t file_seed;

static void told(int flow, int dir, const char *name, int64_t result, uint64_t at, const char *args)
{
	truth_call(flow, name, result, "%s", args);
	MUST(result > 0);
	truth_data(flow, dir, file_seed, at, (uint64_t)result);
	if (dir == IN)
		MUST(pattern_differs(whole, (size_t)result, file_seed, at) == (size_t)result);
}

static void vectors(int fd, int flow)
{
	struct iovec iov[100];
	size_t len = iovecs_cut(iov, 100, memory, 41);

#define FILLED(at) (pattern_fill(whole, len, file_seed, (at)), iovecs_scatter(iov, 100, whole))
#define READ(name, at, call, args)                     \
	do {                                           \
		ssize_t n = (call);                    \
		iovecs_gather(iov, 100, whole);        \
		told(flow, IN, name, n, (at), (args)); \
	} while (0)
	FILLED(0);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	told(flow, OUT, "writev", writev(fd, iov, 100), 0, "a0=100");
	FILLED(5000);
	told(flow, OUT, "pwritev", pwritev(fd, iov, 100, 5000), 5000, "a0=100 a1=5000");
	FILLED(10000);
	told(flow, OUT, "pwritev2", pwritev2(fd, iov, 100, 10000, RWF_DSYNC), 10000, "a0=100 a1=10000 a2=2");
	MUST(lseek(fd, 3, SEEK_SET) == 3);
	READ("readv", 3, readv(fd, iov, 90), "a0=90");
	READ("preadv", 5003, preadv(fd, iov, 90, 5003), "a0=90 a1=5003");
	READ("preadv2", 10003, preadv2(fd, iov, 90, 10003, RWF_HIPRI), "a0=90 a1=10003 a2=1");
	/* -1: at the file's own position, and it moves. */
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	READ("preadv2", 0, preadv2(fd, iov, 50, -1, 0), "a0=50 a1=-1 a2=0");
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "files.data";
	uint64_t big = UINT64_C(5) << 32; /* an offset that has more than 32 bits */
	int fd, flow;

	truth_open();
	file_seed = truth_seed();
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0);
	flow = truth_flow(fd, "kind=file preopened=0 end=closed");
	pattern_fill(whole, 20000, file_seed, 0);
	told(flow, OUT, "write", write(fd, whole, 20000), 0, "a0=20000");
	pattern_fill(whole, 7000, file_seed, 20000);
	told(flow, OUT, "pwrite64", pwrite(fd, whole, 7000, 20000), 20000, "a0=7000 a1=20000");
	told(flow, IN, "pread64", pread(fd, whole, 9000, 123), 123, "a0=9000 a1=123");
	MUST(lseek(fd, 19000, SEEK_SET) == 19000);
	told(flow, IN, "read", read(fd, whole, 9000), 19000, "a0=9000"); /* 8000: to its end */
	truth_call(flow, "read", read(fd, whole, 10), "a0=10");
	pattern_fill(whole, 10, file_seed, big);
	if (pwrite(fd, whole, 10, (off_t)big) == 10) { /* not where a file system is too small */
		told(flow, OUT, "pwrite64", 10, big, "a0=10 a1=21474836480");
		told(flow, IN, "pread64", pread(fd, whole, 10, (off_t)big), big, "a0=10 a1=21474836480");
	}
	truth_call(flow, "pread64", pread(fd, whole, 10, -1), "a0=10 a1=-1"); /* EINVAL */
	vectors(fd, flow);
	truth_call(flow, "close", close(fd), "%s", "");
	unlink(path);
	return 0;
}
