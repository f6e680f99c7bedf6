/* SPDX-License-Identifier: BSD-2-Clause */

/* Reads any bytes as a tape, to the end, and touches all that is given. Built with
 * -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION hashes are not compared, so that what lies behind them is reached. */
#include <stdlib.h>
#include <string.h>

#include <fdtape/reader.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile size_t sum;

static void touch(const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += p[i];
	sum += s;
}

static void touch_string(const char *s)
{
	touch(s, strlen(s));
}

static void touch_item(const struct fdtape_item *item)
{
	switch (item->type) {
	case FDTAPE_ITEM_PROCESS:
		touch_string(item->process.comm);
		touch_string(item->process.exe);
		touch_string(item->process.cmdline);
		break;
	case FDTAPE_ITEM_FLOW:
		touch(item->flow.local.addr, item->flow.local.len);
		touch(item->flow.remote.addr, item->flow.remote.len);
		touch_string(item->flow.name);
		break;
	case FDTAPE_ITEM_EVENT:
		if (item->event.dir > FDTAPE_OUT || item->event.captured > item->event.bytes ||
		    item->event.captured > FDTAPE_EVENT_DATA_MAX || !item->event.data != !item->event.captured)
			abort();
		touch(item->event.data, (size_t)item->event.captured);
		break;
	case FDTAPE_ITEM_SECRET:
		if (item->secret.id_len > FDTAPE_SECRET_MAX || item->secret.value_len > FDTAPE_SECRET_MAX)
			abort();
		touch_string(item->secret.label);
		touch_string(item->secret.source);
		touch(item->secret.id, item->secret.id_len);
		touch(item->secret.value, item->secret.value_len);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fdtape_reader *reader;
	struct fdtape_item item;
	int rc;

	if (fdtape_reader_open_memory(&reader, data, len))
		return 0;
	while ((rc = fdtape_reader_next(reader, &item)) != 0) {
		if (rc == 1) {
			touch_item(&item);
			continue;
		}
		touch_string(fdtape_reader_message(reader));
		if (rc != FDTAPE_ERR_DAMAGED && rc != FDTAPE_ERR_LIMIT && rc != FDTAPE_ERR_TRUNCATED)
			break;
	}
	for (size_t i = 0; fdtape_reader_meta(reader, i); i++) {
		touch_string(fdtape_reader_meta(reader, i)->key);
		touch_string(fdtape_reader_meta(reader, i)->value);
	}
	fdtape_reader_free(reader);
	return 0;
}
