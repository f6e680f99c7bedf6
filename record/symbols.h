/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SYMBOLS_H
#define SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Where functions lie in an ELF file, as uprobes want it: the offset in the file (not the address) of the first
 * instruction. offsets[i] is 0 for a name that the file does not define. Looks at .dynsym, then at .symtab, then at the
 * table that Go programs carry for themselves.
 *
 * Returns how many were found; -errno: the file can't be read; -ENOEXEC: it is no 64-bit ELF file of this machine.
 */
#define SYMBOLS_MAX 64 /* names at once */
int symbols_find(const char *path, const char *const *names, size_t n, uint64_t *offsets);

/*
 * The same from a text file, for a program that is stripped: a line is
 *     FUNCTION ADDRESS    in hexadecimal, as a debugger or nm shows it
 *     FUNCTION +OFFSET    in hexadecimal, in the file
 *     ADDRESS TYPE NAME   as nm prints it; names that are none of ours are passed over
 * `#` begins a comment. 0, or -errno with a message.
 */
int symbols_read(const char *symbols, const char *path, const char *const *names, size_t n, uint64_t *offsets,
                 char *message, size_t size);

/* Where the function of a Go program ends that begins at an offset in the file, padding included: what the next one
 * begins with, by Go's table or else by .symtab. 0, or -ENOENT. */
int symbols_go_end(const char *path, uint64_t offset, uint64_t *end);

/* The file's GNU build id (the note NT_GNU_BUILD_ID) in hex; "": it has none. 0, or -ENOENT: it can't be read, or is
 * another one than `inode` (0: whichever it is). */
#define SYMBOLS_BUILD_ID_MAX 129 /* 64 bytes, and the NUL */
int symbols_build_id(const char *path, uint64_t inode, char build_id[static SYMBOLS_BUILD_ID_MAX]);

#endif
