/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the view doctor finds: for each finding a tape that shows it, and one that nearly does and must not. Handshakes
 * are libssl's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fdtape/writer.h>

#include "analyze/doctor.h"

enum {
	MS = 1000000,
	FLOWS = 2000,
	PID = 77,
	DAY = 86400, /* s */
};

/* ---- tapes ------------------------------------------------------------------------------------------------------ */

struct tape {
	char name[32];
	struct fdtape_writer *writer;
	int fd;
	uint64_t now;
	uint64_t offset[FLOWS][2];
	uint32_t tid; /* of the calls that are made */
	struct fdtape_flow flows[FLOWS];
	size_t n_flows;
};

static struct tape tape;

static void put(struct fdtape_item item)
{
	assert_int_equal(fdtape_writer_put(tape.writer, &item), 0);
}

static void begin(void)
{
	const struct fdtape_writer_options options = {.clock = {.monotonic = 1, .realtime = 1000000001}};

	memset(&tape, 0, sizeof tape);
	strcpy(tape.name, "/tmp/fdtape-test-XXXXXX");
	tape.fd = mkstemp(tape.name);
	assert_true(tape.fd >= 0);
	assert_int_equal(fdtape_writer_open_fd(&tape.writer, tape.fd, &options), 0);
	tape.now = 1000 * MS;
	tape.tid = PID;
	put((struct fdtape_item){.type = FDTAPE_ITEM_PROCESS,
	                         .process = {.pid = PID,
	                                     .uid = UINT32_MAX,
	                                     .time = 1,
	                                     .comm = "prog",
	                                     .exe = "/usr/bin/prog",
	                                     .cmdline = "",
	                                     .build_id = "",
	                                     .cgroup = ""}});
}

static void define(size_t flow)
{
	put((struct fdtape_item){.type = FDTAPE_ITEM_FLOW, .flow = tape.flows[flow]});
}

static struct fdtape_address address(uint8_t last, uint16_t port)
{
	return (struct fdtape_address){.family = FDTAPE_FAMILY_IPV4, .len = 4, .port = port, .addr = {192, 0, 2, last}};
}

/* A socket; for a client, `port` is the peer's. Gives its index; its number is one more. */
static size_t open_socket(uint32_t proto, uint32_t role, uint8_t peer, uint16_t port, uint64_t inode, uint32_t flags)
{
	struct fdtape_address server = address(peer, port), client = address(200, 50000);
	size_t i = tape.n_flows++;

	assert_true(i < FLOWS);
	tape.flows[i] = (struct fdtape_flow){
	        .id = i + 1,
	        .pid = PID,
	        .tid = PID,
	        .fd = (int32_t)i + 3,
	        .kind = FDTAPE_KIND_SOCKET,
	        .proto = proto,
	        .role = role,
	        .flags = flags | (proto == FDTAPE_PROTO_TCP ? FDTAPE_FLOW_STREAM : 0),
	        .inode = inode,
	        .opened = tape.now += MS,
	        .local = role == FDTAPE_ROLE_SERVER ? server : client,
	        .remote = role == FDTAPE_ROLE_SERVER ? client : server,
	        .name = "",
	};
	define(i);
	return i;
}

static size_t client(void)
{
	return open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_CLIENT, 1, 80, 0, 0);
}

static size_t server(void)
{
	return open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_SERVER, 1, 80, 0, 0);
}

static void call(size_t flow, struct fdtape_event e)
{
	e.time = tape.now += MS;
	e.duration = 1000;
	e.pid = PID;
	e.tid = tape.tid;
	e.fd = tape.flows[flow].fd;
	e.flow = flow + 1;
	put((struct fdtape_item){.type = FDTAPE_ITEM_EVENT, .event = e});
}

static void carry_some(size_t flow, enum fdtape_dir dir, const void *data, size_t len, size_t captured)
{
	call(flow, (struct fdtape_event){.call = dir == FDTAPE_OUT ? FDTAPE_CALL_WRITE : FDTAPE_CALL_READ,
	                                 .dir = dir,
	                                 .result = (int64_t)len,
	                                 .offset = tape.offset[flow][dir],
	                                 .bytes = len,
	                                 .captured = captured,
	                                 .data = captured ? data : NULL,
	                                 .arg = {65536}});
	tape.offset[flow][dir] += len;
}

static void carry(size_t flow, enum fdtape_dir dir, const void *data, size_t len)
{
	carry_some(flow, dir, data, len, len);
}

static void out(size_t flow, const char *text)
{
	carry(flow, FDTAPE_OUT, text, strlen(text));
}

static void in(size_t flow, const char *text)
{
	carry(flow, FDTAPE_IN, text, strlen(text));
}

static void fails(size_t flow, uint32_t what, int64_t error)
{
	call(flow, (struct fdtape_event){.call = what,
	                                 .dir = what == FDTAPE_CALL_WRITE ? FDTAPE_OUT : FDTAPE_IN,
	                                 .result = -error,
	                                 .arg = {65536}});
}

/* getsockopt(SOL_SOCKET, SO_ERROR) */
static void asks(size_t flow, uint64_t error)
{
	call(flow, (struct fdtape_event){.call = FDTAPE_CALL_GETSOCKOPT, .arg = {1, 4, error}});
}

static void shuts(size_t flow)
{
	call(flow, (struct fdtape_event){.call = FDTAPE_CALL_SHUTDOWN, .arg = {1}});
}

static void ends(size_t flow)
{
	carry(flow, FDTAPE_IN, NULL, 0);
}

static void closes(size_t flow)
{
	call(flow, (struct fdtape_event){.call = FDTAPE_CALL_CLOSE});
	tape.flows[flow].closed = tape.now;
	tape.flows[flow].bytes[0] = tape.offset[flow][0];
	tape.flows[flow].bytes[1] = tape.offset[flow][1];
	define(flow);
}

/* What is found, as words in the order of time: "response-cut connection-reset". */
static char found[4096];
static struct doctor doctor;

static const char *finds(void)
{
	const char *name = tape.name;
	struct options options = {.out = stderr};
	int status;

	assert_int_equal(fdtape_writer_end(tape.writer), 0);
	fdtape_writer_free(tape.writer);
	close(tape.fd);
	assert_int_equal(inputs_open(&options.inputs, &name, 1), 0);
	status = doctor_gather(&doctor, &options);
	assert_int_equal(status, doctor.n ? CLI_DIFFERS : CLI_DONE);
	*found = '\0';
	for (size_t i = 0; i < doctor.n && i < 50; i++) {
		const struct doctor_finding *f = &doctor.findings[i];

		assert_non_null(f->evidence);
		assert_true(*f->evidence && *f->advice);
		assert_true(f->kind == DOCTOR_LOSS || f->time);
		sprintf(found + strlen(found), "%s%s", i ? " " : "", doctor_kind_word(f->kind));
	}
	inputs_release(&options.inputs);
	unlink(tape.name);
	return found;
}

#define assert_finds(words) (assert_string_equal(finds(), words), doctor_release(&doctor))

#define GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

/* ---- attempts --------------------------------------------------------------------------------------------------- */

static void test_doctor__connect_refused(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	fails(f, FDTAPE_CALL_CONNECT, 111);
	closes(f);
	assert_string_equal(finds(), "connect-refused");
	assert_string_equal(doctor.findings[0].evidence, "connecting to 192.0.2.1:80 failed with ECONNREFUSED");
	assert_int_equal(doctor.findings[0].subject.flow, f + 1);
	assert_int_equal(doctor.findings[0].subject.fd, 3);
	assert_int_equal(doctor.findings[0].time, 1000000000 + tape.flows[f].opened + MS);
	doctor_release(&doctor);

	/* Without waiting: the error is asked for later; behind the int lies something else. */
	begin();
	f = client();
	fails(f, FDTAPE_CALL_CONNECT, 115);
	asks(f, 111 | (uint64_t)5 << 32);
	closes(f);
	assert_finds("connect-refused");
}

static void test_doctor__connect_refused__not_when_another_address_answers(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	fails(f, FDTAPE_CALL_CONNECT, 111);
	closes(f);
	f = open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_CLIENT, 2, 80, 0, 0);
	fails(f, FDTAPE_CALL_CONNECT, 115);
	asks(f, 0);
	out(f, "hello");
	closes(f);
	assert_finds("");
}

static void test_doctor__connect_timeout_and_unreachable(void **state)
{
	size_t f;

	(void)state;
	begin();
	fails(client(), FDTAPE_CALL_CONNECT, 110);
	fails(open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_CLIENT, 2, 81, 0, 0), FDTAPE_CALL_CONNECT, 101);
	fails(open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_CLIENT, 3, 82, 0, 0), FDTAPE_CALL_CONNECT, 113);
	assert_finds("connect-timeout connect-unreachable connect-unreachable");

	/* A resolver's question for a route is no attempt; a connect that was interrupted has not failed. */
	begin();
	f = open_socket(FDTAPE_PROTO_UDP, FDTAPE_ROLE_CLIENT, 2, 53, 0, 0);
	fails(f, FDTAPE_CALL_CONNECT, 101);
	fails(client(), FDTAPE_CALL_CONNECT, 4);
	assert_finds("");
}

static void attempts(unsigned n, uint64_t pause)
{
	begin();
	for (unsigned i = 0; i < n; i++) {
		size_t f = client();

		fails(f, FDTAPE_CALL_CONNECT, 111);
		closes(f);
		tape.now += pause;
	}
}

static void test_doctor__retry_storm(void **state)
{
	(void)state;
	attempts(5, 100 * MS);
	assert_finds("connect-refused retry-storm");
	attempts(4, 100 * MS); /* too few */
	assert_finds("connect-refused");
	attempts(9, (uint64_t)2000 * MS); /* with patience */
	assert_finds("connect-refused");
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static void one_failure(uint32_t what, int64_t error)
{
	size_t f;

	begin();
	f = client();
	out(f, "hello");
	fails(f, what, error);
	closes(f);
}

static void test_doctor__connection_reset_and_timeout(void **state)
{
	(void)state;
	one_failure(FDTAPE_CALL_READ, 104);
	assert_finds("connection-reset");
	one_failure(FDTAPE_CALL_READ, 110);
	assert_finds("connection-timeout");
	one_failure(FDTAPE_CALL_READ, 11); /* try again */
	assert_finds("");
	one_failure(FDTAPE_CALL_READ, 4); /* a signal */
	assert_finds("");
}

static void test_doctor__write_after_close_or_shutdown(void **state)
{
	size_t f;

	(void)state;
	one_failure(FDTAPE_CALL_WRITE, 32);
	assert_finds("write-after-close");
	one_failure(FDTAPE_CALL_WRITE, 11);
	assert_finds("");

	begin();
	f = client();
	out(f, "hello");
	shuts(f);
	fails(f, FDTAPE_CALL_WRITE, 32);
	closes(f);
	assert_finds("write-after-shutdown");

	begin();
	f = client();
	out(f, "hello");
	shuts(f);
	in(f, "world");
	ends(f);
	closes(f);
	assert_finds("");
}

static void test_doctor__address_in_use_and_fds_exhausted(void **state)
{
	(void)state;
	begin();
	fails(server(), FDTAPE_CALL_BIND, 98);
	assert_finds("address-in-use");
	begin();
	fails(server(), FDTAPE_CALL_BIND, 0);
	assert_finds("");
	begin();
	fails(server(), FDTAPE_CALL_ACCEPT4, 24);
	assert_finds("fds-exhausted");
	begin();
	fails(server(), FDTAPE_CALL_ACCEPT4, 11);
	assert_finds("");
}

/* `n` connections whose peers end; those from `closed` on are closed. Then time goes by. */
static void leaks(size_t n, size_t closed, uint64_t time)
{
	size_t last;

	begin();
	for (size_t i = 0; i < n; i++) {
		size_t f = server();

		in(f, "hello");
		ends(f);
		if (i >= closed)
			closes(f);
	}
	tape.now += time;
	last = server();
	in(last, "hello");
}

static void test_doctor__fd_leak(void **state)
{
	(void)state;
	leaks(4, 4, (uint64_t)2000 * MS);
	assert_string_equal(finds(), "fd-leak");
	assert_int_equal(doctor.findings[0].subject.flow, 1);
	assert_int_equal(strncmp(doctor.findings[0].evidence, "4 sockets", 9), 0);
	doctor_release(&doctor);
	leaks(4, 2, (uint64_t)2000 * MS); /* two may be on their way */
	assert_finds("");
	leaks(4, 4, 0); /* it may be about to close them */
	assert_finds("");
}

static void test_doctor__tiny_writes(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	for (unsigned i = 0; i < 50; i++)
		out(f, "some bytes");
	assert_finds("tiny-writes");

	begin(); /* questions and answers */
	f = client();
	for (unsigned i = 0; i < 100; i++) {
		out(f, "some bytes");
		in(f, "answer");
	}
	assert_finds("");

	begin(); /* now and then */
	f = client();
	for (unsigned i = 0; i < 100; i++) {
		out(f, "some bytes");
		tape.now += 20 * MS;
	}
	assert_finds("");
}

/* A call by number, whatever that is. */
static void call_bad(int32_t fd, uint32_t what, int64_t error)
{
	put((struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
	                         .event = {.time = tape.now += MS,
	                                   .pid = PID,
	                                   .tid = tape.tid,
	                                   .call = what,
	                                   .dir = FDTAPE_OUT,
	                                   .fd = fd,
	                                   .result = -error}});
}

static void test_doctor__bad_fd(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	out(f, "hello");
	tape.tid = 78;
	closes(f);
	tape.tid = 79;
	call_bad(3, FDTAPE_CALL_WRITE, 9);
	call_bad(3, FDTAPE_CALL_SENDTO, 9);
	assert_string_equal(finds(), "bad-fd");
	assert_non_null(strstr(doctor.findings[0].evidence,
	                       "write by thread 79 returned EBADF, and 1 more call did: the fd was flow 1 with "
	                       "192.0.2.1:80, which thread 78 had closed"));
	doctor_release(&doctor);

	begin(); /* a shell closes whatever there is; one looks whether an fd is open */
	f = client();
	out(f, "hello");
	closes(f);
	for (int32_t fd = 3; fd < 20; fd++)
		call_bad(fd, FDTAPE_CALL_CLOSE, 9);
	call_bad(20, FDTAPE_CALL_WRITE, 9);
	assert_finds("");

	begin(); /* nobody knows what it was, but it is tried on and on */
	for (int i = 0; i < 5; i++)
		call_bad(20, FDTAPE_CALL_WRITE, 9);
	assert_finds("bad-fd");
}

/* The socket that gets the number of `old`. */
static size_t reopen(size_t old, uint32_t role)
{
	size_t f = open_socket(FDTAPE_PROTO_TCP, role, 1, 80, 0, 0);

	tape.flows[f].fd = tape.flows[old].fd;
	define(f);
	return f;
}

static void test_doctor__reused_fd(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 0, 1, 1}, data[] = {23, 3, 3, 0, 1, 1};
	size_t f, g;

	(void)state;
	for (int i = 0; i < 4; i++) {
		begin();
		f = server();
		in(f, GET);
		tape.tid = 78;
		out(f, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
		tape.tid = i == 1 ? 78 : 79; /* 1: who closes it has written himself */
		closes(f);
		g = reopen(f, FDTAPE_ROLE_SERVER);
		if (i == 2) /* was asked */
			in(g, GET);
		tape.tid = i == 3 ? 80 : 78; /* 3: has never used the old one */
		out(g, "half");
		if (i != 2)
			in(g, GET);
		out(g, OK "full");
		closes(g);
		finds();
		assert_int_equal(strstr(found, "reused-fd") != NULL, i == 0);
		doctor_release(&doctor);
	}

	for (int i = 0; i < 2; i++) { /* TLS that goes on where it did not begin; 1: it does */
		begin();
		f = client();
		carry(f, FDTAPE_OUT, hello, sizeof hello);
		tape.tid = 79;
		closes(f);
		g = reopen(f, FDTAPE_ROLE_CLIENT);
		tape.tid = PID;
		carry(g, FDTAPE_OUT, i ? hello : data, sizeof data);
		closes(g);
		finds();
		assert_int_equal(strstr(found, "reused-fd") != NULL, i == 0);
		doctor_release(&doctor);
	}
}

/* ---- http ------------------------------------------------------------------------------------------------------- */

static void test_doctor__response_missing(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	out(f, GET);
	ends(f);
	closes(f);
	assert_finds("response-missing");

	begin(); /* bad news is an answer */
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	closes(f);
	assert_finds("");

	begin(); /* another process has the socket as well, and may have answered */
	f = open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_SERVER, 1, 80, 4711, 0);
	in(f, GET);
	open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_SERVER, 1, 80, 4711, FDTAPE_FLOW_INHERITED);
	closes(f);
	assert_finds("");
}

static void test_doctor__response_cut(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	ends(f);
	closes(f);
	assert_string_equal(finds(), "response-cut");
	assert_non_null(strstr(doctor.findings[0].evidence, "GET a/x: status 200, then only 4 B of the body"));
	doctor_release(&doctor);

	begin(); /* its end is the connection's */
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 200 OK\r\n\r\nhalf");
	ends(f);
	closes(f);
	assert_finds("");

	begin(); /* it is on its way */
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	assert_finds("");
}

/* What is not on the tape is no evidence; that it is not there is a finding where nobody wished it. */
static void test_doctor__loss(void **state)
{
	static const uint32_t reasons[] = {FDTAPE_LOSS_RING_FULL, FDTAPE_LOSS_SNAPLEN};
	static const char *const want[] = {"loss", ""};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";
		size_t f;

		begin();
		f = client();
		out(f, GET);
		carry_some(f, FDTAPE_IN, response, sizeof response - 1, sizeof response - 5);
		put((struct fdtape_item){
		        .type = FDTAPE_ITEM_LOSS,
		        .loss = {.reason = reasons[i], .count = 1, .bytes = 4, .from = tape.now, .to = tape.now}});
		ends(f);
		closes(f);
		assert_finds(want[i]);
	}
}

static void test_doctor__half_closed_early(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	out(f, GET);
	shuts(f);
	ends(f);
	closes(f);
	assert_finds("half-closed-early");

	begin();
	f = client();
	out(f, GET);
	shuts(f);
	in(f, OK "full");
	ends(f);
	closes(f);
	assert_finds("");
}

static void test_doctor__request_pending(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	out(f, GET);
	tape.now += 10 * MS;
	in(client(), "x");
	assert_finds("request-pending");

	begin(); /* it was answered, but not by HTTP, and closed */
	f = client();
	out(f, GET);
	in(f, "no HTTP at all, for many bytes to come\r\n\r\n");
	closes(f);
	tape.now += 10 * MS;
	in(client(), "x");
	assert_finds("");

	begin(); /* events go on for ever */
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
	tape.now += 10 * MS;
	in(client(), "x");
	assert_finds("");
}

/* Two requests at once, and `pause` ms to the first's last byte. */
static void pipeline(uint64_t pause)
{
	size_t f;

	begin();
	f = client();
	out(f, GET "GET /y HTTP/1.1\r\nHost: a\r\n\r\n");
	in(f, OK "fu");
	tape.now += pause * MS;
	in(f, "ll" OK "full");
	closes(f);
}

static void test_doctor__head_of_line_blocking__in_a_pipeline(void **state)
{
	size_t f;

	(void)state;
	pipeline(1500);
	assert_string_equal(finds(), "head-of-line-blocking"); /* and the peer was not slow for the second */
	assert_non_null(strstr(doctor.findings[0].evidence, "GET a/y waited 1.50 s for the response to GET a/x"));
	doctor_release(&doctor);
	pipeline(200);
	assert_finds("");

	begin(); /* one after the other */
	f = client();
	out(f, GET);
	in(f, OK "fu");
	tape.now += (uint64_t)1500 * MS;
	in(f, "ll");
	out(f, GET);
	in(f, OK "full");
	closes(f);
	assert_finds("");
}

static void reset_stream(uint8_t code)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	/* RFC 7541, appendix A: GET, http, /; :authority with a literal value */
	static const uint8_t get[] = {0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, 'a'};
	const uint8_t reset[] = {0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code};
	size_t f;

	begin();
	f = client();
	out(f, preface);
	carry(f, FDTAPE_OUT, settings, sizeof settings);
	carry(f, FDTAPE_IN, settings, sizeof settings);
	carry(f, FDTAPE_OUT, get, sizeof get);
	carry(f, FDTAPE_IN, reset, sizeof reset);
	closes(f);
}

static void test_doctor__stream_reset(void **state)
{
	(void)state;
	reset_stream(0xb);
	assert_string_equal(finds(), "stream-reset");
	assert_non_null(strstr(doctor.findings[0].evidence, "GET a/: stream 1 was reset with ENHANCE_YOUR_CALM"));
	doctor_release(&doctor);
	reset_stream(8); /* CANCEL */
	assert_finds("");
}

/* Two streams' responses have begun; the first's data uses up the window but for `left` bytes. `pause` ms later the
 * client allows more, and the second, or the first alone, ends. */
static void use_window(uint32_t left, uint64_t pause, bool both)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0},
	                     update[] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0};
	static uint8_t data[9 + 16384];
	size_t f;

	begin();
	f = client();
	out(f, preface);
	carry(f, FDTAPE_OUT, settings, sizeof settings);
	carry(f, FDTAPE_IN, settings, sizeof settings);
	for (uint8_t id = 1; id <= (both ? 3 : 1); id += 2) {
		/* RFC 7541, appendix A: GET, http, /; :authority with a literal value; 200 */
		const uint8_t get[] = {0, 0, 6, 1, 5, 0, 0, 0, id, 0x82, 0x86, 0x84, 0x01, 1, 'a'},
		              ok[] = {0, 0, 1, 1, 4, 0, 0, 0, id, 0x88};

		carry(f, FDTAPE_OUT, get, sizeof get);
		carry(f, FDTAPE_IN, ok, sizeof ok);
	}
	for (uint32_t rest = 65535 - left; rest > 0;) {
		uint32_t n = rest < 16384 ? rest : 16384;
		const uint8_t head[] = {0, (uint8_t)(n >> 8), (uint8_t)n, 0, 0, 0, 0, 0, 1};

		memcpy(data, head, sizeof head);
		carry(f, FDTAPE_IN, data, 9 + n);
		rest -= n;
	}
	tape.now += pause * MS;
	carry(f, FDTAPE_OUT, update, sizeof update);
	for (uint8_t id = 1; id <= (both ? 3 : 1); id += 2) {
		const uint8_t end[] = {0, 0, 1, 0, 1, 0, 0, 0, id, '.'};

		carry(f, FDTAPE_IN, end, sizeof end);
	}
	closes(f);
}

static void test_doctor__head_of_line_blocking__by_a_window(void **state)
{
	(void)state;
	use_window(0, 400, true);
	assert_string_equal(finds(), "head-of-line-blocking");
	assert_non_null(
	        strstr(doctor.findings[0].evidence,
	               "GET a/ (stream 3): for 401 ms nothing of the response's body could come, as the data of "
	               "stream 1 had used up"));
	doctor_release(&doctor);
	use_window(1, 400, true); /* there was room */
	assert_finds("");
	use_window(0, 200, true); /* not for long */
	assert_finds("");
	use_window(0, 400, false); /* nobody had to wait but itself */
	assert_finds("");
}

static void test_doctor__server_error(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
	closes(f);
	assert_finds("server-error");

	begin();
	f = client();
	out(f, GET);
	in(f, "HTTP/1.1 499 Odd\r\nContent-Length: 0\r\n\r\n");
	closes(f);
	assert_finds("");
}

static void test_doctor__slow_peer_and_slow_program(void **state)
{
	static const uint64_t times[] = {999, 990};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t f;

		begin();
		f = client();
		out(f, GET);
		tape.now += times[i] * MS;
		in(f, OK "full");
		closes(f);
		assert_finds(i ? "" : "slow-peer");

		begin();
		f = server();
		in(f, GET);
		tape.now += times[i] * MS;
		out(f, OK "full");
		closes(f);
		assert_finds(i ? "" : "slow-program");
	}
}

/* Where a client's time went: within the call that read, or between the calls. */
static void test_doctor__slow_peer__tells_waiting_from_coming_late(void **state)
{
	static const char response[] = OK "full";

	(void)state;
	for (size_t late = 0; late < 2; late++) {
		size_t f;

		begin();
		f = client();
		out(f, GET);
		tape.now += MS;
		put((struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
		                         .event = {.time = tape.now + (late ? (uint64_t)1500 * MS : 0),
		                                   .duration = late ? 1000 : (uint64_t)1500 * MS,
		                                   .pid = PID,
		                                   .tid = PID,
		                                   .call = FDTAPE_CALL_READ,
		                                   .result = sizeof response - 1,
		                                   .fd = 3,
		                                   .flow = f + 1,
		                                   .bytes = sizeof response - 1,
		                                   .captured = sizeof response - 1,
		                                   .data = (const uint8_t *)response,
		                                   .arg = {65536}}});
		tape.now += (uint64_t)1600 * MS;
		closes(f);
		assert_string_equal(finds(), "slow-peer");
		if (late) {
			assert_non_null(strstr(doctor.findings[0].evidence, " 1.00 us of it within"));
			assert_non_null(strstr(doctor.findings[0].advice, "came late"));
		} else {
			assert_non_null(strstr(doctor.findings[0].evidence, " 1.50 s of it within"));
			assert_null(strstr(doctor.findings[0].advice, "came late"));
		}
		doctor_release(&doctor);
	}
}

/* ---- TLS -------------------------------------------------------------------------------------------------------- */

/* Two ends of libssl without a certificate, so that versions before 1.3 are possible. */
static SSL *tls_end(bool serves, int version)
{
	SSL_CTX *context = SSL_CTX_new(serves ? TLS_server_method() : TLS_client_method());
	SSL *ssl;

	assert_int_equal(SSL_CTX_set_cipher_list(context, "AECDH-AES128-SHA:@SECLEVEL=0"), 1);
	assert_int_equal(SSL_CTX_set_min_proto_version(context, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (serves)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* Steps of a handshake: 1 gives the ClientHello alone. */
static void shake(size_t flow, int version, unsigned steps)
{
	SSL *ends_of[2] = {tls_end(true, version), tls_end(false, version)}; /* by the direction that each writes */

	assert_int_equal(SSL_set_tlsext_host_name(ends_of[1], "name.example"), 1);
	for (unsigned i = 0; i < steps; i++) {
		enum fdtape_dir dir = i % 2 ? FDTAPE_IN : FDTAPE_OUT;
		uint8_t bytes[16384];
		int n;

		SSL_do_handshake(ends_of[dir]);
		n = BIO_read(SSL_get_wbio(ends_of[dir]), bytes, sizeof bytes);
		if (n <= 0)
			break;
		carry(flow, dir, bytes, (size_t)n);
		BIO_write(SSL_get_rbio(ends_of[!dir]), bytes, n);
	}
	SSL_free(ends_of[0]);
	SSL_free(ends_of[1]);
}

static void test_doctor__tls_old_version(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	shake(f, TLS1_1_VERSION, 5);
	closes(f);
	assert_finds("tls-old-version");

	begin();
	f = client();
	shake(f, TLS1_2_VERSION, 5);
	closes(f);
	assert_finds("");
}

static void alert(uint8_t level, uint8_t description)
{
	const uint8_t record[] = {21, 3, 3, 0, 2, level, description};
	size_t f;

	begin();
	f = client();
	shake(f, TLS1_2_VERSION, 1);
	carry(f, FDTAPE_IN, record, 5); /* in pieces */
	carry(f, FDTAPE_IN, record + 5, 1);
	carry(f, FDTAPE_IN, record + 6, 1);
	closes(f);
}

static void test_doctor__tls_alert(void **state)
{
	(void)state;
	alert(2, 40);
	assert_string_equal(finds(), "tls-alert");
	assert_string_equal(doctor.findings[0].evidence,
	                    "the peer sent the alert handshake_failure (40) for the name name.example");
	doctor_release(&doctor);
	alert(1, 112);
	assert_string_equal(finds(), "tls-alert");
	assert_non_null(strstr(doctor.findings[0].advice, "SNI"));
	doctor_release(&doctor);
	alert(1, 0); /* close_notify */
	assert_finds("");
	alert(2, 0);
	assert_finds("");
	alert(1, 100); /* no_renegotiation, a warning */
	assert_finds("");
}

static void test_doctor__tls_handshake_failed(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	shake(f, TLS1_2_VERSION, 1);
	ends(f);
	closes(f);
	assert_finds("tls-handshake-failed");

	begin(); /* the answer may come */
	f = client();
	shake(f, TLS1_2_VERSION, 1);
	assert_finds("");
}

static void test_doctor__tls_to_clear_port(void **state)
{
	size_t f;

	(void)state;
	begin();
	f = client();
	shake(f, TLS1_2_VERSION, 1);
	in(f, "HTTP/1.0 400 Bad Request\r\n\r\n");
	ends(f);
	closes(f);
	assert_finds("tls-to-clear-port");

	begin(); /* TLS after words in clear is what was agreed on */
	f = client();
	in(f, "220 mail.example ESMTP\r\n");
	out(f, "STARTTLS\r\n");
	in(f, "220 go on\r\n");
	shake(f, TLS1_2_VERSION, 5);
	closes(f);
	assert_finds("");
}

static void test_doctor__clear_to_tls_port(void **state)
{
	static const uint8_t alert_record[] = {21, 3, 1, 0, 2, 2, 70};
	size_t f;

	(void)state;
	begin(); /* the server says so itself */
	f = client();
	out(f, "hello there\r\n");
	carry(f, FDTAPE_IN, alert_record, sizeof alert_record);
	closes(f);
	assert_finds("clear-to-tls-port");

	begin(); /* another flow shows what that port speaks */
	f = client();
	out(f, "hello there\r\n");
	closes(f);
	f = client();
	shake(f, TLS1_2_VERSION, 5);
	closes(f);
	assert_string_equal(finds(), "clear-to-tls-port");
	assert_int_equal(doctor.findings[0].subject.flow, 1);
	doctor_release(&doctor);

	begin(); /* IANA says it */
	f = open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_CLIENT, 1, 443, 0, 0);
	out(f, "hello there\r\n");
	closes(f);
	assert_finds("clear-to-tls-port");

	begin(); /* a server that takes both */
	f = client();
	out(f, GET);
	in(f, OK "full");
	closes(f);
	f = client();
	shake(f, TLS1_2_VERSION, 5);
	closes(f);
	assert_finds("");

	for (size_t i = 0; i < 3; i++) { /* one that complains of the request itself, or of the second only */
		begin();
		f = client();
		if (i == 2) {
			out(f, GET);
			in(f, OK "full");
		}
		out(f, GET);
		in(f, i ? "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
		        : "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		closes(f);
		f = client();
		shake(f, TLS1_2_VERSION, 5);
		closes(f);
		assert_finds(i == 1 ? "clear-to-tls-port" : "");
	}

	begin(); /* nothing speaks of TLS */
	f = client();
	out(f, "hello there\r\n");
	closes(f);
	assert_finds("");
}

/* ---- certificates ----------------------------------------------------------------------------------------------- */

static struct {
	X509 *x, *ca;
	EVP_PKEY *key, *ca_key;
} made;

static void name_of(X509_NAME *name, const char *text)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)text, -1, -1, 0), 1);
}

/* Days before and behind the beginning of 1970, when the tapes are from. */
static X509 *new_certificate(const char *subject, EVP_PKEY *key, const char *issuer, EVP_PKEY *by, const EVP_MD *hash,
                             int from, int until)
{
	X509 *x = X509_new();
	X509_EXTENSION *names;
	char text[100];

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from * DAY);
	ASN1_TIME_set(X509_getm_notAfter(x), (time_t)until * DAY);
	name_of(X509_get_subject_name(x), subject);
	name_of(X509_get_issuer_name(x), issuer);
	X509_set_pubkey(x, key);
	snprintf(text, sizeof text, "DNS:%s", subject);
	names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
	X509_add_ext(x, names, -1);
	X509_EXTENSION_free(names);
	assert_true(X509_sign(x, by, hash) > 0);
	return x;
}

/* A server's, of a CA, or signed by itself. */
static void certify(const char *subject, bool by_itself, unsigned rsa_bits, const EVP_MD *hash, int from, int until)
{
	made.key = rsa_bits ? EVP_RSA_gen(rsa_bits) : EVP_EC_gen("P-256");
	made.ca_key = EVP_EC_gen("P-256");
	made.x = new_certificate(subject, made.key, by_itself ? subject : "a CA", by_itself ? made.key : made.ca_key,
	                         hash, from, until);
}

/* Shows it to a client that asks for name.example; says what is found. alert: the client's then, 0: none. */
static const char *finds_shown(int version, uint8_t alert)
{
	const uint8_t record[] = {21, 3, 3, 0, 2, 2, alert};
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	SSL *ends_of[2];
	size_t f;

	begin();
	f = client();
	SSL_CTX_set_security_level(context, 0);
	assert_int_equal(SSL_CTX_use_certificate(context, made.x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, made.key), 1);
	ends_of[FDTAPE_IN] = SSL_new(context);
	SSL_CTX_free(context);
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_security_level(context, 0);
	ends_of[FDTAPE_OUT] = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_accept_state(ends_of[FDTAPE_IN]);
	SSL_set_connect_state(ends_of[FDTAPE_OUT]);
	assert_int_equal(SSL_set_tlsext_host_name(ends_of[FDTAPE_OUT], "name.example"), 1);
	for (int i = 0; i < 2; i++)
		SSL_set_bio(ends_of[i], BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	for (int i = 0; i < 2; i++) { /* ClientHello; ServerHello to ServerHelloDone */
		enum fdtape_dir dir = i ? FDTAPE_IN : FDTAPE_OUT;
		uint8_t bytes[16384];
		int n;

		SSL_do_handshake(ends_of[dir]);
		n = BIO_read(SSL_get_wbio(ends_of[dir]), bytes, sizeof bytes);
		assert_true(n > 0);
		carry(f, dir, bytes, (size_t)n);
		BIO_write(SSL_get_rbio(ends_of[!dir]), bytes, n);
	}
	if (alert)
		carry(f, FDTAPE_OUT, record, sizeof record);
	closes(f);
	SSL_free(ends_of[0]);
	SSL_free(ends_of[1]);
	X509_free(made.x);
	EVP_PKEY_free(made.key);
	EVP_PKEY_free(made.ca_key);
	return finds();
}

static void test_doctor__certificate__its_time(void **state)
{
	(void)state;
	certify("name.example", false, 0, EVP_sha256(), -30, -1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 45), "certificate-expired tls-alert");
	assert_string_equal(doctor.findings[0].evidence,
	                    "the server's certificate for name.example was valid until 1969-12-31 00:00:00 UTC; this "
	                    "program then sent the alert certificate_expired (45)");
	doctor_release(&doctor);
	certify("name.example", false, 0, EVP_sha256(), 1, 30);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "certificate-not-yet-valid");
	doctor_release(&doctor);
	certify("name.example", false, 0, EVP_sha256(), 0, 1); /* by today, it has long expired */
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "");
	doctor_release(&doctor);
	certify("name.example", false, 0, EVP_sha256(), -30, -1); /* encrypted, and no keys */
	assert_string_equal(finds_shown(TLS1_3_VERSION, 0), "");
	doctor_release(&doctor);
}

static void test_doctor__certificate__its_name(void **state)
{
	(void)state;
	certify("other.example", false, 0, EVP_sha256(), -1, 1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "certificate-name");
	assert_string_equal(doctor.findings[0].evidence,
	                    "the client asked for name.example (SNI), the server's certificate is for other.example");
	doctor_release(&doctor);
	certify("NAME.example", false, 0, EVP_sha256(), -1, 1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "");
	doctor_release(&doctor);
}

static void test_doctor__certificate__its_signature(void **state)
{
	(void)state;
	certify("name.example", true, 0, EVP_sha256(), -1, 1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 48), "certificate-self-signed tls-alert");
	doctor_release(&doctor);
	certify("name.example", true, 0, EVP_sha256(), -1, 1); /* the client does not mind */
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "");
	doctor_release(&doctor);
	certify("name.example", false, 0, EVP_sha256(), -1, 1); /* it is another's */
	assert_string_equal(finds_shown(TLS1_2_VERSION, 48), "tls-alert");
	doctor_release(&doctor);
}

static void test_doctor__certificate__its_strength(void **state)
{
	(void)state;
	certify("name.example", false, 1024, EVP_sha256(), -1, 1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "certificate-weak");
	assert_non_null(strstr(doctor.findings[0].evidence, "has a key of 1024 bits"));
	doctor_release(&doctor);
	certify("name.example", false, 2048, EVP_sha1(), -1, 1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "certificate-weak");
	assert_non_null(strstr(doctor.findings[0].evidence, "is signed with SHA1"));
	doctor_release(&doctor);
	certify("name.example", true, 2048, EVP_sha1(), -1, 1); /* nobody relies on that signature */
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "");
	doctor_release(&doctor);
	certify("name.example", false, 2048, EVP_sha256(), -1, 1);
	assert_string_equal(finds_shown(TLS1_2_VERSION, 0), "");
	doctor_release(&doctor);
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

static void test_doctor__findings_beyond_the_limit__are_counted(void **state)
{
	(void)state;
	begin();
	for (size_t i = 0; i < DOCTOR_FINDINGS + 7; i++) {
		size_t f = client();

		out(f, GET);
		ends(f);
		closes(f);
	}
	finds();
	assert_int_equal(doctor.n, DOCTOR_FINDINGS);
	assert_int_equal(doctor.more[DOCTOR_RESPONSE_MISSING], 7);
	doctor_release(&doctor);

	begin(); /* each to another address */
	for (size_t i = 0; i < DOCTOR_ENTRIES + 7; i++)
		fails(open_socket(FDTAPE_PROTO_TCP, FDTAPE_ROLE_CLIENT, 1, (uint16_t)(1000 + i), 0, 0),
		      FDTAPE_CALL_CONNECT, 111);
	finds();
	assert_int_equal(doctor.n, DOCTOR_ENTRIES);
	doctor_release(&doctor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_doctor__connect_refused),
	        cmocka_unit_test(test_doctor__connect_refused__not_when_another_address_answers),
	        cmocka_unit_test(test_doctor__connect_timeout_and_unreachable),
	        cmocka_unit_test(test_doctor__retry_storm),
	        cmocka_unit_test(test_doctor__connection_reset_and_timeout),
	        cmocka_unit_test(test_doctor__write_after_close_or_shutdown),
	        cmocka_unit_test(test_doctor__address_in_use_and_fds_exhausted),
	        cmocka_unit_test(test_doctor__fd_leak),
	        cmocka_unit_test(test_doctor__tiny_writes),
	        cmocka_unit_test(test_doctor__bad_fd),
	        cmocka_unit_test(test_doctor__reused_fd),
	        cmocka_unit_test(test_doctor__response_missing),
	        cmocka_unit_test(test_doctor__response_cut),
	        cmocka_unit_test(test_doctor__loss),
	        cmocka_unit_test(test_doctor__half_closed_early),
	        cmocka_unit_test(test_doctor__request_pending),
	        cmocka_unit_test(test_doctor__head_of_line_blocking__in_a_pipeline),
	        cmocka_unit_test(test_doctor__head_of_line_blocking__by_a_window),
	        cmocka_unit_test(test_doctor__stream_reset),
	        cmocka_unit_test(test_doctor__server_error),
	        cmocka_unit_test(test_doctor__slow_peer_and_slow_program),
	        cmocka_unit_test(test_doctor__slow_peer__tells_waiting_from_coming_late),
	        cmocka_unit_test(test_doctor__tls_old_version),
	        cmocka_unit_test(test_doctor__tls_alert),
	        cmocka_unit_test(test_doctor__tls_handshake_failed),
	        cmocka_unit_test(test_doctor__tls_to_clear_port),
	        cmocka_unit_test(test_doctor__clear_to_tls_port),
	        cmocka_unit_test(test_doctor__certificate__its_time),
	        cmocka_unit_test(test_doctor__certificate__its_name),
	        cmocka_unit_test(test_doctor__certificate__its_signature),
	        cmocka_unit_test(test_doctor__certificate__its_strength),
	        cmocka_unit_test(test_doctor__findings_beyond_the_limit__are_counted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_doctor", tests, NULL, NULL);
}
