/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Which secret opens a record? For TLS 1.2 the master secret with the ClientHello's random. For TLS 1.3 the secrets on
 * the tape carry the Transcript-Hash that they were derived with, and the same hash is computed from the wire: of
 * ClientHello .. ServerHello for the handshake secrets, of ClientHello .. server's Finished for the others. Where a part
 * of the handshake is missing, the process' latest secrets are tried, of TLS 1.2 those whose server's random is on the
 * tape too. Whatever was taken, the tag of the first record decides; a wrong key decrypts nothing.
 *
 * Which sequence number has it? As long as nothing is missing, the next. Behind a hole it is one of a window: so many
 * bytes can't have been more records than of the shortest kind. The same window, from 0 on, is tried with the keys that
 * the hole may have hidden the change to: the next generations of a traffic secret (KeyUpdate), the next epoch.
 *
 * All this guessing costs. What it may cost altogether is bounded by what was played (WORK_*), so that no tape takes
 * more than linear time; and what was tried in vain is tried again less and less often.
 */
#include "replay/tls_flow_state.h"

enum {
	TRY_SECRETS = 64,           /* of a process, when the transcript is not known */
	TRY_ALWAYS = 8,             /* so often all is tried; then each time that it was tried twice as often */
	GENERATIONS = 3,            /* KeyUpdates in one hole */
	PREOPENED_WINDOW = 1 << 16, /* records before a flow's first byte, when nothing is known of them */
	HANDSHAKE_RECORDS = 8,      /* that TLS 1.2 may encrypt before the first data */
	SUITES = 4,                 /* of TLS 1.3 that have secrets of one length */
	WORK_BYTE = 16,             /* bytes that may be decrypted in vain for each byte of TLS that is played */
	WORK_SHARE = 8,             /* the part of what is left that is spent for one record at most */
	WORK_SCAN = 16384,          /* what it costs to look for a process' secrets */
	WORK_OPENER = 16384,        /* what it costs to derive keys */
};
static const uint64_t work_start = UINT64_C(4) << 30;

/* All that may still be spent. */
static uint64_t work_earned(const struct tls_flow *t)
{
	uint64_t earned = work_start + t->store->work_earned * WORK_BYTE, done = t->store->work_done[t->guessing];

	return earned > done ? earned - done : 0;
}

/* Of that, what may be spent for the record at hand: no record takes all. */
static uint64_t work_left(const struct tls_flow *t)
{
	uint64_t earned = work_earned(t), limit = t->work_limit[t->guessing], done = t->store->work_done[t->guessing],
	         left = limit > done ? limit - done : 0;

	return left < earned ? left : earned;
}

static void allow_work(struct tls_flow *t)
{
	for (int i = 0; i < 2; i++) {
		t->guessing = i;
		t->work_limit[i] = t->store->work_done[i] + work_earned(t) / WORK_SHARE;
	}
	t->guessing = false;
}

static bool is_time_to_try(uint64_t tried)
{
	return tried < TRY_ALWAYS || (tried & (tried - 1)) == 0;
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

static const char *label_of(bool client, enum tls_epoch epoch)
{
	static const char *const of_client[EPOCHS] = {"CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
	                                              "CLIENT_TRAFFIC_SECRET_0"},
	                         *const of_server[EPOCHS] = {NULL, "SERVER_HANDSHAKE_TRAFFIC_SECRET",
	                                                     "SERVER_TRAFFIC_SECRET_0"};

	return (client ? of_client : of_server)[epoch];
}

static struct tls_secret *find_secret(const struct tls_flow *t, enum tls_epoch epoch, const char *label)
{
	const struct tls_transcript *transcript = &t->transcript[epoch];
	struct tls_secret *secret = NULL;

	if (transcript->known)
		secret =
		        tls_store_find(t->store, FDTAPE_SECRET_ID_TRANSCRIPT, transcript->hash, transcript->len, label);
	if (!secret && t->have_client_random)
		secret = tls_store_find(t->store, FDTAPE_SECRET_ID_CLIENT_RANDOM, t->agreed.client_random, 32, label);
	return secret;
}

/* Notes that the secret is of this connection. */
static void bind(struct tls_flow *t, struct tls_secret *secret, const char *label)
{
	struct tls_info *info = t->info;
	struct tls_key key = {.label = label, .secret_len = secret->value_len};

	if (!t->have_client_random)
		return; /* a key line can't be without it */
	memcpy(key.client_random, t->agreed.client_random, sizeof key.client_random);
	memcpy(key.secret, secret->value, secret->value_len);
	for (size_t i = 0; i < info->n_keys; i++)
		if (strcmp(info->keys[i].label, label) == 0 &&
		    memcmp(info->keys[i].client_random, key.client_random, sizeof key.client_random) == 0)
			return;
	if (info->n_keys < TLS_KEYS_MAX)
		info->keys[info->n_keys++] = key;
	if (!secret->told && t->sink.key)
		secret->told = t->sink.key(t->sink.context, &key);
}

void tls_keys_bind(struct tls_flow *t)
{
	static const struct {
		const char *label;
		enum tls_epoch epoch;
	} all[] = {
	        {"CLIENT_RANDOM", APPLICATION},
	        {"CLIENT_EARLY_TRAFFIC_SECRET", EARLY},
	        {"EARLY_EXPORTER_SECRET", EARLY},
	        {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", NEGOTIATION},
	        {"SERVER_HANDSHAKE_TRAFFIC_SECRET", NEGOTIATION},
	        {"CLIENT_TRAFFIC_SECRET_0", APPLICATION},
	        {"SERVER_TRAFFIC_SECRET_0", APPLICATION},
	        {"EXPORTER_SECRET", APPLICATION},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct tls_secret *secret = find_secret(t, all[i].epoch, all[i].label);

		if (secret)
			bind(t, secret, all[i].label);
	}
}

/* A secret that was guessed has proved to be of this connection: so are the others that were derived with the same. */
static void adopt(struct tls_flow *t, struct tls_secret *secret, enum tls_epoch epoch)
{
	struct tls_transcript *transcript = &t->transcript[epoch];

	if (secret->id_kind == FDTAPE_SECRET_ID_CLIENT_RANDOM && !t->have_client_random && secret->id_len == 32) {
		t->have_client_random = true;
		memcpy(t->agreed.client_random, secret->id, 32);
		if (!t->info->have_client_random) {
			t->info->have_client_random = true;
			memcpy(t->info->client_random, secret->id, 32);
		}
	} else if (secret->id_kind == FDTAPE_SECRET_ID_TRANSCRIPT && secret->id_len <= sizeof transcript->hash) {
		transcript->known = true;
		transcript->len = secret->id_len;
		memcpy(transcript->hash, secret->id, secret->id_len);
	}
	tls_keys_bind(t);
}

/* ---- one trial -------------------------------------------------------------------------------------------------- */

void tls_keys_turn(struct tls_side *s, enum tls_epoch epoch)
{
	tls_opener_free(s->opener);
	s->opener = NULL;
	s->epoch = epoch;
	s->data_seen = false;
	s->attempts = 0;
}

/* `base` is the sequence number if nothing were missing. */
static struct tls_window window_from(const struct tls_side *s, uint64_t base)
{
	const struct tls_missing *m = &s->missing;
	struct tls_window w = {base, base, base};

	if (m->open) {
		w.likely = base + m->likely;
		w.from = is_time_to_try(m->tried) ? base + m->least : w.likely;
		w.to = is_time_to_try(m->tried) ? base + m->most : w.likely;
	}
	return w;
}

/* How far from the likely number all keys are tried, before any of them is tried farther. */
static const uint64_t reaches[] = {1 << 8, 1 << 11, 1 << 14, 1 << 17, UINT64_MAX};
#define N_REACHES (sizeof reaches / sizeof *reaches)

static void narrow(struct tls_window *w, uint64_t reach)
{
	if (w->likely > reach && w->from < w->likely - reach)
		w->from = w->likely - reach;
	if (w->to > w->likely && w->to - w->likely > reach)
		w->to = w->likely + reach;
}

/* Is there more to try than with this reach? */
static bool is_wider(const struct tls_window *w, uint64_t reach)
{
	return (w->likely > reach && w->from < w->likely - reach) || (w->to > w->likely && w->to - w->likely > reach);
}

/* Was the connection open before recording began, and nothing of this side is known yet? */
static bool is_of_the_middle(const struct tls_side *s)
{
	return s->flow->preopened && s->typical == 0;
}

/* The window of keys whose first record may be missing as well. */
static struct tls_window window_anew(const struct tls_side *s)
{
	const struct tls_missing *m = &s->missing;
	struct tls_window w = {0, 0, 0};

	if (m->open && is_time_to_try(m->tried)) {
		w.to = m->most;
		w.likely = s->opener ? 0 : m->likely;
	}
	if (is_of_the_middle(s) && is_time_to_try(m->tried) && w.to < PREOPENED_WINDOW)
		w.to = PREOPENED_WINDOW;
	return w;
}

static bool try_opener(struct tls_side *s, struct tls_opener *opener, const struct tls_window *window,
                       const struct tls_record *record, struct tls_opened *to)
{
	uint64_t work = work_left(s->flow), left = work;

	to->len = tls_seek(opener, record, window, &left, to->plain, &to->type);
	s->flow->store->work_done[s->flow->guessing] += work - left;
	return to->len >= 0;
}

/* The side stays with what has opened a record. */
static void stay_with(struct tls_side *s, struct tls_opener *opener, struct tls_opened *to)
{
	tls_keys_turn(s, s->epoch);
	s->opener = opener;
	to->fresh = true;
	to->lost = tls_opener_seq(opener) - 1;
}

/* With a traffic secret, after so many KeyUpdates. */
static bool try_secret(struct tls_side *s, const struct tls_suite *suite, const uint8_t *first, size_t secret_len,
                       unsigned updates, const struct tls_window *window, const struct tls_record *record,
                       struct tls_opened *to)
{
	struct tls_opener *opener;
	uint8_t secret[TLS_HASH_MAX];

	if (secret_len > sizeof secret)
		return false;
	memcpy(secret, first, secret_len);
	for (unsigned i = 0; i < updates; i++)
		if (tls_update_secret(suite, secret, secret_len) < 0)
			return false;
	if (work_left(s->flow) < WORK_OPENER)
		return false;
	s->flow->store->work_done[s->flow->guessing] += WORK_OPENER;
	opener = tls_opener_new_13(suite, secret, secret_len);
	if (!opener || !try_opener(s, opener, window, record, to)) {
		tls_opener_free(opener);
		return false;
	}
	stay_with(s, opener, to);
	memcpy(s->secret, secret, secret_len);
	return true;
}

/* The handshake's hash will never be known: the process' latest secrets, one after the other. Where the suite is not
 * known either: the nth that has secrets of their length. */
static bool try_recent(struct tls_side *s, size_t nth, bool client, enum tls_epoch epoch, unsigned updates,
                       const struct tls_window *window, const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	const char *label = label_of(client, epoch);
	const struct tls_suite *suite;
	struct tls_secret *secret;
	size_t cursor = 0;
	bool opened = false;

	t->guessing = true;
	for (size_t i = 0; i < TRY_SECRETS && !opened && work_left(t) >= WORK_OPENER; i++) {
		secret = tls_store_recent(t->store, t->pid, label, &cursor);
		if (!secret)
			break;
		suite = t->agreed.suite ? t->agreed.suite : tls_suite_by_secret(secret->value_len, nth);
		opened = suite && try_secret(s, suite, secret->value, secret->value_len, updates, window, record, to);
		if (opened) {
			s->epoch = epoch;
			t->agreed.suite = suite;
			t->info->cipher = suite->number;
			adopt(t, secret, epoch);
		}
	}
	t->store->work_done[true] += WORK_SCAN;
	t->guessing = false;
	return opened;
}

/* ---- TLS 1.2 and before ----------------------------------------------------------------------------------------- */

static struct tls_opener *opener_12(const struct tls_side *s, const struct tls_secret *secret, const uint8_t *random)
{
	struct tls_agreed agreed = s->flow->agreed;
	struct tls_opener *opener;

	memcpy(agreed.client_random, random, sizeof agreed.client_random);
	s->flow->store->work_done[s->flow->guessing] += WORK_OPENER;
	opener = tls_opener_new_12(&agreed, secret->value, secret->value_len, tls_is_client(s));
	if (opener && s->missing.open)
		tls_opener_lose(opener);
	return opener;
}

static bool try_master(struct tls_side *s, const struct tls_secret *secret, const uint8_t *random,
                       const struct tls_window *window, const struct tls_record *record, struct tls_opened *to)
{
	struct tls_opener *opener = opener_12(s, secret, random);

	if (!opener || !try_opener(s, opener, window, record, to)) {
		tls_opener_free(opener);
		return false;
	}
	stay_with(s, opener, to);
	return true;
}

typedef bool try_one_master(struct tls_side *s, struct tls_secret *secret, const struct tls_window *window,
                            const struct tls_record *record, struct tls_opened *to);

/* The ClientHello's random is the secret's id. */
static bool try_master_of_id(struct tls_side *s, struct tls_secret *secret, const struct tls_window *window,
                             const struct tls_record *record, struct tls_opened *to)
{
	if (secret->id_kind != FDTAPE_SECRET_ID_CLIENT_RANDOM || secret->id_len != 32 ||
	    !try_master(s, secret, secret->id, window, record, to))
		return false;
	adopt(s->flow, secret, APPLICATION);
	return true;
}

/* The ClientHello is missing: its random is the id of one of the process' latest secrets. */
static bool try_recent_master(struct tls_side *s, try_one_master *try_one, const struct tls_window *window,
                              const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	struct tls_secret *secret;
	size_t cursor = 0;
	bool opened = false;

	t->guessing = true;
	for (size_t i = 0; i < TRY_SECRETS && !opened && work_left(t) >= WORK_OPENER; i++) {
		secret = tls_store_recent(t->store, t->pid, "CLIENT_RANDOM", &cursor);
		if (!secret)
			break;
		opened = try_one(s, secret, window, record, to);
	}
	t->store->work_done[true] += WORK_SCAN;
	t->guessing = false;
	return opened;
}

/* Without a ServerHello the first record of these keys, Finished, could not be told from one that is not encrypted. */
static struct tls_window past_finished(const struct tls_side *s, struct tls_window w)
{
	if (s->flow->torn && w.to < HANDSHAKE_RECORDS)
		w.to = HANDSHAKE_RECORDS;
	return w;
}

static enum tls_opening open_12(struct tls_side *s, const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	const struct tls_window anew = past_finished(s, window_anew(s));
	struct tls_secret *secret;

	to->why = TLS_EVIDENCE_NO_KEYS;
	if (!t->have_server_hello || !t->agreed.suite || t->agreed.suite->mode == TLS_MODE_NONE || t->agreed.suite->v13)
		return TLS_REFUSED;
	if (s->opener && !is_time_to_try(s->missing.tried))
		return TLS_REFUSED;
	if (t->have_client_random) {
		secret = find_secret(t, APPLICATION, "CLIENT_RANDOM");
		if (!secret)
			return s->given_up || s->opener ? TLS_REFUSED : TLS_WAITS;
		bind(t, secret, "CLIENT_RANDOM");
		to->why = TLS_EVIDENCE_BAD_TAG;
		return try_master(s, secret, t->agreed.client_random, &anew, record, to) ? TLS_OPENED : TLS_REFUSED;
	}
	if (is_time_to_try(s->attempts++) && try_recent_master(s, try_master_of_id, &anew, record, to))
		return TLS_OPENED;
	return s->given_up ? TLS_REFUSED : TLS_WAITS;
}

/* ---- TLS 1.3 ---------------------------------------------------------------------------------------------------- */

int tls_keys_update(struct tls_side *s)
{
	const struct tls_suite *suite = s->flow->agreed.suite;
	bool seen = s->data_seen;

	tls_keys_turn(s, APPLICATION);
	s->data_seen = seen;
	if (tls_update_secret(suite, s->secret, suite->hash_len) < 0)
		return -1;
	s->opener = tls_opener_new_13(suite, s->secret, suite->hash_len);
	return s->opener ? 0 : -1;
}

/* A KeyUpdate may be among what is missing. */
static bool try_generations(struct tls_side *s, const struct tls_record *record, struct tls_opened *to)
{
	const struct tls_suite *suite = s->flow->agreed.suite;
	const struct tls_window anew = window_anew(s);

	if (s->epoch != APPLICATION || !is_time_to_try(s->missing.tried))
		return false;
	for (unsigned i = 1; i <= GENERATIONS; i++)
		if (try_secret(s, suite, s->secret, suite->hash_len, i, &anew, record, to))
			return true;
	return false;
}

/* No hello told who is who, or what was agreed on; it is known now, by what opened a record. */
static void know(struct tls_side *s, bool client, uint16_t version)
{
	struct tls_flow *t = s->flow;

	t->version = t->info->version = version;
	t->have_client = true;
	t->client = client ? s->dir : (enum fdtape_dir) !s->dir;
	t->torn = true;
	for (int dir = 0; dir < 2; dir++)
		t->side[dir].protected = true;
	if (!tls_other(s)->opener)
		tls_other(s)->epoch = NEGOTIATION;
}

/* Any secret of the process, for either role and any epoch and generation. */
static bool try_anything(struct tls_side *s, size_t nth, const struct tls_window *window,
                         const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;

	for (unsigned updates = 0; updates <= GENERATIONS; updates++)
		for (int client = 1; client >= 0; client--) {
			if (t->have_client && tls_is_client(s) != client)
				continue;
			if (try_recent(s, nth, client, APPLICATION, updates, window, record, to) ||
			    (updates == 0 && try_recent(s, nth, client, NEGOTIATION, 0, window, record, to))) {
				know(s, client, 0x0304);
				return true;
			}
		}
	return false;
}

/* With the master secret that the tape has the server's random to, by any AEAD. */
static bool try_master_unknown(struct tls_side *s, struct tls_secret *secret, const struct tls_window *window,
                               const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	const struct tls_secret *random =
	        tls_store_find(t->store, secret->id_kind, secret->id, secret->id_len, "SERVER_RANDOM");
	struct tls_agreed agreed = {.version = 0x0303};
	const struct tls_window wider = past_finished(s, *window);
	struct tls_opener *opener;

	if (secret->id_kind != FDTAPE_SECRET_ID_CLIENT_RANDOM || secret->id_len != 32 || !random ||
	    random->value_len != 32)
		return false;
	memcpy(agreed.client_random, secret->id, 32);
	memcpy(agreed.server_random, random->value, 32);
	for (size_t nth = 0; (agreed.suite = tls_suite_aead_12(nth)); nth++)
		for (int client = 1; client >= 0; client--) {
			if ((t->have_client && tls_is_client(s) != client) || work_left(t) < WORK_OPENER)
				continue;
			t->store->work_done[t->guessing] += WORK_OPENER;
			opener = tls_opener_new_12(&agreed, secret->value, secret->value_len, client);
			if (!opener || !try_opener(s, opener, &wider, record, to)) {
				tls_opener_free(opener);
				continue;
			}
			stay_with(s, opener, to);
			t->agreed = agreed;
			t->have_server_hello = true; /* all that it could tell, but for the suite's name */
			know(s, client, agreed.version);
			adopt(t, secret, APPLICATION);
			return true;
		}
	return false;
}

/* TLS 1.2: any master secret of the process; where the ClientHello is known, its own. */
static bool try_anything_12(struct tls_side *s, const struct tls_window *window, const struct tls_record *record,
                            struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	struct tls_secret *secret;

	if (!t->have_client_random)
		return try_recent_master(s, try_master_unknown, window, record, to);
	secret = find_secret(t, APPLICATION, "CLIENT_RANDOM");
	return secret && try_master_unknown(s, secret, window, record, to);
}

static enum tls_opening open_unknown(struct tls_side *s, const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	const struct tls_window all = window_anew(s);
	bool try_all = is_time_to_try(s->attempts++);

	to->why = TLS_EVIDENCE_NO_KEYS;
	for (size_t i = 0; try_all && i < N_REACHES; i++) {
		struct tls_window window = all;

		narrow(&window, reaches[i]);
		for (size_t nth = 0; nth < (t->agreed.suite ? 1 : SUITES); nth++)
			if (try_anything(s, nth, &window, record, to))
				return TLS_OPENED;
		if (!t->agreed.suite && try_anything_12(s, &window, record, to))
			return TLS_OPENED;
		try_all = is_wider(&all, reaches[i]);
	}
	/* A connection that began before the tape did has no secret that is yet to come. */
	return s->given_up || !t->have_client ? TLS_REFUSED : TLS_WAITS;
}

/* The secrets of the epochs that the side may be in by now, or may have come to within a hole. */
static bool try_epochs(struct tls_side *s, const struct tls_window *window, bool try_all,
                       const struct tls_record *record, struct tls_opened *to, bool *knew)
{
	struct tls_flow *t = s->flow;
	const struct tls_suite *suite = t->agreed.suite;
	bool client = tls_is_client(s);
	enum tls_epoch from = s->opener ? s->epoch + 1 : s->epoch;

	for (unsigned updates = 0; updates <= (s->missing.open || is_of_the_middle(s) ? GENERATIONS : 0); updates++)
		for (enum tls_epoch e = updates ? APPLICATION : from; e < EPOCHS; e++) {
			const char *label = label_of(client, e);
			struct tls_secret *secret = label ? find_secret(t, e, label) : NULL;
			bool opened = false;

			if (secret) {
				*knew |= e == s->epoch || e == NEGOTIATION;
				opened = try_secret(s, suite, secret->value, secret->value_len, updates, window, record,
				                    to);
			} else if (label && try_all) {
				opened = try_recent(s, 0, client, e, updates, window, record, to);
			}
			if (opened) {
				s->epoch = e;
				return true;
			}
		}
	return false;
}

static enum tls_opening open_13(struct tls_side *s, const struct tls_record *record, struct tls_opened *to)
{
	struct tls_flow *t = s->flow;
	const struct tls_suite *suite = t->agreed.suite;
	const struct tls_window all = window_anew(s);
	bool early = tls_is_client(s) && t->early != EARLY_NONE && !t->retried && s->epoch < APPLICATION, knew = false;
	bool try_all, more = true;

	to->why = TLS_EVIDENCE_NO_KEYS;
	if (!suite && !t->have_server_hello)
		return open_unknown(s, record, to);
	if (!suite || !suite->v13 || suite->mode == TLS_MODE_NONE)
		return TLS_REFUSED;
	if (early && t->early == EARLY_OFFERED && !t->torn && !s->given_up)
		return TLS_WAITS;
	if (early && t->early == EARLY_REJECTED && s->epoch == EARLY)
		tls_keys_turn(s, NEGOTIATION);
	if (s->opener) {
		to->why = TLS_EVIDENCE_BAD_TAG;
		if (s->missing.open && try_generations(s, record, to))
			return TLS_OPENED;
		if (!s->missing.open && s->epoch != EARLY)
			return TLS_REFUSED;
	}
	try_all = t->torn && is_time_to_try(s->attempts++);
	for (size_t i = 0; i < N_REACHES && more; i++) {
		struct tls_window window = all;

		narrow(&window, reaches[i]);
		if (try_epochs(s, &window, try_all, record, to, &knew))
			return TLS_OPENED;
		more = is_wider(&all, reaches[i]);
	}
	if (early && t->early == EARLY_REJECTED && knew)
		return TLS_SKIPPED;
	/* It may be of an epoch that began in the hole. */
	if (s->missing.open && s->epoch < APPLICATION && !s->given_up &&
	    !find_secret(t, APPLICATION, label_of(tls_is_client(s), APPLICATION)))
		return TLS_WAITS;
	if (s->opener)
		return TLS_REFUSED;
	if (knew)
		to->why = TLS_EVIDENCE_BAD_TAG;
	return knew || s->given_up ? TLS_REFUSED : TLS_WAITS;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

enum tls_opening tls_keys_open(struct tls_side *s, const struct tls_record *record, struct tls_opened *to)
{
	uint64_t next;

	to->fresh = false;
	to->lost = 0;
	if (s->opener && !s->missing.open) {
		to->len = tls_open(s->opener, record, to->plain, &to->type);
		if (to->len >= 0)
			return TLS_OPENED;
	}
	allow_work(s->flow);
	if (s->opener && s->missing.open) {
		const struct tls_window window = window_from(s, next = tls_opener_seq(s->opener));

		if (try_opener(s, s->opener, &window, record, to)) {
			to->lost = tls_opener_seq(s->opener) - 1 - next;
			return TLS_OPENED;
		}
	}
	if (s->flow->version != 0 && s->flow->version < 0x0304) {
		to->why = TLS_EVIDENCE_BAD_TAG;
		if (s->opener && !s->missing.open)
			return TLS_REFUSED;
		return open_12(s, record, to);
	}
	return open_13(s, record, to);
}
