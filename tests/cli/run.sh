#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Command-line cases: NAME.sh runs in an empty folder with the tools on PATH and $TESTDATA set; what it prints and its
# exit status must be exactly NAME.stdout, NAME.stderr (absent: nothing) and NAME.exit (absent: 0).
# `sh tests/cli/run.sh --renew NAME...` writes them anew: read the difference before you commit it.
set -u
: "${BIN:?is the build folder}"
cases=$(cd "$(dirname "$0")" && pwd)
TESTDATA=$(cd "$cases/../../testdata" && pwd)
PATH=$BIN:$PATH
export BIN TESTDATA PATH
export LC_ALL=C TZ=UTC
renew=
[ "${1-}" = --renew ] && { renew=1; shift; }
[ $# -gt 0 ] || set -- $(cd "$cases" && ls *.sh | grep -v '^run\.sh$' | sed 's/\.sh$//')
n=0 status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

for name; do
	n=$((n + 1))
	rm -rf "$work/cwd"
	mkdir "$work/cwd"
	(cd "$work/cwd" && exec sh "$cases/$name.sh") >"$work/stdout" 2>"$work/stderr" </dev/null
	echo $? >"$work/exit"
	if [ "$renew" ]; then
		for part in stdout stderr exit; do
			cp "$work/$part" "$cases/$name.$part"
			[ -s "$cases/$name.$part" ] || rm "$cases/$name.$part"
		done
		[ "$(cat "$cases/$name.exit")" != 0 ] || rm "$cases/$name.exit"
		continue
	fi
	differs=
	for part in stdout stderr exit; do
		expected=$cases/$name.$part
		if [ ! -e "$expected" ]; then
			expected=$work/expected
			if [ $part = exit ]; then echo 0; fi >"$expected"
		fi
		diff -u "$expected" "$work/$part" >"$work/diff" 2>&1 || {
			differs=1
			{ echo "$part differs:"; cat "$work/diff"; } | sed 's/^/# /' >>"$work/differences"
		}
	done
	if [ "$differs" ]; then
		echo "not ok $n - $name"
		cat "$work/differences"
		rm "$work/differences"
		status=1
	else
		echo "ok $n - $name"
	fi
done
echo "1..$n"
exit $status
