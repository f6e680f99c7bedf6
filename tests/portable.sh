#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Holds the player's half (format/, replay/, analyze/) to every POSIX system: the same tapes give the same bytes on a
# big-endian host (s390x), on a 32-bit one (armhf), both emulated by qemu-user, and with musl; and the sources compile
# as C11 with nothing but POSIX. Speaks TAP. All that it makes or fetches stays in $BIN/portable/: a second run builds
# what has changed and downloads nothing.
#
#   BIN=build sh tests/portable.sh             over testdata/
#   BIN=build TAPES=DIR sh tests/portable.sh   over every *.tape below DIR
#   BIN=build TARGETS=musl sh tests/portable.sh
#
# Each tape is read as it is, cut off at two thirds, and with bytes overwritten; and what each target writes from it is
# read back by the native build. Compared are stdout, stderr and exit status of every command in commands().
#
# The libraries: for s390x and armhf Debian's own packages of that architecture, linked statically, without adding the
# architecture to this machine. For musl the static archives that Debian has built against glibc, with the sixteen
# symbols that musl lacks written below (shim); so format/, replay/, analyze/ and their C library are musl's through
# and through, zstd, brotli, xxhash, jansson and libcrypto are only as far as their archives go.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:?is the build folder}"
BIN=$(cd "$BIN" && pwd) || exit 1
CC=${CC:-cc} NAME=${NAME:-fdtape}
TAPES=${TAPES:-testdata}
TARGETS=${TARGETS:-s390x armhf musl}
out=$BIN/portable
jobs=$(nproc 2>/dev/null || echo 1)
n=0 failed=0 ready=
export LC_ALL=C

ok() { # NAME
	n=$((n + 1))
	echo "ok $n - $1"
}

not_ok() { # NAME WHY
	n=$((n + 1)) failed=$((failed + 1))
	echo "not ok $n - $1"
	echo "$2" | cut -c1-240 | sed 's/^/# /'
}

result() { # NAME WHY-NOT
	if [ -z "$2" ]; then ok "$1"; else not_ok "$1" "$2"; fi
}

# ---- the sources ---------------------------------------------------------------

# What POSIX.1-2008 and C11 have; features.h and bits/ are how musl spells them.
posix='(aio|arpa/inet|assert|ctype|dirent|errno|fcntl|float|fnmatch|glob|grp|inttypes|iso646|langinfo|libgen|limits|locale|math|net/if|netdb|netinet/(in|tcp)|poll|pthread|pwd|regex|sched|search|semaphore|setjmp|signal|spawn|std(align|arg|atomic|bool|def|int|io|lib|noreturn)|strings?|sys/(mman|resource|select|socket|stat|statvfs|time|times|types|uio|un|utsname|wait)|syslog|termios|time|unistd|wchar|wctype|features|bits/[a-z]*)\.h'

# sources_compile FOLDER WHAT COMPILER...: every file of the folder as C11 with the declarations of POSIX alone.
sources_compile() {
	folder=$1 what=$2
	shift 2
	result "$folder/ is C11 with POSIX alone, $what" "$(
		for file in "$folder"/*.c; do
			"$@" -std=c11 -D_XOPEN_SOURCE=700 -U_GNU_SOURCE -Iinclude -I. -DFDTAPE_VERSION=0 \
				-Wall -Wextra -Werror -fsyntax-only "$file" 2>&1 || echo "$file does not compile"
		done | head -n 30)"
}

# Asked of musl, whose headers do not include Linux' own, as glibc's do.
sources_include() { # FOLDER COMPILER...
	folder=$1
	shift
	result "$folder/ includes no header of the system but those of POSIX" "$(
		for file in "$folder"/*.c; do
			"$@" -std=c11 -D_XOPEN_SOURCE=700 -U_GNU_SOURCE -Iinclude -I. -M "$file" 2>&1 | tr ' ' '\n' |
				grep -E 'error:|/linux/|/asm/|/include/[a-z0-9_]*-linux-musl/' |
				grep -vE "/include/[a-z0-9_]*-linux-musl/$posix\$" | sed "s|^|$file reaches |"
		done | head -n 30)"
}

# ---- the targets ---------------------------------------------------------------

# needs TARGET TOOL PACKAGE...: fails the target when a tool of this machine is missing.
needs() {
	target=$1
	shift
	while [ $# -gt 0 ]; do
		command -v "$1" >/dev/null || {
			not_ok "$target: the tools are there" "no $1: install $2"
			return 1
		}
		shift 2
	done
}

# fetch TARGET: the target's libraries into $out/TARGET/root, by this machine's apt sources, with apt's state kept there
# as well. Returns 1 with its last words in fetch.log.
fetch() {
	packages='libzstd-dev libxxhash-dev libssl-dev libjansson-dev libcmocka-dev libcmocka0 libnghttp2-dev zlib1g-dev libbrotli-dev'
	[ "$(cat "$out/$1/fetched" 2>/dev/null)" = "$packages" ] && return 0
	(
		rm -rf "$out/$1/apt" "$out/$1/root"
		mkdir -p "$out/$1/apt/lists/partial" "$out/$1/apt/archives/partial" "$out/$1/apt/debs" "$out/$1/root"
		cd "$out/$1/apt" && : >status
		set -- -o APT::Architecture="$1" -o APT::Architectures="$1" -o APT::Sandbox::User= -o Dir::State="$PWD" \
			-o Dir::State::Lists="$PWD/lists" -o Dir::State::status="$PWD/status" -o Dir::Cache="$PWD" \
			-o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20
		# A source that lacks this architecture is no matter, as long as another has the packages.
		apt-get "$@" update
		cd debs && apt-get "$@" download $packages || exit 1
		for deb in *.deb; do
			dpkg-deb -x "$deb" ../../root || exit 1
		done
		rm -rf ../lists ../debs ../archives ../*.bin
	) >"$out/$1/fetch.log" 2>&1 || return 1
	echo "$packages" >"$out/$1/fetched"
}

# shim: for archives made for glibc, what musl does not have. The checked forms drop their check; OpenSSL's
# asynchronous jobs, which nothing here starts, are the only ones to ask for a context.
shim() {
	cat <<'END'
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define VARIADIC(call)     \
	va_list a;         \
	va_start(a, form); \
	int n = call;      \
	va_end(a);         \
	return n

int __vfprintf_chk(FILE *f, int flag, const char *form, va_list a) { (void)flag; return vfprintf(f, form, a); }
int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *form, va_list a)
{ (void)flag; (void)room; return vsnprintf(to, n, form, a); }
int __printf_chk(int flag, const char *form, ...) { (void)flag; VARIADIC(vprintf(form, a)); }
int __fprintf_chk(FILE *f, int flag, const char *form, ...) { (void)flag; VARIADIC(vfprintf(f, form, a)); }
int __snprintf_chk(char *to, size_t size, int flag, size_t room, const char *form, ...)
{ (void)flag; (void)room; VARIADIC(vsnprintf(to, size, form, a)); }
int __sprintf_chk(char *to, int flag, size_t room, const char *form, ...)
{ (void)flag; (void)room; VARIADIC(vsprintf(to, form, a)); }
int __syslog_chk(int priority, int flag, const char *form, ...)
{ (void)flag; VARIADIC((vsyslog(priority, form, a), 0)); }
void *__memcpy_chk(void *to, const void *from, size_t n, size_t room) { (void)room; return memcpy(to, from, n); }
void *__memset_chk(void *to, int c, size_t n, size_t room) { (void)room; return memset(to, c, n); }
char *__strcat_chk(char *to, const char *from, size_t room) { (void)room; return strcat(to, from); }
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room) { (void)room; return strncpy(to, from, n); }
long __fdelt_chk(long fd) { return fd / (8 * (long)sizeof(long)); }
_Noreturn void __longjmp_chk(jmp_buf where, int value) { longjmp(where, value); }
int getcontext(void *context) { (void)context; abort(); }
int setcontext(const void *context) { (void)context; abort(); }
void makecontext(void *context, void (*f)(void), int n, ...) { (void)context; (void)f; (void)n; abort(); }
END
}

# musl_libraries: the headers and archives of this machine's libraries in a folder of their own, so that nothing of
# glibc's stands beside them.
musl_libraries() {
	m=$out/musl
	mkdir -p "$m/include/openssl" "$m/include/nghttp2" "$m/include/brotli" "$m/lib" &&
		ln -sf /usr/include/zstd.h /usr/include/zstd_errors.h /usr/include/xxhash.h /usr/include/jansson.h \
			/usr/include/jansson_config.h /usr/include/cmocka*.h /usr/include/zlib.h /usr/include/zconf.h "$m/include" &&
		ln -sf /usr/include/nghttp2/*.h "$m/include/nghttp2" &&
		ln -sf /usr/include/brotli/*.h "$m/include/brotli" &&
		ln -sf /usr/include/openssl/*.h "/usr/include/$(gcc -print-multiarch)"/openssl/*.h "$m/include/openssl" &&
		for lib in libzstd.a libxxhash.a libcrypto.a libssl.a libjansson.a libnghttp2.a libz.a libbrotlidec.a libbrotlicommon.a \
			libcmocka.so libcmocka.so.0; do
			ln -sf "$(gcc -print-file-name=$lib)" "$m/lib/$lib" || return 1
		done
	shim >"$m/shim.new"
	cmp -s "$m/shim.new" "$m/shim.c" || mv "$m/shim.new" "$m/shim.c"
	# cmocka's shared library, all that Debian has of it, wants glibc's loader beside its C library; musl's is both.
	[ "$m/shim.o" -nt "$m/shim.c" ] || {
		musl-gcc -O2 -c "$m/shim.c" -o "$m/shim.o" &&
			musl-gcc -shared -nostdlib -o "$m/lib/$(ldd /bin/sh | sed -n 's|^.*/\(ld-[^ ]*\).*|\1|p')" -x c /dev/null
	}
}

# Nothing of an outer make or of the environment comes along.
clean() {
	env -i PATH="$PATH" HOME="${HOME:-/}" LC_ALL=C "$@"
}

# build_for TARGET MAKE-WORD...: the two tools and their unit tests, from these sources and by this Makefile.
# Any warning is an error.
build_for() {
	target=$1
	shift
	tests=$(cd tests && ls test_*.c | grep -v '^test_record_' | sed "s|\(.*\)\.c|$out/$target/tests/\1|")
	{
		clean make -j"$jobs" B="$out/$target" WERROR=1 "$@" LDFLAGS="-static $objects" \
			"$out/$target/$NAME-analyze" "$out/$target/$NAME-replay" &&
			clean make -k -j"$jobs" B="$out/$target" WERROR=1 "$@" LDFLAGS="-rdynamic $objects" $tests
	} >"$out/$target/build.log" 2>&1
}

# prepare TARGET: tools, libraries, build; then $ready holds the target.
prepare() {
	mkdir -p "$out/$1"
	objects=
	case $1 in
	s390x)
		needs s390x s390x-linux-gnu-gcc gcc-s390x-linux-gnu qemu-s390x qemu-user || return ;;
	armhf)
		needs armhf arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf qemu-arm qemu-user || return ;;
	musl)
		needs musl musl-gcc musl-tools || return
		musl_libraries >"$out/musl/build.log" 2>&1 || {
			not_ok "musl: the libraries are there" "$(tail -n 20 "$out/musl/build.log")"
			return
		}
		objects=$out/musl/shim.o
		set -- musl CC="musl-gcc -isystem $out/musl/include -L$out/musl/lib" ;;
	*)
		not_ok "target '$1'" "s390x, armhf and musl are known"
		return ;;
	esac
	if [ "$1" != musl ]; then
		fetch "$1" || {
			ok "$1: built and compared # SKIP packages cannot be downloaded: $(grep '^E:' "$out/$1/fetch.log" | tail -n 1)"
			return
		}
		triplet=$(triplet "$1") usr=$out/$1/root/usr
		set -- "$1" \
			CC="$triplet-gcc -isystem $usr/include -isystem $usr/include/$triplet -L$usr/lib/$triplet" \
			PKG_CONFIG="env PKG_CONFIG_LIBDIR=$usr/lib/$triplet/pkgconfig pkg-config"
	fi
	rm -f "$out/$1/$NAME-analyze" "$out/$1/$NAME-replay"
	if build_for "$@"; then
		ok "$1: the player and its tests build without a warning"
	else
		not_ok "$1: the player and its tests build without a warning" "$(
			grep -E 'error:|ld: error|warning:|undefined|ld returned|\*\*\*' "$out/$1/build.log" |
				grep -v 'in statically linked' | head -n 20)"
	fi
	[ "$1" != armhf ] || large_files
	[ -x "$out/$1/$NAME-analyze" ] && [ -x "$out/$1/$NAME-replay" ] && ready="$ready $1"
}

# large_files: where off_t may have 32 bits, tapes beyond 2 GiB need the other set of calls. An emulated system does not
# tell: its files are the host's.
large_files() {
	result "armhf: files may be larger than 2 GiB" "$(
		for object in "$out"/armhf/format/*.o "$out"/armhf/replay/*.o "$out"/armhf/replay/*/*.o "$out"/armhf/analyze/*.o; do
			arm-linux-gnueabihf-nm -u "$object" 2>&1 | sed "s|^ *U|${object#"$out/armhf/"}:|" | grep -E \
				': (f|l)?(stat|statvfs)$|: (f?open|f?openat|freopen|creat|lseek|fseeko|ftello|tmpfile|mkstemp|f?truncate|pread|pwrite|mmap|readdir|nftw|sendfile)$'
		done)"
}

triplet() {
	case $1 in
	s390x) echo s390x-linux-gnu ;;
	armhf) echo arm-linux-gnueabihf ;;
	esac
}

# on TARGET TOOL ARGUMENT...: runs one of the tools as the target's build of it.
on() {
	target=$1 tool=$2
	shift 2
	case $target in
	native) timeout 120 "$BIN/$tool" "$@" ;;
	s390x) timeout 120 qemu-s390x "$out/s390x/$tool" "$@" ;;
	armhf) timeout 120 qemu-arm "$out/armhf/$tool" "$@" ;;
	musl) timeout 120 "$out/musl/$tool" "$@" ;;
	esac
}

# The unit tests are linked to cmocka's shared library, and so to the target's loader.
unit() { # TARGET TEST
	usr=$out/$1/root/usr
	case $1 in
	s390x | armhf)
		t=$(triplet "$1")
		case $1 in s390x) set -- "$1" "$2" qemu-s390x ;; *) set -- "$1" "$2" qemu-arm ;; esac
		timeout 600 "$3" -L "/usr/$t" -E LD_LIBRARY_PATH="$usr/lib/$t" "$out/$1/tests/$2" ;;
	musl) LD_LIBRARY_PATH=$out/musl/lib timeout 600 "$out/musl/tests/$2" ;;
	esac
}

# ---- the tapes -----------------------------------------------------------------

# tapes: every tape, as it is and damaged, one path a line. The damaged ones are made of those that are not too large.
tapes() {
	rm -rf "$out/damaged"
	mkdir -p "$out/damaged"
	find "$TAPES" -name '*.tape' -type f | sort >"$out/whole"
	while IFS= read -r tape; do
		printf '%s\n' "$tape"
		size=$(wc -c <"$tape")
		[ "$size" -ge 64 ] && [ "$size" -le 16777216 ] || continue
		copy=$out/damaged/$(printf '%s' "${tape#"$TAPES"/}" | tr '/ ' '__')
		head -c $((size * 2 / 3)) "$tape" >"${copy%.tape}-cut.tape"
		cp "$tape" "${copy%.tape}-holed.tape"
		chmod u+w "${copy%.tape}-holed.tape"
		for part in 3 5 8; do
			printf '\125\252\125' | dd of="${copy%.tape}-holed.tape" bs=1 seek=$((size * part / 9)) conv=notrunc 2>/dev/null
		done
		printf '%s\n' "${copy%.tape}-cut.tape" "${copy%.tape}-holed.tape"
	done <"$out/whole" >"$out/tapes"
}

# said NAME COMMAND...: a command with what it prints and how it ends.
said() {
	echo "== $1"
	shift
	"$@" 2>"$err"
	status=$?
	sed 's/^/stderr: /' "$err"
	echo "exit $status"
}
# The same, for what is long or no text.
said_sum() {
	echo "== $1"
	shift
	{ "$@" 2>"$err"; echo "exit $?" >"$err.status"; } | sha256sum
	sed 's/^/stderr: /' "$err"
	cat "$err.status"
}
piped() { # TAPE COMMAND...
	tape=$1
	shift
	cat "$tape" | "$@"
}

commands() { # TARGET TAPE
	for view in info summary flows log http ws sql dns stats doctor verify; do
		said "$view --json" on "$1" "$NAME-analyze" $view --json "$2"
	done
	said_sum "pcapng" on "$1" "$NAME-analyze" pcapng "$2"
	said "replay --transcript" on "$1" "$NAME-replay" --transcript "$2"
	# A tape has random numbers of its own: what was written is compared by how it reads.
	: >"$err.tape"
	said "replay --to" on "$1" "$NAME-replay" --to "$err.tape" "$2" | sed "s|$err|COPY|g"
	said "the copy, read natively: log --json" on native "$NAME-analyze" log --json - <"$err.tape"
	said "the copy, read natively: --transcript" on native "$NAME-replay" --transcript - <"$err.tape"
	case $2 in "$out"/*) return ;; esac
	for view in info summary flows log http ws sql dns stats doctor verify keylog; do
		said "$view" on "$1" "$NAME-analyze" $view "$2"
	done
	said_sum "pcapng --wire" on "$1" "$NAME-analyze" pcapng --wire "$2"
	said_sum "replay" on "$1" "$NAME-replay" "$2"
	said "flows --json of a pipe" piped "$2" on "$1" "$NAME-analyze" flows --json -
}

# visit TARGET: every command over every tape into $out/said/TARGET/NUMBER, and the unit tests.
visit() {
	mkdir -p "$out/said/$1"
	err=$out/said/$1/stderr k=0
	while IFS= read -r tape; do
		k=$((k + 1))
		commands "$1" "$tape" >"$out/said/$1/$k"
	done <"$out/tapes"
	rm -f "$err" "$err".*
	[ "$1" != native ] || return 0
	for test in tests/test_*.c; do
		test=$(basename "$test" .c)
		[ -x "$out/$1/tests/$test" ] || continue
		unit "$1" "$test" >"$out/said/$1/$test" 2>&1 </dev/null
		echo $? >"$out/said/$1/$test.exit"
	done
}

compare() { # TARGET
	k=0
	while IFS= read -r tape; do
		k=$((k + 1))
		case $tape in
		"$out"/*) name=${tape#"$out/"} ;;
		*) name=${tape#"$TAPES"/} ;;
		esac
		if cmp -s "$out/said/native/$k" "$out/said/$1/$k"; then
			ok "$1: $name is what it is here"
		else
			not_ok "$1: $name is what it is here" \
				"$(diff -a -U1 -F '^== ' "$out/said/native/$k" "$out/said/$1/$k" | sed '1,2d' | head -n 20)"
		fi
	done <"$out/tapes"
	for test in tests/test_*.c; do
		test=$(basename "$test" .c)
		[ -e "$out/said/$1/$test.exit" ] || continue
		if [ "$(cat "$out/said/$1/$test.exit")" = 0 ] && grep -q '^ok ' "$out/said/$1/$test"; then
			ok "$1: $test, $(grep -c '^ok ' "$out/said/$1/$test") cases"
		else
			not_ok "$1: $test" "$(grep -v '^ok ' "$out/said/$1/$test" | head -n 20)
exit $(cat "$out/said/$1/$test.exit")"
		fi
	done
}

# --------------------------------------------------------------------------------

[ -x "$BIN/$NAME-analyze" ] && [ -x "$BIN/$NAME-replay" ] || {
	echo "Bail out! no $NAME-analyze and $NAME-replay in $BIN"
	exit 1
}
mkdir -p "$out"
for folder in format replay replay/proto analyze; do
	sources_compile $folder "by this machine's compiler" $CC
done
for target in $TARGETS; do
	prepare "$target"
	[ "$target" = musl ] && [ -e "$out/musl/include/zstd.h" ] && command -v musl-gcc >/dev/null &&
		for folder in format replay replay/proto analyze; do
			sources_compile $folder "with musl" musl-gcc -isystem "$out/musl/include"
			sources_include $folder musl-gcc -isystem "$out/musl/include"
		done
done

tapes
[ -s "$out/tapes" ] || not_ok "tapes below $TAPES" "there is none"
rm -rf "$out/said"
for target in native $ready; do
	visit "$target" &
done
wait
# Equal failures would prove nothing.
result "here: every tape can be read" "$(
	cd "$out/said/native" && grep -aE -B1 '^exit (2|4|[0-9]{2,})$' -- * | head -n 20)"
for target in $ready; do
	compare "$target"
done
echo "1..$n"
[ $failed = 0 ]
