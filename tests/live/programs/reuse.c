/* SPDX-License-Identifier: BSD-2-Clause */

/* reuse N: N times the same two fd numbers: opened, used, closed, within microseconds. Each time is a flow. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "truth.h"

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10000;

	truth_open();
	for (int i = 0; i < n; i++) {
		struct end end[2];

		ends_open(end, "unix");
		end_write(&end[i & 1], 8);
		end_read(&end[!(i & 1)], 8);
		end_close(&end[0]);
		end_close(&end[1]);
	}
	return 0;
}
