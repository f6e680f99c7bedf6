/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/tcp.h"

/* Initial sequence numbers; the first byte of a stream has the next one. */
static const uint32_t initial[2] = {[FDTAPE_IN] = 2000, [FDTAPE_OUT] = 1000};

static enum fdtape_dir other(enum fdtape_dir dir)
{
	return dir == FDTAPE_IN ? FDTAPE_OUT : FDTAPE_IN;
}

struct packet_path tcp_path(const struct tcp *tcp, enum fdtape_dir dir)
{
	return (struct packet_path){
	        .ipv6 = tcp->ipv6,
	        .from = dir == FDTAPE_OUT ? tcp->local : tcp->remote,
	        .to = dir == FDTAPE_OUT ? tcp->remote : tcp->local,
	};
}

/* Sequence numbers are modulo 2^32, and so is the cast. */
static uint32_t number(enum fdtape_dir dir, uint64_t offset)
{
	return (uint32_t)(initial[dir] + 1 + offset);
}

static size_t put(const struct tcp *tcp, enum fdtape_dir dir, struct packet_tcp fields, const uint8_t *data, size_t len,
                  uint8_t *head)
{
	struct packet_path path = tcp_path(tcp, dir);

	if (fields.flags & PACKET_ACK)
		fields.ack = number(other(dir), tcp->next[other(dir)]);
	return packet_tcp(head, &path, &fields, data, len);
}

size_t tcp_syn(struct tcp *tcp, enum fdtape_dir dir, uint8_t head[static PACKET_HEAD_MAX])
{
	struct packet_tcp fields = {.seq = initial[dir], .flags = PACKET_SYN};

	if (tcp->opened[other(dir)])
		fields.flags |= PACKET_ACK;
	tcp->opened[dir] = true;
	return put(tcp, dir, fields, NULL, 0, head);
}

size_t tcp_ack(struct tcp *tcp, enum fdtape_dir dir, uint8_t head[static PACKET_HEAD_MAX])
{
	struct packet_tcp fields = {.seq = number(dir, tcp->next[dir]), .flags = PACKET_ACK};

	return put(tcp, dir, fields, NULL, 0, head);
}

size_t tcp_data(struct tcp *tcp, enum fdtape_dir dir, uint64_t offset, const uint8_t *data, size_t len,
                uint8_t head[static PACKET_HEAD_MAX])
{
	struct packet_tcp fields = {.seq = number(dir, offset), .flags = PACKET_ACK | PACKET_PSH};

	tcp->next[dir] = offset + len;
	return put(tcp, dir, fields, data, len, head);
}
