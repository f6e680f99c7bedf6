/* SPDX-License-Identifier: BSD-2-Clause */

/* Reads what is chosen of any bytes: through the index where there is one, and in order. What comes before the tape is
 * the choice. */
#define FUZZ_PREFIX 4
#include "tests/fuzz_tape.h"

struct in_order {
	const uint8_t *data;
	size_t len;
};

static int64_t read_in_order(void *context, void *buffer, size_t len)
{
	struct in_order *in = context;
	size_t n = in->len < len ? in->len : len;

	memcpy(buffer, in->data, n);
	in->data += n;
	in->len -= n;
	return (int64_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t flows[2];
	struct fdtape_choice choice = {.flows = flows};
	struct fdtape_reader *reader;
	struct in_order in;

	if (len < FUZZ_PREFIX)
		return 0;
	flows[0] = data[0] % 8;
	flows[1] = flows[0] + 1 + data[1] % 8;
	choice.n_flows = data[0] / 8 % 3;
	choice.from = data[2] * UINT64_C(400);
	choice.to = data[3] ? choice.from + data[3] * UINT64_C(400) : 0;
	in = (struct in_order){data + FUZZ_PREFIX, len - FUZZ_PREFIX};

	if (fdtape_reader_open_memory(&reader, in.data, in.len))
		return 0;
	if (fdtape_reader_choose(reader, &choice))
		abort();
	fuzz_read(reader, SIZE_MAX);
	fdtape_reader_free(reader);

	if (fdtape_reader_open(&reader, &(struct fdtape_source){.read = read_in_order, .context = &in}))
		return 0;
	if (fdtape_reader_choose(reader, &choice))
		abort();
	fuzz_read(reader, SIZE_MAX);
	fdtape_reader_free(reader);
	return 0;
}
