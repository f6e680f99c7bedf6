#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# make demo: records curl against a local nginx over real TLS, then shows what the tape tells. Leaves demo.tape and
# demo.pcapng in the current folder. Where nothing can be recorded it says why and plays a tape that was recorded
# before.
set -eu
: "${BIN:?is the build folder}"
fixture=testdata/curl-tls13.tape
tape=demo.tape
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"

show() { # prints a command as one would type it, and runs it
	printf '\n$ %s\n' "$*"
	"$@"
}
PATH=$BIN:$PATH

mkdir "$work/www" "$work/tmp"
chmod 777 "$work/tmp"
head -c 153600 /dev/urandom | base64 >"$work/www/report.txt"
openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$work/key.pem" -out "$work/cert.pem" \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/nginx.conf" <<-CONF
	daemon off; master_process off; pid $work/nginx.pid; error_log $work/error.log;
	events {}
	http {
	  access_log off; types { text/plain txt; }
	  client_body_temp_path $work/tmp; proxy_temp_path $work/tmp;
	  fastcgi_temp_path $work/tmp; uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
	  server {
	    listen 127.0.0.1:$port ssl; root $work/www;
	    ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
	    location /login { return 303 https://localhost:$port/report.txt; }
	  }
	}
CONF
nginx -e /dev/null -c "$work/nginx.conf" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	[ -s "$work/nginx.pid" ] && break
	sleep 0.1
done

rm -f "$tape" demo.pcapng
url=https://localhost:$port
printf '$ fdtape-record -o %s -- curl %s/report.txt %s/missing --next -d ... %s/login\n' "$tape" "$url" "$url" "$url"
options="-sS --http1.1 --cacert $work/cert.pem"
# shellcheck disable=SC2086
if ! fdtape-record -o "$tape" -- curl $options -o /dev/null "$url/report.txt" -o /dev/null "$url/missing" \
	--next $options -o /dev/null -d user=ada -d password=lovelace "$url/login" 2>"$work/said"; then
	head -n 1 "$work/said"
	[ -e "$fixture" ] || exit 1
	echo "Nothing can be recorded here; this is a tape that was recorded before:"
	tape=$fixture
else
	cat "$work/said"
fi

show fdtape-analyze summary "$tape"
show fdtape-analyze flows "$tape"
show fdtape-analyze http "$tape"
show fdtape-analyze pcapng -o demo.pcapng "$tape"
if command -v tshark >/dev/null; then
	# As root tshark warns about itself; that is no news here.
	show tshark -r demo.pcapng -Y http 2>"$work/tshark" || { cat "$work/tshark"; exit 1; }
fi
printf '\nThe tape is %s; open demo.pcapng in Wireshark: the keys are inside.\n' "$tape"
