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
	}
	return NULL;
}

const char *fdtape_call_module(uint32_t call)
{
	if (!fdtape_call_name(call))
		return NULL;
	if (call >= FDTAPE_CALL_SSL_READ)
		return "openssl";
	return call >= FDTAPE_CALL_EXEC ? "process" : "syscall";
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
	}
	return NULL;
}
