/* SPDX-License-Identifier: BSD-2-Clause */
/* http --tree on tapes that are longer than its window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fdtape/writer.h>

#include "analyze/analyze.h"

enum {
	PAIRS = 40000, /* 80000 requests: the window holds 65536 */
	SERVED = 1,
	SENT = 2,
};

struct tape {
	char name[32];
	struct fdtape_writer *writer;
	int fd;
	uint64_t time, offset[3][2]; /* by flow, direction */
};

static void put(struct tape *t, const struct fdtape_item *item)
{
	assert_int_equal(fdtape_writer_put(t->writer, item), 0);
}

static void put_flow(struct tape *t, uint64_t id, uint32_t role)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_FLOW};

	item.flow = (struct fdtape_flow){
	        .id = id,
	        .pid = 7,
	        .tid = 7,
	        .fd = (int32_t)id + 3,
	        .kind = FDTAPE_KIND_SOCKET,
	        .proto = FDTAPE_PROTO_TCP,
	        .role = role,
	        .local = {FDTAPE_FAMILY_IPV4, 4, (uint16_t)(8000 + id), {127, 0, 0, 1}},
	        .remote = {FDTAPE_FAMILY_IPV4, 4, (uint16_t)(9000 + id), {127, 0, 0, 1}},
	        .opened = 1,
	        .name = "",
	};
	put(t, &item);
}

static void carry(struct tape *t, uint64_t flow, enum fdtape_dir dir, const char *text)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT};
	size_t len = strlen(text);

	item.event = (struct fdtape_event){
	        .time = t->time += 1000,
	        .duration = 10,
	        .pid = 7,
	        .tid = 7,
	        .call = dir == FDTAPE_IN ? FDTAPE_CALL_READ : FDTAPE_CALL_WRITE,
	        .result = (int64_t)len,
	        .fd = (int32_t)flow + 3,
	        .dir = dir,
	        .flow = flow,
	        .offset = t->offset[flow][dir],
	        .bytes = len,
	        .captured = len,
	        .data = (const uint8_t *)text,
	};
	t->offset[flow][dir] += len;
	put(t, &item);
}

/* Each request that is served is passed on at once. */
static void write_tape(struct tape *t)
{
	const struct fdtape_writer_options options = {.clock = {.monotonic = 1, .realtime = 1000000001}};
	const char *response = "HTTP/1.1 204 No Content\r\n\r\n";
	char request[64];

	*t = (struct tape){.name = "/tmp/fdtape-test-XXXXXX"};
	t->fd = mkstemp(t->name);
	assert_true(t->fd >= 0);
	assert_int_equal(fdtape_writer_open_fd(&t->writer, t->fd, &options), 0);
	put_flow(t, SERVED, FDTAPE_ROLE_SERVER);
	put_flow(t, SENT, FDTAPE_ROLE_CLIENT);
	for (int i = 0; i < PAIRS; i++) {
		snprintf(request, sizeof request, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
		carry(t, SERVED, FDTAPE_IN, request);
		carry(t, SENT, FDTAPE_OUT, request);
		carry(t, SENT, FDTAPE_IN, response);
		carry(t, SERVED, FDTAPE_OUT, response);
	}
	assert_int_equal(fdtape_writer_end(t->writer), 0);
	fdtape_writer_free(t->writer);
	close(t->fd);
}

static FILE *show(struct tape *t, bool json)
{
	struct options options = {.out = tmpfile(), .name = "x", .json = json, .tree = true};
	const char *name = t->name;

	assert_non_null(options.out);
	assert_int_equal(inputs_open(&options.inputs, &name, 1), 0);
	assert_int_equal(view_http(&options), 0);
	inputs_release(&options.inputs);
	rewind(options.out);
	return options.out;
}

static uint64_t number(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* What was sent was told first: 1, 3, 5, ...; what was served behind it: 2, 4, 6, ..., and is its parent. */
static void test_tree__beyond_the_window__nothing_is_lost_nor_joined_otherwise(void **state)
{
	uint64_t lines = 0, n;
	struct tape tape;
	char line[4096];
	FILE *out;

	(void)state;
	write_tape(&tape);
	out = show(&tape, true);
	while (fgets(line, sizeof line, out)) {
		n = number(line, "\"number\":");
		assert_int_equal(n, lines % 2 ? lines : lines + 2);
		assert_int_equal(number(line, "\"parent\":"), lines % 2 ? n + 1 : 0);
		assert_int_equal(strstr(line, "\"evidence\":\"only\"") != NULL, lines % 2);
		lines++;
	}
	assert_int_equal(lines, 2 * PAIRS);
	fclose(out);

	out = show(&tape, false);
	for (lines = 0; fgets(line, sizeof line, out); lines++)
		if (lines && lines <= 2 * PAIRS)
			assert_int_equal(strstr(line, "only    GET a/") != NULL, lines % 2 == 0);
	assert_int_equal(lines, 1 + 2 * PAIRS + 3);
	assert_string_equal(line, "40000 sent: 40000 for a request that was served (id 0, only 40000, thread 0), "
	                          "0 ambiguous, 0 for none\n");
	fclose(out);
	unlink(tape.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tree__beyond_the_window__nothing_is_lost_nor_joined_otherwise),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_tree", tests, NULL, NULL);
}
