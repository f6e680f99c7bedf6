/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FDTAPE_ERROR_H
#define FDTAPE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef FDTAPE_API
#define FDTAPE_API __attribute__((visibility("default")))
#endif

/* What every function of libfdtape returns when it fails. Numbers are part of the ABI: they are never reused. */
enum fdtape_error {
	FDTAPE_OK = 0,

	/* A system call failed (open, read, write, fsync); errno still says why. */
	FDTAPE_ERR_SYSTEM = -1,
	/* The C library gave no memory. */
	FDTAPE_ERR_MEMORY = -2,
	/* The caller broke the contract of the function (NULL, a value out of range, a call out of order). The
	 * object's state is as before the call. */
	FDTAPE_ERR_USAGE = -3,

	/* The input does not begin with a tape's SECTION block: it is another kind of file, or empty. */
	FDTAPE_ERR_NOT_A_TAPE = -10,
	/* The tape is of an unknown major version, or needs a feature that this build has not; the message of the
	 * reader names it. */
	FDTAPE_ERR_UNSUPPORTED = -11,
	/* A checksum, a length or a value is not what the format allows. */
	FDTAPE_ERR_DAMAGED = -12,
	/* The input ends within a block or before the group that it began was complete. */
	FDTAPE_ERR_TRUNCATED = -13,
	/* A length is within the format but above this build's limits for hostile input. */
	FDTAPE_ERR_LIMIT = -14,
};

/* The error in words, lower case, without a full stop. Never NULL; unknown numbers give "unknown error". */
FDTAPE_API const char *fdtape_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
