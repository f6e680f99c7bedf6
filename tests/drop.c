/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drop TAPE NEW RATE SEED: a copy of a tape (of one section) without RATE per mille of its events, chosen at random by
 * the seed, as if there had been no room for them; each is told of by a loss. Definitions and secrets stay. Prints how
 * many events were dropped. Exit status 0, 2 usage, 3 damaged, 4 the system refused.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fdtape/reader.h>
#include <fdtape/writer.h>

/* Marsaglia's xorshift: the same on every machine. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int begin(struct fdtape_writer **writer, int fd, const struct fdtape_reader *reader)
{
	struct fdtape_writer_options options = {.salt = 1};
	struct fdtape_section_info info;
	int error = fdtape_reader_section(reader, &info);

	if (error)
		return error;
	options.clock = info.clock;
	memcpy(options.uuid, info.uuid, sizeof options.uuid);
	return fdtape_writer_open_fd(writer, fd, &options);
}

static int put_loss(struct fdtape_writer *writer, const struct fdtape_event *event)
{
	const struct fdtape_item loss = {.type = FDTAPE_ITEM_LOSS,
	                                 .loss = {.reason = FDTAPE_LOSS_RING_FULL,
	                                          .count = 1,
	                                          .bytes = event->bytes,
	                                          .from = event->time,
	                                          .to = event->time + event->duration}};

	return fdtape_writer_put(writer, &loss);
}

int main(int argc, char **argv)
{
	struct fdtape_reader *reader = NULL;
	struct fdtape_writer *writer = NULL;
	uint64_t state, rate, dropped = 0;
	struct fdtape_item item;
	int in, out, got;

	if (argc != 5 || !(state = strtoull(argv[4], NULL, 10))) {
		fprintf(stderr, "usage: drop TAPE NEW RATE SEED (RATE per mille, SEED not 0)\n");
		return 2;
	}
	rate = strtoull(argv[3], NULL, 10);
	in = open(argv[1], O_RDONLY | O_CLOEXEC);
	out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0 || fdtape_reader_open_fd(&reader, in) != 0) {
		perror("drop");
		return 4;
	}
	for (int i = 0; i < 8; i++)
		next_random(&state);
	while ((got = fdtape_reader_next(reader, &item)) > 0) {
		if (item.type == FDTAPE_ITEM_SECTION) {
			got = writer ? FDTAPE_ERR_USAGE : begin(&writer, out, reader);
		} else if (item.type == FDTAPE_ITEM_EVENT && next_random(&state) % 1000 < rate) {
			dropped++;
			got = put_loss(writer, &item.event);
		} else if (item.type != FDTAPE_ITEM_END) {
			got = fdtape_writer_put(writer, &item);
		} else {
			got = 0;
		}
		if (got < 0)
			break;
	}
	if (got == 0)
		got = fdtape_writer_end(writer);
	if (got < 0)
		fprintf(stderr, "drop: %s\n", fdtape_strerror(got));
	fdtape_writer_free(writer);
	fdtape_reader_free(reader);
	close(in);
	if (close(out) != 0)
		got = FDTAPE_ERR_SYSTEM;
	printf("%" PRIu64 "\n", dropped);
	return got < 0 ? 3 : 0;
}
