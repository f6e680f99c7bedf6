/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * fdtape-record: chooses, attaches, drains the ring, writes the tape.
 *
 * The order matters. The command is forked first and held, so that it can be chosen by its pid and has the user's
 * privileges, unfiltered; the tape is created next, so that an unwritable place is told before anything runs; then the
 * probes; then the recorder gives up what it needs no more; then the command goes.
 */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fdtape/writer.h>

#include "cli.h"
#include "record/about.h"
#include "record/chain.h"
#include "record/check.h"
#include "record/choosing.h"
#include "record/command.h"
#include "record/libraries.h"
#include "record/now.h"
#include "record/options.h"
#include "record/privileges.h"
#include "record/probes.h"
#include "record/progress.h"
#include "record/sandbox.h"
#include "record/tapes.h"
#include "record/translate.h"

#define DRAIN_MS      5
#define FLUSH_NS      UINT64_C(1000000000)  /* a group is on the tape within a second */
#define CLOCK_NS      UINT64_C(10000000000) /* so that suspend and a stepped clock show */
#define STATUS_FAILED 125                   /* the recorder's own failure, where a command's status is expected */

struct recorder {
	struct options options;
	struct about about;
	struct command command;
	bool running; /* the command is */
	int command_status;
	struct tapes *tapes;
	struct probes *probes;
	struct translate *translate;
	struct progress progress;
	bool tls_refused;    /* told */
	bool others_refused; /* told: files of other users' programs */
	size_t n_chosen;     /* running processes that were chosen by what they are */
	int signals;         /* signalfd */
	int stops;           /* how often we were told to stop */
	int stop_signal;     /* by what, first */
	bool full;           /* --max-size is reached */
	bool dump;           /* SIGUSR1 came */
	bool dump_failed;
	bool told;              /* why draining the ring has failed */
	uint64_t unflushed;     /* bytes of records since the tape was flushed */
	uint64_t unflushed_max; /* 0: without a bound */
	uint64_t begun;         /* when everything was in place */
	uint64_t flushed, clocked;
};

static struct fdtape_clock clocks(void)
{
	return (struct fdtape_clock){.monotonic = now_of(CLOCK_MONOTONIC),
	                             .realtime = now_of(CLOCK_REALTIME),
	                             .boottime = now_of(CLOCK_BOOTTIME)};
}

static int failure_status(const struct recorder *r)
{
	return r->options.command ? STATUS_FAILED : CLI_REFUSED;
}

/* ---- the probes ------------------------------------------------------------------------------------------------- */

/* How many functions are probed in the file; -1: it can't be probed. */
static int attach_mapped(void *context, const char *path, const char *seen)
{
	struct recorder *r = context;
	int n, n_probed;

	if (r->tls_refused)
		return libraries_is_tls(seen) ? -1 : 0;
	n = probes_attach_file(r->probes, path, &n_probed);
	if ((n == -EPERM || n == -EACCES) && !privileges_probe_libraries(probes_by_perf(r->probes))) {
		/* It will be the same with every other file. */
		r->tls_refused = true;
		progress_clear(&r->progress);
		cli_warn("TLS is not recorded: the kernel refuses probes of libraries without CAP_SYS_ADMIN (%s); %s",
		         strerror(-n),
		         r->options.tls_asked ? "run as root, or take --tls auto for a recording without"
		                              : "run as root for it, or say --tls off");
	} else if ((n == -EPERM || n == -EACCES) && !privileges_read_others()) {
		if (!r->others_refused && r->options.verbosity >= 0) {
			progress_clear(&r->progress);
			cli_warn("TLS of programs whose files are closed to this user is not recorded, such as %s; run "
			         "as root, "
			         "or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
			         seen);
		}
		r->others_refused = true;
	} else if (n < 0 && n != -ENOENT && r->options.verbosity >= 0) {
		progress_clear(&r->progress);
		cli_warn("TLS of %s is not recorded: %s", seen, probes_message(r->probes));
	} else if (n > 0 && r->options.verbosity > 0) {
		progress_clear(&r->progress);
		cli_warn("%d TLS functions probed in %s", n, seen);
	}
	return n_probed;
}

static void attach_file(void *context, const char *path, const char *seen)
{
	attach_mapped(context, path, seen);
}

/* What was named must be there, and be what it was named for. */
static int attach_given(struct recorder *r)
{
	for (size_t i = 0; i < r->options.n_libraries; i++) {
		const struct options_library *library = &r->options.library[i];
		int n = probes_attach_given(r->probes, library->path, library->symbols);

		if (n < 0) {
			cli_warn("--library: %s", probes_message(r->probes));
			return -1;
		}
		if (n > 0 && r->options.verbosity > 0)
			cli_warn("%d TLS functions probed in %s", n, library->path);
	}
	return 0;
}

/* What --exe will find when it is run: to probe it only then can take longer than its first handshake. */
static void attach_images(struct recorder *r)
{
	const char *patterns[CHOICE_EXES];
	const struct choice *c = &r->options.choice;

	for (size_t i = 0; i < c->n_exes; i++)
		patterns[i] = c->exe[i];
	if (c->n_exes)
		libraries_programs(patterns, c->n_exes, choice_pattern_matches, attach_file, r);
}

/* For the next tape: a part of it, and of the machine's memory. */
static size_t secrets_to_keep(const struct options *options)
{
	const uint64_t most = 16 << 20, part = options->rotate / 8;

	return part < most ? part : most;
}

static int start_probes(struct recorder *r)
{
	struct fdtape_clock clock = clocks();
	struct probes_options options = {
	        .choice = &r->options.choice,
	        .keys = r->options.tls & TLS_KEYS,
	        /* A library's call does not say of which port it is. */
	        .calls = r->options.tls & TLS_CALLS && (!r->options.choice.n_ports || r->options.tls_asked),
	        .files = r->options.files,
	        .files_payload = r->options.files_payload,
	        .lean = r->options.lean,
	        .ring = r->options.ring,
	        .payload = r->options.snaplen,
	};

	r->flushed = r->clocked = clock.monotonic;
	if (probes_open(&r->probes, &options) != 0) {
		cli_warn("%s", probes_message(r->probes));
		if (r->options.verbosity > 0 || (geteuid() == 0 && *probes_log()))
			cli_warn("the kernel's last words:\n%s", probes_log());
		return -1;
	}
	about_add(&r->about, "record.attachment", probes_attachment(r->probes));
	if (tapes_start(r->tapes, &clock) != 0)
		return -1;
	r->translate = translate_new(tapes_writer(r->tapes), r->probes, clock.monotonic, r->options.snaplen > 0,
	                             choice_is_of_ports(&r->options.choice), secrets_to_keep(&r->options));
	if (!r->translate) {
		cli_warn("no memory");
		return -1;
	}
	if (attach_given(r) != 0)
		return -1;
	if (r->options.tls != TLS_OFF) {
		translate_on_mapped(r->translate, attach_mapped, r);
		libraries_of_system(attach_file, r);
		attach_images(r);
	}
	return r->tls_refused && r->options.tls_asked ? -1 : 0;
}

static int choose(struct recorder *r)
{
	struct choosing choosing = {
	        .options = &r->options,
	        .command = r->options.command ? &r->command : NULL,
	        .probes = r->probes,
	        .translate = r->translate,
	};
	int error;

	if (r->options.command)
		attach_file(r, r->command.path, r->command.path);
	error = choosing_run(&choosing);
	r->n_chosen = choosing.n;
	return error;
}

/* ---- privileges ------------------------------------------------------------------------------------------------- */

static bool may_create(void *context)
{
	return tapes_may_create(context);
}

/* Everything is in place. From here on, what hostile programs say is read. */
static int give_up_privileges(struct recorder *r)
{
	bool creates = tapes_creates(r->tapes);
	struct privileges_wanted wanted = {
	        .attach = r->options.tls != TLS_OFF && !r->tls_refused,
	        .perf = probes_by_perf(r->probes),
	        .signal = r->options.command != NULL,
	        .create = creates && !privileges_without_override(may_create, r->tapes),
	        .chown = creates && chain_gives_away(),
	};
	int error;

	/* Behind, we don't sleep; the ring is emptied before the kernel finds it full. */
	setpriority(PRIO_PROCESS, 0, -15);
	error = privileges_drop(&wanted);
	if (error) {
		cli_warn("cannot give up privileges: %s", strerror(-error));
		return -1;
	}
	error = sandbox_enter(failure_status(r));
	if (error)
		cli_warn("recording without a filter of system calls: the kernel refuses it: %s", strerror(-error));
	return 0;
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static int block_signals(bool dumps)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (dumps)
		sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader that went away and a limit that was reached are told by write(). */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void reap(struct recorder *r)
{
	int status;

	while (r->running && waitpid(r->command.pid, &status, WNOHANG) == r->command.pid) {
		if (!WIFEXITED(status) && !WIFSIGNALED(status))
			continue;
		r->running = false;
		r->command_status = status;
	}
}

static void on_signals(struct recorder *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			reap(r);
			continue;
		}
		if (info.ssi_signo == SIGUSR1) {
			r->dump = true;
			continue;
		}
		/* The command ends as it would without us, and the recording with it; the second time we stop at once. */
		if (r->stops++ == 0)
			r->stop_signal = (int)info.ssi_signo;
		/* What was typed at the terminal has reached the command as well. */
		if (r->running && info.ssi_code != SI_KERNEL)
			kill(r->command.pid, (int)info.ssi_signo);
	}
}

/* A command that outlives its recording; signals are still passed on. */
static void wait_for_command(struct recorder *r)
{
	struct pollfd signals = {.fd = r->signals, .events = POLLIN};

	reap(r);
	while (r->running) {
		poll(&signals, 1, -1);
		on_signals(r);
	}
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static bool finished(const struct recorder *r, uint64_t now)
{
	if (r->full || (r->options.duration && now - r->begun >= r->options.duration))
		return true;
	if (r->options.command)
		return !r->running || r->stops > 1;
	return r->stops > 0;
}

static int switch_to(void *context, struct fdtape_writer *writer)
{
	struct recorder *r = context;

	/* A tape of a chain is complete in itself; a segment in memory is put behind the others again. */
	return translate_switch(r->translate, writer, now_of(CLOCK_MONOTONIC), !r->options.last);
}

static int next_tape(struct recorder *r)
{
	struct fdtape_clock clock = clocks();

	r->clocked = clock.monotonic;
	return tapes_next(r->tapes, &clock, switch_to, r);
}

/* One record; then it may be time for another tape, or enough. The ring can hold several tapes. */
static int take(void *context, const void *record, size_t size)
{
	struct recorder *r = context;
	int error = translate_record(r->translate, record, size);

	r->unflushed += size;
	if (!error && r->unflushed_max && r->unflushed >= r->unflushed_max) {
		error = fdtape_writer_flush(tapes_writer(r->tapes));
		r->unflushed = 0;
	}
	if (error)
		return error;
	if (tapes_full(r->tapes)) {
		r->full = true;
		return -ECANCELED;
	}
	if (tapes_due(r->tapes, 0) && next_tape(r) != 0) {
		r->told = true;
		return -ECANCELED;
	}
	return 0;
}

/* Empties the ring. The number of records, or -1 (told). */
static int drain(struct recorder *r)
{
	int n, error;

	if (r->full)
		return 0;
	n = probes_drain(r->probes, take, r);
	if (n >= 0 || r->full)
		return n < 0 ? 0 : n;
	if (r->told)
		return -1;
	/* libbpf has set errno since; the writer remembers its own. */
	error = fdtape_writer_flush(tapes_writer(r->tapes));
	return tapes_failed(r->tapes, error ? error : n);
}

static int put_clock(struct recorder *r, const struct fdtape_clock *clock)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_CLOCK, .clock = *clock};

	r->clocked = clock->monotonic;
	return fdtape_writer_put(tapes_writer(r->tapes), &item);
}

static int keep_time(struct recorder *r, uint64_t now)
{
	int error = 0;

	if (now - r->clocked >= CLOCK_NS) {
		struct fdtape_clock clock = clocks();

		error = put_clock(r, &clock);
	}
	if (!error && now - r->flushed >= FLUSH_NS) {
		error = translate_losses(r->translate, now);
		if (!error)
			error = fdtape_writer_flush(tapes_writer(r->tapes));
		r->flushed = now;
		r->unflushed = 0;
	}
	return error ? tapes_failed(r->tapes, error) : 0;
}

/* --last: segments, and dumps while recording goes on. A dump that fails does not end the recording. */
static int keep_last(struct recorder *r, uint64_t now)
{
	bool dump = r->dump && !tapes_dumping(r->tapes);

	if (tapes_poll(r->tapes, false) != 0)
		r->dump_failed = true;
	if (!dump && !tapes_due(r->tapes, now))
		return 0;
	if (next_tape(r) != 0)
		return -1;
	if (dump) {
		r->dump = false;
		progress_clear(&r->progress);
		if (tapes_dump(r->tapes) != 0)
			r->dump_failed = true;
	}
	return 0;
}

static int run(struct recorder *r)
{
	struct pollfd waits[] = {{.fd = r->signals, .events = POLLIN},
	                         {.fd = probes_urgent(r->probes), .events = POLLIN}};
	int n = 0;

	for (;;) {
		uint64_t now;

		poll(waits, sizeof waits / sizeof *waits, n > 64 ? 0 : DRAIN_MS);
		on_signals(r);
		now = now_of(CLOCK_MONOTONIC);
		n = drain(r);
		tapes_written(r->tapes);
		if (n < 0 || keep_time(r, now) != 0 || (r->options.last && keep_last(r, now) != 0))
			return -1;
		if (progress_due(&r->progress, now)) {
			struct translate_totals totals = translate_totals(r->translate);

			progress_show(&r->progress, now, &totals, tapes_size(r->tapes));
		}
		if (finished(r, now))
			return 0;
	}
}

/* What the writer gathers before it writes is beyond a bound on the tape's size: at most an eighth of it. */
static void bound_groups(struct recorder *r)
{
	const struct options *o = &r->options;

	r->unflushed_max = o->max_size && (!o->rotate || o->max_size < o->rotate) ? o->max_size : o->rotate;
	r->unflushed_max = (r->unflushed_max + 7) / 8;
}

static const char *ended_by(const struct recorder *r, uint64_t now)
{
	if (r->full)
		return "--max-size";
	if (r->stops)
		return r->stop_signal == SIGINT ? "SIGINT" : r->stop_signal == SIGTERM ? "SIGTERM" : "SIGHUP";
	if (r->options.duration && now - r->begun >= r->options.duration)
		return "--duration";
	return "";
}

/* --last: what is held is wanted when we were stopped, and when the command has failed. */
static int finish_last(struct recorder *r)
{
	bool succeeded = r->options.command && !r->running && command_exit_status(r->command_status) == 0;

	if (tapes_poll(r->tapes, true) != 0)
		r->dump_failed = true;
	if (succeeded && !r->dump) {
		if (r->options.verbosity >= 0)
			cli_warn("the command ended with status 0: %s",
			         tapes_dumps(r->tapes) ? "nothing more is written" : "nothing is written");
		return r->dump_failed ? -1 : 0;
	}
	if (tapes_dump(r->tapes) != 0 || tapes_poll(r->tapes, true) != 0)
		r->dump_failed = true;
	return r->dump_failed ? -1 : 0;
}

static int finish(struct recorder *r)
{
	struct fdtape_clock clock;
	struct closing closing;
	int error;

	probes_stop(r->probes);
	if (drain(r) < 0)
		return -1;
	clock = clocks();
	error = put_clock(r, &clock);
	if (!error)
		error = translate_finish(r->translate, clock.monotonic);
	if (error)
		return tapes_failed(r->tapes, error);
	if (tapes_end(r->tapes, &clock) != 0)
		return -1;
	if (r->options.last)
		return finish_last(r);
	closing = (struct closing){
	        .totals = translate_totals(r->translate),
	        .tape_size = tapes_size(r->tapes),
	        .tapes = tapes_count(r->tapes),
	        .seconds = (double)(clock.monotonic - r->begun) / 1e9,
	        .ended = ended_by(r, clock.monotonic),
	};
	if (r->options.verbosity >= 0)
		closing_line(&closing);
	return 0;
}

static void say_ready(const struct recorder *r)
{
	const char *name = tapes_name(r->tapes);
	char chosen[64] = "";

	if (choice_asks_image(&r->options.choice))
		snprintf(chosen, sizeof chosen, " (%zu running process%s chosen)", r->n_chosen,
		         r->n_chosen == 1 ? " is" : "es are");
	if (r->options.last)
		cli_warn(
		        "holding the last %.6g s in memory%s; SIGUSR1 writes them to %s, SIGINT or SIGTERM writes them "
		        "and ends",
		        (double)r->options.last / 1e9, chosen, name);
	else
		cli_warn("recording to %s%s; SIGINT or SIGTERM ends it", name, chosen);
}

/* The command's pid is one more question to the probes. */
static int add_command(struct recorder *r)
{
	struct choice *c = &r->options.choice;
	pid_t *pids;

	if (c->all)
		return 0;
	pids = realloc(c->pids, (c->n_pids + 1) * sizeof *pids);
	if (!pids) {
		cli_warn("no memory");
		return -1;
	}
	c->pids = pids;
	c->pids[c->n_pids++] = r->command.pid;
	return 0;
}

static int set_up(struct recorder *r)
{
	if (r->options.command && add_command(r) != 0)
		return -1;
	if (tapes_open(&r->tapes, &r->options, &r->about) != 0)
		return -1;
	return start_probes(r) != 0 || choose(r) != 0 || give_up_privileges(r) != 0 ? -1 : 0;
}

/* Everything up to the command's end, or ours; 0, or -1 when it was told what failed. */
static int record(struct recorder *r, char **argv)
{
	int error = 0;

	about_fill(&r->about, &r->options, argv);
	if (r->options.command) {
		error = command_hold(&r->command, r->options.command, options_to_stdout(&r->options));
		if (error) {
			cli_warn("cannot run '%s': %s", r->options.command[0], strerror(-error));
			return -1;
		}
	}
	if (set_up(r) != 0) {
		tapes_abandon(r->tapes);
		if (r->options.command)
			command_cancel(&r->command);
		return -1;
	}
	bound_groups(r);
	r->begun = now_of(CLOCK_MONOTONIC);
	if (r->options.command) {
		r->running = true;
		error = command_go(&r->command);
		if (error)
			cli_warn("cannot run '%s': %s", r->options.command[0], strerror(-error));
	} else if (r->options.verbosity >= 0) {
		say_ready(r);
	}
	/* A command has the terminal to itself, unless we are told to say more. */
	if (r->options.command ? r->options.verbosity > 0 : r->options.verbosity >= 0)
		progress_start(&r->progress, r->begun);
	if (run(r) != 0) {
		progress_clear(&r->progress);
		return -1;
	}
	progress_clear(&r->progress);
	return finish(r) != 0 || error ? -1 : 0;
}

int main(int argc, char **argv)
{
	static struct recorder r;
	int status;

	cli_tool = "fdtape-record";
	options_parse(&r.options, argc, argv);
	if (r.options.check) {
		status = check_system(&r.options);
		options_release(&r.options);
		return status;
	}
	command_save_signals(&r.command);
	r.signals = block_signals(r.options.last);
	if (r.signals < 0)
		cli_die(failure_status(&r), "signalfd: %s", strerror(errno));
	status = record(&r, argv) == 0 ? CLI_DONE : failure_status(&r);
	translate_free(r.translate);
	probes_free(r.probes);
	tapes_free(r.tapes);
	wait_for_command(&r);
	if (status == CLI_DONE && r.options.command)
		status = command_exit_status(r.command_status);
	options_release(&r.options);
	return status;
}
