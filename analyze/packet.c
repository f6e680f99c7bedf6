/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/packet.h"

#include <string.h>

enum {
	ETHERNET_LEN = 14,
	IPV4_LEN = 20,
	IPV6_LEN = 40,
	TCP_LEN = 20,
	TCP_SYN_OPTIONS = 8,
	UDP_LEN = 8
};
enum {
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17
};

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

/* The Internet checksum (RFC 1071), not yet folded. */
static uint64_t sum(uint64_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t ip_len(const struct packet_path *path)
{
	return path->ipv6 ? IPV6_LEN : IPV4_LEN;
}

/* A locally administered address that tells hosts apart: the end of the IP address. */
static void put_mac(uint8_t *p, const struct packet_path *path, const struct packet_end *end)
{
	p[0] = 0x02;
	p[1] = 0;
	memcpy(p + 2, path->ipv6 ? end->ip + 12 : end->ip, 4);
}

/* Ethernet and IP. Returns the transport checksum's pseudo-header, summed. */
static uint64_t put_lower(uint8_t *head, const struct packet_path *path, unsigned protocol, size_t len)
{
	uint8_t *ip = head + ETHERNET_LEN;
	size_t address = path->ipv6 ? 16 : 4;
	uint64_t pseudo = protocol + len;

	put_mac(head, path, &path->to);
	put_mac(head + 6, path, &path->from);
	put16(head + 12, path->ipv6 ? 0x86dd : 0x0800);
	memset(ip, 0, ip_len(path));
	if (path->ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, (uint32_t)len);
		ip[6] = (uint8_t)protocol;
		ip[7] = 64; /* hop limit */
		memcpy(ip + 8, path->from.ip, 16);
		memcpy(ip + 24, path->to.ip, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, (uint32_t)(IPV4_LEN + len));
		put16(ip + 6, 0x4000); /* don't fragment */
		ip[8] = 64;
		ip[9] = (uint8_t)protocol;
		memcpy(ip + 12, path->from.ip, 4);
		memcpy(ip + 16, path->to.ip, 4);
		put16(ip + 10, fold(sum(0, ip, IPV4_LEN)));
	}
	return sum(sum(pseudo, path->from.ip, address), path->to.ip, address);
}

size_t packet_tcp(uint8_t head[static PACKET_HEAD_MAX], const struct packet_path *path, const struct packet_tcp *tcp,
                  const uint8_t *data, size_t len)
{
	/* No MSS below our segments; a window scale of 14, so that no window is ever full without pure ACKs. */
	static const uint8_t syn_options[TCP_SYN_OPTIONS] = {2, 4, 0xff, 0xd7, 1, 3, 3, 14};
	uint8_t *p = head + ETHERNET_LEN + ip_len(path);
	size_t own = TCP_LEN + (tcp->flags & PACKET_SYN ? TCP_SYN_OPTIONS : 0);
	uint64_t pseudo = put_lower(head, path, PROTOCOL_TCP, own + len);

	memset(p, 0, TCP_LEN);
	put16(p, path->from.port);
	put16(p + 2, path->to.port);
	put32(p + 4, tcp->seq);
	put32(p + 8, tcp->ack);
	p[12] = (uint8_t)(own / 4 << 4);
	p[13] = (uint8_t)tcp->flags;
	put16(p + 14, 0xffff); /* window */
	memcpy(p + TCP_LEN, syn_options, own - TCP_LEN);
	put16(p + 16, fold(sum(sum(pseudo, p, own), data, len)));
	return ETHERNET_LEN + ip_len(path) + own;
}

size_t packet_udp(uint8_t head[static PACKET_HEAD_MAX], const struct packet_path *path, const uint8_t *data, size_t len)
{
	uint8_t *p = head + ETHERNET_LEN + ip_len(path);
	uint64_t pseudo = put_lower(head, path, PROTOCOL_UDP, UDP_LEN + len);
	uint16_t checksum;

	put16(p, path->from.port);
	put16(p + 2, path->to.port);
	put16(p + 4, (uint32_t)(UDP_LEN + len));
	put16(p + 6, 0);
	checksum = fold(sum(sum(pseudo, p, UDP_LEN), data, len));
	put16(p + 6, checksum ? checksum : 0xffff); /* 0 would say: none */
	return ETHERNET_LEN + ip_len(path) + UDP_LEN;
}
