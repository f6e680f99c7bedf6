#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# kernels.sh SERIES: boots Debian's kernel of that series (5.10, 6.1, 6.12) under QEMU and runs tests/live/capture.sh in
# it, with a static recorder: that the probes load and see everything here proves nothing about other kernels. Speaks
# TAP. Where no such kernel can be had, or QEMU is missing, that is one skip with its reason.
#
#   BIN=build sh tests/kernels.sh 6.1 [WORD]...   only lines of capture.list with these words
#
# Kernels are kept in $FDTAPE_KERNELS (build/kernels), and so are the package lists that they were found in: a second run
# asks nobody. A vmlinuz-SERIES that is put there is used as it is. What is left behind, in $BIN/kernels/SERIES/:
#
#   console   all that the kernel said          tap     the suite's lines
#   kept/     the tapes of what failed          check   what `fdtape-record --check` says there
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:?is the build folder}"
BIN=$(cd "$BIN" && pwd) || exit 1
series=${1:?a series of kernels: 5.10, 6.1, 6.12}
shift
words=$*
export LC_ALL=C
kernels=${FDTAPE_KERNELS:-build/kernels}
mkdir -p "$kernels" || exit 1
kernels=$(cd "$kernels" && pwd)
out=$BIN/kernels/$series
LIMIT=${LIMIT:-3600} # seconds for all of it: emulated, one beside the other, and maybe on a busy machine

skip() {
	echo "ok - kernel $series # SKIP $1"
	echo 1..1
	exit 0
}

# ---- the kernel ----------------------------------------------------------------

# Debian's releases that have, or had, the series.
case $series in
5.10) releases=bullseye ;;
6.1) releases=bookworm ;;
6.12) releases="bookworm trixie" ;;
*) releases="bookworm trixie" ;;
esac

# sources RELEASE FOLDER: this machine's own, for another release. Of the suites beside it only the security updates: the
# others come and go.
sources() {
	here=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	[ -n "$here" ] || return 1
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ -f "$file" ] && grep -q "^[^#]*\b$here\b" "$file" || continue
		sed "/^[^#]*deb.*$here-\(updates\|backports\)/d; s/$here-\(updates\|backports\)[^ ]*//g; s/\b$here\b/$1/g" \
			"$file" >"$2/$(basename "$file")"
	done
	ls "$2"/* >/dev/null 2>&1
}

# fetch: the newest kernel of the series from the first release that has one, to $kernels/vmlinuz-$series. Everything that
# apt keeps stays in a folder of ours.
fetch() {
	for release in $releases; do
		apt=$kernels/apt/$release
		mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
		sources "$release" "$apt/sources" || {
			echo "no package sources of Debian here"
			return 1
		}
		set -- -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources" \
			-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)" \
			-o Acquire::Retries=2 -o Acquire::http::Timeout=20
		[ -e "$apt/updated" ] || {
			timeout 300 apt-get "$@" -qq update >"$apt/log" 2>&1 && : >"$apt/updated"
		} || continue
		package=$(apt-cache "$@" search --names-only '^linux-image-.*-amd64$' | awk '{print $1}' |
			grep "^linux-image-$(echo "$series" | sed 's/\./\\./')\.[0-9]" | grep -v -e -rt- -e -cloud- -e unsigned -e dbg |
			sort -V | tail -n 1)
		[ -n "$package" ] || continue
		(cd "$apt/packages" && timeout 600 apt-get "$@" -qq download "$package") >>"$apt/log" 2>&1 || continue
		dpkg-deb --fsys-tarfile "$apt/packages/$package"_*.deb | tar x -C "$apt/packages" --wildcards './boot/vmlinuz*' || continue
		rm -f "$apt/packages/$package"_*.deb
		mv "$apt/packages/boot/vmlinuz-${package#linux-image-}" "$kernels/vmlinuz-$series" && return 0
	done
	cat "$apt/log" 2>/dev/null | grep -v '^W:' | tail -n 1
	return 1
}

command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is missing (Debian: qemu-system-x86)"
busybox=$(command -v busybox) || skip "busybox is missing (Debian: busybox-static)"
! readelf -d "$busybox" 2>/dev/null | grep -q NEEDED || skip "busybox is not static (Debian: busybox-static)"
[ -x "$BIN/static/$NAME-record" ] || skip "no static recorder was built: $(tail -n 1 "$BIN/static/log" 2>/dev/null)"
if [ ! -s "$kernels/vmlinuz-$series" ]; then
	command -v apt-get >/dev/null || skip "no kernel: put one at $kernels/vmlinuz-$series"
	exec 8>"$kernels/lock" # of apt's folders, which several kernels share
	flock 8
	why=$(fetch) || skip "the kernel cannot be fetched: ${why:-no release has one}"
	exec 8>&-
fi

# ---- the machine ---------------------------------------------------------------

root=$out/root
rm -rf "$out"
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/work" "$root/programs"
cp "$busybox" "$root/bin/busybox"
cp "$BIN/static/$NAME-record" "$root/record"
cp "$BIN/tests/live/check_tape" tests/live/capture.sh tests/live/capture.list "$root"
for program in "$BIN"/tests/live/programs/*; do
	case $program in *.d | *.log) ;; *) cp "$program" "$root/programs" ;; esac
done
strip "$root/record" "$root/check_tape" "$root"/programs/* 2>/dev/null

# Four serial lines: the console, the suite's lines, what is left of failed tests, --check.
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ip link set lo up
echo 0 >/proc/sys/vm/compaction_proactiveness 2>/dev/null
for line in 1 2 3; do stty -F /dev/ttyS\$line raw; done
/record --check >/dev/ttyS3 2>&1
RECORD=/record CHECK=/check_tape PROGRAMS=/programs KEEP=/kept WORK=/work/w TIMEOUT=300 KEEP_MAX=2000 \\
	sh /capture.sh $words >/dev/ttyS1
tar c -C /kept . | gzip >/dev/ttyS2
sync
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$out/initrd"
rm -rf "$root"

# One thread for both processors: with two, a processor may still run what the other has just patched (jump labels), and
# the kernel dies of a breakpoint of its own. With three machines on two real processors it is no slower.
# A processor that waits for its turn may do so while it moves a program's memory, which nobody can read for that long:
# longer than the probes wait (bpf/user.h). So nothing is moved: no huge pages are put together, no memory is compacted.
boot() {
	timeout -k 10 "$LIMIT" qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 2 -m 1536 -display none -no-reboot \
		-monitor none -net none -kernel "$kernels/vmlinuz-$series" -initrd "$out/initrd" \
		-append "console=ttyS0 loglevel=5 panic=-1 mitigations=off transparent_hugepage=never" \
		-serial "file:$out/console" -serial "file:$out/tap" -serial "file:$out/kept.tar.gz" -serial "file:$out/check" \
		</dev/null >"$out/qemu" 2>&1
	status=$?
}

# A kernel that ends before it has run anything of ours says nothing about us: it gets another chance, and that is said.
boot
for again in 1 2; do
	[ "$status" = 124 ] || [ "$status" = 137 ] || [ -s "$out/check" ] || [ -s "$out/tap" ] || {
		echo "# $series: the kernel ended before its first program, QEMU with status $status; booted again:"
		tail -n 3 "$out/console" | tr -d '\r' | cut -c1-200 | sed 's/^/#   /'
		boot
	}
done
rm -f "$out/initrd"

# ---- what came of it -----------------------------------------------------------

mkdir -p "$out/kept"
tar xzf "$out/kept.tar.gz" -C "$out/kept" 2>/dev/null && rm -f "$out/kept.tar.gz"
sed -n "/^\(not \)\{0,1\}ok /{s/ok - /ok - $series: /;p}; /^# /p" "$out/tap"
failed=0
! grep -q '^not ok' "$out/tap" || failed=1
# Its last line says that the suite came to its end.
if ! grep -q '^# [0-9]* programs, ' "$out/tap"; then
	case $status in
	124 | 137) why="it did not end within $LIMIT s" ;;
	*) why="it ended early, QEMU with status $status" ;;
	esac
	failed=1
	echo "not ok - $series: the suite ran to its end: $why"
	tail -n 30 "$out/console" | tr -d '\r' | cut -c1-200 | sed 's/^/# /'
	head -n 5 "$out/qemu" | sed 's/^/# /'
elif grep -q 'BUG:\|Oops\|Kernel panic\|WARNING: CPU' "$out/console"; then
	failed=1
	echo "not ok - $series: the kernel complained of nothing"
	grep -A 12 'BUG:\|Oops\|Kernel panic\|WARNING: CPU' "$out/console" | tr -d '\r' | cut -c1-200 | head -n 30 | sed 's/^/# /'
else
	echo "ok - $series: the kernel complained of nothing"
fi
[ $failed = 0 ]
