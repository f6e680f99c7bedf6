/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Each direction of the flow is a *side*: a framer cuts its bytes into records (tls_framer.c), an opener decrypts them
 * (tls_crypt.c). What ties the two sides together is the handshake: who is the client, the version, the suite, the
 * randoms, and for TLS 1.3 the transcript (tls_handshake.c). With it, the secret of a record is found (tls_keys.c).
 *
 * A record whose secret is not there yet waits in its side's queue, and so does what is behind it. The queue is looked
 * at again when the other side or the store has news. It is bounded: when too much waits, or the flow ends, or a library
 * call has delivered the plaintext already, the secret is not on the tape.
 *
 * A hole in the wire, a record that does not authenticate, or one without a secret costs these records, and no others.
 * They are counted as *missing*, by the bytes of the wire that they may have taken, until a record behind them is
 * opened: its sequence number tells how many they were. Then the sink hears of the hole, with its length if that is
 * known, and the plaintext goes on. What can't be opened for some records more is told as a hole without a length,
 * and tried on.
 *
 * How long is the plaintext that is missing? As long as the wire less what the records add to it, if an AEAD without
 * padding was used, and if they were records of application data. That they were is not proved, but the only others
 * behind a handshake are tickets, which come before the first data, KeyUpdates, which change the key, alerts, behind
 * which nothing comes, and in TLS 1.3 a late authentication, of which the other direction tells, and behind which no
 * length is told any more. With CBC or padding it remains unknown.
 */
#include "replay/tls_flow_state.h"

enum {
	QUEUE_BYTES = 256 << 10, /* that wait for a secret, a side */
	MOST_TRIES = 4,          /* in vain, until the sink hears of what is missing without its length */
	LEAST_RECORD = 14,       /* bytes of a record: a header, a content type, and the shortest tag */
	USUAL_RECORD = 5 + 16384 + 17,
};

/* What became of a record. */
enum outcome {
	FAILED = -1, /* no memory */
	DONE,
	WAIT, /* for a secret, or for the other side */
};

/* ---- what is missing -------------------------------------------------------------------------------------------- */

static void begin_missing(struct tls_side *s, const struct stamp *stamp)
{
	s->not_whole = true;
	if (!s->missing.open)
		s->missing = (struct tls_missing){.open = true, .stamp = *stamp};
}

/* The sink hears of a hole, its length not known. */
static int tell_missing(struct tls_side *s)
{
	struct tls_flow *t = s->flow;

	if (!s->missing.open || s->missing.told)
		return 0;
	s->missing.told = true;
	return t->sink.plain(t->sink.context, s->dir, NULL, 0, &s->missing.stamp);
}

static void miss_gap(struct tls_side *s, const struct tls_gap *gap)
{
	struct tls_missing *m = &s->missing;
	uint64_t rest = gap->bytes - (gap->record_bytes < gap->bytes ? gap->record_bytes : gap->bytes),
	         shortest = LEAST_RECORD, usual = s->typical ? s->typical : USUAL_RECORD;
	bool exact;

	tls_handshake_tear(s);
	begin_missing(s, &gap->stamp);
	if (s->opener) {
		shortest = tls_opener_overhead(s->opener, &exact);
		tls_opener_lose(s->opener);
	}
	m->bytes += gap->bytes;
	m->least += gap->records;
	m->most += gap->records + rest / shortest;
	m->likely += gap->records + (rest + usual - 1) / usual;
	m->tried = 0;
}

/* The record at hand is given up. */
static int miss_record(struct tls_side *s, const struct tls_record *record, uint32_t why, const struct stamp *stamp)
{
	struct tls_missing *m = &s->missing;

	if (!m->open || !(s->flow->info->evidence & TLS_EVIDENCE_HOLE))
		tls_note(s->flow, why);
	tls_handshake_tear(s);
	begin_missing(s, stamp);
	m->bytes += TLS_RECORD_HEADER + record->len;
	m->least++;
	m->most++;
	m->likely++;
	m->tried++;
	if (s->opener)
		tls_opener_pass(s->opener, record);
	/* Where nothing was opened yet, or has been for a while, others may have the plaintext. */
	return why == TLS_EVIDENCE_NO_KEYS || !s->opener || m->tried >= MOST_TRIES ? tell_missing(s) : 0;
}

/* The bytes of plaintext that are missing before this record; false: that is not known. */
static bool missing_plaintext(const struct tls_side *s, const struct tls_opened *opened, uint64_t *len)
{
	bool exact;
	uint64_t overhead = tls_opener_overhead(s->opener, &exact);

	*len = 0;
	if (opened->fresh) /* the first record of the handshake's keys, or of those behind it */
		return opened->lost == 0 && s->flow->early == EARLY_NONE && !s->data_seen && !s->missing.told;
	if (s->flow->version == 0x0304 && s->epoch == NEGOTIATION)
		return true;
	if (!exact || !s->data_seen || s->padded || s->flow->authenticates ||
	    opened->lost > s->missing.bytes / overhead)
		return false;
	*len = s->missing.bytes - opened->lost * overhead;
	return true;
}

/* A record behind what is missing was opened. */
static int end_missing(struct tls_side *s, const struct tls_opened *opened)
{
	struct tls_flow *t = s->flow;
	struct tls_missing m = s->missing;
	uint64_t len;
	bool known = missing_plaintext(s, opened, &len);

	s->missing = (struct tls_missing){0};
	if (m.told || (known && len == 0))
		return 0;
	return t->sink.plain(t->sink.context, s->dir, NULL, known ? len : 0, &m.stamp);
}

/* A record that is not encrypted came behind what is missing: no data is missing, unless it was 0-RTT. */
static int pass_missing(struct tls_side *s)
{
	if (s->missing.open && s->flow->early != EARLY_NONE && tell_missing(s) < 0)
		return -1;
	s->missing = (struct tls_missing){0};
	return 0;
}

/* An alert's plaintext: notes the first that ends the connection, or that complains of the name. */
static void note_alert(struct tls_side *s, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	enum {
		WARNING = 1,
		CLOSE_NOTIFY = 0,
		USER_CANCELED = 90,
		UNRECOGNIZED_NAME = 112
	};
	struct tls_alert *alert = &s->flow->info->alert;

	if (len != 2 || alert->wall || data[1] == CLOSE_NOTIFY || data[1] == USER_CANCELED ||
	    (data[0] == WARNING && data[1] != UNRECOGNIZED_NAME))
		return;
	*alert = (struct tls_alert){.wall = stamp->wall, .dir = s->dir, .description = data[1]};
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* The record was authenticated. */
static enum outcome opened(struct tls_side *s, const struct tls_opened *o, size_t record_len, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;

	tls_note(t, TLS_EVIDENCE_AEAD);
	t->info->decrypted[s->dir]++;
	t->info->decrypted_bytes[s->dir] += record_len;
	s->protected = true;
	s->given_up = false;
	s->attempts = 0;
	s->typical = record_len;
	s->padded |= tls_opener_padded(s->opener);
	if (s->missing.open && end_missing(s, o) < 0)
		return FAILED;
	switch (o->type) {
	case TLS_APPLICATION_DATA:
		s->data_seen = true;
		if (o->len > 0 && t->sink.plain(t->sink.context, s->dir, o->plain, (uint64_t)o->len, stamp) < 0)
			return FAILED;
		break;
	case TLS_HANDSHAKE:
		if (tls_handshake_feed(s, o->plain, (size_t)o->len, stamp) < 0)
			return FAILED;
		break;
	case TLS_CHANGE_CIPHER_SPEC:
		if (t->version < 0x0304) /* a renegotiation: the next record has new keys */
			tls_keys_turn(s, s->epoch);
		break;
	case TLS_ALERT:
		note_alert(s, o->plain, (size_t)o->len, stamp);
		break;
	default:
		break;
	}
	return DONE;
}

/* An encrypted record. */
static enum outcome handle_protected(struct tls_side *s, const struct tls_record *record, const struct stamp *stamp)
{
	struct tls_opened o;

	switch (tls_keys_open(s, record, &o)) {
	case TLS_OPENED:
		return opened(s, &o, TLS_RECORD_HEADER + record->len, stamp);
	case TLS_WAITS:
		s->missing.tried++;
		return WAIT;
	case TLS_SKIPPED:
		return DONE;
	case TLS_REFUSED:
		break;
	}
	return miss_record(s, record, o.why, stamp) < 0 ? FAILED : DONE;
}

/* A record of handshake messages before protection is known to have begun. */
static enum outcome handle_hello(struct tls_side *s, const struct tls_record *record, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;
	const uint8_t *body = record->body;
	size_t body_len = record->len;
	struct tls_opened o;

	if (t->preopened && !t->have_client && body[0] != TLS_CLIENT_HELLO && body[0] != TLS_SERVER_HELLO)
		return miss_record(s, record, TLS_EVIDENCE_NO_KEYS, stamp) < 0 ? FAILED : DONE;
	if (s->torn && !tls_handshake_is_whole(body, body_len)) {
		/* The rest of a message; or the ChangeCipherSpec was in the hole. */
		if (t->version == 0 || t->version == 0x0304 || !t->have_server_hello)
			return DONE;
		switch (tls_keys_open(s, record, &o)) {
		case TLS_OPENED:
			return opened(s, &o, TLS_RECORD_HEADER + record->len, stamp);
		case TLS_WAITS:
			return WAIT;
		case TLS_SKIPPED:
		case TLS_REFUSED:
			break;
		}
		s->missing.least++;
		s->missing.most++;
		s->missing.likely++;
		return DONE;
	}
	return pass_missing(s) < 0 || tls_handshake_feed(s, body, body_len, stamp) < 0 ? FAILED : DONE;
}

/* A record before protection is known to have begun. */
static enum outcome handle_open(struct tls_side *s, const struct tls_record *record, const struct stamp *stamp)
{
	struct tls_flow *t = s->flow;

	switch (record->header[0]) {
	case TLS_HANDSHAKE:
		return handle_hello(s, record, stamp);
	case TLS_CHANGE_CIPHER_SPEC:
		/* A ServerHello that is missing could have told the version. */
		if (t->version == 0 && !t->torn && !s->given_up)
			return WAIT;
		if (t->version != 0 && t->version < 0x0304) {
			if (pass_missing(s) < 0)
				return FAILED;
			s->protected = true;
		}
		return DONE;
	case TLS_APPLICATION_DATA:
		if (t->retried && tls_is_client(s))
			return DONE; /* early data that the HelloRetryRequest turned down */
		/* It may be known already that it will not be: without a hello there is nothing to wait for. */
		if (t->have_client && !t->torn && !s->missing.open && !s->given_up)
			return WAIT;
		return handle_protected(s, record, stamp);
	case TLS_ALERT:
		note_alert(s, record->body, record->len, stamp);
		return DONE;
	default:
		return DONE;
	}
}

static enum outcome handle_record(struct tls_side *s, const struct tls_record *record, const struct stamp *stamp)
{
	if (!s->protected)
		return handle_open(s, record, stamp);
	/* In TLS 1.3 others are for the sake of middleboxes, or an alert from somebody who has no keys yet. */
	if (s->flow->version == 0x0304 && record->header[0] != TLS_APPLICATION_DATA) {
		if (record->header[0] == TLS_ALERT)
			note_alert(s, record->body, record->len, stamp);
		return DONE;
	}
	return handle_protected(s, record, stamp);
}

/* The same, and counts the bytes of one that is not encrypted. */
static enum outcome handle(struct tls_side *s, const struct tls_record *record, const struct stamp *stamp)
{
	struct tls_info *info = s->flow->info;
	uint64_t decrypted = info->decrypted[s->dir];
	bool open = record->header[0] != TLS_APPLICATION_DATA && (!s->protected || s->flow->version == 0x0304);
	enum outcome outcome = handle_record(s, record, stamp);

	if (open && outcome == DONE && info->decrypted[s->dir] == decrypted)
		info->open_bytes[s->dir] += TLS_RECORD_HEADER + record->len;
	return outcome;
}

/* ---- the queue -------------------------------------------------------------------------------------------------- */

static void drop_queue(struct tls_side *s)
{
	struct tls_queued *q;

	while ((q = s->queue)) {
		s->queue = q->next;
		free(q);
	}
	s->queue_end = &s->queue;
	s->queue_bytes = 0;
}

static size_t cost_of(const struct tls_queued *q)
{
	return sizeof *q + q->len;
}

static void unqueue(struct tls_side *s, const struct tls_queued *q)
{
	s->queue = q->next;
	if (!s->queue)
		s->queue_end = &s->queue;
	s->queue_bytes -= cost_of(q);
}

static enum outcome handle_queued(struct tls_side *s, const struct tls_queued *q)
{
	const struct tls_record record = {.header = q->record, .body = q->record + TLS_RECORD_HEADER, .len = q->len};

	if (!q->is_gap)
		return handle(s, &record, &q->stamp);
	miss_gap(s, &q->gap);
	return DONE;
}

/* Goes on with what waits, as far as that is possible now. */
static int drain(struct tls_flow *t)
{
	bool progress;

	do {
		progress = false;
		for (int dir = 0; dir < 2; dir++) {
			struct tls_side *s = &t->side[dir];
			enum outcome outcome = DONE;
			struct tls_queued *q;

			while ((q = s->queue)) {
				outcome = handle_queued(s, q);
				if (outcome != DONE)
					break;
				unqueue(s, q);
				free(q);
				progress = true;
			}
			if (outcome == FAILED)
				return -1;
		}
	} while (progress);
	return 0;
}

/* There is news: what was tried in vain may do now. */
static void try_again(struct tls_side *s)
{
	s->attempts = 0;
	s->missing.tried = 0;
}

/* No secret will come for what waits. */
static int give_up(struct tls_side *s)
{
	if (!s->queue)
		return 0;
	s->given_up = true;
	try_again(s);
	return drain(s->flow);
}

/* One of record and gap is NULL. */
static int enqueue(struct tls_side *s, const struct tls_record *record, const struct tls_gap *gap,
                   const struct stamp *stamp)
{
	struct tls_queued *q = malloc(sizeof *q + (record ? TLS_RECORD_HEADER + record->len : 0));

	if (!q)
		return -1;
	*q = (struct tls_queued){.stamp = *stamp, .len = record ? record->len : 0, .is_gap = gap != NULL};
	if (gap)
		q->gap = *gap;
	if (record) {
		memcpy(q->record, record->header, TLS_RECORD_HEADER);
		memcpy(q->record + TLS_RECORD_HEADER, record->body, record->len);
	}
	*s->queue_end = q;
	s->queue_end = &q->next;
	s->queue_bytes += cost_of(q);
	return s->queue_bytes > QUEUE_BYTES ? give_up(s) : 0;
}

/* ---- the framers' sink ------------------------------------------------------------------------------------------ */

static int on_record(void *context, const struct tls_record *record, const struct stamp *stamp)
{
	struct tls_side *s = context;
	struct tls_flow *t = s->flow;
	enum outcome outcome;

	tls_note(t, TLS_EVIDENCE_RECORDS);
	t->info->records[s->dir]++;
	if (s->queue) {
		if (enqueue(s, record, NULL, stamp) < 0)
			return -1;
		return drain(t);
	}
	outcome = handle(s, record, stamp);
	if (outcome == WAIT)
		return enqueue(s, record, NULL, stamp);
	if (outcome == FAILED)
		return -1;
	return tls_other(s)->queue ? drain(t) : 0;
}

static int on_gap(void *context, const struct tls_gap *gap)
{
	struct tls_side *s = context;

	if (s->queue)
		return enqueue(s, NULL, gap, &gap->stamp);
	miss_gap(s, gap);
	return tls_other(s)->queue ? drain(s->flow) : 0;
}

static bool is_tls(const struct tls_side *s)
{
	return s->framer.state == TLS_FRAMER_TLS || s->framer.state == TLS_FRAMER_SEEKING;
}

/* What follows for the flow as a whole. */
static void sum_up(struct tls_flow *t)
{
	const uint32_t needed = TLS_EVIDENCE_CLIENT_HELLO | TLS_EVIDENCE_SERVER_HELLO,
	               fatal = TLS_EVIDENCE_HOLE | TLS_EVIDENCE_BAD_TAG | TLS_EVIDENCE_NO_KEYS | TLS_EVIDENCE_GARBAGE;
	bool tls = false, clear = false, whole = true;

	for (int dir = 0; dir < 2; dir++) {
		const struct tls_side *s = &t->side[dir];

		tls |= is_tls(s);
		clear |= s->framer.state == TLS_FRAMER_CLEAR;
		whole &= !s->queue && !s->not_whole;
	}
	tls |= (t->info->evidence & TLS_EVIDENCE_CALLS) != 0;
	t->info->verdict = tls && clear ? TLS_VERDICT_MIXED
	                   : tls        ? TLS_VERDICT_TLS
	                   : clear      ? TLS_VERDICT_CLEAR
	                                : TLS_VERDICT_UNKNOWN;
	t->info->whole = whole && !clear && (t->info->evidence & needed) == needed && !(t->info->evidence & fatal);
}

static int on_clear(void *context, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct tls_side *s = context;
	struct tls_flow *t = s->flow;

	if (s->framer.state == TLS_FRAMER_CLEAR && data) {
		tls_note(t, TLS_EVIDENCE_NOT_TLS);
		sum_up(t);
	}
	return t->sink.plain(t->sink.context, s->dir, data, len, stamp);
}

static struct tls_framer_sink framer_sink(struct tls_side *s)
{
	return (struct tls_framer_sink){.record = on_record, .gap = on_gap, .clear = on_clear, .context = s};
}

/* A side that began with a hole speaks what the other one does. */
static int settle(struct tls_side *s)
{
	const struct tls_framer_sink sink = framer_sink(s);
	const struct tls_side *other = tls_other(s);

	/* So does one that may begin within a record. */
	if (s->flow->preopened && s->framer.state == TLS_FRAMER_NEW && s->framer.held.len == 0 && is_tls(other))
		s->framer.state = TLS_FRAMER_BLIND;
	if (s->framer.state != TLS_FRAMER_BLIND)
		return 0;
	if (is_tls(other))
		return tls_framer_settle(&s->framer, true, &sink);
	return other->framer.state == TLS_FRAMER_CLEAR ? tls_framer_settle(&s->framer, false, &sink) : 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* A secret came. */
static void wake(void *context)
{
	struct tls_flow *t = context;

	tls_keys_bind(t);
	for (int dir = 0; dir < 2; dir++)
		try_again(&t->side[dir]);
	if (drain(t) < 0)
		t->failed = true;
	sum_up(t);
}

struct tls_flow *tls_flow_new(struct tls_store *store, struct tls_info *info, uint32_t pid, bool preopened,
                              const struct tls_flow_sink *sink)
{
	struct tls_flow *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->store = store;
	t->info = info;
	t->pid = pid;
	t->preopened = preopened;
	t->sink = *sink;
	for (int dir = 0; dir < 2; dir++) {
		struct tls_side *s = &t->side[dir];

		s->flow = t;
		s->dir = (enum fdtape_dir)dir;
		s->queue_end = &s->queue;
		s->framer.from_the_middle = preopened;
	}
	for (size_t i = 0; i < sizeof t->waiter / sizeof *t->waiter; i++) {
		t->waiter[i].wake = wake;
		t->waiter[i].context = t;
	}
	return t;
}

int tls_flow_feed(struct tls_flow *t, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct tls_side *s = &t->side[dir];
	const struct tls_framer_sink sink = framer_sink(s);
	int result = settle(s);

	if (!data)
		tls_note(t, TLS_EVIDENCE_HOLE);
	else
		t->store->work_earned += len;
	if (result == 0)
		result = tls_framer_feed(&s->framer, data, len, stamp, &sink);
	if (s->framer.garbage)
		tls_note(t, TLS_EVIDENCE_GARBAGE);
	if (result == 0)
		result = settle(tls_other(s));
	sum_up(t);
	return result;
}

int tls_flow_give_up(struct tls_flow *t, enum fdtape_dir dir)
{
	struct tls_side *s = &t->side[dir];
	int result = give_up(s);

	if (result == 0 && s->missing.open)
		result = tell_missing(s);
	sum_up(t);
	return result;
}

int tls_flow_lose(struct tls_flow *t, enum fdtape_dir dir, const struct stamp *stamp)
{
	struct tls_side *s = &t->side[dir];
	const struct tls_framer_sink sink = framer_sink(s);

	if (s->framer.state != TLS_FRAMER_BLIND)
		return 0;
	if (tls_framer_settle(&s->framer, true, &sink) < 0)
		return -1;
	begin_missing(s, stamp);
	return tell_missing(s);
}

int tls_flow_finish(struct tls_flow *t)
{
	int result = 0;

	for (int dir = 0; dir < 2 && result == 0; dir++)
		result = settle(&t->side[dir]);
	for (int dir = 0; dir < 2 && result == 0; dir++) {
		const struct tls_framer_sink sink = framer_sink(&t->side[dir]);

		result = tls_framer_finish(&t->side[dir].framer, &sink);
	}
	if (result == 0)
		result = drain(t);
	for (int dir = 0; dir < 2 && result == 0; dir++)
		result = tls_flow_give_up(t, (enum fdtape_dir)dir);
	sum_up(t);
	return result;
}

bool tls_flow_is_tls(const struct tls_flow *t, enum fdtape_dir dir)
{
	return is_tls(&t->side[dir]);
}

bool tls_flow_may_be_tls(const struct tls_flow *t, enum fdtape_dir dir)
{
	return t->side[dir].framer.state != TLS_FRAMER_CLEAR;
}

bool tls_flow_failed(const struct tls_flow *t)
{
	return t->failed;
}

void tls_flow_free(struct tls_flow *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < sizeof t->waiter / sizeof *t->waiter; i++)
		tls_store_forget(t->store, &t->waiter[i]);
	for (int dir = 0; dir < 2; dir++) {
		drop_queue(&t->side[dir]);
		buffer_release(&t->side[dir].handshake);
		tls_opener_free(t->side[dir].opener);
		tls_framer_release(&t->side[dir].framer);
	}
	tls_handshake_release(t);
	free(t);
}
