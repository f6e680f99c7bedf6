/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/options.h"

#include "cli.h"
#include "record/spec.h"

#define RING_MIN     (UINT64_C(64) << 10)
#define RING_MAX     (UINT64_C(1) << 30)
#define RING_DEFAULT (UINT64_C(32) << 20)
#define TAPE_MIN     (UINT64_C(64) << 10) /* of --max-size and --rotate: below, a tape is mostly its head */
#define LAST_MIN     (UINT64_C(1) << 20)  /* of --max-size with --last */
#define LAST_DEFAULT (UINT64_C(256) << 20)
#define KEEP_MAX     999999
#define YEAR_NS      (UINT64_C(366) * 86400 * 1000000000)
#define DAY_NS       (UINT64_C(86400) * 1000000000)

enum {
	KEY_NO_FOLLOW = CLI_FIRST_KEY,
	KEY_COMM,
	KEY_UID,
	KEY_CGROUP,
	KEY_CONTAINER,
	KEY_PORT,
	KEY_TRACE,
	KEY_TLS,
	KEY_LIBRARY,
	KEY_SYMBOLS,
	KEY_LEAN,
	KEY_FILES,
	KEY_SNAPLEN,
	KEY_HEADERS_ONLY,
	KEY_MAX_SIZE,
	KEY_ROTATE,
	KEY_KEEP,
	KEY_LAST,
	KEY_RING,
	KEY_CHECK,
};

static const struct cli_option table[] = {
        {KEY_TLS, NULL, NULL, "Which processes (of several kinds all must agree, of one kind any will do):"},
        {'p', "pid", "PID", "a running process and its children"},
        {'e', "exe", "PATTERN", "running and future processes: a part of the executable's path, or a *?[] pattern"},
        {KEY_COMM, "comm", "NAME", "those of this name, as ps -o comm shows it"},
        {KEY_UID, "uid", "USER", "those of a user: number or name"},
        {KEY_CGROUP, "cgroup", "PATH", "those in a cgroup and below it"},
        {KEY_CONTAINER, "container", "ID", "those in a container: its id, or at least the first 6 digits"},
        {KEY_PORT, "port", "N", "connections from or to this port only"},
        {'a', "all", NULL, "every process"},
        {KEY_NO_FOLLOW, "no-follow", NULL, "leave the children of chosen processes alone"},
        {KEY_TRACE, "trace", "SPEC", "all in one: mod:socket,mod:openssl,exe.contains:nginx"},
        {KEY_TRACE, "bpf-trace", "SPEC", "the same"},
        {KEY_TLS, NULL, NULL, "What of them:"},
        {KEY_TLS, "tls", "MODE", "off; keys: handshake secrets; calls: SSL_read, SSL_write; auto: both (default)"},
        {KEY_LIBRARY, "library", "FILE", "probe this library or program for TLS too, whoever runs it"},
        {KEY_SYMBOLS, "symbols", "FILE", "where its functions are, if it is stripped: as nm prints them"},
        {KEY_LEAN, "lean", NULL, "for production: sockets only, no durations of calls, --tls keys"},
        {KEY_FILES, "files", "[=payload]", "calls on files and pipes too; with =payload their bytes as well"},
        {KEY_SNAPLEN, "snaplen", "SIZE", "keep at most SIZE payload bytes of each call; the length is always kept"},
        {KEY_HEADERS_ONLY, "headers-only", NULL, "keep no payload: --snaplen 0"},
        {KEY_TLS, NULL, NULL, "The recording:"},
        {'o', "output", "FILE", "the tape; - is standard output (default: fdtape-YYYYMMDDTHHMMSS.tape)"},
        {'d', "duration", "TIME", "stop by itself after TIME: 500ms, 10s, 5m"},
        {KEY_MAX_SIZE, "max-size", "SIZE", "stop by itself when the tape has SIZE"},
        {KEY_ROTATE, "rotate", "SIZE", "begin a new tape at each SIZE: FILE-000001.tape, FILE-000002.tape, ..."},
        {KEY_KEEP, "keep", "N", "with --rotate: keep the newest N tapes"},
        {KEY_LAST, "last", "TIME", "hold the last TIME in memory; write it on SIGUSR1, and when stopped"},
        {KEY_RING, "ring", "SIZE", "buffer between the kernel and the recorder: 64K to 1G (default 32M)"},
        {KEY_CHECK, "check", NULL, "tell what this system allows, and record nothing"},
        CLI_COMMON_OPTIONS,
        {0, NULL, NULL, NULL},
};

static void print_help(void)
{
	puts("usage: fdtape-record [OPTION]... -- COMMAND [ARG]...\n"
	     "       fdtape-record [OPTION]... -p PID | -e PATTERN | ... | -a\n\n"
	     "Records what every socket of the chosen processes carries - the calls, the bytes, the TLS secrets and\n"
	     "plaintext - into one file, a tape. COMMAND is held until the probes are in place. SIGINT or SIGTERM "
	     "ends\n"
	     "a recording properly.");
	cli_print_options(stdout, table);
	puts("\nexamples:\n"
	     "  fdtape-record -o curl.tape -- curl https://localhost:8443/\n"
	     "  fdtape-record -o web.tape -d 10s -e nginx --port 443\n"
	     "  fdtape-record -o web.tape --lean --rotate 100M --keep 20 --container 3f2a9c\n"
	     "  fdtape-record -o failed.tape --last 30s -- make test\n"
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

static uint64_t parse_time(const struct cli *c, uint64_t max)
{
	uint64_t time = cli_duration(c, max);

	if (!time)
		cli_die(CLI_USAGE, "option '%s' takes a time above 0, not '%s'", c->spelt, c->value);
	return time;
}

static size_t parse_ring(const struct cli *c)
{
	uint64_t size = cli_size(c, RING_MIN, RING_MAX);

	if (size & (size - 1))
		cli_die(CLI_USAGE, "option '%s' takes a power of two from 64K to 1G, such as 32M, not '%s'", c->spelt,
		        c->value);
	return size;
}

/* ---- files with TLS --------------------------------------------------------------------------------------------- */

static void add_library(struct options *o, const char *path)
{
	if (o->n_libraries == OPTIONS_LIBRARIES)
		cli_die(CLI_USAGE, "option '--library' can be given %d times", OPTIONS_LIBRARIES);
	o->library[o->n_libraries++].path = path;
}

/* They are of the library before them. */
static void add_symbols(struct options *o, const char *path)
{
	struct options_library *library = o->n_libraries ? &o->library[o->n_libraries - 1] : NULL;

	if (!library)
		cli_die(CLI_USAGE, "--symbols says where the functions of a --library FILE are; give that before it");
	if (library->symbols)
		cli_die(CLI_USAGE, "--library %s has --symbols %s already", library->path, library->symbols);
	library->symbols = path;
}

/* ---- what goes together ----------------------------------------------------------------------------------------- */

static void check_choice(struct options *o)
{
	struct choice *c = &o->choice;
	bool image = c->n_exes || c->n_comms, narrow = c->n_uids || c->n_cgroups || c->n_ports;

	if (c->all && (c->n_pids || image))
		cli_die(CLI_USAGE, "-a chooses every process, and %s some of them; leave one out",
		        c->n_pids   ? "-p"
		        : c->n_exes ? "-e"
		                    : "--comm");
	/* A user, a cgroup, a port: of whichever process, unless a command says of which. */
	if (narrow && !c->n_pids && !image && !o->command)
		c->all = true;
	if (!o->command && !c->n_pids && !image && !c->all && !o->check)
		cli_die(CLI_USAGE,
		        "nothing is chosen: give a COMMAND, -p PID, -e PATTERN or another choice, or -a for "
		        "every process; try '%s --help'",
		        cli_tool);
}

/* What modules, --lean and --tls come to together: what is said outright counts most. */
static void settle_modules(struct options *o, bool tls_given)
{
	if (o->modules & MODULE_FILE)
		o->files = true;
	if (o->lean && o->files)
		cli_die(CLI_USAGE, "--lean records sockets only; leave out %s",
		        o->modules & MODULE_FILE ? "mod:file" : "--files");
	if (!tls_given && o->modules && !(o->modules & (MODULE_OPENSSL | MODULE_TLS)))
		o->tls = TLS_OFF;
	else if (!tls_given && o->lean)
		o->tls = TLS_KEYS;
	if (o->n_libraries && o->tls == TLS_OFF)
		cli_die(CLI_USAGE,
		        "--library is probed for TLS, which is left out here; say --tls auto, keys or calls");
	o->tls_asked = tls_given && o->tls != TLS_AUTO && o->tls != TLS_OFF;
}

static void check_tapes(struct options *o)
{
	if (o->keep && !o->rotate)
		cli_die(CLI_USAGE, "--keep bounds the tapes of --rotate SIZE, which is not given");
	if (o->rotate && options_to_stdout(o))
		cli_die(CLI_USAGE, "--rotate makes a chain of files, and -o - is standard output; give -o FILE");
	if (o->last && o->rotate)
		cli_die(CLI_USAGE,
		        "--last holds the recording in memory, and --rotate writes it to tapes; leave one out");
	if (o->last && o->max_size && o->max_size < LAST_MIN)
		cli_die(CLI_USAGE,
		        "with --last, --max-size is the memory to hold the recording in: at least 1M, not %llu",
		        (unsigned long long)o->max_size);
	if (o->last && !o->max_size)
		o->max_size = LAST_DEFAULT;
	if (o->rotate && o->max_size && o->max_size < o->rotate)
		cli_die(CLI_USAGE, "--max-size is of all tapes together: at least the %llu bytes of --rotate, not %llu",
		        (unsigned long long)o->rotate, (unsigned long long)o->max_size);
}

void options_parse(struct options *o, int argc, char **argv)
{
	bool tls_given = false;
	struct cli c;
	int key;

	*o = (struct options){.choice = {.follow = true}, .tls = TLS_AUTO, .snaplen = UINT64_MAX, .ring = RING_DEFAULT};
	cli_start(&c, table, argc, argv);
	while ((key = cli_next(&c)) != -1) {
		switch (key) {
		case 0: /* the command: everything from here on is its own, whether "--" stands before it or not */
			o->command = argv + c.index - 1;
			c.index = argc;
			break;
		case 'p':
			spec_add(o, c.spelt, "pid", c.value);
			break;
		case 'e':
			spec_exe(o, c.spelt, c.value);
			break;
		case KEY_COMM:
			spec_add(o, c.spelt, "comm", c.value);
			break;
		case KEY_UID:
			spec_add(o, c.spelt, "uid", c.value);
			break;
		case KEY_CGROUP:
			spec_add(o, c.spelt, "cgroup", c.value);
			break;
		case KEY_CONTAINER:
			spec_add(o, c.spelt, "container", c.value);
			break;
		case KEY_PORT:
			spec_add(o, c.spelt, "port", c.value);
			break;
		case KEY_TRACE:
			spec_parse(o, c.spelt, c.value);
			break;
		case 'a':
			o->choice.all = true;
			break;
		case KEY_NO_FOLLOW:
			o->choice.follow = false;
			break;
		case KEY_TLS:
			o->tls = parse_tls(&c);
			tls_given = true;
			break;
		case KEY_LIBRARY:
			add_library(o, c.value);
			break;
		case KEY_SYMBOLS:
			add_symbols(o, c.value);
			break;
		case KEY_LEAN:
			o->lean = true;
			break;
		case KEY_FILES:
			if (c.value && strcmp(c.value, "payload") != 0)
				cli_die(CLI_USAGE, "option '--files' takes =payload or nothing, not '%s'", c.value);
			o->files = true;
			o->files_payload |= c.value != NULL;
			break;
		case KEY_SNAPLEN:
			o->snaplen = cli_size(&c, 0, INT64_MAX);
			break;
		case KEY_HEADERS_ONLY:
			o->snaplen = 0;
			break;
		case 'o':
			o->output = c.value;
			break;
		case 'd':
			o->duration = parse_time(&c, YEAR_NS);
			break;
		case KEY_MAX_SIZE:
			o->max_size = cli_size(&c, TAPE_MIN, INT64_MAX);
			break;
		case KEY_ROTATE:
			o->rotate = cli_size(&c, TAPE_MIN, INT64_MAX);
			break;
		case KEY_KEEP:
			o->keep = cli_number(&c, 1, KEEP_MAX);
			break;
		case KEY_LAST:
			o->last = parse_time(&c, DAY_NS);
			break;
		case KEY_RING:
			o->ring = parse_ring(&c);
			break;
		case KEY_CHECK:
			o->check = true;
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
	check_choice(o);
	settle_modules(o, tls_given);
	check_tapes(o);
}

void options_release(struct options *o)
{
	for (size_t i = 0; i < o->choice.n_cgroups; i++)
		free(o->choice.cgroup[i].path);
	free(o->choice.pids);
}

__attribute__((format(printf, 4, 5))) static size_t add_words(char *words, size_t size, size_t len, const char *format,
                                                              ...)
{
	va_list args;
	int n;

	if (len >= size)
		return len;
	va_start(args, format);
	if (len && len + 1 < size)
		words[len++] = ',';
	n = vsnprintf(words + len, size - len, format, args);
	va_end(args);
	return len + (n > 0 ? (size_t)n : 0);
}

void options_choice(const struct options *o, char *words, size_t size)
{
	const struct choice *c = &o->choice;
	size_t len = 0;

	*words = 0;
	if (c->all)
		len = add_words(words, size, len, "all");
	if (o->command)
		len = add_words(words, size, len, "command");
	/* The command's pid is among them once it runs; it says nothing to a reader. */
	for (size_t i = 0; i < c->n_pids; i++)
		len = add_words(words, size, len, "pid:%d", c->pids[i]);
	for (size_t i = 0; i < c->n_exes; i++)
		len = add_words(words, size, len, "exe.glob:%s", c->exe[i]);
	for (size_t i = 0; i < c->n_comms; i++)
		len = add_words(words, size, len, "comm:%s", c->comm[i]);
	for (size_t i = 0; i < c->n_uids; i++)
		len = add_words(words, size, len, "uid:%u", c->uid[i]);
	for (size_t i = 0; i < c->n_cgroups; i++)
		len = add_words(words, size, len, "cgroup:%s", c->cgroup[i].path);
	for (size_t i = 0; i < c->n_ports; i++)
		len = add_words(words, size, len, "port:%u", c->port[i]);
}
