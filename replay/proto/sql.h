/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SQL_H
#define SQL_H

/*
 * Commands to databases, as found in byte streams with holes: PostgreSQL (protocol 3, pgsql.c), MySQL and MariaDB
 * (mysql.c), Redis (RESP2 and RESP3, redis.c).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SQL_TEXT_MAX = 4096, /* of a command's text that is kept */
};

/* A command with its answer as seen by one process. */
struct sql_command {
	const char *protocol; /* "pgsql", "mysql", "redis" */
	/* How it was sent: "query", "prepare", "execute", "call", ...; of Redis "command". Never NULL. */
	const char *kind;
	int dir;          /* that carried it, enum fdtape_dir: 1, the process sent it */
	const char *text; /* the statement; of Redis its words with spaces between. NULL: not known; may hold NULs */
	size_t len;
	bool cut; /* the text was longer */
	/* Names of the session, when its beginning was seen; NULL: not known. */
	const char *user;
	const char *database;
	bool answered;         /* at least the beginning of an answer */
	int64_t rows;          /* returned, or changed; of Redis the elements of an array. -1: not known, or none */
	const char *error;     /* its code ("42P01", "1146", "WRONGTYPE"); NULL: it did not fail */
	const char *message;   /* in the server's words; NULL: none */
	uint64_t bytes_sent;   /* of the command, its parameters and what it copied in, by the client */
	uint64_t bytes_answer; /* of the answer */
	/* Wall times, ns since the epoch: the first byte of the command, the first and the last of the answer;
	 * 0: not seen. */
	uint64_t start;
	uint64_t first_byte;
	uint64_t end;
	bool complete; /* command and answer were seen to their ends */
};

#endif
