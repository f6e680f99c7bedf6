/* SPDX-License-Identifier: BSD-2-Clause */
#include <fdtape/error.h>

const char *fdtape_strerror(int error)
{
	switch ((enum fdtape_error)error) {
	case FDTAPE_OK:
		return "no error";
	case FDTAPE_ERR_SYSTEM:
		return "system call failed";
	case FDTAPE_ERR_MEMORY:
		return "out of memory";
	case FDTAPE_ERR_USAGE:
		return "invalid call or value";
	case FDTAPE_ERR_NOT_A_TAPE:
		return "not a tape";
	case FDTAPE_ERR_UNSUPPORTED:
		return "tape needs a newer release";
	case FDTAPE_ERR_DAMAGED:
		return "tape is damaged";
	case FDTAPE_ERR_TRUNCATED:
		return "tape ends early";
	case FDTAPE_ERR_LIMIT:
		return "tape exceeds a limit";
	}
	return "unknown error";
}
