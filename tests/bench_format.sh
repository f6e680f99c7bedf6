#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# bench_format.sh [OPTION...]: measures the tape (docs/performance.md) on a made-up workload and, where the recorder
# works, on one that is recorded now: nginx answering 1 KiB over kept-alive TLS connections to wrk, or to curl where
# there is no wrk. Takes 5 GiB below $TMPDIR and 5 GiB of memory for a few minutes. The options are bench_format's.
set -eu
: "${BIN:?is the build folder}"
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"

load() { # SECONDS: requests, as fast as they are answered
	if command -v wrk >/dev/null; then
		wrk -t1 -c32 -d"$1s" "$url" >/dev/null
		return
	fi
	clients=
	for _ in 1 2 3 4 5 6 7 8; do
		curl -sk -o /dev/null "$url?[1-10000000]" &
		clients="$clients $!"
	done
	sleep "$1"
	# shellcheck disable=SC2086
	kill $clients
}

record_nginx() { # makes $work/nginx.tape, or says why not
	mkdir "$work/www" "$work/tmp"
	chmod 777 "$work/tmp"
	head -c 768 /dev/urandom | base64 -w 0 >"$work/www/1k.txt"
	openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$work/key.pem" \
		-out "$work/cert.pem" -subj /CN=localhost 2>/dev/null
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	url=https://127.0.0.1:$port/1k.txt
	cat >"$work/nginx.conf" <<-CONF
		daemon off; master_process off; pid $work/nginx.pid; error_log $work/error.log;
		events {}
		http {
		  access_log off; keepalive_requests 100000000; types { text/plain txt; }
		  client_body_temp_path $work/tmp; proxy_temp_path $work/tmp;
		  fastcgi_temp_path $work/tmp; uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
		  server {
		    listen 127.0.0.1:$port ssl; root $work/www;
		    ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
		  }
		}
	CONF
	nginx -e /dev/null -c "$work/nginx.conf" &
	server=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ -s "$work/nginx.pid" ] && break
		sleep 0.1
	done
	if ! curl -skf -o "$work/answer" "$url" || ! cmp -s "$work/answer" "$work/www/1k.txt"; then
		echo 'nginx does not answer'
		return
	fi
	"$BIN/fdtape-record" -o "$work/part" --tls keys -p "$server" 2>"$work/said" &
	recorder=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ -s "$work/said" ] && break
		sleep 0.2
	done
	load 10
	kill -INT $recorder 2>/dev/null || true
	wait $recorder && mv "$work/part" "$work/nginx.tape"
	tail -n 1 "$work/said"
	kill "$server"
	server=
}

uname -srm
sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1
date -u +%F
if [ ! -x "$BIN/fdtape-record" ] || ! command -v nginx >/dev/null; then
	echo 'no recorder or no nginx here'
else
	record_nginx
fi
tape=
if [ -s "$work/nginx.tape" ]; then
	tape=$work/nginx.tape
else
	echo 'nothing was recorded: the synthetic mix only'
fi
# One core, the last of those allowed, where that can be said.
pin=
if command -v taskset >/dev/null; then
	pin="taskset -c $(taskset -cp $$ | sed 's/.*[ ,-]//')"
fi
# shellcheck disable=SC2086
$pin "$BIN/tests/bench_format" -d "$work" "$@" $tape
