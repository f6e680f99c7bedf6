# SPDX-License-Identifier: BSD-2-Clause
"""Apache with processes forked ahead: mod_logio's counts and the tape."""
import collections
import os

from live import ROOM, equal, free_port, json_lines, main, port_of, read, recording, run, server, sha256, whole, workspace

MODULES = "/usr/lib/apache2/modules"


def configuration(folder, port):
    for sub in ("www", "logs"):
        os.makedirs(f"{folder}/{sub}")
    with open(f"{folder}/www/file.bin", "wb") as file:
        file.write(os.urandom(100_000))
    with open(f"{folder}/apache.conf", "w") as file:
        # A worker takes 10 connections; others are then forked by a parent that is recorded.
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
StartServers 2
MaxConnectionsPerChild 10
MinSpareServers 2
MaxSpareServers 20
MaxRequestWorkers 20
KeepAlive On
MaxKeepAliveRequests 0
ErrorLog {folder}/logs/error.log
LogFormat "%{{remote}}p %P %I %O" account
CustomLog {folder}/logs/account.log account
DocumentRoot {folder}/www
""")
    return f"{folder}/apache.conf"


def account(folder):
    """client's port: (the worker, requests, bytes received, bytes sent), by Apache."""
    found = {}
    for line in read(f"{folder}/logs/account.log").decode().splitlines():
        client, worker, received, sent = map(int, line.split())
        _, requests, before_in, before_out = found.get(client, (worker, 0, 0, 0))
        found[client] = (worker, requests + 1, before_in + received, before_out + sent)
    return found


def exchange(load, requests):
    """Records Apache under a load, a function of the folder and the URL; what the load returns, and the tape's flows."""
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        # Told to stop, it signals its whole process group, which must not be ours.
        with server("apache2", "-f", configuration(folder, port), "-DFOREGROUND", port=port, start_new_session=True) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)) as recorder:
                result = load(folder, f"http://127.0.0.1:{port}/file.bin")
        flows = whole(tape, recorder.said)
        # Each worker inherits the listening socket, and accepts by itself.
        carried = {port_of(f["remote"]): f for f in flows if f["in"]["bytes"] and f["local"] == f"127.0.0.1:{port}"}
        logged = {client: line for client, line in account(folder).items() if line[2]}
        equal("requests", sum(line[1] for line in logged.values()), requests)
        equal("connections", sorted(carried), sorted(logged))
        for client, (worker, answered, received, sent) in logged.items():
            f = carried[client]
            equal(f"{client}: by whom", (f["pid"], f["role"], os.path.basename(f["exe"])), (worker, "server", "apache2"))
            equal(f"{client}: sent", f["out"]["bytes"], sent)
            # Behind each answer but the last Apache peeks for a byte of the next request, and counts it twice if it is there.
            equal(f"{client}: received", received - f["in"]["bytes"] in range(answered), True)
        equal("bodies", collections.Counter(h["response_body_sha256"] for h in json_lines("http", tape)),
              {sha256(read(f"{folder}/www/file.bin")): requests})
        return result, carried


def keep_alive():
    """50 requests over few connections: %I and %O of each connection, and curl's counts, are its flow's bytes"""
    def curl(folder, url):
        with open(f"{folder}/curlrc", "w") as file:
            file.write(f'url = "{url}"\noutput = "/dev/null"\n' * 50)
        return run("curl", "-sS", "--parallel", "--parallel-max", "5", "-K", f"{folder}/curlrc", "-w",
                   "%{local_port} %{size_request} %{size_header} %{size_download}\\n").stdout
    said, carried = exchange(curl, 50)
    counted = collections.defaultdict(lambda: [0, 0])
    for line in said.decode().splitlines():
        place, request, header, body = map(int, line.split())
        counted[place][0] += request
        counted[place][1] += header + body
    equal("curl's counts", {place: [f["in"]["bytes"], f["out"]["bytes"]] for place, f in carried.items()}, dict(counted))
    equal("kept alive", len(carried) <= 10, True)


def forked():
    """50 connections, more than the first workers take: %I and %O, by workers that were forked meanwhile too"""
    _, carried = exchange(lambda _, url: run("ab", "-q", "-n", "50", "-c", "25", url), 50)
    equal("workers", len({f["pid"] for f in carried.values()}) >= 5, True)


main(keep_alive, forked)
