/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * WebSocket, PostgreSQL, MySQL, Redis and DNS: which one is spoken, what is told however the bytes come, and that what is
 * told is true when some are missing.
 */
#include "proto_play.h"

static void text(struct talk *talk, int dir, const char *string)
{
	say(talk, dir, string, strlen(string));
}

#define BYTES(talk, dir, literal) say(talk, dir, literal, sizeof(literal) - 1)

/* ---- HTTP/1 ----------------------------------------------------------------------------------------------------- */

static void keep_alive(struct talk *talk)
{
	text(talk, TO_SERVER, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	text(talk, TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	text(talk, TO_SERVER, "POST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
	text(talk, TO_CLIENT,
	     "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
	text(talk, TO_SERVER, "GET /3 HTTP/1.1\r\n\r\n");
	text(talk, TO_CLIENT, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	text(talk, TO_SERVER, "GET /4 HTTP/1.1\r\n\r\n");
	text(talk, TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

#define KEEP_ALIVE_4 \
	"http stream=-1 method=GET path=/4 status=200 request=0:e3b0 Content-Length=5 response=5:2cf2 complete\n"
#define KEEP_ALIVE                                                                                                 \
	"http stream=-1 method=GET authority=a path=/1 status=200 Host=a request=0:e3b0 Content-Length=5 "         \
	"response=5:2cf2 complete\n"                                                                               \
	"http stream=-1 method=POST path=/2 status=201 Content-Length=5 request=5:2cf2 Transfer-Encoding=chunked " \
	"response=11:b94d complete\n"                                                                              \
	"http stream=-1 method=GET path=/3 status=404 request=0:e3b0 Content-Length=0 response=0:e3b0 "            \
	"complete\n" KEEP_ALIVE_4

static void test_http1__holes__tell_nothing_that_is_not_so(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays;

	(void)state;
	keep_alive(&talk);
	check_pieces(&talk, KEEP_ALIVE);
	/* Whatever is hit, most of the four are whole. */
	assert_true(check_holes(&talk, KEEP_ALIVE, "request response", 64, &plays) > 2 * plays);
	talk_release(&talk);
}

static void test_http1__an_answer_in_a_hole__costs_no_other(void **state)
{
	struct talk talk = {.n = 0};
	struct told t;

	(void)state;
	keep_alive(&talk);
	/* The second answer, whole. */
	t = play_talk(&talk, false,
	              &(struct play_how){.hole_dir = TO_CLIENT,
	                                 .hole_at = talk.turns[1].bytes.len,
	                                 .hole_len = talk.turns[3].bytes.len});
	assert_int_equal(check_true(t.text, KEEP_ALIVE, "request response"), 3);
	assert_non_null(strstr(t.text, "path=/2 Content-Length=5 request=5:2cf2\n"));
	/* The third request, and the first bytes of the fourth. */
	t = play_talk(&talk, false,
	              &(struct play_how){.hole_dir = TO_SERVER,
	                                 .hole_at = talk.turns[0].bytes.len + talk.turns[2].bytes.len,
	                                 .hole_len = talk.turns[4].bytes.len + 3});
	assert_int_equal(check_true(t.text, KEEP_ALIVE, "request response"), 2);
	talk_release(&talk);
}

/* ---- WebSocket -------------------------------------------------------------------------------------------------- */

static void upgrade(struct talk *talk, const char *extensions)
{
	text(talk, TO_SERVER, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	text(talk, TO_CLIENT, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n");
	text(talk, TO_CLIENT, extensions);
	text(talk, TO_CLIENT, "\r\n");
}

#define UPGRADED                                                                                                   \
	"http stream=-1 method=GET authority=a path=/chat status=101 Host=a Connection=Upgrade Upgrade=websocket " \
	"request=0:e3b0 "

/* The examples of RFC 6455, 5.7. */
static void test_websocket__examples_of_rfc_6455__are_read(void **state)
{
	struct talk talk = {.n = 0};
	static const char expected[] = UPGRADED "Upgrade=WebSocket response=0:e3b0 complete\n"
	                                        "ws dir=0 opcode=1 frames=1 data=Hello complete\n"
	                                        "ws dir=0 opcode=9 frames=1 data=Hello complete\n"
	                                        "ws dir=0 opcode=1 frames=2 data=Hello complete\n"
	                                        "ws dir=1 opcode=1 frames=1 data=Hello complete\n"
	                                        "ws dir=1 opcode=10 frames=1 data=Hello complete\n"
	                                        "ws dir=1 opcode=8 frames=1 data=\\x03\\xe8 close=1000 complete\n";

	(void)state;
	upgrade(&talk, "");
	BYTES(&talk, TO_CLIENT, "\x81\x05\x48\x65\x6c\x6c\x6f");
	/* A ping between the two frames of a message. */
	BYTES(&talk, TO_CLIENT, "\x01\x03\x48\x65\x6c\x89\x05\x48\x65\x6c\x6c\x6f\x80\x02\x6c\x6f");
	BYTES(&talk, TO_SERVER, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
	BYTES(&talk, TO_SERVER, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\0\0\0\0\x03\xe8");
	check_pieces(&talk, expected);
	talk_release(&talk);
}

/* The examples of RFC 7692, 7.2.3: the second is compressed with what the first left. */
static void test_websocket__examples_of_rfc_7692__are_inflated(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	upgrade(&talk, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
	BYTES(&talk, TO_CLIENT, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
	BYTES(&talk, TO_CLIENT, "\xc1\x05\xf2\x00\x11\x00\x00");
	BYTES(&talk, TO_CLIENT, "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00");
	check_pieces(&talk,
	             UPGRADED "Upgrade=WebSocket Sec-WebSocket-Extensions=permessage-deflate response=0:e3b0 complete\n"
	                      "ws dir=0 opcode=1 frames=1 data=Hello deflated complete\n"
	                      "ws dir=0 opcode=1 frames=1 data=Hello deflated complete\n"
	                      "ws dir=0 opcode=1 frames=2 data=Hello deflated complete\n");
	talk_release(&talk);
}

static void test_websocket__holes__tell_nothing_that_is_not_so(void **state)
{
	struct talk talk = {.n = 0};
	struct told truth;
	size_t plays;

	(void)state;
	upgrade(&talk, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
	for (int i = 0; i < 3; i++) {
		BYTES(&talk, TO_CLIENT, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
		BYTES(&talk, TO_SERVER, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x82\x80\1\2\3\4");
		BYTES(&talk, TO_CLIENT, "\xc1\x05\xf2\x00\x11\x00\x00\x81\x01x");
	}
	truth = play_talk(&talk, false, &(struct play_how){0});
	/* What the compression refers to is missing. */
	add(&truth, "ws dir=0 opcode=1 frames=1 deflated complete\n");
	assert_true(check_holes(&talk, truth.text, "frames opcode request response data", 32, &plays) > plays);
	talk_release(&talk);
}

/* ---- PostgreSQL ------------------------------------------------------------------------------------------------- */

/* A message; a NUL in the text is written as '~'. type 0: none. */
static void pg(struct talk *talk, int dir, char type, const char *body)
{
	size_t len = strlen(body);
	uint8_t head[5] = {(uint8_t)type, 0, 0, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4)};
	struct buffer b = {0};

	assert_int_equal(buffer_add(&b, body, len), 0);
	for (size_t i = 0; i < len; i++)
		if (b.data[i] == '~')
			b.data[i] = 0;
	say(talk, dir, type ? head : head + 1, type ? 5 : 4);
	say(talk, dir, b.data, len);
	buffer_release(&b);
}

static void pg_begin(struct talk *talk)
{
	BYTES(talk, TO_SERVER, "\0\0\0\x08\x04\xd2\x16\x2f"); /* SSLRequest */
	text(talk, TO_CLIENT, "N");
	BYTES(talk, TO_SERVER, "\0\0\0\x1f\0\3\0\0user\0me\0database\0shop\0\0");
	pg(talk, TO_CLIENT, 'R', "~~~~");
	pg(talk, TO_CLIENT, 'S', "TimeZone~UTC~");
	pg(talk, TO_CLIENT, 'Z', "I");
}

static void pg_talk(struct talk *talk)
{
	pg_begin(talk);
	pg(talk, TO_SERVER, 'Q', "select 1; select 2~");
	pg(talk, TO_CLIENT, 'T', "~\1");
	pg(talk, TO_CLIENT, 'D', "~\1~~~\0011");
	pg(talk, TO_CLIENT, 'C', "SELECT 1~");
	pg(talk, TO_CLIENT, 'D', "~\1~~~\0012");
	pg(talk, TO_CLIENT, 'C', "SELECT 1~");
	pg(talk, TO_CLIENT, 'Z', "I");
	pg(talk, TO_SERVER, 'Q', "selekt~");
	pg(talk, TO_CLIENT, 'E', "SERROR~C42601~Msyntax error~~");
	pg(talk, TO_CLIENT, 'N', "SNOTICE~C00000~Mhear~~");
	pg(talk, TO_CLIENT, 'Z', "I");
	/* The extended protocol: prepared, executed twice, in one batch the second time. */
	pg(talk, TO_SERVER, 'P', "s1~select $1~~~");
	pg(talk, TO_SERVER, 'S', "");
	pg(talk, TO_CLIENT, '1', "");
	pg(talk, TO_CLIENT, 'Z', "I");
	pg(talk, TO_SERVER, 'B', "~s1~~~~~~~");
	pg(talk, TO_SERVER, 'D', "P~");
	pg(talk, TO_SERVER, 'E', "~~~~~");
	pg(talk, TO_SERVER, 'S', "");
	pg(talk, TO_CLIENT, '2', "");
	pg(talk, TO_CLIENT, 'T', "~\1");
	pg(talk, TO_CLIENT, 'D', "~\1~~~\0011");
	pg(talk, TO_CLIENT, 'C', "SELECT 1~");
	pg(talk, TO_CLIENT, 'Z', "I");
	/* COPY in both directions. */
	pg(talk, TO_SERVER, 'Q', "copy t from stdin~");
	pg(talk, TO_CLIENT, 'G', "~~\1~~");
	pg(talk, TO_SERVER, 'd', "line 1\n");
	pg(talk, TO_SERVER, 'c', "");
	pg(talk, TO_CLIENT, 'C', "COPY 1~");
	pg(talk, TO_CLIENT, 'Z', "I");
	pg(talk, TO_SERVER, 'Q', "select 3~");
	pg(talk, TO_CLIENT, 'T', "~\1");
	pg(talk, TO_CLIENT, 'C', "SELECT 0~");
	pg(talk, TO_CLIENT, 'Z', "I");
	pg(talk, TO_SERVER, 'X', "");
}

#define PG_SESSION " user=me database=shop"
#define PG_TALK                                                                                  \
	"pgsql kind=query text=select_1;_select_2" PG_SESSION " rows=2 complete\n"               \
	"pgsql kind=query text=selekt" PG_SESSION " error=42601 message=syntax_error complete\n" \
	"pgsql kind=execute text=select_$1" PG_SESSION " rows=1 complete\n"                      \
	"pgsql kind=query text=copy_t_from_stdin" PG_SESSION " rows=1 complete\n"                \
	"pgsql kind=query text=select_3" PG_SESSION " rows=0 complete\n"

static void test_pgsql__simple_extended_and_copy__are_told(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	pg_talk(&talk);
	check_pieces(&talk, PG_TALK);
	talk_release(&talk);
}

static void test_pgsql__holes__tell_nothing_that_is_not_so(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays;

	(void)state;
	pg_talk(&talk);
	/* Without its start-up message nobody knows the session: those lines are true as well. */
	assert_true(check_holes(&talk,
	                        PG_TALK "pgsql kind=query text=select_1;_select_2 rows=2 complete\n"
	                                "pgsql kind=query text=selekt error=42601 message=syntax_error complete\n"
	                                "pgsql kind=execute text=select_$1 rows=1 complete\n"
	                                "pgsql kind=execute rows=1 complete\n"
	                                "pgsql kind=execute" PG_SESSION " rows=1 complete\n"
	                                "pgsql kind=query text=copy_t_from_stdin rows=1 complete\n"
	                                "pgsql kind=query text=select_3 rows=0 complete\n",
	                        "rows user database error message", 64, &plays) > 2 * plays);
	talk_release(&talk);
}

static void test_pgsql__from_the_middle__the_next_question_is_told(void **state)
{
	struct talk talk = {.n = 0};
	struct told t;

	(void)state;
	pg_talk(&talk);
	/* The first piece is an answer to what was not seen. */
	t = play_talk(&talk, false, &(struct play_how){.from = 5});
	assert_true(check_true(t.text,
	                       "pgsql kind=query text=selekt error=42601 message=syntax_error complete\n"
	                       "pgsql kind=execute text=select_$1 rows=1 complete\n"
	                       "pgsql kind=query text=copy_t_from_stdin rows=1 complete\n"
	                       "pgsql kind=query text=select_3 rows=0 complete\n",
	                       "") == 4);
	talk_release(&talk);
}

static void test_pgsql__a_pipeline_with_an_error__skips_what_was_not_executed(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	pg_begin(&talk);
	for (int i = 0; i < 3; i++) {
		pg(&talk, TO_SERVER, 'P', i == 1 ? "~bad~~~" : "~good~~~");
		pg(&talk, TO_SERVER, 'B', "~~~~~~~~");
		pg(&talk, TO_SERVER, 'E', "~~~~~");
	}
	pg(&talk, TO_SERVER, 'S', "");
	pg(&talk, TO_CLIENT, '1', "");
	pg(&talk, TO_CLIENT, '2', "");
	pg(&talk, TO_CLIENT, 'C', "INSERT 0 5~");
	pg(&talk, TO_CLIENT, 'E', "SERROR~C42601~Mbad~~");
	pg(&talk, TO_CLIENT, 'Z', "I");
	check_pieces(&talk, "pgsql kind=execute text=good" PG_SESSION " rows=5 complete\n"
	                    "pgsql kind=execute text=bad" PG_SESSION " error=42601 message=bad complete\n"
	                    "pgsql kind=execute text=good" PG_SESSION "\n");
	talk_release(&talk);
}

/* ---- MySQL ------------------------------------------------------------------------------------------------------ */

/* A packet; a NUL in the text is written as '~'. */
static void my(struct talk *talk, int dir, uint8_t sequence, const char *body)
{
	size_t len = strlen(body);
	const uint8_t head[4] = {(uint8_t)len, 0, 0, sequence};
	uint8_t copy[256];

	assert_true(len < sizeof copy);
	for (size_t i = 0; i < len; i++)
		copy[i] = body[i] == '~' ? 0 : (uint8_t)body[i];
	say(talk, dir, head, sizeof head);
	say(talk, dir, copy, len);
}

static void my_talk(struct talk *talk)
{
	my(talk, TO_CLIENT, 0,
	   "\n8.0.30~abcd12345678~\xff\xf7\x21\2~\xff\x81\x15~~~~~~~~~~123456789012~mysql_native_password~");
	/* CLIENT_CONNECT_WITH_DB and CLIENT_SECURE_CONNECTION */
	my(talk, TO_SERVER, 1, "\x08\x80~~~~~\1\x21~~~~~~~~~~~~~~~~~~~~~~~me~\4abcdshop~");
	my(talk, TO_CLIENT, 2, "~~~\2~~~");
	my(talk, TO_SERVER, 0, "\3select 1");
	my(talk, TO_CLIENT, 1, "\1");
	my(talk, TO_CLIENT, 2, "\3def~~~\0011~\14\77~\1~~~\10\201~~~~");
	my(talk, TO_CLIENT, 3, "\xfe~~\2~");
	my(talk, TO_CLIENT, 4, "\0011");
	my(talk, TO_CLIENT, 5, "\0012");
	my(talk, TO_CLIENT, 6, "\xfe~~\2~");
	my(talk, TO_SERVER, 0, "\3selekt");
	my(talk, TO_CLIENT, 1, "\xff\x28\4#42000You have an error");
	/* Prepared: one parameter, one column; and executed, without EOF packets. */
	my(talk, TO_SERVER, 0, "\x16select ?");
	my(talk, TO_CLIENT, 1, "~\1~~~\1~\1~~~~");
	my(talk, TO_CLIENT, 2, "\3def~~~\1?~\14\77~~~~~\375\200~~~~");
	my(talk, TO_CLIENT, 3, "\xfe~~\2~");
	my(talk, TO_CLIENT, 4, "\3def~~~\1?~\14\77~~~~~\375\200~~~~");
	my(talk, TO_CLIENT, 5, "\xfe~~\2~");
	my(talk, TO_SERVER, 0, "\x17\1~~~~\1~~~");
	my(talk, TO_CLIENT, 1, "\1");
	my(talk, TO_CLIENT, 2, "\3def~~~\0011~\14\77~\1~~~\10\201~~~~");
	my(talk, TO_CLIENT, 3, "~~\0011");
	my(talk, TO_CLIENT, 4, "\xfe~~\2~~~");
	/* Two results of one query. */
	my(talk, TO_SERVER, 0, "\3update; delete");
	my(talk, TO_CLIENT, 1, "~\3~\x0a~~~");
	my(talk, TO_CLIENT, 2, "~\2~\2~~~");
	my(talk, TO_SERVER, 0, "\1");
}

#define MY_SESSION " user=me database=shop"
#define MY_TALK                                                                                      \
	"mysql kind=query text=select_1" MY_SESSION " rows=2 complete\n"                             \
	"mysql kind=query text=selekt" MY_SESSION " error=1064 message=You_have_an_error complete\n" \
	"mysql kind=prepare text=select_?" MY_SESSION " complete\n"                                  \
	"mysql kind=execute text=select_?" MY_SESSION " rows=1 complete\n"                           \
	"mysql kind=query text=update;_delete" MY_SESSION " rows=5 complete\n"

static void test_mysql__queries_and_prepared_statements__are_told(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	my_talk(&talk);
	check_pieces(&talk, MY_TALK);
	talk_release(&talk);
}

static void test_mysql__holes__tell_nothing_that_is_not_so(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays;

	(void)state;
	my_talk(&talk);
	assert_true(check_holes(&talk,
	                        MY_TALK "mysql kind=query text=select_1 rows=2 complete\n"
	                                "mysql kind=query text=selekt error=1064 message=You_have_an_error complete\n"
	                                "mysql kind=prepare text=select_? complete\n"
	                                "mysql kind=execute text=select_? rows=1 complete\n"
	                                "mysql kind=execute rows=1 complete\n"
	                                "mysql kind=execute" MY_SESSION " rows=1 complete\n"
	                                "mysql kind=query text=update;_delete rows=5 complete\n",
	                        "rows user database error message", 64, &plays) > 2 * plays);
	talk_release(&talk);
}

/* ---- Redis ------------------------------------------------------------------------------------------------------ */

static void redis_talk(struct talk *talk)
{
	text(talk, TO_SERVER, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nx\r\nyz\r\n");
	text(talk, TO_CLIENT, "+OK\r\n");
	text(talk, TO_SERVER, "*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n-1\r\n");
	text(talk, TO_CLIENT, "*3\r\n$1\r\na\r\n$-1\r\n*2\r\n:1\r\n$0\r\n\r\n");
	text(talk, TO_SERVER, "*2\r\n$4\r\nINCR\r\n$1\r\na\r\n");
	text(talk, TO_CLIENT, "-ERR value is not an integer or out of range\r\n");
	/* RESP3: a map, an attribute before the value, a push between two answers. */
	text(talk, TO_SERVER, "*2\r\n$7\r\nHGETALL\r\n$1\r\nh\r\n");
	text(talk, TO_CLIENT, ">2\r\n+invalidate\r\n*1\r\n+k\r\n%1\r\n+f\r\n#t\r\n");
	text(talk, TO_SERVER, "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n");
	text(talk, TO_CLIENT, "|1\r\n+ttl\r\n:5\r\n$5\r\nhello\r\n");
}

#define REDIS_TALK                                                                                                \
	"redis kind=command text=SET_a_x\\x0d\\x0ayz complete\n"                                                  \
	"redis kind=command text=LRANGE_l_0_-1 rows=3 complete\n"                                                 \
	"redis kind=command text=INCR_a error=ERR message=ERR_value_is_not_an_integer_or_out_of_range complete\n" \
	"redis kind=command text=HGETALL_h rows=1 complete\n"                                                     \
	"redis kind=command text=GET_b complete\n"

static void test_redis__both_versions_of_resp__are_told(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	redis_talk(&talk);
	check_pieces(&talk, REDIS_TALK);
	talk_release(&talk);
}

static void test_redis__pipelines_and_subscriptions__keep_the_order(void **state)
{
	struct talk talk = {.n = 0};

	(void)state;
	text(&talk, TO_SERVER,
	     "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nLLEN\r\n$1\r\nl\r\n*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\nx\r\n$1\r\ny\r\n");
	text(&talk, TO_CLIENT,
	     "+PONG\r\n:7\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:2\r\n");
	text(&talk, TO_CLIENT, "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n");
	check_pieces(&talk, "redis kind=command text=PING complete\n"
	                    "redis kind=command text=LLEN_l complete\n"
	                    "redis kind=command text=SUBSCRIBE_x_y rows=3 complete\n");
	talk_release(&talk);
}

static void test_redis__holes__tell_nothing_that_is_not_so(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays;

	(void)state;
	redis_talk(&talk);
	assert_true(check_holes(&talk, REDIS_TALK, "rows text error", 64, &plays) > plays);
	talk_release(&talk);
}

/* ---- DNS -------------------------------------------------------------------------------------------------------- */

#define QUERY "\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"
#define RESPONSE                                                   \
	"\x12\x34\x81\x80\0\1\0\2\0\0\0\1\7example\3org\0\0\1\0\1" \
	"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\6\3www\xc0\x0c"              \
	"\xc0\x29\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"                 \
	"\0\0\x29\4\xd0\0\0\0\0\0\0"
#define DNS_TOLD "dns id=4660 name=example.org. type=A rcode=NOERROR data=www.example.org. data=192.0.2.1"

static void test_dns__datagrams__are_paired(void **state)
{
	struct talk talk = {.n = 0};
	struct told t;

	(void)state;
	BYTES(&talk, TO_SERVER, QUERY);
	BYTES(&talk, TO_CLIENT, RESPONSE);
	t = play_talk(&talk, true, &(struct play_how){0});
	assert_string_equal(t.text, DNS_TOLD " complete\n");
	/* A part of it is missing; a name that points to itself; one without end. */
	for (size_t len = 1; len < sizeof RESPONSE - 1; len++) {
		struct talk cut = {.n = 0};

		BYTES(&cut, TO_SERVER, QUERY);
		say(&cut, TO_CLIENT, RESPONSE, len);
		t = play_talk(&cut, true, &(struct play_how){0});
		assert_null(strstr(t.text, "complete"));
		check_true(t.text, DNS_TOLD "\n", "");
		talk_release(&cut);
	}
	talk_release(&talk);
}

static void test_dns__names_without_end__are_refused(void **state)
{
	struct talk talk = {.n = 0};
	struct told t;

	(void)state;
	BYTES(&talk, TO_SERVER, "\x12\x34\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1");
	t = play_talk(&talk, true, &(struct play_how){0});
	assert_string_equal(t.text, "");
	talk_release(&talk);
}

static void test_dns__streams__are_cut_by_their_lengths(void **state)
{
	struct talk talk = {.n = 0};
	size_t plays;
	static const char expected[] = DNS_TOLD " tcp complete\n" DNS_TOLD " tcp complete\n";

	(void)state;
	for (int i = 0; i < 2; i++) {
		const uint8_t lengths[2][2] = {{0, sizeof QUERY - 1}, {0, sizeof RESPONSE - 1}};

		say(&talk, TO_SERVER, lengths[0], 2);
		BYTES(&talk, TO_SERVER, QUERY);
		say(&talk, TO_CLIENT, lengths[1], 2);
		BYTES(&talk, TO_CLIENT, RESPONSE);
	}
	check_pieces(&talk, expected);
	check_holes(&talk, expected, "", 64, &plays);
	talk_release(&talk);
}

/* ---- none of them ----------------------------------------------------------------------------------------------- */

static void test_protos__what_is_none_of_them__is_silent(void **state)
{
	static const char *const talks[][2] = {
	        {"EHLO me\r\nMAIL FROM:<a@b>\r\n", "220 mail.example.org ESMTP\r\n250 ok\r\n"},
	        {"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2\r\n"},
	        {"get key\r\n", "VALUE key 0 5\r\nhello\r\nEND\r\n"},
	        {"\x16\x03\x01\x02", "\x16\x03\x03\x01"},
	        {"*", "*"},
	};
	struct told t;

	(void)state;
	for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
		struct talk talk = {.n = 0};

		text(&talk, TO_SERVER, talks[i][0]);
		text(&talk, TO_CLIENT, talks[i][1]);
		check_pieces(&talk, "");
		t = play_talk(&talk, true, &(struct play_how){0});
		assert_string_equal(t.text, "");
		talk_release(&talk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_http1__holes__tell_nothing_that_is_not_so),
	        cmocka_unit_test(test_http1__an_answer_in_a_hole__costs_no_other),
	        cmocka_unit_test(test_websocket__examples_of_rfc_6455__are_read),
	        cmocka_unit_test(test_websocket__examples_of_rfc_7692__are_inflated),
	        cmocka_unit_test(test_websocket__holes__tell_nothing_that_is_not_so),
	        cmocka_unit_test(test_pgsql__simple_extended_and_copy__are_told),
	        cmocka_unit_test(test_pgsql__holes__tell_nothing_that_is_not_so),
	        cmocka_unit_test(test_pgsql__from_the_middle__the_next_question_is_told),
	        cmocka_unit_test(test_pgsql__a_pipeline_with_an_error__skips_what_was_not_executed),
	        cmocka_unit_test(test_mysql__queries_and_prepared_statements__are_told),
	        cmocka_unit_test(test_mysql__holes__tell_nothing_that_is_not_so),
	        cmocka_unit_test(test_redis__both_versions_of_resp__are_told),
	        cmocka_unit_test(test_redis__pipelines_and_subscriptions__keep_the_order),
	        cmocka_unit_test(test_redis__holes__tell_nothing_that_is_not_so),
	        cmocka_unit_test(test_dns__datagrams__are_paired),
	        cmocka_unit_test(test_dns__names_without_end__are_refused),
	        cmocka_unit_test(test_dns__streams__are_cut_by_their_lengths),
	        cmocka_unit_test(test_protos__what_is_none_of_them__is_silent),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
