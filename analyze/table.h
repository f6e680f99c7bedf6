/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TABLE_H
#define TABLE_H

/*
 * Tables for people: a header, aligned columns, two spaces between them. The widths are those of the first rows
 * (TABLE_HOLD); rows that come later are printed at once, so that a table of any length takes bounded memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "analyze/alloc.h"

enum {
	TABLE_COLUMNS = 16,
	TABLE_HOLD = 1000,
	TABLE_WIDTH = 100, /* of a page */
};

struct table_column {
	const char *name;
	bool right; /* numbers */
};

struct table {
	FILE *out;
	const struct table_column *columns;
	size_t n_columns;
	size_t limit; /* the last column is cut so that a row is no wider; 0: never */
	size_t width[TABLE_COLUMNS];
	struct table_line {
		char *text; /* cells, each NUL-terminated; of a note: one */
		bool note;
	} * held;
	size_t n_held, held_room;
	struct table_row *row;    /* cells so far; NULL: none */
	struct alloc_string line; /* the last one that was shown; its room is used again */
	bool flushed;
};

void table_start(struct table *table, FILE *out, const struct table_column *columns, size_t n, size_t limit);
/* The next cell; with the last one the row is complete. `text` is safe for a terminal; NULL or "" shows "-". */
void table_cell(struct table *table, const char *text);
/* A line of its own below the last row. */
void table_note(struct table *table, const char *text);

/* A row that is made now and shown later. */
struct table_row {
	struct alloc_string cells; /* each NUL-terminated */
	size_t n;
	char *note; /* stands below it; NULL: none */
};

struct table_row *table_row_new(void);
/* The next cell, as table_cell() takes it. */
void table_row_add(struct table_row *row, const char *text);
__attribute__((format(printf, 2, 3))) void table_row_addf(struct table_row *row, const char *format, ...);
void table_row_free(struct table_row *row);
/* Shows and frees it. */
void table_row(struct table *table, struct table_row *row);

/* Prints what is held and releases it. A table without rows prints nothing at all. */
void table_end(struct table *table);

#endif
