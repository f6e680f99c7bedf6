# SPDX-License-Identifier: BSD-2-Clause
"""GnuTLS: wget and gnutls-cli, against the file, SSLKEYLOGFILE and the server's word."""
import subprocess

from live import ENV, RECORD, analyze, equal, main, read, record, sha256, workspace
from tls_live import check_client, check_flows, check_keys, https, need


def wget(version, options=(), plaintext="both", keys=True):
    need("wget")
    with workspace() as folder, https(folder, version) as server:
        tape, log = f"{folder}/wget.tape", f"{folder}/keys.log"
        for arguments in (["-O", f"{folder}/got.bin"], ["-O", f"{folder}/answer", f"--post-file={server.upload}"]):
            tape = f"{folder}/{len(arguments)}.tape"
            done = record(tape, "wget", "-q", "--no-check-certificate", *arguments, server.url, options=options,
                          env={"SSLKEYLOGFILE": log})
            equal("wget's status", done.returncode, 0)
            if len(arguments) == 2:
                check_client(tape, server, log if keys else None, plaintext)
            else:
                check_flows(tape, server, 1, plaintext)
                equal("what the server got", server.posted, [sha256(read(server.upload))])
                flow = [f for f in check_flows(tape, server)][0]
                sent = analyze("stream", "--flow", str(flow["flow"]), "--dir", "out", "--raw", tape)
                equal("sent", sent.endswith(read(server.upload)), True)
        equal("wget's copy", sha256(read(f"{folder}/got.bin")), sha256(server.body))


def wget_13():
    """wget, TLS 1.3: file, upload and keys, by the wire and by the calls"""
    wget("TLSv1.3")


def wget_12():
    """wget, TLS 1.2: the same"""
    wget("TLSv1.2")


def wget_keys():
    """wget with --tls keys: the wire alone"""
    wget("TLSv1.3", ["--tls", "keys"], "wire")


def wget_calls():
    """wget with --tls calls: gnutls_record_send and _recv alone"""
    wget("TLSv1.3", ["--tls", "calls"], "calls", keys=False)


def gnutls_cli():
    """gnutls-cli: the file, and its keys"""
    need("gnutls-cli")
    for version in ("TLSv1.3", "TLSv1.2"):
        with workspace() as folder, https(folder, version) as server:
            tape, log = f"{folder}/cli.tape", f"{folder}/keys.log"
            done = subprocess.run([RECORD, "-o", tape, "--", "gnutls-cli", "--insecure", "-p", str(server.port), "localhost"],
                                  input=b"GET /file.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", timeout=60,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**ENV, "SSLKEYLOGFILE": log})
            flow = check_flows(tape, server)[0]
            check_keys(tape, log)
            got = analyze("stream", "--flow", str(flow["flow"]), "--dir", "in", "--raw", tape)
            if server.body in done.stdout:  # it ends at the end of its input, maybe before the answer's
                equal("got", got.endswith(server.body), True)
            equal("a beginning", got.split(b"\r\n\r\n", 1)[-1] == server.body[:len(got.split(b"\r\n\r\n", 1)[-1])], True)


main(wget_13, wget_12, wget_keys, wget_calls, gnutls_cli)
