/* SPDX-License-Identifier: BSD-2-Clause */

/* What the writer leaves behind when the disk or the other end of a pipe fails. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test_format_helpers.h"

static struct script noise(size_t n)
{
	struct dice d = {31};
	struct script s = {0};

	while (s.n < n) {
		uint8_t data[100];

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)dice_u64(&d);
		script_add(&s, &(struct fdtape_item){.type = FDTAPE_ITEM_EVENT,
		                                     .event = {.time = s.n,
		                                               .flow = 1 + s.n % 3,
		                                               .bytes = sizeof(data),
		                                               .captured = sizeof(data),
		                                               .data = data}});
	}
	return s;
}

static int temporary_file(void)
{
	char name[] = "/tmp/fdtape-test-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static struct blob contents(int fd)
{
	struct blob b = {0};
	uint8_t bytes[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		blob_append(&b, bytes, (size_t)n);
		at += n;
	}
	return b;
}

/* In a child, because the limit stays: writes all, and exits with 0 when the error is the one expected, and stays. */
static void write_limited(int fd, const struct script *s, rlim_t limit)
{
	struct fdtape_writer_options options = test_options();
	struct rlimit rlimit = {limit, limit};
	struct fdtape_writer *w = NULL;
	pid_t pid = fork();
	int status, rc;

	assert_true(pid >= 0);
	if (pid > 0) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		return;
	}
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &rlimit);
	rc = fdtape_writer_open_fd(&w, fd, &options);
	if (rc == 0)
		rc = put_script(w, s, 10);
	if (rc == 0)
		rc = fdtape_writer_end(w);
	if (rc != FDTAPE_ERR_SYSTEM || errno != EFBIG)
		_exit(1);
	errno = 0;
	if (w && (fdtape_writer_put(w, &s->items[0]) != rc || errno != EFBIG || fdtape_writer_flush(w) != rc ||
	          fdtape_writer_end(w) != rc))
		_exit(2);
	fdtape_writer_free(w);
	_exit(0);
}

/* The tape's last word about the disk: 1 if there is one. */
static size_t disk_losses(const struct script *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->items[i].type == FDTAPE_ITEM_LOSS && s->items[i].loss.reason == FDTAPE_LOSS_DISK;
	return n;
}

static void test_writer__file_may_not_grow__ends_with_the_last_whole_group(void **state)
{
	struct script s = noise(200);
	size_t said = 0, rounds = 0;

	(void)state;
	for (rlim_t limit = 80; limit < 20000; limit += 611, rounds++) {
		struct script read = {0}, events = {0};
		int fd = temporary_file();
		struct errors errors;
		struct blob tape;

		write_limited(fd, &s, limit);
		tape = contents(fd);
		assert_true(tape.len <= limit);
		errors = read_tape(tape.data, tape.len, &read);
		if (tape.len == 0) {
			assert_int_equal(errors.final, FDTAPE_ERR_NOT_A_TAPE);
		} else {
			/* No part of a group is left; at best, that it is missing is on the tape. */
			assert_int_equal(errors.damaged, 0);
			assert_int_equal(errors.final, 0);
			assert_int_equal(errors.truncated + disk_losses(&read), 1);
			if (errors.truncated)
				assert_string_equal(errors.message, "no footer: the recorder was interrupted");
			said += disk_losses(&read);
			for (size_t i = 0; i < read.n; i++)
				if (read.items[i].type == FDTAPE_ITEM_EVENT)
					script_add(&events, &read.items[i]);
			assert_part(&s, &events);
			assert_int_equal(events.n % 10, 0);
		}
		script_free(&read);
		script_free(&events);
		blob_free(&tape);
		close(fd);
	}
	/* There is room for it unless the limit is met soon behind a group. */
	assert_true(said * 4 > rounds);
	script_free(&s);
}

static void test_writer__behind_other_bytes__leaves_them(void **state)
{
	struct script s = noise(100);
	int fd = temporary_file();
	struct blob file;

	(void)state;
	assert_int_equal(write(fd, "before", 6), 6);
	write_limited(fd, &s, 5000);
	file = contents(fd);
	assert_memory_equal(file.data, "before", 6);
	assert_true(file.len > 6);
	blob_free(&file);
	close(fd);
	script_free(&s);
}

static void test_writer__reader_closes_the_pipe__error_stays(void **state)
{
	struct fdtape_writer_options options = test_options();
	struct script s = noise(20);
	struct fdtape_writer *w;
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fdtape_writer_open_fd(&w, fds[1], &options), 0);
	close(fds[0]);
	assert_int_equal(put_script(w, &s, 5), FDTAPE_ERR_SYSTEM);
	assert_int_equal(errno, EPIPE);
	errno = 0;
	assert_int_equal(fdtape_writer_end(w), FDTAPE_ERR_SYSTEM);
	assert_int_equal(errno, EPIPE);
	fdtape_writer_free(w);
	close(fds[1]);
	script_free(&s);
}

/* ---- writes that are cut short and interrupted ------------------------------------ */

static void on_alarm(int signal_number)
{
	(void)signal_number;
}

struct slow_reader {
	int fd;
	struct blob tape;
};

static void *read_slowly(void *arg)
{
	struct slow_reader *slow = arg;
	uint8_t bytes[5000];
	ssize_t n;

	do {
		n = read(slow->fd, bytes, sizeof(bytes));
		if (n > 0)
			blob_append(&slow->tape, bytes, (size_t)n);
		usleep(200);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return NULL;
}

/* A pipe that is full takes a part of what is written, and a signal meanwhile ends the write early. */
static void test_writer__interrupted_and_short_writes__lose_nothing(void **state)
{
	const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
	struct fdtape_writer_options options = test_options();
	struct script s = noise(20000), read = {0};
	struct slow_reader slow = {0};
	struct fdtape_writer *w;
	sigset_t alarm_only;
	pthread_t thread;
	int fds[2];

	(void)state;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	assert_int_equal(pipe(fds), 0);
	slow.fd = fds[0];
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL); /* in the other thread */
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &slow), 0);
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL); /* no SA_RESTART */
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(fdtape_writer_open_fd(&w, fds[1], &options), 0);
	assert_int_equal(put_script(w, &s, 5000), 0);
	assert_int_equal(fdtape_writer_end(w), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	fdtape_writer_free(w);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	assert_string_equal(read_tape(slow.tape.data, slow.tape.len, &read).message, "");
	assert_whole(&s, &read);
	blob_free(&slow.tape);
	script_free(&read);
	script_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_writer__file_may_not_grow__ends_with_the_last_whole_group),
	        cmocka_unit_test(test_writer__behind_other_bytes__leaves_them),
	        cmocka_unit_test(test_writer__reader_closes_the_pipe__error_stays),
	        cmocka_unit_test(test_writer__interrupted_and_short_writes__lose_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_writer", tests, NULL, NULL);
}
