# SPDX-License-Identifier: BSD-2-Clause
"""Choosing in the kernel: processes that run already and ones that start later, chosen and not chosen, side by side.

Each actor is a copy of bash that sends a word of its own to a server of ours, which notes from which port it came. All
of them do the same at the same time; what differs is what they are.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import threading

from live import ENV, RECORD, Skip, analyze, certificate, equal, free_port, json_lines, json_of, main, port_of, recording, run, \
    server, stream, whole, workspace
from tls_live import keylog_lines

# Probes of libraries would add a second to the end of each recording.
CLEAR = ("--tls", "off")

# One connection for each line: a port and a word; or a name to take. No child is forked, nothing else is opened.
TALK = r"""
while read -r port word; do
  [ $port = name ] && { printf %s "$word" >/proc/$$/comm; echo; continue; }
  exec 3<>/dev/tcp/127.0.0.1/$port; printf '%s\n' "$word" >&3; read -r -u 3 x; exec 3>&-; echo $x
done"""


class Echo:
    """Answers each word with itself, and keeps (word, client's port)."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port, self.heard = self.listening.getsockname()[1], {}
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, (_, place) = self.listening.accept()
                with connection:
                    word = b""
                    while not word.endswith(b"\n"):
                        word += connection.recv(1000) or b"\n"
                    self.heard[word.decode().strip()] = place
                    connection.sendall(word)

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


class Actor:
    """A program that talks when it is told to, until it is let go."""

    def __init__(self, *command):
        self.process = subprocess.Popen([*command, "-c", TALK], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=ENV)
        self.pid = self.process.pid

    def talk(self, port, word):
        self.process.stdin.write(f"{port} {word}\n".encode())
        self.process.stdin.flush()
        equal("the echo", self.process.stdout.readline(), f"{word}\n".encode())

    def call(self, name):
        """Gives it another name."""
        self.process.stdin.write(f"name {name}\n".encode())
        self.process.stdin.flush()
        self.process.stdout.readline()
        with open(f"/proc/{self.pid}/comm") as file:
            equal("its name", file.read(), f"{name}\n")

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


class Stage:
    def __init__(self, folder):
        self.folder, self.echo, self.actors, self.pids = folder, Echo(), [], {}

    def program(self, name):
        path = f"{self.folder}/{name}"
        if not os.path.exists(path):
            shutil.copy("/bin/bash", path)
        return path

    def actor(self, *command):
        self.actors.append(Actor(*command))
        return self.actors[-1]

    def say(self, actor, word, port=None):
        """Lets it talk; the word belongs to its pid."""
        actor.talk(port or self.echo.port, word)
        self.pids[word] = actor.pid

    def once(self, word, *command):
        """A process that lives for one connection only."""
        actor = Actor(*command)
        self.say(actor, word)
        actor.end()

    def end_actors(self):
        while self.actors:
            self.actors.pop().end()

    def end(self):
        self.end_actors()
        self.echo.close()


@contextlib.contextmanager
def stage():
    with workspace() as folder:
        s = Stage(folder)
        try:
            yield s
        finally:
            s.end()


def equal_words(s, tape, said, words, others=None):
    """The tape holds these words, each on the connection that the server saw it come from, of the process that said it;
    and of no other process anything at all; or, with `others`, no call but of those."""
    clients = [f for f in whole(tape, said) if f["role"] == "client"]
    expected = sorted((word, s.echo.heard[word], s.pids[word]) for word in words)
    for side in ("out", "in"):  # bash writes to a descriptor by way of its standard output: another flow of the same socket
        equal(side, sorted((stream(tape, f, side).decode().strip(), port_of(f["local"]), f["pid"])
                           for f in clients if f[side]["bytes"]), expected)
    there = {e["pid"] for e in json_lines("log", tape) if others is None or not e["msg"].startswith("process/")}
    equal("processes", there, {s.pids[word] for word in words} | (others or set()))


def choose(s, options, chosen, others):
    """`chosen` and `others` are commands; of each one runs before the recording, one after, one for a moment."""
    tape = f"{s.folder}/x.tape"
    before = [(s.actor(*command), name) for command, name in ((chosen, "yes"), (others, "no"))]
    for actor, name in before:
        s.say(actor, f"{name}-unrecorded")
    with recording(tape, *CLEAR, *options) as recorder:
        for command, name in ((chosen, "yes"), (others, "no")):
            s.once(f"{name}-short", *command)
        for actor, name in before:
            s.say(actor, f"{name}-before")
            s.say(actor, f"{name}-again")
        for command, name in ((chosen, "yes"), (others, "no")):
            s.say(s.actor(*command), f"{name}-later")
    equal_words(s, tape, recorder.said, ["yes-short", "yes-before", "yes-again", "yes-later"])


def exe():
    """--exe: a part of the path, running and later ones"""
    with stage() as s:
        choose(s, ["--exe", f"{os.path.basename(s.folder)}/actor-a"], [s.program("actor-a1")], [s.program("actor-b1")])


def exe_glob():
    """--exe with a pattern"""
    with stage() as s:
        choose(s, ["-e", "actor-[a-c]?x"], [s.program("actor-b7x")], [s.program("actor-b7xx")])


def trace():
    """--trace mod:socket,exe.contains:"""
    with stage() as s:
        choose(s, ["--trace", "mod:socket,exe.contains:chosen-actor"], [s.program("a-chosen-actor")], [s.program("chosen")])


def comm():
    """--comm: the whole name, of running and later ones"""
    with stage() as s:
        choose(s, ["--comm", "actor-comm"], [s.program("actor-comm")], [s.program("actor-comm2")])


def uid():
    """--uid: who runs it, whatever it is"""
    with stage() as s:
        program = s.program("actor")

        def of(user):
            return ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", program]
        choose(s, ["--uid", "54321"], of(54321), of(54322))


def exe_and_uid():
    """--exe and --uid: both must agree"""
    with stage() as s:
        program, other = s.program("actor-a"), s.program("other")

        def of(user, what):
            return ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", what]
        third = s.actor(*of(54321, other))
        fourth = s.actor(*of(54322, program))
        s.say(third, "no-third")
        s.say(fourth, "no-fourth")
        choose(s, ["--uid", "54321", "-e", "actor-a"], of(54321, program), of(54322, other))


@contextlib.contextmanager
def cgroups(s, *names):
    """Folders below one of our own, whose path it gives; the actors in them end before they do."""
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split()[4] for line in file if line.split(" - ")[1].split()[0] == "cgroup2"]
    if not mounts:
        raise Skip("cgroup2 is not mounted")
    path = f"{mounts[0]}/fdtape-live-{os.getpid()}"
    with contextlib.ExitStack() as folders:
        for name in ("", *names):
            try:
                os.mkdir(path + name)
            except OSError as error:
                raise Skip(f"no cgroup can be made: {error}") from error
            folders.callback(os.rmdir, path + name)
        folders.callback(s.end_actors)
        yield path


def cgroup():
    """--cgroup: a folder and those below it, processes that are in it and ones that come"""
    with stage() as s, cgroups(s, "/below", "-other") as path:
        def within(name):
            return ["sh", "-c", f'echo $$ >{path}{name}/cgroup.procs && exec "$@"', "sh", s.program("actor")]
        choose(s, ["--cgroup", path], within("/below"), within("-other"))


def cgroup_moved():
    """--cgroup: one that is moved in is recorded from then on, and one that is moved out no more"""
    with stage() as s, cgroups(s, "-other") as path:
        tape, actor = f"{s.folder}/x.tape", s.actor(s.program("actor"))

        def move(name):
            with open(f"{path}{name}/cgroup.procs", "w") as file:
                file.write(str(actor.pid))
        with recording(tape, *CLEAR, "--cgroup", path) as recorder:
            s.say(actor, "outside")
            move("")
            s.say(actor, "inside")
            move("-other")
            s.say(actor, "outside-again")
        equal_words(s, tape, recorder.said, ["inside"])


def comm_taken():
    """--comm: a process that takes the name later is recorded from then on, and while it lives"""
    with stage() as s:
        tape, actor, other = f"{s.folder}/x.tape", s.actor(s.program("actor")), s.actor(s.program("other"))
        with recording(tape, *CLEAR, "--comm", "another-name", "-e", f"{os.path.basename(s.folder)}/actor") as recorder:
            s.say(actor, "before")
            for who in (actor, other):  # to have the name is not enough
                who.call("another-name")
            s.say(actor, "named")
            actor.call("a-third")
            s.say(actor, "still")
            s.say(other, "no")
        equal_words(s, tape, recorder.said, ["named", "still"])


def port():
    """--port: both ends of a connection, and of the same processes no other"""
    with stage() as s:
        other, tape = Echo(), f"{s.folder}/x.tape"
        actor = s.actor(s.program("actor"))
        with recording(tape, *CLEAR, "--port", str(s.echo.port)) as recorder:
            s.say(actor, "before", other.port)
            s.say(actor, "running")
            s.say(actor, "between", other.port)
            s.once("short", s.program("actor"))
        other.close()
        equal("the other server heard", sorted(other.heard), ["before", "between"])
        equal_words(s, tape, recorder.said, ["running", "short"], others={os.getpid()})
        equal("ports", {port_of(f["local"]) == s.echo.port or port_of(f["remote"]) == s.echo.port
                        for f in json_lines("flows", tape)}, {True})


def port_alone():
    """--port: of the processes that have nothing to do with it the tape holds no name, no key and no plaintext"""
    with stage() as s:
        tape, wanted, other = f"{s.folder}/x.tape", free_port(), free_port()
        cert, key = certificate(s.folder)
        with contextlib.ExitStack() as servers:
            for n in (wanted, other):
                servers.enter_context(server("openssl", "s_server", "-quiet", "-www", "-cert", cert, "-key", key, "-accept", str(n),
                                             port=n))
            with recording(tape, "--port", str(wanted)):
                for n in (other, wanted, other):
                    run("curl", "-sSk", "-o", "/dev/null", f"https://127.0.0.1:{n}/?{n}")
        exchanges = [(h["role"], h["path"], h["status"]) for h in json_lines("http", tape)]
        equal("exchanges", sorted(exchanges), [("client", f"/?{wanted}", 200), ("server", f"/?{wanted}", 200)])
        items = json_of(tape)
        commands = {i["cmdline"] for i in items if i["item"] == "process"}
        equal("commands", sorted(c.split()[0] for c in commands), ["curl", "openssl"])
        equal("the other's", [c for c in commands if str(other) in c], [])
        pids = {i["pid"] for i in items if i["item"] == "process"}
        equal("processes", len(pids), 2)
        # Each connection has one client random: a TLS 1.3 handshake of either side gives the same five lines or fewer.
        equal("keys", len({line.split()[1] for line in keylog_lines(analyze("keylog", tape))}), 1)
        equal("nobody else", [i for i in items if i["item"] == "event" and i["pid"] not in pids], [])


def command():
    """a command's first connection is there, and of its fellows nothing"""
    with stage() as s:
        tape, fellow = f"{s.folder}/x.tape", s.actor(s.program("actor"))
        s.say(fellow, "unrecorded")
        script = f'echo $$; exec 3<>/dev/tcp/127.0.0.1/{s.echo.port}; echo first >&3; read -r -u 3 x'
        recorder = subprocess.Popen([RECORD, "-o", tape, *CLEAR, "--", s.program("actor"), "-c", script], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV)
        s.pids["first"] = int(recorder.stdout.readline())
        s.say(fellow, "meanwhile")
        _, said = recorder.communicate(timeout=30)
        equal_words(s, tape, said, ["first"])


def descendants():
    """-p with its descendants, and with --no-follow without them"""
    with stage() as s:
        for options, words in (([], ["parent", "child"]), (["--no-follow"], ["parent"])):
            tape = f"{s.folder}/x.tape"
            # What it is told first it says itself; for what comes next it forks a child. With a command behind, bash does
            # not become the child.
            script = 'read -r line; eval "$TALK" <<<"$line"; read -r line; "$CHILD" -c "$TALK" <<<"$line"; true'
            parent = subprocess.Popen([s.program("parent"), "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      env={**ENV, "TALK": TALK, "CHILD": s.program("child")})
            with recording(tape, *CLEAR, "-p", str(parent.pid), *options) as recorder:
                for word in ("parent", "child"):
                    parent.stdin.write(f"{s.echo.port} {word}\n".encode())
                    parent.stdin.flush()
                    equal("the echo", parent.stdout.readline(), f"{word}\n".encode())
            parent.stdin.close()
            parent.stdout.close()
            parent.wait(20)
            clients = [f for f in whole(tape, recorder.said) if f["out"]["bytes"] and f["remote"] == f"127.0.0.1:{s.echo.port}"]
            equal("words", sorted(stream(tape, f, "out").decode().strip() for f in clients), sorted(words))
            equal("ports", sorted(port_of(f["local"]) for f in clients), sorted(s.echo.heard[word] for word in words))
            equal("the parent", [f["pid"] == parent.pid for f in clients], [w == "parent" for w in words])


main(exe, exe_glob, trace, comm, comm_taken, uid, exe_and_uid, cgroup, cgroup_moved, port, port_alone, command, descendants)
