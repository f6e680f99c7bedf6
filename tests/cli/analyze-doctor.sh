# trouble.tape: what goes wrong in it is told by testdata/record.sh and tests/live/trouble_server.py, in this order.
said=$PWD/said
cd "$TESTDATA"
fdtape-analyze doctor trouble.tape
echo "exit status $?"
fdtape-analyze doctor --json trouble.tape | jq -c '[.finding, .severity, .flow, .fd, (.time | length)]'
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
