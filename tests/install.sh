#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a packager and a user of the library do: install below DESTDIR, build docs/example.c with pkg-config against
# what was installed and nothing else, static and shared, run it; uninstall.
set -u
: "${BIN:?is the build folder}"
cd "$(dirname "$0")/.." || exit 1
top=$PWD
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
n=0

check() { # NAME COMMAND...: passes when the command does
	name=$1
	shift
	n=$((n + 1))
	if "$@" >"$root/said" 2>&1; then echo "ok $n - $name"; else
		echo "not ok $n - $name"
		sed 's/^/# /' "$root/said"
	fi
}
quiet_make() { env -u MAKEFLAGS -u MAKELEVEL make -s B="$BIN" DESTDIR="$root/to" PREFIX=/opt "$@"; }
pkg() { PKG_CONFIG_PATH=$root/to/opt/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root/to pkg-config "$@" libfdtape | sed "s|$root/to$root/to|$root/to|g"; }

check "make install" quiet_make install
for file in bin/fdtape-record bin/fdtape-replay bin/fdtape-analyze lib/libfdtape.a lib/libfdtape.so include/fdtape/reader.h \
	share/man/man1/fdtape-record.1 share/doc/fdtape/format.md; do
	check "installs $file" test -s "$root/to/opt/$file"
done
build_example() ( # static | shared
	cd "$root" || exit 1
	cp "$top/docs/example.c" .
	# shellcheck disable=SC2046
	if [ "$1" = static ]; then
		${CC:-cc} -std=gnu11 -Wall -Wextra -Werror $(pkg --cflags) example.c -o example-static "$root/to/opt/lib/libfdtape.a" \
			$(pkg-config --libs libzstd libxxhash)
	else
		${CC:-cc} -std=gnu11 -Wall -Wextra -Werror $(pkg --cflags) example.c -o example-shared $(pkg --libs)
	fi
)
run_example() { # PROGRAM: agrees with the tool about the number of flows
	LD_LIBRARY_PATH=$root/to/opt/lib "$root/$1" "$top/testdata/curl-tls13.tape" >"$root/lines" || return 1
	cat "$root/lines"
	[ "$(wc -l <"$root/lines")" -ge "$("$BIN/fdtape-analyze" --json flows "$top/testdata/curl-tls13.tape" | wc -l)" ]
}
check "docs/example.c has fewer than 60 lines" test "$(wc -l <docs/example.c)" -lt 60
for kind in static shared; do
	check "docs/example.c builds ($kind)" build_example $kind
	check "docs/example.c runs ($kind)" run_example example-$kind
done
for page in docs/*.1; do
	check "$page is sound mdoc" mandoc -T lint -W warning "$page"
done
check "make uninstall" quiet_make uninstall
check "uninstall leaves no file" test -z "$(find "$root/to" -type f -o -type l)"
echo "1..$n"
