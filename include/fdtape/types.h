/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FDTAPE_TYPES_H
#define FDTAPE_TYPES_H

/*
 * The data model of a tape: what a recording consists of, whoever recorded it.
 *
 * A tape is a sequence of *items*: definitions (clock, process, thread, flow), events, secrets and losses, in the order
 * in which the recorder saw them. An item refers only to what was defined before it.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC of the recorded host unless a name says otherwise.
 * Numbers that are not known to this build (of a call, a kind, a reason, a flag, ...) are given as they are on the
 * tape, with one exception: fdtape_event.dir is 0 or 1. A tape on which it is another is damaged, and no writer accepts
 * it, so that it can be used as an index.
 * Nothing else is checked for sense. A tape may say offset + bytes or time + duration above 2^64 - 1: who adds them up
 * decides what that means. libfdtape itself takes the end of an event as 2^64 - 1 then, and lets sums of bytes (struct
 * fdtape_totals) wrap around.
 * Strings are NUL-terminated bytes as the kernel gave them, never NULL when read ("" = not known), not necessarily
 * UTF-8, and hostile: escape them before they reach a terminal.
 */
#include <stddef.h>
#include <stdint.h>

#include <fdtape/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fdtape_dir {
	FDTAPE_IN = 0,  /* what the process read from the fd */
	FDTAPE_OUT = 1, /* what it wrote */
};

/* What was called. Numbers are on the tape: never changed, never reused; an unknown number is kept and shown. */
enum fdtape_call {
	FDTAPE_CALL_NONE = 0,

	/* System calls: fdtape_call_module() is "syscall". */
	FDTAPE_CALL_READ = 1,
	FDTAPE_CALL_WRITE = 2,
	FDTAPE_CALL_READV = 3,
	FDTAPE_CALL_WRITEV = 4,
	FDTAPE_CALL_RECVFROM = 5,
	FDTAPE_CALL_SENDTO = 6,
	FDTAPE_CALL_RECVMSG = 7,
	FDTAPE_CALL_SENDMSG = 8,
	FDTAPE_CALL_SOCKET = 9,
	FDTAPE_CALL_CONNECT = 10,
	FDTAPE_CALL_ACCEPT = 11,
	FDTAPE_CALL_ACCEPT4 = 12,
	FDTAPE_CALL_CLOSE = 13,
	FDTAPE_CALL_PREAD64 = 14,
	FDTAPE_CALL_PWRITE64 = 15,
	FDTAPE_CALL_PREADV = 16,
	FDTAPE_CALL_PWRITEV = 17,
	FDTAPE_CALL_PREADV2 = 18,
	FDTAPE_CALL_PWRITEV2 = 19,
	FDTAPE_CALL_RECVMMSG = 20,
	FDTAPE_CALL_SENDMMSG = 21,
	FDTAPE_CALL_SENDFILE = 22,
	FDTAPE_CALL_SPLICE = 23,
	FDTAPE_CALL_TEE = 24,
	FDTAPE_CALL_VMSPLICE = 25,
	FDTAPE_CALL_COPY_FILE_RANGE = 26,
	FDTAPE_CALL_SOCKETPAIR = 27,
	FDTAPE_CALL_BIND = 28,
	FDTAPE_CALL_LISTEN = 29,
	FDTAPE_CALL_SHUTDOWN = 30,
	FDTAPE_CALL_CLOSE_RANGE = 31,
	FDTAPE_CALL_DUP = 32,
	FDTAPE_CALL_DUP2 = 33,
	FDTAPE_CALL_DUP3 = 34,
	FDTAPE_CALL_FCNTL = 35,
	FDTAPE_CALL_SETSOCKOPT = 36,
	FDTAPE_CALL_GETSOCKOPT = 37,
	FDTAPE_CALL_PIPE = 38,
	FDTAPE_CALL_PIPE2 = 39,
	FDTAPE_CALL_OPEN = 40,
	FDTAPE_CALL_OPENAT = 41,
	FDTAPE_CALL_OPENAT2 = 42,
	FDTAPE_CALL_CREAT = 43,
	FDTAPE_CALL_IO_URING_SETUP = 44,
	FDTAPE_CALL_IO_URING_ENTER = 45,
	FDTAPE_CALL_IO_URING_REGISTER = 46,
	FDTAPE_CALL_LSEEK = 47,
	FDTAPE_CALL_FSYNC = 48,
	FDTAPE_CALL_FTRUNCATE = 49,
	FDTAPE_CALL_IOCTL = 50,

	/* Requests that io_uring carried out, each an event of its own when it is complete: "io_uring". */
	FDTAPE_CALL_IO_URING_READ = 64,
	FDTAPE_CALL_IO_URING_WRITE = 65,
	FDTAPE_CALL_IO_URING_RECV = 66,
	FDTAPE_CALL_IO_URING_SEND = 67,
	FDTAPE_CALL_IO_URING_RECVMSG = 68,
	FDTAPE_CALL_IO_URING_SENDMSG = 69,
	FDTAPE_CALL_IO_URING_ACCEPT = 70,
	FDTAPE_CALL_IO_URING_CONNECT = 71,
	FDTAPE_CALL_IO_URING_CLOSE = 72,
	FDTAPE_CALL_IO_URING_SPLICE = 73,
	FDTAPE_CALL_IO_URING_OTHER = 74,

	/* A process' life: "process". */
	FDTAPE_CALL_EXEC = 1024, /* result 0 */
	FDTAPE_CALL_FORK = 1025, /* result: the child's pid */
	FDTAPE_CALL_EXIT = 1026, /* result: the wait status, as in waitpid(2) */

	/* Library calls. The flow is of kind FDTAPE_KIND_LIBRARY: the life of one SSL object, GnuTLS session,
	 * PRFileDesc or tls.Conn. "openssl": */
	FDTAPE_CALL_SSL_READ = 2048,
	FDTAPE_CALL_SSL_READ_EX = 2049,
	FDTAPE_CALL_SSL_WRITE = 2050,
	FDTAPE_CALL_SSL_WRITE_EX = 2051,
	FDTAPE_CALL_SSL_FREE = 2052,
	FDTAPE_CALL_SSL_PEEK = 2053,
	FDTAPE_CALL_SSL_PEEK_EX = 2054,
	FDTAPE_CALL_SSL_WRITE_EX2 = 2055,
	FDTAPE_CALL_SSL_SENDFILE = 2056,
	FDTAPE_CALL_SSL_DO_HANDSHAKE = 2057,
	FDTAPE_CALL_SSL_CONNECT = 2058,
	FDTAPE_CALL_SSL_ACCEPT = 2059,
	FDTAPE_CALL_SSL_SET_FD = 2060,
	FDTAPE_CALL_SSL_SET_RFD = 2061,
	FDTAPE_CALL_SSL_SET_WFD = 2062,
	/* "gnutls" */
	FDTAPE_CALL_GNUTLS_RECORD_RECV = 2112,
	FDTAPE_CALL_GNUTLS_RECORD_RECV_SEQ = 2113,
	FDTAPE_CALL_GNUTLS_RECORD_SEND = 2114,
	FDTAPE_CALL_GNUTLS_RECORD_SEND2 = 2115,
	FDTAPE_CALL_GNUTLS_HANDSHAKE = 2116,
	FDTAPE_CALL_GNUTLS_DEINIT = 2117,
	/* "nss": NSPR's, on files with a layer, as TLS is one */
	FDTAPE_CALL_PR_READ = 2176,
	FDTAPE_CALL_PR_WRITE = 2177,
	FDTAPE_CALL_PR_RECV = 2178,
	FDTAPE_CALL_PR_SEND = 2179,
	FDTAPE_CALL_PR_CLOSE = 2180,
	/* "go": crypto/tls */
	FDTAPE_CALL_GO_TLS_READ = 2240,
	FDTAPE_CALL_GO_TLS_WRITE = 2241,
	FDTAPE_CALL_GO_TLS_CLOSE = 2242,
};

/* "read", "SSL_write_ex", ...; NULL for a number that this build does not know. */
FDTAPE_API const char *fdtape_call_name(uint32_t call);
/* "syscall", "io_uring", "process", "openssl", "gnutls", "nss", "go"; NULL for a number that this build does not know. */
FDTAPE_API const char *fdtape_call_module(uint32_t call);
/* Whether the call's events may carry bytes (fdtape_event.bytes): 1, 0; 0 for a number that this build does not know.
 */
FDTAPE_API int fdtape_call_carries(uint32_t call);
/* The index in fdtape_event.arg of the id of another flow (0 in it: none, or not known): who gives flows other ids has
 * to look there. -1: the call has none, or its number is not known to this build. */
FDTAPE_API int fdtape_call_flow_arg(uint32_t call);

enum fdtape_event_flag {
	FDTAPE_EVENT_PENDING = 1u << 0,   /* in flight when recording stopped: no result, duration = time waited */
	FDTAPE_EVENT_NO_START = 1u << 1,  /* its entry was not seen: time is its end, duration unknown (0) */
	FDTAPE_EVENT_PEEK = 1u << 2,      /* MSG_PEEK: its bytes come again; offset is where they will be */
	FDTAPE_EVENT_CONTINUED = 1u << 3, /* a further chunk of the same thread's event before: same call, own offset */
	/* Its bytes were read by the recorder afterwards, from the file that the kernel copied them from. */
	FDTAPE_EVENT_REREAD = 1u << 4,
	/* An fd came or went with it (SCM_RIGHTS); the flows of those that came are defined behind it. */
	FDTAPE_EVENT_PASSED = 1u << 5,
};

struct fdtape_address;

/*
 * One finished call.
 *
 * The address of its bytes is (flow, dir, offset .. offset + bytes). The first `captured` of them are on the tape,
 * contiguous; bytes - captured were lost (the tape never holds more than was carried).
 * A call whose bytes are too many for one event (over FDTAPE_EVENT_DATA_MAX) is followed by CONTINUED ones.
 */
struct fdtape_event {
	uint64_t time;     /* when it began */
	uint64_t duration; /* ns */
	uint32_t pid;      /* thread group, as the recorder's pid namespace sees it */
	uint32_t tid;
	uint32_t call;  /* enum fdtape_call */
	uint32_t flags; /* enum fdtape_event_flag */
	int64_t result; /* return value; -errno on failure */
	int32_t fd;     /* -1: the call has none */
	uint32_t dir;   /* enum fdtape_dir, never another; FDTAPE_IN for calls that carry no bytes */
	uint64_t flow;  /* fdtape_flow.id; 0: none, or not known */
	uint64_t offset;
	uint64_t bytes;
	uint64_t captured;
	/* By call:  read, write: [0] length asked for
	 *           readv, writev: [0] number of iovecs
	 *           recvfrom, sendto: [0] length asked for, [1] MSG_ flags
	 *           recvmsg, sendmsg: [0] number of iovecs, [1] MSG_ flags
	 *           socket: [0] domain, [1] type, [2] protocol
	 *           recvmmsg, sendmmsg: [0] number of iovecs, [1] MSG_ flags, [2] index of the message. One event for
	 *           each message; the result of the first is the number of messages, the further ones are CONTINUED
	 *           pread64, pwrite64: [0] length asked for, [1] offset in the file
	 *           preadv, pwritev, preadv2, pwritev2: [0] number of iovecs, [1] offset in the file, [2] RWF_ flags
	 *           sendfile, splice, tee, copy_file_range: [0] the other fd, [1] its flow, [2] length asked for. One
	 *           event for each end that is recorded: IN where the bytes came from, OUT where they went to
	 *           vmsplice: [0] number of iovecs, [1] flags
	 *           socket: [0] domain, [1] type, [2] protocol
	 *           socketpair: [0] domain, [1] first fd << 32 | second fd, [2] type
	 *           pipe, pipe2: [0] flags, [1] first fd << 32 | second fd
	 *           accept, accept4: [0] flow of the accepted fd (result)
	 *           bind: [0] address family
	 *           listen: [0] backlog
	 *           shutdown: [0] how
	 *           close_range: [0] first fd, [1] last fd, [2] flags
	 *           dup, dup2, dup3: [0] flow of the new fd (result), [1] flags
	 *           fcntl: [0] command, [1] its argument, [2] flow of the new fd (F_DUPFD, F_DUPFD_CLOEXEC)
	 *           setsockopt, getsockopt: [0] level, [1] name, [2] the value's first 8 bytes, least significant first
	 *           open, openat, openat2, creat: [0] flow of the new fd (result), [1] flags, [2] mode
	 *           ioctl: [0] request
	 *           io_uring_accept: [0] flow of the accepted fd (result), [1] flags, [2] opcode
	 *           io_uring_* else: [0] length asked for, [1] flags, [2] opcode
	 *           SSL_set_fd, SSL_set_rfd, SSL_set_wfd: [0] the fd, [1] its flow
	 *           SSL_sendfile: [0] length asked for, [1] the file's fd, [2] offset in it
	 *           tls.Conn.Read, tls.Conn.Write: [0] length asked for, [1] the flow of the fd beneath
	 *           SSL_*, gnutls_*, PR_* else: [0] length asked for, [1] PR_recv, PR_send: flags */
	uint64_t arg[3];
	/* The captured bytes; NULL when captured is 0. When reading: owned by the reader, valid until its next call. */
	const uint8_t *data;
	/* Of a datagram: who it came from or went to, where that is told by the call; NULL: the flow's remote, or not
	 * known. When reading: owned by the reader, valid as `data` is. */
	const struct fdtape_address *peer;
};

/* The most bytes that one event carries on the tape. */
#define FDTAPE_EVENT_DATA_MAX (4u << 20)

/* A process image. Defined at first sight, again after exec (a new image of the same pid) and when more is known. */
struct fdtape_process {
	uint32_t pid;
	uint32_t ppid;        /* 0: not known */
	uint32_t uid;         /* effective; UINT32_MAX: not known */
	uint64_t time;        /* from when this image is valid */
	const char *comm;     /* the kernel's name of the thread group's leader, at most 15 bytes */
	const char *exe;      /* absolute path of the executable */
	const char *cmdline;  /* arguments, joined by single spaces */
	uint64_t started;     /* when the process began; 0: not known */
	const char *build_id; /* the executable's GNU build id, in hex */
	const char *cgroup;   /* the path in cgroup v2, e.g. "/system.slice/docker-1234.scope" */
	/* The files with TLS that the image has mapped, as far as that was seen; one a line: how many of its functions the
	 * recorder has probed ("0": it has none that is known and asked for; "-": it could not be probed), a space, the path
	 * as the process sees it. Since version 1.2. */
	const char *libraries;
};

/* A thread's name. Defined at first sight of a thread whose name is not its process' comm, and again when it changes.
 * It is in force until the process has exited; where the process is not defined, it need not be kept. */
struct fdtape_thread {
	uint32_t pid;
	uint32_t tid;
	uint64_t time;    /* from when it has this name */
	const char *comm; /* "": it has ended, or its name is its process' again */
};

enum fdtape_kind {
	FDTAPE_KIND_OTHER = 0,
	FDTAPE_KIND_SOCKET = 1,
	FDTAPE_KIND_FILE = 2,
	FDTAPE_KIND_PIPE = 3,
	FDTAPE_KIND_LIBRARY = 4, /* no fd: an object of a library, e.g. one SSL object's life */
};

enum fdtape_proto { /* of a socket */
	FDTAPE_PROTO_OTHER = 0,
	FDTAPE_PROTO_TCP = 1,
	FDTAPE_PROTO_UDP = 2,
	FDTAPE_PROTO_UNIX = 3,
};

enum fdtape_role { /* who opened the connection; never guessed */
	FDTAPE_ROLE_UNKNOWN = 0,
	FDTAPE_ROLE_CLIENT = 1, /* connect() was seen */
	FDTAPE_ROLE_SERVER = 2, /* it came from accept(), or listens */
};

enum fdtape_family {
	FDTAPE_FAMILY_NONE = 0, /* not known */
	FDTAPE_FAMILY_IPV4 = 1,
	FDTAPE_FAMILY_IPV6 = 2,
	FDTAPE_FAMILY_UNIX = 3,
};

#define FDTAPE_ADDRESS_MAX 108

struct fdtape_address {
	uint8_t family;                   /* enum fdtape_family */
	uint8_t len;                      /* bytes used of addr: 4, 16, or the length of the UNIX name (0: unnamed) */
	uint16_t port;                    /* host order; 0 for UNIX */
	uint8_t addr[FDTAPE_ADDRESS_MAX]; /* network order; UNIX: the path, or NUL and the abstract name */
};

enum fdtape_flow_flag {
	FDTAPE_FLOW_PREOPENED = 1u << 0, /* it was open before it was first seen: offset 0 is where recording began */
	FDTAPE_FLOW_LISTENS = 1u << 1,
	FDTAPE_FLOW_STREAM = 1u << 2, /* a byte stream; without it, each call is a message (datagram) */
	/* It came with fork, dup, or SCM_RIGHTS, from another fd of the same socket or file: see inode. */
	FDTAPE_FLOW_INHERITED = 1u << 3,
};

/* A socket's (file's, pipe's, library object's) life on one fd of one process. Defined at first sight and again,
 * whole, whenever more is known (its addresses after connect, its end); a later definition replaces the earlier. */
struct fdtape_flow {
	uint64_t id; /* from 1, unique in the section */
	uint32_t pid;
	uint32_t tid; /* the thread that was seen first */
	int32_t fd;   /* -1 for FDTAPE_KIND_LIBRARY */
	uint32_t kind;
	uint32_t proto;
	uint32_t role;
	uint32_t flags;
	uint64_t inode;  /* the socket's or file's inode: the same socket in two processes has the same; 0: not known */
	uint64_t handle; /* FDTAPE_KIND_LIBRARY: the object's address in the process */
	uint64_t opened; /* when it was first seen */
	uint64_t closed; /* 0: open as far as is known */
	uint64_t bytes[2]; /* by enum fdtape_dir: carried up to this definition, counted by the kernel side */
	struct fdtape_address local;
	struct fdtape_address remote;
	const char *name; /* FILE: the path; LIBRARY: the library's path */
};

/* Something secret that the recorded program derived, e.g. one TLS traffic secret. Kept apart on the tape, so that
 * secrets can be dropped without touching the rest. To the tape, all three are opaque. */
struct fdtape_secret {
	uint64_t time;
	uint32_t pid;
	uint32_t tid;
	/* What it is, e.g. "SERVER_HANDSHAKE_TRAFFIC_SECRET" (SSLKEYLOGFILE's names); "SERVER_RANDOM": of TLS 1.2, told beside
	 * the master secret, for where the ServerHello is not on the tape. */
	const char *label;
	const char *source; /* where it was seen, e.g. "EVP_KDF_derive" */
	const uint8_t *id;  /* what binds it to a connection */
	size_t id_len;
	uint32_t id_kind; /* enum fdtape_secret_id */
	const uint8_t *value;
	size_t value_len;
};

enum fdtape_secret_id {
	FDTAPE_SECRET_ID_NONE = 0,
	FDTAPE_SECRET_ID_CLIENT_RANDOM = 1, /* 32 bytes (RFC 5246, 7.4.1.2) */
	FDTAPE_SECRET_ID_TRANSCRIPT = 2,    /* the Transcript-Hash that it was derived with (RFC 8446, 4.4.1) */
};

#define FDTAPE_SECRET_MAX 1024 /* most bytes of an id or a value */

enum fdtape_loss_reason {           /* numbers are on the tape */
	FDTAPE_LOSS_RING_FULL = 1,  /* the probes found no room: whole events; bytes may be unknown */
	FDTAPE_LOSS_PAYLOAD = 2,    /* payload left out because the ring was nearly full */
	FDTAPE_LOSS_UNREADABLE = 3, /* the program's memory could not be read */
	FDTAPE_LOSS_SNAPLEN = 4,    /* left out by choice */
	FDTAPE_LOSS_MAP_FULL = 5,   /* no room to follow a call, a flow or a process */
	FDTAPE_LOSS_BLIND = 6,      /* seen but not decoded, e.g. a 32-bit program's call */
	FDTAPE_LOSS_DISK = 7,       /* the tape could not be written */
	FDTAPE_LOSS_BLOCK = 8,      /* a damaged part of the tape was left out by repair or cut */
	FDTAPE_LOSS_CUT = 9,        /* left out by a cut on purpose */
	FDTAPE_LOSS_REDACTED = 10,
	FDTAPE_LOSS_KERNEL_COPY = 11, /* moved within the kernel (sendfile, splice): never in the program's memory */
	FDTAPE_LOSS_IO_URING = 12,    /* seen, but its bytes could not be read */
};

/* "ring full", ...; NULL for a number that this build does not know. */
FDTAPE_API const char *fdtape_loss_name(uint32_t reason);

/* What is missing and why. Bytes that an event itself admits (bytes - captured) are counted here again, by reason:
 * losses explain, events address. */
struct fdtape_loss {
	uint32_t reason;
	uint64_t count; /* events (records) affected */
	uint64_t bytes; /* as far as is known */
	uint64_t from;  /* the time within which it happened */
	uint64_t to;
};

/* One reading of the recorded host's clocks, taken together: wall time = realtime - monotonic + event time. */
struct fdtape_clock {
	uint64_t monotonic;
	uint64_t realtime; /* ns since 1970-01-01T00:00:00Z */
	uint64_t boottime; /* counts suspend as well */
};

enum fdtape_item_type {
	FDTAPE_ITEM_SECTION = 1, /* a (further) recording begins: ids and times start anew; see fdtape_reader_meta() */
	FDTAPE_ITEM_CLOCK = 2,
	FDTAPE_ITEM_PROCESS = 3,
	FDTAPE_ITEM_FLOW = 4,
	FDTAPE_ITEM_EVENT = 5,
	FDTAPE_ITEM_SECRET = 6,
	FDTAPE_ITEM_LOSS = 7,
	FDTAPE_ITEM_END = 8, /* the section was ended properly by its writer */
	FDTAPE_ITEM_THREAD = 9,
	/* 10 is a record of the tape that is no item: docs/format.md, section 5. */
};

struct fdtape_item {
	uint32_t type; /* enum fdtape_item_type: says which member is valid */
	union {
		struct fdtape_clock clock;
		struct fdtape_process process;
		struct fdtape_thread thread;
		struct fdtape_flow flow;
		struct fdtape_event event;
		struct fdtape_secret secret;
		struct fdtape_loss loss;
	};
};

#define FDTAPE_LOSS_REASONS 16

/* What a section holds in all, or several sections together. */
struct fdtape_totals {
	uint64_t groups;
	uint64_t events;
	/* Items that are not events: definitions, secrets, losses; and in each group once each address that
	 * fdtape_event.peer names there, which is a record of the tape, but no item. */
	uint64_t records;
	uint64_t secrets;     /* of the records; they stay counted when they were dropped from the tape */
	uint64_t bytes;       /* of tape, up to where this was counted */
	uint64_t carried[2];  /* by enum fdtape_dir: sum of fdtape_event.bytes, without those of FDTAPE_EVENT_PEEK
	                       * and of library calls (from FDTAPE_CALL_SSL_READ on) */
	uint64_t captured[2]; /* likewise, of fdtape_event.captured */
	uint64_t flows;       /* definitions of flows that were not in force already; not FDTAPE_KIND_LIBRARY */
	uint64_t processes;   /* definitions of processes that were not in force already: each life of a pid once */
	uint64_t first_time;  /* least time of an event; 0 when there are no events */
	uint64_t last_time;   /* greatest end (time + duration) of an event */
	struct fdtape_clock clock; /* the latest */
	/* By enum fdtape_loss_reason; [0]: all reasons of FDTAPE_LOSS_REASONS and over. */
	struct {
		uint64_t count; /* sums of the members of fdtape_loss */
		uint64_t bytes;
	} losses[FDTAPE_LOSS_REASONS];
};

/* A property of a section, e.g. "tool.version" = "0.1.0". See docs/format.md for the keys that fdtape writes. */
struct fdtape_meta {
	const char *key;
	const char *value;
};

#ifdef __cplusplus
}
#endif
#endif
