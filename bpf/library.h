/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LIBRARY_H
#define LIBRARY_H

/*
 * What the probes of all TLS libraries share: calls in progress, an object's flow, the plaintext that a call handed over.
 *
 * An object (SSL, GnuTLS session, PRFileDesc) is a flow of its own, known by its address: which fd it belongs to is
 * decided offline from evidence, never here.
 *
 * Calls nest: SSL_connect() calls SSL_do_handshake(); a BIO of one object may read through another one. A call in
 * progress is known by where its frame lies on the stack, which no other live call of the process has: so neither
 * recursion nor coroutines mix them up, and one that never returns (a longjmp, a thread that is killed) is forgotten when
 * its place is taken, or it is the least recent. A function that ends in a jump to another one, as gnutls_record_send()
 * does, shares that one's frame: then the inner call is the one that is told, once. One that calls another one for the
 * same bytes (SSL_write_ex() and SSL_write_ex2()) is told, and not the inner one.
 *
 * Uprobes can be preempted in the middle by another task that hits one on the same CPU. So, other than in the system
 * calls' programs, nothing is built in per-CPU memory: records are written in place, in the ring.
 */
#include "bpf/io_uring.h"

#if defined(__TARGET_ARCH_x86)
#define FRAME_AT_RETURN (-8) /* the return address is gone by then */
#else
#define FRAME_AT_RETURN 0
#endif

/* These programs may sleep (record/uprobes.c). */
const volatile bool sleepable;

/* Memory of the program that it has not touched yet, such as a constant that the probed function is about to read, or
 * what SSL_write() is given of a mapped file, is not there for those who can't wait for it: where we can, we do. */
static __always_inline long read_user(void *to, u32 n, const void *from)
{
	long error = bpf_probe_read_user(to, n, from);

	return error && sleepable ? bpf_copy_from_user(to, n, from) : error;
}

struct library_frame_key {
	u64 sp; /* at the entry */
	u32 tgid;
	u32 pad;
};

struct library_frame {
	u64 start;
	u64 object; /* SSL *, ..., EVP_KDF_CTX * */
	u64 buffer;
	u64 len;
	u64 count; /* address of a size_t: what was carried */
	u64 extra; /* a further argument */
	u64 outer; /* sp of the call that this one was made in; 0: none */
	u32 call;
	u32 how;
};

enum {                    /* how */
	LIB_OUT = 1,      /* direction */
	LIB_CARRIES = 2,  /* bytes, as many as it returns */
	LIB_COUNT = 4,    /* it returns 1 and counts elsewhere */
	LIB_WIDE = 8,     /* it returns 64 bits */
	LIB_PEEK = 16,    /* what it reads comes again */
	LIB_KERNEL = 32,  /* the bytes never are in the program's memory */
	LIB_FD = 64,      /* `len` is an fd */
	LIB_UNDER = 512,  /* the fd's flow is the object's `under` */
	LIB_RAW = 256,    /* with LIB_COUNT: what it returns without success is told as it is, and not as 0 */
	LIB_WITHIN = 128, /* another call on the same object, which tells these bytes */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct library_frame_key);
	__type(value, struct library_frame);
} library_frames SEC(".maps");

/* By tid: sp of the innermost call in progress; 0: none. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} library_innermost SEC(".maps");

/* An object's life. */
struct object_key {
	u64 object;
	u32 tgid;
	u32 pad;
};

struct object_state {
	u64 id;
	u64 bytes[2];
	u64 under;   /* the flow of the fd beneath, where a probe can tell; 0: not known */
	u32 library; /* enum probe_library */
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct object_key);
	__type(value, struct object_state);
} objects SEC(".maps");

enum { /* enum fdtape_call */
	CALL_SSL_READ = 2048,
	CALL_SSL_READ_EX = 2049,
	CALL_SSL_WRITE = 2050,
	CALL_SSL_WRITE_EX = 2051,
	CALL_SSL_PEEK = 2053,
	CALL_SSL_PEEK_EX = 2054,
	CALL_SSL_WRITE_EX2 = 2055,
	CALL_SSL_SENDFILE = 2056,
	CALL_SSL_DO_HANDSHAKE = 2057,
	CALL_SSL_CONNECT = 2058,
	CALL_SSL_ACCEPT = 2059,
	CALL_SSL_SET_FD = 2060,
	CALL_SSL_SET_RFD = 2061,
	CALL_SSL_SET_WFD = 2062,
	CALL_GNUTLS_RECORD_RECV = 2112,
	CALL_GNUTLS_RECORD_RECV_SEQ = 2113,
	CALL_GNUTLS_RECORD_SEND = 2114,
	CALL_GNUTLS_RECORD_SEND2 = 2115,
	CALL_GNUTLS_HANDSHAKE = 2116,
	CALL_PR_READ = 2176,
	CALL_PR_WRITE = 2177,
	CALL_PR_RECV = 2178,
	CALL_PR_SEND = 2179,
	CALL_GO_TLS_READ = 2240,
	CALL_GO_TLS_WRITE = 2241,
	CALL_KEYS = 0xffff, /* no call that is told */
};

/* ---- calls in progress ------------------------------------------------------------------------------------------ */

/* A call that has ended leaves its place, marked, behind: the next one at it, which in a loop is soon, need not be
 * inserted. */
#define CALL_ENDED 0

static __always_inline struct library_frame *place_of(u64 sp)
{
	struct library_frame_key key = {.sp = sp, .tgid = bpf_get_current_pid_tgid() >> 32};

	return bpf_map_lookup_elem(&library_frames, &key);
}

static __always_inline struct library_frame *frame_at(u64 sp)
{
	struct library_frame *frame = place_of(sp);

	return frame && frame->call != CALL_ENDED ? frame : NULL;
}

static __always_inline void put_frame(u64 sp, const struct library_frame *frame)
{
	struct library_frame_key key = {.sp = sp, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct library_frame *place = place_of(sp);

	if (place)
		*place = *frame;
	else if (bpf_map_update_elem(&library_frames, &key, frame, BPF_ANY))
		lost(PROBE_LOST_MAP, 0);
}

static __always_inline void drop_frame(u64 sp)
{
	struct library_frame *place = place_of(sp);

	if (place)
		place->call = CALL_ENDED;
}

/* A call on an object begins. */
static __always_inline int library_enter(u64 sp, struct library_frame *frame)
{
	u64 id = bpf_get_current_pid_tgid(), *innermost, within;
	struct library_frame *outer;
	u32 tid = (u32)id;

	if (!is_chosen(id >> 32))
		return 0;
	frame->start = bpf_ktime_get_ns();
	innermost = bpf_map_lookup_elem(&library_innermost, &tid);
	within = innermost ? *innermost : 0;
	outer = within ? frame_at(within) : NULL;
	if (outer && within == sp)
		frame->outer = outer->outer; /* it takes the other's place */
	else if (outer && within > sp)
		frame->outer = within;
	if (outer && within > sp && outer->object == frame->object && outer->how & frame->how & LIB_CARRIES &&
	    !((outer->how ^ frame->how) & LIB_OUT))
		frame->how |= LIB_WITHIN;
	put_frame(sp, frame);
	if (innermost)
		*innermost = sp;
	else
		bpf_map_update_elem(&library_innermost, &tid, &sp, BPF_ANY);
	return 0;
}

/* It ends; false: its beginning was not seen. */
static __always_inline bool library_leave(u64 sp, struct library_frame *frame)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct library_frame *found = frame_at(sp);
	u64 *innermost;

	if (!found || found->call == CALL_KEYS)
		return false;
	*frame = *found;
	found->call = CALL_ENDED;
	innermost = bpf_map_lookup_elem(&library_innermost, &tid);
	if (innermost)
		*innermost = frame->outer;
	return true;
}

/* ---- plaintext -------------------------------------------------------------------------------------------------- */

/* Nothing of a variable size can be reserved, so a record comes in one of these sizes; `h.len` tells what is valid. */
#define SMALL_CHUNK  512
#define MEDIUM_CHUNK 2048
#define LARGE_CHUNK  8192
#define WHOLE_CHUNK  PROBE_CHUNK_MAX
#define CHUNKS_MAX   2048 /* 32 MiB by one call */

/* The call's own record with its first payload bytes, or a further one; false when the ring is full. */
#define DEFINE_SEND_CALL(NAME, SIZE)                                                        \
	static __always_inline bool NAME(const struct probe_call *head, u64 from, u64 n)    \
	{                                                                                   \
		struct {                                                                    \
			struct probe_call call;                                             \
			u8 data[SIZE];                                                      \
		} *record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);                  \
                                                                                            \
		if (!record)                                                                \
			return false;                                                       \
		record->call = *head;                                                       \
		if (n > SIZE)                                                               \
			n = SIZE;                                                           \
		record->call.h.len = n && read_user(record->data, n, (void *)from) ? 0 : n; \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                               \
		return true;                                                                \
	}
DEFINE_SEND_CALL(send_small_call, SMALL_CHUNK)
DEFINE_SEND_CALL(send_medium_call, MEDIUM_CHUNK)
DEFINE_SEND_CALL(send_large_call, LARGE_CHUNK)
DEFINE_SEND_CALL(send_whole_call, WHOLE_CHUNK)

/* Chunk number i of a payload; non-zero when there are no more. Global, to be verified once for all turns of the loop:
 * so the loop itself knows nothing of offsets. */
__attribute__((noinline)) int send_data(u64 from, u64 bytes, u32 i)
{
	u64 offset = (u64)i * WHOLE_CHUNK, n = bytes - offset;
	struct {
		struct probe_data head;
		u8 data[WHOLE_CHUNK];
	} * record;

	if (offset >= bytes)
		return 1;
	record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
	if (!record) {
		lost(PROBE_LOST_PAYLOAD, n);
		return 1;
	}
	record->head.h.type = PROBE_DATA;
	record->head.h.flags = n > WHOLE_CHUNK ? PROBE_MORE : 0;
	if (n > WHOLE_CHUNK)
		n = WHOLE_CHUNK;
	barrier_var(n); /* the bound is this register's: the verifier must find it in the one that is used */
	record->head.h.len = read_user(record->data, n, (void *)(from + offset)) ? 0 : n;
	record->head.tid = (u32)bpf_get_current_pid_tgid();
	record->head.pad = 0;
	record->head.offset = offset;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

#define CHUNKS_AT_ONCE 64 /* so that the verifier walks through 64 + 32 turns, and not 2048 */

__attribute__((noinline)) int send_some(u64 from, u64 bytes, u32 first)
{
	for (u32 i = 0; i < CHUNKS_AT_ONCE; i++)
		if (send_data(from, bytes, first + i))
			return 1;
	return 0;
}

/* All chunks but the first. */
__attribute__((noinline)) int send_rest(u64 from, u64 bytes)
{
	for (u32 i = 0; i < CHUNKS_MAX; i += CHUNKS_AT_ONCE)
		if (send_some(from, bytes, i + 1))
			return 0;
	if (bytes > (u64)(CHUNKS_MAX + 1) * WHOLE_CHUNK)
		lost(PROBE_LOST_PAYLOAD, bytes - (u64)(CHUNKS_MAX + 1) * WHOLE_CHUNK);
	return 0;
}

/* Tells of the object's flow: its beginning, or its end (PROBE_CLOSED). */
static __always_inline void tell_object(const struct object_key *key, const struct object_state *state, u32 closed)
{
	u64 id = bpf_get_current_pid_tgid();
	struct probe_flow *record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);

	if (!record) {
		lost(PROBE_LOST_RING, 0);
		return;
	}
	__builtin_memset(record, 0, sizeof *record);
	record->h.type = PROBE_FLOW;
	record->id = state->id;
	record->opened = record->time = bpf_ktime_get_ns();
	record->tgid = id >> 32;
	record->tid = (u32)id;
	record->fd = -1;
	record->handle = key->object;
	record->protocol = state->library;
	record->flags = FLOW_STREAM;
	record->closed = closed;
	record->bytes[0] = state->bytes[0];
	record->bytes[1] = state->bytes[1];
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* The object's flow, told of when it is new. */
static __always_inline struct object_state *object_of(u64 object, u32 library)
{
	u64 id = bpf_get_current_pid_tgid();
	struct object_key key = {.object = object, .tgid = id >> 32};
	struct object_state fresh = {.library = library}, *state = bpf_map_lookup_elem(&objects, &key);

	if (state)
		return state;
	/* Unique beside the sockets' ids (flow.h) by its top bit; a thread can't open two objects in one ns. */
	fresh.id = 1ull << 63 | bpf_ktime_get_ns() << 16 | (id & 0xffff);
	if (bpf_map_update_elem(&objects, &key, &fresh, BPF_NOEXIST)) {
		state = bpf_map_lookup_elem(&objects, &key); /* another thread's, a moment ago */
		if (!state)
			lost(PROBE_LOST_MAP, 0);
		return state;
	}
	tell_object(&key, &fresh, PROBE_OPEN);
	return bpf_map_lookup_elem(&objects, &key);
}

/* The flow of an fd, if it is known: nothing that is per CPU may be touched to find out. */
static __always_inline u64 known_flow(s32 fd)
{
	struct probe_fd key = {.tgid = bpf_get_current_pid_tgid() >> 32, .fd = fd};
	struct probe_flow_state *flow = bpf_map_lookup_elem(&flows, &key);

	return flow && flow->file == (u64)file_of(fd) && is_recorded(flow) ? flow->id : 0;
}

static __always_inline void tell_call(const struct library_frame *frame, struct object_state *object, s64 ret)
{
	u64 id = bpf_get_current_pid_tgid(), bytes = ret > 0 ? ret : 0, count = 0, room;
	u32 dir = frame->how & LIB_OUT ? 1 : 0;
	struct probe_call head = {.h = {.type = PROBE_CALL}};
	bool sent;

	if (!(frame->how & LIB_CARRIES))
		bytes = 0;
	if (frame->how & LIB_COUNT && !(frame->how & LIB_RAW) && ret < 0)
		ret = 0;
	if (frame->how & LIB_COUNT && bytes) {
		bytes = read_user(&count, sizeof count, (void *)frame->count) ? 0 : count;
		ret = bytes;
	}
	head.start = frame->start;
	head.end = bpf_ktime_get_ns();
	head.tgid = id >> 32;
	head.tid = (u32)id;
	head.call = frame->call;
	head.fd = -1;
	head.ret = ret;
	head.flow = object->id;
	head.offset = object->bytes[dir];
	head.bytes = bytes;
	head.arg[0] = frame->len;
	head.arg[1] = frame->extra;
	head.dir = dir;
	if (frame->how & LIB_FD)
		head.other = known_flow(frame->len);
	if (frame->how & LIB_UNDER)
		head.other = object->under;
	if (frame->how & LIB_KERNEL)
		head.arg[2] = frame->count;
	if (frame->how & LIB_PEEK)
		head.h.flags |= PROBE_PEEK;
	else
		object->bytes[dir] += bytes; /* one object is one thread's at a time: they are not thread-safe */
	if (frame->how & LIB_KERNEL && bytes) {
		lost(PROBE_LOST_KERNEL, bytes);
		bytes = 0;
	}
	if (bytes > payload_max) {
		lost(PROBE_LOST_LONG, frame->how & LIB_PEEK ? 0 : bytes - payload_max);
		bytes = payload_max;
	}
	room = ring_room(bytes);
	if (room < bytes) {
		lost(PROBE_LOST_PAYLOAD, frame->how & LIB_PEEK ? 0 : bytes - room);
		bytes = room;
	}
	if (bytes > WHOLE_CHUNK)
		head.h.flags |= PROBE_MORE;
	if (bytes <= SMALL_CHUNK)
		sent = send_small_call(&head, frame->buffer, bytes);
	else if (bytes <= MEDIUM_CHUNK)
		sent = send_medium_call(&head, frame->buffer, bytes);
	else if (bytes <= LARGE_CHUNK)
		sent = send_large_call(&head, frame->buffer, bytes);
	else
		sent = send_whole_call(&head, frame->buffer, bytes);
	if (!sent)
		lost(PROBE_LOST_RING, frame->how & LIB_PEEK ? 0 : bytes);
	else if (bytes > WHOLE_CHUNK)
		send_rest(frame->buffer, bytes);
}

/* Every probed function that works on an object ends here. */
SEC("uretprobe")
int library_return(struct pt_regs *ctx)
{
	struct library_frame frame;
	struct object_state *object;
	s64 ret = PT_REGS_RC(ctx);

	if (!library_leave(PT_REGS_SP(ctx) + FRAME_AT_RETURN, &frame) || frame.how & LIB_WITHIN)
		return 0;
	if (!(frame.how & LIB_WIDE))
		ret = (s32)ret;
	object = object_of(frame.object, frame.call >= CALL_PR_READ              ? PROBE_LIBRARY_NSS
	                                 : frame.call >= CALL_GNUTLS_RECORD_RECV ? PROBE_LIBRARY_GNUTLS
	                                                                         : PROBE_LIBRARY_OPENSSL);
	if (object)
		tell_call(&frame, object, ret);
	return 0;
}

/* The object's end: its address will be another one's soon. */
static __always_inline void end_object(u64 object)
{
	u64 id = bpf_get_current_pid_tgid();
	struct object_key key = {.object = object, .tgid = id >> 32};
	struct object_state *state = bpf_map_lookup_elem(&objects, &key);

	if (!state || !is_chosen(id >> 32))
		return;
	tell_object(&key, state, PROBE_CLOSED);
	bpf_map_delete_elem(&objects, &key);
}

SEC("uprobe")
int BPF_KPROBE(library_free, u64 object)
{
	end_object(object);
	return 0;
}

/* A function (object, buffer, length, where it counts), told as CALL. */
#define DEFINE_LIBRARY_ENTER(NAME, CALL, HOW)                                                                      \
	SEC("uprobe")                                                                                              \
	int BPF_KPROBE(NAME, u64 object, u64 buffer, u64 len, u64 count)                                           \
	{                                                                                                          \
		struct library_frame frame = {                                                                     \
		        .object = object, .buffer = buffer, .len = len, .count = count, .call = CALL, .how = HOW}; \
                                                                                                                   \
		if (!((HOW) & (LIB_WIDE | LIB_COUNT)))                                                             \
			frame.len = (s32)len;                                                                      \
		return library_enter(PT_REGS_SP(ctx), &frame);                                                     \
	}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

/* As many of the bytes as there is room for. */
#define TAKE_BYTES(TO, LEN, ADDRESS)                                 \
	({                                                           \
		u64 take_ = (LEN);                                   \
                                                                     \
		if (take_ > sizeof(TO))                              \
			take_ = sizeof(TO);                          \
		barrier_var(take_);                                  \
		read_user(TO, take_, (void *)(ADDRESS)) ? 0 : (LEN); \
	})

/* A record of a secret, to be filled and submitted; NULL: there is no room. */
static __always_inline struct probe_key *new_key(u32 source)
{
	struct probe_key *record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
	u64 id = bpf_get_current_pid_tgid();

	if (!record) {
		lost(PROBE_LOST_RING, 0);
		return NULL;
	}
	record->h.type = PROBE_KEY;
	record->h.flags = 0;
	record->h.len = 0;
	record->time = bpf_ktime_get_ns();
	record->tgid = id >> 32;
	record->tid = (u32)id;
	record->source = source;
	record->label_len = record->id_len = record->value_len = 0;
	return record;
}

/* A derivation begins, whose result is read when it returns. */
static __always_inline int derivation_enter(u64 sp, u64 object, u64 out, u64 len, u64 info, u64 info_len)
{
	struct library_frame frame = {
	        .object = object, .buffer = out, .len = len, .count = info_len, .extra = info, .call = CALL_KEYS};

	if (!is_chosen(bpf_get_current_pid_tgid() >> 32))
		return 0;
	put_frame(sp, &frame);
	return 1;
}

#endif
