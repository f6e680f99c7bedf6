#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# fuzz.sh FUZZER: runs one for $T seconds (60), from the recorded fixtures on. What it finds stays in $BIN/tests/found/.
set -u
fuzzer=$1
corpus=$BIN/tests/corpus/$fuzzer
mkdir -p "$corpus" "$BIN/tests/found"
seeds=$(dirname "$0")/../testdata
if "$BIN/tests/$fuzzer" -max_total_time="${T:-60}" -timeout=10 -max_len=20000 -rss_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix="$BIN/tests/found/$fuzzer-" "$corpus" "$seeds" >&2; then
	echo "ok 1 - $fuzzer found nothing in ${T:-60} s"
else
	echo "not ok 1 - $fuzzer: see $BIN/tests/found/"
fi
echo 1..1
