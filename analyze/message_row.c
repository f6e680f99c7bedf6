/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/message_row.h"

#include "analyze/text.h"
#include "analyze/words.h"

uint32_t message_role(const struct player_flow *flow, int dir)
{
	if (flow->role != FDTAPE_ROLE_UNKNOWN || dir < 0)
		return flow->role;
	return dir == FDTAPE_OUT ? FDTAPE_ROLE_CLIENT : FDTAPE_ROLE_SERVER;
}

void message_row_begin(struct table_row *row, const struct player_flow *flow, uint32_t role, uint64_t wall)
{
	char text[WORDS_PROCESS_MAX];

	if (wall)
		text_clock(text, wall);
	text[TEXT_CLOCK_MS] = '\0';
	table_row_add(row, wall ? text : "-");
	table_row_add(row, text_number(text, flow->number));
	table_row_add(row, words_process(text, flow->process));
	table_row_add(row, role == FDTAPE_ROLE_UNKNOWN ? "-" : words_role(role));
}

void message_row_span(struct table_row *row, uint64_t from, uint64_t to)
{
	char text[TEXT_DURATION_MAX];

	table_row_add(row, from && to >= from ? text_duration(text, to - from) : "-");
}

static bool is_tls(const struct player_flow *flow)
{
	return flow->tls.verdict == TLS_VERDICT_TLS || flow->tls.verdict == TLS_VERDICT_MIXED;
}

struct json *message_object(const struct player_flow *flow, uint32_t role)
{
	struct json *object = js_object();

	js_set(object, "flow", js_number(flow->number));
	js_set(object, "pid", js_number(flow->def.pid));
	js_set(object, "exe", js_known(flow->process->exe));
	js_set(object, "fd", flow->def.fd >= 0 ? js_signed(flow->def.fd) : js_null());
	js_set(object, "role", js_plain(words_role(role)));
	js_set(object, "tls", js_bool(is_tls(flow)));
	return object;
}
