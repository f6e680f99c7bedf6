/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyze/alloc.h"
#include "analyze/say.h"
#include "analyze/stats.h"

enum key {
	KEY_JSON = CLI_FIRST_KEY,
	KEY_DIR,
	KEY_WIRE,
	KEY_REPAIR,
	KEY_RAW,
	KEY_LOG_FORMAT,
	KEY_BY,
	KEY_TREE,
	KEY_JOBS,
	KEY_OUTPUT = 'o',
};

static const struct cli_option options_table[] = {
        {CLI_FIRST_KEY, NULL, NULL, "Output:"},
        {KEY_JSON, "json", NULL, "JSON Lines, one object a line, stable keys"},
        {KEY_OUTPUT, "output", "FILE", "write to FILE, which only its owner can read"},
        {CLI_FIRST_KEY, NULL, NULL, "For http:"},
        {KEY_TREE, "tree", NULL, "each request below the one that it was made for, and by what evidence"},
        {CLI_FIRST_KEY, NULL, NULL, "For log:"},
        {KEY_LOG_FORMAT, "log-format", "text|json|qtap", "qtap: the lines of qtap's --bpf-trace"},
        {CLI_FIRST_KEY, NULL, NULL, "For stats:"},
        {KEY_BY, "by", "process|call|peer|path", "one table, with all rows and histograms"},
        {CLI_FIRST_KEY, NULL, NULL, "For stream (--wire also for pcapng):"},
        {KEY_DIR, "dir", "in|out|both", "what the process read, what it wrote, or both (default)"},
        {KEY_WIRE, "wire", NULL, "what the fd carried, without decrypting it"},
        {KEY_RAW, "raw", NULL, "the exact bytes"},
        {CLI_FIRST_KEY, NULL, NULL, "For verify:"},
        {KEY_REPAIR, "repair", NULL, "write a sound tape, with what can be saved, to -o NEW"},
        CHOOSE_OPTIONS,
        {CLI_FIRST_KEY, NULL, NULL, "Common:"},
        {KEY_JOBS, "jobs", "N", "threads at most: the others read tapes ahead (default: processors)"},
        CLI_COMMON_OPTIONS,
        {0},
};

enum {
	JOBS_MAX = 1024
};

/* The options that not every view takes. */
enum takes {
	TAKES_JSON = 1 << 0,
	TAKES_STREAM = 1 << 1, /* --dir, --raw */
	TAKES_WIRE = 1 << 2,
	TAKES_REPAIR = 1 << 3,
	TAKES_LOG_FORMAT = 1 << 4,
	TAKES_BY = 1 << 5,
	TAKES_TREE = 1 << 6,
};

static const struct view {
	const char *name;
	int (*run)(struct options *options);
	unsigned takes;
	const char *help;
} views[] = {
        {"summary", view_summary, TAKES_JSON, "the page to read first (default)"},
        {"info", view_info, TAKES_JSON, "who recorded what, where and when; totals; loss"},
        {"flows", view_flows, TAKES_JSON, "one line a flow: a socket's life on a file descriptor"},
        {"log", view_log, TAKES_JSON | TAKES_LOG_FORMAT, "one line a call, in the order in which they happened"},
        {"http", view_http, TAKES_JSON | TAKES_TREE, "one line a request with its response: HTTP/1, HTTP/2, gRPC"},
        {"ws", view_ws, TAKES_JSON, "one line a WebSocket message"},
        {"sql", view_sql, TAKES_JSON, "one line a command to a database: PostgreSQL, MySQL, Redis"},
        {"dns", view_dns, TAKES_JSON, "one line a DNS query with its response"},
        {"stats", view_stats, TAKES_JSON | TAKES_BY, "counts, rates and latencies by process, call, peer and path"},
        {"stream", view_stream, TAKES_STREAM | TAKES_WIRE, "the bytes of one flow (--flow N), decrypted"},
        {"audit", view_audit, TAKES_JSON, "what the wire decrypts to against what library calls delivered"},
        {"doctor", view_doctor, TAKES_JSON, "what looks wrong: on which flow, when, the evidence, and advice"},
        {"verify", view_verify, TAKES_JSON | TAKES_REPAIR, "check the file itself: every block's checksum"},
        {"pcapng", export_pcapng, TAKES_WIRE, "export for Wireshark, with TLS keys or decrypted"},
        {"keylog", export_keylog, 0, "export the TLS secrets as an SSLKEYLOGFILE"},
};

#define N_VIEWS (sizeof views / sizeof *views)

static void print_help(void)
{
	printf("Usage: " TOOL " [VIEW] [OPTION]... TAPE...\n"
	       "\n"
	       "Shows what the file descriptors of recorded programs carried. A TAPE is a file written\n"
	       "by fdtape-record, or - for standard input; several are played as one.\n"
	       "\n"
	       "Views:\n");
	for (size_t i = 0; i < N_VIEWS; i++)
		printf("  %-8s  %s\n", views[i].name, views[i].help);
	cli_print_options(stdout, options_table);
	printf("\n"
	       "Examples:\n"
	       "  " TOOL " demo.tape\n"
	       "      what happened: processes, connections, requests, errors, what is missing\n"
	       "  " TOOL " stream --flow 3 --dir in --raw demo.tape > answer\n"
	       "      exactly what the program received on flow 3, decrypted\n"
	       "  " TOOL " pcapng -o demo.pcapng --exe curl demo.tape && wireshark demo.pcapng\n"
	       "      curl's traffic, readable in Wireshark without a setting\n"
	       "\n"
	       "Exit status: 0 done, 1 something asked for is missing or was found wanting, 2 usage,\n"
	       "3 damaged tape (what could be read was shown), 4 the system refused.\n");
}

static const struct view *find_view(const char *name)
{
	for (size_t i = 0; i < N_VIEWS; i++)
		if (strcmp(views[i].name, name) == 0)
			return &views[i];
	return NULL;
}

/* A word that is no view: a file to read, or a slip of the pen? */
static void check_not_a_slip(const char *word)
{
	char list[512] = "";
	size_t len = 0;

	if (strspn(word, "abcdefghijklmnopqrstuvwxyz") != strlen(word) || access(word, F_OK) == 0)
		return;
	for (size_t i = 0; i < N_VIEWS && len < sizeof list; i++)
		len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", views[i].name);
	say_and_exit(CLI_USAGE, "there is no view (and no file) '%s'; views are %s", word, list);
}

static void parse_dir(struct options *o, const char *value)
{
	o->dirs[FDTAPE_IN] = strcmp(value, "out") != 0;
	o->dirs[FDTAPE_OUT] = strcmp(value, "in") != 0;
	if (o->dirs[FDTAPE_IN] && o->dirs[FDTAPE_OUT] && strcmp(value, "both") != 0)
		say_and_exit(CLI_USAGE, "option '--dir' takes in, out or both, not '%s'", value);
}

static void parse_log_format(struct options *o, const char *value)
{
	o->log_qtap = strcmp(value, "qtap") == 0;
	if (strcmp(value, "json") == 0)
		o->json = true;
	else if (!o->log_qtap && strcmp(value, "text") != 0)
		say_and_exit(CLI_USAGE, "option '--log-format' takes text, json or qtap, not '%s'", value);
}

static void parse_by(struct options *o, const char *value)
{
	for (int by = 0; by < N_STATS_BYS; by++)
		if (strcmp(value, stats_by_word((enum stats_by)by)) == 0) {
			o->stats_by = (enum stats_by)by;
			return;
		}
	say_and_exit(CLI_USAGE, "option '--by' takes process, call, peer or path, not '%s'", value);
}

static unsigned parse_jobs(const char *value)
{
	char *end;
	unsigned long jobs = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || jobs < 1 || jobs > JOBS_MAX)
		say_and_exit(CLI_USAGE, "option '--jobs' takes a number from 1 to %d, not '%s'", JOBS_MAX, value);
	return (unsigned)jobs;
}

/* One thread plays; each of the others reads a tape ahead. The output does not depend on them. */
static void share_out(struct options *o, unsigned jobs)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (jobs == 0)
		jobs = processors < 1 ? 1 : processors < JOBS_MAX ? (unsigned)processors : JOBS_MAX;
	for (size_t i = 0; i < o->inputs.n; i++)
		o->inputs.list[i].ahead = i + 1 < jobs;
}

static void open_tapes(struct options *o, const char *const *names, size_t n)
{
	int error = inputs_open(&o->inputs, names, n);

	if (error)
		say_and_exit(error == FDTAPE_ERR_USAGE ? CLI_USAGE : CLI_REFUSED, "%s", o->inputs.message);
	for (size_t i = 0; i < n; i++)
		if (isatty(o->inputs.fds[i]))
			say_and_exit(CLI_USAGE, "a tape can't be read from a terminal; name a file, or use a pipe");
}

/* The output may hold keys and plaintext: it is the owner's alone. */
static void open_output(struct options *o, const char *name)
{
	static char buffer[64 << 10]; /* it must outlive the stream */
	int fd;

	if (name && strcmp(name, "-") != 0) {
		if (inputs_hold(&o->inputs, name))
			say_and_exit(CLI_USAGE, "the output '%s' is a TAPE that is read; choose another name", name);
		fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0 || !(o->out = fdopen(fd, "w")))
			say_and_exit(CLI_REFUSED, "cannot create '%s': %s", name, strerror(errno));
		o->name = name;
	}
	o->terminal = isatty(fileno(o->out));
	if (!o->terminal)
		setvbuf(o->out, buffer, _IOFBF, sizeof buffer);
}

static int close_output(struct options *o, int status)
{
	bool failed = fflush(o->out) != 0 || ferror(o->out);
	int error = o->error ? o->error : errno;

	if (fclose(o->out) != 0 && !failed) {
		failed = true;
		error = errno;
	}
	if (!failed)
		return status;
	if (error != EPIPE) /* whoever closed the pipe knows */
		say_error("cannot write %s: %s", o->name, strerror(error));
	return CLI_REFUSED;
}

/* What the words of the command line say beyond struct options. */
struct command {
	const struct view *view;
	const char **tapes;
	size_t n_tapes;
	const char *output; /* NULL: standard output */
	unsigned given;     /* enum takes: options that not every view takes */
	unsigned jobs;      /* 0: as many as there are processors */
	struct choose choose;
};

/* The first operand may name the view. */
static void take_operand(struct command *c, const char *word)
{
	if (!c->view && !c->n_tapes) {
		c->view = find_view(word);
		if (c->view)
			return;
		check_not_a_slip(word);
	}
	c->tapes[c->n_tapes++] = word;
}

static void take_option(struct command *c, struct options *o, const struct cli *cli, int key)
{
	switch (key) {
	case CLI_HELP:
		print_help();
		exit(close_output(o, CLI_DONE));
	case CLI_VERSION_KEY:
		printf(TOOL " " CLI_VERSION "\n");
		exit(close_output(o, CLI_DONE));
	case CLI_QUIET:
		say_quiet();
		break;
	case CLI_VERBOSE:
		o->verbose = true;
		break;
	case KEY_JSON:
		o->json = true;
		c->given |= TAKES_JSON;
		break;
	case KEY_DIR:
		parse_dir(o, cli->value);
		c->given |= TAKES_STREAM;
		break;
	case KEY_RAW:
		o->raw = true;
		c->given |= TAKES_STREAM;
		break;
	case KEY_BY:
		parse_by(o, cli->value);
		c->given |= TAKES_BY;
		break;
	case KEY_TREE:
		o->tree = true;
		c->given |= TAKES_TREE;
		break;
	case KEY_JOBS:
		c->jobs = parse_jobs(cli->value);
		break;
	case KEY_LOG_FORMAT:
		parse_log_format(o, cli->value);
		c->given |= TAKES_LOG_FORMAT;
		break;
	case KEY_WIRE:
		o->wire = true;
		c->given |= TAKES_WIRE;
		break;
	case KEY_REPAIR:
		o->repair = true;
		c->given |= TAKES_REPAIR;
		break;
	case KEY_OUTPUT:
		c->output = cli->value;
		break;
	default:
		choose_option(&c->choose, cli, key);
	}
}

static void parse(struct command *c, struct options *o, int argc, char **argv)
{
	unsigned wrong;
	struct cli cli;
	int key;

	*c = (struct command){.tapes = alloc_new((size_t)argc, sizeof *c->tapes)};
	cli_start(&cli, options_table, argc, argv);
	while ((key = cli_next(&cli)) >= 0) {
		if (key)
			take_option(c, o, &cli, key);
		else
			take_operand(c, cli.value);
	}
	o->choice = c->choose.choice;
	if (!c->view)
		c->view = &views[0];
	wrong = c->given & ~c->view->takes;
	if (wrong)
		say_and_exit(CLI_USAGE, "view '%s' does not take %s; try '" TOOL " --help'", c->view->name,
		             wrong & TAKES_JSON         ? "--json"
		             : wrong & TAKES_STREAM     ? "--dir or --raw"
		             : wrong & TAKES_REPAIR     ? "--repair"
		             : wrong & TAKES_LOG_FORMAT ? "--log-format"
		             : wrong & TAKES_BY         ? "--by"
		             : wrong & TAKES_TREE       ? "--tree"
		                                        : "--wire");
	if (o->json && o->log_qtap)
		say_and_exit(CLI_USAGE, "--json and --log-format qtap are two forms; choose one");
}

int main(int argc, char **argv)
{
	struct options options = {
	        .out = stdout, .name = "standard output", .dirs = {true, true}, .stats_by = N_STATS_BYS};
	struct command command;
	int status;

	cli_tool = TOOL;
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error like others */
	parse(&command, &options, argc, argv);
	open_tapes(&options, command.tapes, command.n_tapes);
	share_out(&options, command.jobs);
	open_output(&options, command.output);
	status = command.view->run(&options);
	status = close_output(&options, status);
	inputs_release(&options.inputs);
	choose_release(&command.choose);
	free(command.tapes);
	return status;
}
