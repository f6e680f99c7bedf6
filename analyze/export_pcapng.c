/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyze/alloc.h"
#include "analyze/envelope.h"
#include "analyze/keylog.h"
#include "analyze/pcapng.h"
#include "analyze/plan.h"
#include "analyze/say.h"
#include "analyze/spool.h"
#include "analyze/tcp.h"
#include "analyze/text.h"
#include "analyze/words.h"

/*
 * Theory of operation
 *
 * The first pass decides how each flow is shown (plan.c); the second, below, writes packets as the player plays. A
 * call's bytes become segments at the time at which the call ended. Packets are not sorted: the player's order is that
 * of time but for calls that overlap, and a packet that would go back in time takes the time of the one before it
 * (pcapng.c). So memory is bounded by the number of flows, whatever the length of the tape.
 */

/* A flow that is being written: player_flow.user. */
struct conversation {
	const struct planned *plan;
	const struct player_flow *flow;
	struct tcp tcp;
	uint32_t interface;
	bool announced;            /* its first packet, with the comment on how it is shown, was written */
	bool keyed;                /* its secrets are in the file */
	struct envelope *envelope; /* RENDER_ENVELOPE, once it is open */
	char comment[WORDS_PROCESS_MAX + 512];
};

struct capture {
	struct play play;
	struct plan plan;
	struct pcapng file;
	uint64_t flows;   /* written */
	uint64_t no_peer; /* datagrams that were not, because it is not known who sent or got them */
};

/* ---- the first pass --------------------------------------------------------------------------------------------- */

static int on_planned_flow(void *context, struct player_flow *flow)
{
	struct capture *view = context;

	plan_flow_opened(&view->plan, flow);
	return 0;
}

static int on_planned_piece(void *context, struct player_flow *flow, enum fdtape_dir dir,
                            const struct player_piece *piece)
{
	struct capture *view = context;

	plan_piece(&view->plan, flow, dir, piece);
	return 0;
}

static int on_planned_close(void *context, struct player_flow *flow)
{
	struct capture *view = context;

	plan_flow_closed(&view->plan, flow);
	return 0;
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

static void put_packet(struct capture *view, struct conversation *c, enum fdtape_dir dir, uint64_t time,
                       const uint8_t *head, size_t head_len, const uint8_t *data, size_t data_len)
{
	struct pcapng_packet packet = {
	        .interface = c->interface,
	        .time = time,
	        .direction = dir == FDTAPE_OUT ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
	        .comments = {c->comment, c->announced ? NULL : rendering_text(c->plan->rendering)},
	        .head = head,
	        .head_len = head_len,
	        .data = data,
	        .data_len = data_len,
	};

	view->flows += !c->announced;
	c->announced = true;
	pcapng_packet(&view->file, &packet);
}

static void put_segments(struct capture *view, struct conversation *c, enum fdtape_dir dir, uint64_t time,
                         uint64_t offset, const uint8_t *data, uint64_t len)
{
	uint8_t head[PACKET_HEAD_MAX];

	while (len) {
		size_t n = len < PACKET_TCP_DATA_MAX ? (size_t)len : PACKET_TCP_DATA_MAX;
		size_t head_len = tcp_data(&c->tcp, dir, offset, data, n, head);

		put_packet(view, c, dir, time, head, head_len, data, n);
		offset += n;
		data += n;
		len -= n;
	}
}

static void put_datagram(struct capture *view, struct conversation *c, enum fdtape_dir dir,
                         const struct player_piece *piece)
{
	struct packet_path path = tcp_path(&c->tcp, dir);
	size_t n = piece->len < PACKET_UDP_DATA_MAX ? (size_t)piece->len : PACKET_UDP_DATA_MAX;
	uint8_t head[PACKET_HEAD_MAX];

	if (piece->peer ? !plan_path(&path, &c->flow->def.local, piece->peer, dir) : !c->plan->connected) {
		view->no_peer++;
		return;
	}
	put_packet(view, c, dir, piece->wall, head, packet_udp(head, &path, piece->data, n), piece->data, n);
}

/* ---- opening a connection --------------------------------------------------------------------------------------- */

/* Direction of what the client (the server) sends. */
static enum fdtape_dir dir_of(const struct conversation *c, enum envelope_side side)
{
	return (side == ENVELOPE_CLIENT) == c->plan->local_is_client ? FDTAPE_OUT : FDTAPE_IN;
}

static enum envelope_side side_of(const struct conversation *c, enum fdtape_dir dir)
{
	return dir_of(c, ENVELOPE_CLIENT) == dir ? ENVELOPE_CLIENT : ENVELOPE_SERVER;
}

static void put_syn(struct capture *view, struct conversation *c, enum envelope_side side, uint64_t time)
{
	enum fdtape_dir dir = dir_of(c, side);
	uint8_t head[PACKET_HEAD_MAX];

	if (!c->plan->handshake || c->tcp.opened[dir])
		return;
	put_packet(view, c, dir, time, head, tcp_syn(&c->tcp, dir, head), NULL, 0);
}

/* The rest of the handshake: the client's SYN is on its way. */
static void put_established(struct capture *view, struct conversation *c, uint64_t time)
{
	enum fdtape_dir dir = dir_of(c, ENVELOPE_CLIENT);
	uint8_t head[PACKET_HEAD_MAX];

	if (!c->plan->handshake || c->tcp.opened[dir_of(c, ENVELOPE_SERVER)])
		return;
	put_syn(view, c, ENVELOPE_SERVER, time);
	put_packet(view, c, dir, time, head, tcp_ack(&c->tcp, dir, head), NULL, 0);
}

static void put_keys(struct capture *view, const char *lines)
{
	pcapng_secrets(&view->file, lines, strlen(lines));
}

/* The synthetic session. Its name is what no other connection has, so that its random numbers are unique. */
static void open_envelope(struct capture *view, struct conversation *c, uint64_t time)
{
	char name[2 * TEXT_ADDRESS_MAX + 64], local[TEXT_ADDRESS_MAX], remote[TEXT_ADDRESS_MAX];
	struct tls_key key;
	char *lines;

	c->envelope = alloc_new(1, sizeof *c->envelope);
	snprintf(name, sizeof name, "%s %s %" PRIu64 " %" PRIu64, text_address(local, &c->flow->def.local),
	         text_address(remote, &c->flow->def.remote), c->plan->opened, c->plan->number);
	envelope_init(c->envelope, name, c->plan->sni, c->plan->alpn);
	key = envelope_key(c->envelope);
	lines = keylog_text(&key, 1);
	put_keys(view, lines);
	free(lines);
	for (unsigned i = 0; i < ENVELOPE_FLIGHTS; i++) {
		enum fdtape_dir dir = dir_of(c, i % 2 ? ENVELOPE_SERVER : ENVELOPE_CLIENT);
		size_t len;
		const uint8_t *flight = envelope_flight(c->envelope, i, &len);

		put_segments(view, c, dir, time, c->tcp.next[dir], flight, len);
	}
}

/* What must stand before a connection's first bytes. */
static void open_connection(struct capture *view, struct conversation *c, uint64_t time)
{
	if (c->plan->keys && !c->keyed)
		put_keys(view, c->plan->keys);
	c->keyed = true;
	put_syn(view, c, ENVELOPE_CLIENT, time);
	put_established(view, c, time);
	if (c->plan->rendering == RENDER_ENVELOPE && !c->envelope)
		open_envelope(view, c, time);
}

/* ---- the second pass -------------------------------------------------------------------------------------------- */

static void describe(struct capture *view, struct conversation *c)
{
	const struct player_process *process = c->flow->process;
	char name[WORDS_PROCESS_MAX], *exe = text_escape_string(process->exe);

	text_cut(exe, 400);
	words_process(name, process);
	snprintf(c->comment, sizeof c->comment, "pid=%" PRIu32 " exe=%.400s fd=%" PRId32 " flow=%" PRIu64, process->pid,
	         exe, c->flow->def.fd, c->flow->number);
	c->interface = pcapng_interface(&view->file, name, *exe ? exe : NULL);
	free(exe);
}

static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct capture *view = context;
	const struct planned *plan = plan_find(&view->plan, flow->number);
	struct conversation *c;

	if (!plan)
		return 0;
	c = alloc_new(1, sizeof *c);
	c->plan = plan;
	c->flow = flow;
	c->tcp = (struct tcp){.ipv6 = plan->ipv6, .local = plan->local, .remote = plan->remote};
	flow->user = c;
	describe(view, c);
	/* accept() returned: the handshake is over. */
	if (!plan->udp && !plan->local_is_client && plan->opened) {
		put_syn(view, c, ENVELOPE_CLIENT, plan->opened);
		put_established(view, c, plan->opened);
	}
	return 0;
}

static int on_call(void *context, const struct player_call *call)
{
	const struct fdtape_event *e = call->event;
	struct conversation *c = call->flow ? call->flow->user : NULL;
	bool in_progress = e->result == -115; /* Linux's EINPROGRESS */

	if (!c || e->call != FDTAPE_CALL_CONNECT || c->plan->udp || !c->plan->local_is_client ||
	    (e->result != 0 && !in_progress))
		return 0;
	put_syn(context, c, ENVELOPE_CLIENT, call->wall);
	if (!in_progress)
		put_established(context, c, call->wall + e->duration);
	return 0;
}

static int on_wire(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct conversation *c = flow->user;

	if (!c || !piece->data)
		return 0;
	switch (c->plan->rendering) {
	case RENDER_DATAGRAMS:
		put_datagram(context, c, dir, piece);
		break;
	case RENDER_CLEAR:
	case RENDER_SEALED:
	case RENDER_KEYS:
		open_connection(context, c, piece->wall);
		put_segments(context, c, dir, piece->wall, piece->offset, piece->data, piece->len);
		break;
	case RENDER_NOTHING:
	case RENDER_PLAIN:
	case RENDER_ENVELOPE:
		break;
	}
	return 0;
}

/* Records of at most 16 KiB, one segment each. Those that a hole swallowed have no number for their MAC: Wireshark
 * counts the records that it sees. */
static void put_records(struct capture *view, struct conversation *c, enum fdtape_dir dir,
                        const struct player_piece *piece)
{
	size_t len;

	for (uint64_t done = 0; done < piece->len; done += len) {
		const uint8_t *record;
		size_t record_len;

		len = piece->len - done < ENVELOPE_DATA_MAX ? (size_t)(piece->len - done) : ENVELOPE_DATA_MAX;
		record = envelope_record(c->envelope, side_of(c, dir), piece->data + done, len, &record_len);
		put_segments(view, c, dir, piece->wall, c->tcp.next[dir], record, record_len);
	}
}

static int on_plain(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct conversation *c = flow->user;

	if (!c || (c->plan->rendering != RENDER_PLAIN && c->plan->rendering != RENDER_ENVELOPE))
		return 0;
	open_connection(context, c, piece->wall);
	/* A hole is a gap of the sequence numbers; of a byte at least when its length is not known. */
	if (!piece->data)
		c->tcp.next[dir] += piece->len ? piece->len : 1;
	else if (c->plan->rendering == RENDER_ENVELOPE)
		put_records(context, c, dir, piece);
	else
		put_segments(context, c, dir, piece->wall, c->tcp.next[dir], piece->data, piece->len);
	return 0;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct conversation *c = flow->user;

	(void)context;
	if (c)
		free(c->envelope);
	free(c);
	return 0;
}

static void put_report(const struct capture *view)
{
	const struct plan *plan = &view->plan;

	fflush(view->play.options->out);
	say("%" PRIu64 " flow%s written", view->flows, view->flows == 1 ? "" : "s");
	if (plan->twins)
		say("%" PRIu64 " left out: other ends, or other descriptors, of connections that were written",
		    plan->twins);
	if (plan->no_ip)
		say("%" PRIu64 " left out: neither TCP nor UDP", plan->no_ip);
	if (view->no_peer)
		say("%" PRIu64 " datagram%s left out: it is not known who sent or got %s", view->no_peer,
		    view->no_peer == 1 ? "" : "s", view->no_peer == 1 ? "it" : "them");
	if (plan->no_address)
		say("%" PRIu64 " left out: addresses not known", plan->no_address);
}

int export_pcapng(struct options *options)
{
	struct capture view = {.plan = {.wire = options->wire}};
	const struct player_sink first = {
	        .flow_opened = on_planned_flow,
	        .flow_closed = on_planned_close,
	        .plain = on_planned_piece,
	};
	const struct player_sink second = {
	        .flow_opened = on_flow_opened,
	        .flow_closed = on_flow_closed,
	        .call = on_call,
	        .wire = on_wire,
	        .plain = on_plain,
	};
	struct spool spool;
	int status;

	if (options->terminal)
		say_and_exit(CLI_USAGE, "a capture file does not go to a terminal; use -o FILE, or a pipe");
	spool_open(&spool, &options->inputs);
	status = play(&view.play, options, &first);
	if (view.play.failed)
		goto out;
	plan_finish(&view.plan);
	spool_rewind(&spool);
	view.play.again = true;
	pcapng_start(&view.file, options->out, TOOL " " CLI_VERSION);
	status = play(&view.play, options, &second);
	pcapng_end(&view.file);
	put_report(&view);
	play_note(&view.play);
out:
	plan_release(&view.plan);
	spool_release(&spool);
	return status;
}
