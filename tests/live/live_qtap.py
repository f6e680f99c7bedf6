# SPDX-License-Identifier: BSD-2-Clause
"""qtap's log of a proxy: HTTP in front, HTTPS behind, an access log; held to what nginx says of itself."""
import json
import os
import re

from live import analyze, certificate, equal, free_port, main, nginx, nginx_config, read, recording, run, workspace

LINE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\tINFO\teBPF trace\t(\{"msg": ".*\})')
LOG = "log_format account '$request_length $bytes_sent $upstream_bytes_sent $upstream_bytes_received';"


def fd_of(pid, path):
    """The fd by which the process has the file open, by the kernel."""
    return next(int(fd) for fd in os.listdir(f"/proc/{pid}/fd") if os.path.realpath(f"/proc/{pid}/fd/{fd}") == path)


def proxy_by_fd():
    """qtap's lines by fd: HTTP front, HTTPS upstream, access log; bytes by nginx's own account"""
    with workspace() as folder:
        front, back = free_port(), free_port()
        cert, key = certificate(folder)
        behind = nginx_config(folder, f"""
  server {{ listen 127.0.0.1:{back} ssl; ssl_certificate {cert}; ssl_certificate_key {key};
            location / {{ return 200 "{'x' * 700}\\n"; }} }}""", "behind")
        proxy = nginx_config(folder, f"""{LOG}
  server {{ listen 127.0.0.1:{front}; access_log {folder}/account.log account;
            location / {{ proxy_pass https://127.0.0.1:{back}; }} }}""", "proxy")
        tape = f"{folder}/proxy.tape"
        with nginx(behind, back), nginx(proxy, front) as process:
            log = fd_of(process.pid, os.path.realpath(f"{folder}/account.log"))
            with recording(tape, "--files", "-p", str(process.pid)):
                run("curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{front}/some/path")
        request, response, sent, received = map(int, read(f"{folder}/account.log").split())

        lines = analyze("log", "--log-format", "qtap", tape).decode().splitlines()
        entries = [json.loads(LINE.fullmatch(line).group(1)) for line in lines]
        equal("programs", {(e["pid"], e["exe"]) for e in entries}, {(process.pid, os.path.realpath("/usr/sbin/nginx"))})
        accepted = [e for e in entries if e["msg"] == "syscall/accept4"]
        equal("connections", len(accepted), 1)
        data = [e for e in entries if e["msg"].startswith("process_data")]
        fronts = [e for e in data if e["fd"] == accepted[0]["fd"]]
        logs = [e for e in data if e["fd"] == log]
        calls = [e for e in data if e["caller"].startswith("openssl/")]
        upstream = [e for e in data if calls and e["fd"] == calls[0]["fd"]]
        equal("three fds", len({accepted[0]["fd"], log, calls[0]["fd"]}), 3)

        def carried(of, direction):
            return sum(e["bytes"] for e in of if e["direction"] == direction)

        equal("front: words", {(e["msg"], e["ssl"], e["protocol"]) for e in fronts}, {("process_data (pre-protocol)", False, 0)})
        equal("front: bytes", (carried(fronts, 0), carried(fronts, 1)), (request, response))
        equal("log: words", {(e["msg"], e["direction"], e["ssl"], e["open"]) for e in logs},
              {("process_data (conn_info = NULL)", 1, False, False)})
        equal("log: bytes", carried(logs, 1), os.path.getsize(f"{folder}/account.log"))
        equal("upstream: words", {(e["caller"].split("/")[0], e["msg"], e["ssl"]) for e in upstream},
              {("syscall", "process_data (not ssl)", False), ("openssl", "process_data (pre-protocol)", True)})
        equal("upstream: plaintext", (carried(calls, 0), carried(calls, 1)), (received, sent))
        # Each call has its three lines, one behind the other.
        for at, e in enumerate(entries):
            if e["msg"].startswith("process_data"):
                before = [(b["msg"], b["fd"], b["bytes"]) for b in entries[at - 2:at]]
                equal("phases", before, [(e["caller"] + " (init)", e["fd"], e["bytes"]), (e["caller"], e["fd"], e["bytes"])])
        # Where did the response go? Asked by fd, in the order of events.
        order = [e["fd"] for e in data]
        equal("order", (order[0], order.index(calls[0]["fd"]) < len(order) - 1 - order[::-1].index(accepted[0]["fd"]),
                        order.index(log) > order.index(calls[0]["fd"])), (accepted[0]["fd"], True, True))


main(proxy_by_fd)
