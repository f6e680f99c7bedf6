/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A function of Go's holds nothing but instructions, with INT3 between it and the next one, so they can be told apart
 * from its start to its end. A place that is taken for one and lies within another would be the program's end when a
 * probe is set there: so it is all or nothing.
 *
 * Nearly every function of Go's begins with a look at whether the stack is large enough: `cmp 0x10(%r14),%rsp`, or
 * %r12 for a large frame. That is the goroutine's register, which Go did not have as long as arguments were on the
 * stack.
 */
#include "record/returns.h"

#include <errno.h>

#if defined(__x86_64__)

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <capstone.h>

enum {
	FUNCTION_MAX = 64 << 10, /* bytes; those that are asked for have 2 KiB */
	CHECK_WITHIN = 4,        /* instructions */
	STACK_GUARD = 0x10,      /* runtime.g: stackguard0 */
};

static bool checks_stack(const cs_insn *insn)
{
	const cs_x86 *x = &insn->detail->x86;

	for (uint8_t i = 0; i < x->op_count && insn->id == X86_INS_CMP; i++)
		if (x->operands[i].type == X86_OP_MEM && x->operands[i].mem.base == X86_REG_R14 &&
		    x->operands[i].mem.disp == STACK_GUARD)
			return true;
	return false;
}

static int find(csh capstone, const uint8_t *code, size_t size, uint64_t offset, uint64_t *offsets, size_t max)
{
	cs_insn *insn = cs_malloc(capstone);
	bool checked = false;
	size_t n = 0;

	for (size_t i = 0; insn && size && cs_disasm_iter(capstone, &code, &size, &offset, insn); i++) {
		checked |= i < CHECK_WITHIN && checks_stack(insn);
		if (insn->id != X86_INS_RET)
			continue;
		if (n < max)
			offsets[n] = insn->address;
		n++;
	}
	if (insn)
		cs_free(insn, 1);
	return insn && !size && checked && n && n <= max ? (int)n : -ENOENT;
}

int returns_find(const char *path, uint64_t begin, uint64_t end, uint64_t *offsets, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), n = -ENOENT;
	size_t size = end > begin && end - begin <= FUNCTION_MAX ? end - begin : 0;
	uint8_t *code = size ? malloc(size) : NULL;
	csh capstone;

	if (fd >= 0 && code && pread(fd, code, size, (off_t)begin) == (ssize_t)size &&
	    cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK) {
		if (cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK)
			n = find(capstone, code, size, begin, offsets, max);
		cs_close(&capstone);
	}
	free(code);
	if (fd >= 0)
		close(fd);
	return n;
}

#else

int returns_find(const char *path, uint64_t begin, uint64_t end, uint64_t *offsets, size_t max)
{
	(void)path;
	(void)begin;
	(void)end;
	(void)offsets;
	(void)max;
	return -ENOENT;
}

#endif
