/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * uring: send, recv, read, write, accept by io_uring, with nothing but its system calls. No byte is silently absent:
 * payload where the recorder can have it, the account always.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addresses.h"
#include "truth.h"

static struct {
	int fd;
	_Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
	uint32_t *sq_array, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} ring;

static void open_ring(void)
{
	struct io_uring_params p = {.flags = 0};
	uint8_t *memory;
	size_t sq, cq;

	ring.fd = (int)syscall(SYS_io_uring_setup, 8, &p);
	if (ring.fd < 0)
		truth_skip("io_uring_setup: %s", strerror(errno));
	if (!(p.features & IORING_FEAT_SINGLE_MMAP))
		truth_skip("io_uring is too old here");
	sq = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
	cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	memory = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, p.sq_entries * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
	                 IORING_OFF_SQES);
	MUST(memory != MAP_FAILED && ring.sqes != MAP_FAILED);
	ring.sq_tail = (void *)(memory + p.sq_off.tail);
	ring.sq_array = (void *)(memory + p.sq_off.array);
	memcpy(&ring.sq_mask, memory + p.sq_off.ring_mask, 4);
	ring.cq_head = (void *)(memory + p.cq_off.head);
	ring.cq_tail = (void *)(memory + p.cq_off.tail);
	ring.cqes = (void *)(memory + p.cq_off.cqes);
	memcpy(&ring.cq_mask, memory + p.cq_off.ring_mask, 4);
}

static void submit(uint8_t opcode, int fd, const void *buffer, uint32_t len)
{
	uint32_t tail = atomic_load(ring.sq_tail), i = tail & ring.sq_mask;
	struct io_uring_sqe *sqe = &ring.sqes[i];

	memset(sqe, 0, sizeof *sqe);
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = len;
	sqe->user_data = opcode;
	ring.sq_array[i] = i;
	atomic_store(ring.sq_tail, tail + 1);
	MUST(syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0) == 1);
}

static int64_t complete(void)
{
	uint32_t head = atomic_load(ring.cq_head);
	int64_t result;

	while (atomic_load(ring.cq_tail) == head)
		MUST(syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
	result = ring.cqes[head & ring.cq_mask].res;
	atomic_store(ring.cq_head, head + 1);
	if (result == -EINVAL)
		truth_skip("an operation that this kernel's io_uring has not");
	return result;
}

int main(void)
{
	static uint8_t out[5000], in[5000];
	struct address a = address_of("tcp4");
	struct end end[2], late[2];
	int listener, flow;

	truth_open();
	open_ring();
	/* What could not be read of it is told of, by one reason or another. */
	truth_line("allow 11");
	truth_line("allow 12");
	ends_open(end, "unix");
	for (int i = 0; i < 2; i++) {
		truth_account(end[i].flow, IN);
		truth_account(end[i].flow, OUT);
	}
	end_fill(&end[0], out, 3000);
	submit(IORING_OP_SEND, end[0].fd, out, 3000);
	MUST(end_sent(&end[0], "io_uring_send", complete(), "a0=3000") == 3000);
	submit(IORING_OP_RECV, end[1].fd, in, 5000);
	MUST(end_got(&end[1], "io_uring_recv", in, complete(), "a0=5000") == 3000);
	end_fill(&end[1], out, 2000);
	submit(IORING_OP_WRITE, end[1].fd, out, 2000);
	MUST(end_sent(&end[1], "io_uring_write", complete(), "a0=2000") == 2000);
	submit(IORING_OP_READ, end[0].fd, in, 5000);
	MUST(end_got(&end[0], "io_uring_read", in, complete(), "a0=5000") == 2000);
	/* Asked for before there is anything. */
	submit(IORING_OP_RECV, end[1].fd, in, 400);
	end_write(&end[0], 400);
	MUST(end_got(&end[1], "io_uring_recv", in, complete(), "a0=400") == 400);
	/* And by both ways in turn. */
	end_write(&end[0], 100);
	submit(IORING_OP_READ, end[1].fd, in, 60);
	MUST(end_got(&end[1], "io_uring_read", in, complete(), "a0=60") == 60);
	end_read(&end[1], 40);

	listener = address_bind(&a, SOCK_STREAM);
	MUST(listen(listener, 1) == 0);
	flow = truth_flow(listener, "kind=socket proto=tcp role=server listens=1 preopened=0");
	late[0].fd = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(late[0].fd, (void *)&a.to, a.len) == 0);
	submit(IORING_OP_ACCEPT, listener, NULL, 0);
	late[1].fd = (int)complete();
	MUST(late[1].fd >= 0);
	late[0].flow = truth_flow(late[0].fd, "kind=socket proto=tcp role=client preopened=0");
	late[1].flow = truth_flow(late[1].fd, "kind=socket proto=tcp role=server preopened=0");
	truth_addresses(late[1].flow, late[1].fd);
	truth_call(flow, "io_uring_accept", late[1].fd, "a0=@%d", late[1].flow);
	ends_join(&late[0], &late[1]);
	end_write(&late[1], 10);
	end_read(&late[0], 10);
	for (int i = 0; i < 2; i++) {
		end_close(&end[i]);
		end_close(&late[i]);
	}
	return 0;
}
