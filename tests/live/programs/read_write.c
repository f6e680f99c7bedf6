/* SPDX-License-Identifier: BSD-2-Clause */

/* read_write HOW: read() and write() on a pair of ends (ends_open()): pieces, single bytes, nothing, the end. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "truth.h"

static void one_way(struct end *from, struct end *to)
{
	char byte;

	end_write(from, 1000);
	end_read(to, 600);
	end_read(to, 400);
	for (int i = 0; i < 100; i++)
		end_write(from, 1);
	for (int i = 0; i < 100; i++)
		end_read(to, 1);
	/* Page-sized and larger, at odd addresses. */
	for (size_t n = 4095; n <= 4097; n++) {
		end_write(from, n);
		end_read(to, n);
	}
	end_write(from, 40000);
	end_read(to, 40000);
	end_sent(from, "write", write(from->fd, &byte, 0), "a0=0");
}

int main(int argc, char **argv)
{
	struct end end[2];
	char byte;

	(void)argc;
	truth_open();
	ends_open(end, argv[1]);
	if (argv[1][0] == 'p') {
		one_way(&end[1], &end[0]);
	} else {
		one_way(&end[0], &end[1]);
		one_way(&end[1], &end[0]);
	}
	end_close(&end[1]);
	MUST(end_got(&end[0], "read", &byte, read(end[0].fd, &byte, 1), "a0=1") == 0);
	end_close(&end[0]);
	return 0;
}
