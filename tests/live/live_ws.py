# SPDX-License-Identifier: BSD-2-Clause
"""The view `ws`, and server-sent events: what the programs at both ends say that they exchanged."""
import json
import os
import threading
import http.server

from live import ROOM, Skip, equal, free_port, json_lines, main, recording, run, server, workspace

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # which has Debian's modules


def talk(compression):
    if run(PYTHON, "-c", "import websockets", check=False).returncode:
        raise Skip("no Python module websockets")
    with workspace() as folder:
        port, tape = free_port(), f"{folder}/x.tape"
        with server(PYTHON, f"{HERE}/ws_peer.py", "server", str(port), compression, port=port) as process:
            with recording(tape, *ROOM, "-p", str(process.pid)):
                said = json.loads(run(PYTHON, f"{HERE}/ws_peer.py", "client", str(port), compression).stdout)
        found = json_lines("ws", tape)
        # The server's side: what the client sent came in. Of a text, the first 4096 bytes are shown.
        turned = [["in" if way == "out" else "out", kind, frames, size, text and text[:4096]] for way, kind, frames, size, text in said]
        equal("messages", [[x["direction"], x["type"], x["frames"], x["bytes"], x["text"]] for x in found], turned)
        equal("of", {(x["path"], x["authority"], x["role"], x["complete"]) for x in found},
              {("/chat?a=b", f"127.0.0.1:{port}", "server", True)})
        equal("compressed", {x["type"]: x["compressed"] for x in found if x["type"] in ("text", "binary")},
              dict.fromkeys(("text", "binary"), compression == "deflate"))
        equal("closed", [x["close_code"] for x in found[-2:]], [1000, 1000])
        (opened,) = json_lines("http", tape)
        equal("opened", (opened["status"], opened["complete"]), (101, True))
        for x in found:
            equal("on the wire", x["wire_bytes"] == x["bytes"] or x["compressed"], True)


def plain():
    """text, binary, fragments, ping and close, as websockets' client says"""
    talk("plain")


def deflate():
    """the same with permessage-deflate, whose context is kept from message to message"""
    talk("deflate")


EVENTS = [b"data: one\n\n", b": a comment\n\n", b"event: x\ndata: two\ndata: lines\n\n", b"id: 7\r\ndata: three\r\n\r\n", b"data: four\r\r",
          b"data: never ended\n"]


class Events(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in [*EVENTS, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()

    def log_message(self, *_):
        pass


def events():
    """server-sent events are counted: those that an empty line ended"""
    with workspace() as folder:
        tape, site = f"{folder}/x.tape", http.server.ThreadingHTTPServer(("127.0.0.1", 0), Events)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        with recording(tape, *ROOM, "-e", "/curl"):
            got = run("curl", "-sSN", f"http://127.0.0.1:{site.server_port}/events").stdout
        site.shutdown()
        site.server_close()
        equal("curl's copy", got, b"".join(EVENTS))
        (found,) = json_lines("http", tape)
        equal("events", (found["events"], found["response_body_bytes"], found["complete"]), (4, len(got), True))


main(plain, deflate, events)
