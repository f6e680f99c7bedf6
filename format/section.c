/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/section.h"

#include <inttypes.h>
#include <stdlib.h>

/* The fixed part of the body: see docs/format.md, "SECTION". */
#define SALT_AT 20u

int section_emit(struct bytebuf *out, const struct fdtape_writer_options *options, const uint8_t uuid[16],
                 uint64_t salt)
{
	struct block b = {.type = BLOCK_SECTION, .flags = BLOCK_CRITICAL};
	size_t begin = block_begin(out);

	bytebuf_fixed(out, FORMAT_MAJOR, 2);
	bytebuf_fixed(out, FORMAT_MINOR, 2);
	bytebuf_append(out, uuid, 16);
	bytebuf_fixed(out, salt, 8);
	bytebuf_fixed(out, options->clock.monotonic, 8);
	bytebuf_fixed(out, options->clock.realtime, 8);
	bytebuf_fixed(out, options->clock.boottime, 8);
	bytebuf_varint(out, 0); /* features that a reader must know */
	bytebuf_varint(out, 0); /* features that it may know */
	bytebuf_varint(out, options->n_meta);
	for (size_t i = 0; i < options->n_meta; i++) {
		const struct fdtape_meta *meta = &options->meta[i];

		if (!meta->key || !meta->value || strlen(meta->key) > STRING_MAX || strlen(meta->value) > STRING_MAX)
			return FDTAPE_ERR_USAGE;
		bytebuf_string(out, meta->key);
		bytebuf_string(out, meta->value);
	}
	if (out->failed)
		return FDTAPE_ERR_MEMORY;
	if (out->len - begin - BLOCK_HEADER > SECTION_LEN_MAX)
		return FDTAPE_ERR_USAGE;
	b.raw_len = (uint32_t)(out->len - begin - BLOCK_HEADER);
	block_end(out, begin, &b, 0);
	return out->failed ? FDTAPE_ERR_MEMORY : 0;
}

uint64_t section_salt(const struct block *b)
{
	return b->stored_len >= SALT_AT + 8 ? load_le(b->stored + SALT_AT, 8) : 0;
}

/* No feature is known yet. */
static int refuse_features(struct span *s, struct diag *diag)
{
	uint64_t n = span_varint(s);
	const char *name = n > 0 ? span_string(s) : "";

	if (s->bad || n == 0)
		return 0;
	return diag_block(diag, FDTAPE_ERR_UNSUPPORTED, "needs the feature '%.100s', which this build does not have",
	                  name);
}

static int decode_body(struct section *s, struct span body, struct diag *diag)
{
	const uint8_t *uuid;
	uint64_t n;
	int rc;

	s->info.major = (uint16_t)span_fixed(&body, 2);
	s->info.minor = (uint16_t)span_fixed(&body, 2);
	if (!body.bad && s->info.major != FORMAT_MAJOR)
		return diag_block(diag, FDTAPE_ERR_UNSUPPORTED,
		                  "format version is %u.%u, this build reads version %d; a newer release is needed",
		                  s->info.major, s->info.minor, FORMAT_MAJOR);
	uuid = span_take(&body, sizeof(s->info.uuid));
	if (uuid)
		memcpy(s->info.uuid, uuid, sizeof(s->info.uuid));
	s->salt = span_fixed(&body, 8);
	s->info.clock.monotonic = span_fixed(&body, 8);
	s->info.clock.realtime = span_fixed(&body, 8);
	s->info.clock.boottime = span_fixed(&body, 8);
	rc = refuse_features(&body, diag);
	if (rc)
		return rc;
	for (n = span_varint(&body); n > 0 && !body.bad; n--)
		span_string(&body);
	for (n = span_varint(&body); n > 0 && !body.bad; n--) {
		void *meta = s->meta;

		if (!array_grow(&meta, &s->cap_meta, s->n_meta + 1, sizeof(*s->meta)))
			return FDTAPE_ERR_MEMORY;
		s->meta = meta;
		s->meta[s->n_meta].key = span_string(&body);
		s->meta[s->n_meta].value = span_string(&body);
		s->n_meta++;
	}
	if (body.bad)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "the section's head is not as its lengths say");
	return 0;
}

int section_decode(struct section *s, const struct block *b, struct diag *diag)
{
	int rc;

	s->n_meta = 0;
	s->info = (struct fdtape_section_info){0};
	if (b->raw_len != b->stored_len)
		return diag_block(diag, FDTAPE_ERR_DAMAGED, "body of %" PRIu32 " bytes, raw_len says %" PRIu32,
		                  b->stored_len, b->raw_len);
	bytebuf_clear(&s->body);
	bytebuf_append(&s->body, b->stored, b->stored_len);
	if (s->body.failed)
		return FDTAPE_ERR_MEMORY;
	rc = decode_body(s, span_of(s->body.data, s->body.len), diag);
	if (rc)
		s->n_meta = 0;
	return rc;
}

void section_release(struct section *s)
{
	bytebuf_release(&s->body);
	free(s->meta);
}
