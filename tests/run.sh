#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh SUITE...: runs the suites, each a set of programs that speak TAP, and counts. Shows failures whole, skips with
# their reason, and nothing else; the logs stay in $BIN/tests/log/. Ends with "N passed, N failed, N skipped".
set -u
: "${BIN:?is the build folder}"
here=$(dirname "$0")
export BIN NAME="${NAME:-fdtape}"
log=$BIN/tests/log
mkdir -p "$log"
passed=0 failed=0 skipped=0

# launch NAME COMMAND...: runs one program, its output and status to the log.
launch() {
	out=$log/$1
	shift
	"$@" >"$out" 2>"$out.stderr" </dev/null
	echo $? >"$out.status"
}

# tally NAME: counts the TAP lines of a program that has run.
tally() {
	name=$1
	out=$log/$name
	status=$(cat "$out.status")
	ok=$(grep -c '^ok ' "$out")
	bad=$(grep -c '^not ok ' "$out")
	skip=$(grep -c '^ok .*# SKIP' "$out")
	if [ "$bad" = 0 ] && { [ $status != 0 ] || [ "$ok" = 0 ]; }; then
		bad=1
		echo "not ok - $name ended with status $status after $ok tests" >>"$out"
	fi
	passed=$((passed + ok - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
	if [ "$bad" != 0 ]; then
		echo "$name: FAILED"
		sed 's/^/    /' "$out"
		tail -n 60 "$out.stderr" | sed 's/^/    ! /'
	else
		printf '%-32s %s\n' "$name" "$ok ok"
		sed -n 's/^ok .*- \(.*\)# SKIP \(.*\)/    skipped: \1(\2)/p' "$out"
	fi
}

program() {
	launch "$@"
	tally "$1"
}

# beside NAME COMMAND...: likewise, as many at a time as there are processors; tally_all counts them.
running=
beside() {
	launch "$@" &
	running="$running $1"
	[ $(($(echo "$running" | wc -w) % $(nproc 2>/dev/null || echo 1))) != 0 ] || wait
}
tally_all() {
	wait
	for each in $running; do tally "$each"; done
	running=
}

for suite; do
	case $suite in
	unit)
		for t in "$here"/test_*.c; do
			t=$(basename "$t" .c)
			program "$t" "$BIN/tests/$t"
		done ;;
	cli)
		program cli sh "$here/cli/run.sh" ;;
	layers)
		program layers sh "$here/layers.sh" ;;
	install)
		program install sh "$here/install.sh" ;;
	reader)
		program reader sh "$here/test_reader.sh" ;;
	portable)
		program portable sh "$here/portable.sh" ;;
	live)
		for t in "$here"/live/live_*.py; do
			program "$(basename "$t" .py)" python3 "$t"
		done
		program live_checker sh "$here/live/checker.sh"
		program live_capture sh "$here/live/capture.sh" ;;
	kernels)
		# All at a time: an emulated machine has little use for its second processor.
		for t in ${KERNELS:-5.10 6.1 6.12}; do
			launch "kernel-$t" sh "$here/kernels.sh" "$t" &
			running="$running kernel-$t"
		done
		tally_all ;;
	sanitizers)
		# The same suites again, with every access checked.
		for t in "$here"/test_*.c; do
			t=$(basename "$t" .c)
			program "$t-sanitized" "$BIN-address-undefined/tests/$t"
		done
		program cli-sanitized env BIN="$BIN-address-undefined" sh "$here/cli/run.sh" ;;
	fuzz)
		for t in "$here"/fuzz_*.c "$BIN"/tests/fuzz_*_hashed; do
			t=$(basename "$t" .c)
			beside "$t" sh "$here/fuzz.sh" "$t"
		done
		tally_all ;;
	*)
		echo "run.sh: unknown suite '$suite': layers, unit, cli, install, live, kernels, reader, sanitizers, portable, fuzz" >&2
		exit 2 ;;
	esac
done
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
