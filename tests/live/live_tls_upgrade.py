# SPDX-License-Identifier: BSD-2-Clause
"""Flows that turn to TLS on the way, and TLS within TLS: PostgreSQL, SMTP, IMAP, HTTP proxies."""
import contextlib
import select
import socket
import ssl
import sys
import threading

from live import analyze, certificate, equal, json_lines, main, read, record, recording, sha256, stream, workspace
from postgres_cluster import Cluster
from tls_live import https, keylog_lines, need, sockets

MAIL = b"Subject: hello\r\n\r\n" + b"fdtape carries this letter\r\n" * 3000


@contextlib.contextmanager
def serve(handle, context=None):
    """A server within this process: handle(socket) for each connection. Its port; errors end the test."""
    listener, failed = socket.create_server(("127.0.0.1", 0)), []

    def one(conn):
        try:
            with conn:
                handle(context.wrap_socket(conn, server_side=True) if context else conn)
        except (OSError, ValueError) as error:
            failed.append(error)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def server_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))
    return context


def connection(tape, port):
    """The one flow to this port that carried something."""
    (flow,) = [f for f in sockets(tape) if (f["remote"] or "").endswith(f":{port}")]
    return flow


def steps(flow):
    """The timeline in short."""
    return [(s["dir"], s["depth"], s["is"], s["agreed"]) for s in flow["tls"]["timeline"]]


def check_steps(flow, agreed, client=True):
    """Both directions were clear, and turned to TLS by what was said."""
    first, second = ("out", "in") if client else ("in", "out")
    timeline = flow["tls"]["timeline"]
    equal("timeline", sorted(steps(flow), key=str),
          sorted([(d, 0, k, a) for d in (first, second) for k, a in (("clear", None), ("tls", agreed))], key=str))
    equal("in order of time", sorted(s["time"] for s in timeline), [s["time"] for s in timeline])
    return {(s["dir"], s["is"]): s["offset"] for s in timeline}


# ---- SMTP, IMAP, POP3 --------------------------------------------------------------------------------------------

SMTP_PY = """
import smtplib, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.keylog_filename = sys.argv[2]
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as s:
    s.starttls(context=context)
    s.sendmail('a@example.org', ['b@example.org'], open(sys.argv[3], 'rb').read())
"""


def smtp_server(context, mails, said):
    """STARTTLS by the book (RFC 3207): what was said in clear goes to `said`, the letters to `mails`."""
    def handle(conn):
        file = conn.makefile("rwb", buffering=0)

        def say(text):
            if file_is_clear[0]:
                said["in"] += text
            file.write(text)

        file_is_clear = [True]
        say(b"220 localhost ready\r\n")
        while True:
            line = file.readline()
            if file_is_clear[0]:
                said["out"] += line
            word = line.strip().upper()
            if word.startswith(b"EHLO"):
                say(b"250-localhost\r\n" + (b"250-STARTTLS\r\n" if file_is_clear[0] else b"") + b"250 8BITMIME\r\n")
            elif word == b"STARTTLS":
                say(b"220 go ahead\r\n")
                file_is_clear[0] = False
                conn = context.wrap_socket(conn, server_side=True)
                file = conn.makefile("rwb", buffering=0)
            elif word == b"DATA":
                say(b"354 go on\r\n")
                letter = b""
                while not letter.endswith(b"\r\n.\r\n"):
                    letter += conn.recv(65536)
                mails.append(letter)
                say(b"250 taken\r\n")
            elif word == b"QUIT" or not line:
                say(b"221 bye\r\n")
                return
            else:
                say(b"250 ok\r\n")
    return handle


def smtp():
    """SMTP with STARTTLS by Python's smtplib: clear, then TLS, to the byte"""
    with workspace() as folder:
        mails, said = [], {"in": b"", "out": b""}
        tape, keys, letter = f"{folder}/smtp.tape", f"{folder}/keys", f"{folder}/letter"
        with open(letter, "wb") as file:
            file.write(MAIL)
        with serve(smtp_server(server_context(folder), mails, said)) as port:
            equal("status", record(tape, sys.executable, "-c", SMTP_PY, str(port), keys, letter).returncode, 0)
        flow = connection(tape, port)
        equal("verdict", (flow["tls"]["verdict"], flow["tls"]["version"], flow["tls"]["plaintext"]),
              ("mixed", "TLSv1.3", "both"))
        at = check_steps(flow, "STARTTLS")
        equal("where TLS begins", (at["in", "tls"], at["out", "tls"]), (len(said["in"]), len(said["out"])))
        out = stream(tape, flow, "out")
        equal("what was said in clear", out[:at["out", "tls"]], said["out"])
        equal("the letter", mails and mails[0] in out, True)
        equal("keys", keylog_lines(analyze("keylog", tape)), keylog_lines(read(keys)))


def s_client_starttls():
    """openssl s_client -starttls smtp, imap, pop3: each is seen to turn"""
    greetings = {
        "smtp": [b"220 ready\r\n", (b"EHLO", b"250-localhost\r\n250 STARTTLS\r\n"), (b"STARTTLS", b"220 go\r\n")],
        "imap": [b"* OK ready\r\n", (b"CAPABILITY", b"* CAPABILITY IMAP4rev1 STARTTLS\r\n. OK\r\n"), (b"STARTTLS", b". OK begin\r\n")],
        "pop3": [b"+OK ready\r\n", (b"STLS", b"+OK begin\r\n")],
    }
    with workspace() as folder:
        context = server_context(folder)
        for protocol, script in greetings.items():
            def handle(conn, script=script):
                conn.sendall(script[0])
                for word, answer in script[1:]:
                    line = b""
                    while word not in line:
                        line += conn.recv(4096)
                    conn.sendall(answer)
                with context.wrap_socket(conn, server_side=True) as tls:
                    tls.sendall(b"secret word\r\n")
            with serve(handle) as port:
                tape = f"{folder}/{protocol}.tape"
                done = record(tape, "openssl", "s_client", "-quiet", "-starttls", protocol, "-connect",
                              f"127.0.0.1:{port}")
            flow = connection(tape, port)
            equal(f"{protocol}: verdict", flow["tls"]["verdict"], "mixed")
            at = check_steps(flow, "STARTTLS")
            equal(f"{protocol}: what s_client wrote", done.stdout, b"secret word\r\n")
            equal(f"{protocol}: what the tape has", stream(tape, flow, "in")[at["in", "tls"]:], done.stdout)


# ---- PostgreSQL --------------------------------------------------------------------------------------------------

def postgres():
    """PostgreSQL: an SSLRequest, then TLS, on both sides; its rows are on the tape"""
    need("psql")
    with workspace() as folder:
        site = Cluster(folder)
        tapes = {"client": f"{folder}/psql.tape", "server": f"{folder}/server.tape", "refused": f"{folder}/refused.tape"}
        with site.running() as process:
            with recording(tapes["server"], "-p", str(process.pid)):
                done = record(tapes["client"], "psql", "-XAtc", "select repeat('fdtape ', 20000)", env=site.place("tls"))
        with site.running("ssl=off"):
            record(tapes["refused"], "psql", "-XAtc", "select 1", env={**site.place("tls"), "PGSSLMODE": "prefer"})
        equal("answer", done.stdout, b"fdtape " * 20000 + b"\n")
        for role, side in (("client", "in"), ("server", "out")):
            mixed = [f for f in sockets(tapes[role]) if f["role"] == role and f["tls"]["verdict"] == "mixed"]
            equal(f"{role}: flows", len(mixed), 1)
            equal(f"{role}: plaintext", (mixed[0]["tls"]["version"], mixed[0]["tls"]["plaintext"]), ("TLSv1.3", "both"))
            at = check_steps(mixed[0], "SSLRequest", role == "client")
            # Eight bytes ask, one answers (PostgreSQL's protocol, 55.2.10).
            equal(f"{role}: where TLS begins", sorted(at[d, "tls"] for d in ("in", "out")), [1, 8])
            equal(f"{role}: rows", b"fdtape " * 20000 in stream(tapes[role], mixed[0], side), True)
        refused = connection(tapes["refused"], site.port)
        equal("'N': it stays clear", (refused["tls"]["verdict"], {s["is"] for s in refused["tls"]["timeline"]}),
              ("clear", {"clear"}))


# ---- proxies -----------------------------------------------------------------------------------------------------

def tunnel(conn):
    """A proxy's CONNECT (RFC 9110, 9.3.6)."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += conn.recv(4096)
    host, port = head.split()[1].decode().rsplit(":", 1)
    with socket.create_connection(("127.0.0.1", int(port))) as up:
        conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ends = {conn: up, up: conn}
        while True:
            ready = [c for c in ends if isinstance(c, ssl.SSLSocket) and c.pending()] or select.select(list(ends), [], [])[0]
            for end in ready:
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)


def connect():
    """curl through an HTTP proxy: CONNECT, then TLS; both exchanges are told"""
    need("curl")
    with workspace() as folder, https(folder) as site, serve(tunnel) as port:
        tape, keys = f"{folder}/connect.tape", f"{folder}/keys"
        record(tape, "curl", "-sSk", "--http1.1", "-o", f"{folder}/got", "--proxy", f"http://127.0.0.1:{port}", site.url,
               env={"SSLKEYLOGFILE": keys})
        equal("curl's copy", sha256(read(f"{folder}/got")), sha256(site.body))
        flow = connection(tape, port)
        equal("verdict", (flow["tls"]["verdict"], flow["tls"]["sni"], flow["tls"]["plaintext"]), ("mixed", "localhost", "both"))
        check_steps(flow, "CONNECT")
        equal("exchanges", [(h["method"], h["status"], h["complete"], h["response_body_sha256"]) for h in json_lines("http", tape)][1:],
              [("GET", 200, True, sha256(site.body))])
        equal("the proxy's", [(h["method"], h["status"]) for h in json_lines("http", tape)][:1], [("CONNECT", 200)])
        equal("keys", keylog_lines(analyze("keylog", tape)), keylog_lines(read(keys)))


def tls_in_tls():
    """curl through an HTTPS proxy: TLS within TLS, both opened"""
    need("curl")
    with workspace() as folder, https(folder) as site, serve(tunnel, server_context(folder)) as port:
        for mode in ("auto", "keys", "calls"):
            tape, keys = f"{folder}/{mode}.tape", f"{folder}/keys.{mode}"
            record(tape, "curl", "-sSk", "--http1.1", "-o", f"{folder}/got", "--proxy-insecure",
                   "--proxy", f"https://127.0.0.1:{port}", site.url, options=("--tls", mode), env={"SSLKEYLOGFILE": keys})
            equal(f"{mode}: curl's copy", sha256(read(f"{folder}/got")), sha256(site.body))
            flow = connection(tape, port)
            by = {"auto": "both", "keys": "wire", "calls": "calls"}[mode]
            equal(f"{mode}: verdict", (flow["tls"]["verdict"], flow["tls"]["plaintext"]), ("tls", by))
            equal(f"{mode}: timeline", sorted(steps(flow), key=str),
                  sorted([(d, *step) for d in ("in", "out")
                          for step in ((0, "tls", None), (1, "clear", None), (1, "tls", "CONNECT"))], key=str))
            inner = [s["tls"] for s in flow["tls"]["timeline"] if s["depth"] == 1 and s["is"] == "tls"]
            equal(f"{mode}: within", [(t["sni"], t["plaintext"]) for t in inner], [("localhost", by)] * 2)
            told = [(h["method"], h["status"], h["response_body_sha256"]) for h in json_lines("http", tape)]
            equal(f"{mode}: exchanges", (told[0][:2], told[1:]), (("CONNECT", 200), [("GET", 200, sha256(site.body))]))
            if mode != "calls":
                equal(f"{mode}: keys", keylog_lines(analyze("keylog", tape)), keylog_lines(read(keys)))


main(smtp, s_client_starttls, postgres, connect, tls_in_tls)
