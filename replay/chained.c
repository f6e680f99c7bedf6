/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A recorder that goes over to its next tape (--rotate) reads the clocks once: that reading is the last CLOCK of the one
 * and the head of the other. Two recordings can't have the same nanoseconds of three clocks by chance. So a section that
 * begins with the clocks that another ended with goes on where that one ended, and nothing lies between: the connections
 * go on, and so do a request, a TLS record, a message that lie across the end of the tape.
 *
 * The new tape is complete in itself: what is open is defined on it again, with ids and offsets of its own. Here each of
 * these flows is found again among those that are open, by its process, its fd (a library's object: its address) and
 * when it was opened; from then on the ids of the new tape are those of the play, and its offsets go on. The secrets that
 * are told again were derived long ago, and not by what their thread does now: they are passed over. A flow that a tape
 * does not have goes on no more: it was cut out there, and what it carried meanwhile is not known.
 */
#include "replay/player_state.h"

#include <stdlib.h>

/* A flow that goes on, by the id that it has on the tape that is read now. */
struct going_on {
	uint64_t id; /* in the play */
	uint64_t base[2];
	uint64_t opened;
	bool preopened;
};

static bool equal_clocks(const struct fdtape_clock *a, const struct fdtape_clock *b)
{
	return a->realtime == b->realtime && a->monotonic == b->monotonic && a->boottime == b->boottime;
}

struct play_section *chained_before(const struct player *player, size_t input)
{
	const struct fdtape_clock *clock = &player->timeline.inputs[input].clock;

	for (size_t i = 0; i < player->n_inputs && !player->sink.apart; i++) {
		struct play_section *section = player->of_input[i];

		if ((i == input || player->timeline.inputs[i].ended) && section->ended && section->clock_told &&
		    equal_clocks(&section->clock, clock))
			return section;
	}
	return NULL;
}

/* No two open flows of a process have the same; where two keys meet all the same, one of them does not go on. */
static uint64_t place_of(const struct fdtape_flow *def)
{
	uint64_t which = def->kind == FDTAPE_KIND_LIBRARY ? def->handle ^ UINT64_C(1) << 63 : (uint32_t)def->fd;

	return which ^ (uint64_t)def->pid << 32;
}

void chained_release(struct play_section *section)
{
	map_free(&section->going_on);
	map_release(&section->open_before);
}

int chained_go_on(struct play_section *section)
{
	struct flow *flow;
	size_t cursor = 0;

	while ((flow = map_next(&section->open_before, &cursor)))
		flow->left_behind = true;
	cursor = 0;
	chained_release(section);
	section->id_base = section->highest_id;
	while ((flow = map_next(&section->flows, &cursor))) {
		flow->place = place_of(&flow->pub.def);
		if (!flow->closing && !flow->left_behind && !map_put(&section->open_before, flow->place, flow))
			return -1;
	}
	return 0;
}

void chained_forget(const struct flow *flow)
{
	struct map *open = &flow->section->open_before;

	if (map_get(open, flow->place) == flow)
		map_take(open, flow->place);
}

static uint64_t reached(const struct flow *flow, int dir)
{
	uint64_t defined = flow->pub.def.bytes[dir], seen = flow->lane[dir].assembly.high;

	return defined > seen ? defined : seen;
}

/* Is this the definition of an open flow on the next tape? From now on it has this id there. */
static bool find(struct play_section *section, const struct fdtape_flow *def)
{
	struct flow *flow = map_get(&section->open_before, place_of(def));
	struct going_on *g;

	if (!(def->flags & FDTAPE_FLOW_PREOPENED) || !flow || flow->pub.def.kind != def->kind ||
	    flow->pub.def.pid != def->pid || flow->pub.def.opened != def->opened || flow->pub.def.inode != def->inode)
		return false;
	g = malloc(sizeof *g);
	if (!g || !map_put(&section->going_on, def->id, g)) {
		free(g);
		play_fail(section->player, FDTAPE_ERR_MEMORY);
		return false;
	}
	/* As it was defined last; where that was damaged, behind all that is known. */
	*g = (struct going_on){.id = flow->pub.def.id,
	                       .base = {reached(flow, 0), reached(flow, 1)},
	                       .opened = flow->pub.def.opened,
	                       .preopened = flow->pub.def.flags & FDTAPE_FLOW_PREOPENED};
	chained_forget(flow);
	for (int dir = 0; dir < 2; dir++)
		flow_skip(flow, (enum fdtape_dir)dir, g->base[dir] + def->bytes[dir]);
	return true;
}

bool chained_repeats(const struct play_section *section, const struct fdtape_item *item)
{
	const struct fdtape_secret *secret = &item->secret;

	return item->type == FDTAPE_ITEM_SECRET && section->at_head &&
	       tls_store_find(&section->player->secrets, secret->id_kind, secret->id, secret->id_len, secret->label);
}

static uint64_t id_of(const struct play_section *section, uint64_t id)
{
	const struct going_on *g = map_get(&section->going_on, id);

	if (g)
		return g->id;
	return id && id <= UINT64_MAX - section->id_base ? id + section->id_base : 0;
}

bool chained_flow(struct play_section *section, struct fdtape_flow *def)
{
	const struct going_on *g = map_get(&section->going_on, def->id);

	if (!g && find(section, def))
		return false;
	def->id = id_of(section, def->id);
	if (!g)
		return true;
	def->opened = g->opened;
	if (!g->preopened)
		def->flags &= ~(uint32_t)FDTAPE_FLOW_PREOPENED;
	for (int dir = 0; dir < 2; dir++)
		def->bytes[dir] += g->base[dir];
	return true;
}

void chained_event(const struct play_section *section, struct fdtape_event *event)
{
	const struct going_on *g = map_get(&section->going_on, event->flow);
	int arg = fdtape_call_flow_arg(event->call);

	if (g)
		event->offset += g->base[event->dir == FDTAPE_OUT];
	event->flow = id_of(section, event->flow);
	if (arg >= 0)
		event->arg[arg] = id_of(section, event->arg[arg]);
}
