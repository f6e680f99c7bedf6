/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Theory of operation
 *
 * A FOOTER has a size that is known, and says how long its section is. So an input whose sections were all ended is
 * walked from its end, a footer and a head at a time. If that does not come out at the beginning, because the last
 * recorder was killed or a part is damaged, the headers are hopped from the beginning, as far as they are sound.
 */
#include "format/places.h"

#include <stdlib.h>

#include "format/section.h"

/* Reads a SECTION's salt: 1; 0: there is no sound SECTION. *size: of the block. */
static int read_section(const struct window *in, uint64_t offset, uint64_t *salt, size_t *size)
{
	uint8_t header[BLOCK_HEADER];
	struct block b;
	uint8_t *stored;
	int rc = window_read_at(in, offset, header, sizeof(header));

	if (rc <= 0)
		return rc;
	if (!block_parse(&b, header, 0) || b.type != BLOCK_SECTION || b.stored_len > SECTION_LEN_MAX)
		return 0;
	stored = malloc(b.stored_len + 1u);
	if (!stored)
		return FDTAPE_ERR_MEMORY;
	rc = window_read_at(in, offset + BLOCK_HEADER, stored, b.stored_len);
	b.stored = stored;
	if (rc > 0 && !block_hash_matches(block_hash(&b, 0), b.hash))
		rc = 0;
	if (rc > 0) {
		*salt = section_salt(&b);
		*size = block_size(&b);
	}
	free(stored);
	return rc;
}

/* The totals in the first bytes of a sound block: 1; 0: it is not sound. */
static int read_totals(const struct window *in, uint64_t offset, const struct block *b, uint64_t salt, uint64_t *index,
                       struct fdtape_totals *totals)
{
	struct block copy = *b;
	uint8_t *stored;
	int rc;

	if (b->stored_len < TOTALS_SIZE || b->stored_len > BLOCK_LEN_MAX)
		return 0;
	stored = malloc(b->stored_len);
	if (!stored)
		return FDTAPE_ERR_MEMORY;
	rc = window_read_at(in, offset + BLOCK_HEADER, stored, b->stored_len);
	copy.stored = stored;
	if (rc > 0 && !block_hash_matches(block_hash(&copy, salt), b->hash))
		rc = 0;
	if (rc > 0)
		totals_load(stored, index, totals);
	free(stored);
	return rc;
}

static bool add_place(struct places *p, const struct place *place)
{
	void *places = p->place;

	if (p->n >= PLACES_MAX || !array_grow(&places, &p->cap, p->n + 1, sizeof(*p->place)))
		return false;
	p->place = places;
	p->place[p->n++] = *place;
	return true;
}

/* The section that ends with a FOOTER at `end`: 1; 0: there is none. */
static int before(const struct window *in, uint64_t end, struct place *place)
{
	uint8_t footer[FOOTER_SIZE];
	struct fdtape_totals totals;
	uint64_t offset = end - FOOTER_SIZE;
	uint64_t index, salt;
	struct block b;
	size_t size;
	int rc;

	if (end < FOOTER_SIZE)
		return 0;
	rc = window_read_at(in, offset, footer, sizeof(footer));
	if (rc <= 0)
		return rc;
	if (memcmp(footer, BLOCK_MAGIC, BLOCK_MAGIC_LEN) != 0)
		return 0;
	totals_load(footer + BLOCK_HEADER, &index, &totals);
	if (totals.bytes > offset)
		return 0;
	rc = read_section(in, offset - totals.bytes, &salt, &size);
	if (rc <= 0)
		return rc;
	if (!block_parse(&b, footer, salt) || b.type != BLOCK_FOOTER)
		return 0;
	*place = (struct place){.begin = offset - totals.bytes, .end = end, .footer = true};
	return read_totals(in, offset, &b, salt, &place->index, &place->totals);
}

static int find_backward(struct places *p, const struct window *in)
{
	uint64_t end = in->size;

	while (end > 0) {
		struct place place;
		int rc = before(in, end, &place);

		if (rc <= 0)
			return rc;
		if (!add_place(p, &place))
			return 0;
		end = place.begin;
	}
	for (size_t i = 0; i < p->n / 2; i++) {
		struct place other = p->place[i];

		p->place[i] = p->place[p->n - 1 - i];
		p->place[p->n - 1 - i] = other;
	}
	p->whole = p->n > 0;
	return 0;
}

/* Hops over one section: 1: up to its footer; 0: up to where it is not sound. */
static int hop(const struct window *in, uint64_t begin, struct place *place)
{
	uint64_t at, salt;
	size_t size;
	int rc = read_section(in, begin, &salt, &size);

	if (rc <= 0)
		return rc;
	*place = (struct place){.begin = begin, .end = begin};
	for (at = begin + size;; at += size) {
		uint8_t header[BLOCK_HEADER];
		struct fdtape_totals totals;
		struct block b;
		uint64_t previous;

		place->end = at;
		rc = window_read_at(in, at, header, sizeof(header));
		if (rc <= 0)
			return rc;
		if (!block_parse(&b, header, salt) || block_limit_broken(&b) || b.type == BLOCK_SECTION)
			return 0;
		size = block_size(&b);
		if (size > in->size - at)
			return 0;
		if (b.type != BLOCK_INDEX && b.type != BLOCK_FOOTER)
			continue;
		rc = read_totals(in, at, &b, salt, &previous, &totals);
		if (rc < 0 || (rc == 0 && b.type == BLOCK_FOOTER))
			return rc;
		if (rc == 0)
			continue;
		place->totals = totals;
		if (b.type == BLOCK_INDEX)
			place->index = at - begin;
		place->footer = b.type == BLOCK_FOOTER;
		if (place->footer) {
			place->index = previous;
			place->end = at + size;
			return 1;
		}
	}
}

static int find_forward(struct places *p, const struct window *in)
{
	uint64_t at = 0;

	p->n = 0;
	while (at < in->size) {
		struct place place = {.begin = at, .end = at};
		int rc = hop(in, at, &place);

		if (rc < 0)
			return rc;
		if (place.end == at || !add_place(p, &place))
			return 0;
		if (rc == 0)
			return 0;
		at = place.end;
	}
	p->whole = p->n > 0;
	return 0;
}

int places_find(struct places *p, const struct window *in)
{
	int rc;

	p->n = 0;
	p->whole = false;
	rc = find_backward(p, in);
	if (rc == 0 && !p->whole)
		rc = find_forward(p, in);
	return rc;
}

void places_release(struct places *p)
{
	free(p->place);
	*p = (struct places){0};
}
