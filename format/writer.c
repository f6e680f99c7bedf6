/* SPDX-License-Identifier: BSD-2-Clause */
#include <fdtape/writer.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/columns.h"
#include "format/emitter.h"
#include "format/payload.h"
#include "format/records.h"
#include "format/section.h"

/* A group is closed at one of these. */
#define GROUP_PAYLOAD      (8u << 20)
#define GROUP_EVENTS       EVENTS_MAX
#define GROUP_RECORDS      65536u
#define GROUP_RECORD_BYTES (4u << 20)

#define DEFAULT_LEVEL 1

/* The blocks of records, in the order of their writing. */
enum {
	SECRETS,
	DEFS,
	LOSS,
	N_RECORD_BLOCKS
};

struct fdtape_writer {
	struct fdtape_sink sink;
	int fd;    /* fdtape_writer_open_fd() */
	int error; /* sticky */
	int error_errno;
	bool ended;
	uint64_t size;
	struct totals totals;

	struct emitter emitter;
	struct columns *columns;
	struct packer *packer;
	struct bytebuf directory; /* of EVENTS */
	struct bytebuf body;

	/* The group so far. */
	struct fdtape_event *events;
	uint32_t *at; /* by event: where its bytes are in `arena` */
	size_t n_events;
	size_t cap_events;
	size_t cap_at;
	struct bytebuf arena;
	struct record_writer records[N_RECORD_BLOCKS];
	uint64_t n_records;
};

static int sink_fd_write(void *context, const void *data, size_t len)
{
	const struct fdtape_writer *w = context;
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(w->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return FDTAPE_ERR_SYSTEM;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Everything but what the caller did wrong is remembered, with its errno. */
static int finish(struct fdtape_writer *w, int rc)
{
	if (rc < 0 && rc != FDTAPE_ERR_USAGE) {
		w->error = rc;
		w->error_errno = errno;
	}
	return rc;
}

static int sticky(const struct fdtape_writer *w)
{
	if (w->error)
		errno = w->error_errno;
	return w->error;
}

/* Hands over what was emitted. */
static int drain(struct fdtape_writer *w)
{
	struct bytebuf *out = &w->emitter.out;
	int rc;

	if (out->failed)
		return FDTAPE_ERR_MEMORY;
	rc = w->sink.write(w->sink.context, out->data, out->len);
	if (rc == 0)
		w->size += out->len;
	bytebuf_clear(out);
	return rc;
}

static int draw(void *to, size_t len)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	int rc = FDTAPE_ERR_SYSTEM;
	ssize_t n;

	if (fd < 0)
		return rc;
	do
		n = read(fd, to, len);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len)
		rc = 0;
	close(fd);
	return rc;
}

static int begin_section(struct fdtape_writer *w, const struct fdtape_writer_options *options)
{
	static const uint8_t none[16];
	uint8_t uuid[16];
	uint64_t salt = options->salt;
	int rc = 0;

	memcpy(uuid, options->uuid, sizeof(uuid));
	if (memcmp(uuid, none, sizeof(uuid)) == 0) {
		rc = draw(uuid, sizeof(uuid));
		uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
		uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	}
	while (rc == 0 && salt == 0)
		rc = draw(&salt, sizeof(salt));
	if (rc == 0)
		rc = section_emit(&w->emitter.out, options, uuid, salt);
	if (rc == 0)
		rc = drain(w);
	w->emitter.salt = salt;
	w->emitter.seq = 1;
	return rc;
}

static int open_writer(struct fdtape_writer **writer, const struct fdtape_sink *sink, int fd,
                       const struct fdtape_writer_options *options)
{
	struct fdtape_writer *w;
	int rc = FDTAPE_ERR_MEMORY;

	if (!options || (options->n_meta > 0 && !options->meta) || options->level < ZSTD_minCLevel() ||
	    options->level > ZSTD_maxCLevel())
		return FDTAPE_ERR_USAGE;
	w = calloc(1, sizeof(*w));
	if (!w)
		return FDTAPE_ERR_MEMORY;
	w->fd = fd;
	w->sink = sink ? *sink : (struct fdtape_sink){.write = sink_fd_write, .context = w};
	w->columns = columns_new();
	w->packer = packer_new();
	w->emitter.zstd = ZSTD_createCCtx();
	if (!w->columns || !w->packer || !w->emitter.zstd)
		goto done;
	ZSTD_CCtx_setParameter(w->emitter.zstd, ZSTD_c_compressionLevel,
	                       options->level ? options->level : DEFAULT_LEVEL);
	rc = begin_section(w, options);
done:
	if (rc == 0)
		*writer = w;
	else
		fdtape_writer_free(w);
	return rc;
}

int fdtape_writer_open(struct fdtape_writer **writer, const struct fdtape_sink *sink,
                       const struct fdtape_writer_options *options)
{
	if (!writer || !sink || !sink->write)
		return FDTAPE_ERR_USAGE;
	return open_writer(writer, sink, -1, options);
}

int fdtape_writer_open_fd(struct fdtape_writer **writer, int fd, const struct fdtape_writer_options *options)
{
	if (!writer || fd < 0)
		return FDTAPE_ERR_USAGE;
	return open_writer(writer, NULL, fd, options);
}

static void emit_records(struct fdtape_writer *w, size_t which, bool last)
{
	static const uint16_t types[N_RECORD_BLOCKS] = {BLOCK_SECRETS, BLOCK_DEFS, BLOCK_LOSS};
	struct record_writer *records = &w->records[which];
	struct bytebuf *out = &w->emitter.out;
	struct block b = {.type = types[which], .n_records = records->count};
	size_t begin = emitter_begin(&w->emitter);

	b.dir_len = emitter_directory(&w->emitter, begin);
	b.raw_len = (uint32_t)records->bytes.len;
	b.flags = last ? BLOCK_GROUP_END : 0;
	if (!codec_pack(w->emitter.zstd, out, records->bytes.data, records->bytes.len))
		b.flags |= BLOCK_RAW;
	if (records->bytes.failed)
		out->failed = true;
	emitter_end(&w->emitter, begin, b);
}

static int emit_events(struct fdtape_writer *w)
{
	struct bytebuf *out = &w->emitter.out;
	struct block b = {.type = BLOCK_EVENTS, .flags = BLOCK_GROUP_END, .n_records = (uint32_t)w->n_events};
	size_t begin = emitter_begin(&w->emitter);
	int rc;

	bytebuf_clear(&w->directory);
	bytebuf_clear(&w->body);
	rc = columns_encode(w->columns, w->emitter.zstd, w->events, w->n_events, &w->directory, &w->body, &b.raw_len);
	if (rc)
		return rc;
	bytebuf_append(out, w->directory.data, w->directory.len);
	b.dir_len = emitter_directory(&w->emitter, begin);
	bytebuf_append(out, w->body.data, w->body.len);
	emitter_end(&w->emitter, begin, b);
	return 0;
}

static void measure_times(struct fdtape_writer *w)
{
	struct emitter *e = &w->emitter;

	e->ts_min = w->n_events ? UINT64_MAX : 0;
	e->ts_max = 0;
	for (size_t i = 0; i < w->n_events; i++) {
		uint64_t from = w->events[i].time;
		uint64_t to = w->events[i].duration > UINT64_MAX - from ? UINT64_MAX : from + w->events[i].duration;

		if (from < e->ts_min)
			e->ts_min = from;
		if (to > e->ts_max)
			e->ts_max = to;
	}
}

static int close_group(struct fdtape_writer *w)
{
	size_t last = N_RECORD_BLOCKS; /* the block of records that ends a group without events */
	int rc;

	if (w->n_events == 0 && w->n_records == 0)
		return 0;
	w->emitter.group_seq = w->emitter.seq;
	measure_times(w);
	rc = packer_pack(w->packer, &w->emitter, w->events, w->at, w->n_events, w->arena.data);
	if (rc)
		return rc;
	for (size_t i = 0; i < N_RECORD_BLOCKS && w->n_events == 0; i++)
		if (w->records[i].count > 0)
			last = i;
	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		if (w->records[i].count > 0)
			emit_records(w, i, i == last);
	if (w->n_events > 0)
		rc = emit_events(w);
	if (rc == 0)
		rc = drain(w);
	if (rc)
		return rc;

	w->totals.groups++;
	w->totals.events += w->n_events;
	w->totals.records += w->n_records;
	w->n_events = 0;
	w->n_records = 0;
	bytebuf_clear(&w->arena);
	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		record_writer_clear(&w->records[i]);
	return 0;
}

static bool group_is_full(const struct fdtape_writer *w)
{
	size_t bytes = 0;

	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		bytes += w->records[i].bytes.len;
	return w->n_events >= GROUP_EVENTS || w->n_records >= GROUP_RECORDS || w->arena.len >= GROUP_PAYLOAD ||
	       bytes >= GROUP_RECORD_BYTES;
}

static int put_event(struct fdtape_writer *w, const struct fdtape_event *e)
{
	void *events = w->events;
	void *at = w->at;

	if (e->dir > FDTAPE_OUT || e->captured > e->bytes || e->captured > FDTAPE_EVENT_DATA_MAX ||
	    (e->captured > 0 && !e->data))
		return FDTAPE_ERR_USAGE;
	if (!array_grow(&events, &w->cap_events, w->n_events + 1, sizeof(*w->events)))
		return FDTAPE_ERR_MEMORY;
	w->events = events;
	if (!array_grow(&at, &w->cap_at, w->n_events + 1, sizeof(*w->at)))
		return FDTAPE_ERR_MEMORY;
	w->at = at;
	w->at[w->n_events] = (uint32_t)w->arena.len;
	bytebuf_append(&w->arena, e->data, (size_t)e->captured);
	if (w->arena.failed)
		return FDTAPE_ERR_MEMORY;
	w->events[w->n_events++] = *e;
	return 0;
}

static int put_record(struct fdtape_writer *w, const struct fdtape_item *item)
{
	size_t which = item->type == FDTAPE_ITEM_SECRET ? SECRETS : item->type == FDTAPE_ITEM_LOSS ? LOSS : DEFS;
	struct record_writer *records = &w->records[which];

	if (!record_is_valid(item))
		return FDTAPE_ERR_USAGE;
	record_put(records, item, w->n_records, w->n_events);
	w->n_records++;
	return records->bytes.failed ? FDTAPE_ERR_MEMORY : 0;
}

int fdtape_writer_put(struct fdtape_writer *w, const struct fdtape_item *item)
{
	int rc;

	if (!w || !item)
		return FDTAPE_ERR_USAGE;
	if (w->error)
		return sticky(w);
	if (w->ended)
		return FDTAPE_ERR_USAGE;
	rc = item->type == FDTAPE_ITEM_EVENT ? put_event(w, &item->event) : put_record(w, item);
	if (rc == 0 && group_is_full(w))
		rc = close_group(w);
	return finish(w, rc);
}

int fdtape_writer_flush(struct fdtape_writer *w)
{
	if (!w)
		return FDTAPE_ERR_USAGE;
	if (w->error)
		return sticky(w);
	if (w->ended)
		return FDTAPE_ERR_USAGE;
	return finish(w, close_group(w));
}

int fdtape_writer_end(struct fdtape_writer *w)
{
	int rc = fdtape_writer_flush(w);

	if (rc)
		return rc;
	w->totals.bytes = w->size;
	footer_emit(&w->emitter.out, &w->totals, w->emitter.seq, w->emitter.salt);
	w->ended = true;
	return finish(w, drain(w));
}

uint64_t fdtape_writer_size(const struct fdtape_writer *w)
{
	return w ? w->size : 0;
}

void fdtape_writer_free(struct fdtape_writer *w)
{
	if (!w)
		return;
	columns_free(w->columns);
	packer_free(w->packer);
	ZSTD_freeCCtx(w->emitter.zstd);
	bytebuf_release(&w->emitter.out);
	bytebuf_release(&w->directory);
	bytebuf_release(&w->body);
	bytebuf_release(&w->arena);
	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		record_writer_release(&w->records[i]);
	free(w->events);
	free(w->at);
	free(w);
}
