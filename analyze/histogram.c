/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/histogram.h"

#include <stdlib.h>

#include "analyze/alloc.h"

/*
 * Theory of operation
 *
 * Buckets are linear between two powers of two, 128 of them, so that each is at most 1/128 as wide as its values are
 * large, from nanoseconds to centuries; a value that is told is a bucket's middle, and so at most 1/256 off. Values
 * below 256 have a bucket each. All of 64 bits are 7424 buckets; an octave's counts (1 KiB) are there once one of its
 * values was seen, and durations of one kind are spread over a few.
 */

static unsigned top_bit(uint64_t value)
{
	unsigned bit = 0;

	for (unsigned step = 32; step; step /= 2)
		if (value >> step) {
			value >>= step;
			bit += step;
		}
	return bit;
}

/* The octave of a value, and the bucket in it. */
static unsigned octave_of(uint64_t value, unsigned *bucket)
{
	unsigned bit, octave;

	if (value < HISTOGRAM_OCTAVE) {
		*bucket = (unsigned)value;
		return 0;
	}
	bit = top_bit(value);
	octave = bit - (HISTOGRAM_BITS - 1) + 1;
	*bucket = (unsigned)(value >> (octave - 1)) - HISTOGRAM_OCTAVE;
	return octave;
}

/* The first value of a bucket, and how many values it has. */
static uint64_t bucket_from(unsigned octave, unsigned bucket, uint64_t *width)
{
	if (octave == 0) {
		*width = 1;
		return bucket;
	}
	*width = (uint64_t)1 << (octave - 1);
	return (uint64_t)(HISTOGRAM_OCTAVE + bucket) << (octave - 1);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	unsigned bucket, octave = octave_of(value, &bucket);

	if (!h->octaves[octave])
		h->octaves[octave] = alloc_new(HISTOGRAM_OCTAVE, sizeof **h->octaves);
	h->octaves[octave][bucket]++;
	if (!h->count++ || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->sum = h->sum > UINT64_MAX - value ? UINT64_MAX : h->sum + value;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned per_mille)
{
	uint64_t rank, width, value, seen = 0;

	/* ceil(count * per_mille / 1000), at least 1, without an overflow. */
	rank = h->count / 1000 * per_mille + (h->count % 1000 * per_mille + 999) / 1000;
	if (!rank)
		rank = 1;
	if (rank >= h->count)
		return h->max;
	for (unsigned octave = 0; octave < HISTOGRAM_OCTAVES; octave++) {
		for (unsigned bucket = 0; h->octaves[octave] && bucket < HISTOGRAM_OCTAVE; bucket++) {
			seen += h->octaves[octave][bucket];
			if (seen < rank)
				continue;
			value = bucket_from(octave, bucket, &width) + width / 2;
			return value < h->min ? h->min : value > h->max ? h->max : value;
		}
	}
	return h->max;
}

uint64_t histogram_between(const struct histogram *h, uint64_t from, uint64_t to)
{
	unsigned first, last, low = octave_of(from, &first), high = octave_of(to, &last);
	uint64_t count = 0;

	for (unsigned octave = low; octave <= high; octave++) {
		unsigned begin = octave == low ? first : 0, end = octave == high ? last : HISTOGRAM_OCTAVE - 1;

		for (unsigned bucket = begin; h->octaves[octave] && bucket <= end; bucket++)
			count += h->octaves[octave][bucket];
	}
	return count;
}

void histogram_release(struct histogram *h)
{
	for (unsigned octave = 0; octave < HISTOGRAM_OCTAVES; octave++)
		free(h->octaves[octave]);
	*h = (struct histogram){0};
}

/* Row `part` of `parts` of the values whose top bit is `bit`; 0 has a row of its own. */
static struct histogram_row row_at(unsigned bit, unsigned part, unsigned parts)
{
	uint64_t begin = (uint64_t)1 << bit, step = begin / parts;

	return (struct histogram_row){.from = begin + part * step, .to = begin + part * step + (step - 1)};
}

size_t histogram_rows(const struct histogram *h, struct histogram_row rows[static HISTOGRAM_ROWS], size_t limit)
{
	unsigned low = top_bit(h->min), high = top_bit(h->max), parts = 4;
	size_t n = 0;

	if (!h->count)
		return 0;
	while (parts > 1 && ((high - low + 1) * parts > limit || low < 2))
		parts /= 2;
	if (!h->min)
		rows[n++] = (struct histogram_row){.count = histogram_between(h, 0, 0)};
	for (unsigned bit = low; bit <= high && h->max; bit++) {
		for (unsigned part = 0; part < parts; part++) {
			struct histogram_row row = row_at(bit, part, parts);

			if (row.to < h->min || row.from > h->max)
				continue;
			row.count = histogram_between(h, row.from, row.to);
			rows[n++] = row;
		}
	}
	return n;
}
