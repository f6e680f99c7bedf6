/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/spool.h"

#include <stdlib.h>
#include <unistd.h>

#include "analyze/alloc.h"
#include "analyze/say.h"

static void copy(int from, FILE *to, const char *name)
{
	char buffer[65536];
	ssize_t n;

	for (;;) {
		n = read(from, buffer, sizeof buffer);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			say_and_exit(CLI_REFUSED, "cannot read %s: %s", name, strerror(errno));
		if (fwrite(buffer, 1, (size_t)n, to) != (size_t)n)
			say_and_exit(CLI_REFUSED, "cannot keep %s in a temporary file: %s", name, strerror(errno));
	}
	if (fflush(to) != 0 || fseek(to, 0, SEEK_SET) != 0)
		say_and_exit(CLI_REFUSED, "cannot keep %s in a temporary file: %s", name, strerror(errno));
}

/* The copy takes the place of the pipe, under the same fd. */
static void replace(int fd, const char *name)
{
	FILE *file = tmpfile();

	if (!file)
		say_and_exit(CLI_REFUSED, "cannot make a temporary file: %s", strerror(errno));
	copy(fd, file, name);
	if (dup2(fileno(file), fd) < 0)
		say_and_exit(CLI_REFUSED, "cannot keep %s in a temporary file: %s", name, strerror(errno));
	fclose(file);
}

void spool_open(struct spool *spool, const struct inputs *inputs)
{
	*spool = (struct spool){
	        .fds = inputs->fds,
	        .starts = alloc_new(inputs->n, sizeof *spool->starts),
	        .n = inputs->n,
	};
	for (size_t i = 0; i < inputs->n; i++) {
		spool->starts[i] = lseek(inputs->fds[i], 0, SEEK_CUR);
		if (spool->starts[i] >= 0)
			continue;
		replace(inputs->fds[i], inputs->list[i].name);
		spool->starts[i] = 0;
	}
}

void spool_rewind(const struct spool *spool)
{
	for (size_t i = 0; i < spool->n; i++)
		lseek(spool->fds[i], spool->starts[i], SEEK_SET);
}

void spool_release(struct spool *spool)
{
	free(spool->starts);
	spool->starts = NULL;
}
