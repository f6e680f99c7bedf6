/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/sink_transcript.h"

#include <inttypes.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "cli.h"

/* What is kept of a flow until it is closed. */
struct transcript_flow {
	uint64_t ordinal;
	struct transcript_plain {
		EVP_MD_CTX *hash;
		uint64_t bytes;
		bool hole;
	} plain[2];
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void put_word(FILE *out, const char *before, const char *word)
{
	fputs(before, out);
	cli_put_string(out, *word ? word : "-");
}

struct transcript_process {
	uint64_t ordinal;
	char comm[64]; /* as told */
};

/* The number of the process, which is told when it comes up first, and when it has become another program. */
static int process_ordinal(struct sink_transcript *t, const struct player_process *process, uint64_t *ordinal)
{
	struct transcript_process *known = map_get(&t->processes, process->pid);
	char comm[sizeof known->comm];

	snprintf(comm, sizeof comm, "%s", process->comm);
	if (!known) {
		known = calloc(1, sizeof *known);
		if (!known || !map_put(&t->processes, process->pid, known)) {
			free(known);
			return FDTAPE_ERR_MEMORY;
		}
		known->ordinal = ++t->n_processes;
	}
	*ordinal = known->ordinal;
	if (known->comm[0] == '\0' || strcmp(known->comm, comm) != 0) {
		snprintf(known->comm, sizeof known->comm, "%s", comm[0] ? comm : "?");
		fprintf(t->out, "process %" PRIu64, known->ordinal);
		put_word(t->out, " ", known->comm);
		fputc('\n', t->out);
	}
	return 0;
}

static int on_process(void *context, const struct player_process *process, uint64_t wall)
{
	uint64_t ordinal;

	(void)wall;
	return process_ordinal(context, process, &ordinal);
}

static int on_opened(void *context, struct player_flow *flow)
{
	static const char *const kinds[] = {"other", "socket", "file", "pipe", "library"}, *const protos[] = {
	                                                                                           "other", "tcp",
	                                                                                           "udp", "unix"};
	struct sink_transcript *t = context;
	struct transcript_flow *own = calloc(1, sizeof *own);
	uint64_t process;

	if (!own)
		return FDTAPE_ERR_MEMORY;
	flow->user = own;
	if (process_ordinal(t, flow->process, &process) < 0)
		return FDTAPE_ERR_MEMORY;
	own->ordinal = ++t->n_flows;
	fprintf(t->out, "flow %" PRIu64 " process %" PRIu64 " %s", own->ordinal, process,
	        kinds[flow->def.kind <= FDTAPE_KIND_LIBRARY ? flow->def.kind : 0]);
	if (flow->def.kind == FDTAPE_KIND_SOCKET)
		fprintf(t->out, " %s fd %" PRId32, protos[flow->def.proto <= FDTAPE_PROTO_UNIX ? flow->def.proto : 0],
		        flow->def.fd);
	else if (flow->def.kind == FDTAPE_KIND_LIBRARY)
		put_word(t->out, " ", base_name(flow->def.name));
	if (flow->def.flags & FDTAPE_FLOW_PREOPENED)
		fputs(" preopened", t->out);
	if (flow->def.flags & FDTAPE_FLOW_LISTENS)
		fputs(" listens", t->out);
	fputc('\n', t->out);
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	struct sink_transcript *t = context;
	const struct fdtape_event *event = call->event;
	const struct transcript_flow *own = call->flow ? call->flow->user : NULL;
	const char *name = fdtape_call_name(event->call);
	uint64_t process;

	if (process_ordinal(t, call->process, &process) < 0)
		return FDTAPE_ERR_MEMORY;
	if (own)
		fprintf(t->out, "call flow %" PRIu64 " ", own->ordinal);
	else
		fprintf(t->out, "call process %" PRIu64 " ", process);
	if (name)
		fputs(name, t->out);
	else
		fprintf(t->out, "%" PRIu32, event->call);
	if (event->bytes > 0)
		fprintf(t->out, " %s %" PRIu64 "+%" PRIu64 " captured %" PRIu64,
		        event->dir == FDTAPE_OUT ? "out" : "in", event->offset, event->bytes, event->captured);
	if (call->peer)
		fprintf(t->out, " peer %" PRIu64, call->peer);
	if (event->flags & FDTAPE_EVENT_PENDING)
		fputs(" pending\n", t->out);
	else if (event->call == FDTAPE_CALL_FORK) /* the result is a pid */
		fputc('\n', t->out);
	else
		fprintf(t->out, " = %" PRId64 "\n", event->result);
	return ferror(t->out) ? FDTAPE_ERR_SYSTEM : 0;
}

static int on_plain(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct transcript_flow *own = flow->user;
	struct transcript_plain *plain = &own->plain[dir];

	(void)context;
	if (!piece->data) {
		plain->hole = true;
		return 0;
	}
	if (!plain->hash) {
		plain->hash = EVP_MD_CTX_new();
		if (!plain->hash || EVP_DigestInit_ex(plain->hash, EVP_sha256(), NULL) <= 0)
			return FDTAPE_ERR_MEMORY;
	}
	plain->bytes += piece->len;
	return EVP_DigestUpdate(plain->hash, piece->data, piece->len) > 0 ? 0 : FDTAPE_ERR_MEMORY;
}

static void put_hash(FILE *out, const uint8_t hash[static 32])
{
	for (int i = 0; i < 32; i++)
		fprintf(out, "%02x", hash[i]);
}

static void put_message(FILE *out, const char *what, const struct http_message *message)
{
	fprintf(out, " %s", what);
	if (!message->seen) {
		fputs(" -", out);
		return;
	}
	fprintf(out, " %" PRIu64 " ", message->body_bytes);
	if (message->body_whole)
		put_hash(out, message->body_sha256);
	else
		fputs("hole", out);
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *x)
{
	const struct transcript_flow *own = flow->user;
	struct sink_transcript *t = context;

	fprintf(t->out, "http flow %" PRIu64 " %s", own->ordinal, x->scheme);
	put_word(t->out, " ", x->version ? x->version : "");
	put_word(t->out, " ", x->method ? x->method : "");
	put_word(t->out, " ", x->target ? x->target : "");
	put_message(t->out, "request", &x->request);
	fprintf(t->out, " status %d", x->status);
	put_message(t->out, "response", &x->response);
	fputs(x->complete ? " complete\n" : " incomplete\n", t->out);
	return 0;
}

static void put_tls(FILE *out, const struct player_flow *flow, uint64_t ordinal)
{
	const struct tls_info *tls = &flow->tls;
	const char *version = tls_version_name(tls->version), *cipher = tls_cipher_name(tls->cipher);

	fprintf(out, "tls flow %" PRIu64 " %s", ordinal, tls_verdict_name(tls->verdict));
	if (tls->verdict == TLS_VERDICT_TLS || tls->verdict == TLS_VERDICT_MIXED) {
		fprintf(out, " %s %s", version ? version : "-", cipher ? cipher : "-");
		put_word(out, " sni ", tls->sni);
		put_word(out, " alpn ", tls->alpn);
		put_word(out, " library ", tls->library ? base_name(tls->library) : "");
		fprintf(out, " plaintext %s keys %zu %s", tls_plaintext_name(tls->plaintext), tls->n_keys,
		        tls->whole ? "whole" : "parts");
		for (int dir = 0; dir < 2; dir++)
			fprintf(out, " %s %" PRIu64 "/%" PRIu64, dir == FDTAPE_OUT ? "out" : "in", tls->decrypted[dir],
			        tls->records[dir]);
	}
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (tls->evidence & bit && tls_evidence_name(bit))
			fprintf(out, " %s", tls_evidence_name(bit));
	fputc('\n', out);
}

static int on_closed(void *context, struct player_flow *flow)
{
	static const char *const roles[] = {"", " client", " server"};
	struct sink_transcript *t = context;
	struct transcript_flow *own = flow->user;
	uint8_t hash[32];

	if (flow->def.kind == FDTAPE_KIND_SOCKET && !(flow->def.flags & FDTAPE_FLOW_LISTENS))
		put_tls(t->out, flow, own->ordinal);
	for (int dir = 0; dir < 2; dir++) {
		const struct player_traffic *traffic = &flow->traffic[dir];
		struct transcript_plain *plain = &own->plain[dir];

		fprintf(t->out, "%s flow %" PRIu64 " %" PRIu64 " captured %" PRIu64 " plaintext %" PRIu64,
		        dir == FDTAPE_OUT ? "out" : "in", own->ordinal, traffic->bytes, traffic->captured,
		        traffic->plaintext);
		if (plain->hash && EVP_DigestFinal_ex(plain->hash, hash, NULL) > 0) {
			fprintf(t->out, " meant %" PRIu64 " ", plain->bytes);
			put_hash(t->out, hash);
		}
		fputs(plain->hole ? " hole\n" : "\n", t->out);
		EVP_MD_CTX_free(plain->hash);
	}
	fprintf(t->out, "%s flow %" PRIu64 "%s\n", flow->closed ? "closed" : "open", own->ordinal,
	        roles[flow->role <= FDTAPE_ROLE_SERVER ? flow->role : FDTAPE_ROLE_UNKNOWN]);
	free(own);
	flow->user = NULL;
	return 0;
}

static int on_item(void *context, const struct fdtape_item *item)
{
	struct sink_transcript *t = context;
	const char *reason;

	switch (item->type) {
	case FDTAPE_ITEM_SECTION:
		fputs("section\n", t->out);
		break;
	case FDTAPE_ITEM_END:
		fputs("end\n", t->out);
		break;
	case FDTAPE_ITEM_LOSS:
		reason = fdtape_loss_name(item->loss.reason);
		fprintf(t->out, "loss %s, %" PRIu64 " times, %" PRIu64 " bytes\n", reason ? reason : "unknown",
		        item->loss.count, item->loss.bytes);
		break;
	default:
		break;
	}
	return 0;
}

static int on_damage(void *context, int error, const char *message)
{
	struct sink_transcript *t = context;

	if (t->warn)
		t->warn(message); /* it names files and offsets: nothing for the transcript */
	fprintf(t->out, "damage %s\n", fdtape_strerror(error));
	return 0;
}

void sink_transcript_init(struct sink_transcript *transcript, FILE *out, struct player_sink *sink)
{
	*transcript = (struct sink_transcript){.out = out};
	fputs("fdtape transcript 1\n", out);
	sink->context = transcript;
	sink->process = on_process;
	sink->flow_opened = on_opened;
	sink->flow_closed = on_closed;
	sink->call = on_call;
	sink->plain = on_plain;
	sink->http = on_http;
	sink->http_digests = true;
	sink->item = on_item;
	sink->damage = on_damage;
}

void sink_transcript_release(struct sink_transcript *transcript)
{
	map_free(&transcript->processes);
}
