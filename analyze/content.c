/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/content.h"

#include <stdlib.h>
#include <strings.h>

#include "analyze/alloc.h"
#include "analyze/text.h"
#include "cli.h"

static bool is_there(const struct http_message *message)
{
	return message->content.header && message->body_bytes > 0;
}

/* Was decoding so much as begun? */
static bool was_tried(const struct http_content *content)
{
	return content->error != HTTP_CONTENT_UNKNOWN && content->error != HTTP_CONTENT_RANGE &&
	       content->error != HTTP_CONTENT_CROWDED;
}

/* The codings as they were sent, all headers of the name as one list (RFC 9110, 5.3). */
static char *encoding(const struct http_message *message)
{
	struct alloc_text text;
	const char *separator = "";

	alloc_text_begin(&text);
	for (size_t i = 0; i < message->n_headers; i++) {
		const struct http_header *h = &message->headers[i];

		if (!h->name || !h->value || strcasecmp(h->name, message->content.header) != 0)
			continue;
		fprintf(text.out, "%s%s", separator, h->value);
		separator = ", ";
	}
	return alloc_text_end(&text);
}

struct json *content_object(const struct http_message *message)
{
	const struct http_content *content = &message->content;
	struct json *object;
	char *list;

	if (!is_there(message))
		return js_null();
	object = js_object();
	list = encoding(message);
	js_set(object, "encoding", js_text(list));
	js_set(object, "bytes", was_tried(content) ? js_number(content->bytes) : js_null());
	js_set(object, "sha256", content->complete ? js_hex(content->sha256, sizeof content->sha256) : js_null());
	js_set(object, "complete", js_bool(content->complete));
	js_set(object, "error", js_plain(http_content_error_word(content->error)));
	free(list);
	return object;
}

char *content_text(const struct http_message *message)
{
	static const char *const notes[N_HTTP_CONTENT_ERRORS] = {
	        [HTTP_CONTENT_OK] = "",
	        [HTTP_CONTENT_MISSING] = ", then bytes are missing",
	        [HTTP_CONTENT_TRUNCATED] = ", then the body ends, before its coding does",
	        [HTTP_CONTENT_CORRUPT] = ", then it is corrupt",
	        [HTTP_CONTENT_TRAILING] = ", and bytes behind it that belong to nothing",
	        [HTTP_CONTENT_UNKNOWN] = ", not decoded: not known here",
	        [HTTP_CONTENT_RANGE] = ", not decoded: the body is a part of it",
	        [HTTP_CONTENT_TOO_LARGE] = ", not decoded further: it expands beyond all measure",
	        [HTTP_CONTENT_CROWDED] = ", not decoded: too many bodies at once",
	};
	const struct http_content *content = &message->content;
	struct alloc_text text;
	char size[TEXT_SIZE_MAX], *list;

	if (!is_there(message))
		return NULL;
	list = encoding(message);
	alloc_text_begin(&text);
	cli_put_string(text.out, list);
	if (was_tried(content))
		fprintf(text.out, ", %s", text_size(size, content->bytes));
	fputs(notes[content->error], text.out);
	free(list);
	return alloc_text_end(&text);
}
