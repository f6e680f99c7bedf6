# SPDX-License-Identifier: BSD-2-Clause
"""The views' figures beside the program's own and beside tshark's, of one and the same run: a tape and a capture of the
loopback. `live_analysis.py --table FILE` puts them into the table of that file (docs/analysis.md) instead."""
import collections
import json
import os
import re
import shutil
import statistics
import sys

from live import (ANALYZE, ROOM, Skip, analyze, certificate, equal, free_port, json_lines, main, nginx, nginx_config, read, recording, run,
                  server, sha256, workspace)
from postgres_cluster import Cluster
from wire import capture, column, dissect

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # which has Debian's modules
rows = []  # of the table: program, what, its own figure, the tape's, tshark's


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"no {program}")


def short(value):
    if value is None:
        return "-"
    if isinstance(value, dict):
        value = ", ".join(f"{n} x {k}" if not isinstance(k, str) or " " not in k else f"{n} x `{k}`" for k, n in sorted(value.items(), key=str))
    return f"{value:,}" if isinstance(value, int) else str(value)


def same(program, what, own, tape, wire):
    """Figures that have to be equal; None: that one does not tell."""
    for name, value in (("the program's own", own), ("tshark's", wire)):
        if value is not None:
            equal(f"{program}: {what}, by the tape and {name}", tape, value)
    rows.append((program, what, *map(short, (own, tape, wire))))


def near(program, what, own, tape, wire):
    """Times in ms, which nobody can measure at the same place: only that they are of the same unit is held to."""
    for name, value in (("the program's own", own), ("tshark's", wire)):
        if value is not None:
            equal(f"{program}: {what}: {tape} ms by the tape, {value} ms by {name}", value / 100 <= tape <= value * 100 + 1000, True)
    rows.append((program, what, *("-" if v is None else f"{v:.3g} ms" for v in (own, tape, wire))))


def healthy(tape):
    """Nothing goes wrong in these runs, but that a busy machine may be slow."""
    done = run(ANALYZE, "doctor", "--json", tape, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    equal("what doctor finds", [x for x in found if not x["finding"].startswith("slow-")], [])


def ms(exchanges, key="duration_ns"):
    return statistics.median(x[key] / 1e6 for x in exchanges)


def keylog(folder, tape):
    """The tape's keys: that tshark can read the capture with them is a comparison by itself."""
    with open(f"{folder}/keys", "wb") as file:
        file.write(analyze("keylog", tape))
    return f"{folder}/keys"


def frames(packets):
    """HTTP/2 frames: (connection, time, to, type, flags, stream, length)."""
    for p in packets:
        for kind, flags, stream, length in zip(p["http2.type"], p["http2.flags"], p["http2.streamid"], p["http2.length"]):
            yield (p["tcp.stream"][0], float(p["frame.time_epoch"][0]), int(p["tcp.dstport"][0]), int(kind), int(flags, 16), int(stream), int(length))


def h2load():
    """nginx and h2load, 100 streams at a time over TLS: answers, bytes and times"""
    needs("nginx", "h2load")
    with workspace() as folder:
        port, tape, pcap, count = free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng", 2000
        cert, key = certificate(folder)
        os.makedirs(f"{folder}/www")
        with open(f"{folder}/www/file", "wb") as file:
            file.write(os.urandom(3000))
        config = nginx_config(folder, f"""log_format own '$status $body_bytes_sent $server_protocol';
  server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key}; root {folder}/www;
            access_log {folder}/own.log own; }}""")
        with nginx(config, port), capture(pcap, port), recording(tape, *ROOM, "--exe", "*/nginx", "--exe", "*/h2load", "--port", str(port)):
            said = run("h2load", "-n", str(count), "-c", "4", "-m", "100", f"https://127.0.0.1:{port}/file").stdout.decode()
        healthy(tape)
        found = json_lines("http", tape)
        asked, served = ([x for x in found if x["role"] == role] for role in ("client", "server"))
        logged = collections.Counter(read(f"{folder}/own.log").decode().splitlines())
        own = {int(k) * 100: int(n) for n, k in re.findall(r"(\d+) (\d)xx", said.split("status codes:")[1].split("\n")[0]) if int(n)}
        seen = dissect(pcap, "http2", "tcp.stream", "frame.time_epoch", "tcp.dstport", "http2.type", "http2.flags", "http2.streamid",
                       "http2.length", "http2.headers.status", decode=[(port, "tls")], keys=keylog(folder, tape))
        wire = collections.Counter(map(int, column(seen, "http2.headers.status")))
        name = "h2load (TLS, 4 x 100 streams)"
        same(name, "answers by status", own, dict(collections.Counter(x["status"] for x in asked)), dict(wire))
        same(name, "bytes of bodies", int(re.search(r"\((\d+)\) data", said)[1]), sum(x["response_body_bytes"] for x in asked),
             sum(length for *_, to, kind, flags, stream, length in frames(seen) if kind == 0 and to != port))
        begun, times = {}, []
        for conn, at, to, kind, flags, stream, length in frames(seen):
            if kind == 1 and to == port:
                begun[conn, stream] = at
            elif to != port and kind in (0, 1) and flags & 1:
                times.append((at - begun[conn, stream]) * 1000)
        mean = re.search(r"time for request: +\S+ +\S+ +([\d.]+)(us|ms|s)", said)
        own_ms = float(mean[1]) * {"us": 0.001, "ms": 1, "s": 1000}[mean[2]]
        near(name, "mean time of a request", own_ms, statistics.mean(x["duration_ns"] / 1e6 for x in asked), statistics.mean(times))
        same("nginx, at the other end", "log lines", dict(logged),
             dict(collections.Counter(f"{x['status']} {x['response_body_bytes']} HTTP/2.0" for x in served)), None)
        equal("all complete", {x["complete"] for x in found}, {True})
        same("both", "connections", 4, len({x["flow"] for x in asked}), len({p["tcp.stream"][0] for p in seen}))


def grpc():
    """gRPC between two Python programs: messages each way and codes"""
    if run(PYTHON, "-c", "import grpc", check=False).returncode:
        raise Skip("no Python module grpc")
    with workspace() as folder:
        port, tape, pcap = free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng"
        with server(PYTHON, f"{HERE}/grpc_peer.py", "server", str(port), port=port), \
                capture(pcap, port), recording(tape, *ROOM, "--exe", "*/python3*", "--port", str(port)):
            said = json.loads(run(PYTHON, f"{HERE}/grpc_peer.py", "client", str(port)).stdout)
        healthy(tape)
        found = [x for x in json_lines("http", tape) if x["grpc"]]
        seen = dissect(pcap, "http2", "tcp.dstport", "grpc.message_length", "http2.header.name", "http2.header.value",
                       decode=[(port, "http2")])
        messages = collections.Counter(int(p["tcp.dstport"][0]) == port for p in seen for _ in p["grpc.message_length"])
        codes = collections.Counter(int(value) for p in seen for header, value in zip(p["http2.header.name"], p["http2.header.value"])
                                    if header == "grpc-status")
        for role in "client", "server":
            mine = [x["grpc"] for x in found if x["role"] == role]
            name = f"grpc ({role})"
            same(name, "calls", len(said), len(mine), sum(codes.values()))
            same(name, "messages sent and got", f"{sum(c[2] for c in said)}, {sum(c[3] for c in said)}",
                 f"{sum(g['request_messages'] for g in mine)}, {sum(g['response_messages'] for g in mine)}",
                 f"{messages[True]}, {messages[False]}")
            same(name, "calls by code", dict(collections.Counter(c[4] for c in said)), dict(collections.Counter(g["status"] for g in mine)),
                 dict(codes))


def payload_lengths(packets):
    """Of WebSocket frames: the field of seven bits, or the one behind it."""
    for p in packets:
        more = {126: iter(p["websocket.payload_length_ext_16"]), 127: iter(p["websocket.payload_length_ext_64"])}
        for first in map(int, p["websocket.payload_length"]):
            yield int(p["tcp.dstport"][0]), int(next(more[first])) if first in more else first


def websocket():
    """a WebSocket that echoes, compressed: frames and bytes each way"""
    if run(PYTHON, "-c", "import websockets", check=False).returncode:
        raise Skip("no Python module websockets")
    with workspace() as folder:
        port, tape, pcap = free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng"
        with server(PYTHON, f"{HERE}/ws_peer.py", "server", str(port), "deflate", port=port), \
                capture(pcap, port), recording(tape, *ROOM, "--exe", "*/python3*", "--port", str(port)):
            said = json.loads(run(PYTHON, f"{HERE}/ws_peer.py", "client", str(port), "deflate").stdout)
        healthy(tape)
        found = [x for x in json_lines("ws", tape) if x["role"] == "client"]
        seen = dissect(pcap, "websocket", "tcp.dstport", "websocket.opcode", "websocket.payload_length",
                       "websocket.payload_length_ext_16", "websocket.payload_length_ext_64", decode=[(port, "http")])
        frames_by, bytes_by = collections.Counter(), collections.Counter()
        for to, length in payload_lengths(seen):
            frames_by[to == port] += 1
            bytes_by[to == port] += length
        for way, out in (("out", True), ("in", False)):
            mine = [x for x in found if x["direction"] == way]
            told = [m for m in said if m[0] == way]
            name = f"websockets, messages {way}"
            same(name, "messages by type", dict(collections.Counter(m[1] for m in told)), dict(collections.Counter(x["type"] for x in mine)), None)
            same(name, "frames", sum(m[2] for m in told), sum(x["frames"] for x in mine), frames_by[out])
            same(name, "bytes, inflated", sum(m[3] for m in told), sum(x["bytes"] for x in mine), None)
            same(name, "bytes on the wire", None, sum(x["wire_bytes"] for x in mine), bytes_by[out])


SQL = ("create table item(id int primary key, name text)", "insert into item select i, 'item ' || i from generate_series(1, 250) i",
       "select * from item where id <= 37", "select nosuch from item", "update item set name = 'new' where id > 200",
       "delete from item where id = 1", "copy item to stdout", "insert into item values (2, 'twice')")


def postgres():
    """psql and pgbench: commands, rows, errors"""
    with workspace() as folder:
        tape, pcap = f"{folder}/x.tape", f"{folder}/x.pcapng"
        site = Cluster(folder)
        with site.running("log_statement=all", "log_duration=on") as process:
            env = site.place("tcp")
            run(f"{site.bin}/pgbench", "-iq", env=env)
            os.truncate(f"{folder}/log", 0)
            with capture(pcap, site.port), recording(tape, *ROOM, "-p", str(process.pid)):
                run("psql", "-qX", *[w for s in SQL for w in ("-c", s)], check=False, env=env)
                said = run(f"{site.bin}/pgbench", "-nM", "prepared", "-c", "2", "-t", "50", env=env).stdout.decode()
        log = read(f"{folder}/log").decode()
        statements = re.findall(r"^\d+ \S+ LOG:  (statement|execute \S+): (.*)$", log, re.M)
        first = re.search(r"^(\d+) \S+ LOG:  statement: create table item", log, re.M)[1]  # psql's server process
        took = [float(t) for t in re.findall(rf"^{first} \S+ LOG:  duration: ([\d.]+) ms$", log, re.M)]
        healthy(tape)
        found = json_lines("sql", tape)
        fields = ("frame.time_epoch", "tcp.stream", "tcp.dstport", "pgsql.type", "pgsql.query", "pgsql.tag", "pgsql.code")
        seen = dissect(pcap, "pgsql", *fields, decode=[(site.port, "pgsql")])
        kinds = collections.Counter(column(seen, "pgsql.type"))
        simple = [q for p in seen if "Simple query" in p["pgsql.type"] for q in p["pgsql.query"]]
        same("psql", "text of its commands", sha256("\n".join(SQL).encode())[:8],
             *(sha256("\n".join(found).encode())[:8] for found in ([c["command"] for c in found if c["kind"] == "query" and c["command"] in SQL],
                                                                   [q for q in simple if q in SQL])))
        same("psql and pgbench", "simple queries", sum(how == "statement" for how, _ in statements),
             sum(c["kind"] == "query" for c in found), len(simple))
        same("pgbench -M prepared", "executions", sum(how != "statement" for how, _ in statements),
             sum(c["kind"] == "execute" for c in found), kinds["Execute"])
        same("pgbench -M prepared", "transactions", int(re.search(r"processed: (\d+)/", said)[1]),
             sum(c["command"].startswith("END") for c in found), sum(t == "COMMIT" for t in column(seen, "pgsql.tag")))
        tagged = [int(t.split()[-1]) for t in column(seen, "pgsql.tag") if t.split()[-1].isdigit()]
        same("psql and pgbench", "rows", None, sum(c["rows"] or 0 for c in found), sum(tagged))
        # Of those that failed, the log has no time.
        asked, failed, times = None, False, []
        for p in seen:
            if "Simple query" in p["pgsql.type"] and p["pgsql.query"][0] in SQL:
                asked, failed = float(p["frame.time_epoch"][0]), False
            failed |= "Error" in p["pgsql.type"]
            if asked and "Ready for query" in p["pgsql.type"]:
                times += [] if failed else [(float(p["frame.time_epoch"][0]) - asked) * 1000]
                asked = None
        equal("times in the log, in the capture", (len(took), len(times)), (len(SQL) - 2, len(SQL) - 2))
        near("psql", "time of its commands that succeeded, in all", sum(took),
             sum(c["duration_ns"] / 1e6 for c in found if c["command"] in SQL and not c["error"]), sum(times))
        # The log does not tell codes; what the manual gives for what was asked: Appendix A.
        same("psql", "errors", {"42703": 1, "23505": 1}, dict(collections.Counter(c["error"] for c in found if c["error"])),
             dict(collections.Counter(c for p in seen if "Error" in p["pgsql.type"] for c in p["pgsql.code"])))
        equal("errors in the log", len(re.findall(r" ERROR:  ", log)), 2)


def redis():
    """redis-benchmark, pipelined and not: commands by name"""
    needs("redis-server", "redis-benchmark")
    with workspace() as folder:
        port, tape, pcap = free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng"
        with server("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, port=port) as process:
            cli = ("redis-cli", "-h", "127.0.0.1", "-p", str(port))
            run(*cli, "config", "resetstat")
            with capture(pcap, port), recording(tape, *ROOM, "-p", str(process.pid)):
                for words in (["-n", "2000", "-c", "10", "-P", "16", "-t", "set,lpush"], ["-n", "500", "-c", "5", "-t", "get"]):
                    run("redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-q", *words)
                run(*cli, "lpush", "key:000000000000", "x", check=False)
                run(*cli, "set", "a", "x")
                run(*cli, "lpush", "a", "x", check=False)
            said = run(*cli, "info", "commandstats").stdout.decode()
            errors = run(*cli, "info", "errorstats").stdout.decode()
        own = collections.Counter()
        for command, n, rejected in re.findall(r"^cmdstat_(\S+):calls=(\d+).*?rejected_calls=(\d+)", said, re.M):
            own[command.split("|")[0]] += int(n) + int(rejected)
        own["config"] -= 1  # resetstat, before the recording
        healthy(tape)
        found = json_lines("sql", tape)
        seen = dissect(pcap, f"resp && tcp.dstport == {port}", "resp.array.length", "resp.bulk_string.value", decode=[(port, "resp")])
        wire = collections.Counter()
        for p in seen:
            words = iter(p["resp.bulk_string.value"])
            for n in map(int, p["resp.array.length"]):
                command = [bytes.fromhex(next(words).replace(":", "")) for _ in range(n)]
                wire[command[0].decode().lower()] += 1
        same("redis-benchmark and redis-cli", "commands by name", dict(+own),
             dict(collections.Counter(c["command"].split(" ")[0].lower() for c in found)), dict(wire))
        failed = dissect(pcap, f"resp.error && tcp.srcport == {port}", "resp.error", decode=[(port, "resp")])
        same("redis-cli", "errors", {code: int(n) for code, n in re.findall(r"^errorstat_(\S+):count=(\d+)", errors, re.M)},
             dict(collections.Counter(c["error"] for c in found if c["error"])),
             dict(collections.Counter(e.lstrip("-").split()[0] for e in column(failed, "resp.error"))))


MARIADB = """create database shop; use shop;
create table item(id int primary key, name varchar(50));
insert into item select seq, concat('item ', seq) from seq_1_to_300;
select * from item where id <= 41; select nosuch from item; update item set name = 'new' where id > 200;
insert into item values (2, 'twice');
"""


def mariadb():
    """the mariadb client: commands, rows changed, errors"""
    needs("mariadbd", "mariadb")
    with workspace() as folder:
        port, tape, pcap = free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng"
        os.chmod(folder, 0o777)
        with open(f"{folder}/script.sql", "w") as file:
            file.write(MARIADB)
        run("mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal",
            "--skip-test-db", "--user=nobody")
        with server("mariadbd", "--no-defaults", f"--datadir={folder}/data", "--user=nobody", f"--port={port}", "--bind-address=127.0.0.1",
                    f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--general-log", f"--general-log-file={folder}/log",
                    "--skip-name-resolve", port=port) as process:
            os.truncate(f"{folder}/log", 0)
            with capture(pcap, port), recording(tape, *ROOM, "-p", str(process.pid)):
                done = run("sh", "-c", 'exec mariadb --no-defaults -h127.0.0.1 "$@" <script.sql', "sh", f"-P{port}", "-uroot", "-f",
                           "--skip-ssl", "-vv", check=False, cwd=folder)
        log = re.findall(r"^(?:\S+ +\S+)?\t+ *\d+ (Query|Init DB)\t(.*)$", read(f"{folder}/log").decode(), re.M)
        healthy(tape)
        found = json_lines("sql", tape)
        seen = dissect(pcap, "mysql", "mysql.command", "mysql.query", "mysql.error_code", "mysql.affected_rows", decode=[(port, "mysql")])
        same("mariadb", "queries", sum(how == "Query" for how, _ in log), sum(c["kind"] == "query" for c in found),
             sum(int(c) == 3 for c in column(seen, "mysql.command")))
        digest = [sha256("\n".join(texts).encode())[:8] for texts in ([t for how, t in log if how == "Query"],
                                                                    [c["command"] for c in found if c["kind"] == "query"],
                                                                    column(seen, "mysql.query"))]
        same("mariadb", "text of the queries", *digest)
        changed = [c["rows"] for c in found if c["kind"] == "query" and re.match("create|insert|update", c["command"]) and not c["error"]]
        said = [int(n) for n in re.findall(r"^Query OK, (\d+) rows? affected", done.stdout.decode(), re.M)]
        same("mariadb", "rows changed", sum(said), sum(changed), sum(map(int, column(seen, "mysql.affected_rows"))))
        same("mariadb", "errors", dict(collections.Counter(re.findall(r"^ERROR (\d+)", done.stderr.decode(), re.M))),
             dict(collections.Counter(c["error"] for c in found if c["error"])), dict(collections.Counter(column(seen, "mysql.error_code"))))


def dns():
    """dig and dnsmasq: ids, names, codes and times"""
    needs("dig", "dnsmasq")
    with workspace() as folder:
        port, tape, pcap, own, took = free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng", [], []
        with server("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
                    "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", "--local=/example.org/", "--user=root",
                    "--host-record=a.example.org,192.0.2.1", "--txt-record=t.example.org,words", port=port):
            with capture(pcap, port), recording(tape, *ROOM, "-e", "/dnsmasq", "-e", "/dig"):
                for name, kind, way in (("a", "A", "+notcp"), ("t", "TXT", "+notcp"), ("nosuch", "A", "+notcp"), ("a", "A", "+tcp")) * 3:
                    text = run("dig", "@127.0.0.1", "-p", str(port), way, "+tries=1", "-t", kind, "-u", f"{name}.example.org").stdout.decode()
                    own.append((int(re.search(r"id: (\d+)", text)[1]), f"{name}.example.org", re.search(r"status: (\w+)", text)[1]))
                    took.append(int(re.search(r"Query time: (\d+) usec", text)[1]) / 1000)
        codes = {0: "NOERROR", 3: "NXDOMAIN"}
        seen = dissect(pcap, "dns.flags.response == 1", "dns.id", "dns.qry.name", "dns.flags.rcode", "dns.time", decode=[(port, "dns")])
        wire = [(int(p["dns.id"][0], 16), p["dns.qry.name"][0], codes[int(p["dns.flags.rcode"][0])]) for p in seen]
        healthy(tape)
        found = json_lines("dns", tape)
        for role in "client", "server":
            mine = [x for x in found if x["role"] == role]
            same(f"dig and dnsmasq ({role})", "answers by code", dict(collections.Counter(c for *_, c in own)),
                 dict(collections.Counter(x["rcode"] for x in mine)), dict(collections.Counter(c for *_, c in wire)))
            equal("each", [(x["id"], x["name"].rstrip("."), x["rcode"]) for x in mine], own)
            equal("each, by tshark", wire, own)
        near("dig and dnsmasq (client)", "median time of a query", statistics.median(took), ms([x for x in found if x["role"] == "client"]),
             statistics.median(float(p["dns.time"][0]) * 1000 for p in seen))


def proxy():
    """curl, and nginx as HTTPS proxy in front of HTTPS: both sides' messages, bodies and times, and which belongs to which"""
    needs("nginx", "curl")
    with workspace() as folder:
        front, back, tape, pcap = free_port(), free_port(), f"{folder}/x.tape", f"{folder}/x.pcapng"
        cert, key = certificate(folder)
        os.makedirs(f"{folder}/www")
        sizes = {f"{i}.bin": 1000 * 3 ** i for i in range(6)}
        for name, size in sizes.items():
            with open(f"{folder}/www/{name}", "wb") as file:
                file.write(os.urandom(size))
        tls = f"ssl_certificate {cert}; ssl_certificate_key {key};"
        behind = nginx_config(folder, f"server {{ listen 127.0.0.1:{back} ssl; {tls} root {folder}/www; }}", "behind")
        before = nginx_config(folder, f"""log_format own '$status $body_bytes_sent $upstream_status $request_time';
  server {{ listen 127.0.0.1:{front} ssl; {tls} access_log {folder}/own.log own;
            location / {{ proxy_pass https://127.0.0.1:{back}; }} }}""", "before")
        with nginx(behind, back), nginx(before, front) as process, capture(pcap, front, back), \
                recording(tape, *ROOM, "-p", str(process.pid)):
            run("curl", "-sSk", "--http1.1", *[w for name in (*sizes, "nosuch") for w in ("-o", f"{folder}/{name}", f"https://127.0.0.1:{front}/{name}")])
        log = [line.split() for line in read(f"{folder}/own.log").decode().splitlines()]
        healthy(tape)
        found, keys = json_lines("http", tape), keylog(folder, tape)
        for name, port, role, statuses in (("nginx, front (TLS)", front, "server", 0), ("nginx, upstream (TLS)", back, "client", 2)):
            mine = [x for x in found if x["role"] == role]
            seen = dissect(pcap, f"http.response && tcp.srcport == {port}", "http.response.code", "http.content_length", "http.time",
                           decode=[(port, "tls")], keys=keys)
            same(name, "answers by status", dict(collections.Counter(int(line[statuses]) for line in log)),
                 dict(collections.Counter(x["status"] for x in mine)), dict(collections.Counter(map(int, column(seen, "http.response.code")))))
            same(name, "bytes of bodies", sum(int(line[1]) for line in log), sum(x["response_body_bytes"] for x in mine),
                 sum(map(int, column(seen, "http.content_length"))))
            equal("bodies", sorted(x["response_body_sha256"] for x in mine if x["status"] == 200),
                  sorted(sha256(read(f"{folder}/www/{name}")) for name in sizes))
            near(name, "median time of a request", None if role == "client" else statistics.median(float(line[3]) * 1000 for line in log),
                 ms(mine), statistics.median(float(t) * 1000 for t in column(seen, "http.time")))
        requests = {x["number"]: x for x in json_lines("http", "--tree", tape) if "number" in x}
        outbound = [x for x in requests.values() if x["role"] == "client"]
        joined = sum(x["parent"] is not None and requests[x["parent"]]["path"] == x["path"] for x in outbound)
        same("nginx", "upstream requests joined with the one they serve", len(log), joined, None)


TESTS = (h2load, grpc, websocket, postgres, redis, mariadb, dns, proxy)


def table(path):
    """The rows of one run, between the marks of the page; nothing is written when anything differs."""
    for test in TESTS:
        test()
    with open(path) as file:
        page = file.read()
    head, tail = (page.split(mark) for mark in ("<!-- figures: make docs-analysis -->\n", "<!-- end -->"))
    lines = ["| program | what | by itself | by the tape | by tshark |", "|---|---|---|---|---|"]
    last = None
    for row in rows:
        lines.append("| " + " | ".join(("" if row[0] == last else row[0], *row[1:])) + " |")
        last = row[0]
    with open(path, "w") as file:
        file.write(head[0] + "<!-- figures: make docs-analysis -->\n" + "\n".join(lines) + "\n<!-- end -->" + tail[1])


if len(sys.argv) > 2 and sys.argv[1] == "--table":
    table(sys.argv[2])
else:
    main(*TESTS)
