/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * sendfile HOW [files]: from a regular file to a socket, from an offset that is given and from the file's own. The bytes
 * never are in the program's memory; the recorder rereads them. `files`: the file is recorded as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "pattern.h"
#include "truth.h"

static uint8_t buffer[200000];
static struct end end[2];
static int file, file_flow;
static uint64_t seed;

static void do_sendfile(off_t *offset, size_t n, size_t due, const char *flag)
{
	uint64_t at = (uint64_t)(offset ? *offset : lseek(file, 0, SEEK_CUR));
	ssize_t sent = sendfile(end[0].fd, file, offset, n);

	MUST(sent == (ssize_t)due);
	if (file_flow)
		truth_call(end[0].flow, "sendfile", sent, "a0=%d a1=@%d a2=%zu %s", file, file_flow, n, flag);
	else
		truth_call(end[0].flow, "sendfile", sent, "a0=%d a2=%zu %s", file, n, flag);
	truth_data(end[0].flow, OUT, seed, at, due);
	if (file_flow) {
		truth_call(file_flow, "sendfile", sent, "a0=%d a1=@%d a2=%zu any", end[0].fd, end[0].flow, n);
		truth_data(file_flow, IN, seed, at, due);
	}
	for (size_t got = 0; got < due;) {
		ssize_t n_read = read(end[1].fd, buffer, sizeof buffer);

		MUST(n_read > 0 && pattern_differs(buffer, (size_t)n_read, seed, at + got) == (size_t)n_read);
		truth_data(end[1].flow, IN, seed, at + got, (uint64_t)n_read);
		got += (size_t)n_read;
	}
}

int main(int argc, char **argv)
{
	off_t offset = 12345;

	truth_open();
	seed = truth_seed();
	file = open("sendfile.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(file >= 0);
	pattern_fill(buffer, sizeof buffer, seed, 0);
	if (argc > 2) {
		file_flow = truth_flow(file, "kind=file");
		truth_account(file_flow, IN);
		truth_data(file_flow, OUT, seed, 0, sizeof buffer);
	}
	truth_line("allow 11");
	MUST(write(file, buffer, sizeof buffer) == sizeof buffer && lseek(file, 100, SEEK_SET) == 100);
	ends_open(end, argv[1]);
	do_sendfile(&offset, 1000, 1000, "reread");
	MUST(offset == 13345);
	do_sendfile(NULL, 50000, 50000, "reread");
	do_sendfile(NULL, 70000, 70000, "reread");
	offset = sizeof buffer - 10;
	do_sendfile(&offset, 5000, 10, "reread");
	do_sendfile(&offset, 5000, 0, "");
	offset = 3;
	do_sendfile(&offset, 3, 3, "reread");
	end_close(&end[0]);
	end_close(&end[1]);
	close(file);
	/* The recorder reads it again when it empties its ring: the file has to be there for a moment. */
	usleep(200000);
	unlink("sendfile.data");
	return 0;
}
