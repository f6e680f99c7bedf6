# SPDX-License-Identifier: BSD-2-Clause
"""Where OpenSSL is: linked in, stripped, brought by dlopen(), a copy of its own in another mount namespace."""
import os
import shutil

from live import RECORD, Skip, equal, main, read, record, recording, run, sha256, workspace
from tls_live import CLIENT_C, check_client, check_flows, compile_c, https, need

LIBSSL = "libssl.so.3"


def library(name):
    for line in run("ldconfig", "-p").stdout.decode().splitlines():
        if line.split() and line.split()[0] == name and "x86-64" in line:
            return os.path.realpath(line.split()[-1])
    raise Skip(f"{name} is missing")


def client(folder, name, *options):
    return compile_c(folder, name, "#define _GNU_SOURCE\n" + CLIENT_C, *options)


def check(folder, server, tape, done, plaintext="both"):
    equal("status", done.returncode, 0)
    equal("its copy", sha256(read(f"{folder}/got.bin")), sha256(server.body))
    check_client(tape, server, f"{folder}/keys.log", plaintext)
    equal("fd", [f["fd"] for f in check_flows(tape, server)], [int(done.stdout)])


def static():
    """a static program with symbols, TLS 1.3 and 1.2"""
    for version in ("TLSv1.3", "TLSv1.2"):
        with workspace() as folder, https(folder, version) as server:
            program, tape = client(folder, "static", "-static", "-lssl", "-lcrypto"), f"{folder}/s.tape"
            check(folder, server, tape, record(tape, program, str(server.port), f"{folder}/got.bin", f"{folder}/keys.log"))


def stripped():
    """a stripped one: nothing is found, --library says so, and --symbols says where everything is"""
    need("nm", "strip")
    with workspace() as folder, https(folder) as server:
        program, tape = client(folder, "static", "-static", "-lssl", "-lcrypto"), f"{folder}/s.tape"
        with open(f"{folder}/symbols", "wb") as file:
            file.write(run("nm", program).stdout)
        run("strip", program)
        arguments = [program, str(server.port), f"{folder}/got.bin", f"{folder}/keys.log"]
        equal("status", record(tape, *arguments).returncode, 0)
        equal("plaintext", [f["tls"]["plaintext"] for f in check_flows(tape, server)], ["none"])
        done = run(RECORD, "-o", tape, "--library", program, "--", *arguments, check=False)
        equal("refused", (done.returncode, b"--symbols FILE" in done.stderr), (125, True))
        options = ["--library", program, "--symbols", f"{folder}/symbols"]
        check(folder, server, tape, record(tape, *arguments, options=options))


def late():
    """a program that brings a copy of libssl by dlopen(), from a folder that nobody knows"""
    with workspace() as folder, https(folder) as server:
        shutil.copy(library(LIBSSL), f"{folder}/copy-of-ssl")
        program, tape = client(folder, "late", "-DLATE", "-ldl"), f"{folder}/late.tape"
        check(folder, server, tape, record(tape, program, str(server.port), f"{folder}/got.bin", f"{folder}/keys.log",
                                           f"{folder}/copy-of-ssl"), None)  # its first calls may come before the probes


def namespace():
    """a program in another mount namespace, where libssl and libcrypto are copies with inodes of their own"""
    need("unshare", "mount")
    with workspace() as folder, https(folder) as server:
        # Files that the recorder meets only as the program maps them: on a busy machine it may be a handshake behind.
        program = client(folder, "dynamic", "-DPATIENT=1000000", "-lssl", "-lcrypto")
        tape = f"{folder}/ns.tape"
        binds = []
        for name in (LIBSSL, "libcrypto.so.3"):
            shutil.copy(library(name), f"{folder}/{name}")
            binds.append(f"mount --bind {folder}/{name} {library(name)}")
        if run("unshare", "-m", "sh", "-c", " && ".join(binds), check=False).returncode:
            raise Skip("no mount namespaces here")
        script = " && ".join(binds) + f" && exec {program} {server.port} {folder}/got.bin {folder}/keys.log"
        done = record(tape, "unshare", "-m", "sh", "-c", script)
        check(folder, server, tape, done)


def chosen_later():
    """a program that starts while it is waited for by --exe: its first connection"""
    with workspace() as folder, https(folder) as server:
        program, tape = client(folder, "dynamic", "-lssl", "-lcrypto"), f"{folder}/later.tape"
        with recording(tape, "--exe", program):
            done = run(program, str(server.port), f"{folder}/got.bin", f"{folder}/keys.log")
        check(folder, server, tape, done)


def peeks():
    """SSL_peek before every SSL_read: nothing is counted twice"""
    with workspace() as folder, https(folder) as server:
        program, tape = client(folder, "dynamic", "-lssl", "-lcrypto"), f"{folder}/peek.tape"
        done = record(tape, program, str(server.port), f"{folder}/got.bin", f"{folder}/keys.log",
                      options=["--tls", "calls"])
        equal("status", done.returncode, 0)
        check_client(tape, server, None, "calls")


main(static, stripped, late, namespace, chosen_later, peeks)
