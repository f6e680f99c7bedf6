#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# slow_loopback.sh COMMAND...: runs it in a network namespace whose loopback holds each packet back for some 3 ms, as a
# network does, or a loaded machine. What takes for granted that a connection, or all of its bytes, is there at once
# fails in it. Root; a kernel with the token bucket filter (sch_tbf). COMMAND's status.
#
# The delay is a queue: a bucket of RATE (200 Mbit/s) that a connection of no other use always fills with its window.
set -eu
if [ -z "${SLOW_LOOPBACK:-}" ]; then
	SLOW_LOOPBACK=1 exec unshare -n "$0" "$@"
fi
unset SLOW_LOOPBACK
ip link set lo mtu 1500 up # with packets as on a network, TCP gives bytes in pieces
tc qdisc add dev lo root tbf rate "${RATE:-200mbit}" burst 2k limit 20M
ready=$(mktemp)
python3 - "$ready" <<'FILL' &
import socket, sys, threading
listener, sender = socket.socket(), socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
listener.bind(("127.0.0.1", 0))
listener.listen()
sender.connect(listener.getsockname())
receiver, _ = listener.accept()
def send():
    while True:
        sender.send(bytes(4096))
threading.Thread(target=send, daemon=True).start()
got = 0
while piece := receiver.recv(65536):
    got += len(piece)
    if 1 << 20 <= got < (1 << 20) + len(piece):
        open(sys.argv[1], "w").write("ready")
FILL
filler=$!
trap 'kill $filler; rm -f "$ready"' EXIT
until [ -s "$ready" ]; do
	kill -0 $filler
	sleep 0.1
done
status=0
"$@" || status=$?
exit $status
