/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * golden TAPE: the items of a tape's first section four times over, one event a second, to stdout, as a tape with a
 * snapshot behind 30 s and again; for testdata/golden.sh. Ids, times and offsets make sense: each time over, flows and
 * pids have other numbers. Names of threads and a loss are made up. The same for the same input.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fdtape/reader.h>
#include <fdtape/writer.h>

#define TIMES  4u
#define SECOND UINT64_C(1000000000)

struct spread {
	struct fdtape_writer *writer;
	uint64_t begin; /* of the section */
	uint64_t time;  /* of the next event */
	uint64_t round;
	uint64_t events;
};

static int put(struct spread *s, const struct fdtape_item *item)
{
	return fdtape_writer_put(s->writer, item);
}

static uint64_t flow_of(const struct spread *s, uint64_t flow)
{
	return flow ? flow + 1000 * s->round : 0;
}

static int put_thread(struct spread *s, uint32_t pid, uint32_t tid, const char *comm)
{
	return put(s, &(struct fdtape_item){.type = FDTAPE_ITEM_THREAD, .thread = {pid, tid, s->time, comm}});
}

static int put_process(struct spread *s, struct fdtape_item item)
{
	int rc;

	item.process.pid += (uint32_t)s->round;
	item.process.time = s->time;
	item.process.started = s->begin;
	item.process.build_id = "00112233445566778899aabbccddeeff00112233";
	item.process.cgroup = "/system.slice/nginx.service";
	rc = put(s, &item);
	if (rc == 0)
		rc = put_thread(s, item.process.pid, 70000 + (uint32_t)s->round, "aio");
	return rc ? rc : put_thread(s, item.process.pid, 80000 + (uint32_t)s->round, "gone soon");
}

static int put_flow(struct spread *s, struct fdtape_item item)
{
	item.flow.id = flow_of(s, item.flow.id);
	item.flow.pid += (uint32_t)s->round;
	item.flow.tid += (uint32_t)s->round;
	item.flow.opened = s->time;
	item.flow.closed = item.flow.closed ? s->time : 0;
	return put(s, &item);
}

static int put_event(struct spread *s, struct fdtape_item item)
{
	struct fdtape_event *e = &item.event;
	int arg = fdtape_call_flow_arg(e->call);
	int rc;

	e->time = s->time;
	e->flow = flow_of(s, e->flow);
	e->pid += (uint32_t)s->round;
	e->tid += (uint32_t)s->round;
	if (arg >= 0)
		e->arg[arg] = flow_of(s, e->arg[arg]);
	s->time += SECOND;
	s->events++;
	rc = put(s, &item);
	if (rc == 0 && s->events % 10 == 5)
		rc = put_thread(s, e->pid, 80000 + (uint32_t)s->round, "");
	if (rc == 0 && s->events % 25 == 0)
		rc = put(s, &(struct fdtape_item){.type = FDTAPE_ITEM_LOSS,
		                                  .loss = {FDTAPE_LOSS_KERNEL_COPY, 1, 100, s->time, s->time}});
	/* A recorder does each second. */
	return rc || s->events % 4 ? rc : fdtape_writer_flush(s->writer);
}

static int put_again(struct spread *s, const struct fdtape_item *item)
{
	struct fdtape_item copy = *item;

	switch (item->type) {
	case FDTAPE_ITEM_CLOCK:
		copy.clock.realtime += s->time - copy.clock.monotonic;
		copy.clock.boottime += s->time - copy.clock.monotonic;
		copy.clock.monotonic = s->time;
		return put(s, &copy);
	case FDTAPE_ITEM_PROCESS:
		return put_process(s, copy);
	case FDTAPE_ITEM_FLOW:
		return put_flow(s, copy);
	case FDTAPE_ITEM_EVENT:
		return put_event(s, copy);
	case FDTAPE_ITEM_SECRET:
		copy.secret.time = s->time;
		copy.secret.pid += (uint32_t)s->round;
		copy.secret.tid += (uint32_t)s->round;
		return put(s, &copy);
	default:
		return 0;
	}
}

/* The tape once. */
static int go_through(struct spread *s, const char *name)
{
	struct fdtape_reader *reader;
	struct fdtape_item item;
	FILE *f = fopen(name, "rb");
	int rc;

	if (!f)
		return FDTAPE_ERR_SYSTEM;
	rc = fdtape_reader_open_fd(&reader, fileno(f));
	if (rc) {
		fclose(f);
		return rc;
	}
	while (rc == 0 && (rc = fdtape_reader_next(reader, &item)) > 0) {
		rc = 0;
		if (item.type == FDTAPE_ITEM_SECTION && !s->writer) {
			struct fdtape_writer_options options = {.meta = fdtape_reader_meta(reader, 0),
			                                        .uuid = "golden tape v1",
			                                        .salt = 0x676f6c64656e};
			struct fdtape_section_info info;

			while (fdtape_reader_meta(reader, options.n_meta))
				options.n_meta++;
			fdtape_reader_section(reader, &info);
			options.clock = info.clock;
			s->begin = s->time = info.clock.monotonic;
			rc = fdtape_writer_open_fd(&s->writer, STDOUT_FILENO, &options);
		} else if (s->writer) {
			rc = put_again(s, &item);
		}
	}
	fdtape_reader_free(reader);
	fclose(f);
	return rc;
}

int main(int argc, char **argv)
{
	struct spread s = {0};
	int rc = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: golden TAPE\n");
		return 2;
	}
	for (; s.round < TIMES && rc == 0; s.round++)
		rc = go_through(&s, argv[1]);
	if (rc == 0)
		rc = fdtape_writer_end(s.writer);
	fdtape_writer_free(s.writer);
	if (rc)
		fprintf(stderr, "golden: %s: %s\n", argv[1], fdtape_strerror(rc));
	return rc ? 3 : 0;
}
