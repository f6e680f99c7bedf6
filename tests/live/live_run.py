# SPDX-License-Identifier: BSD-2-Clause
"""How a recording runs and ends: bounds, chains of tapes, progress, the closing line, signals, pipes."""
import fcntl
import glob
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

from live import (ANALYZE, ENV, RECORD, REPLAY, certificate, closing, equal, free_port, info, json_lines, main, nginx, nginx_config, read,
                  record, run, workspace)

BODY = 3000
# Requests that can be told apart, over one connection or one for each.
CLIENT = r"""
import http.client, ssl, sys, time
port, first, n, keep, pause = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "keep", float(sys.argv[5])
c = tls = None
if len(sys.argv) > 6:
    tls = ssl._create_unverified_context()
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion[sys.argv[6]]
for i in range(first, first + n):
    if not c or not keep:
        c = http.client.HTTPSConnection("127.0.0.1", port, context=tls) if tls else http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", f"/n-{i:05}")
    assert len(c.getresponse().read()) == %d
    time.sleep(pause)
""" % BODY


def client(port, n, keep=True, first=0, pause=0.0, tls=None):
    return [sys.executable, "-c", CLIENT, str(port), str(first), str(n), "keep" if keep else "new", str(pause)] + ([tls] if tls else [])


def numbered_site(folder, port, listens=""):
    """Every path gives the same bytes, which don't compress."""
    os.makedirs(f"{folder}/www")
    with open(f"{folder}/www/body", "wb") as file:
        file.write(os.urandom(BODY))
    return nginx(nginx_config(folder, f"server {{ listen 127.0.0.1:{port} {listens}; root {folder}/www; "
                                      "location / { rewrite ^ /body break; } }"), port)


def paths(*tapes, ports=None):
    """What was asked for and answered in full; of these servers only, where others' programs may have been chosen too."""
    return [h["path"] for h in json_lines("http", *tapes) if h["complete"] and h["status"] == 200 and
            h["response_body_bytes"] == BODY and (ports is None or h["authority"].rsplit(":", 1)[-1] in map(str, ports))]


def chain(folder, name="chain"):
    return sorted(glob.glob(f"{folder}/{name}-*.tape"))


def properties(tape):
    return info(tape)["sections"][0]["properties"]


def rotate():
    """--rotate: each tape is complete in itself and near its size, and together they hold every request"""
    with workspace() as folder:
        port = free_port()
        with numbered_site(folder, port):
            done = record(f"{folder}/chain.tape", *client(port, 400), options=["--rotate", "100K"])
        tapes = chain(folder)
        equal("a chain", len(tapes) > 8, True)
        equal("names", [os.path.basename(t) for t in tapes], [f"chain-{i:06}.tape" for i in range(1, len(tapes) + 1)])
        equal("no other", sorted(glob.glob(f"{folder}/*.tape")), tapes)
        for tape in tapes:
            equal("verify", run(ANALYZE, "verify", tape, check=False).returncode, 0)
            equal("mode", os.stat(tape).st_mode & 0o777, 0o600)
            for f in json_lines("flows", tape):
                for side in ("in", "out"):
                    equal("nothing is missing", (f[side]["lost"], f[side]["captured"]), (0, f[side]["bytes"]))
        for tape in tapes[:-1]:
            equal("size", 100 << 10 <= os.stat(tape).st_size <= 150 << 10, True)
        equal("requests", sorted(paths(*tapes)), [f"/n-{i:05}" for i in range(400)])
        said, each = closing(done.stderr), [info(t) for t in tapes]
        equal("tapes", said["tapes"], len(tapes))
        equal("events", said["events"], sum(i["events"] for i in each))
        equal("bytes", said["bytes"], sum(i[side]["bytes"] for i in each for side in ("in", "out")))
        (flow,) = json_lines("flows", *reversed(tapes))  # the connection goes on from tape to tape, whatever order they are named in
        equal("its bytes", said["bytes"], flow["in"]["bytes"] + flow["out"]["bytes"])
        equal("its beginning", (flow["flow"], flow["opened"] is not None), (1, True))
        run(REPLAY, "--to", f"{folder}/merged", *tapes)
        equal("merged", sorted(paths(f"{folder}/merged")), [f"/n-{i:05}" for i in range(400)])
        equal("with one missing, flows", len(json_lines("flows", *tapes[:3], *tapes[4:])), 2)


def rotate_tls():
    """--rotate --lean: of a TLS connection that outlives its tape, the tapes together hold every request"""
    with workspace() as folder:
        port = free_port()
        cert, key = certificate(folder)
        with numbered_site(folder, port, f"ssl; ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3"):
            for version in ("TLSv1_2", "TLSv1_3"):
                record(f"{folder}/{version}.tape", *client(port, 200, tls=version), options=["--lean", "--rotate", "100K"])
                tapes = chain(folder, version)
                equal("a chain", len(tapes) > 4, True)
                equal("requests", sorted(paths(*tapes)), [f"/n-{i:05}" for i in range(200)])
                (flow,) = json_lines("flows", *tapes)
                equal("the flow", (flow["tls"]["version"], flow["tls"]["plaintext"]), (version.replace("_", "."), "wire"))
                secrets = info(tapes[0])["secrets"]
                equal("each has its secrets", [info(t)["secrets"] for t in tapes], [secrets] * len(tapes))
                equal("together they are as many", info(*tapes)["secrets"], secrets)
                # One that begins within a record is not; where it does is for the machine's load to say.
                alone = [len([h for h in json_lines("http", t) if h["complete"]]) for t in tapes[1:]]
                equal("later tapes alone are decrypted", max(alone) > 10, True)
                cut, half = f"{folder}/cut", json_lines("http", *tapes)[100]["start"]
                run(REPLAY, "--to", cut, "--since", half, *tapes)
                equal("the later half, cut out", [h["path"] for h in json_lines("http", cut) if h["complete"]],
                      [f"/n-{i:05}" for i in range(100, 200)])


def keep():
    """--keep: the newest tapes stay; a recorder that is started again goes on behind them"""
    with workspace() as folder:
        port = free_port()
        with open(f"{folder}/chain-7.tape", "wb") as file:  # not of the chain: its number has too few digits
            file.write(b"mine")
        with numbered_site(folder, port):
            record(f"{folder}/chain.tape", *client(port, 300), options=["--rotate", "100K", "--keep", "3"])
            first = [t for t in chain(folder) if not t.endswith("chain-7.tape")]
            record(f"{folder}/chain.tape", *client(port, 10, first=300), options=["--rotate", "100K", "--keep", "3"])
        second = [t for t in chain(folder) if not t.endswith("chain-7.tape")]
        equal("kept", (len(first), len(second)), (3, 3))
        equal("another's file", read(f"{folder}/chain-7.tape"), b"mine")
        equal("went on", (second[:2], os.path.basename(second[2])),
              (first[1:], f"chain-{int(first[2][-11:-5]) + 1:06}.tape"))
        equal("the newest requests", sorted(paths(*second))[-20:], [f"/n-{i:05}" for i in range(290, 310)])


def max_size():
    """--max-size: the tape is ended by itself and is sound, and the command runs on"""
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with numbered_site(folder, port):
            done = record(tape, *client(port, 2000), options=["--max-size", "512K"])
        equal("the command's status", done.returncode, 0)
        said, there = closing(done.stderr), info(tape)
        equal("ended by", said["ended"], "--max-size")
        equal("size", 512 << 10 <= os.stat(tape).st_size <= (512 + 128) << 10, True)
        equal("verify", run(ANALYZE, "verify", tape, check=False).returncode, 0)
        equal("figures", (said["events"], said["bytes"]), (there["events"], there["in"]["bytes"] + there["out"]["bytes"]))
        asked = paths(tape)
        equal("what was before", asked, [f"/n-{i:05}" for i in range(len(asked))])
        equal("some of them", 100 < len(asked) < 400, True)


def rotate_max_size():
    """--rotate with --max-size: all tapes together"""
    with workspace() as folder:
        port = free_port()
        with numbered_site(folder, port):
            done = record(f"{folder}/chain.tape", *client(port, 2000), options=["--rotate", "128K", "--max-size", "512K"])
        size = sum(os.stat(t).st_size for t in chain(folder))
        equal("size", 512 << 10 <= size <= (512 + 64) << 10, True)
        equal("ended", (closing(done.stderr)["ended"], closing(done.stderr)["tapes"]), ("--max-size", len(chain(folder))))


def closing_line():
    """the closing line's figures are those of the tape, and say why something is missing"""
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with numbered_site(folder, port):
            for options, cut in (([], False), (["--snaplen", "100"], True), (["--headers-only"], True)):
                done = record(tape, *client(port, 20), options=options)
                said, there = closing(done.stderr), info(tape)
                carried = sum(there[side]["bytes"] for side in ("in", "out"))
                captured = sum(there[side]["captured"] for side in ("in", "out"))
                equal("figures", (said["events"], said["bytes"], said["captured"], said["lost"], said["flows"]),
                      (there["events"], carried, captured, carried - captured, there["flows"]))
                equal("reconciled", said["bytes"], said["captured"] + said["lost"])
                equal("carried", carried >= 20 * BODY, True)
                equal("cut", (said["lost"] > 0, said["missing"] is not None), (cut, cut))
                if cut:
                    equal("why", said["missing"].endswith(f" x left out by snaplen ({said['lost']} bytes)") or
                          "snaplen" in said["missing"], True)
        equal("quiet", record(tape, "true", options=["-q"]).stderr, b"")


class OnTerminal:
    """A recorder whose standard error is a terminal of this width."""

    def __init__(self, width, *arguments):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self.process = subprocess.Popen([RECORD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=slave, env=ENV)
        os.close(slave)
        self.got = b""

    def first_line(self):
        """Waits until it has said that it records."""
        while b"\n" not in self.got:
            self.got += os.read(self.master, 65536)

    def text(self):
        """Everything that was written, up to its end."""
        got = self.got
        try:
            while data := os.read(self.master, 65536):
                got += data
        except OSError:  # how a terminal ends
            pass
        os.close(self.master)
        self.status = self.process.wait(20)
        return got.decode()


def progress():
    """on a terminal one line tells how it goes, fits, and is gone at the end; not with -q, not into a file"""
    with workspace() as folder:
        port = free_port()
        with numbered_site(folder, port) as server:
            for width in (80, 30):
                recorder = OnTerminal(width, "-o", f"{folder}/x.tape", "-p", str(server.pid))
                recorder.first_line()
                run(*client(port, 200))
                time.sleep(2.2)
                recorder.process.send_signal(signal.SIGINT)
                text = recorder.text()
                equal("status", recorder.status, 0)
                first, *_, last = text.replace("\r\n", "\n").rstrip("\n").split("\n")
                equal("first line", first.startswith("fdtape-record: recording to "), True)
                equal("last line", last.rsplit("\r", 1)[1].startswith("fdtape-record: "), True)
                shown = [s for s in last.split("\r")[:-1] if s.strip()]
                equal("shown", len(shown) >= 3, True)
                equal("fits", max(len(s) for s in last.split("\r")[:-1]) < width, True)
                wiped = last.split("\r")[-2]
                equal("wiped", (wiped.strip(), len(wiped)), ("", len(shown[-1].rstrip())))
                if width == 80:
                    said = re.sub(r"[\d.]+ [KM]iB", "SIZE", re.sub(r"\d+ s: \d+ ", "N s: N ", shown[-1].rstrip()))
                    equal("says", said, "N s: N events/s, SIZE, 0 B and 0 events lost, tape SIZE")
                    equal("no escapes", "\x1b" in text, False)
            recorder = OnTerminal(80, "-q", "-o", f"{folder}/x.tape", "-d", "1.2s", "-p", str(server.pid))
            equal("quiet", recorder.text(), "")
            recorder = OnTerminal(80, "-o", f"{folder}/x.tape", "--", "sleep", "1")
            equal("a command has the terminal to itself", recorder.text().count("events"), 1)
            done = run(RECORD, "-o", f"{folder}/x.tape", "-d", "1.2s", "-p", str(server.pid))
            equal("a file", (done.stderr.count(b"\r"), done.stderr.count(b"\n")), (0, 2))


def interrupted():
    """SIGINT, SIGTERM, SIGHUP to a recording: the command gets it, the tape is whole, and who ended it is said"""
    with workspace() as folder:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            ready, tape = f"{folder}/ready-{number}", f"{folder}/{number}.tape"
            script = f"import time, signal\nsignal.signal({number}, lambda *_: exit(40))\nopen({ready!r}, 'w')\ntime.sleep(60)"
            process = subprocess.Popen([RECORD, "-o", tape, "--", sys.executable, "-c", script], stderr=subprocess.PIPE, env=ENV)
            for _ in range(200):
                if os.path.exists(ready):
                    break
                time.sleep(0.05)
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
            equal("status", process.returncode, 40)
            equal("said", closing(errors)["ended"], signal.Signals(number).name)
            equal("verify", run(ANALYZE, "verify", tape, check=False).returncode, 0)


def outlived():
    """a command that outlives its recording still gets the signals that we get"""
    with workspace() as folder:
        ready = f"{folder}/ready"
        script = f"import time, signal\nsignal.signal(15, lambda *_: exit(41))\ntime.sleep(1)\nopen({ready!r}, 'w')\ntime.sleep(60)"
        process = subprocess.Popen([RECORD, "-d", "300ms", "-o", f"{folder}/x.tape", "--", sys.executable, "-c", script],
                                   stderr=subprocess.PIPE, env=ENV)
        equal("ended", closing(process.stderr.readline())["ended"], "--duration")
        for _ in range(200):
            if os.path.exists(ready):
                break
            time.sleep(0.05)
        process.terminate()
        equal("status", process.wait(20), 41)
        process.stderr.close()


def signals_as_before():
    """the command has the signal mask and dispositions that the recorder was started with"""
    with workspace() as folder:
        show = ["sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status"]
        for ignored in ((), (signal.SIGPIPE, signal.SIGHUP), (signal.SIGXFSZ,)):
            def prepare(which=ignored):
                for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN if number in which else signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR2])
            bare = run(*show, preexec_fn=prepare).stdout
            recorded = run(RECORD, "-q", "-o", f"{folder}/x.tape", "--", *show, preexec_fn=prepare).stdout
            equal("signals", recorded, bare)


def piped_chain():
    """-o - gives the same into a pipe as into a file, and its bounds hold"""
    with workspace() as folder:
        port = free_port()
        with numbered_site(folder, port):
            command = " ".join(f"'{w}'" for w in client(port, 50))
            done = run("sh", "-c", f"'{RECORD}' -o - -- {command} >'{folder}/x.tape'")
            equal("requests", paths(f"{folder}/x.tape"), [f"/n-{i:05}" for i in range(50)])
            equal("figures", closing(done.stderr)["events"], info(f"{folder}/x.tape")["events"])
            run("sh", "-c", f"'{RECORD}' -q --max-size 64K -o - -- {command} | cat >'{folder}/y.tape'")
            equal("size", os.stat(f"{folder}/y.tape").st_size <= 80 << 10, True)
            equal("verify", run(ANALYZE, "verify", f"{folder}/y.tape", check=False).returncode, 0)


def chosen_running():
    """-e, --comm, --trace choose processes that run already; the tape says what was chosen"""
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with numbered_site(folder, port):
            for number, (options, choice) in enumerate((
                    (["-e", f"{os.path.basename(sys.executable)}-not"], None),
                    (["-e", "/nginx"], "exe.glob:*/nginx*"),
                    (["-e", "ngin[xy]"], "exe.glob:*/ngin[xy]"),
                    (["--comm", "nginx"], "comm:nginx"),
                    (["--trace", "mod:socket,exe.contains:sbin/nginx"], "exe.glob:*sbin/nginx*"),
                    (["--bpf-trace", "exe.glob:/usr/sbin/ngin?"], "exe.glob:/usr/sbin/ngin?"))):
                process = subprocess.Popen([RECORD, "-o", tape, *options], stderr=subprocess.PIPE, env=ENV)
                line = process.stderr.readline().decode()
                equal("chosen", re.search(r"\((\d+) running", line)[1] != "0", choice is not None)
                run(*client(port, 3, first=number * 10))
                process.terminate()
                process.communicate(timeout=20)
                equal("status", process.returncode, 0)
                if choice:
                    equal("requests", sorted(paths(tape, ports=[port])), [f"/n-{number * 10 + i:05}" for i in range(3)])
                    equal("record.choice", properties(tape)["record.choice"], choice)
                    equal("record.tls", properties(tape)["record.tls"], "off" if "mod:socket" in options[-1] else "auto")


def chosen_future():
    """what starts later is chosen as well, in the kernel; several kinds of choices must all agree"""
    mounts = [line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8") if " - cgroup2 " in line]
    port, other = free_port(), free_port()
    with workspace() as folder:
        group = f"{mounts[0]}/docker-{os.getpid():064x}.scope" if mounts else None
        tape, body = f"{folder}/x.tape", "location / { rewrite ^ /body break; }"
        os.makedirs(f"{folder}/www")
        with open(f"{folder}/www/body", "wb") as file:
            file.write(os.urandom(BODY))
        config = nginx_config(folder, f"server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{other}; root {folder}/www; {body} }}")

        def fetch(path, to=port):
            return ["curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{to}/{path}"]
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        everything = {"/curl", "/nobody", "/other", "/python"} | ({"/group"} if group else set())
        cases = [(["-e", "/curl"], everything - {"/python"}),
                 (["-e", "curl", "-e", "python"], everything),
                 (["-e", "cur[k-m]", "--uid", "65534"], {"/nobody"}),
                 (["--comm", "curl", "--uid", "root"], everything - {"/python", "/nobody"}),
                 (["--comm", "curl", "--port", str(other)], {"/other"}),
                 (["--trace", f"mod:socket,exe.contains:curl,port:{other}"], {"/other"})]
        if group:
            os.mkdir(group)
            cases += [(["--cgroup", group], {"/group"}), (["--container", f"{os.getpid():064x}"], {"/group"})]
        try:
            with nginx(config, port):
                for options, expected in cases:
                    process = subprocess.Popen([RECORD, "-o", tape, *options], stderr=subprocess.PIPE, env=ENV)
                    process.stderr.readline()
                    run(*fetch("curl"))
                    run(*nobody, *fetch("nobody"))
                    run(*fetch("other", other))
                    run(sys.executable, "-c", "import urllib.request as u; "
                                              f"u.urlopen('http://127.0.0.1:{port}/python').read()")
                    if group:
                        run("sh", "-c", f"echo $$ >'{group}/cgroup.procs'; exec \"$@\"", "sh", *fetch("group"))
                    process.terminate()
                    _, errors = process.communicate(timeout=20)
                    equal(f"status with {options}", (process.returncode, b"system call" in errors), (0, False))
                    equal(f"seen with {options}", set(paths(tape, ports=[port, other])), expected)
                # A command, and of what it runs only this executable.
                script = " ; ".join(" ".join(c) for c in (fetch("mine"), [*nobody, *fetch("mine-nobody")]))
                record(tape, "sh", "-c", f"{script}; {sys.executable} -c 'import urllib.request as u; "
                                         f"u.urlopen(\"http://127.0.0.1:{port}/mine-python\").read()'",
                       options=["-e", "*/curl"])
                equal("of a command", {h["path"] for h in json_lines("http", tape)}, {"/mine", "/mine-nobody"})
        finally:
            if group:
                os.rmdir(group)


def failed_set_up():
    """a recording that can't begin leaves no file behind, and no command runs"""
    with workspace() as folder:
        done = run(RECORD, "-o", f"{folder}/x.tape", "-p", "2147483646", check=False)
        equal("status", (done.returncode, done.stderr), (4, b"fdtape-record: there is no process 2147483646\n"))
        done = run(RECORD, "--rotate", "1M", "-o", f"{folder}/x.tape", "-p", "2147483646", "--", "touch", f"{folder}/ran", check=False)
        equal("status", done.returncode, 125)
        equal("nothing", os.listdir(folder), [])
        with open(f"{folder}/old.tape", "wb"):
            pass
        run(RECORD, "-o", f"{folder}/old.tape", "-p", "2147483646", check=False)
        equal("what was there stays", os.listdir(folder), ["old.tape"])


def containers():
    """--cgroup and --container find the folder, and say which there are"""
    mounts = [line.split() for line in open("/proc/self/mountinfo", encoding="utf-8") if " - cgroup2 " in line]
    if not mounts:
        print("# no cgroup2 tree is mounted: nothing to look at")
        return
    top = f"{mounts[0][4]}/fdtape-live-{os.getpid()}"
    ids = [c * 12 + f"{os.getpid():052x}" for c in "abc"]
    folders = [top, f"{top}/docker-{ids[0]}.scope", f"{top}/{ids[1]}", f"{top}/libpod-conmon-{ids[2]}.scope",
               f"{top}/libpod-{ids[2]}.scope", f"{top}/libpod-{ids[2]}.scope/container"]
    try:
        for folder in folders:
            os.mkdir(folder)
        for given in (f"{top}/{ids[1]}", f"{top}/{ids[1]}"[len(mounts[0][4]):], f"{top}/{ids[1]}"[len(mounts[0][4]) + 1:]):
            equal("by path", run(RECORD, "--check", "--cgroup", given).returncode, 0)
        for full in ids:
            for id in (full[:12], full):
                equal("by id", run(RECORD, "--check", "--container", id).returncode, 0)
        os.mkdir(f"{top}/cri-containerd-{ids[0][:-1]}f.scope" if ids[0][-1] != "f" else f"{top}/crio-{ids[0][:-1]}0.scope")
        folders.append(f"{top}/cri-containerd-{ids[0][:-1]}f.scope" if ids[0][-1] != "f" else f"{top}/crio-{ids[0][:-1]}0.scope")
        done = run(RECORD, "--container", ids[0][:12], check=False)
        equal("ambiguous", (done.returncode, b"2 containers have ids that begin with aaaaaaaaaaaa; give more digits" in done.stderr),
              (2, True))
        done = run(RECORD, "--container", "00000000beef", check=False)
        equal("unknown", (done.returncode, b"bbbbbbbbbbbb" in done.stderr), (2, True))
        with workspace() as folder:
            run(RECORD, "-q", "-d", "100ms", "-o", f"{folder}/x.tape", "--container", ids[2][:8])
            equal("record.choice", properties(f"{folder}/x.tape")["record.choice"],
                  f"all,cgroup:{folders[4][len(mounts[0][4]):]}")
    finally:
        for folder in reversed(folders):
            if os.path.isdir(folder):
                os.rmdir(folder)


main(rotate, rotate_tls, keep, max_size, rotate_max_size, closing_line, progress, interrupted, outlived, signals_as_before, piped_chain,
     chosen_running, chosen_future, failed_set_up, containers)
