/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Measures the tape against the bars that were set for it; docs/performance.md tells what and how. Nothing but the
 * public API, and zstd for what it is compared with. The single figures are ratios within one run, of processor time
 * on one core, medians of several repetitions that take turns. tests/bench_format.sh records nginx, and runs this.
 */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zstd.h>

#include <fdtape/reader.h>
#include <fdtape/writer.h>

#include "cli.h"
#include "tests/bench_mix.h"

#define SHORT_TAPE    (UINT64_C(10) << 20) /* for the memory that is taken */
#define EXTRACTABLE   (UINT64_C(1) << 30)  /* the least tape that one flow is extracted from */
#define EXTRACT_FLOWS 10000u               /* the least of flows on it */
#define EXTRACTIONS   41u
#define SMALL_GROUP   1000u
#define REPEATS_MAX   99u
#define MEASURE_TIME  0.4 /* s that is measured at least */

static volatile uint8_t seen; /* keeps the compiler from leaving out what only touches */

/* ---- small helpers ---------------------------------------------------------------------------------------------- */

static void *grow(void *array, size_t *cap, size_t n, size_t size)
{
	if (n <= *cap)
		return array;
	*cap = n + n / 2 + 1024;
	array = realloc(array, *cap * size);
	if (!array)
		cli_die(CLI_REFUSED, "no memory for %zu bytes", *cap * size);
	return array;
}

static void *copy_of(const void *data, size_t len)
{
	void *copy = malloc(len + 1);

	if (!copy)
		cli_die(CLI_REFUSED, "no memory for %zu bytes", len);
	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

static void check(const char *what, int rc)
{
	if (rc < 0)
		cli_die(CLI_REFUSED, "%s: error %d (%s)", what, rc, rc == FDTAPE_ERR_SYSTEM ? strerror(errno) : "-");
}

static int open_tape(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		cli_die(CLI_REFUSED, "cannot open '%s': %s", path, strerror(errno));
	return fd;
}

/* Processor time of this process, in s. */
static double cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

enum bar {
	NO_BAR,
	AT_MOST,
	AT_LEAST,
};

static unsigned n_missed;

static void show_figure(const char *what, double value, const char *unit, enum bar kind, double bar)
{
	double miss = kind == AT_MOST ? value / bar - 1 : 1 - value / bar;

	printf("  %-62s %8.2f %s", what, value, unit);
	if (kind != NO_BAR)
		printf("%*s %s %-4g", 5 - (int)strlen(unit), "", kind == AT_MOST ? "<=" : ">=", bar);
	if (kind != NO_BAR && miss > 0) {
		printf("missed by %.1f %%", miss * 100);
		n_missed++;
	} else if (kind != NO_BAR) {
		printf("met");
	}
	putchar('\n');
	fflush(stdout);
}

/* The median of the values, which become sorted. */
static void show_median(const char *what, double *values, size_t n, const char *unit, enum bar kind, double bar)
{
	char line[160];

	qsort(values, n, sizeof(*values), compare_doubles);
	snprintf(line, sizeof(line), "%s [%.4g .. %.4g]", what, values[0], values[n - 1]);
	show_figure(line, n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2, unit, kind, bar);
}

/* ---- workloads in memory ----------------------------------------------------------------------------------------- */

/* How a plain program would write an event: a row, and its payload behind it. Other arguments are left out. */
struct row {
	uint64_t time;
	uint64_t duration;
	uint64_t offset;
	int64_t result;
	uint32_t flow;
	uint32_t pid;
	uint32_t tid;
	int32_t fd;
	uint32_t bytes;
	uint32_t captured;
	uint32_t arg;
	uint16_t call;
	uint8_t dir;
	uint8_t flags;
};

static_assert(sizeof(struct row) == 64, "a row is 64 bytes, without padding");

struct record {        /* an item that is no event */
	size_t before; /* so many events come before it */
	struct fdtape_item item;
};

struct workload {
	const char *name;
	struct fdtape_event *events; /* their payload is in `rows` */
	size_t n_events;
	size_t cap_events;
	struct record *records;
	size_t n_records;
	size_t cap_records;
	uint8_t *rows; /* of all events */
	size_t len;
	size_t cap;
	uint64_t captured;
	uint64_t carriers; /* events with payload */
	uint64_t last_flow;
};

static void add_event(struct workload *w, const struct fdtape_event *e)
{
	struct row row = {
	        .time = e->time,
	        .duration = e->duration,
	        .offset = e->offset,
	        .result = e->result,
	        .flow = (uint32_t)e->flow,
	        .pid = e->pid,
	        .tid = e->tid,
	        .fd = e->fd,
	        .bytes = (uint32_t)e->bytes,
	        .captured = (uint32_t)e->captured,
	        .arg = (uint32_t)e->arg[0],
	        .call = (uint16_t)e->call,
	        .dir = (uint8_t)e->dir,
	        .flags = (uint8_t)e->flags,
	};

	w->events = grow(w->events, &w->cap_events, w->n_events + 1, sizeof(*w->events));
	w->events[w->n_events++] = *e;
	w->rows = grow(w->rows, &w->cap, w->len + sizeof(row) + e->captured, 1);
	memcpy(w->rows + w->len, &row, sizeof(row));
	w->len += sizeof(row);
	if (e->captured > 0)
		memcpy(w->rows + w->len, e->data, e->captured);
	w->len += e->captured;
	w->captured += e->captured;
	w->carriers += e->captured > 0;
}

static void add_record(struct workload *w, const struct fdtape_item *item)
{
	struct fdtape_item *to;

	w->records = grow(w->records, &w->cap_records, w->n_records + 1, sizeof(*w->records));
	w->records[w->n_records].before = w->n_events;
	to = &w->records[w->n_records++].item;
	*to = *item;
	switch (item->type) {
	case FDTAPE_ITEM_PROCESS:
		to->process.comm = copy_of(item->process.comm, strlen(item->process.comm) + 1);
		to->process.exe = copy_of(item->process.exe, strlen(item->process.exe) + 1);
		to->process.cmdline = copy_of(item->process.cmdline, strlen(item->process.cmdline) + 1);
		to->process.build_id = copy_of(item->process.build_id, strlen(item->process.build_id) + 1);
		to->process.cgroup = copy_of(item->process.cgroup, strlen(item->process.cgroup) + 1);
		to->process.libraries = copy_of(item->process.libraries, strlen(item->process.libraries) + 1);
		break;
	case FDTAPE_ITEM_THREAD:
		to->thread.comm = copy_of(item->thread.comm, strlen(item->thread.comm) + 1);
		break;
	case FDTAPE_ITEM_FLOW:
		to->flow.name = copy_of(item->flow.name, strlen(item->flow.name) + 1);
		if (item->flow.id > w->last_flow)
			w->last_flow = item->flow.id;
		break;
	case FDTAPE_ITEM_SECRET:
		to->secret.label = copy_of(item->secret.label, strlen(item->secret.label) + 1);
		to->secret.source = copy_of(item->secret.source, strlen(item->secret.source) + 1);
		to->secret.id = copy_of(item->secret.id, item->secret.id_len);
		to->secret.value = copy_of(item->secret.value, item->secret.value_len);
		break;
	default:
		break;
	}
}

static void add_item(struct workload *w, const struct fdtape_item *item)
{
	if (item->type == FDTAPE_ITEM_EVENT)
		add_event(w, &item->event);
	else if (item->type != FDTAPE_ITEM_SECTION && item->type != FDTAPE_ITEM_END)
		add_record(w, item);
}

/* When `rows` has stopped moving. */
static void find_payload(struct workload *w)
{
	const uint8_t *at = w->rows;

	for (size_t i = 0; i < w->n_events; i++) {
		at += sizeof(struct row);
		w->events[i].data = w->events[i].captured > 0 ? at : NULL;
		at += w->events[i].captured;
	}
}

static struct workload make_mix(size_t n_events)
{
	struct workload w = {.name = "synthetic mix"};
	struct mix *mix = mix_new(1);
	struct mix_stats s;
	double seconds;

	if (!mix)
		cli_die(CLI_REFUSED, "no memory");
	while (w.n_events < n_events)
		add_item(&w, mix_next(mix));
	find_payload(&w);
	s = mix_stats(mix);
	mix_free(mix);
	seconds = (double)s.time * 1e-9;
	printf("\n%s: %zu events in %.1f s, %.1f %% with payload, of %" PRIu64 " flows; as rows %.2f GB:\n"
	       "%.1f %% heads, %.1f %% text, %.1f %% ciphertext\n",
	       w.name, w.n_events, seconds, 100.0 * (double)w.carriers / (double)w.n_events, s.flows,
	       (double)w.len * 1e-9, 100.0 * (double)(w.n_events * sizeof(struct row)) / (double)w.len,
	       100.0 * (double)s.text / (double)w.len, 100.0 * (double)s.ciphertext / (double)w.len);
	return w;
}

static struct workload load_tape(const char *path)
{
	struct workload w = {.name = "recorded workload"};
	struct fdtape_reader *reader;
	struct fdtape_item item;
	int fd = open_tape(path, O_RDONLY);
	int rc;

	check("cannot open a reader", fdtape_reader_open_fd(&reader, fd));
	while ((rc = fdtape_reader_next(reader, &item)) > 0)
		add_item(&w, &item);
	if (rc < 0)
		cli_die(CLI_DAMAGED, "%s: %s", path, fdtape_reader_message(reader));
	fdtape_reader_free(reader);
	close(fd);
	if (w.n_events == 0)
		cli_die(CLI_DAMAGED, "%s: has no events", path);
	find_payload(&w);
	printf("\n%s: %zu events in %.1f s, %.1f %% with payload, of %" PRIu64 " flows; as rows %.2f GB:\n"
	       "%.1f %% heads, the rest payload\n",
	       w.name, w.n_events, (double)(w.events[w.n_events - 1].time - w.events[0].time) * 1e-9,
	       100.0 * (double)w.carriers / (double)w.n_events, w.last_flow, (double)w.len * 1e-9,
	       100.0 * (double)(w.n_events * sizeof(struct row)) / (double)w.len);
	return w;
}

static void free_workload(struct workload *w)
{
	for (size_t i = 0; i < w->n_records; i++) {
		struct fdtape_item *item = &w->records[i].item;

		switch (item->type) {
		case FDTAPE_ITEM_PROCESS:
			free((void *)(uintptr_t)item->process.comm);
			free((void *)(uintptr_t)item->process.exe);
			free((void *)(uintptr_t)item->process.cmdline);
			free((void *)(uintptr_t)item->process.build_id);
			free((void *)(uintptr_t)item->process.cgroup);
			free((void *)(uintptr_t)item->process.libraries);
			break;
		case FDTAPE_ITEM_THREAD:
			free((void *)(uintptr_t)item->thread.comm);
			break;
		case FDTAPE_ITEM_FLOW:
			free((void *)(uintptr_t)item->flow.name);
			break;
		case FDTAPE_ITEM_SECRET:
			free((void *)(uintptr_t)item->secret.label);
			free((void *)(uintptr_t)item->secret.source);
			free((void *)(uintptr_t)item->secret.id);
			free((void *)(uintptr_t)item->secret.value);
			break;
		default:
			break;
		}
	}
	free(w->records);
	free(w->events);
	free(w->rows);
}

/* ---- what is measured -------------------------------------------------------------------------------------------- */

struct tape {
	uint8_t *data;
	size_t len;
	size_t cap;
};

static int keep(void *context, const void *data, size_t len)
{
	struct tape *tape = context;

	tape->data = grow(tape->data, &tape->cap, tape->len + len, 1);
	memcpy(tape->data + tape->len, data, len);
	tape->len += len;
	return 0;
}

static int drop(void *context, const void *data, size_t len)
{
	(void)context;
	(void)data;
	(void)len;
	return 0;
}

enum payload {
	WITH_PAYLOAD,
	HEADS_ONLY, /* as from a recorder that was told to keep no payload */
};

/* flush_each 0: the writer closes groups when they are full. */
static void write_workload(const struct workload *w, const struct fdtape_sink *sink, enum payload payload,
                           size_t flush_each)
{
	struct fdtape_writer_options options = {.clock = {w->events[0].time, 1, 1}, .uuid = {1}, .salt = 1};
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT};
	struct fdtape_writer *writer;
	size_t next = 0; /* record */

	check("cannot open a writer", fdtape_writer_open(&writer, sink, &options));
	for (size_t i = 0; i <= w->n_events; i++) {
		for (; next < w->n_records && w->records[next].before == i; next++)
			check("cannot write a record", fdtape_writer_put(writer, &w->records[next].item));
		if (i == w->n_events)
			break;
		if (flush_each > 0 && i > 0 && i % flush_each == 0)
			check("cannot flush", fdtape_writer_flush(writer));
		item.event = w->events[i];
		if (payload == HEADS_ONLY) {
			item.event.captured = 0;
			item.event.data = NULL;
		}
		check("cannot write an event", fdtape_writer_put(writer, &item));
	}
	check("cannot end the tape", fdtape_writer_end(writer));
	fdtape_writer_free(writer);
}

static void touch(const uint8_t *data, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i += 64)
		sum ^= data[i];
	seen = sum;
}

struct found {
	uint64_t events;
	uint64_t captured;
};

/* All that the reader gives. */
static struct found read_on(struct fdtape_reader *reader)
{
	struct found found = {0};
	struct fdtape_item item;
	int rc;

	while ((rc = fdtape_reader_next(reader, &item)) > 0) {
		if (item.type != FDTAPE_ITEM_EVENT)
			continue;
		touch(item.event.data, item.event.captured);
		found.events++;
		found.captured += item.event.captured;
	}
	if (rc < 0)
		cli_die(CLI_DAMAGED, "cannot read what was written: %s", fdtape_reader_message(reader));
	return found;
}

static void read_tape(const struct workload *w, const struct tape *tape)
{
	struct fdtape_reader *reader;
	struct found found;

	check("cannot open a reader", fdtape_reader_open_memory(&reader, tape->data, tape->len));
	found = read_on(reader);
	fdtape_reader_free(reader);
	if (found.events != w->n_events || found.captured != w->captured)
		cli_die(CLI_DAMAGED, "read %" PRIu64 " events with %" PRIu64 " bytes, but wrote %zu with %" PRIu64,
		        found.events, found.captured, w->n_events, w->captured);
}

/* What the zstd program makes of the rows: their size. */
static uint64_t compress_rows(const struct workload *w, int level)
{
	static char chunk[1 << 17];
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ZSTD_inBuffer in = {w->rows, w->len, 0};
	uint64_t size = 0;
	size_t left;

	if (!zstd)
		cli_die(CLI_REFUSED, "no memory");
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setPledgedSrcSize(zstd, w->len);
	do {
		ZSTD_outBuffer out = {chunk, sizeof(chunk), 0};

		left = ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_end);
		if (ZSTD_isError(left))
			cli_die(CLI_REFUSED, "zstd: %s", ZSTD_getErrorName(left));
		size += out.pos;
	} while (left > 0);
	ZSTD_freeCCtx(zstd);
	return size;
}

/* ---- speed ------------------------------------------------------------------------------------------------------- */

enum task {
	WRITE,
	READ,
	COMPRESS,
	N_TASKS,
};

/* Processor time, in s, of the task done once. */
static double time_of(enum task task, const struct workload *w, const struct tape *tape)
{
	static const struct fdtape_sink nowhere = {.write = drop};
	double begin = cpu_time();
	double end;
	unsigned n = 0;

	do {
		if (task == WRITE)
			write_workload(w, &nowhere, WITH_PAYLOAD, 0);
		else if (task == READ)
			read_tape(w, tape);
		else
			compress_rows(w, 1);
		n++;
		end = cpu_time();
	} while (end - begin < MEASURE_TIME);
	return (end - begin) / n;
}

static void show_speed(const struct workload *w, const struct tape *tape, size_t repeats)
{
	double speed[N_TASKS][REPEATS_MAX];
	double write_gain[REPEATS_MAX];
	double read_gain[REPEATS_MAX];

	for (size_t i = 0; i < repeats; i++) {
		for (enum task task = WRITE; task < N_TASKS; task++)
			speed[task][i] = (double)w->len / time_of(task, w, tape) * 1e-6;
		write_gain[i] = speed[WRITE][i] / speed[COMPRESS][i];
		read_gain[i] = speed[READ][i] / speed[WRITE][i];
	}
	show_median("write speed, of rows", speed[WRITE], repeats, "MB/s", NO_BAR, 0);
	show_median("zstd -1 over the rows", speed[COMPRESS], repeats, "MB/s", NO_BAR, 0);
	show_median("read speed, of rows", speed[READ], repeats, "MB/s", NO_BAR, 0);
	show_median("write / zstd -1", write_gain, repeats, "x", AT_LEAST, 1.5);
	show_median("read / write", read_gain, repeats, "x", AT_LEAST, 2);
}

/* ---- size -------------------------------------------------------------------------------------------------------- */

enum { /* docs/format.md, "Blocks" */
	BLOCK_HEADER = 64,
	BLOCK_TYPE = 8,
	BLOCK_STORED_LEN = 40,
	BLOCK_RECORDS = 56,
	BLOCK_EVENTS = 2,
};

struct blocks {
	uint64_t all;
	uint64_t events_blocks;
	uint64_t events_bytes; /* of tape */
	uint64_t events;
};

static uint32_t u32_at(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct blocks count_blocks(const struct tape *tape)
{
	struct blocks blocks = {0};
	size_t at = 0;

	while (tape->len - at >= BLOCK_HEADER) {
		const uint8_t *header = tape->data + at;
		size_t size = (BLOCK_HEADER + (size_t)u32_at(header + BLOCK_STORED_LEN) + 7) & ~(size_t)7;

		if (memcmp(header,
		           "\x89"
		           "fdt\r\n\x1a\n",
		           8) != 0 ||
		    size > tape->len - at)
			cli_die(CLI_DAMAGED, "no block at %zu of the tape", at);
		blocks.all++;
		if (header[BLOCK_TYPE] == BLOCK_EVENTS && header[BLOCK_TYPE + 1] == 0) {
			blocks.events_blocks++;
			blocks.events_bytes += size;
			blocks.events += u32_at(header + BLOCK_RECORDS);
		}
		at += size;
	}
	return blocks;
}

static void show_heads(const char *groups, const struct tape *tape, enum bar kind, double bar)
{
	struct blocks blocks = count_blocks(tape);
	char line[160];

	snprintf(line, sizeof(line), "EVENTS per event, %s (%.0f events/block)", groups,
	         (double)blocks.events / (double)blocks.events_blocks);
	show_figure(line, (double)blocks.events_bytes / (double)blocks.events, "B", kind, bar);
}

static void show_size(const struct workload *w, const struct tape *tape)
{
	uint64_t zstd = compress_rows(w, 3);
	struct tape heads = {0};
	struct fdtape_sink sink = {.write = keep, .context = &heads};

	write_workload(w, &sink, HEADS_ONLY, 0);
	show_heads("full blocks", &heads, AT_MOST, 5);
	heads.len = 0;
	write_workload(w, &sink, HEADS_ONLY, SMALL_GROUP);
	show_heads("small groups", &heads, AT_MOST, 7.5);
	free(heads.data);
	show_heads("as grouped with payload", tape, NO_BAR, 0);
	show_figure("tape, of rows", 100 * (double)tape->len / (double)w->len, "%", NO_BAR, 0);
	show_figure("zstd -3 over the rows, of rows", 100 * (double)zstd / (double)w->len, "%", NO_BAR, 0);
	show_figure("tape / zstd -3", (double)tape->len / (double)zstd, "x", AT_MOST, 1);
}

/* ---- one flow of many -------------------------------------------------------------------------------------------- */

static uint64_t events_of(const struct workload *w, uint64_t flow)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->n_events; i++)
		n += w->events[i].flow == flow;
	return n;
}

/* What extracting one flow took. */
struct extraction {
	struct fdtape_reader_stats stats;
	uint64_t events;
	double time;
};

static struct extraction extract(int fd, uint64_t flow)
{
	struct fdtape_choice choice = {.flows = &flow, .n_flows = 1};
	struct extraction x;
	struct fdtape_reader *reader;
	double begin = cpu_time();

	check("cannot seek", lseek(fd, 0, SEEK_SET) == 0 ? 0 : FDTAPE_ERR_SYSTEM);
	check("cannot open a reader", fdtape_reader_open_fd(&reader, fd));
	check("cannot choose", fdtape_reader_choose(reader, &choice));
	x.events = read_on(reader).events;
	x.time = cpu_time() - begin;
	fdtape_reader_stats(reader, &x.stats);
	fdtape_reader_free(reader);
	return x;
}

static void show_extraction(const struct workload *w, const struct tape *tape, const char *path)
{
	uint64_t all = count_blocks(tape).all;
	double blocks[EXTRACTIONS];
	double bytes[EXTRACTIONS];
	double times[EXTRACTIONS];
	int fd;

	printf("  one flow of %" PRIu64 ", from a tape of %.2f GiB in %" PRIu64 " blocks; %u times\n", w->last_flow,
	       (double)tape->len / (double)(1 << 30), all, EXTRACTIONS);
	if (tape->len < EXTRACTABLE || w->last_flow < EXTRACT_FLOWS) {
		printf("  not measured: the bar is for a tape of 1 GiB and %u flows\n", EXTRACT_FLOWS);
		return;
	}
	fd = open_tape(path, O_RDWR | O_CREAT | O_TRUNC);
	unlink(path);
	for (size_t at = 0; at < tape->len;) {
		ssize_t n = write(fd, tape->data + at, tape->len - at);

		if (n < 0)
			cli_die(CLI_REFUSED, "cannot write '%s': %s", path, strerror(errno));
		at += (size_t)n;
	}
	for (size_t i = 0; i < EXTRACTIONS; i++) {
		uint64_t flow = 1 + (w->last_flow - 1) * i / (EXTRACTIONS - 1);
		struct extraction x = extract(fd, flow);

		if (x.events != events_of(w, flow))
			cli_die(CLI_DAMAGED, "flow %" PRIu64 ": read %" PRIu64 " events, but wrote %" PRIu64, flow,
			        x.events, events_of(w, flow));
		blocks[i] = 100 * (double)x.stats.blocks / (double)all;
		bytes[i] = 100 * (double)x.stats.input_bytes / (double)tape->len;
		times[i] = x.time * 1e3;
	}
	close(fd);
	show_median("blocks read", blocks, EXTRACTIONS, "%", AT_MOST, 1);
	show_median("bytes read", bytes, EXTRACTIONS, "%", NO_BAR, 0);
	show_median("time", times, EXTRACTIONS, "ms", NO_BAR, 0);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The mix, made while it is written. */
static void write_long(int fd, uint64_t size)
{
	struct fdtape_writer_options options = {.clock = {1, 1, 1}, .uuid = {1}, .salt = 1};
	struct fdtape_writer *writer;
	struct mix *mix = mix_new(1);

	if (!mix)
		cli_die(CLI_REFUSED, "no memory");
	check("cannot open a writer", fdtape_writer_open_fd(&writer, fd, &options));
	while (fdtape_writer_size(writer) < size)
		check("cannot write", fdtape_writer_put(writer, mix_next(mix)));
	check("cannot end the tape", fdtape_writer_end(writer));
	fdtape_writer_free(writer);
	mix_free(mix);
}

static void read_long(int fd)
{
	struct fdtape_reader *reader;

	check("cannot open a reader", fdtape_reader_open_fd(&reader, fd));
	read_on(reader);
	fdtape_reader_free(reader);
}

/* The most memory, in MiB, that a process of its own has to write (size > 0) or to read the tape. */
static double memory_of(const char *path, uint64_t size)
{
	struct rusage usage;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		cli_die(CLI_REFUSED, "cannot fork: %s", strerror(errno));
	if (pid == 0) {
		int fd = open_tape(path, size > 0 ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY);

		if (size > 0)
			write_long(fd, size);
		else
			read_long(fd);
		_exit(0);
	}
	if (wait4(pid, &status, 0, &usage) != pid || status != 0) {
		unlink(path);
		exit(CLI_REFUSED); /* the child said why */
	}
	return (double)usage.ru_maxrss / 1024;
}

/* Before anything else takes memory: a child begins with that of its parent. */
static void show_memory(const char *path, uint64_t long_tape)
{
	const uint64_t sizes[] = {SHORT_TAPE, long_tape};
	char line[80];

	printf("\nmemory (RSS, with the generator's)\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double mib = (double)sizes[i] / (1 << 20);

		snprintf(line, sizeof(line), "writing a tape of %.0f MiB", mib);
		show_figure(line, memory_of(path, sizes[i]), "MiB", AT_MOST, 64);
		snprintf(line, sizeof(line), "reading it");
		show_figure(line, memory_of(path, 0), "MiB", AT_MOST, 64);
		unlink(path);
	}
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

static const struct cli_option options_table[] = {
        {'d', "directory", "FOLDER", "where the long tape is made"},
        {'n', "events", "N", "of the synthetic mix; 2000000"},
        {'r', "repeats", "N", "of each measurement of time; 7"},
        {'m', "long", "SIZE", "of the long tape; 4G"},
        {CLI_HELP, "help", NULL, "print this help and exit"},
        {0},
};

/* `path`: of a file for extracting one flow; NULL: the workload is not made for that. */
static void bench(struct workload w, size_t repeats, const char *path)
{
	struct tape tape = {0};

	write_workload(&w, &(struct fdtape_sink){.write = keep, .context = &tape}, WITH_PAYLOAD, 0);
	show_size(&w, &tape);
	show_speed(&w, &tape, repeats);
	if (path)
		show_extraction(&w, &tape, path);
	free(tape.data);
	free_workload(&w);
}

int main(int argc, char **argv)
{
	const char *folder = NULL;
	size_t events = 2000000;
	size_t repeats = 7;
	uint64_t long_tape = UINT64_C(4) << 30;
	const char *recorded = NULL;
	char path[4096];
	struct cli cli;
	int key;

	cli_tool = "bench_format";
	cli_start(&cli, options_table, argc, argv);
	while ((key = cli_next(&cli)) >= 0) {
		switch (key) {
		case 'd':
			folder = cli.value;
			break;
		case 'n':
			events = cli_number(&cli, 1, UINT32_MAX);
			break;
		case 'r':
			repeats = cli_number(&cli, 1, REPEATS_MAX);
			break;
		case 'm':
			long_tape = cli_size(&cli, SHORT_TAPE, UINT64_C(1) << 40);
			break;
		case CLI_HELP:
			printf("usage: bench_format -d FOLDER [option...] [TAPE]\n");
			cli_print_options(stdout, options_table);
			return CLI_DONE;
		default:
			recorded = cli.value;
			break;
		}
	}
	if (!folder)
		cli_die(CLI_USAGE, "option '-d' is needed; try 'bench_format --help'");
	if ((size_t)snprintf(path, sizeof(path), "%s/bench.tape", folder) >= sizeof(path))
		cli_die(CLI_USAGE, "'%s' is too long", folder);

	printf("zstd %s; medians of %zu, [least .. greatest]\n", ZSTD_versionString(), repeats);
	show_memory(path, long_tape);
	bench(make_mix(events), repeats, path);
	if (recorded)
		bench(load_tape(recorded), repeats, NULL);
	printf("\n%u figures missed their bar\n", n_missed);
	return CLI_DONE;
}
