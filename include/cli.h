/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLI_H
#define CLI_H

/*
 * What the three tools share on the command line: exit statuses, messages, one option table that parses and prints
 * the help, sizes and durations, and text that is safe for a terminal.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The contract's exit statuses (see the man pages). */
enum cli_exit {
	CLI_DONE = 0,
	CLI_DIFFERS = 1, /* done, and what was asked about differs or was found wanting */
	CLI_USAGE = 2,
	CLI_DAMAGED = 3, /* damaged input; what could be read was given */
	CLI_REFUSED = 4, /* the system refused: privilege, disk, kernel */
};

#define CLI_STRING_(x) #x
#define CLI_STRING(x)  CLI_STRING_(x)
#define CLI_VERSION    CLI_STRING(FDTAPE_VERSION)

/* ---- text that came out of a tape ------------------------------------------------------------------------------- */

/* Writes bytes with everything but printable ASCII and well-formed UTF-8 (without control characters) as \xNN, and
 * the backslash doubled, so that hostile bytes never reach a terminal raw. */
static inline void cli_put_text(FILE *out, const void *bytes, size_t len)
{
	const uint8_t *p = bytes, *end = p + len;

	while (p < end) {
		size_t n = 0;
		uint32_t rune;

		/* Nearly everything is this. */
		while (p + n < end && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '\\')
			n++;
		if (n > 0) {
			fwrite(p, 1, n, out);
			p += n;
			continue;
		}
		n = 1;
		rune = *p < 0x80 ? *p : 0; /* 0: not to be shown */

		if (*p >= 0xc2 && *p <= 0xf4) { /* RFC 3629; overlong and surrogate forms are judged below */
			size_t want = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;

			rune = *p & (0x7f >> want);
			while (n < want && p + n < end && (p[n] & 0xc0) == 0x80)
				rune = rune << 6 | (p[n++] & 0x3f);
			if (n < want || (want == 3 && rune < 0x800) ||
			    (want == 4 && (rune < 0x10000 || rune > 0x10ffff)) || (rune >= 0xd800 && rune <= 0xdfff) ||
			    rune < 0xa0 ||
			    /* direction marks and separators rewrite what the eye sees */
			    (rune >= 0x200b && rune <= 0x200f) || (rune >= 0x2028 && rune <= 0x202e) ||
			    (rune >= 0x2060 && rune <= 0x206f) || rune == 0xfeff) {
				n = 1;
				rune = 0;
			}
		}
		if (rune == '\\')
			fputs("\\\\", out);
		else if (rune >= 0xa0)
			fwrite(p, 1, n, out);
		else
			fprintf(out, "\\x%02x", *p);
		p += n;
	}
}

static inline void cli_put_string(FILE *out, const char *string)
{
	cli_put_text(out, string, strlen(string));
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

/* What messages begin with; main() sets it first. Weak: one for the program, though each file that includes this has it. */
__attribute__((weak)) const char *cli_tool = "fdtape";

__attribute__((format(printf, 1, 0))) static inline void cli_vwarn(const char *format, va_list args)
{
	char line[4096];

	vsnprintf(line, sizeof line, format, args);
	fprintf(stderr, "%s: ", cli_tool);
	/* A message may hold line feeds of its own (the verifier's log); nothing else passes raw. */
	for (char *p = line, *next; p; p = next) {
		next = strchr(p, '\n');
		cli_put_text(stderr, p, next ? (size_t)(next++ - p) : strlen(p));
		fputc('\n', stderr);
	}
}

__attribute__((format(printf, 1, 2))) static inline void cli_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cli_vwarn(format, args);
	va_end(args);
}

/* For set-up only: nothing may need cleaning up. */
__attribute__((format(printf, 2, 3), noreturn)) static inline void cli_die(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cli_vwarn(format, args);
	va_end(args);
	exit(status);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

struct cli_option {
	int key;          /* the short name where there is one ('o'), a number above 255 otherwise; 0 ends the table */
	const char *name; /* long name; NULL: a heading of the help, its text in help */
	const char *arg;  /* what the value is called in the help; NULL: takes none; "[X]": may be given with '=' */
	const char *help;
};

enum {
	CLI_HELP = 'h',
	CLI_QUIET = 'q',
	CLI_VERBOSE = 'v',
	CLI_VERSION_KEY = 0x100,
	CLI_FIRST_KEY = 0x101
};

#define CLI_COMMON_OPTIONS                                                        \
	{CLI_HELP, "help", NULL, "print this help and exit"},                     \
	        {CLI_VERSION_KEY, "version", NULL, "print the version and exit"}, \
	        {CLI_QUIET, "quiet", NULL, "say nothing but errors"},             \
	{                                                                         \
		CLI_VERBOSE, "verbose", NULL, "say more"                          \
	}

struct cli {
	const struct cli_option *options;
	char **argv;
	int argc;
	int index;          /* of the next argument to look at */
	const char *letter; /* within a group of short options: the next one */
	const char *value;  /* of the option just returned; NULL when it has none */
	const char *spelt;  /* the option as the user wrote it */
	bool operands_only;
	char spelling[3];
};

/* Prints the options in two columns, from the table that parses. */
static inline void cli_print_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *o = options; o->key; o++) {
		char left[80], letter[8] = "    ";

		if (!o->name) {
			fprintf(out, "\n%s\n", o->help);
			continue;
		}
		if (o->key < 256)
			snprintf(letter, sizeof letter, "-%c, ", o->key);
		snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name,
		         !o->arg          ? ""
		         : *o->arg == '[' ? ""
		                          : " ",
		         o->arg ? o->arg : "");
		fprintf(out, strlen(left) < 30 ? "%-30s%s\n" : "%s\n                              %s\n", left, o->help);
	}
}

static inline void cli_start(struct cli *c, const struct cli_option *options, int argc, char **argv)
{
	*c = (struct cli){.options = options, .argv = argv, .argc = argc, .index = 1};
}

/* Hands out the value of option o; `attached` is what stands in the same argument, NULL if nothing does. */
static inline int cli_take(struct cli *c, const struct cli_option *o, const char *attached)
{
	c->value = attached;
	if (o->arg && *o->arg != '[' && !attached) {
		if (c->index >= c->argc)
			cli_die(CLI_USAGE, "option '%s' needs a value: %s; try '%s --help'", c->spelt, o->arg,
			        cli_tool);
		c->value = c->argv[c->index++];
	}
	return o->key;
}

/*
 * The next option's key, with c->value; 0 for an operand, which is c->value then; -1 at the end. Options and operands
 * may be mixed; "--" ends the options, and cli_rest() tells what stands behind it. A long name may be given in full
 * only: scripts that abbreviate break when an option is added. Wrong usage ends the program with status 2.
 */
static inline int cli_next(struct cli *c)
{
	const struct cli_option *o;
	const char *arg, *equals;
	size_t len;

	if (!c->letter) {
		if (c->index >= c->argc)
			return -1;
		arg = c->argv[c->index++];
		if (c->operands_only || arg[0] != '-' || !arg[1]) {
			c->value = arg;
			return 0;
		}
		if (strcmp(arg, "--") == 0) {
			c->operands_only = true;
			return cli_next(c);
		}
		c->spelt = arg;
		if (arg[1] != '-') {
			c->letter = arg + 1;
		} else {
			equals = strchr(arg, '=');
			len = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
			for (o = c->options; o->key; o++) {
				if (!o->name || strlen(o->name) != len || memcmp(o->name, arg + 2, len) != 0)
					continue;
				if (equals && !o->arg)
					cli_die(CLI_USAGE, "option '--%s' takes no value; try '%s --help'", o->name,
					        cli_tool);
				return cli_take(c, o, equals ? equals + 1 : NULL);
			}
			cli_die(CLI_USAGE, "unknown option '%s'; try '%s --help'", arg, cli_tool);
		}
	}
	for (o = c->options; o->key; o++) {
		if (!o->name || o->key != (unsigned char)*c->letter)
			continue;
		snprintf(c->spelling, sizeof c->spelling, "-%c", *c->letter);
		c->spelt = c->spelling;
		arg = *++c->letter ? c->letter : NULL;
		if (o->arg || !arg)
			c->letter = NULL;
		return cli_take(c, o, o->arg ? arg : NULL);
	}
	snprintf(c->spelling, sizeof c->spelling, "-%c", *c->letter);
	cli_die(CLI_USAGE, "unknown option '%s'; try '%s --help'", c->spelling, cli_tool);
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

/* A whole decimal number from min to max. Anything else ends the program, naming the option and the range. */
static inline uint64_t cli_number(const struct cli *c, uint64_t min, uint64_t max)
{
	char *end = NULL;
	unsigned long long n;

	errno = 0;
	n = strtoull(c->value, &end, 10);
	if (*c->value < '0' || *c->value > '9' || *end || errno || n < min || n > max)
		cli_die(CLI_USAGE, "option '%s' takes a whole number from %llu to %llu, not '%s'", c->spelt,
		        (unsigned long long)min, (unsigned long long)max, c->value);
	return n;
}

/* A size in bytes: a number with K, M, G or T (powers of 1024) behind it, or none. */
static inline uint64_t cli_size(const struct cli *c, uint64_t min, uint64_t max)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end = NULL;
	unsigned long long n;
	unsigned shift = 0;

	errno = 0;
	n = strtoull(c->value, &end, 10);
	if (*end && (unit = strchr(units, *end & ~0x20))) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
		if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
			end += strlen(end);
	}
	if (*c->value < '0' || *c->value > '9' || *end || errno || n > UINT64_MAX >> shift || n << shift < min ||
	    n << shift > max)
		cli_die(CLI_USAGE, "option '%s' takes a size from %llu to %llu bytes (K, M, G, T may follow), not '%s'",
		        c->spelt, (unsigned long long)min, (unsigned long long)max, c->value);
	return n << shift;
}

/* A length of time in ns: a decimal number with ns, us, ms, s, m or h behind it; s when there is none. */
static inline uint64_t cli_duration(const struct cli *c, uint64_t max_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"", 1e9}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	char *end = NULL;
	double n = strtod(c->value, &end);

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (*c->value >= '0' && *c->value <= '9' && strcmp(end, units[i].name) == 0 &&
		    n * units[i].ns <= (double)max_ns)
			return (uint64_t)(n * units[i].ns);
	cli_die(CLI_USAGE, "option '%s' takes a time up to %.0f s, such as 500ms, 10s or 5m, not '%s'", c->spelt,
	        (double)max_ns / 1e9, c->value);
}

#endif
