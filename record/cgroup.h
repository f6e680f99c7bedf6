/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CGROUP_H
#define CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "record/selection.h"

/*
 * The cgroup2 tree: where it is mounted, and its folders by path or by the container that lives in them.
 * Functions that can fail give 0 or -1 with the reason in `why`, in words.
 */
#define CGROUP_WHY 512

/* Where the tree is mounted; false: nowhere. */
bool cgroup_mount(char mount[static PATH_MAX]);

/* Whether we see the tree from its root: from within a cgroup namespace the depth of a folder is not known. */
bool cgroup_from_root(void);

/* By its path, with the mount's or from the tree's root. `path` of the result is the caller's to free. */
int cgroup_by_path(const char *path, struct choice_cgroup *cgroup, char why[static CGROUP_WHY]);

/* By the first hexadecimal digits of a container's id, as docker, containerd, podman and cri-o name their folders. */
#define CGROUP_ID_MIN 6
int cgroup_by_container(const char *id, struct choice_cgroup *cgroup, char why[static CGROUP_WHY]);

/* How many containers have a folder in the tree. */
size_t cgroup_containers(void);

#endif
