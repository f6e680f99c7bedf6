/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A list of codings is a row of *stages*; a body enters at the last coding and the content leaves at the first. Each stage
 * waits for the few bytes that tell whether a stream of its coding begins there, and which kind of it:
 *
 *     gzip     the magic number; members may follow one another (RFC 1952, 2.2)
 *     deflate  a zlib header (RFC 1950, 2.2), else bare deflate: RFC 9110 says the former, and some send the latter
 *     br       the window's size
 *     zstd     the magic number; frames, skippable ones as well, may follow one another (RFC 8878, 3)
 *
 * What follows a stream's end and begins no other is trailing data: the content before it is complete.
 *
 * Bounded. A stage takes memory from its first stream on, is charged for the most that its window may take, and all
 * stages of a connection share HELD_MAX. What they give may be FREE_BYTES for a connection, and beyond that EXPANSION
 * times what was taken: a deflate stream can expand 1032-fold, a brotli stream a million-fold and a list of codings by
 * the product, so that a few bytes on a tape could cost hours. A decoder may be ahead of what it gives by a window; where
 * it has to be stopped, that counts as given. All is counted by the same numbers on every machine, so that all stop at
 * the same byte.
 */
#include "replay/proto/http_content.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ZLIB_CONST
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
	CODINGS_MAX = 5, /* as curl takes */
	HEAD_MAX = 4,
	OUT_MAX = 8 << 10,
	IN_MAX = 1 << 30, /* zlib counts in unsigned int */
	HELD_MAX = 256 << 20,
	FREE_BYTES = 16 << 20,
	EXPANSION = 200,
	ZSTD_WINDOW_LOG = 23, /* RFC 9659 */
};

enum outcome {
	OPEN, /* what there was is used up, or the room for output is */
	ENDED,
	BROKEN,
	TOO_LARGE, /* it wants more memory than its coding may */
	NO_MEMORY,
};

struct flow_of_bytes {
	const uint8_t *in;
	size_t n_in;
	uint8_t *out;
	size_t room;
};

struct coding {
	const char *name, *other_name;
	size_t head; /* bytes that tell whether a stream begins */
	bool many;   /* streams may follow one another */
	/* Memory that the stream takes at most; 0: none begins like that. */
	uint64_t (*charge)(const uint8_t *head);
	/* NULL without memory. `state`: of a stream that ended, to be used again; NULL: there is none. */
	void *(*open)(void *state, const uint8_t *head);
	enum outcome (*run)(void *state, struct flow_of_bytes *bytes);
	void (*close)(void *state);
};

/* ---- gzip, deflate ---------------------------------------------------------------------------------------------- */

static uint64_t gzip_charge(const uint8_t *head)
{
	return head[0] == 0x1f && head[1] == 0x8b ? 64 << 10 : 0;
}

static uint64_t deflate_charge(const uint8_t *head)
{
	(void)head;
	return 64 << 10;
}

static void inflate_close(void *state)
{
	if (state)
		inflateEnd(state);
	free(state);
}

static void *inflate_open(z_stream *z, int bits)
{
	if (z)
		return inflateReset2(z, bits) == Z_OK ? z : NULL;
	z = calloc(1, sizeof *z);
	if (!z || inflateInit2(z, bits) == Z_OK)
		return z;
	free(z);
	return NULL;
}

static void *gzip_open(void *state, const uint8_t *head)
{
	(void)head;
	return inflate_open(state, 16 + MAX_WBITS);
}

static void *deflate_open(void *state, const uint8_t *head)
{
	bool zlib = (head[0] & 0x0f) == Z_DEFLATED && head[0] >> 4 <= 7 && (head[0] << 8 | head[1]) % 31 == 0;

	return inflate_open(state, zlib ? MAX_WBITS : -MAX_WBITS);
}

static enum outcome inflate_run(void *state, struct flow_of_bytes *bytes)
{
	z_stream *z = state;
	int result;

	z->next_in = bytes->in;
	z->avail_in = (uInt)bytes->n_in;
	z->next_out = bytes->out;
	z->avail_out = (uInt)bytes->room;
	result = inflate(z, Z_SYNC_FLUSH);
	bytes->in = z->next_in;
	bytes->n_in = z->avail_in;
	bytes->room = z->avail_out;
	switch (result) {
	case Z_OK:
	case Z_BUF_ERROR:
		return OPEN;
	case Z_STREAM_END:
		return ENDED;
	case Z_MEM_ERROR:
		return NO_MEMORY;
	default:
		return BROKEN;
	}
}

/* ---- br --------------------------------------------------------------------------------------------------------- */

/* The window (RFC 7932, 9.1), and as much as the prefix codes may take. */
static uint64_t br_charge(const uint8_t *head)
{
	unsigned n = *head >> 1 & 7, m = *head >> 4 & 7, bits = *head & 1 ? n ? 17 + n : m ? 8 + m : 17 : 16;

	return (UINT64_C(1) << bits) + (4 << 20);
}

static void br_close(void *state)
{
	if (state)
		BrotliDecoderDestroyInstance(state);
}

static void *br_open(void *state, const uint8_t *head)
{
	(void)head;
	br_close(state);
	return BrotliDecoderCreateInstance(NULL, NULL, NULL);
}

static enum outcome br_run(void *state, struct flow_of_bytes *bytes)
{
	BrotliDecoderErrorCode error;

	switch (BrotliDecoderDecompressStream(state, &bytes->n_in, &bytes->in, &bytes->room, &bytes->out, NULL)) {
	case BROTLI_DECODER_RESULT_SUCCESS:
		return ENDED;
	case BROTLI_DECODER_RESULT_ERROR:
		error = BrotliDecoderGetErrorCode(state);
		return error <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
		                       error >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
		               ? NO_MEMORY
		               : BROKEN;
	default:
		return OPEN;
	}
}

/* ---- zstd ------------------------------------------------------------------------------------------------------- */

static uint64_t zstd_charge(const uint8_t *head)
{
	bool frame = memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0;
	bool skippable = (head[0] & 0xf0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0;

	return frame || skippable ? (UINT64_C(1) << ZSTD_WINDOW_LOG) + (1 << 20) : 0;
}

static void zstd_close(void *state)
{
	ZSTD_freeDCtx(state);
}

static void *zstd_open(void *state, const uint8_t *head)
{
	ZSTD_DCtx *context = state ? state : ZSTD_createDCtx();

	(void)head;
	if (!context || !ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
		return context;
	ZSTD_freeDCtx(context);
	return NULL;
}

static enum outcome zstd_run(void *state, struct flow_of_bytes *bytes)
{
	ZSTD_inBuffer in = {.src = bytes->in, .size = bytes->n_in};
	ZSTD_outBuffer out = {.dst = bytes->out, .size = bytes->room};
	size_t result = ZSTD_decompressStream(state, &out, &in);

	bytes->in += in.pos;
	bytes->n_in -= in.pos;
	bytes->room -= out.pos;
	if (!ZSTD_isError(result))
		return result == 0 ? ENDED : OPEN;
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return NO_MEMORY;
	case ZSTD_error_frameParameter_windowTooLarge:
		return TOO_LARGE;
	default:
		return BROKEN;
	}
}

/* ---- stages ----------------------------------------------------------------------------------------------------- */

static const struct coding codings[] = {
        {"gzip", "x-gzip", 2, true, gzip_charge, gzip_open, inflate_run, inflate_close},
        {"deflate", "deflate", 2, false, deflate_charge, deflate_open, inflate_run, inflate_close},
        {"br", "br", 1, false, br_charge, br_open, br_run, br_close},
        {"zstd", "zstd", 4, true, zstd_charge, zstd_open, zstd_run, zstd_close},
};

struct stage {
	const struct coding *coding;
	void *state;   /* NULL: no stream began yet */
	bool open;     /* one is, */
	bool ended;    /* one was, */
	bool trailing; /* and what follows it is none */
	uint64_t held; /* what the state is charged */
	uint8_t head[HEAD_MAX];
	size_t n_head; /* of what may begin a stream */
};

struct http_decoder {
	struct http_content_budget *budget;
	http_decoder_emit *emit;
	void *context;
	struct stage stages[CODINGS_MAX]; /* in the order of the list */
	size_t n;
	enum http_content_error error;
};

struct http_decoder *http_decoder_new(struct http_content_budget *budget, http_decoder_emit *emit, void *context)
{
	struct http_decoder *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->budget = budget;
	d->emit = emit;
	d->context = context;
	return d;
}

static const struct coding *find_coding(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
		const struct coding *c = &codings[i];

		if ((len == strlen(c->name) && strncasecmp(name, c->name, len) == 0) ||
		    (len == strlen(c->other_name) && strncasecmp(name, c->other_name, len) == 0))
			return c;
	}
	return NULL;
}

bool http_decoder_add(struct http_decoder *d, const char *list)
{
	bool any = false;

	while (*(list += strspn(list, ", \t"))) {
		size_t len = strcspn(list, ", \t");
		const struct coding *coding = find_coding(list, len);

		if (len != 8 || strncasecmp(list, "identity", 8) != 0) {
			any = true;
			if (!coding || d->n == CODINGS_MAX)
				d->error = HTTP_CONTENT_UNKNOWN;
			else
				d->stages[d->n++].coding = coding;
		}
		list += len;
	}
	return any;
}

static void close_stage(struct http_decoder *d, struct stage *s)
{
	s->coding->close(s->state);
	d->budget->held -= s->held;
	*s = (struct stage){.coding = s->coding};
}

static void close_all(struct http_decoder *d)
{
	for (size_t i = 0; i < d->n; i++)
		close_stage(d, &d->stages[i]);
}

static int feed_stage(struct http_decoder *d, size_t i, const uint8_t *data, size_t len);

/* What may still be given. */
static uint64_t most_left(const struct http_content_budget *b)
{
	uint64_t all = FREE_BYTES + EXPANSION * b->encoded;

	return all > b->decoded ? all - b->decoded : 0;
}

/* What stage i gave goes to the one before it in the list. */
static int pass_on(struct http_decoder *d, size_t i, const uint8_t *data, size_t len)
{
	struct http_content_budget *b = d->budget;
	uint64_t most = most_left(b);

	if (len > most) {
		d->error = HTTP_CONTENT_TOO_LARGE;
		b->decoded += d->stages[i].held;
		len = (size_t)most;
	}
	b->decoded += len;
	if (len == 0)
		return 0;
	return i > 0 ? feed_stage(d, i - 1, data, len) : d->emit(d->context, data, len);
}

/* Lets the stream of stage i take what it can: the number of bytes, or -1. */
static int64_t run_stage(struct http_decoder *d, size_t i, const uint8_t *data, size_t len)
{
	struct stage *s = &d->stages[i];
	enum outcome outcome;
	size_t used = 0, before, n;

	do {
		uint8_t out[OUT_MAX];
		struct flow_of_bytes bytes = {.in = data + used, .out = out, .room = sizeof out};

		bytes.n_in = before = len - used < IN_MAX ? len - used : IN_MAX;
		outcome = s->coding->run(s->state, &bytes);
		used += before - bytes.n_in;
		n = sizeof out - bytes.room;
		if (outcome == NO_MEMORY || pass_on(d, i, out, n) < 0)
			return -1;
		if (outcome == OPEN && before > 0 && bytes.n_in == before && n == 0)
			outcome = BROKEN; /* it neither takes nor gives */
		if ((outcome == BROKEN || outcome == TOO_LARGE) && !d->error)
			d->error = outcome == BROKEN ? HTTP_CONTENT_CORRUPT : HTTP_CONTENT_TOO_LARGE;
		s->ended |= outcome == ENDED;
		s->open = outcome == OPEN;
	} while (outcome == OPEN && !d->error && (used < len || n == OUT_MAX));
	return (int64_t)used;
}

/* The bytes that may begin a stream are there. 0 or -1. */
static int begin_stream(struct http_decoder *d, size_t i)
{
	struct stage *s = &d->stages[i];
	size_t n_head = s->n_head;
	uint64_t charge = s->coding->charge(s->head);
	int64_t used;

	if (charge == 0) {
		s->trailing = s->ended;
		if (!s->ended)
			d->error = HTTP_CONTENT_CORRUPT;
		return 0;
	}
	if (most_left(d->budget) == 0) {
		d->error = HTTP_CONTENT_TOO_LARGE;
		return 0;
	}
	if (!s->state) {
		if (d->budget->held + charge > HELD_MAX) {
			d->error = HTTP_CONTENT_CROWDED;
			return 0;
		}
		d->budget->held += s->held = charge;
	}
	s->state = s->coding->open(s->state, s->head);
	if (!s->state)
		return -1;
	s->n_head = 0;
	s->open = true;
	used = run_stage(d, i, s->head, n_head);
	s->trailing = used >= 0 && (size_t)used < n_head;
	return used < 0 ? -1 : 0;
}

static int feed_stage(struct http_decoder *d, size_t i, const uint8_t *data, size_t len)
{
	struct stage *s = &d->stages[i];

	while (len > 0 && !d->error && !s->trailing) {
		int64_t n;

		if (s->open) {
			n = run_stage(d, i, data, len);
		} else if (s->ended && !s->coding->many) {
			s->trailing = true;
			n = 0;
		} else {
			n = 1;
			s->head[s->n_head++] = *data;
			if (s->n_head == s->coding->head && begin_stream(d, i) < 0)
				n = -1;
		}
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int http_decoder_feed(struct http_decoder *d, const uint8_t *data, size_t len)
{
	int result;

	if (d->error)
		return 0;
	d->budget->encoded += len;
	result = d->n > 0 ? feed_stage(d, d->n - 1, data, len) : d->emit(d->context, data, len);
	if (d->error)
		close_all(d);
	return result;
}

enum http_content_error http_decoder_end(struct http_decoder *d)
{
	bool trailing = false;

	for (size_t i = 0; i < d->n && !d->error; i++) {
		const struct stage *s = &d->stages[i];

		if (!s->ended || s->open)
			d->error = HTTP_CONTENT_TRUNCATED;
		trailing |= s->trailing || s->n_head > 0;
	}
	if (!d->error && trailing)
		d->error = HTTP_CONTENT_TRAILING;
	close_all(d);
	return d->error;
}

enum http_content_error http_decoder_error(const struct http_decoder *d)
{
	return d->error;
}

void http_decoder_reset(struct http_decoder *d)
{
	close_all(d);
	if (d->error != HTTP_CONTENT_UNKNOWN)
		d->error = HTTP_CONTENT_OK;
}

void http_decoder_free(struct http_decoder *d)
{
	if (!d)
		return;
	close_all(d);
	free(d);
}

const char *http_content_error_word(enum http_content_error error)
{
	static const char *const words[] = {
	        [HTTP_CONTENT_OK] = NULL,
	        [HTTP_CONTENT_MISSING] = "missing-bytes",
	        [HTTP_CONTENT_TRUNCATED] = "truncated",
	        [HTTP_CONTENT_CORRUPT] = "corrupt",
	        [HTTP_CONTENT_TRAILING] = "trailing-data",
	        [HTTP_CONTENT_UNKNOWN] = "unknown-encoding",
	        [HTTP_CONTENT_RANGE] = "range",
	        [HTTP_CONTENT_TOO_LARGE] = "too-large",
	        [HTTP_CONTENT_CROWDED] = "too-many",
	};

	_Static_assert(sizeof words / sizeof *words == N_HTTP_CONTENT_ERRORS, "a word for each error");
	return words[error];
}
