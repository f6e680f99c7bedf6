/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef NSS_H
#define NSS_H

/*
 * NSS: a TLS connection is a PRFileDesc with NSS' layer on it, read and written by NSPR's PR_Read() and the like; its
 * secrets never leave softoken. Both structs below are NSPR's public interface (prio.h): a file or socket says in its
 * methods what it is, and one with a layer says that. Those alone are recorded.
 */
#include "bpf/gnutls.h"

#define PR_DESC_LAYERED 4
#define PR_MSG_PEEK     2

static __always_inline bool is_layered(u64 descriptor)
{
	u64 methods = 0;
	u32 type = 0;

	return !read_user(&methods, sizeof methods, (void *)descriptor) &&
	       !read_user(&type, sizeof type, (void *)methods) && type == PR_DESC_LAYERED;
}

#define DEFINE_PR_ENTER(NAME, CALL, HOW, FLAGS)                                                                        \
	SEC("uprobe")                                                                                                  \
	int BPF_KPROBE(NAME, u64 descriptor, u64 buffer, int len, int flags)                                           \
	{                                                                                                              \
		struct library_frame frame = {                                                                         \
		        .object = descriptor, .buffer = buffer, .len = len, .extra = FLAGS, .call = CALL, .how = HOW}; \
                                                                                                                       \
		if (frame.extra & PR_MSG_PEEK)                                                                         \
			frame.how |= LIB_PEEK;                                                                         \
		return is_layered(descriptor) ? library_enter(PT_REGS_SP(ctx), &frame) : 0;                            \
	}
DEFINE_PR_ENTER(pr_read, CALL_PR_READ, LIB_CARRIES, 0)
DEFINE_PR_ENTER(pr_write, CALL_PR_WRITE, LIB_CARRIES | LIB_OUT, 0)
DEFINE_PR_ENTER(pr_recv, CALL_PR_RECV, LIB_CARRIES, (u32)flags)
DEFINE_PR_ENTER(pr_send, CALL_PR_SEND, LIB_CARRIES | LIB_OUT, (u32)flags)

#endif
