/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SANDBOX_H
#define SANDBOX_H

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

/*
 * From here on only the system calls that a recorder needs. The recorder reads what hostile programs say about
 * themselves; whoever gets hold of it that way shall not get further.
 *
 * A call that is not on the list is not made and fails with ENOSYS, so that a C library which has learnt a newer one
 * falls back on what is older; it is told once on standard error. An attempt to run a program, to trace a process or to
 * change the system ends the recorder with `status`.
 *
 * 0 or -errno: the kernel has no filters (-EINVAL), ...
 */
int sandbox_enter(int status);

#endif
