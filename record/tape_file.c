/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/now.h"
#include "record/written.h"

#define PAGE      4096                /* what offset and length must be a multiple of: enough for any disk */
#define PIECE     ((size_t)1 << 20)   /* what is written at once */
#define WORTH     ((size_t)256 << 10) /* less than this goes through the cache, where the disk can gather it */
#define RATION    200000000           /* ns of waiting at a stretch */
#define SHARE     2                   /* one in so many of the time may be waited */
#define LEAVE     1000000000          /* ns, at first */
#define LEAVE_MAX ((uint64_t)64 * LEAVE)

struct tape_file {
	int fd;
	bool direct;    /* whole pages can go past the cache, as far as is known */
	uint64_t size;  /* of the file */
	uint8_t *pages; /* PIECE bytes, which what goes there passes through */
	struct written written;

	/* CLOCK_MONOTONIC ns */
	uint64_t ration;     /* for so long the disk may be waited for */
	uint64_t rationed;   /* when that was so */
	uint64_t left_until; /* the disk was too slow: until then it is left alone */
	uint64_t leave;      /* for how long, when it is too slow again */
};

/* ---- the plain way ---------------------------------------------------------------------------------------------- */

static int write_all(struct tape_file *f, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(f->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return FDTAPE_ERR_SYSTEM;
		}
		f->size += (size_t)n;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- past the cache --------------------------------------------------------------------------------------------- */

static bool set_direct(const struct tape_file *f, bool on)
{
	int flags = fcntl(f->fd, F_GETFL);

	return flags >= 0 && fcntl(f->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* The disk was waited for, from then on; whether it may be again. For how long it may grows by the time that passes. */
static bool count_wait(struct tape_file *f, uint64_t from)
{
	uint64_t time = now_of(CLOCK_MONOTONIC), waited = time - from;

	f->ration += (time - f->rationed) / SHARE;
	if (f->ration > RATION)
		f->ration = RATION;
	f->rationed = time;
	if (waited < f->ration) {
		f->ration -= waited;
		return true;
	}
	if (time - f->left_until > LEAVE_MAX)
		f->leave = LEAVE;
	f->ration = RATION;
	f->left_until = time + f->leave;
	if (f->leave < LEAVE_MAX)
		f->leave *= 2;
	return false;
}

/* Writes whole pages, where the file ends with one: how many bytes were written, maybe none. */
static size_t write_pages(struct tape_file *f, const uint8_t *data, size_t len)
{
	size_t done = 0;

	if (!set_direct(f, true)) {
		f->direct = false;
		return 0;
	}
	while (done < len) {
		size_t piece = len - done < PIECE ? len - done : PIECE;
		uint64_t from = now_of(CLOCK_MONOTONIC);
		ssize_t n;

		memcpy(f->pages, data + done, piece);
		n = write(f->fd, f->pages, piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			done += (size_t)n;
		/* A limit, a full disk, or a file system that can't: the plain way finds out which. */
		if (n != (ssize_t)piece) {
			f->direct = false;
			break;
		}
		if (!count_wait(f, from))
			break;
	}
	/* If that fails, each write is refused from now on, and says so. */
	set_direct(f, false);
	f->size += done;
	written_skip(&f->written, f->size);
	return done;
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

static int write_tape(void *context, const void *data, size_t len)
{
	struct tape_file *f = context;
	const uint8_t *p = data;
	size_t to_page = (size_t)(-f->size % PAGE), n;
	int rc;

	if (f->direct && len >= WORTH && now_of(CLOCK_MONOTONIC) >= f->left_until) {
		rc = write_all(f, p, to_page);
		if (rc)
			return rc;
		n = to_page + write_pages(f, p + to_page, (len - to_page) / PAGE * PAGE);
		p += n;
		len -= n;
	}
	return write_all(f, p, len);
}

static int cut_tape(void *context, uint64_t size)
{
	struct tape_file *f = context;

	if (ftruncate(f->fd, (off_t)size) || lseek(f->fd, (off_t)size, SEEK_SET) != (off_t)size)
		return FDTAPE_ERR_SYSTEM;
	f->size = size;
	return 0;
}

struct tape_file *tape_file_new(int fd, struct fdtape_sink *sink)
{
	struct tape_file *f = calloc(1, sizeof(*f));
	void *pages;

	if (!f)
		return NULL;
	*f = (struct tape_file){.fd = fd, .ration = RATION, .rationed = now_of(CLOCK_MONOTONIC), .leave = LEAVE};
	*sink = (struct fdtape_sink){.write = write_tape, .context = f};
	written_begin(&f->written, fd);
	if (f->written.fd < 0) /* not a regular file */
		return f;
	sink->cut = cut_tape;
	pages = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages != MAP_FAILED) {
		f->pages = pages;
		f->direct = true;
	}
	return f;
}

void tape_file_tend(struct tape_file *f)
{
	written_to(&f->written, f->size);
}

void tape_file_free(struct tape_file *f)
{
	if (f && f->pages)
		munmap(f->pages, PIECE);
	free(f);
}
