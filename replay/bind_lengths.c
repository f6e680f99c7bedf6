/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * With memory BIOs (node, asyncio) no system call lies within the library's, and without secrets nothing can be proved.
 * What is left are lengths and times:
 *
 * - A write of n bytes makes records of n bytes in all, each as long as can be, plus what the suite adds. They are
 *   carried after the write returned.
 * - Reads never reach across records: one or more of them take all of one, after it was carried.
 * - The object was there before the first byte that it protects was carried.
 *
 * An object and a flow *fit* when all of the object's calls so far, in both directions, are explained by the flow's
 * records in their order, and all that the flow sent by the object's writes. They are bound only if neither fits, or may
 * fit, another one. Whatever can't be judged (a hole, a suite with padding, a handshake whose records don't show where
 * it ends) may fit everything, and so keeps others from being bound: of two hundred connections that look the same, none
 * is.
 *
 * That is no proof, and the evidence says so: "lengths".
 */
#include <string.h>

#include "replay/player_state.h"

enum {
	PLAINTEXT_MAX = 16384, /* of a record: RFC 8446, 5.1 */
	ALERT_BYTES = 2,
	TICKETS_MAX = 4,    /* NewSessionTickets of a server that come before its first data */
	RECORDS_NEEDED = 2, /* that were compared: a request and its answer */
};

enum fit {
	FIT_NOT,
	FIT_MAYBE,
	FIT,
};

/* What the suite adds to a record's plaintext; 0: it varies, or is not known. */
static size_t overhead_of(const struct tls_info *tls)
{
	const char *name = tls_cipher_name(tls->cipher);

	if (tls->version == 0x0304)
		return name && strstr(name, "CCM_8") ? 9 : 17;
	if (!name || tls->version != 0x0303)
		return 0;
	if (strstr(name, "CHACHA20"))
		return 16;
	if (strstr(name, "_GCM_"))
		return 24;
	if (strstr(name, "_CCM_8"))
		return 16;
	return strstr(name, "_CCM") ? 24 : 0;
}

/* Index of the first record behind the handshake's Finished; -1: it can't be seen. */
static int behind_finished(const struct tls_info *tls, const struct tls_lengths *l, size_t overhead)
{
	size_t hash = tls->cipher == 0x1302 ? 48 : 32;

	if (tls->version != 0x0304)
		return 0; /* Finished is no application data */
	for (size_t i = 0; i < l->n; i++)
		if (l->records[i].len == 4 + hash + overhead)
			return (int)i + 1;
	return -1;
}

/* The calls' writes against the records from `from` on. *n: records that were compared. */
static enum fit fit_writes(const struct held_call *call, const struct tls_lengths *l, size_t from, size_t overhead,
                           size_t *n)
{
	size_t i = from;

	*n = 0;
	for (; call; call = call->next) {
		uint64_t left = call->len;

		for (; left > 0; i++) {
			uint64_t part = left < PLAINTEXT_MAX ? left : PLAINTEXT_MAX;

			if (i == l->n)
				return l->ended ? FIT_MAYBE : FIT; /* it was not carried yet */
			if (l->records[i].len != part + overhead || l->records[i].wall < call->stamp.wall)
				return FIT_NOT;
			left -= part;
			(*n)++;
		}
	}
	/* What remains was not written by the object; but for an alert that ends the connection. */
	if (i < l->n && l->records[i].len == ALERT_BYTES + overhead)
		i++;
	return i < l->n ? FIT_NOT : l->ended ? FIT_MAYBE : FIT;
}

static enum fit fit_reads(const struct held_call *call, const struct tls_lengths *l, size_t from, size_t overhead,
                          size_t *n)
{
	uint64_t left = 0;
	size_t i = from;

	*n = 0;
	for (; call; call = call->next) {
		while (left == 0) {
			if (i == l->n)
				return l->ended ? FIT_MAYBE : FIT_NOT;
			if (l->records[i].len < overhead || l->records[i].wall > call->stamp.wall)
				return FIT_NOT;
			left = l->records[i++].len - overhead;
			(*n)++;
		}
		if (call->len > left)
			return FIT_NOT;
		left -= call->len;
	}
	/* A record of which only a part was read may be another's that is longer. */
	return left == 0 ? FIT : FIT_MAYBE;
}

static enum fit fit_direction(const struct flow *library, const struct flow *socket, enum fdtape_dir dir, size_t *n)
{
	const struct tls_info *tls = tls_stack_info(socket->tls, 0);
	const struct tls_lengths *l = tls_stack_lengths(socket->tls, dir);
	const struct held_call *call = library->lane[dir].held;
	size_t overhead = overhead_of(tls), compared;
	int from = overhead ? behind_finished(tls, l, overhead) : -1;
	/* Who is the server does not matter: a client has no tickets to send. */
	int tickets = tls->version == 0x0304 ? TICKETS_MAX : 0;
	enum fit best = FIT_NOT;

	*n = 0;
	if (from < 0)
		return FIT_MAYBE;
	for (int skip = 0; skip <= tickets && from + skip <= (int)l->n; skip++) {
		enum fit fit = (dir == FDTAPE_OUT ? fit_writes : fit_reads)(call, l, (size_t)(from + skip), overhead,
		                                                            &compared);

		if (fit > best || (fit == best && compared > *n)) {
			best = fit;
			*n = compared;
		}
		/* A client's records behind its Finished are data at once. */
		if (dir == FDTAPE_OUT ? socket->pub.role == FDTAPE_ROLE_CLIENT : socket->pub.role == FDTAPE_ROLE_SERVER)
			break;
	}
	return best;
}

/* *n: records that were compared. */
static enum fit fit_both(const struct flow *library, const struct flow *socket, size_t *n)
{
	const struct tls_lengths *sent = tls_stack_lengths(socket->tls, FDTAPE_OUT);
	uint64_t opened = library->pub.opened;
	enum fit fit = FIT, one;
	size_t compared;

	*n = 0;
	if (socket->pub.def.flags & FDTAPE_FLOW_PREOPENED || library->pub.def.flags & FDTAPE_FLOW_PREOPENED)
		return FIT_MAYBE;
	if (sent->first && opened > sent->first)
		return FIT_NOT;
	for (int dir = 0; dir < 2; dir++) {
		one = fit_direction(library, socket, (enum fdtape_dir)dir, &compared);
		if (one < fit)
			fit = one;
		*n += compared;
	}
	return fit;
}

/* Is this a flow that an object without an fd may work on? */
static bool is_candidate(const struct flow *socket, const struct flow *library)
{
	const struct tls_info *tls;

	if (!socket->tls || socket->pub.def.pid != library->pub.def.pid || !tls_stack_may_be_tls(socket->tls, 0) ||
	    !tls_stack_is_tls(socket->tls, 0) || bind_taker(socket, 0))
		return false;
	tls = tls_stack_info(socket->tls, 0);
	return tls->decrypted[0] + tls->decrypted[1] == 0; /* else a secret tells */
}

static bool is_unbound(const struct flow *other, const struct flow *library)
{
	return other->pub.def.kind == FDTAPE_KIND_LIBRARY && other->pub.def.pid == library->pub.def.pid &&
	       !bind_socket(other) && !other->released;
}

/* The one flow of the process that fits the given one, if no other may: of an object its socket, of a socket its object.
 * NULL: none does, or several may. */
static struct flow *only_other(const struct flow *given, bool is_object)
{
	struct flow *found = NULL, *other;
	size_t compared;

	for (size_t cursor = 0; (other = map_next(&given->section->flows, &cursor));) {
		const struct flow *object = is_object ? given : other, *socket = is_object ? other : given;
		bool may = is_object ? is_candidate(socket, object) : is_unbound(object, socket);
		enum fit fit = may ? fit_both(object, socket, &compared) : FIT_NOT;

		if (fit == FIT_NOT)
			continue;
		if (found || fit == FIT_MAYBE || compared < RECORDS_NEEDED)
			return NULL;
		found = other;
	}
	return found;
}

static struct flow *only_object(const struct flow *socket)
{
	return only_other(socket, false);
}

static struct flow *only_flow(const struct flow *object)
{
	return only_other(object, true);
}

struct flow *bind_flow_by_lengths(const struct flow *object)
{
	struct flow *socket;

	if (!is_unbound(object, object) || !(object->lane[0].held || object->lane[1].held))
		return NULL;
	socket = only_flow(object);
	return socket && only_object(socket) == object ? socket : NULL;
}

struct flow *bind_object_by_lengths(const struct flow *socket)
{
	struct flow *object = is_candidate(socket, socket) ? only_object(socket) : NULL;

	return object && only_flow(object) == socket ? object : NULL;
}
