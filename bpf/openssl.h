/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef OPENSSL_H
#define OPENSSL_H

/*
 * OpenSSL: the secrets, and the plaintext that SSL_read and SSL_write hand over.
 *
 * Every TLS key of OpenSSL 3 is derived through libcrypto's exported EVP_KDF_derive(ctx, key, keylen, params): the
 * parameters name what is derived, the return brings it. OpenSSL 1.1.1 sets the same parameters one by one with
 * EVP_PKEY_CTX_ctrl(), and derives with EVP_PKEY_derive(). No offset of any private struct is needed. All are sent as
 * they are; what they mean is sorted out by record/secrets.c.
 */
#include "bpf/library.h"

#define PAGE_BYTES    4096ull /* the smallest there is */
#define WRAPPER_FRAME 24 /* SSL_read_ex()'s caller can have nothing nearer: two return addresses, and the alignment */

struct ossl_param { /* OSSL_PARAM(3) */
	u64 key;
	u32 data_type;
	u32 pad;
	u64 data;
	u64 data_size;
	u64 return_size;
};

/* A short text, cut if need be; at the end of what is mapped, less is read. */
static __always_inline void read_name(char to[static PROBE_KDF_NAME], u64 from)
{
	u64 n = PAGE_BYTES - (from & (PAGE_BYTES - 1));

	if (bpf_probe_read_user_str(to, PROBE_KDF_NAME, (void *)from) > 0)
		return;
	if (n > PROBE_KDF_NAME)
		n = PROBE_KDF_NAME;
	barrier_var(n);
	read_user(to, n, (void *)from);
	to[PROBE_KDF_NAME - 1] = 0;
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

SEC("uprobe")
int BPF_KPROBE(kdf_enter, u64 context, u64 out, u64 out_len, u64 params)
{
	u64 id = bpf_get_current_pid_tgid();
	struct ossl_param param;
	struct probe_kdf *record;

	if (!derivation_enter(PT_REGS_SP(ctx), context, out, out_len, 0, 0))
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
	if (!record) {
		lost(PROBE_LOST_RING, 0);
		return 0;
	}
	record->h.type = PROBE_KDF;
	record->h.flags = 0;
	record->h.len = 0;
	record->time = bpf_ktime_get_ns();
	record->tgid = id >> 32;
	record->tid = (u32)id;
	record->n_params = 0;
	record->pad = 0;
	for (int i = 0; i < PROBE_KDF_PARAMS; i++) {
		struct probe_kdf_param *to = &record->param[i];
		u64 n;

		if (read_user(&param, sizeof param, (void *)(params + i * sizeof param)) || !param.key)
			break;
		to->name[0] = 0;
		read_name(to->name, param.key);
		to->type = param.data_type;
		to->size = param.data_size;
		n = param.data_size < PROBE_KDF_DATA ? param.data_size : PROBE_KDF_DATA;
		if (read_user(to->data, n, (void *)param.data))
			to->size = 0;
		record->n_params = i + 1;
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(kdf_return, int ret)
{
	u64 id = bpf_get_current_pid_tgid(), sp = PT_REGS_SP(ctx) + FRAME_AT_RETURN, n;
	struct library_frame *frame = frame_at(sp);
	struct probe_kdf_out *record;

	if (!frame)
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
	if (!record) {
		lost(PROBE_LOST_RING, 0);
		goto out;
	}
	record->h.type = PROBE_KDF_RESULT;
	record->h.flags = 0;
	n = ret > 0 ? frame->len : 0;
	if (n > PROBE_KDF_OUT)
		n = PROBE_KDF_OUT;
	barrier_var(n);
	record->h.len = read_user(record->data, n, (void *)frame->buffer) ? 0 : n;
	record->tgid = id >> 32;
	record->tid = (u32)id;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
out:
	drop_frame(sp);
	return 0;
}

/* EVP_PKEY_CTX_ctrl()'s commands: openssl/kdf.h of 1.1.1 */
#define TLS_SECRET 0x1001
#define TLS_SEED   0x1002
#define HKDF_INFO  0x1006

SEC("uprobe")
int BPF_KPROBE(pkey_ctrl_enter, u64 context, int type, int operation, int command)
{
	struct probe_key *record;
	s32 len = (s32)PT_REGS_PARM5(ctx);
	u64 data, command_number = (u32)command;

	if ((command != TLS_SECRET && command != TLS_SEED && command != HKDF_INFO) || len < 0 ||
	    !is_chosen(bpf_get_current_pid_tgid() >> 32))
		return 0;
	record = new_key(PROBE_KEY_PKEY);
	if (!record)
		return 0;
#if defined(__TARGET_ARCH_x86)
	data = ctx->r9;
#else
	data = ctx->regs[5];
#endif
	__builtin_memcpy(record->label, &command_number, sizeof command_number);
	record->label_len = sizeof command_number;
	record->id_len = TAKE_BYTES(record->id, (u64)len, data);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* EVP_PKEY_derive(ctx, key, keylen *) */
SEC("uprobe")
int BPF_KPROBE(pkey_derive_enter, u64 context, u64 out, u64 len)
{
	derivation_enter(PT_REGS_SP(ctx), context, out, len, 0, 0);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(pkey_derive_return, int ret)
{
	u64 sp = PT_REGS_SP(ctx) + FRAME_AT_RETURN, len = 0;
	struct library_frame *frame = frame_at(sp);
	struct probe_key *record;

	if (!frame)
		return 0;
	record = new_key(PROBE_KEY_PKEY_OUT);
	if (record) {
		if (ret > 0 && frame->buffer && !read_user(&len, sizeof len, (void *)frame->len))
			record->value_len = TAKE_BYTES(record->value, len, frame->buffer);
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	}
	drop_frame(sp);
	return 0;
}

/* ---- plaintext -------------------------------------------------------------------------------------------------- */

DEFINE_LIBRARY_ENTER(ssl_read, CALL_SSL_READ, LIB_CARRIES)
DEFINE_LIBRARY_ENTER(ssl_read_ex, CALL_SSL_READ_EX, LIB_CARRIES | LIB_COUNT)
DEFINE_LIBRARY_ENTER(ssl_peek, CALL_SSL_PEEK, LIB_CARRIES | LIB_PEEK)
DEFINE_LIBRARY_ENTER(ssl_peek_ex, CALL_SSL_PEEK_EX, LIB_CARRIES | LIB_PEEK | LIB_COUNT)
DEFINE_LIBRARY_ENTER(ssl_write, CALL_SSL_WRITE, LIB_CARRIES | LIB_OUT)
DEFINE_LIBRARY_ENTER(ssl_write_ex, CALL_SSL_WRITE_EX, LIB_CARRIES | LIB_OUT | LIB_COUNT)

/* The functions that SSL_read() and SSL_read_ex() wrap, and those for writing (record/wrapped.c). The plain wrapper has
 * the count in its own frame, which lies between this one's and that of whoever called it. */
static __always_inline int inner_enter(struct pt_regs *ctx, u64 ssl, u64 buffer, u64 len, u64 count, u64 flags,
                                       u32 plain, u32 ex, u32 how)
{
	bool by_plain = count - PT_REGS_SP(ctx) < WRAPPER_FRAME;
	struct library_frame frame = {.object = ssl,
	                              .buffer = buffer,
	                              .len = len,
	                              .count = count,
	                              .extra = flags,
	                              .call = by_plain ? plain : ex,
	                              .how = how | LIB_CARRIES | LIB_COUNT | (by_plain ? LIB_RAW : 0)};

	return library_enter(PT_REGS_SP(ctx), &frame);
}

SEC("uprobe")
int BPF_KPROBE(ssl_read_inner, u64 ssl, u64 buffer, u64 len, u64 count)
{
	return inner_enter(ctx, ssl, buffer, len, count, 0, CALL_SSL_READ, CALL_SSL_READ_EX, 0);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_inner, u64 ssl, u64 buffer, u64 len, u64 count)
{
	return inner_enter(ctx, ssl, buffer, len, count, 0, CALL_SSL_WRITE, CALL_SSL_WRITE_EX, LIB_OUT);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_inner2, u64 ssl, u64 buffer, u64 len, u64 flags, u64 count)
{
	return inner_enter(ctx, ssl, buffer, len, count, flags, CALL_SSL_WRITE, CALL_SSL_WRITE_EX2, LIB_OUT);
}

/* SSL_write_ex2(ssl, buffer, length, flags, count *) */
SEC("uprobe")
int BPF_KPROBE(ssl_write_ex2, u64 ssl, u64 buffer, u64 len, u64 flags, u64 count)
{
	struct library_frame frame = {.object = ssl,
	                              .buffer = buffer,
	                              .len = len,
	                              .count = count,
	                              .extra = flags,
	                              .call = CALL_SSL_WRITE_EX2,
	                              .how = LIB_CARRIES | LIB_OUT | LIB_COUNT};

	return library_enter(PT_REGS_SP(ctx), &frame);
}

/* SSL_sendfile(ssl, fd, offset, length, flags): kTLS; the kernel encrypts what it reads. */
SEC("uprobe")
int BPF_KPROBE(ssl_sendfile, u64 ssl, int fd, u64 offset, u64 len)
{
	struct library_frame frame = {.object = ssl,
	                              .len = len,
	                              .count = offset,
	                              .extra = (u32)fd,
	                              .call = CALL_SSL_SENDFILE,
	                              .how = LIB_CARRIES | LIB_OUT | LIB_WIDE | LIB_KERNEL};

	return library_enter(PT_REGS_SP(ctx), &frame);
}

/* These say which fd it is, or call those that do their input and output on it. */
#define DEFINE_SSL_STEP(NAME, CALL)                                         \
	SEC("uprobe")                                                       \
	int BPF_KPROBE(NAME, u64 ssl)                                       \
	{                                                                   \
		struct library_frame frame = {.object = ssl, .call = CALL}; \
                                                                            \
		return library_enter(PT_REGS_SP(ctx), &frame);              \
	}
DEFINE_SSL_STEP(ssl_do_handshake, CALL_SSL_DO_HANDSHAKE)
DEFINE_SSL_STEP(ssl_connect, CALL_SSL_CONNECT)
DEFINE_SSL_STEP(ssl_accept, CALL_SSL_ACCEPT)

#define DEFINE_SSL_SET_FD(NAME, CALL)                                                                      \
	SEC("uprobe")                                                                                      \
	int BPF_KPROBE(NAME, u64 ssl, int fd)                                                              \
	{                                                                                                  \
		struct library_frame frame = {.object = ssl, .len = (u32)fd, .call = CALL, .how = LIB_FD}; \
                                                                                                           \
		return library_enter(PT_REGS_SP(ctx), &frame);                                             \
	}
DEFINE_SSL_SET_FD(ssl_set_fd, CALL_SSL_SET_FD)
DEFINE_SSL_SET_FD(ssl_set_rfd, CALL_SSL_SET_RFD)
DEFINE_SSL_SET_FD(ssl_set_wfd, CALL_SSL_SET_WFD)

#endif
