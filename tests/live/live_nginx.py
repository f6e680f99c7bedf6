# SPDX-License-Identifier: BSD-2-Clause
"""nginx's access log, its files and the tape: every connection's bytes, by each way that nginx sends them."""
import collections
import os

from live import (ROOM, equal, free_port, json_lines, main, nginx, nginx_config, certificate, port_of, read, recording, run, sha256,
                  stream, whole, workspace)

SIZES = {"small.bin": 1 << 10, "large.bin": 8 << 20}
# One line a request; what a connection carried is the sum of its requests' lines.
LOG = "log_format account '$connection $remote_port $server_port $bytes_sent $request_length $uri'; "


def site(folder):
    os.makedirs(f"{folder}/www")
    for name, size in SIZES.items():
        with open(f"{folder}/www/{name}", "wb") as file:
            file.write(os.urandom(size))


def configuration(folder, servers):
    # access_log of the servers: nginx_config()'s own, of the level above, has another format.
    return nginx_config(folder, f"{LOG} keepalive_requests 1000; root {folder}/www; " + "".join(
        f"server {{ access_log {folder}/nginx/logs/account.log account; {server} }}\n" for server in servers))


def account(folder):
    """(client's port, server's port): [requests, bytes received, bytes sent], by nginx."""
    found = collections.defaultdict(lambda: [0, 0, 0])
    for line in read(f"{folder}/nginx/logs/account.log").decode().splitlines():
        _, client, port, sent, received, _ = line.split()
        entry = found[int(client), int(port)]
        entry[0] += 1
        entry[1] += int(received)
        entry[2] += int(sent)
    return dict(found)


def accepted(flows, *ports):
    """The same of the tape's flows, with the flow: those that nginx accepted and that carried something."""
    return {(port_of(f["remote"]), port_of(f["local"])): f for f in flows
            if f["role"] == "server" and f["remote"] and port_of(f["local"]) in ports and f["in"]["bytes"]}


def equal_account(folder, found, key="bytes"):
    logged = account(folder)
    equal("connections", sorted(found), sorted(logged))
    for connection, (_, received, sent) in logged.items():
        f = found[connection]
        equal(f"{connection}: received and sent", (f["in"][key], f["out"][key]), (received, sent))


def fetch(*urls):
    """One connection, one request after the other; the bytes go nowhere: the tape is held to the file on the disk."""
    run("curl", "-sS", "-k", "--http1.1", *[a for url in urls for a in ("-o", "/dev/null", url)])


def equal_bodies(tape, folder, role="server", times=1):
    """Each file's bytes are in the answers as often as it was asked for."""
    got = collections.Counter((h["path"], h["status"], h["response_body_bytes"], h["response_body_sha256"], h["complete"])
                              for h in json_lines("http", tape) if h["role"] == role)
    equal("bodies", got, collections.Counter({(f"/{name}", 200, size, sha256(read(f"{folder}/www/{name}")), True): times
                                              for name, size in SIZES.items()}))


def static(tls, *settings):
    with workspace() as folder:
        site(folder)
        port, tape = free_port(), f"{folder}/x.tape"
        cert, key = certificate(folder)
        listen = f"listen 127.0.0.1:{port}" + (f" ssl; ssl_certificate {cert}; ssl_certificate_key {key};" if tls else ";")
        with nginx(configuration(folder, [f"{listen} {setting}" for setting in settings]), port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)) as recorder:
                for _ in range(2):
                    fetch(*[f"http{'s' * tls}://127.0.0.1:{port}/{name}" for name in SIZES])
        flows = whole(tape, recorder.said)
        found = accepted(flows, port)
        equal("connections", len(found), 2)
        equal("verdicts", {f["tls"]["verdict"] for f in found.values()}, {"tls" if tls else "clear"})
        equal_account(folder, found, "plaintext" if tls else "bytes")
        equal_bodies(tape, folder, times=2)
        for f in found.values():
            raw = stream(tape, f, "out")
            equal("the stream's length", len(raw), f["out"]["plaintext" if tls else "bytes"])
            equal("the stream ends with the file", sha256(raw[-SIZES["large.bin"]:]), sha256(read(f"{folder}/www/large.bin")))
        return json_lines("log", tape)


def sendfile_on():
    """files by sendfile(): the bytes that never were in nginx' memory are on the tape; its log agrees"""
    calls = collections.Counter(e["msg"] for e in static(False, "sendfile on; tcp_nopush on;"))
    equal("sendfile was used", calls["syscall/sendfile"] > 0, True)


def sendfile_off():
    """files by writev(): the tape against the files and the access log"""
    calls = collections.Counter(e["msg"] for e in static(False, "sendfile off;"))
    equal("sendfile was not used", calls["syscall/sendfile"], 0)


def https():
    """HTTPS: the plaintext's lengths are those of the access log"""
    static(True, "ssl_protocols TLSv1.2 TLSv1.3;")


def frames(data):
    """HTTP/2: the DATA of each stream, and the bytes of frames that belong to no request."""
    bodies, control, at = collections.defaultdict(bytes), 0, 0
    while at < len(data):
        size, kind, flags = int.from_bytes(data[at:at + 3], "big"), data[at + 3], data[at + 4]
        number = int.from_bytes(data[at + 5:at + 9], "big") & 0x7fffffff
        payload = data[at + 9:at + 9 + size]
        equal("a whole frame", len(payload), size)
        if kind == 0:
            equal("padding", flags & 8, 0)
            bodies[number] += payload
        elif number == 0:
            control += 9 + size
        at += 9 + size
    return dict(bodies), control


def http2():
    """HTTP/2 over TLS: the decrypted frames hold the files, and with those of the connection make up the bytes"""
    with workspace() as folder:
        site(folder)
        port, tape = free_port(), f"{folder}/x.tape"
        cert, key = certificate(folder)
        config = configuration(folder, [f"listen 127.0.0.1:{port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};"])
        with nginx(config, port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)) as recorder:
                run("curl", "-sS", "-k", "--http2", "--parallel", *[a for name in SIZES for a in
                                                                   ("-o", "/dev/null", f"https://127.0.0.1:{port}/{name}")])
        found = accepted(whole(tape, recorder.said), port)
        ((connection, f),) = found.items()
        ((logged, (requests, _, sent)),) = account(folder).items()
        equal("the connection", (connection, requests), (logged, len(SIZES)))
        equal("tls", (f["tls"]["verdict"], f["tls"]["alpn"]), ("tls", "h2"))
        bodies, control = frames(stream(tape, f, "out"))
        equal("bodies", sorted(sha256(b) for b in bodies.values()), sorted(sha256(read(f"{folder}/www/{name}")) for name in SIZES))
        equal("sent", f["out"]["plaintext"], sent + control)


def proxy():
    """a reverse proxy: $bytes_sent in front, $upstream_bytes_sent and _received behind, each file whole on both sides"""
    with workspace() as folder:
        site(folder)
        front, back, tape = free_port(), free_port(), f"{folder}/x.tape"
        log = (f"log_format behind '$remote_port $bytes_sent $request_length $upstream_bytes_sent $upstream_bytes_received'; "
               f"upstream files {{ server 127.0.0.1:{back}; keepalive 4; }}"
               f"server {{ listen 127.0.0.1:{front}; access_log {folder}/nginx/logs/proxy.log behind; "
               "location / { proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection ''; } }")
        config = nginx_config(folder, f"{LOG} {log} server {{ listen 127.0.0.1:{back}; root {folder}/www; "
                                      f"access_log {folder}/nginx/logs/account.log account; }}")
        with nginx(config, front) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)) as recorder:
                for _ in range(2):
                    fetch(*[f"http://127.0.0.1:{front}/{name}" for name in SIZES])
        flows = whole(tape, recorder.said)
        equal_account(folder, accepted(flows, back))
        in_front, lines = accepted(flows, front), [[int(n) for n in line.split()] for line in
                                                   read(f"{folder}/nginx/logs/proxy.log").decode().splitlines()]
        equal("connections in front", sorted(c for c, _ in in_front), sorted({line[0] for line in lines}))
        for (client, _), f in in_front.items():
            equal("in front", (f["out"]["bytes"], f["in"]["bytes"]),
                  tuple(sum(line[i] for line in lines if line[0] == client) for i in (1, 2)))
        behind = [f for f in flows if f["role"] == "client" and f["remote"] == f"127.0.0.1:{back}"]
        equal("behind", tuple(sum(f[side]["bytes"] for f in behind) for side in ("out", "in")),
              tuple(sum(line[i] for line in lines) for i in (3, 4)))
        equal_bodies(tape, folder, "client", 2)
        equal_bodies(tape, folder, "server", 4)  # in front and behind


def parallel():
    """200 URLs by curl --parallel --parallel-max 200: each answer whole on a flow of its own, none mixed"""
    with workspace() as folder:
        os.makedirs(f"{folder}/www")
        os.makedirs(f"{folder}/got")
        port, tape, n = free_port(), f"{folder}/x.tape", 200
        names = [f"{i:03}" for i in range(n)]
        for i, name in enumerate(names):
            with open(f"{folder}/www/{name}", "wb") as file:
                file.write(os.urandom(i * 331 + (i % 10 == 0) * 300_000))
        cert, key = certificate(folder)
        for scheme in ("http", "https"):
            listen = f"listen 127.0.0.1:{port}" + (f" ssl; ssl_certificate {cert}; ssl_certificate_key {key};"
                                                   if scheme == "https" else ";")
            config = configuration(folder, [listen])
            with open(config) as file:
                text = file.read().replace("worker_connections 256", "worker_connections 1024")
            with open(config, "w") as file:
                file.write(text)
            with open(f"{folder}/curlrc", "w") as file:
                for name in names:
                    file.write(f'url = "{scheme}://127.0.0.1:{port}/{name}"\noutput = "{folder}/got/{name}"\n')
            with nginx(config, port) as process:
                # Both ends: the client is the command, nginx is chosen by its pid.
                with recording(tape, *ROOM, "-p", str(process.pid)) as recorder:
                    done = run("curl", "-sS", "-k", "--http1.1", "--parallel", "--parallel-immediate", "--parallel-max", str(n),
                               "-K", f"{folder}/curlrc")
                equal("curl", (done.returncode, done.stdout), (0, b""))
            flows = whole(tape, recorder.said)
            expected = sorted((f"/{name}", sha256(read(f"{folder}/got/{name}"))) for name in names)
            equal("curl's copies", expected, sorted((f"/{name}", sha256(read(f"{folder}/www/{name}"))) for name in names))
            exchanges = json_lines("http", tape)
            equal("answers", sorted((h["path"], h["response_body_sha256"]) for h in exchanges), expected)
            equal("complete", {(h["status"], h["complete"]) for h in exchanges}, {(200, True)})
            equal_account(folder, accepted(flows, port), "plaintext" if scheme == "https" else "bytes")
            os.unlink(f"{folder}/nginx/logs/account.log")


main(sendfile_on, sendfile_off, https, http2, proxy, parallel)
