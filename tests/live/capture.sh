#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# capture.sh: runs each program of capture.list under fdtape-record and holds the tape to what the program says of itself
# (check_tape). Speaks TAP. The shell is any POSIX one, busybox's too: the same script runs on the kernels that
# tests/kernels.sh boots.
#
#   RECORD=fdtape-record CHECK=check_tape PROGRAMS=folder sh capture.sh [WORD]...   only lines with these words
#
# KEEP=folder: where the tapes of what failed are left, with the truth about them. WORK=folder: an empty one to work in.
# TIMEOUT=60: seconds for one program.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ -n "${BIN:-}" ]; then
	BIN=$(cd "$BIN" && pwd)
	: "${RECORD:=$BIN/fdtape-record}" "${CHECK:=$BIN/tests/live/check_tape}" "${PROGRAMS:=$BIN/tests/live/programs}"
	: "${KEEP:=$BIN/tests/live/kept}"
fi
: "${RECORD:?is the recorder}" "${CHECK:?is check_tape}" "${PROGRAMS:?is where the programs are}" "${KEEP:?is a folder}"
WORK=${WORK:-$(mktemp -d)} TIMEOUT=${TIMEOUT:-60}
export LC_ALL=C FDTAPE_TRUTH="$WORK/truth"
failed=0 n=0
rm -rf "$KEEP"
mkdir -p "$KEEP" "$WORK"
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1

# within SECONDS COMMAND...: waits until the command is true.
within() {
	left=$(($1 * 20))
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.05
	done
}
said() { # WORD FILE
	grep -q "$1" "$2" 2>/dev/null
}
gone() { # PID: of a child, so it may be there still, but as a zombie
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# As the recorder's command: its status is the program's.
run_under() { # OPTION... -- PROGRAM...
	timeout -k 10 "$TIMEOUT" "$RECORD" -q -o tape "$@" >out 2>err </dev/null
	status=$?
}

# run_beside UNTIL: the program is there first; the recorder comes, and goes when the program has ended, or says so.
run_beside() { # attach|stop OPTION... -- PROGRAM...
	how=$1 options=
	shift
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	rm -f go
	mkfifo go
	"$@" >out 2>program.err <go &
	program=$!
	exec 9>go
	status=1 recorder=
	if within "$TIMEOUT" said ready out; then
		# shellcheck disable=SC2086 # words of the list
		"$RECORD" -o tape $options -p "$program" >/dev/null 2>err </dev/null 9>&- &
		recorder=$!
		if within "$TIMEOUT" said 'recording to' err; then
			exec 9>&-
			if [ "$how" = stop ]; then
				within "$TIMEOUT" said stop out && status=0
			else
				within "$TIMEOUT" gone "$program" && wait "$program" && status=0
			fi
			kill -INT "$recorder" 2>/dev/null
			within "$TIMEOUT" gone "$recorder" || kill -KILL "$recorder"
			wait "$recorder" || status=125
		else
			status=125
		fi
	fi
	exec 9>&-
	kill -KILL "$program" 2>/dev/null
	[ -z "$recorder" ] || kill -KILL "$recorder" 2>/dev/null
	wait
	cat program.err >>err
}

# tell NAME STATUS: the checker's lines, each with the test's name.
tell() {
	awk -v name="$1" '/^(not )?ok /{sub(/ok [0-9]* - /, "ok - " name ": ")} !/^1\.\./' check
	[ "$2" = 0 ] || [ "$2" = 77 ] || keep "$1"
}

keep() {
	failed=$((failed + 1))
	to=$KEEP/$(printf '%s' "$1" | tr -c 'A-Za-z0-9_\n' '-')
	mkdir -p "$to"
	cp tape err check "$to" 2>/dev/null
	"$CHECK" --truth truth >"$to/truth"
	# A large one only takes place.
	find "$to" -size +"${KEEP_MAX:-40000}"k -exec rm -f {} +
}

one() { # HOW NAME OPTION... -- PROGRAM ARGUMENT...
	how=$1 name=$2
	shift 2
	rm -rf ./*
	: >truth
	case $how in
	attach | stop) run_beside "$how" "$@" ;;
	*) run_under "$@" ;;
	esac
	: >check
	if [ $status = 0 ] || [ $status = 77 ]; then
		kind=
		case $how in lossy | lean) kind=$how ;; esac
		timeout -k 10 "$TIMEOUT" "$CHECK" tape truth $kind >check 2>&1
		checked=$?
		[ $checked -le 1 ] || [ $checked = 77 ] || echo "not ok - the checker ended with status $checked" >>check
		tell "$name" $checked
	else
		case $status in
		124 | 137) why="not ended within $TIMEOUT s" ;;
		2 | 125) why="the recorder failed" ;;
		*) why="the program itself failed, status $status" ;;
		esac
		echo "not ok - $name: $why"
		head -c 3000 err | sed 's/^/# /'
		keep "$name"
	fi
	n=$((n + 1))
}

refused=$("$RECORD" -q -o tape -- "$CHECK" 2>&1)
if [ $? = 125 ] && [ "$(id -u)" != 0 ]; then
	echo "ok - capture # SKIP $(echo "$refused" | head -n 1)"
	echo 1..1
	exit 0
fi

# shellcheck disable=SC2086,SC2116 # the list's words, trimmed by being words
while IFS='|' read -r how options command; do
	how=$(echo $how) command=$(echo $command)
	case $how in '' | '#'*) continue ;; esac
	name=$(echo $command $options | sed 's|%P/||')
	wanted=1
	for word; do
		case " $name " in *" $word "*) ;; *) wanted=0 ;; esac
	done
	[ $wanted = 0 ] || one "$how" "$name" $options -- $(echo "%P/$command" | sed "s|%P|$PROGRAMS|g")
done <"$here/capture.list"
echo "# $n programs, $failed failed"
[ $failed = 0 ]
