cd "$TESTDATA" && fdtape-analyze log curl-tls13.tape
