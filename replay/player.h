/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLAYER_H
#define PLAYER_H

/*
 * The player: tapes in, understanding out. It reads tapes item by item, keeps the processes and the live flows, puts
 * each flow's bytes in order, decides what is TLS and decrypts it, finds the messages, and tells a *sink* about each
 * step, in one deterministic order. Views, exports and replay are sinks.
 *
 * One pass, memory bounded by the live flows. Nothing here reads the clock, the locale or the environment.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fdtape/reader.h>

#include "replay/proto/dns.h"
#include "replay/proto/http.h"
#include "replay/proto/sql.h"
#include "replay/proto/websocket.h"
#include "replay/tls.h"

struct player;

struct player_process {
	uint32_t pid, ppid, uid; /* as in fdtape_process */
	const char *comm;
	const char *exe;
	const char *cmdline;
};

/* What one direction of a flow carried; always captured + lost = bytes. */
struct player_traffic {
	uint64_t bytes;     /* carried, by the kernel's count */
	uint64_t captured;  /* of them on the tape */
	uint64_t plaintext; /* decrypted, or delivered by library calls; 0 for clear flows */
};

struct player_flow {
	/* Names the flow to people (--flow N), and is unique in a play. The tape's id for the first section; further
	 * sections of one tape are numbered on from there; of several tapes played together, each section's numbers
	 * begin at a million of their own (1000001, 2000001, ...). */
	uint64_t number;
	struct fdtape_flow def;
	const struct player_process *process; /* the image that owned the fd at first; never NULL */
	uint32_t role;                        /* def.role, or what the same socket's other fds told */
	uint64_t opened;                      /* wall time, ns since the epoch; 0 when PREOPENED */
	uint64_t closed;                      /* wall time; 0: open at the end of the tape */
	struct player_traffic traffic[2];     /* by enum fdtape_dir; up to now, final in flow_closed() */
	/* Different fdtape_event.peer of its calls: others than def.remote. Up to now; counted up to 65536. */
	uint64_t peers;
	struct fdtape_address first_peer;
	struct tls_info tls; /* up to now, final in flow_closed() */
	/* From where on it was clear or TLS, in the order in which that was found out; NULL: it is no byte stream. */
	const struct tls_timeline *timeline;
	/* The application protocol that was found last: "http/1" "http/2" "pgsql" "mysql" "redis" "dns"; NULL: none that
	 * is known. Up to now, and only where player_sink.protocol wants it. */
	const char *protocol;
	uint64_t bound; /* KIND_LIBRARY: number of the socket flow whose plaintext its calls
	                                       * deliver; 0: none was found, then they are pieces of this flow */
	void *user;     /* the sink's own */
};

/* What the bytes were that a direction of a byte stream carried last: clear or TLS; unknown while what may be the
 * beginning of TLS waits for its answer, and of what is no byte stream. */
enum tls_verdict player_flow_now(const struct player_flow *flow, enum fdtape_dir dir);
/* How far the flow's direction has been played: what is before this offset does not come any more. */
uint64_t player_flow_reached(const struct player_flow *flow, enum fdtape_dir dir);
/* What a byte stream's bytes on the fd were, and its plaintext by its two sources (see tls_stack.h); in flow_closed()
 * that is final. False: it is no byte stream; there is no TLS at that depth. */
struct tls_stack_bytes;
struct tls_stack_compared;
bool player_flow_bytes(const struct player_flow *flow, enum fdtape_dir dir, struct tls_stack_bytes *bytes);
bool player_flow_compared(const struct player_flow *flow, unsigned depth, enum fdtape_dir dir,
                          struct tls_stack_compared *compared);

/* A contiguous piece of a byte stream. Pieces of a (flow, dir) come in order, without overlap: each byte of the stream
 * is in one piece, as data or as a hole. Of a plaintext, a hole of len 0 says that an unknown number of bytes is
 * missing. */
struct player_piece {
	uint64_t offset;     /* in the stream */
	const uint8_t *data; /* NULL: a hole; valid during the callback */
	uint64_t len;
	uint64_t wall; /* when the call that carried it ended (a hole: when it was noticed) */
	uint32_t tid;
	/* wire(), plain() of datagrams: fdtape_event.peer; NULL: def.remote, or not known. */
	const struct fdtape_address *peer;
};

struct player_call {
	const struct fdtape_event *event;
	struct player_flow *flow;  /* NULL: none, or not chosen */
	struct player_flow *other; /* that an argument names (accept: of the new fd), if it is known */
	const struct player_process *process;
	uint64_t wall;   /* start, ns since the epoch */
	uint64_t number; /* of the event, from 1, counted over all that was read, chosen or not */
	uint64_t peer;   /* number of event->peer among the flow's, from 1; 0: it has none, or one beyond the 65536th */
};

/* Whoever wants to know. Every member may be NULL. A callback that returns non-zero ends the play; player_run()
 * returns that value. Pointers are valid during the callback, flows and processes until flow_closed() returned. */
struct player_sink {
	void *context;
	int (*section)(void *context, const struct player *player);
	int (*process)(void *context, const struct player_process *process, uint64_t wall);
	int (*flow_opened)(void *context, struct player_flow *flow);
	/* More is known of a flow that was told: def, role, closed. */
	int (*flow_updated)(void *context, struct player_flow *flow);
	/* Each flow_opened() has one flow_closed(), at the latest at the end of the play, in the order of number then. */
	int (*flow_closed)(void *context, struct player_flow *flow);
	/* Each event that was chosen. Comes before the pieces that it gives. */
	int (*call)(void *context, const struct player_call *call);
	/* What the fd carried. */
	int (*wire)(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece);
	/* What it meant: the wire's bytes of a clear flow, the plaintext of a TLS flow. */
	int (*plain)(void *context, struct player_flow *flow, enum fdtape_dir dir, const struct player_piece *piece);
	/* A request with its response, when both are complete or can't become it any more. */
	int (*http)(void *context, struct player_flow *flow, const struct http_exchange *exchange);
	bool http_content; /* its bodies are to be decoded as well, which costs more than all else of HTTP */
	bool http_digests; /* http_message.body_sha256 is wanted */
	/* A WebSocket message; a command to a database with its answer; a DNS query with its response. */
	int (*websocket)(void *context, struct player_flow *flow, const struct websocket_message *message);
	int (*sql)(void *context, struct player_flow *flow, const struct sql_command *command);
	int (*dns)(void *context, struct player_flow *flow, const struct dns_exchange *exchange);
	bool protocol; /* player_flow.protocol is wanted */
	/* A TLS secret, bound to its connection: one line of SSLKEYLOGFILE. Told once for each (client_random, label). */
	int (*key)(void *context, const struct player_flow *flow, const struct tls_key *key);
	/* The same for a connection that was not chosen; for a sink that must leave it out. */
	int (*unchosen_key)(void *context, const struct player_flow *flow, const struct tls_key *key);
	/* A section that goes on where another ended (the next tape of --rotate) is told as one of its own; else its flows
	 * are those of the one before. */
	bool apart;
	/* A raw item of the tape: LOSS, SECRET, CLOCK, END and all others before they are interpreted. */
	int (*item)(void *context, const struct fdtape_item *item);
	/* The tape is damaged here: a line in words, without a line feed. Play goes on. */
	int (*damage)(void *context, int error, const char *message);
};

/* Which part of the tape is played. A zeroed struct chooses all. Several values of one kind: any of them; different
 * kinds: all of them. */
struct player_choice {
	const uint32_t *pids;
	size_t n_pids;
	const char *const *exes; /* substring of the executable's path, or a glob if it holds any of *?[ */
	size_t n_exes;
	const int32_t *fds;
	size_t n_fds;
	const uint64_t *flows; /* player_flow.number */
	size_t n_flows;
	const uint16_t *ports; /* local, remote, or a peer's: then from the first datagram on */
	size_t n_ports;
	/* Time: calls that end before `since` or begin after `until` are passed over. */
	struct player_time {
		enum {
			PLAYER_TIME_NONE,
			PLAYER_TIME_WALL,
			PLAYER_TIME_FROM_START
		} kind;
		uint64_t ns; /* since the epoch, or from the first section's clock */
	} since, until;
};

/* Whether anything is chosen at all: false for a zeroed struct. */
bool player_chooses(const struct player_choice *choice);

/* Several sources are played as one, by wall time. Names are for messages only; everything is the caller's and must
 * outlive the player. *player is set on success only. The tapes of one recording (--rotate) are one: what is open at the
 * end of one goes on in the next. */
struct player_input {
	struct fdtape_source source;
	const char *name;
	bool ahead; /* a thread reads it ahead: fdtape_reader_ahead() */
};
int player_open(struct player **player, const struct player_input *inputs, size_t n_inputs,
                const struct player_choice *choice, const struct player_sink *sink);

/* Plays it all. 0: done (damage included: see player_damaged()); the sink's non-zero value; a negative fdtape_error
 * when an input could not be read at all, told through player_message(). */
int player_run(struct player *player);

/* The last error in words, with the input's name; "" when it was the sink that ended the play. */
const char *player_message(const struct player *player);
/* How many times damage() was or would have been called. */
uint64_t player_damaged(const struct player *player);
/* The reader of the input that is played now: metadata and statistics. */
const struct fdtape_reader *player_reader(const struct player *player);
/* Wall time (ns since the epoch) of a monotonic time of the section that is played now. */
uint64_t player_wall(const struct player *player, uint64_t monotonic);

void player_free(struct player *player);

#endif
