# SPDX-License-Identifier: BSD-2-Clause
"""Which fd a library object worked on: hundreds of connections that look alike, in one event loop, by memory BIOs."""
import collections
import http.server
import os
import ssl
import subprocess
import sys
import threading

from live import BIN, certificate, equal, json_lines, main, record, run, sha256, workspace
from tls_live import need, sockets

CONNECTIONS = 200

NODE = """
const tls = require('tls'), port = +process.argv[2], n = +process.argv[3];
for (let i = 0; i < n; i++) {
  const name = String(i).padStart(4, '0');
  let local;
  const s = tls.connect({port, host: '127.0.0.1', rejectUnauthorized: false},
                        () => s.write('GET /' + name + ' HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'));
  s.on('connect', () => local = s.localPort);
  s.on('data', d => { console.log(name, local, String(d).slice(-4)); s.end(); });
}
"""
ASYNCIO = """
import asyncio, ssl, sys
async def one(i, context):
    r, w = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]), ssl=context)
    local = w.get_extra_info('sockname')[1]
    w.write(b'GET /%04d HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % i)
    await r.readuntil(b'\\r\\n\\r\\n')
    print('%04d' % i, local, (await r.readexactly(4)).decode())
    w.close()
async def all():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    await asyncio.gather(*[one(i, context) for i in range(int(sys.argv[2]))])
asyncio.run(all())
"""

# The server is a process of its own, so that two hundred handshakes don't wait for this one.
SERVER = """
import asyncio, ssl, sys
async def answer(r, w):
    try:
        head = await r.readuntil(b'\\r\\n\\r\\n')
        name = head[5:9]
        w.write(b'HTTP/1.1 200 OK\\r\\nX-Name: ' + name + b'\\r\\nContent-Length: 4\\r\\n\\r\\n' + name)
        await w.drain()
        await r.read()
    except (OSError, asyncio.IncompleteReadError):
        pass
    w.close()
async def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(answer, '127.0.0.1', 0, ssl=context, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(serve())
"""


# Both ends of each connection in one process and one thread: two objects derive each secret, and it opens two flows.
BOTH = '''
import asyncio, ssl, sys
async def answer(r, w):
    head = await r.readuntil(b'\\r\\n\\r\\n')
    name = head[5:9]
    w.write(b'HTTP/1.1 200 OK\\r\\nX-Name: ' + name + b'\\r\\nContent-Length: 4\\r\\n\\r\\n' + name)
    await w.drain()
    await r.read()
    w.close()
async def one(i, port, context):
    r, w = await asyncio.open_connection('127.0.0.1', port, ssl=context)
    local = w.get_extra_info('sockname')[1]
    w.write(b'GET /%04d HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % i)
    await r.readuntil(b'\\r\\n\\r\\n')
    print('%04d' % i, local, (await r.readexactly(4)).decode())
    w.close()
async def all():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(answer, '127.0.0.1', 0, ssl=context, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    await asyncio.gather(*[one(i, port, client) for i in range(20)])
asyncio.run(all())
'''


def start_server(folder):
    process = subprocess.Popen([sys.executable, "-c", SERVER, *certificate(folder)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    return process, int(process.stdout.readline())


def record_crowd(folder, program, text, mode):
    """The tape, and what the program says: which connection asked what."""
    tape, path = f"{folder}/{mode}.tape", f"{folder}/client"
    with open(path, "w") as file:
        file.write(text)
    process, port = start_server(folder)
    try:
        done = record(tape, program, path, str(port), str(CONNECTIONS), options=("--tls", mode))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    truth = {}
    for line in done.stdout.decode().splitlines():
        name, local, *answer = line.split()
        equal("answer", answer, [name])
        truth[int(local)] = name
    equal("connections", len(truth), CONNECTIONS)
    return tape, port, truth


def check_crowd(tape, port, truth):
    """No flow has another's words. How many connections' exchanges are there; by what their plaintext is."""
    names = {f["flow"]: truth[int(f["local"].rsplit(":", 1)[1])] for f in sockets(tape)
             if (f["remote"] or "").endswith(f":{port}")}
    found = collections.Counter(f["tls"]["plaintext"] for f in sockets(tape) if f["flow"] in names)
    told = 0
    for h in json_lines("http", tape):
        name = names.get(h["flow"])
        if not name:
            equal("who has no fd is a library object", h["fd"], None)
            continue
        # An event that is missing may have held either half.
        equal(f"flow {h['flow']}: request", h["path"] in (f"/{name}", None), True)
        if h["status"]:
            equal(f"flow {h['flow']}: response", dict(h["response_headers"])["X-Name"], name)
        if h["response_body_sha256"]:
            equal(f"flow {h['flow']}: body", h["response_body_sha256"], sha256(name.encode()))
        told += h["complete"]
    differing = [f["flow"] for f in json_lines("flows", tape) if "calls-differ" in f["tls"]["evidence"]]
    equal("flows whose sources differ", differing, [])
    return told, dict(found)


def check_dropped(tape, port, truth, folder, mode):
    """Without some of the events: what is missing is missing, and nothing comes to a flow that is another's."""
    for rate, seed in ((10, 1), (10, 2), (10, 3), (100, 4), (300, 5)):
        dropped = f"{folder}/dropped.tape"
        lost = int(run(os.path.join(BIN, "tests", "drop"), tape, dropped, str(rate), str(seed)).stdout)
        equal("events are dropped", lost > 0, True)
        told, found = check_crowd(dropped, port, truth)
        print(f"# --tls {mode}, {lost} events dropped: {told} exchanges whole, {found}")


def crowd(program, text):
    with workspace() as folder:
        tape, port, truth = record_crowd(folder, program, text, "auto")
        equal("by secrets", check_crowd(tape, port, truth), (CONNECTIONS, {"both": CONNECTIONS}))
        equal("calls told twice", [f for f in json_lines("flows", tape) if f["fd"] is None and f["in"]["bytes"]], [])
        equal("audit", run(os.path.join(BIN, "fdtape-analyze"), "audit", tape, check=False).returncode, 0)
        check_dropped(tape, port, truth, folder, "auto")
        tape, port, truth = record_crowd(folder, program, text, "calls")
        told, found = check_crowd(tape, port, truth)
        print(f"# --tls calls: {told} exchanges at their fd, {found}")
        equal("by what", (set(found) <= {"calls", "none"}, sum(found.values())), (True, CONNECTIONS))
        unbound = [f for f in json_lines("flows", tape) if f["fd"] is None and f["in"]["bytes"]]
        equal("each object is bound, or told by itself", len(unbound), found.get("none", 0))
        equal("audit", run(os.path.join(BIN, "fdtape-analyze"), "audit", tape, check=False).returncode, 1 if unbound else 0)
        check_dropped(tape, port, truth, folder, "calls")


def node():
    """node: 200 connections that look alike: secrets tell them all, lengths none wrongly; events dropped or not"""
    need("node")
    crowd("node", NODE)


def asyncio():
    """Python's asyncio: the same"""
    crowd(sys.executable, ASYNCIO)


def both_ends():
    """asyncio, both ends of 20 connections in one thread: each object finds its own end"""
    with workspace() as folder:
        tape = f"{folder}/both.tape"
        done = record(tape, sys.executable, "-c", BOTH, *certificate(folder))
        truth = {int(local): name for name, local, _ in (line.split() for line in done.stdout.decode().splitlines())}
        equal("connections", len(truth), 20)
        flows = [f for f in sockets(tape) if f["remote"] and f["tls"]["verdict"] == "tls"]
        equal("ends", collections.Counter((f["role"], f["tls"]["plaintext"]) for f in flows),
              {("client", "both"): 20, ("server", "both"): 20})
        names = {f["flow"]: truth[int(f["local" if f["role"] == "client" else "remote"].rsplit(":", 1)[1])] for f in flows}
        equal("exchanges", sorted((h["role"], h["path"]) for h in json_lines("http", tape)),
              sorted((f["role"], f"/{names[f['flow']]}") for f in flows))
        for h in json_lines("http", tape):
            equal("whose", (h["path"], dict(h["response_headers"])["X-Name"]), (f"/{names[h['flow']]}", names[h["flow"]]))
        equal("audit", run(os.path.join(BIN, "fdtape-analyze"), "audit", tape, check=False).returncode, 0)


main(node, asyncio, both_ends)
