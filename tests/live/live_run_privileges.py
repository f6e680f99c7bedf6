# SPDX-License-Identifier: BSD-2-Clause
"""What the recorder may do: what it keeps, what its command gets, what it can without being root."""
import glob
import os
import re
import signal
import subprocess
import sys
import time

from live import ANALYZE, ENV, RECORD, Skip, certificate, equal, free_port, json_lines, main, record, run, server, workspace

NOBODY = 65534
CAPABILITIES = {"DAC_OVERRIDE": 1, "CHOWN": 0, "DAC_READ_SEARCH": 2, "KILL": 5, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "PERFMON": 38,
                "BPF": 39, "CHECKPOINT_RESTORE": 40}
# As before Linux 6.6, where probes of libraries take more.
PERF = {"FDTAPE_UPROBES": "perf"}
# A program that everybody may run, with a socket that carries 1000 bytes.
SOCKET = ["/usr/bin/python3", "-c", "import socket; a, b = socket.socketpair(); a.send(b'x' * 1000); print(len(b.recv(2000)))"]


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def names(mask):
    bits = {number: name for name, number in CAPABILITIES.items()}
    return {bits.get(i, i) for i in range(64) if int(mask, 16) >> i & 1}


def as_nobody(*command, capabilities=(), env=None):
    """Runs it as a user without rights, but for these capabilities."""
    held = ",".join(f"+{c}" for c in capabilities)
    some = ["--inh-caps", held, "--ambient-caps", held] if held else []
    return run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *some, *command, check=False, env=env or {})


class Running:
    """A recorder that is ready, until the block ends."""

    def __init__(self, *options, env=None, user=None):
        self.process = subprocess.Popen([RECORD, *options], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, env={**ENV, **(env or {})})
        self.ready = self.process.stderr.readline().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        _, self.errors = self.process.communicate(timeout=20)
        equal("status", (self.process.returncode, b"system call" in self.errors), (0, False))


def capabilities_left():
    """what is kept after attaching: only what the rest of the recording takes, and a filter of system calls"""
    always = {"BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"}
    attach = always | {"CHECKPOINT_RESTORE"}
    with workspace() as folder:
        os.mkdir(f"{folder}/theirs")
        os.chown(f"{folder}/theirs", NOBODY, NOBODY)
        tape, theirs = f"{folder}/x.tape", f"{folder}/theirs/x.tape"
        for options, env, expected in (
                (["-o", tape], {}, attach),
                (["-o", tape], PERF, attach | {"SYS_ADMIN"}),
                (["-o", tape, "--tls", "off"], {}, always),
                (["-o", theirs], {}, attach),
                (["-o", tape, "--rotate", "1M"], {}, attach),
                (["-o", theirs, "--rotate", "1M"], {}, attach | {"DAC_OVERRIDE"}),
                (["-o", theirs, "--last", "1s"], {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)},
                 attach | {"DAC_OVERRIDE", "CHOWN"})):
            with Running("-p", str(os.getpid()), *options, env=env) as recorder:
                now = status_of(recorder.process.pid)
                for which in ("CapEff", "CapPrm"):
                    equal(f"{which} with {options}", names(now[which]), expected)
                for which in ("CapBnd", "CapInh", "CapAmb"):
                    equal(which, names(now[which]), set())
                equal("filter", (now["Seccomp"], now["NoNewPrivs"]), ("2", "1"))
                equal("no core", os.stat(f"/proc/{recorder.process.pid}/environ").st_uid, 0)
        # With a command also what it takes to signal it.
        ready = f"{folder}/ready"
        process = subprocess.Popen([RECORD, "-q", "-o", tape, "--", "sh", "-c", f"touch {ready}; exec sleep 60"], env=ENV)
        while not os.path.exists(ready):
            time.sleep(0.05)
        equal("with a command", names(status_of(process.pid)["CapEff"]), attach | {"KILL"})
        process.terminate()
        equal("ended", process.wait(20), 128 + signal.SIGTERM)


def command_untouched():
    """the command has the user's own privileges, priority and no filter"""
    with workspace() as folder:
        show = ["sh", "-c", "grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid)' /proc/self/status; nice; cat /proc/self/limits"]
        bare = run(*show).stdout
        equal("root", run(RECORD, "-q", "-o", f"{folder}/x.tape", "--", *show).stdout, bare)
        os.chmod(folder, 0o777)
        caps = ("bpf", "perfmon")
        equal("nobody", as_nobody(RECORD, "-q", "--tls", "off", "-o", f"{folder}/y.tape", "--", *show, capabilities=caps).stdout,
              as_nobody(*show, capabilities=caps).stdout)


def setuid_command():
    """a command that has become another user is signalled all the same"""
    with workspace() as folder:
        ready = f"{folder}/ready"
        os.chmod(folder, 0o777)
        script = f"import os, time; os.setuid({NOBODY}); open({ready!r}, 'w'); time.sleep(60)"
        process = subprocess.Popen([RECORD, "-q", "-o", f"{folder}/x.tape", "--", "/usr/bin/python3", "-c", script], env=ENV)
        while not os.path.exists(ready):
            time.sleep(0.05)
        process.terminate()
        equal("ended", process.wait(20), 128 + signal.SIGTERM)


def without_root():
    """CAP_BPF and CAP_PERFMON record sockets; where TLS takes more it is refused in one line, or fails if asked for"""
    with workspace() as folder:
        os.chmod(folder, 0o777)
        tape, caps = f"{folder}/x.tape", ("bpf", "perfmon")
        for options, lines in ((["--tls", "auto"], 2), (["--tls", "off"], 1), ([], 2)):
            done = as_nobody(RECORD, "-o", tape, *options, "--", *SOCKET, capabilities=caps, env=PERF)
            equal("status", (done.returncode, done.stdout), (0, b"1000\n"))
            equal("lines", done.stderr.count(b"\n"), lines)
            equal("said", b"TLS is not recorded: the kernel refuses probes of libraries without CAP_SYS_ADMIN" in done.stderr,
                  lines == 2)
            flows = [f for f in json_lines("flows", tape) if f["in"]["bytes"] + f["out"]["bytes"]]
            equal("flows", sorted((f["in"]["captured"], f["out"]["captured"]) for f in flows), [(0, 1000), (1000, 0)])
            equal("owner", (os.stat(tape).st_uid, os.stat(tape).st_mode & 0o777), (NOBODY, 0o600))
            os.unlink(tape)
        for mode in ("keys", "calls"):
            for end, status in ((["--", *SOCKET], 125), (["-a"], 4)):
                done = as_nobody(RECORD, "-o", tape, "--tls", mode, *end, capabilities=caps, env=PERF)
                equal("status", (done.returncode, done.stdout, done.stderr.count(b"\n")), (status, b"", 1))
                equal("nothing is left", os.listdir(folder), [])
        done = as_nobody(RECORD, "--rotate", "64K", "-o", tape, "--tls", "off", "--", *SOCKET, capabilities=caps)
        equal("a chain", (done.returncode, os.listdir(folder)), (0, ["x-000001.tape"]))


def tls_without_root():
    """where the kernel has uprobe_multi CAP_BPF and CAP_PERFMON are enough for TLS, too"""
    done = as_nobody(RECORD, "--check", capabilities=("bpf", "perfmon"))
    if b"uprobe_multi" not in done.stdout:
        raise Skip("this kernel has none")
    with workspace() as folder:
        os.chmod(folder, 0o777)
        port, tape = free_port(), f"{folder}/x.tape"
        cert, key = certificate(folder)
        with server("openssl", "s_server", "-quiet", "-www", "-cert", cert, "-key", key, "-accept", str(port), port=port):
            done = as_nobody(RECORD, "-q", "-o", tape, "--", "curl", "-sSk", "-o", "/dev/null", f"https://127.0.0.1:{port}/",
                             capabilities=("bpf", "perfmon"))
        equal("said", (done.returncode, done.stderr), (0, b""))
        exchanges = [(h["status"], h["path"], h["complete"]) for h in json_lines("http", tape)]
        equal("exchanges", exchanges, [(200, "/", True)])


def chain_in_their_folder():
    """root goes on with a chain in a folder that is closed to root without CAP_DAC_OVERRIDE"""
    with workspace() as folder:
        os.chown(folder, NOBODY, NOBODY)
        os.chmod(folder, 0o700)
        flood = "import os, socket\na, b = socket.socketpair()\nfor i in range(200):\n    a.send(os.urandom(4096)); b.recv(8192)"
        done = record(f"{folder}/x.tape", sys.executable, "-c", flood, options=["--rotate", "100K", "-q"])
        equal("said", (done.returncode, done.stderr), (0, b""))
        tapes = glob.glob(f"{folder}/x-*.tape")
        equal("tapes", len(tapes) > 3, True)
        for tape in tapes:
            equal("verify", run(ANALYZE, "verify", tape, check=False).returncode, 0)


def sudo():
    """under sudo a new tape belongs to who called it, but only where that user could have made it"""
    env = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    with workspace() as folder:
        for name, owner, mode in (("home", NOBODY, 0o755), ("tmp", 0, 0o1777), ("etc", 0, 0o755)):
            os.mkdir(f"{folder}/{name}")
            os.chown(f"{folder}/{name}", owner, owner)
            os.chmod(f"{folder}/{name}", mode)
        with open(f"{folder}/home/roots", "wb"):
            pass
        for place, owner in (("home/x.tape", NOBODY), ("tmp/x.tape", NOBODY), ("etc/x.tape", 0), ("home/roots", 0)):
            record(f"{folder}/{place}", "true", env=env)
            equal(place, (os.stat(f"{folder}/{place}").st_uid, os.stat(f"{folder}/{place}").st_mode & 0o777), (owner, 0o600))
        record(f"{folder}/home/chain.tape", "true", options=["--rotate", "64K"], env=env)
        equal("chain", os.stat(f"{folder}/home/chain-000001.tape").st_uid, NOBODY)


def check():
    """--check: one line each, 0 where a recording is possible, 1 where it is not; it needs no privilege"""
    def lines(done):
        found = [re.fullmatch(r"(ok|no)  (\S+) +(\S.*)", line) for line in done.stdout.decode().splitlines()]
        equal("every line", None in found, False)
        equal("nothing else", done.stderr, b"")
        return [(f[1], f[2], f[3]) for f in found]
    mine = lines(run(RECORD, "--check"))
    equal("as root", mine[-1][:2], ("ok", "recording"))
    for name in ("kernel", "btf", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "bpf", "uprobes", "tracefs",
                 "cgroup2", "pid_namespace", "memlock", "io_uring", "lockdown", "tls_library"):
        equal(f"says of {name}", name in [n for _, n, _ in mine], True)
    equal("finds OpenSSL", any(n == "tls_library" and "SSL_write" in text for _, n, text in mine), True)
    done = as_nobody(RECORD, "--check")
    theirs = {name: ok for ok, name, _ in lines(done)}
    equal("as nobody", (done.returncode, theirs["recording"], theirs["bpf"], theirs["CAP_BPF"], theirs["kernel"]),
          (1, "no", "no", "no", "ok"))
    done = as_nobody(RECORD, "--check", capabilities=("bpf", "perfmon"), env=PERF)
    theirs = {name: (ok, text) for ok, name, text in lines(done)}
    equal("with two capabilities", (done.returncode, theirs["recording"], theirs["uprobes"][0]),
          (0, ("ok", "possible, without TLS keys and plaintext"), "no"))
    done = as_nobody(RECORD, "--check", "--tls", "keys", capabilities=("bpf", "perfmon"), env=PERF)
    equal("TLS asked for", (done.returncode, lines(done)[-1][2]), (1, "not possible: see uprobes above"))
    equal("records nothing", run(RECORD, "--check", "-o", "/no/such/folder/x.tape", "--", "false").returncode, 0)


def other_pid_namespace():
    """in a container's pid namespace --check says that pids are not the kernel's"""
    done = run("unshare", "--pid", "--fork", "--mount-proc", RECORD, "--check", "-p", "1", check=False)
    if b"unshare" in done.stderr:
        print(f"# {done.stderr.decode().strip()}")
        return
    line = [found for found in done.stdout.decode().splitlines() if "pid_namespace" in found][0]
    equal("said", (done.returncode, line.startswith("no  pid_namespace"), "--pid=host" in line), (1, True, True))


main(capabilities_left, command_untouched, setuid_command, without_root, tls_without_root, chain_in_their_folder, sudo, check, other_pid_namespace)
