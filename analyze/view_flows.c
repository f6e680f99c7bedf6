/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/first_bytes.h"
#include "analyze/flow_line.h"
#include "analyze/flow_row.h"
#include "analyze/json.h"
#include "analyze/table.h"
#include "analyze/text.h"
#include "analyze/words.h"

struct flows {
	struct play play;
	struct flow_lines lines;
	struct table table;
	struct map first;     /* struct first_bytes by flow */
	uint64_t shown, idle; /* idle: not shown */
	uint64_t bytes[2], lost;
};

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static struct json *evidence_array(uint32_t evidence)
{
	struct json *array = js_array();

	for (uint32_t bit = 1; bit; bit <<= 1)
		if (evidence & bit && tls_evidence_name(bit))
			js_add(array, js_plain(tls_evidence_name(bit)));
	return array;
}

/* Of TLS within TLS: what the flow's own keys say of the outer one. */
static struct json *inner_object(const struct tls_info *tls)
{
	struct json *object = js_object();

	js_set(object, "version", js_plain(tls_version_name(tls->version)));
	js_set(object, "cipher", js_plain(tls->cipher ? tls_cipher_name(tls->cipher) : NULL));
	js_set(object, "sni", js_known(tls->sni));
	js_set(object, "alpn", js_known(tls->alpn));
	js_set(object, "plaintext", js_plain(tls_plaintext_name(tls->plaintext)));
	return object;
}

/* A step of the timeline: from this offset of a direction on. */
static struct json *segment_object(const struct tls_segment *segment)
{
	struct json *object = js_object();

	js_set(object, "dir", js_plain(words_dir(segment->dir)));
	js_set(object, "depth", js_number(segment->depth));
	js_set(object, "offset", js_number(segment->offset));
	js_set(object, "time", js_time(segment->wall));
	js_set(object, "is", js_plain(tls_segment_name(segment->kind)));
	js_set(object, "agreed", js_plain(segment->agreed));
	js_set(object, "tls", segment->tls && segment->depth ? inner_object(segment->tls) : js_null());
	js_set(object, "evidence", evidence_array(tls_segment_evidence(segment)));
	return object;
}

static struct json *tls_object(const struct tls_info *tls, const struct tls_timeline *timeline)
{
	struct json *object = js_object(), *segments = js_array();

	js_set(object, "verdict", js_plain(tls_verdict_name(tls->verdict)));
	js_set(object, "version", js_plain(tls_version_name(tls->version)));
	js_set(object, "cipher", js_plain(tls->cipher ? tls_cipher_name(tls->cipher) : NULL));
	js_set(object, "sni", js_known(tls->sni));
	js_set(object, "alpn", js_known(tls->alpn));
	js_set(object, "library", js_known(tls->library));
	js_set(object, "plaintext", js_plain(tls_plaintext_name(tls->plaintext)));
	js_set(object, "evidence", evidence_array(tls->evidence));
	for (size_t i = 0; timeline && i < timeline->n; i++)
		js_add(segments, segment_object(&timeline->segments[i]));
	js_set(object, "timeline", segments);
	return object;
}

static struct json *traffic_object(const struct player_flow *flow, enum fdtape_dir dir)
{
	const struct player_traffic *t = &flow->traffic[dir];
	struct json *object = js_object();

	js_set(object, "bytes", js_number(t->bytes));
	js_set(object, "captured", js_number(t->captured));
	js_set(object, "lost", js_number(flow_lost(flow, dir)));
	js_set(object, "plaintext", js_number(t->plaintext));
	return object;
}

static struct json *flow_object(const struct player_flow *flow, const struct first_bytes *first)
{
	char local[TEXT_ADDRESS_MAX], remote[TEXT_ADDRESS_MAX];
	struct json *object = js_object();

	js_set(object, "flow", js_number(flow->number));
	js_set(object, "pid", js_number(flow->def.pid));
	js_set(object, "tid", js_number(flow->def.tid));
	js_set(object, "comm", js_known(flow->process->comm));
	js_set(object, "exe", js_known(flow->process->exe));
	js_set(object, "fd", flow->def.fd >= 0 ? js_signed(flow->def.fd) : js_null());
	js_set(object, "proto", js_plain(words_proto(flow->def.proto)));
	js_set(object, "role", js_plain(words_role(flow->role)));
	js_set(object, "local", js_plain(text_address(local, &flow->def.local)));
	js_set(object, "remote", js_plain(text_address(remote, &flow->def.remote)));
	js_set(object, "peers", js_number(flow->peers));
	js_set(object, "kind", js_plain(words_kind(flow->def.kind)));
	js_set(object, "name", *flow->def.name ? js_known(flow->def.name) : js_null());
	js_set(object, "opened", js_time(flow->opened));
	js_set(object, "closed", js_time(flow->closed));
	js_set(object, "tls", tls_object(&flow->tls, flow->timeline));
	js_set(object, "in", traffic_object(flow, FDTAPE_IN));
	js_set(object, "out", traffic_object(flow, FDTAPE_OUT));
	js_set(object, "protocol", js_plain(flow->protocol));
	js_set(object, "unknown", first_bytes_object(first));
	return object;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void put_row(void *context, void *value)
{
	struct flows *view = context;

	table_row(&view->table, value);
}

static void put_object(void *context, void *value)
{
	struct flows *view = context;

	js_line(view->play.options->out, value);
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct flows *view = context;

	flow->user = flow_lines_open(&view->lines);
	return 0;
}

static int on_plain(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct flows *view = context;

	first_bytes_add(&view->first, flow, dir, piece);
	return 0;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct flows *view = context;
	const struct options *o = view->play.options;
	struct first_bytes *first = first_bytes_take(&view->first, flow);
	void *value = NULL;

	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT && flow->def.kind != FDTAPE_KIND_LIBRARY; dir++) {
		view->bytes[dir] += flow->traffic[dir].bytes;
		view->lost += flow_lost(flow, dir);
	}
	if (flow_is_part(flow))
		value = NULL;
	else if (o->json)
		value = flow_object(flow, first);
	else if (flow_is_idle(flow) && !o->verbose)
		view->idle++;
	else
		value = flow_row(flow, o->verbose, first);
	view->shown += value != NULL;
	free(first);
	flow_lines_close(&view->lines, flow->user, value);
	return 0;
}

static void put_totals(const struct flows *view)
{
	char in[TEXT_SIZE_MAX], out[TEXT_SIZE_MAX], lost[TEXT_SIZE_MAX];
	FILE *file = view->play.options->out;

	fprintf(file, "%s%" PRIu64 " flow%s: in %s, out %s, lost %s\n", view->shown ? "\n" : "", view->shown,
	        view->shown == 1 ? "" : "s", text_size(in, view->bytes[FDTAPE_IN]),
	        text_size(out, view->bytes[FDTAPE_OUT]), text_size(lost, view->lost));
	if (view->idle)
		fprintf(file, "%" PRIu64 " more carried nothing (-v shows them)\n", view->idle);
}

int view_flows(struct options *options)
{
	struct flows view = {.lines = {.put = options->json ? put_object : put_row, .context = &view}};
	const bool deep = options->json || options->verbose; /* what the table says needs no look into the bytes */
	const struct player_sink sink = {.flow_opened = on_flow_opened,
	                                 .flow_closed = on_flow_closed,
	                                 .plain = deep ? on_plain : NULL,
	                                 .protocol = deep};
	int status;

	table_start(&view.table, options->out, flow_row_columns, FLOW_ROW_COLUMNS, options->verbose ? 0 : TABLE_WIDTH);
	status = play(&view.play, options, &sink);
	table_end(&view.table);
	first_bytes_release(&view.first);
	if (!options->json && !view.play.failed)
		put_totals(&view);
	play_note(&view.play);
	return status;
}
