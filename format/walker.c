/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * A block is sound when its header's hash and the hash of its stored bytes are right, both seeded with the section's
 * salt. As long as blocks are sound, the walker goes from one to the next.
 *
 * When one is not, and its header can be trusted, it is left out, if a header or the end of the input is found where it
 * ends. Otherwise the walker searches for the next header that is made with the section's salt: a tape within a payload
 * has another salt, and is not mistaken for this one.
 *
 * But a search may also meet the beginning of the next section (of `cat a b`, where a was cut off), which looks the
 * same as one within the payload of a block whose header is lost. What tells them apart is that a payload has an end,
 * within the greatest size of a block, and behind it this section goes on. So a SECTION that was found by search is
 * where to go on only if no header with this section's salt follows within that size. The search also stops at a
 * SECTION with the very salt of this section: that is the same tape once more.
 *
 * Each search ends at least one byte further. The hashes that were computed in vain are counted, because a hostile
 * input can ask for one of 16 MiB with each 64 bytes: when they are too many, the rest of the input is left out.
 */
#include "format/walker.h"

#include <inttypes.h>

#include "format/section.h"

#define WASTED_MAX (UINT64_C(256) << 20) /* and as much again as was read */

enum verdict {
	SOUND,
	NO_HEADER, /* no header made with this salt */
	BROKEN,    /* the header is, the rest is not */
	CUT,       /* the input ends before the block does */
	UNWANTED,  /* the header is sound; of the rest only the directory was read */
};

/* Whether these are a header of this section, or of a further one. */
static bool is_header(const struct walker *w, const uint8_t p[BLOCK_HEADER], struct block *b)
{
	if (block_parse(b, p, 0) && b->type == BLOCK_SECTION && b->stored_len <= SECTION_LEN_MAX)
		return true;
	return w->in_section && block_parse(b, p, w->salt) && b->type != BLOCK_SECTION;
}

/* The same at `at` in the window. */
static bool parse_at(const struct walker *w, size_t at, struct block *b)
{
	const struct window *in = &w->window;

	return in->len >= at && in->len - at >= BLOCK_HEADER && is_header(w, in->data + at, b);
}

static bool stored_is_sound(struct walker *w, struct block *b, const uint8_t *stored, uint64_t *hash)
{
	b->stored = stored;
	*hash = block_hash(b, b->type == BLOCK_SECTION ? 0 : w->salt);
	if (block_hash_matches(*hash, b->hash))
		return true;
	w->wasted += b->stored_len;
	return false;
}

/* How much of the window a sound block takes: with its padding, unless that is not zero. Then a block that was cut off
 * within its padding is followed by something else, which begins there. */
static size_t extent(const struct window *in, const struct block *b)
{
	size_t end = BLOCK_HEADER + (size_t)b->stored_len;
	size_t padded = block_size(b) < in->len ? block_size(b) : in->len;

	for (size_t i = end; i < padded; i++)
		if (in->data[i] != 0)
			return end;
	return padded;
}

/* Says why there is no header at the window's beginning. */
static enum verdict explain_no_header(struct walker *w)
{
	const struct window *in = &w->window;
	unsigned len = in->len < BLOCK_MAGIC_LEN ? (unsigned)in->len : BLOCK_MAGIC_LEN;

	if (memcmp(in->data, BLOCK_MAGIC, len) != 0) {
		diag_block(w->diag, 0, "begins with 0x%016" PRIx64 ", a block begins with 0x%016" PRIx64,
		           load_le(in->data, len), load_le((const uint8_t *)BLOCK_MAGIC, BLOCK_MAGIC_LEN));
		return NO_HEADER;
	}
	if (in->len < BLOCK_HEADER) {
		diag_block(w->diag, 0, "the input ends within its header, after %zu of %u bytes", in->len,
		           BLOCK_HEADER);
		return CUT;
	}
	diag_block(w->diag, 0, "hash of its header is 0x%08" PRIx32 ", the header says 0x%08" PRIx32,
	           block_header_hash(in->data, w->in_section ? w->salt : 0), (uint32_t)load_le(in->data + 60, 4));
	return NO_HEADER;
}

/* Whether the block at the window's beginning can be passed, being in its place, and sound as far as that shows without
 * reading it: another one follows, or the end of the input. 1: its directory is there, 0, or an error of the source. */
static int is_unwanted(struct walker *w, struct block *b)
{
	struct window *in = &w->window;
	uint64_t next = in->offset + block_size(b);
	uint8_t header[BLOCK_HEADER];
	struct block following;
	int rc;

	if (!w->wants || in->size == 0 || b->type == BLOCK_SECTION || b->seq != w->seq || next > in->size)
		return 0;
	rc = window_fill(in, BLOCK_HEADER + (size_t)b->dir_len);
	if (rc || in->len < BLOCK_HEADER + (size_t)b->dir_len)
		return rc;
	b->stored = in->data + BLOCK_HEADER;
	if (w->wants(w->wants_context, b))
		return 0;
	if (next == in->size)
		return 1;
	rc = window_read_at(in, next, header, sizeof(header));
	if (rc > 0)
		rc = is_header(w, header, &following);
	return rc;
}

/* Looks at the block at the window's beginning; says what is wrong. */
static int inspect(struct walker *w, struct block *b, enum verdict *verdict)
{
	struct window *in = &w->window;
	struct diag *diag = w->diag;
	const char *limit;
	uint64_t hash;
	int rc;

	diag->block = w->seq;
	diag->offset = in->offset;
	rc = window_fill(in, BLOCK_HEADER);
	if (rc)
		return rc;
	if (!parse_at(w, 0, b)) {
		*verdict = explain_no_header(w);
		return 0;
	}
	diag->block = b->seq;
	*verdict = BROKEN;
	limit = block_limit_broken(b);
	if (limit) {
		diag_block(diag, 0,
		           "%s is over its limit: stored_len %" PRIu32 ", raw_len %" PRIu32 ", dir_len %" PRIu32
		           ", n_records %" PRIu32,
		           limit, b->stored_len, b->raw_len, b->dir_len, b->n_records);
		return 0;
	}
	rc = is_unwanted(w, b);
	if (rc != 0) {
		*verdict = UNWANTED;
		return rc < 0 ? rc : 0;
	}
	rc = window_fill(in, block_size(b));
	if (rc)
		return rc;
	if (in->len < BLOCK_HEADER + b->stored_len) {
		*verdict = CUT;
		diag_block(diag, 0, "the input ends within it, after %zu of %zu bytes", in->len, block_size(b));
		return 0;
	}
	if (stored_is_sound(w, b, in->data + BLOCK_HEADER, &hash))
		*verdict = SOUND;
	else
		diag_block(diag, 0,
		           "hash of its %" PRIu32 " stored bytes is 0x%016" PRIx64 ", the header says 0x%016" PRIx64,
		           b->stored_len, hash, b->hash);
	return 0;
}

/* Whether a whole, sound SECTION is at `at`: 1, 0, or an error of the source. */
static int is_section(struct walker *w, size_t at, struct block *b)
{
	uint64_t hash;
	int rc;

	if (!parse_at(w, at, b) || b->type != BLOCK_SECTION || block_limit_broken(b))
		return 0;
	rc = window_fill(&w->window, at + block_size(b));
	if (rc)
		return rc;
	return w->window.len - at >= BLOCK_HEADER + b->stored_len &&
	       stored_is_sound(w, b, w->window.data + at + BLOCK_HEADER, &hash);
}

/* Skips to the next place to go on, or to the end of the input. */
static int search_on(struct walker *w)
{
	struct window *in = &w->window;
	size_t at = 1;
	size_t section = 0; /* where in the window a SECTION was met */
	bool met = false;
	bool own = false; /* it is this one's */

	for (;;) {
		struct block b;
		const uint8_t *p;
		int rc;

		if (!met) {
			window_skip(in, at);
			at = 0;
		}
		rc = window_fill(in, at + BLOCK_HEADER);
		if (rc)
			return rc;
		if (in->len < at + BLOCK_HEADER)
			break;
		if (w->wasted > WASTED_MAX + in->offset)
			break;
		p = memchr(in->data + at, BLOCK_MAGIC[0] & 0xff, in->len - at - BLOCK_HEADER + 1);
		if (!p) {
			at = in->len - BLOCK_HEADER + 1;
			continue;
		}
		at = (size_t)(p - in->data);
		if (met && at - section > BLOCK_SIZE_MAX)
			break;
		if (parse_at(w, at, &b) && b.type != BLOCK_SECTION && b.seq >= w->seq) {
			/* That those before it are lost is being said. */
			w->seq = b.seq;
			window_skip(in, at);
			return 0;
		}
		rc = is_section(w, at, &b);
		if (rc < 0)
			return rc;
		own = rc > 0 && (!w->in_section || section_salt(&b) == w->salt);
		if (rc > 0 && (own || !met)) {
			met = true;
			section = at;
		}
		if (own)
			break;
		at++;
	}
	if (met) {
		window_skip(in, section);
		return 0;
	}
	window_skip(in, in->len);
	while (!in->ended) {
		int rc = window_fill(in, 1);

		if (rc)
			return rc;
		window_skip(in, in->len);
	}
	return 0;
}

static int search(struct walker *w)
{
	bool sparing = w->window.sparing;
	int rc;

	w->window.sparing = false;
	rc = search_on(w);
	w->window.sparing = sparing;
	return rc;
}

/* Skips what is not sound, up to the next place to go on, or to the end of the input. */
static int resume(struct walker *w, const struct block *b, enum verdict verdict)
{
	struct window *in = &w->window;
	uint64_t from = in->offset;
	struct block next;
	int rc;

	if (verdict == BROKEN && !block_limit_broken(b)) {
		size_t size = block_size(b);

		rc = window_fill(in, size + BLOCK_HEADER);
		if (rc)
			return rc;
		if (in->len == size || parse_at(w, size, &next)) {
			w->wasted -= b->stored_len;
			window_skip(in, size);
			if (b->type != BLOCK_SECTION && b->seq >= w->seq)
				w->seq = b->seq + 1;
			goto done;
		}
	}
	rc = search(w);
	if (rc)
		return rc;
done:
	w->stats->bad_blocks++;
	w->stats->lost_bytes += in->offset - from;
	return 0;
}

int walker_next(struct walker *w, struct block *b)
{
	struct window *in = &w->window;
	struct diag *diag = w->diag;
	enum verdict verdict;
	int rc;

	if (w->behind > 0)
		window_seek(in, w->behind);
	w->behind = 0;
	window_skip(in, w->held);
	w->held = 0;
	rc = window_fill(in, 1);
	if (rc || in->len == 0)
		return rc;
	rc = inspect(w, b, &verdict);
	if (rc)
		return rc;
	if (verdict == UNWANTED) {
		w->seq++;
		w->behind = in->offset + block_size(b);
		w->stats->skipped_blocks++;
		return 1;
	}
	if (verdict != SOUND) {
		rc = resume(w, b, verdict);
		if (rc)
			return rc;
		/* Nothing behind it: the input was cut off here. */
		if (verdict == CUT && in->len == 0 && in->ended) {
			w->cut = true;
			return 0;
		}
		return FDTAPE_ERR_DAMAGED;
	}

	if (b->type == BLOCK_SECTION) {
		w->in_section = true;
		w->salt = section_salt(b);
		w->seq = 0;
	} else if (b->seq > w->seq) {
		/* The block itself comes with the next call. */
		rc = diag_block(diag, FDTAPE_ERR_DAMAGED, "blocks %" PRIu64 " to %" PRIu64 " before it are missing",
		                w->seq, b->seq - 1);
		w->seq = b->seq;
		w->stats->bad_blocks++;
		return rc;
	} else if (b->seq < w->seq) {
		rc = diag_block(diag, FDTAPE_ERR_DAMAGED, "out of order, or twice: block %" PRIu64 " should be here",
		                w->seq);
		w->stats->bad_blocks++;
		w->stats->lost_bytes += extent(in, b);
		window_skip(in, extent(in, b));
		return rc;
	}
	w->seq++;
	w->held = extent(in, b);
	w->stats->blocks++;
	return 1;
}

void walker_seek(struct walker *w, uint64_t offset, uint64_t seq)
{
	window_seek(&w->window, offset);
	w->held = 0;
	w->behind = 0;
	w->seq = seq;
}

int walker_at(struct walker *w, uint64_t offset, uint64_t seq, struct block *b)
{
	bool (*wants)(const void *, const struct block *) = w->wants;
	enum verdict verdict;
	int rc;

	if (w->window.offset + w->held == offset && w->behind == 0) {
		window_skip(&w->window, w->held);
		w->held = 0;
		w->seq = seq;
	} else {
		walker_seek(w, offset, seq);
	}
	w->wants = NULL;
	rc = window_fill(&w->window, BLOCK_HEADER);
	if (rc == 0 && w->window.len > 0)
		rc = inspect(w, b, &verdict);
	else
		verdict = CUT;
	w->wants = wants;
	w->diag->text[0] = 0;
	if (rc)
		return rc;
	if (verdict != SOUND || b->type == BLOCK_SECTION || b->seq != seq)
		return 0;
	w->seq = seq + 1;
	w->held = extent(&w->window, b);
	w->stats->blocks++;
	return 1;
}
