/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TRANSLATE_STATE_H
#define TRANSLATE_STATE_H

/* What the parts of translate share. */
#include <stdbool.h>

#include "map.h"
#include "record/kept_secrets.h"
#include "record/translate.h"

struct process {
	uint32_t pid, ppid, uid;
	uint64_t started;
	char comm[16];
	char *exe;
	char *cmdline;
	char *build_id;
	char *cgroup;
	char *libraries;                    /* as in struct fdtape_process */
	char *tls_library[PROBE_LIBRARIES]; /* path of the libssl, ... that it has mapped; NULL: none that is known */
	enum {
		MAPPINGS_UNKNOWN,
		MAPPINGS_TOLD, /* all of them by the kernel, since its exec */
		MAPPINGS_READ, /* those until some time from /proc, and the others by the kernel */
	} mappings;
	uint64_t time;          /* as it was told last */
	bool libraries_told;    /* as they are */
	struct flow *flows;     /* open ones, newest first */
	struct thread *threads; /* other than the leader, as far as they made a call */
	bool told;              /* the tape knows of it */
};

struct thread {
	uint32_t tid;
	char comm[16];
	struct thread *next;
};

#define GAPS 8

/* Bytes that no event has told of yet. */
struct gap {
	uint64_t from, to;
};

struct flow {
	uint64_t kernel_id;
	struct fdtape_flow def; /* name is owned; offsets and bytes as the kernel counts them */
	bool told;              /* of what it is: else it is known by what was recorded of it alone */
	bool closing;           /* close() was entered; its event is to come, then the definition */
	uint64_t next_offset[2];
	struct gap gaps[2][GAPS]; /* the latest, the newest first */
	uint64_t base[2];         /* where the tape that is written now begins: what it calls 0 */
	struct process *process;
	struct flow *next, **link; /* in the process' list */
};

/* A call's record that waits, with all payload that came for it; or another record behind such a one. */
struct held {
	struct held *next;
	bool complete;
	void *record; /* owned */
	size_t fixed; /* bytes of it before the payload */
	size_t len;   /* of the payload in it */
	size_t room;
	uint64_t given; /* payload that went before, in events of their own */
};

struct translate {
	struct fdtape_writer *writer;
	struct probes *probes;
	bool payload;             /* bytes are kept */
	bool lazy;                /* a process is told of when it has a flow, and not before */
	translate_mapped *mapped; /* NULL: nobody asks */
	void *mapped_context;
	struct map processes;        /* by pid */
	struct map threads;          /* by tid; the processes' */
	struct map flows;            /* by kernel id */
	struct map assembling;       /* by tid: struct held, incomplete */
	struct map derivations;      /* by tid: struct probe_kdf, entered but not returned */
	struct kept_secrets secrets; /* of connections that may go on on the next tape; */
	size_t secrets_max;          /* so many bytes of them; 0: none are kept */
	struct held *first, **last;
	size_t held_bytes;
	uint64_t n_flows;
	uint8_t *reread; /* room for what is read again from files */
	struct translate_totals totals;
	struct fdtape_loss copied; /* moved within the kernel, and not told yet as lost */
	struct probe_stats told;   /* losses that are on the tape */
	uint64_t told_at;
};

/* ---- translate_process.c ---- */

/* Whether the tape knows of the process. Where it tells of all, one that was not met yet is as good as told. */
bool is_told(const struct translate *t, uint32_t pid);
/* The process' entry, defined from /proc when it is met first, and on the tape from now on; NULL: *error. */
struct process *process_of(struct translate *t, uint32_t pid, int *error);
/* Defines the thread's name when it is met first. */
int thread_seen(struct translate *t, struct process *p, uint32_t tid, uint64_t time);
int put_process(struct translate *t, struct process *p, uint64_t time);
int put_threads(struct translate *t, const struct process *p, uint64_t time);
int on_exec(struct translate *t, const struct probe_exec *r);
int on_fork(struct translate *t, const struct probe_fork *r);
int on_name(struct translate *t, const struct probe_name *r);
int on_exit_(struct translate *t, const struct probe_exit *r);
int on_mapped(struct translate *t, const struct probe_mapped *r);
/* The file that the process' calls of a TLS library are served from: the library, or itself if that is linked in; "": it
 * is not known. *path is valid for as long as the process is this image. */
int tls_library(struct translate *t, struct process *p, uint32_t library, const char **path);
/* Ends what is known of processes whose end was lost. */
int bury_dead(struct translate *t, uint64_t now);
/* Frees it; its flows must be gone. */
void free_process(struct process *p);

/* ---- translate_flow.c ---- */

int on_flow(struct translate *t, const struct probe_flow *r, const uint8_t *path, size_t len);
int put_flow(struct translate *t, const struct flow *f);
void forget_flow(struct translate *t, struct flow *f);
/* One that is new to us; NULL: *error. */
struct flow *new_flow(struct translate *t, uint64_t kernel_id, uint32_t pid, int *error);
/* The flow of a call, whose own record was lost; NULL: *error. */
struct flow *lost_flow(struct translate *t, const struct probe_call *r, int *error);
/* Fetches the kernel's count of a flow that nothing more is heard of, and what the flow is if that was lost. */
void settle_flow(struct translate *t, struct flow *f);
/* Settles, puts and forgets all flows of a process, the oldest first; `closed`: when they ended, 0: they did not. */
int end_flows(struct translate *t, struct process *p, uint64_t closed);
/* The flow's id on the tape; 0: there is none. */
uint64_t tape_flow(const struct translate *t, uint64_t kernel_id);
/* What ended while the ring was full. */
int settle_lost(struct translate *t);
/* All open flows in the order of their ids, *n of them; NULL: none, or no memory. The caller frees it. */
struct flow **open_flows(struct translate *t, size_t *n);

/* ---- translate_secret.c ---- */

int on_kdf(struct translate *t, const struct probe_kdf *r);
int on_kdf_result(struct translate *t, const struct probe_kdf_out *r);
int on_key(struct translate *t, const struct probe_key *r);
/* Those of connections that are open, on the next tape. */
int put_secrets(struct translate *t);

/* ---- translate_call.c ---- */

/* A call with `len` bytes of its payload, `given` of which came before; `last`: the rest is lost. */
int on_call(struct translate *t, const struct probe_call *r, uint64_t given, const uint8_t *payload, size_t len,
            bool last);
/* The calls that did not return before the end. */
int put_pending(struct translate *t, uint64_t now);

#endif
