/* SPDX-License-Identifier: BSD-2-Clause */
/* That what was written leaves the cache, as mincore(2) tells, and that the file is what was written. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <cmocka.h>

#include "record/written.h"

#define MIB  ((size_t)1 << 20)
#define SIZE (32 * MIB)

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

/* A file of SIZE bytes, without a name. */
static int make_file(void)
{
	char name[] = "/var/tmp/fdtape-written-XXXXXX";
	int fd = mkstemp(name);
	static uint8_t piece[MIB];

	assert_true(fd >= 0);
	unlink(name);
	for (size_t at = 0; at < SIZE; at += MIB) {
		for (size_t i = 0; i < MIB; i++)
			piece[i] = byte_at(at + i);
		assert_int_equal(write(fd, piece, MIB), MIB);
	}
	return fd;
}

/* How many of the file's first bytes are in memory. */
static size_t resident(int fd, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	static unsigned char there[SIZE / 4096];
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mincore(map, len, there), 0);
	munmap(map, len);
	for (size_t i = 0; i < len / page; i++)
		n += there[i] & 1;
	return n * page;
}

static void test_written__leaves_the_cache(void **state)
{
	struct written w;
	struct statfs fs;
	int fd = make_file();
	size_t before = resident(fd, SIZE / 4);
	const uint8_t *map;

	(void)state;
	assert_int_equal(fstatfs(fd, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC || before == 0) {
		close(fd);
		skip(); /* of a file in memory there is nothing else */
	}
	written_begin(&w, fd);
	for (size_t at = MIB; at <= SIZE / 2; at += MIB)
		written_to(&w, at);
	assert_int_equal(fsync(fd), 0); /* as a disk does that keeps up */
	/* On a busy machine it waits now and then. */
	for (int i = 0; i < 100 && w.begun < SIZE; i++) {
		written_to(&w, SIZE);
		usleep(50000);
	}
	assert_true(resident(fd, SIZE / 4) < before / 4);
	assert_true(resident(fd, SIZE) >= 8 * MIB); /* what may be on its way stays */
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	for (size_t i = 0; i < SIZE; i++)
		if (map[i] != byte_at(i))
			fail_msg("byte %zu is another one", i);
	munmap((void *)map, SIZE);
	close(fd);
}

static void test_written__leaves_others_alone(void **state)
{
	struct written w;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	written_begin(&w, ends[1]);
	assert_int_equal(w.fd, -1);
	written_to(&w, SIZE);
	assert_int_equal(w.begun, 0);
	written_begin(&w, -1);
	written_to(&w, SIZE);
	assert_int_equal(w.begun, 0);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_written__leaves_the_cache),
	        cmocka_unit_test(test_written__leaves_others_alone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("record_written", tests, NULL, NULL);
}
