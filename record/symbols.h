/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SYMBOLS_H
#define SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Where functions lie in an ELF file, as uprobes want it: the offset in the file (not the address) of the first
 * instruction. offsets[i] is 0 for a name that the file does not define. Looks at .dynsym, then at .symtab.
 *
 * Returns how many were found; -errno: the file can't be read; -ENOEXEC: it is no 64-bit ELF file of this machine.
 */
int symbols_find(const char *path, const char *const *names, size_t n, uint64_t *offsets);

#endif
