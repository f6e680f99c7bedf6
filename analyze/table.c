/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/text.h"

enum {
	SPARE_ROOM = 64 << 10, /* more room than this is not kept */
};

void table_start(struct table *table, FILE *out, const struct table_column *columns, size_t n, size_t limit)
{
	*table = (struct table){.out = out, .columns = columns, .n_columns = n, .limit = limit};
	for (size_t i = 0; i < n; i++)
		table->width[i] = strlen(columns[i].name);
}

/* These put something at `out`, and tell where it ends. */

static char *put(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

static char *put_spaces(char *out, size_t n)
{
	memset(out, ' ', n);
	return out + n;
}

/* At most `room` columns of the text, more than which it is wide; what was cut shows as "...". */
static char *put_cut(char *out, const char *text, size_t room)
{
	size_t keep = room > 3 ? room - 3 : 0, n = 0, end;

	for (end = 0; text[end]; end++)
		if ((text[end] & 0xc0) != 0x80 && n++ == keep)
			break;
	return put(put(out, text, end), "...", 3);
}

static void put_row(struct table *t, const char *cells)
{
	size_t used = 0, most = 0;
	const char *cell = cells;
	char *out;

	for (size_t i = 0; i < t->n_columns; i++, cell += strlen(cell) + 1)
		most += 2 + t->width[i];
	t->line.len = 0;
	alloc_string_reserve(&t->line, (size_t)(cell - cells) + most + 4);
	out = t->line.text;
	for (size_t i = 0; i < t->n_columns; i++) {
		size_t width = text_width(cells), pad = width < t->width[i] ? t->width[i] - width : 0;
		size_t len = strlen(cells), room;
		bool last = i + 1 == t->n_columns, right = t->columns[i].right;

		if (i)
			out = put_spaces(out, 2);
		used += i ? 2 : 0;
		room = used + 16 < t->limit ? t->limit - used : 16;
		if (right)
			out = put_spaces(out, pad);
		out = last && t->limit && !right && width > room ? put_cut(out, cells, room) : put(out, cells, len);
		if (!last && !right)
			out = put_spaces(out, pad);
		used += width + pad;
		cells += len + 1;
	}
	*out++ = '\n';
	fwrite(t->line.text, 1, (size_t)(out - t->line.text), t->out);
}

static void put_line(struct table *t, const struct table_line *line)
{
	if (line->note)
		fprintf(t->out, "%s\n", line->text);
	else
		put_row(t, line->text);
}

static void flush(struct table *t)
{
	char header[TABLE_COLUMNS * 16];
	size_t len = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		strcpy(header + len, t->columns[i].name);
		len += strlen(header + len) + 1;
	}
	put_row(t, header);
	for (size_t i = 0; i < t->n_held; i++) {
		put_line(t, &t->held[i]);
		free(t->held[i].text);
	}
	t->n_held = 0;
	t->flushed = true;
}

/* Keeps the line until the widths are known, and takes over the text. False: they are; it is the caller's to show. */
static bool hold_line(struct table *t, char *text, bool note)
{
	if (t->flushed)
		return false;
	t->held = alloc_grow(t->held, &t->held_room, t->n_held + 1, sizeof *t->held);
	t->held[t->n_held++] = (struct table_line){.text = text, .note = note};
	if (!note)
		for (size_t i = 0; i < t->n_columns; i++, text += strlen(text) + 1)
			if (text_width(text) > t->width[i])
				t->width[i] = text_width(text);
	if (t->n_held == TABLE_HOLD)
		flush(t);
	return true;
}

void table_cell(struct table *t, const char *text)
{
	struct table_row *row = t->row ? t->row : table_row_new();

	t->row = row;
	table_row_add(row, text);
	if (row->n < t->n_columns)
		return;
	t->row = NULL;
	table_row(t, row);
}

void table_note(struct table *t, const char *text)
{
	if (t->flushed)
		put_line(t, &(struct table_line){.text = (char *)text, .note = true});
	else
		hold_line(t, alloc_copy(text), true);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* A view makes a row for each of a million messages and shows it at once: its memory is kept for the next one. */
static struct table_row *spare;

struct table_row *table_row_new(void)
{
	struct table_row *row = spare ? spare : alloc_new(1, sizeof *row);

	spare = NULL;
	return row;
}

void table_row_add(struct table_row *row, const char *text)
{
	if (row->n == TABLE_COLUMNS)
		return;
	if (!text || !*text)
		text = "-";
	alloc_string_add(&row->cells, text, strlen(text) + 1);
	row->n++;
}

void table_row_addf(struct table_row *row, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	table_row_add(row, text);
}

void table_row_free(struct table_row *row)
{
	if (!row)
		return;
	free(row->note);
	row->note = NULL;
	if (!spare && row->cells.room <= SPARE_ROOM) {
		row->n = row->cells.len = 0;
		spare = row;
		return;
	}
	free(row->cells.text);
	free(row);
}

void table_row(struct table *t, struct table_row *row)
{
	while (row->n < t->n_columns)
		table_row_add(row, "-");
	if (hold_line(t, row->cells.text, false))
		row->cells = (struct alloc_string){0};
	else
		put_row(t, row->cells.text);
	if (row->note)
		table_note(t, row->note);
	table_row_free(row);
}

void table_end(struct table *t)
{
	if (!t->flushed && t->n_held)
		flush(t);
	free(t->held);
	free(t->line.text);
	table_row_free(t->row);
	t->held = NULL;
	t->line = (struct alloc_string){0};
	t->row = NULL;
}
