# SPDX-License-Identifier: BSD-2-Clause
"""The audit: what adds up, and what does not, and why."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading

from live import ANALYZE, RECORD, equal, main, read, record, recording, run, unheard, workspace
from tls_live import https, need

# Asks as often as it is told to, on one connection; the answers' bodies go to a file.
KEEPS = """
import http.client, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = http.client.HTTPSConnection('localhost', int(sys.argv[1]), context=context)
for line in sys.stdin:
    connection.request('GET', '/file.bin')
    open(sys.argv[2], 'ab').write(connection.getresponse().read())
    print('done', flush=True)
"""

# Leaves what it is asked to do to a child, which ends.
FORKS = """
import os, ssl, sys, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for line in sys.stdin:
    if not os.fork():
        open(sys.argv[2], 'wb').write(urllib.request.urlopen(sys.argv[1], context=context).read())
        os._exit(0)
    os.wait()
    print('done', flush=True)
"""

# One thread: a read of TLS that finds nothing, then a read of something else, again and again.
TURNS = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
tls = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
plain = socket.create_connection(('127.0.0.1', int(sys.argv[2])))
tls.setblocking(False)
got = b''
for i in range(50):
    try:
        tls.read(100)
        sys.exit(3)
    except ssl.SSLWantReadError:
        pass
    plain.sendall(b'PING %02d\\r\\n' % i)
    got += plain.recv(100)
open(sys.argv[3], 'wb').write(got)
"""


def audit(*arguments):
    """The exit status, and the objects by what they are of."""
    done = run(ANALYZE, "--json", "audit", *arguments, check=False)
    found = {"flow": [], "process": [], "total": []}
    for line in done.stdout.splitlines():
        found[json.loads(line)["audit"]].append(json.loads(line))
    return done.returncode, found


def adds_up(flow):
    """Every byte of the wire is in one column."""
    for side in ("in", "out"):
        equal(f"flow {flow['flow']} {side}", sum(n for what, n in flow[side].items() if what != "bytes"), flow[side]["bytes"])


def called(process):
    """The libraries whose calls were seen."""
    return [l for l in process["libraries"] if l["objects"]]


def tls_files(program):
    """What the dynamic linker maps of libraries that are probed, by ldd."""
    wanted = ("libssl.so", "libcrypto.so", "libgnutls.so", "libnettle.so")
    names = re.findall(r"=> (\S+)", run("ldd", shutil.which(program)).stdout.decode())
    return {os.path.realpath(name) for name in names if os.path.basename(name).startswith(wanted)}


def equal_sources():
    """curl: every byte is explained, and both sources are equal"""
    need("curl")
    with workspace() as folder, https(folder) as site:
        tape = f"{folder}/curl.tape"
        record(tape, "curl", "-sSk", "--http1.1", "-o", f"{folder}/got", site.url)
        status, found = audit("--port", str(site.port), tape)
        equal("status", status, 0)
        (flow,), (process,), (total,) = found["flow"], found["process"], found["total"]
        adds_up(flow)
        equal("state", (flow["state"], flow["in"]["unexplained"], flow["in"]["lost"]), ("explained", 0, 0))
        by_side = {s["dir"]: s for s in flow["sources"]}
        equal("equal", [by_side[d]["equal"] for d in ("in", "out")], [True, True])
        equal("compared", by_side["in"]["compared"] >= len(site.body), True)
        equal("all of it", (by_side["in"]["wire"], by_side["in"]["calls"]), (by_side["in"]["compared"],) * 2)
        equal("process", (process["tls_flows"], process["readable"], process["why"]), (1, 1, []))
        (library,) = called(process)
        equal("library", (os.path.basename(library["path"]), library["hooked"], library["functions"] > 3), ("libssl.so.3", True, True))
        # curl's own, and what comes with another library of it.
        equal("all that does TLS", {l["path"] for l in process["libraries"]}, tls_files("curl"))
        equal("total", (total["wanting"], total["explained"]), (0, total["bytes"]))


def ask(process):
    """Has it done what it does, once."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    equal("answer", process.stdout.readline(), b"done\n")


def ended_before():
    """programs that have ended before the recorder hears of them: their library is known nevertheless"""
    need("curl")
    with workspace() as folder, https(folder) as site:
        tape, curl, got = f"{folder}/ended.tape", os.path.realpath(shutil.which("curl")), f"{folder}/got"
        with recording(tape, "--exe", curl) as recorder, unheard(recorder):
            run("curl", "-sSk", "--http1.1", "-o", got, site.url)
        (process,) = audit("--port", str(site.port), tape)[1]["process"]
        equal("library", [os.path.basename(l["path"]) for l in called(process)], ["libssl.so.3"])

        parent = subprocess.Popen([sys.executable, "-c", FORKS, site.url, got], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ask(parent)
        with recording(tape, "-p", str(parent.pid)) as recorder, unheard(recorder):
            ask(parent)
        parent.communicate()
        (process,) = audit("--port", str(site.port), tape)[1]["process"]
        equal("not the parent", process["pid"] != parent.pid, True)
        equal("the child's library", [os.path.basename(l["path"])[:7] for l in called(process)], ["libssl."])


def missed():
    """what is missed has its reason: no secrets recorded, open before recording began, not recorded at all"""
    with workspace() as folder, https(folder) as site:
        got = f"{folder}/got"
        for mode, state, why in (("off", "unexplained", "recorded with --tls off"),
                                 ("keys", "unexplained", "open before recording began"),
                                 ("auto", "calls", None)):
            tape = f"{folder}/{mode}.tape"
            process = subprocess.Popen([sys.executable, "-c", KEEPS, str(site.port), got], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
            ask(process)
            with recording(tape, "-p", str(process.pid), "--tls", mode):
                ask(process)
            process.communicate()
            status, found = audit("--port", str(site.port), tape)
            (flow,) = found["flow"]
            adds_up(flow)
            equal(f"{mode}: status, state", (status, flow["state"]), (1 if why else 0, state))
            told = found["process"][0]["why"]
            equal(f"{mode}: why", [w for w in told if why and w.startswith(why)] != [] or not told, True)
            equal(f"{mode}: a reason is given", bool(told), bool(why))
            # Without the calls there is nothing of libssl to probe, nor anything at all without TLS.
            hooked = {os.path.basename(l["path"]).split(".")[0]: l["hooked"] for l in found["process"][0]["libraries"]}
            equal(f"{mode}: libraries", hooked, {} if mode == "off" else {"libssl": mode == "auto", "libcrypto": True})


def seen():
    """a library that does TLS by its name and has nothing to probe is seen, and not hooked; one that does no TLS is not told"""
    with workspace() as folder, https(folder) as site:
        wanted, other = f"{folder}/libwolfssl.so.35", f"{folder}/libother.so.1"
        for copy in (wanted, other):
            run(os.environ.get("CC", "cc"), "-shared", "-o", copy, "-xc", "/dev/null")
        program = ("import ctypes, ssl, sys, urllib.request\nfor name in sys.argv[2:]: ctypes.CDLL(name)\n"
                   "urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read()")
        for mode in ("auto", "keys"):
            tape = f"{folder}/{mode}.tape"
            equal("status", record(tape, sys.executable, "-c", program, site.url, wanted, other, options=["--tls", mode]).returncode, 0)
            libraries = {l["path"]: l for l in audit("--port", str(site.port), tape)[1]["process"][0]["libraries"]}
            equal(f"{mode}: seen", (libraries[wanted]["functions"], libraries[wanted]["hooked"], libraries[wanted]["objects"]),
                  (0, False, 0))
            equal(f"{mode}: not told", other in libraries, False)
            hooked = {os.path.basename(path).split(".")[0] for path, l in libraries.items() if l["hooked"]}
            equal(f"{mode}: hooked", hooked, {"libssl", "libcrypto"} if mode == "auto" else {"libcrypto"})


def refused():
    """libraries that the kernel refuses to probe: seen, not hooked, and that is why"""
    need("curl")
    with workspace() as folder, https(folder) as site:
        tape = f"{folder}/refused.tape"
        done = run("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", RECORD, "-o", tape, "--", "curl", "-sSk", "-o",
                   f"{folder}/got", site.url, env={"FDTAPE_UPROBES": "perf"})
        equal("warned", b"TLS is not recorded" in done.stderr, True)
        status, found = audit("--port", str(site.port), tape)
        (process,) = found["process"]
        libssl = [l for l in process["libraries"] if os.path.basename(l["path"]) == "libssl.so.3"]
        equal("libssl", [(l["functions"], l["hooked"], l["objects"]) for l in libssl], [(None, False, 0)])
        equal("why", (status, process["why"]), (1, ["its TLS library could not be probed"]))


def two_of_one_thread():
    """one thread reads TLS in vain and then another fd, fifty times: the other fd is clear"""
    with workspace() as folder, https(folder) as site, socket.create_server(("127.0.0.1", 0)) as listener:
        def echo():
            conn = listener.accept()[0]
            while data := conn.recv(100):
                conn.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        port, tape = listener.getsockname()[1], f"{folder}/turns.tape"
        equal("status", record(tape, sys.executable, "-c", TURNS, str(site.port), str(port), f"{folder}/got").returncode, 0)
        done = run(ANALYZE, "--json", "flows", "--port", str(port), tape)
        (flow,) = [json.loads(line) for line in done.stdout.splitlines()]
        equal("verdict", (flow["tls"]["verdict"], flow["tls"]["evidence"], flow["tls"]["library"]), ("clear", ["not-tls"], None))
        text = run(ANALYZE, "stream", "--flow", str(flow["flow"]), "--dir", "in", "--raw", tape).stdout
        equal("what came", text, read(f"{folder}/got"))
        states = {json.loads(line)["ssl"] for line in run(ANALYZE, "--json", "log", "--port", str(port), tape).stdout.splitlines()
                  if json.loads(line)["bytes"]}
        equal("each call", states, {False})
        other = json.loads(run(ANALYZE, "--json", "flows", "--port", str(site.port), tape).stdout)
        equal("the TLS one", (other["tls"]["verdict"], "AEAD" in other["tls"]["evidence"]), ("tls", True))


main(equal_sources, ended_before, missed, seen, refused, two_of_one_thread)
