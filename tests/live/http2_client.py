# SPDX-License-Identifier: BSD-2-Clause
"""http2_client.py PORT PATH...: asks for each path in turn on one HTTP/2 connection (prior knowledge), when told to by a line
on standard input. Says on standard output, as JSON, the headers that it sent and got, as the h2 library has them."""
import json
import socket
import sys

import h2.config
import h2.connection
import h2.events

sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
conn.initiate_connection()
sock.sendall(conn.data_to_send())
for number, path in enumerate(sys.argv[2:]):
    sys.stdin.readline()
    stream = conn.get_next_available_stream_id()
    sent = [(":method", "GET"), (":scheme", "http"), (":authority", "example.org"), (":path", path), ("x-always", "the same"),
            (f"x-only-{number}", "once")]
    conn.send_headers(stream, sent, end_stream=True)
    sock.sendall(conn.data_to_send())
    got, over = [], False
    while not over:
        for event in conn.receive_data(sock.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived):
                got = event.headers
            elif isinstance(event, h2.events.DataReceived):
                conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                over = event.stream_id == stream
        sock.sendall(conn.data_to_send())
    print(json.dumps({"stream": stream, "sent": sent, "got": got}), flush=True)
sys.stdin.readline()
