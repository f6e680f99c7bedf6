# Whom an unconnected socket's datagrams came from and went to; kept by whatever makes another tape of this one.
tape=$TESTDATA/dns-server.tape
fdtape-analyze flows "$tape"
fdtape-analyze log "$tape"
fdtape-analyze --json flows "$tape" | jq -c '[.local, .remote, .peers]'
peers() { # TAPE
	fdtape-analyze --json log "$1" | jq -r 'select(.peer) | [.msg, .direction, .local, .remote, .peer] | @tsv'
}
peers "$tape" | tee told | cut -f 2,5 | sort | uniq -c
fdtape-replay "$tape" | grep -c ' \(from\|to\) '
fdtape-replay --to cut.tape --flow 2 "$tape" && peers cut.tape >cut
grep '\[::1\]:[0-9]*$' told | cmp - cut && echo "a cut: the same"
fdtape-replay --to all.tape --pid "$(fdtape-analyze --json flows "$tape" | jq -s '.[0].pid')" "$tape" && peers all.tape | cmp - told && echo "all of it: the same"
fdtape-replay --to merged.tape "$tape" "$TESTDATA/curl-clear.tape" && peers merged.tape | cmp - told && echo "a merge: the same"
fdtape-analyze verify --repair -o repaired.tape "$tape" 2>/dev/null && peers repaired.tape | cmp - told && echo "repaired: the same"
cat "$TESTDATA/curl-clear.tape" "$tape" >both.tape && peers both.tape | cmp - told && echo "behind another: the same"
