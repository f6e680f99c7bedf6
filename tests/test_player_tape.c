/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The player on tapes made with the writer: what is told, in which order, for which choice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include <fdtape/writer.h>

#include "replay/buffer.h"
#include "replay/diff.h"
#include "replay/player.h"
#include "replay/sink_tape.h"
#include "replay/sink_transcript.h"

#define REQUEST  "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* ---- making tapes ----------------------------------------------------------------------------------------------- */

struct maker {
	struct fdtape_writer *writer;
	struct buffer tape;
	uint64_t time; /* of the next event */
	uint64_t offset[64][2];
};

static int write_tape(void *context, const void *data, size_t len)
{
	return buffer_add(context, data, len) < 0 ? FDTAPE_ERR_MEMORY : 0;
}

/* Monotonic time 0 is `start` seconds after the epoch. */
static void begin(struct maker *m, uint64_t start)
{
	struct fdtape_writer_options options = {.clock = {.realtime = start * 1000000000}, .uuid = {1}, .salt = 1};
	const struct fdtape_sink sink = {.write = write_tape, .context = &m->tape};

	assert_int_equal(fdtape_writer_open(&m->writer, &sink, &options), 0);
	m->time = 1000;
	memset(m->offset, 0, sizeof m->offset);
}

static void put(struct maker *m, const struct fdtape_item *item)
{
	assert_int_equal(fdtape_writer_put(m->writer, item), 0);
}

static void end(struct maker *m)
{
	assert_int_equal(fdtape_writer_end(m->writer), 0);
	fdtape_writer_free(m->writer);
	m->writer = NULL;
}

static void process(struct maker *m, uint32_t pid, const char *comm)
{
	char exe[64];

	snprintf(exe, sizeof exe, "/usr/bin/%s", comm);
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_PROCESS,
	                             .process = {.pid = pid, .comm = comm, .exe = exe, .cmdline = comm}});
}

static struct fdtape_flow tcp(uint64_t id, uint32_t pid, int fd, uint16_t port)
{
	return (struct fdtape_flow){.id = id,
	                            .pid = pid,
	                            .tid = pid,
	                            .fd = fd,
	                            .kind = FDTAPE_KIND_SOCKET,
	                            .proto = FDTAPE_PROTO_TCP,
	                            .role = FDTAPE_ROLE_CLIENT,
	                            .flags = FDTAPE_FLOW_STREAM,
	                            .opened = 1,
	                            .remote = {.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = port},
	                            .name = ""};
}

static void flow(struct maker *m, const struct fdtape_flow *def)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_FLOW, .flow = *def});
}

static struct fdtape_event data_event(struct maker *m, uint64_t id, uint32_t pid, enum fdtape_dir dir, const char *data)
{
	size_t len = strlen(data);
	struct fdtape_event e = {.time = m->time,
	                         .duration = 10,
	                         .pid = pid,
	                         .tid = pid,
	                         .call = dir == FDTAPE_IN ? FDTAPE_CALL_READ : FDTAPE_CALL_WRITE,
	                         .result = (int64_t)len,
	                         .fd = 3,
	                         .dir = dir,
	                         .flow = id,
	                         .offset = m->offset[id][dir],
	                         .bytes = len,
	                         .captured = len,
	                         .arg = {4096},
	                         .data = (const uint8_t *)data};

	m->offset[id][dir] += len;
	m->time += 1000;
	return e;
}

static void event(struct maker *m, const struct fdtape_event *e)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = *e});
}

static void carry(struct maker *m, uint64_t id, uint32_t pid, enum fdtape_dir dir, const char *data)
{
	struct fdtape_event e = data_event(m, id, pid, dir, data);

	event(m, &e);
}

/* The library's call that delivers this plaintext, beginning at `from` so that it holds the calls since then. */
static void ssl_call(struct maker *m, uint64_t id, uint32_t pid, enum fdtape_dir dir, const char *data, uint64_t from)
{
	struct fdtape_event e = data_event(m, id, pid, dir, data);

	e.duration = e.time - from;
	e.time = from;
	e.fd = -1;
	e.call = dir == FDTAPE_IN ? FDTAPE_CALL_SSL_READ : FDTAPE_CALL_SSL_WRITE;
	event(m, &e);
}

static void library(struct maker *m, uint64_t id, uint32_t pid)
{
	flow(m, &(struct fdtape_flow){.id = id,
	                              .pid = pid,
	                              .tid = pid,
	                              .fd = -1,
	                              .kind = FDTAPE_KIND_LIBRARY,
	                              .flags = FDTAPE_FLOW_STREAM,
	                              .opened = 1,
	                              .handle = 0x1000,
	                              .name = "/usr/lib/libssl.so.3"});
}

static void close_flow(struct maker *m, struct fdtape_flow *def)
{
	def->closed = m->time;
	def->bytes[0] = m->offset[def->id][0];
	def->bytes[1] = m->offset[def->id][1];
	flow(m, def);
}

/* ---- playing them ----------------------------------------------------------------------------------------------- */

struct told {
	char text[16384];
	int stop_at; /* the call that ends the play */
	int calls;
};

__attribute__((format(printf, 2, 3))) static void add(struct told *t, const char *format, ...)
{
	size_t n = strlen(t->text);
	va_list args;

	va_start(args, format);
	vsnprintf(t->text + n, sizeof t->text - n, format, args);
	va_end(args);
}

static int on_opened(void *context, struct player_flow *f)
{
	add(context, "open %llu %s\n", (unsigned long long)f->number, f->process->comm);
	return 0;
}

static int on_closed(void *context, struct player_flow *f)
{
	add(context, "close %llu in %llu/%llu/%llu out %llu/%llu/%llu %s %s\n", (unsigned long long)f->number,
	    (unsigned long long)f->traffic[0].captured, (unsigned long long)f->traffic[0].bytes,
	    (unsigned long long)f->traffic[0].plaintext, (unsigned long long)f->traffic[1].captured,
	    (unsigned long long)f->traffic[1].bytes, (unsigned long long)f->traffic[1].plaintext,
	    tls_verdict_name(f->tls.verdict), tls_plaintext_name(f->tls.plaintext));
	return 0;
}

static int on_call(void *context, const struct player_call *c)
{
	struct told *t = context;

	add(t, "call %s %llu\n", fdtape_call_name(c->event->call), (unsigned long long)(c->flow ? c->flow->number : 0));
	return ++t->calls == t->stop_at ? 42 : 0;
}

/* The piece up to the end of its first line. */
static int on_plain(void *context, struct player_flow *f, enum fdtape_dir dir, const struct player_piece *p)
{
	struct told *t = context;
	int n = 0;

	add(t, "%s %llu @%llu ", dir ? "out" : "in", (unsigned long long)f->number, (unsigned long long)p->offset);
	if (!p->data) {
		add(t, "hole %llu\n", (unsigned long long)p->len);
		return 0;
	}
	while ((uint64_t)n < p->len && p->data[n] >= ' ')
		n++;
	add(t, "%.*s\n", n, (const char *)p->data);
	return 0;
}

static int on_http(void *context, struct player_flow *f, const struct http_exchange *x)
{
	add(context, "http %llu %s %d%s\n", (unsigned long long)f->number, x->target ? x->target : "-", x->status,
	    x->complete ? "" : " incomplete");
	return 0;
}

static int on_damage(void *context, int error, const char *message)
{
	assert_true(*message != 0);
	add(context, "damage %d\n", error);
	return 0;
}

struct memory {
	const uint8_t *data;
	size_t len;
};

static int64_t read_memory(void *context, void *buffer, size_t len)
{
	struct memory *m = context;
	size_t n = m->len < len ? m->len : len;

	if (n > 1000)
		n = 1000;
	memcpy(buffer, m->data, n);
	m->data += n;
	m->len -= n;
	return (int64_t)n;
}

static int play(const struct buffer *tapes, size_t n, const struct player_choice *choice, struct told *t)
{
	const struct player_sink sink = {
	        .context = t,
	        .flow_opened = on_opened,
	        .flow_closed = on_closed,
	        .call = on_call,
	        .plain = on_plain,
	        .http = on_http,
	        .damage = on_damage,
	};
	struct memory memory[4];
	struct player_input inputs[4];
	struct player *player = NULL;
	int result;

	t->text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		memory[i] = (struct memory){tapes[i].data, tapes[i].len};
		inputs[i] =
		        (struct player_input){.source = {.read = read_memory, .context = &memory[i]}, .name = "a tape"};
	}
	assert_int_equal(player_open(&player, inputs, n, choice, &sink), 0);
	result = player_run(player);
	player_free(player);
	return result;
}

static void assert_told(const struct maker *m, const struct player_choice *choice, const char *expected)
{
	struct told t = {.stop_at = 0};

	assert_int_equal(play(&m->tape, 1, choice, &t), 0);
	assert_string_equal(t.text, expected);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_player_flow__clear_http__is_told_in_order(void **state)
{
	struct maker m = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 80);

	(void)state;
	begin(&m, 1000);
	process(&m, 10, "curl");
	flow(&m, &def);
	carry(&m, 1, 10, FDTAPE_OUT, REQUEST);
	carry(&m, 1, 10, FDTAPE_IN, RESPONSE);
	close_flow(&m, &def);
	event(&m, &(struct fdtape_event){.call = FDTAPE_CALL_CLOSE, .pid = 10, .tid = 10, .fd = 3, .flow = 1});
	end(&m);
	assert_told(&m, NULL,
	            "open 1 curl\n"
	            "call write 1\nout 1 @0 GET /a HTTP/1.1\n"
	            "call read 1\nin 1 @0 HTTP/1.1 200 OK\nhttp 1 /a 200\n"
	            "call close 1\nclose 1 in 43/43/0 out 28/28/0 clear none\n");
	buffer_release(&m.tape);
}

static void test_player_flow__late_and_lost_events__pieces_are_in_order(void **state)
{
	struct maker m = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 80);
	struct fdtape_event a, b, c;

	(void)state;
	begin(&m, 1000);
	process(&m, 10, "cat");
	flow(&m, &def);
	a = data_event(&m, 1, 10, FDTAPE_IN, "one");
	b = data_event(&m, 1, 10, FDTAPE_IN, "two");
	c = data_event(&m, 1, 10, FDTAPE_IN, "three");
	event(&m, &b);
	event(&m, &a);
	m.offset[1][FDTAPE_IN] += 7; /* nobody saw these */
	c.offset = m.offset[1][FDTAPE_IN];
	c.captured = 2;
	event(&m, &c);
	m.offset[1][FDTAPE_IN] += 9;
	close_flow(&m, &def);
	end(&m);
	assert_told(&m, NULL,
	            "open 1 cat\ncall read 1\ncall read 1\nin 1 @0 one\nin 1 @3 two\ncall read 1\n"
	            "in 1 @6 hole 12\nin 1 @18 th\nin 1 @20 hole 3\nin 1 @23 hole 4\n"
	            "close 1 in 8/27/0 out 0/0/0 clear none\n");
	buffer_release(&m.tape);
}

static void make_two(struct maker *m)
{
	struct fdtape_flow def = tcp(1, 10, 3, 80), other = tcp(2, 11, 4, 81);

	begin(m, 1000);
	process(m, 10, "curl");
	process(m, 11, "wget");
	flow(m, &def);
	flow(m, &other);
	carry(m, 1, 10, FDTAPE_OUT, "a");
	carry(m, 2, 11, FDTAPE_OUT, "b");
	end(m);
}

static void test_player_choice__each_kind__takes_its_part(void **state)
{
	static const char first[] = "open 1 curl\ncall write 1\nout 1 @0 a\nclose 1 in 0/0/0 out 1/1/0 clear none\n",
	                  second[] = "open 2 wget\ncall write 2\nout 2 @0 b\nclose 2 in 0/0/0 out 1/1/0 clear none\n";
	const uint32_t pid = 10;
	const uint64_t number = 2;
	const uint16_t port = 81;
	const int32_t fd = 3;
	const char *exe = "wge", *glob = "*/cu[r]l", *none = "*url?";
	struct maker m = {0};

	(void)state;
	make_two(&m);
	assert_told(&m, &(struct player_choice){.pids = &pid, .n_pids = 1}, first);
	assert_told(&m, &(struct player_choice){.flows = &number, .n_flows = 1}, second);
	assert_told(&m, &(struct player_choice){.ports = &port, .n_ports = 1}, second);
	assert_told(&m, &(struct player_choice){.exes = &exe, .n_exes = 1}, second);
	assert_told(&m, &(struct player_choice){.exes = &glob, .n_exes = 1}, first);
	assert_told(&m, &(struct player_choice){.exes = &none, .n_exes = 1}, "");
	assert_told(&m, &(struct player_choice){.ports = &port, .n_ports = 1, .pids = &pid, .n_pids = 1}, "");
	/* Both writes are on a descriptor 3 as far as the events say, but the flow's is what counts. */
	assert_told(&m, &(struct player_choice){.fds = &fd, .n_fds = 1}, first);
	buffer_release(&m.tape);
}

static void test_player_choice__time__hides_calls_but_plays_them(void **state)
{
	struct maker m = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 80);

	(void)state;
	begin(&m, 1000);
	process(&m, 10, "curl");
	flow(&m, &def);
	carry(&m, 1, 10, FDTAPE_OUT, REQUEST);                   /* 1000 .. 1010 */
	carry(&m, 1, 10, FDTAPE_IN, RESPONSE);                   /* 2000 */
	carry(&m, 1, 10, FDTAPE_OUT, "GET /2 HTTP/1.1\r\n\r\n"); /* 3000 */
	carry(&m, 1, 10, FDTAPE_IN, "HTTP/1.1 204 \r\n\r\n");    /* 4000 */
	end(&m);
	assert_told(&m, &(struct player_choice){.since = {PLAYER_TIME_FROM_START, 2500}},
	            "open 1 curl\ncall write 1\nout 1 @28 GET /2 HTTP/1.1\ncall read 1\nin 1 @43 HTTP/1.1 204 \n"
	            "http 1 /2 204\nclose 1 in 60/60/0 out 47/47/0 clear none\n");
	assert_told(&m, &(struct player_choice){.until = {PLAYER_TIME_WALL, UINT64_C(1000000001500)}},
	            "open 1 curl\ncall write 1\nout 1 @0 GET /a HTTP/1.1\nhttp 1 /a 200\n"
	            "close 1 in 60/60/0 out 47/47/0 clear none\n");
	buffer_release(&m.tape);
}

static void test_player_inputs__several__are_one_by_wall_time(void **state)
{
	struct maker m[2] = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 80);
	struct buffer tapes[2];
	struct told t = {.stop_at = 0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&m[i], 1000);
		m[i].time += 500 * (uint64_t)!i; /* the second tape is earlier */
		process(&m[i], 10, i ? "two" : "one");
		flow(&m[i], &def);
		carry(&m[i], 1, 10, FDTAPE_OUT, "a");
		carry(&m[i], 1, 10, FDTAPE_OUT, "b");
		end(&m[i]);
		tapes[i] = m[i].tape;
	}
	assert_int_equal(play(tapes, 2, NULL, &t), 0);
	assert_string_equal(t.text, "open 1 one\nopen 1000001 two\n"
	                            "call write 1000001\nout 1000001 @0 a\ncall write 1\nout 1 @0 a\n"
	                            "call write 1000001\nout 1000001 @1 b\ncall write 1\nout 1 @1 b\n"
	                            "close 1 in 0/0/0 out 2/2/0 clear none\n"
	                            "close 1000001 in 0/0/0 out 2/2/0 clear none\n");
	buffer_release(&tapes[0]);
	buffer_release(&tapes[1]);
}

static void test_player_sections__one_after_the_other__numbers_go_on(void **state)
{
	struct maker m = {0};

	(void)state;
	make_two(&m);
	make_two(&m);
	assert_told(&m, NULL,
	            "open 1 curl\nopen 2 wget\ncall write 1\nout 1 @0 a\ncall write 2\nout 2 @0 b\n"
	            "close 1 in 0/0/0 out 1/1/0 clear none\nclose 2 in 0/0/0 out 1/1/0 clear none\n"
	            "open 3 curl\nopen 4 wget\ncall write 3\nout 3 @0 a\ncall write 4\nout 4 @0 b\n"
	            "close 3 in 0/0/0 out 1/1/0 clear none\nclose 4 in 0/0/0 out 1/1/0 clear none\n");
	buffer_release(&m.tape);
}

/* Two tapes of one recording: the second begins with the clocks that the first ended with, `later` ns apart if they are
 * not. A request and its answer lie across, and flow 2 ended with the first. */
static void make_chain(struct maker m[static 2], uint64_t later)
{
	struct fdtape_flow def = tcp(1, 10, 3, 80), other = tcp(2, 10, 4, 81);
	struct fdtape_writer_options options = {.uuid = {2}, .salt = 1};
	const struct fdtape_sink sink = {.write = write_tape, .context = &m[1].tape};

	begin(&m[0], 1000);
	process(&m[0], 10, "curl");
	flow(&m[0], &other);
	flow(&m[0], &def);
	carry(&m[0], 2, 10, FDTAPE_OUT, "x");
	close_flow(&m[0], &other);
	carry(&m[0], 1, 10, FDTAPE_OUT, "GET /a HTTP/1.1\r\nHo");
	options.clock = (struct fdtape_clock){
	        .realtime = UINT64_C(1000000000000) + m[0].time, .monotonic = m[0].time, .boottime = 7};
	put(&m[0], &(struct fdtape_item){.type = FDTAPE_ITEM_CLOCK, .clock = options.clock});
	def.bytes[FDTAPE_OUT] = m[0].offset[1][FDTAPE_OUT];
	flow(&m[0], &def);
	/* Behind the clock, and later: it belongs to this tape all the same. */
	put(&m[0],
	    &(struct fdtape_item){.type = FDTAPE_ITEM_LOSS, .loss = {.count = 1, .from = 1, .to = m[0].time + 500}});
	end(&m[0]);

	options.clock.boottime += later;
	m[1].time = m[0].time + 10;
	assert_int_equal(fdtape_writer_open(&m[1].writer, &sink, &options), 0);
	process(&m[1], 10, "curl");
	def = tcp(1, 10, 3, 80);
	def.flags |= FDTAPE_FLOW_PREOPENED;
	flow(&m[1], &def);
	carry(&m[1], 1, 10, FDTAPE_OUT, "st: h\r\n\r\n");
	carry(&m[1], 1, 10, FDTAPE_IN, RESPONSE);
	other = tcp(2, 10, 4, 82); /* its id is another's here */
	flow(&m[1], &other);
	carry(&m[1], 2, 10, FDTAPE_OUT, "y");
	close_flow(&m[1], &other);
	close_flow(&m[1], &def);
	end(&m[1]);
}

static void test_player_chain__next_tape_of_a_recording__flows_go_on(void **state)
{
	static const char expected[] = "open 2 curl\nopen 1 curl\ncall write 2\nout 2 @0 x\n"
	                               "call write 1\nout 1 @0 GET /a HTTP/1.1\n"
	                               "call write 1\nout 1 @19 st: h\ncall read 1\n"
	                               "in 1 @0 HTTP/1.1 200 OK\nhttp 1 /a 200\n"
	                               "open 1000002 curl\ncall write 1000002\nout 1000002 @0 y\n"
	                               "close 1 in 43/43/0 out 28/28/0 clear none\n"
	                               "close 2 in 0/0/0 out 1/1/0 clear none\n"
	                               "close 1000002 in 0/0/0 out 1/1/0 clear none\n";
	struct maker m[2] = {0};
	struct told t = {.stop_at = 0};

	(void)state;
	make_chain(m, 0);
	/* Whichever is named first. */
	for (int i = 0; i < 2; i++) {
		const struct buffer tapes[] = {m[i].tape, m[!i].tape};

		assert_int_equal(play(tapes, 2, NULL, &t), 0);
		assert_string_equal(t.text, expected);
	}
	/* And as one file. */
	assert_int_equal(buffer_add(&m[0].tape, m[1].tape.data, m[1].tape.len), 0);
	assert_int_equal(play(&m[0].tape, 1, NULL, &t), 0);
	assert_non_null(strstr(t.text, "http 1 /a 200\nopen 4 curl\n"));
	buffer_release(&m[0].tape);
	buffer_release(&m[1].tape);
}

static void test_player_chain__a_tape_is_missing_between__flows_are_others(void **state)
{
	struct maker m[2] = {0};
	struct told t = {.stop_at = 0};

	(void)state;
	make_chain(m, 1);
	assert_int_equal(play((struct buffer[]){m[0].tape, m[1].tape}, 2, NULL, &t), 0);
	assert_non_null(strstr(t.text, "open 1000001 curl\n"));
	assert_non_null(strstr(t.text, "out 1000001 @0 st: h\n"));
	assert_null(strstr(t.text, "http 1 /a 200\n"));
	buffer_release(&m[0].tape);
	buffer_release(&m[1].tape);
}

static void test_player_chain__a_tape_was_not_ended__flows_are_others(void **state)
{
	struct maker m[2] = {0};
	struct told t = {.stop_at = 0};

	(void)state;
	make_chain(m, 0);
	m[0].tape.len--;
	assert_int_equal(play((struct buffer[]){m[0].tape, m[1].tape}, 2, NULL, &t), 0);
	assert_non_null(strstr(t.text, "open 1000001 curl\n"));
	buffer_release(&m[0].tape);
	buffer_release(&m[1].tape);
}

static void test_player_sink__says_stop__nothing_is_told_any_more(void **state)
{
	struct maker m = {0};
	struct told t = {.stop_at = 1};

	(void)state;
	make_two(&m);
	assert_int_equal(play(&m.tape, 1, NULL, &t), 42);
	assert_string_equal(t.text, "open 1 curl\nopen 2 wget\ncall write 1\n");
	buffer_release(&m.tape);
}

static void test_player_damage__cut_short__what_is_there_is_played(void **state)
{
	struct maker m = {0};
	struct told t = {.stop_at = 0};

	(void)state;
	make_two(&m);
	m.tape.len -= 30; /* into the footer */
	assert_int_equal(play(&m.tape, 1, NULL, &t), 0);
	assert_non_null(strstr(t.text, "damage"));
	assert_non_null(strstr(t.text, "out 2 @0 b\n"));
	m.tape.len = 0;
	assert_int_equal(play(&m.tape, 1, NULL, &t), FDTAPE_ERR_NOT_A_TAPE);
	assert_string_equal(t.text, "");
	buffer_release(&m.tape);
}

#define RECORD(s) "\x17\x03\x03\x01\x01" s

/* Encrypted records without a secret, and the calls that deliver what is in them. */
static void test_player_calls__nested_in_time__give_the_sockets_plaintext(void **state)
{
	struct maker m = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 443), log = tcp(2, 10, 4, 514);
	char record[5 + 257 + 1];
	uint64_t from;
	struct told t = {.stop_at = 0};

	(void)state;
	memset(record, 'x', sizeof record - 1);
	memcpy(record, "\x17\x03\x03\x01\x01", 5);
	record[sizeof record - 1] = '\0';
	def.flags |= FDTAPE_FLOW_PREOPENED;
	begin(&m, 1000);
	process(&m, 10, "curl");
	flow(&m, &def);
	flow(&m, &log);
	library(&m, 3, 10);
	from = m.time - 1;
	carry(&m, 1, 10, FDTAPE_OUT, record);
	ssl_call(&m, 3, 10, FDTAPE_OUT, REQUEST, from);
	from = m.time - 1;
	carry(&m, 2, 10, FDTAPE_OUT, "a line of a log\n"); /* nested as well, but no TLS */
	carry(&m, 1, 10, FDTAPE_IN, record);
	carry(&m, 2, 10, FDTAPE_OUT, "another\n");
	ssl_call(&m, 3, 10, FDTAPE_IN, RESPONSE, from);
	carry(&m, 2, 10, FDTAPE_OUT, "after\n"); /* the same thread, later: concerns no library */
	end(&m);
	assert_int_equal(play(&m.tape, 1, NULL, &t), 0);
	assert_non_null(strstr(t.text, "out 1 @0 GET /a HTTP/1.1\n"));
	assert_non_null(strstr(t.text, "in 1 @0 HTTP/1.1 200 OK\nhttp 1 /a 200\n"));
	assert_non_null(strstr(t.text, "close 1 in 262/262/43 out 262/262/28 tls calls\n"));
	assert_non_null(strstr(t.text, "close 2 in 0/0/0 out 30/30/0 clear none\n"));
	assert_non_null(strstr(t.text, "close 3 in 43/43/0 out 28/28/0 tls none\n"));
	buffer_release(&m.tape);
}

static void test_player_calls__of_no_socket__are_a_flow_of_their_own(void **state)
{
	struct maker m = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 443);

	(void)state;
	begin(&m, 1000);
	process(&m, 10, "node");
	flow(&m, &def);
	library(&m, 2, 10);
	carry(&m, 1, 10, FDTAPE_OUT, "clear bytes");
	/* A read on the clear socket lies within the first call; that proves nothing. */
	ssl_call(&m, 2, 10, FDTAPE_OUT, REQUEST, m.time - 1500);
	ssl_call(&m, 2, 10, FDTAPE_IN, RESPONSE, m.time - 1);
	end(&m);
	assert_told(&m, NULL,
	            "open 1 node\nopen 2 node\ncall write 1\nout 1 @0 clear bytes\n"
	            "call SSL_write 2\ncall SSL_read 2\n"
	            "close 1 in 0/0/0 out 11/11/0 clear none\n"
	            "out 2 @0 GET /a HTTP/1.1\nin 2 @0 HTTP/1.1 200 OK\nhttp 2 /a 200\n"
	            "close 2 in 43/43/43 out 28/28/28 tls calls\n");
	buffer_release(&m.tape);
}

static int64_t role_of_second;

static int on_role(void *context, struct player_flow *f)
{
	(void)context;
	if (f->number == 2)
		role_of_second = f->role;
	return 0;
}

static void test_player_flow__inherited_socket__has_the_role_of_the_other(void **state)
{
	struct maker m = {0};
	struct fdtape_flow def = tcp(1, 10, 3, 80), child = tcp(2, 11, 3, 80);
	const struct player_sink sink = {.flow_opened = on_role};
	struct player *player = NULL;

	(void)state;
	def.inode = child.inode = 77;
	def.role = FDTAPE_ROLE_SERVER;
	child.role = FDTAPE_ROLE_UNKNOWN;
	begin(&m, 1000);
	flow(&m, &def);
	flow(&m, &child);
	end(&m);
	assert_int_equal(
	        player_open(&player,
	                    &(struct player_input){.source = {.read = read_memory,
	                                                      .context = &(struct memory){m.tape.data, m.tape.len}},
	                                           .name = "a tape"},
	                    1, NULL, &sink),
	        0);
	assert_int_equal(player_run(player), 0);
	player_free(player);
	assert_int_equal(role_of_second, FDTAPE_ROLE_SERVER);
	buffer_release(&m.tape);
}

/* ---- sinks ------------------------------------------------------------------------------------------------------ */

static struct buffer cut(const struct buffer *tape, const struct player_choice *choice)
{
	struct memory memory = {tape->data, tape->len};
	const struct player_input input = {.source = {.read = read_memory, .context = &memory}, .name = "a tape"};
	struct player_sink sink = {0};
	struct player *player = NULL;
	struct sink_tape to;
	struct buffer out = {0};
	FILE *file = tmpfile();
	uint8_t bytes[4096];
	size_t n;

	assert_non_null(file);
	sink_tape_init(&to, fileno(file), choice, false, &sink);
	assert_int_equal(player_open(&player, &input, 1, choice, &sink), 0);
	assert_int_equal(player_run(player), 0);
	player_free(player);
	assert_int_equal(sink_tape_finish(&to), 0);
	sink_tape_release(&to);
	assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
	while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
		assert_int_equal(buffer_add(&out, bytes, n), 0);
	fclose(file);
	return out;
}

static void test_sink_tape__a_cut__plays_like_the_choice(void **state)
{
	const uint64_t number = 2;
	const struct player_choice none = {0}, choices[] = {
	                                               {.flows = &number, .n_flows = 1},
	                                               {.since = {PLAYER_TIME_FROM_START, 1500}},
	                                               {0},
	                                       };
	struct maker m = {0};

	(void)state;
	make_two(&m);
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		struct buffer first = cut(&m.tape, &choices[i]), again = cut(&m.tape, &choices[i]);
		struct told from_tape = {.stop_at = 0}, from_cut = {.stop_at = 0};

		assert_int_equal(first.len, again.len);
		assert_memory_equal(first.data, again.data, first.len);
		assert_int_equal(play(&m.tape, 1, &choices[i], &from_tape), 0);
		assert_int_equal(play(&first, 1, &none, &from_cut), 0);
		if (choices[i].since.kind == PLAYER_TIME_NONE)
			assert_string_equal(from_cut.text, from_tape.text);
		buffer_release(&first);
		buffer_release(&again);
	}
	buffer_release(&m.tape);
}

static void test_sink_tape__cut_amid_a_connection__the_rest_is_understood(void **state)
{
	const struct player_choice none = {0}, choice = {.since = {PLAYER_TIME_FROM_START, 6500}};
	struct told t = {.stop_at = 0};
	struct fdtape_flow def = tcp(1, 10, 3, 80);
	struct maker m = {0};
	struct buffer tape;

	(void)state;
	begin(&m, 1000);
	process(&m, 10, "curl");
	flow(&m, &def);
	for (int i = 0; i < 5; i++) {
		carry(&m, 1, 10, FDTAPE_OUT, REQUEST);
		carry(&m, 1, 10, FDTAPE_IN, RESPONSE);
	}
	close_flow(&m, &def);
	end(&m);
	tape = cut(&m.tape, &choice);
	assert_int_equal(play(&tape, 1, &none, &t), 0);
	/* 5 times 28 bytes were sent, and 43 read; 2 of each are there. */
	assert_string_equal(t.text, "open 1 curl\ncall write 1\nout 1 @0 hole 84\nout 1 @84 GET /a HTTP/1.1\n"
	                            "in 1 @0 hole 129\ncall read 1\nin 1 @129 HTTP/1.1 200 OK\nhttp 1 /a 200\n"
	                            "call write 1\nout 1 @112 GET /a HTTP/1.1\ncall read 1\n"
	                            "in 1 @172 HTTP/1.1 200 OK\nhttp 1 /a 200\n"
	                            "close 1 in 86/215/0 out 56/140/0 clear none\n");
	buffer_release(&tape);
	buffer_release(&m.tape);
}

/* Items of a tape, as far as the test below asks for them: a line each. */
static void list(const struct buffer *tape, char *text, size_t size)
{
	struct fdtape_reader *reader;
	struct fdtape_item item;
	size_t n = 0;

	assert_int_equal(fdtape_reader_open_memory(&reader, tape->data, tape->len), 0);
	while (fdtape_reader_next(reader, &item) == 1) {
		if (item.type == FDTAPE_ITEM_PROCESS)
			n += (size_t)snprintf(text + n, size - n, "process %u %s %s %s %u\n", item.process.pid,
			                      item.process.build_id, item.process.cgroup, item.process.libraries,
			                      (unsigned)item.process.started);
		else if (item.type == FDTAPE_ITEM_THREAD)
			n += (size_t)snprintf(text + n, size - n, "thread %u '%s'\n", item.thread.tid,
			                      item.thread.comm);
		else if (item.type == FDTAPE_ITEM_EVENT && item.event.call == FDTAPE_CALL_SENDFILE)
			n += (size_t)snprintf(text + n, size - n, "sendfile of flow %u from %u\n",
			                      (unsigned)item.event.flow, (unsigned)item.event.arg[1]);
		assert_true(n < size);
	}
	fdtape_reader_free(reader);
}

static void put_thread(struct maker *m, uint32_t pid, uint32_t tid, const char *comm)
{
	put(m, &(struct fdtape_item){.type = FDTAPE_ITEM_THREAD, .thread = {pid, tid, m->time, comm}});
}

static void test_sink_tape__threads_and_arguments__go_with_what_is_kept(void **state)
{
	const uint64_t numbers[] = {1, 3};
	const struct player_choice choice = {.flows = numbers, .n_flows = 1}, two = {.flows = numbers, .n_flows = 2};
	struct fdtape_flow flows[] = {tcp(1, 10, 3, 80), tcp(2, 20, 3, 80), tcp(3, 10, 4, 80)};
	struct fdtape_event e;
	struct maker m = {0};
	struct buffer out;
	char text[1000];

	(void)state;
	begin(&m, 1);
	put(&m, &(struct fdtape_item){.type = FDTAPE_ITEM_PROCESS,
	                              .process = {.pid = 10,
	                                          .comm = "a",
	                                          .started = 7,
	                                          .build_id = "b1d",
	                                          .cgroup = "/c",
	                                          .libraries = "3,/l.so"}});
	process(&m, 20, "other");
	put_thread(&m, 10, 11, "first");
	put_thread(&m, 10, 12, "ended");
	put_thread(&m, 20, 21, "of the other");
	put_thread(&m, 10, 12, "");
	put_thread(&m, 10, 11, "renamed");
	for (size_t i = 0; i < 3; i++)
		flow(&m, &flows[i]);
	carry(&m, 2, 20, FDTAPE_IN, "x");
	e = data_event(&m, 1, 10, FDTAPE_OUT, "y");
	e.call = FDTAPE_CALL_SENDFILE;
	e.arg[1] = 3;
	event(&m, &e);
	put_thread(&m, 10, 13, "late");
	end(&m);

	out = cut(&m.tape, &choice);
	list(&out, text, sizeof text);
	assert_string_equal(
	        text,
	        "process 10 b1d /c 3,/l.so 7\nthread 11 'renamed'\nsendfile of flow 1 from 0\nthread 13 'late'\n");
	buffer_release(&out);
	out = cut(&m.tape, &two);
	list(&out, text, sizeof text);
	assert_non_null(strstr(text, "sendfile of flow 1 from 3\n"));
	buffer_release(&out);
	buffer_release(&m.tape);
}

static void test_diff__texts__are_told_as_hunks(void **state)
{
	static const struct {
		const char *old, *new, *expected;
	} cases[] = {
	        {"a\nb\n", "a\nb\n", ""},
	        {"a\nb\nc\n", "a\nx\nc\n", "--- o\n+++ n\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
	        {"", "a\n", "--- o\n+++ n\n@@ -0,0 +1 @@\n+a\n"},
	        {"a\n", "", "--- o\n+++ n\n@@ -1 +0,0 @@\n-a\n"},
	        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\nX\n",
	         "--- o\n+++ n\n@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+X\n"},
	        {"a", "a\n", "--- o\n+++ n\n@@ -1 +1 @@\n-a\n\\ no line feed at the end\n+a\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);
		const struct diff_text old = {"o", cases[i].old, strlen(cases[i].old)},
		                       new = {"n", cases[i].new, strlen(cases[i].new)};

		assert_int_equal(diff_print(out, &old, &new), *cases[i].expected != '\0');
		fclose(out);
		assert_string_equal(text, cases[i].expected);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_player_flow__clear_http__is_told_in_order),
	        cmocka_unit_test(test_player_flow__late_and_lost_events__pieces_are_in_order),
	        cmocka_unit_test(test_player_choice__each_kind__takes_its_part),
	        cmocka_unit_test(test_player_choice__time__hides_calls_but_plays_them),
	        cmocka_unit_test(test_player_inputs__several__are_one_by_wall_time),
	        cmocka_unit_test(test_player_sections__one_after_the_other__numbers_go_on),
	        cmocka_unit_test(test_player_chain__next_tape_of_a_recording__flows_go_on),
	        cmocka_unit_test(test_player_chain__a_tape_is_missing_between__flows_are_others),
	        cmocka_unit_test(test_player_chain__a_tape_was_not_ended__flows_are_others),
	        cmocka_unit_test(test_player_sink__says_stop__nothing_is_told_any_more),
	        cmocka_unit_test(test_player_damage__cut_short__what_is_there_is_played),
	        cmocka_unit_test(test_player_calls__nested_in_time__give_the_sockets_plaintext),
	        cmocka_unit_test(test_player_calls__of_no_socket__are_a_flow_of_their_own),
	        cmocka_unit_test(test_player_flow__inherited_socket__has_the_role_of_the_other),
	        cmocka_unit_test(test_sink_tape__a_cut__plays_like_the_choice),
	        cmocka_unit_test(test_sink_tape__cut_amid_a_connection__the_rest_is_understood),
	        cmocka_unit_test(test_sink_tape__threads_and_arguments__go_with_what_is_kept),
	        cmocka_unit_test(test_diff__texts__are_told_as_hunks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("player_tape", tests, NULL, NULL);
}
