# SPDX-License-Identifier: BSD-2-Clause
"""curl and nginx over TLS 1.2 and 1.3: the tape against the files, SSLKEYLOGFILE and tshark."""
import os

from live import (ANALYZE, analyze, certificate, equal, free_port, json_lines, main, nginx, nginx_config, read, record, recording, run,
                  sha256, taking, workspace)

FILE_SIZE, POST_SIZE = 200 * 1024, 1024 * 1024


class Site:
    """nginx with a file to GET and a place to POST to, over both kinds of certificate."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        os.makedirs(f"{folder}/www")
        self.file, self.upload = f"{folder}/www/file.bin", f"{folder}/upload.bin"
        for path, size in ((self.file, FILE_SIZE), (self.upload, POST_SIZE)):
            with open(path, "wb") as file:
                file.write(os.urandom(size))
        lines = "".join(f"ssl_certificate {cert}; ssl_certificate_key {key};\n"
                        for cert, key in (certificate(folder, "ec"), certificate(folder, "rsa")))
        self.config = nginx_config(folder, f"""
  server {{
    listen 127.0.0.1:{self.port} ssl; server_name localhost; {lines}
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ALL; root {folder}/www;
    location /upload {{ proxy_pass https://127.0.0.1:{self.port}/sink; }}
    {taking("/sink")}
  }}""")

    def curl(self, *options):
        return ["curl", "-sS", "-k", "--http1.1", *options, "-o", f"{self.folder}/got.bin",
                f"https://localhost:{self.port}/file.bin?size={FILE_SIZE}", "--next", "-sS", "-k", "--http1.1", *options,
                "--data-binary", f"@{self.upload}", "-H", "Content-Type: application/octet-stream",
                "-o", f"{self.folder}/answer.txt", f"https://localhost:{self.port}/upload"]


def keylog_lines(text):
    """The lines of a key log, without comments, as a set: their order is nobody's promise."""
    return {line for line in text.decode().splitlines() if line and not line.startswith("#")}


def check_exchange(site, tape, keys, version, cipher):
    exchanges = [h for h in json_lines("http", tape) if h["role"] == "client"]
    equal("requests", [(h["method"], h["path"], h["status"], h["complete"]) for h in exchanges],
          [("GET", f"/file.bin?size={FILE_SIZE}", 200, True), ("POST", "/upload", 200, True)])
    get, post = exchanges
    equal("GET body", (get["response_body_bytes"], get["response_body_sha256"]), (FILE_SIZE, sha256(read(site.file))))
    equal("curl's copy", sha256(read(f"{site.folder}/got.bin")), get["response_body_sha256"])
    equal("POST body", (post["request_body_bytes"], post["request_body_sha256"]), (POST_SIZE, sha256(read(site.upload))))
    equal("POST answer", post["response_body_sha256"], sha256(b"taken\n"))

    # The key log of the tape is curl's own.
    equal("key log", keylog_lines(analyze("keylog", tape)), keylog_lines(read(keys)))

    flows = {f["flow"]: f for f in json_lines("flows", tape)}
    for h in exchanges:
        f = flows[h["flow"]]
        equal("verdict", (f["tls"]["verdict"], f["tls"]["version"], f["role"], f["proto"]), ("tls", version, "client", "tcp"))
        equal("cipher", f["tls"]["cipher"], cipher)
        equal("sni", f["tls"]["sni"], "localhost")
        equal("remote", f["remote"], f"127.0.0.1:{site.port}")
        equal("plaintext by", f["tls"]["plaintext"], "both")
        for side in ("in", "out"):
            equal("captured + lost", f[side]["captured"] + f[side]["lost"], f[side]["bytes"])
            equal("lost", f[side]["lost"], 0)

    # The flow's plaintext: the response's body is the file, to the byte.
    raw = analyze("stream", "--flow", str(get["flow"]), "--dir", "in", "--raw", tape)
    if get["flow"] == post["flow"]:
        raw = raw[:len(raw.split(b"\r\n\r\n", 1)[0]) + 4 + FILE_SIZE]
    equal("stream", sha256(raw.split(b"\r\n\r\n", 1)[1]), sha256(read(site.file)))
    sent = analyze("stream", "--flow", str(post["flow"]), "--dir", "out", "--raw", tape)
    equal("sent", sent.endswith(read(site.upload)), True)

    check_tshark(tape, 2)
    for view in (["summary"], ["flows"], ["http", "--json"], ["log"], ["pcapng"]):
        equal(f"{view} twice", analyze(*view, tape), analyze(*view, tape))
    equal("verify", run(ANALYZE, "verify", tape).returncode, 0)


def check_tshark(tape, requests):
    """Stock tshark, no preferences: all requests, nothing to complain about."""
    capture = tape + ".pcapng"
    analyze("pcapng", "-o", capture, tape)

    def count(display_filter):
        return len(run("tshark", "-r", capture, "-Y", display_filter).stdout.splitlines())
    equal("tshark: http.request", count("http.request"), requests)
    equal("tshark: http.response", count("http.response.code == 200"), requests)
    equal("tshark: warnings", run("tshark", "-r", capture, "-Y", "_ws.expert.severity >= 0x600000").stdout, b"")
    equal("tshark: tcp.analysis.flags", run("tshark", "-r", capture, "-Y", "tcp.analysis.flags").stdout, b"")


def exchange(version, cipher, *options):
    with workspace() as folder:
        site = Site(folder)
        with nginx(site.config, site.port):
            tape, keys = f"{folder}/curl.tape", f"{folder}/keys.log"
            done = record(tape, *site.curl(*options), env={"SSLKEYLOGFILE": keys})
            equal("curl's status", (done.returncode, done.stdout), (0, b""))
            check_exchange(site, tape, keys, version, cipher)


def tls13_aes128():
    """TLS 1.3, AES-128-GCM: bodies, keys and tshark agree"""
    exchange("TLSv1.3", "TLS_AES_128_GCM_SHA256", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256")


def tls13_aes256():
    """TLS 1.3, AES-256-GCM: bodies, keys and tshark agree"""
    exchange("TLSv1.3", "TLS_AES_256_GCM_SHA384", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384")


def tls13_chacha20():
    """TLS 1.3, ChaCha20-Poly1305: bodies, keys and tshark agree"""
    exchange("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256")


def tls12_aes128():
    """TLS 1.2, AES-128-GCM: bodies, keys and tshark agree"""
    exchange("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "--tls-max", "1.2", "--ciphers",
             "ECDHE-ECDSA-AES128-GCM-SHA256")


def tls12_aes256():
    """TLS 1.2, AES-256-GCM with an RSA key: bodies, keys and tshark agree"""
    exchange("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "--tls-max", "1.2", "--ciphers",
             "ECDHE-RSA-AES256-GCM-SHA384")


def tls12_chacha20():
    """TLS 1.2, ChaCha20-Poly1305: bodies, keys and tshark agree"""
    exchange("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "--tls-max", "1.2", "--ciphers",
             "ECDHE-ECDSA-CHACHA20-POLY1305")


def one_source(mode, plaintext):
    with workspace() as folder:
        site = Site(folder)
        with nginx(site.config, site.port):
            tape, keys = f"{folder}/curl.tape", f"{folder}/keys.log"
            record(tape, *site.curl(), options=["--tls", mode], env={"SSLKEYLOGFILE": keys})
            exchanges = json_lines("http", tape)
            equal("GET body", exchanges[0]["response_body_sha256"], sha256(read(site.file)))
            equal("POST body", exchanges[1]["request_body_sha256"], sha256(read(site.upload)))
            flows = {f["flow"]: f for f in json_lines("flows", tape)}
            equal("plaintext by", {flows[h["flow"]]["tls"]["plaintext"] for h in exchanges}, {plaintext})
            equal("keys", keylog_lines(analyze("keylog", tape)), keylog_lines(read(keys)) if mode == "keys" else set())
            check_tshark(tape, 2)


def keys_only():
    """--tls keys: the wire alone gives all plaintext"""
    one_source("keys", "wire")


def calls_only():
    """--tls calls: the library calls alone give all plaintext, bound to the right fd"""
    one_source("calls", "calls")


def server_side():
    """a running nginx recorded by its pid: the server's view of the same exchange"""
    with workspace() as folder:
        site = Site(folder)
        with nginx(site.config, site.port) as process:
            tape = f"{folder}/nginx.tape"
            with recording(tape, "-p", str(process.pid)):
                run(*site.curl())
            # nginx is the server of both requests, the proxy's client, and the server of what it proxied.
            exchanges = json_lines("http", tape)
            equal("roles", sorted((h["role"], h["method"], h["path"]) for h in exchanges),
                  sorted([("server", "GET", f"/file.bin?size={FILE_SIZE}"), ("server", "POST", "/upload"),
                          ("client", "POST", "/sink"), ("server", "POST", "/sink")]))
            for h in exchanges:
                equal(f"{h['path']} complete", (h["complete"], h["tls"]), (True, True))
                body = "response_body_sha256" if h["method"] == "GET" else "request_body_sha256"
                equal(f"{h['path']} body", h[body], sha256(read(site.file if h["method"] == "GET" else site.upload)))


main(tls13_aes128, tls13_aes256, tls13_chacha20, tls12_aes128, tls12_aes256, tls12_chacha20, keys_only, calls_only,
     server_side)
