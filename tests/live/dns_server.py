# SPDX-License-Identifier: BSD-2-Clause
"""dns_server.py PORT ADDRESS...: a DNS server with one answer, 192.0.2.1, on one unconnected socket for each address. That
it is ready shows as a TCP port of the same number, of 127.0.0.1."""
import socket
import struct
import sys
import threading


def serve(s):
    while True:
        query, peer = s.recvfrom(4096)
        end = query.index(b"\0", 12) + 5  # of the question
        s.sendto(query[:2] + b"\x84\0" + query[4:6] + b"\0\1\0\0\0\0" + query[12:end] +
                 b"\xc0\x0c" + query[end - 4:end] + struct.pack(">IH4B", 60, 4, 192, 0, 2, 1), peer)


port = int(sys.argv[1])
for address in sys.argv[2:]:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    threading.Thread(target=serve, args=(sock,), daemon=True).start()
ready = socket.create_server(("127.0.0.1", port))
threading.Event().wait()
