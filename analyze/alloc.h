/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ALLOC_H
#define ALLOC_H

/*
 * Memory for the tool: what can't be had ends the program, with a message, so that no caller needs a branch for it.
 * Only fdtape-analyze itself may do this; the libraries below report FDTAPE_ERR_MEMORY.
 */
#include <stddef.h>
#include <stdio.h>

/* Zeroed. n * size is checked for overflow, here and below. */
void *alloc_new(size_t n, size_t size);
/* Makes room for at least n elements, doubling *room; what was in `array` stays. */
void *alloc_grow(void *array, size_t *room, size_t n, size_t size);
char *alloc_copy(const char *string);
char *alloc_copy_n(const char *string, size_t len);

/* A text that is written like a file: the stream, and in the end the text, which belongs to the caller. */
struct alloc_text {
	FILE *out;
	char *text;
	size_t len;
};
void alloc_text_begin(struct alloc_text *text);
char *alloc_text_end(struct alloc_text *text);

/* A text that grows at its end, for those that are made so often that a stream would cost too much. All zero: empty. */
struct alloc_string {
	char *text; /* NUL-terminated once something was added; the caller's */
	size_t len, room;
};
void alloc_string_add(struct alloc_string *string, const char *bytes, size_t len);
/* Makes room for so many bytes and the NUL behind them. */
void alloc_string_reserve(struct alloc_string *string, size_t len);

#endif
