/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef KERNEL_H
#define KERNEL_H

/*
 * The few kernel structures that the probes look into, each with the few fields that they read. CO-RE relocates every
 * access by name against the running kernel's BTF, so neither offsets nor what stands between the fields matter, and
 * no vmlinux.h is needed to build. Where a field moved between kernels, both shapes stand here (`___` and what follows
 * is not part of a name to CO-RE).
 */
#include <linux/bpf.h>

#define __VMLINUX_H__ /* bpf_tracing.h: struct pt_regs has the kernel's names, below */
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#undef __VMLINUX_H__

/* BPF has no C library, and so no stdbool.h or stddef.h. */
#define bool _Bool
#define true 1
#define false 0
#define NULL ((void *)0)

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

#define AF_UNIX     1
#define AF_INET     2
#define AF_INET6    10
#define SOCK_STREAM 1
#define SOCK_DGRAM  2
#define TCP_LISTEN  10
#define S_IFMT      0170000
#define S_IFSOCK    0140000
#define S_IFREG     0100000
#define S_IFCHR     0020000
#define S_IFIFO     0010000
#define FMODE_WRITE 2
#define SOL_SOCKET  1
#define SCM_RIGHTS  1
#define TS_COMPAT   2 /* arch/x86: the system call is a 32-bit one */

/* MSG_ of include/linux/socket.h */
#define MSG_PEEK     0x2
#define MSG_TRUNC    0x20
#define MSG_ERRQUEUE 0x2000

#define PROT_EXEC 4

#define F_DUPFD         0
#define F_DUPFD_CLOEXEC 1030
#define F_SETFL         4

#define EINTR                 4
#define EBADF                 9
#define EAGAIN                11
#define ENOTSOCK              88
#define ERESTARTSYS           512 /* include/linux/errno.h: these never leave the kernel */
#define ERESTART_RESTARTBLOCK 516
#define CLOSE_RANGE_UNSHARE   2
#define CLOSE_RANGE_CLOEXEC   4

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r14, bx, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
};
#define REGS_NR(regs)   ((regs)->orig_ax)
#define REGS_ARG0(regs) ((regs)->di)
#define REGS_ARG1(regs) ((regs)->si)
#define REGS_ARG2(regs) ((regs)->dx)
#define REGS_ARG3(regs) ((regs)->r10)
#define REGS_ARG4(regs) ((regs)->r8)
#define REGS_ARG5(regs) ((regs)->r9)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	unsigned long regs[31], sp, pc, orig_x0;
	s32 syscallno;
};
#define REGS_NR(regs)   ((u64)(u32)(regs)->syscallno)
#define REGS_ARG0(regs) ((regs)->orig_x0)
#define REGS_ARG1(regs) ((regs)->regs[1])
#define REGS_ARG2(regs) ((regs)->regs[2])
#define REGS_ARG3(regs) ((regs)->regs[3])
#define REGS_ARG4(regs) ((regs)->regs[4])
#define REGS_ARG5(regs) ((regs)->regs[5])
#else
#error "the probes know x86 and arm64"
#endif

typedef struct {
	int counter;
} atomic_t;

struct in6_addr_kernel {
	u8 addr[16];
};

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport; /* network order */
	u16 skc_num;   /* host order */
	u16 skc_family;
	volatile u8 skc_state;
	struct in6_addr_kernel skc_v6_daddr;
	struct in6_addr_kernel skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
};

struct unix_address {
	int len; /* of sockaddr_un, sun_family included */
	struct {
		u16 sun_family;
		char sun_path[108];
	} name[0];
};

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
	struct sock *peer;
};

struct socket {
	struct sock *sk;
};

struct inode {
	u16 i_mode;
	unsigned long i_ino;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	void *private_data;
	u32 f_mode;
	s64 f_pos;
	struct path f_path;
};

/* Of fs/eventpoll.c: here it is what any place is where a struct file * stands. */
struct epoll_filefd {
	struct file *file;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	struct file *exe_file;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
};

struct thread_info {
	u32 status;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t euid;
};

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	int exit_code;
	unsigned int in_execve : 1;
	u64 start_time; /* CLOCK_MONOTONIC */
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct files_struct *files;
	struct signal_struct *signal;
	struct mm_struct *mm;
	const struct cred *cred;
};

struct linux_binprm {
	const char *filename;
};

#pragma clang attribute pop

/* Whether the current task can be had as a typed pointer (5.11): its fields are plain loads then, where otherwise each
 * costs a call. For the verifier it is a constant; it does not look at the way that is not taken. */
#define HAS_TYPED_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

/* Makes a typed pointer of any address (6.2): what it leads to are plain loads then, too, and read as 0 where there is
 * nothing. It may stand in programs alone that older kernels are not given: 5.13 to 5.15 refuse it even in code that is
 * never reached. */
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak;
#define TYPED(type, address) ((type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)))

/* The C library's, as they lie in a 64-bit program. */
struct user_iovec {
	u64 base;
	u64 len;
};

struct user_msghdr {
	u64 name;
	u32 namelen;
	u32 pad;
	u64 iov;
	u64 iovlen;
	u64 control;
	u64 controllen;
	u32 flags;
	u32 pad2;
};

struct user_mmsghdr {
	struct user_msghdr hdr;
	u32 len;
	u32 pad;
};

struct user_cmsghdr {
	u64 len; /* this head included */
	u32 level;
	u32 type;
};

union user_sockaddr {
	u16 family;
	struct {
		u16 family, port;
		u8 addr[4];
	} in;
	struct {
		u16 family, port;
		u32 flowinfo;
		u8 addr[16];
	} in6;
};

#endif
