/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A *layer* is a byte stream of both directions that may be TLS, or turn to it. Layer 0 is what the fd carries; where
 * layer n is TLS, its plaintext is the stream of layer n + 1. A layer that is clear tells its bytes to the sink.
 *
 *     wire -> layer 0: tls_flow (verdict, decryption) -> plaintext -> layer 1: ... -> plain()
 *                         | clear                            ^
 *                         v                                  |
 *                      tls_upgrade -> plain()              library calls that were bound to this layer
 *
 * Layer 0 is judged by its first bytes (tls_framer.c). Bytes that are clear, of any layer, pass tls_upgrade, which holds
 * back what may be the beginning of TLS; when it is, a new tls_flow begins there, in both directions at once.
 *
 * When the kernel was told to do TLS, the calls carry plaintext: they take the place of what tls_flow would decrypt.
 *
 * A tls_flow is never replaced while it is feeding: what tls_upgrade holds is settled when the feeding is over.
 */
#include "replay/tls_stack.h"

#include <stdlib.h>

#include "replay/plaintext.h"
#include "replay/tls_flow.h"
#include "replay/tls_upgrade.h"

struct layer;

struct side {
	struct layer *layer;
	enum fdtape_dir dir;
	struct plaintext plain;                      /* when it is TLS */
	uint64_t fed, clear, unjudged, kernel_bytes; /* bytes that are no hole: all; what became of them */
	uint64_t passed;                             /* bytes of the stream that went on: all but those that are held */
	uint64_t begins, wall; /* where the tls_flow began, and when its first byte was carried; wall 0: not yet */
	uint64_t clear_at, clear_wall;    /* the first clear byte; wall 0: none yet */
	uint64_t calls_end;               /* up to where library calls delivered plaintext */
	bool noted[TLS_SEGMENT_KTLS + 1]; /* segments of the timeline */
	bool kernel;                      /* TLS is done by the kernel */
};

struct layer {
	struct tls_stack *stack;
	unsigned depth;
	struct tls_flow *tls;  /* NULL: clear so far */
	struct tls_info *info; /* depth 0: the caller's */
	struct tls_upgrade upgrade;
	struct side side[2];
	const char *agreed;
	size_t n_keys; /* of info->keys: told to opens() */
	bool began;    /* its tls_flow began where tls_upgrade found it: it does not turn again */
	bool turned;   /* and it was clear before */
	bool watching; /* what is fed now may begin TLS */
};

struct tls_stack {
	struct tls_store *store;
	struct tls_stack_sink sink;
	uint32_t pid;
	struct layer *layer[TLS_STACK_DEPTH];
	struct tls_timeline timeline;
	struct tls_lengths lengths[2];
	bool failed; /* no memory, where nobody could be told */
};

static int layer_feed(struct layer *l, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                      const struct stamp *stamp);

/* ---- layers ----------------------------------------------------------------------------------------------------- */

static struct layer *layer_new(struct tls_stack *s, unsigned depth, struct tls_info *info)
{
	struct layer *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->stack = s;
	l->depth = depth;
	l->info = info ? info : calloc(1, sizeof *info);
	if (!l->info) {
		free(l);
		return NULL;
	}
	for (int dir = 0; dir < 2; dir++) {
		l->side[dir].layer = l;
		l->side[dir].dir = (enum fdtape_dir)dir;
	}
	return s->layer[depth] = l;
}

static void layer_free(struct layer *l)
{
	if (!l)
		return;
	tls_flow_free(l->tls);
	tls_upgrade_release(&l->upgrade);
	plaintext_release(&l->side[0].plain);
	plaintext_release(&l->side[1].plain);
	if (l->depth > 0)
		free(l->info);
	free(l);
}

/* Is this direction's TLS, or was it found to be otherwise? */
static bool is_tls(const struct layer *l, enum fdtape_dir dir)
{
	return l->side[dir].kernel || (l->tls && tls_flow_is_tls(l->tls, dir));
}

/* ---- the timeline ----------------------------------------------------------------------------------------------- */

_Static_assert(TLS_SEGMENTS_MAX >= 2 * (2 * TLS_STACK_DEPTH + 1), "room for each segment that can be");

static void note(struct side *side, enum tls_segment_kind kind, uint64_t offset, uint64_t wall)
{
	struct layer *l = side->layer;
	struct tls_timeline *t = &l->stack->timeline;

	if (side->noted[kind])
		return;
	side->noted[kind] = true;
	t->segments[t->n++] = (struct tls_segment){.dir = side->dir,
	                                           .depth = l->depth,
	                                           .kind = kind,
	                                           .offset = offset,
	                                           .wall = wall,
	                                           .agreed = kind == TLS_SEGMENT_TLS ? l->agreed : NULL,
	                                           .tls = kind == TLS_SEGMENT_CLEAR ? NULL : l->info};
}

/* What the tls_flow found out so far, as the whole layer has it. */
static void sum_up(struct layer *l)
{
	struct tls_stack *s = l->stack;
	bool kernel = l->side[0].kernel || l->side[1].kernel;

	for (int dir = 0; dir < 2; dir++)
		if (l->tls && l->side[dir].wall && tls_flow_is_tls(l->tls, (enum fdtape_dir)dir))
			note(&l->side[dir], TLS_SEGMENT_TLS, l->side[dir].begins, l->side[dir].wall);
	if (kernel)
		l->info->verdict = TLS_VERDICT_TLS;
	if ((l->turned || (kernel && (l->side[0].noted[TLS_SEGMENT_CLEAR] || l->side[1].noted[TLS_SEGMENT_CLEAR]))) &&
	    l->info->verdict == TLS_VERDICT_TLS)
		l->info->verdict = TLS_VERDICT_MIXED;
	while (l->n_keys < l->info->n_keys) {
		const struct tls_key *key = &l->info->keys[l->n_keys++];

		if (s->sink.opens)
			s->sink.opens(s->sink.context, l->depth, key);
	}
}

/* ---- clear bytes ------------------------------------------------------------------------------------------------ */

static void tell(struct side *side, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct layer *l = side->layer;
	struct tls_stack *s = l->stack;

	/* A direction that begins with a hole is not judged; and that a plaintext is one is worth a word only when it
	 * turns to TLS. */
	if (data && !side->clear_wall) {
		side->clear_wall = stamp->wall;
		side->clear_at = side->passed;
	}
	if (data && l->depth == 0 && !tls_flow_may_be_tls(l->tls, side->dir))
		note(side, TLS_SEGMENT_CLEAR, side->clear_at, side->clear_wall);
	if (data && l->tls && tls_flow_may_be_tls(l->tls, side->dir))
		side->unjudged += len;
	else if (data)
		side->clear += len;
	side->passed += len;
	tls_upgrade_said(&l->upgrade, side->dir, data, len);
	s->sink.plain(s->sink.context, side->dir, data, len, stamp, l->depth > 0);
}

/* The next bytes of a direction of which nothing says that they are TLS. */
static int clear(struct side *side, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct layer *l = side->layer;
	size_t header = data && side->passed == 0 ? tls_upgrade_proxy_header(data, len) : 0;

	if (header && header < len) {
		tell(side, data, header, stamp);
		data += header;
		len -= header;
	}
	if (l->watching && !is_tls(l, !side->dir) &&
	    (tls_upgrade_pending(&l->upgrade) || tls_upgrade_begins(&l->upgrade, side->dir, data, len)))
		return tls_upgrade_hold(&l->upgrade, side->dir, data, len, stamp);
	tell(side, data, len, stamp);
	return 0;
}

/* ---- plaintext -------------------------------------------------------------------------------------------------- */

/* From plaintext: what TLS protected goes to the next layer. */
static void emit(void *context, uint64_t offset, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct side *side = context;
	struct tls_stack *s = side->layer->stack;
	unsigned depth = side->layer->depth + 1;
	struct layer *inner = depth < TLS_STACK_DEPTH ? s->layer[depth] : NULL;

	(void)offset;
	if (!inner && depth < TLS_STACK_DEPTH)
		inner = layer_new(s, depth, NULL);
	if (!inner && depth < TLS_STACK_DEPTH)
		s->failed = true;
	else if (!inner)
		s->sink.plain(s->sink.context, side->dir, data, len, stamp, true);
	else if (layer_feed(inner, side->dir, data, len, stamp) < 0)
		s->failed = true;
}

/* Where the plaintext came from, so far. */
static void judge_plaintext(struct layer *l)
{
	bool wire = false, calls = false, agree = false, differ = false;

	for (int dir = 0; dir < 2; dir++) {
		const struct plaintext *plain = &l->side[dir].plain;

		wire |= plain->from_wire > 0;
		calls |= plain->from_calls > 0;
		agree |= plain->compared > 0;
		differ |= plain->differs;
	}
	agree &= !differ;
	l->info->evidence &= ~(uint32_t)TLS_EVIDENCE_CALLS_AGREE;
	l->info->evidence |= (agree ? TLS_EVIDENCE_CALLS_AGREE : 0u) | (differ ? TLS_EVIDENCE_CALLS_DIFFER : 0u);
	l->info->plaintext = wire && agree ? TLS_PLAINTEXT_BOTH
	                     : wire        ? TLS_PLAINTEXT_WIRE
	                     : calls       ? TLS_PLAINTEXT_CALLS
	                                   : TLS_PLAINTEXT_NONE;
}

/* From tls_flow. */
static int on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct layer *l = context;
	struct side *side = &l->side[dir];
	int result;

	if (!tls_flow_is_tls(l->tls, dir))
		return clear(side, data, len, stamp);
	/* The verdict is told by these very bytes. */
	if (l->info->verdict == TLS_VERDICT_UNKNOWN)
		l->info->verdict = TLS_VERDICT_TLS;
	result = plaintext_wire(&side->plain, data, len, stamp, emit, side);
	judge_plaintext(l);
	return result;
}

static bool on_key(void *context, const struct tls_key *key)
{
	struct layer *l = context;
	const struct tls_stack_sink *sink = &l->stack->sink;

	return sink->key && sink->key(sink->context, key);
}

static struct tls_flow *new_flow(struct layer *l, bool preopened)
{
	const struct tls_flow_sink sink = {.context = l, .plain = on_plain, .key = on_key};

	return tls_flow_new(l->stack->store, l->info, l->stack->pid, preopened, &sink);
}

/* ---- turning to TLS --------------------------------------------------------------------------------------------- */

/* The piece goes on to the tls_flow if there is one. */
static int pass(struct layer *l, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct side *side = &l->side[dir];
	int result;

	if (!l->tls)
		return clear(side, data, len, stamp);
	if (data && !side->wall)
		side->wall = stamp->wall;
	if (l->depth == 0)
		tls_lengths_feed(&l->stack->lengths[dir], data, len, stamp);
	result = tls_flow_feed(l->tls, dir, data, len, stamp);
	sum_up(l);
	return result;
}

/* Gives the first held piece to tls_flow, or tells it. 0 or -1. */
static int release_first(struct layer *l)
{
	const struct tls_upgrade_piece *piece = tls_upgrade_first(&l->upgrade);
	/* Freshly taken: what follows may hold further pieces. */
	uint8_t *copy = piece->hole ? NULL : malloc((size_t)piece->len + 1);
	const struct stamp stamp = piece->stamp;
	enum fdtape_dir dir = piece->dir;
	uint64_t len = piece->len;
	int result;

	if (!piece->hole && !copy)
		return -1;
	if (copy)
		memcpy(copy, l->upgrade.bytes[dir].data, (size_t)len);
	tls_upgrade_drop(&l->upgrade);
	result = pass(l, dir, copy, len, &stamp);
	free(copy);
	return result;
}

/* A plaintext turns to TLS: so its clear beginnings are a part of the timeline, the earlier first. */
static void note_clear(struct layer *l)
{
	int first = l->side[FDTAPE_OUT].clear_wall < l->side[FDTAPE_IN].clear_wall ? FDTAPE_OUT : FDTAPE_IN;

	for (int i = 0; i < 2; i++) {
		struct side *side = &l->side[i ? !first : first];

		if (side->clear_wall)
			note(side, TLS_SEGMENT_CLEAR, side->clear_at, side->clear_wall);
	}
}

/* The held pieces are TLS: a new tls_flow begins with them. */
static int turn(struct layer *l)
{
	struct tls_stack *s = l->stack;
	bool server_first = l->upgrade.server_first;
	enum fdtape_dir client = server_first ? !l->upgrade.hello : l->upgrade.hello;
	const struct stamp stamp = tls_upgrade_first(&l->upgrade)->stamp;
	int result = 0;

	l->watching = false;
	l->began = true;
	if (l->tls) /* what it may still hold was clear */
		result = tls_flow_finish(l->tls);
	tls_flow_free(l->tls);
	l->tls = new_flow(l, false);
	if (!l->tls)
		return -1;
	if (l->depth > 0)
		note_clear(l);
	l->turned = l->side[0].noted[TLS_SEGMENT_CLEAR] || l->side[1].noted[TLS_SEGMENT_CLEAR];
	l->agreed = tls_upgrade_agreement(&l->upgrade, client);
	l->info->evidence |= l->agreed ? TLS_EVIDENCE_UPGRADE : 0;
	for (int dir = 0; dir < 2; dir++) {
		l->side[dir].begins = l->side[dir].passed;
		l->side[dir].wall = 0;
		if (l->depth == 0)
			s->lengths[dir] = (struct tls_lengths){0};
	}
	if (s->sink.turned)
		s->sink.turned(s->sink.context);
	if (server_first && result == 0) /* the client's hello was not seen */
		result = tls_flow_feed(l->tls, client, NULL, 1, &stamp);
	while (result == 0 && tls_upgrade_pending(&l->upgrade))
		result = release_first(l);
	return result;
}

/* Judges what is held, as far as that is possible. */
static int settle(struct layer *l, bool ended)
{
	int result = 0;

	while (result == 0 && tls_upgrade_pending(&l->upgrade)) {
		enum tls_upgrade_verdict verdict = tls_upgrade_judge(&l->upgrade, ended);

		if (verdict == TLS_UPGRADE_MORE)
			return 0;
		if (verdict == TLS_UPGRADE_YES)
			return turn(l);
		l->watching = false;
		do
			result = release_first(l);
		while (result == 0 && tls_upgrade_pending(&l->upgrade) && !tls_upgrade_again(&l->upgrade));
	}
	return result;
}

static int layer_feed(struct layer *l, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                      const struct stamp *stamp)
{
	struct side *side = &l->side[dir];
	int result;

	side->fed += data ? len : 0;
	if (side->kernel) {
		side->kernel_bytes += data ? len : 0;
		result = plaintext_wire(&side->plain, data, len, stamp, emit, side);
		judge_plaintext(l);
		return result;
	}
	if (tls_upgrade_pending(&l->upgrade)) {
		result = tls_upgrade_hold(&l->upgrade, dir, data, len, stamp);
	} else {
		l->watching = !l->began;
		result = pass(l, dir, data, len, stamp);
	}
	return result == 0 ? settle(l, false) : result;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

struct tls_stack *tls_stack_new(struct tls_store *store, struct tls_info *info, uint32_t pid, bool preopened,
                                const struct tls_stack_sink *sink)
{
	struct tls_stack *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->store = store;
	s->pid = pid;
	s->sink = *sink;
	if (!layer_new(s, 0, info) || !(s->layer[0]->tls = new_flow(s->layer[0], preopened))) {
		tls_stack_free(s);
		return NULL;
	}
	return s;
}

int tls_stack_feed(struct tls_stack *s, enum fdtape_dir dir, const uint8_t *data, uint64_t len,
                   const struct stamp *stamp)
{
	return layer_feed(s->layer[0], dir, data, len, stamp) < 0 || s->failed ? -1 : 0;
}

int tls_stack_kernel(struct tls_stack *s, enum fdtape_dir dir, uint64_t offset, uint16_t version, uint16_t cipher,
                     const struct stamp *stamp)
{
	struct layer *l = s->layer[0];
	struct side *side = &l->side[dir];
	int result = settle(l, true);

	if (side->kernel)
		return result;
	/* Records that wait for a secret are of the handshake: what is protected from here on is in the calls. */
	if (result == 0)
		result = tls_flow_give_up(l->tls, dir);
	side->kernel = true;
	side->plain.wire_lost = false;
	l->info->evidence |= TLS_EVIDENCE_KTLS;
	if (!l->info->version)
		l->info->version = version;
	if (!l->info->cipher)
		l->info->cipher = cipher;
	note(side, TLS_SEGMENT_KTLS, offset, stamp->wall);
	sum_up(l);
	return result;
}

static struct layer *layer_at(const struct tls_stack *s, unsigned depth)
{
	return depth < TLS_STACK_DEPTH ? s->layer[depth] : NULL;
}

int tls_stack_bound(struct tls_stack *s, unsigned depth, uint32_t how, const struct stamp *stamp)
{
	struct layer *l = layer_at(s, depth);
	int result = 0;

	if (!l)
		return 0;
	l->info->evidence |= TLS_EVIDENCE_CALLS | how;
	if (l->info->verdict == TLS_VERDICT_UNKNOWN)
		l->info->verdict = TLS_VERDICT_TLS;
	for (int dir = 0; dir < 2 && result == 0; dir++) {
		if (l->tls)
			result = tls_flow_lose(l->tls, (enum fdtape_dir)dir, stamp);
		l->side[dir].plain.calls_known = true;
	}
	sum_up(l);
	return result;
}

uint64_t tls_stack_calls_end(const struct tls_stack *s, unsigned depth, enum fdtape_dir dir)
{
	const struct layer *l = layer_at(s, depth);

	return l ? l->side[dir].calls_end : 0;
}

int tls_stack_calls(struct tls_stack *s, unsigned depth, enum fdtape_dir dir, uint64_t offset, const uint8_t *data,
                    uint64_t len, const struct stamp *stamp, bool waits)
{
	struct layer *l = layer_at(s, depth);
	struct side *side;
	int result;

	if (!l)
		return 0;
	side = &l->side[dir];
	if (offset + len > side->calls_end)
		side->calls_end = offset + len;
	result = plaintext_calls(&side->plain, offset, data, len, stamp, emit, side);
	if (result == 0 && side->plain.waiting && !waits && l->tls) {
		/* The library had its keys by now; so the tape has not, if the wire still waits for one. */
		result = tls_flow_give_up(l->tls, dir);
	}
	judge_plaintext(l);
	sum_up(l);
	return s->failed ? -1 : result;
}

int64_t tls_stack_agrees(const struct tls_stack *s, unsigned depth, enum fdtape_dir dir, uint64_t offset,
                         const uint8_t *data, uint64_t len)
{
	const struct layer *l = layer_at(s, depth);

	return l ? plaintext_agrees(&l->side[dir].plain, offset, data, len) : 0;
}

bool tls_stack_may_be_tls(const struct tls_stack *s, unsigned depth)
{
	const struct layer *l = layer_at(s, depth);

	if (!l)
		return false;
	if (depth > 0 || tls_upgrade_pending(&l->upgrade))
		return l->tls || tls_upgrade_pending(&l->upgrade);
	for (int dir = 0; dir < 2; dir++)
		if (!l->side[dir].kernel && !tls_flow_may_be_tls(l->tls, (enum fdtape_dir)dir))
			return false;
	return true;
}

bool tls_stack_is_tls(const struct tls_stack *s, unsigned depth)
{
	const struct layer *l = layer_at(s, depth);

	return l && (is_tls(l, FDTAPE_IN) || is_tls(l, FDTAPE_OUT));
}

enum tls_verdict tls_stack_now(const struct tls_stack *s, enum fdtape_dir dir)
{
	const struct layer *l = s->layer[0];

	if (is_tls(l, dir))
		return TLS_VERDICT_TLS;
	if (tls_upgrade_holds(&l->upgrade, dir) || tls_flow_may_be_tls(l->tls, dir))
		return TLS_VERDICT_UNKNOWN;
	return TLS_VERDICT_CLEAR;
}

const struct tls_info *tls_stack_info(const struct tls_stack *s, unsigned depth)
{
	const struct layer *l = layer_at(s, depth);

	return l && (depth == 0 || l->tls) ? l->info : NULL;
}

const struct tls_lengths *tls_stack_lengths(const struct tls_stack *s, enum fdtape_dir dir)
{
	return &s->lengths[dir];
}

const struct tls_timeline *tls_stack_timeline(const struct tls_stack *s)
{
	return &s->timeline;
}

bool tls_stack_compared(const struct tls_stack *s, unsigned depth, enum fdtape_dir dir,
                        struct tls_stack_compared *compared)
{
	const struct layer *l = layer_at(s, depth);
	const struct plaintext *plain;

	if (!l || !(is_tls(l, FDTAPE_IN) || is_tls(l, FDTAPE_OUT)))
		return false;
	plain = &l->side[dir].plain;
	*compared = (struct tls_stack_compared){.wire = plain->from_wire,
	                                        .calls = plain->called,
	                                        .compared = plain->compared,
	                                        .differs = plain->differs,
	                                        .differs_at = plain->differs_at};
	return true;
}

struct tls_stack_bytes tls_stack_bytes(const struct tls_stack *s, enum fdtape_dir dir)
{
	const struct layer *l = s->layer[0];
	const struct side *side = &l->side[dir];
	struct tls_stack_bytes b = {.clear = side->clear,
	                            .handshake = l->info->open_bytes[dir],
	                            .decrypted = l->info->decrypted_bytes[dir],
	                            .kernel = side->kernel_bytes,
	                            .unjudged = side->unjudged};
	uint64_t known = b.clear + b.handshake + b.decrypted + b.kernel + b.unjudged;

	b.sealed = side->fed > known ? side->fed - known : 0;
	return b;
}

int tls_stack_finish(struct tls_stack *s)
{
	int result = 0;

	/* What a layer still gives is the next one's. */
	for (unsigned depth = 0; depth < TLS_STACK_DEPTH && s->layer[depth] && result == 0; depth++) {
		struct layer *l = s->layer[depth];

		result = settle(l, true);
		if (result == 0 && l->tls)
			result = tls_flow_finish(l->tls);
		if (result == 0)
			result = settle(l, true); /* the tls_flow may have held a little */
		sum_up(l);
	}
	return result;
}

int tls_stack_finish_calls(struct tls_stack *s, const struct stamp *stamp)
{
	int result = 0;

	for (unsigned depth = 0; depth < TLS_STACK_DEPTH && s->layer[depth] && result == 0; depth++) {
		struct layer *l = s->layer[depth];

		for (int dir = 0; dir < 2 && result == 0; dir++)
			result = plaintext_finish(&l->side[dir].plain, stamp, emit, &l->side[dir]);
		if (result == 0)
			result = settle(l, true);
		judge_plaintext(l);
		sum_up(l);
	}
	return s->failed ? -1 : result;
}

void tls_stack_free(struct tls_stack *s)
{
	if (!s)
		return;
	for (unsigned depth = 0; depth < TLS_STACK_DEPTH; depth++)
		layer_free(s->layer[depth]);
	free(s);
}
