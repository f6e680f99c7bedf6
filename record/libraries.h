/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIBRARIES_H
#define LIBRARIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Which files may hold code that is worth a probe. Each function calls found() for each candidate, possibly more than
 * once for the same file; whoever attaches sorts that out by inode.
 */
typedef void libraries_found(void *context, const char *path, const char *seen);

/* The files that a running process has mapped executable: `path` is valid from outside its mount namespace, `seen` is
 * what the process knows it by. */
void libraries_of_process(pid_t pid, libraries_found *found, void *context);

/* A path, valid for us, of what the process sees as `seen`; false: that is not the file with this inode (any more). */
bool libraries_path(pid_t pid, const char *seen, uint64_t inode, char *path, size_t size);

/* Whether the file is the library of that name, "libssl", in whatever version. */
bool libraries_is_named(const char *path, const char *name);

/* Whether the file is by its name a library that does TLS: one that is known here or not. */
bool libraries_is_tls(const char *path);

/* The TLS libraries that the dynamic linker would give a program that starts now, from its cache and the usual
 * folders: they can be probed before the first program that uses them runs. */
void libraries_of_system(libraries_found *found, void *context);

/* The programs in the folders of PATH, and those that a pattern spells out, for which wanted() says so. */
void libraries_programs(const char *const *patterns, size_t n, bool (*wanted)(const char *pattern, const char *path),
                        libraries_found *found, void *context);

#endif
