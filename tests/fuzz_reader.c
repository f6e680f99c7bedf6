/* SPDX-License-Identifier: BSD-2-Clause */

/* Reads any bytes as a tape, to the end, and touches all that is given. */
#include "tests/fuzz_tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fdtape_reader *reader;

	if (fdtape_reader_open_memory(&reader, data, len))
		return 0;
	fuzz_read(reader, SIZE_MAX);
	fdtape_reader_free(reader);
	return 0;
}
