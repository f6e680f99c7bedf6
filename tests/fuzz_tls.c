/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TLS of a flow, fed by a small program in the input: raw bytes, holes, secrets, and pieces of a real handshake
 * (RFC 8448, 3), whole or spoilt, so that what lies behind a hello and behind a key is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replay/tls_flow.h"
#include "tests/rfc8448.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const size_t pieces[] = {RFC8448_CLIENT_HELLO, RFC8448_SERVER_HELLO, RFC8448_CLIENT_FINISHED,
                                RFC8448_CLIENT_DATA};

static const struct {
	const char *label, *value;
} secrets[] = {
        {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"},
        {"SERVER_HANDSHAKE_TRAFFIC_SECRET", "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"},
        {"CLIENT_TRAFFIC_SECRET_0", "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"},
        {"SERVER_TRAFFIC_SECRET_0", "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"},
        {"CLIENT_EARLY_TRAFFIC_SECRET", "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"},
        {"CLIENT_RANDOM", "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"
                          "a11af9f05531f856ad47116b45a95032"},
};

static volatile uint8_t sum;

static int on_plain(void *context, enum fdtape_dir dir, const uint8_t *data, uint64_t len, const struct stamp *stamp)
{
	(void)context;
	(void)dir;
	(void)stamp;
	for (uint64_t i = 0; data && i < len; i++)
		sum ^= data[i];
	return 0;
}

static bool on_key(void *context, const struct tls_key *key)
{
	(void)context;
	sum ^= key->secret[key->secret_len - 1];
	return true;
}

/* A secret of that handshake; or, from the input, one of any kind. */
static void add_secret(struct tls_store *store, uint8_t which, const uint8_t *any, size_t any_len)
{
	uint8_t random[32], hello[256], value[64];
	size_t i = which % (sizeof secrets / sizeof *secrets);
	struct fdtape_secret secret = {.pid = 1 + (which >> 7),
	                               .label = secrets[i].label,
	                               .source = "",
	                               .id_kind = FDTAPE_SECRET_ID_CLIENT_RANDOM,
	                               .id = random,
	                               .id_len = sizeof random,
	                               .value = value};

	from_hex(rfc8448_wire[RFC8448_CLIENT_HELLO].hex, hello);
	memcpy(random, hello + 11, sizeof random);
	secret.value_len = from_hex(secrets[i].value, value);
	if (any_len > 0) {
		secret.id_kind = any[0] & 1 ? FDTAPE_SECRET_ID_TRANSCRIPT : FDTAPE_SECRET_ID_CLIENT_RANDOM;
		secret.id_len = any[0] & 2 ? sizeof random : any_len / 2;
		secret.id = any[0] & 2 ? random : any;
		secret.value_len = any_len - secret.id_len / 2;
		secret.value = any;
		if (secret.value_len > any_len)
			secret.value_len = any_len;
	}
	tls_store_add(store, &secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_info info = {0};
	struct tls_store store = {0};
	const struct tls_flow_sink sink = {.plain = on_plain, .key = on_key};
	const struct stamp stamp = {.shown = true};
	struct tls_flow *t;
	size_t at = 1;

	if (size < 1)
		return 0;
	t = tls_flow_new(&store, &info, 1, data[0] & 1, &sink);
	while (t && at + 2 <= size) {
		uint8_t op = data[at], arg = data[at + 1], bytes[512];
		enum fdtape_dir dir = op & 1 ? FDTAPE_OUT : FDTAPE_IN;
		size_t n = 0;

		at += 2;
		switch (op >> 1 & 7) {
		case 0:
			n = arg < size - at ? arg : size - at;
			memcpy(bytes, data + at, n);
			at += n;
			break;
		case 1:
			tls_flow_feed(t, dir, NULL, (uint64_t)arg + 1, &stamp);
			break;
		case 2:
			n = op & 0x80 ? 48 : op & 0x40 ? 70 : 0;
			n = n < size - at ? n : size - at;
			add_secret(&store, arg, data + at, n);
			at += n;
			n = 0;
			break;
		case 3:
			tls_flow_give_up(t, dir);
			break;
		case 4:
			tls_flow_lose(t, dir, &stamp);
			break;
		default:
			n = from_hex(rfc8448_wire[pieces[arg % 4]].hex, bytes);
			if (op & 0x80 && at + 1 < size) { /* spoilt */
				bytes[data[at] % n] ^= data[at + 1];
				at += 2;
			}
			break;
		}
		if (n > 0)
			tls_flow_feed(t, dir, bytes, n, &stamp);
	}
	if (t)
		tls_flow_finish(t);
	tls_flow_free(t);
	tls_store_release(&store);
	return 0;
}
