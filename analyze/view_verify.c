/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>

#include "analyze/json.h"
#include "analyze/say.h"
#include "analyze/text.h"

/* Reads each tape by itself, without the player: what is checked is the file, not what it means. */
struct verdict {
	const char *name;
	struct fdtape_reader_stats stats;
	uint64_t events, secrets, ended;
	struct json *errors; /* messages; a note of the first DAMAGES_KEPT */
	uint64_t n_errors;
	int status;
};

enum {
	DAMAGES_KEPT = 1000
};

static void add_error(const struct options *o, struct verdict *v, int error, const char *message)
{
	if (!*message)
		message = fdtape_strerror(error);
	v->n_errors++;
	v->status = error == FDTAPE_ERR_SYSTEM || error == FDTAPE_ERR_MEMORY ? CLI_REFUSED : CLI_DAMAGED;
	if (o->json) {
		if (v->n_errors <= DAMAGES_KEPT)
			js_add(v->errors, js_text(message));
		return;
	}
	cli_put_string(o->out, v->name);
	fputs(": ", o->out);
	cli_put_string(o->out, message);
	fputc('\n', o->out);
}

/* Can reading go on behind this error? */
static bool goes_on(int error)
{
	return error == FDTAPE_ERR_DAMAGED || error == FDTAPE_ERR_LIMIT || error == FDTAPE_ERR_TRUNCATED;
}

static void check(const struct options *o, const struct player_input *input, struct verdict *v)
{
	struct fdtape_reader *reader = NULL;
	struct fdtape_item item;
	int got = fdtape_reader_open(&reader, &input->source);

	if (got) {
		add_error(o, v, got, "");
		return;
	}
	while ((got = fdtape_reader_next(reader, &item)) != 0) {
		if (got < 0) {
			add_error(o, v, got, fdtape_reader_message(reader));
			if (!goes_on(got))
				break;
			continue;
		}
		v->events += item.type == FDTAPE_ITEM_EVENT;
		v->secrets += item.type == FDTAPE_ITEM_SECRET;
		v->ended += item.type == FDTAPE_ITEM_END;
	}
	fdtape_reader_stats(reader, &v->stats);
	fdtape_reader_free(reader);
}

static void put_object(FILE *out, const struct verdict *v)
{
	struct json *object = js_object();

	js_set(object, "tape", js_text(v->name));
	js_set(object, "sound", js_bool(!v->n_errors));
	js_set(object, "ended", js_bool(v->stats.sections && v->ended == v->stats.sections));
	js_set(object, "bytes", js_number(v->stats.input_bytes));
	js_set(object, "sections", js_number(v->stats.sections));
	js_set(object, "groups", js_number(v->stats.groups));
	js_set(object, "blocks", js_number(v->stats.blocks));
	js_set(object, "bad_blocks", js_number(v->stats.bad_blocks));
	js_set(object, "bad_bytes", js_number(v->stats.lost_bytes));
	js_set(object, "events", js_number(v->events));
	js_set(object, "secrets", js_number(v->secrets));
	js_set(object, "n_errors", js_number(v->n_errors));
	js_set(object, "errors", v->errors);
	js_line(out, object);
}

static void put_text(FILE *out, const struct verdict *v)
{
	char size[TEXT_SIZE_MAX];

	cli_put_string(out, v->name);
	fprintf(out, ": %s: %s in %" PRIu64 " section%s, %" PRIu64 " group%s, %" PRIu64 " block%s; %" PRIu64 " event%s",
	        v->n_errors ? "NOT SOUND; readable" : "ok", text_size(size, v->stats.input_bytes - v->stats.lost_bytes),
	        v->stats.sections, v->stats.sections == 1 ? "" : "s", v->stats.groups, v->stats.groups == 1 ? "" : "s",
	        v->stats.blocks, v->stats.blocks == 1 ? "" : "s", v->events, v->events == 1 ? "" : "s");
	if (v->n_errors)
		fprintf(out, "; %s unreadable", text_size(size, v->stats.lost_bytes));
	fputc('\n', out);
}

int view_verify(struct options *options)
{
	int status = CLI_DONE;

	if (options->repair)
		return verify_repair(options);
	for (size_t i = 0; i < options->inputs.n; i++) {
		const struct player_input *input = &options->inputs.list[i];
		struct verdict v = {.name = input->name, .errors = options->json ? js_array() : NULL};

		check(options, input, &v);
		if (options->json)
			put_object(options->out, &v);
		else if (v.stats.sections)
			put_text(options->out, &v);
		if (v.status > status)
			status = v.status;
	}
	if (player_chooses(&options->choice))
		say("note: verify looks at the whole file, whatever was chosen");
	return status;
}
