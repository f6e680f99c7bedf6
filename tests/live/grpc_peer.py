# SPDX-License-Identifier: BSD-2-Clause
"""grpc_peer.py server|client PORT: a gRPC service without a schema, and one who calls it. The client says, as JSON, what it
did: service, method, messages sent, messages got, status code."""
import concurrent.futures
import json
import sys
import threading

import grpc

role, place = sys.argv[1], f"127.0.0.1:{sys.argv[2]}"


class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        method = call.method.rsplit("/", 1)[1]
        if method == "Unary":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1])
        if method == "Fails":
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 50 %"))
        if method == "Many":
            return grpc.unary_stream_rpc_method_handler(lambda request, context: (b"x" * n for n in range(7)))
        if method == "Sum":
            return grpc.stream_unary_rpc_method_handler(lambda requests, context: b"%d" % sum(map(len, requests)))
        if method == "Echo":
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: requests)
        return None


if role == "server":
    service = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[Handler()])
    service.add_insecure_port(place)
    service.start()
    threading.Event().wait()

done = []
with grpc.insecure_channel(place) as channel:
    def note(method, sent, got, call):
        done.append(["a.b.Service", method, sent, got, call.code().value[0]])

    name = "/a.b.Service/"
    reply, call = channel.unary_unary(name + "Unary").with_call(b"abc")
    note("Unary", 1, 1, call)
    for method in ("Fails", "Nowhere"):
        try:
            channel.unary_unary(name + method)(b"abc")
        except grpc.RpcError as error:
            note(method, 1, 0, error)
    call = channel.unary_stream(name + "Many")(b"")
    note("Many", 1, len(list(call)), call)
    reply, call = channel.stream_unary(name + "Sum").with_call(iter([b"x" * 30000] * 5))
    note("Sum", 5, 1, call)
    call = channel.stream_stream(name + "Echo")(iter([b"a", b"", b"c"]))
    note("Echo", 3, len(list(call)), call)
print(json.dumps(done))
