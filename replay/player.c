/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * One item after the other comes off the timeline and is worked into the state of the section that it belongs to:
 * definitions into tables, secrets into the store, events into their flows (flow.c). Each step that a sink may want to
 * know of calls it; the first non-zero answer is kept in player->stop, and nothing is told any more.
 *
 * A flow whose end was defined lingers for some events: those of other threads may come a little late.
 */
#include "replay/player_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINGER = 64, /* events */
};

uint64_t play_wall(const struct play_section *section, uint64_t monotonic)
{
	return timeline_wall(&section->clock, monotonic);
}

void play_fail(struct player *player, int error)
{
	if (player->stop == 0) {
		player->stop = error;
		player->failed = true;
		snprintf(player->message, sizeof player->message, "%s", fdtape_strerror(error));
	}
}

bool play_in_time(const struct player *player, uint64_t from, uint64_t to)
{
	return to >= player->since && from <= player->until;
}

int player_open(struct player **player, const struct player_input *inputs, size_t n_inputs,
                const struct player_choice *choice, const struct player_sink *sink)
{
	struct player *p;
	int error;

	if (n_inputs == 0)
		return FDTAPE_ERR_USAGE;
	p = calloc(1, sizeof *p);
	if (!p)
		return FDTAPE_ERR_MEMORY;
	p->sink = *sink;
	p->n_inputs = n_inputs;
	p->closing_end = &p->closing;
	p->until = UINT64_MAX;
	if (choice)
		p->choice = *choice;
	if (p->choice.since.kind == PLAYER_TIME_WALL)
		p->since = p->choice.since.ns;
	if (p->choice.until.kind == PLAYER_TIME_WALL)
		p->until = p->choice.until.ns;
	p->sections = calloc(n_inputs, sizeof *p->sections);
	p->of_input = calloc(n_inputs, sizeof(struct play_section *));
	error = p->sections && p->of_input ? timeline_open(&p->timeline, inputs, n_inputs) : FDTAPE_ERR_MEMORY;
	if (error) {
		player_free(p);
		return error;
	}
	for (size_t i = 0; i < n_inputs; i++) {
		p->sections[i].player = p;
		p->of_input[i] = &p->sections[i];
	}
	p->now = p->sections;
	*player = p;
	return 0;
}

/* ---- the end of flows ------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = (*(struct flow *const *)a)->pub.number, y = (*(struct flow *const *)b)->pub.number;

	return (x > y) - (x < y);
}

/* Ends all flows of the sections, in the order of their numbers. */
static void close_flows(struct player *p, struct play_section *sections, size_t n_sections)
{
	struct flow **all, *flow;
	size_t n = 0;

	for (size_t i = 0; i < n_sections; i++)
		n += sections[i].flows.used;
	if (n == 0)
		return;
	all = malloc(n * sizeof(struct flow *));
	if (!all) {
		play_fail(p, FDTAPE_ERR_MEMORY);
		return;
	}
	n = 0;
	for (size_t i = 0; i < n_sections; i++)
		for (size_t cursor = 0; (flow = map_next(&sections[i].flows, &cursor));)
			all[n++] = flow;
	qsort(all, n, sizeof(struct flow *), by_number);
	/* What calls delivered goes to the sockets while they are there. */
	for (size_t i = 0; i < n; i++)
		if (all[i]->pub.def.kind == FDTAPE_KIND_LIBRARY)
			flow_settle_calls(all[i]);
	for (size_t i = 0; i < n; i++)
		flow_close(all[i]);
	free(all);
}

static void section_release(struct play_section *section)
{
	process_release_all(section);
	bind_release(section);
	chained_release(section);
	map_release(&section->flows);
	map_release(&section->sockets);
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

static void on_section(struct player *p, size_t input, bool goes_on)
{
	struct play_section *section = p->of_input[input];

	if (goes_on && chained_go_on(section) < 0) {
		play_fail(p, FDTAPE_ERR_MEMORY);
	} else if (!goes_on) {
		if (section->begun) {
			close_flows(p, section, 1);
			section_release(section);
		}
		*section = (struct play_section){.player = p, .begun = true, .clock = section->clock};
	}
	section->ordinal = p->n_sections;
	section->base = p->highest;
	section->clock_told = section->ended = false;
	section->at_head = goes_on;
	if (p->n_sections++ == 0) {
		if (p->choice.since.kind == PLAYER_TIME_FROM_START)
			p->since = section->clock.realtime + p->choice.since.ns;
		if (p->choice.until.kind == PLAYER_TIME_FROM_START)
			p->until = section->clock.realtime + p->choice.until.ns;
	}
	if (p->sink.section && !p->stop)
		p->stop = p->sink.section(p->sink.context, p);
}

static void on_process(struct play_section *section, const struct fdtape_process *def)
{
	struct player *p = section->player;
	struct process *process = process_define(section, def);

	if (!process)
		play_fail(p, FDTAPE_ERR_MEMORY);
	else if (p->sink.process && !p->stop && choice_takes_process(&p->choice, &process->pub))
		p->stop = p->sink.process(p->sink.context, &process->pub, play_wall(section, def->time));
}

/* Flows that were closed long enough ago. */
static void close_lingering(struct player *p)
{
	while (p->closing && !p->stop && p->n_events > p->closing->closing + LINGER)
		flow_close(p->closing);
}

static bool is_input(uint32_t call)
{
	return call == FDTAPE_CALL_READ || call == FDTAPE_CALL_READV || call == FDTAPE_CALL_RECVFROM ||
	       call == FDTAPE_CALL_RECVMSG || call == FDTAPE_CALL_PREADV2 || call == FDTAPE_CALL_IO_URING_READ ||
	       call == FDTAPE_CALL_IO_URING_RECV || call == FDTAPE_CALL_IO_URING_RECVMSG;
}

static struct player_flow *other_flow(const struct play_section *section, const struct fdtape_event *event)
{
	struct flow *flow = NULL;
	int arg = fdtape_call_flow_arg(event->call);

	if (arg >= 0 && event->arg[arg])
		flow = map_get(&section->flows, event->arg[arg]);
	return flow ? &flow->pub : NULL;
}

/* Number of whom the call's datagram came from or went to among the flow's peers; 0: none. */
static uint64_t meet_peer(struct flow *flow, const struct fdtape_address *peer)
{
	struct player *p = flow->section->player;
	int64_t number = flow_peers_number(&flow->peers, peer);

	if (number < 0)
		play_fail(p, FDTAPE_ERR_MEMORY);
	if (number == 1 && flow->pub.peers == 0)
		flow->pub.first_peer = *peer;
	flow->pub.peers = flow->peers.n;
	flow->chosen = flow->chosen || choice_takes_peer(&p->choice, &flow->pub, peer);
	return number > 0 ? (uint64_t)number : 0;
}

static void on_event(struct play_section *section, const struct fdtape_event *event)
{
	struct player *p = section->player;
	struct player_call call = {.event = event, .number = ++p->n_events};
	struct flow *flow = event->flow ? map_get(&section->flows, event->flow) : NULL;
	struct process *process = process_get(section, event->pid);
	uint64_t start = play_wall(section, event->time), end;
	struct stamp stamp = {.tid = event->tid};
	bool chosen;

	close_lingering(p);
	if (event->flow) /* it may just have gone */
		flow = map_get(&section->flows, event->flow);
	if (!process) {
		play_fail(p, FDTAPE_ERR_MEMORY);
		return;
	}
	end = event->duration > UINT64_MAX - start ? UINT64_MAX : start + event->duration;
	stamp.wall = end;
	stamp.shown = play_in_time(p, start, end);
	if (flow && flow->pub.def.kind == FDTAPE_KIND_LIBRARY)
		bind_library(flow, event, &stamp);
	if (flow && flow->pub.def.kind == FDTAPE_KIND_SOCKET && !flow->tls && event->peer) {
		stamp.peer = event->peer;
		call.peer = meet_peer(flow, event->peer);
	}
	chosen = event->flow && flow ? flow->chosen : choice_takes_event(&p->choice, &process->pub, event);
	if (chosen && stamp.shown && !p->stop) {
		if (flow)
			flow_tell(flow);
		call.flow = flow ? &flow->pub : NULL;
		call.other = other_flow(section, event);
		call.process = &process->pub;
		call.wall = start;
		if (p->sink.call && !p->stop)
			p->stop = p->sink.call(p->sink.context, &call);
	}
	if (event->call == FDTAPE_CALL_EXIT)
		process_exited(section, event->pid);
	if (!flow || p->stop)
		return;
	if ((flow->tls && event->bytes > 0) || flow->pub.def.kind == FDTAPE_KIND_LIBRARY)
		bind_remember(section, event);
	if (flow->tls && event->call == FDTAPE_CALL_SETSOCKOPT)
		flow_setsockopt(flow, event);
	if (is_input(event->call) && event->result == 0 && event->arg[0] > 0 &&
	    !(event->flags & (FDTAPE_EVENT_PENDING | FDTAPE_EVENT_PEEK)))
		flow->lane[FDTAPE_IN].ended = true;
	flow_event(flow, event, &stamp);
	flow->close_seen |= event->call == FDTAPE_CALL_CLOSE && event->result >= 0;
	if (flow->closing && flow->close_seen && !flow_has_pending(flow))
		flow_close(flow);
}

static void on_flow(struct play_section *section, const struct fdtape_flow *def)
{
	struct flow *flow;

	flow_define(section, def);
	flow = map_get(&section->flows, def->id);
	if (flow && flow->closing && flow->close_seen && !flow_has_pending(flow) && !section->player->stop)
		flow_close(flow);
}

static void on_item(struct player *p, size_t input)
{
	const struct fdtape_item *item = &p->timeline.inputs[input].item;
	struct play_section *before = item->type == FDTAPE_ITEM_SECTION ? chained_before(p, input) : NULL, *section;
	struct fdtape_event event;
	struct fdtape_flow flow;

	if (before)
		p->of_input[input] = before;
	section = p->of_input[input];
	p->now = section;
	p->now_input = input;
	if (item->type == FDTAPE_ITEM_SECTION)
		section->clock = p->timeline.inputs[input].clock;
	if (chained_repeats(section, item))
		return;
	if (p->sink.item)
		p->stop = p->sink.item(p->sink.context, item);
	if (p->stop)
		return;
	switch (item->type) {
	case FDTAPE_ITEM_SECTION:
		on_section(p, input, before != NULL);
		break;
	case FDTAPE_ITEM_CLOCK:
		section->clock = item->clock;
		section->clock_told = true;
		break;
	case FDTAPE_ITEM_PROCESS:
		on_process(section, &item->process);
		break;
	case FDTAPE_ITEM_FLOW:
		flow = item->flow;
		if (chained_flow(section, &flow))
			on_flow(section, &flow);
		break;
	case FDTAPE_ITEM_EVENT:
		section->at_head = false;
		if (!section->id_base) { /* as it stands: most are never copied */
			on_event(section, &item->event);
			break;
		}
		event = item->event;
		chained_event(section, &event);
		on_event(section, &event);
		break;
	case FDTAPE_ITEM_SECRET:
		bind_derived(section, &item->secret);
		if (tls_store_add(&p->secrets, &item->secret) < 0)
			play_fail(p, FDTAPE_ERR_MEMORY);
		break;
	case FDTAPE_ITEM_END:
		section->ended = true;
		break;
	default:
		break;
	}
}

/* A part of an input is missing: 0, or the error when there is no going on. */
static int on_damage(struct player *p, size_t input, int error)
{
	const struct timeline_input *in = &p->timeline.inputs[input];
	const char *why = fdtape_reader_message(in->reader);

	p->now = p->of_input[input];
	p->now_input = input;
	snprintf(p->message, sizeof p->message, "%s: %s", in->name, *why ? why : fdtape_strerror(error));
	if (in->ended)
		return error;
	p->n_damaged++;
	if (p->sink.damage)
		p->stop = p->sink.damage(p->sink.context, error, p->message);
	return 0;
}

int player_run(struct player *p)
{
	size_t input = 0;
	int result = 0, error = 0;

	while (!p->stop && error == 0 && (result = timeline_next(&p->timeline, &input)) != 0) {
		if (result > 0)
			on_item(p, input);
		else
			error = on_damage(p, input, result);
	}
	close_flows(p, p->sections, p->n_inputs);
	if (p->stop && !p->failed)
		p->message[0] = '\0'; /* the sink knows why */
	return p->stop ? p->stop : error;
}

/* ---- questions -------------------------------------------------------------------------------------------------- */

const char *player_message(const struct player *player)
{
	return player->message;
}

uint64_t player_damaged(const struct player *player)
{
	return player->n_damaged;
}

const struct fdtape_reader *player_reader(const struct player *player)
{
	return player->timeline.inputs[player->now_input].reader;
}

uint64_t player_wall(const struct player *player, uint64_t monotonic)
{
	return play_wall(player->now, monotonic);
}

void player_free(struct player *player)
{
	if (!player)
		return;
	/* What an early end left open is dropped, not told. */
	player->stop = FDTAPE_ERR_USAGE;
	if (player->sections) {
		if (player->timeline.inputs)
			close_flows(player, player->sections, player->n_inputs);
		for (size_t i = 0; i < player->n_inputs; i++)
			section_release(&player->sections[i]);
	}
	free(player->sections);
	free(player->of_input);
	tls_store_release(&player->secrets);
	timeline_release(&player->timeline);
	free(player);
}
