/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/about.h"

#include <stdio.h>

#include "cli.h"

/* The command line as it was given; cut off where it is longer. */
static void join(char *line, size_t size, char *const *words)
{
	size_t len = 0;

	*line = 0;
	for (; words && *words && len < size; words++) {
		int n = snprintf(line + len, size - len, "%s%s", len ? " " : "", *words);

		if (n < 0)
			return;
		len += (size_t)n;
	}
}

void about_add(struct about *a, const char *key, const char *value)
{
	if (a->n < ABOUT_MAX)
		a->meta[a->n++] = (struct fdtape_meta){key, value};
}

void about_fill(struct about *a, const struct options *options, char *const *argv)
{
	*a = (struct about){.n = 0};
	uname(&a->host);
	join(a->cmdline, sizeof a->cmdline, argv);
	options_choice(options, a->choice, sizeof a->choice);
	about_add(a, "host.name", a->host.nodename);
	about_add(a, "host.os", a->host.sysname);
	about_add(a, "host.kernel", a->host.release);
	about_add(a, "host.arch", a->host.machine);
	about_add(a, "tool.name", "fdtape-record");
	about_add(a, "tool.version", CLI_VERSION);
	about_add(a, "record.cmdline", a->cmdline);
	about_add(a, "record.choice", a->choice);
	about_add(a, "record.tls", options_tls_name(options->tls));
}
