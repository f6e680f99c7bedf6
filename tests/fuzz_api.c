/* SPDX-License-Identifier: BSD-2-Clause */

/* Any sequence of calls of libfdtape over any bytes. What comes before the tape says which calls. */
#define FUZZ_PREFIX 16
#include <fdtape/repair.h>

#include "tests/fuzz_tape.h"

struct source {
	const uint8_t *data;
	size_t len;
	size_t at;
	size_t chunk; /* most bytes at a time */
};

static int64_t read_next(void *context, void *buffer, size_t len)
{
	struct source *s = context;
	size_t n = s->len - s->at;

	n = n < len ? n : len;
	n = n < s->chunk ? n : s->chunk;
	memcpy(buffer, s->data + s->at, n);
	s->at += n;
	return (int64_t)n;
}

static int64_t read_at(void *context, uint64_t offset, void *buffer, size_t len)
{
	const struct source *s = context;
	size_t n = offset < s->len ? s->len - (size_t)offset : 0;

	n = n < len ? n : len;
	n = n < s->chunk ? n : s->chunk;
	memcpy(buffer, s->data + (s->len - (offset < s->len ? s->len - (size_t)offset : 0)), n);
	return (int64_t)n;
}

/* What repair makes must be without fault. */
static void repair(const uint8_t *data, size_t len, uint32_t flags)
{
	struct source source = {.data = data, .len = len, .chunk = SIZE_MAX};
	struct fuzz_blob fixed = {0};
	struct fdtape_reader *reader;
	struct fdtape_item item;
	int rc = fdtape_repair(&(struct fdtape_source){.read = read_next, .context = &source},
	                       &(struct fdtape_sink){.write = fuzz_sink, .context = &fixed}, flags, NULL);

	if (rc == 0 && fdtape_reader_open_memory(&reader, fixed.data, fixed.len) == 0) {
		while ((rc = fdtape_reader_next(reader, &item)) > 0)
			;
		if (rc)
			abort();
		fdtape_reader_free(reader);
	}
	free(fixed.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fdtape_reader_stats stats;
	struct fdtape_section_info info;
	struct fdtape_totals totals;
	struct fdtape_reader *reader;
	struct source source;
	uint64_t flows[3], sections;

	if (len < FUZZ_PREFIX)
		return 0;
	source = (struct source){.data = data + FUZZ_PREFIX, .len = len - FUZZ_PREFIX, .chunk = data[0] * 7u + 1};
	if (fdtape_reader_open(&reader, &(struct fdtape_source){.read = read_next,
	                                                        .context = &source,
	                                                        .read_at = data[1] & 1 ? read_at : NULL,
	                                                        .size = source.len + (data[1] & 2)}))
		return 0;
	for (size_t i = 2; i < FUZZ_PREFIX; i++) {
		switch (data[i] % 8) {
		case 0:
			for (size_t k = 0; k < 3; k++)
				flows[k] = k + data[i] / 8;
			fdtape_reader_choose(reader,
			                     &(struct fdtape_choice){flows, data[i] / 8 % 4, 0, data[i] * 300u});
			break;
		case 1:
			fdtape_reader_totals(reader, &totals, &sections);
			break;
		case 2:
			fdtape_reader_section(reader, &info);
			fdtape_reader_meta_get(reader, "tool.name");
			break;
		case 3:
			fdtape_reader_stats(reader, &stats);
			break;
		case 4:
			if (i % 5 == 0)
				repair(data + FUZZ_PREFIX, len - FUZZ_PREFIX, data[i] / 8 % 2);
			break;
		default:
			fuzz_read(reader, data[i]);
			break;
		}
	}
	fuzz_read(reader, SIZE_MAX);
	fdtape_reader_free(reader);
	return 0;
}
