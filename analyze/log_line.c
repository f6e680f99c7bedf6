/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/log_line.h"

enum log_ssl log_ssl_of(const struct log_line *line)
{
	enum tls_verdict now;

	if (!fdtape_call_carries(line->event.call))
		return LOG_SSL_NONE;
	if (line->event.call >= FDTAPE_CALL_SSL_READ)
		return LOG_SSL_PLAIN;
	if (!line->flow || line->flow->def.kind != FDTAPE_KIND_SOCKET)
		return LOG_SSL_NO_CONN;
	now = player_flow_now(line->flow, line->event.dir == FDTAPE_OUT ? FDTAPE_OUT : FDTAPE_IN);
	switch (line->flow->tls.verdict) {
	case TLS_VERDICT_UNKNOWN:
		return LOG_SSL_UNKNOWN;
	case TLS_VERDICT_CLEAR:
		/* What looks like the beginning of TLS, and has no answer yet, is not called clear. */
		return line->flow->timeline && now == TLS_VERDICT_UNKNOWN ? LOG_SSL_UNKNOWN : LOG_SSL_NOT;
	case TLS_VERDICT_TLS:
		return LOG_SSL_YES;
	case TLS_VERDICT_MIXED:
		return now == TLS_VERDICT_TLS ? LOG_SSL_YES : now == TLS_VERDICT_CLEAR ? LOG_SSL_NOT : LOG_SSL_UNKNOWN;
	}
	return LOG_SSL_UNKNOWN;
}
