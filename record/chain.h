/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CHAIN_H
#define CHAIN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where tapes are created: the folder and the name that -o gives, and behind them, where a recording makes several, a
 * chain of numbered names that sort in the order in which they were made: NAME-000001.tape, NAME-000002.tape.
 *
 * The folder is held open, so that a tape that is begun hours later goes where the first one went. A chain that is
 * there already is continued behind its highest number: a recorder that is started again destroys nothing.
 *
 * A tape is created 0600. One that root creates for somebody who has called sudo belongs to that user, if it stands
 * where that user could have created it as well.
 */
#define CHAIN_NAME (PATH_MAX + 300) /* a folder and a name with its number */

struct chain {
	int folder;
	char folder_name[PATH_MAX]; /* as it was given; "" for the current one, "x/" else */
	char file[NAME_MAX + 1];    /* the name without its folder */
	size_t stem;                /* bytes of it before ".tape", if it ends so */
	uint64_t *numbers;          /* of the tapes that are there, rising */
	size_t n;
};

/* 0 or -errno. chain_release() whatever is returned. */
int chain_open(struct chain *chain, const char *path);

/* The very file that -o names, emptied if it is there (and then not *fresh). Its fd, or -errno. */
int chain_create(const struct chain *chain, bool *fresh);

/* Looks for the numbered tapes that are there. 0 or -errno. */
int chain_scan(struct chain *chain);

/* The next numbered tape; `name` is its path. Its fd, or -errno. */
int chain_create_next(struct chain *chain, char name[static CHAIN_NAME]);

/* Removes a file that was created for nothing: the numbered one created last, or the very file. */
void chain_remove_last(struct chain *chain);
void chain_remove(const struct chain *chain);

/* Removes the oldest, so that `keep` are left. 0 or -errno, and then `name` is the one that could not be removed. */
int chain_keep(struct chain *chain, uint64_t keep, char name[static CHAIN_NAME]);

/* Whether we may create files in the folder. */
bool chain_writable(const struct chain *chain);

/* Whether a file that is created by root is to be given to the user who has called sudo. */
bool chain_gives_away(void);

void chain_release(struct chain *chain);

#endif
