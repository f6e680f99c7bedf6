# SPDX-License-Identifier: BSD-2-Clause
"""PostgreSQL: a process for each connection, over TCP, TLS and a UNIX socket; both ends on one tape."""
import functools
import os
import re
import secrets

from live import ROOM, equal, main, port_of, read, recording, run, sha256, stream, whole, workspace
from postgres_cluster import Cluster

@functools.cache
def cluster():
    """The one that all tests share: it takes seconds to make."""
    return Cluster(FOLDER)


def messages(data, tagged=False):
    """The protocol's messages as (type, content). A client's first has no type; of the server all have."""
    found, at = [], 0
    if not tagged:
        size = int.from_bytes(data[at:at + 4], "big")
        found.append((b"", data[at + 4:at + size]))
        at += size
    while at < len(data):
        size = int.from_bytes(data[at + 1:at + 5], "big")
        found.append((data[at:at + 1], data[at + 5:at + 1 + size]))
        equal("a whole message", len(found[-1][1]), size - 4)
        at += 1 + size
    return found


def rows(data):
    """The first column of each row that a server sent."""
    return [content[6:6 + int.from_bytes(content[2:6], "big")] for kind, content in messages(data, tagged=True) if kind == b"D"]


def flows_of(flows, name, port, how):
    """What a program's processes carried over the cluster's sockets."""
    return [f for f in flows if os.path.basename(f["exe"] or "") == name and f["in"]["bytes"] and
            (f["proto"] == "unix" if how == "unix" else f"127.0.0.1:{port}" in (f["local"], f["remote"]))]


def query(site, process, how):
    """psql asks; the tape holds the question, and the answer that psql printed, on the flows of both ends."""
    tape, mark = f"{site.folder}/{how}.tape", secrets.token_hex(16)
    text = (f"select pg_backend_pid(); select '{mark}' || n || repeat(md5(n::text), 40) from generate_series(1, 1500) n; "
            f"select 'end {mark}'")
    with recording(tape, *ROOM, "-p", str(process.pid), "-p", str(os.getpid())) as recorder:
        printed = run("psql", "-X", "-q", "-A", "-t", "-c", text, env=site.place(how)).stdout
    lines = printed.splitlines()
    equal("psql", (len(lines), lines[-1]), (1502, f"end {mark}".encode()))
    flows = whole(tape, recorder.said)
    # The command's own descriptors (to its standard output) are no part of it.
    (client,) = flows_of(flows, "psql", site.port, how)
    (backend,) = flows_of(flows, "postgres", site.port, how)
    equal("by which process", backend["pid"], int(lines[0]))
    for receiver, sender in ((client, backend), (backend, client)):
        sent, received = stream(tape, sender, "out", "--wire"), stream(tape, receiver, "in", "--wire")
        rest = sent[len(received):]
        equal("both ends", sha256(received), sha256(sent[:len(received)]))
        # Nobody waits for the other's close_notify: one record of TLS 1.3, of 2 + 1 + 16 bytes.
        equal("what was not received", rest == b"" or (how, rest[:5], len(rest)) == ("tls", b"\x17\3\3\0\x13", 24), True)
    equal("client", client["role"], "client")
    if how != "unix":
        equal("the same addresses", (client["local"], client["remote"]), (backend["remote"], backend["local"]))
    if how == "tls":
        # TLS begins behind a request for it; the library's calls at least tell what was said.
        for pid in (client["pid"], backend["pid"]):
            said = b"".join(stream(tape, f, side) for f in flows if f["pid"] == pid and f["tls"]["verdict"] in ("tls", "mixed")
                            for side in ("in", "out"))
            equal("question and answer", (text.encode() + b"\0" in said, lines[-2] in said), (True, True))
    else:
        asked, answered = stream(tape, client, "out"), stream(tape, client, "in")
        equal("verdict", [f["tls"]["verdict"] for f in (client, backend)], ["clear"] * 2)
        equal("question", [c for kind, c in messages(asked) if kind == b"Q"], [text.encode() + b"\0"])
        equal("answer", rows(answered), lines)
    # The postmaster accepted it and left it to a child; the child has the listening sockets from it.
    handed = [f for f in flows if f["pid"] == process.pid and f["local"] == backend["local"] and f["remote"] == backend["remote"]]
    if how != "unix":
        equal("accepted by the postmaster", [(f["in"]["bytes"], f["out"]["bytes"], f["role"]) for f in handed], [(0, 0, "server")])
    listening = [f for f in flows if f["pid"] == backend["pid"] and f["local"] == f"127.0.0.1:{site.port}" and not f["remote"]]
    equal("inherited", [(f["role"], f["in"]["bytes"], f["out"]["bytes"]) for f in listening], [("server", 0, 0)])


def tcp():
    """psql over TCP: question and rows in both ends' streams, by the backend that PostgreSQL names"""
    ask("tcp")


def tls():
    """psql over TLS, which begins within the connection"""
    ask("tls")


def unix():
    """psql over a UNIX socket"""
    ask("unix")


def ask(how):
    with cluster().running() as process:
        query(cluster(), process, how)


def pgbench():
    """pgbench: as many transactions as it reports, and what one end sent the other received, for each connection"""
    with cluster().running() as process:
        env = cluster().place("tcp")
        run(f"{cluster().bin}/pgbench", "-i", "-q", "-s", "1", env=env)
        tape = f"{cluster().folder}/bench.tape"
        with recording(tape, *ROOM, "-p", str(process.pid), "-p", str(os.getpid())) as recorder:
            said = run(f"{cluster().bin}/pgbench", "-n", "-c", "4", "-j", "2", "-t", "100", env=env).stdout.decode()
        equal("pgbench", re.search(r"actually processed: (\d+)/(\d+)", said).groups(), ("400", "400"))
        flows = whole(tape, recorder.said)
        clients = {f["local"]: f for f in flows_of(flows, "pgbench", cluster().port, "tcp")}
        backends = {f["remote"]: f for f in flows_of(flows, "postgres", cluster().port, "tcp")}
        equal("connections", sorted(clients), sorted(backends))
        equal("backends", len({f["pid"] for f in backends.values()}), len(backends))
        committed = []
        for place, client in clients.items():
            for side, other in (("in", "out"), ("out", "in")):
                equal(f"{place}: {side}", sha256(stream(tape, client, side)), sha256(stream(tape, backends[place], other)))
            committed.append(sum(content == b"END;\0" for _, content in messages(stream(tape, client, "out"))))
        equal("transactions", sorted(n for n in committed if n), [100] * 4)
        # Each backend is named in the server's own log, with its client's port.
        lines = re.findall(rb"^(\d+) 127\.0\.0\.1\((\d+)\) LOG:  connection authorized", read(f"{cluster().folder}/log"), re.M)
        logged = {(int(pid), int(port)) for pid, port in lines}
        equal("backends are logged", {(f["pid"], port_of(f["remote"])) for f in backends.values()} - logged, set())


with workspace() as FOLDER:
    main(tcp, tls, unix, pgbench)
