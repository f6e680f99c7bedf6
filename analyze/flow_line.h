/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FLOW_LINE_H
#define FLOW_LINE_H

/*
 * Lines of flows in the order in which the flows were opened, although what a line says is known when its flow is
 * closed: a line waits for those before it. Memory is bounded by the flows between the oldest live one and the newest.
 */
#include <stdbool.h>

struct flow_line {
	struct flow_line *next;
	bool closed;
	void *value; /* what to print; NULL: nothing */
};

struct flow_lines {
	struct flow_line *first, *last;
	void (*put)(void *context, void *value); /* takes over the value */
	void *context;
};

/* The flow's place in the order: keep it in player_flow.user. */
struct flow_line *flow_lines_open(struct flow_lines *lines);
/* Now it is known. Prints it, and those that waited for it. */
void flow_lines_close(struct flow_lines *lines, struct flow_line *line, void *value);

#endif
