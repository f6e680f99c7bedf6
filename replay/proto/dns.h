/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DNS_H
#define DNS_H

/*
 * DNS queries (RFC 1035) as found in datagrams and byte streams. See dns.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fdtape/types.h>

enum {
	DNS_NAME_MAX = 1024, /* in presentation form, with its NUL */
	DNS_DATA_MAX = 1024,
	DNS_ANSWERS_MAX = 64, /* records of an answer that are kept */
};

struct dns_record {
	const char *name; /* RFC 1035, 5.1: "example.org."; bytes that are not printable as \DDD */
	uint16_t type, rr_class;
	uint32_t ttl;
	const char *data; /* in presentation form; RFC 3597's for types that are not known */
};

/* A query with its response as seen by one process. */
struct dns_exchange {
	bool tcp;
	uint16_t id;
	const char *name;
	uint16_t type, qclass;
	bool queried;                     /* the query was seen */
	bool answered;                    /* the response was */
	int dir;                          /* of the query: enum fdtape_dir */
	int rcode;                        /* of the response, extended by EDNS */
	bool aa, tc, ra;                  /* of the response */
	bool rd, ad, cd;                  /* of the query, else of the response */
	uint16_t answers;                 /* in the response's answer section */
	const struct dns_record *records; /* the first of them */
	size_t n_records;
	uint64_t query_bytes, response_bytes;
	const struct fdtape_address *peer; /* of a socket that is not connected; NULL: the flow's */
	uint64_t start;                    /* wall times of query and response, ns since the epoch; 0: not seen */
	uint64_t end;
	bool complete; /* both were seen and could be read to their end */
};

/* "AAAA", "TYPE4711" (RFC 3597). */
const char *dns_type(char out[static 16], uint16_t type);
/* "IN" */
const char *dns_class(char out[static 16], uint16_t number);
/* "NXDOMAIN", "RCODE4711" */
const char *dns_rcode(char out[static 16], int rcode);

#endif
