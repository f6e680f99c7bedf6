# SPDX-License-Identifier: BSD-2-Clause
"""OpenSSL and NSS in programs of their own: node, Python, openssl, stunnel, PostgreSQL, tstclnt."""
import json
import os
import subprocess
import sys
import time

from live import ENV, RECORD, analyze, certificate, equal, free_port, json_lines, main, read, record, recording, run, server, \
    sha256, workspace
from postgres_cluster import Cluster
from tls_live import check_client, check_flows, check_keys, https, need, sockets

NODE = """
const https = require('https'), fs = require('fs');
https.get(process.argv[2], {rejectUnauthorized: false}, r => {
  const all = [];
  r.on('data', d => all.push(d));
  r.on('end', () => fs.writeFileSync(process.argv[3], Buffer.concat(all)));
}).on('socket', s => s.on('keylog', line => fs.appendFileSync(process.argv[4], line)));
"""
ASYNCIO = """
import asyncio, ssl, sys
async def main():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.keylog_filename = sys.argv[3]
    r, w = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]), ssl=context)
    w.write(b'GET /file.bin HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    head = await r.readuntil(b'\\r\\n\\r\\n')
    size = int(head.lower().split(b'content-length:')[1].split(b'\\r')[0])
    open(sys.argv[2], 'wb').write(await r.readexactly(size))
    w.close()
asyncio.run(main())
"""
PYTHON = """
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.keylog_filename = sys.argv[3]
open(sys.argv[2], 'wb').write(urllib.request.urlopen(sys.argv[1], context=context).read())
"""


def script(folder, name, text):
    with open(f"{folder}/{name}", "w") as file:
        file.write(text)
    return f"{folder}/{name}"


def client(program, text, where, plaintext=None):
    with workspace() as folder, https(folder) as site:
        tape, log = f"{folder}/client.tape", f"{folder}/keys.log"
        path = script(folder, "client.js" if program == "node" else "client.py", text)
        equal("status", record(tape, program, path, where(site), f"{folder}/got.bin", log).returncode, 0)
        equal("its copy", sha256(read(f"{folder}/got.bin")), sha256(site.body))
        check_client(tape, site, log, plaintext)


def node():
    """node, whose OpenSSL is its own: the file and its keys"""
    need("node")
    client("node", NODE, lambda site: site.url, "both")


def python():
    """Python's ssl: SSL_read_ex and SSL_write_ex"""
    client(sys.executable, PYTHON, lambda site: site.url, "both")


def asyncio():
    """Python's asyncio: memory BIOs"""
    client(sys.executable, ASYNCIO, lambda site: str(site.port), "both")


def s_client():
    """openssl s_client and s_server, both recorded"""
    with workspace() as folder:
        port, (cert, key) = free_port(), certificate(folder)
        with open(f"{folder}/file.bin", "wb") as file:
            file.write(os.urandom(100000))
        log, tapes = f"{folder}/keys.log", (f"{folder}/client.tape", f"{folder}/server.tape")
        with server("openssl", "s_server", "-accept", str(port), "-cert", cert, "-key", key, "-HTTP", port=port,
                    cwd=folder) as process, recording(tapes[1], "-p", str(process.pid)):
            done = subprocess.run([RECORD, "-q", "-o", tapes[0], "--", "openssl", "s_client", "-quiet", "-ign_eof",
                                   "-keylogfile", log, "-connect", f"127.0.0.1:{port}"],
                                  input=b"GET /file.bin HTTP/1.0\r\n\r\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=60, env=ENV)
        equal("what s_client wrote", done.stdout.endswith(read(f"{folder}/file.bin")), True)
        # s_server -HTTP writes through a BIO, which calls what SSL_write() wraps, and nothing that is exported.
        for tape, role, side, by in ((tapes[0], "client", "in", "both"), (tapes[1], "server", "out", "both")):
            mine = [f for f in sockets(tape) if f["tls"]["verdict"] == "tls"]
            equal("flows", [(f["role"], f["tls"]["version"], f["tls"]["plaintext"]) for f in mine],
                  [(role, "TLSv1.3", by)])
            raw = analyze("stream", "--flow", str(mine[0]["flow"]), "--dir", side, "--raw", tape)
            equal("plaintext", raw.endswith(read(f"{folder}/file.bin")), True)
            check_keys(tape, log)


def stunnel():
    """stunnel: TLS on one side, the same bytes in the clear on the other"""
    need("stunnel")
    with workspace() as folder, https(folder) as site:
        port, tape = free_port(), f"{folder}/stunnel.tape"
        with open(f"{folder}/stunnel.conf", "w") as file:
            file.write(f"foreground = yes\npid =\nclient = yes\n[a]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{site.port}\n")
        with server("stunnel", f"{folder}/stunnel.conf", port=port) as process, recording(tape, "-p", str(process.pid)):
            run("curl", "-sS", "-o", f"{folder}/got.bin", f"http://127.0.0.1:{port}/file.bin")
        equal("curl's copy", sha256(read(f"{folder}/got.bin")), sha256(site.body))
        check_flows(tape, site, 1, "both")
        both = sorted((h["role"], h["tls"], h["complete"], h["response_body_sha256"]) for h in json_lines("http", tape))
        equal("exchanges", both, [("client", True, True, sha256(site.body)), ("server", False, True, sha256(site.body))])


def postgres():
    """PostgreSQL and psql with sslmode=require: both sides, behind an SSLRequest"""
    need("psql")
    with workspace() as folder:
        site = Cluster(folder)
        tape, log = f"{folder}/psql.tape", f"{folder}/server.tape"
        with site.running() as process:
            with recording(log, "-p", str(process.pid)):
                done = record(tape, "psql", "-XAtc", "select repeat('fdtape ', 20000)", env=site.place("tls"))
        equal("answer", done.stdout, b"fdtape " * 20000 + b"\n")
        # That the flows turn to TLS is live_tls_upgrade.py's; here it is that nothing is told twice.
        for name, side in ((tape, "in"), (log, "out")):
            streams = [analyze("stream", "--flow", str(f["flow"]), "--dir", side, "--raw", name)
                       for f in json_lines("flows", name) if f[side]["bytes"]]
            equal("answer on the tape", sum(b"fdtape " * 20000 in s for s in streams), 1)


def nss():
    """NSS' tstclnt: PR_Send and PR_Recv, bound to the fd"""
    need("tstclnt", "certutil")
    with workspace() as folder, https(folder) as site:
        tape = f"{folder}/nss.tape"
        run("certutil", "-N", "-d", folder, "--empty-password")
        process = subprocess.Popen([RECORD, "-q", "-o", tape, "--", "timeout", "10", "tstclnt", "-4", "-o", "-d", folder,
                                    "-h", "127.0.0.1", "-p", str(site.port)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENV)
        process.stdin.write(b"GET /file.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        process.stdin.flush()
        time.sleep(3)
        out = process.communicate(timeout=60)[0]
        equal("what tstclnt wrote", out.endswith(site.body), True)
        check_client(tape, site, None, "calls")


def program_ids(pid):
    """The BPF programs that a process holds."""
    ids = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        for line in read(f"/proc/{pid}/fdinfo/{fd}").decode().splitlines():
            if line.startswith("prog_id:"):
                ids.add(int(line.split()[1]))
    return ids


def probes_fired(folder, site, n):
    with recording(f"{folder}/k.tape", "--comm", "curl", "--tls", "keys") as recorder:
        run("curl", "-sSk", "--http1.1", *[a for _ in range(n) for a in ("-o", "/dev/null", site.url)])
        ids = program_ids(recorder.pid)
        return sum(p.get("run_cnt", 0) for p in json.loads(run("bpftool", "-j", "prog", "show").stdout)
                   if p["id"] in ids and p["type"] == "kprobe")


def keys_cost():
    """--tls keys: as many probes fire for one request as for fifty"""
    need("bpftool", "curl")
    with workspace() as folder, https(folder) as site:
        before = read("/proc/sys/kernel/bpf_stats_enabled")
        try:
            run("sysctl", "-qw", "kernel.bpf_stats_enabled=1")
            for _ in range(3):  # who else on the machine uses the library is counted as well
                one, fifty = (probes_fired(folder, site, n) for n in (1, 50))
                if one == fifty:
                    break
        finally:
            run("sysctl", "-qw", f"kernel.bpf_stats_enabled={before.decode().strip()}")
    equal("probes fired", (one > 0, fifty), (True, one))


main(node, python, asyncio, s_client, stunnel, postgres, nss, keys_cost)
