# Every figure is held to what log, flows and http say of each call and request (tests/stats_truth.py): counted, summed
# and sorted there.
cd "$TESTDATA"
fdtape-analyze stats --json --by path curl-tls13.tape
fdtape-analyze stats --json --by peer nginx-proxy.tape | jq -c '[.by, .peer, .count, .p50_ns, .max_ns]'
fdtape-analyze stats --json nginx-proxy.tape | jq -c '[.stats, .by]' | uniq -c
python3 -B "$TESTDATA/../tests/stats_truth.py" curl-clear.tape curl-tls12.tape curl-tls13.tape dns-server.tape \
	nginx-proxy.tape nghttp.tape psql.tape redis-cli.tape golden/v1/concatenated.tape golden/v1/spread.tape golden/v1/damaged-payload.tape
