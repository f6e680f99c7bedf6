/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Without a choice, every item is written as it was read. A cut writes the events that the player takes for chosen, and
 * before each what it refers to: its process and its flow, as they are known at that moment; once written, their later
 * definitions follow. Offsets stay, so that what is missing is a hole in its place.
 *
 * Which secrets belong to the cut is known only when the player has bound them to a connection. They are held until
 * then: one of a kept connection is written at once, one of another connection never, and those that were bound to
 * none at the end, if their process is kept.
 *
 * One tape keeps its sections, ids and times. Several become one section: times are put in the terms of the first
 * section's clock, by way of wall time, and flows get the numbers that the player gave them.
 */
#include "replay/sink_tape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

enum {
	SECRETS_HELD = 65536,
	META_MAX = 256,
	NOTE_MAX = 1024
};

struct cut_process {
	struct fdtape_process def; /* the latest; its strings are in text */
	char *text;
	struct map threads; /* by tid: struct cut_thread */
	bool written;
};

/* A thread's name that is written when its process is. */
struct cut_thread {
	struct fdtape_thread def;
	char comm[];
};

struct held_secret {
	struct held_secret *next;
	struct fdtape_secret def;
	bool foreign; /* bound to a connection that is not kept */
	bool written;
	uint8_t bytes[];
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static uint64_t add(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

/* A time of the section that is played, in the terms of the one that is written. */
static uint64_t convert(const struct sink_tape *t, uint64_t time)
{
	uint64_t wall;

	if (!t->merges || time == 0)
		return time;
	wall = player_wall(t->player, time);
	if (wall >= t->clock.realtime)
		return add(t->clock.monotonic, wall - t->clock.realtime);
	return t->clock.monotonic > t->clock.realtime - wall ? t->clock.monotonic - (t->clock.realtime - wall) : 1;
}

static int put(struct sink_tape *t, const struct fdtape_item *item)
{
	if (t->error == 0 && t->writer)
		t->error = fdtape_writer_put(t->writer, item);
	return t->error;
}

static int put_process(struct sink_tape *t, const struct fdtape_process *def)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_PROCESS, .process = *def};

	item.process.time = convert(t, def->time);
	item.process.started = convert(t, def->started);
	return put(t, &item);
}

static int put_thread(struct sink_tape *t, const struct fdtape_thread *def)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_THREAD, .thread = *def};

	item.thread.time = convert(t, def->time);
	return put(t, &item);
}

static int put_flow(struct sink_tape *t, const struct fdtape_flow *def, uint64_t id)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_FLOW, .flow = *def};

	item.flow.id = id;
	item.flow.opened = convert(t, def->opened);
	item.flow.closed = convert(t, def->closed);
	return put(t, &item);
}

static int put_secret(struct sink_tape *t, const struct fdtape_secret *def)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_SECRET, .secret = *def};

	item.secret.time = convert(t, def->time);
	return put(t, &item);
}

static int put_loss(struct sink_tape *t, const struct fdtape_loss *def)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_LOSS, .loss = *def};

	item.loss.from = convert(t, def->from);
	item.loss.to = convert(t, def->to);
	return put(t, &item);
}

/* ---- what a cut needs ------------------------------------------------------------------------------------------- */

/* A flow that was written; player_flow.user. */
struct kept_flow {
	uint64_t id;
	uint64_t captured; /* bytes of it that are on the new tape */
	bool written;
};

static void forget_processes(struct sink_tape *t)
{
	struct cut_process *process;
	size_t cursor = 0;

	while ((process = map_next(&t->processes, &cursor))) {
		map_free(&process->threads);
		free(process->text);
		free(process);
	}
	map_release(&t->processes);
}

/* Remembers the latest definition. */
static int keep_process(struct sink_tape *t, const struct fdtape_process *def)
{
	struct cut_process *process = map_get(&t->processes, def->pid);
	struct fdtape_process copy = *def;
	const char **const strings[] = {&copy.comm,     &copy.exe,    &copy.cmdline,
	                                &copy.build_id, &copy.cgroup, &copy.libraries};
	size_t size = 0;
	char *text, *at;

	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		size += strlen(*strings[i]) + 1;
	text = at = malloc(size);
	if (!text)
		return FDTAPE_ERR_MEMORY;
	if (!process) {
		process = calloc(1, sizeof *process);
		if (!process || !map_put(&t->processes, def->pid, process)) {
			free(process);
			free(text);
			return FDTAPE_ERR_MEMORY;
		}
	}
	free(process->text);
	process->text = text;
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		char *string = at;

		at = stpcpy(at, *strings[i]) + 1;
		*strings[i] = string;
	}
	process->def = copy;
	return process->written ? put_process(t, &process->def) : 0;
}

/* The process is needed. */
static int need_process(struct sink_tape *t, uint32_t pid)
{
	struct cut_process *process = map_get(&t->processes, pid);
	const struct cut_thread *thread;
	size_t cursor = 0;

	if (!process || process->written)
		return t->error;
	process->written = true;
	put_process(t, &process->def);
	while ((thread = map_next(&process->threads, &cursor)))
		put_thread(t, &thread->def);
	map_free(&process->threads);
	return t->error;
}

/* Remembers a thread's name, or writes it if its process was. */
static int keep_thread(struct sink_tape *t, const struct fdtape_thread *def)
{
	struct cut_process *process = map_get(&t->processes, def->pid);
	size_t comm = strlen(def->comm) + 1;
	struct cut_thread *thread;

	if (!process)
		return 0;
	if (process->written)
		return put_thread(t, def);
	free(map_take(&process->threads, def->tid));
	if (!*def->comm)
		return 0;
	thread = malloc(sizeof *thread + comm);
	if (!thread)
		return FDTAPE_ERR_MEMORY;
	thread->def = *def;
	thread->def.comm = memcpy(thread->comm, def->comm, comm);
	if (!map_put(&process->threads, def->tid, thread)) {
		free(thread);
		return FDTAPE_ERR_MEMORY;
	}
	return 0;
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

/* The oldest one is decided on, or all: what was bound to nothing stays with its process. */
static int release_secret(struct sink_tape *t)
{
	struct held_secret *secret = t->secrets;
	const struct cut_process *process = map_get(&t->processes, secret->def.pid);

	t->secrets = secret->next;
	if (!t->secrets)
		t->secrets_end = &t->secrets;
	t->n_secrets--;
	if (!secret->written && !secret->foreign && process && process->written)
		put_secret(t, &secret->def);
	free(secret);
	return t->error;
}

static int hold_secret(struct sink_tape *t, const struct fdtape_secret *def)
{
	size_t label = strlen(def->label) + 1, source = strlen(def->source) + 1;
	struct held_secret *secret = malloc(sizeof *secret + def->id_len + def->value_len + label + source);
	uint8_t *p;

	if (!secret)
		return FDTAPE_ERR_MEMORY;
	*secret = (struct held_secret){.def = *def};
	p = secret->bytes;
	secret->def.id = p;
	if (def->id_len)
		memcpy(p, def->id, def->id_len);
	p += def->id_len;
	secret->def.value = p;
	if (def->value_len)
		memcpy(p, def->value, def->value_len);
	p += def->value_len;
	secret->def.label = memcpy(p, def->label, label);
	secret->def.source = memcpy(p + label, def->source, source);
	*t->secrets_end = secret;
	t->secrets_end = &secret->next;
	return ++t->n_secrets > SECRETS_HELD ? release_secret(t) : 0;
}

/* Is it the key, or the server's random that goes with it? */
static bool is_of_key(const struct fdtape_secret *secret, const struct tls_key *key)
{
	if (strcmp(secret->label, "SERVER_RANDOM") == 0)
		return strcmp(key->label, "CLIENT_RANDOM") == 0 && secret->id_len == sizeof key->client_random &&
		       memcmp(secret->id, key->client_random, sizeof key->client_random) == 0;
	return secret->value_len == key->secret_len && memcmp(secret->value, key->secret, key->secret_len) == 0 &&
	       strcmp(secret->label, key->label) == 0;
}

/* The secret was bound to a connection: one that is kept, or not. */
static int settle_secret(struct sink_tape *t, const struct tls_key *key, bool kept)
{
	for (struct held_secret *s = t->secrets; s; s = s->next) {
		if (!is_of_key(&s->def, key))
			continue;
		if (!kept) {
			s->foreign = true;
		} else if (!s->written) {
			s->written = true;
			put_secret(t, &s->def);
		}
	}
	return t->error;
}

/* ---- sections --------------------------------------------------------------------------------------------------- */

static void describe_time(char *note, size_t size, const char *option, const struct player_time *time)
{
	size_t n = strlen(note);

	if (time->kind != PLAYER_TIME_NONE)
		snprintf(note + n, size - n, " %s %s%" PRIu64 "ns", option,
		         time->kind == PLAYER_TIME_FROM_START ? "+" : "", time->ns);
}

/* What was chosen, for people. */
static void describe(char note[static NOTE_MAX], const struct player_choice *c)
{
	size_t n;

	note[0] = '\0';
	for (size_t i = 0; i < c->n_pids && (n = strlen(note)) < NOTE_MAX; i++)
		snprintf(note + n, NOTE_MAX - n, " --pid %" PRIu32, c->pids[i]);
	for (size_t i = 0; i < c->n_exes && (n = strlen(note)) < NOTE_MAX; i++)
		snprintf(note + n, NOTE_MAX - n, " --exe %s", c->exes[i]);
	for (size_t i = 0; i < c->n_fds && (n = strlen(note)) < NOTE_MAX; i++)
		snprintf(note + n, NOTE_MAX - n, " --fd %" PRId32, c->fds[i]);
	for (size_t i = 0; i < c->n_flows && (n = strlen(note)) < NOTE_MAX; i++)
		snprintf(note + n, NOTE_MAX - n, " --flow %" PRIu64, c->flows[i]);
	for (size_t i = 0; i < c->n_ports && (n = strlen(note)) < NOTE_MAX; i++)
		snprintf(note + n, NOTE_MAX - n, " --port %u", (unsigned)c->ports[i]);
	describe_time(note, NOTE_MAX, "--since", &c->since);
	describe_time(note, NOTE_MAX, "--until", &c->until);
}

/* The same cut of the same section is the same tape, to the byte: identity and salt come from what they are made of. */
static int identify(struct fdtape_writer_options *options, const uint8_t uuid[static 16], const char *note)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint8_t digest[32];
	int result = FDTAPE_ERR_MEMORY;

	if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) > 0 && EVP_DigestUpdate(hash, uuid, 16) > 0 &&
	    EVP_DigestUpdate(hash, note, strlen(note)) > 0 && EVP_DigestFinal_ex(hash, digest, NULL) > 0) {
		memcpy(options->uuid, digest, sizeof options->uuid);
		options->salt = 0;
		for (int i = 16; i < 24; i++)
			options->salt = options->salt << 8 | digest[i];
		options->salt |= 1;
		result = 0;
	}
	EVP_MD_CTX_free(hash);
	return result;
}

/* Ends the section that is written. */
static int end_section(struct sink_tape *t)
{
	if (!t->writer)
		return t->error;
	while (t->secrets)
		release_secret(t);
	if (t->loss.count > 0)
		put_loss(t, &t->loss);
	t->loss = (struct fdtape_loss){0};
	if (t->error == 0)
		t->error = fdtape_writer_end(t->writer);
	fdtape_writer_free(t->writer);
	t->writer = NULL;
	forget_processes(t);
	return t->error;
}

static int begin_section(struct sink_tape *t)
{
	const struct fdtape_reader *reader = player_reader(t->player);
	struct fdtape_writer_options options = {0};
	struct fdtape_meta meta[META_MAX];
	const struct fdtape_meta *m;
	struct fdtape_section_info info;
	char note[NOTE_MAX];

	if (fdtape_reader_section(reader, &info) < 0)
		return FDTAPE_ERR_DAMAGED;
	while (options.n_meta < META_MAX - 1 && (m = fdtape_reader_meta(reader, options.n_meta)))
		meta[options.n_meta++] = *m;
	describe(note, t->choice);
	if (t->merges && !t->cuts)
		meta[options.n_meta++] = (struct fdtape_meta){"replay.merge", "several tapes"};
	else if (t->cuts)
		meta[options.n_meta++] = (struct fdtape_meta){"replay.cut", note + (note[0] == ' ')};
	options.meta = meta;
	options.clock = t->clock = info.clock;
	t->error = identify(&options, info.uuid, note);
	if (t->error == 0)
		t->error = fdtape_writer_open_fd(&t->writer, t->fd, &options);
	return t->error;
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

static int on_section(void *context, const struct player *player)
{
	struct sink_tape *t = context;

	t->player = player;
	if (t->merges && t->writer)
		return 0;
	return end_section(t) < 0 ? t->error : begin_section(t);
}

static int on_item(void *context, const struct fdtape_item *item)
{
	struct sink_tape *t = context;

	switch (item->type) {
	case FDTAPE_ITEM_CLOCK:
		/* Merged times were put right by their own section's clocks already. */
		return t->merges ? 0 : put(t, item);
	case FDTAPE_ITEM_LOSS:
		return put_loss(t, &item->loss);
	case FDTAPE_ITEM_SECRET:
		return t->cuts ? hold_secret(t, &item->secret) : put_secret(t, &item->secret);
	case FDTAPE_ITEM_PROCESS:
		return t->cuts ? keep_process(t, &item->process) : put_process(t, &item->process);
	case FDTAPE_ITEM_THREAD:
		return t->cuts ? keep_thread(t, &item->thread) : put_thread(t, &item->thread);
	default:
		return 0;
	}
}

/* Writes the definition, of a cut when the flow is needed. What comes behind it begins where the flow stands. */
static int need_flow(struct sink_tape *t, const struct player_flow *flow)
{
	struct kept_flow *kept = flow->user;
	struct fdtape_flow def = flow->def;

	if (kept->written)
		return t->error;
	kept->written = true;
	need_process(t, def.pid);
	for (int dir = 0; dir < 2 && !def.closed; dir++)
		def.bytes[dir] = player_flow_reached(flow, (enum fdtape_dir)dir);
	return t->error ? t->error : put_flow(t, &def, kept->id);
}

/* Also for later definitions. */
static int on_flow(void *context, struct player_flow *flow)
{
	struct sink_tape *t = context;
	struct kept_flow *kept = flow->user;

	if (!kept) {
		flow->user = kept = calloc(1, sizeof *kept);
		if (!kept)
			return FDTAPE_ERR_MEMORY;
		kept->id = t->merges ? flow->number : flow->def.id;
		t->n_flows++;
		return t->cuts ? 0 : need_flow(t, flow);
	}
	return kept->written && !t->error ? put_flow(t, &flow->def, kept->id) : t->error;
}

static int on_closed(void *context, struct player_flow *flow)
{
	struct sink_tape *t = context;
	struct kept_flow *kept = flow->user;
	uint64_t captured = flow->traffic[0].captured + flow->traffic[1].captured;

	need_flow(t, flow);
	if (flow->def.kind != FDTAPE_KIND_LIBRARY && captured > kept->captured) {
		t->loss.reason = FDTAPE_LOSS_CUT;
		t->loss.count++;
		t->loss.bytes += captured - kept->captured;
		t->loss.to = t->last;
	}
	free(kept);
	flow->user = NULL;
	return t->error;
}

static int on_call(void *context, const struct player_call *call)
{
	struct sink_tape *t = context;
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT, .event = *call->event};
	struct kept_flow *kept = call->flow ? call->flow->user : NULL;
	const struct kept_flow *other = call->other ? call->other->user : NULL;
	int arg = fdtape_call_flow_arg(call->event->call);

	if (need_process(t, item.event.pid) < 0 || (kept && need_flow(t, call->flow) < 0) ||
	    (other && need_flow(t, call->other) < 0))
		return t->error;
	item.event.time = convert(t, item.event.time);
	item.event.flow = kept ? kept->id : 0;
	if (arg >= 0)
		item.event.arg[arg] = other ? other->id : 0;
	if (kept && !(item.event.flags & FDTAPE_EVENT_PEEK))
		kept->captured += item.event.captured;
	t->last = add(call->event->time, call->event->duration);
	t->n_events++;
	return put(t, &item);
}

static int on_key(void *context, const struct player_flow *flow, const struct tls_key *key)
{
	(void)flow;
	return settle_secret(context, key, true);
}

static int on_unchosen_key(void *context, const struct player_flow *flow, const struct tls_key *key)
{
	(void)flow;
	return settle_secret(context, key, false);
}

/* The new tape says that the old one was not whole. */
static int on_damage(void *context, int error, const char *message)
{
	struct sink_tape *t = context;
	const struct fdtape_loss loss = {.reason = FDTAPE_LOSS_BLOCK, .count = 1, .from = t->last, .to = t->last};

	(void)error;
	if (t->warn)
		t->warn(message);
	return put_loss(t, &loss);
}

void sink_tape_init(struct sink_tape *tape, int fd, const struct player_choice *choice, bool merges,
                    struct player_sink *sink)
{
	*tape = (struct sink_tape){.fd = fd, .choice = choice, .cuts = player_chooses(choice), .merges = merges};
	tape->secrets_end = &tape->secrets;
	sink->context = tape;
	sink->section = on_section;
	sink->apart = !merges; /* a section for each that there was */
	sink->item = on_item;
	sink->flow_opened = sink->flow_updated = on_flow;
	sink->flow_closed = on_closed;
	sink->call = on_call;
	sink->damage = on_damage;
	if (tape->cuts) {
		sink->key = on_key;
		sink->unchosen_key = on_unchosen_key;
	}
}

int sink_tape_finish(struct sink_tape *tape)
{
	return end_section(tape);
}

void sink_tape_release(struct sink_tape *tape)
{
	struct held_secret *secret;

	while ((secret = tape->secrets)) {
		tape->secrets = secret->next;
		free(secret);
	}
	forget_processes(tape);
	fdtape_writer_free(tape->writer);
	tape->writer = NULL;
}
