flow=$(fdtape-analyze --json flows "$TESTDATA/curl-tls12.tape" | jq "select(.tls.verdict == \"tls\").flow")
cd "$TESTDATA" && fdtape-analyze stream --flow "$flow" --dir out curl-tls12.tape
