# Counts, bytes and times of the page are those that analyze-stats-json.sh holds to the other views; how many calls
# are in each row of the histogram, awk counts from the log.
cd "$TESTDATA"
fdtape-analyze stats nginx-proxy.tape
fdtape-analyze log --json nginx-proxy.tape | jq -r 'select(.msg | startswith("syscall/")) | .duration_ns' |
	awk '{ for (b = 1; 2 * b <= $1; b *= 2); n[$1 < 1.5 * b ? b : 1.5 * b]++ } END { for (b in n) print b " ns:", n[b] }' |
	sort -n
fdtape-analyze stats --by peer dns-server.tape
fdtape-analyze stats --by call --fd 8 nginx-proxy.tape
fdtape-analyze stats --by path -v curl-tls13.tape
# No page is wider than 100 columns, unless -v asks for it.
for tape in *.tape golden/v1/*.tape; do
	fdtape-analyze -q stats "$tape" 2>/dev/null
done | awk 'length > 100 { print "too wide: " $0 }'
fdtape-analyze stats --by flow nginx-proxy.tape
fdtape-analyze flows --by call nginx-proxy.tape
