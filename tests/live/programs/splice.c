/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * splice [pipes]: socket to pipe to socket, tee, vmsplice both ways. Of what the kernel moved itself the account is due,
 * to the byte; what vmsplice moves is in the program's memory. `pipes`: they are recorded as well.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pattern.h"
#include "truth.h"

static bool pipes;

static void open_pipe(struct end end[static 2])
{
	int fds[2];

	MUST(pipe2(fds, O_CLOEXEC) == 0);
	for (int i = 0; i < 2; i++) {
		end[i].fd = fds[i];
		end[i].flow = pipes ? truth_flow(fds[i], "kind=pipe preopened=0") : 0;
	}
	ends_join(&end[0], &end[1]);
}

/* n bytes went from one end to another, within the kernel. They are those that `from` was to read. */
static void moved(const char *name, struct end *from, struct end *to, int64_t n, size_t asked, bool consumed)
{
	MUST(n > 0);
	if (from->flow) {
		if (to->flow)
			truth_call(from->flow, name, n, "a0=%d a1=@%d a2=%zu %s", to->fd, to->flow, asked,
			           consumed ? "" : "peek");
		else
			truth_call(from->flow, name, n, "a0=%d a2=%zu %s", to->fd, asked, consumed ? "" : "peek");
		if (consumed)
			truth_data(from->flow, IN, from->seed[IN], from->at[IN], (uint64_t)n);
	}
	if (to->flow) {
		if (from->flow)
			truth_call(to->flow, name, n, "a0=%d a1=@%d a2=%zu", from->fd, from->flow, asked);
		else
			truth_call(to->flow, name, n, "a0=%d a2=%zu", from->fd, asked);
		truth_data(to->flow, OUT, from->seed[IN], from->at[IN], (uint64_t)n);
	}
	if (consumed)
		from->at[IN] += (uint64_t)n;
}

static void take(struct end *e, size_t n)
{
	static uint8_t buffer[65536];
	ssize_t got;

	fd_arrived(e->fd, n);
	got = read(e->fd, buffer, n);
	MUST(got == (ssize_t)n);
	MUST(pattern_differs(buffer, n, e->seed[IN], e->at[IN]) == n);
	if (e->flow) {
		truth_call(e->flow, "read", got, "a0=%zu", n);
		truth_data(e->flow, IN, e->seed[IN], e->at[IN], n);
	}
	e->at[IN] += n;
}

static void through_pipe(void)
{
	struct end a[2], b[2], pipe1[2], pipe2[2];

	ends_open(a, "unix");
	ends_open(b, "tcp4");
	open_pipe(pipe1);
	open_pipe(pipe2);
	truth_account(a[1].flow, IN);
	truth_account(b[0].flow, OUT);
	if (pipes) {
		truth_account(pipe1[0].flow, IN);
		truth_account(pipe1[1].flow, OUT);
		truth_account(pipe2[1].flow, OUT);
	}
	end_write(&a[0], 30000);
	/* What goes through the pipe, and what comes out of b, is what a was sent. */
	pipe1[0].seed[IN] = pipe2[0].seed[IN] = b[1].seed[IN] = a[1].seed[IN];
	moved("splice", &a[1], &pipe1[1], splice(a[1].fd, NULL, pipe1[1].fd, NULL, 20000, 0), 20000, true);
	MUST(a[1].at[IN] == 20000);
	moved("tee", &pipe1[0], &pipe2[1], tee(pipe1[0].fd, pipe2[1].fd, 5000, 0), 5000, false);
	moved("splice", &pipe1[0], &b[0], splice(pipe1[0].fd, NULL, b[0].fd, NULL, 65536, SPLICE_F_MORE), 65536, true);
	MUST(pipe1[0].at[IN] == 20000);
	end_read(&a[1], 10000);
	end_write(&b[0], 0);
	take(&b[1], 20000);
	take(&pipe2[0], 5000);
	for (int i = 0; i < 2; i++) {
		end_close(&a[i]);
		end_close(&b[i]);
		close(pipe1[i].fd);
		close(pipe2[i].fd);
	}
}

static void from_memory(void)
{
	static uint8_t memory[8192], other[8192];
	struct iovec iov[3] = {{memory, 1000}, {NULL, 0}, {memory + 1000, 3000}};
	struct end end[2];

	open_pipe(end);
	end_fill(&end[1], memory, 4000);
	MUST(end_sent(&end[1], "vmsplice", vmsplice(end[1].fd, iov, 3, 0), "a0=3 a1=0") == 4000);
	iov[0] = (struct iovec){other, 1500};
	MUST(end_got(&end[0], "vmsplice", other, vmsplice(end[0].fd, iov, 1, 0), "a0=1 a1=0") == 1500);
	take(&end[0], 2500);
	end_close(&end[0]);
	end_close(&end[1]);
}

int main(int argc, char **argv)
{
	(void)argv;
	truth_open();
	truth_line("allow 11");
	pipes = argc > 1;
	through_pipe();
	if (pipes)
		from_memory();
	return 0;
}
