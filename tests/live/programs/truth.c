/* SPDX-License-Identifier: BSD-2-Clause */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pattern.h"

static struct truth_head *head;

void truth_open(void)
{
	const char *path = getenv("FDTAPE_TRUTH");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || ftruncate(fd, TRUTH_SIZE) != 0)
		truth_die("FDTAPE_TRUTH=%s", path ? path : "");
	head = mmap(NULL, TRUTH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		truth_die("mmap");
	close(fd);
}

static void add_line(const char *line, size_t len)
{
	uint64_t at = TRUTH_TEXT + atomic_fetch_add(&head->len, len);

	if (at + len > TRUTH_SIZE)
		truth_die("too much truth");
	memcpy((char *)head + at, line, len);
}

static void add_formatted(const char *start, const char *format, va_list list) __attribute__((format(printf, 2, 0)));
static void add_formatted(const char *start, const char *format, va_list list)
{
	char line[1024];
	int n = snprintf(line, sizeof line, "%s", start);

	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, list);
	line[n++] = '\n';
	add_line(line, (size_t)n);
}

void truth_line(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	add_formatted("", format, list);
	va_end(list);
}

void truth_die(const char *format, ...)
{
	int error = errno;
	va_list list;

	va_start(list, format);
	fputs("the test program itself failed: ", stderr);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, ": %s\n", strerror(error));
	_exit(1);
}

void truth_skip(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	add_formatted("skip ", format, list);
	va_end(list);
	_exit(77);
}

uint64_t truth_seed(void)
{
	return 1 + atomic_fetch_add(&head->seeds, 1);
}

int truth_flow_of(pid_t pid, int fd, uint64_t ino, const char *words)
{
	int label = 1 + (int)atomic_fetch_add(&head->labels, 1);

	truth_line("flow %d pid=%d fd=%d ino=%llu %s%s", label, (int)pid, fd, (unsigned long long)ino,
	           strncmp(words, "nth=", 4) == 0 ? "" : "nth=1 ", words);
	return label;
}

int truth_flow_nth(int fd, int nth, const char *words)
{
	char all[256];
	struct stat st;

	if (fstat(fd, &st) != 0)
		truth_die("fstat(%d)", fd);
	snprintf(all, sizeof all, "nth=%d %s", nth, words);
	return truth_flow_of(getpid(), fd, st.st_ino, all);
}

int truth_flow(int fd, const char *words)
{
	return truth_flow_nth(fd, 1, words);
}

static void add_address(int flow, const char *which, const struct sockaddr_storage *address, socklen_t len)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_un *un = (const void *)address;
	const void *bytes = NULL;
	char hex[2 * sizeof un->sun_path + 1];
	int family = 0, port = 0;
	size_t n = 0;

	switch (address->ss_family) {
	case AF_INET:
		family = 1, bytes = &in->sin_addr, n = 4, port = ntohs(in->sin_port);
		break;
	case AF_INET6:
		family = 2, bytes = &in6->sin6_addr, n = 16, port = ntohs(in6->sin6_port);
		break;
	case AF_UNIX:
		family = 3, bytes = un->sun_path, n = len - offsetof(struct sockaddr_un, sun_path);
		if (n && un->sun_path[0])
			n = strnlen(un->sun_path, n);
		break;
	}
	if (!n || (family != 3 && !port))
		return; /* it has none */
	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
	truth_line("addr %d %s %d %s %d", flow, which, family, hex, port);
}

void truth_addresses(int flow, int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;

	if (getsockname(fd, (void *)&address, &len) == 0)
		add_address(flow, "local", &address, len);
	len = sizeof address;
	if (getpeername(fd, (void *)&address, &len) == 0)
		add_address(flow, "remote", &address, len);
}

void truth_data(int flow, int dir, uint64_t seed, uint64_t at, uint64_t n)
{
	if (n)
		truth_line("data %d %s %llu %llu %llu", flow, dir == OUT ? "out" : "in", (unsigned long long)seed,
		           (unsigned long long)at, (unsigned long long)n);
}

void truth_account(int flow, int dir)
{
	truth_line("account %d %s", flow, dir == OUT ? "out" : "in");
}

void truth_messages(int flow, int dir, uint64_t size, uint64_t seed, uint64_t n)
{
	truth_line("messages %d %s %llu %llu %llu", flow, dir == OUT ? "out" : "in", (unsigned long long)size,
	           (unsigned long long)seed, (unsigned long long)n);
}

static void add_call(int flow, const char *name, int64_t result, const char *format, va_list list)
        __attribute__((format(printf, 4, 0)));
static void add_call(int flow, const char *name, int64_t result, const char *format, va_list list)
{
	int error = errno;
	char start[128];

	snprintf(start, sizeof start, "call %d %d %s %lld ", flow, (int)getpid(), name,
	         (long long)(result < 0 ? -error : result));
	add_formatted(start, format, list);
	errno = error;
}

void truth_call(int flow, const char *name, int64_t result, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	add_call(flow, name, result, format, list);
	va_end(list);
}

const char *truth_peer(char out[static TRUTH_PEER_MAX], const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	bool four = address->ss_family == AF_INET;
	const uint8_t *bytes = four ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr;
	int n = snprintf(out, TRUTH_PEER_MAX, " peer=%d:", four ? 1 : 2);

	if (!four && address->ss_family != AF_INET6)
		return "";
	for (int i = 0; i < (four ? 4 : 16); i++)
		n += snprintf(out + n, TRUTH_PEER_MAX - (size_t)n, "%02x", bytes[i]);
	snprintf(out + n, TRUTH_PEER_MAX - (size_t)n, ":%d", ntohs(four ? in->sin_port : in6->sin6_port));
	return out;
}

void truth_wait(uint32_t value)
{
	while (atomic_load(&head->word) != value)
		usleep(1000);
}

void truth_post(uint32_t value)
{
	atomic_store(&head->word, value);
}

void end_fill(const struct end *e, void *buffer, size_t n)
{
	pattern_fill(buffer, n, e->seed[OUT], e->at[OUT]);
}

int64_t end_sent(struct end *e, const char *name, int64_t result, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	add_call(e->flow, name, result, format, list);
	va_end(list);
	if (result > 0) {
		truth_data(e->flow, OUT, e->seed[OUT], e->at[OUT], (uint64_t)result);
		e->at[OUT] += (uint64_t)result;
	}
	return result;
}

int64_t end_got(struct end *e, const char *name, const void *buffer, int64_t result, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	add_call(e->flow, name, result, format, list);
	va_end(list);
	if (result > 0) {
		size_t wrong = pattern_differs(buffer, (size_t)result, e->seed[IN], e->at[IN]);

		if (wrong < (size_t)result) {
			errno = 0;
			truth_die("fd %d read another byte than was sent at %llu + %zu", e->fd,
			          (unsigned long long)e->at[IN], wrong);
		}
		truth_data(e->flow, IN, e->seed[IN], e->at[IN], (uint64_t)result);
		e->at[IN] += (uint64_t)result;
	}
	return result;
}

void end_write(struct end *e, size_t n)
{
	void *buffer = malloc(n + 1);
	ssize_t sent;

	MUST(buffer);
	end_fill(e, buffer, n);
	sent = write(e->fd, buffer, n);
	MUST(end_sent(e, "write", sent, "a0=%zu", n) == (int64_t)n);
	free(buffer);
}

void fd_arrived(int fd, size_t n)
{
	int there = 0;

	while (ioctl(fd, FIONREAD, &there) == 0 && (size_t)there < n)
		usleep(100);
}

void end_read(struct end *e, size_t n)
{
	void *buffer = malloc(n + 1);
	ssize_t got;

	MUST(buffer);
	fd_arrived(e->fd, n);
	got = read(e->fd, buffer, n);
	MUST(end_got(e, "read", buffer, got, "a0=%zu", n) == (int64_t)n);
	free(buffer);
}

void end_close_as(struct end *e, const char *words)
{
	int result = close(e->fd);

	truth_call(e->flow, "close", result, "%s", words);
	MUST(result == 0);
}

void end_close(struct end *e)
{
	end_close_as(e, "");
}

void ends_join(struct end *a, struct end *b)
{
	a->seed[OUT] = b->seed[IN] = truth_seed();
	b->seed[OUT] = a->seed[IN] = truth_seed();
	a->at[IN] = a->at[OUT] = b->at[IN] = b->at[OUT] = 0;
}

static socklen_t loopback(int family, struct sockaddr_storage *address)
{
	struct sockaddr_in *in = (void *)address;
	struct sockaddr_in6 *in6 = (void *)address;

	memset(address, 0, sizeof *address);
	address->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof *in;
	}
	in6->sin6_addr = in6addr_loopback;
	return sizeof *in6;
}

static void open_tcp(struct end end[static 2], int family)
{
	struct sockaddr_storage address;
	socklen_t len = loopback(family, &address);
	int listener = socket(family, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (void *)&address, len) != 0) {
		if (family == AF_INET6)
			truth_skip("no IPv6 here: %s", strerror(errno));
		truth_die("bind");
	}
	MUST(listen(listener, 1) == 0 && getsockname(listener, (void *)&address, &len) == 0);
	end[0].fd = socket(family, SOCK_STREAM, 0);
	MUST(end[0].fd >= 0 && connect(end[0].fd, (void *)&address, len) == 0);
	end[1].fd = accept(listener, NULL, NULL);
	MUST(end[1].fd >= 0);
	close(listener);
	for (int i = 0; i < 2; i++) {
		end[i].flow = truth_flow(end[i].fd, i ? "kind=socket proto=tcp role=server stream=1 preopened=0"
		                                      : "kind=socket proto=tcp role=client stream=1 preopened=0");
		truth_addresses(end[i].flow, end[i].fd);
	}
}

void ends_open(struct end end[static 2], const char *how)
{
	int fds[2], type = SOCK_STREAM;
	const char *words = "kind=socket proto=unix stream=1 preopened=0";

	if (strcmp(how, "tcp4") == 0 || strcmp(how, "tcp6") == 0) {
		open_tcp(end, how[3] == '4' ? AF_INET : AF_INET6);
	} else {
		if (strcmp(how, "dgram") == 0 || strcmp(how, "seqpacket") == 0) {
			type = *how == 'd' ? SOCK_DGRAM : SOCK_SEQPACKET;
			words = "kind=socket proto=unix stream=0 preopened=0";
		}
		if (strcmp(how, "pipe") == 0) {
			words = "kind=pipe preopened=0";
			MUST(pipe(fds) == 0);
		} else {
			MUST(socketpair(AF_UNIX, type, 0, fds) == 0);
		}
		for (int i = 0; i < 2; i++) {
			end[i].fd = fds[i];
			end[i].flow = truth_flow(fds[i], words);
		}
	}
	ends_join(&end[0], &end[1]);
}

void truth_wait_for_recorder(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

void truth_wait_for_end(void)
{
	puts("stop");
	fflush(stdout);
	for (;;)
		pause();
}
