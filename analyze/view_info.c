/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>

#include "analyze/json.h"
#include "analyze/losses.h"
#include "analyze/text.h"
#include "map.h"

struct info {
	struct play play;
	struct json *sections; /* --json only */
	uint64_t n_sections, n_ended;
	uint64_t
	        wall; /* of the section at hand: added to its times. All by the clocks of its head, however it is read */
	uint64_t first, last; /* wall times of the chosen calls */
	uint64_t events, processes, flows, secrets;
	uint64_t bytes[2], captured[2];
	struct map pids; /* of live processes */
};

static void put_section(FILE *out, const struct fdtape_reader *reader, const struct fdtape_section_info *section)
{
	char uuid[33], time[TEXT_TIME_MAX];
	const struct fdtape_meta *meta;

	fprintf(out, "section   %s, format %u.%u, begun %s\n", text_hex(uuid, section->uuid, sizeof section->uuid),
	        section->major, section->minor, text_time(time, section->clock.realtime));
	for (size_t i = 0; (meta = fdtape_reader_meta(reader, i)); i++) {
		fputs("          ", out);
		cli_put_string(out, meta->key);
		fputs(" = ", out);
		cli_put_string(out, meta->value);
		fputc('\n', out);
	}
}

static struct json *section_object(const struct fdtape_reader *reader, const struct fdtape_section_info *section)
{
	struct json *object = js_object(), *properties = js_object();
	const struct fdtape_meta *meta;
	char format[32];
	char *key;

	snprintf(format, sizeof format, "%u.%u", section->major, section->minor);
	js_set(object, "uuid", js_hex(section->uuid, sizeof section->uuid));
	js_set(object, "format", js_plain(format));
	js_set(object, "begun", js_time(section->clock.realtime));
	for (size_t i = 0; (meta = fdtape_reader_meta(reader, i)); i++) {
		key = text_escape_string(meta->key);
		js_set(properties, key, js_text(meta->value));
		free(key);
	}
	js_set(object, "properties", properties);
	return object;
}

static void tell_section(struct info *view, const struct fdtape_reader *reader)
{
	struct fdtape_section_info section;

	view->n_sections++;
	if (fdtape_reader_section(reader, &section) != 0)
		return;
	view->wall = section.clock.realtime - section.clock.monotonic;
	if (view->sections)
		js_add(view->sections, section_object(reader, &section));
	else
		put_section(view->play.options->out, reader, &section);
}

/* ---- by playing ------------------------------------------------------------------------------------------------- */

static int on_section(void *context, const struct player *player)
{
	tell_section(context, player_reader(player));
	return 0;
}

static int on_process(void *context, const struct player_process *process, uint64_t wall)
{
	struct info *view = context;

	(void)wall;
	if (map_get(&view->pids, process->pid))
		return 0; /* another image of the same process */
	view->processes++;
	return map_put(&view->pids, process->pid, view) ? 0 : FDTAPE_ERR_MEMORY;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct info *view = context;

	view->flows += flow->def.kind != FDTAPE_KIND_LIBRARY;
	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT && flow->def.kind != FDTAPE_KIND_LIBRARY; dir++) {
		view->bytes[dir] += flow->traffic[dir].bytes;
		view->captured[dir] += flow->traffic[dir].captured;
	}
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	struct info *view = context;
	uint64_t begin = view->wall + call->event->time, end = begin + call->event->duration;

	if (call->event->call == FDTAPE_CALL_EXIT)
		map_take(&view->pids, call->event->pid);
	if (!view->events++ || begin < view->first)
		view->first = begin;
	if (end > view->last)
		view->last = end;
	return 0;
}

static int on_item(void *context, const struct fdtape_item *item)
{
	struct info *view = context;

	view->secrets += item->type == FDTAPE_ITEM_SECRET;
	view->n_ended += item->type == FDTAPE_ITEM_END;
	return play_item(context, item);
}

static struct json *traffic_object(const struct info *view, enum fdtape_dir dir)
{
	struct json *object = js_object();

	js_set(object, "bytes", js_number(view->bytes[dir]));
	js_set(object, "captured", js_number(view->captured[dir]));
	js_set(object, "lost", js_number(view->bytes[dir] - view->captured[dir]));
	return object;
}

static void put_object(const struct info *view)
{
	struct json *object = js_object(), *tapes = js_array();

	for (size_t i = 0; i < view->play.options->inputs.n; i++)
		js_add(tapes, js_text(view->play.options->inputs.list[i].name));
	js_set(object, "tapes", tapes);
	js_set(object, "sections", view->sections);
	js_set(object, "ended", js_bool(view->n_sections && view->n_ended == view->n_sections));
	js_set(object, "first", js_time(view->first));
	js_set(object, "last", js_time(view->last));
	js_set(object, "duration_ns", js_span(view->first, view->last));
	js_set(object, "events", js_number(view->events));
	js_set(object, "processes", js_number(view->processes));
	js_set(object, "flows", js_number(view->flows));
	js_set(object, "secrets", js_number(view->secrets));
	js_set(object, "in", traffic_object(view, FDTAPE_IN));
	js_set(object, "out", traffic_object(view, FDTAPE_OUT));
	js_set(object, "lost_events", js_number(view->play.losses.count));
	js_set(object, "lost_bytes", js_number(view->play.losses.bytes));
	js_set(object, "loss", losses_array(&view->play.losses));
	js_set(object, "damaged", js_number(view->play.damaged));
	js_line(view->play.options->out, object);
}

static void put_traffic(FILE *out, const char *head, uint64_t bytes, uint64_t captured)
{
	char carried[TEXT_SIZE_MAX], taken[TEXT_SIZE_MAX];

	fprintf(out, "%-8s  %s, of them on the tape: %s\n", head, text_size(carried, bytes),
	        text_size(taken, captured));
}

static void put_text(const struct info *view)
{
	FILE *out = view->play.options->out;
	char first[TEXT_TIME_MAX], last[TEXT_TIME_MAX], span[TEXT_DURATION_MAX];

	if (view->events)
		fprintf(out, "calls     %" PRIu64 " from %s\n          to %s (%s)\n", view->events,
		        text_time(first, view->first), text_time(last, view->last),
		        text_duration(span, view->last - view->first));
	else
		fprintf(out, "calls     0\n");
	fprintf(out, "holds     programs: %" PRIu64 ", flows: %" PRIu64 ", TLS secrets: %" PRIu64 "\n", view->processes,
	        view->flows, view->secrets);
	put_traffic(out, "read", view->bytes[FDTAPE_IN], view->captured[FDTAPE_IN]);
	put_traffic(out, "written", view->bytes[FDTAPE_OUT], view->captured[FDTAPE_OUT]);
	losses_put(out, &view->play.losses);
	if (view->n_ended == view->n_sections)
		fprintf(out, "ended     properly\n");
	else
		fprintf(out, "ended     the recorder did not end %" PRIu64 " of %" PRIu64 " sections\n",
		        view->n_sections - view->n_ended, view->n_sections);
}

/* ---- without playing -------------------------------------------------------------------------------------------- */

static void add_totals(struct info *view, const struct fdtape_totals *t)
{
	if (t->events && (!view->events || view->wall + t->first_time < view->first))
		view->first = view->wall + t->first_time;
	if (t->events && view->wall + t->last_time > view->last)
		view->last = view->wall + t->last_time;
	view->events += t->events;
	view->processes += t->processes;
	view->flows += t->flows;
	view->secrets += t->secrets;
	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT; dir++) {
		view->bytes[dir] += t->carried[dir];
		view->captured[dir] += t->captured[dir];
	}
	for (size_t i = 0; i < PLAY_REASONS; i++) {
		view->play.losses.by[i].count += t->losses[i].count;
		view->play.losses.by[i].bytes += t->losses[i].bytes;
		view->play.losses.count += t->losses[i].count;
		view->play.losses.bytes += t->losses[i].bytes;
	}
}

/* One tape: the head of its section, and what its footer says; nothing else is read. 1; 0: it does not tell, since it
 * is a pipe, was not ended, or has several sections; negative: an error. */
static int take_totals(struct info *view, const struct player_input *input)
{
	static const uint64_t none = UINT64_MAX; /* no flow has this number: all groups are passed over */
	struct fdtape_reader *reader = NULL;
	struct fdtape_totals totals;
	struct fdtape_item item;
	uint64_t sections = 0;
	int got;

	if (!input->source.read_at)
		return 0;
	got = fdtape_reader_open(&reader, &input->source);
	if (!got)
		got = fdtape_reader_choose(reader, &(struct fdtape_choice){.flows = &none, .n_flows = 1});
	if (!got)
		got = fdtape_reader_totals(reader, &totals, &sections);
	if (got == 1 && sections == 1 && (got = fdtape_reader_next(reader, &item)) == 1) {
		tell_section(view, reader);
		view->n_ended++;
		add_totals(view, &totals);
	} else if (got > 0) {
		got = 0;
	}
	fdtape_reader_free(reader);
	return got;
}

int view_info(struct options *options)
{
	struct info view = {.sections = options->json ? js_array() : NULL};
	const struct player_sink sink = {
	        .section = on_section,
	        .process = on_process,
	        .flow_closed = on_flow_closed,
	        .call = on_call,
	        .item = on_item,
	};
	int status = CLI_DONE;

	view.play.options = options;
	/* Several tapes are played as one, by time: their heads come in an order that only playing knows. */
	if (options->inputs.n != 1 || player_chooses(&options->choice) || take_totals(&view, options->inputs.list) != 1)
		status = play(&view.play, options, &sink);
	/* When losses happened is the summary's to tell: what the tape says in total holds for all of it. */
	for (size_t i = 0; i < PLAY_REASONS; i++)
		view.play.losses.by[i].from = view.play.losses.by[i].to = 0;
	if (view.play.failed)
		js_free(view.sections);
	else if (options->json)
		put_object(&view);
	else
		put_text(&view);
	play_note(&view.play);
	map_release(&view.pids);
	return status;
}
