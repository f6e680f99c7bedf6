# SPDX-License-Identifier: BSD-2-Clause
"""bench_analyze.py [OPTION]...: measures `fdtape-analyze http` (docs/performance.md, "Analysis").

fdtape-record records one nginx worker, which answers h2load's requests with 1 KiB over 32 kept-alive HTTP/1.1
connections in TLS. Then take turns, on one core:

  read    tests/bench_read: libfdtape gives every event, every byte of payload is added up, and nothing else is done
  http    fdtape-analyze http --jobs 1 TAPE >/dev/null: the text form, a line for each request
  json    the same with --json: all headers and the SHA-256 of each body besides
  jobs, json jobs  both with the default of --jobs, on all cores
  tshark  tshark -Y http -T fields -e ... on what `fdtape-analyze pcapng` exported, keys included: method, path, status,
          length and time. It is slow: unless --whole is given, it reads the beginning of the capture only, and its time
          is scaled by the requests that it listed.

What tshark is asked for is what the text form lists, so the bars are held to that; the figures of JSON are told beside.

Each of them must have found the requests that h2load counted; tshark those of what it read. Times are processor time,
user and system, and elapsed. Needs root for the recorder, nginx, h2load, openssl, tshark; takes 5 GiB below $TMPDIR
for a million requests.
"""
import argparse
import collections
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BIN = os.environ["BIN"]
RECORD = os.path.join(BIN, "fdtape-record")
ANALYZE = os.path.join(BIN, "fdtape-analyze")
READ = os.path.join(BIN, "tests/bench_read")
BAR_TSHARK, BAR_READ, BAR_MEMORY = 20, 0.3, 64
PATIENCE = 60  # seconds, for a program to be ready
FIELDS = ("frame.time_epoch", "tcp.stream", "http.request.method", "http.request.uri", "http.response.code",
          "http.content_length_header", "http.time")

CONF = """
daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/error.log;
events {{}}
http {{
  access_log off; keepalive_requests 100000000; types {{ text/plain txt; }}
  client_body_temp_path {work}/tmp; proxy_temp_path {work}/tmp;
  fastcgi_temp_path {work}/tmp; uwsgi_temp_path {work}/tmp; scgi_temp_path {work}/tmp;
  server {{
    listen 127.0.0.1:{port} ssl; root {work}/www;
    ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem;
  }}
}}
"""

Cost = collections.namedtuple("Cost", "cpu elapsed memory")


def say(text=""):
    print(text, flush=True)


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          **more).stdout


def wait_until(there, what):
    until = time.monotonic() + PATIENCE
    while not there():
        if time.monotonic() > until:
            sys.exit(f"{what} is never ready")
        time.sleep(0.05)


# ---- the tape -------------------------------------------------------------------------------------------------------

def start_nginx(work):
    os.mkdir(f"{work}/www")
    os.mkdir(f"{work}/tmp")
    os.chmod(work, 0o755)
    os.chmod(f"{work}/tmp", 0o777)
    with open(f"{work}/www/1k.txt", "w") as file:
        file.write("0123456789abcdef" * 64)
    run("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-keyout", f"{work}/key.pem", "-out", f"{work}/cert.pem", "-subj", "/CN=localhost")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(f"{work}/nginx.conf", "w") as file:
        file.write(CONF.format(work=work, port=port))
    nginx = subprocess.Popen(["nginx", "-e", "/dev/null", "-c", f"{work}/nginx.conf"])
    wait_until(lambda: os.path.exists(f"{work}/nginx.pid"), "nginx")
    return nginx, f"https://127.0.0.1:{port}/1k.txt"


def record(work, requests):
    """Makes work/tape; returns how many requests h2load says were answered with 200."""
    nginx, url = start_nginx(work)
    recorder = None
    try:
        with open(f"{work}/said", "w") as said:
            recorder = subprocess.Popen([RECORD, "-o", f"{work}/tape", "--tls", "keys", "-p", str(nginx.pid)],
                                        stderr=said)
        wait_until(lambda: os.path.getsize(f"{work}/said") > 0, "fdtape-record")
        loaded = run("h2load", "--h1", "-t1", "-c32", f"-n{requests}", url)
        recorder.send_signal(signal.SIGINT)
        if recorder.wait(PATIENCE) != 0:
            sys.exit("fdtape-record: " + open(f"{work}/said").read())
    finally:
        for process in (recorder, nginx):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    say(open(f"{work}/said").read().splitlines()[-1])
    return int(re.search(r"status codes: (\d+) 2xx", loaded)[1])


# ---- what is measured -----------------------------------------------------------------------------------------------

def measure(command, core, out=os.devnull):
    """Runs it, on one core unless that is None."""
    with open(out, "wb") as file:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, preexec_fn=None if core is None
                                   else lambda: os.sched_setaffinity(0, {core}))
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, elapsed, usage.ru_maxrss / 1024)


def lines_of(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def tshark_command(capture, packets):
    command = ["tshark", "-n", "-r", capture, "-Y", "http", "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    return command + (["-c", str(packets)] if packets else [])


def tshark(work, packets, core):
    """Its cost, and how many answers it listed."""
    cost = measure(tshark_command(f"{work}/pcapng", packets), core, f"{work}/fields")
    with open(f"{work}/fields") as file:
        answers = sum(line.split("\t")[4] == "200" for line in file)
    os.unlink(f"{work}/fields")
    return cost, answers


def check_count(tape, requests):
    """Both forms list each request with its answer, once."""
    listed = found = 0
    with subprocess.Popen([ANALYZE, "http", tape], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            listed += line.endswith(b"/1k.txt\n")
            found += b"  server   200  1.0 KiB  " in line
    if listed != requests or found != requests:
        sys.exit(f"http listed {listed} requests, {found} of them answered; h2load made {requests}")
    listed = found = 0
    with subprocess.Popen([ANALYZE, "http", "--json", tape], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            listed += 1
            found += b'"status":200,' in line and b'"complete":true' in line and b'"response_body_bytes":1024' in line
    if listed != requests or found != requests:
        sys.exit(f"http --json listed {listed} requests, {found} of them whole; h2load made {requests}")


# ---- figures --------------------------------------------------------------------------------------------------------

def spread(values, form="%.2f"):
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{form} [{form} {form}]" % (statistics.median(values), low, high)


def at_least(bar, value):
    return f"met (>= {bar})" if value >= bar else f"missed by {100 * (1 - value / bar):.1f} % (>= {bar})"


def at_most(bar, value):
    return f"met (<= {bar})" if value <= bar else f"missed by {100 * (value / bar - 1):.1f} % (<= {bar})"


def told(name, costs, requests):
    cpu, elapsed = ([getattr(cost, of) * 1e6 / requests for cost in costs] for of in ("cpu", "elapsed"))
    say(f"{name:<13}{spread(cpu)} us of processor time a request, {spread(elapsed)} us elapsed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1000000, help="requests (%(default)s)")
    parser.add_argument("-r", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--tshark", type=int, default=100000, metavar="N",
                        help="requests that tshark lists, about (%(default)s); 0: it is left out")
    parser.add_argument("--whole", action="store_true", help="tshark reads all, once")
    parser.add_argument("--keep", metavar="DIR", help="leave the tape and the capture there, or take them from there")
    arguments = parser.parse_args()
    work = arguments.keep or tempfile.mkdtemp()
    try:
        os.makedirs(work, exist_ok=True)
        bench(work, arguments)
    finally:
        if not arguments.keep:
            shutil.rmtree(work)


def bench(work, arguments):
    tape, count = f"{work}/tape", f"{work}/requests"
    if not os.path.exists(count):
        requests = record(work, arguments.n)
        with open(count, "w") as file:
            file.write(str(requests))
    requests = int(open(count).read())
    check_count(tape, requests)
    core = max(os.sched_getaffinity(0))
    with_tshark = shutil.which("tshark") and (arguments.tshark or arguments.whole)
    if with_tshark and not os.path.exists(f"{work}/pcapng"):
        run(ANALYZE, "pcapng", "-o", f"{work}/pcapng", tape)
    say(f"{requests} requests, a tape of {os.path.getsize(tape) / 2**20:.0f} MiB")

    commands = {
        "read": ([READ, tape], core),
        "http": ([ANALYZE, "http", "--jobs", "1", tape], core),
        "json": ([ANALYZE, "http", "--json", "--jobs", "1", tape], core),
        "jobs": ([ANALYZE, "http", tape], None),
        "json jobs": ([ANALYZE, "http", "--json", tape], None),
    }
    costs = {name: [] for name in commands}
    for _ in range(arguments.r):
        for name, command in commands.items():
            costs[name].append(measure(*command))
    for name, of in costs.items():
        told(name, of, requests)

    def share(of, name):
        return [getattr(read, of) / getattr(cost, of) for read, cost in zip(costs["read"], costs[name])]

    by_cpu, by_clock = share("cpu", "http"), share("elapsed", "jobs")
    memory = max(cost.memory for name, of in costs.items() if name != "read" for cost in of)
    say(f"read/http    {spread(by_cpu)} by processor time: {at_least(BAR_READ, statistics.median(by_cpu))}")
    say(f"read/jobs    {spread(by_clock)} elapsed: {at_least(BAR_READ, statistics.median(by_clock))}")
    say(f"read/json    {spread(share('cpu', 'json'))} by processor time, {spread(share('elapsed', 'json jobs'))} elapsed"
        " with --jobs")
    say(f"memory       {memory:.1f} MiB at most: {at_most(BAR_MEMORY, memory)}")
    if with_tshark:
        bench_tshark(work, arguments, requests, core,
                     *(statistics.median(cost.cpu for cost in costs[name]) for name in ("http", "json")))
    else:
        say("tshark       left out")


def bench_tshark(work, arguments, requests, core, http, json):
    """One run: it takes minutes, and what is to be told is a factor."""
    packets = 0
    if not arguments.whole and arguments.tshark < requests:
        sample, answers = tshark(work, 4000, core)  # how many packets is a request?
        packets = 4000 * arguments.tshark // max(answers, 1)
    cost, answers = tshark(work, packets, core)
    if not packets and answers != requests:
        sys.exit(f"tshark listed {answers} answers; h2load was given {requests}")
    if packets and not 0.9 < answers / arguments.tshark < 1.1:
        sys.exit(f"tshark listed {answers} answers in {packets} packets; about {arguments.tshark} are there")
    told("tshark", [cost], answers)
    ratio = cost.cpu / answers / (http / requests)
    say(f"tshark/http  {ratio:.1f} by processor time, tshark over {answers} requests: {at_least(BAR_TSHARK, ratio)}")
    say(f"tshark/json  {cost.cpu / answers / (json / requests):.1f}")
    say(f"             tshark took {cost.memory:.0f} MiB")


if __name__ == "__main__":
    main()
