/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/foreign.h"

#include <stdbool.h>
#include <string.h>

static const struct {
	const char *magic;
	size_t len;
	const char *name;
} kinds[] = {
#define KIND(magic, name)                      \
	{                                      \
		magic, sizeof(magic) - 1, name \
	}
        KIND("\x0a\x0d\x0d\x0a", "a pcapng file (or a sysdig capture)"),
        KIND("\xd4\xc3\xb2\xa1", "a pcap file"),
        KIND("\xa1\xb2\xc3\xd4", "a pcap file"),
        KIND("\x4d\x3c\xb2\xa1", "a pcap file"),
        KIND("\xa1\xb2\x3c\x4d", "a pcap file"),
        KIND("\x1f\x8b", "a gzip file"),
        KIND("\x28\xb5\x2f\xfd", "a zstd file"),
        KIND("\xfd"
             "7zXZ",
             "an xz file"),
        KIND("BZh", "a bzip2 file"),
        KIND("PK\x03\x04", "a zip file"),
        KIND("\x7f"
             "ELF",
             "an ELF file"),
        KIND("PERFILE2", "a perf.data file"),
        KIND("SQLite format 3", "an SQLite database"),
        KIND("\x89PNG", "a PNG image"),
        KIND("%PDF", "a PDF file"),
#undef KIND
};

static bool is_text(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] < 0x20 && !memchr("\t\n\r", data[i], 3))
			return false;
	return len > 0;
}

const char *foreign_name(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (len >= kinds[i].len && memcmp(data, kinds[i].magic, kinds[i].len) == 0)
			return kinds[i].name;
	if (is_text(data, len))
		return "text";
	return "binary data of another kind";
}
