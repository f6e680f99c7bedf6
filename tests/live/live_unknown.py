# SPDX-License-Identifier: BSD-2-Clause
"""Protocols that fdtape does not know: what curl, openssl and RFC 1350 say their flows begin with."""
import os
import re
import shutil

from live import (ROOM, Skip, analyze, certificate, equal, free_port, json_lines, main, nginx, nginx_config, record, run,
                  server, stream, workspace)

PYTHON = "/usr/bin/python3"  # which has Debian's modules


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"no {program}")


def escaped(data):
    """As the contract has it: printable as it is, all else as \\xNN, the backslash doubled. ASCII only."""
    return "".join("\\\\" if b == 92 else chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in data)


def turns(flow):
    return [(turn["dir"], turn["bytes"]) for turn in flow["unknown"]["turns"]]


def safe(*arguments):
    """What a view prints holds no control character but line feeds."""
    said = analyze(*arguments)
    equal(f"control characters of {arguments[0]}", re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]", said), [])
    return said.decode()


def smtp():
    """SMTP by curl and Python's smtpd: each turn's length, and both first lines, by curl's own account"""
    if run(PYTHON, "-W", "ignore", "-c", "import smtpd", check=False).returncode:
        raise Skip("no Python module smtpd")
    with workspace() as folder:
        port, tape, mail = free_port(), f"{folder}/x.tape", f"{folder}/mail"
        with open(mail, "wb") as file:
            file.write(b"Subject: none\r\n\r\nNothing to say.\r\n")
        with server(PYTHON, "-W", "ignore", "-m", "smtpd", "-n", "-c", "DebuggingServer", f"127.0.0.1:{port}", port=port):
            done = record(tape, "curl", "-sv", "--mail-from", "a@localhost", "--mail-rcpt", "b@localhost", "-T", mail,
                          f"smtp://127.0.0.1:{port}", options=ROOM)
        equal("curl", done.returncode, 0)
        said = [(line[0], line[2:]) for line in done.stderr.decode().replace("\r", "").splitlines() if line[:2] in ("< ", "> ")]
        expected = []
        for mark, line in said:
            side = "in" if mark == "<" else "out"
            if expected and expected[-1][0] == side:
                expected[-1] = side, expected[-1][1] + len(line) + 2
            else:
                expected.append((side, len(line) + 2))
        equal("more turns than are told", len(expected) > 8, True)
        (f,) = [f for f in json_lines("flows", tape) if f["remote"] == f"127.0.0.1:{port}" and f["in"]["bytes"]]
        equal("protocol", (f["protocol"], f["role"]), (None, "client"))
        equal("turns", turns(f), expected[:8])
        for side, mark in (("in", "<"), ("out", ">")):
            lines = "".join(line + "\r\n" for m, line in said if m == mark).encode()
            found = f["unknown"][side]
            equal(side, (found["first"], found["offset"]), (escaped(lines[:32]), 0))
            equal(f"{side} bytes", found["bytes"], f[side]["bytes"])
        page = safe("summary", tape)
        equal("on the page", "UNKNOWN PROTOCOLS" in page and "in 220 " in page, True)
        (summary,) = json_lines("summary", tape)
        equal("summary", [g["unknown"] for g in summary["unknown_protocols"]["largest"] if g["flow"] == f["flow"]],
              [f["unknown"]])
        shown = safe("flows", "-v", tape)
        equal("-v", f"in  from byte 0: {f['unknown']['in']['first']} ..." in shown, True)


def tftp():
    """TFTP, datagrams: the request as RFC 1350 writes it, blocks as long as it says"""
    needs("dnsmasq")
    with workspace() as folder:
        port, dns, tape = free_port(), free_port(), f"{folder}/x.tape"
        os.makedirs(f"{folder}/www")
        with open(f"{folder}/www/f", "wb") as file:
            file.write(b"\x1b]0;no title\x07" * 100)
        with server("dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "--listen-address=127.0.0.1", "--bind-interfaces", "-p",
                    str(dns), "--enable-tftp", f"--tftp-root={folder}/www", "--no-resolv", "--no-hosts", "-x", f"{folder}/pid",
                    port=dns):
            done = record(tape, "curl", "-sS", "--tftp-no-options", "-o", f"{folder}/got", "tftp://127.0.0.1/f", options=ROOM)
        if done.returncode:
            raise Skip(f"no TFTP on port 69 here: {done.stderr.decode().strip()}")
        (f,) = [f for f in json_lines("flows", tape) if f["proto"] == "udp" and f["in"]["bytes"]]
        equal("protocol", f["protocol"], None)
        equal("request", f["unknown"]["out"]["first"], escaped((b"\0\1f\0octet\0" + b"\0\4\0\1" + b"\0\4\0\2" + b"\0\4\0\3")[:32]))
        equal("first block", f["unknown"]["in"]["first"], escaped((b"\0\3\0\1" + b"\x1b]0;no title\x07" * 3)[:32]))
        equal("datagrams", turns(f), [("out", 10), ("in", 516), ("out", 4), ("in", 516), ("out", 4),
                                      ("in", 4 + 1300 - 1024), ("out", 4)])
        safe("flows", "-v", tape)
        safe("summary", tape)


def within_tls():
    """lines within TLS, which openssl s_server reverses: the plaintext, not the wire"""
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        cert, key = certificate(folder)
        with server("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key, "-rev", "-quiet", port=port):
            done = record(tape, "sh", "-c", f"(printf '\\033[2Jnobody knows\\n'; sleep 1) | openssl s_client -quiet -no_ign_eof -connect "
                          f"127.0.0.1:{port}", options=ROOM)
        (f,) = [f for f in json_lines("flows", tape) if f["tls"]["verdict"] == "tls" and f["fd"] is not None]
        sent, got = stream(tape, f, "out"), stream(tape, f, "in")
        equal("openssl got", got, done.stdout)
        equal("sent", f["unknown"]["out"]["first"], escaped(b"\x1b[2Jnobody knows\n"))
        equal("reversed", f["unknown"]["in"]["first"], escaped(b"swonk ydobonJ2[\x1b\n"))
        equal("turns", turns(f), [("out", len(sent)), ("in", len(got))])
        safe("flows", "-v", tape)
        safe("summary", tape)


def known():
    """HTTP is known: by name, without first bytes; and what nobody can read is not called unknown"""
    with workspace() as folder:
        port, tls, tape = free_port(), free_port(), f"{folder}/x.tape"
        os.makedirs(f"{folder}/www")
        with open(f"{folder}/www/f", "w") as file:
            file.write("hello")
        cert, key = certificate(folder)
        config = nginx_config(folder, f"""server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{tls} ssl http2; root {folder}/www;
ssl_certificate {cert}; ssl_certificate_key {key}; }}""")
        with nginx(config, port):
            record(tape, "curl", "-sSk", "-o", "/dev/null", f"http://127.0.0.1:{port}/f", "-o", "/dev/null",
                   f"https://127.0.0.1:{tls}/f", options=ROOM)
            found = {f["remote"]: (f["protocol"], f["unknown"]) for f in json_lines("flows", tape) if f["in"]["bytes"]}
            equal("by name", found, {f"127.0.0.1:{port}": ("http/1", None), f"127.0.0.1:{tls}": ("http/2", None)})
            record(f"{folder}/off.tape", "curl", "-sSk", "-o", "/dev/null", f"https://127.0.0.1:{tls}/f",
                   options=(*ROOM, "--tls", "off"))
        (f,) = [f for f in json_lines("flows", f"{folder}/off.tape") if f["in"]["bytes"]]
        equal("sealed", (f["protocol"], f["unknown"], f["tls"]["plaintext"]), (None, None, "none"))


main(smtp, tftp, within_tls, known)
