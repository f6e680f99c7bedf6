/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/diag.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int diag_block(struct diag *d, int error, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(d->text, sizeof(d->text), "block %" PRIu64 " at offset %" PRIu64 ": ", d->block, d->offset);
	va_start(args, format);
	vsnprintf(d->text + n, sizeof(d->text) - (size_t)n, format, args);
	va_end(args);
	return error;
}

int diag_say(struct diag *d, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(d->text, sizeof(d->text), format, args);
	va_end(args);
	return error;
}
