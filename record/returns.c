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
 * stack. The branch behind it is where a probe of the entry is best: the kernel emulates a branch, and single-steps
 * a comparison, which is a second trap (docs/performance.md). What comes before it changes nothing but %r12.
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

/* `lea -FRAME(%rsp),%r12` */
static bool writes_r12(const cs_insn *insn)
{
	return insn->id == X86_INS_LEA && insn->detail->x86.operands[0].reg == X86_REG_R12;
}

static int find(csh capstone, const uint8_t *code, size_t size, uint64_t offset, struct returns *found)
{
	cs_insn *insn = cs_malloc(capstone);
	bool checked = false, lea = false, plain = false, complete;

	*found = (struct returns){.entry = offset};
	for (size_t i = 0; insn && size && cs_disasm_iter(capstone, &code, &size, &offset, insn); i++) {
		bool check = i < CHECK_WITHIN && checks_stack(insn);

		if (plain && insn->id == X86_INS_JBE)
			found->entry = insn->address;
		plain = check && (i == 0 || lea);
		lea = i == 0 && writes_r12(insn);
		checked |= check;
		if (insn->id != X86_INS_RET)
			continue;
		if (found->n == RETURNS_MAX) {
			found->n = 0; /* too many */
			break;
		}
		found->ret[found->n++] = insn->address;
	}
	complete = insn && !size;
	if (insn)
		cs_free(insn, 1);
	return complete && checked && found->n ? 0 : -ENOENT;
}

int returns_find(const char *path, uint64_t begin, uint64_t end, struct returns *found)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = -ENOENT;
	size_t size = end > begin && end - begin <= FUNCTION_MAX ? end - begin : 0;
	uint8_t *code = size ? malloc(size) : NULL;
	csh capstone;

	if (fd >= 0 && code && pread(fd, code, size, (off_t)begin) == (ssize_t)size &&
	    cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK) {
		if (cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK)
			error = find(capstone, code, size, begin, found);
		cs_close(&capstone);
	}
	free(code);
	if (fd >= 0)
		close(fd);
	return error;
}

#else

int returns_find(const char *path, uint64_t begin, uint64_t end, struct returns *found)
{
	(void)path;
	(void)begin;
	(void)end;
	(void)found;
	return -ENOENT;
}

#endif
