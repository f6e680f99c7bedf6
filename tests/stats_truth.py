#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds the view stats to what the views log, flows and http say of each call and request.

stats_truth.py TAPE...: groups and counts them itself, sorts all durations and picks the nearest rank; prints one line a
tape, and each figure that differs. Counts, sums and extremes must be equal, percentiles within 1/256.
"""
import json
import subprocess
import sys
from collections import defaultdict

HARMLESS = {"EINTR", "EAGAIN", "EALREADY", "EINPROGRESS", "ERESTARTSYS"}


def view(name, tape):
    out = subprocess.run(["fdtape-analyze", "-q", name, "--json", tape], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [json.loads(line) for line in out.stdout.splitlines()]


def peer(address, role):
    if address and role == "server" and not address.startswith(("/", "@")):
        return address.rpartition(":")[0]
    return address


class Group:
    def __init__(self):
        self.count = self.failed = self.unanswered = self.bytes_in = self.bytes_out = 0
        self.times = []

    def figures(self):
        t = sorted(self.times)
        rank = lambda per_mille: t[max(-(-len(t) * per_mille // 1000), 1) - 1] if t else None
        return {"count": self.count, "failed": self.failed, "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
                "timed": len(t), "total_ns": sum(t), "min_ns": t[0] if t else None, "max_ns": t[-1] if t else None,
                "p50_ns": rank(500), "p90_ns": rank(900), "p99_ns": rank(990), "p999_ns": rank(999)}


def truth(tape):
    groups = defaultdict(Group)
    roles = {f["flow"]: f["role"] for f in view("flows", tape)}
    connected = set()
    for call in view("log", tape):
        flags = call["flags"]
        module = call["msg"].split("/")[0]
        keys = [("calls", "call", call["msg"])]
        if module in ("syscall", "io_uring"):
            keys += [("calls", None), ("calls", "process", call["pid"], call["exe"])]
            other = peer(call["peer"] or call["remote"], roles.get(call["flow"]))
            # A socket has a peer from connect on; log knows it a call earlier, as it waits for the next one.
            connected |= {call["flow"]} if "connect" in call["msg"] or roles.get(call["flow"]) != "client" else set()
            if other and (call["flow"] in connected or call["peer"]):
                keys.append(("calls", "peer", other))
        for key in keys:
            g = groups[key]
            if "peek" not in flags and call["bytes"] is not None:
                if call["direction"] == 0:
                    g.bytes_in += call["bytes"]
                else:
                    g.bytes_out += call["bytes"]
            if "continued" in flags:
                continue
            g.count += 1
            g.failed += module == "syscall" and (call["result"] or 0) < 0 and call["errno"] not in HARMLESS
            if call["duration_ns"] is not None and "pending" not in flags and module != "process":
                g.times.append(call["duration_ns"])
    remote = {f["flow"]: f["remote"] for f in view("flows", tape)}
    for r in view("http", tape):
        path = (r["path"] or "").split("?")[0].split("#")[0] if r["method"] else None
        keys = [("requests", None), ("requests", "process", r["pid"], r["exe"]),
                ("requests", "path", r["role"], r["method"], path)]
        if remote[r["flow"]]:
            keys.append(("requests", "peer", peer(remote[r["flow"]], roles[r["flow"]])))
        for key in keys:
            g = groups[key]
            g.count += 1
            g.failed += r["status"] is None or r["status"] >= 400
            sent, got = r["request_body_bytes"] or 0, r["response_body_bytes"] or 0
            if r["role"] == "client":
                sent, got = got, sent
            g.bytes_in += sent
            g.bytes_out += got
            if r["complete"] and r["duration_ns"] is not None:
                g.times.append(r["duration_ns"])
    groups[("calls", None)], groups[("requests", None)] = groups[("calls", None)], groups[("requests", None)]
    return {key: group.figures() for key, group in groups.items()}


def main():
    status = 0
    for tape in sys.argv[1:]:
        want = truth(tape)
        lines = view("stats", tape)
        is_ = {}
        for line in lines:
            names = {"process": ["pid", "exe"], "call": ["call"], "peer": ["peer"], "path": ["role", "method", "path"]}
            key = (line["stats"], line["by"], *(line[n] for n in names.get(line["by"], [])))
            rows = sum(row[2] for row in line["histogram"])
            if rows != line["timed"] or key in is_:
                print(f"{tape}: {key}: twice, or its histogram has {rows} of {line['timed']}")
                status = 1
            is_[key] = line
        for key in sorted(set(want) | set(is_), key=str):
            if key not in want or key not in is_:
                print(f"{tape}: {key} only in {'stats' if key in is_ else 'the other views'}")
                status = 1
                continue
            for name, value in want[key].items():
                other = is_[key][name]
                near = value if name[0] != "p" or value is None else value / 256
                if other != value and (name[0] != "p" or value is None or other is None or abs(other - value) > near):
                    print(f"{tape}: {key} {name}: {other}, should be {value}")
                    status = 1
        calls, requests = want[("calls", None)], want[("requests", None)]
        print(f"{tape}: {len(is_)} groups, {calls['count']} system calls, {requests['count']} requests")
    return status


if __name__ == "__main__":
    sys.exit(main())
