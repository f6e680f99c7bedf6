/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * fdtape-record: chooses, attaches, drains the ring, writes the tape.
 *
 * The order matters. The command is forked first and held, so that it can be chosen by its pid; the tape is opened
 * next, so that an unwritable place is told before anything runs; then the probes; then the command goes.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fdtape/writer.h>

#include "cli.h"
#include "record/command.h"
#include "record/libraries.h"
#include "record/options.h"
#include "record/probes.h"
#include "record/procfs.h"
#include "record/translate.h"

#define RING_SIZE     (32u << 20)
#define DRAIN_MS      5
#define FLUSH_NS      UINT64_C(1000000000)  /* a group is on the tape within a second */
#define CLOCK_NS      UINT64_C(10000000000) /* so that suspend and a stepped clock show */
#define STATUS_FAILED 125                   /* the recorder's own failure, where a command's status is expected */

struct recorder {
	struct options options;
	struct choice choice;
	struct command command;
	bool running; /* the command is */
	int command_status;
	char name[64]; /* of the tape, where it was made of the time */
	const char *output;
	int out;
	struct fdtape_writer *writer;
	struct probes *probes;
	struct translate *translate;
	int signals; /* signalfd */
	int stops;   /* how often we were told to stop */
	uint64_t started, flushed, clocked;
};

static uint64_t now_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct fdtape_clock clocks(void)
{
	return (struct fdtape_clock){.monotonic = now_of(CLOCK_MONOTONIC),
	                             .realtime = now_of(CLOCK_REALTIME),
	                             .boottime = now_of(CLOCK_BOOTTIME)};
}

/* ---- the tape --------------------------------------------------------------------------------------------------- */

static int open_tape(struct recorder *r)
{
	time_t now = time(NULL);
	struct stat st;
	struct tm utc;

	r->output = r->options.output;
	if (!r->output) {
		gmtime_r(&now, &utc);
		strftime(r->name, sizeof r->name, "fdtape-%Y%m%dT%H%M%S.tape", &utc);
		r->output = r->name;
	}
	if (strcmp(r->output, "-") == 0) {
		r->output = "standard output";
		r->out = STDOUT_FILENO;
		if (isatty(r->out)) {
			cli_warn(
			        "a tape is not for a terminal; give -o FILE, or pipe it: -o - | fdtape-analyze http -");
			return -1;
		}
		return 0;
	}
	r->out = open(r->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* It will hold keys: also where the file was there before, with another mode. */
	if (r->out < 0 || fstat(r->out, &st) != 0 || (S_ISREG(st.st_mode) && fchmod(r->out, 0600) != 0)) {
		cli_warn("cannot write the tape %s: %s; choose another place with -o FILE", r->output, strerror(errno));
		return -1;
	}
	return 0;
}

static int write_failed(const struct recorder *r, int error)
{
	if (error == FDTAPE_ERR_SYSTEM)
		cli_warn("cannot write the tape %s: %s; what was written before is sound", r->output, strerror(errno));
	else
		cli_warn("the tape %s: %s", r->output, fdtape_strerror(error));
	return -1;
}

/* The command line as it was given, for the tape's metadata. */
static void join(char *line, size_t size, char *const *words)
{
	size_t len = 0;

	*line = 0;
	for (; words && *words && len < size; words++) {
		int n = snprintf(line + len, size - len, "%s%s", len ? " " : "", *words);

		if (n < 0)
			return;
		len += (size_t)n;
	}
}

static int start_tape(struct recorder *r, char **argv)
{
	char line[4096], choice[1024] = "";
	struct utsname host = {.sysname = ""};
	struct fdtape_meta meta[] = {
	        {"host.name", host.nodename},
	        {"host.os", host.sysname},
	        {"host.kernel", host.release},
	        {"host.arch", host.machine},
	        {"tool.name", "fdtape-record"},
	        {"tool.version", CLI_VERSION},
	        {"record.cmdline", line},
	        {"record.choice", choice},
	        {"record.tls", options_tls_name(r->options.tls)},
	};
	struct fdtape_writer_options options = {.clock = clocks(), .meta = meta, .n_meta = sizeof meta / sizeof *meta};
	size_t len = 0;
	int error;

	uname(&host);
	join(line, sizeof line, argv);
	if (r->options.all)
		len = (size_t)snprintf(choice, sizeof choice, "all");
	if (r->options.command && len < sizeof choice)
		len += (size_t)snprintf(choice + len, sizeof choice - len, "%scommand", len ? "," : "");
	for (size_t i = 0; i < r->options.n_pids && len < sizeof choice; i++)
		len += (size_t)snprintf(choice + len, sizeof choice - len, "%spid:%d", len ? "," : "",
		                        r->options.pids[i]);
	r->started = options.clock.monotonic;
	r->flushed = r->clocked = r->started;
	error = fdtape_writer_open_fd(&r->writer, r->out, &options);
	return error ? write_failed(r, error) : 0;
}

/* ---- the probes ------------------------------------------------------------------------------------------------- */

static void attach_file(void *context, const char *path)
{
	struct recorder *r = context;
	int n = probes_attach_file(r->probes, path);

	if (n < 0 && n != -ENOENT && r->options.verbosity >= 0)
		cli_warn("TLS of %s is not recorded: %s", path, probes_message(r->probes));
	else if (n > 0 && r->options.verbosity > 0)
		cli_warn("%d TLS functions probed in %s", n, path);
}

/* A chosen process, or a new image of one: what it maps now, and itself. */
static void attach_process(void *context, pid_t pid)
{
	libraries_of_process(pid, attach_file, context);
}

static void choose_descendant(void *context, pid_t pid)
{
	struct recorder *r = context;

	probes_choose(r->probes, pid, true, false);
	translate_process(r->translate, pid);
}

static int start_probes(struct recorder *r)
{
	struct probes_options options = {
	        .choice = &r->choice,
	        .keys = r->options.tls & TLS_KEYS,
	        .calls = r->options.tls & TLS_CALLS,
	        .ring = RING_SIZE,
	        .payload = r->options.snaplen,
	};

	r->choice.all = r->options.all;
	r->choice.follow = r->options.follow;
	r->choice.n_pids = r->options.all ? 0 : 1;
	if (probes_open(&r->probes, &options) != 0) {
		cli_warn("%s", probes_message(r->probes));
		if (r->options.verbosity > 0 || (geteuid() == 0 && *probes_log()))
			cli_warn("the kernel's last words:\n%s", probes_log());
		return -1;
	}
	r->translate = translate_new(r->writer, r->probes, r->started, r->options.snaplen > 0);
	if (!r->translate) {
		cli_warn("no memory");
		return -1;
	}
	translate_on_image(r->translate, attach_process, r);
	libraries_of_system(attach_file, r);
	return 0;
}

static int choose(struct recorder *r)
{
	if (r->options.command) {
		attach_file(r, r->command.path);
		/* It is not defined yet: the first that the tape knows of it is its exec. */
		if (probes_choose(r->probes, r->command.pid, true, false) != 0) {
			cli_warn("%s", probes_message(r->probes));
			return -1;
		}
	}
	for (size_t i = 0; i < r->options.n_pids; i++) {
		pid_t pid = r->options.pids[i];
		struct procfs_process process;

		if (!procfs_read(pid, &process)) {
			cli_warn("there is no process %d", pid);
			return -1;
		}
		if (probes_choose(r->probes, pid, true, false) != 0) {
			cli_warn("%s", probes_message(r->probes));
			return -1;
		}
		translate_process(r->translate, pid);
		if (r->options.follow)
			procfs_descendants(pid, choose_descendant, r);
	}
	return 0;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader that went away and a limit that was reached are told by write(). */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_signals(struct recorder *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			int status;

			while (r->running && waitpid(r->command.pid, &status, WNOHANG) == r->command.pid &&
			       (WIFEXITED(status) || WIFSIGNALED(status))) {
				r->running = false;
				r->command_status = status;
			}
			continue;
		}
		/* The command ends as it would without us, and the recording with it; the second time we stop at once. */
		r->stops++;
		if (r->running)
			kill(r->command.pid, (int)info.ssi_signo);
	}
}

static bool finished(const struct recorder *r, uint64_t now)
{
	if (r->options.duration && now - r->started >= r->options.duration)
		return true;
	if (r->options.command)
		return !r->running || r->stops > 1;
	return r->stops > 0;
}

/* Empties the ring. The number of records, or -1 (told). */
static int drain(struct recorder *r)
{
	int n = probes_drain(r->probes, translate_record, r->translate), error;

	if (n >= 0)
		return n;
	/* libbpf has set errno since; the writer remembers its own. */
	error = fdtape_writer_flush(r->writer);
	return write_failed(r, error ? error : n);
}

static int keep_time(struct recorder *r, uint64_t now)
{
	int error = 0;

	if (now - r->clocked >= CLOCK_NS) {
		struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK, .clock = clocks()};

		error = fdtape_writer_put(r->writer, &item);
		r->clocked = now;
	}
	if (!error && now - r->flushed >= FLUSH_NS) {
		error = translate_losses(r->translate, now);
		if (!error)
			error = fdtape_writer_flush(r->writer);
		r->flushed = now;
	}
	return error ? write_failed(r, error) : 0;
}

static int run(struct recorder *r)
{
	struct pollfd poll_signals = {.fd = r->signals, .events = POLLIN};
	int n = 0;

	/* Behind, we don't sleep; the ring is emptied before the kernel finds it full. */
	setpriority(PRIO_PROCESS, 0, -15);
	for (;;) {
		uint64_t now;

		poll(&poll_signals, 1, n > 64 ? 0 : DRAIN_MS);
		on_signals(r);
		now = now_of(CLOCK_MONOTONIC);
		n = drain(r);
		if (n < 0 || keep_time(r, now) != 0)
			return -1;
		if (finished(r, now))
			return 0;
	}
}

static const char *human(uint64_t bytes, char text[static 32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double n = (double)bytes;
	size_t u = 0;

	for (; n >= 1024 && u < 6; u++)
		n /= 1024;
	snprintf(text, 32, u ? "%.1f %s" : "%.0f %s", n, units[u]);
	return text;
}

static int finish(struct recorder *r)
{
	uint64_t now = now_of(CLOCK_MONOTONIC);
	struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK, .clock = clocks()};
	struct translate_totals totals;
	char bytes[32], lost[32], size[32];
	int error;

	if (drain(r) < 0)
		return -1;
	error = translate_finish(r->translate, now);
	if (!error)
		error = fdtape_writer_put(r->writer, &item);
	if (!error)
		error = fdtape_writer_end(r->writer);
	if (error)
		return write_failed(r, error);
	totals = translate_totals(r->translate);
	if (r->options.verbosity >= 0)
		cli_warn("%llu events, %s carried by %llu flows, %s and %llu events lost, tape %s, %.1f s",
		         (unsigned long long)totals.events, human(totals.bytes, bytes),
		         (unsigned long long)totals.flows, human(totals.bytes - totals.captured, lost),
		         (unsigned long long)totals.lost_events, human(fdtape_writer_size(r->writer), size),
		         (double)(now - r->started) / 1e9);
	return 0;
}

/* Everything up to the command's end, or ours; 0, or -1 when it was told what failed. */
static int record(struct recorder *r, char **argv)
{
	int error;

	if (r->options.command) {
		error = command_hold(&r->command, r->options.command,
		                     r->options.output && !strcmp(r->options.output, "-"));
		if (error) {
			cli_warn("cannot run '%s': %s", r->options.command[0], strerror(-error));
			return -1;
		}
	}
	error = open_tape(r) != 0 || start_tape(r, argv) != 0 || start_probes(r) != 0 || choose(r) != 0;
	if (error) {
		if (r->options.command)
			command_cancel(&r->command);
		return -1;
	}
	if (r->options.command) {
		r->running = true;
		error = command_go(&r->command);
		if (error)
			cli_warn("cannot run '%s': %s", r->options.command[0], strerror(-error));
	} else if (r->options.verbosity >= 0) {
		cli_warn("recording to %s; SIGINT or SIGTERM ends it", r->output);
	}
	if (run(r) != 0 || finish(r) != 0 || error)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct recorder r = {.out = -1};
	int status;

	cli_tool = "fdtape-record";
	options_parse(&r.options, argc, argv);
	r.signals = block_signals();
	if (r.signals < 0)
		cli_die(CLI_REFUSED, "signalfd: %s", strerror(errno));
	status = record(&r, argv) == 0 ? CLI_DONE : r.options.command ? STATUS_FAILED : CLI_REFUSED;
	translate_free(r.translate);
	probes_free(r.probes);
	fdtape_writer_free(r.writer);
	if (r.running) { /* recording ended before the command did */
		while (waitpid(r.command.pid, &r.command_status, 0) < 0 && errno == EINTR)
			;
	}
	if (status == CLI_DONE && r.options.command)
		status = command_exit_status(r.command_status);
	free(r.options.pids);
	return status;
}
