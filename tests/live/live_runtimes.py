# SPDX-License-Identifier: BSD-2-Clause
"""Runtimes that do their own reading and writing: node and Python's asyncio, servers and clients, clear and over TLS."""
import collections
import json
import os
import sys
import time

from live import (ROOM, certificate, equal, free_port, json_lines, main, port_of, recording, run, server, sha256, stream, whole,
                  workspace)

# Both count by themselves; the i-th request has a body of its own, and is answered with it twice.
NODE_SERVER = r"""
const fs = require('fs'), [port, log, cert, key] = process.argv.slice(2);
const answer = (q, a) => {
  const parts = [];
  q.on('data', d => parts.push(d)).on('end', () => { const b = Buffer.concat(parts); a.end(Buffer.concat([b, b])); });
};
const server = cert ? require('https').createServer({cert: fs.readFileSync(cert), key: fs.readFileSync(key)}, answer)
                    : require('http').createServer(answer);
server.on('connection', s => {
  const place = s.remotePort;
  s.on('close', () => fs.appendFileSync(log, JSON.stringify([place, s.bytesRead, s.bytesWritten]) + '\n'));
});
server.listen(port, '127.0.0.1');
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeAllConnections(); });
"""
NODE_CLIENT = r"""
const [port, scheme] = process.argv.slice(2), http = require(scheme), agent = new http.Agent({keepAlive: true, maxSockets: 4});
let left = 100;
const one = i => {
  const body = Buffer.alloc(1 + i * 977, i);
  const q = http.request({port, host: '127.0.0.1', path: '/' + i, method: 'POST', agent, rejectUnauthorized: false,
                          headers: {'Content-Length': body.length}}, a => {
    let n = 0;
    a.on('data', d => n += d.length).on('end', () => {
      if (n != 2 * body.length) process.exit(1);
      if (--left == 0) agent.destroy();
    });
  });
  q.end(body);
};
for (let i = 0; i < 100; i++) one(i);
"""


def node(scheme):
    with workspace() as folder:
        port, log, n = free_port(), f"{folder}/log", 100
        for name, text in (("server.js", NODE_SERVER), ("client.js", NODE_CLIENT)):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        tape, files = f"{folder}/x.tape", certificate(folder) if scheme == "https" else ()
        open(log, "w").close()
        with server("node", f"{folder}/server.js", str(port), log, *files, port=port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid), "-p", str(os.getpid())) as recorder:
                run("node", f"{folder}/client.js", str(port), scheme)
                for _ in range(100):  # until it has seen that they are closed
                    with open(log) as file:
                        # Without the connection that looked whether it listens.
                        lines = [line for line in map(json.loads, file) if line[1]]
                    if len(lines) >= 4:
                        break
                    time.sleep(0.05)
        flows = whole(tape, recorder.said)
        served = {port_of(f["remote"]): f for f in flows if f["pid"] == process.pid and f["in"]["bytes"] and
                  f["local"] == f"127.0.0.1:{port}"}
        equal("connections", len(served), 4)
        equal("node's counts", sorted((place, f["in"]["bytes"], f["out"]["bytes"]) for place, f in served.items()),
              sorted(map(tuple, lines)))
        asked = {port_of(f["local"]): f for f in flows if f["remote"] == f"127.0.0.1:{port}" and f["in"]["bytes"]}
        for place, f in served.items():
            sent, received = stream(tape, asked[place], "out", "--wire"), stream(tape, f, "in", "--wire")
            equal("the client's end", sent[:len(received)], received)  # the server may be gone before a close_notify
        bodies = {f"/{i}": bytes([i]) * (1 + i * 977) for i in range(n)}
        for role in ("client", "server"):
            equal(role, sorted((h["path"], h["request_body_sha256"], h["response_body_sha256"], h["tls"])
                               for h in json_lines("http", tape) if h["role"] == role),
                  sorted((path, sha256(body), sha256(body * 2), scheme == "https") for path, body in bodies.items()))


def node_http():
    """node, 100 requests over 4 connections: its sockets' bytesRead and bytesWritten, each body on both ends"""
    node("http")


def node_https():
    """node over TLS, with its own OpenSSL: bytes of the wire, and each body decrypted on both ends"""
    node("https")


ECHO = r"""
import asyncio, hashlib, json, ssl, sys
port, log, *files = sys.argv[1:]
context = None
if files:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
async def serve(reader, writer):
    place, n, sums = writer.get_extra_info("peername")[1], 0, hashlib.sha256()
    while data := await reader.read(50000):
        n += len(data)
        sums.update(data)
        writer.write(data)
        await writer.drain()
    writer.close()
    if n:
        with open(log, "a") as file:
            print(json.dumps([place, n, sums.hexdigest()]), file=file)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(port), ssl=context) as s:
        await s.serve_forever()
asyncio.run(main())
"""
SHOUT = r"""
import asyncio, os, ssl, sys
port, tls, sizes = int(sys.argv[1]), sys.argv[2] == "tls", [1, 1000, 65536, 300001, 1 << 20]
async def one(size):
    context = ssl._create_unverified_context() if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    data = os.urandom(size)
    writer.write(data)
    assert await reader.readexactly(size) == data
    writer.close()
    try:
        await writer.wait_closed()
    except ssl.SSLError:  # the other end did not wait either
        pass
async def main():
    await asyncio.gather(*[one(size) for size in sizes])
asyncio.run(main())
"""


def asyncio_echo(tls):
    with workspace() as folder:
        port, log, tape = free_port(), f"{folder}/log", f"{folder}/x.tape"
        files = certificate(folder) if tls else ()
        with server(sys.executable, "-c", ECHO, str(port), log, *files, port=port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid), "-p", str(os.getpid())) as recorder:
                run(sys.executable, "-c", SHOUT, str(port), "tls" if tls else "clear")
        with open(log) as file:
            said = {place: (n, digest) for place, n, digest in map(json.loads, file)}
        equal("connections", sorted(n for n, _ in said.values()), [1, 1000, 65536, 300001, 1 << 20])
        flows = whole(tape, recorder.said)
        ends = collections.defaultdict(list)
        for f in flows:
            for mine, other in (("local", "remote"), ("remote", "local")):
                if f["in"]["bytes"] and f[mine] == f"127.0.0.1:{port}":
                    ends[port_of(f[other])].append(f)
        equal("connections on the tape", sorted(ends), sorted(said))
        for place, both in ends.items():
            equal("two ends", sorted(f["role"] for f in both), ["client", "server"])
            for f in both:
                equal("verdict", f["tls"]["verdict"], "tls" if tls else "clear")
                for side in ("in", "out"):
                    data = stream(tape, f, side)
                    equal(f"{f['role']} {side}", (len(data), sha256(data)), said[place])
                    equal("plaintext" if tls else "bytes", f[side]["plaintext" if tls else "bytes"], said[place][0])


def asyncio_clear():
    """asyncio's echo: what the server counted and hashed, on all four sides"""
    asyncio_echo(False)


def asyncio_tls():
    """asyncio's echo over TLS through memory BIOs: each plaintext on the fd that carried it"""
    asyncio_echo(True)


main(node_http, node_https, asyncio_clear, asyncio_tls)
