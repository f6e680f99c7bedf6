#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Two readers, one text: tests/reader.py, which was written from docs/format.md alone, and libfdtape must give the very
# same items of every tape of testdata/, of tapes that are damaged here, and of one that is recorded here.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:?is the build folder}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
n=0 status=0

result() { # NAME, after a command
	if [ $? = 0 ]; then
		echo "ok $((n += 1)) - $1"
	else
		echo "not ok $((n += 1)) - $1"
		status=1
	fi
}

skip() { # NAME REASON
	echo "ok $((n += 1)) - $1 # SKIP $2"
}

# both TAPE: the items and the exit status of both.
both() {
	"$BIN/tests/dump" "$1" >"$work/c" 2>"$work/c.stderr"
	c=$?
	python3 -B tests/reader.py "$1" >"$work/py" 2>"$work/py.stderr"
	py=$?
	[ $c = $py ] && cmp -s "$work/c" "$work/py" && return
	echo "# $1: libfdtape's status is $c, reader.py's $py"
	diff "$work/c" "$work/py" | head -n 6 | cut -c1-200 | sed 's/^/# /'
	sed 's/^/# /' "$work/c.stderr" "$work/py.stderr" | head -n 20
	return 1
}

# derive TAPE: makes damaged tapes of it, the same ones every time, in $work/damaged/.
derive() {
	rm -rf "$work/damaged"
	mkdir "$work/damaged"
	python3 - "$1" "$work/damaged" <<'END'
import random, sys
tape, folder = open(sys.argv[1], "rb").read(), sys.argv[2]
r = random.Random(1)
def put(name, *parts):
    with open("%s/%s.tape" % (folder, name), "wb") as f:
        f.write(b"".join(parts))
for i in range(5):
    at, n = r.randrange(8, len(tape)), r.choice([1, 4, 8, 64, 1000])
    put("flipped-%d" % i, tape[:at], bytes([tape[at] ^ 1 << r.randrange(8)]), tape[at + 1:])
    put("cut-%d" % i, tape[:at])
    put("inserted-%d" % i, tape[:at], r.randbytes(n), tape[at:])
    put("removed-%d" % i, tape[:at], tape[at + n:])
    put("zeroed-%d" % i, tape[:at], bytes(n), tape[at + n:])
    put("appended-%d" % i, tape[:at], tape)
put("twice", tape, tape)
put("garbage-behind", tape, b"and more")
END
}

# sound TAPE: it must follow the rules for writers.
sound() {
	python3 -B tests/reader.py --strict "$1" >/dev/null 2>"$work/py.stderr" && return
	sed 's/^/# /' "$work/py.stderr"
	return 1
}

find testdata -name '*.tape' | LC_ALL=C sort >"$work/tapes"
while read -r tape; do
	both "$tape"
	result "$tape: the same items"
	[ $c = 0 ] || continue
	sound "$tape"
	result "$tape: follows the rules for writers"
done <"$work/tapes"

while read -r tape; do
	case $tape in testdata/*/*) continue ;; esac
	derive "$tape"
	differ=0
	for damaged in "$work/damaged"/*.tape; do
		both "$damaged" || differ=1
	done
	[ $differ = 0 ]
	result "$tape: the same items when damaged"
done <"$work/tapes"

# Enough of it for several groups, a snapshot and more than one INDEX; bytes that compress and bytes that don't.
cat >"$work/talk.py" <<'END'
import os, random, socket, threading, time
def drain(sock):
    while sock.recv(random.choice([10, 1000, 65536, 1 << 20])): pass
def talk(seed):
    r, (a, b) = random.Random(seed), socket.socketpair()
    reader = threading.Thread(target=drain, args=(b,))
    reader.start()
    for i in range(60):
        k = r.choice([1, 60, 3000, 65536, 1 << 20])
        a.sendall(r.randbytes(k) if seed else b"the same again, " * (k // 16 + 1))
    a.shutdown(socket.SHUT_WR)
    reader.join()
for _ in range(3):
    threads = [threading.Thread(target=talk, args=(seed,)) for seed in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    os.system("true")
    a, b = socket.socketpair()
    a.send(b"x" * 50); b.recv(10, socket.MSG_PEEK); b.recv(100)
    time.sleep(.7)
END
name="a tape recorded here"
if [ ! -x "$BIN/fdtape-record" ]; then
	skip "$name" "$BIN/fdtape-record is not built"
elif "$BIN/fdtape-record" -q -o "$work/own.tape" -- python3 "$work/talk.py" 2>"$work/record"; then
	both "$work/own.tape"
	result "$name: the same items"
	sound "$work/own.tape"
	result "$name: follows the rules for writers"
	python3 -B tests/reader.py --flows "$work/own.tape" >"$work/py" 2>&1 && [ -s "$work/py" ]
	result "$name: --flows"
else
	skip "$name" "$(head -n 1 "$work/record")"
fi

python3 -B tests/reader.py >/dev/null 2>&1
[ $? = 2 ]
result "reader.py: usage"
echo "1..$n"
exit $status
