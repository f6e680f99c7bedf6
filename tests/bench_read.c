/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_read TAPE: reads a tape through libfdtape and does nothing with it, but that it adds up every byte of payload.
 * It is what any view has to do at least (docs/performance.md, "Analysis"). Prints events, bytes and the sum.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fdtape/reader.h>

#include "cli.h"

/* Eight bytes at a time: fast, and it can't be left out. */
static uint64_t sum_of(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0, word;
	size_t i = 0;

	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	for (; i < len; i++)
		sum += bytes[i];
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t events = 0, bytes = 0, sum = 0;
	struct fdtape_reader *reader;
	struct fdtape_item item;
	int fd, rc;

	cli_tool = "bench_read";
	if (argc != 2)
		cli_die(CLI_USAGE, "one TAPE is needed");
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		cli_die(CLI_REFUSED, "cannot open '%s'", argv[1]);
	rc = fdtape_reader_open_fd(&reader, fd);
	if (rc)
		cli_die(CLI_REFUSED, "%s", fdtape_strerror(rc));
	while ((rc = fdtape_reader_next(reader, &item)) > 0) {
		if (item.type != FDTAPE_ITEM_EVENT)
			continue;
		events++;
		bytes += item.event.captured;
		sum += sum_of(item.event.data, item.event.captured);
	}
	if (rc < 0)
		cli_die(CLI_DAMAGED, "%s", fdtape_reader_message(reader));
	fdtape_reader_free(reader);
	close(fd);
	printf("%" PRIu64 " events, %" PRIu64 " bytes, sum %016" PRIx64 "\n", events, bytes, sum);
	return CLI_DONE;
}
