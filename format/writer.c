/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/writer_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/section.h"

/* A group is closed at one of these. */
#define GROUP_PAYLOAD      (8u << 20)
#define GROUP_EVENTS       EVENTS_MAX
#define GROUP_RECORDS      65536u
#define GROUP_RECORD_BYTES (4u << 20)

#define DEFAULT_LEVEL 1

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
	w->emitter.salt = salt;
	w->emitter.seq = 1;
	w->totals.clock = options->clock;
	return rc ? rc : writer_hand_over(w);
}

static struct due due_of(const struct fdtape_writer_options *options)
{
	return (struct due){
	        .snapshot_bytes = options->snapshot_bytes ? options->snapshot_bytes : SNAPSHOT_BYTES,
	        .snapshot_time = options->snapshot_time ? options->snapshot_time : SNAPSHOT_TIME,
	        .index_bytes = options->index_bytes ? options->index_bytes : INDEX_BYTES,
	        .snapshot_end = options->clock.monotonic,
	};
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
	w->sink = sink ? *sink : sink_fd_init(&w->sink_fd, fd);
	w->due = due_of(options);
	w->columns = columns_new();
	w->packer = packer_new(options->level ? options->level : DEFAULT_LEVEL);
	w->emitter.zstd = ZSTD_createCCtx();
	if (!w->columns || !w->packer || !w->emitter.zstd)
		goto done;
	ZSTD_CCtx_setParameter(w->emitter.zstd, ZSTD_c_compressionLevel,
	                       options->level ? options->level : DEFAULT_LEVEL);
	writer_clear_group(w);
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

static bool group_is_full(const struct fdtape_writer *w)
{
	size_t bytes = 0;

	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		bytes += w->records[i].bytes.len;
	return w->n_events >= GROUP_EVENTS || w->n_records >= GROUP_RECORDS || w->arena.len >= GROUP_PAYLOAD ||
	       bytes >= GROUP_RECORD_BYTES;
}

/* The number of an event's peer, whose record is put if the group has none. There are never more than a group has
 * records. */
static int number_peer(struct fdtape_writer *w, const struct fdtape_address *peer, uint32_t *number)
{
	struct fdtape_item record = {.type = RECORD_PEER};
	bool is_new;

	*number = 0;
	if (!peer)
		return 0;
	*number = peers_number(&w->peers, peer, w->emitter.salt, &is_new);
	if (*number == 0)
		return FDTAPE_ERR_MEMORY;
	if (!is_new)
		return 0;
	record.flow.remote = *peer;
	record_put(&w->records[DEFS], &record, w->n_records++, w->n_events);
	w->defined_others = true;
	w->totals.records++;
	return w->records[DEFS].bytes.failed ? FDTAPE_ERR_MEMORY : 0;
}

static int put_event(struct fdtape_writer *w, const struct fdtape_event *e)
{
	void *events = w->events;
	void *at = w->at;
	void *peer = w->peer;
	size_t begin;
	int rc;

	if (e->dir > FDTAPE_OUT || e->captured > e->bytes || e->captured > FDTAPE_EVENT_DATA_MAX ||
	    (e->captured > 0 && !e->data) || (e->peer && e->peer->len > FDTAPE_ADDRESS_MAX))
		return FDTAPE_ERR_USAGE;
	if (!array_grow(&events, &w->cap_events, w->n_events + 1, sizeof(*w->events)))
		return FDTAPE_ERR_MEMORY;
	w->events = events;
	if (!array_grow(&at, &w->cap_at, w->n_events + 1, sizeof(*w->at)))
		return FDTAPE_ERR_MEMORY;
	w->at = at;
	if (!array_grow(&peer, &w->cap_peer, w->n_events + 1, sizeof(*w->peer)))
		return FDTAPE_ERR_MEMORY;
	w->peer = peer;
	rc = number_peer(w, e->peer, &w->peer[w->n_events]);
	if (rc)
		return rc;
	begin = w->arena.len;
	bytebuf_append(&w->arena, e->data, (size_t)e->captured);
	if (w->arena.failed)
		return FDTAPE_ERR_MEMORY;
	w->at[w->n_events] = (struct payload_at){
	        .offset = (uint32_t)begin,
	        .random = e->captured > 0 && payload_looks_random(w->arena.data + begin, (size_t)e->captured),
	};
	w->events[w->n_events++] = *e;
	return e->call == FDTAPE_CALL_EXIT ? live_exit(&w->live, e->pid) : 0;
}

static int keep_definition(struct fdtape_writer *w, const struct fdtape_item *item)
{
	bool is_new;
	int rc = live_put(&w->live, item, &is_new);

	/* Too much for snapshots, which nobody is promised; not too much for the tape. */
	if (rc == FDTAPE_ERR_LIMIT) {
		w->too_many = true;
		rc = 0;
	}
	w->totals.flows += is_new && item->type == FDTAPE_ITEM_FLOW && item->flow.kind != FDTAPE_KIND_LIBRARY;
	w->totals.processes += is_new && item->type == FDTAPE_ITEM_PROCESS;
	return rc;
}

/* Widens the times of the group's records by one of them. */
static void note_time(struct fdtape_writer *w, uint64_t time)
{
	if (time < w->records_min)
		w->records_min = time;
	if (time > w->records_max)
		w->records_max = time;
}

static void note_times(struct fdtape_writer *w, const struct fdtape_item *item)
{
	switch (item->type) {
	case FDTAPE_ITEM_CLOCK:
		note_time(w, item->clock.monotonic);
		break;
	case FDTAPE_ITEM_PROCESS:
		note_time(w, item->process.time);
		break;
	case FDTAPE_ITEM_THREAD:
		note_time(w, item->thread.time);
		break;
	case FDTAPE_ITEM_FLOW:
		note_time(w, item->flow.closed ? item->flow.closed : item->flow.opened);
		break;
	case FDTAPE_ITEM_SECRET:
		note_time(w, item->secret.time);
		break;
	default:
		note_time(w, item->loss.from);
		note_time(w, item->loss.to);
		break;
	}
}

static int put_record(struct fdtape_writer *w, const struct fdtape_item *item)
{
	size_t which = item->type == FDTAPE_ITEM_SECRET ? SECRETS : item->type == FDTAPE_ITEM_LOSS ? LOSS : DEFS;
	struct record_writer *records = &w->records[which];

	if (!record_is_valid(item))
		return FDTAPE_ERR_USAGE;
	record_put(records, item, w->n_records, w->n_events);
	w->n_records++;
	note_times(w, item);
	if (item->type == FDTAPE_ITEM_FLOW)
		flowlist_add(&w->defined, item->flow.id);
	else if (which == DEFS)
		w->defined_others = true;
	if (records->bytes.failed)
		return FDTAPE_ERR_MEMORY;
	return which == DEFS ? keep_definition(w, item) : 0;
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
	if (rc == 0)
		totals_count(&w->totals, item);
	if (rc == 0 && group_is_full(w))
		rc = writer_close_group(w);
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
	return finish(w, writer_close_group(w));
}

int fdtape_writer_end(struct fdtape_writer *w)
{
	int rc = fdtape_writer_flush(w);

	if (rc)
		return rc;
	if (w->emitter.index.count > 0)
		writer_emit_index(w);
	w->totals.bytes = w->size + w->emitter.out.len;
	footer_emit(&w->emitter.out, w->emitter.index.previous, &w->totals, w->emitter.seq, w->emitter.salt);
	w->ended = true;
	return finish(w, writer_hand_over(w));
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
	bytebuf_release(&w->flows);
	flowlist_release(&w->flowlist);
	flowlist_release(&w->defined);
	indexer_release(&w->emitter.index);
	live_release(&w->live);
	record_writer_release(&w->snapshot);
	for (size_t i = 0; i < N_RECORD_BLOCKS; i++)
		record_writer_release(&w->records[i]);
	free(w->events);
	free(w->at);
	free(w->peer);
	peers_release(&w->peers);
	free(w);
}
