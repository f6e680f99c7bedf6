/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GOTABLE_H
#define GOTABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Go's table of functions (.gopclntab), which the runtime needs for its stack traces and which therefore every Go
 * program has, stripped or not. Knows the shapes of Go 1.16 and 1.17, 1.18 and 1.19, and from 1.20 on.
 */

#define GOTABLE_TEXT_AT 24 /* where in the table it says where the code begins; 0 in it if that is filled in at start */

/* What the table begins with, if it is one: 0xfffffff1, ...; 0: it is none. */
uint32_t gotable_magic(const uint8_t *table, size_t size);

/* The addresses of functions: addresses[i] is 0 for a name that is not there. `text` is where the code begins, for a
 * table that does not say so itself. Returns how many were found. */
int gotable_find(const uint8_t *table, size_t size, uint64_t text, const char *const *names, size_t n,
                 uint64_t *addresses);

/* Where the function behind the one at an address begins, or the code ends; 0: no function begins at the address. */
uint64_t gotable_end(const uint8_t *table, size_t size, uint64_t text, uint64_t address);

#endif
