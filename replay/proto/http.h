/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HTTP_H
#define HTTP_H

/*
 * HTTP messages as found in byte streams with holes (RFC 9110, 9112, 9113). See http1.c, http2.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_header {
	/* As sent; may hold any bytes but NUL. NULL, HTTP/2: not known, for it refers to what was sent before recording
	 * began or in a hole. */
	const char *name;
	const char *value;
};

/* Why content is not, or not all, known behind its codings. */
enum http_content_error {
	HTTP_CONTENT_OK,
	HTTP_CONTENT_MISSING,   /* bytes of the body are not on the tape: what was decoded stands before them */
	HTTP_CONTENT_TRUNCATED, /* the body ended before its coding did */
	HTTP_CONTENT_CORRUPT,   /* these bytes are not what the coding gives, or a checksum differs */
	HTTP_CONTENT_TRAILING,  /* the content is complete, and bytes that belong to nothing follow it */
	HTTP_CONTENT_UNKNOWN,   /* a coding that is not known here: nothing was decoded, as with the next */
	HTTP_CONTENT_RANGE,     /* the body is a part of an encoded content (Content-Range) */
	HTTP_CONTENT_TOO_LARGE, /* it expands beyond all measure, or wants a window that its coding may not have */
	HTTP_CONTENT_CROWDED,   /* too many bodies are decoded at once on the connection */
	N_HTTP_CONTENT_ERRORS
};

/* "missing-bytes", "corrupt"; NULL for HTTP_CONTENT_OK. */
const char *http_content_error_word(enum http_content_error error);

/* What a body says behind its content codings (RFC 9110, 8.4); gRPC: its messages, one behind the other, behind
 * grpc-encoding. */
struct http_content {
	/* The header that names them; NULL: the content is the body, or nobody wants to know; then nothing else is set. */
	const char *header;
	enum http_content_error error;
	bool complete;  /* to the codings' own end: sha256 is valid */
	uint64_t bytes; /* decoded, up to what the error says */
	uint8_t sha256[32];
};

struct http_message {
	bool seen;                         /* at least its first line */
	bool complete;                     /* to its last byte, without a hole */
	const struct http_header *headers; /* in order, as sent */
	size_t n_headers;
	const struct http_header *trailers; /* HTTP/2 */
	size_t n_trailers;
	uint64_t body_bytes;     /* of the entity body after de-chunking, before content decoding; as far as it was
	                      * carried, holes of known length included */
	bool body_whole;         /* no byte of the body is missing */
	uint8_t body_sha256[32]; /* of a body that is whole; zero where nobody wants it */
	int64_t grpc_messages;   /* in it; -1: not gRPC, or not known because of a hole */
	int64_t events;          /* server-sent ones; -1: likewise, or because its content is not decoded */
	struct http_content content;
};

/* A request and its response as seen by one process. */
struct http_exchange {
	const char *version;   /* of the request, "HTTP/1.1"; the response's when the request was not seen */
	int dir;               /* of the request, enum fdtape_dir: 1, the process sent it; -1: not known */
	int64_t stream;        /* HTTP/2 stream; -1 for HTTP/1 */
	const char *method;    /* NULL when the request was not seen or decoded, as the next three */
	const char *target;    /* as sent */
	const char *authority; /* of the target, else Host; NULL: none */
	const char *scheme;    /* "http", "https" */
	int status;            /* 0: no response, or one whose status could not be decoded */
	const char *reason;    /* NULL: none */
	struct http_message request;
	struct http_message response;
	/* Wall times, ns since the epoch: the first byte of the request, the first and the last of the response;
	 * 0: not seen. */
	uint64_t start;
	uint64_t first_byte;
	uint64_t end;
	bool complete; /* both messages are */
	/* HTTP/2 */
	bool pushed; /* the server promised it (PUSH_PROMISE) */
	/* ns of the response, from its head on, in which its data could not come, for other streams' data had used up the
	 * connection's window (RFC 9113, 5.2); and the stream whose data was the last to, 0: none */
	uint64_t blocked;
	int64_t blocked_by;
	const char *reset; /* error code of RST_STREAM, or of the GOAWAY that refused the stream: "CANCEL"; NULL */
	/* gRPC: the content type says so */
	bool grpc;
	int grpc_status;          /* -1: none was seen */
	const char *grpc_message; /* as sent, percent-encoded; NULL: none */
};

#endif
