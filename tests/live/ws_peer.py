# SPDX-License-Identifier: BSD-2-Clause
"""ws_peer.py server|client PORT deflate|plain: a WebSocket server that echoes, and a client that says, as JSON, what it sent:
direction, type, number of frames (null: the library's choice), bytes, text."""
import asyncio
import json
import sys

import websockets

role, port, compression = sys.argv[1], int(sys.argv[2]), "deflate" if sys.argv[3] == "deflate" else None
done = []


async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)


async def serve():
    async with websockets.serve(echo, "127.0.0.1", port, compression=compression, max_size=None):
        await asyncio.Future()


async def call(socket, message, frames=1, parts=None):
    kind = "text" if isinstance(message, str) else "binary"
    data = message.encode() if kind == "text" else message
    text = message if kind == "text" else None
    await socket.send(parts or message)
    assert await socket.recv() == message
    done.append(["out", kind, frames, len(data), text])
    done.append(["in", kind, 1, len(data), text])


async def talk():
    async with websockets.connect(f"ws://127.0.0.1:{port}/chat?a=b", compression=compression, max_size=None) as socket:
        await call(socket, "hello")
        await call(socket, "hello hello hello hello")
        await call(socket, "gr\u00fc\u00df dich \u20ac")
        await call(socket, bytes(range(256)) * 300)
        await call(socket, "one, two, three", 4, ["one, ", "two, ", "three"])
        await call(socket, "")
        await call(socket, "x" * 200000)
        await (await socket.ping(b"are you there"))
        done.append(["out", "ping", 1, 13, "are you there"])
        done.append(["in", "pong", 1, 13, "are you there"])
        await socket.close(1000, "that was all")
        done.append(["out", "close", 1, 14, "that was all"])
        done.append(["in", "close", 1, 14, "that was all"])


asyncio.run(serve() if role == "server" else talk())
print(json.dumps(done))
