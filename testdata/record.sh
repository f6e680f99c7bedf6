#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# testdata/record.sh [NAME...]: records the fixtures anew, from real programs (root; nginx, curl, dig, nghttp2,
# PostgreSQL, MariaDB, Redis, Python's websockets and h2). A fixture that was
# released never changes: this script says how each was made, and makes new ones. Transcripts beside them are what
# `fdtape-replay --transcript` gives; what they hold is checked against the served files by the live suites.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${BIN:=$here/../build}"
PATH=$BIN:$PATH
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/www" "$work/tmp"
chmod 777 "$work/tmp"
i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo "line $i of a small file that every transfer carries"; done >"$work/www/small.txt"
printf '{"answer": 42}\n' >"$work/www/answer.json"
openssl req -x509 -nodes -days 36500 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout "$work/key.pem" \
	-out "$work/cert.pem" -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
set -- "${@:-all}"
ports=$(python3 -c '
import socket
ss = [socket.socket() for _ in range(3)]
for s in ss: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ss))')
http=${ports%% *} dns=${ports##* } https=${ports#* }
https=${https% *}
config() { # NAME SERVERS: a configuration of one process
	cat >"$work/$1.conf" <<-CONF
		daemon off; master_process off; pid $work/$1.pid; error_log $work/$1.log;
		events {}
		http {
		  access_log off; types { text/plain txt; application/json json; }
		  client_body_temp_path $work/tmp; proxy_temp_path $work/tmp;
		  fastcgi_temp_path $work/tmp; uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
		  $2
		}
	CONF
	nginx -e /dev/null -c "$work/$1.conf" &
	server="$server $!"
	while [ ! -s "$work/$1.pid" ]; do sleep 0.1; done
}
config back "server { listen 127.0.0.1:$https ssl; ssl_protocols TLSv1.2 TLSv1.3;
	ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem;
	root $work/www; location /login { return 200 \"welcome\n\"; } }"
config front "server { listen 127.0.0.1:$http; location / { proxy_pass https://127.0.0.1:$https; } }"

cd "$work" # so that no path of this machine is on the tapes
keep() { # NAME: what was recorded becomes the fixture
	mv "$1.tape" "$here/"
	chmod 644 "$here/$1.tape"
	fdtape-replay --transcript "$here/$1.tape" >"$here/$1.transcript"
}
curl_tape() { # NAME CURL-OPTIONS: a GET, a POST and a 404 on one connection
	fixture=$1
	shift
	fdtape-record -q -o "$fixture.tape" -- curl -sS -k --http1.1 "$@" -o /dev/null "$base/small.txt" \
		-o /dev/null "$base/answer.json" -o /dev/null "$base/missing" --next -sS -k --http1.1 "$@" -o /dev/null \
		-d user=ada "$base/login"
	keep "$fixture"
}

for name; do
	case $name in all | curl-tls13) base=https://localhost:$https; curl_tape curl-tls13 ;; esac
	case $name in all | curl-tls12) base=https://localhost:$https; curl_tape curl-tls12 --tls-max 1.2 ;; esac
	case $name in all | curl-clear) base=http://localhost:$http; curl_tape curl-clear ;; esac
	# Which libraries two programs map, and what is probed of them: of the one that is called, and of others.
	case $name in all | libraries)
		base=https://localhost:$https
		fdtape-record -q -o libraries.tape --tls keys -- sh -c "curl -sSko /dev/null $base/answer.json
			wget -q --no-check-certificate -O /dev/null $base/answer.json; true"
		keep libraries ;;
	esac
	case $name in all | nginx-proxy)
		fdtape-record -q -o nginx-proxy.tape -p "${server##* }" &
		recorder=$!
		sleep 2
		curl -sS -o /dev/null "http://127.0.0.1:$http/small.txt"
		curl -sS -o /dev/null -d user=ada "http://127.0.0.1:$http/login"
		sleep 0.2
		kill -INT $recorder
		wait $recorder
		keep nginx-proxy ;;
	esac
	# One server, asked by several: the flow of an unconnected socket has no other end, each datagram has.
	case $name in all | dns-server)
		python3 "$here/../tests/live/dns_server.py" "$dns" 127.0.0.1 ::1 &
		server="$server $!"
		sleep 1
		fdtape-record -q -o dns-server.tape -p $! &
		recorder=$!
		sleep 2
		for host in 127.0.0.1 ::1 127.0.0.1; do
			dig +short -p "$dns" @$host a.example b.example >/dev/null
			sleep 1.2 # so that there are several groups
		done
		kill -INT $recorder
		wait $recorder
		keep dns-server ;;
	esac
	# HTTP/2: three streams at once, one of them a 404, and a push.
	case $name in all | nghttp)
		nghttpd -d "$work/www" --push=/small.txt=/answer.json "$dns" "$work/key.pem" "$work/cert.pem" &
		server="$server $!"
		sleep 1
		base=https://localhost:$dns
		fdtape-record -q -o nghttp.tape -- nghttp -n "$base/small.txt" "$base/missing" "$base/answer.json"
		kill $!
		keep nghttp ;;
	esac
	# The simple protocol, several statements at once, an error, COPY; and the extended one.
	case $name in all | psql)
		pg=$(dirname "$(ls -d /usr/lib/postgresql/*/bin/initdb | tail -n 1)")
		install -d -m 700 -o nobody "$work/pg"
		as() { setpriv --reuid nobody --clear-groups "$@"; }
		as "$pg/initdb" -D "$work/pg" -U ada -A trust --no-sync --no-locale -E UTF8 >/dev/null
		as "$pg/postgres" -D "$work/pg" -p "$dns" -c listen_addresses=127.0.0.1 -c unix_socket_directories= 2>/dev/null &
		sleep 3
		cat >pgbench.sql <<-SQL
			\\startpipeline
			select 'in a pipeline';
			select generate_series(1, 3);
			\\endpipeline
		SQL
		fdtape-record -q -o psql.tape -- sh -c "psql -qXh 127.0.0.1 -p $dns -U ada -d postgres \
			-c 'create table item(id int primary key, name text)' \
			-c \"insert into item select i, 'item ' || i from generate_series(1, 20) i\" \
			-c 'select * from item where id <= 7' -c 'select nosuch from item' \
			-c 'update item set name = null where id > 15; delete from item where id = 1' \
			-c 'copy item to stdout' >/dev/null 2>&1
			pgbench -n -M prepared -t 1 -f pgbench.sql -h 127.0.0.1 -p $dns -U ada postgres >/dev/null 2>&1"
		kill $!
		keep psql ;;
	esac
	case $name in all | mariadb)
		install -d -m 700 -o nobody "$work/maria"
		mariadb-install-db --no-defaults --datadir="$work/maria" --auth-root-authentication-method=normal \
			--skip-test-db --user=nobody >/dev/null
		mariadbd --no-defaults --datadir="$work/maria" --user=nobody --port="$dns" --bind-address=127.0.0.1 \
			--socket="$work/maria/socket" --skip-name-resolve 2>/dev/null &
		sleep 3
		fdtape-record -q -o mariadb.tape -- mariadb --no-defaults -h127.0.0.1 -P"$dns" -uroot -f --skip-ssl -e "
			create database shop; use shop; create table item(id int primary key, name varchar(20));
			insert into item select seq, concat('item ', seq) from seq_1_to_20; select * from item where id <= 7;
			select nosuch from item; update item set name = null where id > 15;
			prepare p from 'select * from item where id < ?'; set @a = 4; execute p using @a" >/dev/null 2>&1 || :
		kill $!
		keep mariadb ;;
	esac
	case $name in all | redis-cli)
		redis-server --port "$dns" --bind 127.0.0.1 --save '' --dir "$work" >/dev/null &
		sleep 1
		printf '%s\n' 'set greeting "hello there"' 'get greeting' 'lpush greeting x' 'rpush l 1 2 3' 'lrange l 0 -1' \
			'hello 3' 'hset h f v' 'hgetall h' nosuchcommand >script
		fdtape-record -q -o redis-cli.tape -- sh -c "redis-cli -p $dns <script >/dev/null"
		kill $!
		keep redis-cli ;;
	esac
	case $name in all | websocket)
		/usr/bin/python3 "$here/../tests/live/ws_peer.py" server "$dns" deflate &
		server="$server $!"
		sleep 1
		cp "$here/../tests/live/ws_peer.py" .
		fdtape-record -q -o websocket.tape -- /usr/bin/python3 ws_peer.py client "$dns" deflate >/dev/null
		keep websocket ;;
	esac
	# What goes wrong, each by a curl of its own, and near misses: a whole answer, a 404, an address of two that is dead.
	case $name in all | trouble)
		python3 "$here/../tests/live/trouble_server.py" "$dns" &
		server="$server $!"
		sleep 1
		dead=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
		fdtape-record -q -o trouble.tape -- sh -c "exec 2>/dev/null >&2
			for path in whole cut none reset failed; do curl http://127.0.0.1:$dns/\$path; done
			curl -k https://localhost:$https/missing
			curl --resolve two.example:$dns:[::1],127.0.0.1 http://two.example:$dns/whole
			curl http://127.0.0.1:$dead/
			curl https://127.0.0.1:$dns/
			curl http://127.0.0.1:$https/
			curl https://localhost:$https/small.txt
			curl --tls-max 1.2 https://localhost:$https/small.txt
			curl -k --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256 https://localhost:$https/small.txt
			:"
		keep trouble ;;
	esac
	# Pipelines, streams and fds that are used wrongly, and rightly.
	case $name in all | mistakes)
		set -- $(python3 -c '
import socket
ss = [socket.socket() for _ in range(2)]
for s in ss: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ss))')
		i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo "line $i of a file that is larger than a window"; done >"$work/www/big"
		echo small >"$work/www/small"
		nghttpd -d "$work/www" --no-tls "$1" &
		server="$server $!"
		python3 "$here/../tests/live/mistakes.py" server "$2" &
		server="$server $!"
		sleep 1
		cp "$here/../tests/live/mistakes.py" .
		fdtape-record -q -o mistakes.tape -- /usr/bin/python3 mistakes.py client "$2" "$1"
		keep mistakes ;;
	esac
	# One server with a certificate for each name, of one CA that curl knows (but for self.example); good.example's is
	# all right, and asked for twice. TLS 1.3, and 1.2 where it says so.
	case $name in all | certificates)
		cat >ca.conf <<-CONF
			[ca]
			default_ca = one
			[one]
			database = $work/ca.index
			new_certs_dir = $work
			certificate = $work/ca.pem
			private_key = $work/ca.key
			rand_serial = yes
			policy = any
			copy_extensions = copy
			[any]
			commonName = supplied
		CONF
		: >ca.index
		openssl req -x509 -nodes -days 36500 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout ca.key -out ca.pem \
			-subj "/CN=A CA" 2>/dev/null
		issue() { # NAME FROM UNTIL HASH KEY...
			host=$1 from=$2 until=$3 hash=$4
			shift 4
			openssl req -new -nodes -newkey "$@" -keyout "$host.key" -out "$host.csr" -subj "/CN=$host" \
				-addext "subjectAltName=DNS:$host" 2>/dev/null
			openssl ca -config ca.conf -batch -notext -in "$host.csr" -out "$host.pem" -md "$hash" \
				-startdate "$from" -enddate "$until" 2>/dev/null
		}
		ec="ec -pkeyopt ec_paramgen_curve:P-256"
		issue good.example 20200101000000Z 21200101000000Z sha256 $ec
		issue expired.example 20200101000000Z 20210101000000Z sha256 $ec
		issue early.example 21190101000000Z 21200101000000Z sha256 $ec
		issue short.example 20200101000000Z 21200101000000Z sha256 rsa:1024
		issue sha1.example 20200101000000Z 21200101000000Z sha1 $ec
		openssl req -x509 -nodes -days 36500 -newkey $ec -keyout self.example.key -out self.example.pem \
			-subj /CN=self.example -addext subjectAltName=DNS:self.example 2>/dev/null
		names= dns2=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
		for host in good expired early short sha1 self; do
			names="$names server { listen 127.0.0.1:$dns2 ssl; server_name $host.example; root $work/www;
				ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers DEFAULT:@SECLEVEL=0;
				ssl_certificate $work/$host.example.pem; ssl_certificate_key $work/$host.example.key; }"
		done
		config certificates "$names"
		fdtape-record -q -o certificates.tape -- sh -c "exec 2>/dev/null >&2
			get() { host=\$1; shift; curl -s \"\$@\" --connect-to ::127.0.0.1:$dns2 https://\$host.example/answer.json; }
			get good --cacert ca.pem
			get good --cacert ca.pem --tls-max 1.2
			get expired --cacert ca.pem
			get expired --cacert ca.pem --tls-max 1.2
			get early --cacert ca.pem
			get other --cacert ca.pem
			get self --cacert ca.pem
			get self -k
			get short -k --ciphers DEFAULT@SECLEVEL=0
			get sha1 -k --ciphers DEFAULT@SECLEVEL=0
			:"
		keep certificates ;;
	esac
done
