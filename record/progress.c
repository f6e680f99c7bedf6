/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "record/human.h"

#define EVERY_NS    UINT64_C(500000000)
#define COLUMNS_MAX 80

void progress_start(struct progress *p, uint64_t now)
{
	*p = (struct progress){.on = isatty(STDERR_FILENO), .started = now, .shown = now};
}

bool progress_due(const struct progress *p, uint64_t now)
{
	return p->on && now - p->shown >= EVERY_NS;
}

/* What a terminal takes without a wrap, which could not be taken back. */
static size_t columns(void)
{
	struct winsize size = {.ws_col = 0};

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col || size.ws_col > COLUMNS_MAX)
		return COLUMNS_MAX - 1;
	return size.ws_col - 1u;
}

/* Overwrites what stands there with blanks where the new line is shorter: no terminal needs to know more than \r. */
static void rewrite(struct progress *p, const char *line)
{
	size_t len = strlen(line), max = columns();

	if (len > max)
		len = max;
	fprintf(stderr, "\r%.*s%*s", (int)len, line, (int)(p->width > len ? p->width - len : 0), "");
	if (p->width > len)
		fprintf(stderr, "\r%.*s", (int)len, line);
	fflush(stderr);
	p->width = len;
}

void progress_show(struct progress *p, uint64_t now, const struct translate_totals *t, uint64_t tape_size)
{
	char line[160], carried[HUMAN_MAX], lost[HUMAN_MAX], size[HUMAN_MAX];
	double seconds = (double)(now - p->shown) / 1e9;
	uint64_t since = t->events - p->events;

	snprintf(line, sizeof line, "%.0f s: %.0f events/s, %s, %s and %" PRIu64 " events lost, tape %s",
	         (double)(now - p->started) / 1e9, seconds > 0 ? (double)since / seconds : 0.0,
	         human_size(t->bytes, carried), human_size(t->bytes - t->captured, lost), t->lost_events,
	         human_size(tape_size, size));
	rewrite(p, line);
	p->shown = now;
	p->events = t->events;
}

void progress_clear(struct progress *p)
{
	if (!p->width)
		return;
	fprintf(stderr, "\r%*s\r", (int)p->width, "");
	fflush(stderr);
	p->width = 0;
}

void closing_line(const struct closing *c)
{
	const struct translate_totals *t = &c->totals;
	char line[1024], size[HUMAN_MAX];
	bool any = false;
	size_t len;

	len = (size_t)snprintf(line, sizeof line,
	                       "%" PRIu64 " events, %" PRIu64 " bytes carried = %" PRIu64 " captured + %" PRIu64
	                       " lost, by %" PRIu64 " flows",
	                       t->events, t->bytes, t->captured, t->bytes - t->captured, t->flows);
	for (uint32_t reason = 1; reason < FDTAPE_LOSS_REASONS && len < sizeof line; reason++) {
		if (!t->losses[reason].count)
			continue;
		len += (size_t)snprintf(line + len, sizeof line - len, "%s%" PRIu64 " x %s (%" PRIu64 " bytes)",
		                        any ? ", " : "; missing: ", t->losses[reason].count,
		                        fdtape_loss_name(reason) ? fdtape_loss_name(reason) : "unknown",
		                        t->losses[reason].bytes);
		any = true;
	}
	if (len < sizeof line && c->tapes > 1)
		len += (size_t)snprintf(line + len, sizeof line - len, "; %u tapes of %s", c->tapes,
		                        human_size(c->tape_size, size));
	else if (len < sizeof line)
		len += (size_t)snprintf(line + len, sizeof line - len, "; tape %s", human_size(c->tape_size, size));
	if (len < sizeof line)
		snprintf(line + len, sizeof line - len, "; %.2f s%s%s", c->seconds, *c->ended ? ", ended by " : "",
		         c->ended);
	cli_warn("%s", line);
}
