/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/sandbox.h"

#define STATUS 77 /* of a process that the filter ends */

/* Runs a test in a process that has entered the sandbox; what it says goes to `said`. Its exit status. */
static int within(int (*test)(void), char *said, size_t size)
{
	size_t len = 0;
	int out[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		_exit(sandbox_enter(STATUS) == 0 ? test() : 99);
	}
	close(out[1]);
	while (len < size - 1 && (n = read(out[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = 0;
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int run_program(void)
{
	char *const arguments[] = {"true", NULL};

	execv("/bin/true", arguments);
	return 1;
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? 1 : 2;
}

static void test_sandbox__running_a_program__ends_with_the_status(void **state)
{
	char said[1024];

	(void)state;
	assert_int_equal(within(run_program, said, sizeof said), STATUS);
	assert_non_null(strstr(said, "(execve) is none that a recorder makes: ended; "));
	assert_int_equal(within(make_socket, said, sizeof said), STATUS);
	assert_non_null(strstr(said, "(socket) is none that a recorder makes: ended; "));
}

/* Calls that need no privilege, and that a recorder has no use for. */
static int other_calls(void)
{
	for (int i = 0; i < 3; i++) {
		errno = 0;
		if (syscall(SYS_getpgid, 0) != -1 || errno != ENOSYS)
			return 1;
	}
	errno = 0;
	return syscall(SYS_getsid, 0) == -1 && errno == ENOSYS ? 0 : 2;
}

static void test_sandbox__a_call_that_is_not_on_the_list__is_refused_and_told_once(void **state)
{
	char said[1024], expected[256];

	(void)state;
	assert_int_equal(within(other_calls, said, sizeof said), 0);
	snprintf(expected, sizeof expected,
	         "fdtape-record: system call %d is none that a recorder makes: refused, and recording goes on; please "
	         "report it\n"
	         "fdtape-record: system call %d is none that a recorder makes: refused, and recording goes on; please "
	         "report it\n",
	         SYS_getpgid, SYS_getsid);
	assert_string_equal(said, expected);
}

#if !SANDBOX_SANITIZED /* the leak checker makes such memory, and processes */
static int memory(void)
{
	void *plain = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (plain == MAP_FAILED)
		return 1;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 2;
	return mprotect(plain, 4096, PROT_READ | PROT_EXEC) == 0 ? 3 : 0;
}

static void *in_thread(void *context)
{
	*(int *)context = 1;
	return NULL;
}

static int threads(void)
{
	pthread_t thread;
	int ran = 0;

	if (pthread_create(&thread, NULL, in_thread, &ran) != 0)
		return 1;
	pthread_join(thread, NULL);
	if (!ran)
		return 2;
	return fork() < 0 && errno == ENOSYS ? 0 : 3;
}

static void test_sandbox__memory_can_be_had__but_none_that_can_be_run(void **state)
{
	char said[1024];

	(void)state;
	assert_int_equal(within(memory, said, sizeof said), 0);
}

static void test_sandbox__threads_can_be_had__but_no_processes(void **state)
{
	char said[1024];

	(void)state;
	assert_int_equal(within(threads, said, sizeof said), 0);
}
#endif

static int files(void)
{
	char name[] = "/tmp/fdtape-sandbox-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0 || write(fd, "x", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0) != 0 || fsync(fd) != 0)
		return 1;
	if (close(fd) != 0 || access(name, R_OK) != 0 || unlink(name) != 0)
		return 2;
	return 0;
}

static void test_sandbox__files__are_written_as_before(void **state)
{
	char said[1024];

	(void)state;
	assert_int_equal(within(files, said, sizeof said), 0);
	assert_string_equal(said, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandbox__running_a_program__ends_with_the_status),
		cmocka_unit_test(test_sandbox__a_call_that_is_not_on_the_list__is_refused_and_told_once),
#if !SANDBOX_SANITIZED
		cmocka_unit_test(test_sandbox__memory_can_be_had__but_none_that_can_be_run),
		cmocka_unit_test(test_sandbox__threads_can_be_had__but_no_processes),
#endif
		cmocka_unit_test(test_sandbox__files__are_written_as_before),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("record_sandbox", tests, NULL, NULL);
}
