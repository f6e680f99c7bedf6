# SPDX-License-Identifier: BSD-2-Clause
"""Content codings: what servers encoded and curl decoded, by sha256 of the server's file and of curl's."""
import os
import random
import shutil

from live import (ROOM, Skip, analyze, certificate, equal, free_port, json_lines, main, nginx, nginx_config, read, record, run,
                  server, sha256, workspace)

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = "/usr/lib/apache2/modules"
PYTHON = "/usr/bin/python3"  # which has Debian's modules


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"no {program}")


def text(lines):
    """Bytes that can be compressed, but not to nothing."""
    words, rng = [f"word{n}" for n in range(500)], random.Random(lines)
    return "".join(" ".join(rng.choices(words, k=12)) + "\n" for _ in range(lines)).encode()


def site(folder, lines=4000):
    os.makedirs(f"{folder}/www")
    with open(f"{folder}/www/page.txt", "wb") as file:
        file.write(text(lines))
    return f"{folder}/www/page.txt"


def said(content):
    return content and (content["encoding"], content["bytes"], content["sha256"], content["complete"], content["error"])


def whole(encoding, data):
    return encoding, len(data), sha256(data), True, None


def nginx_gzip():
    """nginx's gzip and curl --compressed, over HTTP/1.1 in clear and HTTP/2 in TLS; request bodies, too"""
    with workspace() as folder:
        page, clear, tls = site(folder), free_port(), free_port()
        cert, key = certificate(folder)
        listen = f"listen 127.0.0.1:{clear}; listen 127.0.0.1:{tls} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};"
        config = nginx_config(folder, f"""gzip on; gzip_types *;
server {{ {listen} root {folder}/www; location /put {{ proxy_pass http://127.0.0.1:{clear}/page.txt; proxy_method GET; }} }}""")
        run("gzip", "-k", page)
        with nginx(config, clear):
            for port, scheme, version in ((clear, "http", "--http1.1"), (tls, "https", "--http2")):
                tape = f"{folder}/{scheme}.tape"
                done = record(tape, "curl", "-sSk", version, "--compressed", "-o", f"{folder}/got",
                              f"{scheme}://localhost:{port}/page.txt", options=ROOM)
                equal("curl", (done.returncode, sha256(read(f"{folder}/got"))), (0, sha256(read(page))))
                (x,) = json_lines("http", tape)
                equal(scheme, said(x["response_content"]), whole("gzip", read(page)))
                equal("no request body", x["request_content"], None)
                equal("the body itself is smaller", x["response_body_bytes"] < len(read(page)), True)
                shown = analyze("http", "-v", tape).decode()
                equal("-v", "response content: gzip, " in shown, True)
                # What is not asked for is not shown.
                equal("without", "content" in analyze("http", tape).decode(), False)
            tape = f"{folder}/put.tape"
            record(tape, "curl", "-sS", "-H", "Content-Encoding: gzip", "-H", "Expect:", "--data-binary", f"@{page}.gz", "-o",
                   "/dev/null", f"http://localhost:{clear}/put", options=ROOM)
            (x,) = json_lines("http", tape)
            equal("request", said(x["request_content"]), whole("gzip", read(page)))
            equal("request body", x["request_body_sha256"], sha256(read(f"{page}.gz")))


def apache_deflate_brotli():
    """Apache's mod_deflate and mod_brotli and curl --compressed"""
    needs("apache2")
    with workspace() as folder:
        page, port = site(folder), free_port()
        os.makedirs(f"{folder}/logs")
        with open(f"{folder}/apache.conf", "w") as file:
            file.write(f"""
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
User nobody
Group nogroup
LoadModule mpm_prefork_module {MODULES}/mod_mpm_prefork.so
LoadModule authz_core_module {MODULES}/mod_authz_core.so
LoadModule filter_module {MODULES}/mod_filter.so
LoadModule deflate_module {MODULES}/mod_deflate.so
LoadModule brotli_module {MODULES}/mod_brotli.so
ErrorLog {folder}/logs/error.log
DocumentRoot {folder}/www
SetOutputFilter BROTLI_COMPRESS;DEFLATE
""")
        tape = f"{folder}/x.tape"
        with server("apache2", "-f", f"{folder}/apache.conf", "-DFOREGROUND", port=port, start_new_session=True):
            command = []
            for coding in ("gzip", "br"):
                command += ["--next"] if command else []
                command += ["-sS", "--compressed", "-H", f"Accept-Encoding: {coding}", "-o", f"{folder}/{coding}",
                            f"http://127.0.0.1:{port}/page.txt"]
            record(tape, "curl", *command, options=ROOM)
        for coding, x in zip(("gzip", "br"), json_lines("http", tape)):
            equal(f"curl {coding}", sha256(read(f"{folder}/{coding}")), sha256(read(page)))
            equal(coding, said(x["response_content"]), whole(coding, read(page)))


def node_codings():
    """Node's zlib: gzip, deflate, bare deflate, br, lists; events in gzip; a body cut short, one that is not what it says"""
    needs("node")
    with workspace() as folder:
        page, port, tape = site(folder, 1500), free_port(), f"{folder}/x.tape"
        lists = ["gzip", "deflate", "raw", "br", "gzip,br", "br,deflate,gzip"]
        with server("node", os.path.join(HERE, "content_server.js"), str(port), page, port=port):
            command = []
            for i, path in enumerate(lists + ["identity", "events", "wrong", "cut"]):
                command += ["--next"] if command else []
                # Of what is broken curl takes the bytes as they are.
                command += ["-sS", *(["--compressed"] if i < len(lists) else []), "-o", f"{folder}/{i}",
                            f"http://127.0.0.1:{port}/{path}"]
            done = record(tape, "curl", *command, options=ROOM)
            equal("curl says that one is cut", done.returncode, 18)
        found = {x["path"][1:]: x for x in json_lines("http", tape)}
        for i, path in enumerate(lists):
            coding = {"raw": "deflate"}.get(path, path.replace(",", ", "))
            equal(f"curl {path}", sha256(read(f"{folder}/{i}")), sha256(read(page)))
            equal(path, said(found[path]["response_content"]), whole(coding, read(page)))
        equal("identity", found["identity"]["response_content"], None)
        equal("identity's body", found["identity"]["response_body_sha256"], sha256(read(page)))
        events = run("gzip", "-dc", f"{folder}/{len(lists) + 1}").stdout
        equal("events", (found["events"]["events"], found["events"]["response_content"]["sha256"]),
              (events.count(b"data: "), sha256(events)))
        wrong, cut = found["wrong"]["response_content"], found["cut"]["response_content"]
        equal("wrong", said(wrong), ("gzip", 0, None, False, "corrupt"))
        equal("cut", (cut["encoding"], cut["sha256"], cut["complete"], cut["error"]), ("br", None, False, "truncated"))
        equal("cut's bytes", cut["bytes"] < len(read(page)), True)


def zstd_and_damage():
    """what zstd and gzip encoded, served as it is: zstd, members, something behind it, a hole, an unknown coding, a bomb"""
    needs("zstd")
    with workspace() as folder:
        page, port = site(folder, 20000), free_port()
        www = os.path.dirname(page)
        run("zstd", "-q", page, "-o", f"{www}/zst")
        run("gzip", "-k", page)
        with open(f"{www}/twice", "wb") as file:
            file.write(2 * read(f"{page}.gz"))
        with open(f"{www}/behind", "wb") as file:
            file.write(read(f"{page}.gz") + b"garbage")
        with open(f"{www}/zeros", "wb") as file:
            file.truncate(300 << 20)
        run("gzip", "-S", ".gz", "-k", f"{www}/zeros")
        os.remove(f"{www}/zeros")
        os.rename(f"{page}.gz", f"{www}/gz")
        os.rename(f"{www}/zeros.gz", f"{www}/zeros")
        codings = {"zst": "zstd", "twice": "gzip", "behind": "gzip", "gz": "gzip", "zeros": "gzip", "what": "compress"}
        shutil.copy(f"{www}/gz", f"{www}/what")
        config = nginx_config(folder, f"server {{ listen 127.0.0.1:{port}; root {www};" + "".join(
            f"location =/{path} {{ add_header Content-Encoding {coding}; }}" for path, coding in codings.items()) + "}")
        with nginx(config, port):
            def get(path, *options):
                tape = f"{folder}/{path}.tape"
                record(tape, "curl", "-sS", "-o", f"{folder}/got", f"http://127.0.0.1:{port}/{path}", options=(*ROOM, *options))
                (x,) = json_lines("http", tape)
                if not options:
                    equal(f"{path}: the body itself", x["response_body_sha256"], sha256(read(f"{www}/{path}")))
                return x["response_content"]
            data = read(page)
            equal("zstd", said(get("zst")), whole("zstd", data))
            equal("members", said(get("twice")), whole("gzip", 2 * data))
            equal("behind it", said(get("behind")), ("gzip", len(data), sha256(data), True, "trailing-data"))
            equal("compress", said(get("what")), ("compress", None, None, False, "unknown-encoding"))
            bomb = get("zeros")
            equal("bomb", (bomb["sha256"], bomb["complete"], bomb["error"]), (None, False, "too-large"))
            equal("bomb's bytes", 16 << 20 <= bomb["bytes"] < 300 << 20, True)
            hole = get("gz", "--snaplen", "2000")
            equal("hole", (hole["sha256"], hole["complete"], hole["error"]), (None, False, "missing-bytes"))
            equal("before the hole", 0 < hole["bytes"] < len(data), True)
            shown = analyze("http", "-v", f"{folder}/zeros.tape").decode()
            equal("-v says it", "expands beyond all measure" in shown, True)


GRPC = r"""
import concurrent.futures, sys, threading, grpc
role, place = sys.argv[1], f"127.0.0.1:{sys.argv[2]}"
if role == "server":
    class Handler(grpc.GenericRpcHandler):
        def service(self, call):
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: (r * 2 for r in requests))
    service = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[Handler()], compression=grpc.Compression.Gzip)
    service.add_insecure_port(place)
    service.start()
    threading.Event().wait()
with grpc.insecure_channel(place, compression=grpc.Compression.Gzip) as channel:
    for reply in channel.stream_stream("/a.b.Service/Echo")(iter([b"x" * 5000, b"hello", b"y" * 70000])):
        sys.stdout.buffer.write(reply)
"""


def grpc_gzip():
    """gRPC with grpc-encoding gzip: the messages that client and server meant"""
    if run(PYTHON, "-c", "import grpc", check=False).returncode:
        raise Skip("no Python module grpc")
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with open(f"{folder}/peer.py", "w") as file:
            file.write(GRPC)
        with server(PYTHON, f"{folder}/peer.py", "server", str(port), port=port):
            got = record(tape, PYTHON, f"{folder}/peer.py", "client", str(port), options=ROOM).stdout
        (x,) = [x for x in json_lines("http", tape) if x["role"] == "client"]
        sent = b"x" * 5000 + b"hello" + b"y" * 70000
        equal("messages", (x["grpc"]["request_messages"], x["grpc"]["response_messages"]), (3, 3))
        equal("sent", said(x["request_content"]), whole("gzip", sent))
        equal("got", said(x["response_content"]), whole("gzip", got))
        equal("by the client", len(got), 2 * len(sent))


main(nginx_gzip, apache_deflate_brotli, node_codings, zstd_and_damage, grpc_gzip)
