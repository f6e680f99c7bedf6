/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/proto/sql_queue.h"

static void pending_free(struct sql_pending *p)
{
	buffer_release(&p->text);
	free(p->message);
	free(p);
}

struct sql_pending *sql_push(struct sql_queue *q, const char *kind, int dir, uint64_t wall)
{
	struct sql_pending *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->room = q->n < SQL_COMMANDS_WHOLE ? SQL_TEXT_MAX : SQL_TEXT_SHORT;
	p->told.protocol = q->protocol;
	p->told.kind = kind;
	p->told.dir = dir;
	p->told.rows = -1;
	p->told.start = wall;
	if (q->last)
		q->last->next = p;
	else
		q->first = p;
	q->last = p;
	q->n++;
	return p;
}

void sql_ask(struct sql_queue *q)
{
	if (q->n > 0 && q->lost && q->heard)
		sql_tell_all(q);
	q->pipelined |= q->n > 0;
	q->heard = false;
	q->answers_next = !q->pipelined;
}

void sql_lose(struct sql_queue *q)
{
	sql_tell_all(q);
	q->lost = true;
	q->heard = true;
	q->answers_next = false;
}

int sql_text(struct sql_pending *p, const void *text, size_t len)
{
	size_t room = p->room > p->text.len ? p->room - p->text.len : 0;

	p->has_text = true;
	p->told.cut |= len > room;
	return buffer_add(&p->text, text, len < room ? len : room);
}

static void take_first(struct sql_queue *q)
{
	struct sql_pending *p = q->first;

	q->first = p->next;
	if (!q->first)
		q->last = NULL;
	q->n--;
	pending_free(p);
}

void sql_drop(struct sql_queue *q)
{
	take_first(q);
}

void sql_tell(struct sql_queue *q, bool complete)
{
	struct sql_pending *p = q->first;
	struct sql_command *told = &p->told;

	if (p->has_text) {
		told->text = p->text.data ? (const char *)p->text.data : "";
		told->len = p->text.len;
	}
	told->user = q->user;
	told->database = q->database;
	told->message = p->message;
	told->complete = complete && !p->hole;
	if (*p->error)
		told->error = p->error;
	q->sink.sql(q->sink.context, told);
	take_first(q);
}

void sql_tell_all(struct sql_queue *q)
{
	while (q->first)
		if (q->first->silent)
			take_first(q);
		else
			sql_tell(q, false);
}

char *sql_copy(const void *text, size_t len)
{
	char *copy;

	if (len > SQL_TEXT_MAX)
		len = SQL_TEXT_MAX;
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

int sql_fail(struct sql_pending *p, const char *code, size_t code_len, const char *message, size_t len)
{
	if (code_len >= sizeof p->error)
		code_len = sizeof p->error - 1;
	memcpy(p->error, code, code_len);
	p->error[code_len] = '\0';
	free(p->message);
	p->message = len > 0 ? sql_copy(message, len) : NULL;
	return p->message || len == 0 ? 0 : -1;
}

void sql_answer(struct sql_pending *p, uint64_t bytes, uint64_t wall)
{
	struct sql_command *told = &p->told;

	told->answered = true;
	told->bytes_answer += bytes;
	if (!told->first_byte)
		told->first_byte = wall;
	told->end = wall;
}

void sql_release(struct sql_queue *q)
{
	while (q->first)
		take_first(q);
	free(q->user);
	free(q->database);
}
