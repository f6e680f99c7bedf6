/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef GNUTLS_H
#define GNUTLS_H

/*
 * GnuTLS. TLS 1.3: each secret is what libnettle's nettle_hkdf_expand() makes of an HkdfLabel (RFC 8446, 7.1). TLS 1.2:
 * libgnutls' _gnutls_prf_raw() is given the master secret and both randoms for "key expansion", so its return is not
 * waited for. Both are exported, of the same arguments since they exist (GnuTLS 3.6, nettle 3.3).
 */
#include "bpf/openssl.h"

#if defined(__TARGET_ARCH_x86)
#define FIRST_ON_STACK 8 /* behind the return address */
#define ARGUMENT5(ctx) ((ctx)->r9)
#else
#define FIRST_ON_STACK 0
#define ARGUMENT5(ctx) ((ctx)->regs[5])
#endif

static __always_inline u64 stack_argument(struct pt_regs *ctx, u32 nth)
{
	u64 value = 0;

	read_user(&value, sizeof value, (void *)(PT_REGS_SP(ctx) + FIRST_ON_STACK + nth * sizeof value));
	return value;
}

/* nettle_hkdf_expand(mac, update, digest, digest_size, info_size, info, length, dst) */
SEC("uprobe")
int BPF_KPROBE(hkdf_enter, u64 mac, u64 update, u64 digest, u64 digest_size, u64 info_len)
{
#if defined(__TARGET_ARCH_x86)
	u64 len = stack_argument(ctx, 0), out = stack_argument(ctx, 1);
#else
	u64 len = ctx->regs[6], out = ctx->regs[7];
#endif

	derivation_enter(PT_REGS_SP(ctx), mac, out, len, ARGUMENT5(ctx), info_len);
	return 0;
}

/* What came out of an HKDF-Expand (RFC 5869, 2.3). */
static __always_inline int expanded(u64 sp, u32 source, bool done)
{
	struct library_frame *frame = frame_at(sp);
	struct probe_key *record;

	if (!frame)
		return 0;
	record = done ? new_key(source) : NULL;
	if (record) {
		record->id_len = TAKE_BYTES(record->id, frame->count, frame->extra);
		record->value_len = TAKE_BYTES(record->value, frame->len, frame->buffer);
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	}
	drop_frame(sp);
	return 0;
}

SEC("uretprobe")
int hkdf_return(struct pt_regs *ctx)
{
	return expanded(PT_REGS_SP(ctx) + FRAME_AT_RETURN, PROBE_KEY_HKDF, true);
}

/* _gnutls_prf_raw(mac, master_size, master, label_size, label, seed_size, seed, outsize, out) */
SEC("uprobe")
int BPF_KPROBE(prf_enter, int mac, u64 master_len, u64 master, u64 label_len, u64 label)
{
#if defined(__TARGET_ARCH_x86)
	u64 seed = stack_argument(ctx, 0);
#else
	u64 seed = ctx->regs[6];
#endif
	u64 seed_len = ARGUMENT5(ctx);
	struct probe_key *record;

	if (!is_chosen(bpf_get_current_pid_tgid() >> 32))
		return 0;
	record = new_key(PROBE_KEY_PRF);
	if (!record)
		return 0;
	record->label_len = TAKE_BYTES(record->label, label_len, label);
	record->id_len = TAKE_BYTES(record->id, seed_len, seed);
	record->value_len = TAKE_BYTES(record->value, master_len, master);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

DEFINE_LIBRARY_ENTER(gnutls_recv, CALL_GNUTLS_RECORD_RECV, LIB_CARRIES | LIB_WIDE)
DEFINE_LIBRARY_ENTER(gnutls_recv_seq, CALL_GNUTLS_RECORD_RECV_SEQ, LIB_CARRIES | LIB_WIDE)
DEFINE_LIBRARY_ENTER(gnutls_send, CALL_GNUTLS_RECORD_SEND, LIB_CARRIES | LIB_OUT | LIB_WIDE)
DEFINE_LIBRARY_ENTER(gnutls_send2, CALL_GNUTLS_RECORD_SEND2, LIB_CARRIES | LIB_OUT | LIB_WIDE)
DEFINE_SSL_STEP(gnutls_handshake, CALL_GNUTLS_HANDSHAKE)

#endif
