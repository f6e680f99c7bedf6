/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/analyze.h"

#include <inttypes.h>

#include "analyze/say.h"
#include "analyze/text.h"

struct stream {
	struct play play;
	uint64_t number;  /* of the flow */
	uint64_t part_of; /* it is a library's object: the flow that its bytes belong to; 0: no */
	bool sealed;      /* it is TLS, and nothing decrypts it */
	uint64_t carried; /* by the fd, in the directions asked for */
	uint64_t missing; /* bytes in holes */
	bool unknown;     /* and more: how many is not known */
	uint64_t holes;
	bool in_line; /* the last line of the dump has no line feed yet */
};

/* Lines end where the text does, by LF or CR LF; everything else that is not printable is escaped. */
static void put_lines(struct stream *view, const uint8_t *data, size_t len)
{
	FILE *out = view->play.options->out;
	const uint8_t *end = data + len;

	while (data < end) {
		const uint8_t *feed = memchr(data, '\n', (size_t)(end - data));
		size_t line = feed ? (size_t)(feed - data) : (size_t)(end - data);

		cli_put_text(out, data, feed && line && data[line - 1] == '\r' ? line - 1 : line);
		if (feed)
			fputc('\n', out);
		data += line + (feed ? 1 : 0);
		view->in_line = !feed;
	}
}

static void put_head(struct stream *view, enum fdtape_dir dir, const struct player_piece *piece)
{
	FILE *out = view->play.options->out;
	char clock[TEXT_CLOCK_MAX];

	if (view->in_line)
		fputc('\n', out);
	view->in_line = false;
	fprintf(out, "%s  %s  offset %" PRIu64 ", ", dir == FDTAPE_IN ? "<<< in " : ">>> out",
	        text_clock(clock, piece->wall), piece->offset);
	if (piece->len || piece->data)
		fprintf(out, "%" PRIu64 " byte%s", piece->len, piece->len == 1 ? "" : "s");
	else
		fputs("an unknown number of bytes", out);
	fputs(piece->data ? "\n" : " MISSING\n", out);
}

static int on_piece(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece)
{
	struct stream *view = context;
	const struct options *o = view->play.options;

	/* A TLS library's object comes along with the flow that it belongs to. */
	if (flow->number != view->number || !o->dirs[dir])
		return 0;
	if (!piece->data) {
		view->missing += piece->len;
		view->unknown |= !piece->len;
		view->holes++;
	}
	if (o->raw) {
		if (piece->data)
			fwrite(piece->data, 1, piece->len, o->out);
		return 0;
	}
	put_head(view, dir, piece);
	if (piece->data)
		put_lines(view, piece->data, piece->len);
	return 0;
}

static int on_flow_closed(void *context, struct player_flow *flow)
{
	struct stream *view = context;

	if (flow->number != view->number)
		return 0;
	view->part_of = flow->bound;
	view->sealed = flow->tls.verdict == TLS_VERDICT_TLS && flow->tls.plaintext == TLS_PLAINTEXT_NONE;
	for (int dir = FDTAPE_IN; dir <= FDTAPE_OUT; dir++)
		if (view->play.options->dirs[dir])
			view->carried += flow->traffic[dir].bytes;
	return 0;
}

/* What was found wanting: the status, said on stderr. */
static int judge(const struct stream *view)
{
	const struct options *o = view->play.options;
	uint64_t flow = view->number;

	if (view->part_of) {
		say_error("flow %" PRIu64 " is a TLS library's object; its bytes are those of flow %" PRIu64, flow,
		          view->part_of);
		return CLI_DIFFERS;
	}
	if (view->sealed && !o->wire && view->carried) {
		say_error("flow %" PRIu64
		          " is TLS and nothing on the tape decrypts it; --wire shows what the fd carried",
		          flow);
		return CLI_DIFFERS;
	}
	if (view->holes) {
		say_error("flow %" PRIu64 ": %s%" PRIu64 " byte%s missing in %" PRIu64 " hole%s%s", flow,
		          view->unknown ? "at least " : "", view->missing, view->missing == 1 ? " is" : "s are",
		          view->holes, view->holes == 1 ? "" : "s", o->raw ? "; nothing stands in their place" : "");
		return o->raw ? CLI_DIFFERS : CLI_DONE;
	}
	return CLI_DONE;
}

int view_stream(struct options *options)
{
	struct stream view = {.number = options->choice.n_flows ? options->choice.flows[0] : 0};
	struct player_sink sink = {.flow_closed = on_flow_closed};
	int status, verdict;

	if (options->choice.n_flows != 1)
		say_and_exit(CLI_USAGE, "stream shows one flow: --flow N; 'flows' lists them");
	if (options->raw && options->terminal)
		say_and_exit(CLI_USAGE, "raw bytes do not go to a terminal; use a pipe, or -o FILE");
	if (options->wire)
		sink.wire = on_piece;
	else
		sink.plain = on_piece;
	status = play(&view.play, options, &sink);
	if (view.play.failed)
		return status;
	if (view.in_line)
		fputc('\n', options->out);
	fflush(options->out);
	verdict = judge(&view);
	play_note(&view.play);
	return status != CLI_DONE ? status : verdict;
}
