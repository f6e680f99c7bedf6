flow=$(fdtape-analyze --json flows "$TESTDATA/curl-tls12.tape" | jq "select(.tls.verdict == \"tls\").flow")
fdtape-analyze stream --flow "$flow" --dir out "$TESTDATA/curl-tls12.tape"
