# SPDX-License-Identifier: BSD-2-Clause
"""A recorder that is killed, a disk that is full, a reader that goes away: what was recorded survives."""
import datetime
import json
import mmap
import os
import random
import struct
import subprocess
import sys
import threading
import time

from live import ANALYZE, ENV, RECORD, equal, main, recording, run, unheard, workspace

# Each message is its own number, 64 times. The number of the last one that arrived, and when, is left in a shared page,
# where it can be read at any time.
GENERATOR = r"""
import mmap, os, socket, struct, sys, time
page = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 4096)
a, b = socket.socketpair()
n = 0
while True:
    a.send(struct.pack("<Q", n) * 8)
    b.recv(64)
    n += 1
    if n % 64 == 0:
        page[:16] = struct.pack("<QQ", n, time.monotonic_ns())
        time.sleep(0.0005)
"""
# Fills the ring, and goes on behind that: with what stays open, and with what is closed at once.
FILLS = """
import os, socket, sys, time
a, b = socket.socketpair()
print('there', flush=True)
sys.stdin.readline()
for n in range(2000):
    a.send(bytes(1000))
    b.recv(1000)
print(time.time_ns(), flush=True)
c, d = socket.socketpair()
c.send(bytes(100))
d.recv(100)
e, f = socket.socketpair()
e.send(bytes(200))
f.recv(200)
e.close()
f.close()
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(file, bytes(300))
os.close(file)
print(time.time_ns(), c.fileno(), d.fileno(), flush=True)
sys.stdin.readline()
c.send(bytes(10))
d.recv(10)
"""
KILLS = int(os.environ.get("KILLS", "100"))
# A group is closed within a second; to this comes what the machine makes the recorder wait.
LAST_SECOND = 1.5


class Generator:
    def __init__(self, folder):
        self.path = f"{folder}/page"
        with open(self.path, "wb") as file:
            file.write(bytes(4096))
        self.file = open(self.path, "rb")
        self.page = mmap.mmap(self.file.fileno(), 4096, prot=mmap.PROT_READ)
        self.process = subprocess.Popen([sys.executable, "-c", GENERATOR, self.path], env=ENV)
        self.history = []
        self.stop = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()

    def watch(self):
        while not self.stop.wait(0.01):
            self.history.append(struct.unpack("<QQ", self.page[:16]))

    def sent_by(self, when):
        """The number of messages that had arrived by a monotonic time (ns), at least."""
        return max((n for n, at in list(self.history) if at <= when), default=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.watcher.join()
        self.process.kill()
        self.process.wait()
        self.page.close()
        self.file.close()


def start_recorder(*options):
    recorder = subprocess.Popen([RECORD, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, env=ENV)
    line = recorder.stderr.readline()
    equal("the recorder runs", line.startswith(b"fdtape-record: recording to"), True)
    return recorder


def messages(tape):
    """The numbers of the messages that the tape holds, by what was received; every one must be whole and in order."""
    flows = [f for f in run(ANALYZE, "--json", "flows", tape, check=False).stdout.splitlines() if b'"in":{"bytes":0' not in f]
    if not flows:
        return []
    flow = json.loads(flows[0])["flow"]
    data = run(ANALYZE, "stream", "--flow", str(flow), "--dir", "in", "--raw", tape, check=False).stdout
    equal("whole messages", len(data) % 64, 0)
    numbers = struct.unpack(f"<{len(data) // 8}Q", data)[::8]
    if numbers:
        equal("in order, none missing", numbers, tuple(range(numbers[0], numbers[0] + len(numbers))))
        equal("unchanged", data, b"".join(struct.pack("<Q", n) * 8 for n in numbers))
    return numbers


def killed():
    """kill -9 at random moments: every tape opens and can be repaired, and only the last second is lost"""
    dice = random.Random(1)
    with workspace() as folder, Generator(folder) as generator:
        for kill in range(KILLS):
            tape, repaired = f"{folder}/killed.tape", f"{folder}/repaired.tape"
            # The kernel takes seconds to undo the probes of libraries of one that was killed: a few times are enough.
            tls = ["--tls", "auto" if kill < 5 else "off"]
            recorder = start_recorder(*tls, "-o", tape, "-p", str(generator.process.pid))
            begun = time.monotonic_ns()
            time.sleep(dice.uniform(0, 2.2))
            at = time.monotonic_ns()
            recorder.kill()
            recorder.wait()
            recorder.stderr.close()
            done = run(ANALYZE, "verify", tape, check=False)
            equal("a killed recorder's tape says so", (done.returncode, b"interrupted" in done.stdout or b"ends" in done.stdout),
                  (3, True))
            done = run(ANALYZE, "verify", "--repair", "-o", repaired, tape, check=False)
            equal("repair", done.returncode, 3)
            equal("the repaired tape", run(ANALYZE, "verify", repaired, check=False).returncode, 0)
            numbers = messages(repaired)
            equal("the same as before repair", numbers, messages(tape))
            due = generator.sent_by(at - int(LAST_SECOND * 1e9))
            if at - begun > LAST_SECOND * 1e9 and due > generator.sent_by(begun):
                equal(f"messages up to {due}, {LAST_SECOND} s before the kill", bool(numbers) and numbers[-1] + 1 >= due, True)


def limited():
    """RLIMIT_FSIZE, and a small full disk: the recorder says so with status 4, and the tape is sound"""
    with workspace() as folder, Generator(folder) as generator:
        tape = f"{folder}/limited.tape"
        done = run("sh", "-c", f"ulimit -f 8192; exec '{RECORD}' -o '{tape}' -d 30 -p {generator.process.pid}", check=False)
        equal("status", (done.returncode, b"cannot write the tape" in done.stderr and b"File too large" in done.stderr), (4, True))
        equal("within the limit", os.stat(tape).st_size <= 8192 * 512, True)
        check_ended_early(tape)

        disk = f"{folder}/disk"
        os.mkdir(disk)
        run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk)
        try:
            tape = f"{disk}/full.tape"
            done = run(RECORD, "-o", tape, "-d", "30", "-p", str(generator.process.pid), check=False)
            equal("status", (done.returncode, b"No space left" in done.stderr), (4, True))
            check_ended_early(tape)
        finally:
            run("umount", disk)


def check_ended_early(tape):
    """Whether or not there was room for a footer, what is on the tape is whole."""
    done = run(ANALYZE, "verify", tape, check=False)
    equal("verify", done.returncode in (0, 3), True)
    equal("nothing is damaged", b"hash" in done.stdout, False)
    equal("messages", len(messages(tape)) > 0, True)


def reader_gone():
    """a reader that closes the pipe: the recorder says so with status 4"""
    with workspace() as folder, Generator(folder) as generator:
        done = run("sh", "-c", f"{{ '{RECORD}' -o - -d 30 -p {generator.process.pid}; echo $? >'{folder}/status'; }} | "
                               f"head -c 5000 >'{folder}/head.tape'", check=False)
        with open(f"{folder}/status") as file:
            equal("status", file.read(), "4\n")
        equal("said", b"Broken pipe" in done.stderr, True)
        done = run(ANALYZE, "verify", f"{folder}/head.tape", check=False)
        equal("the head is a truncated tape", done.returncode, 3)


def lost_beginnings():
    """what was opened while the ring was full is not taken for what was open before, nor for what it is not"""
    with workspace() as folder:
        tape = f"{folder}/full.tape"
        program = subprocess.Popen([sys.executable, "-c", FILLS, f"{folder}/file"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        equal("there", program.stdout.readline(), b"there\n")
        with recording(tape, "-p", str(program.pid), "--ring", "64K", "--files") as recorder:
            with unheard(recorder):
                program.stdin.write(b"\n")
                program.stdin.flush()
                full, line = int(program.stdout.readline()), program.stdout.readline().split()
            program.communicate(b"\n")
        after, c, d = (int(word) for word in line)
        flows = [json.loads(line) for line in run(ANALYZE, "--json", "flows", tape).stdout.splitlines()]
        late = {tuple(f[side]["bytes"] for side in ("in", "out")): f for f in flows if f["fd"] >= c and f["kind"] != "pipe"}
        equal("carried", sorted(late), [(0, 110), (0, 200), (0, 300), (110, 0), (200, 0)])
        equal("fds", (late[0, 110]["fd"], late[110, 0]["fd"]), (c, d))
        for carried, flow in late.items():
            equal(f"{carried}: kind", flow["kind"], "file" if carried == (0, 300) else "socket")
            at = datetime.datetime.fromisoformat(flow["opened"][:26] + "+00:00").timestamp() if flow["opened"] else 0
            equal(f"{carried}: opened", full / 1e9 - 0.01 < at < after / 1e9 + 0.01, True)
            equal(f"{carried}: adds up", all(flow[side]["captured"] + flow[side]["lost"] == flow[side]["bytes"]
                                             for side in ("in", "out")), True)


main(killed, limited, reader_gone, lost_beginnings)
