/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"
#include "analyze/flow_line.h"
#include "analyze/flow_row.h"
#include "analyze/json.h"
#include "analyze/say.h"
#include "analyze/table.h"
#include "analyze/text.h"
#include "analyze/words.h"
#include "map.h"
#include "replay/tls_stack.h"

/*
 * Theory of operation
 *
 * Two books are kept on TLS: what the wire decrypts to, and what the libraries' calls delivered. The audit holds them
 * against each other and against the bytes of the wire, flow by flow, and then says of each process what of its
 * libraries was seen. What does not add up makes the exit status 1: bytes that differ, bytes of the wire that nothing
 * explains, calls whose fd is not known, bytes that are not on the tape.
 */

/* What is known of a process' TLS. */
struct audited {
	uint32_t pid;
	char *name; /* "curl[42]" */
	char *exe;
	struct library {
		char *path;
		bool told;         /* what the recorder did with it, in `functions`: */
		int64_t functions; /* that were probed; -1: it could not be probed */
		uint64_t objects, calls, bytes;
	} * libraries;
	size_t n_libraries, room;
	uint64_t secrets;
	uint64_t tls, told; /* flows that are TLS; of them, those whose plaintext is known */
	uint64_t sealed;    /* flows that nothing opens, */
	uint64_t before;    /* of them, open before recording began */
	uint64_t unbound;   /* objects whose fd is not known */
	uint64_t kernel;    /* flows whose TLS the kernel does */
	uint64_t io_uring;  /* requests */
};

struct audit {
	struct play play;
	struct flow_lines lines;
	struct table table;
	struct map processes; /* by pid: struct audited */
	uint64_t flows, wanting;
	uint64_t bytes, lost, sealed;
	uint64_t by_calls; /* bytes that are not decrypted; but calls deliver what is in them */
	char *tls;         /* record.tls of the first section; NULL: not told */
};

/* ---- processes -------------------------------------------------------------------------------------------------- */

static struct audited *process_by_pid(struct audit *audit, uint32_t pid)
{
	struct audited *p = map_get(&audit->processes, pid);

	if (p)
		return p;
	p = alloc_new(1, sizeof *p);
	p->pid = pid;
	if (!map_put(&audit->processes, pid, p))
		say_and_exit(CLI_REFUSED, "no memory");
	return p;
}

static struct audited *process_of(struct audit *audit, const struct player_process *process)
{
	struct audited *p = process_by_pid(audit, process->pid);
	char name[WORDS_PROCESS_MAX];

	words_process(name, process);
	if (!p->name || strcmp(p->name, name) != 0) {
		free(p->name);
		free(p->exe);
		p->name = alloc_copy(name);
		p->exe = alloc_copy(process->exe);
	}
	return p;
}

/* Of more than can be in earnest, the others are one without a name. */
#define LIBRARIES_MAX 64

static struct library *library_at(struct audited *p, const char *path, size_t len)
{
	struct library *l;

	for (size_t i = 0; i < p->n_libraries; i++)
		if (strncmp(p->libraries[i].path, path, len) == 0 && !p->libraries[i].path[len])
			return &p->libraries[i];
	if (p->n_libraries >= LIBRARIES_MAX && len)
		return library_at(p, "", 0);
	p->libraries = alloc_grow(p->libraries, &p->room, p->n_libraries + 1, sizeof *l);
	l = &p->libraries[p->n_libraries++];
	*l = (struct library){.path = alloc_copy_n(path, len)};
	return l;
}

static struct library *library_of(struct audited *p, const char *path)
{
	return library_at(p, path, strlen(path));
}

/* What the recorder saw mapped: see struct fdtape_process. What is not of that form is passed over. */
static void take_libraries(struct audited *p, const char *lines)
{
	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) {
		const char *path = memchr(lines, ' ', (size_t)(end - lines));
		struct library *l;

		if (!path || path + 1 == end)
			continue;
		l = library_at(p, path + 1, (size_t)(end - path - 1));
		l->told = true;
		l->functions = *lines == '-' ? -1 : strtol(lines, NULL, 10);
	}
}

/* Of those that the recorder told of. */
static bool any_library(const struct audited *p, bool refused)
{
	for (size_t i = 0; i < p->n_libraries; i++)
		if (p->libraries[i].told && (refused ? p->libraries[i].functions < 0 : p->libraries[i].functions > 0))
			return true;
	return false;
}

/* Whether a probed function of any was called. */
static bool has_objects(const struct audited *p)
{
	for (size_t i = 0; i < p->n_libraries; i++)
		if (p->libraries[i].objects)
			return true;
	return false;
}

/* Why nothing opens some of the process' flows: words, most telling first. At most WHYS. */
enum {
	WHYS = 6
};

static size_t find_whys(const struct audit *audit, const struct audited *p, const char *whys[static WHYS])
{
	const struct play_losses *l = &audit->play.losses;
	bool told = p->secrets || has_objects(p);
	size_t n = 0;

	if (p->sealed == 0)
		return 0;
	if (audit->tls && strcmp(audit->tls, "off") == 0)
		whys[n++] = "recorded with --tls off";
	if (p->before)
		whys[n++] = "open before recording began: its secrets were derived then";
	if (audit->tls && strcmp(audit->tls, "calls") == 0 && !has_objects(p))
		whys[n++] = "recorded with --tls calls: no secrets";
	if (p->io_uring)
		whys[n++] = "uses io_uring";
	if (l->by[FDTAPE_LOSS_RING_FULL].count || l->by[FDTAPE_LOSS_MAP_FULL].count)
		whys[n++] = "the recording lost events";
	if (!told && any_library(p, true))
		whys[n++] = "its TLS library could not be probed";
	if (!told && n == 0 && any_library(p, false))
		whys[n++] = "no probed function was called: TLS of another library, or its own";
	else if (!told && n == 0)
		whys[n++] = "no probed function was called: static and stripped, or a library that is not known";
	else if (n == 0)
		whys[n++] = "its secrets are not on the tape";
	return n;
}

/* ---- one flow --------------------------------------------------------------------------------------------------- */

enum state {
	STATE_EXPLAINED, /* every byte */
	STATE_CALLS,     /* by the library's calls, not by the wire */
	STATE_SEALED,    /* some bytes mean nothing to anybody */
	STATE_LOST,      /* some are not on the tape */
	STATE_UNBOUND,   /* calls whose fd is not known */
	STATE_DIFFERS,   /* the sources contradict each other */
};

static const char *const state_names[] = {
        [STATE_EXPLAINED] = "explained", [STATE_CALLS] = "calls",     [STATE_SEALED] = "unexplained",
        [STATE_LOST] = "lost",           [STATE_UNBOUND] = "unbound", [STATE_DIFFERS] = "differs",
};

struct judged {
	struct tls_stack_bytes bytes[2];
	struct source {
		unsigned depth;
		enum fdtape_dir dir;
		struct tls_stack_compared c;
	} sources[TLS_STACK_DEPTH * 2];
	size_t n_sources;
	uint64_t wire, calls, compared; /* of all sources */
	bool differs;
	enum state state;
};

static bool is_wanting(enum state state)
{
	return state != STATE_EXPLAINED && state != STATE_CALLS;
}

static struct judged judge(const struct player_flow *flow)
{
	struct judged j = {.n_sources = 0};
	uint64_t sealed, lost = flow_lost(flow, FDTAPE_IN) + flow_lost(flow, FDTAPE_OUT);

	for (int dir = 0; dir < 2; dir++)
		player_flow_bytes(flow, (enum fdtape_dir)dir, &j.bytes[dir]);
	for (unsigned depth = 0; depth < TLS_STACK_DEPTH; depth++) {
		for (int dir = 0; dir < 2; dir++) {
			struct source *s = &j.sources[j.n_sources];

			if (!player_flow_compared(flow, depth, (enum fdtape_dir)dir, &s->c))
				continue;
			s->depth = depth;
			s->dir = (enum fdtape_dir)dir;
			j.n_sources++;
			j.wire += s->c.wire;
			j.calls += s->c.calls;
			j.compared += s->c.compared;
			j.differs |= s->c.differs;
		}
	}
	sealed = j.bytes[0].sealed + j.bytes[1].sealed;
	j.state = flow->def.kind == FDTAPE_KIND_LIBRARY ? STATE_UNBOUND
	          : j.differs                           ? STATE_DIFFERS
	          : sealed && !j.calls                  ? STATE_SEALED
	          : lost                                ? STATE_LOST
	          : sealed                              ? STATE_CALLS
	                                                : STATE_EXPLAINED;
	return j;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static struct json *bytes_object(const struct player_flow *flow, const struct judged *j, enum fdtape_dir dir)
{
	const struct tls_stack_bytes *b = &j->bytes[dir];
	struct json *object = js_object();

	js_set(object, "bytes", js_number(flow->traffic[dir].bytes));
	js_set(object, "clear", js_number(b->clear));
	js_set(object, "handshake", js_number(b->handshake));
	js_set(object, "decrypted", js_number(b->decrypted));
	js_set(object, "kernel", js_number(b->kernel));
	js_set(object, "unexplained", js_number(b->sealed));
	js_set(object, "unjudged", js_number(b->unjudged));
	js_set(object, "lost", js_number(flow_lost(flow, dir)));
	return object;
}

static struct json *source_object(const struct source *s)
{
	struct json *object = js_object();

	js_set(object, "dir", js_plain(words_dir(s->dir)));
	js_set(object, "depth", js_number(s->depth));
	js_set(object, "wire", js_number(s->c.wire));
	js_set(object, "calls", js_number(s->c.calls));
	js_set(object, "compared", js_number(s->c.compared));
	js_set(object, "equal", s->c.compared ? js_bool(!s->c.differs) : js_null());
	js_set(object, "differs_at", s->c.differs ? js_number(s->c.differs_at) : js_null());
	return object;
}

static struct json *flow_object(const struct player_flow *flow, const struct judged *j)
{
	struct json *object = js_object(), *sources = js_array();

	js_set(object, "audit", js_plain("flow"));
	js_set(object, "flow", js_number(flow->number));
	js_set(object, "pid", js_number(flow->def.pid));
	js_set(object, "exe", js_known(flow->process->exe));
	js_set(object, "fd", flow->def.fd >= 0 ? js_signed(flow->def.fd) : js_null());
	js_set(object, "verdict", js_plain(tls_verdict_name(flow->tls.verdict)));
	js_set(object, "library", js_known(flow->tls.library));
	js_set(object, "state", js_plain(state_names[j->state]));
	js_set(object, "in", bytes_object(flow, j, FDTAPE_IN));
	js_set(object, "out", bytes_object(flow, j, FDTAPE_OUT));
	for (size_t i = 0; i < j->n_sources; i++)
		js_add(sources, source_object(&j->sources[i]));
	js_set(object, "sources", sources);
	return object;
}

static struct json *process_object(const struct audit *audit, const struct audited *p)
{
	struct json *object = js_object(), *libraries = js_array(), *why = js_array();
	const char *whys[WHYS];
	size_t n = find_whys(audit, p, whys);

	js_set(object, "audit", js_plain("process"));
	js_set(object, "pid", js_number(p->pid));
	js_set(object, "exe", js_known(p->exe ? p->exe : ""));
	js_set(object, "tls_flows", js_number(p->tls));
	js_set(object, "readable", js_number(p->told));
	js_set(object, "unexplained", js_number(p->sealed));
	js_set(object, "unbound", js_number(p->unbound));
	js_set(object, "kernel", js_number(p->kernel));
	js_set(object, "secrets", js_number(p->secrets));
	for (size_t i = 0; i < p->n_libraries; i++) {
		const struct library *l = &p->libraries[i];
		struct json *library = js_object();

		js_set(library, "path", js_known(l->path));
		js_set(library, "functions",
		       l->told && l->functions >= 0 ? js_number((uint64_t)l->functions) : js_null());
		js_set(library, "hooked", l->told || l->objects ? js_bool(l->functions > 0 || l->objects) : js_null());
		js_set(library, "objects", js_number(l->objects));
		js_set(library, "calls", js_number(l->calls));
		js_set(library, "bytes", js_number(l->bytes));
		js_add(libraries, library);
	}
	js_set(object, "libraries", libraries);
	for (size_t i = 0; i < n; i++)
		js_add(why, js_plain(whys[i]));
	js_set(object, "why", why);
	return object;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static const struct table_column columns[] = {
        {"FLOW", true},  {"PROCESS", false}, {"FD", true},     {"TLS", false}, {"WIRE", true},     {"CLEAR", true},
        {"HELLO", true}, {"OPENED", true},   {"SEALED", true}, {"LOST", true}, {"SOURCES", false},
};

enum {
	COLUMNS = sizeof columns / sizeof *columns,
	PROCESS_WIDTH = 15
};

/* A share of the whole in tenths of a percent; nothing is rounded to 0 or to all. */
static void add_share(struct table_row *row, uint64_t part, uint64_t whole)
{
	uint64_t tenths = whole ? (uint64_t)((double)part * 1000 / (double)whole) : 0;

	if (part == 0)
		table_row_add(row, "-");
	else if (part >= whole)
		table_row_add(row, "100%");
	else if (tenths == 0)
		table_row_add(row, "<0.1%");
	else
		table_row_addf(row, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
}

static const char *sources_word(const struct player_flow *flow, const struct judged *j)
{
	if (flow->def.kind == FDTAPE_KIND_LIBRARY)
		return "calls, no fd";
	if (j->differs)
		return "differ";
	if (j->compared)
		return "equal";
	if (j->wire)
		return "wire only";
	if (j->calls)
		return "calls only";
	return j->n_sources ? "none" : "-";
}

/* What the row has no room for. */
static char *note_text(const struct player_flow *flow, const struct judged *j, bool verbose)
{
	struct alloc_text text;
	FILE *out;

	if (!verbose && !j->differs)
		return NULL;
	alloc_text_begin(&text);
	out = text.out;
	for (size_t i = 0; i < j->n_sources; i++) {
		const struct source *s = &j->sources[i];

		if (!verbose && !s->c.differs)
			continue;
		fprintf(out, "%s      %s", ftell(out) ? "\n" : "", words_dir(s->dir));
		if (s->depth)
			fprintf(out, ", TLS within TLS");
		fprintf(out, ": wire %" PRIu64 ", calls %" PRIu64 ", compared %" PRIu64 " bytes", s->c.wire, s->c.calls,
		        s->c.compared);
		if (s->c.differs)
			fprintf(out, "; the first that differs is at offset %" PRIu64, s->c.differs_at);
	}
	if (verbose && flow->tls.library) {
		fprintf(out, "%s      library ", ftell(out) ? "\n" : "");
		cli_put_string(out, flow->tls.library);
	}
	return alloc_text_end(&text);
}

static struct table_row *audit_row(const struct player_flow *flow, const struct judged *j, bool verbose)
{
	const struct tls_stack_bytes *b = j->bytes;
	struct table_row *row = table_row_new();
	uint64_t whole = flow->traffic[FDTAPE_IN].bytes + flow->traffic[FDTAPE_OUT].bytes;
	bool library = flow->def.kind == FDTAPE_KIND_LIBRARY;
	char text[WORDS_PROCESS_MAX];
	char *note = note_text(flow, j, verbose);

	table_row_addf(row, "%" PRIu64, flow->number);
	table_row_add(row, words_process_cut(text, flow->process, PROCESS_WIDTH));
	if (flow->def.fd >= 0)
		table_row_addf(row, "%" PRId32, flow->def.fd);
	else
		table_row_add(row, "-");
	table_row_add(row, flow->tls.verdict == TLS_VERDICT_UNKNOWN ? "-" : words_tls(&flow->tls));
	table_row_add(row, library ? "-" : text_size(text, whole));
	add_share(row, b[0].clear + b[1].clear + b[0].kernel + b[1].kernel, whole);
	add_share(row, b[0].handshake + b[1].handshake, whole);
	add_share(row, b[0].decrypted + b[1].decrypted, whole);
	add_share(row, b[0].sealed + b[1].sealed + b[0].unjudged + b[1].unjudged, whole);
	add_share(row, library ? 0 : flow_lost(flow, FDTAPE_IN) + flow_lost(flow, FDTAPE_OUT), whole);
	table_row_add(row, sources_word(flow, j));
	if (note && *note)
		row->note = note;
	else
		free(note);
	return row;
}

static void put_row(void *context, void *value)
{
	struct audit *audit = context;

	table_row(&audit->table, value);
}

static void put_object(void *context, void *value)
{
	struct audit *audit = context;

	js_line(audit->play.options->out, value);
}

/* ---- the sink --------------------------------------------------------------------------------------------------- */

static int on_section(void *context, const struct player *player)
{
	struct audit *audit = context;
	const char *tls = audit->tls ? NULL : fdtape_reader_meta_get(player_reader(player), "record.tls");

	if (tls)
		audit->tls = alloc_copy(tls);
	return 0;
}

static int on_item(void *context, const struct fdtape_item *item)
{
	struct audit *audit = context;

	if (item->type == FDTAPE_ITEM_SECRET)
		process_by_pid(audit, item->secret.pid)->secrets++;
	if (item->type == FDTAPE_ITEM_PROCESS && *item->process.libraries)
		take_libraries(process_by_pid(audit, item->process.pid), item->process.libraries);
	return play_item(context, item);
}

static int on_call(void *context, const struct player_call *call)
{
	struct audit *audit = context;
	uint32_t number = call->event->call;

	if (number >= FDTAPE_CALL_SSL_READ && call->flow) {
		struct library *l = library_of(process_of(audit, call->process), call->flow->def.name);

		l->calls++;
		l->bytes += call->event->bytes;
	}
	if (number >= FDTAPE_CALL_IO_URING_READ && number <= FDTAPE_CALL_IO_URING_OTHER)
		process_of(audit, call->process)->io_uring++;
	return 0;
}

static int on_flow_opened(void *context, struct player_flow *flow)
{
	struct audit *audit = context;

	flow->user = flow_lines_open(&audit->lines);
	return 0;
}

static void count(struct audit *audit, const struct player_flow *flow, const struct judged *j)
{
	struct audited *p = process_of(audit, flow->process);
	bool tls = flow->tls.verdict == TLS_VERDICT_TLS || flow->tls.verdict == TLS_VERDICT_MIXED;

	audit->flows++;
	audit->wanting += is_wanting(j->state);
	if (flow->def.kind == FDTAPE_KIND_LIBRARY) {
		p->unbound++;
		return;
	}
	for (int dir = 0; dir < 2; dir++) {
		audit->bytes += flow->traffic[dir].bytes;
		audit->lost += flow_lost(flow, (enum fdtape_dir)dir);
		*(j->calls ? &audit->by_calls : &audit->sealed) += j->bytes[dir].sealed;
	}
	p->tls += tls;
	p->told += tls && flow->tls.plaintext != TLS_PLAINTEXT_NONE;
	p->kernel += (flow->tls.evidence & TLS_EVIDENCE_KTLS) != 0;
	if (j->state == STATE_SEALED) {
		p->sealed++;
		p->before += (flow->def.flags & FDTAPE_FLOW_PREOPENED) != 0;
	}
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct audit *audit = context;
	const struct options *o = audit->play.options;
	bool library = flow->def.kind == FDTAPE_KIND_LIBRARY;
	void *value = NULL;
	struct tls_stack_bytes ignored;
	struct judged j;

	if (library)
		library_of(process_of(audit, flow->process), flow->def.name)->objects++;
	if (!flow_is_part(flow) && (flow->traffic[FDTAPE_IN].bytes || flow->traffic[FDTAPE_OUT].bytes) &&
	    (library || player_flow_bytes(flow, FDTAPE_IN, &ignored))) {
		j = judge(flow);
		count(audit, flow, &j);
		value = o->json ? (void *)flow_object(flow, &j) : (void *)audit_row(flow, &j, o->verbose);
	}
	flow_lines_close(&audit->lines, flow->user, value);
	return 0;
}

/* ---- the end of the page ---------------------------------------------------------------------------------------- */

static int by_pid(const void *a, const void *b)
{
	const struct audited *x = *(struct audited *const *)a, *y = *(struct audited *const *)b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static void put_library(FILE *out, const struct library *l)
{
	fputs(l->functions > 0 || l->objects ? "  hooked " : "  seen ", out);
	cli_put_string(out, *l->path ? l->path : "a library whose name is not known");
	if (l->told && l->functions < 0)
		fputs(": it could not be probed", out);
	else if (l->told && l->functions == 0)
		fputs(": it has no function that is known and asked for", out);
	else if (l->told)
		fprintf(out, ": %" PRId64 " function%s", l->functions, l->functions == 1 ? "" : "s");
	if (l->objects)
		fprintf(out, "%s%" PRIu64 " object%s, %" PRIu64 " call%s", l->told ? ", " : ": ", l->objects,
		        l->objects == 1 ? "" : "s", l->calls, l->calls == 1 ? "" : "s");
	putc('\n', out);
}

static void put_process(const struct audit *audit, const struct audited *p)
{
	FILE *out = audit->play.options->out;
	const char *whys[WHYS];
	size_t n = find_whys(audit, p, whys);

	fprintf(out, "%s: %" PRIu64 " TLS flow%s, %" PRIu64 " readable; %" PRIu64 " secret%s\n",
	        p->name ? p->name : "?", p->tls, p->tls == 1 ? "" : "s", p->told, p->secrets,
	        p->secrets == 1 ? "" : "s");
	for (size_t i = 0; i < p->n_libraries; i++)
		put_library(out, &p->libraries[i]);
	if (p->unbound)
		fprintf(out, "  %" PRIu64 " object%s delivered bytes of no known file descriptor\n", p->unbound,
		        p->unbound == 1 ? "" : "s");
	if (p->kernel)
		fprintf(out, "  kTLS: the kernel does the TLS of %" PRIu64 " flow%s, whose calls carry plaintext\n",
		        p->kernel, p->kernel == 1 ? "" : "s");
	if (p->sealed)
		fprintf(out, "  missed %" PRIu64 " flow%s:", p->sealed, p->sealed == 1 ? "" : "s");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s %s", i ? ";" : "", whys[i]);
	fputs(p->sealed ? "\n" : "", out);
}

static void put_processes(const struct audit *audit)
{
	struct audited **all = alloc_new(audit->processes.used, sizeof *all), *p;
	FILE *out = audit->play.options->out;
	size_t n = 0, shown = 0;

	for (size_t cursor = 0; (p = map_next(&audit->processes, &cursor));)
		all[n++] = p;
	qsort(all, n, sizeof *all, by_pid);
	for (size_t i = 0; i < n; i++) {
		p = all[i];
		if (!p->tls && !p->secrets && !has_objects(p))
			continue;
		if (audit->play.options->json) {
			js_line(out, process_object(audit, p));
			continue;
		}
		fputs(shown++ ? "" : "\n", out);
		put_process(audit, p);
	}
	free(all);
}

static void put_totals(const struct audit *audit)
{
	uint64_t explained = audit->bytes - audit->lost - audit->sealed;
	char size[TEXT_SIZE_MAX];
	FILE *out = audit->play.options->out;
	struct json *object;

	if (audit->play.options->json) {
		object = js_object();
		js_set(object, "audit", js_plain("total"));
		js_set(object, "flows", js_number(audit->flows));
		js_set(object, "wanting", js_number(audit->wanting));
		js_set(object, "bytes", js_number(audit->bytes));
		js_set(object, "explained", js_number(explained));
		js_set(object, "by_calls", js_number(audit->by_calls));
		js_set(object, "unexplained", js_number(audit->sealed));
		js_set(object, "lost", js_number(audit->lost));
		js_line(out, object);
		return;
	}
	fprintf(out, "\n%" PRIu64 " flow%s, %s: ", audit->flows, audit->flows == 1 ? "" : "s",
	        text_size(size, audit->bytes));
	if (audit->sealed || audit->lost)
		fprintf(out, "%" PRIu64 " bytes unexplained, %" PRIu64 " not on the tape; ", audit->sealed,
		        audit->lost);
	else
		fputs("every byte explained; ", out);
	if (audit->by_calls)
		fprintf(out, "%" PRIu64 " of them by calls alone; ", audit->by_calls);
	if (audit->wanting)
		fprintf(out, "%" PRIu64 " flow%s found wanting\n", audit->wanting, audit->wanting == 1 ? "" : "s");
	else
		fputs("nothing found wanting\n", out);
}

static void release(struct audit *audit)
{
	struct audited *p;

	for (size_t cursor = 0; (p = map_next(&audit->processes, &cursor));) {
		for (size_t i = 0; i < p->n_libraries; i++)
			free(p->libraries[i].path);
		free(p->libraries);
		free(p->name);
		free(p->exe);
		free(p);
	}
	map_release(&audit->processes);
	free(audit->tls);
}

int view_audit(struct options *options)
{
	struct audit audit = {.lines = {.put = options->json ? put_object : put_row, .context = &audit}};
	const struct player_sink sink = {.section = on_section,
	                                 .item = on_item,
	                                 .call = on_call,
	                                 .flow_opened = on_flow_opened,
	                                 .flow_closed = on_flow_closed};
	int status;

	table_start(&audit.table, options->out, columns, COLUMNS, options->verbose ? 0 : TABLE_WIDTH);
	status = play(&audit.play, options, &sink);
	table_end(&audit.table);
	if (!audit.play.failed) {
		put_processes(&audit);
		put_totals(&audit);
	}
	play_note(&audit.play);
	release(&audit);
	return status == CLI_DONE && audit.wanting ? CLI_DIFFERS : status;
}
