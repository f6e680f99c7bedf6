/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLAYER_STATE_H
#define PLAYER_STATE_H

/*
 * The inside of the player, shared by its files: player.c (the run), flow.c (one flow's bytes, from the wire to the
 * messages), bind.c (library calls to sockets), process.c, timeline.c (several tapes in one order), chained.c (a tape that goes on with another).
 */
#include "replay/assembly.h"
#include "replay/flow_peers.h"
#include "map.h"
#include "replay/player.h"
#include "replay/proto/proto.h"
#include "replay/timeline.h"
#include "replay/tls_stack.h"
#include "replay/tls_store.h"

struct process {
	struct player_process pub;
	unsigned refs;
	bool placeholder; /* nothing but the pid is known */
	uint64_t exited;  /* number of the event; 0: it lives */
	char *comm, *exe, *cmdline;
};

enum {
	FLOW_DERIVED = 8, /* a library object's latest secrets: one handshake's */
};

/* A piece that a call delivered before it is known which socket it came from: the first ones are often read by the
 * handshake's last system call, and none lies within the call that hands them out. */
struct held_call {
	struct held_call *next;
	uint64_t offset, len;
	bool hole;
	struct stamp stamp;
	uint8_t data[];
};

/* One direction of a flow. */
struct lane {
	struct flow *flow;
	enum fdtape_dir dir;
	struct assembly assembly;
	uint64_t given;     /* bytes of what was meant that were told */
	bool ended;         /* IN: read() told the end */
	bool kernel_told;   /* socket: kTLS was begun for it, */
	uint64_t kernel_at; /* from this offset on, */
	bool kernel;        /* which has not been reached; */
	uint16_t kernel_version, kernel_cipher;
	uint64_t calls_skew; /* library: what to add to an offset of its own to get one of the bound socket's */
	struct held_call *held, *held_last; /* library: not bound yet, but may be */
	uint64_t held_bytes;
};

struct flow {
	struct player_flow pub; /* first, so that a player_flow is a flow */
	struct play_section *section;
	struct process *process;
	char *name;    /* def.name */
	char *library; /* tls.library */
	struct lane lane[2];
	struct flow_peers peers;
	struct tls_stack *tls;          /* NULL: not a byte stream */
	struct protos *protos;          /* NULL: nothing was carried yet, or nobody asks for messages */
	uint64_t bound;                 /* library: id of the socket flow; 0: none */
	unsigned depth;                 /* library: of the TLS that it is bound to; see tls_stack.h */
	uint64_t wanted;                /* library: id of the socket flow that SSL_set_fd named; 0: none */
	bool released;                  /* library: its calls were told as its own: it had its chance to be bound */
	bool proved;                    /* library: a secret proved it */
	uint64_t derived[FLOW_DERIVED]; /* library: keys of the section's map of the same name */
	size_t n_derived;
	uint64_t bound_by[TLS_STACK_DEPTH]; /* socket: id of the library flow that was bound last; 0: none */
	bool chosen;
	bool told;       /* flow_opened() was called */
	bool close_seen; /* close() was */
	/* It was closed; late events of other threads may still come. */
	struct flow *next_closing;
	uint64_t closing; /* when: number of the event, plus 1; 0: it is not */
	uint64_t place;   /* key of the section's open_before */
	bool left_behind; /* a tape that goes on with its own did not have it */
};

/* The section that an input is in, and all that is valid within it; with the sections that go on with it (chained.c). */
struct play_section {
	struct player *player;
	bool begun;
	uint64_t ordinal; /* of the section, from 0, in the play */
	uint64_t base;    /* of the flows' numbers */
	struct fdtape_clock clock;
	bool clock_told;        /* by a CLOCK item, not by the section's head */
	bool ended;             /* properly */
	struct map flows;       /* by id: struct flow */
	uint64_t highest_id;    /* of them, ever */
	uint64_t id_base;       /* what is added to the ids of the tape that is read now */
	bool at_head;           /* that tape goes on with another, and had no event yet */
	struct map going_on;    /* those of that tape that are another's: struct going_on */
	struct map open_before; /* by place: struct flow, open when that tape began and not yet met on it */
	struct map processes;   /* by pid: struct process */
	struct map threads;     /* by tid: struct thread */
	size_t n_libraries;     /* of the flows */
	struct map derived;     /* by a part of a secret: struct derived */
	struct map sockets;     /* by inode: struct shared_socket */
	size_t sweep_at;        /* number of processes that calls for sweeping out the dead */
};

struct player {
	struct player_sink sink;
	struct player_choice choice;
	uint64_t since, until; /* of the choice, as wall times */
	struct timeline timeline;
	struct play_section *sections;  /* one for each input */
	struct play_section **of_input; /* which of them it is in: its own, or one that another has begun */
	size_t n_inputs;
	struct play_section *now;
	size_t now_input;
	struct tls_store secrets;
	uint64_t n_sections, n_events, n_damaged;
	uint64_t highest; /* number of a flow */
	struct flow *closing, **closing_end;
	int stop;    /* what player_run() will return; 0: go on */
	bool failed; /* it was the player itself that stopped */
	char message[1024];
};

/* ---- player.c ---- */
uint64_t play_wall(const struct play_section *section, uint64_t monotonic);
void play_fail(struct player *player, int error);
/* Is a call (a message, a life) between these wall times chosen? */
bool play_in_time(const struct player *player, uint64_t from, uint64_t to);

/* ---- chosen.c ---- */
bool choice_takes_process(const struct player_choice *choice, const struct player_process *process);
bool choice_takes_flow(const struct player_choice *choice, const struct player_flow *flow);
/* A flow that the choice did not take for its own ports: does it for those of one whom it exchanged a datagram with? */
bool choice_takes_peer(const struct player_choice *choice, const struct player_flow *flow,
                       const struct fdtape_address *peer);
bool choice_takes_event(const struct player_choice *choice, const struct player_process *process,
                        const struct fdtape_event *event);

/* ---- chained.c ---- */
/* The section that goes on with the one that the input begins now; NULL: none does. */
struct play_section *chained_before(const struct player *player, size_t input);
/* It goes on. 0, or -1 without memory. */
int chained_go_on(struct play_section *section);
/* What an item of the input says, in the terms of the section. False: nothing that is not known. */
bool chained_flow(struct play_section *section, struct fdtape_flow *def);
void chained_event(const struct play_section *section, struct fdtape_event *event);
/* Is the item there only so that its tape is complete in itself? */
bool chained_repeats(const struct play_section *section, const struct fdtape_item *item);
/* The flow is gone; all is. */
void chained_forget(const struct flow *flow);
void chained_release(struct play_section *section);

/* ---- process.c ---- */
/* The image that runs under this pid now; a placeholder if none was defined. NULL without memory. */
struct process *process_get(struct play_section *section, uint32_t pid);
struct process *process_define(struct play_section *section, const struct fdtape_process *def);
void process_exited(struct play_section *section, uint32_t pid);
void process_release(struct process *process);
void process_release_all(struct play_section *section);

/* ---- flow.c ---- */
void flow_define(struct play_section *section, const struct fdtape_flow *def);
/* The bytes that a call carried on the flow. */
void flow_event(struct flow *flow, const struct fdtape_event *event, const struct stamp *stamp);
/* setsockopt() on a byte stream: it may hand TLS to the kernel. */
void flow_setsockopt(struct flow *flow, const struct fdtape_event *event);
/* Calls flow_opened() unless that was done or the flow is not chosen. */
void flow_tell(struct flow *flow);
/* What is not there up to this offset does not come any more. */
void flow_skip(struct flow *flow, enum fdtape_dir dir, uint64_t to);
/* The flow's end: everything is told, and it is gone. */
void flow_close(struct flow *flow);
/* The library flow was bound to a socket flow, library->depth: what its calls delivered before goes there. */
void flow_bound(struct flow *library, struct flow *socket);
/* Is what the unbound object's calls delivered what that TLS decrypts to? Bytes that could be compared and agree; -1: one
 * differs. */
int64_t flow_held_agrees(const struct flow *library, const struct flow *socket, unsigned depth);
/* Nothing that calls delivered waits any more for what comes between. */
void flow_settle_calls(struct flow *flow);
bool flow_has_pending(const struct flow *flow);

/* ---- bind.c ---- */
/* Remembers a socket's data call, or a library's call, of its thread. */
void bind_remember(struct play_section *section, const struct fdtape_event *event);
/* A library call: whose plaintext does it deliver? */
void bind_library(struct flow *library, const struct fdtape_event *event, const struct stamp *stamp);
/* A thread derived a secret; it opens the TLS of a socket at this depth. */
void bind_derived(struct play_section *section, const struct fdtape_secret *secret);
void bind_opens(struct flow *socket, unsigned depth, const struct tls_key *key);
/* The library's, the socket's flow ends: the last chance for binding it. */
void bind_last(struct flow *library, const struct stamp *stamp);
void bind_last_of_socket(struct flow *socket, const struct stamp *stamp);
struct flow *bind_socket(const struct flow *library);
/* The living object whose calls deliver this TLS' plaintext; NULL: none does. */
struct flow *bind_taker(const struct flow *socket, unsigned depth);
void bind_release(struct play_section *section);

/* ---- bind_lengths.c ---- */
/* The one flow whose records have the lengths of the unbound object's calls, and the one object whose calls have those of
 * the flow's records; NULL: none, or it can't be told. */
struct flow *bind_flow_by_lengths(const struct flow *object);
struct flow *bind_object_by_lengths(const struct flow *socket);

#endif
