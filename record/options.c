/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/options.h"

#include "bpf/probe_abi.h"
#include "cli.h"

enum {
	KEY_NO_FOLLOW = CLI_FIRST_KEY,
	KEY_TLS,
	KEY_SNAPLEN,
	KEY_HEADERS_ONLY
};

static const struct cli_option table[] = {
        {KEY_TLS, NULL, NULL, "What to record:"},
        {'p', "pid", "PID", "a running process and its children; may be repeated"},
        {'a', "all", NULL, "every process"},
        {KEY_NO_FOLLOW, "no-follow", NULL, "leave the children of chosen processes alone"},
        {KEY_TLS, "tls", "MODE", "off; keys: handshake secrets; calls: SSL_read, SSL_write; auto: both (default)"},
        {KEY_SNAPLEN, "snaplen", "SIZE", "keep at most SIZE payload bytes of each call; the length is always kept"},
        {KEY_HEADERS_ONLY, "headers-only", NULL, "keep no payload: --snaplen 0"},
        {KEY_TLS, NULL, NULL, "The recording:"},
        {'o', "output", "FILE", "the tape; - is standard output (default: fdtape-YYYYMMDDTHHMMSS.tape)"},
        {'d', "duration", "TIME", "stop by itself after TIME: 500ms, 10s, 5m"},
        CLI_COMMON_OPTIONS,
        {0, NULL, NULL, NULL},
};

static void print_help(void)
{
	puts("usage: fdtape-record [OPTION]... -- COMMAND [ARG]...\n"
	     "       fdtape-record [OPTION]... -p PID | -a\n\n"
	     "Records what every socket of the chosen processes carries - the calls, the bytes, the TLS secrets and\n"
	     "plaintext - into one file, a tape. COMMAND is held until the probes are in place. SIGINT or SIGTERM "
	     "ends\n"
	     "a recording properly.");
	cli_print_options(stdout, table);
	puts("\nexamples:\n"
	     "  fdtape-record -o curl.tape -- curl https://localhost:8443/\n"
	     "  fdtape-record -o web.tape -d 10s -p \"$(cat /run/nginx.pid)\"\n"
	     "  fdtape-record -o - -- make fetch | fdtape-analyze http -\n\n"
	     "Exit status: COMMAND's own, or 125 when the recorder failed; without COMMAND 0 done, 2 usage,\n"
	     "4 the system refused. A tape holds keys and plaintext: it is created readable by its owner only.");
}

static int parse_tls(const struct cli *c)
{
	for (int mode = TLS_OFF; mode <= TLS_AUTO; mode++)
		if (strcmp(c->value, options_tls_name(mode)) == 0)
			return mode;
	cli_die(CLI_USAGE, "option '%s' takes off, keys, calls or auto, not '%s'", c->spelt, c->value);
}

const char *options_tls_name(int mode)
{
	static const char *const names[] = {
	        [TLS_OFF] = "off", [TLS_KEYS] = "keys", [TLS_CALLS] = "calls", [TLS_AUTO] = "auto"};

	return names[mode];
}

void options_parse(struct options *o, int argc, char **argv)
{
	struct cli c;
	int key;

	*o = (struct options){.follow = true, .tls = TLS_AUTO, .snaplen = UINT64_MAX};
	cli_start(&c, table, argc, argv);
	while ((key = cli_next(&c)) != -1) {
		switch (key) {
		case 0: /* the command: everything from here on is its own, whether "--" stands before it or not */
			o->command = argv + c.index - 1;
			c.index = argc;
			break;
		case 'p':
			o->pids = realloc(o->pids, (o->n_pids + 1) * sizeof *o->pids);
			if (!o->pids)
				cli_die(CLI_REFUSED, "no memory");
			o->pids[o->n_pids++] = (pid_t)cli_number(&c, 1, INT32_MAX);
			break;
		case 'a':
			o->all = true;
			break;
		case KEY_NO_FOLLOW:
			o->follow = false;
			break;
		case KEY_TLS:
			o->tls = parse_tls(&c);
			break;
		case KEY_SNAPLEN:
			o->snaplen = cli_size(&c, 0, UINT64_MAX);
			break;
		case KEY_HEADERS_ONLY:
			o->snaplen = 0;
			break;
		case 'o':
			o->output = c.value;
			break;
		case 'd':
			o->duration = cli_duration(&c, UINT64_C(366) * 86400 * 1000000000);
			if (!o->duration)
				cli_die(CLI_USAGE, "option '%s' takes a time above 0, not '%s'", c.spelt, c.value);
			break;
		case CLI_QUIET:
			o->verbosity = -1;
			break;
		case CLI_VERBOSE:
			o->verbosity = 1;
			break;
		case CLI_HELP:
			print_help();
			exit(CLI_DONE);
		case CLI_VERSION_KEY:
			puts("fdtape-record " CLI_VERSION);
			exit(CLI_DONE);
		}
	}
	if (!o->command && !o->n_pids && !o->all)
		cli_die(CLI_USAGE, "nothing is chosen: give a COMMAND, -p PID or -a; try '%s --help'", cli_tool);
}
