/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stddef.h>

#include <fdtape/types.h>

enum {
	ADDRESS_TEXT_MAX = FDTAPE_ADDRESS_MAX + 32
};

/* "192.0.2.1:443", "[2001:db8::1]:443", "/run/x.sock", "@abstract", "" when not known. May hold any bytes but NUL. */
void address_text(char text[static ADDRESS_TEXT_MAX], const struct fdtape_address *address);

#endif
