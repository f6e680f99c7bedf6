/* SPDX-License-Identifier: BSD-2-Clause */

/* copy_range: copy_file_range() between two files: an account at both. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"
#include "truth.h"

static uint8_t buffer[50000];

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0);
	return fd;
}

int main(void)
{
	int from, to, from_flow, to_flow;
	off_t offset = 1000;
	uint64_t seed;
	ssize_t n;

	truth_open();
	seed = truth_seed();
	from = open_file("from.data");
	to = open_file("to.data");
	pattern_fill(buffer, sizeof buffer, seed, 0);
	from_flow = truth_flow(from, "kind=file preopened=0");
	to_flow = truth_flow(to, "kind=file preopened=0");
	truth_account(from_flow, IN);
	truth_account(to_flow, OUT);
	truth_line("allow 11");
	MUST(write(from, buffer, sizeof buffer) == sizeof buffer);
	truth_call(from_flow, "write", sizeof buffer, "a0=%zu", sizeof buffer);
	truth_data(from_flow, OUT, seed, 0, sizeof buffer);
	n = copy_file_range(from, &offset, to, NULL, 20000, 0);
	if (n < 0 && (errno == ENOSYS || errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL))
		truth_skip("copy_file_range: %s", strerror(errno));
	MUST(n == 20000);
	truth_call(from_flow, "copy_file_range", n, "a0=%d a1=@%d a2=20000", to, to_flow);
	truth_data(from_flow, IN, seed, 1000, 20000);
	truth_call(to_flow, "copy_file_range", n, "a0=%d a1=@%d a2=20000", from, from_flow);
	truth_data(to_flow, OUT, seed, 1000, 20000);
	MUST(lseek(to, 0, SEEK_SET) == 0);
	n = read(to, buffer, sizeof buffer);
	MUST(n == 20000 && pattern_differs(buffer, 20000, seed, 1000) == 20000);
	truth_call(to_flow, "read", n, "a0=%zu", sizeof buffer);
	truth_data(to_flow, IN, seed, 1000, 20000);
	close(from);
	close(to);
	unlink("from.data");
	unlink("to.data");
	return 0;
}
