/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SQL_QUEUE_H
#define SQL_QUEUE_H

/*
 * What the protocols of databases share: commands that wait for their answers, in order. See sql_queue.c.
 */
#include "replay/buffer.h"
#include "replay/proto/proto.h"
#include "replay/proto/sql.h"

enum {
	SQL_COMMANDS_MAX = 65536,  /* that wait */
	SQL_COMMANDS_WHOLE = 4096, /* of them keep SQL_TEXT_MAX bytes of their text, the others: */
	SQL_TEXT_SHORT = 64,
	SQL_PAYLOAD_MAX = 8192,   /* of a message that is kept to look into */
};

struct sql_pending {
	struct sql_pending *next;
	struct sql_command told;
	unsigned op; /* the protocol's own */
	bool silent; /* it is no command, only waits for its answer */
	uint32_t id; /* likewise */
	struct buffer text;
	size_t room; /* for it */
	bool has_text;
	bool hole; /* some of the command or its answer is missing */
	char error[64];
	char *message;
};

struct sql_queue { /* all but sink zero: empty */
	struct proto_sink sink;
	const char *protocol;
	char *user, *database; /* NULL: not known */
	struct sql_pending *first, *last;
	size_t n;
	/* Answers belong to commands by their order. The side that answers may have lost its place; then ... */
	bool lost;
	bool heard;        /* ... it said something since the last command: that one's answer is gone */
	bool answers_next; /* ... what it says next answers the last command */
	bool pipelined;    /* a command was sent before the one before it was answered */
};

/* A new command at the end of the queue, which that direction carried from that time on. `kind` is a constant. NULL
 * without memory. */
struct sql_pending *sql_push(struct sql_queue *queue, const char *kind, int dir, uint64_t wall);
/* To be called before a command is pushed to which another answer belongs than to those before: is any of them still
 * waiting, the client pipelines, or the answer was lost. */
void sql_ask(struct sql_queue *queue);
/* The side that answers lost its place, or is still lost and what it said was no beginning. All is told. */
void sql_lose(struct sql_queue *queue);
/* Adds to the command's text, as much as there is room for. 0 or -1. */
int sql_text(struct sql_pending *pending, const void *text, size_t len);
/* Tells the first command of the queue and takes it out. */
void sql_tell(struct sql_queue *queue, bool complete);
/* Takes the first one out without telling it. */
void sql_drop(struct sql_queue *queue);
/* Tells all: what they wait for can't be found any more. */
void sql_tell_all(struct sql_queue *queue);
/* The command failed: the error's code and its words, each cut to what is reasonable. 0 or -1. */
int sql_fail(struct sql_pending *pending, const char *code, size_t code_len, const char *message, size_t len);
/* A part of the answer: bytes of it, at that time. */
void sql_answer(struct sql_pending *pending, uint64_t bytes, uint64_t wall);
/* A copy of at most SQL_TEXT_MAX bytes with a NUL behind them. NULL without memory. */
char *sql_copy(const void *text, size_t len);
void sql_release(struct sql_queue *queue);

#endif
