/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/losses.h"

#include <inttypes.h>

#include "analyze/text.h"

static const char *reason_name(uint32_t reason)
{
	const char *name = fdtape_loss_name(reason);

	return name ? name : "unknown reason";
}

struct json *losses_array(const struct play_losses *losses)
{
	struct json *array = js_array(), *object;

	for (uint32_t reason = 0; reason < PLAY_REASONS; reason++) {
		const struct play_loss *l = &losses->by[reason];

		if (!l->count && !l->bytes)
			continue;
		object = js_object();
		js_set(object, "reason", js_plain(reason_name(reason)));
		js_set(object, "count", js_number(l->count));
		js_set(object, "bytes", js_number(l->bytes));
		js_set(object, "from", js_time(l->from));
		js_set(object, "to", js_time(l->to));
		js_add(array, object);
	}
	return array;
}

void losses_put(FILE *out, const struct play_losses *losses)
{
	char size[TEXT_SIZE_MAX], from[TEXT_CLOCK_MAX], to[TEXT_CLOCK_MAX];
	const char *head = "lost";

	if (!losses->count && !losses->bytes)
		fprintf(out, "lost      0 events, 0 bytes\n");
	for (uint32_t reason = 0; reason < PLAY_REASONS; reason++) {
		const struct play_loss *l = &losses->by[reason];

		if (!l->count && !l->bytes)
			continue;
		fprintf(out, "%-8s  %s: %" PRIu64 " event%s, %s", head, reason_name(reason), l->count,
		        l->count == 1 ? "" : "s", l->bytes ? text_size(size, l->bytes) : "0 bytes");
		if (l->to)
			fprintf(out, ", from %s to %s", text_clock(from, l->from), text_clock(to, l->to));
		fputc('\n', out);
		head = "";
	}
}
