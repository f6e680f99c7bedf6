/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/say.h"
#include "analyze/text.h"

enum {
	DAMAGES_SHOWN = 20
}; /* a file full of noise must not fill the terminal */

static void add_loss(struct play *p, const struct fdtape_loss *loss)
{
	struct play_loss *l = &p->losses.by[loss->reason < PLAY_REASONS ? loss->reason : 0];
	uint64_t from = player_wall(p->player, loss->from), to = player_wall(p->player, loss->to);

	l->count += loss->count;
	l->bytes += loss->bytes;
	if (!l->from || from < l->from)
		l->from = from;
	if (to > l->to)
		l->to = to;
	p->losses.count += loss->count;
	p->losses.bytes += loss->bytes;
}

int play_item(void *context, const struct fdtape_item *item)
{
	struct play *p = context;

	if (item->type == FDTAPE_ITEM_LOSS)
		add_loss(p, &item->loss);
	if (!ferror(p->options->out))
		return 0;
	p->options->error = errno; /* nobody reads any more, or the disk is full */
	return PLAY_STOP;
}

static int play_damage(void *context, int error, const char *message)
{
	struct play *p = context;

	(void)error;
	if (!p->again && player_damaged(p->player) <= DAMAGES_SHOWN)
		say_error("%s", message);
	return 0;
}

/* Notes that a flow that was named by --flow exists. */
static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct play *p = context;
	const struct player_choice *choice = &p->options->choice;

	for (size_t i = 0; i < choice->n_flows; i++)
		if (choice->flows[i] == flow->number)
			p->found[i] = true;
	return p->sink->flow_opened ? p->sink->flow_opened(context, flow) : 0;
}

/* Says which of the flows that were named are not there, and releases what kept count. */
static int judge_flows(struct play *p, int status)
{
	const struct player_choice *choice = &p->options->choice;

	for (size_t i = 0; i < choice->n_flows && !p->failed; i++) {
		if (p->found[i])
			continue;
		if (!p->again)
			say_error("there is no flow %" PRIu64 " in what was chosen; 'flows' lists them",
			          choice->flows[i]);
		status = status == CLI_DONE ? CLI_DIFFERS : status;
	}
	free(p->found);
	p->found = NULL;
	return status;
}

int play(struct play *p, struct options *options, const struct player_sink *sink)
{
	struct player_sink own = *sink;
	int status = CLI_DONE, error;

	p->losses = (struct play_losses){0};
	p->options = options;
	p->sink = sink;
	p->found = alloc_new(options->choice.n_flows, sizeof *p->found);
	own.context = p;
	own.flow_opened = on_flow_opened;
	if (!own.item)
		own.item = play_item;
	own.damage = play_damage;
	error = player_open(&p->player, options->inputs.list, options->inputs.n, &options->choice, &own);
	if (error) {
		say_error("%s", fdtape_strerror(error));
		p->failed = true;
		return judge_flows(p, CLI_REFUSED);
	}
	error = player_run(p->player);
	p->damaged = player_damaged(p->player);
	if (error < 0) {
		say_error("%s", player_message(p->player));
		p->failed = true;
		status = error == FDTAPE_ERR_SYSTEM || error == FDTAPE_ERR_MEMORY ? CLI_REFUSED : CLI_DAMAGED;
	} else if (p->damaged) {
		status = CLI_DAMAGED;
	}
	if (!p->again && p->damaged > DAMAGES_SHOWN)
		say_error("... and %" PRIu64 " more damaged places", p->damaged - DAMAGES_SHOWN);
	player_free(p->player);
	p->player = NULL;
	return judge_flows(p, status);
}

void play_note(const struct play *p)
{
	char size[TEXT_SIZE_MAX];

	/* The words must reach a terminal after the view, not amid it. */
	fflush(p->options->out);
	if (p->losses.count || p->losses.bytes)
		say("note: the recording lost %" PRIu64 " event%s, %s", p->losses.count,
		    p->losses.count == 1 ? "" : "s", p->losses.bytes ? text_size(size, p->losses.bytes) : "0 bytes");
	if (p->damaged)
		say("note: the tape is damaged in %" PRIu64 " place%s; what could be read was given", p->damaged,
		    p->damaged == 1 ? "" : "s");
}
