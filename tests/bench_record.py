# SPDX-License-Identifier: BSD-2-Clause
"""bench_record.py [OPTION]... [PART]...: measures what recording costs (docs/performance.md, "Recording").

Parts: nginx, nginx-64k, lean, calls, rates, connections, size; all of them when none is named.

A server or a load program has CPU 0; CPU 1 has its client and the recorder. The load runs on, without a pause, for the
whole of a part, and one window of it after the other is measured: bare, with a recorder, bare, with the next, ... A
ratio is a window's rate by the mean of the bare windows before and behind it, and what is told is the median of the
rounds with their quartiles. Rates that were measured far from each other are never compared. `nothing` is the control:
what a recorder that costs nothing would be given.

Needs root, two CPUs, nginx, wrk and openssl; what of tcpdump, strace and bpftrace is not there is left out, and said.
"""
import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BIN = os.environ["BIN"]
RECORD = os.path.join(BIN, "fdtape-record")
CALLS = os.path.join(BIN, "tests/bench_calls")
SERVER_CPU, CLIENT_CPU = 0, 1
PATIENCE = 60  # seconds: for a tool to be ready, or to end


class Unavailable(Exception):
    """Why a tool can't be measured here."""


# ---- figures --------------------------------------------------------------------------------------------------------

def median(values):
    """The median with the quartiles."""
    values = sorted(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return statistics.median(values), low, high


def spread(values):
    return "%.3f [%.3f %.3f]" % median(values)


def against(bar, value):
    if value >= bar:
        return f"met (>= {bar:.2f})"
    return f"missed by {100 * (1 - value / bar):.1f} % (>= {bar:.2f})"


def say(text=""):
    print(text, flush=True)


def load_average():
    with open("/proc/loadavg") as file:
        return file.read().split()[0]


# ---- processes ------------------------------------------------------------------------------------------------------

def start(*command, cpu, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}), **options)


def end(process, how=signal.SIGINT):
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def text_of(path, most=1 << 16):
    try:
        with open(path, errors="replace") as file:
            return file.read(most)
    except FileNotFoundError:
        return ""


def wait_for(path, pattern, process, said):
    """Until the beginning of the file matches; `said` is where the process complains."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if re.search(pattern, text_of(path)):
            return
        time.sleep(0.02)
    raise Unavailable(" ".join(text_of(said).split())[-200:] or "it is never ready")


# ---- tools ----------------------------------------------------------------------------------------------------------

class Tool:
    """What looks at a process: how it is called, how it shows that it is ready, and what it says of losses."""

    def __init__(self, name, command, ready, where="said", settle=0.2, lost=None):
        self.name, self.command, self.ready, self.where, self.settle = name, command, ready, where, settle
        self.lost_of = lost
        self.lost, self.said = [], ""

    @contextlib.contextmanager
    def running(self, work, pid, port=0, ssl=""):
        """The tool at work; `self.size` is what it wrote."""
        out, said = os.path.join(work, "out"), os.path.join(work, "said")
        command = [part.format(pid=pid, port=port, out=out, ssl=ssl) for part in self.command]
        if not command:
            yield
            return
        if not shutil.which(command[0]):
            raise Unavailable("it is not installed")
        with open(said, "w") as file:
            process = self.process = start(*command, cpu=CLIENT_CPU, stdout=file, stderr=file)
        try:
            wait_for(os.path.join(work, self.where), self.ready, process, said)
            time.sleep(self.settle)
            yield
            alive = process.poll() is None
        finally:
            end(process)
            self.size = os.path.getsize(out) if os.path.exists(out) else 0
            for path in os.listdir(work):
                if path.startswith("out"):
                    os.unlink(os.path.join(work, path))
        self.said = text_of(said)
        if not alive:
            raise Unavailable("it ended early: " + " ".join(self.said.split())[-200:])
        if self.lost_of:
            self.lost.append(self.lost_of(self.said))


def lost_by_recorder(said):
    """Bytes and records, of the line that a recorder ends with. Payload that was not asked for is not lost."""
    found = re.search(r"captured \+ (\d+) lost", said)
    if not found:
        raise Unavailable("no closing line: " + said[-200:])
    events = re.search(r"(\d+) x ring_full", said)
    asked = re.search(r"x snaplen \((\d+) bytes\)", said)
    # Calls that end while the recorder does can be among what was not asked for, but not among what was carried.
    return max(0, int(found[1]) - (int(asked[1]) if asked else 0)) + (int(events[1]) if events else 0)


def lost_by_tcpdump(said):
    return int(re.search(r"(\d+) packets dropped by kernel", said)[1])


def recorder(name, *options, out="{out}", pid="{pid}"):
    return Tool(name, [RECORD, *options, "-o", out, "-p", str(pid)], "recording to", lost=lost_by_recorder)


def nothing():
    return Tool("nothing (control)", [], "")


def bpftrace(name, enter, leave):
    """Probes on SSL_read and SSL_write. It says when it begins to attach, not when it has done so."""
    program = "".join(f"uprobe:{{ssl}}:{f} {{{{ {enter} }}}} uretprobe:{{ssl}}:{f} {{{{ {leave} }}}} "
                      for f in ("SSL_read", "SSL_write"))
    return Tool(name, ["bpftrace", "-o", "{out}", "-e", program], "Attaching", where="out", settle=2.0)


def tools(which=None):
    every = {
        "nothing": nothing(),
        "lean": recorder("fdtape-record --lean", "--lean"),
        "default": recorder("fdtape-record"),
        "keys": recorder("fdtape-record --tls keys", "--tls", "keys"),
        "calls": recorder("fdtape-record --tls calls", "--tls", "calls"),
        "tcpdump": Tool("tcpdump to a file", ["tcpdump", "-i", "lo", "-n", "-s", "0", "-B", "32768", "-w", "{out}",
                                              "tcp port {port}"], "listening on", lost=lost_by_tcpdump),
        "strace": Tool("strace -f with payload", ["strace", "-f", "-e", "trace=network,read,write", "-s", "65535", "-o",
                                                  "{out}", "-p", "{pid}"], "attached"),
        "bpftrace": bpftrace("bpftrace printing SSL_read/SSL_write", "@buffer[tid] = arg1;",
                             'if (retval > 0) {{ printf("%d %s\\n", retval, str(@buffer[tid], retval)); }} '
                             "delete(@buffer[tid]);"),
        "empty": bpftrace("bpftrace, the same probes empty", "", ""),
    }
    return {name: tool for name, tool in every.items() if not which or name in which}


# ---- nginx ----------------------------------------------------------------------------------------------------------

class Nginx:
    """One worker on SERVER_CPU that answers /1k and /64k over TLS."""

    CONF = """
        daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/error.log;
        events {{ worker_connections 4096; }}
        http {{
          access_log off; keepalive_requests 1000000000; ssl_session_cache off; ssl_session_tickets off;
          client_body_temp_path {work}/tmp; proxy_temp_path {work}/tmp;
          fastcgi_temp_path {work}/tmp; uwsgi_temp_path {work}/tmp; scgi_temp_path {work}/tmp;
          server {{
            listen 127.0.0.1:{port} ssl; root {work}/www;
            ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem;
          }}
        }}
        """

    def __init__(self, work):
        import socket
        for needed in ("nginx", "wrk", "openssl", "curl"):
            if not shutil.which(needed):
                raise Unavailable(f"{needed} is not installed")
        self.work = work
        os.chmod(work, 0o755)  # else the answers are 403, and the figures are of an error log
        os.makedirs(os.path.join(work, "www"), exist_ok=True)
        for name, size in (("1k", 1024), ("64k", 65536)):
            with open(os.path.join(work, "www", name), "wb") as file:
                file.write(os.urandom(size))
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-keyout", work + "/key.pem", "-out", work + "/cert.pem", "-subj",
                        "/CN=localhost"], check=True, stderr=subprocess.DEVNULL)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with open(work + "/nginx.conf", "w") as file:
            file.write(self.CONF.format(work=work, port=self.port))
        self.copy_libraries()
        self.process = start("nginx", "-e", "/dev/null", "-c", work + "/nginx.conf", cpu=SERVER_CPU,
                             env={**os.environ, "LD_LIBRARY_PATH": work + "/lib"})
        self.pid = self.process.pid
        self.check()

    def copy_libraries(self):
        """Probes are on a file: in one of our own there are none but of the tool that is measured."""
        os.makedirs(self.work + "/lib", exist_ok=True)
        for line in subprocess.run(["ldd", shutil.which("nginx")], capture_output=True, text=True).stdout.splitlines():
            if re.search("lib(ssl|crypto)", line):
                shutil.copy(line.split()[2], self.work + "/lib")
                if "libssl" in line:
                    self.ssl = os.path.join(self.work, "lib", os.path.basename(line.split()[2]))

    def url(self, name):
        return f"https://127.0.0.1:{self.port}/{name}"

    def check(self):
        for name, size in (("1k", 1024), ("64k", 65536)):
            done = subprocess.run(["curl", "-sk", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-o",
                                   self.work + "/answer", "-w", "%{http_code} %{size_download}", self.url(name)],
                                  capture_output=True, text=True)
            if done.stdout != f"200 {size}":
                raise Unavailable(f"nginx answers {done.stdout or done.returncode}")

    @contextlib.contextmanager
    def loaded(self, name, *options, connections=32):
        """wrk, without a pause; what it says at its end is in self.said."""
        said = open(self.work + "/wrk", "w+")
        wrk = start("wrk", "-t1", f"-c{connections}", "-d3600s", *options, self.url(name), cpu=CLIENT_CPU, stdout=said)
        try:
            time.sleep(1.0)
            yield
        finally:
            end(wrk)
            said.seek(0)
            self.said = said.read()
            said.close()
        if "Non-2xx" in self.said:
            raise Unavailable("not all answers were 200")

    def stop(self):
        end(self.process, signal.SIGTERM)


def loopback_bytes():
    with open("/sys/class/net/lo/statistics/tx_bytes") as file:
        return int(file.read())


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0])


def connections_made():
    """TCP connections accepted, of this whole machine."""
    with open("/proc/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("PassiveOpens")])


class Window:
    """What a window saw: things a second, and the server's CPU time for each."""

    def __init__(self, counter, pid, seconds):
        began, count, spent = time.monotonic(), counter(), cpu_ns(pid)
        time.sleep(seconds)
        count, spent = counter() - count, cpu_ns(pid) - spent
        self.rate = count / (time.monotonic() - began)
        self.cpu = spent / max(1, count)


def interleaved(measure, some, rounds, run):
    """Every tool in turn, each between two bare windows, `rounds` times. Gives the bare windows, and by name the ratios
    of rates and of CPU time, or why there are none."""
    bare, rates, cpu, failed = [measure()], {name: [] for name in some}, {name: [] for name in some}, {}
    for _ in range(rounds):
        for name, tool in some.items():
            if name in failed:
                continue
            try:
                with run(tool):
                    found = measure()
            except Unavailable as why:
                failed[name] = str(why)
                continue
            time.sleep(0.1)
            bare.append(measure())
            rates[name].append(2 * found.rate / (bare[-2].rate + bare[-1].rate))
            cpu[name].append(2 * found.cpu / (bare[-2].cpu + bare[-1].cpu))
    return bare, rates, cpu, failed


def tell(some, rates, cpu, failed, verdicts):
    width = max(len(tool.name) for tool in some.values())
    say(f"  {'':{width}}  {'rate':20}  {'CPU time of the server':22}")
    for name, tool in some.items():
        if name in failed:
            say(f"  {tool.name:{width}}  not measured: {failed[name]}")
            continue
        notes = verdicts.get(name, [])
        if tool.lost:
            notes = notes + ["LOST: " + ", ".join(map(str, tool.lost)) if any(tool.lost) else "nothing lost"]
        say(f"  {tool.name:{width}}  {spread(rates[name]):20}  {spread(cpu[name]):22}  {'; '.join(notes)}".rstrip())


def part_nginx(a, name="1k", some=None):
    some = some or tools(a.only)
    nginx = Nginx(a.work)
    try:
        with nginx.loaded(name):
            bare, rates, cpu, failed = interleaved(lambda: Window(loopback_bytes, nginx.pid, a.window), some, a.rounds,
                                                   lambda tool: tool.running(a.work, nginx.pid, nginx.port, nginx.ssl))
    finally:
        nginx.stop()
    middle = {n: statistics.median(r) for n, r in rates.items() if r}
    verdicts = {}
    if name == "1k" and "lean" in middle:
        verdicts["lean"] = ["of bare: " + against(0.85, middle["lean"])]
        if "tcpdump" in middle:
            verdicts["lean"].append("of tcpdump: " + against(1.0, middle["lean"] / middle["tcpdump"]))
    if name == "1k" and "default" in middle:
        verdicts["default"] = ["of bare: " + against(0.60, middle["default"])]
    if name == "1k" and "calls" in middle and "empty" in middle:
        verdicts["calls"] = ["of the empty probes: " + against(2.0, middle["calls"] / middle["empty"])]
    say(f"  bare: {spread([w.rate / 1e6 for w in bare])} MB/s on the loopback, the server busy for "
        f"{statistics.median(w.rate * w.cpu for w in bare) / 1e9:.2f}")
    tell(some, rates, cpu, failed, verdicts)


def part_nginx_64k(a):
    part_nginx(a, "64k", tools(a.only or ["nothing", "lean", "keys", "default", "tcpdump"]))


def part_lean(a):
    """Step by step: who is chosen, then calls, then payload, then a file."""
    other = start("sleep", "3600", cpu=CLIENT_CPU)
    some = {"nothing": nothing(),
            "other": recorder("--lean, another process chosen", "--lean", pid=other.pid),
            "heads": recorder("--lean, headers only", "--lean", "--headers-only"),
            "null": recorder("--lean, the tape to /dev/null", "--lean", out="/dev/null"),
            "file": recorder("--lean, the tape to a file", "--lean")}
    try:
        part_nginx(a, some=some)
    finally:
        end(other, signal.SIGTERM)


# ---- single calls ---------------------------------------------------------------------------------------------------

class Load:
    """tests/bench_calls."""

    def __init__(self):
        self.process = start(CALLS, cpu=SERVER_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def part_calls(a):
    load, other = Load(), start("sleep", "1000", cpu=CLIENT_CPU)
    # 1 KiB of each call; few enough that no ring is ever full.
    rows = []
    for profile, options in (("default", []), ("--lean", ["--lean"])):
        for what, more, pid in (("another process chosen", [], other.pid), ("chosen, --headers-only", ["--headers-only"],
                                                                             load.pid),
                                ("chosen, 1 KiB payload", [], load.pid)):
            rows.append((f"{profile}: {what}", recorder("", "--tls", "off", *options, *more), pid))
    ratios, costs, bare = [[] for _ in rows], [[] for _ in rows], [load.ask("cost", 1024, 0.3)]
    try:
        for _ in range(a.rounds):
            for i, (_, tool, pid) in enumerate(rows):
                with tool.running(a.work, pid):
                    found = load.ask("cost", 1024, 0.3)
                bare.append(load.ask("cost", 1024, 0.3))
                before = [(x + y) / 2 for x, y in zip(bare[-2], bare[-1])]
                ratios[i].append([x / y for x, y in zip(found, before)])
                costs[i].append([x - y for x, y in zip(found, before)])
    finally:
        load.stop()
        end(other, signal.SIGTERM)
    say("  %-36s %24s %24s %24s" % ("", "getppid", "write, 1 KiB", "read, 1 KiB"))
    say("  %-36s %s" % ("bare", " ".join("%21.0f ns" % statistics.median(b[k] for b in bare) for k in range(3))))
    for (name, tool, _), ratio, cost in zip(rows, ratios, costs):
        cells = ["%+7.0f ns = %.2f times" % (statistics.median(c[k] for c in cost), statistics.median(r[k] for r in ratio))
                 for r, c, k in ((ratio, cost, k) for k in range(3))]
        lost = "" if not any(tool.lost) else f"  LOST {sum(tool.lost)}"
        say("  %-36s %s%s" % (name, " ".join(f"{cell:>24}" for cell in cells), lost))


# ---- how fast -------------------------------------------------------------------------------------------------------

def part_rates(a):
    """The largest rate at which nothing is lost, to within a tenth."""
    for profile, options in (("default", []), ("--lean", ["--lean"])):
        for size in (64, 1024, 16384):
            load = Load()

            def attempt(wanted):
                tool = recorder("", "--tls", "off", *options)
                with tool.running(a.work, load.pid):
                    made = load.ask("rate", size, f"{wanted:.0f}", a.seconds)[0]
                return made, tool.lost[0]

            try:
                made, lost = attempt(0)
                most, good = made, made if not lost else 0
                low, high = 0, made
                while lost and high - low > high / 10:
                    wanted = (low + high) / 2 if low else high / 2
                    found, now_lost = attempt(wanted)
                    if now_lost:
                        high = wanted
                    else:
                        low = good = found
                        if found < 0.95 * wanted:
                            break  # more can't be made
                    if high < 1000:
                        break
            finally:
                load.stop()
            say(f"  {profile:8} {size:6} B: {good:9.0f} events/s, {good * size / 1e6:6.0f} MB/s without loss"
                + (f" (of {most:.0f}, as many as could be made)" if lost else " - as many as could be made"))


# ---- connections ----------------------------------------------------------------------------------------------------

def part_connections(a):
    some = {"nothing": nothing(), "off": recorder("fdtape-record --tls off", "--tls", "off"),
            "keys": recorder("fdtape-record --tls keys", "--tls", "keys"),
            "lean": recorder("fdtape-record --lean", "--lean")}
    nginx = Nginx(a.work)
    try:
        with nginx.loaded("1k", "-H", "Connection: close"):
            bare, rates, cpu, failed = interleaved(lambda: Window(connections_made, nginx.pid, a.window), some, a.rounds,
                                                   lambda tool: tool.running(a.work, nginx.pid, nginx.port, nginx.ssl))
    finally:
        nginx.stop()
    say(f"  bare: {statistics.median(w.rate for w in bare):.0f} connections/s, "
        f"{statistics.median(w.cpu for w in bare) / 1000:.0f} us of the server's CPU each, the server busy for "
        f"{statistics.median(w.rate * w.cpu for w in bare) / 1e9:.2f}")
    tell(some, rates, cpu, failed, {})


# ---- tape -----------------------------------------------------------------------------------------------------------

def part_size(a):
    nginx = Nginx(a.work)
    try:
        for tool in (recorder("fdtape-record --lean", "--lean"), recorder("fdtape-record --tls keys", "--tls", "keys"),
                     recorder("fdtape-record"), recorder("fdtape-record --headers-only", "--headers-only", "--tls", "keys")):
            with tool.running(a.work, nginx.pid):
                done = subprocess.run(["taskset", "-c", str(CLIENT_CPU), "wrk", "-t1", "-c32", "-d2s", nginx.url("1k")],
                                      capture_output=True, text=True)
            requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
            carried, captured = map(int, re.search(r"(\d+) bytes carried = (\d+) captured", tool.said).groups())
            events = int(re.search(r"(\d+) events,", tool.said)[1])
            say(f"  {tool.name:28}  {tool.size / requests:7.1f} B of tape a request: {captured / requests:.1f} B of payload, "
                f"{(tool.size - captured) / requests:.1f} B beside it, {events / requests:.2f} events")
    finally:
        nginx.stop()


# ---- all of it ------------------------------------------------------------------------------------------------------

PARTS = {
    "nginx": ("one nginx worker, HTTPS kept alive, 1 KiB: its throughput, of bare", part_nginx),
    "nginx-64k": ("the same, 64 KiB", part_nginx_64k),
    "lean": ("where --lean goes, by the same method", part_lean),
    "calls": ("one call", part_calls),
    "rates": ("events without loss", part_rates),
    "connections": ("new TLS connections (TLS 1.3, P-256, a connection for each request)", part_connections),
    "size": ("bytes of tape, 1 KiB requests", part_size),
}


def main():
    parser = argparse.ArgumentParser(description="Measures what recording costs, as ratios in one run.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS) + " (default: all)")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these tools: " + ", ".join(tools(None)))
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is told (default 5)")
    parser.add_argument("--window", type=float, default=0.8, help="seconds (default 0.8)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for which a rate must go without loss (default 3)")
    parser.add_argument("--nice", type=int, default=0, help="of everything that is started: where others use the CPUs, -10")
    a = parser.parse_args()
    for part in a.parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}'; {', '.join(PARTS)}")
    if os.geteuid() != 0 or not {SERVER_CPU, CLIENT_CPU} <= os.sched_getaffinity(0):
        sys.exit("bench_record.py needs root, and the CPUs 0 and 1")
    os.nice(a.nice)
    with open("/proc/cpuinfo") as file:
        cpu = re.search(r"model name\s*: (.*)", file.read())
    system = os.uname()
    say(f"{time.strftime('%F', time.gmtime())}, {system.sysname} {system.release.split('-')[0]} {system.machine}, "
        f"{cpu[1] if cpu else 'unknown CPU'}, {os.cpu_count()} CPUs; load {load_average()} before"
        + (f", nice {a.nice}" if a.nice else ""))
    status = 0
    for part in a.parts or PARTS:
        title, measure = PARTS[part]
        with tempfile.TemporaryDirectory() as a.work:
            os.mkdir(os.path.join(a.work, "tmp"), 0o777)
            began = time.monotonic()
            say(f"\n{part}: {title}")
            try:
                measure(a)
            except Unavailable as why:
                say(f"  not measured: {why}")
                status = 1
            say(f"  ({time.monotonic() - began:.0f} s, load {load_average()})")
    return status


if __name__ == "__main__":
    sys.exit(main())
