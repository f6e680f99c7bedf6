/* SPDX-License-Identifier: BSD-2-Clause */

/* copies HOW: dup, dup2, dup3, fcntl(F_DUPFD, F_DUPFD_CLOEXEC): each copy is a flow of its own, with its own offsets. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "truth.h"

static struct end original[2];
static const char *copy_words;

/* The copy carries 100 bytes each way. In the stream they stand behind what the other copies carried. */
static void use(struct end *copy)
{
	struct end *a = &original[0], *b = &original[1];

	copy->at[OUT] = b->at[IN];
	copy->seed[OUT] = b->seed[IN];
	copy->at[IN] = b->at[OUT];
	copy->seed[IN] = b->seed[OUT];
	end_write(copy, 100);
	end_read(b, 100);
	end_write(b, 100);
	end_read(copy, 100);
	a->at[OUT] = copy->at[OUT];
	a->at[IN] = copy->at[IN];
}

static struct end copied(int fd)
{
	struct end copy = {.fd = fd};

	MUST(fd >= 0);
	copy.flow = truth_flow(fd, copy_words);
	return copy;
}

int main(int argc, char **argv)
{
	struct end copy[6], other[2];
	int n = 0, fd;

	(void)argc;
	truth_open();
	ends_open(original, argv[1]);
	copy_words = argv[1][0] == 't' ? "kind=socket proto=tcp role=client preopened=0 inherited=1 end=closed"
	                               : "kind=socket proto=unix role=unknown preopened=0 inherited=1 end=closed";
	fd = original[0].fd;
	use(&original[0]);

	copy[n] = copied(dup(fd));
	truth_call(original[0].flow, "dup", copy[n].fd, "a0=@%d", copy[n].flow);
	use(&copy[n++]);
	copy[n] = copied(dup2(fd, 50));
	truth_call(original[0].flow, "dup2", 50, "a0=@%d", copy[n].flow);
	use(&copy[n++]);
	copy[n] = copied(dup3(fd, 51, O_CLOEXEC));
	truth_call(original[0].flow, "dup3", 51, "a0=@%d a1=%d", copy[n].flow, O_CLOEXEC);
	use(&copy[n++]);
	copy[n] = copied(fcntl(fd, F_DUPFD, 60));
	truth_call(original[0].flow, "fcntl", 60, "a0=%d a1=60 a2=@%d", F_DUPFD, copy[n].flow);
	use(&copy[n++]);
	copy[n] = copied(fcntl(fd, F_DUPFD_CLOEXEC, 70));
	truth_call(original[0].flow, "fcntl", 70, "a0=%d a1=70 a2=@%d", F_DUPFD_CLOEXEC, copy[n].flow);
	use(&copy[n++]);
	/* Of a copy, and it is the original that is used in between. */
	use(&original[0]);
	copy[n] = copied(fcntl(copy[0].fd, F_DUPFD, 80));
	truth_call(copy[0].flow, "fcntl", 80, "a0=%d a1=80 a2=@%d", F_DUPFD, copy[n].flow);
	use(&copy[n++]);
	/* What was open at the number is closed by it. */
	ends_open(other, "unix");
	end_write(&other[0], 10);
	end_read(&other[1], 10);
	end_close(&copy[0]);
	copy[0] = copied(dup2(fd, other[0].fd));
	truth_call(original[0].flow, "dup2", other[0].fd, "a0=@%d", copy[0].flow);
	use(&copy[0]);
	end_close(&other[1]);
	/* Onto itself: nothing comes of it. */
	truth_call(original[0].flow, "dup2", dup2(fd, fd), "a0=@%d", original[0].flow);
	use(&original[0]);
	/* The original ends, its copies do not. */
	end_close(&original[0]);
	for (int i = 0; i < n; i++) {
		use(&copy[i]);
		end_close(&copy[i]);
	}
	end_close(&original[1]);
	return 0;
}
