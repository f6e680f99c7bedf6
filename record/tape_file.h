/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TAPE_FILE_H
#define TAPE_FILE_H

/*
 * The file that a tape is written to: a sink that is cheap for the machine whose programs are recorded.
 *
 * What a writer hands over at once is large when much is recorded. Its whole pages go past the kernel's cache (O_DIRECT,
 * open(2)): the disk takes them from a little memory that is used again and again, and no page has to be found, filled,
 * sent and dropped for each 4 KiB. Only the pages that a hand-over begins and ends in go through the cache, so that the
 * file is as long as what was handed over at any time, and no page is ever written by both ways.
 *
 * While the disk is waited for, nobody empties the ring of the probes. So the time for waiting is rationed: where a disk
 * takes more than that, the cache is used for a while, and longer each time (and record/written.h keeps it small). So it
 * is with a file system that knows nothing of O_DIRECT, a pipe, a device. Errors are always told by the plain way.
 */
#include <fdtape/writer.h>

struct tape_file;

/* Of an empty file, or whatever else can be written to, which stays the caller's. *sink is set: what is handed to it is
 * in the file, as other processes see it, when it returns. NULL: no memory. */
struct tape_file *tape_file_new(int fd, struct fdtape_sink *sink);

/* To be called now and then, with the cache in mind. */
void tape_file_tend(struct tape_file *f);

/* NULL is fine. The sink must not be used any more. */
void tape_file_free(struct tape_file *f);

#endif
