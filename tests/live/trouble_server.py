# SPDX-License-Identifier: BSD-2-Clause
"""trouble_server.py PORT: an HTTP/1 server on 127.0.0.1 that answers as the path says:

/whole a response, /cut half of one, /none nothing, /reset with a reset, /failed 503. What is no HTTP gets a 400 in
clear. One connection at a time, closed after one request.
"""

import socket
import struct
import sys

ANSWERS = {
    b"/whole": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull",
    b"/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhalf",
    b"/none": b"",
    b"/reset": b"",
    b"/failed": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}

server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    peer, _ = server.accept()
    asked = peer.recv(65536).split(b" ")
    path = asked[1] if asked[0] == b"GET" else b""
    peer.sendall(ANSWERS.get(path, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    if path == b"/reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
