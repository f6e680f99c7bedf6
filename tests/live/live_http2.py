# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 and gRPC: what clients, servers and tshark say of the same connections."""
import collections
import json
import os
import re
import shutil
import subprocess

from live import (ENV, ROOM, Skip, analyze, certificate, equal, free_port, json_lines, main, nginx, nginx_config, read, record,
                  recording, run, server, sha256, workspace)

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # which has Debian's modules


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"no {program}")


def needs_module(name):
    if run(PYTHON, "-c", f"import {name}", check=False).returncode:
        raise Skip(f"no Python module {name}")


def site(folder):
    os.makedirs(f"{folder}/www", exist_ok=True)
    for name, size in (("big.bin", 400_000), ("small.txt", 17), ("empty", 0)):
        with open(f"{folder}/www/{name}", "wb") as file:
            file.write(os.urandom(size))
    return f"{folder}/www"


def tshark_headers(folder, tape):
    """Every header of every message, as tshark finds it in the export: Counter of (stream, name, value)."""
    run(os.path.join(os.environ["BIN"], "fdtape-analyze"), "pcapng", "-o", f"{folder}/x.pcapng", tape)
    out = run("tshark", "-r", f"{folder}/x.pcapng", "-Y", "http2", "-T", "json", "-J", "http2",
              *[w for f in ("http2.streamid", "http2.header.name", "http2.header.value") for w in ("-e", f)]).stdout
    found = collections.Counter()
    for packet in json.loads(out):
        layers = packet["_source"]["layers"]
        for name, value in zip(layers.get("http2.header.name", []), layers.get("http2.header.value", [])):
            found[name, value] += 1
    return found


def told_headers(exchanges):
    found = collections.Counter()
    for x in exchanges:
        for name, key in ((":method", "method"), (":scheme", "scheme"), (":authority", "authority"), (":path", "path")):
            found[name, x[key]] += 1
        if x["status"]:
            found[":status", str(x["status"])] += 1
        for part in ("request_headers", "response_headers", "response_trailers"):
            for name, value in x[part] or []:
                found[name, value] += 1
    return found


def nghttpd():
    """nghttp over TLS: interleaved streams, a push; bodies as the files, headers as tshark has them"""
    needs("nghttpd", "nghttp", "tshark")
    with workspace() as folder:
        port, www, tape = free_port(), site(folder), f"{folder}/x.tape"
        cert, key = certificate(folder)
        with server("nghttpd", "-d", www, "--push=/small.txt=/empty", str(port), key, cert, port=port):
            place = f"https://127.0.0.1:{port}"
            record(tape, "nghttp", "-n", "-m", "3", *[f"{place}/{n}" for n in ("big.bin", "small.txt", "missing")], options=ROOM)
        found = json_lines("http", tape)
        equal("version", {(x["version"], x["tls"], x["role"]) for x in found}, {("HTTP/2", True, "client")})
        asked = [x for x in found if x["stream"] % 2]
        equal("answers", collections.Counter((x["path"], x["status"], x["complete"]) for x in asked),
              collections.Counter(((f"/{n}", status, True) for n, status in (("big.bin", 200), ("small.txt", 200), ("missing", 404))
                                   for _ in range(3))))
        for x in asked:
            if x["status"] == 200:
                body = read(www + x["path"])
                equal(x["path"], (x["response_body_bytes"], x["response_body_sha256"]), (len(body), sha256(body)))
        equal("pushed", {(x["path"], x["status"], x["stream"] % 2) for x in found if not x["stream"] % 2}, {("/empty", 200, 0)})
        equal("headers", told_headers(found), tshark_headers(folder, tape))


def h2load():
    """h2load: as many answers as it counts, on as many connections, with and without TLS"""
    needs("nghttpd", "h2load")
    with workspace() as folder:
        www, (cert, key) = site(folder), certificate(folder)
        for words, scheme in ((("--no-tls",), "http"), ((), "https")):
            port, tape = free_port(), f"{folder}/{scheme}.tape"
            tls = (key, cert) if scheme == "https" else ()
            with server("nghttpd", "-d", www, *words, str(port), *tls, port=port):
                said = record(tape, "h2load", "-n", "3000", "-c", "4", "-m", "25", f"{scheme}://127.0.0.1:{port}/small.txt",
                              options=ROOM).stdout.decode()
            found = json_lines("http", tape)
            equal("h2load's count", re.search(r"(\d+) total, .* (\d+) succeeded", said).groups(), ("3000", "3000"))
            equal("answers", collections.Counter((x["status"], x["complete"], x["scheme"]) for x in found), {(200, True, scheme): 3000})
            equal("connections", len({x["flow"] for x in found}), 4)
            equal("streams", sorted({x["stream"] for x in found})[:3], [1, 3, 5])
            equal("bytes", sum(x["response_body_bytes"] for x in found), int(re.search(r"\((\d+)\) data", said)[1]))
            equal("bodies", {x["response_body_sha256"] for x in found}, {sha256(read(f"{www}/small.txt"))})


def nginx_http2():
    """nginx: its own log of methods, paths, codes, bytes and bodies, for curl's uploads and downloads over HTTP/2"""
    needs("nginx", "curl")
    with workspace() as folder:
        port, www, tape = free_port(), site(folder), f"{folder}/x.tape"
        cert, key = certificate(folder)
        config = nginx_config(folder, f"""
  log_format own '$request_method $uri $status $body_bytes_sent $content_length $server_protocol'; access_log {folder}/own.log own;
  server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key}; root {www};
            location /upload {{ client_body_in_file_only clean; proxy_pass https://127.0.0.1:{port}/taken; proxy_http_version 1.1; }}
            location /taken {{ return 201 "taken\\n"; }} }}""")
        with nginx(config, port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)):
                place = f"https://127.0.0.1:{port}"
                run("curl", "-sSk", "--http2", "-Z", *[w for n in ("big.bin", "small.txt", "empty", "no") for w in (f"{place}/{n}", "-o", "/dev/null")])
                run("curl", "-sSk", "--http2", "--data-binary", f"@{www}/big.bin", "-o", "/dev/null", f"{place}/upload")
                run("curl", "-sSk", "--http2", "-I", f"{place}/big.bin")
        found = [x for x in json_lines("http", tape) if x["role"] == "server" and x["version"] == "HTTP/2"]
        logged = sorted(line for line in read(f"{folder}/own.log").decode().splitlines() if line.endswith("HTTP/2.0"))
        length = lambda x: next((v for n, v in x["request_headers"] if n == "content-length"), "-")
        equal("requests", sorted(f"{x['method']} {x['path']} {x['status']} {x['response_body_bytes']} {length(x)} HTTP/2.0" for x in found), logged)
        equal("complete", {x["complete"] for x in found}, {True})
        (upload,) = [x for x in found if x["method"] == "POST"]
        equal("upload", upload["request_body_sha256"], sha256(read(f"{www}/big.bin")))


def upgrade():
    """an HTTP/1.1 connection that becomes an HTTP/2 one (h2c): both are told"""
    needs("nghttpx", "nghttp")
    with workspace() as folder:
        port, back, www, tape = free_port(), free_port(), site(folder), f"{folder}/x.tape"
        with server("nghttpd", "-d", www, "--no-tls", str(back), port=back), \
                server("nghttpx", "--conf=/dev/null", f"-f127.0.0.1,{port};no-tls", f"-b127.0.0.1,{back};;proto=h2", "-n1", "--errorlog-file=/dev/null", port=port):
            record(tape, "nghttp", "-nu", f"http://127.0.0.1:{port}/small.txt", options=ROOM)
        found = json_lines("http", tape)
        equal("told", [(x["version"], x["stream"], x["method"], x["path"], x["status"], x["complete"]) for x in found],
              [("HTTP/1.1", None, "GET", "/small.txt", 101, True), ("HTTP/2", 1, "GET", "/small.txt", 200, True)])
        equal("body", found[1]["response_body_sha256"], sha256(read(f"{www}/small.txt")))


def middle():
    """a connection that was open before recording: what is told is true, and what can't be known is null"""
    needs("nghttpd")
    needs_module("h2")
    with workspace() as folder:
        port, www, tape = free_port(), site(folder), f"{folder}/x.tape"
        with server("nghttpd", "-d", www, "--no-tls", str(port), port=port):
            paths = ["/small.txt", "/missing", "/small.txt", "/big.bin", "/small.txt"]
            client = subprocess.Popen([PYTHON, f"{HERE}/http2_client.py", str(port), *paths], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, env=ENV)
            truth = []

            def ask():
                client.stdin.write(b"\n")
                client.stdin.flush()
                truth.append(json.loads(client.stdout.readline()))

            ask()
            ask()
            with recording(tape, *ROOM, "-p", str(client.pid)):
                for _ in paths[2:]:
                    ask()
                client.stdin.close()
                client.wait(10)
            client.stdout.close()
        found = json_lines("http", tape)
        equal("streams", [x["stream"] for x in found], [t["stream"] for t in truth[2:]])
        known = 0
        for x, t in zip(found, truth[2:]):
            sent, got = dict(t["sent"]), dict(t["got"])
            equal("status", x["status"], int(got[":status"]) if x["status"] else None)
            for key in ("method", "path", "authority"):
                equal(key, x[key] in (None, sent[":" + key]), True)
            for part, real in (("request_headers", sent), ("response_headers", got)):
                for name, value in x[part]:
                    if name is not None:
                        equal(f"{part} {name}", value, real[name])
                        known += 1
            only = [name for name in sent if name.startswith("x-only")]
            equal("what was new is known", [n for n, _ in x["request_headers"] if n and n.startswith("x-only")], only)
            equal("what is old is not", [n for n, _ in x["request_headers"] if n == "x-always"], [])
            body = read(www + sent[":path"])
            equal("body", (x["response_body_bytes"], x["response_body_sha256"]), (len(body), sha256(body)))
        equal("some are known", known > 5, True)


def grpc():
    """gRPC: services, methods, message counts and codes of unary and streaming calls, as client and server have them"""
    needs_module("grpc")
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with server(PYTHON, f"{HERE}/grpc_peer.py", "server", str(port), port=port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)):
                said = json.loads(run(PYTHON, f"{HERE}/grpc_peer.py", "client", str(port)).stdout)
        calls = [(g["service"], g["method"], g["request_messages"], g["response_messages"], g["status"])
                 for g in (x["grpc"] for x in json_lines("http", tape)) if g]
        equal("calls", calls, [tuple(c) for c in said])


main(nghttpd, h2load, nginx_http2, upgrade, middle, grpc)
