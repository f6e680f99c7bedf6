/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef IOVECS_H
#define IOVECS_H

/* Buffers in pieces, for the programs of readv(), sendmsg() and their like. */
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#define IOVECS_MEMORY (256u << 10)

/* Cuts memory into n pieces of about `step` bytes, with gaps between them, at odd addresses; each fifth is empty, and so
 * is the last of several. Their bytes in all. */
static inline size_t iovecs_cut(struct iovec *iov, int n, uint8_t *memory, size_t step)
{
	size_t at = 1, len = 0;

	for (int i = 0; i < n; i++) {
		size_t size = n > 1 && (i % 5 == 2 || i == n - 1) ? 0 : step + (size_t)i % 3;

		iov[i].iov_base = size ? memory + at : NULL;
		iov[i].iov_len = size;
		at += size + 1 + (size_t)i % 7;
		len += size;
	}
	return len;
}

static inline void iovecs_scatter(const struct iovec *iov, int n, const uint8_t *from)
{
	for (int i = 0; i < n; from += iov[i++].iov_len)
		if (iov[i].iov_len)
			memcpy(iov[i].iov_base, from, iov[i].iov_len);
}

static inline void iovecs_gather(const struct iovec *iov, int n, uint8_t *to)
{
	for (int i = 0; i < n; to += iov[i++].iov_len)
		if (iov[i].iov_len)
			memcpy(to, iov[i].iov_base, iov[i].iov_len);
}

#endif
