/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * verify --repair: a sound tape from a damaged one. What can be saved, and how a loss is told on the new tape, is
 * fdtape_repair()'s; here is only what a person sees of it.
 */
#include <errno.h>
#include <inttypes.h>

#include <fdtape/repair.h>

#include "analyze/analyze.h"
#include "analyze/say.h"
#include "analyze/text.h"

static int write_out(void *context, const void *data, size_t len)
{
	return fwrite(data, 1, len, context) == len ? 0 : FDTAPE_ERR_SYSTEM;
}

int verify_repair(struct options *options)
{
	const struct fdtape_sink sink = {.write = write_out, .context = options->out};
	const struct player_input *input = options->inputs.list;
	struct fdtape_repair_report report;
	char kept[TEXT_SIZE_MAX], lost[TEXT_SIZE_MAX];
	const char *groups;
	int error;

	if (options->inputs.n != 1)
		say_and_exit(CLI_USAGE, "--repair takes one TAPE, not %zu", options->inputs.n);
	if (options->json)
		say_and_exit(CLI_USAGE, "--repair writes a tape, no JSON; verify the new tape with --json");
	if (options->out == stdout)
		say_and_exit(CLI_USAGE, "--repair needs -o NEW, the tape that is to be written");
	error = fdtape_repair(&input->source, &sink, 0, &report);
	if (error) {
		if (error == FDTAPE_ERR_SYSTEM && ferror(options->out))
			options->error = errno;
		else
			say_error("%s: %s", input->name, *report.message ? report.message : fdtape_strerror(error));
		return error == FDTAPE_ERR_SYSTEM || error == FDTAPE_ERR_MEMORY ? CLI_REFUSED : CLI_DAMAGED;
	}
	text_size(kept, report.output_bytes);
	groups = report.groups == 1 ? "group" : "groups";
	if (!report.damages) {
		say("%s was sound; %s is a copy: %s, %" PRIu64 " %s", input->name, options->name, kept, report.groups,
		    groups);
		return CLI_DONE;
	}
	say("%s: damaged in %" PRIu64 " place%s, first: %s", input->name, report.damages,
	    report.damages == 1 ? "" : "s", report.message);
	say("%s: %s in %" PRIu64 " %s saved; %s of the old tape lost, told on the new one", options->name, kept,
	    report.groups, groups, text_size(lost, report.lost_bytes));
	return CLI_DAMAGED;
}
