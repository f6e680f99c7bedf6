#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# checker.sh: check_tape notices each kind of difference. One recording, and truths that are false at one place; the line
# that is to fail must. Speaks TAP.
set -u
: "${BIN:?is the build folder}"
BIN=$(cd "$BIN" && pwd) || exit 1
check=$BIN/tests/live/check_tape
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export FDTAPE_TRUTH="$work/mapped" LC_ALL=C
n=0

said=$("$BIN/fdtape-record" -q -o tape -- "$BIN/tests/live/programs/read_write" tcp4 2>&1)
status=$?
if [ $status = 125 ] && [ "$(id -u)" != 0 ]; then
	echo "ok 1 - the checker # SKIP $(echo "$said" | head -n 1)"
	echo 1..1
	exit 0
fi
"$check" --truth mapped >truth

result() { # NAME TAPE TRUTH LINE [lossy]: the line that must not be ok, or "" for none
	n=$((n + 1))
	"$check" "$2" "$3" ${5:+"$5"} >told 2>&1
	if [ -z "$4" ] && ! grep -q '^not ok' told; then
		echo "ok $n - $1"
	elif [ -n "$4" ] && grep -q "^not ok [0-9]* - $4" told; then
		echo "ok $n - noticed: $1"
	else
		echo "not ok $n - noticed: $1"
		sed 's/^/# /' told | head -n 20
	fi
}

# lie NAME LINE SED-COMMAND [TAPE]
lie() {
	sed "$3" truth >false
	if cmp -s truth false; then
		n=$((n + 1))
		echo "not ok $n - $1: nothing was changed in the truth"
		return
	fi
	result "$1" "${4:-tape}" false "$2"
}

bytes="what was captured" account="captured + lost" calls="every call" flows="every flow" other="no other socket"

result "the truth is the truth" tape truth ""
lie "another pattern" "$bytes" '0,/^data 1 out [0-9]* /s//data 1 out 999 /'
lie "the pattern, a byte further" "$bytes" '0,/^\(data 1 out [0-9]*\) 0 /s//\1 1 /'
lie "a byte less was carried" "$account" '0,/^\(data .*\) 1000$/s//\1 999/'
lie "a byte more was carried" "$account" '0,/^\(data .*\) 1000$/s//\1 1001/'
lie "another result" "$calls" '0,/write 1000 /s//write 1001 /'
lie "another argument" "$calls" '0,/a0=600/s//a0=601/'
lie "another pid" "$calls" '0,/^call 1 [0-9]* /s//call 1 1 /'
lie "a call that was not made" "$calls" '0,/^call.*a0=600/s//&\n&/'
lie "a call that was not told of" "$calls" '0,/^call.*a0=600/{/^call.*a0=600/d}'
lie "a flag" "$calls" '0,/a0=600/s//a0=600 peek/'
lie "another role" "$flows" 's/role=client/role=server/'
lie "another kind" "$flows" '0,/kind=socket/s//kind=pipe/'
lie "another address" "$flows" '0,/local 1 7f000001/s//local 1 7f000002/'
lie "another port" "$flows" '0,/^\(addr .*\) [0-9]*$/s//\1 1/'
lie "it is open still" "$flows" '0,/^flow 1.*/s//& end=open/'
lie "another inode" "$flows" 's/ino=\([0-9]*\)/ino=1\1/'
lie "its second life" "$flows" '0,/nth=1/s//nth=2/'
lie "no such flow" "$other" '/^[a-z]* 2 /d'
lie "a loss" "every loss" '1s/^/expect 6 1\n/'
result "nothing is lost where it should be" tape truth "every loss" lossy
head -c 3000 tape >cut.tape
result "a tape that was cut" cut.tape truth "the tape verifies"
{ head -c 2000 tape && printf 'damage' && tail -c +2007 tape; } >damaged.tape
result "a tape that was damaged" damaged.tape truth "the tape verifies"
rm mapped
"$BIN/fdtape-record" -q -o datagrams.tape -- "$BIN/tests/live/programs/datagrams" udp4
"$check" --truth mapped >truth
result "the truth of datagrams is the truth" datagrams.tape truth ""
peers="each datagram says"
lie "another peer's address" "$peers" '0,/peer=1:7f000001/s//peer=1:7f000002/' datagrams.tape
lie "another peer's port" "$peers" '0,/\(sendto.*peer=1:7f000001:\)[0-9]*/s//\11/' datagrams.tape
lie "a peer that is not told of" "$peers" '0,/ peer=1:[^ ]*/s///' datagrams.tape
echo "1..$n"
