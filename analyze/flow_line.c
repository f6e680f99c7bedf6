/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/flow_line.h"

#include <stdlib.h>

#include "analyze/alloc.h"

struct flow_line *flow_lines_open(struct flow_lines *lines)
{
	struct flow_line *line = alloc_new(1, sizeof *line);

	if (lines->last)
		lines->last->next = line;
	else
		lines->first = line;
	lines->last = line;
	return line;
}

void flow_lines_close(struct flow_lines *lines, struct flow_line *line, void *value)
{
	line->closed = true;
	line->value = value;
	while ((line = lines->first) && line->closed) {
		lines->first = line->next;
		if (!lines->first)
			lines->last = NULL;
		if (line->value)
			lines->put(lines->context, line->value);
		free(line);
	}
}
