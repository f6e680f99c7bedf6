/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/sink_print.h"

#include <inttypes.h>
#include <time.h>

#include "cli.h"
#include "replay/address.h"

/* ---- pace ------------------------------------------------------------------------------------------------------- */

static uint64_t host_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Waits until it is time for what happened at `wall`. */
static void keep_pace(struct sink_print *print, uint64_t wall)
{
	struct timespec until;
	uint64_t at;

	if (print->speed <= 0)
		return;
	if (!print->clock_at) {
		print->clock_at = host_clock();
		print->played = wall;
	}
	if (wall <= print->played)
		return;
	at = print->clock_at + (uint64_t)((double)(wall - print->played) / print->speed);
	until.tv_sec = (time_t)(at / 1000000000);
	until.tv_nsec = (long)(at % 1000000000);
	fflush(print->out);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

static void put_time(const struct sink_print *print, uint64_t wall)
{
	uint64_t start = print->start;
	uint64_t ns = wall >= start ? wall - start : start - wall;

	fprintf(print->out, "%c%" PRIu64 ".%09" PRIu64 "  ", wall >= start ? '+' : '-', ns / 1000000000,
	        ns % 1000000000);
}

static void put_process(const struct sink_print *print, const struct player_process *process)
{
	cli_put_string(print->out, *process->comm ? process->comm : "?");
	fprintf(print->out, "[%" PRIu32 "]  ", process->pid);
}

static const char *proto_name(const struct fdtape_flow *def)
{
	static const char *const kinds[] = {"other", "socket", "file", "pipe", "library"}, *const protos[] = {
	                                                                                           "socket", "tcp",
	                                                                                           "udp", "unix"};

	if (def->kind == FDTAPE_KIND_SOCKET)
		return protos[def->proto <= FDTAPE_PROTO_UNIX ? def->proto : FDTAPE_PROTO_OTHER];
	return kinds[def->kind <= FDTAPE_KIND_LIBRARY ? def->kind : FDTAPE_KIND_OTHER];
}

static void put_address(const struct sink_print *print, const char *before, const struct fdtape_address *address)
{
	char text[ADDRESS_TEXT_MAX];

	address_text(text, address);
	if (!text[0])
		return;
	fputs(before, print->out);
	cli_put_string(print->out, text);
}

static void put_flow(const struct sink_print *print, const struct player_flow *flow)
{
	static const char *const roles[] = {"", " client", " server"};

	fprintf(print->out, "flow %" PRIu64 ": %s", flow->number, proto_name(&flow->def));
	if (flow->def.fd >= 0)
		fprintf(print->out, " fd %" PRId32, flow->def.fd);
	fputs(roles[flow->role <= FDTAPE_ROLE_SERVER ? flow->role : 0], print->out);
	if (flow->def.flags & FDTAPE_FLOW_LISTENS)
		fputs(" listening", print->out);
	put_address(print, " local ", &flow->def.local);
	put_address(print, " remote ", &flow->def.remote);
	if (*flow->def.name) {
		fputc(' ', print->out);
		cli_put_string(print->out, flow->def.name);
	}
}

static void put_traffic(const struct sink_print *print, const char *name, const struct player_traffic *traffic)
{
	fprintf(print->out, " %s %" PRIu64, name, traffic->bytes);
	if (traffic->captured < traffic->bytes)
		fprintf(print->out, " (%" PRIu64 " lost)", traffic->bytes - traffic->captured);
}

static void put_tls(const struct sink_print *print, const struct tls_info *tls)
{
	const char *version = tls_version_name(tls->version), *cipher = tls_cipher_name(tls->cipher);

	fprintf(print->out, ", %s", tls_verdict_name(tls->verdict));
	if (tls->verdict != TLS_VERDICT_TLS && tls->verdict != TLS_VERDICT_MIXED)
		return;
	if (version)
		fprintf(print->out, " %s", version);
	if (cipher)
		fprintf(print->out, " %s", cipher);
	if (tls->sni[0]) {
		fputs(" sni ", print->out);
		cli_put_string(print->out, tls->sni);
	}
	fprintf(print->out, " plaintext %s", tls_plaintext_name(tls->plaintext));
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

static int on_section(void *context, const struct player *player)
{
	struct sink_print *print = context;
	struct fdtape_section_info info;

	if (print->begun || fdtape_reader_section(player_reader(player), &info) < 0)
		return 0;
	print->begun = true;
	print->start = print->now = info.clock.realtime;
	return 0;
}

static int on_opened(void *context, struct player_flow *flow)
{
	struct sink_print *print = context;

	put_time(print, flow->opened ? flow->opened : print->now);
	put_process(print, flow->process);
	fputs(flow->opened ? "opened " : "open before ", print->out);
	put_flow(print, flow);
	fputc('\n', print->out);
	return 0;
}

static int on_closed(void *context, struct player_flow *flow)
{
	struct sink_print *print = context;

	put_time(print, flow->closed ? flow->closed : print->now);
	put_process(print, flow->process);
	fprintf(print->out, "%s flow %" PRIu64 ":", flow->closed ? "closed" : "open at the end", flow->number);
	put_traffic(print, "in", &flow->traffic[FDTAPE_IN]);
	put_traffic(print, "out", &flow->traffic[FDTAPE_OUT]);
	put_tls(print, &flow->tls);
	fputc('\n', print->out);
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	struct sink_print *print = context;
	const struct fdtape_event *event = call->event;
	const char *name = fdtape_call_name(event->call);
	char peer[ADDRESS_TEXT_MAX];

	keep_pace(print, call->wall);
	print->now = call->wall;
	put_time(print, call->wall);
	put_process(print, call->process);
	if (name)
		fputs(name, print->out);
	else
		fprintf(print->out, "call %" PRIu32, event->call);
	if (event->fd >= 0)
		fprintf(print->out, " fd %" PRId32, event->fd);
	if (call->flow)
		fprintf(print->out, " flow %" PRIu64, call->flow->number);
	if (event->bytes > 0) {
		fprintf(print->out, " %s %" PRIu64 " bytes at %" PRIu64, event->dir == FDTAPE_OUT ? "out" : "in",
		        event->bytes, event->offset);
		if (event->captured < event->bytes)
			fprintf(print->out, " (%" PRIu64 " not captured)", event->bytes - event->captured);
	}
	if (event->peer) {
		address_text(peer, event->peer);
		fputs(event->dir == FDTAPE_OUT ? " to " : " from ", print->out);
		cli_put_string(print->out, peer);
	}
	if (event->flags & FDTAPE_EVENT_PENDING)
		fputs(" pending\n", print->out);
	else
		fprintf(print->out, " = %" PRId64 "\n", event->result);
	return ferror(print->out) ? FDTAPE_ERR_SYSTEM : 0;
}

static int on_http(void *context, struct player_flow *flow, const struct http_exchange *x)
{
	struct sink_print *print = context;

	put_time(print, x->end ? x->end : x->start);
	put_process(print, flow->process);
	fprintf(print->out, "%s flow %" PRIu64 ": ", x->scheme, flow->number);
	if (x->method) {
		cli_put_string(print->out, x->method);
		fputc(' ', print->out);
		if (x->authority && x->target && x->target[0] == '/')
			cli_put_string(print->out, x->authority);
		cli_put_string(print->out, x->target ? x->target : "(not decoded)");
	} else {
		fputs(x->request.seen ? "request not decoded" : "request not seen", print->out);
	}
	if (x->request.body_bytes > 0)
		fprintf(print->out, " (%" PRIu64 " bytes)", x->request.body_bytes);
	if (x->status)
		fprintf(print->out, " -> %d (%" PRIu64 " bytes)", x->status, x->response.body_bytes);
	else
		fputs(" -> no response", print->out);
	if (!x->complete)
		fputs(", incomplete", print->out);
	fputc('\n', print->out);
	return 0;
}

static int on_item(void *context, const struct fdtape_item *item)
{
	struct sink_print *print = context;
	const char *reason;

	if (item->type != FDTAPE_ITEM_LOSS)
		return 0;
	reason = fdtape_loss_name(item->loss.reason);
	put_time(print, print->now);
	fprintf(print->out, "lost: %s, %" PRIu64 " times, %" PRIu64 " bytes\n", reason ? reason : "unknown reason",
	        item->loss.count, item->loss.bytes);
	return 0;
}

static int on_damage(void *context, int error, const char *message)
{
	struct sink_print *print = context;

	(void)error;
	if (print->warn)
		print->warn(message);
	return 0;
}

void sink_print_init(struct sink_print *print, FILE *out, double speed, struct player_sink *sink)
{
	*print = (struct sink_print){.out = out, .speed = speed};
	sink->context = print;
	sink->section = on_section;
	sink->flow_opened = on_opened;
	sink->flow_closed = on_closed;
	sink->call = on_call;
	sink->http = on_http;
	sink->item = on_item;
	sink->damage = on_damage;
}
