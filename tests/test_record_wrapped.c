/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The function that wrappers share, as compilers have laid them out: those of OpenSSL 3.0 (Debian 12, GCC 12), those of
 * later releases with their flags, and what only looks like them. The truth is the assembler's labels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/symbols.h"
#include "record/wrapped.h"

#if defined(__x86_64__)

#define CODE(NAME, TEXT) __asm__(".text\n.type " #NAME ",@function\n" #NAME ": " TEXT)

CODE(inner, "push %r13; push %r12; sub $0x38,%rsp; add $0x38,%rsp; pop %r12; pop %r13; ret");
CODE(inner_cet, "endbr64; push %rbx; pop %rbx; ret");
CODE(inner_sub, "sub $8,%rsp; add $8,%rsp; ret");

/* SSL_read() and SSL_read_ex() of OpenSSL 3.0 */
CODE(plain, "sub $0x18,%rsp; mov %fs:0x28,%rax; mov %rax,0x8(%rsp); xor %eax,%eax; test %edx,%edx; js 1f;"
            "mov %rsp,%rcx; movslq %edx,%rdx; call inner; 1: add $0x18,%rsp; ret");
CODE(ex, "sub $8,%rsp; call inner; xor %edx,%edx; test %eax,%eax; cmovs %edx,%eax; add $8,%rsp; ret");
CODE(ex_jump, "jmp inner");

/* with CET, and a register saved first */
CODE(plain_cet, "endbr64; push %rbx; sub $0x10,%rsp; test %edx,%edx; js 1f; mov %rdi,%rbx; lea 0x8(%rsp),%rcx;"
                "movslq %edx,%rdx; call inner_cet; 1: add $0x10,%rsp; pop %rbx; ret");
CODE(ex_cet, "endbr64; sub $8,%rsp; call inner_cet; add $8,%rsp; ret");

/* SSL_write() and SSL_write_ex2() of OpenSSL 3.3 */
CODE(plain_flags, "sub $0x18,%rsp; test %edx,%edx; js 1f; mov %rsp,%r8; movslq %edx,%rdx; xor %ecx,%ecx; call inner;"
                  "1: add $0x18,%rsp; ret");
CODE(ex_flags, "sub $8,%rsp; call inner; add $8,%rsp; ret");

/* the buffer is another one; another function is called first; where to count went another way; nothing would be won */
CODE(plain_other, "sub $0x18,%rsp; mov %rsp,%rcx; xor %esi,%esi; call inner; add $0x18,%rsp; ret");
CODE(plain_elsewhere, "sub $0x18,%rsp; mov %rsp,%rcx; call inner_cet; add $0x18,%rsp; ret");
CODE(plain_lost, "sub $0x18,%rsp; mov %rsp,%rcx; mov (%rcx),%rcx; call inner; add $0x18,%rsp; ret");
CODE(plain_sub, "sub $0x18,%rsp; mov %rsp,%rcx; call inner_sub; add $0x18,%rsp; ret");
CODE(ex_sub, "sub $8,%rsp; call inner_sub; add $8,%rsp; ret");
CODE(plain_ends, "ret");
CODE(plain_loops, "jmp plain_loops");
CODE(plain_bad, "ud2; .byte 0x06,0x06,0x06");

static uint64_t offset_of(const char *name)
{
	uint64_t offset = 0;

	assert_int_equal(symbols_find("/proc/self/exe", &name, 1, &offset), 1);
	return offset;
}

static void expect(const char *plain, const char *ex, const char *inner, uint64_t behind, int count)
{
	struct wrapped found = {0};
	int error = wrapped_find("/proc/self/exe", offset_of(plain), offset_of(ex), &found);

	assert_int_equal(error, inner ? 0 : -2 /* ENOENT */);
	if (inner) {
		assert_int_equal(found.offset, offset_of(inner) + behind);
		assert_int_equal(found.count, count);
	}
}

static void finds(void **state)
{
	(void)state;
	expect("plain", "ex", "inner", 0, 3);
	expect("plain", "ex_jump", "inner", 0, 3);
	expect("plain_cet", "ex_cet", "inner_cet", 4, 3);
	expect("plain_flags", "ex_flags", "inner", 0, 4);
}

static void refuses(void **state)
{
	static const char *const not [] = {"plain_other", "plain_elsewhere", "plain_lost", "plain_ends",
	                                   "plain_loops", "plain_bad",       "ex"};

	(void)state;
	for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
		expect(not [i], "ex", NULL, 0, 0);
	expect("plain_sub", "ex_sub", NULL, 0, 0);
	expect("plain", "plain", NULL, 0, 0);
	expect("plain", "ex_cet", NULL, 0, 0);
}

static void no_file(void **state)
{
	struct wrapped found;

	(void)state;
	assert_true(wrapped_find("/dev/null", 1, 2, &found) < 0);
	assert_true(wrapped_find("/nonexistent", 1, 2, &found) < 0);
	assert_true(wrapped_find("/proc/self/exe", UINT64_MAX - 4, UINT64_MAX / 2, &found) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds),
	        cmocka_unit_test(refuses),
	        cmocka_unit_test(no_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include <stdio.h>

int main(void)
{
	puts("ok 1 - functions behind wrappers # SKIP known on x86-64 only\n1..1");
	return 0;
}

#endif
