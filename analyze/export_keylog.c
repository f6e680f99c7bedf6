/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include "analyze/keylog.h"
#include "analyze/say.h"

struct keylog {
	struct play play;
	uint64_t keys;
};

static int on_key(void *context, const struct player_flow *flow, const struct tls_key *key)
{
	struct keylog *view = context;

	(void)flow;
	view->keys++;
	keylog_put(view->play.options->out, key);
	return 0;
}

int export_keylog(struct options *options)
{
	struct keylog view = {.keys = 0};
	const struct player_sink sink = {.key = on_key};
	int status = play(&view.play, options, &sink);

	if (!view.keys && status == CLI_DONE)
		say("note: there is no TLS secret on the tape that belongs to a connection on it");
	play_note(&view.play);
	return status;
}
