/* SPDX-License-Identifier: BSD-2-Clause */

/* Decodes any bytes as the columns of an EVENTS block. What decodes must encode, and decode to the same again. */
#include <stdlib.h>
#include <string.h>

#include "format/columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define EVENTS 4096

static struct fdtape_event events[2][EVENTS];
static uint32_t peers[2][EVENTS];

static void again(struct columns *c, ZSTD_DCtx *unpack, size_t n)
{
	ZSTD_CCtx *pack = ZSTD_createCCtx();
	struct bytebuf directory = {0}, body = {0};
	struct flowlist list = {0};
	struct span s, flows;
	struct diag diag = {0};
	uint32_t raw_len;

	for (size_t i = 0; i < n; i++)
		flowlist_add(&list, events[0][i].flow);
	flowlist_append(&list, &directory);
	if (!pack || columns_encode(c, pack, &list, events[0], peers[0], n, &directory, &body, &raw_len))
		abort();
	s = span_of(directory.data, directory.len);
	if (!flowlist_skip(&s, &flows) ||
	    columns_decode(c, unpack, flows, s, span_of(body.data, body.len), raw_len, events[1], peers[1], n, &diag) ||
	    memcmp(events[0], events[1], n * sizeof(events[0][0])) != 0 ||
	    memcmp(peers[0], peers[1], n * sizeof(peers[0][0])) != 0)
		abort();
	bytebuf_release(&directory);
	bytebuf_release(&body);
	flowlist_release(&list);
	ZSTD_freeCCtx(pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct columns *c = columns_new();
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	struct span directory, flows;
	struct diag diag = {0};
	size_t n, dir_len;
	uint32_t raw_len;

	if (c && zstd && len >= 6) {
		n = load_le(data, 2) % EVENTS;
		dir_len = load_le(data + 2, 2) % (len - 5);
		raw_len = (uint32_t)load_le(data + 4, 2);
		directory = span_of(data + 6, dir_len);
		if (flowlist_skip(&directory, &flows) &&
		    columns_decode(c, zstd, flows, directory, span_of(data + 6 + dir_len, len - 6 - dir_len), raw_len,
		                   events[0], peers[0], n, &diag) == 0)
			again(c, zstd, n);
	}
	columns_free(c);
	ZSTD_freeDCtx(zstd);
	return 0;
}
