/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef GOLANG_H
#define GOLANG_H

/*
 * Go's crypto/tls.
 *
 * Secrets: (*Config).writeKeyLog(label string, clientRandom, secret []byte) is called with each secret, whether the
 * program has a KeyLogWriter or not. Its arguments are in registers from Go 1.17 on and on the stack before; whichever
 * place holds what can be one is it.
 *
 * Plaintext: (*Conn).Read(b []byte) and .Write(b []byte), from Go 1.17 on. A return probe would change the return
 * address, which Go's runtime reads when it moves a stack or collects garbage, and the program would die. So there is a
 * plain probe at the entry and one at each RET instruction (record/returns.c). Between the two, a goroutine may go on
 * in another thread, and its stack may be moved. So a call in progress is known by its goroutine, and by how far its
 * frame lies from where the stack begins, which is the same wherever the stack is; and a buffer on the stack is looked
 * for where the stack is by then. The entry may be passed twice in one call, when the stack is found too small: the
 * second time takes the first one's place.
 *
 * The fd: a tls.Conn begins with its net.Conn, an interface. If that is a *net.TCPConn or a *net.UnixConn, its netFD
 * holds the fd. Whether it is one is told by the family and the type that a netFD has in it too, and by whether a flow
 * with that fd is known; if not, it is left to whoever reads the tape.
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

/* ---- plaintext -------------------------------------------------------------------------------------------------- */

/* Go's internal ABI (cmd/compile/abi-internal.md): where arguments and results are, and the goroutine. */
#if defined(__TARGET_ARCH_x86)
#define GO_FIRST(ctx)  ((ctx)->ax)
#define GO_SECOND(ctx) ((ctx)->bx)
#define GO_THIRD(ctx)  ((ctx)->cx)
#define GO_SELF(ctx)   ((ctx)->r14)
#else
#define GO_FIRST(ctx)  ((ctx)->regs[0])
#define GO_SECOND(ctx) ((ctx)->regs[1])
#define GO_THIRD(ctx)  ((ctx)->regs[2])
#define GO_SELF(ctx)   ((ctx)->regs[28])
#endif

#define GO_STACK_END 8 /* runtime.g: stack.lo, stack.hi */
/* net.netFD begins with poll.FD: the mutex (16 bytes), Sysfd (int), and 32 bytes more. */
#define GO_FD     16
#define GO_FAMILY 56 /* int, int: family, sotype */
#define GO_STREAM 1

struct go_frame_key {
	u64 goroutine;
	u32 depth; /* bytes from the stack's beginning */
	u32 tgid;
};

/* By goroutine and depth: `extra` is where the stack began, `count` the flow of the fd. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct go_frame_key);
	__type(value, struct library_frame);
} go_frames SEC(".maps");

/* The flow of the fd that a tls.Conn works on; 0: not known. */
static __always_inline u64 go_flow(u64 conn)
{
	u64 interface[2], net_fd = 0;
	s64 fd = -1, kind[2];

	if (read_user(interface, sizeof interface, (void *)conn) || !interface[1] ||
	    read_user(&net_fd, sizeof net_fd, (void *)interface[1]) || !net_fd ||
	    read_user(&fd, sizeof fd, (void *)(net_fd + GO_FD)) || fd < 0 || fd > 0x7fffffff ||
	    read_user(kind, sizeof kind, (void *)(net_fd + GO_FAMILY)))
		return 0;
	if ((kind[0] != AF_UNIX && kind[0] != AF_INET && kind[0] != AF_INET6) || kind[1] != GO_STREAM)
		return 0;
	return known_flow(fd);
}

/* false: this is no goroutine's stack. */
static __always_inline bool go_key(struct pt_regs *ctx, struct go_frame_key *key, u64 *end)
{
	key->goroutine = GO_SELF(ctx);
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	if (read_user(end, sizeof *end, (void *)(key->goroutine + GO_STACK_END)) || *end < PT_REGS_SP(ctx))
		return false;
	key->depth = *end - PT_REGS_SP(ctx);
	return true;
}

static __always_inline int go_enter(struct pt_regs *ctx, u32 call, u32 how)
{
	struct library_frame frame = {.object = GO_FIRST(ctx),
	                              .buffer = GO_SECOND(ctx),
	                              .len = GO_THIRD(ctx),
	                              .call = call,
	                              .how = how | LIB_CARRIES | LIB_WIDE | LIB_UNDER};
	struct go_frame_key key;

	if (!is_chosen(bpf_get_current_pid_tgid() >> 32) || !go_key(ctx, &key, &frame.extra))
		return 0;
	frame.start = bpf_ktime_get_ns();
	frame.count = go_flow(frame.object);
	if (bpf_map_update_elem(&go_frames, &key, &frame, BPF_ANY))
		lost(PROBE_LOST_MAP, 0);
	return 0;
}

SEC("uprobe")
int go_tls_read(struct pt_regs *ctx)
{
	return go_enter(ctx, CALL_GO_TLS_READ, 0);
}

SEC("uprobe")
int go_tls_write(struct pt_regs *ctx)
{
	return go_enter(ctx, CALL_GO_TLS_WRITE, LIB_OUT);
}

/* The object of a call that ends. A program may let go of a Conn without closing it, and the next one may get its
 * address: it works on another flow. One that has carried nothing yet is none: its handshake may have failed, or
 * it has been closed meanwhile. */
static __always_inline struct object_state *go_object(const struct library_frame *frame, s64 n)
{
	struct object_key key = {.object = frame->object, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct object_state *state = bpf_map_lookup_elem(&objects, &key);

	if (state && frame->count && state->under && state->under != frame->count) {
		end_object(frame->object);
		state = NULL;
	}
	if (!state && n <= 0)
		return NULL;
	state = object_of(frame->object, PROBE_LIBRARY_GO);
	if (state && frame->count)
		state->under = frame->count;
	return state;
}

SEC("uprobe")
int go_tls_return(struct pt_regs *ctx)
{
	struct library_frame frame, *found;
	struct object_state *object;
	s64 n = GO_FIRST(ctx);
	struct go_frame_key key;
	u64 end = 0;

	if (!is_chosen(bpf_get_current_pid_tgid() >> 32) || !go_key(ctx, &key, &end))
		return 0;
	found = bpf_map_lookup_elem(&go_frames, &key);
	if (!found)
		return 0;
	frame = *found;
	bpf_map_delete_elem(&go_frames, &key);
	if (frame.buffer < frame.extra && frame.buffer > frame.extra - key.depth)
		frame.buffer += end - frame.extra; /* it is on the stack */
	frame.extra = 0;
	/* The first call on a socket that was open before may be what makes it known. */
	if (!frame.count)
		frame.count = go_flow(frame.object);
	object = go_object(&frame, n);
	if (object)
		tell_call(&frame, object, n);
	return 0;
}

SEC("uprobe")
int go_tls_close(struct pt_regs *ctx)
{
	end_object(GO_FIRST(ctx));
	return 0;
}

#endif
