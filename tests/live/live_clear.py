# SPDX-License-Identifier: BSD-2-Clause
"""Programs without TLS, and what the recorder does beside recording."""
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

from live import (ANALYZE, BIN, ENV, RECORD, REPLAY, ROOM, Skip, analyze, closing, equal, free_port, json_lines, main, nginx,
                  nginx_config, read, record, recording, run, server, sha256, workspace)


def clear_http():
    """curl without TLS: bodies complete, every flow clear"""
    with workspace() as folder:
        port = free_port()
        os.makedirs(f"{folder}/www")
        with open(f"{folder}/www/file.bin", "wb") as file:
            file.write(os.urandom(200 * 1024))
        config = nginx_config(folder, f"server {{ listen 127.0.0.1:{port}; root {folder}/www; }}")
        with nginx(config, port):
            record(f"{folder}/clear.tape", "curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{port}/file.bin")
        (h,) = json_lines("http", f"{folder}/clear.tape")
        equal("exchange", (h["method"], h["path"], h["status"], h["tls"], h["complete"]), ("GET", "/file.bin", 200, False, True))
        equal("body", h["response_body_sha256"], sha256(read(f"{folder}/www/file.bin")))
        (f,) = [f for f in json_lines("flows", f"{folder}/clear.tape") if f["flow"] == h["flow"]]
        equal("verdict", (f["tls"]["verdict"], f["tls"]["plaintext"], f["remote"]), ("clear", "none", f"127.0.0.1:{port}"))


PATTERN = r"""
import os, socket, sys, threading
# Each end sends a known pattern in known pieces, through each family of calls that Python has.
a, b = socket.socketpair()
def pattern(n): return bytes((i * 7 + i // 251) & 255 for i in range(n))
def take(s, n):
    got = b""
    while len(got) < n:
        got += s.recv(65536)
    return got
def send():
    os.write(a.fileno(), pattern(1000)); a.send(pattern(2000)); a.sendmsg([pattern(10), b"", pattern(3000)])
    data = pattern(3_000_001)
    at = 0
    while at < len(data):
        at += os.writev(a.fileno(), [data[at:at + 100_000], data[at + 100_000:at + 900_000]])
    a.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
assert take(b, 6010) == pattern(1000) + pattern(2000) + pattern(10) + pattern(3000)
got = b.recv(100, socket.MSG_PEEK)
assert take(b, 3_000_001) == pattern(3_000_001)
t.join()
a.close(); b.close()
"""


def every_byte():
    """large writes, iovecs, threads, MSG_PEEK: every byte has its place"""
    with workspace() as folder:
        tape = f"{folder}/bytes.tape"
        done = record(tape, sys.executable, "-c", PATTERN)
        equal("status", done.returncode, 0)

        def pattern(n):
            return bytes((i * 7 + i // 251) & 255 for i in range(n))
        sent = pattern(1000) + pattern(2000) + pattern(10) + pattern(3000) + pattern(3_000_001)
        flows = [f for f in json_lines("flows", tape) if f["proto"] == "unix" and f["in"]["bytes"] + f["out"]["bytes"] > 1000]
        equal("bytes", sorted((f["in"]["bytes"], f["out"]["bytes"]) for f in flows), [(0, len(sent)), (len(sent), 0)])
        for f in flows:
            side = "in" if f["in"]["bytes"] else "out"
            equal("lost", f[side]["lost"], 0)
            got = run(ANALYZE, "stream", "--flow", str(f["flow"]), "--dir", side, "--raw", tape).stdout
            equal(f"stream {side}", sha256(got), sha256(sent))


def children():
    """children of the command are recorded with it, --no-follow leaves them out"""
    with workspace() as folder:
        port = free_port()
        config = nginx_config(folder, f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}")
        with nginx(config, port):
            command = ["sh", "-c", f"(curl -sS http://127.0.0.1:{port}/child; true); true"]
            record(f"{folder}/all.tape", *command)
            record(f"{folder}/one.tape", *command, options=["--no-follow"])
        equal("followed", [(h["path"], os.path.basename(h["exe"])) for h in json_lines("http", f"{folder}/all.tape")],
              [("/child", "curl")])
        equal("not followed", json_lines("http", f"{folder}/one.tape"), [])


def status():
    """the command's own exit status, and a tape that its owner alone may read"""
    with workspace() as folder:
        tape = f"{folder}/x.tape"
        equal("exit 7", record(tape, "sh", "-c", "exit 7").returncode, 7)
        equal("mode", stat.S_IMODE(os.stat(tape).st_mode), 0o600)
        equal("killed", record(tape, "sh", "-c", "kill -KILL $$").returncode, 128 + signal.SIGKILL)
        done = run(RECORD, "-o", tape, "--", "/etc/passwd", check=False)
        equal("no program", (done.returncode, done.stderr), (125, b"fdtape-record: cannot run '/etc/passwd': Permission denied\n"))
        done = run(RECORD, "-o", f"{folder}/no/such/x.tape", "--", "true", check=False)
        equal("no folder", (done.returncode, b"cannot write the tape" in done.stderr), (125, True))
        done = run(RECORD, "-o", "/dev/full", "--", "true", check=False)
        equal("full disk", (done.returncode, b"No space left" in done.stderr), (125, True))


def piped():
    """-o - into a pipe: read while it is written, and the command's own output does not get into it"""
    with workspace() as folder:
        port = free_port()
        config = nginx_config(folder, f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}")
        with nginx(config, port):
            done = run("sh", "-c", f"'{RECORD}' -q -o - -- curl -sS http://127.0.0.1:{port}/piped | '{ANALYZE}' --json http -")
        equal("exchanges", done.stdout.count(b'"path":"/piped"'), 1)
        equal("curl's output", done.stderr, b"ok")


def stopped():
    """SIGTERM ends the command and the recording, and the tape is whole"""
    with workspace() as folder:
        tape = f"{folder}/x.tape"
        process = subprocess.Popen([RECORD, "-q", "-o", tape, "--", "sleep", "60"], env=ENV)
        for _ in range(100):
            time.sleep(0.05)
            if os.path.exists(tape) and os.stat(tape).st_size and "sleep" in run("ps", "--ppid", str(process.pid), "-o", "comm=",
                                                                              check=False).stdout.decode():
                break
        process.send_signal(signal.SIGTERM)
        equal("status", process.wait(20), 128 + signal.SIGTERM)
        equal("verify", run(ANALYZE, "verify", tape, check=False).returncode, 0)


def refused():
    """without privilege: one clear line and status 125, or 4 without a command"""
    with workspace() as folder:
        os.chmod(folder, 0o777)
        for command, expected in ((["--", "true"], 125), (["-a"], 4)):
            done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", RECORD, "-o", f"{folder}/x.tape", *command,
                       check=False)
            equal("status", done.returncode, expected)
            equal("one line", (done.stderr.count(b"\n"), b"refuses BPF to this user" in done.stderr), (1, True))


DNS_SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dns_server.py")


def packets(capture):
    fields = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "dns.qry.name", "dns.a", "udp.checksum.status"]
    done = run("tshark", "-r", capture, "-o", "udp.check_checksum:TRUE", "-T", "fields", *(x for f in fields for x in ("-e", f)),
               "-d", "udp.port==1-65535,dns")
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    return [(r[0] or r[2], r[1] or r[3], int(r[4]), int(r[5]), r[6], r[7], r[8]) for r in rows]


def dns():
    """dig and a DNS server: whom an unconnected socket talks to, in every view and in Wireshark"""
    with workspace() as folder:
        tape, capture, cut = f"{folder}/dns.tape", f"{folder}/dns.pcapng", f"{folder}/cut.tape"
        port = free_port()
        hosts = {"127.0.0.1": "four.example", "::1": "six.example"}
        with server(sys.executable, DNS_SERVER, str(port), *hosts, port=port) as process:
            # The server, whose sockets are not connected.
            with recording(tape, "-p", str(process.pid)):
                for host, name in hosts.items():
                    for _ in range(3):
                        answer = run("dig", "+short", "+tries=1", "-p", str(port), f"@{host}", name).stdout
                        equal("answer", answer, b"192.0.2.1\n")
            # And dig itself.
            client = f"{folder}/dig.tape"
            equal("dig", record(client, "dig", "+short", "-p", str(port), "@127.0.0.1", "four.example").stdout, b"192.0.2.1\n")
        calls = [c for c in json_lines("log", tape) if c["msg"] in ("syscall/recvfrom", "syscall/sendto") and c["bytes"]]
        equal("calls", len(calls), 12)
        peers = {}
        for c in calls:
            peers.setdefault(c["peer"], []).append(c["direction"])
        equal("each peer asks and is answered", list(peers.values()), [[0, 1]] * 6)
        equal("flows", [(f["local"], f["remote"], f["peers"]) for f in json_lines("flows", tape) if f["in"]["bytes"]],
              [(f"127.0.0.1:{port}", None, 3), (f"[::1]:{port}", None, 3)])
        equal("table", analyze("flows", tape).decode().count(f":{port}, 3 peers\n"), 2)

        def clients(host):
            ports = [int(peer.rsplit(":", 1)[1]) for peer in peers if (peer[0] == "[") == (host == "::1")]
            return [p for client in ports for p in ((host, host, client, port, hosts[host], "", "1"),
                                                    (host, host, port, client, hosts[host], "192.0.2.1", "1"))]
        analyze("pcapng", "-o", capture, tape)
        equal("packets", packets(capture), clients("127.0.0.1") + clients("::1"))
        # The same from a part of it; of one that is chosen by a client's port, what came from then on.
        run(REPLAY, "--to", cut, "--fd", str(calls[0]["fd"]), tape)
        analyze("pcapng", "-o", f"{folder}/cut.pcapng", cut)
        equal("cut", packets(f"{folder}/cut.pcapng"), clients("127.0.0.1"))
        chosen = int(list(peers)[2].rsplit(":", 1)[1])
        found = {c["peer"] for c in json_lines("log", "--port", str(chosen), tape) if c["peer"]}
        equal("--port of a peer", found, {list(peers)[2]})
        analyze("pcapng", "-o", capture, client)
        rows = packets(capture)
        equal("dig's packets", [(r[0], r[1], r[4], r[5], r[6]) for r in rows],
              [("127.0.0.1", "127.0.0.1", "four.example", "", "1"), ("127.0.0.1", "127.0.0.1", "four.example", "192.0.2.1", "1")])
        equal("dig's ports", (rows[0][3], rows[1][2], rows[0][2]), (port, port, rows[1][3]))


def moved():
    """memory that the kernel moves at the moment when a call ends is there a moment later"""
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("one CPU: who moves memory waits for us")
    with workspace() as folder:
        tape = f"{folder}/moved.tape"
        done = record(tape, os.path.join(BIN, "tests/live/programs/moved"), options=[*ROOM, "--tls", "off"])
        if done.returncode == 2:
            raise Skip("this kernel has no MADV_COLLAPSE")
        line, times = closing(done.stderr), int(done.stdout)
        equal("moved often enough to show", times > 100, True)
        unreadable = re.search(r"(\d+) x memory unreadable", line["missing"] or "")
        # Who moves it may be kept from its CPU for long, now and then. Unawaited it is more than a third.
        lost = int(unreadable[1]) if unreadable else 0
        equal(f"{lost} of {times} is little", lost <= times / 20, True)


main(clear_http, every_byte, children, status, piped, stopped, refused, dns, moved)
