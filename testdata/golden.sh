#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# testdata/golden.sh FOLDER: makes the golden tapes of the format's version 1 in FOLDER, and SHA256SUMS: of each tape,
# and of its items as tests/dump.c prints them. This is how those in testdata/golden/v1/ were made; they never change,
# and every release reads them (docs/format.md, section 14). What is made here again differs from them where the
# fixtures or the writer do; a later version of the format gets a folder of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${BIN:=$here/../build}"
: "${1:?is the folder to make them in}"
mkdir -p "$1"
cd "$1"

# Recorded from real programs by testdata/record.sh.
cp "$here"/curl-clear.tape "$here"/curl-tls12.tape "$here"/curl-tls13.tape "$here"/nginx-proxy.tape .
# Of version 1.1: with the peers of datagrams.
cp "$here"/dns-server.tape datagrams.tape
# Of version 1.2: with the TLS libraries of processes.
cp "$here"/libraries.tape libraries.tape
cat curl-clear.tape nginx-proxy.tape >concatenated.tape
# The calls of nginx-proxy.tape, told four times, a second apart: so there are snapshots. Written by testdata/golden.c.
"$BIN/tests/golden" nginx-proxy.tape >spread.tape
size=$(wc -c <spread.tape)
head -c $((size * 2 / 3)) spread.tape >truncated.tape

# What takes new hashes: see testdata/golden.py.
golden() {
	python3 -B "$here/golden.py" "$@"
}
golden flip-payload curl-clear.tape damaged-payload.tape
golden flip-header curl-clear.tape damaged-header.tape
golden redact curl-tls13.tape redacted.tape
golden unknown nginx-proxy.tape unknown.tape
golden feature curl-clear.tape feature.tape

for tape in *.tape; do
	"$BIN/tests/dump" "$tape" >"${tape%.tape}.dump" 2>/dev/null || true
done
sha256sum ./*.tape ./*.dump | sed 's|\./||' >SHA256SUMS
rm ./*.dump
