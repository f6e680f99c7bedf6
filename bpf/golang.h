/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef GOLANG_H
#define GOLANG_H

/*
 * Go's crypto/tls: (*Config).writeKeyLog(label string, clientRandom, secret []byte) is called with each secret, whether
 * the program has a KeyLogWriter or not. Its arguments are in registers from Go 1.17 on and on the stack before;
 * whichever place holds what can be one is it. There is no probe of its return: Go moves its stacks.
 */
#include "bpf/nss.h"

#define GO_RANDOM_LEN 32

static __always_inline bool is_key_log(u64 label_len, u64 random_len, u64 secret_len)
{
	return random_len == GO_RANDOM_LEN && label_len > 0 && label_len <= PROBE_KEY_LABEL && secret_len > 0 &&
	       secret_len <= PROBE_KEY_DATA;
}

SEC("uprobe")
int go_key_log(struct pt_regs *ctx)
{
	struct { /* behind the receiver, where they are on the stack */
		u64 label, label_len;
		u64 random, random_len, random_room;
		u64 secret, secret_len;
	} a = {};
	struct probe_key *record;

	if (!is_chosen(bpf_get_current_pid_tgid() >> 32))
		return 0;
#if defined(__TARGET_ARCH_x86)
	a.label = ctx->bx;
	a.label_len = ctx->cx;
	a.random = ctx->di;
	a.random_len = ctx->si;
	a.secret = ctx->r9;
	a.secret_len = ctx->r10;
#else
	a.label = ctx->regs[1];
	a.label_len = ctx->regs[2];
	a.random = ctx->regs[3];
	a.random_len = ctx->regs[4];
	a.secret = ctx->regs[6];
	a.secret_len = ctx->regs[7];
#endif
	if (!is_key_log(a.label_len, a.random_len, a.secret_len) &&
	    (read_user(&a, sizeof a, (void *)(PT_REGS_SP(ctx) + 16)) ||
	     !is_key_log(a.label_len, a.random_len, a.secret_len)))
		return 0;
	record = new_key(PROBE_KEY_GO);
	if (!record)
		return 0;
	record->label_len = TAKE_BYTES(record->label, a.label_len, a.label);
	record->id_len = TAKE_BYTES(record->id, a.random_len, a.random);
	record->value_len = TAKE_BYTES(record->value, a.secret_len, a.secret);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
