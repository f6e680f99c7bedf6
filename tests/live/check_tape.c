/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * check_tape --truth TRUTH: shows it.
 * check_tape TAPE TRUTH [lossy|lean]: holds a tape to what the recorded program says it did (tests/live/programs/truth.h),
 * byte for byte. Speaks TAP; exit status 0 all is so, 1 something is not, 77 the program says that it can't be done here.
 *
 * What must hold for each flow and direction: its events' bytes and the holes between them are [0, carried), none twice;
 * the flow's own counter says the same; what was captured is the pattern that was carried; and without `lossy` there is
 * no hole. So captured + lost = carried, to the byte.
 *
 * The tape is read twice: once for the flows' last definitions, once for the events.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fdtape/reader.h>

#include "tests/live/programs/pattern.h"
#include "tests/live/programs/truth.h"

/* ---- TAP -------------------------------------------------------------------------------------------------------- */

#define TOLD_MAX 12 /* differences of one kind that are shown */

static int tests, failures;
static struct {
	char *text;
	size_t len;
	unsigned count;
} told;

/* A difference: the running test has failed. */
static void differs(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void differs(const char *format, ...)
{
	va_list list;
	char line[512];
	int n;

	if (told.count++ >= TOLD_MAX)
		return;
	va_start(list, format);
	n = vsnprintf(line, sizeof line, format, list);
	va_end(list);
	if (n >= (int)sizeof line)
		n = sizeof line - 1;
	told.text = realloc(told.text, told.len + (size_t)n + 4);
	if (!told.text)
		abort();
	told.len += (size_t)sprintf(told.text + told.len, "# %s\n", line);
}

static void result(const char *name)
{
	tests++;
	if (told.count)
		failures++;
	printf("%s %d - %s\n%s", told.count ? "not ok" : "ok", tests, name, told.count ? told.text : "");
	if (told.count > TOLD_MAX)
		printf("# and %u more\n", told.count - TOLD_MAX);
	told.count = 0;
	told.len = 0;
}

static _Noreturn void bail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void bail(const char *format, ...)
{
	va_list list;

	printf("not ok %d - ", tests + 1);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	putchar('\n');
	exit(1);
}

static void *grown(void *array, size_t count, size_t size)
{
	/* Doubled at each power of two. */
	if ((count & (count - 1)) == 0) {
		array = realloc(array, (count ? 2 * count : 1) * size);
		if (!array)
			abort();
	}
	return array;
}
#define ADD(array, count)                                                                               \
	(*((array) = grown(array, count, sizeof *(array)), memset(&(array)[count], 0, sizeof *(array)), \
	   &(array)[(count)++]))

/* ---- what the program says -------------------------------------------------------------------------------------- */

struct segment {
	uint64_t from; /* offset in the flow's direction */
	uint64_t seed;
	uint64_t at;
	uint64_t len;
};

struct range {
	uint64_t from;
	uint64_t to;
};

struct expected_call {
	char name[24];
	int64_t result;
	uint64_t bytes;
	uint64_t arg[3];
	uint32_t pid;
	uint32_t flags;
	bool has_arg[3], arg_is_flow[3], has_bytes, any, raced, found;
	struct fdtape_address *peers; /* by message */
	size_t n_peers;
};

struct side {
	struct segment *segments;
	size_t n_segments;
	uint64_t carried;
	bool account;
	/* Messages in any order. */
	uint64_t size, seed, messages;
	bool *seen;
	/* What the tape has. */
	struct range *ranges;
	size_t n_ranges;
	uint64_t captured;
};

struct flow {
	int label;
	uint32_t pid;
	int fd;
	uint64_t ino;
	unsigned nth;
	const char *kind, *proto, *role, *end;
	int stream, listens, preopened, inherited; /* -1: not said */
	bool blind;
	struct fdtape_address address[2];
	struct side side[2];
	struct expected_call *calls;
	size_t n_calls;
	size_t next_call;
	bool calls_differ;
	const struct seen_flow *seen;
};

static struct flow *flows; /* by label; [0]: calls of no flow */
static size_t n_flows;
static bool allowed[FDTAPE_LOSS_REASONS];
static uint64_t wanted_losses[FDTAPE_LOSS_REASONS];
static bool lossy;
static bool lean; /* recorded by --lean: no call's entry was seen */
static bool tells_peers;

/* Calls by number, as they are on the tape; not from the library, which is what is tested. */
static const struct {
	uint32_t call;
	const char *name;
} call_names[] = {
        {1, "read"},
        {2, "write"},
        {3, "readv"},
        {4, "writev"},
        {5, "recvfrom"},
        {6, "sendto"},
        {7, "recvmsg"},
        {8, "sendmsg"},
        {9, "socket"},
        {10, "connect"},
        {11, "accept"},
        {12, "accept4"},
        {13, "close"},
        {14, "pread64"},
        {15, "pwrite64"},
        {16, "preadv"},
        {17, "pwritev"},
        {18, "preadv2"},
        {19, "pwritev2"},
        {20, "recvmmsg"},
        {21, "sendmmsg"},
        {22, "sendfile"},
        {23, "splice"},
        {24, "tee"},
        {25, "vmsplice"},
        {26, "copy_file_range"},
        {27, "socketpair"},
        {28, "bind"},
        {29, "listen"},
        {30, "shutdown"},
        {31, "close_range"},
        {32, "dup"},
        {33, "dup2"},
        {34, "dup3"},
        {35, "fcntl"},
        {36, "setsockopt"},
        {37, "getsockopt"},
        {38, "pipe"},
        {39, "pipe2"},
        {40, "open"},
        {41, "openat"},
        {42, "openat2"},
        {43, "creat"},
        {64, "io_uring_read"},
        {65, "io_uring_write"},
        {66, "io_uring_recv"},
        {67, "io_uring_send"},
        {68, "io_uring_recvmsg"},
        {69, "io_uring_sendmsg"},
        {70, "io_uring_accept"},
        {71, "io_uring_connect"},
        {72, "io_uring_close"},
        {73, "io_uring_splice"},
};

/* The library may not have a name for these yet. */
enum {
	EVENT_REREAD = 1u << 4,
	EVENT_PASSED = 1u << 5,
	FLOW_INHERITED = 1u << 3,
};
#define FLAGS_COMPARED (FDTAPE_EVENT_PENDING | FDTAPE_EVENT_NO_START | FDTAPE_EVENT_PEEK | EVENT_REREAD | EVENT_PASSED)

static const char *call_name(uint32_t call)
{
	static char number[16];

	for (size_t i = 0; i < sizeof call_names / sizeof *call_names; i++)
		if (call_names[i].call == call)
			return call_names[i].name;
	snprintf(number, sizeof number, "call %u", call);
	return number;
}

static struct flow *flow_of_label(long label)
{
	if (label < 0 || (size_t)label >= n_flows || (label && !flows[label].label))
		bail("the truth speaks of flow %ld before it is told of", label);
	return &flows[label];
}

static uint64_t number(const char *word)
{
	char *end;
	uint64_t n = *word == '-' ? (uint64_t)strtoll(word, &end, 0) : strtoull(word, &end, 0);

	if (!*word || *end)
		bail("the truth has '%s' for a number", word);
	return n;
}

static const char *next_word(char **line)
{
	char *word = strtok_r(NULL, " ", line);

	if (!word)
		bail("a line of the truth ends early");
	return word;
}

static void parse_flow(char **line)
{
	size_t label = number(next_word(line));
	struct flow *flow;
	char *word;

	if (label == 0 || label > 10000000)
		bail("the truth has a flow %zu", label);
	while (n_flows <= label)
		(void)ADD(flows, n_flows);
	flow = &flows[label];
	if (!flow->label)
		flow->stream = flow->listens = flow->preopened = flow->inherited = -1;
	flow->label = (int)label;
	while ((word = strtok_r(NULL, " ", line))) {
		char *value = strchr(word, '=');

		if (!value)
			bail("the truth has the word '%s' of a flow", word);
		*value++ = 0;
		if (!strcmp(word, "pid"))
			flow->pid = (uint32_t)number(value);
		else if (!strcmp(word, "fd"))
			flow->fd = (int)number(value);
		else if (!strcmp(word, "ino"))
			flow->ino = number(value);
		else if (!strcmp(word, "nth"))
			flow->nth = (unsigned)number(value);
		else if (!strcmp(word, "kind"))
			flow->kind = value;
		else if (!strcmp(word, "proto"))
			flow->proto = value;
		else if (!strcmp(word, "role"))
			flow->role = value;
		else if (!strcmp(word, "end"))
			flow->end = value;
		else if (!strcmp(word, "stream"))
			flow->stream = (int)number(value);
		else if (!strcmp(word, "listens"))
			flow->listens = (int)number(value);
		else if (!strcmp(word, "preopened"))
			flow->preopened = (int)number(value);
		else if (!strcmp(word, "inherited"))
			flow->inherited = (int)number(value);
		else if (!strcmp(word, "blind"))
			flow->blind = number(value) != 0;
		else
			bail("the truth has the word '%s' of a flow", word);
	}
}

static struct side *parse_side(char **line, struct flow **flow)
{
	*flow = flow_of_label((long)number(next_word(line)));
	return &(*flow)->side[strcmp(next_word(line), "out") == 0];
}

static void parse_data(char **line)
{
	struct flow *flow;
	struct side *side = parse_side(line, &flow);
	uint64_t seed = number(next_word(line)), at = number(next_word(line)), len = number(next_word(line));
	struct segment *last = side->n_segments ? &side->segments[side->n_segments - 1] : NULL;

	if (last && last->seed == seed && last->at + last->len == at) {
		last->len += len;
	} else {
		struct segment *segment = &ADD(side->segments, side->n_segments);

		*segment = (struct segment){side->carried, seed, at, len};
	}
	side->carried += len;
}

static void parse_messages(char **line)
{
	struct flow *flow;
	struct side *side = parse_side(line, &flow);

	side->size = number(next_word(line));
	side->seed = number(next_word(line));
	side->messages = number(next_word(line));
	side->carried = side->size * side->messages;
	side->seen = calloc(side->messages + 1, sizeof *side->seen);
	if (!side->seen || !side->size)
		abort();
}

static void parse_address(char **line)
{
	struct flow *flow = flow_of_label((long)number(next_word(line)));
	struct fdtape_address *address = &flow->address[strcmp(next_word(line), "remote") == 0];
	const char *hex;

	address->family = (uint8_t)number(next_word(line));
	hex = next_word(line);
	for (unsigned byte; address->len < FDTAPE_ADDRESS_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		address->addr[address->len++] = (uint8_t)byte;
	address->port = (uint16_t)number(next_word(line));
}

/* FAMILY:HEX:PORT */
static void parse_peer(struct expected_call *call, char *text)
{
	struct fdtape_address *peer = &ADD(call->peers, call->n_peers);
	char *rest, *hex;

	peer->family = (uint8_t)number(strtok_r(text, ":", &rest));
	hex = strtok_r(NULL, ":", &rest);
	for (unsigned byte; hex && peer->len < FDTAPE_ADDRESS_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		peer->addr[peer->len++] = (uint8_t)byte;
	peer->port = (uint16_t)number(rest);
	tells_peers = true;
}

static void parse_call(char **line)
{
	struct flow *flow = flow_of_label((long)number(next_word(line)));
	struct expected_call *call = &ADD(flow->calls, flow->n_calls);
	char *word;

	call->pid = (uint32_t)number(next_word(line));
	snprintf(call->name, sizeof call->name, "%s", next_word(line));
	call->result = (int64_t)number(next_word(line));
	while ((word = strtok_r(NULL, " ", line))) {
		if (word[0] == 'a' && word[1] >= '0' && word[1] <= '2' && word[2] == '=') {
			int i = word[1] - '0';

			call->has_arg[i] = true;
			call->arg_is_flow[i] = word[3] == '@';
			call->arg[i] = number(word + 3 + call->arg_is_flow[i]);
		} else if (!strncmp(word, "bytes=", 6)) {
			call->has_bytes = true;
			call->bytes = number(word + 6);
		} else if (!strncmp(word, "peer=", 5)) {
			parse_peer(call, word + 5);
		} else if (!strcmp(word, "peek")) {
			call->flags |= FDTAPE_EVENT_PEEK;
		} else if (!strcmp(word, "reread")) {
			call->flags |= EVENT_REREAD;
		} else if (!strcmp(word, "passed")) {
			call->flags |= EVENT_PASSED;
		} else if (!strcmp(word, "pending")) {
			call->flags |= FDTAPE_EVENT_PENDING;
		} else if (!strcmp(word, "nostart")) {
			call->flags |= FDTAPE_EVENT_NO_START;
		} else if (!strcmp(word, "any")) {
			call->any = true;
		} else if (!strcmp(word, "raced")) {
			call->raced = true;
		} else {
			bail("the truth has the word '%s' of a call", word);
		}
	}
}

static void parse_line(char *line)
{
	char *rest, *verb = strtok_r(line, " ", &rest);
	struct flow *flow;

	if (!verb)
		return;
	if (!strcmp(verb, "flow")) {
		parse_flow(&rest);
	} else if (!strcmp(verb, "addr")) {
		parse_address(&rest);
	} else if (!strcmp(verb, "data")) {
		parse_data(&rest);
	} else if (!strcmp(verb, "account")) {
		parse_side(&rest, &flow)->account = true;
	} else if (!strcmp(verb, "messages")) {
		parse_messages(&rest);
	} else if (!strcmp(verb, "call")) {
		parse_call(&rest);
	} else if (!strcmp(verb, "allow") || !strcmp(verb, "expect")) {
		uint64_t reason = number(next_word(&rest));

		if (reason >= FDTAPE_LOSS_REASONS)
			bail("the truth has a loss of reason %" PRIu64, reason);
		allowed[reason] = true;
		if (*verb == 'e')
			wanted_losses[reason] += number(next_word(&rest));
	} else if (!strcmp(verb, "skip")) {
		printf("ok 1 - # SKIP %s\n", rest);
		exit(77);
	} else {
		bail("the truth has the word '%s'", verb);
	}
}

/* The lines of a truth: of the file that the program mapped, or of what --truth made of it. */
static char *read_text(const char *path, uint64_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint64_t from = 0;
	char *text;

	if (size < 0)
		bail("the truth %s: %s", path, strerror(errno));
	*len = (uint64_t)size;
	if (*len >= TRUTH_SIZE) {
		from = TRUTH_TEXT;
		if (pread(fd, len, sizeof *len, offsetof(struct truth_head, len)) != sizeof *len ||
		    *len > TRUTH_SIZE - TRUTH_TEXT)
			bail("the truth %s: its head is damaged", path);
	}
	text = malloc(*len + 1);
	if (!text)
		abort();
	for (uint64_t at = 0; at < *len;) {
		ssize_t n = pread(fd, text + at, *len - at, (off_t)(from + at));

		if (n <= 0)
			bail("the truth %s: %s", path, n ? strerror(errno) : "it ends early");
		at += (uint64_t)n;
	}
	text[*len] = 0;
	close(fd);
	return text;
}

static void read_truth(const char *path)
{
	uint64_t len;
	char *text = read_text(path, &len), *rest;

	(void)ADD(flows, n_flows);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		parse_line(line); /* the flows' words stay in the text */
}

/* ---- the tape's flows ------------------------------------------------------------------------------------------- */

struct seen_flow {
	struct fdtape_flow last;
	unsigned order; /* of its first definition; 0: none */
	unsigned nth;
	struct flow *flow;            /* what the truth says of it; NULL: nothing */
	struct fdtape_address remote; /* as it was defined before the event at hand */
	uint64_t carried[2];
};

static struct seen_flow *seen; /* by id */
static size_t n_seen;
static struct {
	uint64_t count, bytes;
} losses[FDTAPE_LOSS_REASONS];
static uint64_t carried[2], captured[2]; /* as fdtape_totals counts them */

/* Each item of the tape; what is wrong with the tape itself is a difference. */
static void each_item(int fd, void (*on_item)(const struct fdtape_item *item))
{
	struct fdtape_reader *reader;
	struct fdtape_item item;
	bool ended = false;
	int got;

	if (lseek(fd, 0, SEEK_SET) != 0 || fdtape_reader_open_fd(&reader, fd) != 0)
		bail("the tape can't be read");
	while ((got = fdtape_reader_next(reader, &item)) != 0) {
		if (got < 0) {
			differs("%s: %s", fdtape_strerror(got), fdtape_reader_message(reader));
			if (got != FDTAPE_ERR_DAMAGED && got != FDTAPE_ERR_LIMIT && got != FDTAPE_ERR_TRUNCATED)
				break;
			continue;
		}
		ended = item.type == FDTAPE_ITEM_END;
		on_item(&item);
	}
	if (!ended)
		differs("the tape was not ended");
	fdtape_reader_free(reader);
}

static void on_definition(const struct fdtape_item *item)
{
	const struct fdtape_flow *flow = &item->flow;
	static unsigned order;

	if (item->type == FDTAPE_ITEM_LOSS && item->loss.reason < FDTAPE_LOSS_REASONS) {
		losses[item->loss.reason].count += item->loss.count;
		losses[item->loss.reason].bytes += item->loss.bytes;
	}
	if (item->type != FDTAPE_ITEM_FLOW || flow->kind == FDTAPE_KIND_LIBRARY)
		return;
	if (flow->id == 0 || flow->id > 16u << 20)
		bail("the tape has a flow %" PRIu64, flow->id);
	while (n_seen <= flow->id)
		(void)ADD(seen, n_seen);
	if (!seen[flow->id].order)
		seen[flow->id].order = ++order;
	seen[flow->id].last = *flow;
	seen[flow->id].last.name = NULL; /* the reader's */
}

static int compare_seen(const void *left, const void *right)
{
	const struct seen_flow *a = *(struct seen_flow *const *)left, *b = *(struct seen_flow *const *)right;

#define ORDER(x, y)     \
	if ((x) != (y)) \
	return (x) < (y) ? -1 : 1
	ORDER(a->last.pid, b->last.pid);
	ORDER(a->last.fd, b->last.fd);
	ORDER(a->last.inode, b->last.inode);
	ORDER(a->order, b->order);
	return 0;
}

static int compare_to_key(const void *key, const void *element)
{
	const struct flow *a = key;
	const struct seen_flow *b = *(struct seen_flow *const *)element;

	ORDER(a->pid, b->last.pid);
	ORDER(a->fd, b->last.fd);
	ORDER(a->ino, b->last.inode);
	ORDER(a->nth, b->nth);
	return 0;
}

static void pair_flows(void)
{
	struct seen_flow **sorted = calloc(n_seen + 1, sizeof *sorted);
	size_t n = 0;

	if (!sorted)
		abort();
	for (size_t i = 0; i < n_seen; i++)
		if (seen[i].order)
			sorted[n++] = &seen[i];
	qsort(sorted, n, sizeof *sorted, compare_seen);
	for (size_t i = 0; i < n; i++) {
		const struct fdtape_flow *a = &sorted[i]->last, *b = i ? &sorted[i - 1]->last : NULL;
		bool again = b && a->pid == b->pid && a->fd == b->fd && a->inode == b->inode;

		sorted[i]->nth = again ? sorted[i - 1]->nth + 1 : 1;
	}
	for (size_t i = 1; i < n_flows; i++) {
		struct seen_flow **found;

		if (!flows[i].label)
			bail("the truth has no flow %zu", i);
		found = bsearch(&flows[i], sorted, n, sizeof *sorted, compare_to_key);
		if (!found)
			continue;
		if ((*found)->flow)
			bail("the truth tells of one flow as %d and %zu", (*found)->flow->label, i);
		flows[i].seen = *found;
		(*found)->flow = &flows[i];
	}
	free(sorted);
}

static const char *describe(const struct flow *flow)
{
	static char text[4][128];
	static unsigned turn;
	char *to = text[turn++ % 4];

	snprintf(to, sizeof *text, "%s %s of pid %u fd %d inode %" PRIu64 " nth %u (%s%" PRIu64 ")",
	         flow->proto ? flow->proto : "", flow->kind ? flow->kind : "flow", flow->pid, flow->fd, flow->ino,
	         flow->nth, flow->seen ? "flow " : "no flow ", flow->seen ? flow->seen->last.id : 0);
	return to;
}

static void check_word(const struct flow *flow, const char *what, const char *wanted, const char *const *names,
                       size_t n, uint32_t value)
{
	const char *is = value < n ? names[value] : "unknown";

	if (wanted && strcmp(wanted, is) != 0)
		differs("%s: %s is %s, not %s", describe(flow), what, is, wanted);
}

static void check_flag(const struct flow *flow, const char *what, int wanted, uint32_t flag)
{
	if (wanted >= 0 && !!(flow->seen->last.flags & flag) != wanted)
		differs("%s: %s is %d, not %d", describe(flow), what, !wanted, wanted);
}

static void check_address(const struct flow *flow, const char *what, const struct fdtape_address *wanted,
                          const struct fdtape_address *is)
{
	if (!wanted->len)
		return;
	if (wanted->family != is->family || wanted->port != is->port || wanted->len != is->len ||
	    memcmp(wanted->addr, is->addr, is->len) != 0)
		differs("%s: %s address is family %u port %u len %u, not family %u port %u len %u, or has other bytes",
		        describe(flow), what, is->family, is->port, is->len, wanted->family, wanted->port, wanted->len);
}

static void check_flows(void)
{
	static const char *const kinds[] = {"other", "socket", "file", "pipe"},
	                         *const protos[] = {"other", "tcp", "udp", "unix"},
	                         *const roles[] = {"unknown", "client", "server"};

	for (size_t i = 1; i < n_flows; i++) {
		const struct flow *flow = &flows[i];
		const struct fdtape_flow *is;

		if (!flow->seen) {
			if (!flow->blind)
				differs("%s: is not on the tape", describe(flow));
			continue;
		}
		is = &flow->seen->last;
		check_word(flow, "kind", flow->kind, kinds, 4, is->kind);
		check_word(flow, "proto", flow->proto, protos, 4, is->proto);
		check_word(flow, "role", flow->role, roles, 3, is->role);
		check_flag(flow, "stream", flow->stream, FDTAPE_FLOW_STREAM);
		check_flag(flow, "listens", flow->listens, FDTAPE_FLOW_LISTENS);
		check_flag(flow, "preopened", flow->preopened, FDTAPE_FLOW_PREOPENED);
		check_flag(flow, "inherited", flow->inherited, FLOW_INHERITED);
		check_address(flow, "local", &flow->address[0], &is->local);
		check_address(flow, "remote", &flow->address[1], &is->remote);
		if (flow->end && (strcmp(flow->end, "closed") == 0) != (is->closed != 0))
			differs("%s: its end is%s told of", describe(flow), is->closed ? "" : " not");
	}
}

/* ---- the tape's events ------------------------------------------------------------------------------------------ */

/* The calls' differences are gathered while the bytes are looked at, and told later. */
static struct gathered {
	char text[400];
} * bad_calls, *bad_bytes, *bad_events, *bad_peers;
static size_t n_bad_calls, n_bad_bytes, n_bad_events, n_bad_peers;

#define GATHER(what, ...) snprintf(ADD(bad_##what, n_bad_##what).text, sizeof bad_##what->text, __VA_ARGS__)

static void tell(struct gathered *bad, size_t n)
{
	for (size_t i = 0; i < n; i++)
		differs("%s", bad[i].text);
}

static void compare_pattern(struct flow *flow, const struct fdtape_event *e, uint64_t seed, uint64_t at,
                            const uint8_t *data, uint64_t n, uint64_t offset)
{
	size_t wrong = pattern_differs(data, n, seed, at);

	if (wrong < n)
		GATHER(bytes,
		       "%s: %s, %s: at offset %" PRIu64 " (byte %" PRIu64 " of %" PRIu64
		       " captured) there is 0x%02x, not 0x%02x",
		       describe(flow), e->dir == FDTAPE_OUT ? "out" : "in", call_name(e->call), offset + wrong,
		       offset + wrong - e->offset, e->captured, data[wrong], pattern_byte(seed, at + wrong));
}

static void compare_message(struct flow *flow, struct side *side, const struct fdtape_event *e)
{
	if (e->bytes != side->size) {
		GATHER(bytes, "%s: a message has %" PRIu64 " bytes, not %" PRIu64, describe(flow), e->bytes,
		       side->size);
		return;
	}
	if (e->captured != side->size)
		return;
	for (uint64_t i = 0; i < side->messages; i++) {
		if (side->seen[i] || e->data[0] != pattern_byte(side->seed, i * side->size) ||
		    pattern_differs(e->data, side->size, side->seed, i * side->size) < side->size)
			continue;
		side->seen[i] = true;
		return;
	}
	GATHER(bytes, "%s: at offset %" PRIu64 " there is no message, or one that was there before", describe(flow),
	       e->offset);
}

static void compare_bytes(struct flow *flow, const struct fdtape_event *e)
{
	struct side *side = &flow->side[e->dir];
	uint64_t from = e->offset, left = e->captured;
	size_t low = 0, high = side->n_segments;

	if (!(e->flags & FDTAPE_EVENT_PEEK)) {
		struct range *range = &ADD(side->ranges, side->n_ranges);

		*range = (struct range){e->offset, e->offset + e->bytes};
		side->captured += e->captured;
	}
	if (side->messages) {
		compare_message(flow, side, e);
		return;
	}
	if (!lossy && !side->account && e->captured != e->bytes)
		GATHER(bytes, "%s: %s: of %" PRIu64 " bytes at offset %" PRIu64 " %" PRIu64 " were captured",
		       describe(flow), call_name(e->call), e->bytes, e->offset, e->captured);
	/* The segment that holds the first byte. */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (side->segments[middle].from + side->segments[middle].len <= from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; left && low < side->n_segments; low++) {
		const struct segment *s = &side->segments[low];
		uint64_t n = s->from + s->len - from < left ? s->from + s->len - from : left;

		if (s->seed)
			compare_pattern(flow, e, s->seed, s->at + from - s->from, e->data + (from - e->offset), n,
			                from);
		from += n;
		left -= n;
	}
	/* Peeked bytes may never be read: then their address is behind all that was carried. */
	if (left && !(e->flags & FDTAPE_EVENT_PEEK))
		GATHER(bytes, "%s: %s: %" PRIu64 " bytes captured behind the last that was carried", describe(flow),
		       call_name(e->call), left);
}

static bool is_call(const struct expected_call *wanted, const struct fdtape_event *e, char why[static 160])
{
	bool pending = wanted->flags & FDTAPE_EVENT_PENDING;
	uint32_t wanted_flags = wanted->flags | (lean && e->call < FDTAPE_CALL_IO_URING_READ ? FDTAPE_EVENT_NO_START : 0);

	*why = 0;
	if (strcmp(call_name(e->call), wanted->name) != 0)
		snprintf(why, 160, "it is %s", call_name(e->call));
	else if (e->pid != wanted->pid)
		snprintf(why, 160, "its pid is %u, not %u", e->pid, wanted->pid);
	else if (!pending && e->result != wanted->result)
		snprintf(why, 160, "its result is %" PRId64 ", not %" PRId64, e->result, wanted->result);
	else if ((e->flags ^ wanted_flags) & FLAGS_COMPARED)
		snprintf(why, 160, "its flags are %#x, not %#x", e->flags & FLAGS_COMPARED, wanted_flags);
	for (int i = 0; i < 3 && !*why; i++) {
		uint64_t arg = wanted->arg[i];

		if (!wanted->has_arg[i])
			continue;
		if (wanted->arg_is_flow[i]) {
			const struct flow *other = flow_of_label((long)arg);

			/* A flow that is not on the tape is a failure of its own. */
			if (!other->seen)
				continue;
			arg = other->seen->last.id;
		}
		if (e->arg[i] != arg)
			snprintf(why, 160, "its argument %d is %#" PRIx64 ", not %#" PRIx64 "%s", i, e->arg[i], arg,
			         wanted->arg_is_flow[i] ? " (a flow)" : "");
	}
	return !*why;
}

/* The call that it is; NULL: none. */
static const struct expected_call *match_call(struct flow *flow, const struct fdtape_event *e)
{
	struct expected_call *wanted;
	bool named = false;
	char why[160];

	for (size_t i = 0; i < flow->n_calls; i++) {
		wanted = &flow->calls[i];
		if (strcmp(wanted->name, call_name(e->call)) != 0)
			continue;
		named = true;
		if ((wanted->any || flow->label == 0) && !wanted->found && is_call(wanted, e, why)) {
			wanted->found = true;
			return wanted;
		}
		if (!wanted->any && flow->label)
			break;
	}
	while (flow->next_call < flow->n_calls && flow->calls[flow->next_call].any)
		flow->next_call++;
	if (!named || flow->label == 0 || flow->calls_differ || lossy)
		return NULL;
	/* A call of a kind that the program tells of, and in order: it must be the next. */
	if (flow->next_call == flow->n_calls) {
		GATHER(calls, "%s: behind its last call there is a %s with result %" PRId64, describe(flow),
		       call_name(e->call), e->result);
		flow->calls_differ = true;
		return NULL;
	}
	wanted = &flow->calls[flow->next_call++];
	wanted->found = true;
	if (!is_call(wanted, e, why)) {
		GATHER(calls, "%s: call %zu, %s: %s", describe(flow), flow->next_call, wanted->name, why);
		flow->calls_differ = strcmp(wanted->name, call_name(e->call)) != 0;
	}
	return wanted;
}

/* Of the call that a thread was seen in last: all its chunks together carry what it returned. */
struct chain {
	uint32_t tid, call;
	uint64_t flow, bytes;
	int64_t result;
	bool open, counted;
	/* What the program says of the call; NULL: nothing. The message that its last event was of. */
	const struct expected_call *wanted;
	size_t message;
};
static struct chain *chains;
static size_t n_chains;

/* Calls whose result is the number of bytes that they carried, always. */
static bool result_is_bytes(const struct fdtape_event *e)
{
	bool receives = e->call == FDTAPE_CALL_RECVFROM || e->call == FDTAPE_CALL_RECVMSG;

	return (e->call >= FDTAPE_CALL_READ && e->call <= FDTAPE_CALL_SENDMSG) &&
	       !(receives && e->arg[1] & 0x20 /* MSG_TRUNC */);
}

static void end_chain(struct chain *chain)
{
	if (chain->open && chain->counted && chain->bytes != (chain->result > 0 ? (uint64_t)chain->result : 0))
		GATHER(events, "flow %" PRIu64 ": %s returned %" PRId64 ", its events carry %" PRIu64, chain->flow,
		       call_name(chain->call), chain->result, chain->bytes);
	chain->open = false;
}

static struct chain *follow_chain(const struct fdtape_event *e)
{
	struct chain *chain = NULL;

	for (size_t i = 0; i < n_chains && !chain; i++)
		if (chains[i].tid == e->tid)
			chain = &chains[i];
	if (!chain) {
		chain = &ADD(chains, n_chains);
		chain->tid = e->tid;
	}
	if (e->flags & FDTAPE_EVENT_CONTINUED) {
		if (!chain->open || chain->call != e->call || chain->flow != e->flow)
			GATHER(events, "flow %" PRIu64 ": a continued %s continues nothing", e->flow,
			       call_name(e->call));
		chain->bytes += e->bytes;
		return chain;
	}
	end_chain(chain);
	*chain = (struct chain){.tid = e->tid,
	                        .call = e->call,
	                        .flow = e->flow,
	                        .bytes = e->bytes,
	                        .result = e->result,
	                        .open = true,
	                        .counted = result_is_bytes(e) && !(e->flags & FDTAPE_EVENT_PENDING)};
	return chain;
}

static bool same_address(const struct fdtape_address *a, const struct fdtape_address *b)
{
	return a->family == b->family && a->port == b->port && a->len == b->len &&
	       memcmp(a->addr, b->addr, a->len) == 0;
}

/* An event has its own peer where that is not the one that the socket is connected to, and only there. */
static void check_peer(const struct flow *flow, const struct fdtape_address *remote, const struct chain *chain,
                       const struct fdtape_event *e)
{
	const struct expected_call *wanted = chain->wanted;
	const struct fdtape_address *peer = e->peer ? e->peer : remote;

	if (!wanted)
		return;
	if (!wanted->n_peers) {
		if (e->peer)
			GATHER(peers, "%s: %s with result %" PRId64 " has a peer", describe(flow), wanted->name,
			       wanted->result);
	} else if (chain->message >= wanted->n_peers) {
		GATHER(peers, "%s: %s has more messages than %zu", describe(flow), wanted->name, wanted->n_peers);
	} else if (!same_address(peer, &wanted->peers[chain->message])) {
		GATHER(peers, "%s: %s with result %" PRId64 ", message %zu: %s is port %u, not port %u or its address",
		       describe(flow), wanted->name, wanted->result, chain->message,
		       e->peer ? "its peer" : "its remote", peer->port, wanted->peers[chain->message].port);
	} else if (e->peer && same_address(e->peer, remote)) {
		GATHER(peers, "%s: %s has the remote as its peer", describe(flow), wanted->name);
	}
}

static void on_event(const struct fdtape_item *item)
{
	const struct fdtape_event *e = &item->event;
	struct chain *chain;
	struct flow *flow;

	if (item->type == FDTAPE_ITEM_FLOW && item->flow.id < n_seen)
		seen[item->flow.id].remote = item->flow.remote;
	if (item->type != FDTAPE_ITEM_EVENT || e->call >= FDTAPE_CALL_EXEC)
		return;
	if (!(e->flags & FDTAPE_EVENT_PEEK)) {
		carried[e->dir] += e->bytes;
		captured[e->dir] += e->captured;
	}
	chain = follow_chain(e);
	if (e->flow >= n_seen || (e->flow && !seen[e->flow].order)) {
		GATHER(events, "%s tells of flow %" PRIu64 ", which is not defined", call_name(e->call), e->flow);
		return;
	}
	flow = seen[e->flow].flow;
	if (e->flow && (e->pid != seen[e->flow].last.pid || (e->fd != seen[e->flow].last.fd)))
		GATHER(events, "%s of pid %u fd %d tells of flow %" PRIu64 ", which is pid %u fd %d",
		       call_name(e->call), e->pid, e->fd, e->flow, seen[e->flow].last.pid, seen[e->flow].last.fd);
	if (e->flow && !(e->flags & FDTAPE_EVENT_PEEK))
		seen[e->flow].carried[e->dir] += e->bytes;
	if (flow && (e->bytes || e->captured))
		compare_bytes(flow, e);
	if (e->flags & FDTAPE_EVENT_CONTINUED)
		chain->message++;
	else if (flow)
		chain->wanted = match_call(flow, e);
	if (flow)
		check_peer(flow, &seen[e->flow].remote, chain, e);
	if (!(e->flags & FDTAPE_EVENT_CONTINUED))
		match_call(&flows[0], e);
}

static int compare_ranges(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	ORDER(a->from, b->from);
	ORDER(a->to, b->to);
	return 0;
}

/* What is missing of all that was carried. */
static uint64_t missing;
/* Directions of flows of which bytes are missing that the program said may be: each is a call at least. */
static uint64_t blind_missing;

static void check_account(struct flow *flow, int dir)
{
	static const char *const names[] = {"in", "out"};
	struct side *side = &flow->side[dir];
	uint64_t at = 0, counted = flow->seen ? flow->seen->last.bytes[dir] : 0;

	if (flow->blind && counted != side->carried) {
		blind_missing++;
		return;
	}
	if (!flow->seen) {
		missing += side->carried;
		if (side->carried)
			differs("%s: %s: %" PRIu64 " bytes carried, and it is not on the tape", describe(flow),
			        names[dir], side->carried);
		return;
	}
	if (counted != side->carried)
		differs("%s: %s: %" PRIu64 " bytes carried, the flow counts %" PRIu64, describe(flow), names[dir],
		        side->carried, counted);
	qsort(side->ranges, side->n_ranges, sizeof *side->ranges, compare_ranges);
	for (size_t i = 0; i < side->n_ranges; i++) {
		if (side->ranges[i].from < at)
			differs("%s: %s: bytes %" PRIu64 "..%" PRIu64 " are there twice", describe(flow), names[dir],
			        side->ranges[i].from, at);
		else if (side->ranges[i].from > at && !lossy)
			differs("%s: %s: bytes %" PRIu64 "..%" PRIu64 " have no event", describe(flow), names[dir], at,
			        side->ranges[i].from);
		if (side->ranges[i].to > at)
			at = side->ranges[i].to;
	}
	if (at > side->carried || (at < side->carried && !lossy))
		differs("%s: %s: %" PRIu64 " bytes carried, its events end at %" PRIu64, describe(flow), names[dir],
		        side->carried, at);
	if (side->carried > side->captured)
		missing += side->carried - side->captured;
}

static void check_accounts(void)
{
	for (size_t i = 1; i < n_flows; i++)
		for (int dir = 0; dir < 2; dir++)
			check_account(&flows[i], dir);
}

static void check_strangers(void)
{
	for (size_t i = 0; i < n_seen; i++) {
		const struct seen_flow *s = &seen[i];

		if (!s->order || s->flow || s->last.kind != FDTAPE_KIND_SOCKET)
			continue;
		for (int dir = 0; dir < 2; dir++)
			if (s->carried[dir] || s->last.bytes[dir])
				differs("flow %zu, pid %u fd %d inode %" PRIu64 " nth %u, carried %" PRIu64
				        " bytes %s; "
				        "the program had no such socket, or moved nothing on it",
				        i, s->last.pid, s->last.fd, s->last.inode, s->nth,
				        s->carried[dir] > s->last.bytes[dir] ? s->carried[dir] : s->last.bytes[dir],
				        dir == FDTAPE_OUT ? "out" : "in");
	}
}

static bool check_calls(void)
{
	size_t wanted = 0;

	tell(bad_calls, n_bad_calls);
	for (size_t i = 0; i < n_flows; i++) {
		struct flow *flow = &flows[i];

		wanted += flow->n_calls;
		for (size_t k = 0; k < flow->n_calls; k++) {
			const struct expected_call *call = &flow->calls[k];

			if (call->found || flow->calls_differ || (flow->blind && !flow->seen))
				continue;
			if (call->raced && lean && flow->seen && flow->seen->last.closed)
				continue;
			differs("%s: call %zu, %s of pid %u with result %" PRId64 ", is not on the tape",
			        flow->label ? describe(flow) : "no flow", k + 1, call->name, call->pid, call->result);
			if (flow->label)
				break;
		}
	}
	return wanted > 0;
}

static void check_losses(void)
{
	uint64_t bytes = 0, count = 0;

	for (uint32_t i = 0; i < FDTAPE_LOSS_REASONS; i++) {
		bytes += losses[i].bytes;
		count += losses[i].count;
		if (losses[i].count && !allowed[i] && !lossy && !(i == FDTAPE_LOSS_BLIND && blind_missing))
			differs("lost: %s, %" PRIu64 " times, %" PRIu64 " bytes",
			        fdtape_loss_name(i) ? fdtape_loss_name(i) : "?", losses[i].count, losses[i].bytes);
		if (losses[i].count < wanted_losses[i])
			differs("%" PRIu64 " losses of reason %u are told of, not %" PRIu64, losses[i].count, i,
			        wanted_losses[i]);
	}
	if (losses[FDTAPE_LOSS_BLIND].count < blind_missing)
		differs("%" PRIu64 " calls at least were not decoded, %" PRIu64 " losses are told of", blind_missing,
		        losses[FDTAPE_LOSS_BLIND].count);
	if (missing && !count)
		differs("%" PRIu64 " bytes are missing, and no loss is told of", missing);
	if (missing && bytes != missing)
		differs("%" PRIu64 " bytes are missing, the losses explain %" PRIu64, missing, bytes);
	if (lossy && !missing)
		differs("nothing was lost: the test tests nothing");
}

static void check_totals(int fd)
{
	struct fdtape_reader *reader;
	struct fdtape_totals totals;
	int exact;

	if (lseek(fd, 0, SEEK_SET) != 0 || fdtape_reader_open_fd(&reader, fd) != 0)
		bail("the tape can't be read");
	exact = fdtape_reader_totals(reader, &totals, NULL);
	if (exact != 1)
		differs("the tape's totals are not exact: %d %s", exact, fdtape_reader_message(reader));
	for (int dir = 0; dir < 2 && exact == 1; dir++)
		if (totals.carried[dir] != carried[dir] || totals.captured[dir] != captured[dir])
			differs("totals: carried %" PRIu64 ", captured %" PRIu64 "; the events': %" PRIu64 ", %" PRIu64,
			        totals.carried[dir], totals.captured[dir], carried[dir], captured[dir]);
	fdtape_reader_free(reader);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 3) {
		fputs("usage: check_tape TAPE TRUTH [lossy|lean]\n", stderr);
		return 2;
	}
	if (strcmp(argv[1], "--truth") == 0) {
		uint64_t len;
		char *text = read_text(argv[2], &len);

		fwrite(text, 1, len, stdout);
		free(text);
		return 0;
	}
	lossy = argc > 3 && strcmp(argv[3], "lossy") == 0;
	lean = argc > 3 && strcmp(argv[3], "lean") == 0;
	read_truth(argv[2]);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bail("the tape %s: %s", argv[1], strerror(errno));
	if (n_flows < 2)
		bail("the program tells of no flow");
	while (n_seen < 1)
		(void)ADD(seen, n_seen);
	each_item(fd, on_definition);
	pair_flows();
	each_item(fd, on_event);
	for (size_t i = 0; i < n_chains; i++)
		end_chain(&chains[i]);
	check_totals(fd);
	result("the tape verifies");
	tell(bad_events, n_bad_events);
	result("each event fits its flow and its call");
	check_flows();
	result("every flow is there and is what it was");
	tell(bad_bytes, n_bad_bytes);
	result("what was captured is what was carried");
	check_accounts();
	result("captured + lost = carried, for each flow");
	check_strangers();
	result("no other socket carried anything");
	/* Where events may be missing whole, nothing can be said of single ones. */
	if (!lossy && check_calls())
		result("every call is there, with its result and arguments");
	if (!lossy && (tells_peers || n_bad_peers)) {
		tell(bad_peers, n_bad_peers);
		result("each datagram says whom it came from or went to");
	}
	check_losses();
	result("every loss is told of");
	printf("1..%d\n", tests);
	close(fd);
	return failures != 0;
}
