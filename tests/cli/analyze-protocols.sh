# Each fixture is of one protocol, as its name says.
cd "$TESTDATA" && for tape in curl-clear curl-tls13 nghttp psql mariadb redis-cli dns-server websocket; do
	fdtape-analyze flows --json $tape.tape | jq -r --arg tape $tape 'select(.protocol) | "\($tape) \(.proto) \(.protocol)"'
done | uniq
