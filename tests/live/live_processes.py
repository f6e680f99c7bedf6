# SPDX-License-Identifier: BSD-2-Clause
"""Processes, their images and threads, as /proc, readelf and the kernel's own clock tell of them."""
import os
import re
import shutil
import subprocess
import sys
import time

from live import BIN, ENV, RECORD, equal, json_of, main, record, run, workspace

PROGRAM = os.path.join(BIN, "tests", "live", "programs", "read_write")  # static: it runs in an empty root


def build_id(path):
    return re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", path).stdout.decode()).group(1)


def cgroup(pid):
    with open(f"/proc/{pid}/cgroup") as file:
        return [line[3:].rstrip("\n") for line in file if line.startswith("0::")][0]


def images():
    """each image of a process: path from the host's root, build id, arguments - also when it is gone at once"""
    with workspace() as folder:
        root = f"{folder}/root"
        os.makedirs(f"{root}/bin")
        shutil.copy(PROGRAM, f"{root}/bin/prog")
        record(f"{folder}/t.tape", "unshare", "-m", "chroot", root, "/bin/prog", "unix",
               env={"FDTAPE_TRUTH": f"{folder}/truth"})
        items = json_of(f"{folder}/t.tape")
        found = [(i["exe"], i["build_id"], i["cmdline"]) for i in items if i["item"] == "process"]
        real = [os.path.realpath(shutil.which(name)) for name in ("unshare", "chroot")]
        command = ["unshare", "-m", "chroot", root, "/bin/prog", "unix"]
        equal("images", found, [(real[0], build_id(real[0]), " ".join(command)),
                                (real[1], build_id(real[1]), " ".join(command[2:])),
                                (f"{root}/bin/prog", build_id(PROGRAM), " ".join(command[4:]))])
        execs = [i for i in items if i["item"] == "event" and i["call"] == 1024]
        equal("execs", len(execs), 3)


THREADS = r"""
import ctypes, socket, threading, time
libc = ctypes.CDLL(None)
def name(text): libc.prctl(15, text, 0, 0, 0)
def talk():
    a, b = socket.socketpair(); a.send(b"x"); b.recv(1); a.close(); b.close()
def worker():
    talk()
    name(b"worker-7")
    talk()
    print(threading.get_native_id(), flush=True)
name(b"boss")
t = threading.Thread(target=worker); t.start(); t.join()
"""


def threads():
    """threads' names, as they take them"""
    with workspace() as folder:
        done = run(RECORD, "-q", "-o", f"{folder}/t.tape", "--", sys.executable, "-c", THREADS)
        tid = int(done.stdout)
        items = json_of(f"{folder}/t.tape")
        names = [i["comm"] for i in items if i["item"] == "thread" and i["tid"] == tid]
        equal("the thread's last name", names[-1:], ["worker-7"])
        equal("the process' last name", [i["comm"] for i in items if i["item"] == "process"][-1], "boss")
        equal("its calls are its own", {i["tid"] for i in items if i["item"] == "event" and i["call"] == 6}, {tid})


def before():
    """a process that was there before: start time, cgroup, executable, from /proc"""
    with workspace() as folder:
        begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        program = subprocess.Popen(["sleep", "60"], env=ENV)
        started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        try:
            run(RECORD, "-q", "-o", f"{folder}/t.tape", "-d", "200ms", "-p", str(program.pid))
            (p,) = [i for i in json_of(f"{folder}/t.tape") if i["item"] == "process"]
            equal("executable", p["exe"], os.path.realpath(f"/proc/{program.pid}/exe"))
            equal("build id", p["build_id"], build_id(p["exe"]))
            equal("cgroup", p["cgroup"], cgroup(program.pid))
            equal("parent", (p["ppid"], p["uid"]), (os.getpid(), os.geteuid()))
        finally:
            program.kill()
            program.wait()
        # /proc counts in ticks of 10 ms.
        if not begun - 20_000_000 <= p["started"] <= started:
            raise AssertionError(f"started at {p['started']}, which is not within {begun} .. {started}")


if __name__ == "__main__":
    main(images, threads, before)
