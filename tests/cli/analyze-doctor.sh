# What goes wrong on these tapes is told by testdata/record.sh, tests/live/trouble_server.py and tests/live/mistakes.py,
# in this order; each of the latter two has near misses, too.
said=$PWD/said
cd "$TESTDATA"
for tape in trouble mistakes certificates; do
	fdtape-analyze doctor $tape.tape
	echo "exit status $?"
	fdtape-analyze doctor --json $tape.tape | jq -c '[.finding, .severity, .flow, .fd, (.time | length)]'
done
fdtape-analyze doctor --json --flow 10 trouble.tape
# The healthy ones: a 404, an error of SQL, a push, a socket for datagrams are nothing to complain of.
for tape in curl-clear curl-tls12 curl-tls13 dns-server mariadb nghttp nginx-proxy psql redis-cli websocket; do
	fdtape-analyze doctor $tape.tape >"$said"
	echo "$tape: exit status $?, $(cat "$said")"
	fdtape-analyze doctor --json $tape.tape
done
for tape in *.tape golden/v1/*.tape; do
	fdtape-analyze -q doctor "$tape" 2>/dev/null
done | awk 'length > 100 { print "too wide: " $0 }'
fdtape-analyze doctor --by path trouble.tape
