/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLAIMED_PORTS_H
#define CLAIMED_PORTS_H

#include <stdbool.h>
#include <stdint.h>

/* Does Wireshark give the TCP port to a protocol of its own, so that it would not look for TLS there? */
bool claimed_port(uint16_t port);

#endif
