/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t read_fd(void *context, void *buffer, size_t len)
{
	const int *fd = context;
	ssize_t n;

	do
		n = read(*fd, buffer, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? FDTAPE_ERR_SYSTEM : n;
}

static int64_t read_fd_at(void *context, uint64_t offset, void *buffer, size_t len)
{
	const int *fd = context;
	ssize_t n;

	do
		n = pread(*fd, buffer, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? FDTAPE_ERR_SYSTEM : n;
}

/* A regular file can be read anywhere. Standard input only from its beginning: it may have been read from before. */
static struct fdtape_source source_of(int *fd)
{
	struct fdtape_source source = {.read = read_fd, .context = fd};
	struct stat st;

	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode) && lseek(*fd, 0, SEEK_CUR) == 0) {
		source.read_at = read_fd_at;
		source.size = (uint64_t)st.st_size;
	}
	return source;
}

int inputs_open(struct inputs *inputs, const char *const *names, size_t n)
{
	bool stdin_taken = false;

	memset(inputs, 0, sizeof *inputs);
	if (n == 0) {
		snprintf(inputs->message, sizeof inputs->message,
		         "no TAPE was given; name a file, or - for standard input");
		return FDTAPE_ERR_USAGE;
	}
	inputs->list = calloc(n, sizeof *inputs->list);
	inputs->fds = calloc(n, sizeof *inputs->fds);
	if (!inputs->list || !inputs->fds) {
		snprintf(inputs->message, sizeof inputs->message, "out of memory");
		return FDTAPE_ERR_MEMORY;
	}
	for (size_t i = 0; i < n; i++) {
		bool is_stdin = strcmp(names[i], "-") == 0;

		if (is_stdin && stdin_taken) {
			snprintf(inputs->message, sizeof inputs->message,
			         "standard input ('-') can be given only once");
			return FDTAPE_ERR_USAGE;
		}
		stdin_taken |= is_stdin;
		inputs->fds[i] = is_stdin ? STDIN_FILENO : open(names[i], O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (inputs->fds[i] < 0) {
			snprintf(inputs->message, sizeof inputs->message, "cannot open '%s': %s", names[i],
			         strerror(errno));
			return FDTAPE_ERR_SYSTEM;
		}
		inputs->list[i] = (struct player_input){
		        .source = source_of(&inputs->fds[i]),
		        .name = is_stdin ? "standard input" : names[i],
		};
		inputs->n++;
	}
	return 0;
}

bool inputs_hold(const struct inputs *inputs, const char *path)
{
	struct stat file, input;

	if (stat(path, &file) != 0)
		return errno != ENOENT;
	for (size_t i = 0; i < inputs->n; i++)
		if (fstat(inputs->fds[i], &input) != 0 ||
		    (S_ISREG(input.st_mode) && file.st_dev == input.st_dev && file.st_ino == input.st_ino))
			return true;
	return false;
}

void inputs_release(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->n; i++)
		if (inputs->fds[i] != STDIN_FILENO)
			close(inputs->fds[i]);
	free(inputs->list);
	free(inputs->fds);
	memset(inputs, 0, sizeof *inputs);
}
