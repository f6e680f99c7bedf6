/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/reader_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t source_fd_read(void *context, void *buffer, size_t len)
{
	const struct reader_fd *source = context;
	ssize_t n;

	do
		n = read(source->fd, buffer, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? FDTAPE_ERR_SYSTEM : n;
}

static int64_t source_fd_read_at(void *context, uint64_t offset, void *buffer, size_t len)
{
	const struct reader_fd *source = context;
	ssize_t n;

	do
		n = pread(source->fd, buffer, len, (off_t)(source->begin + offset));
	while (n < 0 && errno == EINTR);
	return n < 0 ? FDTAPE_ERR_SYSTEM : n;
}

static struct fdtape_reader *new_reader(void)
{
	struct fdtape_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	if (!group_init(&r->group, &r->diag, &r->choice)) {
		fdtape_reader_free(r);
		return NULL;
	}
	r->walker.diag = &r->diag;
	r->walker.stats = &r->stats;
	r->guide =
	        (struct guide){.walker = &r->walker, .zstd = r->group.zstd, .choice = &r->choice, .stats = &r->stats};
	return r;
}

int fdtape_reader_open(struct fdtape_reader **reader, const struct fdtape_source *source)
{
	struct fdtape_reader *r;

	if (!reader || !source || !source->read)
		return FDTAPE_ERR_USAGE;
	r = new_reader();
	if (!r)
		return FDTAPE_ERR_MEMORY;
	window_of_source(&r->walker.window, source);
	*reader = r;
	return 0;
}

int fdtape_reader_open_fd(struct fdtape_reader **reader, int fd)
{
	struct fdtape_source source;
	struct fdtape_reader *r;
	struct stat st;
	off_t begin;

	if (!reader || fd < 0)
		return FDTAPE_ERR_USAGE;
	r = new_reader();
	if (!r)
		return FDTAPE_ERR_MEMORY;
	r->fd.fd = fd;
	source = (struct fdtape_source){.read = source_fd_read, .context = &r->fd};
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		begin = lseek(fd, 0, SEEK_CUR);
		if (begin >= 0 && begin < st.st_size) {
			r->fd.begin = (uint64_t)begin;
			source.read_at = source_fd_read_at;
			source.size = (uint64_t)(st.st_size - begin);
		}
	}
	window_of_source(&r->walker.window, &source);
	*reader = r;
	return 0;
}

int fdtape_reader_open_memory(struct fdtape_reader **reader, const void *data, size_t len)
{
	struct fdtape_reader *r;

	if (!reader || (!data && len > 0))
		return FDTAPE_ERR_USAGE;
	r = new_reader();
	if (!r)
		return FDTAPE_ERR_MEMORY;
	window_of_memory(&r->walker.window, data, len);
	*reader = r;
	return 0;
}

int reader_give(struct fdtape_reader *r, struct fdtape_item *item)
{
	int rc;

	if (r->final) {
		errno = r->final_errno;
		return r->final;
	}
	r->diag.text[0] = 0;
	rc = reader_next(r, item);
	if (rc < 0)
		r->damaged = true;
	if (rc < 0 && rc != FDTAPE_ERR_DAMAGED && rc != FDTAPE_ERR_LIMIT && rc != FDTAPE_ERR_TRUNCATED) {
		r->final = rc;
		r->final_errno = errno;
		if (!r->diag.text[0])
			diag_say(&r->diag, rc, "at offset %" PRIu64 ": %s", r->walker.window.offset,
			         fdtape_strerror(rc));
	}
	return rc;
}

int fdtape_reader_next(struct fdtape_reader *r, struct fdtape_item *item)
{
	if (!r || !item)
		return FDTAPE_ERR_USAGE;
	if (r->wants_ahead && !r->ahead) {
		r->ahead = ahead_new(r);
		r->wants_ahead = r->ahead; /* else it goes without */
	}
	return r->ahead ? ahead_next(r->ahead, item) : reader_give(r, item);
}

int fdtape_reader_ahead(struct fdtape_reader *r)
{
	if (!r || r->ahead || r->begun || r->final)
		return FDTAPE_ERR_USAGE;
	r->wants_ahead = true;
	return 0;
}

int fdtape_reader_choose(struct fdtape_reader *r, const struct fdtape_choice *choice)
{
	int rc;

	if (!r || !choice || r->ahead || r->begun || r->final)
		return FDTAPE_ERR_USAGE;
	rc = choice_make(&r->choice, choice);
	if (rc || r->walker.window.size == 0)
		return rc;
	r->walker.window.sparing = true;
	r->walker.wants = group_wants;
	r->walker.wants_context = &r->choice;
	return 0;
}

int fdtape_reader_totals(struct fdtape_reader *r, struct fdtape_totals *totals, uint64_t *sections)
{
	struct places places = {0};
	int rc;

	if (!r || !totals || r->ahead || r->walker.window.size == 0)
		return FDTAPE_ERR_USAGE;
	rc = places_find(&places, &r->walker.window);
	*totals = (struct fdtape_totals){0};
	for (size_t i = 0; i < places.n && rc == 0; i++)
		totals_add(totals, &places.place[i].totals);
	if (sections)
		*sections = places.n;
	if (rc == 0)
		rc = places.whole;
	places_release(&places);
	return rc;
}

const char *fdtape_reader_message(const struct fdtape_reader *r)
{
	if (r && r->ahead)
		return ahead_message(r->ahead);
	return r ? r->diag.text : "";
}

const struct fdtape_meta *fdtape_reader_meta(const struct fdtape_reader *r, size_t index)
{
	if (r && r->ahead)
		return ahead_meta(r->ahead, index);
	return r && index < r->section.n_meta ? &r->section.meta[index] : NULL;
}

const char *fdtape_reader_meta_get(const struct fdtape_reader *r, const char *key)
{
	const struct fdtape_meta *meta;

	for (size_t i = 0; key && (meta = fdtape_reader_meta(r, i)); i++)
		if (strcmp(meta->key, key) == 0)
			return meta->value;
	return NULL;
}

int fdtape_reader_section(const struct fdtape_reader *r, struct fdtape_section_info *info)
{
	if (r && info && r->ahead)
		return ahead_section(r->ahead, info) ? 0 : FDTAPE_ERR_USAGE;
	if (!r || !info || r->stats.sections == 0)
		return FDTAPE_ERR_USAGE;
	*info = r->section.info;
	return 0;
}

struct fdtape_reader_stats reader_stats(const struct fdtape_reader *r)
{
	struct fdtape_reader_stats stats = r->stats;

	stats.input_bytes = r->walker.window.read;
	return stats;
}

void fdtape_reader_stats(const struct fdtape_reader *r, struct fdtape_reader_stats *stats)
{
	if (!r || !stats)
		return;
	if (r->ahead)
		ahead_stats(r->ahead, stats);
	else
		*stats = reader_stats(r);
}

void fdtape_reader_free(struct fdtape_reader *r)
{
	if (!r)
		return;
	ahead_free(r->ahead);
	window_release(&r->walker.window);
	section_release(&r->section);
	group_release(&r->group);
	choice_release(&r->choice);
	live_release(&r->live);
	bytebuf_release(&r->snapshot_body);
	places_release(&r->places);
	guide_release(&r->guide);
	free(r);
}
