/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef OPENSSL_H
#define OPENSSL_H

/*
 * OpenSSL 3: the secrets, and the plaintext that SSL_read and SSL_write hand over.
 *
 * Secrets. Every TLS key is derived through libcrypto's exported EVP_KDF_derive(ctx, key, keylen, params): the
 * parameters name what is derived, the return brings it. No offset of any private struct is needed. Both are sent as
 * they are; what they mean is sorted out by record/secrets.c.
 *
 * Plaintext. An SSL object's bytes are a flow of their own, known by the object's address: which fd it belongs to is
 * decided offline from evidence, never here.
 *
 * Uprobes can be preempted in the middle by another task that hits one on the same CPU. So, other than in the system
 * calls' programs, nothing is built in per-CPU memory: records are written in place, in the ring.
 */
#include "bpf/io_uring.h"

struct ossl_param { /* OSSL_PARAM(3) */
	u64 key;
	u32 data_type;
	u32 pad;
	u64 data;
	u64 data_size;
	u64 return_size;
};

struct library_call {
	u64 start;
	u64 object; /* SSL *, EVP_KDF_CTX * */
	u64 buffer;
	u64 len;
	u64 count; /* size_t * of the _ex variants */
};

/* A thread's library calls in progress, one of each kind. */
struct library_key {
	u32 tid;
	u32 call;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct library_key);
	__type(value, struct library_call);
} library_calls SEC(".maps");

/* An SSL object's life. */
struct object_key {
	u64 object;
	u32 tgid;
	u32 pad;
};

struct object_state {
	u64 id;
	u64 bytes[2];
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
	CALL_SSL_FREE = 2052,
	CALL_KDF = 0xffff,
};

static __always_inline int library_enter(u32 call, u64 object, u64 buffer, u64 len, u64 count)
{
	u64 id = bpf_get_current_pid_tgid();
	struct library_key key = {.tid = (u32)id, .call = call};
	struct library_call state = {
	        .start = bpf_ktime_get_ns(), .object = object, .buffer = buffer, .len = len, .count = count};

	if (!is_chosen(id >> 32))
		return 0;
	if (bpf_map_update_elem(&library_calls, &key, &state, BPF_ANY)) {
		lost(PROBE_LOST_MAP, 0);
		return 0;
	}
	return 1;
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

SEC("uprobe")
int BPF_KPROBE(kdf_enter, u64 context, u64 out, u64 out_len, u64 params)
{
	u64 id = bpf_get_current_pid_tgid();
	struct ossl_param param;
	struct probe_kdf *record;

	if (!library_enter(CALL_KDF, context, out, out_len, 0))
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

		if (bpf_probe_read_user(&param, sizeof param, (void *)(params + i * sizeof param)) || !param.key)
			break;
		to->name[0] = 0;
		bpf_probe_read_user_str(to->name, sizeof to->name, (void *)param.key);
		to->type = param.data_type;
		to->size = param.data_size;
		n = param.data_size < PROBE_KDF_DATA ? param.data_size : PROBE_KDF_DATA;
		if (bpf_probe_read_user(to->data, n, (void *)param.data))
			to->size = 0;
		record->n_params = i + 1;
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(kdf_return, int ret)
{
	u64 id = bpf_get_current_pid_tgid();
	struct library_key key = {.tid = (u32)id, .call = CALL_KDF};
	struct library_call *call = bpf_map_lookup_elem(&library_calls, &key);
	struct probe_kdf_out *record;
	u64 n;

	if (!call)
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
	if (!record) {
		lost(PROBE_LOST_RING, 0);
		goto out;
	}
	record->h.type = PROBE_KDF_RESULT;
	record->h.flags = 0;
	n = ret > 0 ? call->len : 0;
	if (n > PROBE_KDF_OUT)
		n = PROBE_KDF_OUT;
	record->h.len = bpf_probe_read_user(record->data, n, (void *)call->buffer) ? 0 : n;
	record->tgid = id >> 32;
	record->tid = (u32)id;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
out:
	bpf_map_delete_elem(&library_calls, &key);
	return 0;
}

/* ---- plaintext -------------------------------------------------------------------------------------------------- */

/* Nothing of a variable size can be reserved, so a record comes in one of these sizes; `h.len` tells what is valid. */
#define SMALL_CHUNK 512
#define LARGE_CHUNK PROBE_CHUNK_MAX
#define CHUNKS_MAX  2048 /* 32 MiB by one call */

/* The call's own record with its first payload bytes, or a further one; false when the ring is full. */
#define DEFINE_SEND_CALL(NAME, SIZE)                                                                  \
	static __always_inline bool NAME(const struct probe_call *head, u64 from, u64 n)              \
	{                                                                                             \
		struct {                                                                              \
			struct probe_call call;                                                       \
			u8 data[SIZE];                                                                \
		} *record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);                            \
                                                                                                      \
		if (!record)                                                                          \
			return false;                                                                 \
		record->call = *head;                                                                 \
		if (n > SIZE)                                                                         \
			n = SIZE;                                                                     \
		record->call.h.len = n && bpf_probe_read_user(record->data, n, (void *)from) ? 0 : n; \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);                                         \
		return true;                                                                          \
	}
DEFINE_SEND_CALL(send_small_call, SMALL_CHUNK)
DEFINE_SEND_CALL(send_large_call, LARGE_CHUNK)

/* Chunk number i of a payload; non-zero when there are no more. Global, to be verified once for all turns of the loop:
 * so the loop itself knows nothing of offsets. */
__attribute__((noinline)) int send_data(u64 from, u64 bytes, u32 i)
{
	u64 offset = (u64)i * LARGE_CHUNK, n = bytes - offset;
	struct {
		struct probe_data head;
		u8 data[LARGE_CHUNK];
	} * record;

	if (offset >= bytes)
		return 1;
	record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
	if (!record) {
		lost(PROBE_LOST_PAYLOAD, n);
		return 1;
	}
	record->head.h.type = PROBE_DATA;
	record->head.h.flags = n > LARGE_CHUNK ? PROBE_MORE : 0;
	if (n > LARGE_CHUNK)
		n = LARGE_CHUNK;
	barrier_var(n); /* the bound is this register's: the verifier must find it in the one that is used */
	record->head.h.len = bpf_probe_read_user(record->data, n, (void *)(from + offset)) ? 0 : n;
	record->head.tid = (u32)bpf_get_current_pid_tgid();
	record->head.pad = 0;
	record->head.offset = offset;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* All chunks but the first. */
__attribute__((noinline)) int send_rest(u64 from, u64 bytes)
{
	for (u32 i = 1; i < CHUNKS_MAX; i++)
		if (send_data(from, bytes, i))
			return 0;
	if (bytes > (u64)CHUNKS_MAX * LARGE_CHUNK)
		lost(PROBE_LOST_PAYLOAD, bytes - (u64)CHUNKS_MAX * LARGE_CHUNK);
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
	record->time = bpf_ktime_get_ns();
	record->tgid = id >> 32;
	record->tid = (u32)id;
	record->fd = -1;
	record->handle = key->object;
	record->flags = FLOW_STREAM;
	record->closed = closed;
	record->bytes[0] = state->bytes[0];
	record->bytes[1] = state->bytes[1];
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* The object's flow, told of when it is new. */
static __always_inline struct object_state *object_of(u64 object)
{
	u64 id = bpf_get_current_pid_tgid();
	struct object_key key = {.object = object, .tgid = id >> 32};
	struct object_state fresh = {}, *state = bpf_map_lookup_elem(&objects, &key);

	if (state)
		return state;
	/* Unique beside the sockets' ids (flow.h) by its top bit; a thread can't open two objects in one ns. */
	fresh.id = 1ull << 63 | bpf_ktime_get_ns() << 16 | (id & 0xffff);
	if (bpf_map_update_elem(&objects, &key, &fresh, BPF_ANY)) {
		lost(PROBE_LOST_MAP, 0);
		return NULL;
	}
	tell_object(&key, &fresh, PROBE_OPEN);
	return bpf_map_lookup_elem(&objects, &key);
}

/* `ex`: success is 1, and the count stands in the program's memory. */
static __always_inline int ssl_return(u32 which, u32 dir, bool ex, int ret)
{
	u64 id = bpf_get_current_pid_tgid(), bytes = ret > 0 ? ret : 0, count = 0, room;
	struct library_key key = {.tid = (u32)id, .call = which};
	struct library_call *found = bpf_map_lookup_elem(&library_calls, &key), call;
	struct probe_call head = {.h = {.type = PROBE_CALL}};
	struct object_state *object;
	bool sent;

	if (!found)
		return 0;
	call = *found;
	bpf_map_delete_elem(&library_calls, &key);
	object = object_of(call.object);
	if (!object)
		return 0;
	if (ex && bytes)
		bytes = bpf_probe_read_user(&count, sizeof count, (void *)call.count) ? 0 : count;
	head.start = call.start;
	head.end = bpf_ktime_get_ns();
	head.tgid = id >> 32;
	head.tid = (u32)id;
	head.call = which;
	head.fd = -1;
	head.ret = ex && bytes ? (s64)bytes : ret;
	head.flow = object->id;
	head.offset = object->bytes[dir];
	head.bytes = bytes;
	head.arg[0] = call.len;
	head.dir = dir;
	object->bytes[dir] += bytes; /* one object is one thread's at a time: SSL objects are not thread-safe */
	if (bytes > payload_max) {
		lost(PROBE_LOST_LONG, bytes - payload_max);
		bytes = payload_max;
	}
	room = ring_room(bytes);
	if (room < bytes) {
		lost(PROBE_LOST_PAYLOAD, bytes - room);
		bytes = room;
	}
	if (bytes > LARGE_CHUNK)
		head.h.flags |= PROBE_MORE;
	sent = bytes <= SMALL_CHUNK ? send_small_call(&head, call.buffer, bytes)
	                            : send_large_call(&head, call.buffer, bytes);
	if (!sent) {
		lost(PROBE_LOST_RING, bytes);
		return 0;
	}
	if (bytes > LARGE_CHUNK)
		send_rest(call.buffer, bytes);
	return 0;
}

#define DEFINE_SSL(NAME, CALL, DIR)                                              \
	SEC("uprobe")                                                            \
	int BPF_KPROBE(NAME##_enter, u64 ssl, u64 buffer, int len)               \
	{                                                                        \
		library_enter(CALL, ssl, buffer, len, 0);                        \
		return 0;                                                        \
	}                                                                        \
	SEC("uretprobe")                                                         \
	int BPF_KRETPROBE(NAME##_return, int ret)                                \
	{                                                                        \
		return ssl_return(CALL, DIR, false, ret);                        \
	}                                                                        \
	SEC("uprobe")                                                            \
	int BPF_KPROBE(NAME##_ex_enter, u64 ssl, u64 buffer, u64 len, u64 count) \
	{                                                                        \
		library_enter(CALL + 1, ssl, buffer, len, count);                \
		return 0;                                                        \
	}                                                                        \
	SEC("uretprobe")                                                         \
	int BPF_KRETPROBE(NAME##_ex_return, int ret)                             \
	{                                                                        \
		return ssl_return(CALL + 1, DIR, true, ret);                     \
	}
DEFINE_SSL(ssl_read, CALL_SSL_READ, 0)
DEFINE_SSL(ssl_write, CALL_SSL_WRITE, 1)

/* The address will be another object's soon: its life ends here. */
SEC("uprobe")
int BPF_KPROBE(ssl_free_enter, u64 ssl)
{
	u64 id = bpf_get_current_pid_tgid();
	struct object_key key = {.object = ssl, .tgid = id >> 32};
	struct object_state *state = bpf_map_lookup_elem(&objects, &key);

	if (!state || !is_chosen(id >> 32))
		return 0;
	tell_object(&key, state, PROBE_CLOSED);
	bpf_map_delete_elem(&objects, &key);
	return 0;
}

#endif
