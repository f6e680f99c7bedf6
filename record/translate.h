/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fdtape/writer.h>

#include "bpf/probe_abi.h"
#include "record/probes.h"

/* The probes' records into a tape's items. */
struct translate;

/* What is told to whoever asks, and what the closing line says. */
struct translate_totals {
	uint64_t events;
	uint64_t bytes; /* carried by fds, without what was only peeked at */
	uint64_t captured;
	uint64_t lost_events; /* never arrived; as far as is known */
	uint64_t flows;       /* of fds */
	struct {              /* by enum fdtape_loss_reason, as put on the tape */
		uint64_t count;
		uint64_t bytes;
	} losses[FDTAPE_LOSS_REASONS];
};

/* The writer and the probes stay the caller's; `started` is when recording began; `payload`: bytes are kept; `lazy`: any
 * process may turn out to have a flow that is recorded, and none is told of before: neither its life nor its secrets;
 * `keep_secrets`: so many bytes of secrets are kept for the next tape. NULL: no memory. */
struct translate *translate_new(struct fdtape_writer *writer, struct probes *probes, uint64_t started, bool payload,
                                bool lazy, size_t keep_secrets);

/* mapped() is called for each file that a chosen process has mapped to be run, now or later, so that TLS can be probed. It
 * returns how many functions are probed in it, -1: it can't be probed; what is worth it is told on the tape. `path` and
 * `seen` as in record/libraries.h. */
typedef int translate_mapped(void *context, const char *path, const char *seen);
void translate_on_mapped(struct translate *t, translate_mapped *mapped, void *context);

/* Defines a process from /proc, unless it is known. */
int translate_process(struct translate *t, pid_t pid);

/* A probes_take for probes_drain(): context is the struct translate. Negative: an fdtape_error. */
int translate_record(void *context, const void *record, size_t size);

/* Puts what the probes could not deliver since the last call, as losses. */
int translate_losses(struct translate *t, uint64_t now);

/* No more records: gives what was waiting for more, and each open flow as it stands. */
int translate_finish(struct translate *t, uint64_t now);

/*
 * Goes on with another writer. The one so far gets the losses up to now, and each open flow as it stands; nothing more
 * is put into it. The new one gets first of all everything that is in force: processes, threads, open flows.
 *
 * `anew`: the tape is to be complete in itself. Flows are marked as open before, and their offsets count from 0 again;
 * the secrets that may be theirs are told again.
 * Otherwise it continues the one before it: offsets and ids go on, and a flow's `bytes` are the offsets of its next
 * events, so that whoever begins with this tape can subtract them.
 */
int translate_switch(struct translate *t, struct fdtape_writer *writer, uint64_t now, bool anew);

struct translate_totals translate_totals(const struct translate *t);

void translate_free(struct translate *t);

#endif
