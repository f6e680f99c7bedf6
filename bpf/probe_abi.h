/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PROBE_ABI_H
#define PROBE_ABI_H

/*
 * What crosses the ring buffer from the probes to the recorder, and the knobs that the recorder sets before loading.
 * Both sides are built together: nothing here is ever written to disk. Every size is pinned below, so that the two
 * compilers can't disagree.
 */
#include <linux/types.h>

#define PROBE_SYSCALLS_MAX 512   /* syscall numbers that can be chosen */
#define PROBE_CHUNK_MAX    16384 /* payload bytes of one ring record */
#define PROBE_UNIX_MAX     108   /* sizeof sockaddr_un.sun_path */
#define PROBE_PEER_MAX     28    /* sizeof sockaddr_in6 */
#define PROBE_PATH_MAX     512
#define PROBE_ARGS_MAX     1024
#define PROBE_KDF_PARAMS   10
#define PROBE_KDF_NAME     16
#define PROBE_KDF_DATA     256
#define PROBE_KDF_OUT      128
#define PROBE_KEY_LABEL    64
#define PROBE_KEY_DATA     256

/* Every record begins with this. */
struct probe_header {
	__u16 type;  /* enum probe_type */
	__u16 flags; /* enum probe_flag */
	__u32 len;   /* bytes that follow the record's fixed part */
};

enum probe_type {
	PROBE_CALL = 1, /* struct probe_call, then `len` bytes of payload */
	PROBE_DATA = 2, /* struct probe_data, then `len` more bytes of the same thread's last call */
	PROBE_FLOW = 3,
	PROBE_EXEC = 4,
	PROBE_FORK = 5,
	PROBE_EXIT = 6,
	PROBE_KDF = 7,        /* EVP_KDF_derive was entered */
	PROBE_KDF_RESULT = 8, /* and returned */
	PROBE_NAME = 9,       /* a thread takes another name */
	PROBE_KEY = 10,       /* a library other than OpenSSL 3 has a secret */
	PROBE_MAPPED = 11,    /* a file was mapped to be run */
};

enum probe_flag {
	PROBE_MORE = 1 << 0,      /* CALL, DATA: a DATA record of this thread follows */
	PROBE_NO_START = 1 << 1,  /* CALL: the entry was not seen */
	PROBE_PEEK = 1 << 2,      /* CALL: MSG_PEEK */
	PROBE_CONTINUES = 1 << 3, /* CALL: a further message of the call before */
	PROBE_PASSED = 1 << 4,    /* CALL: fds came or went with it */
};

/* A finished call; enum fdtape_call says which. */
struct probe_call {
	struct probe_header h;
	__u64 start; /* CLOCK_MONOTONIC */
	__u64 end;
	__u32 tgid;
	__u32 tid;
	__u32 call;
	__s32 fd;
	__s64 ret;
	__u64 flow;   /* struct probe_flow.id; 0: none */
	__u64 offset; /* of the flow's direction, before this call */
	__u64 bytes;  /* carried */
	__u64 arg[3];
	__u64 other; /* another flow that the call is about: accepted, dup'ed, copied from or to */
	__u32 dir;
	__u32 peer_len;            /* of peer */
	__u8 peer[PROBE_PEER_MAX]; /* a datagram's: the sockaddr as the program sees it */
	__u32 pad;
	/* sendfile: what was copied from the other file. */
	__u64 file_inode; /* 0: nothing that could be read again */
	__u64 file_offset;
};

struct probe_data {
	struct probe_header h;
	__u32 tid;
	__u32 pad;
	__u64 offset; /* within the call's payload */
};

struct probe_address {
	__u16 family; /* AF_ of the kernel; 0: not known */
	__u16 port;   /* host order */
	__u32 len;    /* of addr */
	__u8 addr[PROBE_UNIX_MAX];
};

/* A flow was seen first, or more is known of it. */
struct probe_flow {
	struct probe_header h; /* len: bytes of the file's path that follow, without NUL */
	__u64 id;              /* unique in the recording, not dense */
	__u64 time;
	__u64 opened; /* or seen first; not later than `time` */
	__u32 tgid;
	__u32 tid;
	__s32 fd;
	__u16 family;   /* AF_ */
	__u16 type;     /* SOCK_ */
	__u32 protocol; /* IPPROTO_ */
	__u32 role;     /* enum fdtape_role */
	__u32 flags;    /* enum fdtape_flow_flag */
	__u32 closed;   /* enum probe_closed */
	__u32 kind;     /* enum fdtape_kind */
	__u32 pad;
	__u64 inode;
	__u64 handle; /* SSL *: then fd is -1 and the socket's fields are 0, but `protocol`: enum probe_library */
	__u64 bytes[2];
	struct probe_address local;
	struct probe_address remote;
};

enum probe_library {
	PROBE_LIBRARY_OPENSSL = 0,
	PROBE_LIBRARY_GNUTLS,
	PROBE_LIBRARY_NSS,
	PROBE_LIBRARY_GO,
	PROBE_LIBRARIES,
};

enum probe_closed {
	PROBE_OPEN = 0,
	PROBE_CLOSED = 1,
	PROBE_CLOSING = 2, /* by close(), whose own record follows */
};

struct probe_exec {
	struct probe_header h;
	__u64 time;
	__u32 tgid;
	__u32 ppid;
	__u32 uid;
	__u32 args_len; /* bytes of args, NUL-separated */
	__u32 path_len; /* bytes of path; 0: not known */
	__u32 chosen;   /* 0: the new image is not; nothing more comes of this process */
	__u64 started;  /* of the process */
	__u64 inode;    /* of the executable */
	char comm[16];
	char path[PROBE_PATH_MAX]; /* of the executable, from the root, without NUL */
	char args[PROBE_ARGS_MAX];
};

struct probe_fork {
	struct probe_header h;
	__u64 time;
	__u32 tgid; /* of the parent */
	__u32 tid;
	__u32 child;
	__u32 uid;
	char comm[16];
};

struct probe_name {
	struct probe_header h;
	__u64 time;
	__u32 tgid;
	__u32 tid;
	char comm[16];
};

struct probe_exit {
	struct probe_header h;
	__u64 time;
	__u32 tgid;
	__u32 tid;
	__u32 code; /* wait status */
	__u32 pad;
};

/* OSSL_PARAM, as far as it is of interest. */
struct probe_kdf_param {
	char name[PROBE_KDF_NAME];
	__u32 size; /* of the parameter; data holds at most PROBE_KDF_DATA of it */
	__u32 type; /* OSSL_PARAM_INTEGER, ... */
	__u8 data[PROBE_KDF_DATA];
};

struct probe_kdf {
	struct probe_header h;
	__u64 time;
	__u32 tgid;
	__u32 tid;
	__u32 n_params;
	__u32 pad;
	struct probe_kdf_param param[PROBE_KDF_PARAMS];
};

struct probe_kdf_out {
	struct probe_header h; /* len: bytes of data */
	__u32 tgid;
	__u32 tid;
	__u8 data[PROBE_KDF_OUT];
};

/* Who told of a secret, and so what its parts are. */
enum probe_key_source {
	PROBE_KEY_HKDF = 1,        /* nettle_hkdf_expand: id the info, value what came out */
	PROBE_KEY_PRF = 2,         /* _gnutls_prf_raw: label, id the seed, value the secret */
	PROBE_KEY_GO = 3,          /* writeKeyLog: label, id the client random, value */
	PROBE_KEY_PKEY = 4,        /* EVP_PKEY_CTX_ctrl: label the command's number, id what was set; no value */
	PROBE_KEY_PKEY_OUT = 5,    /* EVP_PKEY_derive: value what came out */
	PROBE_KEY_BORING_HKDF = 6, /* HKDF_expand: id the info, value what came out */
	PROBE_KEY_BORING_PRF = 7,  /* CRYPTO_tls1_prf: label, id both seeds, value the secret */
};

struct probe_key {
	struct probe_header h;
	__u64 time;
	__u32 tgid;
	__u32 tid;
	__u32 source; /* enum probe_key_source */
	/* As long as they were; what is longer than there is room for is cut. */
	__u32 label_len;
	__u32 id_len;
	__u32 value_len;
	__u8 label[PROBE_KEY_LABEL];
	__u8 id[PROBE_KEY_DATA];
	__u8 value[PROBE_KEY_DATA];
};

struct probe_mapped {
	struct probe_header h;
	__u64 inode;
	__u32 tgid;
	__u32 path_len;            /* 0: not known */
	char path[PROBE_PATH_MAX]; /* from the root of its mount namespace, without NUL */
};

/* Per CPU, only ever growing. Indexed by PROBE_LOST_*. */
enum probe_lost {
	PROBE_LOST_RING = 0,   /* records refused by a full ring */
	PROBE_LOST_PAYLOAD,    /* calls whose payload was left out because the ring was nearly full */
	PROBE_LOST_UNREADABLE, /* calls whose payload could not be read (whole) */
	PROBE_LOST_LONG,       /* calls with more payload than was asked for */
	PROBE_LOST_MAP,        /* calls, flows or processes that found no room in a map */
	PROBE_LOST_BLIND,      /* 32-bit calls: not decoded */
	PROBE_LOST_KERNEL,     /* bytes that never were in the program's memory */
	PROBE_LOST_URING,      /* io_uring requests whose payload can't be had */
	PROBE_LOST_N,
};

struct probe_stats {
	__u64 count[PROBE_LOST_N];
	__u64 bytes[PROBE_LOST_N];
};

/* How a syscall's arguments are to be read. */
enum probe_shape {
	PROBE_SHAPE_NONE = 0, /* not chosen */
	/* These carry bytes between the program's memory and the fd. */
	PROBE_SHAPE_BUF,      /* fd, buf, len */
	PROBE_SHAPE_PBUF,     /* fd, buf, len, offset */
	PROBE_SHAPE_SOCKBUF,  /* fd, buf, len, flags, address, address length */
	PROBE_SHAPE_IOV,      /* fd, iov, iovcnt */
	PROBE_SHAPE_PIOV,     /* fd, iov, iovcnt, offset, offset's high half, flags */
	PROBE_SHAPE_VMSPLICE, /* fd, iov, iovcnt, flags; the direction is the pipe end's */
	PROBE_SHAPE_MSG,      /* fd, msghdr, flags */
	PROBE_SHAPE_MMSG,     /* fd, mmsghdr, count, flags */
	PROBE_SHAPE_CARRIES = PROBE_SHAPE_MMSG,
	/* These carry them between two fds. */
	PROBE_SHAPE_SENDFILE, /* out fd, in fd, offset *, len */
	PROBE_SHAPE_SPLICE,   /* in fd, offset *, out fd, offset *, len, flags */
	PROBE_SHAPE_TEE,      /* in fd, out fd, len, flags */
	/* These make fds. */
	PROBE_SHAPE_SOCKET,
	PROBE_SHAPE_PAIR,   /* domain, type, protocol, int[2] */
	PROBE_SHAPE_PIPE,   /* int[2]; with dir 1: flags */
	PROBE_SHAPE_OPEN,   /* path, flags, mode */
	PROBE_SHAPE_OPENAT, /* folder, path, flags, mode */
	PROBE_SHAPE_ACCEPT,
	PROBE_SHAPE_DUP,   /* fd; the result is the new one */
	PROBE_SHAPE_DUP2,  /* fd, new; with dir 1: flags */
	PROBE_SHAPE_FCNTL, /* fd, command, argument */
	/* These change them. */
	PROBE_SHAPE_CONNECT,
	PROBE_SHAPE_BIND,   /* fd, address, length */
	PROBE_SHAPE_LISTEN, /* fd, backlog */
	PROBE_SHAPE_SHUTDOWN,
	PROBE_SHAPE_SETSOCKOPT, /* fd, level, name, value, length */
	PROBE_SHAPE_GETSOCKOPT, /* ..., length * */
	/* These end them. */
	PROBE_SHAPE_CLOSE,
	PROBE_SHAPE_CLOSE_RANGE, /* first, last, flags */
	/* This maps a file, maybe one with code. */
	PROBE_SHAPE_MMAP, /* address, length, protection, flags, fd, offset */
};

struct probe_syscall {
	__u16 call; /* enum fdtape_call */
	__u8 shape; /* enum probe_shape */
	__u8 dir;   /* enum fdtape_dir */
};

/* Which processes: see record/selection.h for what they mean. A pattern is translated to sets of characters. */
#define PROBE_EXES        8
#define PROBE_PATTERN_MAX 64
#define PROBE_COMMS       8
#define PROBE_UIDS        16
#define PROBE_CGROUPS     8
#define PROBE_PORTS       16

struct probe_pattern {
	__u32 n;                         /* characters it takes */
	__u32 open_end;                  /* `*` stands behind the last */
	__u8 star[PROBE_PATTERN_MAX];    /* `*` stands before this one */
	__u64 set[PROBE_PATTERN_MAX][4]; /* bit c: takes the character c */
};

enum probe_chosen {             /* bits: why a process is chosen */
	PROBE_CHOSEN_PID = 1,   /* named, or a child of one that is */
	PROBE_CHOSEN_IMAGE = 2, /* by its executable and name */
};

#define PROBE_PID_MAX     (4 << 20) /* PID_MAX_LIMIT of a 64-bit kernel */
#define PROBE_CHOSEN_PIDS 64        /* whose bytes are one element of `chosen` */

struct probe_choice {
	__u32 need; /* enum probe_chosen: all of these; 0: every process */
	__u32 follow;
	__u32 n_exes, n_comms, n_uids, n_cgroups, n_ports;
	__u32 uid[PROBE_UIDS];
	__u32 cgroup_level[PROBE_CGROUPS];
	__u64 cgroup[PROBE_CGROUPS];
	__u16 port[PROBE_PORTS];
	char comm[PROBE_COMMS][16];
	struct probe_pattern exe[PROBE_EXES];
};

/* What a thread is in. */
struct probe_inflight {
	__u64 start;
	__u32 nr;
	__u32 armed; /* it is in there now */
	__u64 flow;  /* close: what it ends */
	__u64 arg[6];
	__u32 tgid;
	__u32 pad;
};

/* Which thread group, which fd. */
struct probe_fd {
	__u32 tgid;
	__s32 fd;
};

enum probe_state_flag { /* beside those of enum fdtape_flow_flag */
	PROBE_STATE_DGRAM = 1u << 24, /* its calls may have addresses of their own */
	PROBE_STATE_FILE = 1u << 25,  /* no socket */
	PROBE_STATE_PIPE = 1u << 26,  /* likewise */
};

/* What the probes keep of a flow; the recorder reads it when a process ends, and when records were lost. */
struct probe_flow_state {
	__u64 id;
	__u64 file; /* struct file * */
	__u64 inode;
	__u64 bytes[2];
	__u32 flags; /* enum fdtape_flow_flag, enum probe_state_flag, and those of bpf/flow.h */
	__u32 role;
	__u64 opened;
	__u64 ended; /* when, if that could not be told: see unsettled in bpf/flow.h */
	__u32 tgid;
	__s32 fd;
};

#define PROBE_PIN(type, size) _Static_assert(sizeof(struct type) == (size), #type)
PROBE_PIN(probe_header, 8);
PROBE_PIN(probe_call, 160);
PROBE_PIN(probe_data, 24);
PROBE_PIN(probe_address, 116);
PROBE_PIN(probe_flow, 336);
PROBE_PIN(probe_exec, 1608);
PROBE_PIN(probe_name, 40);
PROBE_PIN(probe_fork, 48);
PROBE_PIN(probe_exit, 32);
PROBE_PIN(probe_kdf_param, 280);
PROBE_PIN(probe_kdf, 2832);
PROBE_PIN(probe_kdf_out, 144);
PROBE_PIN(probe_key, 616);
PROBE_PIN(probe_mapped, 536);
PROBE_PIN(probe_syscall, 4);
PROBE_PIN(probe_fd, 8);
PROBE_PIN(probe_flow_state, 72);
PROBE_PIN(probe_inflight, 80);
PROBE_PIN(probe_pattern, 2120);
PROBE_PIN(probe_choice, 17312);

#endif
