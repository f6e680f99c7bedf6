/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/libraries.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file by the mapping itself, which finds it wherever it lies and whether or not it has a name still; where that is
 * not allowed (it takes CAP_SYS_ADMIN), by its name from the process' root. */
static void tell_mapping(pid_t pid, unsigned long from, unsigned long to, const char *seen, libraries_found *found,
                         void *context)
{
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", pid, from, to);
	if (stat(path, &st) != 0)
		snprintf(path, sizeof path, "/proc/%d/root%s", pid, seen);
	found(context, path, seen);
}

void libraries_of_process(pid_t pid, libraries_found *found, void *context)
{
	char name[64], line[PATH_MAX + 128], last[PATH_MAX + 128] = "";
	FILE *maps;

	snprintf(name, sizeof name, "/proc/%d/maps", pid);
	maps = fopen(name, "re");
	if (!maps)
		return;
	while (fgets(line, sizeof line, maps)) {
		unsigned long from, to;
		char permissions[5];
		int at = 0;

		if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u %n", &from, &to, permissions, &at) != 3 || !at ||
		    line[at] != '/' || permissions[2] != 'x')
			continue;
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line + at, last) != 0)
			tell_mapping(pid, from, to, line + at, found, context);
		strcpy(last, line + at);
	}
	fclose(maps);
}

/* What follows the name is ".so.3", or "-78d8aee1.so.3" in a Python wheel. */
bool libraries_is_named(const char *path, const char *name)
{
	const char *base = strrchr(path, '/');
	size_t len = strlen(name);

	return base && strncmp(base + 1, name, len) == 0 && strchr(".-", base[1 + len]);
}

bool libraries_is_tls(const char *path)
{
	static const char *const names[] = {"libssl",     "libgnutls",  "libssl3", "libmbedtls", "libwolfssl",
	                                    "libbotan-2", "libbotan-3", "libs2n",  "libtls",     "librustls"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (libraries_is_named(path, names[i]))
			return true;
	return false;
}

bool libraries_path(pid_t pid, const char *seen, uint64_t inode, char *path, size_t size)
{
	struct stat st;

	if (!*seen || (size_t)snprintf(path, size, "/proc/%d/root%s", pid, seen) >= size)
		return false;
	if (stat(path, &st) == 0 && st.st_ino == inode)
		return true;
	/* The process may be gone; where it sees what we see, the file is not. */
	return (size_t)snprintf(path, size, "%s", seen) < size && stat(path, &st) == 0 && st.st_ino == inode;
}

static const char *const tls_libraries[] = {
        "libcrypto.so.3", "libssl.so.3",     "libcrypto.so.1.1", "libssl.so.1.1",
        "libnettle.so.8", "libgnutls.so.30", "libnettle.so.7",   "libnspr4.so",
};
#define N_TLS_LIBRARIES (sizeof tls_libraries / sizeof *tls_libraries)

/* /etc/ld.so.cache (glibc, sysdeps/generic/dl-cache.h, struct cache_file_new): a head, entries of 24 bytes whose key
 * and value are offsets of a name and a path in the same file. The old format, where it still precedes the new one,
 * is skipped by looking for the new magic. */
struct cache_head {
	char magic[20]; /* "glibc-ld.so.cache" "1.1" */
	uint32_t n;
	uint32_t unused[6];
};

struct cache_entry {
	int32_t flags;
	uint32_t key, value;
	uint32_t os_version;
	uint64_t hwcap;
};

static void search_cache(const char *base, size_t size, libraries_found *found, void *context)
{
	static const char magic[] = "glibc-ld.so.cache1.1";
	const char *start = memmem(base, size, magic, sizeof magic - 1);
	struct cache_entry entry;
	struct cache_head head;

	if (!start || (size -= (size_t)(start - base)) < sizeof head)
		return;
	memcpy(&head, start, sizeof head);
	for (uint32_t i = 0; i < head.n && sizeof head + (i + 1) * sizeof entry <= size; i++) {
		memcpy(&entry, start + sizeof head + i * sizeof entry, sizeof entry);
		if (entry.key >= size || entry.value >= size || !memchr(start + entry.key, 0, size - entry.key) ||
		    !memchr(start + entry.value, 0, size - entry.value))
			continue;
		for (size_t l = 0; l < N_TLS_LIBRARIES; l++)
			if (strcmp(start + entry.key, tls_libraries[l]) == 0)
				found(context, start + entry.value, start + entry.value);
	}
}

void libraries_of_system(libraries_found *found, void *context)
{
	static const char *const folders[] = {"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"};
	int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
	char path[128];
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (base != MAP_FAILED) {
			search_cache(base, (size_t)st.st_size, found, context);
			munmap(base, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
		for (size_t l = 0; l < N_TLS_LIBRARIES; l++) {
			snprintf(path, sizeof path, "%s/%s", folders[f], tls_libraries[l]);
			if (access(path, R_OK) == 0)
				found(context, path, path);
		}
	}
}

/* ---- programs --------------------------------------------------------------------------------------------------- */

struct programs {
	const char *const *patterns;
	size_t n;
	bool (*wanted)(const char *pattern, const char *path);
	libraries_found *found;
	void *context;
};

/* Links are resolved: a pattern is of the path that the kernel knows. */
static void judge_program(const struct programs *p, const char *path)
{
	char real[PATH_MAX];

	if (!realpath(path, real))
		return;
	for (size_t i = 0; i < p->n; i++) {
		if (p->wanted(p->patterns[i], real)) {
			p->found(p->context, real, real);
			return;
		}
	}
}

static void search_folder(const struct programs *p, const char *folder)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *all = opendir(folder);

	while (all && (entry = readdir(all)))
		if (*entry->d_name != '.' &&
		    (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < sizeof path)
			judge_program(p, path);
	if (all)
		closedir(all);
}

void libraries_programs(const char *const *patterns, size_t n, bool (*wanted)(const char *pattern, const char *path),
                        libraries_found *found, void *context)
{
	const struct programs p = {patterns, n, wanted, found, context};
	const char *path = getenv("PATH");
	char *copy = strdup(path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"), *rest = copy, *folder;

	for (size_t i = 0; i < n; i++) {
		const char *pattern = patterns[i] + strspn(patterns[i], "*");
		char spelt[PATH_MAX];

		snprintf(spelt, sizeof spelt, "%.*s", (int)strcspn(pattern, "*"), pattern);
		if (*spelt == '/')
			judge_program(&p, spelt);
	}
	while (copy && (folder = strtok_r(rest, ":", &rest)))
		search_folder(&p, folder);
	free(copy);
}
