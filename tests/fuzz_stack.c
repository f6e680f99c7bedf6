/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All TLS of a flow, fed by a small program in the input: clear bytes, pieces of a real handshake (RFC 8448, 3) whole or
 * spoilt, holes, library calls at any depth, kernel TLS. What is told must be what was fed, as far as it is clear.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replay/tls_stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char client_hello[] =
        "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000"
        "910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024"
        "001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e040305030603"
        "020308040805080604010501060102010402050206020202002d00020101001c00024001";
static const char server_hello[] =
        "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d"
        "0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";
static const char alert[] = "15030300020228";
static const char *const pieces[] = {client_hello, server_hello, alert};
static const char *const words[] = {"STARTTLS\r\n",
                                    "220 go\r\n",
                                    "CONNECT h:1 HTTP/1.1\r\n\r\n",
                                    "HTTP/1.1 200 ok\r\n\r\n",
                                    "S",
                                    "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n"};

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[0]; hex += 2) {
		unsigned byte = 0;

		for (int i = 0; i < 2; i++)
			byte = byte << 4 | (unsigned)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
		out[n++] = (uint8_t)byte;
	}
	return n;
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
				from_hex(pieces[arg % 3], bytes);
				tls_stack_calls(s, depth, dir, calls[depth][dir], bytes, arg % 128, &stamp, op & 0x80);
				calls[depth][dir] += arg % 128;
			}
			break;
		case 4:
			if (arg == 7)
				tls_stack_kernel(s, dir, fed[dir], 0x0304, 0x1301, &stamp);
			break;
		default:
			n = from_hex(pieces[arg % 3], bytes);
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
