/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/pcapng.h"

#include <stdlib.h>
#include <string.h>

#include "analyze/alloc.h"

enum block {
	BLOCK_SECTION = 0x0A0D0D0A,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECRETS = 10,
};

enum option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_TIME_UNIT = 9,
	PACKET_FLAGS = 2,
	STATISTICS_FIRST = 2,
	STATISTICS_LAST = 3,
	STATISTICS_RECEIVED = 4,
};

enum {
	LINK_ETHERNET = 1,
	OPTION_MAX = 65535
};

#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define SECRETS_TLS_KEYS 0x544C534Bu
#define LENGTH_UNKNOWN   UINT64_MAX

static void put16(FILE *out, uint32_t value)
{
	fputc((int)(value & 0xff), out);
	fputc((int)(value >> 8 & 0xff), out);
}

static void put32(FILE *out, uint32_t value)
{
	put16(out, value);
	put16(out, value >> 16);
}

static void put64(FILE *out, uint64_t value)
{
	put32(out, (uint32_t)value);
	put32(out, (uint32_t)(value >> 32));
}

/* A time has its upper half first, other than a 64-bit number. */
static void put_time(FILE *out, uint64_t time)
{
	put32(out, (uint32_t)(time >> 32));
	put32(out, (uint32_t)time);
}

static uint32_t padded(size_t len)
{
	return (uint32_t)((len + 3) & ~(size_t)3);
}

static void put_padding(FILE *out, size_t len)
{
	for (; len & 3; len++)
		fputc(0, out);
}

/* A block's length stands at both of its ends; `content` is that of everything between them. */
static uint32_t begin(FILE *out, enum block type, size_t content)
{
	uint32_t len = (uint32_t)content + 12;

	put32(out, type);
	put32(out, len);
	return len;
}

static size_t text_len(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len < OPTION_MAX ? len : OPTION_MAX;
}

/* What a text option takes; nothing when there is no text. */
static size_t text_size(const char *text)
{
	return text ? 4 + padded(text_len(text)) : 0;
}

static void put_text(FILE *out, enum option option, const char *text)
{
	if (!text)
		return;
	put16(out, option);
	put16(out, (uint32_t)text_len(text));
	fwrite(text, 1, text_len(text), out);
	put_padding(out, text_len(text));
}

void pcapng_start(struct pcapng *p, FILE *out, const char *application)
{
	uint32_t len;

	*p = (struct pcapng){.out = out};
	len = begin(out, BLOCK_SECTION, 16 + text_size(application) + 4);
	put32(out, BYTE_ORDER_MAGIC);
	put16(out, 1); /* version 1.0 */
	put16(out, 0);
	put64(out, LENGTH_UNKNOWN);
	put_text(out, SECTION_APPLICATION, application);
	put32(out, OPTION_END);
	put32(out, len);
}

uint32_t pcapng_interface(struct pcapng *p, const char *name, const char *description)
{
	uint32_t len;

	for (size_t i = p->n_interfaces; i-- > 0;)
		if (strcmp(p->interfaces[i].name, name) == 0)
			return (uint32_t)i;
	p->interfaces = alloc_grow(p->interfaces, &p->room, p->n_interfaces + 1, sizeof *p->interfaces);
	p->interfaces[p->n_interfaces] = (struct pcapng_interface){.name = alloc_copy(name)};

	len = begin(p->out, BLOCK_INTERFACE, 8 + text_size(name) + text_size(description) + 8 + 4);
	put16(p->out, LINK_ETHERNET);
	put16(p->out, 0);
	put32(p->out, PCAPNG_SNAPLEN);
	put_text(p->out, INTERFACE_NAME, name);
	put_text(p->out, INTERFACE_DESCRIPTION, description);
	put16(p->out, INTERFACE_TIME_UNIT);
	put16(p->out, 1);
	put32(p->out, 9); /* 10^-9 s, and padding */
	put32(p->out, OPTION_END);
	put32(p->out, len);
	return (uint32_t)p->n_interfaces++;
}

void pcapng_secrets(struct pcapng *p, const char *text, size_t size)
{
	uint32_t len = begin(p->out, BLOCK_SECRETS, 8 + padded(size));

	put32(p->out, SECRETS_TLS_KEYS);
	put32(p->out, (uint32_t)size);
	fwrite(text, 1, size, p->out);
	put_padding(p->out, size);
	put32(p->out, len);
}

void pcapng_packet(struct pcapng *p, const struct pcapng_packet *packet)
{
	struct pcapng_interface *interface = &p->interfaces[packet->interface];
	size_t size = packet->head_len + packet->data_len, options = 8 + 4;
	uint32_t len;

	if (packet->time > p->last)
		p->last = packet->time;
	if (!interface->packets++)
		interface->first = p->last;
	interface->last = p->last;
	for (size_t i = 0; i < PCAPNG_COMMENTS; i++)
		options += text_size(packet->comments[i]);

	len = begin(p->out, BLOCK_PACKET, 20 + padded(size) + options);
	put32(p->out, packet->interface);
	put_time(p->out, p->last);
	put32(p->out, (uint32_t)size); /* captured */
	put32(p->out, (uint32_t)size); /* on the wire */
	fwrite(packet->head, 1, packet->head_len, p->out);
	if (packet->data_len)
		fwrite(packet->data, 1, packet->data_len, p->out);
	put_padding(p->out, size);
	for (size_t i = 0; i < PCAPNG_COMMENTS; i++)
		put_text(p->out, OPTION_COMMENT, packet->comments[i]);
	put16(p->out, PACKET_FLAGS);
	put16(p->out, 4);
	put32(p->out, packet->direction);
	put32(p->out, OPTION_END);
	put32(p->out, len);
}

static void put_time_option(FILE *out, enum option option, uint64_t time)
{
	put16(out, option);
	put16(out, 8);
	put_time(out, time);
}

void pcapng_end(struct pcapng *p)
{
	for (size_t i = 0; i < p->n_interfaces; i++) {
		struct pcapng_interface *interface = &p->interfaces[i];
		uint32_t len = begin(p->out, BLOCK_STATISTICS, 12 + 3 * 12 + 4);

		put32(p->out, (uint32_t)i);
		put_time(p->out, interface->last);
		put_time_option(p->out, STATISTICS_FIRST, interface->first);
		put_time_option(p->out, STATISTICS_LAST, interface->last);
		put16(p->out, STATISTICS_RECEIVED);
		put16(p->out, 8);
		put64(p->out, interface->packets);
		put32(p->out, OPTION_END);
		put32(p->out, len);
		free(interface->name);
	}
	free(p->interfaces);
	p->interfaces = NULL;
	p->n_interfaces = p->room = 0;
}
