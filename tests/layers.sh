#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Holds each folder to its place in the tower (docs/design.md): what it may include, and what a tool may link.
set -u
cd "$(dirname "$0")/.." || exit 1
: "${BIN:?is the build folder}"
n=0

result() { # NAME LINES
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "$2" | sed 's/^/# /'; fi
}

# may FOLDER PATTERN: besides what stands in the folder itself, its files may include only what matches.
may() {
	result "$1/ includes only what its floor may use" "$(
		grep -nE '^[[:space:]]*#[[:space:]]*include' "$1"/*.[ch] /dev/null |
			grep -vE "[<\"]($1/[a-z0-9_.]*|$2)[>\"]")"
}

libc='(arpa/inet|assert|ctype|dirent|endian|errno|fcntl|fnmatch|inttypes|limits|math|poll|signal|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd|sys/(mman|resource|socket|stat|types|un|wait|uio))\.h'
linux='(linux/(capability|types)|pthread|pwd|sched|stdatomic|sys/(epoll|ioctl|prctl|signalfd|syscall|utsname)|ucontext)\.h'
ours='(cli|map)\.h'
api='fdtape/[a-z]*\.h'

may format "$libc|pthread\.h|$api|zstd\.h|zstd_errors\.h|xxhash\.h"
may bpf "linux/(bpf|types)\.h|bpf/bpf_[a-z_]*\.h"
may record "$libc|$linux|$ours|$api|bpf/(probe_abi|fdtape\.skel|bpf|btf|libbpf)\.h|(gelf|cap-ng|capstone|seccomp)\.h"
may replay "$libc|$ours|$api|replay/proto/[a-z0-9_]*\.h|openssl/[a-z0-9_]*\.h"
may replay/proto "$libc|$ours|$api|replay/(assembly|buffer|tls)\.h|openssl/[a-z0-9_]*\.h|nghttp2/nghttp2\.h|zlib\.h|brotli/decode\.h|zstd(_errors)?\.h"
may analyze "$libc|$ours|$api|replay/([a-z0-9_]*|proto/[a-z0-9_]*)\.h|openssl/[a-z0-9_]*\.h"

result "include/fdtape/ needs nothing but libc" "$(grep -nE '^#[[:space:]]*include' include/fdtape/*.h |
	grep -vE "[<\"](fdtape/[a-z]*|std(def|int|bool))\.h[>\"]")"
result "format/ never prints and never exits" \
	"$(grep -nE '\b(f?printf|v?fprintf|puts|fputs|perror|exit|abort)[[:space:]]*\(' format/*.c)"
result "the player's library never exits" \
	"$(grep -nE '\b(exit|abort)[[:space:]]*\(' $(ls replay/*.c replay/proto/*.c | grep -v -e replay/replay.c))"
for tool in replay analyze; do
	result "$NAME-$tool links neither libbpf nor libelf" \
		"$(readelf -d "$BIN/$NAME-$tool" | grep -E 'NEEDED.*lib(bpf|elf)')"
done
result "$NAME-record links no TLS" "$(readelf -d "$BIN/$NAME-record" | grep -E 'NEEDED.*lib(ssl|crypto)')"
result "the shared library exports the public API only" \
	"$(nm -D --defined-only "$BIN"/lib$NAME.so.? | awk '{print $3}' | grep -v '^fdtape_')"
result "file names are unique across the tree" \
	"$(ls format/*.[ch] bpf/*.[ch] record/*.[ch] replay/*.[ch] replay/proto/*.[ch] analyze/*.[ch] include/*.h include/*/*.h |
		sed 's|.*/||' | sort | uniq -d)"
echo "1..$n"
