# SPDX-License-Identifier: BSD-2-Clause
"""BoringSSL, as Debian has it for Android's tools: its `bssl-tool client` against Python's ssl, `bssl-tool server`
against curl. The key logs are BoringSSL's own."""
import os
import shutil

from live import Skip, analyze, certificate, equal, free_port, json_lines, main, read, record, recording, run, server, sha256, \
    workspace
from tls_live import check_client, https, keylog_lines, need


def libraries(mode):
    """BoringSSL's libraries of the tool, for --library: they lie where no system's library does."""
    wanted = {"auto": ("libssl.so", "libcrypto.so"), "keys": ("libcrypto.so",), "calls": ("libssl.so",)}[mode]
    need("bssl-tool")
    words = run("ldd", shutil.which("bssl-tool")).stdout.decode().split()
    found = [word for word in words if word.startswith("/") and os.path.basename(word).startswith(wanted)]
    if len(found) != len(wanted):
        raise Skip("bssl-tool: its libssl and libcrypto are not found")
    return [option for path in found for option in ("--library", path)]


def client(version, mode, plaintext):
    options = libraries(mode)
    with workspace() as folder, https(folder, version) as site:
        tape, log, got = f"{folder}/client.tape", f"{folder}/keys.log", f"{folder}/got"
        number = version.lower().replace("v", "")
        # It reads the request from standard input, and goes on until the server closes.
        script = (f"{{ printf 'GET /file.bin HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1; }} | "
                  f"bssl-tool client -connect localhost:{site.port} -min-version {number} -max-version {number} >{got}")
        equal("status", record(tape, "sh", "-c", script, options=[*options, "--tls", mode],
                               env={"SSLKEYLOGFILE": log}).returncode, 0)
        equal("its copy", sha256(read(got).split(b"\r\n\r\n", 1)[1]), sha256(site.body))
        check_client(tape, site, log if mode != "calls" else None, plaintext)


def client_13():
    """client, TLS 1.3: the file by both sources, the key log"""
    client("TLSv1.3", "auto", "both")


def client_12():
    """client, TLS 1.2"""
    client("TLSv1.2", "auto", "both")


def client_keys():
    """client, TLS 1.3, with --tls keys"""
    client("TLSv1.3", "keys", "wire")


def client_calls():
    """client, TLS 1.3, with --tls calls"""
    client("TLSv1.3", "calls", "calls")


def serve():
    """a running server: two connections of curl, TLS 1.3 and 1.2"""
    need("bssl-tool", "curl")
    with workspace() as folder:
        port, tape, log = free_port(), f"{folder}/server.tape", f"{folder}/keys.log"
        cert, key = certificate(folder)
        command = ["bssl-tool", "server", "-accept", str(port), "-key", key, "-cert", cert, "-www", "-loop"]
        bodies = []
        with server(*command, port=port) as process, recording(tape, "-p", str(process.pid)):
            for version in "1.3", "1.2":
                bodies.append(run("curl", "-sSk", "--http1.1", f"--tlsv{version}", "--tls-max", version,
                                  f"https://localhost:{port}/", env={"SSLKEYLOGFILE": log}).stdout)
        for version, body in zip(("TLSv1.3", "TLSv1.2"), bodies):  # it answers with what the connection is
            equal("curl's copy", f"Version: {version}" in body.decode(), True)
        equal("exchanges", [(h["role"], h["method"], h["status"], h["complete"], h["response_body_sha256"])
                            for h in json_lines("http", tape)],
              [("server", "GET", 200, True, sha256(body)) for body in bodies])
        equal("plaintext by", [f["tls"]["plaintext"] for f in json_lines("flows", tape) if f["role"] == "server" and
                               f["in"]["bytes"]], ["both", "both"])
        equal("key log", keylog_lines(analyze("keylog", tape)), keylog_lines(read(log)))


main(client_13, client_12, client_keys, client_calls, serve)
