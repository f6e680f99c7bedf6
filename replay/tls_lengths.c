/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads nothing but the records' headers.
 */
#include "replay/tls_lengths.h"

#include <string.h>

enum {
	FIRST_TYPE = 20,
	APPLICATION_DATA = 23,
};

static void end_record(struct tls_lengths *l, const struct stamp *stamp)
{
	l->got = 0;
	if (l->header[0] != APPLICATION_DATA)
		return;
	if (l->n == TLS_LENGTHS_MAX) {
		l->ended = true;
		return;
	}
	l->records[l->n++] =
	        (struct tls_length){.wall = stamp->wall, .len = (uint16_t)(l->header[3] << 8 | l->header[4])};
}

void tls_lengths_feed(struct tls_lengths *l, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	if (!data)
		l->ended = true;
	else if (!l->first)
		l->first = stamp->wall;
	while (!l->ended && len > 0) {
		size_t n;

		if (l->got < sizeof l->header) {
			l->header[l->got++] = *data++;
			len--;
			if (l->got < sizeof l->header)
				continue;
			l->ended = l->header[0] < FIRST_TYPE || l->header[0] > APPLICATION_DATA || l->header[1] != 3;
			l->left = (size_t)l->header[3] << 8 | l->header[4];
		} else {
			n = l->left < len ? l->left : (size_t)len;
			data += n;
			len -= n;
			l->left -= n;
		}
		if (l->got == sizeof l->header && l->left == 0 && !l->ended)
			end_record(l, stamp);
	}
}
