/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That the file is what was handed over after each hand-over, whichever way it took; that whole pages go past the cache,
 * as mincore(2) tells; and that a slow disk is not waited for. The clock and the disk's slowness are the tests' own.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/tape_file.h"

#define MS  ((uint64_t)1000000)
#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)

static uint64_t clock_ns = 1000 * MS;
static uint64_t disk_ns; /* what a write past the cache takes */
static bool disk_refuses;
static uint64_t past_cache; /* bytes that the disk was given past the cache, of the file at hand */

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __real_write(int fd, const void *data, size_t len);

/* Linked in place of libc's (Makefile). */
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	*t = (struct timespec){(time_t)(clock_ns / (1000 * MS)), (long)(clock_ns % (1000 * MS))};
	return 0;
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	bool direct = fcntl(fd, F_GETFL) & O_DIRECT;
	ssize_t n;

	if (direct) {
		clock_ns += disk_ns;
		if (disk_refuses) {
			errno = EINVAL;
			return -1;
		}
	}
	n = __real_write(fd, data, len);
	if (direct && n > 0)
		past_cache += (size_t)n;
	return n;
}

/* A file without a name, what was handed over, and the sink. */
struct made {
	int fd;
	struct tape_file *file;
	struct fdtape_sink sink;
	uint8_t *given;
	size_t len;
};

#define GIVEN_MAX (64 * MIB)

static struct made make(void)
{
	char name[] = "/var/tmp/fdtape-tape-file-XXXXXX";
	struct made m = {.fd = mkstemp(name), .given = malloc(GIVEN_MAX)};

	assert_true(m.fd >= 0);
	assert_non_null(m.given);
	unlink(name);
	m.file = tape_file_new(m.fd, &m.sink);
	assert_non_null(m.file);
	disk_ns = 0;
	disk_refuses = false;
	past_cache = 0;
	return m;
}

static void release(struct made *m)
{
	tape_file_free(m->file);
	close(m->fd);
	free(m->given);
}

/* Hands over `len` bytes that tell their place. */
static int give(struct made *m, size_t len)
{
	uint8_t *p = m->given + m->len;
	int rc;

	assert_true(m->len + len <= GIVEN_MAX);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((m->len + i) * 2654435761u >> 13);
	rc = m->sink.write(m->sink.context, p, len);
	if (rc == 0)
		m->len += len;
	return rc;
}

/* The file, as another process reads it. */
static void assert_file_is_what_was_given(const struct made *m)
{
	struct stat st;
	uint8_t *read = malloc(m->len + 1);

	assert_non_null(read);
	assert_int_equal(fstat(m->fd, &st), 0);
	assert_int_equal(st.st_size, m->len);
	for (size_t at = 0; at < m->len;) {
		ssize_t n = pread(m->fd, read + at, m->len - at, (off_t)at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_memory_equal(read, m->given, m->len);
	free(read);
}

/* Whether the folder's file system can do it. */
static bool past_cache_can_be(const struct made *m)
{
	int flags = fcntl(m->fd, F_GETFL);
	bool can = fcntl(m->fd, F_SETFL, flags | O_DIRECT) == 0;

	assert_int_equal(fcntl(m->fd, F_SETFL, flags), 0);
	return can;
}

static void test_tape_file__each_hand_over__is_in_the_file(void **state)
{
	static const size_t sizes[] = {1,           4095, 1,     4096,         256 * KIB - 1, 256 * KIB,  256 * KIB + 1,
	                               3 * MIB,     4097, 12345, 5 * MIB + 17, 100,           MIB + 4096, 4096,
	                               2 * MIB + 1, 0};
	struct made m = make();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(give(&m, sizes[i]), 0);
		assert_file_is_what_was_given(&m);
		tape_file_tend(m.file);
	}
	if (past_cache_can_be(&m))
		assert_true(past_cache > 11 * MIB);
	release(&m);
}

static void test_tape_file__large_hand_overs__leave_no_trace_in_the_cache(void **state)
{
	struct made m = make();
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	unsigned char there[32 * MIB / 4096 + 8];
	void *map;

	(void)state;
	if (!past_cache_can_be(&m)) {
		release(&m);
		skip();
	}
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(give(&m, 4 * MIB + 100), 0);
	map = mmap(NULL, m.len, PROT_READ, MAP_SHARED, m.fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mincore(map, m.len, there), 0);
	munmap(map, m.len);
	for (size_t i = 0; i < m.len / page; i++)
		n += there[i] & 1;
	/* In which each begins and ends. */
	assert_true(n <= 2 * 8);
	assert_file_is_what_was_given(&m);
	release(&m);
}

static void test_tape_file__a_slow_disk__is_left_alone_for_longer_and_longer(void **state)
{
	struct made m = make();
	uint64_t before;

	(void)state;
	if (!past_cache_can_be(&m)) {
		release(&m);
		skip();
	}
	/* A fifth of the time is no matter. */
	disk_ns = 2 * MS;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(give(&m, MIB), 0);
		clock_ns += 8 * MS;
	}
	assert_true(past_cache >= 9 * MIB);
	/* One that takes too long, and is not asked again so soon. */
	disk_ns = 300 * MS;
	before = past_cache;
	assert_int_equal(give(&m, 3 * MIB), 0);
	assert_int_equal(past_cache, before + MIB);
	assert_int_equal(give(&m, 3 * MIB), 0);
	clock_ns += 900 * MS;
	assert_int_equal(give(&m, 3 * MIB), 0);
	assert_int_equal(past_cache, before + MIB);
	/* Asked again after a second, then after two. */
	clock_ns += 200 * MS;
	assert_int_equal(give(&m, 3 * MIB), 0);
	assert_int_equal(past_cache, before + 2 * MIB);
	disk_ns = 0;
	clock_ns += 1900 * MS;
	assert_int_equal(give(&m, 3 * MIB), 0);
	assert_int_equal(past_cache, before + 2 * MIB);
	clock_ns += 200 * MS;
	assert_int_equal(give(&m, 3 * MIB), 0);
	assert_true(past_cache > before + 4 * MIB);
	assert_file_is_what_was_given(&m);
	release(&m);
}

static void test_tape_file__waiting_for_most_of_the_time__is_too_slow(void **state)
{
	struct made m = make();
	uint64_t done;

	(void)state;
	if (!past_cache_can_be(&m)) {
		release(&m);
		skip();
	}
	disk_ns = 20 * MS;
	for (int i = 0; i < 30; i++) {
		assert_int_equal(give(&m, MIB), 0);
		clock_ns += 5 * MS;
	}
	done = past_cache;
	/* A ration of 200 ms, of which each takes 20 and has 12.5 given back. */
	assert_true(done > 20 * MIB && done < 29 * MIB);
	assert_file_is_what_was_given(&m);
	release(&m);
}

static void test_tape_file__a_disk_that_refuses__gets_it_the_plain_way(void **state)
{
	struct made m = make();

	(void)state;
	disk_refuses = true;
	assert_int_equal(give(&m, 3 * MIB), 0);
	disk_refuses = false;
	assert_int_equal(give(&m, 3 * MIB), 0);
	assert_int_equal(past_cache, 0);
	assert_file_is_what_was_given(&m);
	release(&m);
}

static void test_tape_file__a_limit__is_told_and_cut_back(void **state)
{
	struct made m = make();
	struct rlimit old, limit;

	(void)state;
	assert_int_equal(give(&m, MIB + 11), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 3 * MIB + 777;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	errno = 0;
	assert_int_equal(give(&m, 4 * MIB), FDTAPE_ERR_SYSTEM);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(m.sink.cut(m.sink.context, m.len), 0);
	alarm(60);
	tape_file_tend(m.file); /* the file is shorter than what was tended */
	alarm(0);
	assert_file_is_what_was_given(&m);
	assert_int_equal(give(&m, 100), 0);
	assert_file_is_what_was_given(&m);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	release(&m);
}

static void test_tape_file__a_pipe__is_written_and_can_not_be_cut(void **state)
{
	struct fdtape_sink sink;
	struct tape_file *f;
	char got[6];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	f = tape_file_new(ends[1], &sink);
	assert_non_null(f);
	assert_null(sink.cut);
	assert_int_equal(sink.write(sink.context, "a tape", 6), 0);
	assert_int_equal(read(ends[0], got, 6), 6);
	assert_memory_equal(got, "a tape", 6);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(sink.write(sink.context, "a tape", 6), FDTAPE_ERR_SYSTEM);
	assert_int_equal(errno, EPIPE);
	signal(SIGPIPE, SIG_DFL);
	tape_file_free(f);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tape_file__each_hand_over__is_in_the_file),
	        cmocka_unit_test(test_tape_file__large_hand_overs__leave_no_trace_in_the_cache),
	        cmocka_unit_test(test_tape_file__a_slow_disk__is_left_alone_for_longer_and_longer),
	        cmocka_unit_test(test_tape_file__waiting_for_most_of_the_time__is_too_slow),
	        cmocka_unit_test(test_tape_file__a_disk_that_refuses__gets_it_the_plain_way),
	        cmocka_unit_test(test_tape_file__a_limit__is_told_and_cut_back),
	        cmocka_unit_test(test_tape_file__a_pipe__is_written_and_can_not_be_cut),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("record_tape_file", tests, NULL, NULL);
}
