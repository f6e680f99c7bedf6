/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/say.h"

enum {
	STRING_USUAL = 128, /* bytes: most are no longer */
};

static void *check(void *memory)
{
	if (!memory)
		say_and_exit(CLI_REFUSED, "out of memory");
	return memory;
}

void *alloc_new(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size ? size : 1));
}

void *alloc_grow(void *array, size_t *room, size_t n, size_t size)
{
	size_t want = *room ? *room : 16;

	if (n <= *room)
		return array;
	while (want < n && want <= SIZE_MAX / 2)
		want *= 2;
	if (want < n || want > SIZE_MAX / size)
		check(NULL);
	*room = want;
	return check(realloc(array, want * size));
}

char *alloc_copy(const char *string)
{
	return check(strdup(string));
}

char *alloc_copy_n(const char *string, size_t len)
{
	return check(strndup(string, len));
}

void alloc_text_begin(struct alloc_text *text)
{
	*text = (struct alloc_text){0};
	text->out = check(open_memstream(&text->text, &text->len));
}

char *alloc_text_end(struct alloc_text *text)
{
	return check(fclose(text->out) == 0 ? text->text : NULL);
}

void alloc_string_reserve(struct alloc_string *string, size_t len)
{
	size_t need = string->len + len + 1;

	if (need > string->room)
		string->text = alloc_grow(string->text, &string->room, need < STRING_USUAL ? STRING_USUAL : need, 1);
}

void alloc_string_add(struct alloc_string *string, const char *bytes, size_t len)
{
	alloc_string_reserve(string, len);
	memcpy(string->text + string->len, bytes, len);
	string->len += len;
	string->text[string->len] = '\0';
}
