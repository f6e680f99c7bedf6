/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where functions of Go's return, as its compiler lays them out, and what only looks like one. The truth is the
 * assembler's labels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/returns.h"
#include "record/symbols.h"

#if defined(__x86_64__)

#define CODE(NAME, TEXT)                                                                                       \
	__asm__(".text\n.type " #NAME ",@function\n" #NAME ": " TEXT "\n.type " #NAME "_end,@function\n" #NAME \
	        "_end: int3\n.size " #NAME ", " #NAME "_end-" #NAME)
#define LABEL(NAME) ".type " #NAME ",@function\n" #NAME ": "

/* A small frame, two returns and the padding behind; a large frame, checked by %r12. */
CODE(go_small,
     "cmp 0x10(%r14),%rsp\n" LABEL(
             go_small_check) "jbe 2f; sub $0x18,%rsp; test %rbx,%rbx; je 1f\n"
                             "add $0x18,%rsp\n" LABEL(go_small_1) "ret\n1: xor %eax,%eax; add $0x18,%rsp\n" LABEL(
                                     go_small_2) "ret\n"
                                                 "2: mov %rax,0x8(%rsp); call go_large; mov 0x8(%rsp),%rax; jmp "
                                                 "go_small; int3; int3; int3");
CODE(go_large, "lea -0x1000(%rsp),%r12; cmp 0x10(%r14),%r12\n" LABEL(go_large_check) "jbe 1f; nop\n" LABEL(
                       go_large_1) "ret\n1: jmp go_large");

/* The byte of a RET within an instruction is none. */
CODE(go_within, "cmp 0x10(%r14),%rsp; nop; jbe go_within; mov $0xc3c3c3c3,%eax\n" LABEL(go_within_1) "ret");

/* The stack's ABI, of Go 1.16: the goroutine comes from thread-local storage. */
CODE(go_stack, "mov %fs:0xfffffffffffffff8,%rcx; cmp 0x10(%rcx),%rsp; jbe go_stack; ret");
CODE(go_late, "nop; nop; nop; nop; cmp 0x10(%r14),%rsp; jbe go_late; ret");
CODE(go_never, "cmp 0x10(%r14),%rsp; jbe go_never; jmp go_small");
CODE(go_many, "cmp 0x10(%r14),%rsp; jbe go_many; .rept 65; ret; .endr");
CODE(go_bad, "cmp 0x10(%r14),%rsp; jbe go_bad; ret; .byte 0x06,0x06");

static uint64_t offset_of(const char *name)
{
	uint64_t offset = 0;

	assert_int_equal(symbols_find("/proc/self/exe", &name, 1, &offset), 1);
	return offset;
}

static int find(const char *name, const char *end, struct returns *found)
{
	return returns_find("/proc/self/exe", offset_of(name), offset_of(end), found);
}

static void test_returns__each_is_found(void **state)
{
	struct returns found;

	(void)state;
	assert_int_equal(find("go_small", "go_small_end", &found), 0);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.entry, offset_of("go_small_check"));
	assert_int_equal(found.ret[0], offset_of("go_small_1"));
	assert_int_equal(found.ret[1], offset_of("go_small_2"));
	assert_int_equal(find("go_large", "go_large_end", &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.entry, offset_of("go_large_check"));
	assert_int_equal(found.ret[0], offset_of("go_large_1"));
	assert_int_equal(find("go_within", "go_within_end", &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.entry, offset_of("go_within")); /* nothing branches on it */
	assert_int_equal(found.ret[0], offset_of("go_within_1"));
}

static void test_returns__all_or_nothing(void **state)
{
	const int none = -2; /* ENOENT */
	struct returns found;

	(void)state;
	assert_int_equal(find("go_many", "go_many_end", &found), none);
	assert_int_equal(find("go_stack", "go_stack_end", &found), none);
	assert_int_equal(find("go_late", "go_late_end", &found), none);
	assert_int_equal(find("go_never", "go_never_end", &found), none);
	assert_int_equal(find("go_bad", "go_bad_end", &found), none);
	assert_int_equal(find("go_small", "go_small", &found), none);
	assert_int_equal(returns_find("/proc/self/exe", 0, 1 << 20, &found), none);
	assert_int_equal(returns_find("/proc/self/exe", 1ull << 40, (1ull << 40) + 64, &found), none);
	assert_int_equal(returns_find("/nowhere", 0, 64, &found), none);
}

/* Without Go's table the symbol's size tells; Go's own is of test_record_gotable.c. */
static void test_returns__the_end_is_the_symbols(void **state)
{
	uint64_t end;

	(void)state;
	assert_int_equal(symbols_go_end("/proc/self/exe", offset_of("go_small"), &end), 0);
	assert_int_equal(end, offset_of("go_small_end"));
	assert_int_equal(symbols_go_end("/proc/self/exe", offset_of("go_small") + 1, &end), -2);
	assert_int_equal(symbols_go_end("/proc/self/exe", 1ull << 40, &end), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_returns__each_is_found),
	        cmocka_unit_test(test_returns__all_or_nothing),
	        cmocka_unit_test(test_returns__the_end_is_the_symbols),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("record_returns", tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
