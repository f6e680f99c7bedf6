/* SPDX-License-Identifier: BSD-2-Clause */
/* The pcapng export from the inside: blocks, packets, sequence numbers, the envelope, and how flows are chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyze/claimed_ports.h"
#include "analyze/envelope.h"
#include "analyze/keylog.h"
#include "analyze/packet.h"
#include "analyze/pcapng.h"
#include "analyze/plan.h"
#include "analyze/prf.h"
#include "analyze/tcp.h"
#include "analyze/text.h"

static uint32_t le32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

/* ---- pcapng ----------------------------------------------------------------------------------------------------- */

static void test_pcapng__every_block__has_its_length_at_both_ends(void **state)
{
	static const uint32_t types[] = {0x0A0D0D0A, 1, 10, 6, 6, 5};
	struct pcapng_packet packet = {
	        .time = 0x1122334455667788,
	        .direction = PCAPNG_OUTBOUND,
	        .comments = {"pid=1", "x"},
	        .head = (const uint8_t *)"headers",
	        .head_len = 7,
	        .data = (const uint8_t *)"data",
	        .data_len = 4,
	};
	char *text = NULL;
	size_t size = 0, at = 0;
	struct pcapng file;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	pcapng_start(&file, out, "test");
	packet.interface = pcapng_interface(&file, "curl[1]", "/usr/bin/curl");
	assert_int_equal(pcapng_interface(&file, "curl[1]", "/usr/bin/curl"), 0); /* no second block */
	pcapng_secrets(&file, "CLIENT_RANDOM 00 00\n", 20);
	pcapng_packet(&file, &packet);
	packet.time -= 1; /* never goes back */
	pcapng_packet(&file, &packet);
	pcapng_end(&file);
	fclose(out);

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		uint32_t len = le32(text + at + 4);

		assert_int_equal(le32(text + at), types[i]);
		assert_int_equal(len % 4, 0);
		assert_true(at + len <= size);
		assert_int_equal(le32(text + at + len - 4), len);
		if (types[i] == 6) {
			assert_int_equal(le32(text + at + 12), 0x11223344); /* upper half first */
			assert_int_equal(le32(text + at + 16), 0x55667788);
			assert_int_equal(le32(text + at + 20), 11);
			assert_memory_equal(text + at + 28, "headersdata\0", 12);
		}
		at += len;
	}
	assert_int_equal(at, size);
	free(text);
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

/* The Internet checksum over what includes it is 0 (RFC 1071). Written a second time, for a second opinion. */
static uint32_t checksum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint32_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum ^ 0xffff;
}

static const struct tcp connection = {
        .local = {.ip = {192, 0, 2, 1}, .port = 50000},
        .remote = {.ip = {192, 0, 2, 2}, .port = 443},
};

static void test_packet__ipv4_and_ipv6__checksums_are_right(void **state)
{
	static const uint8_t data[] = {1, 2, 3, 4, 5}; /* odd */
	struct packet_tcp tcp = {.seq = 1, .ack = 2, .flags = PACKET_ACK};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			struct packet_path path = {
			        .ipv6 = v6,
			        .from = {.ip = {0xfe, 0x80, [15] = 1}, .port = 1000},
			        .to = {.ip = {0xfe, 0x80, [15] = 2}, .port = 53},
			};
			uint8_t frame[PACKET_HEAD_MAX + sizeof data];
			size_t head = udp ? packet_udp(frame, &path, data, sizeof data)
			                  : packet_tcp(frame, &path, &tcp, data, sizeof data);
			size_t ip = v6 ? 40 : 20, transport = head - 14 - ip + sizeof data;
			const uint8_t *addresses = frame + 14 + (v6 ? 8 : 12);
			uint32_t sum = (udp ? 17 : 6) + (uint32_t)transport;

			memcpy(frame + head, data, sizeof data);
			assert_int_equal(be16(frame + 12), v6 ? 0x86dd : 0x0800);
			if (!v6)
				assert_int_equal(folded(checksum(0, frame + 14, 20)), 0);
			sum = checksum(sum, addresses, v6 ? 32 : 8);
			assert_int_equal(folded(checksum(sum, frame + 14 + ip, transport)), 0);
			assert_int_equal(v6 ? be16(frame + 18) : be16(frame + 16) - 20, transport);
		}
	}
}

static void test_tcp__handshake_and_data__numbers_follow(void **state)
{
	struct tcp tcp = connection;
	uint8_t head[PACKET_HEAD_MAX], *fields = head + 34;

	(void)state;
	tcp_syn(&tcp, FDTAPE_OUT, head);
	assert_int_equal(fields[13], PACKET_SYN);
	assert_int_equal(be32(fields + 8), 0);
	tcp_syn(&tcp, FDTAPE_IN, head);
	assert_int_equal(fields[13], PACKET_SYN | PACKET_ACK);
	assert_int_equal(be16(fields), 443);
	assert_int_equal(be32(fields + 8), 1001); /* the client's 1000, and 1 for the SYN */
	tcp_ack(&tcp, FDTAPE_OUT, head);
	assert_int_equal(be32(fields + 4), 1001);
	assert_int_equal(be32(fields + 8), 2001);

	tcp_data(&tcp, FDTAPE_OUT, 0, (const uint8_t *)"hello", 5, head);
	assert_int_equal(be32(fields + 4), 1001);
	tcp_data(&tcp, FDTAPE_IN, 0, (const uint8_t *)"you", 3, head);
	assert_int_equal(be32(fields + 4), 2001);
	assert_int_equal(be32(fields + 8), 1006);
	tcp_data(&tcp, FDTAPE_OUT, 5, (const uint8_t *)"!", 1, head);
	assert_int_equal(be32(fields + 4), 1006);
	assert_int_equal(be32(fields + 8), 2004);
}

static void test_tcp__hole__is_a_jump_of_the_sequence_number(void **state)
{
	struct tcp tcp = connection;
	uint8_t head[PACKET_HEAD_MAX], *fields = head + 34;

	(void)state;
	tcp_data(&tcp, FDTAPE_IN, 0, (const uint8_t *)"ab", 2, head);
	tcp_data(&tcp, FDTAPE_IN, 102, (const uint8_t *)"cd", 2, head);
	assert_int_equal(be32(fields + 4), 2001 + 102);
	tcp_data(&tcp, FDTAPE_OUT, 0, (const uint8_t *)"x", 1, head);
	assert_int_equal(be32(fields + 8), 2001 + 104);
}

static void test_tcp__beyond_4_gib__numbers_wrap(void **state)
{
	struct tcp tcp = connection;
	uint8_t head[PACKET_HEAD_MAX], *fields = head + 34;

	(void)state;
	tcp_data(&tcp, FDTAPE_OUT, (1ull << 32) + 7, (const uint8_t *)"x", 1, head);
	assert_int_equal(be32(fields + 4), 1001 + 7);
}

/* ---- the envelope ----------------------------------------------------------------------------------------------- */

/* RFC 4231, test cases 1 and 2. */
static void test_prf__hmac__equals_rfc_4231(void **state)
{
	uint8_t key[20], out[PRF_HASH_LEN];
	char hex[2 * PRF_HASH_LEN + 1];

	(void)state;
	memset(key, 0x0b, sizeof key);
	prf_hmac(out, key, sizeof key, (const uint8_t *)"Hi There", 8);
	assert_string_equal(text_hex(hex, out, sizeof out),
	                    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	prf_hmac(out, (const uint8_t *)"Jefe", 4, (const uint8_t *)"what do ya want for nothing?", 28);
	assert_string_equal(text_hex(hex, out, sizeof out),
	                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* The vector of the IETF's TLS list for P_SHA256, 100 bytes; `openssl kdf ... TLS1-PRF` gives the same. */
static void test_prf__sha256__equals_published_vector(void **state)
{
	static const uint8_t secret[] = {0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17,
	                                 0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35};
	static const uint8_t seed[] = {0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18,
	                               0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c};
	uint8_t out[100];
	char hex[201];

	(void)state;
	prf_sha256(out, sizeof out, secret, sizeof secret, "test label", seed, sizeof seed);
	assert_string_equal(text_hex(hex, out, sizeof out),
	                    "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9"
	                    "c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789ba"
	                    "a48082d122ee42c5a72e5a5110fff70187347b66");
}

static void test_envelope__record__is_readable_and_authentic(void **state)
{
	static struct envelope e;
	uint8_t covered[13 + 5] = {0, 0, 0, 0, 0, 0, 0, 1, 23, 3, 3, 0, 5, 'h', 'e', 'l', 'l', 'o'}, mac[PRF_HASH_LEN];
	const uint8_t *record;
	size_t len;

	(void)state;
	envelope_init(&e, "a", "example.org", "h2");
	envelope_flight(&e, 2, &len); /* the client's Finished has the sequence number 0 */
	record = envelope_record(&e, ENVELOPE_CLIENT, (const uint8_t *)"hello", 5, &len);
	assert_int_equal(len, 5 + 5 + 32);
	assert_memory_equal(record, "\x17\x03\x03\0\x25hello", 10);
	prf_hmac(mac, e.mac_key[ENVELOPE_CLIENT], 32, covered, sizeof covered);
	assert_memory_equal(record + 10, mac, sizeof mac);
}

static void test_envelope__same_name__same_session_and_others_differ(void **state)
{
	static struct envelope a, again, b;

	(void)state;
	envelope_init(&a, "a", "", "");
	envelope_init(&again, "a", "", "");
	envelope_init(&b, "b", "", "");
	assert_memory_equal(&a, &again, sizeof a);
	assert_memory_not_equal(a.client_random, b.client_random, 32);
	assert_memory_not_equal(a.master_secret, b.master_secret, 48);
}

static void test_envelope__longest_names__fit(void **state)
{
	static struct envelope e;
	char name[256];
	size_t len;

	(void)state;
	memset(name, 'x', 255);
	name[255] = '\0';
	envelope_init(&e, "a", name, name);
	envelope_flight(&e, 0, &len);
	assert_true(len > 2 * 255 && len < ENVELOPE_RECORD_MAX);
	assert_int_equal(be16(e.record + 3), len - 5);
}

static void test_keylog__line__has_nss_form(void **state)
{
	struct tls_key key = {.label = "CLIENT_RANDOM", .secret = {0xab, 0xcd}, .secret_len = 2};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	keylog_put(out, &key);
	fclose(out);
	assert_string_equal(text,
	                    "CLIENT_RANDOM 0000000000000000000000000000000000000000000000000000000000000000 abcd\n");
	free(text);
}

static void test_claimed_ports__known_ones(void **state)
{
	(void)state;
	assert_true(claimed_port(80));
	assert_true(claimed_port(3306));
	assert_true(claimed_port(44818));
	assert_true(claimed_port(30100)); /* within a range */
	assert_false(claimed_port(443));  /* tls' own */
	assert_false(claimed_port(8443));
	assert_false(claimed_port(65535));
}

/* ---- the plan --------------------------------------------------------------------------------------------------- */

static const struct player_process process = {.pid = 1, .comm = "", .exe = "", .cmdline = ""};

static struct player_flow tcp_flow(uint64_t number, uint32_t role, uint16_t local, uint16_t remote)
{
	struct fdtape_address address = {.family = FDTAPE_FAMILY_IPV4, .len = 4, .addr = {127, 0, 0, 1}};
	struct player_flow flow = {
	        .number = number,
	        .def = {.kind = FDTAPE_KIND_SOCKET, .proto = FDTAPE_PROTO_TCP, .local = address, .remote = address},
	        .process = &process,
	        .role = role,
	        .opened = 100,
	        .closed = 200,
	        .traffic = {{10, 10, 0}, {10, 10, 0}},
	        .tls = {.verdict = TLS_VERDICT_CLEAR},
	};

	flow.def.local.port = local;
	flow.def.remote.port = remote;
	return flow;
}

static void plan_all(struct plan *plan, struct player_flow *flows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		plan_flow_opened(plan, &flows[i]);
	for (size_t i = n; i-- > 0;)
		plan_flow_closed(plan, &flows[i]);
	plan_finish(plan);
}

static void test_plan__both_ends__the_client_stays(void **state)
{
	struct plan plan = {0};
	struct player_flow flows[] = {tcp_flow(1, FDTAPE_ROLE_SERVER, 443, 50000),
	                              tcp_flow(2, FDTAPE_ROLE_CLIENT, 50000, 443)};

	(void)state;
	plan_all(&plan, flows, 2);
	assert_null(plan_find(&plan, 1));
	assert_non_null(plan_find(&plan, 2));
	assert_int_equal(plan.twins, 1);
	plan_release(&plan);
}

static void test_plan__both_ends__the_more_complete_stays(void **state)
{
	struct plan plan = {0};
	struct player_flow flows[] = {tcp_flow(1, FDTAPE_ROLE_CLIENT, 50000, 443),
	                              tcp_flow(2, FDTAPE_ROLE_SERVER, 443, 50000)};

	(void)state;
	flows[0].traffic[FDTAPE_IN].captured = 5;
	plan_all(&plan, flows, 2);
	assert_null(plan_find(&plan, 1));
	assert_non_null(plan_find(&plan, 2));
	plan_release(&plan);
}

static void test_plan__port_used_again__both_connections_stay(void **state)
{
	struct plan plan = {0};
	struct player_flow flows[] = {
	        tcp_flow(1, FDTAPE_ROLE_CLIENT, 50000, 443), tcp_flow(2, FDTAPE_ROLE_SERVER, 443, 50000),
	        tcp_flow(3, FDTAPE_ROLE_CLIENT, 50000, 443), tcp_flow(4, FDTAPE_ROLE_SERVER, 443, 50000)};

	(void)state;
	flows[1].opened = 210; /* accepted when the client had closed already */
	flows[1].closed = 220;
	flows[2].opened = flows[3].opened = 300;
	flows[2].closed = flows[3].closed = 0;
	plan_all(&plan, flows, 4);
	assert_non_null(plan_find(&plan, 1));
	assert_null(plan_find(&plan, 2));
	assert_non_null(plan_find(&plan, 3));
	assert_null(plan_find(&plan, 4));
	plan_release(&plan);
}

static void test_plan__ipv4_mapped__is_the_ipv4_connection(void **state)
{
	struct plan plan = {0};
	struct player_flow flows[] = {tcp_flow(1, FDTAPE_ROLE_CLIENT, 50000, 443),
	                              tcp_flow(2, FDTAPE_ROLE_SERVER, 443, 50000)};
	const struct fdtape_address mapped = {
	        .family = FDTAPE_FAMILY_IPV6, .len = 16, .addr = {[10] = 255, 255, 127, 0, 0, 1}};

	(void)state;
	flows[1].def.local = flows[1].def.remote = mapped;
	flows[1].def.local.port = 443;
	flows[1].def.remote.port = 50000;
	plan_all(&plan, flows, 2);
	assert_int_equal(plan.twins, 1);
	assert_false(plan_find(&plan, 1)->ipv6);
	plan_release(&plan);
}

static enum rendering rendering_of(struct player_flow flow, bool wire)
{
	struct plan plan = {.wire = wire};
	const struct planned *planned;
	enum rendering rendering;

	plan_all(&plan, &flow, 1);
	planned = plan_find(&plan, flow.number);
	rendering = planned ? planned->rendering : RENDER_NOTHING;
	plan_release(&plan);
	return rendering;
}

static void test_plan__what_is_known__decides_the_rendering(void **state)
{
	struct player_flow flow = tcp_flow(1, FDTAPE_ROLE_CLIENT, 50000, 443);

	(void)state;
	assert_int_equal(rendering_of(flow, false), RENDER_CLEAR);
	flow.tls.verdict = TLS_VERDICT_TLS;
	assert_int_equal(rendering_of(flow, false), RENDER_SEALED);
	flow.tls.plaintext = TLS_PLAINTEXT_CALLS;
	assert_int_equal(rendering_of(flow, false), RENDER_ENVELOPE);
	assert_int_equal(rendering_of(flow, true), RENDER_SEALED);
	flow.def.remote.port = 3306;
	assert_int_equal(rendering_of(flow, false), RENDER_PLAIN);
	flow.tls.whole = true;
	flow.tls.n_keys = 1;
	flow.tls.keys[0].label = "CLIENT_RANDOM";
	assert_int_equal(rendering_of(flow, false), RENDER_KEYS);
	flow.def.remote.family = FDTAPE_FAMILY_NONE;
	assert_int_equal(rendering_of(flow, false), RENDER_NOTHING);
	flow.def.proto = FDTAPE_PROTO_UNIX;
	assert_int_equal(rendering_of(flow, false), RENDER_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_pcapng__every_block__has_its_length_at_both_ends),
	        cmocka_unit_test(test_packet__ipv4_and_ipv6__checksums_are_right),
	        cmocka_unit_test(test_tcp__handshake_and_data__numbers_follow),
	        cmocka_unit_test(test_tcp__hole__is_a_jump_of_the_sequence_number),
	        cmocka_unit_test(test_tcp__beyond_4_gib__numbers_wrap),
	        cmocka_unit_test(test_prf__hmac__equals_rfc_4231),
	        cmocka_unit_test(test_prf__sha256__equals_published_vector),
	        cmocka_unit_test(test_envelope__record__is_readable_and_authentic),
	        cmocka_unit_test(test_envelope__same_name__same_session_and_others_differ),
	        cmocka_unit_test(test_envelope__longest_names__fit),
	        cmocka_unit_test(test_keylog__line__has_nss_form),
	        cmocka_unit_test(test_claimed_ports__known_ones),
	        cmocka_unit_test(test_plan__both_ends__the_client_stays),
	        cmocka_unit_test(test_plan__both_ends__the_more_complete_stays),
	        cmocka_unit_test(test_plan__port_used_again__both_connections_stay),
	        cmocka_unit_test(test_plan__ipv4_mapped__is_the_ipv4_connection),
	        cmocka_unit_test(test_plan__what_is_known__decides_the_rendering),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("analyze_capture", tests, NULL, NULL);
}
