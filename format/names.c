/* SPDX-License-Identifier: BSD-2-Clause */

/* Names of the numbers that are on tapes. Each switch is over the enum and has no default, so that the compiler
 * reports the number that was given no name. */
#include <fdtape/types.h>

const char *fdtape_call_name(uint32_t call)
{
	switch ((enum fdtape_call)call) {
	case FDTAPE_CALL_NONE:
		return NULL;
	case FDTAPE_CALL_READ:
		return "read";
	case FDTAPE_CALL_WRITE:
		return "write";
	case FDTAPE_CALL_READV:
		return "readv";
	case FDTAPE_CALL_WRITEV:
		return "writev";
	case FDTAPE_CALL_RECVFROM:
		return "recvfrom";
	case FDTAPE_CALL_SENDTO:
		return "sendto";
	case FDTAPE_CALL_RECVMSG:
		return "recvmsg";
	case FDTAPE_CALL_SENDMSG:
		return "sendmsg";
	case FDTAPE_CALL_SOCKET:
		return "socket";
	case FDTAPE_CALL_CONNECT:
		return "connect";
	case FDTAPE_CALL_ACCEPT:
		return "accept";
	case FDTAPE_CALL_ACCEPT4:
		return "accept4";
	case FDTAPE_CALL_CLOSE:
		return "close";
	case FDTAPE_CALL_PREAD64:
		return "pread64";
	case FDTAPE_CALL_PWRITE64:
		return "pwrite64";
	case FDTAPE_CALL_PREADV:
		return "preadv";
	case FDTAPE_CALL_PWRITEV:
		return "pwritev";
	case FDTAPE_CALL_PREADV2:
		return "preadv2";
	case FDTAPE_CALL_PWRITEV2:
		return "pwritev2";
	case FDTAPE_CALL_RECVMMSG:
		return "recvmmsg";
	case FDTAPE_CALL_SENDMMSG:
		return "sendmmsg";
	case FDTAPE_CALL_SENDFILE:
		return "sendfile";
	case FDTAPE_CALL_SPLICE:
		return "splice";
	case FDTAPE_CALL_TEE:
		return "tee";
	case FDTAPE_CALL_VMSPLICE:
		return "vmsplice";
	case FDTAPE_CALL_COPY_FILE_RANGE:
		return "copy_file_range";
	case FDTAPE_CALL_SOCKETPAIR:
		return "socketpair";
	case FDTAPE_CALL_BIND:
		return "bind";
	case FDTAPE_CALL_LISTEN:
		return "listen";
	case FDTAPE_CALL_SHUTDOWN:
		return "shutdown";
	case FDTAPE_CALL_CLOSE_RANGE:
		return "close_range";
	case FDTAPE_CALL_DUP:
		return "dup";
	case FDTAPE_CALL_DUP2:
		return "dup2";
	case FDTAPE_CALL_DUP3:
		return "dup3";
	case FDTAPE_CALL_FCNTL:
		return "fcntl";
	case FDTAPE_CALL_SETSOCKOPT:
		return "setsockopt";
	case FDTAPE_CALL_GETSOCKOPT:
		return "getsockopt";
	case FDTAPE_CALL_PIPE:
		return "pipe";
	case FDTAPE_CALL_PIPE2:
		return "pipe2";
	case FDTAPE_CALL_OPEN:
		return "open";
	case FDTAPE_CALL_OPENAT:
		return "openat";
	case FDTAPE_CALL_OPENAT2:
		return "openat2";
	case FDTAPE_CALL_CREAT:
		return "creat";
	case FDTAPE_CALL_IO_URING_SETUP:
		return "io_uring_setup";
	case FDTAPE_CALL_IO_URING_ENTER:
		return "io_uring_enter";
	case FDTAPE_CALL_IO_URING_REGISTER:
		return "io_uring_register";
	case FDTAPE_CALL_LSEEK:
		return "lseek";
	case FDTAPE_CALL_FSYNC:
		return "fsync";
	case FDTAPE_CALL_FTRUNCATE:
		return "ftruncate";
	case FDTAPE_CALL_IOCTL:
		return "ioctl";
	case FDTAPE_CALL_IO_URING_READ:
		return "io_uring_read";
	case FDTAPE_CALL_IO_URING_WRITE:
		return "io_uring_write";
	case FDTAPE_CALL_IO_URING_RECV:
		return "io_uring_recv";
	case FDTAPE_CALL_IO_URING_SEND:
		return "io_uring_send";
	case FDTAPE_CALL_IO_URING_RECVMSG:
		return "io_uring_recvmsg";
	case FDTAPE_CALL_IO_URING_SENDMSG:
		return "io_uring_sendmsg";
	case FDTAPE_CALL_IO_URING_ACCEPT:
		return "io_uring_accept";
	case FDTAPE_CALL_IO_URING_CONNECT:
		return "io_uring_connect";
	case FDTAPE_CALL_IO_URING_CLOSE:
		return "io_uring_close";
	case FDTAPE_CALL_IO_URING_SPLICE:
		return "io_uring_splice";
	case FDTAPE_CALL_IO_URING_OTHER:
		return "io_uring_other";
	case FDTAPE_CALL_EXEC:
		return "exec";
	case FDTAPE_CALL_FORK:
		return "fork";
	case FDTAPE_CALL_EXIT:
		return "exit";
	case FDTAPE_CALL_SSL_READ:
		return "SSL_read";
	case FDTAPE_CALL_SSL_READ_EX:
		return "SSL_read_ex";
	case FDTAPE_CALL_SSL_WRITE:
		return "SSL_write";
	case FDTAPE_CALL_SSL_WRITE_EX:
		return "SSL_write_ex";
	case FDTAPE_CALL_SSL_FREE:
		return "SSL_free";
	case FDTAPE_CALL_SSL_PEEK:
		return "SSL_peek";
	case FDTAPE_CALL_SSL_PEEK_EX:
		return "SSL_peek_ex";
	case FDTAPE_CALL_SSL_WRITE_EX2:
		return "SSL_write_ex2";
	case FDTAPE_CALL_SSL_SENDFILE:
		return "SSL_sendfile";
	case FDTAPE_CALL_SSL_DO_HANDSHAKE:
		return "SSL_do_handshake";
	case FDTAPE_CALL_SSL_CONNECT:
		return "SSL_connect";
	case FDTAPE_CALL_SSL_ACCEPT:
		return "SSL_accept";
	case FDTAPE_CALL_SSL_SET_FD:
		return "SSL_set_fd";
	case FDTAPE_CALL_SSL_SET_RFD:
		return "SSL_set_rfd";
	case FDTAPE_CALL_SSL_SET_WFD:
		return "SSL_set_wfd";
	case FDTAPE_CALL_GNUTLS_RECORD_RECV:
		return "gnutls_record_recv";
	case FDTAPE_CALL_GNUTLS_RECORD_RECV_SEQ:
		return "gnutls_record_recv_seq";
	case FDTAPE_CALL_GNUTLS_RECORD_SEND:
		return "gnutls_record_send";
	case FDTAPE_CALL_GNUTLS_RECORD_SEND2:
		return "gnutls_record_send2";
	case FDTAPE_CALL_GNUTLS_HANDSHAKE:
		return "gnutls_handshake";
	case FDTAPE_CALL_GNUTLS_DEINIT:
		return "gnutls_deinit";
	case FDTAPE_CALL_PR_READ:
		return "PR_Read";
	case FDTAPE_CALL_PR_WRITE:
		return "PR_Write";
	case FDTAPE_CALL_PR_RECV:
		return "PR_Recv";
	case FDTAPE_CALL_PR_SEND:
		return "PR_Send";
	case FDTAPE_CALL_PR_CLOSE:
		return "PR_Close";
	case FDTAPE_CALL_GO_TLS_READ:
		return "tls.Conn.Read";
	case FDTAPE_CALL_GO_TLS_WRITE:
		return "tls.Conn.Write";
	case FDTAPE_CALL_GO_TLS_CLOSE:
		return "tls.Conn.Close";
	}
	return NULL;
}

const char *fdtape_call_module(uint32_t call)
{
	if (!fdtape_call_name(call))
		return NULL;
	if (call >= FDTAPE_CALL_GO_TLS_READ)
		return "go";
	if (call >= FDTAPE_CALL_SSL_READ)
		return call >= FDTAPE_CALL_PR_READ              ? "nss"
		       : call >= FDTAPE_CALL_GNUTLS_RECORD_RECV ? "gnutls"
		                                                : "openssl";
	if (call >= FDTAPE_CALL_EXEC)
		return "process";
	return call >= FDTAPE_CALL_IO_URING_READ ? "io_uring" : "syscall";
}

int fdtape_call_carries(uint32_t call)
{
	switch (call) {
	case FDTAPE_CALL_READ:
	case FDTAPE_CALL_WRITE:
	case FDTAPE_CALL_READV:
	case FDTAPE_CALL_WRITEV:
	case FDTAPE_CALL_RECVFROM:
	case FDTAPE_CALL_SENDTO:
	case FDTAPE_CALL_RECVMSG:
	case FDTAPE_CALL_SENDMSG:
	case FDTAPE_CALL_PREAD64:
	case FDTAPE_CALL_PWRITE64:
	case FDTAPE_CALL_PREADV:
	case FDTAPE_CALL_PWRITEV:
	case FDTAPE_CALL_PREADV2:
	case FDTAPE_CALL_PWRITEV2:
	case FDTAPE_CALL_RECVMMSG:
	case FDTAPE_CALL_SENDMMSG:
	case FDTAPE_CALL_SENDFILE:
	case FDTAPE_CALL_SPLICE:
	case FDTAPE_CALL_TEE:
	case FDTAPE_CALL_VMSPLICE:
	case FDTAPE_CALL_COPY_FILE_RANGE:
	case FDTAPE_CALL_IO_URING_READ:
	case FDTAPE_CALL_IO_URING_WRITE:
	case FDTAPE_CALL_IO_URING_RECV:
	case FDTAPE_CALL_IO_URING_SEND:
	case FDTAPE_CALL_IO_URING_RECVMSG:
	case FDTAPE_CALL_IO_URING_SENDMSG:
	case FDTAPE_CALL_IO_URING_SPLICE:
	case FDTAPE_CALL_SSL_READ:
	case FDTAPE_CALL_SSL_READ_EX:
	case FDTAPE_CALL_SSL_WRITE:
	case FDTAPE_CALL_SSL_WRITE_EX:
	case FDTAPE_CALL_SSL_PEEK:
	case FDTAPE_CALL_SSL_PEEK_EX:
	case FDTAPE_CALL_SSL_WRITE_EX2:
	case FDTAPE_CALL_SSL_SENDFILE:
	case FDTAPE_CALL_GNUTLS_RECORD_RECV:
	case FDTAPE_CALL_GNUTLS_RECORD_RECV_SEQ:
	case FDTAPE_CALL_GNUTLS_RECORD_SEND:
	case FDTAPE_CALL_GNUTLS_RECORD_SEND2:
	case FDTAPE_CALL_PR_READ:
	case FDTAPE_CALL_PR_WRITE:
	case FDTAPE_CALL_PR_RECV:
	case FDTAPE_CALL_PR_SEND:
	case FDTAPE_CALL_GO_TLS_READ:
	case FDTAPE_CALL_GO_TLS_WRITE:
		return 1;
	default:
		return 0;
	}
}

int fdtape_call_flow_arg(uint32_t call)
{
	switch (call) {
	case FDTAPE_CALL_ACCEPT:
	case FDTAPE_CALL_ACCEPT4:
	case FDTAPE_CALL_DUP:
	case FDTAPE_CALL_DUP2:
	case FDTAPE_CALL_DUP3:
	case FDTAPE_CALL_OPEN:
	case FDTAPE_CALL_OPENAT:
	case FDTAPE_CALL_OPENAT2:
	case FDTAPE_CALL_CREAT:
	case FDTAPE_CALL_IO_URING_ACCEPT:
		return 0;
	case FDTAPE_CALL_SENDFILE:
	case FDTAPE_CALL_SPLICE:
	case FDTAPE_CALL_TEE:
	case FDTAPE_CALL_COPY_FILE_RANGE:
	case FDTAPE_CALL_SSL_SET_FD:
	case FDTAPE_CALL_SSL_SET_RFD:
	case FDTAPE_CALL_SSL_SET_WFD:
	case FDTAPE_CALL_GO_TLS_READ:
	case FDTAPE_CALL_GO_TLS_WRITE:
		return 1;
	case FDTAPE_CALL_FCNTL:
		return 2;
	default:
		return -1;
	}
}

const char *fdtape_loss_name(uint32_t reason)
{
	switch ((enum fdtape_loss_reason)reason) {
	case FDTAPE_LOSS_RING_FULL:
		return "ring full";
	case FDTAPE_LOSS_PAYLOAD:
		return "payload left out";
	case FDTAPE_LOSS_UNREADABLE:
		return "memory unreadable";
	case FDTAPE_LOSS_SNAPLEN:
		return "snaplen";
	case FDTAPE_LOSS_MAP_FULL:
		return "map full";
	case FDTAPE_LOSS_BLIND:
		return "not decoded";
	case FDTAPE_LOSS_DISK:
		return "disk";
	case FDTAPE_LOSS_BLOCK:
		return "block damaged";
	case FDTAPE_LOSS_CUT:
		return "cut";
	case FDTAPE_LOSS_REDACTED:
		return "redacted";
	case FDTAPE_LOSS_KERNEL_COPY:
		return "kernel copied";
	case FDTAPE_LOSS_IO_URING:
		return "io_uring";
	}
	return NULL;
}
