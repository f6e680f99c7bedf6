/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/say.h"

static bool quiet;

void say_quiet(void)
{
	quiet = true;
}

void say(const char *format, ...)
{
	va_list args;

	if (quiet)
		return;
	va_start(args, format);
	cli_vwarn(format, args);
	va_end(args);
}

void say_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cli_vwarn(format, args);
	va_end(args);
}

void say_and_exit(enum cli_exit status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cli_vwarn(format, args);
	va_end(args);
	exit(status);
}
