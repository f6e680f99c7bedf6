/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All TLS of a flow, fed by a small program in the input: clear bytes, pieces of a real handshake (RFC 8448, 3) whole or
 * spoilt, holes, library calls at any depth, kernel TLS. What is told must be what was fed, as far as it is clear.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replay/tls_stack.h"
#include "tests/rfc8448.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char alert[] = "15030300020228";
static const char *const words[] = {"STARTTLS\r\n",
                                    "220 go\r\n",
                                    "CONNECT h:1 HTTP/1.1\r\n\r\n",
                                    "HTTP/1.1 200 ok\r\n\r\n",
                                    "S",
                                    "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n"};

static const char *piece(uint8_t which)
{
	const char *const pieces[] = {rfc8448_wire[RFC8448_CLIENT_HELLO].hex, rfc8448_wire[RFC8448_SERVER_HELLO].hex,
	                              alert};

	return pieces[which % 3];
}

struct told {
	uint64_t clear[2]; /* bytes that no TLS protected */
	uint8_t sum;
};

static void on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp,
                     bool secret)
{
	struct told *t = context;

	(void)stamp;
	for (uint64_t i = 0; data && i < len; i++)
		t->sum ^= data[i];
	if (data && !secret)
		t->clear[dir] += len;
}

static void on_turned(void *context)
{
	(void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_info info = {0};
	struct tls_store store = {0};
	struct told told = {{0}, 0};
	const struct tls_stack_sink sink = {.context = &told, .plain = on_plain, .turned = on_turned};
	struct stamp stamp = {.shown = true, .wall = 1};
	uint64_t fed[2] = {0}, calls[TLS_STACK_DEPTH][2] = {{0}};
	struct tls_stack *s;
	size_t at = 1;

	if (size < 1)
		return 0;
	s = tls_stack_new(&store, &info, 1, data[0] & 1, &sink);
	while (s && at + 2 <= size) {
		uint8_t op = data[at], arg = data[at + 1], bytes[512];
		enum fdtape_dir dir = op & 1 ? FDTAPE_OUT : FDTAPE_IN;
		unsigned depth = op >> 5 & 3;
		size_t n = 0;

		at += 2;
		stamp.wall++;
		switch (op >> 1 & 7) {
		case 0:
			n = arg < size - at ? arg : size - at;
			memcpy(bytes, data + at, n);
			at += n;
			break;
		case 1:
			tls_stack_feed(s, dir, NULL, (uint64_t)arg + 1, &stamp);
			break;
		case 2:
			n = strlen(words[arg % 6]);
			memcpy(bytes, words[arg % 6], n);
			break;
		case 3:
			if (depth < TLS_STACK_DEPTH && tls_stack_may_be_tls(s, depth)) {
				tls_stack_bound(s, depth, 0, &stamp);
				from_hex(piece(arg), bytes);
				tls_stack_calls(s, depth, dir, calls[depth][dir], bytes, arg % 128, &stamp, op & 0x80);
				calls[depth][dir] += arg % 128;
			}
			break;
		case 4:
			if (arg == 7)
				tls_stack_kernel(s, dir, fed[dir], 0x0304, 0x1301, &stamp);
			break;
		default:
			n = from_hex(piece(arg), bytes);
			if (op & 0x80 && at + 1 < size) { /* spoilt */
				bytes[data[at] % n] ^= data[at + 1];
				at += 2;
			}
			break;
		}
		if (n > 0)
			tls_stack_feed(s, dir, bytes, n, &stamp);
		fed[dir] += n;
	}
	if (s) {
		tls_stack_finish(s);
		tls_stack_finish_calls(s, &stamp);
		for (int dir = 0; dir < 2; dir++) {
			struct tls_stack_bytes b = tls_stack_bytes(s, (enum fdtape_dir)dir);

			if (told.clear[dir] != b.clear + b.unjudged ||
			    b.clear + b.unjudged + b.handshake + b.decrypted + b.kernel + b.sealed != fed[dir])
				abort();
		}
	}
	tls_stack_free(s);
	tls_store_release(&store);
	return 0;
}
