# SPDX-License-Identifier: BSD-2-Clause
"""Redis' own count of its network bytes and the tape."""
import os
import re
import socket

from live import ROOM, equal, free_port, main, port_of, recording, run, server, sha256, stream, whole, workspace


def command(connection, *words):
    """One command; its answer as it came, which has to be a bulk string or a line."""
    connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    got = connection.recv(1 << 20)
    line = got.split(b"\r\n", 1)[0]
    size = len(line) + 2 + (int(line[1:]) + 2 if line[:1] == b"$" else 0)
    while len(got) < size:
        got += connection.recv(1 << 20)
    equal("an answer", len(got), size)
    return got


def network_bytes(answer):
    return [int(re.search(rb"total_net_%s_bytes:(\d+)" % side, answer)[1]) for side in (b"input", b"output")]


def exchange(*options):
    with workspace() as folder:
        port, tape, value = free_port(), f"{folder}/x.tape", os.urandom(3_000_000)
        with server("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder,
                    *options, port=port) as process:
            with socket.create_connection(("127.0.0.1", port)) as own:
                before = network_bytes(first := command(own, b"INFO", b"stats"))
                with recording(tape, *ROOM, "-p", str(process.pid)) as recorder:
                    run("redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-q", "-n", "5000", "-c", "20", "-P", "16",
                        "-d", "100", "-t", "set,get,lrange_100")
                    with socket.create_connection(("127.0.0.1", port)) as other:
                        place = other.getsockname()[1]
                        equal("set", command(other, b"SET", b"large", value), b"+OK\r\n")
                        equal("get", command(other, b"GET", b"large")[10:-2], value)
                    after = network_bytes(last := command(own, b"INFO", b"stats"))
        flows = [f for f in whole(tape, recorder.said) if f["local"] == f"127.0.0.1:{port}"]
        # An answer to INFO is sent behind its own count: the first was before the recording, the last is in it.
        equal("received and sent", [sum(f[side]["bytes"] for f in flows) for side in ("in", "out")],
              [after[0] - before[0], after[1] - before[1] - len(first) + len(last)])
        (f,) = [f for f in flows if port_of(f["remote"]) == place]
        equal("GET's answer", sha256(stream(tape, f, "out")), sha256(b"+OK\r\n$3000000\r\n" + value + b"\r\n"))
        # The connection that was open before recording.
        (f,) = [f for f in flows if f["out"]["bytes"] == len(last) and stream(tape, f, "out") == last]
        equal("opened before", (f["role"], f["opened"]), ("unknown", None))


def pipelines():
    """redis-benchmark's pipelines and a large value: INFO's total_net_input_bytes and _output_bytes"""
    exchange()


def io_threads():
    """the same with threads that read and write the connections by turns"""
    exchange("--io-threads", "3", "--io-threads-do-reads", "yes")


main(pipelines, io_threads)
