/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/tapes.h"

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "record/chain.h"
#include "record/human.h"
#include "record/last.h"
#include "record/tape_file.h"

struct tapes {
	const struct options *options;
	const struct about *about;
	struct chain chain;
	bool in_chain; /* chain is open */
	bool fresh;    /* the file was not there before */
	char name[CHAIN_NAME];
	char dump_name[CHAIN_NAME]; /* of the dump that is being written */
	struct output {
		int fd;
		struct tape_file *file; /* NULL: standard output, or with --last */
		struct fdtape_writer *writer;
	} out;
	uint64_t ended; /* bytes of the tapes that are complete */
	unsigned count;
	struct last *last;
	bool dumping;
	unsigned dumps;
};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int cannot_write(const char *name, int error)
{
	cli_warn("cannot write the tape %s: %s; choose another place with -o FILE", name, strerror(error));
	return -1;
}

/* The next name of the chain, created. */
static int create_next(struct tapes *t)
{
	int fd = chain_create_next(&t->chain, t->name);

	if (fd < 0)
		return cannot_write(t->name, -fd);
	t->out.fd = fd;
	return 0;
}

static int find_place(struct tapes *t)
{
	const struct options *o = t->options;
	int error = chain_open(&t->chain, t->name);

	t->in_chain = true;
	if (error)
		return cannot_write(t->name, -error);
	if (o->rotate || o->last) {
		error = chain_scan(&t->chain);
		if (error)
			return cannot_write(t->name, -error);
	}
	if (o->last)
		return chain_writable(&t->chain) ? 0 : cannot_write(t->name, errno);
	if (o->rotate)
		return create_next(t);
	t->out.fd = chain_create(&t->chain, &t->fresh);
	return t->out.fd < 0 ? cannot_write(t->name, -t->out.fd) : 0;
}

int tapes_open(struct tapes **tapes, const struct options *options, const struct about *about)
{
	struct tapes *t = calloc(1, sizeof *t);
	time_t now = time(NULL);
	struct tm utc;

	*tapes = t;
	if (!t) {
		cli_warn("no memory");
		return -1;
	}
	t->out.fd = -1;
	t->options = options;
	t->about = about;
	if (options_to_stdout(options)) {
		snprintf(t->name, sizeof t->name, "standard output");
		if (isatty(STDOUT_FILENO)) {
			cli_warn(
			        "a tape is not for a terminal; give -o FILE, or pipe it: -o - | fdtape-analyze http -");
			return -1;
		}
		t->out.fd = options->last ? -1 : STDOUT_FILENO;
		return 0;
	}
	if (options->output) {
		if (snprintf(t->name, sizeof t->name, "%s", options->output) >= (int)sizeof t->name)
			return cannot_write("of that name", ENAMETOOLONG);
	} else {
		gmtime_r(&now, &utc);
		strftime(t->name, sizeof t->name, "fdtape-%Y%m%dT%H%M%S.tape", &utc);
	}
	return find_place(t);
}

int tapes_failed(const struct tapes *t, int error)
{
	if (error == FDTAPE_ERR_SYSTEM)
		cli_warn("cannot write the tape %s: %s; what was written before is sound", t->name, strerror(errno));
	else
		cli_warn("the tape %s: %s", t->name, fdtape_strerror(error));
	return -1;
}

static void keep_newest(struct tapes *t)
{
	char oldest[CHAIN_NAME];
	int error = t->options->rotate ? chain_keep(&t->chain, t->options->keep, oldest) : 0;

	/* The disk fills, but what is recorded is sound. */
	if (error)
		cli_warn("cannot remove the tape %s: %s", oldest, strerror(-error));
}

static int begin(struct tapes *t, const struct fdtape_clock *clock)
{
	struct fdtape_writer_options options = {.clock = *clock, .meta = t->about->meta, .n_meta = t->about->n};
	struct fdtape_sink sink;
	int error = FDTAPE_ERR_MEMORY;

	if (t->out.fd == STDOUT_FILENO) {
		/* Whoever gave it may write to it as well. */
		error = fdtape_writer_open_fd(&t->out.writer, t->out.fd, &options);
	} else {
		t->out.file = tape_file_new(t->out.fd, &sink);
		if (t->out.file)
			error = fdtape_writer_open(&t->out.writer, &sink, &options);
	}
	if (error)
		return tapes_failed(t, error);
	t->count++;
	return 0;
}

int tapes_start(struct tapes *t, const struct fdtape_clock *clock)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK, .clock = *clock};
	int error;

	if (!t->options->last) {
		error = begin(t, clock);
		if (!error)
			keep_newest(t);
		return error;
	}
	t->last = last_new(t->options->last, t->options->max_size, t->about);
	error = t->last ? last_begin(t->last, clock, &t->out.writer) : FDTAPE_ERR_MEMORY;
	if (!error)
		error = fdtape_writer_put(t->out.writer, &item);
	return error ? tapes_failed(t, error) : 0;
}

struct fdtape_writer *tapes_writer(const struct tapes *t)
{
	return t->out.writer;
}

void tapes_written(struct tapes *t)
{
	if (t->out.file)
		tape_file_tend(t->out.file);
}

/* ---- one after the other ---------------------------------------------------------------------------------------- */

bool tapes_due(const struct tapes *t, uint64_t now)
{
	if (t->last)
		return last_due(t->last, now);
	return t->options->rotate && fdtape_writer_size(t->out.writer) >= t->options->rotate;
}

bool tapes_full(const struct tapes *t)
{
	return !t->last && t->options->max_size && tapes_size(t) >= t->options->max_size;
}

static int close_tape(struct tapes *t, int fd)
{
	/* A file system may tell only now that it could not. */
	if (fd >= 0 && fd != STDOUT_FILENO && close(fd) != 0)
		return tapes_failed(t, FDTAPE_ERR_SYSTEM);
	return 0;
}

static int end_tape(struct tapes *t, struct output *out)
{
	int error = fdtape_writer_end(out->writer);

	t->ended += fdtape_writer_size(out->writer);
	if (error)
		tapes_failed(t, error);
	fdtape_writer_free(out->writer);
	tape_file_free(out->file);
	return close_tape(t, out->fd) != 0 || error ? -1 : 0;
}

static int next_in_chain(struct tapes *t, const struct fdtape_clock *clock,
                         int (*switch_to)(void *context, struct fdtape_writer *writer), void *context)
{
	struct output old = t->out;
	struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK, .clock = *clock};
	int error = fdtape_writer_put(old.writer, &item);

	if (error)
		return tapes_failed(t, error);
	t->out.file = NULL;
	if (create_next(t) != 0 || begin(t, clock) != 0) {
		if (t->out.fd != old.fd)
			close(t->out.fd);
		tape_file_free(t->out.file);
		t->out = old; /* which can be ended properly */
		return -1;
	}
	error = switch_to(context, t->out.writer);
	if (error)
		tapes_failed(t, error);
	if (end_tape(t, &old) != 0 || error)
		return -1;
	keep_newest(t);
	return 0;
}

static int next_segment(struct tapes *t, const struct fdtape_clock *clock,
                        int (*switch_to)(void *context, struct fdtape_writer *writer), void *context)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK, .clock = *clock};
	int error = fdtape_writer_put(t->out.writer, &item);

	if (!error)
		error = last_begin(t->last, clock, &t->out.writer);
	if (!error)
		error = switch_to(context, t->out.writer);
	if (!error)
		error = fdtape_writer_put(t->out.writer, &item);
	if (!error)
		error = last_ended(t->last, clock);
	return error ? tapes_failed(t, error) : 0;
}

int tapes_next(struct tapes *t, const struct fdtape_clock *clock,
               int (*switch_to)(void *context, struct fdtape_writer *writer), void *context)
{
	return (t->last ? next_segment : next_in_chain)(t, clock, switch_to, context);
}

int tapes_end(struct tapes *t, const struct fdtape_clock *clock)
{
	struct output out = t->out;
	int error;

	t->out = (struct output){.fd = -1};
	if (!t->last)
		return end_tape(t, &out);
	error = last_finish(t->last, clock);
	return error ? tapes_failed(t, error) : 0;
}

/* ---- dumps ------------------------------------------------------------------------------------------------------ */

/* The first goes to the file that -o names, the others to numbered ones beside it. */
static int create_dump(struct tapes *t, char name[static CHAIN_NAME])
{
	bool fresh;
	int fd;

	if (options_to_stdout(t->options)) {
		snprintf(name, CHAIN_NAME, "%s", t->name);
		return STDOUT_FILENO;
	}
	if (t->dumps) {
		fd = chain_create_next(&t->chain, name);
	} else {
		snprintf(name, CHAIN_NAME, "%s", t->name);
		fd = chain_create(&t->chain, &fresh);
	}
	if (fd < 0)
		cannot_write(name, -fd);
	return fd;
}

int tapes_dump(struct tapes *t)
{
	int fd = create_dump(t, t->dump_name);

	if (fd < 0)
		return -1;
	if (!last_dump(t->last, fd)) {
		cli_warn("cannot write the tape %s: %s", t->dump_name, strerror(errno));
		close_tape(t, fd);
		return -1;
	}
	t->dumping = true;
	return 0;
}

bool tapes_dumping(const struct tapes *t)
{
	return t->dumping;
}

int tapes_poll(struct tapes *t, bool wait)
{
	struct last_dumped d;
	char size[HUMAN_MAX];

	if (!t->dumping || !last_dump_done(t->last, wait, &d))
		return 0;
	t->dumping = false;
	if (d.fd != STDOUT_FILENO && close(d.fd) != 0 && !d.error) {
		d.error = FDTAPE_ERR_SYSTEM;
		d.system = errno;
	}
	if (d.error) {
		cli_warn("cannot write the tape %s: %s", t->dump_name,
		         d.error == FDTAPE_ERR_SYSTEM ? strerror(d.system) : fdtape_strerror(d.error));
		return -1;
	}
	t->dumps++;
	t->count++;
	if (t->options->verbosity >= 0)
		cli_warn("the last %.1f s are in %s: %" PRIu64 " events, %" PRIu64 " bytes carried = %" PRIu64
		         " captured + %" PRIu64 " lost, by %" PRIu64 " flows, tape %s",
		         (double)(d.to - d.from) / 1e9, t->dump_name, d.events, d.carried, d.captured,
		         d.carried - d.captured, d.flows, human_size(d.bytes, size));
	return 0;
}

unsigned tapes_dumps(const struct tapes *t)
{
	return t->dumps;
}

/* ---- what is asked ---------------------------------------------------------------------------------------------- */

const char *tapes_name(const struct tapes *t)
{
	return t->name;
}

uint64_t tapes_size(const struct tapes *t)
{
	if (t->last)
		return last_size(t->last);
	return t->ended + (t->out.writer ? fdtape_writer_size(t->out.writer) : 0);
}

unsigned tapes_count(const struct tapes *t)
{
	return t->count;
}

bool tapes_creates(const struct tapes *t)
{
	return t->in_chain && (t->options->rotate || t->options->last);
}

bool tapes_may_create(const struct tapes *t)
{
	return chain_writable(&t->chain);
}

void tapes_abandon(struct tapes *t)
{
	if (!t || t->out.fd < 0 || !t->in_chain)
		return;
	if (t->options->rotate)
		chain_remove_last(&t->chain);
	else if (t->fresh)
		chain_remove(&t->chain);
}

void tapes_free(struct tapes *t)
{
	if (!t)
		return;
	last_free(t->last);
	if (!t->last)
		fdtape_writer_free(t->out.writer);
	tape_file_free(t->out.file);
	close_tape(t, t->out.fd);
	if (t->in_chain)
		chain_release(&t->chain);
	free(t);
}
