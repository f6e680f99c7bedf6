# SPDX-License-Identifier: BSD-2-Clause
"""--last: the recording is held in memory, and what is written on demand, on failure and at the end is a sound tape."""
import glob
import os
import signal
import struct
import subprocess
import sys
import threading
import time

from live import (ANALYZE, ENV, RECORD, certificate, equal, free_port, json_lines, main, nginx, nginx_config, record, run,
                  workspace)

# Numbers each message, a thousand a second; the tape's order and offsets are checked against them.
GENERATOR = r"""
import os, socket, struct, sys, time
a, b = socket.socketpair()
stop = time.monotonic() + float(sys.argv[1])
n = 0
while time.monotonic() < stop:
    a.send(struct.pack("<Q", n) * 8)
    b.recv(64)
    n += 1
    time.sleep(0.001)
os.write(1, b"%d\n" % n)
sys.exit(int(sys.argv[2]))
"""


def generator(seconds, status=0):
    return [sys.executable, "-c", GENERATOR, str(seconds), str(status)]


def numbers(tape):
    """What the tape's messages say, from the one flow that received them: whole, in order, none missing."""
    flows = [f for f in json_lines("flows", tape) if f["in"]["bytes"]]
    equal("one flow", len(flows), 1)
    (flow,) = flows
    equal("complete", (flow["in"]["lost"], flow["in"]["captured"]), (0, flow["in"]["bytes"]))
    data = run(ANALYZE, "stream", "--flow", str(flow["flow"]), "--dir", "in", "--raw", tape).stdout
    equal("from offset 0 on", len(data), flow["in"]["bytes"])
    found = struct.unpack(f"<{len(data) // 8}Q", data)[::8]
    equal("in order", found, tuple(range(found[0], found[0] + len(found))))
    equal("unchanged", data, b"".join(struct.pack("<Q", n) * 8 for n in found))
    return found


def sound(tape):
    equal(f"verify {tape}", run(ANALYZE, "verify", tape, check=False).returncode, 0)
    equal("mode", os.stat(tape).st_mode & 0o777, 0o600)


def status_decides():
    """with COMMAND: nothing is written when its status is 0, the last seconds when it is not"""
    with workspace() as folder:
        tape = f"{folder}/x.tape"
        done = record(tape, *generator(1), options=["--last", "5s"])
        equal("status 0", (done.returncode, os.listdir(folder)), (0, []))
        equal("said", done.stderr, b"fdtape-record: the command ended with status 0: nothing is written\n")
        done = record(tape, *generator(4, 3), options=["--last", "1s"])
        equal("status 3", (done.returncode, os.listdir(folder)), (3, ["x.tape"]))
        sound(tape)
        found, sent = numbers(tape), int(done.stdout)
        equal("to the end", found[-1], sent - 1)
        # At least a second, and not much more: an eighth of it, and what a busy machine adds.
        (info,) = json_lines("info", tape)
        equal("the last second", 0.9e9 <= info["duration_ns"] <= 1.6e9, True)
        equal("the first are gone", found[0] > 100, True)
        (flow,) = [f for f in json_lines("flows", tape) if f["in"]["bytes"]]
        equal("the tape's own words", f"{info['events']} events, {info['in']['bytes'] + info['out']['bytes']} bytes carried = "
              in done.stderr.decode(), True)
        equal("killed", record(tape, "sh", "-c", "kill -9 $$", options=["--last", "1s"]).returncode, 128 + signal.SIGKILL)
        sound(tape)


def on_demand():
    """SIGUSR1 writes a tape while recording goes on, each under its own name; so does the stop"""
    with workspace() as folder:
        source = subprocess.Popen(generator(60), stdout=subprocess.PIPE, env=ENV)
        recorder = subprocess.Popen([RECORD, "--last", "2s", "-o", f"{folder}/x.tape", "-p", str(source.pid)],
                                    stderr=subprocess.PIPE, env=ENV)
        try:
            equal("ready", recorder.stderr.readline().startswith(b"fdtape-record: holding the last 2 s in memory"), True)
            equal("nothing yet", os.listdir(folder), [])
            names = ["x.tape", "x-000001.tape", "x-000002.tape"]
            ranges = []
            for name in names:
                time.sleep(1.5)
                recorder.send_signal(signal.SIGUSR1 if name != names[-1] else signal.SIGTERM)
                said = recorder.stderr.readline().decode()
                equal("said", said.startswith("fdtape-record: the last ") and f" are in {folder}/{name}: " in said, True)
                sound(f"{folder}/{name}")
                ranges.append(numbers(f"{folder}/{name}"))
            equal("status", recorder.wait(20), 0)
            equal("files", sorted(os.listdir(folder)), sorted(names))
            for before, after in zip(ranges, ranges[1:]):
                equal("goes on", before[0] <= after[0] <= before[-1] + 1 and after[-1] > before[-1], True)
        finally:
            source.kill()
            source.communicate()
            recorder.kill()
            recorder.communicate()


def many_signals():
    """signals faster than tapes can be written: none is torn, the recording survives"""
    with workspace() as folder:
        source = subprocess.Popen(generator(60), stdout=subprocess.PIPE, env=ENV)
        recorder = subprocess.Popen([RECORD, "-q", "--last", "1s", "-o", f"{folder}/x.tape", "-p", str(source.pid)], env=ENV)
        try:
            time.sleep(1.5)
            for _ in range(40):
                recorder.send_signal(signal.SIGUSR1)
                time.sleep(0.02)
            time.sleep(0.3)
            recorder.terminate()
            equal("status", recorder.wait(20), 0)
            tapes = glob.glob(f"{folder}/*.tape")
            equal("several", len(tapes) > 3, True)
            for tape in tapes:
                sound(tape)
                numbers(tape)
        finally:
            source.kill()
            source.communicate()
            recorder.kill()
            recorder.wait()


def bounded():
    """--max-size bounds the memory: the newest stays"""
    with workspace() as folder:
        tape = f"{folder}/x.tape"
        # Now and then it rests, so that a recorder that waits for the CPU loses nothing.
        script = ("import os, socket, time\na, b = socket.socketpair()\nfor n in range(4000):\n"
                  "    a.send(os.urandom(4080) + n.to_bytes(16, 'little'))\n    b.recv(4096, socket.MSG_WAITALL)\n"
                  "    n % 100 or time.sleep(0.02)\nexit(1)")
        done = record(tape, sys.executable, "-c", script, options=["--last", "60s", "--max-size", "4M"])
        equal("status", done.returncode, 1)
        sound(tape)
        equal("size", 2 << 20 <= os.stat(tape).st_size <= 5 << 20, True)
        (flow,) = [f for f in json_lines("flows", tape) if f["in"]["bytes"]]
        data = run(ANALYZE, "stream", "--flow", str(flow["flow"]), "--dir", "in", "--raw", tape).stdout
        found = [int.from_bytes(data[at + 4080:at + 4096], "little") for at in range(0, len(data), 4096)]
        equal("the newest", found, list(range(4000 - len(found), 4000)))


def secrets_stay():
    """the secrets of a connection stay when its handshake is no longer held, and decrypt what is"""
    with workspace() as folder:
        port = free_port()
        cert, key = certificate(folder)
        config = nginx_config(folder, f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; "
                                      "ssl_protocols TLSv1.2 TLSv1.3; location / { return 200 ok; } }")
        script = f"""
import http.client, ssl, sys, time
tls = ssl._create_unverified_context()
tls.minimum_version = tls.maximum_version = ssl.TLSVersion[sys.argv[1]]
c = http.client.HTTPSConnection("127.0.0.1", {port}, context=tls)
for i in range(40):
    c.request("GET", "/%d" % i)
    c.getresponse().read()
    time.sleep(0.1)
exit(1)
"""
        with nginx(config, port):
            for version in ("TLSv1_2", "TLSv1_3"):
                tape = f"{folder}/{version}.tape"
                record(tape, sys.executable, "-c", script, version, options=["--lean", "--last", "1s"])
                sound(tape)
                asked = [h["path"] for h in json_lines("http", tape) if h["complete"]]
                equal(f"{version}: the last requests", ("/39" in asked, "/0" in asked), (True, False))
                (flow,) = [f for f in json_lines("flows", tape) if f["in"]["bytes"]]
                tls = flow["tls"]
                equal("the flow", (tls["version"], tls["plaintext"], flow["role"]), (version.replace("_", "."), "wire", "client"))
                equal("no hello", [e for e in tls["evidence"] if "Hello" in e], [])


def piped():
    """-o -: dumps go to the pipe one behind the other"""
    with workspace() as folder:
        read_end, write_end = os.pipe()
        got = []
        source = subprocess.Popen(generator(60), stdout=subprocess.PIPE, env=ENV)
        recorder = subprocess.Popen([RECORD, "--last", "2s", "-o", "-", "-p", str(source.pid)], stdout=write_end,
                                    stderr=subprocess.PIPE, env=ENV)
        os.close(write_end)

        def take():
            with os.fdopen(read_end, "rb") as pipe:
                got.append(pipe.read())
        reader = threading.Thread(target=take)
        reader.start()
        try:
            recorder.stderr.readline()
            time.sleep(1)
            recorder.send_signal(signal.SIGUSR1)
            recorder.stderr.readline()
            recorder.send_signal(signal.SIGINT)
            equal("status", recorder.wait(20), 0)
            reader.join()
            with open(f"{folder}/x.tape", "wb") as file:
                file.write(got[0])
            sound_pipe = run(ANALYZE, "verify", f"{folder}/x.tape", check=False)
            equal("verify", (sound_pipe.returncode, b"in 2 sections" in sound_pipe.stdout), (0, True))
        finally:
            source.kill()
            source.communicate()
            recorder.kill()
            recorder.communicate()


def nowhere():
    """a place that can't be written is told at once; a disk that is full later does not end the recording"""
    with workspace() as folder:
        done = run(RECORD, "--last", "1s", "-o", f"{folder}/no/x.tape", "-a", check=False)
        equal("no folder", (done.returncode, b"cannot write the tape" in done.stderr), (4, True))
        done = run(RECORD, "--last", "1s", "-o", "/dev/full", "--", "false", check=False)
        equal("full", (done.returncode, b"No space left on device" in done.stderr), (125, True))


main(status_decides, on_demand, many_signals, bounded, secrets_stay, piped, nowhere)
