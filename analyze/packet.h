/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PACKET_H
#define PACKET_H

/*
 * The headers of a packet that could have carried some bytes: Ethernet, IPv4 or IPv6, TCP or UDP.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_HEAD_MAX = 14 + 40 + 20 + 8,
	/* Below what the 16-bit lengths of IP allow, headers included. */
	PACKET_TCP_DATA_MAX = 65000,
	PACKET_UDP_DATA_MAX = 65507,
};

enum packet_flag {
	PACKET_SYN = 0x02,
	PACKET_PSH = 0x08,
	PACKET_ACK = 0x10,
};

struct packet_end {
	uint8_t ip[16]; /* the first 4 for IPv4 */
	uint16_t port;
};

struct packet_path {
	bool ipv6;
	struct packet_end from, to;
};

struct packet_tcp {
	uint32_t seq, ack;
	unsigned flags; /* enum packet_flag */
};

/* Both write the headers for `len` bytes of data and return their length. Checksums are right. */
size_t packet_tcp(uint8_t head[static PACKET_HEAD_MAX], const struct packet_path *path, const struct packet_tcp *tcp,
                  const uint8_t *data, size_t len);
size_t packet_udp(uint8_t head[static PACKET_HEAD_MAX], const struct packet_path *path, const uint8_t *data,
                  size_t len);

#endif
