/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
	uint64_t past_cache;
	struct written written;

	/* CLOCK_MONOTONIC ns */
	uint64_t ration;     /* for so long the disk may be waited for */
	uint64_t rationed;   /* when that was so */
	uint64_t left_until; /* the disk was too slow: until then it is left alone */
	uint64_t leave;      /* for how long, when it is too slow again */
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

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

/* Whether the disk may be waited for; what it may be waited for grows by the time that has passed. */
static bool may_wait(struct tape_file *f, uint64_t time)
{
	f->ration += (time - f->rationed) / SHARE;
	if (f->ration > RATION)
		f->ration = RATION;
	f->rationed = time;
	return time >= f->left_until;
}

/* The disk was waited for, from then on. */
static void count_wait(struct tape_file *f, uint64_t from)
{
	uint64_t time = now(), waited = time - from;

	may_wait(f, time);
	if (waited < f->ration) {
		f->ration -= waited;
		return;
	}
	if (time - f->left_until > LEAVE_MAX)
		f->leave = LEAVE;
	f->ration = RATION;
	f->left_until = time + f->leave;
	if (f->leave < LEAVE_MAX)
		f->leave *= 2;
}

/* Writes whole pages, where the file ends with one: how many bytes were written, maybe none. */
static size_t write_pages(struct tape_file *f, const uint8_t *data, size_t len)
{
	size_t done = 0;

	if (!set_direct(f, true)) {
		f->direct = false;
		return 0;
	}
	while (done < len && may_wait(f, now())) {
		size_t piece = len - done < PIECE ? len - done : PIECE;
		uint64_t from = now();
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
		count_wait(f, from);
	}
	/* Else each write is refused from now on, and says so. */
	set_direct(f, false);
	f->size += done;
	f->past_cache += done;
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

	if (f->direct && len >= WORTH && may_wait(f, now())) {
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
	struct stat st;
	void *pages;

	if (!f)
		return NULL;
	*f = (struct tape_file){.fd = fd, .ration = RATION, .rationed = now(), .leave = LEAVE};
	*sink = (struct fdtape_sink){.write = write_tape, .context = f};
	written_begin(&f->written, fd);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
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

uint64_t tape_file_past_cache(const struct tape_file *f)
{
	return f->past_cache;
}

void tape_file_free(struct tape_file *f)
{
	if (f && f->pages)
		munmap(f->pages, PIECE);
	free(f);
}
