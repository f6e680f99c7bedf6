/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/text.h"

void table_start(struct table *table, FILE *out, const struct table_column *columns, size_t n, size_t limit)
{
	*table = (struct table){.out = out, .columns = columns, .n_columns = n, .limit = limit};
	for (size_t i = 0; i < n; i++)
		table->width[i] = strlen(columns[i].name);
}

static void put_spaces(FILE *out, size_t n)
{
	while (n--)
		fputc(' ', out);
}

/* At most `room` columns of the text; what was cut shows as "...". */
static void put_cut(FILE *out, const char *text, size_t room)
{
	size_t keep = room > 3 ? room - 3 : 0, n = 0;

	if (text_width(text) <= room) {
		fputs(text, out);
		return;
	}
	for (; *text; text++) {
		if ((*text & 0xc0) != 0x80 && n++ == keep)
			break;
		fputc(*text, out);
	}
	fputs("...", out);
}

static void put_row(const struct table *t, const char *cells)
{
	size_t used = 0;

	for (size_t i = 0; i < t->n_columns; i++, cells += strlen(cells) + 1) {
		size_t width = text_width(cells), pad = width < t->width[i] ? t->width[i] - width : 0;
		bool last = i + 1 == t->n_columns;

		if (i)
			fputs("  ", t->out);
		used += i ? 2 : 0;
		if (t->columns[i].right)
			put_spaces(t->out, pad);
		if (last && t->limit && !t->columns[i].right)
			put_cut(t->out, cells, used + 16 < t->limit ? t->limit - used : 16);
		else
			fputs(cells, t->out);
		if (!last && !t->columns[i].right)
			put_spaces(t->out, pad);
		used += width + pad;
	}
	fputc('\n', t->out);
}

static void put_line(const struct table *t, const struct table_line *line)
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

/* Takes over the text. */
static void add_line(struct table *t, char *text, bool note)
{
	struct table_line line = {.text = text, .note = note};

	if (t->flushed) {
		put_line(t, &line);
		free(text);
		return;
	}
	t->held = alloc_grow(t->held, &t->held_room, t->n_held + 1, sizeof *t->held);
	t->held[t->n_held++] = line;
	if (!note)
		for (size_t i = 0; i < t->n_columns; i++, text += strlen(text) + 1)
			if (text_width(text) > t->width[i])
				t->width[i] = text_width(text);
	if (t->n_held == TABLE_HOLD)
		flush(t);
}

void table_cell(struct table *t, const char *text)
{
	size_t len;

	if (!text || !*text)
		text = "-";
	len = strlen(text) + 1;
	t->row = alloc_grow(t->row, &t->row_room, t->row_len + len, 1);
	memcpy(t->row + t->row_len, text, len);
	t->row_len += len;
	if (++t->row_cells < t->n_columns)
		return;
	text = t->row;
	t->row = NULL;
	t->row_len = t->row_room = t->row_cells = 0;
	add_line(t, (char *)text, false);
}

void table_note(struct table *t, const char *text)
{
	add_line(t, alloc_copy(text), true);
}

struct table_row *table_row_new(void)
{
	return alloc_new(1, sizeof(struct table_row));
}

void table_row_add(struct table_row *row, const char *text)
{
	if (row->n < TABLE_COLUMNS)
		row->cells[row->n++] = alloc_copy(text ? text : "");
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
	for (size_t i = 0; i < row->n; i++)
		free(row->cells[i]);
	free(row->note);
	free(row);
}

void table_row(struct table *table, struct table_row *row)
{
	for (size_t i = 0; i < row->n; i++)
		table_cell(table, row->cells[i]);
	if (row->note)
		table_note(table, row->note);
	table_row_free(row);
}

void table_end(struct table *t)
{
	if (!t->flushed && t->n_held)
		flush(t);
	free(t->held);
	free(t->row);
	t->held = NULL;
	t->row = NULL;
}
