/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Every protocol that turns to TLS in the middle does so at a point where one side has said all, and begins anew with
 * a ClientHello: so a piece (what one call carried, or one TLS record of an outer TLS) that begins like one is looked at
 * closely. Which protocol it is need not be known.
 *
 * That a piece looks like a ClientHello proves nothing: a file may hold one. It is held back, and all that comes behind
 * it in both directions, until the other side's answer tells: a ServerHello, or an alert that turns the hello down. Any
 * other answer, or a hello that does not parse to its last byte, and the piece was clear; the next held one that looks
 * like a hello is judged then. Where the answer is missing on the tape (a hole), further records that follow the hello
 * speak for TLS; where there was none at all, the words that were said before it.
 */
#include "replay/tls_upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "replay/tls_crypt.h"
#include "replay/tls_hello.h"

enum {
	HELD_BYTES = 128 << 10, /* of both directions: a hello, and the early data that may follow it */
	HELD_PIECES = 4096,
	HELLO_BYTES = 64 << 10, /* the longest hello that is believed */
};

enum content {
	ALERT = 21,
	HANDSHAKE = 22,
	APPLICATION_DATA = 23,
};

/* What one direction's held bytes are. */
enum what {
	NOTHING, /* no byte */
	BAD,
	PART, /* what there is fits; then it ends */
	CUT,  /* what there is fits; then bytes are missing */
	WHOLE,
	REFUSAL, /* an alert */
};

static bool is_header(const uint8_t *p, size_t n, uint8_t type)
{
	return (n < 1 || p[0] == type) && (n < 2 || p[1] == 3) && (n < 3 || p[2] <= 4) &&
	       (n < TLS_RECORD_HEADER || (size_t)p[3] << 8 | p[4]);
}

static bool begins_hello(const uint8_t *p, uint64_t len, uint8_t message)
{
	size_t n = len < 9 ? (size_t)len : 9;

	return n > 0 && is_header(p, n, HANDSHAKE) && (n < 6 || p[5] == message) && (n < 7 || p[6] == 0);
}

bool tls_upgrade_pending(const struct tls_upgrade *u)
{
	return u->held != NULL;
}

bool tls_upgrade_holds(const struct tls_upgrade *u, enum fdtape_dir dir)
{
	return u->bytes[dir].len > 0;
}

bool tls_upgrade_begins(const struct tls_upgrade *u, enum fdtape_dir dir, const uint8_t *data, uint64_t len)
{
	return data && (begins_hello(data, len, TLS_CLIENT_HELLO) ||
	                (u->said[!dir].hole && begins_hello(data, len, TLS_SERVER_HELLO)));
}

int tls_upgrade_hold(struct tls_upgrade *u, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                     const struct stamp *stamp)
{
	struct tls_upgrade_piece *piece = malloc(sizeof *piece);

	if (!piece)
		return -1;
	*piece = (struct tls_upgrade_piece){.dir = dir, .hole = !data, .len = len, .stamp = *stamp};
	piece->stamp.peer = NULL;
	if (data && buffer_add(&u->bytes[dir], data, len) < 0) {
		free(piece);
		return -1;
	}
	if (!u->held) {
		u->held_end = &u->held;
		u->hello = dir;
		u->server_first = data && !begins_hello(data, len, TLS_CLIENT_HELLO);
	}
	*u->held_end = piece;
	u->held_end = &piece->next;
	u->n_held++;
	return 0;
}

const struct tls_upgrade_piece *tls_upgrade_first(const struct tls_upgrade *u)
{
	return u->held;
}

void tls_upgrade_drop(struct tls_upgrade *u)
{
	struct tls_upgrade_piece *piece = u->held;

	if (!piece->hole)
		buffer_drop(&u->bytes[piece->dir], (size_t)piece->len);
	u->held = piece->next;
	u->n_held--;
	free(piece);
	if (!u->held) {
		buffer_release(&u->bytes[0]);
		buffer_release(&u->bytes[1]);
	}
}

bool tls_upgrade_again(struct tls_upgrade *u)
{
	const struct tls_upgrade_piece *piece = u->held;

	if (!piece || piece->hole || !tls_upgrade_begins(u, piece->dir, u->bytes[piece->dir].data, piece->len))
		return false;
	u->hello = piece->dir;
	u->server_first = !begins_hello(u->bytes[piece->dir].data, piece->len, TLS_CLIENT_HELLO);
	return true;
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

/* Bytes of the direction that are held before the first hole in it; *hole: there is one. */
static size_t contiguous(const struct tls_upgrade *u, enum fdtape_dir dir, bool *hole)
{
	size_t n = 0;

	*hole = false;
	for (const struct tls_upgrade_piece *piece = u->held; piece; piece = piece->next) {
		if (piece->dir != dir)
			continue;
		*hole = piece->hole;
		if (piece->hole)
			break;
		n += (size_t)piece->len;
	}
	return n;
}

/* Takes the first handshake message out of its records. *end: behind the record that it ends in. */
static enum what first_message(const uint8_t *p, size_t n, uint8_t type, struct buffer *message, size_t *end)
{
	size_t at = 0, len, want = 4;

	while (message->len < want) {
		if (!is_header(p + at, n - at, HANDSHAKE))
			return BAD;
		if (n - at < TLS_RECORD_HEADER)
			return PART;
		len = (size_t)p[at + 3] << 8 | p[at + 4];
		if (len > TLS_RECORD_MAX)
			return BAD;
		if (at == 0 && !begins_hello(p, n, type))
			return BAD;
		if (n - at - TLS_RECORD_HEADER < len)
			return PART;
		if (buffer_add(message, p + at + TLS_RECORD_HEADER, len) < 0)
			return PART;
		at += TLS_RECORD_HEADER + len;
		if (message->len >= 4)
			want = 4 + ((size_t)message->data[1] << 16 | (size_t)message->data[2] << 8 | message->data[3]);
		if (want > HELLO_BYTES)
			return BAD;
	}
	*end = at;
	return WHOLE;
}

static enum what judge_hello(const uint8_t *p, size_t n, uint8_t type, size_t *end)
{
	struct buffer message = {0};
	struct tls_hello hello;
	enum what what;
	size_t len;

	if (n == 0)
		return NOTHING;
	what = first_message(p, n, type, &message, end);
	if (what == WHOLE) {
		len = (size_t)message.data[1] << 16 | (size_t)message.data[2] << 8 | message.data[3];
		/* A ClientHello is alone in its records. */
		if (type == TLS_CLIENT_HELLO &&
		    (message.len != 4 + len || tls_parse_client_hello(message.data + 4, len, &hello) < 0))
			what = BAD;
		if (type == TLS_SERVER_HELLO && tls_parse_server_hello(message.data + 4, len, &hello) < 0)
			what = BAD;
	}
	buffer_release(&message);
	return what;
}

/* The answer to a ClientHello. */
static enum what judge_answer(const uint8_t *p, size_t n)
{
	static const size_t alert = TLS_RECORD_HEADER + 2;
	size_t end;

	if (n == 0 || p[0] != ALERT)
		return judge_hello(p, n, TLS_SERVER_HELLO, &end);
	if (!is_header(p, n, ALERT) || (n > 3 && p[3] != 0) || (n > 4 && p[4] != 2) ||
	    (n > 5 && p[5] != 1 && p[5] != 2))
		return BAD;
	return n < alert ? PART : REFUSAL;
}

/* Do these bytes begin a record that may follow a hello? */
static bool goes_on(const uint8_t *p, size_t n)
{
	return n >= TLS_RECORD_HEADER && p[0] >= 20 && p[0] <= APPLICATION_DATA && is_header(p, n, p[0]) &&
	       ((size_t)p[3] << 8 | p[4]) <= TLS_RECORD_MAX;
}

static enum tls_upgrade_verdict judge_ended(const struct tls_upgrade *u, enum what hello)
{
	return hello == WHOLE && !u->server_first && tls_upgrade_agreement(u, u->hello) ? TLS_UPGRADE_YES
	                                                                                : TLS_UPGRADE_NO;
}

enum tls_upgrade_verdict tls_upgrade_judge(const struct tls_upgrade *u, bool ended)
{
	bool hole, answer_hole;
	size_t n = contiguous(u, u->hello, &hole), end = 0, m = contiguous(u, !u->hello, &answer_hole);
	const uint8_t *bytes = u->bytes[u->hello].data;
	enum what hello = judge_hello(bytes, n, u->server_first ? TLS_SERVER_HELLO : TLS_CLIENT_HELLO, &end), answer;

	if (hello == BAD || hello == NOTHING)
		return TLS_UPGRADE_NO;
	if (hello == PART && hole)
		hello = CUT;
	if (u->server_first) {
		if (hello == WHOLE)
			return n - end < TLS_RECORD_HEADER || goes_on(bytes + end, n - end) ? TLS_UPGRADE_YES
			                                                                    : TLS_UPGRADE_NO;
		return hello == CUT || ended ? TLS_UPGRADE_NO : TLS_UPGRADE_MORE;
	}
	answer = judge_answer(u->bytes[!u->hello].data, m);
	if (answer == BAD)
		return TLS_UPGRADE_NO;
	if (answer == WHOLE || (answer == REFUSAL && hello == WHOLE))
		return hello == PART ? TLS_UPGRADE_MORE : TLS_UPGRADE_YES;
	if (hello == WHOLE && answer_hole && goes_on(bytes + end, n - end))
		return TLS_UPGRADE_YES;
	if (ended || u->n_held > HELD_PIECES || u->bytes[0].len + u->bytes[1].len > HELD_BYTES)
		return judge_ended(u, hello);
	return TLS_UPGRADE_MORE;
}

/* ---- what was said ---------------------------------------------------------------------------------------------- */

void tls_upgrade_said(struct tls_upgrade *u, enum fdtape_dir dir, const uint8_t *data, uint64_t len)
{
	struct tls_upgrade_said *said = &u->said[dir];
	size_t room = said->len < sizeof said->bytes ? sizeof said->bytes - said->len : 0;

	/* Programs read an answer byte by byte so as not to take what is TLS: a side's turn ends with the other's. */
	if (u->speaker != dir || !data) {
		said->len = 0;
		room = sizeof said->bytes;
	}
	u->speaker = dir;
	said->hole = !data;
	if (data) {
		memcpy(said->bytes + sizeof said->bytes - room, data, len < room ? (size_t)len : room);
		said->len += (size_t)len;
	}
}

/* Is the word in what was said, in any case? */
static bool has(const struct tls_upgrade_said *said, const char *word)
{
	size_t n = said->len < sizeof said->bytes ? said->len : sizeof said->bytes, len = strlen(word), i;

	for (size_t at = 0; at + len <= n; at++) {
		for (i = 0; i < len; i++) {
			uint8_t c = said->bytes[at + i];

			if ((c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) != word[i])
				break;
		}
		if (i == len)
			return true;
	}
	return false;
}

static bool begins(const struct tls_upgrade_said *said, const char *bytes, size_t len)
{
	return said->len >= len && memcmp(said->bytes, bytes, len) == 0;
}

static const char proxy_signature[] = "\r\n\r\n\0\r\nQUIT\n";

const char *tls_upgrade_agreement(const struct tls_upgrade *u, enum fdtape_dir hello)
{
	static const char ssl_request[] = "\0\0\0\10\4\322\26/"; /* length 8, 80877103 */
	const struct tls_upgrade_said *asked = &u->said[hello], *answered = &u->said[!hello];

	if (asked->len == 8 && begins(asked, ssl_request, 8) && answered->len == 1 && answered->bytes[0] == 'S')
		return "SSLRequest";
	if (begins(asked, "CONNECT ", 8) && begins(answered, "HTTP/1.", 7) && answered->bytes[9] == '2')
		return "CONNECT";
	if (begins(asked, "PROXY ", 6) || begins(asked, proxy_signature, 12))
		return "PROXY";
	/* SMTP, LMTP, IMAP, POP3, FTP, NNTP, ManageSieve, XMPP; LDAP by its number. Some agree by a line of their own,
	 * which is known by its beginning, others by a status within it. */
	if ((has(asked, "STARTTLS") || has(asked, "STLS") || has(asked, "AUTH TLS") || has(asked, "AUTH SSL") ||
	     has(asked, "1.3.6.1.4.1.1466.20037")) &&
	    answered->len > 0 && answered->bytes[0] != '4' && answered->bytes[0] != '5' && answered->bytes[0] != '-')
		return "STARTTLS";
	return NULL;
}

size_t tls_upgrade_proxy_header(const uint8_t *data, uint64_t len)
{
	size_t n = len < 108 ? (size_t)len : 108;

	if (len >= 16 && memcmp(data, proxy_signature, 12) == 0) {
		n = 16 + ((size_t)data[14] << 8 | data[15]);
		return n <= len ? n : 0;
	}
	if (n < 8 || memcmp(data, "PROXY ", 6) != 0)
		return 0;
	for (size_t i = 6; i + 1 < n; i++)
		if (data[i] == '\r' && data[i + 1] == '\n')
			return i + 2;
	return 0;
}

void tls_upgrade_release(struct tls_upgrade *u)
{
	while (u->held)
		tls_upgrade_drop(u);
	buffer_release(&u->bytes[0]);
	buffer_release(&u->bytes[1]);
}
