/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".tape"
#define DIGITS 6

int chain_open(struct chain *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) + 1 : 0, len = strlen(path + folder);

	*c = (struct chain){.folder = -1};
	if (folder >= sizeof c->folder_name || len >= sizeof c->file)
		return -ENAMETOOLONG;
	if (!len)
		return -EISDIR;
	memcpy(c->folder_name, path, folder);
	memcpy(c->file, path + folder, len);
	c->stem = len;
	if (len > strlen(SUFFIX) && strcmp(c->file + len - strlen(SUFFIX), SUFFIX) == 0)
		c->stem = len - strlen(SUFFIX);
	c->folder = open(folder ? c->folder_name : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return c->folder < 0 ? -errno : 0;
}

/* ---- creating --------------------------------------------------------------------------------------------------- */

static bool sudo_user(uid_t *uid, gid_t *gid)
{
	const char *u = getenv("SUDO_UID"), *g = getenv("SUDO_GID");
	char *end_u, *end_g;

	if (getuid() != 0 || geteuid() != 0 || !u || !g || !*u || !*g)
		return false;
	*uid = (uid_t)strtoul(u, &end_u, 10);
	*gid = (gid_t)strtoul(g, &end_g, 10);
	return !*end_u && !*end_g && *uid != 0;
}

bool chain_gives_away(void)
{
	uid_t uid;
	gid_t gid;

	return sudo_user(&uid, &gid);
}

/* Only a new file, and only where that user could have made it: otherwise who may call nothing but the recorder by
 * sudo could come to own any file. */
static void give_to_sudo_user(const struct chain *c, int fd)
{
	struct stat folder;
	uid_t uid;
	gid_t gid;

	if (!sudo_user(&uid, &gid) || fstat(c->folder, &folder) != 0 ||
	    (folder.st_uid != uid && !(folder.st_mode & S_IWOTH)))
		return;
	if (fchown(fd, uid, gid) != 0)
		return; /* it stays root's: a nuisance, no failure */
}

static int create(const struct chain *c, const char *file, bool *fresh)
{
	int fd = openat(c->folder, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*fresh = fd >= 0;
	if (*fresh) {
		give_to_sudo_user(c, fd);
		return fd;
	}
	return -errno;
}

int chain_create(const struct chain *c, bool *fresh)
{
	int fd = create(c, c->file, fresh);
	struct stat st;

	if (fd != -EEXIST)
		return fd;
	fd = openat(c->folder, c->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* It will hold keys: also where the file was there before, with another mode. */
	if (fstat(fd, &st) != 0 || (S_ISREG(st.st_mode) && fchmod(fd, 0600) != 0)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static int add_number(struct chain *c, uint64_t number)
{
	uint64_t *numbers = realloc(c->numbers, (c->n + 1) * sizeof *numbers);

	if (!numbers)
		return -ENOMEM;
	c->numbers = numbers;
	c->numbers[c->n++] = number;
	return 0;
}

static void numbered(const struct chain *c, uint64_t number, char name[static CHAIN_NAME], bool with_folder)
{
	snprintf(name, CHAIN_NAME, "%s%.*s-%0*" PRIu64 SUFFIX, with_folder ? c->folder_name : "", (int)c->stem, c->file,
	         DIGITS, number);
}

static int rising(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int chain_scan(struct chain *c)
{
	int fd = openat(c->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	char again[CHAIN_NAME];
	struct dirent *entry;
	DIR *folder;

	folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (!error && (entry = readdir(folder))) {
		char *end;
		uint64_t number;

		if (strncmp(entry->d_name, c->file, c->stem) != 0 || entry->d_name[c->stem] != '-')
			continue;
		number = strtoull(entry->d_name + c->stem + 1, &end, 10);
		numbered(c, number, again, false);
		if (number && strcmp(again, entry->d_name) == 0)
			error = add_number(c, number);
	}
	closedir(folder);
	if (c->n)
		qsort(c->numbers, c->n, sizeof *c->numbers, rising);
	return error;
}

int chain_create_next(struct chain *c, char name[static CHAIN_NAME])
{
	uint64_t number = c->n ? c->numbers[c->n - 1] : 0;
	char file[CHAIN_NAME];
	bool fresh;
	int fd;

	do {
		numbered(c, ++number, file, false);
		numbered(c, number, name, true);
		fd = create(c, file, &fresh);
	} while (fd == -EEXIST); /* somebody else's, meanwhile */
	if (fd >= 0 && add_number(c, number) != 0) {
		close(fd);
		fd = -ENOMEM;
	}
	return fd;
}

void chain_remove_last(struct chain *c)
{
	char file[CHAIN_NAME];

	if (!c->n)
		return;
	numbered(c, c->numbers[--c->n], file, false);
	unlinkat(c->folder, file, 0);
}

void chain_remove(const struct chain *c)
{
	unlinkat(c->folder, c->file, 0);
}

int chain_keep(struct chain *c, uint64_t keep, char name[static CHAIN_NAME])
{
	char file[CHAIN_NAME];

	while (keep && c->n > keep) {
		numbered(c, c->numbers[0], file, false);
		numbered(c, c->numbers[0], name, true);
		memmove(c->numbers, c->numbers + 1, --c->n * sizeof *c->numbers);
		if (unlinkat(c->folder, file, 0) != 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

bool chain_writable(const struct chain *c)
{
	return faccessat(c->folder, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

void chain_release(struct chain *c)
{
	if (c->folder >= 0)
		close(c->folder);
	free(c->numbers);
	c->folder = -1;
	c->numbers = NULL;
}
