/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Prints one line for each flow of a tape, with the bytes that it carried:
 *
 *     cc -o flows example.c $(pkg-config --cflags --libs libfdtape)
 *     ./flows session.tape
 */
#include <stdio.h>
#include <stdlib.h>

#include <fdtape/reader.h>

struct flow {
	struct fdtape_flow def; /* but for its name, which the reader takes back */
	unsigned long long bytes[2];
};

static struct flow *flows;
static uint64_t n_flows;

/* The place of a flow of this section. Ids are counted from 1; one that is out of all proportion is not believed. */
static struct flow *flow_of(uint64_t id)
{
	while (n_flows <= id && id < 10000000) {
		flows = realloc(flows, (n_flows + 1) * sizeof(*flows));
		if (!flows)
			exit(4);
		flows[n_flows++] = (struct flow){.bytes = {0, 0}};
	}
	return id < n_flows ? &flows[id] : NULL;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	struct fdtape_reader *reader;
	struct fdtape_item item;
	struct flow *flow;
	int rc;

	if (!file || fdtape_reader_open_fd(&reader, fileno(file)))
		return fprintf(stderr, "usage: %s TAPE\n", argv[0]), 2;
	while ((rc = fdtape_reader_next(reader, &item)) != 0) {
		if (rc < 0)
			fprintf(stderr, "%s\n", fdtape_reader_message(reader));
		if (rc < 0 && rc != FDTAPE_ERR_DAMAGED && rc != FDTAPE_ERR_LIMIT && rc != FDTAPE_ERR_TRUNCATED)
			return 3;
		if (rc == 1 && item.type == FDTAPE_ITEM_FLOW && (flow = flow_of(item.flow.id)))
			flow->def = item.flow;
		if (rc == 1 && item.type == FDTAPE_ITEM_EVENT && (flow = flow_of(item.event.flow)))
			flow->bytes[item.event.dir] += item.event.bytes;
	}
	for (uint64_t id = 1; id < n_flows; id++)
		printf("flow %llu  pid %u  fd %d  in %llu  out %llu\n", (unsigned long long)id, flows[id].def.pid,
		       (int)flows[id].def.fd, flows[id].bytes[FDTAPE_IN], flows[id].bytes[FDTAPE_OUT]);
	fdtape_reader_free(reader);
	return 0;
}
