/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdtape-replay: plays tapes and hands what is played to a sink.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "replay/choose.h"
#include "replay/diff.h"
#include "replay/inputs.h"
#include "replay/sink_print.h"
#include "replay/sink_tape.h"
#include "replay/sink_transcript.h"

enum key {
	SPEED = CLI_FIRST_KEY,
	TO,
	TRANSCRIPT,
	EXPECT,
	HEADING_SINK,
	HEADING_OTHER,
};

static const struct cli_option options[] = {
        {HEADING_SINK, NULL, NULL, "Where it goes (default: printed, one line a step):"},
        {SPEED, "speed", "X", "print at X times the recorded pace; default: as fast as it goes"},
        {TO, "to", "FILE", "write a new tape: a cut, or a merge of several TAPEs; - is stdout"},
        {TRANSCRIPT, "transcript", NULL, "print the canonical text of what was played"},
        {EXPECT, "expect", "FILE", "compare with such a text: 0 same, 1 different, with a diff"},
        CHOOSE_OPTIONS,
        {HEADING_OTHER, NULL, NULL, "Other:"},
        CLI_COMMON_OPTIONS,
        {0},
};

struct settings {
	struct choose choose;
	double speed;
	const char *to, *expect;
	bool transcript, quiet, verbose;
	const char **tapes;
	size_t n_tapes;
};

static void print_help(void)
{
	puts("usage: fdtape-replay [OPTION]... TAPE...\n"
	     "Plays tapes that fdtape-record wrote. TAPE may be -; several are played as one, by time.");
	cli_print_options(stdout, options);
	puts("\nExamples:\n"
	     "  fdtape-replay demo.tape                         what happened, line by line\n"
	     "  fdtape-replay --flow 3 --to small.tape demo.tape   cut out one connection\n"
	     "  fdtape-replay --transcript demo.tape > demo.txt    keep beside a fixture\n"
	     "  fdtape-replay --expect demo.txt demo.tape          and compare later\n"
	     "\nExit status: 0 done, 1 different from what was expected, 2 usage, 3 damaged tape (what could be read\n"
	     "was played), 4 the system refused.");
}

static double parse_speed(const struct cli *cli)
{
	char *end = NULL;
	double speed = strtod(cli->value, &end);

	if (*cli->value < '0' || *cli->value > '9' || *end || !(speed >= 0.001) || speed > 1e6)
		cli_die(CLI_USAGE, "option '%s' takes a number from 0.001 to 1000000, not '%s'", cli->spelt,
		        cli->value);
	return speed;
}

/* Does not return when there is nothing to play, or nothing but to say. */
static void parse(struct settings *s, int argc, char **argv)
{
	struct cli cli;
	int key;

	s->tapes = calloc((size_t)argc + 1, sizeof *s->tapes);
	if (!s->tapes)
		cli_die(CLI_REFUSED, "out of memory");
	cli_start(&cli, options, argc, argv);
	while ((key = cli_next(&cli)) >= 0) {
		switch (key) {
		case 0:
			s->tapes[s->n_tapes++] = cli.value;
			break;
		case CLI_HELP:
			print_help();
			exit(CLI_DONE);
		case CLI_VERSION_KEY:
			printf("%s %s\n", cli_tool, CLI_VERSION);
			exit(CLI_DONE);
		case CLI_QUIET:
			s->quiet = true;
			break;
		case CLI_VERBOSE:
			s->verbose = true;
			break;
		case SPEED:
			s->speed = parse_speed(&cli);
			break;
		case TO:
			s->to = cli.value;
			break;
		case TRANSCRIPT:
			s->transcript = true;
			break;
		case EXPECT:
			s->expect = cli.value;
			break;
		default:
			choose_option(&s->choose, &cli, key);
			break;
		}
	}
	if (s->n_tapes == 0)
		cli_die(CLI_USAGE, "no TAPE was given; try '%s --help'", cli_tool);
	if ((s->to != NULL) + s->transcript + (s->expect != NULL) > 1)
		cli_die(CLI_USAGE, "--to, --transcript and --expect exclude each other; give one");
	if (s->speed > 0 && (s->to || s->transcript || s->expect))
		cli_die(CLI_USAGE, "--speed is for printing; it does not go with --to, --transcript or --expect");
}

/* ---- the play --------------------------------------------------------------------------------------------------- */

static void warn(const char *message)
{
	cli_warn("%s", message);
}

/* Plays into the sink: an exit status. */
static int play(const struct settings *s, const struct inputs *inputs, const struct player_sink *sink)
{
	struct player *player = NULL;
	int result, status = CLI_DONE;

	result = player_open(&player, inputs->list, inputs->n, &s->choose.choice, sink);
	if (result < 0) {
		cli_warn("cannot play: %s", fdtape_strerror(result));
		return CLI_REFUSED;
	}
	result = player_run(player);
	if (result < 0) {
		if (*player_message(player))
			cli_warn("%s", player_message(player));
		else if (result != FDTAPE_ERR_SYSTEM) /* an output's error is told by who owns it */
			cli_warn("%s", fdtape_strerror(result));
		status = result == FDTAPE_ERR_SYSTEM || result == FDTAPE_ERR_MEMORY ? CLI_REFUSED : CLI_DAMAGED;
	} else if (player_damaged(player) > 0) {
		status = CLI_DAMAGED;
	}
	player_free(player);
	return status;
}

/* Whoever reads stdout may have gone, or the disk may be full. */
static int flushed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_warn("cannot write to standard output: %s", strerror(errno));
	return CLI_REFUSED;
}

static int replay_print(const struct settings *s, const struct inputs *inputs)
{
	struct player_sink sink = {0};
	struct sink_print print;

	sink_print_init(&print, stdout, s->speed, &sink);
	print.warn = warn;
	return flushed(play(s, inputs, &sink));
}

static int replay_transcript(const struct settings *s, const struct inputs *inputs, FILE *out)
{
	struct player_sink sink = {0};
	struct sink_transcript transcript;
	int status;

	sink_transcript_init(&transcript, out, &sink);
	transcript.warn = warn;
	status = play(s, inputs, &sink);
	sink_transcript_release(&transcript);
	return status;
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

/* The whole of a file. NULL: it can't be read, errno says why. */
static char *read_file(const char *name, size_t *len)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
	char *text = NULL, *grown;
	size_t size = 0, n;

	if (!file)
		return NULL;
	*len = 0;
	do {
		size = size ? size * 2 : 65536;
		grown = realloc(text, size);
		if (!grown)
			break;
		text = grown;
		n = fread(text + *len, 1, size - *len, file);
		*len += n;
	} while (*len == size);
	if (!grown || ferror(file)) {
		free(text);
		text = NULL;
	}
	if (file != stdin)
		fclose(file);
	return text;
}

static int replay_expect(const struct settings *s, const struct inputs *inputs)
{
	struct diff_text expected = {.name = s->expect}, played = {.name = s->tapes[0]};
	char *text = NULL, *expectation = read_file(s->expect, &expected.len);
	FILE *out = open_memstream(&text, &played.len);
	int status = CLI_REFUSED, differs;

	if (!expectation) {
		cli_warn("cannot read '%s': %s", s->expect, strerror(errno));
		goto done;
	}
	if (!out) {
		cli_warn("out of memory");
		goto done;
	}
	status = replay_transcript(s, inputs, out);
	if (fflush(out) != 0 || status == CLI_REFUSED) {
		status = CLI_REFUSED;
		goto done;
	}
	expected.bytes = expectation;
	played.bytes = text;
	differs = diff_print(stdout, &expected, &played);
	if (differs < 0)
		cli_warn("out of memory");
	status = differs < 0 ? CLI_REFUSED : flushed(status ? status : differs ? CLI_DIFFERS : CLI_DONE);
done:
	if (out)
		fclose(out);
	free(text);
	free(expectation);
	return status;
}

/* ---- a new tape ------------------------------------------------------------------------------------------------- */

/* The file to write, readable by its owner only. -1: said why, *status is set. */
static int create(const struct settings *s, const struct inputs *inputs, int *status)
{
	struct stat is;
	int fd;

	*status = CLI_USAGE;
	if (strcmp(s->to, "-") == 0) {
		if (!isatty(STDOUT_FILENO))
			return STDOUT_FILENO;
		cli_warn("a tape is no text: send standard output to a file, or name one with --to FILE");
		return -1;
	}
	if (inputs_hold(inputs, s->to)) {
		cli_warn("'%s' is a TAPE that is read; choose another name", s->to);
		return -1;
	}
	*status = CLI_REFUSED;
	fd = open(s->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		cli_warn("cannot write '%s': %s", s->to, strerror(errno));
		return -1;
	}
	/* An existing file may be open to others. */
	if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && fchmod(fd, 0600) < 0) {
		cli_warn("cannot make '%s' readable by its owner only: %s", s->to, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int replay_to(const struct settings *s, const struct inputs *inputs)
{
	struct player_sink sink = {0};
	struct sink_tape tape;
	int status, error, fd = create(s, inputs, &status);

	if (fd < 0)
		return status;
	sink_tape_init(&tape, fd, &s->choose.choice, inputs->n > 1, &sink);
	tape.warn = warn;
	status = play(s, inputs, &sink);
	error = sink_tape_finish(&tape);
	if (error == 0 && fd != STDOUT_FILENO && close(fd) < 0)
		error = FDTAPE_ERR_SYSTEM;
	if (error < 0) {
		cli_warn("cannot write '%s': %s", s->to,
		         error == FDTAPE_ERR_SYSTEM ? strerror(errno) : fdtape_strerror(error));
		status = CLI_REFUSED;
	}
	if (status != CLI_REFUSED && s->verbose)
		cli_warn("%llu events, %llu flows written to '%s'", (unsigned long long)tape.n_events,
		         (unsigned long long)tape.n_flows, s->to);
	sink_tape_release(&tape);
	return status;
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	struct inputs inputs;
	int status, error;

	cli_tool = "fdtape-replay";
	parse(&settings, argc, argv);
	error = inputs_open(&inputs, settings.tapes, settings.n_tapes);
	if (error < 0) {
		cli_warn("%s", inputs.message);
		status = error == FDTAPE_ERR_USAGE ? CLI_USAGE : CLI_REFUSED;
	} else if (settings.to) {
		status = replay_to(&settings, &inputs);
	} else if (settings.expect) {
		status = replay_expect(&settings, &inputs);
	} else if (settings.transcript) {
		status = flushed(replay_transcript(&settings, &inputs, stdout));
	} else {
		status = replay_print(&settings, &inputs);
	}
	inputs_release(&inputs);
	choose_release(&settings.choose);
	free(settings.tapes);
	return status;
}
