/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Each direction of the flow is a *half* that reads message after message: head, body, next head. Which half carries
 * requests is told by the first lines themselves, so neither port nor role matters. A half whose bytes are no HTTP/1, or
 * that lost its place behind a hole, is *off*; it says nothing any more.
 *
 * Requests open exchanges, which queue up in the order of the requests; responses answer the first that has none yet
 * (RFC 9112, 9.3). The exchange at the head of the queue is told when both of its messages have ended or can't.
 * Should a response's bytes be seen before its request's (two threads, late secrets), they wait for it.
 *
 * A hole within a body leaves everything else in its place. Behind any other the half is *lost*, until a piece begins
 * with a first line. Which request a response answers is known again when the next request is sent, for who waits for
 * each answer before he asks again has none outstanding then; where requests were pipelined nothing is known any more.
 *
 * When the answer to CONNECT or Upgrade says so, all that follows is another conversation (`next`). Bytes of the asking
 * side wait for that answer.
 *
 * Everything that a peer can make long is bounded: lines, heads, headers, the queue, what waits.
 */
#include <stdio.h>
#include <strings.h>

#include "replay/buffer.h"
#include "replay/proto/http2.h"
#include "replay/proto/http_body.h"
#include "replay/proto/proto.h"

enum {
	METHOD_MAX = 32,
	FIRST_LINE_MAX = 64 << 10,
	HEAD_MAX = 256 << 10,
	HEAD_USUAL = 1 << 10,
	HEADERS_MAX = 1000,
	HEADERS_USUAL = 16,
	SPARE_HEAD_MAX = 4 << 10, /* of an exchange that is over: more room than this is not kept */
	SPARE_HEADERS_MAX = 64,
	CHUNK_LINE_MAX = 4 << 10,
	TRAILERS_MAX = 64 << 10,
	EXCHANGES_MAX = 1000, /* requests that wait for their responses */
	KEPT_MAX = 16 << 20,  /* bytes of their heads */
	WAITING_MAX = 256 << 10,
};

/* What a message's head points into. */
struct head {
	struct buffer text;
	struct http_header *headers;
	size_t room; /* for headers */
};

struct exchange {
	struct exchange *next;
	struct http_exchange told;
	struct head request, response;
	char *authority; /* cut out of an absolute target */
	struct http_body request_body, response_body;
	bool request_done, response_done;
	size_t kept; /* bytes of the request's head */
};

enum state {
	FIRST_LINE, /* of the next message */
	HEAD,
	BODY,        /* `left` bytes, by Content-Length */
	BODY_TO_END, /* until the connection closes */
	CHUNK_LINE,
	CHUNK,
	CHUNK_END,
	TRAILERS,
	LOST, /* where messages begin */
	OFF,
};

enum kind {
	UNDECIDED,
	REQUESTS,
	RESPONSES
};

struct half {
	struct http1 *flow;
	enum kind kind;
	enum state state;
	struct buffer text; /* of the head, or of a line that is not complete */
	size_t line;        /* where the line begins in it */
	uint64_t left;
	uint64_t trailers; /* bytes of them */
	uint64_t since;    /* wall time of the message's first byte */
	struct exchange *exchange;
	struct buffer waiting; /* a response's bytes whose request was not seen yet */
	struct stamp waiting_stamp;
};

struct http1 {
	struct proto_flow flow;
	struct proto_sink sink;
	struct half half[2];
	struct exchange *first, **end;
	size_t n;
	size_t kept;            /* bytes of the requests' heads */
	struct exchange *spare; /* cleared but for its heads' memory; NULL: none */
	struct http_bodies bodies;
	bool pipelined;          /* a request was sent before the one before it was answered */
	bool heard;              /* the response half is lost, and something came there since the last request */
	bool answers_next;       /* the response half is lost, and the next response answers the last request */
	struct exchange *asking; /* for CONNECT or Upgrade; NULL: none, or it was answered */
	struct protos *next;     /* what is spoken since */
};

/* ---- exchanges -------------------------------------------------------------------------------------------------- */

static void head_release(struct head *head)
{
	buffer_release(&head->text);
	free(head->headers);
}

/* What is left of it is room for the next one. */
static void head_clear(struct head *head)
{
	head->text.len = 0;
	if (head->text.size > SPARE_HEAD_MAX || head->room > SPARE_HEADERS_MAX) {
		head_release(head);
		*head = (struct head){0};
	}
}

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	head_release(&x->request);
	head_release(&x->response);
	free(x);
}

/* It is over. Its memory serves the connection's next one. */
static void exchange_end(struct http1 *h, struct exchange *x)
{
	h->kept -= x->kept;
	http_body_end(&x->request_body);
	http_body_end(&x->response_body);
	free(x->authority);
	exchange_free(h->spare);
	head_clear(&x->request);
	head_clear(&x->response);
	*x = (struct exchange){.request = x->request, .response = x->response};
	h->spare = x;
}

static struct exchange *exchange_new(struct http1 *h)
{
	struct exchange *x = h->spare ? h->spare : calloc(1, sizeof *x);

	h->spare = NULL;
	if (!x)
		return NULL;
	x->told.stream = -1;
	x->told.grpc_status = -1;
	x->told.request.grpc_messages = x->told.request.events = -1;
	x->told.response.grpc_messages = x->told.response.events = -1;
	*h->end = x;
	h->end = &x->next;
	h->n++;
	return x;
}

/* The half lost its place, or the conversation is not HTTP/1 any more. What it was reading stays as it is. */
static void turn_off(struct half *half)
{
	half->state = OFF;
	half->exchange = NULL;
	buffer_release(&half->text);
	buffer_release(&half->waiting);
	half->line = 0;
}

/* The half lost its place, but may find it again. What it was reading stays as it is. */
static void lose(struct half *half)
{
	struct http1 *h = half->flow;

	if (half->kind == REQUESTS && half->exchange)
		half->exchange->request_done = true;
	if (half->kind == RESPONSES && half->exchange)
		half->exchange->response_done = true;
	if (half->kind == RESPONSES && h->asking) {
		/* Nobody knows what is spoken now. */
		turn_off(&h->half[0]);
		turn_off(&h->half[1]);
		return;
	}
	turn_off(half);
	half->state = LOST;
	h->heard |= half->kind != REQUESTS;
	h->answers_next = false;
	h->asking = NULL;
}

static void turn_both_off(struct http1 *h)
{
	turn_off(&h->half[0]);
	turn_off(&h->half[1]);
}

static void tell_first(struct http1 *h)
{
	struct exchange *x = h->first;
	struct http_exchange *told = &x->told;

	http_body_end(&x->request_body);
	http_body_end(&x->response_body);
	told->scheme =
	        h->flow.tls->verdict == TLS_VERDICT_TLS || h->flow.tls->verdict == TLS_VERDICT_MIXED ? "https" : "http";
	told->complete = told->request.complete && told->response.complete;
	told->dir = h->half[1].kind == REQUESTS || h->half[0].kind == RESPONSES;
	if (h->sink.http)
		h->sink.http(h->sink.context, told);
	for (int i = 0; i < 2; i++)
		if (h->half[i].exchange == x)
			turn_off(&h->half[i]); /* it was not over; there was no more room to wait */
	if (h->asking == x)
		h->asking = NULL;
	h->first = x->next;
	if (!h->first)
		h->end = &h->first;
	h->n--;
	exchange_end(h, x);
}

/* Does the direction of this kind say nothing any more? One that never spoke is what the other one is not. */
static bool is_off(const struct http1 *h, enum kind kind)
{
	for (int i = 0; i < 2; i++)
		if (h->half[i].state == OFF &&
		    (h->half[i].kind == kind || (h->half[i].kind == UNDECIDED && h->half[!i].kind != kind)))
			return true;
	return false;
}

/* Tells, from the first on, what can't become more complete. */
static void tell_finished(struct http1 *h)
{
	bool no_requests = is_off(h, REQUESTS), no_responses = is_off(h, RESPONSES);

	while (h->first && (h->first->request_done || no_requests) && (h->first->response_done || no_responses))
		tell_first(h);
}

/* ---- heads ------------------------------------------------------------------------------------------------------ */

static bool is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_version(const char *text, size_t len)
{
	return len == 8 && memcmp(text, "HTTP/1.", 7) == 0 && text[7] >= '0' && text[7] <= '9';
}

/* Could these bytes, as far as there are any, begin a message of this kind? */
static bool plausible(enum kind kind, const uint8_t *p, size_t n)
{
	size_t i;

	if (kind != REQUESTS) {
		if (memcmp(p, "HTTP/1.", n < 7 ? n : 7) == 0)
			return true;
		if (kind == RESPONSES)
			return false;
	}
	for (i = 0; i < n && is_token(p[i]); i++)
		;
	return i <= METHOD_MAX && (i == n || (i > 0 && p[i] == ' '));
}

/* "GET /path HTTP/1.1": sets the NULs; the target may hold spaces, as some send it. */
static bool parse_request_line(char *line, struct http_exchange *told)
{
	char *space = strchr(line, ' '), *last = strrchr(line, ' ');

	if (!space || last == space || space == line || !is_version(last + 1, strlen(last + 1)))
		return false;
	*space = *last = '\0';
	told->method = line;
	told->target = space + 1;
	told->version = last + 1;
	return true;
}

/* "HTTP/1.1 200 OK" */
static bool parse_status_line(char *line, struct http_exchange *told)
{
	char *p;
	int status = 0;

	if (strlen(line) < 12 || !is_version(line, 8) || line[8] != ' ')
		return false;
	for (p = line + 9; p < line + 12; p++) {
		if (*p < '0' || *p > '9')
			return false;
		status = status * 10 + (*p - '0');
	}
	if (status < 100 || (*p && *p != ' '))
		return false;
	line[8] = '\0';
	told->status = status;
	told->reason = *p ? p + 1 : p;
	if (!told->version)
		told->version = line;
	return true;
}

/* A line's end, as it was found, becomes a NUL; blanks before it as well. */
static void end_text(char *text, char *end)
{
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
}

/* The line feed that ends the line at p, which stands before `end`; one that is continued behind it becomes blank. */
static char *find_line_end(char *p, char *end, bool may_continue)
{
	char *lf = memchr(p, '\n', (size_t)(end - p));

	/* A line that begins with a space continues the one before (RFC 9112, 5.2). */
	while (lf && may_continue && (lf[1] == ' ' || lf[1] == '\t')) {
		*lf = ' ';
		if (lf > p && lf[-1] == '\r')
			lf[-1] = ' ';
		lf = memchr(lf, '\n', (size_t)(end - lf));
	}
	return lf;
}

static int add_header(struct head *head, size_t n, char *name, char *end)
{
	char *value = memchr(name, ':', (size_t)(end - name));
	size_t room = head->room ? 2 * head->room : HEADERS_USUAL;
	struct http_header *headers;

	if (n == head->room) {
		headers = realloc(head->headers, room * sizeof *headers);
		if (!headers)
			return -1;
		head->headers = headers;
		head->room = room;
	}
	*end = '\0';
	head->headers[n] = (struct http_header){.name = name, .value = ""};
	if (value) {
		*value++ = '\0';
		while (*value == ' ' || *value == '\t')
			value++;
		end_text(value, end);
		head->headers[n].value = value;
	}
	return 0;
}

/*
 * Splits the head, whose text ends with an empty line, into its first line and the headers. The text is changed in
 * place; what points into it is valid as long as it. 1; 0: that is no head; -1: no memory.
 */
static int parse_head(struct head *head, char **first, struct http_message *message)
{
	char *p, *end, *lf, *line_end;
	size_t lines = 0;

	if (buffer_add(&head->text, "", 1) < 0)
		return -1;
	*first = p = (char *)head->text.data;
	end = p + head->text.len - 1; /* the NUL */
	for (char *nul = p; (nul = memchr(nul, '\0', (size_t)(end - nul)));)
		*nul = ' '; /* RFC 9110, 5.5 */
	for (; (lf = find_line_end(p, end, lines > 0)); p = lf + 1, lines++) {
		line_end = lf > p && lf[-1] == '\r' ? lf - 1 : lf;
		if (lines == 0)
			*line_end = '\0';
		else if (line_end == p)
			break; /* the empty one */
		else if (lines > HEADERS_MAX)
			return 0;
		else if (add_header(head, lines - 1, p, line_end) < 0)
			return -1;
	}
	message->headers = head->headers;
	message->n_headers = lines > 0 ? lines - 1 : 0;
	message->seen = true;
	return 1;
}

static bool is_chunked(const char *coding)
{
	const char *last = strrchr(coding, ',');

	for (last = last ? last + 1 : coding; *last == ' ' || *last == '\t'; last++)
		;
	return strcasecmp(last, "chunked") == 0;
}

static bool parse_length(const char *text, uint64_t *len)
{
	*len = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || *len > (UINT64_MAX >> 1) / 10)
			return false;
		*len = *len * 10 + (uint64_t)(*text - '0');
	}
	return true;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static struct http_message *message_of(const struct half *half)
{
	return half->kind == REQUESTS ? &half->exchange->told.request : &half->exchange->told.response;
}

static struct http_body *body_of(const struct half *half)
{
	return half->kind == REQUESTS ? &half->exchange->request_body : &half->exchange->response_body;
}

static int feed(struct half *half, const uint8_t *data, uint64_t len, const struct stamp *stamp);

/* What waited goes on. */
static int feed_waiting(struct half *half)
{
	struct buffer waiting = half->waiting;
	int result = 0;

	half->waiting = (struct buffer){0};
	if (waiting.len > 0)
		result = feed(half, waiting.data, waiting.len, &half->waiting_stamp);
	buffer_release(&waiting);
	return result;
}

/* The message at hand ended at its last byte. */
static void end_message(struct half *half, const struct stamp *stamp)
{
	struct exchange *x = half->exchange;
	struct http_message *message = message_of(half);

	message->complete = message->body_whole;
	http_body_end(body_of(half));
	if (half->kind == REQUESTS) {
		x->request_done = true;
	} else {
		x->response_done = true;
		x->told.end = stamp->wall;
	}
	half->exchange = NULL;
	half->state = FIRST_LINE;
}

/* Where the body ends: RFC 9112, 6.3. 1; 0: it can't be known, for the head contradicts itself; -1: no memory. */
static int begin_body(struct half *half, bool none, const struct stamp *stamp)
{
	const struct http_message *message = message_of(half);
	const char *coding = http_header(message, "Transfer-Encoding");
	const char *length = http_header(message, "Content-Length");

	if (http_body_begin(body_of(half), &half->flow->bodies, message_of(half)) < 0)
		return -1;
	if (none) {
		end_message(half, stamp);
	} else if (coding && is_chunked(coding)) {
		half->state = CHUNK_LINE;
	} else if (coding && half->kind == REQUESTS) {
		return 0;
	} else if (length && !coding) {
		if (!parse_length(length, &half->left))
			return 0;
		half->state = BODY;
		if (half->left == 0)
			end_message(half, stamp);
	} else if (half->kind == REQUESTS) {
		end_message(half, stamp);
	} else {
		half->state = BODY_TO_END;
	}
	return 1;
}

/* Who is asked: RFC 9110, 7.1. */
static int find_authority(struct exchange *x)
{
	struct http_exchange *told = &x->told;
	const char *at = strstr(told->target, "://");
	size_t len;

	if (strcmp(told->method, "CONNECT") == 0) {
		told->authority = told->target;
	} else if (told->target[0] != '/' && at) {
		at += 3;
		len = strcspn(at, "/?#");
		x->authority = malloc(len + 1);
		if (!x->authority)
			return -1;
		memcpy(x->authority, at, len);
		x->authority[len] = '\0';
		told->authority = x->authority;
	} else {
		told->authority = http_header(&told->request, "Host");
	}
	return 0;
}

/* The head's text is complete. What it was read into before takes the next one. */
static void take_head(struct half *half, struct head *head)
{
	struct buffer text = head->text;

	head->text = half->text;
	half->text = text;
	half->text.len = 0;
}

static int begin_request(struct half *half, const struct stamp *stamp)
{
	struct http1 *h = half->flow;
	struct half *responses = &h->half[half == &h->half[0]];
	struct exchange *x;
	char *line = NULL;
	int result;

	while (h->n >= EXCHANGES_MAX || h->kept > KEPT_MAX)
		tell_first(h);
	for (x = h->first; x; x = x->next) {
		if (responses->state == LOST && h->heard)
			x->response_done = true; /* it is in the hole */
		h->pipelined |= !x->response_done;
	}
	h->heard = false;
	if (responses->state == LOST && !h->pipelined)
		h->answers_next = true;
	x = exchange_new(h);
	if (!x)
		return -1;
	take_head(half, &x->request);
	x->kept = x->request.text.size;
	h->kept += x->kept;
	x->told.start = half->since;
	half->exchange = x;
	result = parse_head(&x->request, &line, &x->told.request);
	if (result < 0)
		return -1;
	if (result == 0 || !parse_request_line(line, &x->told)) {
		x->told.request = (struct http_message){0};
		x->told.method = x->told.target = x->told.version = NULL;
		turn_off(half);
		return 0;
	}
	if (find_authority(x) < 0)
		return -1;
	if (strcmp(x->told.method, "CONNECT") == 0 || http_header(&x->told.request, "Upgrade"))
		h->asking = x;
	result = begin_body(half, false, stamp);
	if (result < 0)
		return -1;
	if (result == 0)
		turn_off(half);
	return feed_waiting(responses);
}

/* The exchange that a response answers; one without a request if none waits. */
static struct exchange *to_answer(struct http1 *h)
{
	struct exchange *x = h->first;

	while (x && x->response_done)
		x = x->next;
	if (x)
		return x;
	x = exchange_new(h);
	if (x)
		x->request_done = true; /* it never comes */
	return x;
}

/* The response to this exchange says that from its end on another protocol is spoken. */
static int switch_protocol(struct http1 *h, struct exchange *x)
{
	struct half *requests = &h->half[h->half[0].kind == REQUESTS ? 0 : 1];
	const char *to = http_header(&x->told.response, "Upgrade");
	struct proto_flow flow = h->flow;
	struct buffer waiting = requests->waiting;
	void *state = NULL;
	bool known = true;
	int result = 0;

	requests->waiting = (struct buffer){0};
	flow.preopened = false;
	if (!x->request_done) {
		x->request_done = true;
		x->told.request.complete = x->told.request.body_whole;
	}
	if (x->told.status != 101) {
		h->next = protos_open(&flow, &h->sink);
	} else if (http_list_has(to, "websocket") && h->sink.websocket) {
		state = websocket_open(&flow, &h->sink, x->told.authority, x->told.target,
		                       http_header(&x->told.response, "Sec-WebSocket-Extensions"));
		h->next = state ? protos_open_as(&proto_websocket, state) : NULL;
	} else if (http_list_has(to, "h2c") && h->sink.http) {
		state = http2_open_upgraded(&flow, &h->sink, requests == &h->half[1], &x->told);
		h->next = state ? protos_open_as(&proto_http2, state) : NULL;
	} else {
		known = false;
	}
	turn_both_off(h);
	tell_finished(h);
	if (known && !h->next) {
		result = -1;
	} else if (known && waiting.len > 0) {
		result = protos_feed(h->next, requests == &h->half[1], waiting.data, waiting.len,
		                     &requests->waiting_stamp);
	}
	buffer_release(&waiting);
	return result;
}

static int begin_response(struct half *half, const struct stamp *stamp)
{
	struct http1 *h = half->flow;
	struct exchange *x = to_answer(h);
	struct head *head;
	const char *method, *version;
	char *line = NULL;
	bool none;
	int result;

	if (!x)
		return -1;
	half->exchange = x;
	head = &x->response;
	take_head(half, head);
	x->told.response = (struct http_message){0};
	version = x->told.version;
	result = parse_head(head, &line, &x->told.response);
	if (result < 0)
		return -1;
	if (result == 0 || !parse_status_line(line, &x->told)) {
		x->told.response = (struct http_message){0};
		turn_off(half);
		return 0;
	}
	if (x->told.status < 200 && x->told.status != 101) {
		/* An interim response; the final one is still to come. */
		x->told.response = (struct http_message){0};
		x->told.status = 0;
		x->told.reason = NULL;
		x->told.version = version;
		half->exchange = NULL;
		half->state = FIRST_LINE;
		return 0;
	}
	x->told.first_byte = half->since;
	method = x->told.method ? x->told.method : "";
	if (x->told.status == 101 || (strcmp(method, "CONNECT") == 0 && x->told.status / 100 == 2)) {
		if (http_body_begin(body_of(half), &h->bodies, message_of(half)) < 0)
			return -1;
		end_message(half, stamp);
		return switch_protocol(h, x);
	}
	none = strcmp(method, "HEAD") == 0 || x->told.status == 204 || x->told.status == 304;
	result = begin_body(half, none, stamp);
	if (result < 0)
		return -1;
	if (result == 0)
		turn_off(half);
	if (x == h->asking) {
		/* It is HTTP still. */
		h->asking = NULL;
		return feed_waiting(&h->half[half == &h->half[0]]);
	}
	return 0;
}

/* ---- one direction ---------------------------------------------------------------------------------------------- */

/* Bytes of the whole lines there, up to the first empty one; *last: where the last of them begins. */
static size_t whole_lines(const uint8_t *data, size_t len, size_t *last)
{
	const uint8_t *lf;
	size_t n = 0;

	while ((lf = memchr(data + n, '\n', len - n))) {
		*last = n;
		n = (size_t)(lf - data) + 1;
		if (n - *last == 1 || (n - *last == 2 && data[*last] == '\r'))
			break;
	}
	return n;
}

/* Adds to the text what belongs to the line at hand, of a head all lines that are there: the number of bytes, or -1.
 * *whole: a line ends with them. */
static int64_t take_line(struct half *half, const uint8_t *data, size_t len, bool *whole)
{
	size_t n = 0, last = 0;

	if (half->state == HEAD && half->line == half->text.len)
		n = whole_lines(data, len < HEAD_MAX ? len : HEAD_MAX, &last);
	*whole = n > 0;
	half->line += last;
	if (n == 0) {
		const uint8_t *end = memchr(data, '\n', len);

		*whole = end != NULL;
		n = end ? (size_t)(end - data) + 1 : len;
	}
	/* Mostly a piece has the whole head, and little more. */
	if (!half->text.data && buffer_reserve(&half->text, len < HEAD_USUAL ? len : HEAD_USUAL) < 0)
		return -1;
	return buffer_add(&half->text, data, n) < 0 ? -1 : (int64_t)n;
}

static bool line_is_empty(const struct half *half)
{
	const uint8_t *line = half->text.data + half->line;
	size_t len = half->text.len - half->line;

	return (len == 1 && line[0] == '\n') || (len == 2 && line[0] == '\r' && line[1] == '\n');
}

static void start_line(struct half *half)
{
	half->text.len = 0;
	half->line = 0;
}

/* The first line of a message tells what its direction carries. */
static void judge_first_line(struct half *half, bool whole)
{
	struct http1 *h = half->flow;
	const uint8_t *p = half->text.data;
	size_t n = half->text.len;
	enum kind kind = half->kind;

	if (!plausible(kind, p, n) || n > FIRST_LINE_MAX) {
		/* Not even the first message is HTTP: nor is the other direction, unless this is the middle of one. */
		if (kind == UNDECIDED && h->flow.preopened)
			lose(half);
		else if (kind == UNDECIDED)
			turn_both_off(h);
		else
			turn_off(half);
		return;
	}
	if (!whole)
		return;
	half->kind = memcmp(p, "HTTP/1.", n < 7 ? n : 7) == 0 ? RESPONSES : REQUESTS;
	if (half->kind == REQUESTS) {
		/* "METHOD TARGET HTTP/1.x"; that is checked here so that other protocols make no exchange. */
		size_t end = n - 1;

		if (end > 0 && p[end - 1] == '\r')
			end--;
		if (end < 12 || !is_version((const char *)p + end - 8, 8) || p[end - 9] != ' ') {
			half->kind = kind;
			if (kind == UNDECIDED)
				turn_both_off(h);
			else
				turn_off(half);
			return;
		}
	}
	if (kind == UNDECIDED && h->half[half == &h->half[0]].kind == half->kind) {
		half->kind = kind; /* both can't be */
		turn_off(half);
		return;
	}
	half->state = HEAD;
	half->line = n;
}

/* Must this response wait for its request? */
static bool has_to_wait(const struct half *half)
{
	const struct http1 *h = half->flow;
	const struct half *requests = &h->half[half == &h->half[0]];

	if (h->flow.preopened || requests->state == OFF || requests->state == LOST)
		return false;
	for (const struct exchange *x = h->first; x; x = x->next)
		if (!x->response_done)
			return false;
	return true;
}

static bool parse_chunk_line(struct half *half)
{
	const uint8_t *p = half->text.data;
	size_t digits = 0;

	half->left = 0;
	for (;; p++, digits++) {
		if (*p >= '0' && *p <= '9')
			half->left = half->left << 4 | (uint64_t)(*p - '0');
		else if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
			half->left = half->left << 4 | (uint64_t)((*p | 0x20) - 'a' + 10);
		else
			break; /* the line feed at the latest */
	}
	return digits >= 1 && digits <= 15 && strchr(";\r\n \t", *p);
}

/* Takes the next part of a line-wise state: the number of bytes used, or -1. */
static int64_t feed_line(struct half *half, const uint8_t *data, size_t len, const struct stamp *stamp)
{
	bool whole;
	int64_t n = take_line(half, data, len, &whole);

	if (n < 0)
		return -1;
	switch (half->state) {
	case FIRST_LINE:
		if (half->text.len == (size_t)n)
			half->since = stamp->wall;
		if (whole && line_is_empty(half)) {
			start_line(half); /* some send one too many: RFC 9112, 2.2 */
			break;
		}
		/* A line end on its own may still come as a pair. */
		if (half->text.len == 1 && half->text.data[0] == '\r')
			break;
		judge_first_line(half, whole);
		break;
	case HEAD:
		if (half->text.len > HEAD_MAX) {
			turn_off(half);
			break;
		}
		if (!whole)
			break;
		if (!line_is_empty(half)) {
			half->line = half->text.len;
			break;
		}
		half->line = 0;
		if ((half->kind == REQUESTS ? begin_request(half, stamp) : begin_response(half, stamp)) < 0)
			return -1;
		break;
	case CHUNK_LINE:
		if (whole ? !parse_chunk_line(half) : half->text.len > CHUNK_LINE_MAX) {
			turn_off(half);
		} else if (whole) {
			start_line(half);
			half->state = half->left > 0 ? CHUNK : TRAILERS;
			half->trailers = 0;
		}
		break;
	case CHUNK_END:
		if (whole ? !line_is_empty(half) : half->text.len > 1) {
			turn_off(half);
		} else if (whole) {
			start_line(half);
			half->state = CHUNK_LINE;
		}
		break;
	case TRAILERS:
		half->trailers += (uint64_t)n;
		if (half->trailers > TRAILERS_MAX) {
			turn_off(half);
		} else if (whole && line_is_empty(half)) {
			start_line(half);
			end_message(half, stamp);
		} else if (whole) {
			start_line(half);
		}
		break;
	default:
		break;
	}
	return n;
}

/* Takes body bytes; data NULL: a hole. */
static int64_t feed_body(struct half *half, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	uint64_t n = half->state != BODY_TO_END && half->left < len ? half->left : len;

	if (http_body_feed(body_of(half), data, n) < 0)
		return -1;
	if (half->kind == RESPONSES)
		half->exchange->told.end = stamp->wall;
	if (half->state == BODY_TO_END)
		return (int64_t)n;
	half->left -= n;
	if (half->left == 0 && half->state == CHUNK)
		half->state = CHUNK_END;
	else if (half->left == 0)
		end_message(half, stamp);
	return (int64_t)n;
}

/* Does a message begin at the beginning of this piece, for sure? Then the half has found its place. */
static bool find_place(struct half *half, const uint8_t *data, size_t len)
{
	struct http1 *h = half->flow;
	struct half *other = &h->half[half == &h->half[0]];
	enum kind kind;
	struct exchange *x;

	h->heard |= half->kind != REQUESTS;
	if (proto_http1.guess(data, len, true) != PROTO_YES)
		return false;
	kind = memcmp(data, "HTTP/", 5) == 0 ? RESPONSES : REQUESTS;
	if ((half->kind != UNDECIDED && kind != half->kind) || kind == other->kind || h->pipelined)
		return false;
	if (kind == RESPONSES && other->state != LOST && !h->flow.preopened) {
		if (!h->answers_next)
			return false;
		for (x = h->first; x && x->next; x = x->next)
			x->response_done = true;
	}
	half->kind = kind;
	half->state = FIRST_LINE;
	return true;
}

static int feed(struct half *half, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct http1 *h = half->flow;

	if (half->state == LOST && !h->next && !find_place(half, data, len))
		return 0;
	while (len > 0) {
		int64_t n;

		if (h->next)
			return protos_feed(h->next, half == &h->half[1], data, len, stamp);
		if (half->state == OFF || half->state == LOST)
			return 0;
		if (half->state == BODY || half->state == CHUNK || half->state == BODY_TO_END) {
			n = feed_body(half, data, len, stamp);
		} else if ((half->state == HEAD && half->kind == RESPONSES && has_to_wait(half)) ||
		           (half->state == FIRST_LINE && half->kind == REQUESTS && h->asking)) {
			if (half->waiting.len == 0)
				half->waiting_stamp = *stamp;
			if (half->waiting.len + len <= WAITING_MAX)
				return buffer_add(&half->waiting, data, len);
			turn_off(half);
			return 0;
		} else {
			n = feed_line(half, data, len, stamp);
		}
		if (n < 0)
			return -1;
		data += n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Nothing is known of the next `len` bytes; 0: nor how many they are. */
static int feed_hole(struct half *half, uint64_t len, const struct stamp *stamp)
{
	bool in_body = half->state == BODY || half->state == CHUNK || half->state == BODY_TO_END;

	if (half->state == LOST && half->kind != REQUESTS) {
		half->flow->heard = true;
		half->flow->answers_next = false; /* what comes next may be the rest of that answer */
	}
	if (half->state == OFF || half->state == LOST)
		return 0;
	if (in_body && len > 0 && len < INT64_MAX && (half->state == BODY_TO_END || len <= half->left))
		return feed_body(half, NULL, len, stamp) < 0 ? -1 : 0;
	/* The end of the message is somewhere in there, and the beginning of others perhaps. */
	if (half->exchange) {
		if (in_body && len > 0 && len < INT64_MAX && half->left > 0 &&
		    http_body_feed(body_of(half), NULL, half->left) < 0)
			return -1;
		http_body_lost(body_of(half));
	}
	lose(half);
	return 0;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static void *http1_open(const struct proto_flow *flow, const struct proto_sink *sink)
{
	struct http1 *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->flow = *flow;
	h->sink = *sink;
	h->bodies.decode = sink->content;
	h->bodies.digest = sink->digests;
	h->end = &h->first;
	h->half[0].flow = h->half[1].flow = h;
	return h;
}

static int http1_feed(void *state, int dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	struct http1 *h = state;
	int result;

	if (h->next)
		return protos_feed(h->next, dir, data, len, stamp);
	result = data ? feed(&h->half[dir], data, len, stamp) : feed_hole(&h->half[dir], len, stamp);
	tell_finished(h);
	return result;
}

static int http1_finish(void *state, bool closed)
{
	struct http1 *h = state;

	for (int i = 0; i < 2; i++) {
		struct half *half = &h->half[i], *requests = &h->half[!i];

		if (half->waiting.len > 0) {
			/* Its request never came. */
			struct buffer waiting = half->waiting;

			half->waiting = (struct buffer){0};
			turn_off(requests);
			if (feed(half, waiting.data, waiting.len, &half->waiting_stamp) < 0) {
				buffer_release(&waiting);
				return -1;
			}
			buffer_release(&waiting);
		}
		if (half->state == BODY_TO_END && half->exchange) {
			message_of(half)->complete = closed && message_of(half)->body_whole;
			half->exchange->response_done = true;
		}
	}
	while (h->first)
		tell_first(h);
	return h->next ? protos_finish(h->next, closed) : 0;
}

static void http1_free(void *state)
{
	struct http1 *h = state;
	struct exchange *x;

	if (!h)
		return;
	while ((x = h->first)) {
		h->first = x->next;
		exchange_end(h, x);
	}
	exchange_free(h->spare);
	http_bodies_release(&h->bodies);
	protos_free(h->next);
	for (int i = 0; i < 2; i++) {
		buffer_release(&h->half[i].text);
		buffer_release(&h->half[i].waiting);
	}
	free(h);
}

/* Does it begin with a version or a method that is registered? Less would do for the rest of one. */
static bool is_usual(const uint8_t *data, size_t len)
{
	static const char *const words[] = {"HTTP/1.",   "GET ",    "POST ",    "HEAD ",     "PUT ",
	                                    "DELETE ",   "PATCH ",  "OPTIONS ", "CONNECT ",  "TRACE ",
	                                    "PROPFIND ", "REPORT ", "MKCOL ",   "PROPPATCH "};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (len >= strlen(words[i]) && memcmp(data, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* A whole first line, or the beginning of one; in the middle of a conversation, all of it. */
static enum proto_guess http1_guess(const uint8_t *data, size_t len, bool middle)
{
	const uint8_t *end;

	while (!middle && len > 0 && (*data == '\r' || *data == '\n')) {
		data++; /* some send one too many: RFC 9112, 2.2 */
		len--;
	}
	if (!plausible(UNDECIDED, data, len) || (middle && !is_usual(data, len)))
		return PROTO_NO;
	end = memchr(data, '\n', len);
	if (!end)
		return middle || len > FIRST_LINE_MAX ? PROTO_NO : PROTO_MAYBE;
	len = (size_t)(end - data);
	if (len > 0 && data[len - 1] == '\r')
		len--;
	if (len >= 12 && is_version((const char *)data, 8) && data[8] == ' ')
		return PROTO_YES;
	return len >= 12 && is_version((const char *)data + len - 8, 8) && data[len - 9] == ' ' ? PROTO_YES : PROTO_NO;
}

const struct proto proto_http1 = {
        .name = "http/1",
        .guess = http1_guess,
        .open = http1_open,
        .feed = http1_feed,
        .finish = http1_finish,
        .free = http1_free,
};
