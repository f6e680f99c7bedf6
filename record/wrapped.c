/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * What a uprobe costs is decided by the instruction that it replaces (docs/performance.md). The kernel emulates a push,
 * and single-steps a `sub $24,%rsp`, as SSL_read() and SSL_write() begin with: a second trap, and the larger part of
 * the cost. The return probe beside it is nearly free, but has to be set where the return address lies on top of the
 * stack, so at a function's first instruction.
 *
 * Both wrappers hand their arguments on to the same function, which saves registers and so begins with a push. It is
 * found by reading each of them from its start to its first call, with no branch taken, while it is kept account of
 * where each register's value came from. The function is taken for what it is only if both calls lead to the same
 * place with ssl, buffer and length unchanged, and with where to count being a place on the stack for the one, and its
 * caller's for the other. Whatever else is found, the wrappers themselves are probed.
 */
#include "record/wrapped.h"

#include <errno.h>

#if defined(__x86_64__)

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <capstone.h>

enum {
	CODE_BYTES = 256,
	INSTRUCTIONS = 48,
	ARGUMENTS = 6,
};

/* Where a register's value came from. */
enum origin {
	ARGUMENT, /* plus its number */
	STACK = ARGUMENT + ARGUMENTS,
	OTHER,
};

/* The registers that arguments are in (System V ABI, AMD64), and the others that a value may wait in. */
static const x86_reg whole[] = {X86_REG_RDI, X86_REG_RSI, X86_REG_RDX, X86_REG_RCX, X86_REG_R8,
                                X86_REG_R9,  X86_REG_RAX, X86_REG_RBX, X86_REG_RBP, X86_REG_R10,
                                X86_REG_R11, X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15};
static const x86_reg half[] = {X86_REG_EDI,  X86_REG_ESI,  X86_REG_EDX,  X86_REG_ECX,  X86_REG_R8D,
                               X86_REG_R9D,  X86_REG_EAX,  X86_REG_EBX,  X86_REG_EBP,  X86_REG_R10D,
                               X86_REG_R11D, X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D};
#define REGISTERS (sizeof whole / sizeof *whole)

struct wrapper {
	enum origin origin[REGISTERS]; /* at the call */
	uint64_t target;
};

/* The register's place in the lists; -1: none of those. */
static int place_of(unsigned reg)
{
	for (size_t i = 0; i < REGISTERS; i++)
		if (whole[i] == reg || half[i] == reg)
			return (int)i;
	return -1;
}

static enum origin origin_of(const struct wrapper *w, unsigned reg)
{
	int place = place_of(reg);

	return reg == X86_REG_RSP ? STACK : place < 0 ? OTHER : w->origin[place];
}

/* What the instruction's only or first operand, a register, is given. */
static enum origin moved(const struct wrapper *w, const cs_insn *insn)
{
	const cs_x86 *x = &insn->detail->x86;

	if (x->op_count != 2 || x->operands[0].type != X86_OP_REG)
		return OTHER;
	if (insn->id == X86_INS_LEA)
		return x->operands[1].mem.base == X86_REG_RSP && x->operands[1].mem.index == X86_REG_INVALID ? STACK
		                                                                                             : OTHER;
	if ((insn->id == X86_INS_MOV || insn->id == X86_INS_MOVSXD) && x->operands[1].type == X86_OP_REG &&
	    x->operands[0].size >= 4)
		return origin_of(w, x->operands[1].reg);
	return OTHER;
}

static void follow(csh capstone, struct wrapper *w, const cs_insn *insn)
{
	enum origin value = moved(w, insn);
	cs_regs read, written;
	uint8_t n_read, n_written;

	if (cs_regs_access(capstone, insn, read, &n_read, written, &n_written) != 0)
		n_written = 0;
	for (uint8_t i = 0; i < n_written; i++) {
		int place = place_of(written[i]);

		if (place >= 0)
			w->origin[place] = value;
	}
}

/* Reads a function to its first call, or to the jump that stands for one. */
static bool read_wrapper(csh capstone, const uint8_t *code, size_t size, uint64_t offset, bool may_jump,
                         struct wrapper *w)
{
	cs_insn *insn = cs_malloc(capstone);
	bool found = false;

	for (size_t i = 0; i < REGISTERS; i++)
		w->origin[i] = i < ARGUMENTS ? (enum origin)(ARGUMENT + i) : OTHER;
	for (int i = 0; insn && i < INSTRUCTIONS && cs_disasm_iter(capstone, &code, &size, &offset, insn); i++) {
		const cs_x86 *x = &insn->detail->x86;

		if (insn->id == X86_INS_CALL || insn->id == X86_INS_JMP) {
			found = (insn->id == X86_INS_CALL || may_jump) && x->op_count == 1 &&
			        x->operands[0].type == X86_OP_IMM;
			w->target = found ? (uint64_t)x->operands[0].imm : 0;
			break;
		}
		if (insn->id == X86_INS_RET)
			break;
		follow(capstone, w, insn);
	}
	if (insn)
		cs_free(insn, 1);
	return found;
}

static size_t read_code(int fd, uint64_t offset, uint8_t code[static CODE_BYTES])
{
	ssize_t n = pread(fd, code, CODE_BYTES, (off_t)offset);

	return n > 0 ? (size_t)n : 0;
}

static bool hands_on(const struct wrapper *w)
{
	return w->origin[0] == ARGUMENT && w->origin[1] == ARGUMENT + 1 && w->origin[2] == ARGUMENT + 2;
}

/* Both are at their calls: is it the same function, and where does it count? -1: no, or unknown. */
static int same(const struct wrapper *plain, const struct wrapper *ex)
{
	if (plain->target != ex->target || !hands_on(plain) || !hands_on(ex))
		return -1;
	if (plain->origin[3] == STACK && ex->origin[3] == ARGUMENT + 3)
		return 3;
	if (plain->origin[4] == STACK && plain->origin[3] == OTHER && ex->origin[3] == ARGUMENT + 3 &&
	    ex->origin[4] == ARGUMENT + 4)
		return 4;
	return -1;
}

/* push %rax .. %rdi, push %r8 .. %r15 */
static bool is_push(const uint8_t *code, size_t size)
{
	return (size >= 1 && (code[0] & 0xf8) == 0x50) || (size >= 2 && code[0] == 0x41 && (code[1] & 0xf8) == 0x50);
}

static int find(csh capstone, int fd, uint64_t plain, uint64_t ex, struct wrapped *found)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	struct wrapper wrapper[2];
	uint8_t code[CODE_BYTES];
	size_t size;

	if (!read_wrapper(capstone, code, read_code(fd, plain, code), plain, false, &wrapper[0]) ||
	    !read_wrapper(capstone, code, read_code(fd, ex, code), ex, true, &wrapper[1]))
		return -ENOENT;
	found->offset = wrapper[0].target;
	found->count = same(&wrapper[0], &wrapper[1]);
	if (found->count < 0)
		return -ENOENT;
	size = read_code(fd, found->offset, code);
	if (size >= sizeof endbr64 && memcmp(code, endbr64, sizeof endbr64) == 0) {
		/* It touches nothing: behind it the return address is on top of the stack still. */
		found->offset += sizeof endbr64;
		size = read_code(fd, found->offset, code);
	}
	return is_push(code, size) ? 0 : -ENOENT;
}

int wrapped_find(const char *path, uint64_t plain, uint64_t ex, struct wrapped *found)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = -ENOENT;
	csh capstone;

	if (fd < 0)
		return -ENOENT;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK) {
		if (cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK)
			error = find(capstone, fd, plain, ex, found);
		cs_close(&capstone);
	}
	close(fd);
	return error;
}

#else

int wrapped_find(const char *path, uint64_t plain, uint64_t ex, struct wrapped *found)
{
	(void)path;
	(void)plain;
	(void)ex;
	(void)found;
	return -ENOENT;
}

#endif
