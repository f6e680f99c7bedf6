# SPDX-License-Identifier: BSD-2-Clause
"""Which request was made for which: a reverse proxy's, both ends of a connection, two machines' tapes."""
import concurrent.futures
import contextlib
import datetime
import os
import sys
import urllib.request

from live import (ROOM, Skip, analyze, certificate, equal, free_port, json_lines, main, nginx, nginx_config, read, recording, run, server,
                  workspace)

COUNT = 20
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever the environment says


def tree(*tapes):
    """The requests by their number, and what is said of clocks."""
    lines = json_lines("http", "--tree", *tapes)
    return {x["number"]: x for x in lines if "number" in x}, [x for x in lines if "clock" in x]


def proxied(folder, back, front):
    """nginx that serves files slowly enough for requests to overlap, and one before it, HTTP in front of HTTPS."""
    os.makedirs(f"{folder}/www")
    for i in range(COUNT):
        with open(f"{folder}/www/{i}", "wb") as file:
            file.write(os.urandom(60_000 + i))
    cert, key = certificate(folder)
    behind = nginx_config(folder, f"""
  server {{ listen 127.0.0.1:{back} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; root {folder}/www; limit_rate 40k; }}""",
                          "behind")
    proxy = nginx_config(folder, f"""
  server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass https://127.0.0.1:{back}; }} }}""", "proxy")
    return behind, proxy


def get(folder, front, i, headers):
    request = urllib.request.Request(f"http://127.0.0.1:{front}/{i}", headers=headers)
    with DIRECT.open(request, timeout=60) as answer:
        equal("the copy", answer.read(), read(f"{folder}/www/{i}"))


def record_proxy(folder, front, process, headers):
    """All at a time, with what `headers` gives for each."""
    tape = f"{folder}/proxy.tape"
    with recording(tape, *ROOM, "-p", str(process.pid)):
        with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
            for done in [pool.submit(get, folder, front, i, headers(i)) for i in range(COUNT)]:
                done.result()
    return tape


def halves(requests):
    inbound = [x for x in requests.values() if x["role"] == "server"]
    outbound = [x for x in requests.values() if x["role"] == "client"]
    equal("inbound", sorted(x["path"] for x in inbound), sorted(f"/{i}" for i in range(COUNT)))
    equal("outbound", sorted(x["path"] for x in outbound), sorted(f"/{i}" for i in range(COUNT)))
    # Else there was nothing to tell apart.
    equal("all overlap", max(x["start"] for x in inbound) < min(end(x) for x in inbound), True)
    return inbound, outbound


def end(x):
    """When the response had been sent, comparable with "start"."""
    whole, ns = x["start"].rstrip("Z").split(".")
    seconds, ns = divmod(int(ns) + x["duration_ns"], 10**9)
    later = datetime.datetime.fromisoformat(whole) + datetime.timedelta(seconds=seconds)
    return f"{later.isoformat()}.{ns:09d}Z"


def ids():
    """20 requests at a time through one event loop, told apart by x-request-id: each joined with its own"""
    with workspace() as folder:
        back, front = free_port(), free_port()
        behind, proxy = proxied(folder, back, front)
        with nginx(behind, back), nginx(proxy, front) as process:
            tape = record_proxy(folder, front, process, lambda i: {"X-Request-ID": f"request-{i}-of-this-test"})
        requests, clocks = tree(tape)
        _, outbound = halves(requests)
        for x in outbound:
            equal(f"{x['path']} is joined by", (x["evidence"], x["id"], x["candidates"]), ("id", "x-request-id", None))
            equal("the path that it was made for", requests[x["parent"]]["path"], x["path"])
            equal("role", requests[x["parent"]]["role"], "server")
        equal("clocks", clocks, [])
        text = analyze("http", "--tree", tape).decode()
        equal("columns", max(len(line) for line in text.splitlines()) <= 100, True)
        equal("said", f"{COUNT} sent: {COUNT} for a request that was served (id {COUNT}, only 0, thread 0), 0 ambiguous, 0 for none"
              in text, True)


def no_ids():
    """The same without ids: one event loop, nothing tells them apart, and nothing is guessed"""
    with workspace() as folder:
        back, front = free_port(), free_port()
        behind, proxy = proxied(folder, back, front)
        with nginx(behind, back), nginx(proxy, front) as process:
            tape = record_proxy(folder, front, process, lambda i: {})
        requests, _ = tree(tape)
        _, outbound = halves(requests)
        for x in outbound:
            if x["parent"] is not None:  # the first one may have been alone when it was passed on
                equal("the path that it was made for", requests[x["parent"]]["path"], x["path"])
            else:
                equal("candidates", 2 <= x["candidates"] <= COUNT, True)
        equal("ambiguous", sum(x["parent"] is None for x in outbound) >= COUNT - 2, True)


THREADS = """
import http.server, sys, urllib.request
class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[2] + self.path).read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64
Server(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()
"""


def threads():
    """A proxy with a thread for each connection, without ids: the thread tells"""
    with workspace() as folder:
        back, front = free_port(), free_port()
        os.makedirs(f"{folder}/www")
        for i in range(COUNT):
            with open(f"{folder}/www/{i}", "wb") as file:
                file.write(os.urandom(60_000 + i))
        behind = nginx_config(folder, f"server {{ listen 127.0.0.1:{back}; root {folder}/www; limit_rate 40k; }}")
        with nginx(behind, back), server(sys.executable, "-c", THREADS, str(front), f"http://127.0.0.1:{back}", port=front) as process:
            tape = record_proxy(folder, front, process, lambda i: {})
        requests, _ = tree(tape)
        _, outbound = halves(requests)
        for x in outbound:
            equal("the path that it was made for", x["parent"] and requests[x["parent"]]["path"], x["path"])
        equal("by the thread", sum(x["evidence"] == "thread" for x in outbound) >= COUNT - 2, True)


def chain():
    """curl, a proxy and the server behind it on one tape: one tree, through both connections"""
    with workspace() as folder:
        back, front = free_port(), free_port()
        behind, proxy = proxied(folder, back, front)
        with nginx(behind, back), nginx(proxy, front) as proxy_process:
            tape = f"{folder}/x.tape"
            with recording(tape, *ROOM, "--exe", "*/nginx", "--exe", "*/curl", "--port", str(front), "--port", str(back)):
                for i in range(3):
                    run("curl", "-sS", "-o", f"{folder}/got", f"http://127.0.0.1:{front}/{i}")
                    equal("curl's copy", read(f"{folder}/got"), read(f"{folder}/www/{i}"))
        requests, clocks = tree(tape)
        equal("requests", len(requests), 12)
        equal("clocks of one host", clocks, [])
        for i in range(3):
            x = {(x["exe"].rsplit("/")[-1], x["role"], x["pid"] == proxy_process.pid): x
                 for x in requests.values() if x["path"] == f"/{i}"}
            asks, front_in = x["curl", "client", False], x["nginx", "server", True]
            front_out, back_in = x["nginx", "client", True], x["nginx", "server", False]
            equal("curl's", (asks["parent"], asks["candidates"]), (None, 0))
            equal("the proxy's", (front_in["parent"], front_in["evidence"]), (asks["number"], "connection"))
            equal("what it asks", (front_out["parent"], front_out["evidence"]), (front_in["number"], "only"))
            equal("the server's", (back_in["parent"], back_in["evidence"]), (front_out["number"], "connection"))


# A machine whose clock is an hour and a quarter of a second ahead.
AHEAD = 3600_250_000_000
CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
	int status = (int)syscall(SYS_clock_gettime, clock, t);

	if (status == 0 && clock == CLOCK_REALTIME) {
		t->tv_sec += 3600;
		t->tv_nsec += 250000000;
		if (t->tv_nsec >= 1000000000) {
			t->tv_sec++;
			t->tv_nsec -= 1000000000;
		}
	}
	return status;
}
"""


@contextlib.contextmanager
def other_network():
    """A network namespace with a cable to this one; the command that enters it, and this end's address (TEST-NET-2)."""
    name, near, far = f"fdtape-{os.getpid()}", "198.51.100.1", "198.51.100.2"
    there = ("nsenter", f"--net=/run/netns/{name}")
    if run("sh", "-c", "command -v ip nsenter", check=False).returncode or run("ip", "netns", "add", name, check=False).returncode:
        raise Skip("no network namespace can be made")
    try:
        link = f"fd{os.getpid()}"
        if run("ip", "link", "add", link, "type", "veth", "peer", "name", "cable", "netns", name, check=False).returncode:
            raise Skip("the kernel has no veth")
        for command in (("ip", "address", "add", f"{near}/30", "dev", link), ("ip", "link", "set", link, "up"),
                        (*there, "ip", "address", "add", f"{far}/30", "dev", "cable"), (*there, "ip", "link", "set", "cable", "up")):
            run(*command)
        yield there, near
    finally:
        run("ip", "netns", "del", name)


def two_hosts(ahead, enter=(), address="127.0.0.1"):
    """Two recorders, the client's with another host's name and clock; the tapes are played in both orders."""
    with workspace() as folder:
        port, preload = free_port(), ""
        os.makedirs(f"{folder}/www")
        with open(f"{folder}/www/file", "wb") as file:
            file.write(os.urandom(50_000))
        if ahead:
            with open(f"{folder}/clock.c", "w") as file:
                file.write(CLOCK)
            run(os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", f"{folder}/clock.so", f"{folder}/clock.c")
            preload = f"LD_PRELOAD={folder}/clock.so "
        listens = "".join(f"listen {a}:{port}; " for a in sorted({"127.0.0.1", address}))
        config = nginx_config(folder, f"server {{ {listens}root {folder}/www; }}")
        here, there = f"{folder}/here.tape", f"{folder}/there.tape"
        urls = " ".join(f"-o /dev/null http://{address}:{port}/file?{i}" for i in range(10))
        with nginx(config, port) as process:
            with recording(here, *ROOM, "-p", str(process.pid)):
                run(*enter, "unshare", "--uts", "sh", "-c",
                    f"hostname another-machine && {preload}exec {os.environ['BIN']}/fdtape-record -q -o {there} -- curl -sS {urls}")
        for order in ((here, there), (there, here)):
            requests, clocks = tree(*order)
            equal("requests", len(requests), 20)
            served = [x for x in requests.values() if x["role"] == "server"]
            equal("hosts", {x["host"] for x in requests.values() if x["role"] == "client"}, {"another-machine"})
            equal("their own", {x["host"] for x in served}, {os.uname().nodename})
            for x in served:
                equal("evidence", x["evidence"], "connection")
                equal("the other end", (requests[x["parent"]]["path"], requests[x["parent"]]["role"]), (x["path"], "client"))
            (clock,) = clocks
            equal("requests compared", clock["requests"], 10)
            truth = ahead if clock["clock"] == "another-machine" else -ahead
            equal("whose clocks", {clock["clock"], clock["against"]}, {"another-machine", os.uname().nodename})
            # Each recorder reads its two clocks one after the other, which no bound knows of.
            near = 100_000
            equal(f"{truth} lies within {clock}", clock["low_ns"] - near <= truth <= clock["high_ns"] + near, True)
            equal(f"{truth} is near {clock}", abs(clock["ahead_ns"] - truth) < 20_000_000, True)
            ends = {(f["local"].rsplit(":", 1)[0], f["remote"].rsplit(":", 1)[0]) for f in json_lines("flows", *order)
                    if f["in"]["bytes"] and f["proto"] == "tcp"}
            equal("both ends", {tuple(sorted(e)) for e in ends}, {("127.0.0.1",) * 2 if not enter else (address, "198.51.100.2")})
            text = analyze("http", "--tree", *order).decode()
            middle, sign = abs(clock["ahead_ns"]), "-" if clock["ahead_ns"] < 0 else "+"
            equal("said", text.splitlines()[-1].split(", ")[::2],
                  [f"clock of {clock['clock']} against that of {clock['against']}: {sign}{middle // 10**9}.{middle % 10**9:09d} s",
                   "by 10 requests"])


def hosts():
    """Two tapes with two hosts' names: paired, and the clocks, which are one, found to be so"""
    two_hosts(0)


def hosts_apart():
    """The same with a clock that is an hour and a quarter of a second ahead: found to be so"""
    two_hosts(AHEAD)


def networks():
    """The same from another network namespace: by addresses that are not this machine's own alone"""
    with other_network() as (enter, address):
        two_hosts(AHEAD, enter, address)


main(ids, no_ids, threads, chain, hosts, hosts_apart, networks)
