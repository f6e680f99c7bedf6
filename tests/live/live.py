# SPDX-License-Identifier: BSD-2-Clause
"""What the live suites share: TAP, servers on free ports, recording.

A live test records real programs and compares what the tape gives with what those programs, openssl, tshark or
sha256sum say. Nothing here knows what fdtape would answer.
"""
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BIN = os.environ["BIN"]
RECORD = os.path.join(BIN, "fdtape-record")
REPLAY = os.path.join(BIN, "fdtape-replay")
ANALYZE = os.path.join(BIN, "fdtape-analyze")
# A buffer for all that a test moves: however slow the recorder's turn comes, nothing has to be left out.
ROOM = ("--ring", "128M")
ENV = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}


def run(*command, check=True, **options):
    """Runs a command to its end; its output as bytes."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=120,
                          env={**ENV, **options.pop("env", {})}, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done


def analyze(*arguments, check=True):
    return run(ANALYZE, *arguments, check=check).stdout


def json_lines(*arguments):
    return [json.loads(line) for line in analyze("--json", *arguments).splitlines()]


def json_of(tape):
    """The tape's items themselves, as the library gives them (tests/dump.c)."""
    return [json.loads(line) for line in run(os.path.join(BIN, "tests", "dump"), tape).stdout.splitlines()]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def equal(what, found, expected):
    if found != expected:
        def show(value):
            text = repr(value)
            return text if len(text) < 600 else text[:600] + f"... ({len(text)} characters)"
        raise AssertionError(f"{what}: {show(found)} instead of {show(expected)}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(200):
        if process.poll() is not None:
            raise AssertionError(f"the server ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@contextlib.contextmanager
def server(*command, port, **options):
    """Runs a server until the block ends; only this very process is ended."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               **{"stderr": subprocess.DEVNULL, "env": ENV, **options})
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def workspace():
    """An empty folder that a server's unprivileged workers can read."""
    folder = tempfile.mkdtemp(prefix="fdtape-live-")
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def certificate(folder, algorithm="ec"):
    """A self-signed certificate and its key, for localhost."""
    cert, key = os.path.join(folder, f"{algorithm}.crt"), os.path.join(folder, f"{algorithm}.key")
    new = ["-newkey", "rsa:2048"] if algorithm == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run("openssl", "req", "-x509", "-nodes", "-days", "2", *new, "-keyout", key, "-out", cert,
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return cert, key


def nginx_config(folder, http, name="nginx"):
    """A configuration that keeps everything below the folder, one worker, in the foreground."""
    for sub in ("body", "proxy", "logs"):
        os.makedirs(os.path.join(folder, name, sub), exist_ok=True)
        os.chmod(os.path.join(folder, name, sub), 0o777)
    path = os.path.join(folder, f"{name}.conf")
    with open(path, "w") as file:
        file.write(f"""
daemon off; master_process off; worker_processes 1; pid {folder}/{name}/nginx.pid;
error_log {folder}/{name}/logs/error.log;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/{name}/logs/access.log;
  client_body_temp_path {folder}/{name}/body; proxy_temp_path {folder}/{name}/proxy;
  fastcgi_temp_path {folder}/{name}/proxy; uwsgi_temp_path {folder}/{name}/proxy; scgi_temp_path {folder}/{name}/proxy;
  client_max_body_size 16m; types {{ text/plain txt; }} default_type application/octet-stream;
  {http}
}}
""")
    return path


def taking(location):
    """Of nginx: it takes the whole body, and answers then ("return" alone answers at once: who sends need not go on)."""
    return (f"location {location} {{ mirror /none; error_page 404 405 =200 @taken; }} "
            'location = /none { internal; return 204; } location @taken { return 200 "taken\\n"; }')


def nginx(config, port):
    return server("nginx", "-c", config, "-e", "/dev/null", port=port)


def record(tape, *command, options=(), env=None):
    """Records a command; its own result."""
    done = run(RECORD, "-o", tape, *options, "--", *command, check=False, env=env or {})
    if done.returncode == 125:
        raise AssertionError(f"fdtape-record failed: {done.stderr.decode(errors='replace')}")
    return done


@contextlib.contextmanager
def recording(tape, *options):
    """Records running processes while the block runs."""
    process = subprocess.Popen([RECORD, "-o", tape, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=ENV)
    line = process.stderr.readline()
    if not line.startswith(b"fdtape-record: recording to"):
        process.kill()
        raise AssertionError(f"fdtape-record: {line.decode(errors='replace')}{process.stderr.read().decode(errors='replace')}")
    try:
        yield process
        time.sleep(0.2)  # what the server still does behind its last answer
    finally:
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        process.wait(30)
        process.stderr.close()
    if process.returncode:
        raise AssertionError(f"fdtape-record: status {process.returncode}: {errors.decode(errors='replace')}")
    process.said = errors


@contextlib.contextmanager
def unheard(recorder):
    """What happens in the block has happened before the recorder hears of it."""
    recorder.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        recorder.send_signal(signal.SIGCONT)


def closing(text):
    """The figures of the last line on standard error."""
    equal("system calls that were refused", b"system call" in text, False)
    line = text.decode().strip().splitlines()[-1]
    found = re.fullmatch(r"fdtape-record: (\d+) events, (\d+) bytes carried = (\d+) captured \+ (\d+) lost, by (\d+) flows"
                         r"(?:; missing: (.*?))?; (?:tape|(\d+) tapes of) ([\d.]+ \w+); ([\d.]+) s(?:, ended by (\S+))?", line)
    if not found:
        raise AssertionError(f"no closing line: {line!r}")
    return {"events": int(found[1]), "bytes": int(found[2]), "captured": int(found[3]), "lost": int(found[4]),
            "flows": int(found[5]), "missing": found[6], "tapes": int(found[7] or 1), "ended": found[10]}


def info(*tapes):
    (found,) = json_lines("info", *tapes)
    return found


def whole(tape, said):
    """The flows of a tape on which nothing is missing; `said` is what its recorder wrote to standard error."""
    line, there, flows = closing(said), info(tape), json_lines("flows", tape)
    equal("the closing line", (line["captured"] + line["lost"], line["lost"], line["missing"]), (line["bytes"], 0, None))
    equal("the tape's losses", (there["lost_events"], there["lost_bytes"], there["loss"], there["damaged"]), (0, 0, [], 0))
    equal("events", there["events"], line["events"])
    # One without an fd is a library's view of another's bytes.
    equal("the flows' bytes", sum(f[side]["bytes"] for f in flows if f["fd"] is not None for side in ("in", "out")), line["bytes"])
    for f in flows:
        for side in ("in", "out"):
            equal(f"flow {f['flow']} {side}", (f[side]["lost"], f[side]["captured"]), (0, f[side]["bytes"]))
    (found,) = json_lines("verify", tape)
    equal("verify", (found["sound"], found["ended"], found["errors"]), (True, True, []))
    return flows


def stream(tape, flow, direction, *options):
    """What a flow carried, to the byte: decrypted, without --wire."""
    return analyze("stream", "--flow", str(flow["flow"]), "--dir", direction, "--raw", *options, tape)


def port_of(address):
    return int(address.rsplit(":", 1)[1]) if address else None


class Skip(Exception):
    """Why a test can't be made here."""


def bpf_refused():
    """Why nothing can be recorded here; None where it can."""
    if os.geteuid() == 0 and os.path.exists("/sys/kernel/btf/vmlinux"):
        return None  # whatever goes wrong from here on is a failure
    done = run(RECORD, "-o", "/dev/null", "--", "true", check=False)
    return done.stderr.decode(errors="replace").splitlines()[0] if done.returncode == 125 else None


def main(*tests):
    """Runs tests (functions, named and described by themselves) and reports in TAP."""
    reason, failed = bpf_refused(), 0
    for number, test in enumerate(tests, 1):
        name = (test.__doc__ or test.__name__).strip().splitlines()[0]
        if reason:
            print(f"ok {number} - {name} # SKIP {reason}")
            continue
        try:
            test()
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}")
        except Exception:  # noqa: BLE001 - each failure is told, and the next test runs
            failed += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        else:
            print(f"ok {number} - {name}")
        sys.stdout.flush()
    print(f"1..{len(tests)}")
    sys.exit(failed != 0)
