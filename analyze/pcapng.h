/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PCAPNG_H
#define PCAPNG_H

/*
 * Writes pcapng (draft-ietf-opsawg-pcapng): one little-endian section of Ethernet interfaces with times in
 * nanoseconds. Whether the stream took it all is for its owner to ask.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum pcapng_direction { /* as in the flags of an Enhanced Packet Block */
	PCAPNG_INBOUND = 1,
	PCAPNG_OUTBOUND = 2,
};

enum {
	PCAPNG_SNAPLEN = 262144,
	PCAPNG_COMMENTS = 2
};

struct pcapng {
	FILE *out;
	uint64_t last; /* of the times written: they never go back */
	struct pcapng_interface {
		char *name;
		uint64_t packets;
		uint64_t first, last;
	} * interfaces;
	size_t n_interfaces, room;
};

struct pcapng_packet {
	uint32_t interface;
	uint64_t time; /* ns since the epoch */
	enum pcapng_direction direction;
	const char *comments[PCAPNG_COMMENTS]; /* UTF-8; NULL: none */
	const uint8_t *head;                   /* the packet is head and data, one behind the other */
	size_t head_len;
	const uint8_t *data;
	size_t data_len;
};

void pcapng_start(struct pcapng *p, FILE *out, const char *application);
/* The number of the interface of that name, which is described when it is new. */
uint32_t pcapng_interface(struct pcapng *p, const char *name, const char *description);
/* TLS secrets in NSS' text form. They must come before the packets that need them. */
void pcapng_secrets(struct pcapng *p, const char *text, size_t len);
void pcapng_packet(struct pcapng *p, const struct pcapng_packet *packet);
/* Statistics of the interfaces. Releases what `p` holds. */
void pcapng_end(struct pcapng *p);

#endif
