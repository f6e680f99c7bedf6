# SPDX-License-Identifier: BSD-2-Clause
"""mistakes.py server PORT: an HTTP/1 server on 127.0.0.1 that answers the requests of one connection in order, /slow
after 0.6 s. mistakes.py client PORT HTTP2-PORT: makes mistakes that cost time or put bytes where they do not belong,
each beside one who does nearly the same, rightly:

pipelines with a slow response at their head; an HTTP/2 stream that is not read, in front of another (python3-h2); an fd
that is closed while another thread writes, once before it is anybody's again and once when it is.
"""
import contextlib
import os
import socket
import sys
import threading
import time

REQUEST = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"


def serve(port):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"GET"):
                    time.sleep(0.6 if b"/slow" in line else 0)
                    peer.sendall(ANSWER + b"complete")


def pipeline(port, *paths):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"".join(REQUEST % path for path in paths))
        for _ in paths:
            s.recv(len(ANSWER) + 8, socket.MSG_WAITALL)


def streams(port, pause):
    """/big until the window is used up, then /small as well; `pause` seconds behind its head, more is allowed."""
    import h2.config
    import h2.connection
    import h2.events
    connection = h2.connection.H2Connection(h2.config.H2Configuration())
    connection.initiate_connection()
    taken, ended = [], []

    def ask(stream, path):
        connection.send_headers(stream, [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)],
                                end_stream=True)

    with socket.create_connection(("127.0.0.1", port)) as s:
        def turn():
            s.sendall(connection.data_to_send())
            events = connection.receive_data(s.recv(65536))
            taken.extend((e.flow_controlled_length, e.stream_id) for e in events if isinstance(e, h2.events.DataReceived))
            ended.extend(e for e in events if isinstance(e, h2.events.StreamEnded))
            return any(isinstance(e, h2.events.ResponseReceived) and e.stream_id == 3 for e in events)

        ask(1, "/big")
        while sum(n for n, _ in taken) < 65535:
            turn()
        ask(3, "/small")
        while not turn():
            pass
        time.sleep(pause)
        while len(ended) < 2:
            for n, stream in taken:
                connection.acknowledge_received_data(n, stream)
            taken.clear()
            turn()


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


def closed_too_early(waits):
    """A thread writes to an fd; whoever closes it waits for that, or does not."""
    here, there = socket.socketpair()
    go, fd = threading.Event(), here.detach()

    def write():
        os.write(fd, b"first\n")
        go.wait()
        with contextlib.suppress(OSError):
            os.write(fd, b"second\n")

    thread = in_thread(write)
    there.recv(6)
    if waits:
        go.set()
        thread.join()
        os.close(fd)
    else:
        os.close(fd)
        go.set()
        thread.join()
    there.close()


def reused(waits):
    """Two clients; the thread that answers the first, slowly, and an owner that closes its fd and accepts the second."""
    listener = socket.create_server(("127.0.0.1", 0))
    first, second = (socket.create_connection(listener.getsockname()) for _ in range(2))
    half, go = threading.Event(), threading.Event()
    fd = listener.accept()[0].detach()

    def answer():
        os.read(fd, 1000)
        os.write(fd, ANSWER + b"half")
        half.set()
        go.wait()
        os.write(fd, b"rest")

    first.sendall(REQUEST % b"first")
    thread = in_thread(answer)
    half.wait()
    if waits:
        go.set()
        thread.join()
    os.close(fd)
    third, _ = listener.accept()
    assert third.fileno() == fd
    if not waits:
        go.set()
        thread.join()
    second.sendall(REQUEST % b"second")
    third.recv(1000)
    third.sendall(ANSWER + b"complete")
    third.close()
    for s in first, second:
        while s.recv(1000):
            pass
        s.close()
    listener.close()


if sys.argv[1] == "server":
    serve(int(sys.argv[2]))
pipeline(int(sys.argv[2]), b"slow", b"fast")
pipeline(int(sys.argv[2]), b"fast", b"fast")
streams(int(sys.argv[3]), 0.5)
streams(int(sys.argv[3]), 0)
for waits in False, True:
    closed_too_early(waits)
    reused(waits)
