# SPDX-License-Identifier: BSD-2-Clause
"""bench_tls.py [-m MIB] [-r ROUNDS]: measures offline decryption (docs/performance.md, "Decryption").

curl fetches a file from `openssl s_server` over TLS 1.3 with AES-128-GCM, and fdtape-record records curl. Then
`fdtape-analyze stream --raw` decrypts the tape, and `openssl speed` encrypts, in turns; what is compared is the
processor time, user and system, of either on one core. What came out is held to the file.

Needs root for the recorder, curl and openssl; takes twice the file below $TMPDIR.
"""
import argparse
import hashlib
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

BIN = os.environ["BIN"]
RECORD = os.path.join(BIN, "fdtape-record")
ANALYZE = os.path.join(BIN, "fdtape-analyze")
BAR = 0.5


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more).stdout


def record(folder, mib):
    """The tape of one transfer, and the SHA-256 of what was transferred."""
    key, cert, big, tape = (os.path.join(folder, name) for name in ("key.pem", "cert.pem", "big", "tape"))
    digest = hashlib.sha256()
    with open(big, "wb") as out:
        for _ in range(mib):
            block = os.urandom(1 << 20)
            digest.update(block)
            out.write(block)
    run("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-keyout", key, "-out", cert, "-subj", "/CN=localhost")
    server = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key, "-WWW",
                               "-ciphersuites", "TLS_AES_128_GCM_SHA256"], cwd=folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for line in server.stdout:
            port = re.match(r"ACCEPT 127\.0\.0\.1:(\d+)", line)
            if port:
                break
        run(RECORD, "-o", tape, "--tls", "keys", "--", "curl", "-sk", "-o", "/dev/null",
            f"https://127.0.0.1:{port[1]}/big")
    finally:
        server.kill()
        server.wait()
    os.unlink(big)
    return tape, digest.hexdigest()


def flow_of(tape):
    """The number of its greatest flow."""
    flows = [line.split() for line in run(ANALYZE, "flows", tape, text=True).splitlines()]
    return next(words[0] for words in flows if "TLSv1.3" in words)


def check(tape, flow, digest):
    """The body behind the answer's head is the file."""
    stream = subprocess.Popen([ANALYZE, "stream", "--raw", "--dir", "in", "--flow", flow, tape],
                              stdout=subprocess.PIPE)
    head, body = b"", hashlib.sha256()
    while b"\r\n\r\n" not in head:
        head += stream.stdout.read(1)
    while block := stream.stdout.read(1 << 20):
        body.update(block)
    if stream.wait() != 0 or body.hexdigest() != digest:
        sys.exit("what was decrypted is not what was sent")


def decrypt(tape, flow):
    """Bytes of the tape a second of processor time, and the most memory it took, in MiB."""
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen([ANALYZE, "stream", "--raw", "--dir", "in", "--flow", flow, tape], stdout=nothing)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    return os.path.getsize(tape) / (usage.ru_utime + usage.ru_stime), usage.ru_maxrss / 1024


def speed():
    """Bytes a second that openssl encrypts."""
    line = run("openssl", "speed", "-seconds", "1", "-evp", "aes-128-gcm", "-bytes", "16384", text=True)
    return float(re.search(r"([\d.]+)k\s*$", line.strip())[1]) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", type=int, default=1024, help="MiB that are transferred")
    parser.add_argument("-r", type=int, default=7, help="rounds")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    with tempfile.TemporaryDirectory() as folder:
        tape, digest = record(folder, arguments.m)
        flow = flow_of(tape)
        check(tape, flow, digest)
        rates, speeds, memory = [], [], 0
        for _ in range(arguments.r):
            rate, used = decrypt(tape, flow)
            rates.append(rate)
            speeds.append(speed())
            memory = max(memory, used)
    ratios = sorted(rate / of for rate, of in zip(rates, speeds))
    ratio = statistics.median(ratios)
    print(f"decrypted    {statistics.median(rates) / 1e9:.2f} GB/s of processor time, from the tape to a pipe")
    print(f"openssl      {statistics.median(speeds) / 1e9:.2f} GB/s: speed -evp aes-128-gcm -bytes 16384")
    print(f"ratio        {ratio:.2f} [{ratios[0]:.2f} {ratios[-1]:.2f}]: "
          + (f"met (>= {BAR})" if ratio >= BAR else f"missed by {100 * (1 - ratio / BAR):.1f} % (>= {BAR})"))
    print(f"memory       {memory:.0f} MiB at most, for a tape of {arguments.m} MiB")


if __name__ == "__main__":
    main()
