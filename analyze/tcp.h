/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TCP_H
#define TCP_H

/*
 * A TCP connection that carries two byte streams as they were recorded: handshake, sequence and acknowledgement
 * numbers. A hole in a stream is a jump of the sequence number, as in a capture that missed a segment.
 */
#include <fdtape/types.h>

#include "analyze/packet.h"

struct tcp {
	bool ipv6;
	struct packet_end local, remote;
	uint64_t next[2]; /* by enum fdtape_dir: offset in the stream behind what was carried */
	bool opened[2];   /* that side has sent its SYN */
};

/* The path of a packet of that direction: out of the process, or into it. */
struct packet_path tcp_path(const struct tcp *tcp, enum fdtape_dir dir);
/* Headers, into `head`: their length. The SYN of that side; the second one acknowledges the first. */
size_t tcp_syn(struct tcp *tcp, enum fdtape_dir dir, uint8_t head[static PACKET_HEAD_MAX]);
/* An acknowledgement without data. */
size_t tcp_ack(struct tcp *tcp, enum fdtape_dir dir, uint8_t head[static PACKET_HEAD_MAX]);
/* A segment of at most PACKET_TCP_DATA_MAX bytes at that offset. */
size_t tcp_data(struct tcp *tcp, enum fdtape_dir dir, uint64_t offset, const uint8_t *data, size_t len,
                uint8_t head[static PACKET_HEAD_MAX]);

#endif
