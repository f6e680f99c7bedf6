/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings by what TLS shows: versions, alerts as far as they can be read, and ports that speak otherwise. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/doctor_state.h"
#include "analyze/flow_row.h"
#include "analyze/text.h"

enum { /* RFC 8446, section 5.1; the versions before have the same outer form */
	CHANGE_CIPHER_SPEC = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	APPLICATION_DATA = 23,
	ALERT_BYTES = 2, /* one that is encrypted has more */
	TLS12 = 0x0303,
};

/* A server's end that was spoken to. */
struct doctor_port {
	struct fdtape_address address;
	uint64_t tls_flow;           /* the first that spoke TLS there from the beginning; 0: none */
	struct doctor_subject clear; /* the first that did not, and got no good answer */
	uint64_t clear_flows, clear_at;
};

/* RFC 8446, section 6; RFC 5246, section 7.2. */
static const struct alert {
	uint8_t description;
	const char *name;
	const char *advice; /* NULL: the general one */
} alerts[] = {
        {10, "unexpected_message", NULL},
        {20, "bad_record_mac", "The data was changed on the way, or one end has the wrong keys."},
        {22, "record_overflow", NULL},
        {40, "handshake_failure",
         "No cipher suite, group or signature algorithm is common to both ends: compare what each allows with the "
         "certificate's key type."},
        {42, "bad_certificate", "The certificate is damaged or its signature is wrong."},
        {43, "unsupported_certificate", "Use a certificate with a key type that the other end supports."},
        {44, "certificate_revoked", "Replace the certificate: it was revoked."},
        {45, "certificate_expired", "Renew the certificate, or set the clock of the end that rejects it."},
        {46, "certificate_unknown", "The certificate was rejected: see the log of the end that sent the alert."},
        {47, "illegal_parameter", NULL},
        {48, "unknown_ca",
         "Give the end that sent the alert the CA of the other's certificate, and have the server send its "
         "intermediate "
         "certificates."},
        {49, "access_denied", "The certificate is valid, but its owner has no access."},
        {50, "decode_error", NULL},
        {51, "decrypt_error", "A signature or a pre-shared key did not match."},
        {70, "protocol_version", "Allow a TLS version that both ends have."},
        {71, "insufficient_security", "The server demands stronger ciphers than the client offers."},
        {80, "internal_error", "See the log of the end that sent the alert."},
        {86, "inappropriate_fallback", "Do not retry with an older TLS version."},
        {109, "missing_extension", NULL},
        {110, "unsupported_extension", NULL},
        {112, "unrecognized_name", "The server has no certificate for that name (SNI): check the name or its hosts."},
        {113, "bad_certificate_status_response", NULL},
        {115, "unknown_psk_identity", "Give both ends the same pre-shared key."},
        {116, "certificate_required", "Give the client a certificate: the server demands one."},
        {120, "no_application_protocol", "Allow a protocol (ALPN) that both ends have."},
};

static const struct alert *alert_of(uint8_t description)
{
	for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
		if (alerts[i].description == description)
			return &alerts[i];
	return NULL;
}

const char *doctor_alert_name(uint8_t description)
{
	const struct alert *alert = alert_of(description);

	return alert ? alert->name : "unknown";
}

void doctor_take_head(const struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct doctor_head *head = &((struct doctor_flow *)flow->user)->head[dir];
	size_t room = sizeof head->bytes - head->n;

	head->begun = true;
	if (flow->def.flags & FDTAPE_FLOW_PREOPENED || !piece->data || piece->offset != head->n)
		return;
	if (!head->n)
		head->wall = piece->wall;
	room = piece->len < room ? (size_t)piece->len : room;
	memcpy(head->bytes + head->n, piece->data, room);
	head->n += (unsigned)room;
}

/* As far as one byte tells. */
static bool begins_with_record(const struct doctor_head *head)
{
	return head->n && head->bytes[0] >= CHANGE_CIPHER_SPEC && head->bytes[0] <= APPLICATION_DATA;
}

bool doctor_is_handshake(const struct doctor_head *head)
{
	return head->n && head->bytes[0] == HANDSHAKE;
}

bool doctor_is_tls_data(uint8_t first)
{
	return first == APPLICATION_DATA;
}

static bool begins_otherwise(const struct doctor_head *head)
{
	return head->n && !begins_with_record(head);
}

/* One that is not encrypted. */
static bool begins_with_alert(const struct doctor_head *head)
{
	const uint8_t *b = head->bytes;

	return head->n == sizeof head->bytes && b[0] == ALERT && b[1] == 3 && b[3] == 0 && b[4] == ALERT_BYTES;
}

/* ---- flows ------------------------------------------------------------------------------------------------------ */

/* " for the name example.com" */
static char *name_text(const struct tls_info *tls)
{
	char *sni = text_escape_string(tls->sni);
	struct alloc_text text;

	alloc_text_begin(&text);
	if (*sni)
		fprintf(text.out, " for the name %s", sni);
	free(sni);
	return alloc_text_end(&text);
}

static void tell_alert(struct doctor *d, const struct player_flow *flow)
{
	const struct tls_alert *a = &flow->tls.alert;
	const char *version = flow->tls.version ? tls_version_name(flow->tls.version) : NULL;
	const struct alert *alert = alert_of(a->description);
	char address[TEXT_ADDRESS_MAX], *name = name_text(&flow->tls);
	const char *peer = text_address(address, &flow->def.remote);
	struct doctor_finding *finding;

	finding =
	        doctor_add(d, DOCTOR_TLS_ALERT, flow, NULL, a->wall, "%s sent the alert %s (%u)%s%s%s%s%s",
	                   a->dir == FDTAPE_OUT ? "this program" : "the peer", doctor_alert_name(a->description),
	                   a->description, a->dir == FDTAPE_OUT && peer ? " to " : "",
	                   a->dir == FDTAPE_OUT && peer ? peer : "", name, version ? ", " : "", version ? version : "");
	if (finding && alert && alert->advice)
		finding->advice = alert->advice;
	free(name);
}

/* The end of it that the server has. NULL: who is the server is not known. */
static const struct fdtape_address *server_of(const struct player_flow *flow)
{
	if (flow->def.proto != FDTAPE_PROTO_TCP || flow->role == FDTAPE_ROLE_UNKNOWN)
		return NULL;
	return flow->role == FDTAPE_ROLE_CLIENT ? &flow->def.remote : &flow->def.local;
}

/* IANA's "over TLS" alone. */
static bool is_tls_port(uint16_t port)
{
	static const uint16_t ports[] = {443, 465, 563,  636,  853,  989,  990, 992,
	                                 993, 995, 5061, 5671, 6514, 6697, 8883};

	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* NULL: there are too many. */
static struct doctor_port *port_of(struct doctor *d, const struct fdtape_address *address)
{
	struct doctor_port *port;

	for (size_t i = 0; i < d->n_ports; i++)
		if (doctor_same_address(&d->ports[i].address, address))
			return &d->ports[i];
	if (d->n_ports == DOCTOR_ENTRIES)
		return NULL;
	if (!d->ports)
		d->ports = alloc_new(DOCTOR_ENTRIES, sizeof *d->ports);
	port = &d->ports[d->n_ports++];
	port->address = *address;
	return port;
}

/* Notes what was spoken at the server's end. */
static void judge_port(struct doctor *d, const struct player_flow *flow, enum fdtape_dir asks)
{
	const struct doctor_flow *f = flow->user;
	bool tls = flow->tls.verdict == TLS_VERDICT_TLS && flow->tls.evidence & TLS_EVIDENCE_SERVER_HELLO;
	bool clear = begins_otherwise(&f->head[asks]) && !f->answered &&
	             (f->turned_down || !flow->traffic[!asks].bytes) && !flow_lost(flow, !asks);
	struct doctor_port *port = tls || clear ? port_of(d, server_of(flow)) : NULL;

	if (!port)
		return;
	if (tls && !port->tls_flow)
		port->tls_flow = flow->number;
	if (clear && !port->clear_flows++) {
		doctor_subject_set(&port->clear, flow, NULL);
		port->clear_at = flow->opened;
	}
}

/* Those that know who asks. */
static void judge_ends(struct doctor *d, const struct player_flow *flow)
{
	const struct doctor_flow *f = flow->user;
	enum fdtape_dir asks = flow->role == FDTAPE_ROLE_CLIENT ? FDTAPE_OUT : FDTAPE_IN;
	const struct doctor_head *question = &f->head[asks], *answer = &f->head[!asks];
	bool hello = question->n && question->bytes[0] == HANDSHAKE && flow->tls.evidence & TLS_EVIDENCE_CLIENT_HELLO &&
	             !(flow->tls.evidence & TLS_EVIDENCE_SERVER_HELLO);
	char address[TEXT_ADDRESS_MAX], *name = name_text(&flow->tls);
	const char *server = text_address(address, server_of(flow));

	if (hello && begins_otherwise(answer))
		doctor_add(d, DOCTOR_TLS_TO_CLEAR, flow, NULL, flow->opened,
		           "a ClientHello%s went to %s, whose answer is not TLS: its first byte is 0x%02x", name,
		           server ? server : "?", answer->bytes[0]);
	else if (hello && !answer->begun && flow->closed && !f->shared && !flow->traffic[!asks].bytes)
		doctor_add(d, DOCTOR_TLS_HANDSHAKE, flow, NULL, flow->closed,
		           "the connection with %s ended without a byte in answer to the ClientHello%s",
		           server ? server : "?", name);
	else if (begins_otherwise(question) && begins_with_alert(answer))
		doctor_add(d, DOCTOR_CLEAR_TO_TLS, flow, NULL, answer->wall,
		           "what went to %s is not TLS (its first byte is 0x%02x), and was answered with a TLS alert",
		           server ? server : "?", question->bytes[0]);
	else
		judge_port(d, flow, asks);
	free(name);
}

void doctor_judge_tls(struct doctor *d, const struct player_flow *flow)
{
	const struct doctor_flow *f = flow->user;
	const struct tls_info *tls = &flow->tls;
	const char *version = tls->version ? tls_version_name(tls->version) : NULL;

	if (version && tls->version < TLS12)
		doctor_add(d, DOCTOR_TLS_OLD_VERSION, flow, NULL, flow->opened, "the two ends agreed on %s", version);
	/* One that answers what is not TLS is another finding. */
	if (tls->alert.wall && !(begins_with_alert(&f->head[FDTAPE_IN]) && begins_otherwise(&f->head[FDTAPE_OUT])) &&
	    !(begins_with_alert(&f->head[FDTAPE_OUT]) && begins_otherwise(&f->head[FDTAPE_IN])))
		tell_alert(d, flow);
	if (server_of(flow))
		judge_ends(d, flow);
}

void doctor_finish_tls(struct doctor *d)
{
	char address[TEXT_ADDRESS_MAX], others[64] = "";

	for (size_t i = 0; i < d->n_ports; i++) {
		struct doctor_port *p = &d->ports[i];
		const char *server = text_address(address, &p->address);

		if (p->clear_flows > 1)
			snprintf(others, sizeof others, " (so did %" PRIu64 " more flows)", p->clear_flows - 1);
		if (p->clear_flows && p->tls_flow)
			doctor_add_about(d, DOCTOR_CLEAR_TO_TLS, &p->clear, p->clear_at,
			                 "it spoke without TLS to %s%s and got no good answer; flow %" PRIu64
			                 " spoke TLS there",
			                 server ? server : "?", others, p->tls_flow);
		else if (p->clear_flows && is_tls_port(p->address.port))
			doctor_add_about(
			        d, DOCTOR_CLEAR_TO_TLS, &p->clear, p->clear_at,
			        "it spoke without TLS to %s%s and got no good answer; port %u is assigned to TLS",
			        server ? server : "?", others, p->address.port);
		doctor_subject_release(&p->clear);
		others[0] = '\0';
	}
	free(d->ports);
}
