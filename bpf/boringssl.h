/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BORINGSSL_H
#define BORINGSSL_H

/*
 * BoringSSL's secrets; its SSL_read() and the like are OpenSSL's (bpf/openssl.h).
 *
 * ssl_log_secret(), which has them all, does not say of which connection, and is a C++ function whose name and arguments
 * have changed. But as in the other libraries, what the secrets are derived with binds them, and those functions are of
 * libcrypto, in C, and public. TLS 1.3: HKDF_expand() (openssl/hkdf.h) with an HkdfLabel (RFC 8446, 7.1) as info. TLS
 * 1.2: CRYPTO_tls1_prf() is given the master secret and both randoms for "key expansion".
 */
#include "bpf/golang.h"

/* HKDF_expand(out, out_len, digest, secret, secret_len, info, info_len) */
SEC("uprobe")
int BPF_KPROBE(boring_hkdf_enter, u64 out, u64 len, u64 digest)
{
#if defined(__TARGET_ARCH_x86)
	u64 info_len = stack_argument(ctx, 0);
#else
	u64 info_len = ctx->regs[6];
#endif

	derivation_enter(PT_REGS_SP(ctx), digest, out, len, ARGUMENT5(ctx), info_len);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(boring_hkdf_return, int ret)
{
	return expanded(PT_REGS_SP(ctx) + FRAME_AT_RETURN, PROBE_KEY_BORING_HKDF, ret == 1);
}

#define RANDOM_BYTES  32
#define EXPANSION_LEN 13 /* "key expansion" */

/* CRYPTO_tls1_prf(digest, out, out_len, secret, secret_len, label, label_len, seed1, seed1_len, seed2, seed2_len) */
SEC("uprobe")
int BPF_KPROBE(boring_prf_enter, u64 digest, u64 out, u64 out_len, u64 secret, u64 secret_len)
{
	struct { /* behind the return address; on arm64 the first two are in registers */
		u64 label_len, seed1, seed1_len, seed2, seed2_len;
	} a = {};
	struct probe_key *record;
	long error;

#if defined(__TARGET_ARCH_x86)
	error = read_user(&a, sizeof a, (void *)(PT_REGS_SP(ctx) + FIRST_ON_STACK));
#else
	a.label_len = ctx->regs[6];
	a.seed1 = ctx->regs[7];
	error = read_user(&a.seed1_len, 3 * sizeof a.seed1_len, (void *)PT_REGS_SP(ctx));
#endif
	if (error || a.label_len != EXPANSION_LEN || a.seed1_len != RANDOM_BYTES || a.seed2_len != RANDOM_BYTES ||
	    !is_chosen(bpf_get_current_pid_tgid() >> 32))
		return 0;
	record = new_key(PROBE_KEY_BORING_PRF);
	if (!record)
		return 0;
	record->label_len = TAKE_BYTES(record->label, a.label_len, ARGUMENT5(ctx));
	record->value_len = TAKE_BYTES(record->value, secret_len, secret);
	if (!read_user(record->id, RANDOM_BYTES, (void *)a.seed1) &&
	    !read_user(record->id + RANDOM_BYTES, RANDOM_BYTES, (void *)a.seed2))
		record->id_len = 2 * RANDOM_BYTES;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
