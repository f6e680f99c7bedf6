/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/flow_row.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "cli.h"
#include "analyze/text.h"
#include "analyze/words.h"

const struct table_column flow_row_columns[FLOW_ROW_COLUMNS] = {
        {"FLOW", true},   {"PROCESS", false}, {"FD", true},  {"ROLE", false}, {"TLS", false},
        {"PLAIN", false}, {"IN", true},       {"OUT", true}, {"LOST", true},  {"PEER", false},
};

uint64_t flow_lost(const struct player_flow *flow, enum fdtape_dir dir)
{
	const struct player_traffic *t = &flow->traffic[dir];

	return t->bytes > t->captured ? t->bytes - t->captured : 0;
}

bool flow_is_part(const struct player_flow *flow)
{
	return flow->def.kind == FDTAPE_KIND_LIBRARY && flow->bound;
}

bool flow_is_idle(const struct player_flow *flow)
{
	const struct fdtape_address *remote = &flow->def.remote;
	bool other_end = remote->family != FDTAPE_FAMILY_NONE && (remote->family != FDTAPE_FAMILY_UNIX || remote->len);

	return !flow->traffic[FDTAPE_IN].bytes && !flow->traffic[FDTAPE_OUT].bytes &&
	       (flow->def.flags & FDTAPE_FLOW_LISTENS || !other_end);
}

enum {
	PEERS_TEXT_MAX = 40
};

/* How many others its datagrams came from or went to. */
static void put_peers(char out[static PEERS_TEXT_MAX], const struct player_flow *flow)
{
	bool connected = flow->def.remote.family != FDTAPE_FAMILY_NONE;

	*out = '\0';
	if (flow->peers)
		snprintf(out, PEERS_TEXT_MAX, ", %" PRIu64 "%s peer%s", flow->peers, connected ? " more" : "",
		         flow->peers == 1 ? "" : "s");
}

/* Where the other end is; what the fd is when it is no connection. */
static void add_peer(struct table_row *row, const struct player_flow *flow)
{
	const struct fdtape_flow *def = &flow->def;
	char address[TEXT_ADDRESS_MAX], text[TEXT_ADDRESS_MAX + 32 + PEERS_TEXT_MAX];
	const char *proto = words_proto(def->proto), *remote = text_address(address, &def->remote);

	if (def->kind != FDTAPE_KIND_SOCKET) {
		char *name = text_escape_string(def->kind == FDTAPE_KIND_LIBRARY ? text_base(def->name) : def->name);

		text_cut(name, TEXT_ADDRESS_MAX);
		snprintf(text, sizeof text, "%s %.*s", words_kind(def->kind), TEXT_ADDRESS_MAX, name);
		free(name);
	} else if (def->flags & FDTAPE_FLOW_LISTENS) {
		remote = text_address(address, &def->local);
		snprintf(text, sizeof text, "listens on %s", remote ? remote : "?");
	} else if (!remote && flow->peers == 1) {
		remote = text_address(address, &flow->first_peer);
		snprintf(text, sizeof text, "%s %s", proto, remote ? remote : "?");
	} else if (!remote) {
		remote = text_address(address, &def->local);
		snprintf(text, sizeof text, "%s%s%s", proto, remote ? " of " : "", remote ? remote : "");
		put_peers(text + strlen(text), flow);
	} else {
		snprintf(text, sizeof text, "%s%s%s", def->proto == FDTAPE_PROTO_TCP ? "" : proto,
		         def->proto == FDTAPE_PROTO_TCP ? "" : " ", remote);
		put_peers(text + strlen(text), flow);
	}
	table_row_add(row, text);
}

static void put_time(FILE *out, const char *what, uint64_t wall, const char *otherwise)
{
	char text[TEXT_TIME_MAX];

	fprintf(out, "%s %s", what, wall ? text_time(text, wall) : otherwise);
}

/* From where on it was what; only where that is more than one word says. */
static void put_timeline(FILE *out, const struct tls_timeline *timeline)
{
	static const char *const words[] = {"clear", "TLS", "TLS by the kernel"};
	bool changes = false;
	char clock[TEXT_CLOCK_MAX];

	_Static_assert(sizeof words / sizeof *words == TLS_SEGMENT_KTLS + 1, "words for each kind");
	for (size_t i = 1; timeline && i < timeline->n; i++)
		changes |= timeline->segments[i].kind != timeline->segments[0].kind;
	for (size_t i = 0; changes && i < timeline->n; i++) {
		const struct tls_segment *s = &timeline->segments[i];
		const char *version = s->tls && s->depth ? tls_version_name(s->tls->version) : NULL;

		fprintf(out, "\n      %s %s%s from byte %" PRIu64 ", %s", words_dir(s->dir),
		        s->depth ? "within TLS: " : "", words[s->kind], s->offset, text_clock(clock, s->wall));
		if (s->agreed)
			fprintf(out, ", after %s", s->agreed);
		if (version)
			fprintf(out, ", %s", version);
		if (s->tls && s->depth && *s->tls->sni) {
			fputs(", sni ", out);
			cli_put_string(out, s->tls->sni);
		}
	}
}

static void put_first(FILE *out, const struct first_bytes *first)
{
	char *turns = first_bytes_turns(first);

	fprintf(out, "\n      no protocol that is known: %s", turns);
	free(turns);
	for (int dir = FDTAPE_OUT; dir >= FDTAPE_IN; dir--) {
		const struct first_side *side = &first->side[dir];
		char *text = first_bytes_text(first, (enum fdtape_dir)dir, FIRST_BYTES);

		if (side->n)
			fprintf(out, "\n      %-3s from byte %" PRIu64 ": %s%s", words_dir((uint32_t)dir), side->offset,
			        text, side->bytes > side->n ? " ..." : "");
		free(text);
	}
}

/* What --verbose adds below a row. */
static char *note_text(const struct player_flow *flow, const struct first_bytes *first)
{
	const struct tls_info *tls = &flow->tls;
	char local[TEXT_ADDRESS_MAX];
	const char *address = text_address(local, &flow->def.local);
	struct alloc_text text;
	FILE *out;

	alloc_text_begin(&text);
	out = text.out;
	put_time(out, "      opened", flow->opened, "before recording began");
	put_time(out, ", closed", flow->closed, "not seen");
	if (flow->def.kind == FDTAPE_KIND_SOCKET)
		fprintf(out, "\n      local %s", address ? address : "not known");
	if (tls->verdict != TLS_VERDICT_UNKNOWN && tls->verdict != TLS_VERDICT_CLEAR) {
		const char *cipher = tls->cipher ? tls_cipher_name(tls->cipher) : NULL;

		if (cipher)
			fprintf(out, ", %s", cipher);
		if (*tls->sni)
			fputs(", sni ", out);
		cli_put_string(out, tls->sni);
		if (*tls->alpn)
			fputs(", alpn ", out);
		cli_put_string(out, tls->alpn);
		if (tls->library) {
			fputs("\n      library ", out);
			cli_put_string(out, tls->library);
		}
	}
	put_timeline(out, flow->timeline);
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (tls->evidence & bit && tls_evidence_text(bit))
			fprintf(out, "\n      evidence: %s", tls_evidence_text(bit));
	if (flow->protocol)
		fprintf(out, "\n      protocol %s", flow->protocol);
	if (first)
		put_first(out, first);
	return alloc_text_end(&text);
}

struct table_row *flow_row(const struct player_flow *flow, bool verbose, const struct first_bytes *first)
{
	bool tls = flow->tls.verdict == TLS_VERDICT_TLS || flow->tls.verdict == TLS_VERDICT_MIXED;
	struct table_row *row = table_row_new();
	char text[WORDS_PROCESS_MAX];

	table_row_addf(row, "%" PRIu64, flow->number);
	table_row_add(row, words_process(text, flow->process));
	if (flow->def.fd >= 0)
		table_row_addf(row, "%" PRId32, flow->def.fd);
	else
		table_row_add(row, "-");
	table_row_add(row, flow->role == FDTAPE_ROLE_UNKNOWN ? "-" : words_role(flow->role));
	table_row_add(row, flow->tls.verdict == TLS_VERDICT_UNKNOWN ? "-" : words_tls(&flow->tls));
	table_row_add(row, tls ? tls_plaintext_name(flow->tls.plaintext) : "-");
	table_row_add(row, text_size(text, flow->traffic[FDTAPE_IN].bytes));
	table_row_add(row, text_size(text, flow->traffic[FDTAPE_OUT].bytes));
	table_row_add(row, text_size(text, flow_lost(flow, FDTAPE_IN) + flow_lost(flow, FDTAPE_OUT)));
	add_peer(row, flow);
	if (verbose)
		row->note = note_text(flow, first);
	return row;
}
