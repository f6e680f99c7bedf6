/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The inode of the first cgroup namespace: include/linux/proc_ns.h, PROC_CGROUP_INIT_INO. */
#define FIRST_NAMESPACE 0xeffffffbu

/* mountinfo writes blanks and backslashes as \ooo. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = 0;
}

bool cgroup_mount(char mount[static PATH_MAX])
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[2 * PATH_MAX];
	bool found = false;

	while (mounts && !found && fgets(line, sizeof line, mounts)) {
		/* 41 31 0:38 ROOT MOUNT OPTIONS [FIELDS...] - TYPE ... */
		const char *type = strstr(line, " - ");

		found = type && strncmp(type + 3, "cgroup2 ", 8) == 0 &&
		        sscanf(line, "%*s %*s %*s %*s %4095s", mount) == 1;
	}
	if (mounts)
		fclose(mounts);
	if (found)
		unescape(mount);
	return found;
}

bool cgroup_from_root(void)
{
	struct stat st;

	return stat("/proc/self/ns/cgroup", &st) != 0 || st.st_ino == FIRST_NAMESPACE;
}

/* A folder of the tree that is there: `full` begins with the mount. */
static int take(const char *mount, const char *full, struct choice_cgroup *cgroup, char why[static CGROUP_WHY])
{
	const char *path = full + strlen(mount);
	struct stat st;

	if (stat(full, &st) != 0) {
		snprintf(why, CGROUP_WHY, "%s: %s", full, strerror(errno));
		return -1;
	}
	if (!cgroup_from_root()) {
		snprintf(why, CGROUP_WHY,
		         "the cgroup tree is seen from within a cgroup namespace, where its root is not known; run the "
		         "recorder in the host's (docker run --cgroupns=host)");
		return -1;
	}
	*cgroup = (struct choice_cgroup){.id = st.st_ino, .path = strdup(*path ? path : "/")};
	if (!cgroup->path) {
		snprintf(why, CGROUP_WHY, "no memory");
		return -1;
	}
	for (const char *p = path; *p; p++)
		cgroup->level += *p == '/' && p[1];
	return 0;
}

static int no_tree(char why[static CGROUP_WHY])
{
	snprintf(why, CGROUP_WHY,
	         "no cgroup2 tree is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified");
	return -1;
}

int cgroup_by_path(const char *path, struct choice_cgroup *cgroup, char why[static CGROUP_WHY])
{
	char mount[PATH_MAX], name[2 * PATH_MAX], full[PATH_MAX];
	size_t len;

	if (!cgroup_mount(mount))
		return no_tree(why);
	len = strlen(mount);
	if (strncmp(path, mount, len) == 0 && (!path[len] || path[len] == '/'))
		path += len;
	snprintf(name, sizeof name, "%s%s%s", mount, *path == '/' || !*path ? "" : "/", path);
	if (!realpath(name, full)) {
		snprintf(why, CGROUP_WHY, "there is no folder %.300s: %s", name, strerror(errno));
		return -1;
	}
	if (strncmp(full, mount, len) != 0 || (full[len] && full[len] != '/')) {
		snprintf(why, CGROUP_WHY, "%.200s leads out of the cgroup2 tree at %.200s", path, mount);
		return -1;
	}
	return take(mount, full, cgroup, why);
}

/* ---- containers ------------------------------------------------------------------------------------------------- */

#define ID_MIN 32 /* digits that make a folder's name a container's: the ids have 64 */
#define ID_MAX 64
#define KNOWN  8 /* containers that are named in a message */

struct search {
	const char *id;
	size_t id_len;
	size_t n;               /* containers that match, by id */
	char first[ID_MAX + 1]; /* id of the first of them */
	char folder[PATH_MAX];  /* and its folder */
	size_t n_known;         /* all that were met */
	char known[KNOWN][ID_MAX + 1];
};

/* The id within docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope, or ID itself. */
static bool container_id(const char *name, char id[static ID_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";

	if (strstr(name, "conmon")) /* the monitor of a podman or cri-o container, not the container */
		return false;
	while (*name) {
		size_t n = strspn(name, digits);

		if (n >= ID_MIN && n <= ID_MAX) {
			memcpy(id, name, n);
			id[n] = 0;
			return true;
		}
		name += n ? n : 1;
	}
	return false;
}

static void met(struct search *s, const char *id, const char *folder)
{
	bool new_match = strncmp(id, s->id, s->id_len) == 0 && strcmp(id, s->first) != 0;

	for (size_t i = 0; i < s->n_known && i < KNOWN; i++)
		if (strcmp(s->known[i], id) == 0)
			return; /* a folder within the container's own that repeats its name */
	if (s->n_known < KNOWN)
		strcpy(s->known[s->n_known], id);
	s->n_known++;
	if (!new_match)
		return;
	if (s->n++ == 0) {
		strcpy(s->first, id);
		snprintf(s->folder, sizeof s->folder, "%s", folder);
	}
}

/* Folders above those below them, so that the outermost of a container's is found first. */
static void walk(struct search *s, const char *folder, int depth)
{
	DIR *dir = depth < 32 ? opendir(folder) : NULL;
	char path[PATH_MAX], id[ID_MAX + 1];
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || *entry->d_name == '.' ||
		    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
			continue;
		if (container_id(entry->d_name, id))
			met(s, id, path);
		walk(s, path, depth + 1);
	}
	if (dir)
		closedir(dir);
}

static void name_known(const struct search *s, char *text, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < s->n_known && i < KNOWN && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%.12s", i ? ", " : "", s->known[i]);
	if (s->n_known > KNOWN && len < size)
		snprintf(text + len, size - len, " and %zu more", s->n_known - KNOWN);
}

int cgroup_by_container(const char *id, struct choice_cgroup *cgroup, char why[static CGROUP_WHY])
{
	struct search s = {.id = id, .id_len = strlen(id)};
	char mount[PATH_MAX], known[256] = "none";

	if (!cgroup_mount(mount))
		return no_tree(why);
	walk(&s, mount, 0);
	if (s.n == 1)
		return take(mount, s.folder, cgroup, why);
	name_known(&s, known, sizeof known);
	if (s.n)
		snprintf(why, CGROUP_WHY,
		         "%zu containers have ids that begin with %.64s; give more digits (there are: %s)", s.n, id,
		         known);
	else
		snprintf(why, CGROUP_WHY,
		         "no container's folder below %.200s has an id that begins with %.64s (there are: %s)", mount,
		         id, known);
	return -1;
}

size_t cgroup_containers(void)
{
	struct search s = {.id = "-", .id_len = 1};
	char mount[PATH_MAX];

	if (!cgroup_mount(mount))
		return 0;
	walk(&s, mount, 0);
	return s.n_known;
}
