# SPDX-License-Identifier: BSD-2-Clause
"""What the suites of TLS libraries share: a server that is not recorded, and what a client's tape must say of it."""
import contextlib
import http.server
import os
import shutil
import ssl
import threading

from live import Skip, analyze, certificate, equal, json_lines, read, run, sha256

FILE_SIZE, POST_SIZE = 200 * 1024, 300 * 1024


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is missing")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.server.body)

    def do_POST(self):
        self.server.posted.append(sha256(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(b"taken\n")

    def log_message(self, *_):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def https(folder, version="TLSv1.3"):
    """An HTTPS server within this process: it has .port, .url, .body and .posted, the hashes of what it was sent."""
    cert, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version.replace(".", "_"))
    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.port = server.server_address[1]
    server.url = f"https://localhost:{server.port}/file.bin"
    server.body, server.posted, server.folder, server.version = os.urandom(FILE_SIZE), [], folder, version
    server.upload = f"{folder}/upload.bin"
    with open(server.upload, "wb") as file:
        file.write(os.urandom(POST_SIZE))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def keylog_lines(text):
    return {line for line in text.decode().splitlines() if line and not line.startswith("#")}


def check_keys(tape, keys):
    """The key log of the tape is the program's own."""
    expected = keylog_lines(read(keys))
    equal("the program's key log is not empty", bool(expected), True)
    equal("key log", keylog_lines(analyze("keylog", tape)), expected)


def sockets(tape):
    """The flows of sockets that carried something."""
    return [f for f in json_lines("flows", tape) if f["fd"] is not None and f["in"]["bytes"] + f["out"]["bytes"]]


def check_flows(tape, server, connections=1, plaintext=None):
    """The connections to the server are TLS, whole; nothing else is."""
    mine = [f for f in sockets(tape) if (f["remote"] or "").endswith(f":{server.port}")]
    equal("connections", len(mine), connections)
    for f in mine:
        equal("verdict", (f["tls"]["verdict"], f["tls"]["version"], f["role"]), ("tls", server.version, "client"))
        if plaintext:
            equal("plaintext by", f["tls"]["plaintext"], plaintext)
        for side in ("in", "out"):
            equal("lost", f[side]["lost"], 0)
    others = [f for f in sockets(tape) if f not in mine and f["tls"]["verdict"] == "tls"]
    equal("TLS elsewhere", others, [])
    return mine


def check_client(tape, server, keys=None, plaintext=None, post=False, connections=1):
    """A client that got the file, and maybe sent the upload, on a socket of its own."""
    flows = {f["flow"] for f in check_flows(tape, server, connections, plaintext)}
    exchanges = [h for h in json_lines("http", tape) if h["flow"] in flows]
    get = [h for h in exchanges if h["method"] == "GET"]
    equal("GET", [(h["status"], h["complete"], h["response_body_sha256"]) for h in get], [(200, True, sha256(server.body))])
    if post:
        sent = [h for h in exchanges if h["method"] == "POST"]
        equal("POST", [(h["status"], h["complete"], h["request_body_sha256"]) for h in sent],
              [(200, True, sha256(read(server.upload)))])
        equal("what the server got", server.posted, [sha256(read(server.upload))])
    if keys:
        check_keys(tape, keys)
    equal("verify", run(os.environ["BIN"] + "/fdtape-analyze", "verify", tape).returncode, 0)


def compile_c(folder, name, source, *options):
    """A C program; Skip where it can't be built."""
    path = f"{folder}/{name}.c"
    with open(path, "w") as file:
        file.write(source)
    done = run(os.environ.get("CC", "cc"), "-O1", "-o", f"{folder}/{name}", path, *options, check=False)
    if done.returncode:
        raise Skip(f"{name} can't be built: {done.stderr.decode(errors='replace').splitlines()[-1]}")
    return f"{folder}/{name}"


# GET by OpenSSL's own calls; the body goes to a file, the fd to standard output.
CLIENT_C = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef LATE
#include <dlfcn.h>
#include <openssl/ssl.h>
#define F(name) __typeof__(&name) p_##name = (__typeof__(&name))dlsym(library, #name)
#else
#include <openssl/ssl.h>
#define F(name) __typeof__(&name) p_##name = name
#endif
static FILE *keys;
static void keylog(const SSL *ssl, const char *line) { fprintf(keys, "%s\n", line); fflush(keys); }

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	char buffer[65536], *body;
	FILE *out = fopen(argv[2], "wb");
	size_t len = 0;
	int fd, n;
#ifdef LATE
	void *library = dlopen(argv[4], RTLD_NOW);
	if (!library) { fprintf(stderr, "%s\n", dlerror()); return 9; }
#endif
	F(TLS_client_method); F(SSL_CTX_new); F(SSL_new); F(SSL_set_fd); F(SSL_connect); F(SSL_write); F(SSL_read); F(SSL_peek);
	F(SSL_free); F(SSL_CTX_set_keylog_callback);
	keys = fopen(argv[3], "w");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SSL_CTX *context = p_SSL_CTX_new(p_TLS_client_method());
	p_SSL_CTX_set_keylog_callback(context, keylog);
#ifdef PATIENT
	usleep(PATIENT);
#endif
	SSL *ssl = p_SSL_new(context);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) || !p_SSL_set_fd(ssl, fd) || p_SSL_connect(ssl) != 1) return 8;
	n = sprintf(buffer, "GET /file.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	if (p_SSL_write(ssl, buffer, n) != n) return 7;
	char *all = malloc(1 << 20);
	while (p_SSL_peek(ssl, buffer, 100) > 0 && (n = p_SSL_read(ssl, buffer, sizeof buffer)) > 0) {
		memcpy(all + len, buffer, n);
		len += n;
	}
	body = memmem(all, len, "\r\n\r\n", 4);
	if (!body) return 6;
	fwrite(body + 4, 1, len - (body + 4 - all), out);
	fclose(out);
	p_SSL_free(ssl);
	printf("%d\n", fd);
	return 0;
}
"""
