/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TRUTH_H
#define TRUTH_H

/*
 * What a test program says about itself: which fds it had, what they carried, how its calls went. It is written into
 * a file that is mapped, shared by all of the program's processes: no system call is made for it while the program is
 * recorded, and a process that is killed has said what it said.
 *
 * The file begins with struct truth_head; at TRUTH_TEXT begin lines:
 *
 *   flow LABEL pid=N fd=N ino=N nth=N [WORD=VALUE]...   the nth life of this inode on this fd; again: more words
 *   addr LABEL local|remote FAMILY HEX PORT              FAMILY as in enum fdtape_family
 *   data LABEL in|out SEED AT LEN                        the flow carried LEN bytes more, of this pattern (0: any)
 *   account LABEL in|out                                 the bytes need only be counted: no program's memory held them
 *   messages LABEL in|out SIZE SEED N                    N messages in any order, one a call: see truth_messages()
 *   call LABEL PID NAME RESULT [aN=VALUE]... [WORD]...   a finished call; aN=@LABEL is a flow
 *   allow REASON                                         a loss of this reason (a number) is no fault
 *   expect REASON N                                      of this reason there are N losses at least
 *   skip TEXT                                            this kernel can't do it
 *
 * A flow's words: kind, proto, role (as `fdtape-analyze --json flows` calls them), stream=0|1, listens=0|1,
 * preopened=0|1, inherited=0|1, end=open|closed, blind=1 (it may be missing, where blind losses are told of).
 * A call's words: peek, reread, passed, pending, nostart; bytes=N where they are not the result; any: in any order;
 * peer=FAMILY:HEX:PORT, one for each message: whom it came from or went to; raced: a close() whose number another thread
 * may have before it returns. With --lean it may be missing then, and only the flow's end be told.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define TRUTH_SIZE (64u << 20)
#define TRUTH_TEXT 4096

struct truth_head {
	_Atomic uint64_t len; /* of the text */
	_Atomic uint32_t labels;
	_Atomic uint32_t seeds;
	_Atomic uint32_t word; /* for the program's processes to wait for each other: truth_wait() */
};

enum {
	IN,
	OUT
};

/* Maps the file that $FDTAPE_TRUTH names. First of all, and again after exec. */
void truth_open(void);
void truth_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program: it could not do what it is for. With errno's meaning where that is not 0. */
_Noreturn void truth_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program: this kernel can't do it. */
_Noreturn void truth_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MUST(what)                                                         \
	do {                                                               \
		if (!(what))                                               \
			truth_die("%s:%d: %s", __FILE__, __LINE__, #what); \
	} while (0)

/* A seed that nothing else has. */
uint64_t truth_seed(void);
/* Tells of the fd's flow; its label. `words` as above. */
int truth_flow(int fd, const char *words);
int truth_flow_nth(int fd, int nth, const char *words);
/* A flow of another process. */
int truth_flow_of(pid_t pid, int fd, uint64_t ino, const char *words);
/* The addresses that the socket has now. */
void truth_addresses(int flow, int fd);
void truth_data(int flow, int dir, uint64_t seed, uint64_t at, uint64_t n);
void truth_account(int flow, int dir);
/* The flow carries n messages, each in one call; message i is `size` bytes of the pattern from i * size on. */
void truth_messages(int flow, int dir, uint64_t size, uint64_t seed, uint64_t n);
/* A call of this process that has returned: errno is looked at when `result` is negative. flow 0: of none. */
void truth_call(int flow, const char *name, int64_t result, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* The address as a word of a call, " peer=..."; "" for what is neither IPv4 nor IPv6. */
enum {
	TRUTH_PEER_MAX = 64
};
const char *truth_peer(char out[static TRUTH_PEER_MAX], const struct sockaddr_storage *address);
/* Waits until the word that the processes share has this value; sets it. */
void truth_wait(uint32_t value);
void truth_post(uint32_t value);

/* One end of a connection (or a file): what it sends is one pattern, what it reads another. */
struct end {
	int fd;
	int flow;
	uint64_t seed[2];
	uint64_t at[2];
};

/* The next n bytes that the end is to send, without sending them. */
void end_fill(const struct end *e, void *buffer, size_t n);
/* It has sent: the call, and its bytes if it went well. Returns result. */
int64_t end_sent(struct end *e, const char *name, int64_t result, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* It has read into the buffer; that these are the bytes that were sent is checked. */
int64_t end_got(struct end *e, const char *name, const void *buffer, int64_t result, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
/* Waits until a read of n bytes gets them all: TCP delivers them when it likes, in pieces, on loopback too. No recorded
 * call is made for it. */
void fd_arrived(int fd, size_t n);
/* write() and read() of exactly n bytes, in one call each. */
void end_write(struct end *e, size_t n);
void end_read(struct end *e, size_t n);
/* Closes and tells of it. */
void end_close(struct end *e);
/* With words for the call. */
void end_close_as(struct end *e, const char *words);
/* Gives two ends their seeds: what one sends the other reads. */
void ends_join(struct end *a, struct end *b);

/* A connected pair: "unix", "seqpacket", "dgram" (socketpair), "tcp4", "tcp6", "pipe" (end[0] reads). */
void ends_open(struct end end[static 2], const char *how);

/* Stands still until standard input ends: the recorder is to attach first. */
void truth_wait_for_recorder(void);
/* Says that the recording is to be stopped now, and stands still. */
_Noreturn void truth_wait_for_end(void);

#endif
