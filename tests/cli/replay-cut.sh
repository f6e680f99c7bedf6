cd "$TESTDATA"
# A cut by flow is a tape of its own: the same requests, keys and bytes of that flow, and nothing else.
flow=$(fdtape-analyze --json http curl-tls13.tape | jq .flow | sort -u)
fdtape-replay --to "$OLDPWD/cut.tape" --flow "$flow" curl-tls13.tape
cd "$OLDPWD"
fdtape-analyze verify cut.tape | sed "s/:.*ok/: ok/; s/[0-9][0-9]* /N /g"
fdtape-analyze --json flows cut.tape | wc -l
without_number() { jq -cS "del(.flow)"; }
fdtape-analyze --json http cut.tape | without_number >a
fdtape-analyze --json http "$TESTDATA/curl-tls13.tape" | without_number >b
cmp a b
fdtape-analyze keylog cut.tape | sort >a
fdtape-analyze keylog "$TESTDATA/curl-tls13.tape" | sort >b
cmp a b
