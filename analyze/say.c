/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/say.h"

static bool quiet;

void say_quiet(void)
{
	quiet = true;
}

__attribute__((format(printf, 1, 0))) static void put(const char *format, va_list args)
{
	/* The header's name of the tool is one for each file that includes it, so all messages leave through here. */
	cli_tool = TOOL;
	cli_vwarn(format, args);
}

void say(const char *format, ...)
{
	va_list args;

	if (quiet)
		return;
	va_start(args, format);
	put(format, args);
	va_end(args);
}

void say_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(format, args);
	va_end(args);
}

void say_and_exit(enum cli_exit status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(format, args);
	va_end(args);
	exit(status);
}
